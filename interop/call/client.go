// Package call has the clients of the matrix and the cases that they run, and notes what a caller
// can observe of each.
package call

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/gopkg/protocol/thrift"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/connpool"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/remote"
	"github.com/cloudwego/kitex/pkg/remote/codec"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/transport"

	"interop/kitex_gen/echo"
	"interop/kitex_gen/echo/echoservice"
	"interop/kitex_gen/echo/secondservice"
	"interop/kitex_gen/pbecho/pbechoservice"
	"interop/peer"
)

// Kind is a way in which a client speaks.
type Kind string

// The clients of the matrix. Bare is a TTHeader client without ClientTTHeaderHandler, whose header
// may be empty; PbFramed is a scripted peer, as no stock client can send it.
const (
	Buffered       Kind = "buffered"
	Framed         Kind = "framed"
	TTHeader       Kind = "ttheader"
	TTHeaderFramed Kind = "ttheader-framed"
	Bare           Kind = "ttheader-bare"
	Mux            Kind = "mux"
	Pb             Kind = "pb-ttheader"
	PbFramed       Kind = "pb-framed"
)

// Transport is the name of what this client puts on the wire.
func (k Kind) Transport() string {
	switch k {
	case Mux, Pb:
		return "ttheader-framed"
	case Bare:
		return "ttheader"
	case PbFramed:
		return "framed"
	}
	return string(k)
}

// Protobuf is true for clients of the Protobuf twin.
func (k Kind) Protobuf() bool { return k == Pb || k == PbFramed }

// Header is true for clients that can send metadata.
func (k Kind) Header() bool { return strings.HasPrefix(k.Transport(), "ttheader") }

// Setup is what a case asks of its client.
type Setup struct {
	// Timeout is set explicitly, and so travels as key 12. 0: a provider sets it, and it does not.
	Timeout time.Duration
	// Short takes a new connection for each call.
	Short bool
	// Crc32c writes and checks payload checksums.
	Crc32c bool
	// Strings, Ints and Flags are added to each request's TTHeader.
	Strings map[string]string
	Ints    map[uint16]string
	Flags   uint16
}

// Client is one client of a kind towards an address; its connections are its own.
type Client struct {
	Kind  Kind
	Addr  string
	setup Setup
	opts  []client.Option

	mu     sync.Mutex
	closes []func() error
	reply  Reply
}

// Reply is the header of the last reply, as the first of the client's handlers saw it.
type Reply struct {
	Strings map[string]string `json:"strings,omitempty"`
	Ints    map[uint16]string `json:"ints,omitempty"`
}

// New prepares a client; connections are made when it calls.
func New(kind Kind, addr string, s Setup) *Client {
	c := &Client{Kind: kind, Addr: addr, setup: s}
	c.opts = []client.Option{
		client.WithFirstMetaHandler(replyReader{c}),
		client.WithHostPorts(addr),
		client.WithClientBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "caller.svc"}),
		client.WithConnectTimeout(500 * time.Millisecond),
	}
	if s.Timeout > 0 {
		c.opts = append(c.opts, client.WithRPCTimeout(s.Timeout))
	} else {
		c.opts = append(c.opts, client.WithTimeoutProvider(patience{}))
	}
	if s.Crc32c {
		c.opts = append(c.opts, client.WithCodec(codec.NewDefaultCodecWithConfig(codec.CodecConfig{CRC32Check: true})))
	}
	// Options of the transport OR their bits to the default, which is Framed; only PurePayload takes
	// that bit away again.
	pure := client.WithTransportProtocol(transport.PurePayload)
	header := client.WithTransportProtocol(transport.TTHeader)
	handler := client.WithMetaHandler(transmeta.ClientTTHeaderHandler)
	switch kind {
	case Buffered:
		c.opts = append(c.opts, pure, handler)
	case Framed:
		c.opts = append(c.opts, handler)
	case TTHeader:
		c.opts = append(c.opts, pure, header, handler)
	case TTHeaderFramed, Pb:
		c.opts = append(c.opts, header, handler)
	case Bare:
		c.opts = append(c.opts, pure, header)
	case Mux:
		c.opts = append(c.opts, client.WithMuxConnection(2), handler)
	}
	if kind != Mux {
		if s.Short {
			c.opts = append(c.opts, client.WithShortConnection())
		} else {
			c.opts = append(c.opts, client.WithLongConnection(connpool.IdleConfig{
				MaxIdlePerAddress: 100, MaxIdleGlobal: 100, MaxIdleTimeout: 10 * time.Second,
			}))
		}
	}
	c.opts = append(c.opts, client.WithMetaHandler(requestWriter{c}))
	return c
}

// Echo is a client of EchoService.
func (c *Client) Echo() echoservice.Client {
	cli, err := echoservice.NewClient("dest.svc", c.opts...)
	c.keep(cli, err)
	return cli
}

// Second is a client of SecondService.
func (c *Client) Second() secondservice.Client {
	cli, err := secondservice.NewClient("dest.svc", c.opts...)
	c.keep(cli, err)
	return cli
}

