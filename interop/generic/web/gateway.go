package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cloudwego/kitex/pkg/generic"

	"interop/generic/calls"
	"interop/generic/rows"
	"interop/matrix"
)

// Lab plays the gateway of the proxy in front of a Kitex server.
type Lab struct {
	// Proxy is the proxy's binary, IDL the folder of the IDL files, Browser the browser's binary.
	Proxy, IDL, Browser string
	Verbose             bool
}

// Case is a request to the gateway.
type Case struct {
	Name    string
	Request calls.Request
	// Status is what is expected where Kitex's client has no response, Contains what its body has.
	Status   int
	Contains string
	// JSON is a call by name: what is expected is what Kitex's JSON client gets of Method for In.
	Method string
	In     calls.Input
}

func get(name, target string, headers ...string) Case {
	return Case{Name: name, Request: calls.Request{Method: "GET", Target: target, Headers: headers}}
}

func post(name, target, body string) Case {
	return Case{Name: name, Request: calls.Request{Method: "POST", Target: target, Body: body, Headers: []string{"Content-Type: application/json"}}}
}

func (c Case) refused(status int, contains string) Case {
	c.Status, c.Contains = status, contains
	return c
}

func named(method, body string, in calls.Input) Case {
	c := post("by name: "+method, "/Generic/"+method, body)
	c.Method, c.In = method, in
	return c
}

var routed = []Case{
	get("get", "/items/7?q=a+b%26c&ids=1,2,3&flag=true", "X-Token: t", "Cookie: session=s"),
	get("get, little", "/items/7"),
	post("post", "/items/8?ids=4", `{"item":{"name":"n","price":"12","tags":["x"]},"plain":"p"}`),
	{Name: "delete", Request: calls.Request{Method: "DELETE", Target: "/items/9"}},
	{Name: "put", Request: calls.Request{Method: "PUT", Target: "/items/9/any/thing", Body: `{"plain":"p"}`, Headers: []string{"Content-Type: application/json"}}},
	get("status of the method", "/items/201"),
	get("declared exception", "/items/400"),
	post("echo", "/echo", `{"text":"hello","number":5,"items":[{"name":"a","tags":[]}],"counts":{"one":1},"kind":7,"names":{"1":"x"}}`),
	post("echo, escapes", "/echo", `{"text":"<&> \u4f60 \"\\ \u0001","real":1.5e300}`),
	get("business error", "/items/404").refused(422, `"not found"`),
	get("handler error", "/items/500").refused(502, "boom"),
	get("bad number", "/items/seven").refused(400, `"path":"req.id"`),
	get("bad list", "/items/7?ids=1,x").refused(400, `"path":"req.ids`),
	post("bad body", "/items/7", "{").refused(400, "bad_arguments"),
	get("no route", "/nowhere").refused(404, "not_found"),
	{Name: "no such method", Request: calls.Request{Method: "PATCH", Target: "/items/7"}, Status: 405, Contains: "method_not_allowed"},
}

var byName = []Case{
	named("Echo", `{"text":"hello","number":5,"item":{"name":"n","price":"7","tags":[]},"blob":"AAE="}`,
		calls.Input{JSON: `{"text":"hello","number":5,"item":{"name":"n","price":"7","tags":[]},"blob":"AAE="}`}),
	named("Inherited", `"hello"`, calls.Input{JSON: "hello"}),
	named("Numbers", `[1,-1,4611686018427387904]`, calls.Input{JSON: "[1,-1,4611686018427387904]"}),
	post("by name: declared exception", "/Generic/Echo", `{"text":"refuse"}`).refused(422, `"value":{"code":400,"why":"refused"}`),
	post("by name: second declared exception", "/Generic/Echo", `{"text":"busy"}`).refused(422, `"value":{"seconds":9}`),
	post("by name: handler error", "/Generic/Echo", `{"text":"abort"}`).refused(502, "boom"),
	post("by name: another service", "/Second/Whoami", `"me"`).refused(200, "second me"),
	post("by name: no method", "/Generic/Nope", `{}`).refused(404, "not_found"),
	post("by name: no service", "/Ghost/Nope", `{}`).refused(404, "not_found"),
	post("by name: streams", "/Generic/Chat", `{}`).refused(501, "streaming"),
	post("by name: bad arguments", "/Generic/Echo", `{"grid":"x"`).refused(400, "bad_arguments"),
	post("by name: oneway", "/Generic/Tell", `"hello"`).refused(202, ""),
	get("openapi", "/openapi.json").refused(200, `"/items/{id}"`),
	get("list of routes", "/").refused(200, "/items/"),
}

