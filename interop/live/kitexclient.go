package live

import (
	"context"
	"errors"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/gopkg/protocol/thrift"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/callopt"
	"github.com/cloudwego/kitex/client/callopt/streamcall"
	"github.com/cloudwego/kitex/pkg/endpoint/cep"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/remote"
	"github.com/cloudwego/kitex/pkg/remote/codec/protobuf/encoding/gzip"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2/metadata"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2/status"
	"github.com/cloudwego/kitex/pkg/remote/trans/ttstream"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/serviceinfo"
	"github.com/cloudwego/kitex/pkg/streaming"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/transport"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/kitex_gen/live"
	livesvc "interop/kitex_gen/live/live"
	"interop/kitex_gen/livep"
	livepsvc "interop/kitex_gen/livep/livep"
)

// kitexCaller has the generated clients of both services; only one of them is called.
type kitexCaller struct {
	c        Client
	opts     []client.Option
	thrift   livesvc.Client
	protobuf livepsvc.Client
	closes   []func() error
}

// raw is where a stream's middleware puts Kitex's own stream: the generated type hides that a gRPC
// stream can show headers with several values.
type rawKey struct{}

func connectKitex(c Client) caller {
	k := &kitexCaller{c: c}
	name := c.Name
	if name == "" {
		name = "live.caller"
	}
	k.opts = []client.Option{
		client.WithHostPorts(c.Target),
		client.WithClientBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: name}),
		client.WithConnectTimeout(time.Second),
		client.WithGRPCConnPoolSize(1),
		client.WithMetaHandler(transmeta.ClientTTHeaderHandler),
		client.WithMetaHandler(transmeta.ClientHTTP2Handler),
		client.WithStreamOptions(client.WithStreamMiddleware(func(next cep.StreamEndpoint) cep.StreamEndpoint {
			return func(ctx context.Context) (streaming.ClientStream, error) {
				st, err := next(ctx)
				if raw, ok := ctx.Value(rawKey{}).(*streaming.ClientStream); ok {
					*raw = st
				}
				return st, err
			}
		})),
	}
	if c.Transport == "ttstream" {
		k.opts = append(k.opts, client.WithTransportProtocol(transport.TTHeader))
		k.opts = append(k.opts, client.WithTransportProtocol(transport.TTHeaderStreaming))
		var pool ttstream.ClientHandlerOption
		switch c.Pool {
		case "long":
			pool = ttstream.WithClientLongConnPool(ttstream.LongConnConfig{MaxIdleTimeout: 5 * time.Second})
		case "short":
			pool = ttstream.WithClientShortConnPool()
		}
		if pool != nil {
			k.opts = append(k.opts, client.WithTTHeaderStreamingOptions(client.WithTTHeaderStreamingTransportOptions(pool)))
		}
	} else {
		k.opts = append(k.opts, client.WithTransportProtocol(transport.GRPC))
	}
	var err error
	if c.Codec == "protobuf" {
		k.protobuf, err = livepsvc.NewClient("live.svc", k.opts...)
		k.keep(k.protobuf, err)
	} else {
		k.thrift, err = livesvc.NewClient("live.svc", k.opts...)
		k.keep(k.thrift, err)
	}
	return k
}

func (k *kitexCaller) keep(cli any, err error) {
	if err != nil {
		panic(err) // the options are ours
	}
	if c, ok := cli.(interface{ Close() error }); ok {
		k.closes = append(k.closes, c.Close)
	}
}

func (k *kitexCaller) close() {
	for _, f := range k.closes {
		_ = f()
	}
}

func (k *kitexCaller) prepare(ctx context.Context, o options) context.Context {
	for _, kv := range o.meta {
		ctx = metadata.AppendToOutgoingContext(ctx, kv[0], kv[1])
	}
	for key, v := range o.persist {
		ctx = metainfo.WithPersistentValue(ctx, key, v)
	}
	for key, v := range o.transient {
		ctx = metainfo.WithValue(ctx, key, v)
	}
	return ctx
}

