package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cloudwego/prutal"
	"golang.org/x/net/http2"

	"interop/kitex_gen/livep"
	"interop/live"
	"interop/matrix"
)

// A driven case is played by the runner itself, because more happens in it than calls: peers that
// go, proxies that drain, peers that break off in the middle.
type driven struct {
	name string
	play func(*Lab) error
}

var drivenCases = []driven{
	{"GOAWAY of a backend while streams are open: they end well, new calls go elsewhere", (*Lab).goaway},
	{"drain of the proxy while streams are open, gRPC and ttstream: they end well", (*Lab).drain},
	{"backend killed while a stream is open, gRPC", func(l *Lab) error { return l.killed(overGrpc) }},
	{"backend killed while a stream is open, ttstream", func(l *Lab) error { return l.killed(overTtstream) }},
	{"reset by the backend in the middle of a message, with each code", (*Lab).resetByBackend},
	{"loss of the backend's connection in the middle of a message", (*Lab).lostInMessage},
	{"reset by the caller in the middle of a message", (*Lab).resetByCaller},
	{"rst by the backend, ttstream: to a ttstream caller as it is, to a gRPC caller as a status", (*Lab).rstByBackend},
	{"loss of the backend's connection in the middle of a ttstream frame", (*Lab).lostInFrame},
	{"REFUSED_STREAM is tried once more", (*Lab).refused},
	{"GOAWAY with the stream unprocessed is tried once more", (*Lab).unprocessed},
	{"no route, gRPC: the answers of a stock Kitex server (kitex_status), and UNIMPLEMENTED without", (*Lab).noRouteGrpc},
	{"no route, ttstream: an answer where a stock server is silent", (*Lab).noRouteTtstream},
	{"a listener that refuses a protocol says so at once", (*Lab).refusedProtocol},
	{"calls without an IDL to an unknown-service handler (U1–U8)", (*Lab).unknown},
}

var (
	overGrpc     = live.Client{Lib: "kitex", Codec: "thrift", Transport: "grpc"}
	overTtstream = live.Client{Lib: "kitex", Codec: "thrift", Transport: "ttstream"}
	overGrpcGo   = live.Client{Lib: "grpc-go", Codec: "protobuf", Transport: "grpc"}
)

func at(c live.Client, addr string) live.Client {
	c.Target = addr
	return c
}

func (l *Lab) drive() {
	fmt.Fprintln(l.out, "\nplayed by the runner")
	for _, d := range drivenCases {
		if !strings.Contains(d.name, l.CaseFilter) {
			continue
		}
		done := make(chan error, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					done <- fmt.Errorf("panic: %v", p)
				}
			}()
			done <- d.play(l)
		}()
		var err error
		select {
		case err = <-done:
		case <-time.After(90 * time.Second):
			err = errors.New("no end within 90 s")
		}
		result := "ok"
		if err != nil {
			result = "FAIL"
			l.fail(d.name, "    "+err.Error()+"\n")
		} else {
			l.ok()
		}
		fmt.Fprintf(l.out, "  %-96s %s\n", d.name, result)
	}
}

// start runs the proxy with a configuration of its own; a proxy's log goes into an error.
func (l *Lab) start(config string) (*matrix.Proxy, error) {
	return matrix.StartProxyWith(l.Proxy, l.Dir, "name = \"p1\"\nworkers = 2\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n"+config)
}

func cluster(name string, endpoints ...string) string {
	quoted := make([]string, len(endpoints))
	for i, e := range endpoints {
		quoted[i] = fmt.Sprintf("%q", e)
	}
	return fmt.Sprintf("\n[cluster.%s]\nendpoints = [%s]\n", name, strings.Join(quoted, ", "))
}

const toB = "\n[[route]]\ncluster = \"b\"\n"

// talk is a Chat of which one message has been echoed.
func talk(c *live.Conn) (*live.Stream, error) {
	st, err := c.Open(context.Background(), "Chat", nil)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return st, echo(st, 0)
}

