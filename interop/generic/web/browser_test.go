package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
)

func TestFetch(t *testing.T) {
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the browser is missing: ", err)
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(201)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}))
	defer origin.Close()
	b, err := OpenBrowser(binary, origin.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := b.Fetch("PUT", "/a/b", [][2]string{{"X-Sent", "yes"}}, "héllo")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 201 || got.Headers["x-seen"] != "yes" || got.Body != "PUT /a/b héllo" {
		t.Errorf("%+v", got)
	}
}
