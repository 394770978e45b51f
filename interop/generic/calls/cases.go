package calls

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/kitex/client/callopt"
	"github.com/cloudwego/kitex/client/callopt/streamcall"

	"interop/kitex_gen/livep"
)

// Client makes calls and tells in words what came back: Kitex's, or our tool.
type Client interface {
	// Call is one call.
	Call(method string, in Input) string
	// Upload sends messages and takes the one answer.
	Upload(method string, ins []Input) string
	// Download sends one message and takes all answers.
	Download(method string, in Input) string
	// Chat sends messages and takes all answers.
	Chat(method string, ins []Input) string
}

// Case is a call, or a few, whose outcome is told in words.
type Case struct {
	Name string
	// Rows are the acceptance rows that the case stands for.
	Rows string
	// Kinds of clients that it is for; of streams, only over transports that have them.
	Kinds   []Kind
	Streams bool
	Do      func(Client) string
	// Sense is what a direct outcome must contain, so that the same nothing seen twice does not pass.
	Sense string
}

// is says whether the case is for such a client.
func (cs Case) is(kind Kind, by Transport) bool {
	if cs.Streams && !by.Streams {
		return false
	}
	if cs.Name == "oneway" && by.Name == "grpc" {
		return false // Kitex's client resets the stream before the server has read the message
	}
	for _, k := range cs.Kinds {
		if k == kind {
			return true
		}
	}
	return false
}

var (
	binaries = []Kind{BinaryV1, BinaryV2}
	jsons    = []Kind{JSON, JSONFast}
	texts    = []Kind{Map, JSON, JSONFast}
	thrifts  = []Kind{BinaryV1, BinaryV2, Map, JSON, JSONFast}
	streamed = []Kind{BinaryV2, Map, JSON, JSONFast}
	pbs      = []Kind{BinaryPb, JSONPb}
	https    = []Kind{HTTP, HTTPFast, HTTPFastRaw}
)

func call(method string, in Input) func(Client) string {
	return func(c Client) string { return c.Call(method, in) }
}

func notes(texts ...string) []Input {
	out := make([]Input, len(texts))
	for i, t := range texts {
		out[i] = note(t, int64(i+1))
	}
	return out
}

func msg(text string, n int32) Input {
	return Input{Msg: &livep.Msg{Text: text, Blob: []byte{0, 0xff}, N: n}}
}

func msgs(texts ...string) []Input {
	out := make([]Input, len(texts))
	for i, t := range texts {
		out[i] = msg(t, int32(i+1))
	}
	return out
}

// Cases are played against servers that know the services.
var Cases = concat(pingpong, streams, protobufs, webs)

func concat(all ...[]Case) []Case {
	var out []Case
	for _, cs := range all {
		out = append(out, cs...)
	}
	return out
}

