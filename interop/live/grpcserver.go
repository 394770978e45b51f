package live

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/cloudwego/prutal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // callers may compress
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/kitex_gen/livep"
)

// MaxMessage is what grpc-go is allowed to receive; its own default is 4 MiB.
const MaxMessage = 160 << 20

// ServiceP is the full name of the Protobuf service.
const ServiceP = "acme.wire.livep.LiveP"

// wireCodec lets grpc-go marshal the structs that Kitex's tool has generated. It takes the place of
// grpc-go's own codec under the same name, so that the content type on the wire is the usual one.
type wireCodec struct{}

func (wireCodec) Name() string { return "proto" }
func (wireCodec) Marshal(v any) ([]byte, error) {
	if raw, ok := v.(*[]byte); ok {
		return *raw, nil
	}
	return prutal.MarshalAppend(nil, v)
}
func (wireCodec) Unmarshal(data []byte, v any) error {
	if raw, ok := v.(*[]byte); ok {
		*raw = append([]byte(nil), data...)
		return nil
	}
	return prutal.Unmarshal(data, v)
}

func init() { encoding.RegisterCodec(wireCodec{}) }

var serviceP = grpc.ServiceDesc{
	ServiceName: ServiceP,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Ask",
		Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := new(livep.Msg)
			if err := dec(m); err != nil {
				return nil, err
			}
			c := &call{method: "Ask", ctx: ctx, first: protobufShape.in(m), gone: grpcGone}
			c.setHeader = func(kv map[string]string) error { return grpc.SetHeader(ctx, metadata.New(kv)) }
			c.flush = func() error { return grpc.SendHeader(ctx, nil) }
			c.setTrailer = func(kv map[string]string) error { return grpc.SetTrailer(ctx, metadata.New(kv)) }
			c.fail = func(e End) error { return grpcFail(e, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }) }
			c.tell = func() Tell { return grpcTell(ctx, grpcMethod(ctx)) }
			out, err := serveSafely(c)
			if err != nil {
				return nil, err
			}
			return protobufShape.out(out), nil
		},
	}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Upload", Handler: grpcStream("Upload"), ClientStreams: true},
		{StreamName: "Download", Handler: grpcStream("Download"), ServerStreams: true},
		{StreamName: "Chat", Handler: grpcStream("Chat"), ClientStreams: true, ServerStreams: true},
	},
}

// GrpcServer is a grpc-go server of the Protobuf service.
func GrpcServer(opts ...grpc.ServerOption) *grpc.Server {
	s := grpc.NewServer(append([]grpc.ServerOption{grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage)}, opts...)...)
	s.RegisterService(&serviceP, struct{}{})
	return s
}

// ServeGrpc runs one.
func ServeGrpc(ln net.Listener) error { return GrpcServer().Serve(ln) }

func grpcMethod(ctx context.Context) string {
	m, _ := grpc.Method(ctx)
	return m
}

func grpcStream(method string) grpc.StreamHandler {
	return func(_ any, st grpc.ServerStream) error {
		c := &call{method: method, ctx: st.Context(), gone: grpcGone}
		recv := func() (*Msg, error) {
			m := new(livep.Msg)
			if err := st.RecvMsg(m); err != nil {
				return nil, err
			}
			return protobufShape.in(m), nil
		}
		if method == "Download" {
			var err error
			if c.first, err = recv(); err != nil {
				return err
			}
		} else {
			c.recv = recv
		}
		c.send = func(m *Msg) error { return st.SendMsg(protobufShape.out(m)) }
		c.setHeader = func(kv map[string]string) error { return st.SetHeader(metadata.New(kv)) }
		c.flush = func() error { return st.SendHeader(nil) }
		c.setTrailer = func(kv map[string]string) error { st.SetTrailer(metadata.New(kv)); return nil }
		c.fail = func(e End) error { return grpcFail(e, st.SetTrailer) }
		c.tell = func() Tell { return grpcTell(st.Context(), grpcMethod(st.Context())) }
		_, err := serveSafely(c)
		return err
	}
}

// serveSafely answers a panic, with which grpc-go would end the process.
func serveSafely(c *call) (reply *Msg, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.Internal, "panic: %v", p)
		}
	}()
	return serve(c)
}

// grpcFail makes the error of an end; a business error is written as Kitex does, in two trailers.
func grpcFail(e End, trailer func(metadata.MD)) error {
	switch e.Kind {
	case "biz":
		md := metadata.Pairs("biz-status", fmt.Sprint(e.Code))
		if e.Extra != nil {
			text, err := json.Marshal(e.Extra)
			if err != nil {
				return err
			}
			md.Set("biz-extra", string(text))
		}
		trailer(md)
		return status.Error(codes.Internal, e.Message)
	case "status":
		st := status.New(codes.Code(uint32(e.Code)), e.Message)
		if e.Details {
			if with, err := st.WithDetails(wrapperspb.String(DetailText)); err == nil {
				st = with
			}
		}
		return st.Err()
	}
	return status.Error(codes.Unknown, "unknown end "+e.Kind)
}

func grpcGone(err error) (*int32, string) {
	code := int32(status.FromContextError(err).Code())
	return &code, err.Error()
}

func grpcTell(ctx context.Context, path string) Tell {
	t := Tell{Meta: map[string][]string{}, Persist: map[string]string{}, Transient: map[string]string{}, Path: path}
	md, _ := metadata.FromIncomingContext(ctx)
	for k, v := range md {
		if strings.HasPrefix(k, "x-") {
			t.Meta[k] = v
		}
		if key, ok := strings.CutPrefix(k, "rpc-persist-"); ok {
			t.Persist[key] = strings.Join(v, ", ")
		}
		if key, ok := strings.CutPrefix(k, "rpc-transit-"); ok {
			t.Transient[key] = strings.Join(v, ", ")
		}
	}
	if a := md[":authority"]; len(a) > 0 {
		t.Authority = a[0]
	}
	t.DeadlineMs = remaining(ctx)
	return t
}
