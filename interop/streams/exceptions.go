package streams

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"interop/live"
)

// cell is one case on one way, under judgement.
type cell struct {
	pair Pair
	way  Way
	name string
	// want is what the client got without a proxy, got what it got through it.
	want, got live.Result
	// wantSeen and gotSeen are what the server told of the call.
	wantSeen, gotSeen []live.Observation
	// twin is what a client of the backend's protocol gets from it directly; for crossings only.
	twin     live.Result
	twinSeen []live.Observation
}

func (c *cell) unary() bool { return strings.HasPrefix(c.name, "unary") }

// Exception is a difference that the specification asks for or allows. It changes what is wanted, or
// takes from what was got what it allows, and says whether it did.
type Exception struct {
	Letter, Rule, What, Why string
	apply                   func(*cell) bool
}

// Exceptions is the table, in the order in which it is applied. Whatever is not in it fails a cell.
var Exceptions = []Exception{
	{
		Letter: "t", Rule: "B9, C5", What: "whose clock ended a call, and so the words of a passed deadline",
		Why:   "client, proxy and server run the same deadline; which is first is chance, without a proxy too",
		apply: (*cell).clocks,
	},
	{
		Letter: "l", Rule: "A15", What: "whoever uses short connections closes right after its rst",
		Why:   "the server hears of the loss of the connection (12013) or of the cancellation first, without a proxy too",
		apply: (*cell).shortConnection,
	},
	{
		Letter: "p", Rule: "A12, D4", What: "the proxies' names follow the canceller's in the path that the server sees",
		Why:   "each node that hands a cancellation on adds its own name",
		apply: (*cell).path,
	},
	{
		Letter: "e", Rule: "D3, D6", What: "an error that crosses is written as the caller's protocol can write it",
		Why:   "status, exception and business error are different things; code and text travel inside the form of the other side, details only where there is room",
		apply: (*cell).errors,
	},
	{
		Letter: "s", Rule: "A14", What: "an unknown service or method of a stock ttstream server",
		Why:   "it says nothing at all, so the caller's deadline passes; a gRPC backend does say it",
		apply: (*cell).silence,
	},
	{
		Letter: "w", Rule: "D1, D5", What: "package, authority and metadata that are not metainfo, in what the server saw",
		Why:   "ttstream carries neither, and a stock handler over it is shown metainfo only; of several values of a key it carries one, joined by a comma",
		apply: (*cell).seen,
	},
	{
		Letter: "o", Rule: "B6, D2", What: "an answer that was trailers-only, and so had its content type there, has headers as well",
		Why:   "a ttstream server sends a header frame before its trailer, and the bridge must pass it on before it knows what follows",
		apply: (*cell).trailersOnly,
	},
	{
		Letter: "h", Rule: "D6", What: "headers and trailers of a unary call that crosses to ping-pong",
		Why:   "a ping-pong handler has none to send, and a reply has one map for both",
		apply: (*cell).unaryHeaders,
	},
	{
		Letter: "d", Rule: "D1, D6", What: "a deadline that crosses to ping-pong or ttstream is not the handler's own",
		Why:   "ttstream carries none, and a ping-pong server does not put key 12 into the handler's context; the proxy's timer runs instead",
		apply: (*cell).deadline,
	},
	{
		Letter: "c", Rule: "D4", What: "a cancellation that crosses has the code and the words of the other protocol",
		Why:   "RST_STREAM has no text, an rst has; ping-pong has no cancellation at all",
		apply: (*cell).cancellation,
	},
}

// isDeadline is true for the ends that a passed deadline has.
func isDeadline(e live.Ended) bool {
	switch e.Kind {
	case "status":
		// (tonic's own clock says CANCELLED.)
		return e.Code == 4 || e.Code == 1 && e.Message == "Timeout expired"
	case "error":
		// (The last is the proxy's answer to a ping-pong caller.)
		return e.Code == 12015 || e.Message == "timeout" || e.Code == 6 && strings.Contains(e.Message, "timeout: no reply within T")
	}
	return false
}

func (c *cell) clocks() bool {
	if !isDeadline(c.want.End) || !isDeadline(c.got.End) {
		return false
	}
	changed := !reflect.DeepEqual(c.want.End, c.got.End)
	c.want.End = c.got.End
	// An end that was not made by the client itself has a content type, and tonic's a date.
	for _, m := range []map[string][]string{c.want.Headers, c.want.Trailers, c.got.Headers, c.got.Trailers} {
		if m[otherKeys] != nil && c.want.Messages == 0 && c.got.Messages == 0 {
			delete(m, otherKeys)
			changed = true
		}
	}
	return changed
}

// otherKeys are the names of the keys that are not the cases' own; see package live.
const otherKeys = "x-other-keys"

