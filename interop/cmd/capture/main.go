// Command capture records the bytes between a released Kitex client and a released Kitex server for
// the cases of the golden vectors, and compares the two.
//
//	capture              record and compare, write nothing
//	capture -write       record, compare, and write the committed files anew
//
// Kitex counts its sequence ids in the process and starts at 1, as the vectors do; so each call is
// made by a process of its own (`capture -one <name> -addr <addr>`).
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/remote/codec"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/transport"

	"interop/capture"
	"interop/kitex_gen/echo/echoservice"
	"interop/kitex_gen/pbecho"
	"interop/kitex_gen/pbecho/pbechoservice"
	"interop/matrix"
	"interop/peer"
	"interop/wire"
)

var (
	pure    = client.WithTransportProtocol(transport.PurePayload)
	header  = client.WithTransportProtocol(transport.TTHeader)
	handler = client.WithMetaHandler(transmeta.ClientTTHeaderHandler)
	crc     = client.WithCodec(codec.NewDefaultCodecWithConfig(codec.CodecConfig{CRC32Check: true}))
)

// call is one call of a stock client, made in a process of its own.
type call struct {
	opts   []client.Option
	ctx    func(context.Context) context.Context
	msg    string
	oneway bool
	pb     bool
	method string // of the service, when it is not echo
}

// scenario is a call, the server it goes to, and the vectors that its two directions belong to.
type scenario struct {
	name           string
	server         peer.Options
	call           call
	request, reply string
	// term asks the server to shut down after the call.
	term bool
}

func with(opts ...client.Option) []client.Option { return opts }

func token(ctx context.Context) context.Context {
	return metainfo.WithValue(ctx, "gdpr-token", "tok")
}

func full(ctx context.Context) context.Context {
	return metainfo.WithPersistentValue(metainfo.WithValue(token(ctx), "t1", "tv"), "p1", "pv")
}

var (
	none    = peer.Options{}
	handled = peer.Options{Handler: true}
	summing = peer.Options{Handler: true, Crc32c: true}
	pbuf    = peer.Options{Handler: true, Protobuf: true}
	muxed   = peer.Options{Handler: true, Mux: true}
)

var scenarios = []scenario{
	{name: "buffered", server: none, call: call{opts: with(pure), msg: "hi"}, request: "buffered_call", reply: "buffered_reply"},
	{name: "framed", server: none, call: call{msg: "hi"}, request: "framed_call", reply: "framed_reply"},
	{name: "framed throw", server: none, call: call{msg: "throw"}, reply: "framed_reply_declared_exception"},
	{name: "framed biz", server: none, call: call{msg: "biz"}, reply: "framed_reply_empty_result"},
	{name: "framed boom", server: none, call: call{msg: "boom"}, reply: "framed_exception_internal_error"},
	{name: "framed oneway", server: none, call: call{msg: "hi", oneway: true}, request: "framed_oneway"},
	{name: "minimal", server: none, call: call{opts: with(pure, header), msg: "hi"}, request: "ttheader_call_minimal", reply: "ttheader_reply_no_handler"},
	{name: "minimal framed", server: handled, call: call{opts: with(header), msg: "hi"}, request: "ttheader_framed_call_minimal"},
	{name: "handler framed", server: handled, call: call{opts: with(header, handler), msg: "hi"}, request: "ttheader_framed_call_client_handler", reply: "ttheader_framed_reply_handler"},
	{name: "full", server: handled, call: call{opts: with(pure, header, handler,
		client.WithClientBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "caller.svc"}),
		client.WithRPCTimeout(1500*time.Millisecond), client.WithConnectTimeout(200*time.Millisecond)),
		ctx: full, msg: "hi"}, request: "ttheader_call_full", reply: "ttheader_reply_handler"},
	{name: "acl only", server: handled, call: call{opts: with(pure, header), ctx: token, msg: "hi"}, request: "ttheader_call_acl_only"},
	{name: "oneway", server: handled, call: call{opts: with(pure, header, handler), msg: "hi", oneway: true}, request: "ttheader_oneway"},
	{name: "biz", server: handled, call: call{opts: with(pure, header, handler), msg: "biz"}, reply: "ttheader_reply_biz_error"},
	{name: "backward", server: none, call: call{opts: with(pure, header), msg: "back"}, reply: "ttheader_reply_backward_kv"},
	{name: "crc32c", server: summing, call: call{opts: with(pure, header, crc), msg: "hi"}, request: "ttheader_call_crc32c"},
	{name: "crc32c framed", server: summing, call: call{opts: with(header, crc), msg: "hi"}, request: "ttheader_framed_call_crc32c"},
	{name: "pb", server: pbuf, call: call{opts: with(header), msg: "hi", pb: true}, request: "pb_ttheader_call"},
	{name: "pb biz", server: pbuf, call: call{opts: with(header, handler), msg: "biz", pb: true}, reply: "pb_ttheader_reply_biz_error"},
	{name: "mux", server: muxed, call: call{opts: with(client.WithMuxConnection(1)), msg: "hi"}, request: "mux_call"},
	// The client panics on the notice (and recovers): a fault of Kitex v0.16.3, see the specification, 6.3.
	{name: "mux shutdown", server: muxed, call: call{opts: with(client.WithMuxConnection(1)), msg: "hi"}, reply: "mux_control_frame", term: true},
}

