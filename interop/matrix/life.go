package matrix

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"interop/call"
	"interop/peer"
)

// A life case is about servers that come and go. It has servers of its own, at an address that it
// can use again.
type lifeCase struct {
	name string
	// run does the calls; `addr` is what the client is to call, `s` the server behind it.
	run func(l *Lab, r *call.Run, s *stage)
	// fix says how the proxied outcome may differ; nil: not at all.
	fix func(note string, want call.Outcome) (call.Outcome, bool)
	// letter and why stand in the table when fix was used.
	letter, rule, what, why string
}

// stage is the address where servers of a life case appear and vanish.
type stage struct {
	lab     *Lab
	addr    string
	options peer.Options
	server  *Server
}

func (s *stage) up() error {
	// A server that shuts down gracefully closes its port first, a moment after the signal.
	var err error
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s.server, err = StartServer(s.lab.Bin, s.options, s.addr); err == nil {
			return nil
		}
	}
	return err
}

var lifeCases = []lifeCase{
	{
		name: "graceful restart of the backend",
		run: func(_ *Lab, r *call.Run, s *stage) {
			e := newCaller(r)
			r.Note("before", nil, e.echo("before"))
			slow := make(chan error, 1)
			go func() { slow <- e.slow(400) }()
			time.Sleep(50 * time.Millisecond)
			old := s.server
			old.Term()
			r.Note("restart", nil, s.up())
			for i := 0; i < 10; i++ {
				r.Note(fmt.Sprint("while the old one drains ", i), nil, e.echo("during"))
			}
			r.Note("under way at the signal", nil, <-slow)
			<-old.done
			for i := 0; i < 5; i++ {
				r.Note(fmt.Sprint("after ", i), nil, e.echo("after"))
			}
		},
	},
	{
		name: "backend restarted without grace",
		run: func(_ *Lab, r *call.Run, s *stage) {
			e := newCaller(r)
			r.Note("before", nil, e.echo("before"))
			s.server.Kill()
			r.Note("restart", nil, s.up())
			for i := 0; i < 5; i++ {
				r.Note(fmt.Sprint("after ", i), nil, e.echo("after"))
			}
		},
	},
	{
		name: "backend killed during a call",
		run: func(_ *Lab, r *call.Run, s *stage) {
			e := newCaller(r)
			r.Note("before", nil, e.echo("before"))
			slow := make(chan error, 1)
			go func() { slow <- e.slow(1000) }()
			time.Sleep(80 * time.Millisecond)
			s.server.Kill()
			r.Note("under way", nil, <-slow)
			r.Note("restart", nil, s.up())
			r.Note("after", nil, e.echo("after"))
		},
		fix:    answeredInstead,
		letter: "e", rule: "8.8", what: "a backend that is gone becomes EXCEPTION 6 with a text of the proxy's",
		why: "the caller's own connection is sound; a call that was recognised is answered",
	},
	{
		name: "no backend",
		run: func(_ *Lab, r *call.Run, s *stage) {
			s.server.Kill()
			e := newCaller(r)
			r.Note("call", nil, e.echo("nobody there"))
			r.Note("restart", nil, s.up())
			r.Note("after", nil, e.echo("after"))
		},
		fix:    answeredInstead,
		letter: "e", rule: "8.8", what: "a backend that is gone becomes EXCEPTION 6 with a text of the proxy's",
		why: "the caller's own connection is sound; a call that was recognised is answered",
	},
}

// answeredInstead turns the connection errors of a direct client into the proxy's answer.
func answeredInstead(_ string, want call.Outcome) (call.Outcome, bool) {
	if want.Kind == "ok" || want.Code != 0 {
		return want, false
	}
	return call.Outcome{Kind: "remote", Code: 6}, true
}

// caller makes the two calls that life cases need, of either service.
type caller struct {
	echo func(msg string) error
	slow func(millis int32) error
}