// Pb is a client of the Protobuf twin.
func (c *Client) Pb() pbechoservice.Client {
	if c.Kind == PbFramed {
		return rawPbClient{c}
	}
	cli, err := pbechoservice.NewClient("dest.svc", c.opts...)
	c.keep(cli, err)
	return cli
}

// Close drops the connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.closes {
		_ = f()
	}
	c.closes = nil
}

// Reply is the header of the last reply that could be decoded.
func (c *Client) Reply() Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reply
}

func (c *Client) keep(cli interface{}, err error) {
	if err != nil {
		panic(err) // the options are ours: a bug of this harness
	}
	if closer, ok := cli.(interface{ Close() error }); ok {
		c.mu.Lock()
		c.closes = append(c.closes, closer.Close)
		c.mu.Unlock()
	}
}

type patience struct{}

func (patience) Timeouts(rpcinfo.RPCInfo) rpcinfo.Timeouts { return fixed{} }

// fixed bounds calls that set no timeout, so that a lost reply fails a cell and does not hang it.
type fixed struct{}

func (fixed) RPCTimeout() time.Duration       { return 5 * time.Second }
func (fixed) ConnectTimeout() time.Duration   { return 500 * time.Millisecond }
func (fixed) ReadWriteTimeout() time.Duration { return 5 * time.Second }

type replyReader struct{ c *Client }

func (r replyReader) WriteMeta(ctx context.Context, _ remote.Message) (context.Context, error) {
	return ctx, nil
}

func (r replyReader) ReadMeta(ctx context.Context, msg remote.Message) (context.Context, error) {
	got := Reply{Strings: map[string]string{}, Ints: map[uint16]string{}}
	for k, v := range msg.TransInfo().TransStrInfo() {
		got.Strings[k] = v
	}
	for k, v := range msg.TransInfo().TransIntInfo() {
		got.Ints[k] = v
	}
	r.c.mu.Lock()
	r.c.reply = got
	r.c.mu.Unlock()
	return ctx, nil
}

type requestWriter struct{ c *Client }

func (w requestWriter) WriteMeta(ctx context.Context, msg remote.Message) (context.Context, error) {
	s := w.c.setup
	// Copies: Kitex takes the maps for its own, and empties them after the call.
	if len(s.Strings) > 0 {
		msg.TransInfo().PutTransStrInfo(maps.Clone(s.Strings))
	}
	if len(s.Ints) > 0 {
		msg.TransInfo().PutTransIntInfo(maps.Clone(s.Ints))
	}
	if s.Flags != 0 {
		msg.Tags()[codec.HeaderFlagsKey] = codec.HeaderFlags(s.Flags)
	}
	return ctx, nil
}

func (w requestWriter) ReadMeta(ctx context.Context, _ remote.Message) (context.Context, error) {
	return ctx, nil
}

// Outcome is what a caller gets from one call.
type Outcome struct {
	Value string            `json:"value,omitempty"`
	Kind  string            `json:"kind"` // ok, business, declared, timeout, remote, other
	Code  int32             `json:"code,omitempty"`
	Text  string            `json:"text,omitempty"`
	Extra map[string]string `json:"extra,omitempty"`
}

// Judge sorts a call's result into an Outcome.
func Judge(value interface{}, err error) Outcome {
	if err == nil {
		return Outcome{Kind: "ok", Value: show(value)}
	}
	if biz, ok := kerrors.FromBizStatusError(err); ok {
		return Outcome{Kind: "business", Code: biz.BizStatusCode(), Text: biz.BizMessage(), Extra: biz.BizExtra()}
	}
	var one *echo.EchoError
	if errors.As(err, &one) {
		return Outcome{Kind: "declared", Text: "EchoError " + one.Message}
	}
	var other *echo.OtherError
	if errors.As(err, &other) {
		return Outcome{Kind: "declared", Text: "OtherError " + show(other)}
	}
	o := Outcome{Kind: "other", Text: tidy(err.Error())}
	var app *thrift.ApplicationException
	var trans *remote.TransError
	switch {
	case errors.As(err, &app):
		o.Code = app.TypeID()
	case errors.As(err, &trans):
		o.Code = trans.TypeID()
	}
	switch {
	case kerrors.IsTimeoutError(err):
		o.Kind = "timeout"
		o.Text = "" // which of Kitex's clocks ended the call is chance, and decides about the words
	case errors.Is(err, kerrors.ErrRemoteOrNetwork):
		o.Kind = "remote"
	case errors.Is(err, kerrors.ErrGetConnection):
		o.Kind = "connect"
	}
	return o
}

var (
	addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	elapsed   = regexp.MustCompile(`(timeout|cost|elapsed)[=:]\s*[0-9.]+(ns|µs|ms|s)\b`)
)

// tidy takes what differs from run to run out of a text.
func tidy(text string) string {
	text = addresses.ReplaceAllString(text, "ADDR")
	return elapsed.ReplaceAllString(text, "$1=T")
}

func show(v interface{}) string {
	if v == nil {
		return ""
	}
	return peer.Digest(v)
}

// Backward is a context that collects what the server sends backward.
func Backward(ctx context.Context) context.Context { return metainfo.WithBackwardValues(ctx) }
