package streams

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"interop/live"
)

func code(n int32) *int32 { return &n }

func sample() cell {
	early := true
	r := live.Result{
		Case: "chat_status", Headers: map[string][]string{"x-header": {"a", "b"}}, EarlyHeaders: &early, Messages: 2,
		Digest: "00", First: "first", Trailers: map[string][]string{"x-trailer": {"t"}},
		End: live.Ended{Kind: "status", Code: 9, Message: "no"}, Ms: 3,
	}
	seen := []live.Observation{{Case: "chat_status", Method: "Chat", Cancelled: true, Code: code(1), Text: "gone", Messages: 2}}
	return cell{name: r.Case, way: one(), want: r, got: r, wantSeen: seen, gotSeen: append([]live.Observation(nil), seen...)}
}

func TestEqualResultsPass(t *testing.T) {
	c := sample()
	c.got.Ms = 99
	if v := judge(c); len(v.diffs) > 0 || v.letters != "" {
		t.Errorf("%+v", v)
	}
}

// A judge that is blind for a field would let everything pass.
func TestEachDifferenceIsSeen(t *testing.T) {
	late := false
	for name, change := range map[string]func(*cell){
		"header":    func(c *cell) { c.got.Headers = map[string][]string{"x-header": {"a"}} },
		"more":      func(c *cell) { c.got.Headers = map[string][]string{"x-header": {"a", "b"}, "x-new": {"1"}} },
		"early":     func(c *cell) { c.got.EarlyHeaders = &late },
		"messages":  func(c *cell) { c.got.Messages = 1 },
		"digest":    func(c *cell) { c.got.Digest = "01" },
		"first":     func(c *cell) { c.got.First = "other" },
		"trailer":   func(c *cell) { c.got.Trailers = nil },
		"kind":      func(c *cell) { c.got.End.Kind = "ok" },
		"code":      func(c *cell) { c.got.End.Code = 13 },
		"message":   func(c *cell) { c.got.End.Message = "no!" },
		"extra":     func(c *cell) { c.got.End.Extra = map[string]string{"k": "v"} },
		"unseen":    func(c *cell) { c.gotSeen = nil },
		"seen":      func(c *cell) { c.gotSeen[0].Cancelled = false },
		"seen code": func(c *cell) { c.gotSeen[0].Code = code(2) },
		"seen text": func(c *cell) { c.gotSeen[0].Text = "other" },
		"no line":   func(c *cell) { c.got = live.Result{} },
		"skipped":   func(c *cell) { c.got.Skip = "why" },
	} {
		c := sample()
		change(&c)
		if v := judge(c); len(v.diffs) == 0 {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestTheNamesOfAllProxiesAreWantedInThePath(t *testing.T) {
	c := sample()
	c.way = two()
	c.wantSeen[0].Text = "[canceled path: a] why"
	c.gotSeen[0].Text = "[canceled path: a -> p1 -> p2] why"
	if v := judge(c); len(v.diffs) > 0 || v.letters != "p" {
		t.Errorf("%+v", v)
	}
	c.gotSeen[0].Text = "[canceled path: a -> p2] why"
	if v := judge(c); len(v.diffs) == 0 {
		t.Error("a path without the first proxy passes")
	}
}

func TestAnErrorThatCrossesKeepsItsCodeAndText(t *testing.T) {
	c := sample()
	c.way = crossing(grpcToTtstream, hopToTtstream)
	c.wantSeen, c.gotSeen = nil, nil
	c.want.End = live.Ended{Kind: "status", Code: 9, Message: "no [biz error]"}
	c.got.End = live.Ended{Kind: "status", Code: 9, Message: "no"}
	if v := judge(c); len(v.diffs) > 0 || v.letters != "e" {
		t.Errorf("%+v", v)
	}
	c.got.End = live.Ended{Kind: "status", Code: 13, Message: "biz error: rpc error: code = 8 desc = no"}
	if v := judge(c); len(v.diffs) == 0 {
		t.Error("another code passes")
	}
	c.got.End = live.Ended{Kind: "status", Code: 9, Message: "nothing"}
	if v := judge(c); len(v.diffs) == 0 {
		t.Error("another text passes")
	}
	c.got.End = live.Ended{Kind: "ok"}
	if v := judge(c); len(v.diffs) == 0 {
		t.Error("an error that became a success passes")
	}
}

func TestWhoseClockEndedACallIsChance(t *testing.T) {
	c := sample()
	c.want.Messages, c.got.Messages = 0, 0
	c.want.End = live.Ended{Kind: "status", Code: 1, Message: "Timeout expired"}
	c.want.Trailers = map[string][]string{otherKeys: {"content-type", "date"}}
	c.got.End = live.Ended{Kind: "status", Code: 4, Message: "context deadline exceeded"}
	c.got.Trailers = nil
	if v := judge(c); len(v.diffs) > 0 || v.letters != "t" {
		t.Errorf("%+v", v)
	}
	c.got.End = live.Ended{Kind: "status", Code: 13, Message: "Timeout expired"}
	if v := judge(c); len(v.diffs) == 0 {
		t.Error("another code passes")
	}
}

// The relay in front of h2spec must leave everything but calls as it is.
func TestTheContentTypeIsAddedBehindTheBlock(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "x-long", Value: strings.Repeat("a", 50)}} {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	var in, out bytes.Buffer
	in.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&in, nil)
	_ = fr.WriteSettings()
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, PadLength: 3})
	_ = fr.WriteData(1, true, []byte("data"))
	in.WriteString("tail")
	_ = addContentType(&out, &in)
	got := out.Bytes()[len(http2.ClientPreface):]
	rd := http2.NewFramer(nil, bytes.NewReader(got))
	rd.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := rd.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	f, err := rd.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range f.(*http2.MetaHeadersFrame).Fields {
		names = append(names, h.Name+"="+h.Value)
	}
	want := ":method=POST :path=/ x-long=" + strings.Repeat("a", 50) + " content-type=application/grpc"
	if strings.Join(names, " ") != want {
		t.Errorf("%v", names)
	}
	if !bytes.HasSuffix(got, []byte("tail")) {
		t.Error("what is no frame is not passed on")
	}
}