// contentType takes the content type off all headers and trailers, where it is not in the same ones.
func (c *cell) contentType() bool {
	where := func(r live.Result) [2]bool {
		return [2]bool{slices.Contains(r.Headers[otherKeys], "content-type"), slices.Contains(r.Trailers[otherKeys], "content-type")}
	}
	if where(c.want) == where(c.got) {
		return false
	}
	for _, m := range []map[string][]string{c.want.Headers, c.want.Trailers, c.got.Headers, c.got.Trailers} {
		rest := slices.DeleteFunc(slices.Clone(m[otherKeys]), func(k string) bool { return k == "content-type" })
		if m[otherKeys] = rest; len(rest) == 0 {
			delete(m, otherKeys)
		}
	}
	return true
}

// trailersOnly is for crossings that pass through ttstream or ping-pong.
func (c *cell) trailersOnly() bool { return c.way.cross != none && c.contentType() }

// short is true where a ttstream connection, the client's or the proxy's, carries one stream only.
func (c *cell) short() bool {
	return c.pair.Client == "kitex-ttstream-short" || c.way.Name == "pool short"
}

// shortConnection comes before path: where the cancellation was overtaken there is none to compare.
func (c *cell) shortConnection() bool {
	if !c.short() || len(c.wantSeen) != len(c.gotSeen) {
		return false
	}
	changed := false
	for i := range c.wantSeen {
		want, got := &c.wantSeen[i], &c.gotSeen[i]
		if want.Code == nil || got.Code == nil || *want.Code == *got.Code {
			continue
		}
		if *want.Code == 12013 || *got.Code == 12013 {
			want.Code, want.Text = got.Code, got.Text
			changed = true
		}
	}
	return changed
}

var cancelPath = regexp.MustCompile(`\[canceled path: ([^\]]*)\]`)

func (c *cell) path() bool {
	if c.way.cross != none && c.way.cross != ttstreamAndBack {
		return false
	}
	changed := false
	for i := range c.wantSeen {
		if i < len(c.gotSeen) && c.wantSeen[i].Text == c.gotSeen[i].Text && c.short() {
			continue // the other rule has taken it over
		}
		if m := cancelPath.FindStringSubmatch(c.wantSeen[i].Text); m != nil {
			if c.way.cross == ttstreamAndBack {
				continue
			}
			path := m[1]
			for _, h := range c.way.hops {
				path += " -> " + h.name
			}
			c.wantSeen[i].Text = strings.Replace(c.wantSeen[i].Text, m[0], "[canceled path: "+path+"]", 1)
			changed = true
		}
	}
	return changed
}

var (
	decoration = regexp.MustCompile(`^(\[ttstream error, code=\d+\] |\[(client|server)-side stream\] |\[canceled path: [^\]]*\] |remote or network error\[remote\]: |remote or network error: |biz error: )`)
	statusText = regexp.MustCompile(`(?s)^rpc error: code = (\d+) desc = (.*)$`)
)

// unwrap takes the forms of the protocols off an error: the status in it, if any, and its text.
func unwrap(e live.Ended) (code int64, text string) {
	code, text = -1, e.Message
	if e.Kind == "status" {
		code = e.Code
	}
	for {
		if m := decoration.FindString(text); m != "" {
			text = text[len(m):]
			continue
		}
		if m := statusText.FindStringSubmatch(text); m != nil {
			if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				code, text = n, m[2]
				continue
			}
		}
		if cut, ok := strings.CutSuffix(text, " [biz error]"); ok {
			text = cut
			continue
		}
		return code, text
	}
}

// ttstreamForm is how a Kitex client over ttstream tells of an exception with a gRPC status in it.
func ttstreamForm(status live.Ended) live.Ended {
	return live.Ended{Kind: "error", Code: 12001, Message: fmt.Sprintf("[ttstream error, code=12001] [client-side stream] rpc error: code = %d desc = %s", status.Code, status.Message)}
}

func failed(e live.Ended) bool { return e.Kind == "error" || e.Kind == "status" }

func (c *cell) errors() bool {
	if c.way.cross == none || !failed(c.want.End) || !failed(c.got.End) || isDeadline(c.want.End) || reflect.DeepEqual(c.want.End, c.got.End) {
		return false
	}
	if strings.Contains(c.name, "cancel") {
		return false
	}
	if c.way.cross == ttstreamToGrpc && c.twin.End.Kind == "status" && !c.unary() {
		c.want.End = ttstreamForm(c.twin.End)
		return true
	}
	if c.way.cross == ttstreamToGrpc && c.twin.End.Kind == "status" && c.got.End.Code == 6 {
		c.want.End = live.Ended{Kind: "error", Code: 6, Message: fmt.Sprintf("remote or network error[remote]: rpc error: code = %d desc = %s", c.twin.End.Code, c.twin.End.Message)}
		return true
	}
	if c.way.cross == ttstreamToGrpc && strings.Contains(c.name, "unary_unknown") {
		// The codes of Kitex are the types of its exceptions (B7).
		c.want.End = live.Ended{Kind: "error", Code: c.twin.End.Code, Message: "remote or network error[remote]: " + c.twin.End.Message}
		return true
	}
	_, wantText := unwrap(c.want.End)
	gotCode, gotText := unwrap(c.got.End)
	wantCode, _ := unwrap(c.want.End)
	if c.twin.End.Kind != "" {
		if code, _ := unwrap(c.twin.End); code >= 0 {
			wantCode = code
		}
	}
	if wantText != gotText || gotCode >= 0 && wantCode >= 0 && gotCode != wantCode {
		return false
	}
	c.want.End = c.got.End
	return true
}