func (k *kitexCaller) ask(ctx context.Context, o options, m *Msg) (*Msg, map[string][]string, map[string][]string, error) {
	ctx = k.prepare(ctx, o)
	header, trailer := metadata.MD{}, metadata.MD{}
	if !k.c.pingpong() {
		ctx = nphttp2.GRPCTrailer(nphttp2.GRPCHeader(ctx, &header), &trailer)
	}
	var opts []callopt.Option
	if o.gzip {
		opts = append(opts, callopt.WithGRPCCompressor(gzip.Name))
	}
	if o.timeout > 0 {
		opts = append(opts, callopt.WithRPCTimeout(o.timeout))
	}
	if o.service != "" || o.method != "" {
		reply, err := k.ghost(ctx, o, m, opts)
		return reply, header, trailer, err
	}
	if k.protobuf != nil {
		reply, err := k.protobuf.Ask(ctx, protobufShape.out(m), opts...)
		if err != nil {
			return nil, header, trailer, err
		}
		return protobufShape.in(reply), header, trailer, nil
	}
	reply, err := k.thrift.Ask(ctx, thriftShape.out(m), opts...)
	if err != nil {
		return nil, header, trailer, err
	}
	return thriftShape.in(reply), header, trailer, nil
}

// service describes a service that the server may not have, with methods of these names.
func (k *kitexCaller) service(o options, method string, mode serviceinfo.StreamingMode) *serviceinfo.ServiceInfo {
	name, pkg, codec := "Live", "live", serviceinfo.Thrift
	args := func() interface{} { return live.NewLiveAskArgs() }
	result := func() interface{} { return live.NewLiveAskResult() }
	if k.protobuf != nil {
		name, pkg, codec = "LiveP", "acme.wire.livep", serviceinfo.Protobuf
		args = func() interface{} { return &livepsvc.AskArgs{} }
		result = func() interface{} { return &livepsvc.AskResult{} }
	}
	if o.service != "" {
		name = o.service
	}
	return &serviceinfo.ServiceInfo{
		ServiceName: name,
		Methods: map[string]serviceinfo.MethodInfo{
			method: serviceinfo.NewMethodInfo(nil, args, result, false, serviceinfo.WithStreamingMode(mode)),
		},
		PayloadCodec: codec,
		Extra:        map[string]interface{}{"PackageName": pkg},
	}
}

func (k *kitexCaller) ghost(ctx context.Context, o options, m *Msg, opts []callopt.Option) (*Msg, error) {
	method := o.method
	if method == "" {
		method = "Ask"
	}
	mode := serviceinfo.StreamingNone
	if k.protobuf != nil && !k.c.pingpong() {
		mode = serviceinfo.StreamingUnary
	}
	cli, err := client.NewClient(k.service(o, method, mode), append([]client.Option{client.WithDestService("live.svc")}, k.opts...)...)
	k.keep(cli, err)
	ctx = client.NewCtxWithCallOptions(ctx, opts)
	if k.protobuf != nil {
		out := &livepsvc.AskResult{}
		if err := cli.Call(ctx, method, &livepsvc.AskArgs{Req: protobufShape.out(m)}, out); err != nil {
			return nil, err
		}
		return protobufShape.in(out.GetSuccess()), nil
	}
	out := live.NewLiveAskResult()
	if err := cli.Call(ctx, method, &live.LiveAskArgs{Req: thriftShape.out(m)}, out); err != nil {
		return nil, err
	}
	return thriftShape.in(out.GetSuccess()), nil
}

func (k *kitexCaller) open(ctx context.Context, o options, method string, m *Msg) (stream, error) {
	var raw streaming.ClientStream
	ctx = context.WithValue(k.prepare(ctx, o), rawKey{}, &raw)
	var opts []streamcall.Option
	if o.gzip {
		opts = append(opts, streamcall.WithGRPCCompressor(gzip.Name))
	}
	var st streaming.ClientStream
	var err error
	switch {
	case o.service != "" || o.method != "":
		name := method
		if o.method != "" {
			name = o.method
		}
		cli, err2 := client.NewClient(k.service(o, name, serviceinfo.StreamingBidirectional), append([]client.Option{client.WithDestService("live.svc")}, k.opts...)...)
		k.keep(cli, err2)
		st, err = cli.(client.Streaming).StreamX(ctx, name)
	case k.protobuf != nil:
		st, err = k.openProtobuf(ctx, method, m, opts)
	default:
		st, err = k.openThrift(ctx, method, m, opts)
	}
	if err != nil {
		return nil, err
	}
	if k.protobuf != nil {
		return &kitexClientStream[livep.Msg]{ctx, st, raw, protobufShape}, nil
	}
	return &kitexClientStream[live.Msg]{ctx, st, raw, thriftShape}, nil
}

