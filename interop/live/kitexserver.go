package live

import (
	"context"
	"errors"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/kerrors"
	_ "github.com/cloudwego/kitex/pkg/remote/codec/protobuf/encoding/gzip" // without it a server answers 13 to callers that offer gzip
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2/codes"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2/metadata"
	"github.com/cloudwego/kitex/pkg/remote/trans/nphttp2/status"
	"github.com/cloudwego/kitex/pkg/remote/trans/ttstream"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/streaming"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"
	"github.com/cloudwego/kitex/transport"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/kitex_gen/live"
	livesvc "interop/kitex_gen/live/live"
	"interop/kitex_gen/live/livetoo"
	"interop/kitex_gen/livep"
	livepsvc "interop/kitex_gen/livep/livep"
)

// KitexServer is a server for one of the two services; the Thrift one speaks ping-pong, ttstream and
// gRPC on its port. With unknown, an unknown-service handler echoes bytes.
func KitexServer(ln net.Listener, protobuf, unknown bool) (server.Server, error) {
	svr := server.NewServer(
		server.WithListener(ln),
		server.WithServerBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "live.svc"}),
		server.WithMetaHandler(transmeta.ServerTTHeaderHandler),
		server.WithMetaHandler(transmeta.ServerHTTP2Handler),
		server.WithCompatibleMiddlewareForUnary(),
		server.WithExitWaitTime(2*time.Second),
	)
	if unknown {
		if err := genericserver.RegisterUnknownServiceOrMethodHandler(svr, &genericserver.UnknownServiceOrMethodHandler{
			DefaultHandler: func(_ context.Context, _, _ string, request interface{}) (interface{}, error) {
				return request, nil
			},
			StreamingHandler: echoBytes,
		}); err != nil {
			return nil, err
		}
	}
	if protobuf {
		return svr, livepsvc.RegisterService(svr, &protobufHandler{})
	}
	if err := livesvc.RegisterService(svr, &thriftHandler{}, server.WithFallbackService()); err != nil {
		return nil, err
	}
	return svr, livetoo.RegisterService(svr, &tooHandler{})
}

// echoBytes answers each message of a service that the server does not have.
func echoBytes(ctx context.Context, _, _ string, stream generic.BidiStreamingServer) error {
	for {
		m, err := stream.Recv(ctx)
		if err != nil {
			return nil
		}
		if err := stream.Send(ctx, m); err != nil {
			return err
		}
	}
}

type thriftHandler struct{}

func (thriftHandler) Ask(ctx context.Context, req *live.Msg) (*live.Msg, error) {
	return kitexUnary(ctx, thriftShape, req)
}
func (thriftHandler) Upload(ctx context.Context, st live.Live_UploadServer) error {
	return kitexStream(ctx, thriftShape, "Upload", st, nil)
}
func (thriftHandler) Download(ctx context.Context, req *live.Msg, st live.Live_DownloadServer) error {
	return kitexStream(ctx, thriftShape, "Download", st, req)
}
func (thriftHandler) Chat(ctx context.Context, st live.Live_ChatServer) error {
	return kitexStream(ctx, thriftShape, "Chat", st, nil)
}

type tooHandler struct{}

func (tooHandler) AskToo(_ context.Context, req *live.Msg) (*live.Msg, error) { return req, nil }

type protobufHandler struct{}

func (protobufHandler) Ask(ctx context.Context, req *livep.Msg) (*livep.Msg, error) {
	return kitexUnary(ctx, protobufShape, req)
}
func (protobufHandler) Upload(ctx context.Context, st livep.LiveP_UploadServer) error {
	return kitexStream(ctx, protobufShape, "Upload", st, nil)
}
func (protobufHandler) Download(ctx context.Context, req *livep.Msg, st livep.LiveP_DownloadServer) error {
	return kitexStream(ctx, protobufShape, "Download", st, req)
}
func (protobufHandler) Chat(ctx context.Context, st livep.LiveP_ChatServer) error {
	return kitexStream(ctx, protobufShape, "Chat", st, nil)
}

// shape converts between Msg and a generated struct.
type shape[T any] struct {
	in  func(*T) *Msg
	out func(*Msg) *T
}

var thriftShape = shape[live.Msg]{
	in:  func(m *live.Msg) *Msg { return &Msg{m.GetText(), m.GetBlob(), m.GetN()} },
	out: func(m *Msg) *live.Msg { return &live.Msg{Text: m.Text, Blob: m.Blob, N: m.N} },
}

