package matrix

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"interop/peer"
	"interop/wire"
)

// RawCase is bytes that a caller may send by hand: section 5.4 of the specification, and what else
// no stock client would do.
type RawCase struct {
	Name   string
	Server peer.Options
	Bytes  []byte
	// Piece cuts the bytes into writes of this size; 0: one write.
	Piece int
	// Fresh gives the case a proxy without idle connections to the backend.
	Fresh bool
	// Fin half-closes after the last byte.
	Fin bool
	// Replies is how many answers to wait for; after them the case watches whether the connection
	// is closed.
	Replies int
}

// RawResult is what came back.
type RawResult struct {
	Replies []*wire.Message
	// End is `closed`, `open` or what went wrong while reading.
	End string
}

// Lines is the result in words.
func (r RawResult) Lines() []string {
	out := []string{}
	for _, m := range r.Replies {
		out = append(out, addressless(m.Describe()))
	}
	return append(out, r.End)
}

// copied is a copy whose messages may be changed.
func (r RawResult) copied() RawResult {
	out := RawResult{End: r.End}
	for _, m := range r.Replies {
		one := *m
		one.Strings = maps.Clone(m.Strings)
		out.Replies = append(out.Replies, &one)
	}
	return out
}

// Do sends a raw case and reads the answers.
func (c RawCase) Do(addr string) RawResult {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return RawResult{End: err.Error()}
	}
	defer conn.Close()
	go func() { // a peer may refuse before it has read everything
		rest := c.Bytes
		for len(rest) > 0 {
			n := len(rest)
			if c.Piece > 0 {
				n = min(n, c.Piece)
			}
			if _, err := conn.Write(rest[:n]); err != nil {
				return
			}
			if rest = rest[n:]; len(rest) > 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if c.Fin {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	out := RawResult{}
	r := bufio.NewReader(conn)
	for {
		patience := 3 * time.Second
		if len(out.Replies) >= c.Replies {
			patience = 250 * time.Millisecond
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		m, err := wire.Read(r)
		if err == nil {
			out.Replies = append(out.Replies, m)
			continue
		}
		var timed net.Error
		switch {
		case errors.As(err, &timed) && timed.Timeout() && len(m.Raw) == 0:
			out.End = "open"
		case err == io.EOF && len(m.Raw) == 0, errors.Is(err, syscall.ECONNRESET) && len(m.Raw) == 0:
			out.End = "closed" // with unread input a close becomes a reset: the same to a caller
		default:
			out.End = fmt.Sprintf("broken answer (%v): %x", err, m.Raw)
		}
		return out
	}
}

// addressless takes ports out of a text.
func addressless(text string) string {
	for {
		i := strings.Index(text, "127.0.0.1:")
		if i < 0 {
			return text
		}
		j := i + len("127.0.0.1:")
		for j < len(text) && text[j] >= '0' && text[j] <= '9' {
			j++
		}
		text = text[:i] + "ADDR" + text[j:]
	}
}

// rawException is an entry of the table of raw exceptions. `fits` says whether it explains that
// `got` is not `want`.
type rawException struct {
	Letter, Rule, What, Why string
	fits                    func(name string, want, got *RawResult) bool
}

// RawExceptions are applied in this order; each takes away the difference that it explains.
var RawExceptions = []rawException{
	{
		Letter: "c", Rule: "P6", What: "the backend's `crrst` does not reach the caller",
		Why: "it speaks of the connection between proxy and backend only",
		fits: func(_ string, want, got *RawResult) bool {
			changed := false
			for i, m := range want.Replies {
				if i < len(got.Replies) && m.Strings["crrst"] != "" && got.Replies[i].Strings["crrst"] == "" {
					delete(m.Strings, "crrst")
					changed = true
				}
			}
			return changed
		},
	},
	{
		Letter: "k", Rule: "5.4, P10", What: "the connection is kept after an EXCEPTION after which Kitex closes",
		Why: "Kitex cannot trust its reader any more; the proxy knew where the message ended",
		fits: func(_ string, want, got *RawResult) bool {
			n := len(want.Replies)
			if n == 0 || want.Replies[n-1].Type != wire.Exception || want.End != "closed" || got.End != "open" || len(got.Replies) < n {
				return false
			}
			for _, more := range got.Replies[n:] { // what came after is served, where Kitex never read it
				if more.Type != wire.Reply {
					return false
				}
			}
			want.Replies = append(want.Replies, got.Replies[n:]...)
			want.End = "open"
			return true
		},
	},
	{
		Letter: "f", Rule: "P7", What: "a half-close does not cost the caller its reply",
		Why: "a Kitex server drops the reply of a slow handler when the caller has half-closed; the proxy keeps its own side open until the reply is there",
		fits: func(name string, want, got *RawResult) bool {
			if !strings.Contains(name, "half-close") || len(want.Replies) != 0 || len(got.Replies) != 1 || got.Replies[0].Type != wire.Reply {
				return false
			}
			want.Replies = got.Replies
			return true
		},
	},
	{
		Letter: "l", Rule: "2.5, P15", What: "a length that contradicts the message closes the connection",
		Why: "Kitex disregards such lengths or loses its place in the stream; the specification recommends to treat them as malformed",
		fits: func(name string, want, got *RawResult) bool {
			if !strings.Contains(strings.ToLower(name), "length") || len(got.Replies) != 0 || got.End != "closed" {
				return false
			}
			*want = *got
			return true
		},
	},
	{
		Letter: "b", Rule: "8.4", What: "malformed Buffered arguments: closed without, or answered with, EXCEPTION 7",
		Why: "a netpoll server says nothing, a Go-net server answers; either is acceptable",
		fits: func(name string, want, got *RawResult) bool {
			if !strings.HasPrefix(name, "buffered, malformed") || len(want.Replies) != 0 || len(got.Replies) != 1 {
				return false
			}
			if code, _, _ := got.Replies[0].Fault(); code != 7 {
				return false
			}
			*want = *got
			return true
		},
	},
	{
		Letter: "o", Rule: "1.9, P8", What: "no answer to a message of type ONEWAY",
		Why: "a Kitex server answers if the method is not oneway, or unknown; a caller that sends type 4 does not wait for it",
		fits: func(name string, want, got *RawResult) bool {
			if !strings.HasPrefix(name, "oneway type") || len(got.Replies) != 0 {
				return false
			}
			*want = *got
			return true
		},
	},
	{
		Letter: "0", Rule: "1.3, 4, P9", What: "seqid 0 of a Kitex-Protobuf error or of the answer to type STREAM becomes the caller's",
		Why: "Kitex forgets the seqid there; the caller's own is what an answer should have",
		fits: func(_ string, want, got *RawResult) bool {
			changed := false
			for i, m := range want.Replies {
				if i < len(got.Replies) && m.Seqid == 0 && got.Replies[i].Seqid != 0 {
					m.Seqid, m.Sequence = got.Replies[i].Seqid, got.Replies[i].Sequence
					changed = true
				}
			}
			return changed
		},
	},
	{
		Letter: "x", Rule: "8.8", What: "a backend that closes without an answer becomes EXCEPTION 6, and the connection is kept",
		Why: "every call is answered once; that only the backend could refuse the message (a checksum, its own limits) is not the caller's connection's fault",
		fits: func(_ string, want, got *RawResult) bool {
			if len(want.Replies) != 0 || want.End != "closed" || len(got.Replies) != 1 || got.End != "open" {
				return false
			}
			if code, text, _ := got.Replies[0].Fault(); code != 6 || !strings.Contains(text, "closed") {
				return false
			}
			*want = *got
			return true
		},
	},
	{
		Letter: "g", Rule: "B1", What: "the SETTINGS of an HTTP/2 listener are the proxy's own",
		Why: "its limits are not the server's; that it speaks first, with SETTINGS, is what is compared",
		fits: func(name string, want, got *RawResult) bool {
			if name != "streaming, HTTP/2 preface" || !settings.MatchString(want.End) || !settings.MatchString(got.End) || want.End == got.End {
				return false
			}
			*want = *got
			return true
		},
	},
}

// settings is the head of a SETTINGS frame on stream 0, told as an answer that is no Thrift.
var settings = regexp.MustCompile(`invalid payload: 00 00 [0-9a-f]{2} 04 00 00 00 00\)`)

// judgeRaw compares, with the exceptions applied.
func judgeRaw(name string, want, got RawResult) Verdict {
	v := Verdict{}
	before := want.Lines()
	for _, e := range RawExceptions {
		if strings.Join(want.Lines(), "\n") == strings.Join(got.Lines(), "\n") {
			break
		}
		if e.fits(name, &want, &got) {
			v.Letters += e.Letter
		}
	}
	if a, b := want.Lines(), got.Lines(); strings.Join(a, "\n") != strings.Join(b, "\n") {
		v.Diffs = append(v.Diffs, fmt.Sprintf("expected %s\n    got      %s", strings.Join(before, "\n             "), strings.Join(b, "\n             ")))
	}
	return v
}

// RunRaw goes through the raw cases.
func (l *Lab) RunRaw(w io.Writer, f Filter, vectors []RawCase, r *Report) error {
	if f.Kind != "" && f.Kind != "raw" || f.Upstream != "" && f.Upstream != "as caller" {
		return nil
	}
	through := l.Binary != "" || l.Relay
	fmt.Fprintf(w, "\nraw bytes, upstream as caller\n  %-58s %-9s %s\n", "case", "proxied", "direct")
	var cases []RawCase
	for _, c := range append(append([]RawCase{}, RawCases...), vectors...) {
		if f.cs(c.Name) {
			cases = append(cases, c)
		}
	}
	// Most of the time goes into watching that nothing more comes, so several cases run at once.
	type tried struct {
		want RawResult
		v    Verdict
		log  func() string
	}
	results := make([]tried, len(cases))
	slots := make(chan struct{}, 6)
	var wg sync.WaitGroup
	for i, c := range cases {
		s, err := l.Server(c.Server)
		if err != nil {
			return err
		}
		var p *Proxy
		if through {
			up := Upstreams[0]
			if c.Fresh {
				up.Name = c.Name
			}
			if p, err = l.Proxy(s.Addr, "", up); err != nil {
				return err
			}
		}
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			t := tried{want: c.Do(s.Addr)}
			if p != nil {
				t.log = p.Log
				t.v = judgeRaw(c.Name, t.want.copied(), c.Do(p.Addr))
				if err := stillServes(p.Addr, c.Server); err != nil {
					t.v.Diffs = append(t.v.Diffs, "afterwards the proxy does not serve any more: "+err.Error())
				}
			}
			results[i] = t
		}()
	}
	wg.Wait()
	for i, c := range cases {
		t := results[i]
		direct := strings.Join(t.want.Lines(), "; ")
		if len(direct) > 110 {
			direct = direct[:110] + "…"
		}
		result := ""
		if through {
			result = r.count("raw, "+c.Name, t.v, func() string {
				sent := c.Bytes[:min(len(c.Bytes), 300)]
				return fmt.Sprintf("    sent     %x\n    log of the proxy:\n      %s\n", sent, lastLines(t.log(), 4))
			})
			for _, letter := range t.v.Letters {
				r.used["raw "+string(letter)] = true
			}
		}
		fmt.Fprintf(w, "  %-58s %-9s %s\n", c.Name, result, direct)
	}
	l.DropProxies()
	return nil
}

// stillServes makes one ordinary call.
func stillServes(addr string, o peer.Options) error {
	call := wire.TTHeader(wire.Head{Sequence: 77}, wire.Frame(wire.Envelope(wire.Thrift, wire.Call, "echo", 77, wire.Text(1, "after"))))
	if o.Protobuf {
		call = wire.TTHeader(wire.Head{Sequence: 77}, wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "Echo", 77, []byte("\n\x05after"))))
	}
	got := RawCase{Bytes: call, Replies: 1}.Do(addr)
	if len(got.Replies) != 1 || got.Replies[0].Type != wire.Reply || got.Replies[0].Seqid != 77 {
		return errors.New(strings.Join(got.Lines(), "; "))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n      ")
}
