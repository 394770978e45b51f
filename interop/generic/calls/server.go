package calls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"

	"interop/kitex_gen/gen"
	gensvc "interop/kitex_gen/gen/generic"
	"interop/kitex_gen/gen/second"
	"interop/kitex_gen/livep"
	livepsvc "interop/kitex_gen/livep/livep"
)

// Server is a running Kitex server.
type Server struct {
	Addr string
	svr  server.Server
}

// Stop ends it.
func (s *Server) Stop() { _ = s.svr.Stop() }

func start(build func(opts ...server.Option) (server.Server, error)) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	svr, err := build(
		server.WithListener(ln),
		server.WithServerBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "gen.svc"}),
		server.WithMetaHandler(transmeta.ServerTTHeaderHandler),
		server.WithMetaHandler(transmeta.ServerHTTP2Handler),
		server.WithCompatibleMiddlewareForUnary(),
		server.WithExitWaitTime(100*time.Millisecond),
	)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- svr.Run() }()
	for range 400 {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("a server ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			return &Server{ln.Addr().String(), svr}, conn.Close()
		}
	}
	return nil, errors.New("a server does not listen")
}

// StartGenerated is a Kitex server of generated code, with both services. With unknown, bytes of unknown
// services and methods come back as they are.
func StartGenerated(unknown bool) (*Server, error) {
	return start(func(opts ...server.Option) (server.Server, error) {
		svr := server.NewServer(opts...)
		if unknown {
			if err := registerUnknown(svr); err != nil {
				return nil, err
			}
		}
		if err := gensvc.RegisterService(svr, &handler{}, server.WithFallbackService()); err != nil {
			return nil, err
		}
		return svr, second.RegisterService(svr, &secondHandler{})
	})
}

// StartProtobuf is a Kitex server of the generated Protobuf service.
func StartProtobuf() (*Server, error) {
	return start(func(opts ...server.Option) (server.Server, error) {
		svr := server.NewServer(opts...)
		return svr, livepsvc.RegisterService(svr, &pbHandler{})
	})
}

func registerUnknown(svr server.Server) error {
	return genericserver.RegisterUnknownServiceOrMethodHandler(svr, &genericserver.UnknownServiceOrMethodHandler{
		DefaultHandler: func(_ context.Context, _, _ string, request any) (any, error) { return request, nil },
		StreamingHandler: func(ctx context.Context, _, _ string, stream generic.BidiStreamingServer) error {
			for {
				m, err := stream.Recv(ctx)
				if err != nil {
					return nil
				}
				if err := stream.Send(ctx, m); err != nil {
					return err
				}
			}
		},
	})
}

var errBoom = errors.New("boom")

func notFound() error {
	return kerrors.NewBizStatusErrorWithExtra(404, "not found", map[string]string{"k": "v"})
}

