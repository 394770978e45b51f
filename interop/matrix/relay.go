package matrix

import (
	"io"
	"net"
	"sync"
)

// Recorder is a TCP relay that can keep what passes. As a stand-in for the proxy it lets the harness
// be checked; beside the proxy it shows the bytes of a cell that failed.
type Recorder struct {
	Addr string
	ln   net.Listener
	to   string

	mu    sync.Mutex
	keep  bool
	conns []*Exchange
	open  map[net.Conn]struct{}
}

// Exchange is what passed on one connection.
type Exchange struct {
	mu       sync.Mutex
	up, down []byte
}

// Bytes are copies of both directions: towards the server, and back.
func (e *Exchange) Bytes() (up, down []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]byte(nil), e.up...), append([]byte(nil), e.down...)
}

// StartRecorder relays a fresh port to an address.
func StartRecorder(to string, keep bool) (*Recorder, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Recorder{Addr: ln.Addr().String(), ln: ln, to: to, keep: keep, open: map[net.Conn]struct{}{}}
	go r.accept()
	return r, nil
}

// Exchanges are the connections so far, in the order in which they came.
func (r *Recorder) Exchanges() []*Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Exchange(nil), r.conns...)
}

// Forget drops what was kept.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = nil
}

// Stop closes the port and every connection.
func (r *Recorder) Stop() {
	_ = r.ln.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
}

func (r *Recorder) accept() {
	for {
		down, err := r.ln.Accept()
		if err != nil {
			return
		}
		e := &Exchange{}
		r.mu.Lock()
		r.conns = append(r.conns, e)
		r.mu.Unlock()
		go r.serve(down, e)
	}
}

func (r *Recorder) serve(down net.Conn, e *Exchange) {
	defer r.track(down)()
	up, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer r.track(up)()
	done := make(chan struct{})
	go func() {
		r.copy(up, down, e, &e.up)
		// The relay stands in for a proxy: rule P7, a half-close waits for the reply.
		close(done)
	}()
	r.copy(down, up, e, &e.down)
	_ = down.Close()
	<-done
}

// track registers a connection until it is closed by the returned function.
func (r *Recorder) track(c net.Conn) func() {
	r.mu.Lock()
	r.open[c] = struct{}{}
	r.mu.Unlock()
	return func() {
		_ = c.Close()
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
	}
}

func (r *Recorder) copy(to, from net.Conn, e *Exchange, kept *[]byte) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if r.keep {
			e.mu.Lock()
			*kept = append(*kept, buf[:n]...)
			e.mu.Unlock()
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		}
		if err != nil {
			return
		}
	}
}
