package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"interop/call"
	"interop/peer"
)

// Peer is a program in another language or of another framework. Its arguments are
// `server --transport T` (prints `LISTEN <addr>`, then `SEEN <method>` per call) and
// `client --transport T --addr A` (prints one JSON object: case to outcome).
type Peer struct {
	Name    string
	Command []string
	// Transports are the ones in which it can be a client and a server.
	Transports []string
	// Cases are those of Kitex's clients that its server can answer.
	Cases []string
}

var apacheCases = []string{
	"every type", "void", "oneway", "declared exception", "handler error", "unknown method", "timeout",
	"64 at once", "64 at once, short", "long pool", "short pool", "large payloads",
}

// Peers are the other peers of the matrix.
func Peers(python, node, volo string) []Peer {
	return []Peer{
		{Name: "thriftpy2", Command: []string{python, "python/peer.py"}, Transports: []string{"framed", "buffered"}, Cases: apacheCases},
		{Name: "node thrift", Command: []string{node, "node/peer.js"}, Transports: []string{"framed", "buffered"}, Cases: apacheCases},
		{
			Name: "volo", Command: []string{volo}, Transports: []string{"ttheader-framed", "framed", "buffered"},
			Cases: append(slices.Clone(apacheCases), "business error", "metainfo", "custom keys", "panic"),
		},
	}
}

// RunPeers has each peer call Kitex's server through the proxy, and be called by Kitex's clients.
func (l *Lab) RunPeers(w io.Writer, f Filter, peers []Peer, r *Report) error {
	for _, p := range peers {
		if f.Kind != "" && f.Kind != p.Name {
			continue
		}
		if err := l.peerCalls(w, f, p, r); err != nil {
			return fmt.Errorf("%s as a client: %w", p.Name, err)
		}
		if err := l.peerServes(w, f, p, r); err != nil {
			return fmt.Errorf("%s as a server: %w", p.Name, err)
		}
	}
	return nil
}

// observe runs the peer's client.
func (p Peer) observe(transport, addr string, s *Server) (call.Observation, error) {
	s.Take()
	var out, errs bytes.Buffer
	cmd := exec.Command(p.Command[0], append(slices.Clone(p.Command[1:]), "client", "--transport", transport, "--addr", addr)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		return call.Observation{}, err
	}
	timer := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	var cases map[string]map[string]json.RawMessage
	if err != nil || json.Unmarshal(out.Bytes(), &cases) != nil {
		return call.Observation{}, fmt.Errorf("%v\n%s%s", err, &out, &errs)
	}
	o := call.Observation{Notes: map[string]call.Outcome{}, Seen: s.Take()}
	for name, kinds := range cases {
		for kind, value := range kinds {
			o.Notes[name] = outcome(kind, value)
		}
	}
	call.SortSeen(o.Seen)
	return o, nil
}

// outcome reads what a peer noted into the words that Kitex's clients use.
func outcome(kind string, value json.RawMessage) call.Outcome {
	var pair []json.RawMessage
	var code int32
	var text string
	switch kind {
	case "application", "business":
		if json.Unmarshal(value, &pair) == nil && len(pair) == 2 {
			_ = json.Unmarshal(pair[0], &code)
			_ = json.Unmarshal(pair[1], &text)
		}
		if kind == "business" {
			return call.Outcome{Kind: kind, Code: code, Text: text}
		}
		return call.Outcome{Kind: "remote", Code: code, Text: "remote or network error[remote]: " + addressless(text)}
	}
	return call.Outcome{Kind: kind, Value: addressless(string(value))}
}

func (l *Lab) peerCalls(w io.Writer, f Filter, p Peer, r *Report) error {
	s, err := l.Server(plain)
	if err != nil {
		return err
	}
	seen := map[string]call.Observation{}
	direct := func(k call.Kind) call.Observation {
		transport := k.Transport()
		if transport == "ttheader" && !slices.Contains(p.Transports, "ttheader") {
			transport = "ttheader-framed"
		}
		if !slices.Contains(p.Transports, transport) {
			return call.Observation{}
		}
		if _, ok := seen[transport]; !ok {
			o, err := p.observe(transport, s.Addr, s)
			if err != nil {
				o.Notes = map[string]call.Outcome{"harness": {Kind: "other", Text: err.Error()}}
			}
			seen[transport] = o
		}
		return seen[transport]
	}
	for _, transport := range p.Transports {
		k := call.Kind(transport)
		want := direct(k)
		if bad := (call.Case{}).Sane(k, want); bad != nil {
			return fmt.Errorf("directly over %s: %w", transport, bad)
		}
		fmt.Fprintf(w, "\nclient %s over %s (%s directly)\n ", p.Name, transport, summary(want))
		for _, u := range Upstreams {
			cell := Cell{Kind: k, Upstream: u}
			if !f.up(u.Name) || !cell.Legal() || l.Binary == "" && !l.Relay || l.Relay && u.Name != "as caller" {
				continue
			}
			backend, err := l.Server(cell.Backend())
			if err != nil {
				return err
			}
			proxy, err := l.newProxy(backend.Addr, k, u)
			if err != nil {
				return err
			}
			got, err := p.observe(transport, proxy.Addr, backend)
			v := Verdict{}
			if err != nil {
				v.Diffs = []string{err.Error()}
			} else {
				v = judge(cell, want, got, direct)
			}
			result := r.count(fmt.Sprintf("%s over %s, upstream %s", p.Name, transport, u.Name), v, func() string {
				return "    log of the proxy:\n      " + lastLines(proxy.Log(), 6) + "\n"
			})
			fmt.Fprintf(w, " %s: %s;", u.Name, result)
			proxy.Stop()
		}
		fmt.Fprintln(w)
	}
	return nil
}