// scripted requests cannot come from a stock client, or are better made by hand: what is captured is
// what a stock server answers. An empty answer is a close.
var scripted = []struct {
	name, vector string // the vector that is sent; or `raw` is
	server       peer.Options
	raw          []byte
	reply        string
	// term asks the server to shut down just before the request is sent: a connection that is open
	// at that time is served for another 100 ms, and only requests read in them are answered with
	// crrst, not those under way when the shutdown began.
	term bool
}{
	{name: "framed unknown method", server: none, raw: wire.Frame(echoCall("nope")), reply: "framed_exception_unknown_service"},
	{name: "ttheader unknown method", server: handled, raw: wire.TTHeader(wire.Head{Sequence: 1, Strings: [][2]string{{"isn", "EchoService"}}}, echoCall("nope")), reply: "ttheader_exception_unknown_method"},
	{name: "shutdown", server: handled, raw: wire.TTHeader(wire.Head{Sequence: 1}, echoCall("echo")), reply: "ttheader_reply_crrst", term: true},
	{name: "pb framed", server: pbuf, vector: "pb_framed_call", reply: "pb_framed_reply"},
	{name: "pb framed boom", server: pbuf, raw: wire.Frame(pbCall("Echo", "boom")), reply: "pb_framed_error"},
	{name: "pb framed unknown method", server: pbuf, raw: wire.Frame(pbCall("Nope", "hi")), reply: "pb_framed_error_unknown_method"},
	{name: "mesh framed", server: none, vector: "mesh_framed_call", reply: "mesh_framed_call"},
	{name: "mesh buffered", server: none, vector: "mesh_buffered_call", reply: "mesh_buffered_call"},
	{name: "transform", server: handled, vector: "ttheader_call_transform_ignored", reply: "ttheader_call_transform_ignored"},
	{name: "sections", server: handled, vector: "ttheader_call_section_order_and_duplicates", reply: "ttheader_call_section_order_and_duplicates"},
	{name: "pipelined", server: none, vector: "pipelined_three_transports", reply: "pipelined_three_transports"},
	{name: "volo", server: handled, vector: "volo_call", reply: "volo_call"},
	{name: "unversioned", server: none, vector: "neg_framed_unversioned", reply: "neg_framed_unversioned"},
	{name: "protocol id", server: none, vector: "neg_ttheader_protocol_id_2", reply: "neg_ttheader_protocol_id_2"},
	{name: "info id", server: none, vector: "neg_ttheader_info_id_2", reply: "neg_ttheader_info_id_2"},
	{name: "header size", server: none, vector: "neg_ttheader_header_size_0", reply: "neg_ttheader_header_size_0"},
	{name: "pb buffered", server: pbuf, vector: "neg_pb_buffered", reply: "neg_pb_buffered"},
	{name: "reply to a server", server: none, vector: "neg_framed_reply_type_to_server", reply: "neg_framed_reply_type_to_server"},
}

