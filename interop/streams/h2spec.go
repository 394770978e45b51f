package streams

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// known are the cases of h2spec that a gRPC listener does not pass, with the reason. A case that fails
// and is not here is an error, and so is one that is here and passes.
var known = map[string]string{}

type junit struct {
	Suites []struct {
		Cases []struct {
			Package string  `xml:"package,attr"`
			Name    string  `xml:"classname,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// h2spec runs the conformance test against a gRPC listener of the proxy.
func (l *Lab) h2spec() error {
	if l.Proxy == "" || l.Relay {
		return nil
	}
	s, err := serve(find(l.peers.servers, "grpc-go"))
	if err != nil {
		return err
	}
	defer s.Kill()
	h := hop{name: "p1", listener: protocols("grpc")}
	p, err := l.proxy(h, s.addr)
	if err != nil {
		return err
	}
	defer p.Stop()
	calls, err := makeCalls(p.Addr)
	if err != nil {
		return err
	}
	defer calls.Close()
	host, port, err := net.SplitHostPort(calls.Addr().String())
	if err != nil {
		return err
	}
	report := filepath.Join(l.Dir, "h2spec.xml")
	cmd := exec.Command(filepath.Join(l.Bin, "h2spec"), "--strict", "--host", host, "--port", port,
		"--path", "/acme.wire.livep.LiveP/Upload", "--timeout", "2", "--junit-report", report)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		return fmt.Errorf("h2spec: %w\n%s", err, lastBytes(output, 2000))
	}
	var doc junit
	if err := xml.Unmarshal(raw, &doc); err != nil {
		return err
	}
	passed, listed, skipped := 0, 0, 0
	seen := map[string]bool{}
	for _, suite := range doc.Suites {
		for _, c := range suite.Cases {
			id := c.Package + ": " + c.Name
			seen[id] = true
			why, isKnown := known[id]
			bad := c.Failure != nil || c.Error != nil
			switch {
			case bad && isKnown:
				listed++
				fmt.Fprintf(l.out, "    listed  %s\n            %s\n", id, why)
			case bad:
				what := ""
				for _, text := range []*string{c.Failure, c.Error} {
					if text != nil {
						what += *text
					}
				}
				l.fail("h2spec, "+id, "    "+strings.ReplaceAll(strings.TrimSpace(what), "\n", "\n    ")+"\n")
			case isKnown:
				l.fail("h2spec, "+id, "    is listed as failing, and passes or is skipped\n")
			case c.Skipped != nil:
				skipped++
				fmt.Fprintf(l.out, "    skipped by h2spec itself: %s\n", id)
			default:
				passed++
				l.ok()
			}
		}
	}
	for id := range known {
		if !seen[id] {
			l.fail("h2spec, "+id, "    is listed, and there is no such case\n")
		}
	}
	if passed < 100 {
		l.fail("h2spec", fmt.Sprintf("    only %d cases passed:\n%s\n", passed, lastBytes(output, 2000)))
	}
	fmt.Fprintf(l.out, "  h2spec: %d passed, %d listed, %d skipped by h2spec itself\n", passed, listed, skipped)
	return nil
}

// makeCalls relays connections, makes POST of GET and adds the content type of gRPC to each block of
// request headers. What h2spec sends is no gRPC call: such a request is refused at once, and the answer would come
// before the offence that a case is about. With it the stream opens, and an Upload without messages
// has an answer with DATA.
func makeCalls(to string) (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.DialTimeout("tcp", to, time.Second)
				if err != nil {
					return
				}
				defer up.Close()
				go func() {
					_ = addContentType(up, c)
					_ = up.(*net.TCPConn).CloseWrite()
				}()
				_, _ = io.Copy(c, up)
			}()
		}
	}()
	return ln, nil
}

// contentType is `content-type: application/grpc` as an HPACK literal that enters no table: it can
// stand behind any block without a change of what the block does.
// (`:method` is the first field that h2spec writes, and is one byte of the static table.)
const methodGet, methodPost = 0x82, 0x83

var contentType = append([]byte{0x0f, 0x10, byte(len("application/grpc"))}, "application/grpc"...)

func addContentType(to io.Writer, from io.Reader) error {
	preface := make([]byte, len(http2.ClientPreface))
	if n, err := io.ReadFull(from, preface); err != nil {
		_, _ = to.Write(preface[:n])
		return err
	}
	if _, err := to.Write(preface); err != nil {
		return err
	}
	check := hpack.NewDecoder(4096, nil)
	var block []byte
	for {
		head := make([]byte, 9)
		if n, err := io.ReadFull(from, head); err != nil {
			_, _ = to.Write(head[:n])
			return err
		}
		length := int(binary.BigEndian.Uint32(append([]byte{0}, head[:3]...)))
		payload := make([]byte, length)
		if n, err := io.ReadFull(from, payload); err != nil {
			_, _ = to.Write(append(head, payload[:n]...))
			return err
		}
		kind, flags := http2.FrameType(head[3]), http2.Flags(head[4])
		if kind == http2.FrameHeaders || kind == http2.FrameContinuation {
			start, end, ok := fragment(kind, flags, payload)
			if kind == http2.FrameHeaders {
				block = nil
			}
			if ok {
				block = append(block, payload[start:end]...)
			}
			if ok && start < end && kind == http2.FrameHeaders && !flags.Has(http2.FlagHeadersEndHeaders) && payload[start] == methodGet {
				payload[start] = methodPost
			}
			if ok && flags.Has(http2.FlagHeadersEndHeaders) {
				_, err := check.DecodeFull(block)
				if err == nil && length+len(contentType) <= 16384 {
					if kind == http2.FrameHeaders && start < end && payload[start] == methodGet {
						payload[start] = methodPost
					}
					payload = bytes.Join([][]byte{payload[:end], contentType, payload[end:]}, nil)
					binary.BigEndian.PutUint16(head[1:3], uint16(len(payload)))
				}
			}
		}
		if _, err := to.Write(append(head, payload...)); err != nil {
			return err
		}
	}
}

// fragment is where the header block lies in a frame's payload.
func fragment(kind http2.FrameType, flags http2.Flags, payload []byte) (start, end int, ok bool) {
	end = len(payload)
	if kind == http2.FrameHeaders {
		if flags.Has(http2.FlagHeadersPadded) {
			if len(payload) == 0 {
				return 0, 0, false
			}
			start, end = 1, end-int(payload[0])
		}
		if flags.Has(http2.FlagHeadersPriority) {
			start += 5
		}
	}
	return start, end, start <= end && end <= len(payload)
}