var protobufShape = shape[livep.Msg]{
	in:  func(m *livep.Msg) *Msg { return &Msg{m.GetText(), m.GetBlob(), m.GetN()} },
	out: func(m *Msg) *livep.Msg { return &livep.Msg{Text: m.Text, Blob: m.Blob, N: m.N} },
}

func kitexUnary[T any](ctx context.Context, s shape[T], req *T) (*T, error) {
	c := &call{method: "Ask", ctx: ctx, first: &Msg{}, fail: kitexFail, gone: kitexGone}
	if req != nil {
		c.first = s.in(req)
	}
	c.tell = func() Tell { return kitexTell(ctx) }
	// Ping-pong has no headers and trailers; there the script's are left out.
	grpc := rpcinfo.GetRPCInfo(ctx).Config().TransportProtocol()&transport.GRPC != 0
	c.setHeader = func(kv map[string]string) error {
		if !grpc {
			return nil
		}
		return nphttp2.SetHeader(ctx, metadata.New(kv))
	}
	c.flush = func() error {
		if !grpc {
			return nil
		}
		return nphttp2.SendHeader(ctx, nil)
	}
	c.setTrailer = func(kv map[string]string) error {
		if !grpc {
			return nil
		}
		return nphttp2.SetTrailer(ctx, metadata.New(kv))
	}
	out, err := serve(c)
	if err != nil {
		return nil, err
	}
	return s.out(out), nil
}

func kitexStream[T any](ctx context.Context, s shape[T], method string, st streaming.ServerStream, req *T) error {
	c := &call{method: method, ctx: ctx, fail: kitexFail, gone: kitexGone}
	if method == "Download" {
		c.first = &Msg{}
		if req != nil {
			c.first = s.in(req)
		}
	} else {
		c.recv = func() (*Msg, error) {
			m := new(T)
			if err := st.RecvMsg(ctx, m); err != nil {
				return nil, err
			}
			return s.in(m), nil
		}
	}
	c.send = func(m *Msg) error { return st.SendMsg(ctx, s.out(m)) }
	c.setHeader = func(kv map[string]string) error { return st.SetHeader(kv) }
	c.flush = func() error { return st.SendHeader(nil) }
	c.setTrailer = func(kv map[string]string) error { return st.SetTrailer(kv) }
	c.tell = func() Tell { return kitexTell(ctx) }
	_, err := serve(c)
	return err
}

func kitexFail(e End) error {
	switch e.Kind {
	case "biz":
		if e.Extra == nil {
			return kerrors.NewBizStatusError(e.Code, e.Message)
		}
		return kerrors.NewBizStatusErrorWithExtra(e.Code, e.Message, e.Extra)
	case "status":
		st := status.New(codes.Code(e.Code), e.Message)
		if e.Details {
			if with, err := st.WithDetails(wrapperspb.String(DetailText)); err == nil {
				st = with
			}
		}
		return st.Err()
	}
	return errors.New("unknown end " + e.Kind)
}

func kitexGone(err error) (*int32, string) {
	var code int32
	var ex *ttstream.Exception
	if errors.As(err, &ex) {
		code = ex.TypeId()
	} else if st, ok := status.FromError(err); ok {
		code = int32(st.Code())
	} else {
		return nil, err.Error()
	}
	return &code, err.Error()
}

func kitexTell(ctx context.Context) Tell {
	t := Tell{Meta: map[string][]string{}, Persist: map[string]string{}, Transient: map[string]string{}}
	maps.Copy(t.Persist, metainfo.GetAllPersistentValues(ctx))
	maps.Copy(t.Transient, metainfo.GetAllValues(ctx))
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for k, v := range md {
			if strings.HasPrefix(k, "x-") {
				t.Meta[k] = v
			}
		}
		if a := md[":authority"]; len(a) > 0 {
			t.Authority = a[0]
		}
	}
	if ri := rpcinfo.GetRPCInfo(ctx); ri != nil {
		inv := ri.Invocation()
		t.Path = inv.ServiceName() + "/" + inv.MethodName()
		if p := inv.PackageName(); p != "" {
			t.Path = p + "." + t.Path
		}
	}
	t.DeadlineMs = remaining(ctx)
	return t
}

func remaining(ctx context.Context) *int64 {
	d, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	ms := time.Until(d).Milliseconds()
	return &ms
}
