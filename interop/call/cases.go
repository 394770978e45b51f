package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"

	"interop/kitex_gen/echo"
	"interop/kitex_gen/pbecho"
)

// Cases is the list that each client of the matrix goes through.
var Cases = []Case{
	{Name: "every type", Thrift: everyType, Pb: everyPbType},
	{Name: "void", Thrift: func(r *Run) {
		e := r.Echo()
		r.Note("nothing", nil, e.Nothing(r.Ctx))
		r.Note("nothingWith", nil, e.NothingWith(r.Ctx, "argument"))
	}, Pb: func(r *Run) {
		v, err := r.Pb().Empty(r.Ctx, &pbecho.Nothing{})
		r.Note("empty", v, err)
	}},
	{Name: "oneway", Seen: 4, Thrift: func(r *Run) {
		e := r.Echo()
		for i := 0; i < 3; i++ {
			r.Note(fmt.Sprint("ping ", i), nil, e.Ping(r.Ctx, fmt.Sprint("token ", i)))
		}
		v, err := e.Echo(r.Ctx, "after oneway")
		r.Note("after", v, err)
	}},
	{Name: "declared exception", Thrift: func(r *Run) {
		e := r.Echo()
		for _, which := range []int32{0, 1, 7} {
			v, err := e.Declared(r.Ctx, which)
			r.Note(fmt.Sprint("declared ", which), v, err)
		}
		r.Note("void", nil, e.DeclaredVoid(r.Ctx, 1))
	}},
	{Name: "business error", Thrift: func(r *Run) {
		e := r.Echo()
		v, err := e.Business(r.Ctx, 1001, "not found", map[string]string{"k": "<v>"})
		r.Note("extra", v, err)
		v, err = e.Business(r.Ctx, 1002, "не найдено", map[string]string{"ключ": "значение"})
		r.Note("unicode", v, err)
		v, err = e.Business(r.Ctx, -5, "negative", nil)
		r.Note("negative", v, err)
		v, err = e.Business(r.Ctx, 0, "code 0 is no error", nil)
		r.Note("zero", v, err)
		v, err = e.Echo(r.Ctx, "after")
		r.Note("after", v, err)
	}, Pb: func(r *Run) {
		e := r.Pb()
		v, err := e.Business(r.Ctx, &pbecho.BusinessRequest{Code: 1001, Text: "not found", Extra: map[string]string{"k": "<v>"}})
		r.Note("extra", v, err)
		v, err = e.Business(r.Ctx, &pbecho.BusinessRequest{Code: -5, Text: "negative"})
		r.Note("negative", v, err)
		v, err = e.Echo(r.Ctx, &pbecho.Text{Msg: "after"})
		r.Note("after", v, err)
	}},
	{Name: "business error, server without handler", Server: "bare", Thrift: func(r *Run) {
		v, err := r.Echo().Business(r.Ctx, 1001, "not found", nil)
		r.Note("lost by the server itself", v, err)
	}, Pb: func(r *Run) {
		v, err := r.Pb().Business(r.Ctx, &pbecho.BusinessRequest{Code: 1001, Text: "not found"})
		r.Note("lost by the server itself", v, err)
	}},
	{Name: "metainfo, server without handler", Server: "bare", Want: travelled, Thrift: func(r *Run) {
		v, err := r.Echo().Metainfo(WithMeta(r.Ctx), backward)
		r.Note("seen by the handler", v, err)
	}},
	{Name: "unknown method, server without handler", Server: "bare", Thrift: ghost("EchoService", "nope"), Pb: ghost("PbEchoService", "Nope")},
	{Name: "server that wants a service name", Server: "strict", Thrift: func(r *Run) {
		v, err := r.Echo().Echo(r.Ctx, "strict")
		r.Note("echo", v, err)
	}},
	{Name: "unknown method", Thrift: ghost("EchoService", "nope"), Pb: ghost("PbEchoService", "Nope")},
	{Name: "unknown service", Thrift: ghost("GhostService", "nope"), Pb: ghost("GhostService", "Nope")},
	{Name: "wrong service, method of one", Thrift: ghost("GhostService", "echoString"), Pb: ghost("GhostService", "Echo")},
	{Name: "wrong service, method of two", Thrift: ghost("GhostService", "whoami")},
	{Name: "second service", Thrift: func(r *Run) {
		s := r.Second()
		v, err := s.Whoami(r.Ctx)
		r.Note("whoami", v, err)
		v, err = s.Second(r.Ctx, "msg")
		r.Note("second", v, err)
	}},
	{Name: "handler error", Thrift: func(r *Run) {
		e := r.Echo()
		v, err := e.Fail(r.Ctx, "boom", 0)
		r.Note("plain", v, err)
		v, err = e.Fail(r.Ctx, "with a code", 7777)
		r.Note("code", v, err)
		v, err = e.Fail(r.Ctx, "", 0)
		r.Note("no text", v, err)
		v, err = e.Echo(r.Ctx, "after")
		r.Note("after", v, err)
	}, Pb: func(r *Run) {
		e := r.Pb()
		v, err := e.Fail(r.Ctx, &pbecho.FailRequest{Text: "boom"})
		r.Note("plain", v, err)
		v, err = e.Fail(r.Ctx, &pbecho.FailRequest{Text: "with a code", Code: 7777})
		r.Note("code", v, err)
		v, err = e.Echo(r.Ctx, &pbecho.Text{Msg: "after"})
		r.Note("after", v, err)
	}},
	{Name: "panic", Thrift: func(r *Run) {
		e := r.Echo()
		v, err := e.Panics(r.Ctx, "oh no")
		r.Note("panic", v, err)
		v, err = e.Echo(r.Ctx, "after")
		r.Note("after", v, err)
	}, Pb: func(r *Run) {
		e := r.Pb()
		v, err := e.Panics(r.Ctx, &pbecho.Text{Msg: "oh no"})
		r.Note("panic", v, err)
		v, err = e.Echo(r.Ctx, &pbecho.Text{Msg: "after"})
		r.Note("after", v, err)
	}},
	{Name: "timeout", Setup: Setup{Timeout: 200 * time.Millisecond}, Late: true, Seen: 2, Thrift: func(r *Run) {
		e := r.Echo()
		v, err := e.Slow(r.Ctx, 1500, "too late")
		r.Note("slow", v, err)
		v, err = e.Echo(r.Ctx, "after")
		r.Note("after", v, err)
	}, Pb: func(r *Run) {
		e := r.Pb()
		v, err := e.Slow(r.Ctx, &pbecho.SlowRequest{Millis: 1500, Msg: "too late"})
		r.Note("slow", v, err)
		v, err = e.Echo(r.Ctx, &pbecho.Text{Msg: "after"})
		r.Note("after", v, err)
	}},
	{Name: "timeout kept", Setup: Setup{Timeout: 3 * time.Second}, Want: func(k Kind, o Observation) error {
		return whenHeader(k, k == Bare || o.Seen[0].TimeoutMs == 3000, "no deadline was seen")
	}, Thrift: func(r *Run) {
		v, err := r.Echo().Slow(r.Ctx, 30, "in time")
		r.Note("slow", v, err)
	}, Pb: func(r *Run) {
		v, err := r.Pb().Slow(r.Ctx, &pbecho.SlowRequest{Millis: 30, Msg: "in time"})
		r.Note("slow", v, err)
	}},
	{Name: "metainfo", Want: travelled, Thrift: func(r *Run) {
		v, err := r.Echo().Metainfo(WithMeta(r.Ctx), backward)
		r.Note("seen by the handler", v, err)
	}, Pb: func(r *Run) {
		v, err := r.Pb().Metainfo(WithMeta(r.Ctx), &pbecho.Pairs{Pairs: backward})
		r.Note("seen by the handler", v, err)
	}},
	{Name: "metainfo, large", Thrift: func(r *Run) {
		ctx := metainfo.WithPersistentValue(r.Ctx, "LONG", strings.Repeat("p", 60_000))
		back := map[string]string{"long": strings.Repeat("b", 60_000)}
		for i := 0; i < 300; i++ {
			ctx = metainfo.WithValue(ctx, fmt.Sprint("KEY", i), fmt.Sprint("value ", i))
			back[fmt.Sprint("back", i)] = "of many"
		}
		v, err := r.Echo().Metainfo(ctx, back)
		r.Note("seen by the handler", v, err)
	}},
	{Name: "ACL token", Want: func(k Kind, o Observation) error {
		return whenHeader(k, o.Seen[0].Transient["gdpr-token"] == "tok", "no token was seen")
	}, Thrift: func(r *Run) {
		v, err := r.Echo().Metainfo(metainfo.WithValue(r.Ctx, "gdpr-token", "tok"), nil)
		r.Note("seen by the handler", v, err)
	}, Pb: func(r *Run) {
		v, err := r.Pb().Metainfo(metainfo.WithValue(r.Ctx, "gdpr-token", "tok"), &pbecho.Pairs{})
		r.Note("seen by the handler", v, err)
	}},
	{
		Name: "custom keys", HeaderOnly: true,
		Want: func(k Kind, o Observation) error {
			s := o.Seen[0]
			return whenHeader(k, s.Strings["x-custom"] == "value" && s.Ints[60000] == "unknown", "no custom keys were seen")
		},
		Setup: Setup{
			Strings: map[string]string{
				"x-custom": "value", "tc": "cluster", "empty": "", "K_ProcessAtTime": "1",
				"rpc-transit-lower": "no metainfo", "RPC_TRANSIT_UPSTREAM_old": "one hop ago", "crrst": "1",
			},
			Ints: map[uint16]string{0: "v", 2: "log-id", 4: "cluster", 10: "env", 14: "hash", 16: "3", 21: "stress", 26: "", 60000: "unknown"},
		},
		Thrift: func(r *Run) {
			v, err := r.Echo().Metainfo(r.Ctx, nil)
			r.Note("seen by the handler", v, err)
			v2, err := r.Echo().Echo(r.Ctx, "second")
			r.Note("second", v2, err)
		},
		Pb: func(r *Run) {
			v, err := r.Pb().Echo(r.Ctx, &pbecho.Text{Msg: "hi"})
			r.Note("echo", v, err)
		},
	},
	{
		Name: "header flags", HeaderOnly: true, Setup: Setup{Flags: 0x8018},
		Want: func(k Kind, o Observation) error {
			return whenHeader(k, k == Mux || o.Seen[0].Flags&0x8018 == 0x8018, "no flags were seen") // a mux client writes its own
		},
		Thrift: func(r *Run) {
			v, err := r.Echo().Echo(r.Ctx, "flags")
			r.Note("echo", v, err)
		},
		Pb: func(r *Run) {
			v, err := r.Pb().Echo(r.Ctx, &pbecho.Text{Msg: "flags"})
			r.Note("echo", v, err)
		},
	},
	{Name: "crc32c both", Server: "crc32c", Setup: Setup{Crc32c: true}, Want: func(k Kind, o Observation) error {
		return whenHeader(k, len(o.Seen[0].Strings["crc32c"]) == 8 && len(o.Reply.Strings["crc32c"]) == 8, "no checksum was seen")
	}, Thrift: summed, Pb: summedPb},
	{Name: "crc32c client only", Setup: Setup{Crc32c: true}, Thrift: summed, Pb: summedPb},
	{Name: "crc32c server only", Server: "crc32c", Thrift: summed, Pb: summedPb},
	{Name: "64 at once", Seen: 320, Thrift: manyAtOnce, Pb: manyAtOncePb},
	{Name: "64 at once, short", Seen: 320, Setup: Setup{Short: true}, Thrift: manyAtOnce, Pb: manyAtOncePb},
	{Name: "long pool", Thrift: oneByOne, Pb: oneByOnePb},
	{Name: "short pool", Setup: Setup{Short: true}, Thrift: oneByOne, Pb: oneByOnePb},
	{Name: "large payloads", Thrift: func(r *Run) {
		e := r.Echo()
		for _, size := range []int{100 << 10, 1 << 20, 8 << 20} {
			pad := bytes.Repeat([]byte{0xA5, 1, 2}, size/3)
			v, err := e.Big(r.Ctx, pad, 16)
			r.Note(fmt.Sprint("up ", size), v, err)
			v, err = e.Big(r.Ctx, []byte("pad"), int32(size))
			r.Note(fmt.Sprint("down ", size), checksum(v), err)
			v, err = e.Big(r.Ctx, pad, int32(size))
			r.Note(fmt.Sprint("both ", size), checksum(v), err)
		}
	}, Pb: func(r *Run) {
		e := r.Pb()
		for _, size := range []int{100 << 10, 1 << 20, 8 << 20} {
			v, err := e.Big(r.Ctx, &pbecho.BigRequest{Pad: bytes.Repeat([]byte{0xA5, 1, 2}, size/3), Size: int32(size)})
			r.Note(fmt.Sprint("both ", size), checksum(v.GetPad()), err)
		}
	}},
}

