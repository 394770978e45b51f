package live

import (
	"context"
	"encoding/json"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/kitex_gen/livep"
)

type grpcCaller struct{ conn *grpc.ClientConn }

func connectGrpc(c Client) caller {
	conn, err := grpc.NewClient("passthrough:///"+c.Target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("live.test"), // the port would differ from run to run
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
	)
	if err != nil {
		panic(err) // the options are ours
	}
	return &grpcCaller{conn}
}

func (g *grpcCaller) close() { _ = g.conn.Close() }

func (g *grpcCaller) path(o options, method string) string {
	service := ServiceP
	if o.service != "" {
		service = o.service
	}
	if o.method != "" {
		method = o.method
	}
	return "/" + service + "/" + method
}

func (g *grpcCaller) prepare(ctx context.Context, o options) (context.Context, []grpc.CallOption) {
	for _, kv := range o.meta {
		ctx = metadata.AppendToOutgoingContext(ctx, kv[0], kv[1])
	}
	for k, v := range o.persist {
		ctx = metadata.AppendToOutgoingContext(ctx, "rpc-persist-"+k, v)
	}
	for k, v := range o.transient {
		ctx = metadata.AppendToOutgoingContext(ctx, "rpc-transit-"+k, v)
	}
	var opts []grpc.CallOption
	if o.gzip {
		opts = append(opts, grpc.UseCompressor("gzip"))
	}
	return ctx, opts
}

func (g *grpcCaller) ask(ctx context.Context, o options, m *Msg) (*Msg, map[string][]string, map[string][]string, error) {
	ctx, opts := g.prepare(ctx, o)
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	var header, trailer metadata.MD
	out := new(livep.Msg)
	err := g.conn.Invoke(ctx, g.path(o, "Ask"), protobufShape.out(m), out, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	return protobufShape.in(out), header, trailer, err
}

func (g *grpcCaller) open(ctx context.Context, o options, method string, m *Msg) (stream, error) {
	ctx, opts := g.prepare(ctx, o)
	desc := &grpc.StreamDesc{StreamName: method, ServerStreams: method != "Upload", ClientStreams: method != "Download"}
	st, err := g.conn.NewStream(ctx, desc, g.path(o, method), opts...)
	if err != nil {
		return nil, err
	}
	s := &grpcClientStream{st}
	if method == "Download" {
		if err := s.send(m); err != nil {
			return nil, err
		}
		if err := s.closeSend(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (g *grpcCaller) ended(err error, trailers map[string][]string) Ended {
	if over(err) {
		return Ended{Kind: "ok"}
	}
	st, ok := status.FromError(err)
	if !ok {
		return Ended{Kind: "error", Message: err.Error()}
	}
	e := Ended{Kind: "status", Code: int64(st.Code()), Message: st.Message()}
	for _, d := range st.Details() {
		text := "?"
		if s, ok := d.(*wrapperspb.StringValue); ok {
			text = s.GetValue()
		}
		e.Details = &text
	}
	// grpc-go knows nothing of business errors: told as Kitex tells them.
	if biz := trailers["biz-status"]; len(biz) > 0 {
		if code, err := strconv.Atoi(biz[len(biz)-1]); err == nil {
			e = Ended{Kind: "biz", Code: int64(code), Message: st.Message()}
			if extra := trailers["biz-extra"]; len(extra) > 0 {
				_ = json.Unmarshal([]byte(extra[len(extra)-1]), &e.Extra)
			}
		}
	}
	return e
}

type grpcClientStream struct{ st grpc.ClientStream }

func (s *grpcClientStream) send(m *Msg) error { return s.st.SendMsg(protobufShape.out(m)) }
func (s *grpcClientStream) recv() (*Msg, error) {
	m := new(livep.Msg)
	if err := s.st.RecvMsg(m); err != nil {
		return nil, err
	}
	return protobufShape.in(m), nil
}
func (s *grpcClientStream) closeSend() error { return s.st.CloseSend() }
func (s *grpcClientStream) header() map[string][]string {
	md, _ := s.st.Header()
	return md
}
func (s *grpcClientStream) trailer() map[string][]string { return s.st.Trailer() }