func echo(st *live.Stream, i int32) error {
	if err := st.Send(&live.Msg{Text: "hello", N: i}); err != nil {
		return fmt.Errorf("send %d: %w", i, err)
	}
	m, err := st.Recv()
	if err != nil {
		return fmt.Errorf("receive %d: %w", i, err)
	}
	if m.N != i || m.Text != "hello" {
		return fmt.Errorf("receive %d: got %d", i, m.N)
	}
	return nil
}

// goOn echoes a few more and ends the stream.
func goOn(st *live.Stream) error {
	for i := int32(1); i < 4; i++ {
		if err := echo(st, i); err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond)
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("no clean end: %v", err)
	}
	return nil
}

func (l *Lab) goaway() error {
	a, err := serve(find(l.peers.servers, "grpc-go"))
	if err != nil {
		return err
	}
	defer a.Kill()
	b, err := serve(find(l.peers.servers, "grpc-go"))
	if err != nil {
		return err
	}
	defer b.Kill()
	p, err := l.start(toB + cluster("b", a.addr, b.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	c := live.Dial(at(overGrpcGo, p.Addr))
	defer c.Close()
	var open []*live.Stream
	for range 8 {
		st, err := talk(c)
		if err != nil {
			return err
		}
		open = append(open, st)
	}
	a.Term()
	time.Sleep(200 * time.Millisecond)
	if !a.Alive() {
		return errors.New("none of the streams was at the server that was to go")
	}
	for i := range 20 {
		if _, end := c.Ask(context.Background(), &live.Msg{Text: "during"}); end.Kind != "ok" {
			return fmt.Errorf("new call %d while one backend goes: %+v", i, end)
		}
	}
	for i, st := range open {
		if err := goOn(st); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	select {
	case <-a.Done():
		return nil
	case <-time.After(5 * time.Second):
		return errors.New("the server that goes still has a stream")
	}
}

func (l *Lab) drain() error {
	s, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer s.Kill()
	p, err := l.start(toB + cluster("b", s.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	var open []*live.Stream
	for _, kind := range []live.Client{overGrpc, overTtstream} {
		c := live.Dial(at(kind, p.Addr))
		defer c.Close()
		st, err := talk(c)
		if err != nil {
			return err
		}
		open = append(open, st)
	}
	p.Process().Term()
	time.Sleep(200 * time.Millisecond)
	if !p.Process().Alive() {
		return errors.New("the proxy did not wait for the streams")
	}
	for i, st := range open {
		if err := goOn(st); err != nil {
			return fmt.Errorf("%s: %w", []string{"gRPC", "ttstream"}[i], err)
		}
	}
	select {
	case <-p.Process().Done():
		return nil
	case <-time.After(5 * time.Second):
		return errors.New("the proxy did not end within 5 s of the last stream")
	}
}

// killed opens a Chat at one backend and an Upload at another, on one connection, and kills the first
// backend.
func (l *Lab) killed(kind live.Client) error {
	play := func(addr string, kill func()) (live.Ended, error) {
		c := live.Dial(at(kind, addr))
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		chat, err := talk(c)
		if err != nil {
			return live.Ended{}, err
		}
		upload, err := c.Open(ctx, "Upload", nil)
		if err != nil {
			return live.Ended{}, err
		}
		if err := upload.Send(&live.Msg{Text: "one", N: 1}); err != nil {
			return live.Ended{}, err
		}
		kill()
		_, err = chat.Recv()
		end := chat.End(err)
		if err := upload.Send(&live.Msg{Text: "two", N: 2}); err != nil {
			return end, fmt.Errorf("the other stream: %w", err)
		}
		if err := upload.CloseSend(); err != nil {
			return end, fmt.Errorf("the other stream: %w", err)
		}
		m, err := upload.Recv()
		if err != nil || m.Text != "2" {
			return end, fmt.Errorf("the other stream: %v, %w", m, err)
		}
		return end, nil
	}
	s, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer s.Kill()
	want, _ := play(s.addr, s.Kill) // directly both streams are at the one server
	if want.Kind == "ok" || want.Kind == "" {
		return fmt.Errorf("directly: %+v", want)
	}
	a, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer a.Kill()
	b, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer b.Kill()
	p, err := l.start("\n[[route]]\nmethod = \"Chat\"\ncluster = \"a\"\n" + toB + cluster("a", a.addr) + cluster("b", b.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	got, err := play(p.Addr, a.Kill)
	if err != nil {
		return err
	}
	if kind.Transport == "grpc" {
		// A Kitex client tells of its own connection's loss in another way than of status 14.
		if got.Kind != "status" || got.Code != 14 {
			return fmt.Errorf("expected status 14 (directly: %+v), got %+v", want, got)
		}
		return nil
	}
	if got.Kind != want.Kind {
		return fmt.Errorf("expected %+v, got %+v", want, got)
	}
	return nil
}

// rawPair runs a case against a raw server directly and through the proxy.
func (l *Lab) rawPair(kind live.Client, answer func(*rawConn, int, int, uint32), play func(addr string) string) (want, got string, err error) {
	run := func(proxied bool) (string, error) {
		s, err := serveRaw(answer)
		if err != nil {
			return "", err
		}
		defer s.stop()
		addr := s.addr()
		if proxied {
			p, err := l.start(toB + cluster("b", addr))
			if err != nil {
				return "", err
			}
			defer p.Stop()
			addr = p.Addr
		}
		return play(addr), nil
	}
	if want, err = run(false); err != nil {
		return
	}
	got, err = run(true)
	return
}

func downloadEnd(addr string) string {
	c := live.Dial(at(overGrpcGo, addr))
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := c.Open(ctx, "Download", &live.Msg{Text: "x"})
	if err != nil {
		return "open: " + text(c.Sort(err))
	}
	messages := 0
	for {
		if _, err = st.Recv(); err != nil {
			break
		}
		messages++
	}
	end := st.End(err)
	if end.Kind != "ok" {
		lastWords = end.Message
	}
	return fmt.Sprintf("%d messages, %s %d", messages, end.Kind, end.Code)
}

// lastWords is the message of the last end that was not good, for reports.
var lastWords string

var bodyOf = func() []byte {
	body, err := prutal.MarshalAppend(nil, &livep.Msg{Text: "whole", N: 1})
	if err != nil {
		panic(err)
	}
	return body
}()

func (l *Lab) resetByBackend() error {
	codes := []http2.ErrCode{
		http2.ErrCodeProtocol, http2.ErrCodeInternal, http2.ErrCodeFlowControl, http2.ErrCodeRefusedStream,
		http2.ErrCodeCancel, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeInadequateSecurity, 1000,
	}
	var wrong []string
	for _, code := range codes {
		answer := func(c *rawConn, _, _ int, stream uint32) {
			c.headers(stream, false, ":status", "200", "content-type", "application/grpc")
			c.write(func(f *http2.Framer) {
				_ = f.WriteData(stream, false, append(message(bodyOf), part(100, []byte("half of it"))...))
			})
			time.Sleep(50 * time.Millisecond)
			c.write(func(f *http2.Framer) { _ = f.WriteRSTStream(stream, code) })
		}
		want, got, err := l.rawPair(overGrpcGo, answer, downloadEnd)
		if err != nil {
			return err
		}
		if want != got {
			wrong = append(wrong, fmt.Sprintf("code %d: expected %s, got %s", code, want, got))
		}
	}
	return wrongs(wrong)
}

func wrongs(all []string) error {
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "\n    "))
}

func (l *Lab) lostInMessage() error {
	answer := func(c *rawConn, _, _ int, stream uint32) {
		c.headers(stream, false, ":status", "200", "content-type", "application/grpc")
		c.write(func(f *http2.Framer) {
			_ = f.WriteData(stream, false, append(message(bodyOf), part(100, []byte("half of it"))...))
		})
		time.Sleep(50 * time.Millisecond)
		_ = c.Close()
	}
	want, got, err := l.rawPair(overGrpcGo, answer, downloadEnd)
	if err != nil {
		return err
	}
	// The half message has been passed on when the loss shows, and no status behind it is believed:
	// grpc-go tells of the half message instead, with 13. The killed backends above are told with 14.
	if want != "1 messages, status 14" || got != want && got != "1 messages, status 13" {
		return fmt.Errorf("directly %s, through the proxy %s (%s)", want, got, lastWords)
	}
	return nil
}

func (l *Lab) resetByCaller() error {
	s, err := serve(find(l.peers.servers, "grpc-go"))
	if err != nil {
		return err
	}
	defer s.Kill()
	play := func(addr string) (string, error) {
		c, err := callRaw(addr, "/"+live.ServiceP+"/Upload")
		if err != nil {
			return "", err
		}
		defer c.Close()
		first, err := prutal.MarshalAppend(nil, &livep.Msg{Text: live.Script{Case: "raw", Observe: true}.Text()})
		if err != nil {
			return "", err
		}
		c.write(func(f *http2.Framer) {
			_ = f.WriteData(1, false, append(message(first), part(100, []byte("half of it"))...))
		})
		time.Sleep(200 * time.Millisecond)
		c.write(func(f *http2.Framer) { _ = f.WriteRSTStream(1, http2.ErrCodeCancel) })
		return text(normalSeen(s.take(1))), nil
	}
	want, err := play(s.addr)
	if err != nil {
		return err
	}
	p, err := l.start(toB + cluster("b", s.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	got, err := play(p.Addr)
	if err != nil {
		return err
	}
	if got != want || !strings.Contains(want, `"cancelled":true`) {
		return fmt.Errorf("the server saw directly %s, through the proxy %s", want, got)
	}
	return nil
}

// ttEnd is how a Download ends that a raw ttstream server answers, by the callers named.
func (l *Lab) ttEnd(answer func(net.Conn, int32), config string, kind live.Client, proxied bool) (live.Ended, int, error) {
	s, err := serveRawTT(answer)
	if err != nil {
		return live.Ended{}, 0, err
	}
	defer s.Close()
	addr := s.Addr().String()
	if proxied {
		p, err := l.start(toB + cluster("b", addr) + config)
		if err != nil {
			return live.Ended{}, 0, err
		}
		defer p.Stop()
		addr = p.Addr
	}
	c := live.Dial(at(kind, addr))
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := c.Open(ctx, "Download", &live.Msg{Text: "x"})
	if err != nil {
		return live.Ended{}, 0, err
	}
	messages := 0
	for {
		if _, err = st.Recv(); err != nil {
			return st.End(err), messages, nil
		}
		messages++
	}
}

func (l *Lab) rstByBackend() error {
	answer := func(c net.Conn, id int32) {
		_, _ = c.Write(slices.Concat(
			ttFrame{id: id, kind: ttHeader, method: "Download"}.bytes(),
			ttFrame{id: id, kind: ttData, method: "Download", payload: ttMsg("one")}.bytes(),
		))
		time.Sleep(50 * time.Millisecond)
		_, _ = c.Write(ttFrame{
			id: id, kind: ttRst, method: "Download", strings: [][2]string{{"ttscp", "mesh"}},
			payload: ttException("Download", id, 1204, "the mesh gave up"),
		}.bytes())
	}
	want, messages, err := l.ttEnd(answer, "", overTtstream, false)
	if err != nil {
		return err
	}
	if messages != 1 || want.Code != 1204 {
		return fmt.Errorf("directly %d messages and %s", messages, text(want))
	}
	got, messages, err := l.ttEnd(answer, "", overTtstream, true)
	if err != nil {
		return err
	}
	if text(got) != text(want) || messages != 1 {
		return fmt.Errorf("expected %s, got %d messages and %s", text(want), messages, text(got))
	}
	got, messages, err = l.ttEnd(answer, toTtstream+"\n", overGrpc, true)
	if err != nil {
		return err
	}
	if got.Kind != "status" || got.Code != 1 || messages != 1 || !strings.Contains(got.Message, "the mesh gave up") || !strings.Contains(got.Message, "mesh") {
		return fmt.Errorf("gRPC caller: expected status 1 with the text, got %d messages and %s", messages, text(got))
	}
	return nil
}

func (l *Lab) lostInFrame() error {
	answer := func(c net.Conn, id int32) {
		whole := ttFrame{id: id, kind: ttData, method: "Download", payload: ttMsg("two, of which a part comes")}.bytes()
		_, _ = c.Write(slices.Concat(
			ttFrame{id: id, kind: ttHeader, method: "Download"}.bytes(),
			ttFrame{id: id, kind: ttData, method: "Download", payload: ttMsg("one")}.bytes(),
			whole[:len(whole)-10],
		))
		time.Sleep(50 * time.Millisecond)
		_ = c.Close()
	}
	want, messages, err := l.ttEnd(answer, "", overTtstream, false)
	if err != nil {
		return err
	}
	if messages != 1 || want.Kind != "error" {
		return fmt.Errorf("directly %d messages and %s", messages, text(want))
	}
	// A loss is told as an error of the stream, whose connection lives on: its code is another one.
	got, messages, err := l.ttEnd(answer, "", overTtstream, true)
	if err != nil {
		return err
	}
	if got.Kind != "error" || messages != 1 {
		return fmt.Errorf("expected an error such as %s, got %d messages and %s", text(want), messages, text(got))
	}
	got, messages, err = l.ttEnd(answer, toTtstream+"\n", overGrpc, true)
	if err != nil {
		return err
	}
	if got.Kind != "status" || got.Code != 14 || messages != 1 {
		return fmt.Errorf("gRPC caller: expected status 14, got %d messages and %s", messages, text(got))
	}
	return nil
}

func answerWell(c *rawConn, stream uint32) {
	c.headers(stream, false, ":status", "200", "content-type", "application/grpc")
	c.write(func(f *http2.Framer) { _ = f.WriteData(stream, false, message(bodyOf)) })
	c.headers(stream, true, "grpc-status", "0")
}

func (l *Lab) refused() error {
	answer := func(c *rawConn, _, call int, stream uint32) {
		if call == 1 {
			c.write(func(f *http2.Framer) { _ = f.WriteRSTStream(stream, http2.ErrCodeRefusedStream) })
			return
		}
		answerWell(c, stream)
	}
	want, got, err := l.rawPair(overGrpcGo, answer, downloadEnd)
	if err != nil {
		return err
	}
	if got != want || got != "1 messages, ok 0" {
		return fmt.Errorf("directly %s, through the proxy %s (%s)", want, got, lastWords)
	}
	return nil
}

func (l *Lab) unprocessed() error {
	answer := func(c *rawConn, conn, _ int, stream uint32) {
		if conn == 1 {
			c.write(func(f *http2.Framer) { _ = f.WriteGoAway(0, http2.ErrCodeNo, []byte("going")) })
			return
		}
		answerWell(c, stream)
	}
	want, got, err := l.rawPair(overGrpcGo, answer, downloadEnd)
	if err != nil {
		return err
	}
	if got != want || got != "1 messages, ok 0" {
		return fmt.Errorf("directly %s, through the proxy %s (%s)", want, got, lastWords)
	}
	return nil
}

func (l *Lab) noRouteGrpc() error {
	s, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer s.Kill()
	routed := "\n[[route]]\nservice = \"Live\"\nmethod = \"Chat\"\ncluster = \"b\"\n\n[[route]]\nservice = \"Live\"\nmethod = \"Ask\"\ncluster = \"b\"\n" + cluster("b", s.addr)
	stock, err := l.start("kitex_status = true\n" + routed)
	if err != nil {
		return err
	}
	defer stock.Stop()
	standard, err := l.start(routed)
	if err != nil {
		return err
	}
	defer standard.Stop()
	ask := func(addr, service, method string, stream bool) live.Ended {
		c := live.Dial(at(overGrpc, addr))
		defer c.Close()
		if !stream {
			return c.AskGhost(context.Background(), service, method)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		st, err := c.OpenGhost(ctx, service, method)
		if err != nil {
			return c.Sort(err)
		}
		_ = st.Send(&live.Msg{Text: "boo"})
		_, err = st.Recv()
		return st.End(err)
	}
	var wrong []string
	for _, g := range []struct {
		service, method string
		stream          bool
	}{{"GhostService", "Nope", false}, {"Live", "Nope", false}, {"GhostService", "Nope", true}, {"Live", "Nope", true}} {
		want, got, plain := ask(s.addr, g.service, g.method, g.stream), ask(stock.Addr, g.service, g.method, g.stream), ask(standard.Addr, g.service, g.method, g.stream)
		// An answer of the proxy's own says so in its text, which has Kitex's words in it (C5, rule 9).
		if want.Kind != got.Kind || want.Code != got.Code || !strings.Contains(got.Message, want.Message) {
			wrong = append(wrong, fmt.Sprintf("%v with kitex_status: expected %s, got %s", g, text(want), text(got)))
		}
		if plain.Kind != "status" || plain.Code != 12 {
			wrong = append(wrong, fmt.Sprintf("%v: expected status 12, got %s", g, text(plain)))
		}
	}
	return wrongs(wrong)
}

func (l *Lab) noRouteTtstream() error {
	s, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer s.Kill()
	p, err := l.start("\n[[route]]\nservice = \"Live\"\nmethod = \"Chat\"\ncluster = \"b\"\n" + cluster("b", s.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	c := live.Dial(at(overTtstream, p.Addr))
	defer c.Close()
	var wrong []string
	for _, g := range [][3]string{{"GhostService", "Nope", "unknown service"}, {"Live", "Nope", "unknown method"}} {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		st, err := c.OpenGhost(ctx, g[0], g[1])
		end := live.Ended{}
		if err != nil {
			end = c.Sort(err)
		} else {
			_ = st.Send(&live.Msg{Text: "boo"})
			_, err = st.Recv()
			end = st.End(err)
		}
		cancel()
		if end.Kind != "error" || end.Code != 12001 || !strings.Contains(end.Message, g[2]) {
			wrong = append(wrong, fmt.Sprintf("%v: %s", g, text(end)))
		}
	}
	// The connection is as good as before.
	if st, err := talk(c); err != nil {
		wrong = append(wrong, "afterwards: "+err.Error())
	} else if err := goOn(st); err != nil {
		wrong = append(wrong, "afterwards: "+err.Error())
	}
	return wrongs(wrong)
}

func (l *Lab) refusedProtocol() error {
	s, err := serve(find(l.peers.servers, "kitex-thrift"))
	if err != nil {
		return err
	}
	defer s.Kill()
	var wrong []string
	for protocol, kind := range map[string]live.Client{"ttstream": overGrpcGo, "grpc": overTtstream} {
		p, err := l.start(protocols(protocol) + "\n" + toB + cluster("b", s.addr))
		if err != nil {
			return err
		}
		start := time.Now()
		c := live.Dial(at(kind, p.Addr))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		st, err := c.Open(ctx, "Chat", nil)
		if err == nil {
			_ = st.Send(&live.Msg{Text: "boo"})
			_, err = st.Recv()
		}
		if err == nil || time.Since(start) > 3*time.Second {
			wrong = append(wrong, fmt.Sprintf("%s client at a listener for %s: %v after %v", kind.Transport, protocol, err, time.Since(start)))
		}
		cancel()
		c.Close()
		p.Stop()
	}
	return wrongs(wrong)
}

func (l *Lab) unknown() error {
	s, err := serve(find(l.peers.servers, "kitex-thrift"), "-unknown")
	if err != nil {
		return err
	}
	defer s.Kill()
	p, err := l.start(toB + cluster("b", s.addr))
	if err != nil {
		return err
	}
	defer p.Stop()
	var wrong []string
	good := 0
	for _, by := range slices.Sorted(maps.Keys(live.OpaqueTransports)) {
		for _, target := range [][2]string{{"GhostService", "Nope"}, {"Live", "Nope"}} {
			want, got := live.Unknown(s.addr, by, target[0], target[1]), live.Unknown(p.Addr, by, target[0], target[1])
			for _, what := range slices.Sorted(maps.Keys(want)) {
				if want[what] == "the same bytes" {
					good++
				}
				if want[what] != got[what] {
					wrong = append(wrong, fmt.Sprintf("%s, %v, %s: expected %s, got %s", by, target, what, want[what], got[what]))
				}
			}
		}
	}
	if good < 25 {
		known, _ := json.Marshal(live.Unknown(s.addr, "gRPC", "GhostService", "Nope"))
		wrong = append(wrong, fmt.Sprintf("only %d calls were echoed directly, such as %s", good, known))
	}
	return wrongs(wrong)
}
