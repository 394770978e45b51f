package streams

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawConn is one end of an HTTP/2 connection whose frames are written by hand.
type rawConn struct {
	net.Conn
	framer *http2.Framer
	mu     sync.Mutex
	buf    bytes.Buffer
	enc    *hpack.Encoder
}

func newRaw(c net.Conn) *rawConn {
	r := &rawConn{Conn: c, framer: http2.NewFramer(c, c)}
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.enc = hpack.NewEncoder(&r.buf)
	return r
}

// write does something with the framer while nobody else does.
func (r *rawConn) write(f func(*http2.Framer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.framer)
}

func (r *rawConn) headers(stream uint32, end bool, fields ...string) {
	r.write(func(f *http2.Framer) {
		r.buf.Reset()
		for i := 0; i+1 < len(fields); i += 2 {
			_ = r.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.buf.Bytes(), EndHeaders: true, EndStream: end})
	})
}

// message is a whole message: its flag, its length and its bytes.
func message(body []byte) []byte {
	out := make([]byte, 5, 5+len(body))
	binary.BigEndian.PutUint32(out[1:], uint32(len(body)))
	return append(out, body...)
}

// part is the beginning of a message of which more bytes are announced.
func part(announced int, body []byte) []byte {
	out := message(body)
	binary.BigEndian.PutUint32(out[1:], uint32(announced))
	return out
}

// rawServer is an HTTP/2 server that answers each request as told.
type rawServer struct {
	ln    net.Listener
	conns atomic.Int32
	calls atomic.Int32
}

// serveRaw starts one; `answer` is called for the headers of each request.
func serveRaw(answer func(c *rawConn, conn, call int, stream uint32)) (*rawServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &rawServer{ln: ln}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c, int(s.conns.Add(1)), answer)
		}
	}()
	return s, nil
}

func (s *rawServer) addr() string { return s.ln.Addr().String() }
func (s *rawServer) stop()        { _ = s.ln.Close() }

func (s *rawServer) serve(c net.Conn, number int, answer func(*rawConn, int, int, uint32)) {
	defer c.Close()
	r := newRaw(c)
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	r.write(func(f *http2.Framer) { _ = f.WriteSettings() })
	for {
		frame, err := r.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				r.write(func(f *http2.Framer) { _ = f.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				data := f.Data
				r.write(func(f *http2.Framer) { _ = f.WritePing(true, data) })
			}
		case *http2.MetaHeadersFrame:
			go answer(r, number, int(s.calls.Add(1)), f.StreamID)
		}
	}
}

// callRaw connects as a client and opens one stream.
func callRaw(addr, path string) (*rawConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := newRaw(c)
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	r.write(func(f *http2.Framer) { _ = f.WriteSettings() })
	r.headers(1, false, ":method", "POST", ":scheme", "http", ":path", path, ":authority", "live.test",
		"content-type", "application/grpc", "te", "trailers")
	return r, nil
}
