package matrix

import (
	"fmt"
	"io"
	"strings"

	"interop/call"
	"interop/peer"
)

// routeCheck is a configuration and what a Kitex client must then get. Where `like` is set, it is
// what the same client gets directly from a server.
type routeCheck struct {
	name string
	kind call.Kind
	// listener, route and cluster are lines for those tables; "A" and "B" are two clusters.
	listener string
	routes   []string
	cluster  string
	do       func(*call.Run)
	like     bool
	want     call.Outcome
	// at is the cluster whose server must have handled the call; empty: neither.
	at string
}

const routedToA = `service = "EchoService"` + "\n" + `method = "echo*"` + "\n" + `cluster = "A"`

func echoIn(ctx string) func(*call.Run) {
	return func(r *call.Run) {
		if ctx == "meta" {
			r.Ctx = call.WithMeta(r.Ctx)
		}
		v, err := r.Echo().Echo(r.Ctx, "hi")
		r.Note("call", v, err)
	}
}

func ghostly(service, method string) func(*call.Run) {
	return func(r *call.Run) {
		v, err := r.Ghost(service, method)(r.Ctx, "hi")
		r.Note("call", v, err)
	}
}

var routeChecks = []routeCheck{
	{name: "service and method prefix", kind: call.TTHeader, routes: []string{routedToA, `cluster = "B"`}, do: echoIn(""), like: true, at: "A"},
	{name: "first match wins", kind: call.TTHeader, routes: []string{`cluster = "B"`, routedToA}, do: echoIn(""), like: true, at: "B"},
	{name: "method alone, for a caller without a service name", kind: call.Framed, routes: []string{`method = "echo"` + "\n" + `cluster = "B"`, `cluster = "A"`}, do: echoIn(""), like: true, at: "B"},
	{name: "the caller's name", kind: call.TTHeader, routes: []string{`caller = "caller.svc"` + "\n" + `cluster = "B"`, `cluster = "A"`}, do: echoIn(""), like: true, at: "B"},
	{name: "another caller's name", kind: call.TTHeader, routes: []string{`caller = "other.svc"` + "\n" + `cluster = "B"`, `cluster = "A"`}, do: echoIn(""), like: true, at: "A"},
	{name: "a metadata key", kind: call.TTHeaderFramed, routes: []string{`metadata = { RPC_PERSIST_P1 = "persistent value" }` + "\n" + `cluster = "B"`, `cluster = "A"`}, do: echoIn("meta"), like: true, at: "B"},
	{name: "the service of the listener, for a caller without", kind: call.Framed, listener: `service = "EchoService"`, routes: []string{`service = "EchoService"` + "\n" + `cluster = "A"`}, do: echoIn(""), like: true, at: "A"},
	{name: "no route for the service", kind: call.TTHeader, routes: []string{routedToA}, do: ghostly("GhostService", "nope"), like: true},
	{name: "no route for the method of a known service", kind: call.TTHeader, routes: []string{routedToA}, do: ghostly("EchoService", "nope"), like: true},
	{name: "no route for the method, mux caller", kind: call.Mux, routes: []string{routedToA}, do: ghostly("EchoService", "nope"), like: true},
	{name: "no route for the method, no service name, framed", kind: call.Framed, routes: []string{routedToA}, do: ghostly("EchoService", "nope"), like: true},
	{name: "no route for the method, no service name, buffered", kind: call.Buffered, routes: []string{routedToA}, do: ghostly("EchoService", "nope"), like: true},
	{name: "no route for the method, protobuf", kind: call.Pb, routes: []string{`service = "PbEchoService"` + "\n" + `method = "Echo"` + "\n" + `cluster = "A"`}, do: ghostly("PbEchoService", "Nope"), like: true},
	{
		name: "a route's timeout", kind: call.Framed, routes: []string{`timeout = "150ms"` + "\n" + `cluster = "A"`}, at: "A",
		do:   func(r *call.Run) { v, err := r.Echo().Slow(r.Ctx, 1500, "late"); r.Note("call", v, err) },
		want: call.Outcome{Kind: "remote", Code: 6, Text: "timeout"},
	},
	{
		name: "a protocol that the listener refuses", kind: call.TTHeader, listener: `protocols = ["framed"]`, routes: []string{`cluster = "A"`},
		do: echoIn(""), want: call.Outcome{Kind: "remote"},
	},
	{
		name: "business errors stripped on request", kind: call.Framed, listener: "strip_business_errors = true", routes: []string{`cluster = "A"`},
		cluster: `pingpong = "ttheader"`, like: true, at: "A",
		do: func(r *call.Run) { v, err := r.Echo().Business(r.Ctx, 1001, "not found", nil); r.Note("call", v, err) },
	},
}

// RunRoutes checks routing and the answers that the proxy itself gives.
func (l *Lab) RunRoutes(w io.Writer, f Filter, r *Report) error {
	if l.Binary == "" || l.Relay || l.Kitex || f.Kind == "raw" || f.Upstream != "" {
		return nil
	}
	fmt.Fprintln(w, "\nroutes")
	for _, c := range routeChecks {
		if !f.kind(c.kind) || !f.cs(c.name) {
			continue
		}
		o := peer.Options{Handler: true, Protobuf: c.kind.Protobuf(), Mux: c.kind == call.Mux}
		a, err := l.Server(o)
		if err != nil {
			return err
		}
		b, err := StartServer(l.Bin, o, "127.0.0.1:0")
		if err != nil {
			return err
		}
		v, log, err := l.routed(c, a, b)
		b.Kill()
		if err != nil {
			return err
		}
		result := r.count("route, "+c.name, v, func() string { return "    log of the proxy:\n      " + lastLines(log, 3) + "\n" })
		fmt.Fprintf(w, "  %-18s %-52s %s\n", c.kind, c.name, result)
	}
	return nil
}

func (l *Lab) routed(c routeCheck, a, b *Server) (Verdict, string, error) {
	var t strings.Builder
	fmt.Fprintf(&t, "workers = 1\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n%s\n", c.listener)
	for _, route := range c.routes {
		fmt.Fprintf(&t, "\n[[route]]\n%s\n", route)
	}
	for name, s := range map[string]*Server{"A": a, "B": b} {
		fmt.Fprintf(&t, "\n[cluster.%s]\nendpoints = [%q]\n%s\n", name, s.Addr, c.cluster)
	}
	p, err := StartProxyWith(l.Binary, l.Dir, t.String())
	if err != nil {
		return Verdict{}, "", err
	}
	defer p.Stop()
	cs := call.Case{Name: c.name, Thrift: c.do, Pb: c.do}
	want := c.want
	if c.like {
		want = cs.Do(c.kind, a.Addr, a.Take).Notes["call"]
	}
	b.Take()
	got := cs.Do(c.kind, p.Addr, a.Take)
	at := ""
	if len(got.Seen) > 0 {
		at += "A"
	}
	if len(b.Take()) > 0 {
		at += "B"
	}
	v := Verdict{}
	g := got.Notes["call"]
	same := g.Kind == want.Kind && g.Code == want.Code && g.Value == want.Value
	if c.like {
		same = same && g.Text == want.Text
	} else {
		same = same && strings.Contains(g.Text, want.Text)
	}
	if !same {
		v.Diffs = append(v.Diffs, fmt.Sprintf("expected %s\n      got      %s", line(want, true), line(g, true)))
	}
	if at != c.at {
		v.Diffs = append(v.Diffs, fmt.Sprintf("expected at cluster %q, was at %q", c.at, at))
	}
	return v, p.Log(), nil
}