// peerServer is a running server of a peer.
type peerServer struct {
	*Process
	addr string
	mu   sync.Mutex
	seen []peer.Seen
}

func (p Peer) serve(transport string) (*peerServer, error) {
	s := &peerServer{}
	process, err := Start(func(line string) bool {
		if rest, ok := strings.CutPrefix(line, "LISTEN "); ok {
			s.addr = rest
		}
		if rest, ok := strings.CutPrefix(line, "SEEN "); ok {
			s.mu.Lock()
			s.seen = append(s.seen, peer.Seen{Method: rest})
			s.mu.Unlock()
		}
		return s.addr != ""
	}, nil, p.Command[0], append(slices.Clone(p.Command[1:]), "server", "--transport", transport)...)
	s.Process = process
	return s, err
}

// take waits until the lines have stopped coming: they travel beside the answers.
func (s *peerServer) take() []peer.Seen {
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.seen)
	}
	for before := -1; before != count(); {
		before = count()
		time.Sleep(30 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.seen
	s.seen = nil
	return out
}

func (l *Lab) peerServes(w io.Writer, f Filter, p Peer, r *Report) error {
	for _, transport := range p.Transports {
		if err := l.peerServesOver(w, f, p, transport, r); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) peerServesOver(w io.Writer, f Filter, p Peer, transport string, r *Report) error {
	s, err := p.serve(transport)
	if err != nil {
		return err
	}
	defer s.Kill()
	kinds := []call.Kind{call.Buffered, call.Framed, call.TTHeader, call.TTHeaderFramed}
	up := Upstreams[slices.IndexFunc(Upstreams, func(u Upstream) bool { return u.Pingpong == transport && !u.Mux })]
	fmt.Fprintf(w, "\nserver %s over %s, called by Kitex\n  %-30s %-12s", p.Name, transport, "case", "direct")
	for _, k := range kinds {
		fmt.Fprintf(w, " %-15s", k)
	}
	fmt.Fprintln(w)
	proxy, err := l.newProxy(s.addr, call.Kind(transport), up)
	if err != nil {
		return err
	}
	defer proxy.Stop()
	for _, cs := range call.Cases {
		if !slices.Contains(p.Cases, cs.Name) || !f.cs(cs.Name) {
			continue
		}
		cs.Late = true // the peers' own keys in replies are no matter of this table
		known := map[call.Kind]call.Observation{}
		direct := func(k call.Kind) call.Observation {
			if k.Transport() != transport && !(p.Name == "volo" && strings.HasPrefix(transport, "ttheader")) {
				k = call.Kind(transport)
			}
			if _, ok := known[k]; !ok {
				known[k] = cs.Do(k, s.addr, s.take)
			}
			return known[k]
		}
		want := direct(call.Kind(transport))
		if len(want.Seen) < cs.Seen {
			return fmt.Errorf("%s: %d of %d calls reached a handler directly", cs.Name, len(want.Seen), cs.Seen)
		}
		cs.Seen = len(want.Seen)
		fmt.Fprintf(w, "  %-30s %-12s", cs.Name, summary(want))
		for _, k := range kinds {
			result := ""
			if !cs.For(k) {
				result = "-"
			} else if l.Binary != "" || l.Relay && k.Transport() == transport {
				cell := Cell{Case: cs, Kind: k, Upstream: up}
				v := judgePeer(cell, direct(k), cs.Do(k, proxy.Addr, s.take), direct)
				result = r.count(fmt.Sprintf("server %s over %s, %s, client %s", p.Name, transport, cs.Name, k), v, func() string {
					return "    log of the proxy:\n      " + lastLines(proxy.Log(), 4) + "\n"
				})
			}
			fmt.Fprintf(w, " %-15s", result)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// judgePeer is judge for servers that can tell no more of a call than its method.
func judgePeer(cell Cell, want, got call.Observation, direct func(call.Kind) call.Observation) Verdict {
	bare := func(o call.Observation) call.Observation {
		o.Seen = slices.Clone(o.Seen)
		for i := range o.Seen {
			o.Seen[i].Transport = cell.Transport()
		}
		return o
	}
	return judge(cell, bare(want), bare(got), func(k call.Kind) call.Observation { return bare(direct(k)) })
}
