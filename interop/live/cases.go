package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Case is something that a caller does.
type Case struct {
	Name string
	// Skip says why a client does not run it.
	Skip func(Client) string
	Do   func(*run)
}

// Find is the case of this name.
func Find(name string) (Case, bool) {
	for _, c := range Cases {
		if c.Name == name {
			return c, true
		}
	}
	return Case{}, false
}

func onlyKitex(c Client) string {
	if c.Lib != "kitex" {
		return "a matter of Kitex"
	}
	return ""
}

func onlyGrpc(c Client) string {
	if c.Transport != "grpc" {
		return "ttstream and ping-pong have no such thing"
	}
	return ""
}

func wholeUnary(c Client) string {
	if c.pingpong() {
		return "a ping-pong call cannot be cancelled on the wire"
	}
	return ""
}

// ask is a unary case: one call, whose text is the script.
func ask(s Script, o options) func(*run) {
	return func(r *run) {
		s.Case = r.result.Case
		r.unary(r.ctx, o, &Msg{Text: s.Text(), Blob: []byte("request"), N: 7})
	}
}

// chat sends one message with the script, half-closes after it when told so, and reads to the end.
func chat(s Script, o options, halfClose bool) func(*run) {
	return func(r *run) {
		s.Case = r.result.Case
		st, err := r.open(r.ctx, o, "Chat", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		if err := st.send(&Msg{Text: s.Text(), Blob: []byte("request"), N: 7}); err != nil {
			r.fail("send", err)
			return
		}
		if halfClose {
			if err := st.closeSend(); err != nil {
				r.fail("close send", err)
				return
			}
		}
		r.drain(st)
	}
}

// download is a server stream whose script is the request.
func download(s Script, o options) func(*run) {
	return func(r *run) {
		s.Case = r.result.Case
		st, err := r.open(r.ctx, o, "Download", &Msg{Text: s.Text()})
		if err != nil {
			r.fail("open", err)
			return
		}
		r.drain(st)
	}
}

// upload sends n messages, the first with the script, and asks for the answer.
func upload(s Script, n, size int, pause time.Duration) func(*run) {
	return func(r *run) {
		s.Case = r.result.Case
		st, err := r.open(r.ctx, options{}, "Upload", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		for i := 0; i < n; i++ {
			text := fmt.Sprint("message ", i)
			if i == 0 {
				text = s.Text()
			}
			if err := st.send(&Msg{Text: text, Blob: Blob(size), N: int32(i)}); err != nil {
				r.fail("send", err)
				return
			}
		}
		time.Sleep(pause)
		r.closeAndRecv(st)
	}
}

// pingPong echoes n messages one by one, half-closes and reads the end.
func pingPong(r *run, st stream, n int, message func(i int) *Msg) {
	for i := 0; i < n; i++ {
		m := message(i)
		if err := st.send(m); err != nil {
			r.fail("send", err)
			return
		}
		got, err := st.recv()
		if err != nil {
			r.finish(err, st.header(), st.trailer())
			return
		}
		if got.N != m.N || !bytes.Equal(got.Blob, m.Blob) {
			r.fail("echo", errors.New("another message"))
			return
		}
		r.got(got)
	}
	if err := st.closeSend(); err != nil {
		r.fail("close send", err)
		return
	}
	r.drain(st)
}

func echoed(n int, message func(i int) *Msg, o options) func(*run) {
	return func(r *run) {
		st, err := r.open(r.ctx, o, "Chat", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		pingPong(r, st, n, message)
	}
}

func numbered(size int) func(int) *Msg {
	return func(i int) *Msg { return &Msg{Text: fmt.Sprint("message ", i), Blob: Blob(size), N: int32(i)} }
}

// cancelled opens a stream, sends and receives as many messages as told, and cancels while it waits
// for the next one.
func cancelled(method string, s Script, send, receive int, halfClose bool) func(*run) {
	return func(r *run) {
		s.Case, s.Observe = r.result.Case, true
		o := options{}
		if send == 0 {
			o.persist = map[string]string{"OBSERVE": s.Case}
			if r.Lib == "grpc-go" {
				o = options{meta: [][2]string{{"x-observe", s.Case}}}
			}
		}
		st, err := r.open(r.ctx, o, method, &Msg{Text: s.Text()})
		if err != nil {
			r.fail("open", err)
			return
		}
		for i := 0; i < send && method != "Download"; i++ {
			text := fmt.Sprint("message ", i)
			if i == 0 {
				text = s.Text()
			}
			if err := st.send(&Msg{Text: text, N: int32(i)}); err != nil {
				r.fail("send", err)
				return
			}
		}
		if halfClose && method != "Download" {
			if err := st.closeSend(); err != nil {
				r.fail("close send", err)
				return
			}
		}
		for i := 0; i < receive; i++ {
			m, err := st.recv()
			if err != nil {
				r.finish(err, nil, nil)
				return
			}
			r.got(m)
		}
		time.AfterFunc(150*time.Millisecond, r.cancel)
		m, err := st.recv()
		if err == nil {
			r.got(m)
		}
		r.finish(err, nil, nil)
	}
}

var (
	none     = options{}
	aHeader  = map[string]string{"x-header": "Arbitrary header text", "x-more": "two"}
	binary   = map[string]string{"x-header": "text", "x-some-bin": "\x01\x02 bytes \u00fc"}
	aTrailer = map[string]string{"x-trailer": "Arbitrary trailer text"}
	strange  = "100 % \u00fcmlaut \u4e16\u754c, a tab\t and a new\nline"
	rejected = End{Kind: "status", Code: 9, Message: "Userspace error. " + strange}
	detailed = End{Kind: "status", Code: 5, Message: "with details", Details: true}
	business = End{Kind: "biz", Code: 502, Message: "not found, " + strange, Extra: map[string]string{"k": "<v> & \"more\"", "\u00fc": "\u4e16"}}
	plain    = End{Kind: "error", Message: "message not match " + strange}
	panicked = End{Kind: "panic", Message: "mock panic"}
	hang     = End{Kind: "hang"}
	tagged   = options{meta: [][2]string{{"x-one", "1"}, {"x-many", "first"}, {"x-many", "second"}, {"x-some-bin", "\x00\x01\xfe"}}}
	infos    = options{
		persist:   map[string]string{"PERSISTENT_KEY": "persistent value", "P2": "100 %"},
		transient: map[string]string{"TRANSIENT_KEY": "transient value"},
	}
)

// later ends a while after the last message: a stock Kitex client may drop a message that it has
// when the trailer with a business error is there too.
func later(e End) End {
	e.WaitMs = 50
	return e
}

func count(n int) *int { return &n }

func deadline(d time.Duration, do func(*run)) func(*run) {
	return func(r *run) {
		ctx, cancel := context.WithTimeout(r.ctx, d)
		defer cancel()
		r.ctx = ctx
		do(r)
	}
}

// Cases is the list of the contract, and what the Go clients add to it.
var Cases = []Case{
	{Name: "unary", Do: func(r *run) { r.unary(r.ctx, none, &Msg{Text: "hello", Blob: Blob(100), N: 7}) }},
	{Name: "unary_x50", Do: func(r *run) {
		r.parallel(50, func(i int, r *run) { r.unary(r.ctx, none, &Msg{Text: fmt.Sprint(i), Blob: Blob(i), N: int32(i)}) })
	}},
	{Name: "unary_headers_trailers", Skip: onlyGrpc, Do: ask(Script{Headers: binary, Trailers: aTrailer}, none)},
	{Name: "unary_empty", Do: func(r *run) { r.unary(r.ctx, none, &Msg{}) }},
	{Name: "unary_status", Do: ask(Script{End: rejected}, none)},
	{Name: "unary_status_details", Do: ask(Script{End: detailed, Trailers: aTrailer}, none)},
	{Name: "unary_biz", Do: ask(Script{End: business}, none)},
	{Name: "unary_error", Do: ask(Script{End: plain}, none)},
	{Name: "unary_panic", Skip: onlyKitex, Do: ask(Script{End: panicked}, none)},
	{Name: "unary_metadata", Skip: onlyGrpc, Do: ask(Script{Tell: true}, tagged)},
	{Name: "unary_metainfo", Do: ask(Script{Tell: true}, infos)},
	{Name: "unary_deadline", Do: ask(Script{End: hang}, options{timeout: 300 * time.Millisecond})},
	{Name: "unary_deadline_passed_on", Do: passedOn},
	{Name: "unary_cancel", Skip: wholeUnary, Do: func(r *run) {
		time.AfterFunc(200*time.Millisecond, r.cancel)
		s := Script{Case: r.result.Case, Observe: true, End: hang}
		r.unary(r.ctx, none, &Msg{Text: s.Text()})
	}},
	{Name: "unary_1mib", Do: func(r *run) { r.unary(r.ctx, none, &Msg{Text: "hello", Blob: Blob(1 << 20)}) }},
	{Name: "unary_64mib", Do: func(r *run) { r.unary(r.ctx, none, &Msg{Text: "hello", Blob: Blob(64 << 20)}) }},
	{Name: "unary_gzip", Skip: onlyGrpc, Do: func(r *run) { r.unary(r.ctx, options{gzip: true}, &Msg{Text: "hello", Blob: Blob(50000)}) }},
	{Name: "unary_unknown_service", Do: func(r *run) {
		r.unary(r.ctx, options{service: "GhostService", method: "Nope", timeout: 2 * time.Second}, &Msg{Text: "boo"})
	}},
	{Name: "unary_unknown_method", Do: func(r *run) {
		r.unary(r.ctx, options{service: known(r.Client), method: "Nope", timeout: 2 * time.Second}, &Msg{Text: "boo"})
	}},
	{Name: "trailers_only", Skip: onlyGrpc, Do: download(Script{Replies: count(0), End: rejected, Trailers: aTrailer}, none)},

	{Name: "upload_3", Do: upload(Script{Size: 100}, 3, 10, 0)},
	{Name: "upload_0", Do: upload(Script{}, 0, 0, 0)},
	{Name: "upload_early", Do: upload(Script{Early: 1}, 1, 10, 100*time.Millisecond)},
	{Name: "upload_early_open", Do: func(r *run) {
		st, err := r.open(r.ctx, none, "Upload", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		if err := st.send(&Msg{Text: Script{Early: 1}.Text(), N: 3}); err != nil {
			r.fail("send", err)
			return
		}
		m, err := st.recv()
		if err == nil {
			r.got(m)
		}
		r.finish(err, st.header(), st.trailer())
	}},
	{Name: "upload_biz", Do: upload(Script{End: business, Trailers: aTrailer}, 2, 10, 0)},
	{Name: "upload_status", Do: upload(Script{End: detailed, Trailers: aTrailer}, 2, 10, 0)},
	{Name: "upload_1000", Do: upload(Script{}, 1000, 261, 0)},
	{Name: "upload_cancel", Do: cancelled("Upload", Script{}, 2, 0, false)},
	{Name: "upload_cancel_after_half_close", Do: cancelled("Upload", Script{End: hang}, 2, 0, true)},

	{Name: "download_3", Do: download(Script{Size: 20}, none)},
	{Name: "download_0", Do: download(Script{Replies: count(0)}, none)},
	{Name: "download_1000", Do: download(Script{Replies: count(1000), Size: 261}, none)},
	{Name: "download_headers_first", Do: func(r *run) {
		s := Script{Headers: aHeader, Flush: true, PauseMs: 600, Replies: count(2), Trailers: aTrailer}
		st, err := r.open(r.ctx, none, "Download", &Msg{Text: s.Text()})
		if err != nil {
			r.fail("open", err)
			return
		}
		r.awaitHeader(st, 400*time.Millisecond)
		r.drain(st)
	}},
	{Name: "download_trailers", Do: download(Script{Headers: aHeader, Trailers: map[string]string{"x-trailer": "Arbitrary trailer text", "x-some-bin": "\x01\x02"}}, none)},
	{Name: "download_status_after_2", Do: download(Script{Replies: count(2), End: later(rejected), Trailers: aTrailer, Headers: aHeader}, none)},
	{Name: "download_error_after_2", Do: download(Script{Replies: count(2), End: later(plain), Trailers: aTrailer}, none)},
	{Name: "download_biz_after_2", Do: download(Script{Replies: count(2), End: later(business), Trailers: aTrailer}, none)},
	{Name: "download_cancel", Do: cancelled("Download", Script{Replies: count(1), End: hang}, 1, 1, true)},
	{Name: "download_cancel_before_message", Do: cancelled("Download", Script{Replies: count(0), End: hang}, 1, 0, true)},
	{Name: "download_1mib_x8", Do: download(Script{Replies: count(8), Size: 1 << 20}, none)},
	{Name: "download_long_after_half_close", Do: download(Script{Replies: count(10), PauseMs: 30}, none)},

	{Name: "chat_echo_20", Do: echoed(20, numbered(50), none)},
	{Name: "chat_x50", Do: func(r *run) {
		r.parallel(50, func(_ int, r *run) { echoed(20, numbered(30), none)(r) })
	}},
	{Name: "chat_half_close", Do: func(r *run) {
		st, err := r.open(r.ctx, none, "Chat", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		for i := 0; i < 5; i++ {
			text := fmt.Sprint("message ", i)
			if i == 0 {
				text = Script{Replies: count(5), PauseMs: 20, Size: 30}.Text()
			}
			if err := st.send(&Msg{Text: text, N: int32(i)}); err != nil {
				r.fail("send", err)
				return
			}
		}
		if err := st.closeSend(); err != nil {
			r.fail("close send", err)
			return
		}
		r.drain(st)
	}},
	{Name: "chat_0", Do: func(r *run) {
		st, err := r.open(r.ctx, none, "Chat", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		if err := st.closeSend(); err != nil {
			r.fail("close send", err)
			return
		}
		r.drain(st)
	}},
	{Name: "chat_server_ends_first", Do: func(r *run) {
		st, err := r.open(r.ctx, none, "Chat", nil)
		if err != nil {
			r.fail("open", err)
			return
		}
		s := Script{Early: 2, Headers: aHeader, Trailers: aTrailer, End: later(End{})}
		for i := 0; i < 2; i++ {
			text := fmt.Sprint("message ", i)
			if i == 0 {
				text = s.Text()
			}
			if err := st.send(&Msg{Text: text, N: int32(i)}); err != nil {
				r.fail("send", err)
				return
			}
		}
		r.drain(st)
	}},
	{Name: "chat_client_cancel", Do: cancelled("Chat", Script{Early: 1, End: hang}, 1, 1, false)},
	{Name: "chat_cancel_reading", Do: cancelled("Chat", Script{}, 2, 2, false)},
	{Name: "chat_cancel_before_message", Do: cancelled("Chat", Script{}, 0, 0, false)},
	{Name: "chat_cancel_after_half_close", Do: cancelled("Chat", Script{End: hang}, 1, 1, true)},
	{Name: "chat_deadline", Do: deadline(time.Second, chat(Script{Early: 1, End: hang}, none, false))},
	{Name: "chat_status", Do: chat(Script{Early: 1, End: later(detailed), Headers: aHeader, Trailers: aTrailer}, none, false)},
	{Name: "chat_biz", Do: chat(Script{Early: 1, End: later(business), Trailers: aTrailer}, none, false)},
	{Name: "chat_biz_half_closed", Do: chat(Script{End: later(business)}, none, true)},
	{Name: "chat_error", Do: chat(Script{Early: 1, End: later(plain), Trailers: aTrailer}, none, false)},
	{Name: "chat_panic", Skip: onlyKitex, Do: chat(Script{Early: 1, End: later(panicked)}, none, false)},
	{Name: "chat_metadata", Skip: onlyGrpc, Do: chat(Script{Tell: true}, tagged, true)},
	{Name: "chat_metainfo", Do: chat(Script{Tell: true}, infos, true)},
	{Name: "chat_headers_trailers", Do: chat(Script{Headers: binary, Flush: true, Trailers: map[string]string{"x-trailer": "Arbitrary trailer text", "x-some-bin": "\x01\x02"}}, none, true)},
	{Name: "chat_empty_messages", Do: echoed(3, func(int) *Msg { return &Msg{} }, none)},
	{Name: "chat_1mib", Do: echoed(4, numbered(1<<20), none)},
	{Name: "chat_gzip", Skip: onlyGrpc, Do: echoed(3, numbered(50000), options{gzip: true})},
	{Name: "chat_concurrent_1000", Do: func(r *run) {
		n := 1000
		if r.Transport == "ttstream" && r.Pool != "mux" {
			n = 100 // each would be a connection, and Kitex gives up dialling after a second
		}
		r.parallel(n, func(_ int, r *run) { echoed(3, numbered(30), none)(r) })
	}},
	{Name: "chat_unknown_method", Do: deadline(2*time.Second, func(r *run) { ghost(r, options{service: known(r.Client), method: "Nope"}) })},
	{Name: "chat_unknown_service", Do: deadline(2*time.Second, func(r *run) { ghost(r, options{service: "GhostService", method: "Nope"}) })},
}

// known is a service that the server has.
func known(c Client) string {
	switch {
	case c.Lib == "grpc-go":
		return ServiceP
	case c.Codec == "protobuf":
		return "LiveP"
	}
	return "Live"
}

func ghost(r *run, o options) {
	st, err := r.open(r.ctx, o, "Chat", nil)
	if err != nil {
		r.fail("open", err)
		return
	}
	if err := st.send(&Msg{Text: "boo"}); err != nil {
		// The refusal may be there before the message has gone out: reading tells it.
		r.drain(st)
		return
	}
	r.drain(st)
}

func passedOn(r *run) {
	s := Script{Tell: true}
	reply, headers, trailers, err := r.ask(r.ctx, options{timeout: 5 * time.Second}, &Msg{Text: s.Text()})
	if err == nil {
		var t Tell
		seen := json.Unmarshal([]byte(reply.Text), &t) == nil && t.DeadlineMs != nil && *t.DeadlineMs > 0 && *t.DeadlineMs <= 5000
		r.got(&Msg{Text: fmt.Sprint(seen)})
	}
	r.finish(err, headers, trailers)
}