var backward = map[string]string{"bk": "bv", "RPC_BACKWARD_prefixed": "as it is", "empty": "", "unicode": "обратно"}

// WithMeta adds metainfo of both kinds.
func WithMeta(ctx context.Context) context.Context {
	ctx = metainfo.WithPersistentValue(ctx, "P1", "persistent value")
	ctx = metainfo.WithPersistentValue(ctx, "p-lower", "ünïcode ✓")
	ctx = metainfo.WithValue(ctx, "T1", "transient value")
	return metainfo.WithValue(ctx, "RetryReq", "1")
}

// travelled is what a metainfo case must see directly.
func travelled(k Kind, o Observation) error {
	s := o.Seen[0]
	ok := s.Persistent["P1"] == "persistent value" && s.Transient["T1"] == "transient value" && o.Backward["bk"] == "bv"
	return whenHeader(k, ok, "no metainfo was seen")
}

// whenHeader asks for something that only a TTHeader can carry.
func whenHeader(k Kind, ok bool, complaint string) error {
	if k.Header() && !ok {
		return errors.New(complaint)
	}
	return nil
}

func ghost(service, method string) func(*Run) {
	return func(r *Run) {
		v, err := r.Ghost(service, method)(r.Ctx, "from a ghost")
		r.Note(method, v, err)
	}
}

