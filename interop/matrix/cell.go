package matrix

import (
	"strings"

	"interop/call"
	"interop/peer"
)

// Upstream is how the proxy speaks to the backend.
type Upstream struct {
	Name     string
	Pingpong string // empty: as the caller spoke
	Mux      bool
}

// Upstreams are the columns of the matrix.
var Upstreams = []Upstream{
	{Name: "as caller"},
	{Name: "framed", Pingpong: "framed"},
	{Name: "ttheader", Pingpong: "ttheader"},
	{Name: "tth-framed", Pingpong: "ttheader-framed"},
	{Name: "buffered", Pingpong: "buffered"},
	{Name: "mux", Mux: true},
	{Name: "mux tth", Pingpong: "ttheader", Mux: true},
	{Name: "mux tth-fr", Pingpong: "ttheader-framed", Mux: true},
}

// Kinds are the clients of the matrix.
var Kinds = []call.Kind{
	call.Buffered, call.Framed, call.TTHeader, call.TTHeaderFramed, call.Bare, call.Mux, call.Pb, call.PbFramed,
}

// Cell is one case, of one client, over one upstream transport.
type Cell struct {
	Case     call.Case
	Kind     call.Kind
	Upstream Upstream
}

// Transport is what the backend is spoken to with.
func (c Cell) Transport() string {
	t := c.Upstream.Pingpong
	if t == "" {
		t = c.Kind.Transport()
	}
	if c.Kind.Protobuf() && t == "ttheader" {
		return "ttheader-framed" // Kitex-Protobuf has no unframed form
	}
	return t
}

// HeaderUp is true if the backend is spoken to with a TTHeader.
func (c Cell) HeaderUp() bool { return strings.HasPrefix(c.Transport(), "ttheader") }

// Legal is false for what the protocols rule out: Kitex-Protobuf is always framed, and Kitex's
// multiplexed servers read TTHeader only.
func (c Cell) Legal() bool {
	if c.Kind.Protobuf() && c.Transport() == "buffered" {
		return false
	}
	return !c.Upstream.Mux || c.HeaderUp()
}

// Lossy is true if the caller's header cannot go along.
func (c Cell) Lossy() bool { return c.Kind.Header() && !c.HeaderUp() }

// Backend is the server that the cell needs.
func (c Cell) Backend() peer.Options {
	o := options(c.Case, c.Kind)
	o.Mux = c.Upstream.Mux || c.Kind == call.Mux && c.HeaderUp()
	return o
}

// options are those of the server that a client of this kind is tried on directly.
func options(cs call.Case, k call.Kind) peer.Options {
	o := peer.Options{Handler: true, Protobuf: k.Protobuf(), Mux: k == call.Mux}
	switch cs.Server {
	case "crc32c":
		o.Crc32c = true
	case "bare":
		o.Handler = false
	case "strict":
		o.Strict = true
	}
	return o
}

// twin is the client that speaks to the backend as the proxy does when the header is lost.
func (c Cell) twin() call.Kind {
	if c.Kind.Protobuf() {
		return call.PbFramed
	}
	return call.Kind(c.Transport())
}