func echoCall(method string) []byte {
	return wire.Envelope(wire.Thrift, wire.Call, method, 1, wire.Text(1, "hi"))
}

func pbCall(method, msg string) []byte {
	return wire.Envelope(wire.Protobuf, wire.Call, method, 1, append([]byte{0x0a, byte(len(msg))}, msg...))
}

func main() {
	bin := flag.String("bin", "bin", "folder of the programs of this module")
	write := flag.Bool("write", false, "write the committed files")
	one := flag.String("one", "", "make the call of this scenario and end (used by the program itself)")
	addr := flag.String("addr", "", "address for -one")
	out := flag.String("out", "captures/kitex-v0.16.3.json", "file to write")
	copyTo := flag.String("copy", "../testkit/vectors/captures-kitex-v0.16.3.json", "its copy for the Rust tests")
	vectorFile := flag.String("vectors", "../testkit/vectors/vectors-pingpong.json", "the golden vectors")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	if *one != "" {
		makeCall(*one, *addr)
		return
	}

	var vectors []capture.Vector
	check(capture.Load(*vectorFile, &vectors))
	file := &capture.File{
		Kitex: version(),
		About: "Recorded on the wire between released Kitex peers by the capture program in interop/. An entry whose direction is the other one than its vector's is what a Kitex server answered to that vector; empty: it closed.",
	}
	if file.Kitex != "v0.16.3" {
		check(fmt.Errorf("this module is built with Kitex %s; the file names v0.16.3", file.Kitex))
	}
	byName := map[string]string{}
	for _, v := range vectors {
		byName[v.Name] = v.Hex
	}
	for _, s := range scenarios {
		record(*bin, s, file)
	}
	for _, s := range scripted {
		raw := s.raw
		if s.vector != "" {
			var err error
			raw, err = hex.DecodeString(byName[s.vector])
			check(err)
		}
		var reply []byte
		// The answers of a server that is going are a matter of some 100 ms: on a busy machine they may be missed.
		for attempt := 0; attempt < 5; attempt++ {
			svr, err := matrix.StartServer(*bin, s.server, "127.0.0.1:0")
			check(err)
			reply = answer(svr, raw, s.term)
			svr.Kill()
			if !s.term || bytes.Contains(reply, []byte("crrst")) {
				break
			}
		}
		file.Captures = append(file.Captures, capture.Entry{Name: s.reply, Direction: "reply", By: "kitex server", Hex: hex.EncodeToString(reply)})
	}
	failed := report(file, vectors)
	if *write {
		check(file.Store(*out))
		check(file.Store(*copyTo))
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// record runs a scenario with a recorder in the middle.
func record(bin string, s scenario, file *capture.File) {
	svr, err := matrix.StartServer(bin, s.server, "127.0.0.1:0")
	check(err)
	defer svr.Kill()
	rec, err := matrix.StartRecorder(svr.Addr, true)
	check(err)
	defer rec.Stop()
	self, err := os.Executable()
	check(err)
	cmd := exec.Command(self, "-one", s.name, "-addr", rec.Addr)
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	if s.term {
		// The notice is for connections that are open: the call has to be over, and its client still there.
		for deadline := time.Now().Add(20 * time.Second); !answered(rec) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		svr.Term()
	}
	check(cmd.Wait())
	time.Sleep(20 * time.Millisecond)
	up, down := rec.Exchanges()[0].Bytes()
	if s.reply == "mux_control_frame" {
		// The answer to the call comes first; the notice is the second message.
		messages, err := wire.Parse(down)
		check(err)
		down = messages[len(messages)-1].Raw
	}
	if s.request != "" {
		file.Captures = append(file.Captures, capture.Entry{Name: s.request, Direction: "request", By: "kitex client", Hex: hex.EncodeToString(up)})
	}
	if s.reply != "" {
		file.Captures = append(file.Captures, capture.Entry{Name: s.reply, Direction: "reply", By: "kitex server", Hex: hex.EncodeToString(down)})
	}
}

// answered tells whether a reply has passed the recorder.
func answered(rec *matrix.Recorder) bool {
	for _, exchange := range rec.Exchanges() {
		if _, down := exchange.Bytes(); len(down) > 0 {
			return true
		}
	}
	return false
}

// makeCall is the one call of a fresh process. Its result is not judged here: the bytes are.
func makeCall(name, addr string) {
	for _, s := range scenarios {
		if s.name != name {
			continue
		}
		ctx := context.Background()
		if s.call.ctx != nil {
			ctx = s.call.ctx(ctx)
		}
		opts := append(with(client.WithHostPorts(addr)), s.call.opts...)
		if s.call.pb {
			cli, err := pbechoservice.NewClient("dest.svc", opts...)
			check(err)
			_, _ = cli.Echo(ctx, &pbecho.Text{Msg: s.call.msg})
			return
		}
		cli, err := echoservice.NewClient("dest.svc", opts...)
		check(err)
		if s.call.oneway {
			check(cli.Ping(ctx, s.call.msg))
			return
		}
		_, _ = cli.Echo(ctx, s.call.msg)
		if s.reply == "mux_control_frame" {
			time.Sleep(3 * time.Second) // the notice comes to an open connection
		}
		return
	}
	check(fmt.Errorf("no scenario %q", name))
}

// answer sends bytes and reads until the server has closed or has nothing more to say.
func answer(svr *matrix.Server, raw []byte, term bool) []byte {
	conn, err := net.Dial("tcp", svr.Addr)
	check(err)
	defer conn.Close()
	if term {
		time.Sleep(50 * time.Millisecond)
		svr.Term()
		time.Sleep(90 * time.Millisecond) // the shutdown begins 30 to 60 ms after the signal
	}
	_, err = conn.Write(raw)
	check(err)
	_ = conn.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
	var out []byte
	r := bufio.NewReader(conn)
	for {
		m, err := wire.Read(r)
		out = append(out, m.Raw...)
		if err != nil {
			return out
		}
	}
}

// report prints how each capture compares, and which vectors have none.
func report(file *capture.File, vectors []capture.Vector) (failed int) {
	for _, v := range vectors {
		e, ok := file.Entry(v.Name)
		switch {
		case !ok:
			fmt.Printf("  %-44s not captured from Kitex\n", v.Name)
		case e.Direction != v.Direction && e.Hex == "":
			fmt.Printf("  %-44s the server closed without an answer\n", v.Name)
		case e.Direction != v.Direction:
			text, _ := hex.DecodeString(e.Hex)
			messages, err := wire.Parse(text)
			check(err)
			for _, m := range messages {
				fmt.Printf("  %-44s answered: %s\n", v.Name, m.Describe())
			}
		default:
			result, err := capture.Compare(e.Hex, v.Hex)
			if err != nil {
				failed++
				fmt.Printf("  %-44s DIFFERS\n    %v\n", v.Name, err)
				continue
			}
			fmt.Printf("  %-44s %s\n", v.Name, result)
		}
	}
	fmt.Printf("%d captures of Kitex %s, %d differ from their vector\n", len(file.Captures), file.Kitex, failed)
	return failed
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if strings.HasSuffix(m.Path, "cloudwego/kitex") {
			return m.Version
		}
	}
	return "unknown"
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(2)
	}
}