var pingpong = []Case{
	{Name: "echo", Rows: "MR-16 JR-38 B-07", Kinds: thrifts, Do: call("Echo", full()), Sense: "-9223372036854775808"},
	{Name: "echo {}", Kinds: jsons, Do: call("Echo", Input{JSON: `{}`}), Sense: `"preset":5`},
	{Name: "echo of nulls", Kinds: jsons, Do: call("Echo", Input{JSON: `{"text":null,"items":null,"item":null,"number":1,"grid":[],"renamed":"r"}`}), Sense: `"number":1`},
	{Name: "echo of strings as numbers", Kinds: jsons, Do: call("Echo", Input{JSON: `{"number":"12","tiny":300,"real":"1.5","item":{"name":"n","price":"123"}}`}), Sense: `"price":"123"`},
	{Name: "string", Rows: "MR-08 JR-01", Kinds: thrifts, Do: call("Ping", text("hello")), Sense: "hello"},
	{Name: "string that is JSON", Kinds: jsons, Do: call("Ping", text(`{"a":1}`)), Sense: `"a":1`},
	{Name: "string of many kinds", Kinds: texts, Do: call("Ping", text("你好 \x01\n<&>")), Sense: "你好"},
	{Name: "binary", Kinds: thrifts, Do: call("Bytes", Input{Blob: []byte{0, 1, 0xfe, 0xff}})},
	{Name: "list", Kinds: thrifts, Do: call("Numbers", Input{Numbers: []int64{1, -1, 1 << 62}}), Sense: "4611686018427387904"},
	{Name: "inherited", Rows: "JR-34", Kinds: []Kind{BinaryV1, BinaryV2, Map, JSON}, Do: call("Inherited", text("hello")), Sense: "inherited hello"},
	{Name: "void", Rows: "MR-12 JR-09", Kinds: thrifts, Do: func(c Client) string {
		// Kitex with dynamicgo reads a void result to the end of time.
		if k, ok := c.(*Caller); ok {
			return k.CallWith("Nothing", text("hello"), callopt.WithRPCTimeout(400*time.Millisecond))
		}
		return c.Call("Nothing", text("hello"))
	}},
	{Name: "oneway", Rows: "MR-10 JR-35", Kinds: texts, Do: oneway, Sense: "10 told"},
	{Name: "handler error", Rows: "MR-09 JR-36 B-02", Kinds: thrifts, Do: call("Echo", note("abort", 1)), Sense: "error of the handler"},
	{Name: "handler error, string", Kinds: thrifts, Do: call("Ping", text("abort")), Sense: "error of the handler"},
	{Name: "handler error, void", Kinds: thrifts, Do: call("Nothing", text("abort")), Sense: "error of the handler"},
	{Name: "business error", Rows: "MR-17 JR-39 B-02", Kinds: thrifts, Do: call("Echo", note("biz", 1))},
	{Name: "business error, void", Kinds: thrifts, Do: call("Nothing", text("biz"))},
	{Name: "declared exception", Rows: "MR-18 JR-13 JR-14", Kinds: thrifts, Do: call("Echo", note("refuse", 1)), Sense: "refused"},
	{Name: "second declared exception", Rows: "JR-16", Kinds: thrifts, Do: call("Echo", note("busy", 1))},
	{Name: "empty result", Rows: "JR-17", Kinds: thrifts, Do: call("Echo", note("empty", 1))},
	{Name: "unknown method", Rows: "JR-37", Kinds: thrifts, Do: call("Nope", note("hello", 1)), Sense: "rror"},
	{Name: "combined services", Rows: "JR-40", Kinds: []Kind{JSONCombined}, Do: func(c Client) string {
		return c.Call("Whoami", text("me")) + "\n" + c.Call("Ping", text("hello"))
	}, Sense: "second me"},
	{Name: "named service", Kinds: []Kind{JSONSecond}, Do: func(c Client) string {
		return c.Call("Whoami", text("me")) + "\n" + c.Call("Other", full())
	}, Sense: "second me"},
	{Name: "service of one call", Rows: "B-09", Kinds: []Kind{BinaryV2}, Do: func(c Client) string {
		return c.(*Caller).CallWith("Whoami", text("me"), callopt.WithBinaryGenericIDLService("Second")) + "\n" + c.Call("Ping", text("hello"))
	}},
	{Name: "service that is not there", Kinds: []Kind{BinaryV2}, Do: func(c Client) string {
		return c.(*Caller).CallWith("Nope", text("me"), callopt.WithBinaryGenericIDLService("Ghost"))
	}, Sense: "unknown service"},
	{Name: "1 MiB", Kinds: thrifts, Do: func(c Client) string {
		got := c.Call("Ping", text(strings.Repeat("ABCDEF0123456789", 1<<16)))
		return fmt.Sprintf("%d bytes %.40s", len(got), got)
	}, Sense: "1048"},
	{Name: "100 at once", Kinds: texts, Do: func(c Client) string { return many(c, 100) }, Sense: "100 of 100"},
}

func many(c Client, n int) string {
	var right atomic.Int32
	var wrong atomic.Value
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			want := fmt.Sprintf("call %d", i)
			if got := c.Call("Ping", text(want)); strings.Contains(got, want) {
				right.Add(1)
			} else {
				wrong.Store(got)
			}
		})
	}
	all.Wait()
	if w := wrong.Load(); w != nil {
		return fmt.Sprintf("%d of %d, and %v", right.Load(), n, w)
	}
	return fmt.Sprintf("%d of %d", right.Load(), n)
}

var turn atomic.Int64

// oneway calls ten times, and asks what arrived.
func oneway(c Client) string {
	prefix := fmt.Sprintf("go %d:", turn.Add(1))
	var out []string
	for i := range 10 {
		out = append(out, c.Call("Tell", text(fmt.Sprintf("%s%d", prefix, i))))
	}
	told := ""
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		told = c.Call("Told", text(prefix))
		if strings.Count(told, prefix) == 10 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprintf("%s, %d told", strings.Join(out, " "), strings.Count(told, prefix))
}

