package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"
)

// Client says which client is used.
type Client struct {
	// Target is the address that is called.
	Target string
	// Lib is kitex or grpc-go, Codec thrift or protobuf, Transport ttstream or grpc. A Kitex client
	// over ttstream makes its unary calls by ping-pong TTHeader.
	Lib, Codec, Transport string
	// Pool is the kind of pool of a ttstream client: mux (the default), long, short.
	Pool string
	// Name is the caller's service name, which is in the path of a cancellation.
	Name string
}

// pingpong is true if unary calls go another way than streams.
func (c Client) pingpong() bool { return c.Transport == "ttstream" }

// options are of one call.
type options struct {
	service, method    string // to call something that the server may not have
	gzip               bool
	timeout            time.Duration // of a unary call
	meta               [][2]string   // gRPC request metadata
	persist, transient map[string]string
}

// caller is a client of some library.
type caller interface {
	ask(ctx context.Context, o options, m *Msg) (reply *Msg, headers, trailers map[string][]string, err error)
	// open starts a stream; Download takes its message at once and half-closes.
	open(ctx context.Context, o options, method string, m *Msg) (stream, error)
	// ended sorts an error; the trailers may have a part in it.
	ended(err error, trailers map[string][]string) Ended
	close()
}

type stream interface {
	send(*Msg) error
	recv() (*Msg, error)
	closeSend() error
	header() map[string][]string
	trailer() map[string][]string
}

// run is a case under way.
type run struct {
	Client
	caller
	ctx    context.Context
	cancel context.CancelFunc
	sum    hash.Hash
	early  map[string][]string // headers that were waited for
	result Result
}

// Run runs one case with a client of its own.
func Run(c Client, cs Case) Result {
	out := Result{Case: cs.Name, Headers: map[string][]string{}, Trailers: map[string][]string{}}
	if cs.Skip != nil {
		if why := cs.Skip(c); why != "" {
			return Result{Case: cs.Name, Skip: why}
		}
	}
	start := time.Now()
	done := make(chan Result, 1)
	go func() {
		r := &run{Client: c, sum: sha256.New(), result: out}
		defer func() {
			if p := recover(); p != nil {
				r.result.End = Ended{Kind: "error", Message: fmt.Sprint("harness: panic: ", p)}
			}
			done <- r.result
		}()
		r.ctx, r.cancel = context.WithCancel(context.Background())
		defer r.cancel()
		r.caller = connect(c)
		defer r.caller.close()
		cs.Do(r)
		r.result.Digest = hex.EncodeToString(r.sum.Sum(nil))
	}()
	select {
	case out = <-done:
	case <-time.After(40 * time.Second):
		out.End = Ended{Kind: "error", Message: "harness: no end within 40 s"}
	}
	out.Ms = time.Since(start).Milliseconds()
	out.End.Message = tidy(out.End.Message)
	return out
}

func connect(c Client) caller {
	if c.Lib == "grpc-go" {
		return connectGrpc(c)
	}
	return connectKitex(c)
}

// got counts a message that was received.
func (r *run) got(m *Msg) {
	if r.result.Messages == 0 {
		r.result.First = clip(tidyTell(m.Text))
	}
	r.result.Messages++
	r.digest(m)
}

func (r *run) digest(m *Msg) {
	text := m.Text
	if strings.HasPrefix(text, `{"meta":`) {
		text = tidyTell(text)
	}
	fmt.Fprintf(r.sum, "%s|", text)
	r.sum.Write(m.Blob)
	fmt.Fprintf(r.sum, "|%d\n", m.N)
}

func (r *run) finish(err error, headers, trailers map[string][]string) {
	r.result.Headers, r.result.Trailers = own(headers), own(trailers)
	for k, v := range own(r.early) {
		r.result.Headers[k] = v
	}
	r.result.End = r.ended(err, trailers)
}

// unary makes one unary call.
func (r *run) unary(ctx context.Context, o options, m *Msg) *Msg {
	reply, headers, trailers, err := r.ask(ctx, o, m)
	if err == nil && reply != nil {
		r.got(reply)
	}
	r.finish(err, headers, trailers)
	return reply
}