func (c *cell) silence() bool {
	if !strings.Contains(c.name, "_unknown_") || c.way.cross == none || reflect.DeepEqual(c.want.End, c.got.End) {
		return false
	}
	switch c.way.cross {
	case ttstreamToGrpc:
		if !c.unary() && c.twin.End.Kind == "status" && c.got.End.Kind == "error" {
			c.want.End = ttstreamForm(c.twin.End)
			return true
		}
	default:
		if isDeadline(c.got.End) {
			c.want.End = c.got.End
			return true
		}
	}
	return false
}

func (c *cell) seen() bool {
	if c.way.cross == none || !strings.HasPrefix(c.want.First, `{"meta":`) || c.want.First == c.got.First {
		return false
	}
	var want, got live.Tell
	if json.Unmarshal([]byte(c.want.First), &want) != nil || json.Unmarshal([]byte(c.got.First), &got) != nil {
		return false
	}
	if !reflect.DeepEqual(want.Persist, got.Persist) || !reflect.DeepEqual(want.Transient, got.Transient) {
		return false
	}
	if shortName(want.Path) != shortName(got.Path) {
		return false
	}
	for k, v := range got.Meta {
		// Several values become one where there is room for one only (D5).
		if !slices.Equal(v, want.Meta[k]) && !slices.Equal(v, []string{strings.Join(want.Meta[k], ",")}) {
			return false
		}
	}
	if len(got.Meta) > 0 && len(got.Meta) != len(want.Meta) {
		return false
	}
	c.want.First, c.want.Digest = c.got.First, c.got.Digest
	return true
}

func shortName(path string) string {
	service, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if i := strings.LastIndexByte(service, '.'); i >= 0 {
		service = service[i+1:]
	}
	return service + "/" + method
}

// toPingpong is true where a unary call ends as a ping-pong call.
func (c *cell) toPingpong() bool {
	return c.unary() && (c.way.cross == grpcToTtstream || c.way.cross == grpcAndBack)
}

func (c *cell) unaryHeaders() bool {
	if !c.toPingpong() {
		return false
	}
	changed := false
	for k, v := range c.want.Trailers {
		if k != otherKeys && slices.Equal(c.got.Headers[k], v) {
			c.want.Headers[k] = v // the metadata of a ping-pong reply is one map
			delete(c.want.Trailers, k)
			changed = true
		}
	}
	for _, m := range []map[string][]string{c.want.Headers, c.want.Trailers} {
		for k := range m {
			if len(c.got.Headers[k])+len(c.got.Trailers[k]) == 0 && c.way.cross == grpcToTtstream {
				delete(m, k)
				changed = true
			}
		}
	}
	return changed
}

func (c *cell) deadline() bool {
	if c.name != "unary_deadline_passed_on" || c.way.cross == none {
		return false
	}
	if c.want.First == c.got.First {
		return false
	}
	// Towards gRPC it becomes the handler's own, and the other way round.
	c.want.First, c.want.Digest = c.got.First, c.got.Digest
	return c.twin.First == c.got.First
}

var triggered = regexp.MustCompile(`\[triggered by [^\]]*\]`)

func (c *cell) cancellation() bool {
	if c.way.cross == none || len(c.wantSeen) == 0 {
		return false
	}
	if c.toPingpong() {
		// The handler of a ping-pong call goes on.
		c.wantSeen, c.gotSeen = nil, nil
		return true
	}
	switch c.way.cross {
	case ttstreamToGrpc:
		for i := range c.gotSeen {
			c.gotSeen[i].Text = triggered.ReplaceAllString(c.gotSeen[i].Text, "[triggered by NAME]")
		}
		c.wantSeen = append([]live.Observation(nil), c.twinSeen...)
		for i := range c.wantSeen {
			c.wantSeen[i].Text = triggered.ReplaceAllString(c.wantSeen[i].Text, "[triggered by NAME]")
		}
		return true
	case grpcToTtstream, ttstreamAndBack:
		// 12011, with the name of the last proxy behind the words for a path that is not known.
		last := c.way.hops[len(c.way.hops)-1].name
		code := int32(12011)
		for i := range c.wantSeen {
			c.wantSeen[i].Code = &code
			c.wantSeen[i].Text = "[canceled path: non-ttstream path -> " + last + "]"
		}
		for i := range c.gotSeen {
			c.gotSeen[i].Text = cancelPath.FindString(c.gotSeen[i].Text)
		}
		return true
	case grpcAndBack:
		for i := range c.gotSeen {
			c.gotSeen[i].Text = triggered.ReplaceAllString(c.gotSeen[i].Text, "[triggered by NAME]")
		}
		for i := range c.wantSeen {
			c.wantSeen[i].Text = triggered.ReplaceAllString(c.wantSeen[i].Text, "[triggered by NAME]")
		}
		return true
	}
	return false
}