func newCaller(r *call.Run) *caller {
	if r.Kind.Protobuf() {
		pb := r.Pb()
		return &caller{
			echo: func(msg string) error { return r.PbEcho(pb, msg) },
			slow: func(millis int32) error { return r.PbSlow(pb, millis) },
		}
	}
	e := r.Echo()
	return &caller{
		echo: func(msg string) error {
			got, err := e.Echo(r.Ctx, msg)
			if err == nil && got != msg {
				return errors.New("wrong answer: " + got)
			}
			return err
		},
		slow: func(millis int32) error {
			got, err := e.Slow(r.Ctx, millis, "slow")
			if err == nil && got != "slow" {
				return errors.New("wrong answer: " + got)
			}
			return err
		},
	}
}

// RunLife goes through the life cases.
func (l *Lab) RunLife(w io.Writer, f Filter, r *Report) error {
	if f.Kind == "raw" {
		return nil
	}
	columns := []Upstream{Upstreams[0], Upstreams[1], Upstreams[3], Upstreams[7]}
	fmt.Fprintf(w, "\nbackends that come and go\n  %-18s %-34s %-14s", "client", "case", "direct")
	for _, u := range columns {
		fmt.Fprintf(w, " %-11s", u.Name)
	}
	fmt.Fprintln(w)
	for _, k := range Kinds {
		// A mux client fails calls by itself when a mux server says goodbye: 6.3.
		if !f.kind(k) || k == call.Mux {
			continue
		}
		for _, lc := range lifeCases {
			if !f.cs(lc.name) {
				continue
			}
			want, err := l.life(lc, k, nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %-18s %-34s %-14s", k, lc.name, summary(want))
			for _, u := range columns {
				result := "-"
				switch cell := (Cell{Kind: k, Upstream: u}); {
				case l.Binary == "" && !l.Relay, !cell.Legal(), !f.up(u.Name), l.Relay && u.Name != "as caller":
				default:
					got, err := l.life(lc, k, &u)
					if err != nil {
						return err
					}
					result = r.count(fmt.Sprintf("%s, %s, upstream %s", k, lc.name, u.Name), judgeLife(lc, want, got), nil)
				}
				fmt.Fprintf(w, " %-11s", result)
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}

// life plays a case; with an upstream, through the proxy.
func (l *Lab) life(lc lifeCase, k call.Kind, u *Upstream) (call.Observation, error) {
	addr, err := freeAddress()
	if err != nil {
		return call.Observation{}, err
	}
	s := &stage{lab: l, addr: addr, options: peer.Options{Handler: true, Protobuf: k.Protobuf(), Mux: u != nil && u.Mux}}
	if err := s.up(); err != nil {
		return call.Observation{}, err
	}
	defer func() { s.server.Kill() }()
	to, log := addr, func() string { return "" }
	if u != nil {
		p, err := l.newProxy(addr, k, *u)
		if err != nil {
			return call.Observation{}, err
		}
		defer p.Stop()
		to, log = p.Addr, p.Log
	}
	cs := call.Case{Name: lc.name}
	cs.Thrift = func(r *call.Run) { lc.run(l, r, s) }
	cs.Pb = cs.Thrift
	o := cs.Do(k, to, func() []peer.Seen { return nil })
	if u != nil && log() != "" {
		for name, n := range o.Notes {
			if n.Kind != "ok" {
				n.Extra = map[string]string{"log": lastLines(log(), 2)}
				o.Notes[name] = n
			}
		}
	}
	return o, nil
}

func judgeLife(lc lifeCase, want, got call.Observation) Verdict {
	v := Verdict{}
	for name, w := range want.Notes {
		g := got.Notes[name]
		wanted := w
		if lc.fix != nil {
			if fixed, changed := lc.fix(name, w); changed {
				wanted = fixed
				wanted.Text = g.Text // the proxy's own words
				v.Letters = lc.letter
			}
		}
		if wanted.Kind != g.Kind || wanted.Code != g.Code || wanted.Text != g.Text {
			v.Diffs = append(v.Diffs, fmt.Sprintf("result %q:\n      expected %s\n      got      %s", name, line(w, true), line(g, true)))
		}
	}
	return v
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