func (k *kitexCaller) openThrift(ctx context.Context, method string, m *Msg, opts []streamcall.Option) (streaming.ClientStream, error) {
	switch method {
	case "Upload":
		return k.thrift.Upload(ctx, opts...)
	case "Download":
		return k.thrift.Download(ctx, thriftShape.out(m), opts...)
	}
	return k.thrift.Chat(ctx, opts...)
}

func (k *kitexCaller) openProtobuf(ctx context.Context, method string, m *Msg, opts []streamcall.Option) (streaming.ClientStream, error) {
	switch method {
	case "Upload":
		return k.protobuf.Upload(ctx, opts...)
	case "Download":
		return k.protobuf.Download(ctx, protobufShape.out(m), opts...)
	}
	return k.protobuf.Chat(ctx, opts...)
}

func (k *kitexCaller) ended(err error, _ map[string][]string) Ended {
	if over(err) {
		return Ended{Kind: "ok"}
	}
	if biz, ok := kerrors.FromBizStatusError(err); ok {
		return Ended{Kind: "biz", Code: int64(biz.BizStatusCode()), Message: biz.BizMessage(), Extra: biz.BizExtra()}
	}
	e := Ended{Kind: "error", Message: err.Error()}
	var ex *ttstream.Exception
	if errors.As(err, &ex) {
		e.Code = int64(ex.TypeId())
		return e
	}
	if !k.c.pingpong() {
		if st, ok := status.FromError(err); ok {
			e = Ended{Kind: "status", Code: int64(int32(st.Code())), Message: st.Message()}
			for _, d := range st.Details() {
				text := "?"
				if s, ok := d.(*wrapperspb.StringValue); ok {
					text = s.GetValue()
				}
				e.Details = &text
			}
			return e
		}
	}
	var app *thrift.ApplicationException
	var trans *remote.TransError
	switch {
	case errors.As(err, &app):
		e.Code = int64(app.TypeID())
	case errors.As(err, &trans):
		e.Code = int64(trans.TypeID())
	}
	if kerrors.IsTimeoutError(err) {
		e.Message = "timeout" // which of Kitex's clocks ended the call is chance, and decides about the words
	}
	return e
}

type kitexClientStream[T any] struct {
	ctx   context.Context
	st    streaming.ClientStream
	raw   streaming.ClientStream
	shape shape[T]
}

func (s *kitexClientStream[T]) send(m *Msg) error { return s.st.SendMsg(s.ctx, s.shape.out(m)) }
func (s *kitexClientStream[T]) recv() (*Msg, error) {
	m := new(T)
	if err := s.st.RecvMsg(s.ctx, m); err != nil {
		return nil, err
	}
	return s.shape.in(m), nil
}
func (s *kitexClientStream[T]) closeSend() error { return s.st.CloseSend(s.ctx) }

func (s *kitexClientStream[T]) grpc() streaming.Stream {
	if g, ok := s.raw.(streaming.GRPCStreamGetter); ok {
		return g.GetGRPCStream()
	}
	return nil
}

func (s *kitexClientStream[T]) header() map[string][]string {
	if g := s.grpc(); g != nil {
		md, _ := g.Header()
		return md
	}
	h, _ := s.st.Header()
	return single(h)
}

func (s *kitexClientStream[T]) trailer() map[string][]string {
	if g := s.grpc(); g != nil {
		return g.Trailer()
	}
	t, _ := s.st.Trailer()
	return single(t)
}

func single(kv map[string]string) map[string][]string {
	out := map[string][]string{}
	for k, v := range kv {
		out[k] = []string{v}
	}
	return out
}