var streams = []Case{
	{Name: "unary", Rows: "S-04", Kinds: []Kind{Map, JSON, JSONFast}, Streams: true, Do: call("Unary", note("hello", 1)), Sense: "hello"},
	{Name: "unary, business error", Kinds: []Kind{Map, JSON, JSONFast}, Streams: true, Do: call("Unary", note("biz", 1)), Sense: `biz 404`},
	{Name: "unary, handler error", Kinds: []Kind{Map, JSON, JSONFast}, Streams: true, Do: call("Unary", note("abort", 1)), Sense: "error of the handler"},
	{Name: "upload 3", Rows: "S-01 S-06 S-07 B-08", Kinds: streamed, Streams: true, Do: upload("a", "b", "c"), Sense: "a,b,c"},
	{Name: "upload nothing", Kinds: streamed, Streams: true, Do: upload()},
	{Name: "upload, business error", Rows: "S-05", Kinds: streamed, Streams: true, Do: upload("biz", "b"), Sense: "biz 404"},
	{Name: "upload, handler error", Kinds: streamed, Streams: true, Do: upload("abort"), Sense: "error of the handler"},
	{Name: "download 3", Rows: "S-02 S-06 S-07 B-08", Kinds: streamed, Streams: true, Do: download("d", 3), Sense: "d 2"},
	{Name: "download nothing", Kinds: streamed, Streams: true, Do: download("d", 0), Sense: "the end"},
	{Name: "download 2, business error", Kinds: streamed, Streams: true, Do: download("biz", 2), Sense: "biz 404"},
	{Name: "download 2, handler error", Kinds: streamed, Streams: true, Do: download("abort", 2), Sense: "error of the handler"},
	{Name: "download 200", Kinds: []Kind{JSON, BinaryV2}, Streams: true, Do: download("d", 200), Sense: "d 199"},
	{Name: "chat 3", Rows: "S-03 S-06 S-07 B-08", Kinds: streamed, Streams: true, Do: chat("x", "y", "z"), Sense: "the end"},
	{Name: "chat, full", Kinds: streamed, Streams: true, Do: func(c Client) string { return c.Chat("Chat", []Input{full(), full()}) }, Sense: "the end"},
	{Name: "chat nothing", Kinds: streamed, Streams: true, Do: chat(), Sense: "the end"},
	{Name: "chat, business error", Kinds: streamed, Streams: true, Do: chat("x", "biz"), Sense: "biz 404"},
	{Name: "chat, handler error", Kinds: streamed, Streams: true, Do: chat("x", "abort"), Sense: "error of the handler"},
	{Name: "stream of a service that is not there", Rows: "B-09", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.(*Caller).ChatWith("Chat", notes("x"), streamcall.WithBinaryGenericIDLService("Ghost"))
	}},
	{Name: "stream of a method that is not there", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.Chat("Nope", notes("x"))
	}},
}

func upload(texts ...string) func(Client) string {
	return func(c Client) string { return c.Upload("Upload", notes(texts...)) }
}

func download(text string, n int64) func(Client) string {
	return func(c Client) string { return c.Download("Download", note(text, n)) }
}

func chat(texts ...string) func(Client) string {
	return func(c Client) string { return c.Chat("Chat", notes(texts...)) }
}

var protobufs = []Case{
	{Name: "pb ask", Rows: "B-10 P-01", Kinds: pbs, Do: call("Ask", msg("hello 你好", 5)), Sense: "5"},
	{Name: "pb ask, business error", Rows: "P-06", Kinds: pbs, Do: call("Ask", msg("biz", 5))},
	{Name: "pb ask, handler error", Kinds: pbs, Do: call("Ask", msg("abort", 5)), Sense: "error of the handler"},
	{Name: "pb ask {}", Rows: "P-03", Kinds: []Kind{JSONPb}, Do: call("Ask", Input{JSON: "{}"})},
	{Name: "pb upload 3", Rows: "B-10 P-15", Kinds: pbs, Streams: true, Do: func(c Client) string { return c.Upload("Upload", msgs("a", "b", "c")) }},
	{Name: "pb upload, business error", Rows: "P-15", Kinds: pbs, Streams: true, Do: func(c Client) string { return c.Upload("Upload", msgs("biz")) }, Sense: "biz 404"},
	{Name: "pb download 3", Rows: "B-10 P-15", Kinds: pbs, Streams: true, Do: func(c Client) string { return c.Download("Download", msg("d", 3)) }, Sense: "the end"},
	{Name: "pb chat 3", Rows: "B-10 P-15", Kinds: pbs, Streams: true, Do: func(c Client) string { return c.Chat("Chat", msgs("x", "y", "z")) }, Sense: "the end"},
	{Name: "pb chat, handler error", Kinds: pbs, Streams: true, Do: func(c Client) string { return c.Chat("Chat", msgs("x", "abort")) }, Sense: "error of the handler"},
}