// Run plays all cases by every caller, in front of a server that is spoken to by every transport.
func (l *Lab) Run(w io.Writer) (calls.Report, error) {
	var total calls.Report
	server, err := calls.StartGenerated(false)
	if err != nil {
		return total, err
	}
	defer server.Stop()
	dir, err := os.MkdirTemp("", "gateway-*")
	if err != nil {
		return total, err
	}
	defer os.RemoveAll(dir)
	idl, err := filepath.Abs(filepath.Join(l.IDL, "generic.thrift"))
	if err != nil {
		return total, err
	}
	fmt.Fprintf(w, "\ncallers → the proxy's HTTP gateway → Kitex server\n  %-20s", "upstream")
	for _, c := range callers {
		fmt.Fprintf(w, " %15s", c.name)
	}
	fmt.Fprintln(w)
	for _, by := range calls.Transports[:4] {
		config := fmt.Sprintf("workers = 2\n\n[[listener]]\nbind = \"127.0.0.1:0\"\nprotocols = [\"http\"]\nidl = %q\n\n[[route]]\ncluster = \"backend\"\n\n"+
			"[cluster.backend]\nendpoints = [%q]\npingpong = %q\n", idl, server.Addr, by.Name)
		proxy, err := matrix.StartProxyWith(l.Proxy, dir, config)
		if err != nil {
			return total, err
		}
		err = l.upstream(w, &total, by, proxy.Addr, server.Addr)
		proxy.Stop()
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// caller is a way to send a request to the gateway.
type caller struct {
	name string
	send func(l *Lab, b *Browser, addr string, r *calls.Request) (Answer, error)
}

var callers = []caller{
	{"net/http", func(_ *Lab, _ *Browser, addr string, r *calls.Request) (Answer, error) { return plain(addr, r) }},
	{"curl", func(_ *Lab, _ *Browser, addr string, r *calls.Request) (Answer, error) {
		return curl(addr, r, "--http1.1")
	}},
	{"curl, HTTP/2", func(_ *Lab, _ *Browser, addr string, r *calls.Request) (Answer, error) {
		return curl(addr, r, "--http2-prior-knowledge")
	}},
	{"curl, gzip", func(_ *Lab, _ *Browser, addr string, r *calls.Request) (Answer, error) {
		return curl(addr, r, "--compressed")
	}},
	{"browser's fetch", func(_ *Lab, b *Browser, _ string, r *calls.Request) (Answer, error) { return fetch(b, r) }},
}

func (l *Lab) upstream(w io.Writer, total *calls.Report, by calls.Transport, gateway, server string) error {
	web, err := calls.Connect(calls.HTTP, by, server, l.IDL)
	if err != nil {
		return err
	}
	defer web.Close()
	named, err := calls.Connect(calls.JSON, by, server, l.IDL)
	if err != nil {
		return err
	}
	defer named.Close()
	browser, err := OpenBrowser(l.Browser, "http://"+gateway+"/openapi.json")
	if err != nil {
		return err
	}
	defer browser.Close()
	fmt.Fprintf(w, "  %-20s", by.Name)
	var details strings.Builder
	for _, c := range callers {
		var cell calls.Report
		for _, cs := range append(append([]Case{}, routed...), byName...) {
			if cs.Name == "by name: oneway" && c.name == "curl, gzip" {
				continue // a second one would be told of, too
			}
			l.one(&details, &cell, c, cs, by, web, named, func() (Answer, error) { return c.send(l, browser, gateway, &cs.Request) })
		}
		total.Add(cell)
		fmt.Fprintf(w, " %15s", cell.Short())
	}
	fmt.Fprintf(w, "\n%s", details.String())
	return nil
}

func (l *Lab) one(w io.Writer, cell *calls.Report, c caller, cs Case, by calls.Transport, web, named *calls.Caller, send func() (Answer, error)) {
	got, err := send()
	why := ""
	switch {
	case err != nil:
		why = err.Error()
	case cs.Method != "":
		why = sameAsText(named.Call(cs.Method, cs.In), got)
	case cs.Status == 0 || by.Name != "ttheader" && by.Name != "ttheader-framed" && cs.Name == "business error":
		why = sameAsKitex(web, &cs.Request, got)
	default:
		why = cs.expected(got)
	}
	if why == "" {
		cell.Same++
		if l.Verbose {
			fmt.Fprintf(w, "    %s, %s, %s\n        %d %v\n        %.300s\n", cs.Name, c.name, by.Name, got.Status, got.Headers, got.Body)
		}
		return
	}
	cell.Failed++
	fmt.Fprintf(w, "    FAIL %s, %s, %s: %s\n        got %d %v\n        %.600s\n", cs.Name, c.name, by.Name, why, got.Status, got.Headers, got.Body)
}

// expected is the answer to what Kitex's HTTP client has no response for.
func (cs Case) expected(got Answer) string {
	if got.Status != cs.Status {
		return fmt.Sprintf("status, expected %d", cs.Status)
	}
	if !strings.Contains(got.Body, cs.Contains) {
		return "the body, expected " + cs.Contains
	}
	if got.Status >= 400 {
		var body struct {
			Error struct {
				Message, Kind string
				ID            string `json:"request_id"`
			}
		}
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
			return "the body is no JSON: " + err.Error()
		}
		if body.Error.Kind == "" || body.Error.ID == "" || body.Error.ID != got.Headers["x-request-id"] {
			return "an error without its kind or request id"
		}
	}
	return ""
}

// sameAsKitex compares with the response that Kitex's HTTP client makes of the same request.
func sameAsKitex(web *calls.Caller, r *calls.Request, got Answer) string {
	response, err := web.Response(r)
	if err != nil {
		return "Kitex's client has no response: " + err.Error()
	}
	if response == nil { // a result that is not there
		if got.Status != http.StatusNoContent || got.Body != "" {
			return "Kitex has no response, expected 204"
		}
		return ""
	}
	want := Answer{Status: http.StatusOK}
	if response.StatusCode != 0 {
		want.Status = int(response.StatusCode)
	}
	body, err := json.Marshal(rows.Jsonable(response.Body))
	if err != nil {
		return err.Error()
	}
	want.Body = string(body)
	if got.Status != want.Status {
		return fmt.Sprintf("status, Kitex has %d", want.Status)
	}
	if why := sameHeaders(response, got); why != "" {
		return why
	}
	if kind := got.Headers["content-type"]; !strings.HasPrefix(kind, "application/json") {
		return "content-type " + kind
	}
	if err := rows.SameJSON([]byte(got.Body), []byte(want.Body)); err != nil {
		return "the body, Kitex has " + want.Body
	}
	return ""
}

// sameHeaders looks at those that a method sets: all that begin with X- but the gateway's own.
func sameHeaders(response *generic.HTTPResponse, got Answer) string {
	for k, v := range got.Headers {
		if !strings.HasPrefix(k, "x-") || k == "x-request-id" {
			continue
		}
		if response.Header.Get(k) != v {
			return fmt.Sprintf("header %s: %s, which Kitex does not have", k, v)
		}
	}
	for k := range response.Header {
		if got.Headers[strings.ToLower(k)] != response.Header.Get(k) {
			return fmt.Sprintf("header %s, Kitex has %s", k, response.Header.Get(k))
		}
	}
	return ""
}

// sameAsText compares a call by name with what Kitex's JSON client has. A text result is JSON here.
func sameAsText(told string, got Answer) string {
	want, ok := strings.CutPrefix(told, "text ")
	if !ok {
		return "Kitex's client has no text: " + told
	}
	if got.Status != 200 {
		return "status"
	}
	if calls.Canonical(got.Body) != want {
		return "the body, Kitex has " + want
	}
	return ""
}

func plain(addr string, r *calls.Request) (Answer, error) {
	req, err := r.Build("http://" + addr)
	if err != nil {
		return Answer{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer(resp, body), err
}

func answer(resp *http.Response, body []byte) Answer {
	out := Answer{Status: resp.StatusCode, Headers: map[string]string{}, Body: string(body)}
	for k := range resp.Header {
		out.Headers[strings.ToLower(k)] = resp.Header.Get(k)
	}
	return out
}

func curl(addr string, r *calls.Request, option string) (Answer, error) {
	args := []string{"--silent", "--show-error", "--noproxy", "*", "--max-time", "10", "--globoff", "--path-as-is", option,
		"--request", r.Method, "--dump-header", "-", "--output", "-"}
	for _, h := range r.Headers {
		args = append(args, "--header", h)
	}
	if r.Body != "" {
		args = append(args, "--data-binary", "@-")
	}
	cmd := exec.Command("curl", append(args, "http://"+addr+r.Target)...)
	cmd.Stdin = strings.NewReader(r.Body)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		return Answer{}, fmt.Errorf("curl: %w: %s", err, stderr.String())
	}
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	out := Answer{Headers: map[string]string{}, Body: string(body)}
	for i, line := range strings.Split(string(head), "\r\n") {
		if i == 0 {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				return out, fmt.Errorf("curl: %q", line)
			}
			if out.Status, err = strconv.Atoi(fields[1]); err != nil {
				return out, err
			}
			continue
		}
		k, v, _ := strings.Cut(line, ":")
		out.Headers[strings.ToLower(k)] = strings.TrimSpace(v)
	}
	return out, nil
}

// fetch is the browser's. A page may not set a Cookie header: cookies are the document's.
func fetch(b *Browser, r *calls.Request) (Answer, error) {
	headers := [][2]string{}
	cookie := "session=; max-age=0"
	for _, h := range r.Headers {
		k, v, _ := strings.Cut(h, ": ")
		if k == "Cookie" {
			cookie = v
			continue
		}
		headers = append(headers, [2]string{k, v})
	}
	text, err := json.Marshal(cookie)
	if err != nil {
		return Answer{}, err
	}
	var set string
	if err := b.Evaluate("document.cookie = "+string(text), &set); err != nil {
		return Answer{}, err
	}
	return b.Fetch(r.Method, r.Target, headers, r.Body)
}
