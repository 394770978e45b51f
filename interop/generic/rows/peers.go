package rows

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cloudwego/gopkg/bufiox"
	"github.com/cloudwego/gopkg/protocol/thrift/base"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/genericclient"
	"github.com/cloudwego/kitex/pkg/endpoint"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"
	"github.com/cloudwego/kitex/transport"

	"interop/wire"
)

// scripted is a server of raw bytes: it keeps the arguments of each call and answers with the result that
// is set, or with an exception where there is none.
type scripted struct {
	ln net.Listener

	mu        sync.Mutex
	result    []byte
	arguments []byte
	got       chan struct{}
}

func newScripted() (*scripted, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &scripted{ln: ln, got: make(chan struct{}, 1)}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

func (s *scripted) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		m, err := wire.Read(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.arguments = append([]byte{}, m.Body...)
		result := s.result
		s.mu.Unlock()
		select {
		case s.got <- struct{}{}:
		default:
		}
		if m.Type == wire.Oneway {
			continue
		}
		typ := wire.Reply
		if result == nil {
			typ, result = wire.Exception, wire.Text(1, "taken down")
		}
		payload := wire.Envelope(wire.Thrift, typ, m.Method, m.Seqid, result)
		if m.HasHeader() {
			payload = wire.TTHeader(wire.Head{Sequence: m.Sequence}, payload)
		} else {
			payload = wire.Frame(payload)
		}
		if _, err := conn.Write(payload); err != nil {
			return
		}
	}
}

// arm sets what the next call is answered with.
func (s *scripted) arm(result []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result, s.arguments = result, nil
	select {
	case <-s.got:
	default:
	}
}

// taken is the arguments of the last call; a oneway call's may still be on their way.
func (s *scripted) taken(wait time.Duration) ([]byte, bool) {
	select {
	case <-s.got:
	case <-time.After(wait):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arguments, s.arguments != nil
}

// rpcTimeout also ends the reads that Kitex itself does not end (of a void result without a field).
const rpcTimeout = time.Second

// callers are Kitex clients of a subject towards the scripted server.
type callers struct {
	generic genericclient.Client
	// bare is the same client with arguments of our choice.
	bare    client.Client
	subject *subject
}

type baseKey struct{}

// withBase does what a framework's middleware does: it sets the base of a generic call.
func withBase(next endpoint.Endpoint) endpoint.Endpoint {
	return func(ctx context.Context, req, resp any) error {
		if b, ok := ctx.Value(baseKey{}).(*Base); ok && b != nil {
			setter, ok := req.(interface{ GetOrSetBase() any })
			if !ok {
				return fmt.Errorf("%T has no base", req)
			}
			target := setter.GetOrSetBase().(*base.Base)
			target.LogID, target.Caller, target.Addr, target.Extra = b.LogID, b.Caller, b.Addr, b.Extra
		}
		return next(ctx, req, resp)
	}
}

func newCallers(s *subject, addr string, protocol transport.Protocol) (*callers, error) {
	opts := []client.Option{
		client.WithHostPorts(addr), client.WithTransportProtocol(protocol),
		client.WithRPCTimeout(rpcTimeout), client.WithMiddleware(withBase),
	}
	g, err := genericclient.NewClient("rows.svc", s.generic, opts...)
	if err != nil {
		return nil, err
	}
	opts = append([]client.Option{client.WithGeneric(s.generic), client.WithDestService("rows.svc")}, opts...)
	bare, err := client.NewClient(generic.ServiceInfoWithGeneric(s.generic), opts...)
	return &callers{generic: g, bare: bare, subject: s}, err
}

// rawArguments are written as they are. A struct, as Kitex's codec asks for by reflection.
type rawArguments struct{ bytes []byte }

// Write is what Kitex's Thrift codec asks of generic arguments.
func (a *rawArguments) Write(_ context.Context, _ string, out bufiox.Writer) error {
	_, err := out.WriteBinary(a.bytes)
	return err
}

// call is a generic call as a user makes it. A panic of Kitex's is an error like any other.
func (c *callers) call(method string, request any, b *Base) (response any, err error) {
	defer recovered(&err)
	ctx := context.WithValue(context.Background(), baseKey{}, b)
	if req, ok := request.(*http.Request); ok {
		if request, err = generic.FromHTTPRequest(req); err != nil {
			return nil, err
		}
	}
	response, err = c.generic.GenericCall(ctx, method, request)
	return response, short(err)
}

// short leaves out the stack of a panic that Kitex made an error of.
func short(err error) error {
	if err == nil {
		return nil
	}
	if text, _, ok := strings.Cut(err.Error(), "\nstack="); ok {
		return errors.New(text)
	}
	return err
}

// read has Kitex read a result: the arguments are no concern of the row.
func (c *callers) read(method string) (response any, err error) {
	defer recovered(&err)
	info := c.subject.generic.GenericMethod()(context.Background(), method)
	if info == nil {
		return nil, errors.New("no such method: " + method)
	}
	result := info.NewResult().(*generic.Result)
	err = c.bare.Call(context.Background(), method, &rawArguments{[]byte{0}}, result)
	return result.GetSuccess(), short(err)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// served is a Kitex generic server of a subject.
type served struct {
	server server.Server
	addr   string

	mu      sync.Mutex
	request any
	called  bool
	answer  any
}

func newServed(s *subject) (*served, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	out := &served{addr: ln.Addr().String()}
	handler := &generic.ServiceV2{GenericCall: func(_ context.Context, _, _ string, request any) (any, error) {
		out.mu.Lock()
		defer out.mu.Unlock()
		out.called, out.request = true, request
		return out.answer, nil
	}}
	out.server = genericserver.NewServerV2(handler, s.generic, server.WithListener(ln))
	ended := make(chan error, 1)
	go func() { ended <- out.server.Run() }()
	for range 200 {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the generic server ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", out.addr); err == nil {
			return out, conn.Close()
		}
	}
	return nil, errors.New("the generic server does not listen")
}

// exchange sends a call of raw arguments and gives what the handler saw and the raw reply.
func (s *served) exchange(method string, arguments []byte, answer any) (called bool, request any, reply *wire.Message, err error) {
	s.mu.Lock()
	s.called, s.request, s.answer = false, nil, answer
	s.mu.Unlock()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return false, nil, nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rpcTimeout))
	if _, err = conn.Write(wire.Frame(wire.Envelope(wire.Thrift, wire.Call, method, 7, arguments))); err != nil {
		return false, nil, nil, err
	}
	reply, err = wire.Read(bufio.NewReader(conn))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.called, s.request, reply, err
}

// httpRequest is the request of a row of the HTTP mapping.
type httpRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Cookies map[string]string `json:"cookies"`
	Body    *string           `json:"body"`
}

func (h *httpRequest) build() (*http.Request, error) {
	var body *strings.Reader
	if h.Body != nil {
		body = strings.NewReader(*h.Body)
	}
	url := h.URL
	if strings.HasPrefix(url, "/") {
		url = "http://gateway.test" + url
	}
	var req *http.Request
	var err error
	if body == nil {
		req, err = http.NewRequest(h.Method, url, nil)
	} else {
		req, err = http.NewRequest(h.Method, url, body)
	}
	if err != nil {
		return nil, err
	}
	for k, v := range h.Headers {
		req.Header.Set(k, v)
	}
	for k, v := range h.Cookies {
		req.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	return req, nil
}
