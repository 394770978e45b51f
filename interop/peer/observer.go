package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"sync"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/pkg/endpoint"
	"github.com/cloudwego/kitex/pkg/remote"
	"github.com/cloudwego/kitex/pkg/remote/codec"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/utils"
	"github.com/cloudwego/kitex/transport"
)

// Seen is one call as the server's handler got it.
type Seen struct {
	Service    string            `json:"service"`
	Method     string            `json:"method"`
	Transport  string            `json:"transport"`
	Flags      uint16            `json:"flags"`
	Strings    map[string]string `json:"strings,omitempty"`
	Ints       map[uint16]string `json:"ints,omitempty"`
	Caller     string            `json:"caller"`
	CallerVia  string            `json:"caller_method"`
	CallerHost string            `json:"caller_host"`
	TimeoutMs  int64             `json:"timeout_ms"`
	Persistent map[string]string `json:"persistent,omitempty"`
	Transient  map[string]string `json:"transient,omitempty"`
	Arg        string            `json:"arg"`
}

type seenKey struct{}

// Observer is a meta handler and a middleware that fill a list of Seen.
type Observer struct {
	mu   sync.Mutex
	seen []Seen
}

// Take hands out what was seen since the last Take.
func (o *Observer) Take() []Seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.seen
	o.seen = nil
	return out
}

// WriteMeta leaves replies alone.
func (o *Observer) WriteMeta(ctx context.Context, _ remote.Message) (context.Context, error) {
	return ctx, nil
}

// ReadMeta runs after the codec and Kitex's own handlers, and copies the header.
func (o *Observer) ReadMeta(ctx context.Context, msg remote.Message) (context.Context, error) {
	ri := msg.RPCInfo()
	s := &Seen{
		Service:   ri.Invocation().ServiceName(),
		Method:    ri.Invocation().MethodName(),
		Transport: TransportName(ri.Config()),
		Strings:   map[string]string{},
		Ints:      map[uint16]string{},
		Caller:    ri.From().ServiceName(),
		CallerVia: ri.From().Method(),
		TimeoutMs: ri.Config().RPCTimeout().Milliseconds(),
	}
	if flags, ok := msg.Tags()[codec.HeaderFlagsKey].(codec.HeaderFlags); ok {
		s.Flags = uint16(flags)
	}
	if addr := ri.From().Address(); addr != nil {
		s.CallerHost, _, _ = net.SplitHostPort(addr.String())
	}
	for k, v := range msg.TransInfo().TransStrInfo() {
		s.Strings[k] = v
	}
	for k, v := range msg.TransInfo().TransIntInfo() {
		s.Ints[k] = v
	}
	return context.WithValue(ctx, seenKey{}, s), nil
}

// Middleware notes the call when its handler is about to run.
func (o *Observer) Middleware(next endpoint.Endpoint) endpoint.Endpoint {
	return func(ctx context.Context, req, resp interface{}) error {
		if s, ok := ctx.Value(seenKey{}).(*Seen); ok {
			noted := *s
			noted.Persistent = metainfo.GetAllPersistentValues(ctx)
			noted.Transient = metainfo.GetAllValues(ctx)
			if args, ok := req.(utils.KitexArgs); ok {
				noted.Arg = Digest(args.GetFirstArgument())
			}
			o.mu.Lock()
			o.seen = append(o.seen, noted)
			o.mu.Unlock()
		}
		return next(ctx, req, resp)
	}
}

// TransportName says which ping-pong transport a call travelled on.
func TransportName(cfg rpcinfo.RPCConfig) string {
	tp := cfg.TransportProtocol()
	switch {
	case tp&transport.TTHeader != 0 && tp&transport.Framed != 0:
		return "ttheader-framed"
	case tp&transport.TTHeader != 0:
		return "ttheader"
	case tp&transport.Framed != 0:
		return "framed"
	}
	return "buffered"
}

// Digest is a value as sorted JSON, which unlike a Go dump follows pointers; a long one becomes its
// length and checksum.
func Digest(v interface{}) string {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return fmt.Sprintf("%v (%016x)", f, math.Float64bits(f))
	}
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(fmt.Sprintf("%+v", v))
	}
	if len(text) > 400 {
		return fmt.Sprintf("%d bytes of JSON, crc %08x, from %s", len(text), crc32.ChecksumIEEE(text), text[:40])
	}
	return string(text)
}