func everyType(r *Run) {
	e := r.Echo()
	for _, v := range []bool{true, false} {
		got, err := e.EchoBool(r.Ctx, v)
		r.Note(fmt.Sprint("bool ", v), got, err)
	}
	for _, v := range []int8{0, 127, -128} {
		got, err := e.EchoByte(r.Ctx, v)
		r.Note(fmt.Sprint("i8 ", v), got, err)
	}
	for _, v := range []int16{0, math.MaxInt16, math.MinInt16} {
		got, err := e.EchoI16(r.Ctx, v)
		r.Note(fmt.Sprint("i16 ", v), got, err)
	}
	for _, v := range []int32{0, math.MaxInt32, math.MinInt32, 0x10000000} {
		got, err := e.EchoI32(r.Ctx, v)
		r.Note(fmt.Sprint("i32 ", v), got, err)
	}
	for _, v := range []int64{0, math.MaxInt64, math.MinInt64} {
		got, err := e.EchoI64(r.Ctx, v)
		r.Note(fmt.Sprint("i64 ", v), got, err)
	}
	for _, v := range []float64{0, -1.5, math.Inf(1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64} {
		got, err := e.EchoDouble(r.Ctx, v)
		r.Note(fmt.Sprint("double ", v), got, err)
	}
	for i, v := range []string{"", "hi", "ünïcode ✓ 漢字", "\x00zero\x00", strings.Repeat("long", 5000)} {
		got, err := e.EchoString(r.Ctx, v)
		r.Note(fmt.Sprint("string ", i), got, err)
	}
	blob := make([]byte, 256)
	for i := range blob {
		blob[i] = byte(i)
	}
	for i, v := range [][]byte{{}, blob} {
		got, err := e.EchoBinary(r.Ctx, v)
		r.Note(fmt.Sprint("binary ", i), got, err)
	}
	colour, err := e.EchoEnum(r.Ctx, echo.Colour_BLUE)
	r.Note("enum", colour, err)
	colour, err = e.EchoEnum(r.Ctx, echo.Colour(99))
	r.Note("enum, unknown value", colour, err)
	for i, v := range [][]string{{}, {"a", "", "c"}} {
		got, err := e.EchoList(r.Ctx, v)
		r.Note(fmt.Sprint("list ", i), got, err)
	}
	set, err := e.EchoSet(r.Ctx, []int64{1, -2, math.MaxInt64})
	slices.Sort(set) // a peer may have its own order
	r.Note("set", set, err)
	m, err := e.EchoMap(r.Ctx, map[string]*echo.Inner{"one": {Name: "1", Number: 1}, "": {}})
	r.Note("map", m, err)
	number, text := int64(7), "seven"
	choice, err := e.EchoUnion(r.Ctx, &echo.Choice{Number: &number})
	r.Note("union, number", choice, err)
	choice, err = e.EchoUnion(r.Ctx, &echo.Choice{Text: &text})
	r.Note("union, text", choice, err)
	all, err := e.EchoEverything(r.Ctx, everything())
	slices.Sort(all.GetNumbers())
	r.Note("everything", all, err)
	all, err = e.EchoEverything(r.Ctx, &echo.Everything{Inner: &echo.Inner{}})
	r.Note("everything, zero", all, err)
	many, err := e.EchoMany(r.Ctx, "a", 2, []int64{3, 4}, &echo.Inner{Name: "five", Number: 5})
	r.Note("many arguments", many, err)
}

func everything() *echo.Everything {
	text := "chosen"
	return &echo.Everything{
		Flag: true, Tiny: -1, Small: 2, Medium: -3, Large: 4, Real: 5.5,
		Text: "six", Blob: []byte{7, 0, 255}, Colour: echo.Colour_GREEN,
		Inner:   &echo.Inner{Name: "inner", Number: 10},
		Words:   []string{"x", "y"},
		Numbers: []int64{12, 13},
		Named:   map[string]*echo.Inner{"k": {Name: "named", Number: 12}},
		Nested:  []map[int32][]*echo.Inner{{1: {{Name: "deep", Number: 1}}, 2: {}}, {}},
		Choice:  &echo.Choice{Text: &text},
		Flags:   []bool{true, false, true},
		Reals:   map[int64]float64{18: 1.25},
	}
}

func everyPbType(r *Run) {
	e := r.Pb()
	for i, msg := range []string{"", "hi", "ünïcode ✓", strings.Repeat("long", 5000)} {
		v, err := e.Echo(r.Ctx, &pbecho.Text{Msg: msg})
		r.Note(fmt.Sprint("string ", i), v, err)
	}
	v, err := e.EchoEverything(r.Ctx, &pbecho.Everything{
		Flag: true, Medium: -3, Large: math.MinInt64, Real: 5.5, Half: 0.25, Fixed: math.MaxUint64,
		Text: "six", Blob: []byte{7, 0, 255}, Inner: &pbecho.Inner{Name: "inner", Number: 10},
		Words: []string{"x", "", "y"}, Named: map[string]*pbecho.Inner{"k": {Name: "named", Number: 12}},
	})
	r.Note("everything", v, err)
	v, err = e.EchoEverything(r.Ctx, &pbecho.Everything{})
	r.Note("everything, zero", v, err)
}

func summed(r *Run) {
	e := r.Echo()
	for i, msg := range []string{"", "hi", strings.Repeat("long", 50_000)} {
		v, err := e.Echo(r.Ctx, msg)
		r.Note(fmt.Sprint("echo ", i), v, err)
	}
}

func summedPb(r *Run) {
	e := r.Pb()
	for i, msg := range []string{"hi", strings.Repeat("long", 50_000)} {
		v, err := e.Echo(r.Ctx, &pbecho.Text{Msg: msg})
		r.Note(fmt.Sprint("echo ", i), v, err)
	}
}

func manyAtOnce(r *Run) {
	e := r.Echo()
	atOnce(r, func(millis int32, msg string) (string, error) { return e.Slow(r.Ctx, millis, msg) })
}

func manyAtOncePb(r *Run) {
	e := r.Pb()
	atOnce(r, func(millis int32, msg string) (string, error) {
		v, err := e.Slow(r.Ctx, &pbecho.SlowRequest{Millis: millis, Msg: msg})
		return v.GetMsg(), err
	})
}

// atOnce has 64 callers make 5 calls each, of lengths and durations of their own; each must get its
// own answer.
func atOnce(r *Run, call func(millis int32, msg string) (string, error)) {
	var right atomic.Int32
	parallel(64, func(i int) {
		for j := 0; j < 5; j++ {
			msg := fmt.Sprintf("caller %d call %d %s", i, j, strings.Repeat("x", i*j*7))
			got, err := call(int32(1+(i*7+j)%10), msg)
			if err == nil && got == msg {
				right.Add(1)
			} else {
				r.Note(fmt.Sprintf("caller %d call %d", i, j), got, err)
			}
		}
	})
	r.Note("right answers", right.Load(), nil)
}

func oneByOne(r *Run) {
	e := r.Echo()
	for i := 0; i < 20; i++ {
		v, err := e.Echo(r.Ctx, strings.Repeat("x", i*i))
		r.Note(fmt.Sprint("call ", i), v, err)
	}
}

func oneByOnePb(r *Run) {
	e := r.Pb()
	for i := 0; i < 20; i++ {
		v, err := e.Echo(r.Ctx, &pbecho.Text{Msg: strings.Repeat("x", i*i)})
		r.Note(fmt.Sprint("call ", i), v, err)
	}
}

func checksum(b []byte) string {
	return fmt.Sprintf("%d bytes, crc %08x", len(b), crc32.ChecksumIEEE(b))
}
