// Package web calls the proxy's HTTP gateway: by curl, by a browser's fetch, and beside Kitex's own HTTP
// generic client.
package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/websocket"
)

// Browser is a headless Chromium with one page, driven by the DevTools protocol.
type Browser struct {
	cmd  *exec.Cmd
	dir  string
	conn *websocket.Conn
	next int
}

// OpenBrowser starts one and has it open a page.
func OpenBrowser(binary, url string) (*Browser, error) {
	dir, err := os.MkdirTemp("", "browser-*")
	if err != nil {
		return nil, err
	}
	b := &Browser{dir: dir, cmd: exec.Command(binary,
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--user-data-dir="+dir, "--remote-debugging-port=0", "--remote-allow-origins=*", url)}
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if _, at, ok := strings.Cut(lines.Text(), "DevTools listening on ws://"); ok {
				host, _, _ := strings.Cut(at, "/")
				found <- host
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	select {
	case host := <-found:
		if err := b.attach(host, url); err != nil {
			b.Close()
			return nil, err
		}
		return b, nil
	case <-time.After(30 * time.Second):
		b.Close()
		return nil, errors.New("the browser did not start")
	}
}

// attach connects to the page.
func (b *Browser) attach(host, url string) error {
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		resp, err := http.Get("http://" + host + "/json/list")
		if err != nil {
			continue
		}
		var targets []struct {
			Type, URL string
			Socket    string `json:"webSocketDebuggerUrl"`
		}
		err = json.NewDecoder(resp.Body).Decode(&targets)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		for _, t := range targets {
			if t.Type == "page" && strings.HasPrefix(t.URL, url) {
				if b.conn, err = websocket.Dial(t.Socket, "", "http://"+host); err != nil {
					return err
				}
				return b.loaded(url)
			}
		}
	}
	return errors.New("the browser did not open the page")
}

// loaded waits until the page is there: a target has its address before that.
func (b *Browser) loaded(url string) error {
	for range 200 {
		var state string
		if err := b.Evaluate(`document.readyState + " " + location.href`, &state); err != nil {
			return err
		}
		if strings.HasPrefix(state, "complete "+url) {
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return errors.New("the browser did not load the page")
}

// Evaluate runs an expression in the page, awaits its promise, and decodes its value.
func (b *Browser) Evaluate(expression string, into any) error {
	b.next++
	_ = b.conn.SetDeadline(time.Now().Add(30 * time.Second))
	request := map[string]any{"id": b.next, "method": "Runtime.evaluate", "params": map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	}}
	if err := websocket.JSON.Send(b.conn, request); err != nil {
		return err
	}
	for {
		var reply struct {
			ID     int `json:"id"`
			Result struct {
				Result struct {
					Value json.RawMessage `json:"value"`
				} `json:"result"`
				ExceptionDetails json.RawMessage `json:"exceptionDetails"`
			} `json:"result"`
			Error json.RawMessage `json:"error"`
		}
		if err := websocket.JSON.Receive(b.conn, &reply); err != nil {
			return err
		}
		if reply.ID != b.next {
			continue
		}
		if reply.Error != nil || reply.Result.ExceptionDetails != nil {
			return fmt.Errorf("in the page: %s%s", reply.Error, reply.Result.ExceptionDetails)
		}
		return json.Unmarshal(reply.Result.Result.Value, into)
	}
}

// Close ends the browser.
func (b *Browser) Close() {
	if b.conn != nil {
		_ = b.conn.Close()
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	_ = os.RemoveAll(b.dir)
}

// Answer is an HTTP answer as each of the callers sees it.
type Answer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// Fetch has the page fetch a target of its own origin.
func (b *Browser) Fetch(method, target string, headers [][2]string, body string) (Answer, error) {
	options := map[string]any{"method": method, "headers": headers}
	if body != "" {
		options["body"] = body
	}
	text, err := json.Marshal(options)
	if err != nil {
		return Answer{}, err
	}
	path, err := json.Marshal(target)
	if err != nil {
		return Answer{}, err
	}
	var out Answer
	err = b.Evaluate(fmt.Sprintf(`(async () => {
		const answer = await fetch(%s, %s);
		return {status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text()};
	})()`, path, text), &out)
	return out, err
}