// drain reads to the end and books it.
func (r *run) drain(st stream) {
	for {
		m, err := st.recv()
		if err != nil {
			r.finish(err, st.header(), st.trailer())
			return
		}
		r.got(m)
	}
}

// fail books an error that ended a case early.
func (r *run) fail(what string, err error) {
	r.finish(err, nil, nil)
	r.result.End.Message = what + ": " + r.result.End.Message
}

// closeAndRecv is how a client-streaming call is ended by its caller.
func (r *run) closeAndRecv(st stream) {
	if err := st.closeSend(); err != nil {
		r.fail("close send", err)
		return
	}
	m, err := st.recv()
	if err == nil {
		r.got(m)
	}
	r.finish(err, st.header(), st.trailer())
}

// awaitHeader notes whether the headers come before any message is asked for.
func (r *run) awaitHeader(st stream, limit time.Duration) {
	came := make(chan map[string][]string, 1)
	go func() { came <- st.header() }()
	early := false
	select {
	case r.early = <-came: // Kitex's ttstream client hands them out once
		early = true
	case <-time.After(limit):
	}
	r.result.EarlyHeaders = &early
}

// otherKeys stands in headers and trailers for the names of the keys that are not the cases' own, so
// that one which a proxy adds or loses is seen.
const otherKeys = "x-other-keys"

// own keeps the keys of the cases, x-*, and the names of the others.
func own(md map[string][]string) map[string][]string {
	out := map[string][]string{}
	var others []string
	for k, v := range md {
		if strings.HasPrefix(strings.ToLower(k), "x-") {
			out[k] = v
		} else {
			others = append(others, k)
		}
	}
	if len(others) > 0 {
		sort.Strings(others)
		out[otherKeys] = others
	}
	return out
}

func clip(s string) string {
	if len(s) > 4096 {
		return s[:4096]
	}
	return s
}

// tidyTell takes the remaining time out of a Tell, and what names a port.
func tidyTell(text string) string {
	if !strings.HasPrefix(text, `{"meta":`) {
		return text
	}
	var t Tell
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return text
	}
	t.DeadlineMs = nil
	t.Authority = addresses.ReplaceAllString(t.Authority, "ADDR")
	out, err := json.Marshal(t)
	if err != nil {
		return text
	}
	return string(out)
}

var (
	addresses = regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`)
	durations = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s)\b`)
)

// tidy takes what differs from run to run out of a text.
func tidy(text string) string {
	return durations.ReplaceAllString(addresses.ReplaceAllString(text, "ADDR"), "T")
}

// parallel runs n calls at once, each as a run of its own on the same client, and books one result:
// the sum of their messages, the digest of their sorted digests, and the first end that is not ok.
func (r *run) parallel(n int, f func(i int, r *run)) {
	parts := make([]*run, n)
	var wg sync.WaitGroup
	for i := range parts {
		parts[i] = &run{Client: r.Client, caller: r.caller, ctx: r.ctx, cancel: func() {}, sum: sha256.New()}
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(i, parts[i])
		}()
	}
	wg.Wait()
	var sums []string
	ends := map[string]int{}
	for _, p := range parts {
		sums = append(sums, hex.EncodeToString(p.sum.Sum(nil)))
		r.result.Messages += p.result.Messages
		ends[p.result.End.Kind]++
		if r.result.End.Kind == "" || r.result.End.Kind == "ok" {
			r.result.End = p.result.End
		}
		for k, v := range p.result.Headers {
			r.result.Headers[k] = v
		}
		for k, v := range p.result.Trailers {
			r.result.Trailers[k] = v
		}
	}
	sort.Strings(sums)
	fmt.Fprint(r.sum, strings.Join(sums, "\n"))
	text, _ := json.Marshal(ends)
	r.result.First = string(text)
}

// over is true for the ends that a library tells by EOF.
func over(err error) bool { return err == nil || errors.Is(err, io.EOF) }