// Unknown are played against servers that answer unknown services and methods with the same bytes.
var Unknown = []Case{
	{Name: "unknown method", Rows: "S-09", Kinds: []Kind{BinaryV2}, Do: call("Nope", full()), Sense: "-9223372036854775808"},
	{Name: "unknown service", Rows: "S-09", Kinds: []Kind{BinaryV2}, Do: func(c Client) string {
		return c.(*Caller).CallWith("Nope", full(), callopt.WithBinaryGenericIDLService("Ghost"))
	}, Sense: "-9223372036854775808"},
	{Name: "known method", Rows: "S-11", Kinds: thrifts, Do: call("Ping", text("hello")), Sense: "hello"},
	{Name: "known stream", Rows: "S-11", Kinds: streamed, Streams: true, Do: upload("a", "b"), Sense: "a,b"},
	{Name: "unknown service, upload", Rows: "S-10", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.(*Caller).UploadWith("Nope", notes("a"), streamcall.WithBinaryGenericIDLService("Ghost"))
	}, Sense: "a"},
	{Name: "unknown service, download", Rows: "S-10", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.(*Caller).DownloadWith("Nope", note("a", 1), streamcall.WithBinaryGenericIDLService("Ghost"))
	}, Sense: "the end"},
	{Name: "unknown service, chat", Rows: "S-10", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.(*Caller).ChatWith("Nope", notes("a", "b", "c"), streamcall.WithBinaryGenericIDLService("Ghost"))
	}, Sense: "the end"},
	{Name: "unknown method, chat", Rows: "S-10", Kinds: []Kind{BinaryV2}, Streams: true, Do: func(c Client) string {
		return c.Chat("Nope", notes("a", "b"))
	}, Sense: "the end"},
}

func web(method, target, body string, headers ...string) Input {
	return Input{HTTP: &Request{Method: method, Target: target, Body: body, Headers: headers}}
}

// webs are HTTP requests that are made Thrift of.
var webs = []Case{
	{Name: "http get", Kinds: https, Do: call("", web("GET", "/items/7?q=a+b%26c&ids=1,2,3&flag=true", "", "X-Token: t", "Cookie: session=s")), Sense: `id=7 q=[a b&c] session=[s]`},
	{Name: "http get, little", Kinds: https, Do: call("", web("GET", "/items/7", "")), Sense: `id=7`},
	{Name: "http post", Kinds: https, Do: call("", web("POST", "/items/8?ids=4", `{"item":{"name":"n","price":"12","tags":["x"]},"plain":"p"}`, "Content-Type: application/json")), Sense: `plain=[p]`},
	{Name: "http delete", Kinds: https, Do: call("", web("DELETE", "/items/9", "")), Sense: "remove id=9"},
	{Name: "http put", Kinds: https, Do: call("", web("PUT", "/items/9/any/thing", `{"plain":"p"}`)), Sense: "replace id=9"},
	{Name: "http status", Kinds: https, Do: call("", web("GET", "/items/201", "")), Sense: "201"},
	{Name: "http exception", Kinds: https, Do: call("", web("GET", "/items/400", ""))},
	{Name: "http business error", Kinds: https, Do: call("", web("GET", "/items/404", ""))},
	{Name: "http handler error", Kinds: https, Do: call("", web("GET", "/items/500", "")), Sense: "error of the handler"},
	{Name: "http bad number", Kinds: https, Do: call("", web("GET", "/items/seven", ""))},
	{Name: "http bad list", Kinds: https, Do: call("", web("GET", "/items/7?ids=1,x", ""))},
	{Name: "http bad body", Kinds: https, Do: call("", web("POST", "/items/7", "{")), Sense: "rror"},
	{Name: "http no route", Rows: "H-03", Kinds: https, Do: call("", web("GET", "/nowhere", "")), Sense: "non-existent method"},
	{Name: "http no method", Kinds: https, Do: call("", web("PATCH", "/items/7", "")), Sense: "non-existent method"},
	{Name: "http echo", Kinds: https, Do: call("", web("POST", "/echo", `{"text":"hello","number":5,"items":[{"name":"a","tags":[]}],"counts":{"one":1},"kind":7}`)), Sense: "hello"},
}
