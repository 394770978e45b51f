package matrix

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"interop/call"
)

// Exception is a difference between the direct and the proxied observation that the specification
// asks for or allows. Whatever is not in this table fails a cell.
type Exception struct {
	Letter string
	Rule   string
	What   string
	Why    string
	apply  func(*comparison) bool
}

// comparison is a cell under judgement: exceptions change what is wanted, or take from what was
// got what they allow, and say whether they did.
type comparison struct {
	Cell
	want, got call.Observation
	// direct is what another client gets without a proxy.
	direct func(call.Kind) call.Observation
}

// Exceptions is the table, in the order in which it is applied.
var Exceptions = []Exception{
	{
		Letter: "h", Rule: "8.6", What: "the caller's header is lost on a Framed or Buffered upstream",
		Why: "those transports carry no metadata: the result is that of a direct client on the upstream's transport (isn, metainfo, ACL token, deadline, checksum, business errors and backward values do not travel)",
		apply: func(c *comparison) bool {
			if !c.Lossy() {
				return false
			}
			c.want = c.direct(c.twin())
			return true
		},
	},
	{
		Letter: "b", Rule: "8.6, P13", What: "a business error reaches a Framed or Buffered caller as EXCEPTION 6",
		Why: "directly it would be an empty success, because the server has no header to put it in; over the TTHeader upstream the error exists, and must not be turned into a success",
		apply: func(c *comparison) bool {
			if c.Kind.Header() || !c.HeaderUp() {
				return false
			}
			changed := false
			for name, o := range c.direct(c.headerTwin()).Notes {
				// (A Volo client finds the empty result broken where Kitex's finds it a success.)
				if kind := c.want.Notes[name].Kind; o.Kind == "business" && (kind == "ok" || kind == "broken") {
					c.want.Notes[name] = call.Outcome{
						Kind: "remote", Code: 6,
						Text: fmt.Sprintf("remote or network error[remote]: biz error: code=%d, msg=%s", o.Code, o.Text),
					}
					changed = true
				}
			}
			return changed
		},
	},
	{
		Letter: "u", Rule: "8.5", What: "int keys of its own in the header that the proxy makes for a Framed or Buffered caller",
		Why: "keys 1, 6, 9, 12 and 22 may be added; they carry nothing that the caller sent",
		apply: func(c *comparison) bool {
			if c.Kind.Header() || !c.HeaderUp() {
				return false
			}
			changed := false
			for i := range c.got.Seen {
				for _, k := range []uint16{1, 6, 9, 12, 22} {
					changed = remove(c.got.Seen[i].Ints, k) || changed
				}
			}
			return changed
		},
	},
	{
		Letter: "s", Rule: "8.6", What: "key 22 in the header that the proxy makes for the reply",
		Why: "mimics a Kitex server with its TTHeader handler; the backend's Framed reply has no header",
		apply: func(c *comparison) bool {
			if !c.Lossy() {
				return false
			}
			if v := c.got.Reply.Ints[22]; v == "2" || v == "3" {
				return remove(c.got.Reply.Ints, 22)
			}
			return false
		},
	},
	{
		Letter: "r", Rule: "8.3", What: "`rip` is added to requests",
		Why: "the server is to know the true caller's address",
		apply: func(c *comparison) bool {
			changed := false
			for i := range c.got.Seen {
				s := c.got.Seen[i].Strings
				if i < len(c.want.Seen) && c.want.Seen[i].Strings["rip"] != "" {
					continue // one that the caller sent must arrive as it is
				}
				if host, port, err := net.SplitHostPort(s["rip"]); err == nil && host == "127.0.0.1" && port != "0" {
					changed = remove(s, "rip") || changed
				}
			}
			return changed
		},
	},
	{
		Letter: "d", Rule: "8.3", What: "the deadline in key 12 is lowered by the time that has passed",
		Why: "the backend is not to work longer than the caller waits",
		apply: func(c *comparison) bool {
			changed := false
			for i := range c.got.Seen {
				if i >= len(c.want.Seen) {
					break
				}
				want, got := c.want.Seen[i], &c.got.Seen[i]
				w, errW := strconv.Atoi(want.Ints[12])
				g, errG := strconv.Atoi(got.Ints[12])
				if errW != nil || errG != nil || g >= w || w-g > 150 || got.TimeoutMs != int64(g) {
					continue
				}
				got.Ints[12], got.TimeoutMs = want.Ints[12], want.TimeoutMs
				changed = true
			}
			return changed
		},
	},
	{
		Letter: "c", Rule: "P6", What: "the backend's `crrst` does not reach the caller",
		Why: "it speaks of the connection between proxy and backend only",
		apply: func(c *comparison) bool {
			if _, stays := c.got.Reply.Strings["crrst"]; stays {
				return false
			}
			remove(c.want.Backward, "crrst")
			return remove(c.want.Reply.Strings, "crrst")
		},
	},
	{
		Letter: "q", Rule: "3.8, P6", What: "a `crrst` that the caller sent may be dropped",
		Why: "in a request it has no meaning",
		apply: func(c *comparison) bool {
			changed := false
			for i := range c.got.Seen {
				if i < len(c.want.Seen) {
					if _, there := c.got.Seen[i].Strings["crrst"]; !there {
						changed = remove(c.want.Seen[i].Strings, "crrst") || changed
					}
				}
			}
			return changed
		},
	},
	{
		Letter: "1", Rule: "8.7", What: "key 1 follows the inner frame that the proxy adds or takes",
		Why: "for consistency; nobody reads it",
		apply: func(c *comparison) bool {
			form := map[string]string{"ttheader": "unframed", "ttheader-framed": "framed"}[c.Transport()]
			changed := false
			for i := range c.got.Seen {
				if i < len(c.want.Seen) && c.want.Seen[i].Ints[1] != "" && c.got.Seen[i].Ints[1] == form {
					changed = changed || c.want.Seen[i].Ints[1] != form
					c.want.Seen[i].Ints[1] = form
				}
			}
			return changed
		},
	},
	{
		Letter: "x", Rule: "8.8", What: "a backend that closes without an answer becomes EXCEPTION 6",
		Why: "every call is answered once, in the caller's protocol",
		apply: func(c *comparison) bool {
			changed := false
			for name, w := range c.want.Notes {
				g := c.got.Notes[name]
				if w.Kind == "remote" && w.Code == 0 && g.Kind == "remote" && g.Code == 6 && strings.Contains(g.Text, "closed before its reply was complete") {
					c.want.Notes[name] = g
					changed = true
				}
			}
			return changed
		},
	},
	{
		Letter: "t", Rule: "6.1, 8.8", What: "the proxy's answer that the deadline of key 12 has passed comes before the caller's own timeout",
		Why: "both wait for the same time, and Kitex's client listens 5 ms longer for exactly such an answer; which is first is chance",
		apply: func(c *comparison) bool {
			changed := false
			for name, w := range c.want.Notes {
				g := c.got.Notes[name]
				if c.Kind.Header() && w.Kind == "timeout" && g.Kind == "remote" && g.Code == 6 && strings.Contains(g.Text, "timeout") {
					c.want.Notes[name] = g
					changed = true
				}
			}
			return changed
		},
	},
	{
		Letter: "m", Rule: "8.2, 8.3", What: "flag 0x0001 (out of order) is set or cleared",
		Why: "it says whether replies may come out of order, which differs between the two sides of a proxy",
		apply: func(c *comparison) bool {
			changed := false
			for i := range c.got.Seen {
				if i < len(c.want.Seen) && c.got.Seen[i].Flags^c.want.Seen[i].Flags == 1 {
					c.got.Seen[i].Flags = c.want.Seen[i].Flags
					changed = true
				}
			}
			return changed
		},
	},
}

// headerTwin is a client that can see what a server answers over TTHeader.
func (c Cell) headerTwin() call.Kind {
	if c.Kind.Protobuf() {
		return call.Pb
	}
	return call.TTHeader
}

func remove[K comparable](m map[K]string, key K) bool {
	_, there := m[key]
	delete(m, key)
	return there
}
