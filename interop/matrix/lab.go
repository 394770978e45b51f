package matrix

import (
	"fmt"
	"os"

	"interop/call"
	"interop/peer"
)

// Lab holds the processes of a run.
type Lab struct {
	// Bin is the folder of the programs built from this module.
	Bin string
	// Binary is the proxy; with Relay, a plain TCP relay stands in for it.
	Binary string
	Relay  bool
	// Kitex tries the proxy made of Kitex (cmd/kitexproxy) instead, for comparison.
	Kitex bool
	// Dir takes the configurations that are written.
	Dir string

	servers map[peer.Options]*Server
	proxies map[string]*Proxy
	direct  map[string]call.Observation
}

// NewLab prepares an empty one.
func NewLab(bin, binary string, relay bool) (*Lab, error) {
	dir, err := os.MkdirTemp("", "interop-*")
	return &Lab{
		Bin: bin, Binary: binary, Relay: relay, Dir: dir,
		servers: map[peer.Options]*Server{}, proxies: map[string]*Proxy{}, direct: map[string]call.Observation{},
	}, err
}

// Close ends what the lab started.
func (l *Lab) Close() {
	l.DropProxies()
	for _, s := range l.servers {
		s.Kill()
	}
	_ = os.RemoveAll(l.Dir)
}

// Server is a running server of this kind; it is started once.
func (l *Lab) Server(o peer.Options) (*Server, error) {
	if s := l.servers[o]; s != nil {
		if s.Alive() {
			return s, nil
		}
		return nil, fmt.Errorf("the server has died:\n%s", s.Log())
	}
	s, err := StartServer(l.Bin, o, "127.0.0.1:0")
	if err == nil {
		l.servers[o] = s
	}
	return s, err
}

// Proxy is a running proxy towards an endpoint; it is started once.
func (l *Lab) Proxy(endpoint string, k call.Kind, u Upstream) (*Proxy, error) {
	key := fmt.Sprint(endpoint, k, u.Name, u.Pingpong, u.Mux)
	if p := l.proxies[key]; p != nil {
		return p, nil
	}
	p, err := l.newProxy(endpoint, k, u)
	if err == nil {
		l.proxies[key] = p
	}
	return p, err
}

func (l *Lab) newProxy(endpoint string, k call.Kind, u Upstream) (*Proxy, error) {
	if l.Relay {
		r, err := StartRecorder(endpoint, false)
		if err != nil {
			return nil, err
		}
		return &Proxy{Addr: r.Addr, stop: r.Stop, log: func() string { return "" }}, nil
	}
	if l.Kitex {
		return startKitexProxy(l.Bin, endpoint, Cell{Kind: k, Upstream: u}.Transport())
	}
	return StartProxy(l.Binary, l.Dir, endpoint, u.Pingpong, u.Mux)
}

// DropProxies ends the proxies; servers stay.
func (l *Lab) DropProxies() {
	for key, p := range l.proxies {
		p.Stop()
		delete(l.proxies, key)
	}
}

// Direct is what a client gets without a proxy; each case is tried once.
func (l *Lab) Direct(cs call.Case, k call.Kind) (call.Observation, error) {
	o := options(cs, k)
	key := fmt.Sprint(cs.Name, k)
	if got, ok := l.direct[key]; ok {
		return got, nil
	}
	s, err := l.Server(o)
	if err != nil {
		return call.Observation{}, err
	}
	got := cs.Do(k, s.Addr, s.Take)
	l.direct[key] = got
	return got, nil
}

// Try runs a cell through the proxy and judges it.
func (l *Lab) Try(cell Cell) (Verdict, error) {
	want, err := l.Direct(cell.Case, cell.Kind)
	if err != nil {
		return Verdict{}, err
	}
	s, err := l.Server(cell.Backend())
	if err != nil {
		return Verdict{}, err
	}
	p, err := l.Proxy(s.Addr, cell.Kind, cell.Upstream)
	if err != nil {
		return Verdict{}, err
	}
	got := cell.Case.Do(cell.Kind, p.Addr, s.Take)
	v := judge(cell, want, got, l.mustDirect(cell.Case))
	return v, nil
}

func (l *Lab) mustDirect(cs call.Case) func(call.Kind) call.Observation {
	return func(k call.Kind) call.Observation {
		o, err := l.Direct(cs, k)
		if err != nil {
			return call.Observation{Notes: map[string]call.Outcome{"harness": call.Judge(nil, err)}}
		}
		return o
	}
}