// late is ordered at the end of a stream. Kitex's clients drop messages that they have when the end with
// an error is there, too.
func late(text string) error {
	err := ordered(text)
	if err != nil {
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

// ordered does what a text orders; without an order, nothing.
func ordered(text string) error {
	switch text {
	case "biz":
		return notFound()
	case "abort":
		return errBoom
	}
	return nil
}

type handler struct {
	mu   sync.Mutex
	told []string
}

func (*handler) Inherited(_ context.Context, text string) (string, error) {
	return "inherited " + text, nil
}

func (*handler) Echo(_ context.Context, req *gen.Note) (*gen.Note, error) {
	switch req.Text {
	case "refuse":
		return nil, &gen.Refused{Code: 400, Why: "refused"}
	case "busy":
		return nil, &gen.Busy{Seconds: 9}
	case "empty":
		return nil, nil
	}
	return req, ordered(req.Text)
}

func (*handler) Ping(_ context.Context, text string) (string, error)     { return text, ordered(text) }
func (*handler) Bytes(_ context.Context, blob []byte) ([]byte, error)    { return blob, nil }
func (*handler) Numbers(_ context.Context, n []int64) ([]int64, error)   { return n, nil }
func (*handler) Nothing(_ context.Context, text string) error            { return ordered(text) }
func (*handler) Unary(_ context.Context, n *gen.Note) (*gen.Note, error) { return n, ordered(n.Text) }

func (h *handler) Tell(_ context.Context, text string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, text)
	return nil
}

// Told answers what Tell was told with this prefix.
func (h *handler) Told(_ context.Context, prefix string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, t := range h.told {
		if strings.HasPrefix(t, prefix) {
			out = append(out, t)
		}
	}
	return "told " + strings.Join(out, ","), nil // never empty: dynamicgo writes empty text wrongly
}

func (*handler) Fetch(_ context.Context, req *gen.Fetch) (*gen.Fetched, error) {
	switch req.Id {
	case 400:
		return nil, &gen.Refused{Code: 400, Why: "refused"}
	case 404:
		return nil, notFound()
	case 500:
		return nil, errBoom
	}
	return fetched("fetch", req), nil
}

func (*handler) Remove(_ context.Context, req *gen.Fetch) (*gen.Fetched, error) {
	return fetched("remove", req), nil
}

func (*handler) Replace(_ context.Context, req *gen.Fetch) (*gen.Fetched, error) {
	return fetched("replace", req), nil
}

func fetched(what string, req *gen.Fetch) *gen.Fetched {
	hidden := "hidden"
	out := &gen.Fetched{
		Text:   fmt.Sprintf("%s id=%d q=[%s] session=[%s] plain=[%s] flag=%v", what, req.Id, req.GetQ(), req.GetSession(), req.GetPlain(), req.GetFlag()),
		Trace:  req.Token,
		Ids:    req.Ids,
		Item:   req.Item,
		Counts: map[string]int64{"id": req.Id},
		Hidden: &hidden,
	}
	if req.Id == 201 {
		code := int32(201)
		out.Code = &code
	}
	return out
}

func (*handler) Upload(ctx context.Context, stream gen.Generic_UploadServer) error {
	var texts []string
	out := gen.NewNote()
	for {
		m, err := stream.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		texts = append(texts, m.Text)
		out.Number += m.Number
	}
	out.Text = strings.Join(texts, ",")
	if len(texts) > 0 {
		if err := ordered(texts[0]); err != nil {
			return err
		}
	}
	return stream.SendAndClose(ctx, out)
}

func (*handler) Download(ctx context.Context, req *gen.Note, stream gen.Generic_DownloadServer) error {
	for i := range req.Number {
		m := gen.NewNote()
		m.Text, m.Number = fmt.Sprintf("%s %d", req.Text, i), i
		if err := stream.Send(ctx, m); err != nil {
			return err
		}
	}
	return late(req.Text)
}

func (*handler) Chat(ctx context.Context, stream gen.Generic_ChatServer) error {
	for {
		m, err := stream.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := late(m.Text); err != nil {
			return err
		}
		if err := stream.Send(ctx, m); err != nil {
			return err
		}
	}
}

type secondHandler struct{}

func (*secondHandler) Whoami(_ context.Context, text string) (string, error) {
	return "second " + text, nil
}

func (*secondHandler) Other(_ context.Context, req *gen.Note) (*gen.Note, error) { return req, nil }

type pbHandler struct{}

func (*pbHandler) Ask(_ context.Context, m *livep.Msg) (*livep.Msg, error) {
	return m, ordered(m.Text)
}

func (*pbHandler) Upload(ctx context.Context, stream livep.LiveP_UploadServer) error {
	var texts []string
	out := &livep.Msg{}
	for {
		m, err := stream.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		texts = append(texts, m.Text)
		out.N += m.N
	}
	out.Text = strings.Join(texts, ",")
	if len(texts) > 0 {
		if err := ordered(texts[0]); err != nil {
			return err
		}
	}
	return stream.SendAndClose(ctx, out)
}

func (*pbHandler) Download(ctx context.Context, req *livep.Msg, stream livep.LiveP_DownloadServer) error {
	for i := range req.N {
		if err := stream.Send(ctx, &livep.Msg{Text: fmt.Sprintf("%s %d", req.Text, i), N: i}); err != nil {
			return err
		}
	}
	return late(req.Text)
}

func (*pbHandler) Chat(ctx context.Context, stream livep.LiveP_ChatServer) error {
	for {
		m, err := stream.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := late(m.Text); err != nil {
			return err
		}
		if err := stream.Send(ctx, m); err != nil {
			return err
		}
	}
}
