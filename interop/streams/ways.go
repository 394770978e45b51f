package streams

import (
	"fmt"
	"strings"

	"interop/matrix"
)

// hop is one proxy between client and server: the lines of its tables.
type hop struct {
	// name is the proxy's own, which it adds to the path of a cancellation.
	name      string
	listener  string
	route     string
	cluster   string
	unaryOnly bool
}

// Way is how a client gets to a server.
type Way struct {
	Name string
	hops []hop
	// cross says what the last hop changes: empty when the server is spoken to as the client speaks.
	cross Crossing
	// only picks cases; nil: all.
	only func(string) bool
}

// Crossing is a change of protocol.
type Crossing string

// The crossings of the specification, section D. Unary calls cross between ping-pong and gRPC there.
const (
	none            Crossing = ""
	ttstreamToGrpc  Crossing = "ttstream > gRPC"
	grpcToTtstream  Crossing = "gRPC > ttstream"
	ttstreamAndBack Crossing = "ttstream > gRPC > ttstream"
	grpcAndBack     Crossing = "gRPC > ttstream > gRPC"
)

const (
	toGrpc     = "streaming = \"grpc\"\npingpong = \"grpc\"\npackage = \"live\""
	toTtstream = "streaming = \"ttstream\"\npingpong = \"ttheader\""
	askIsUnary = "unary = [\"Ask\"]"
	large      = "max_message = \"80MiB\""
)

func protocols(names ...string) string {
	return fmt.Sprintf("protocols = [%s]", `"`+strings.Join(names, `", "`)+`"`)
}

// plain is a hop that changes nothing, with a listener for all protocols.
func plain(name string) hop { return hop{name: name} }

func (h hop) config(endpoint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\nworkers = 2\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n%s\n%s\n", h.name, large, h.listener)
	fmt.Fprintf(&b, "\n[[route]]\n%s\ncluster = \"b\"\n", h.route)
	fmt.Fprintf(&b, "\n[cluster.b]\nendpoints = [%q]\n%s\n", endpoint, h.cluster)
	return b.String()
}

// chain starts the proxies of a way in front of an address.
func (w Way) chain(lab *Lab, endpoint string) ([]*matrix.Proxy, error) {
	var out []*matrix.Proxy
	for i := len(w.hops) - 1; i >= 0; i-- {
		p, err := lab.proxy(w.hops[i], endpoint)
		if err != nil {
			stopAll(out)
			return nil, err
		}
		out = append(out, p)
		endpoint = p.Addr
	}
	return out, nil
}

func stopAll(all []*matrix.Proxy) {
	for _, p := range all {
		p.Stop()
	}
}

// Pair is a client, a server, and the ways between them.
type Pair struct {
	Client, Server string
	Ways           []Way
}

// Name is how reports call it.
func (p Pair) Name() string { return p.Client + " → " + p.Server }

func one() Way { return Way{Name: "one", hops: []hop{plain("p1")}} }
func two() Way { return Way{Name: "two", hops: []hop{plain("p1"), plain("p2")}} }
func split(names ...string) Way {
	h := plain("p1")
	h.listener = protocols(names...)
	return Way{Name: "split", hops: []hop{h}}
}

func crossing(c Crossing, hops ...hop) Way {
	return Way{Name: string(c), hops: hops, cross: c}
}

var (
	hopToGrpc     = hop{name: "p1", cluster: toGrpc}
	hopToTtstream = hop{name: "p1", route: "service = \"*\"\n" + askIsUnary, cluster: toTtstream}
)

func streamsOnly(name string) bool { return !strings.HasPrefix(name, "unary") }

func pool(kind string) Way {
	h := plain("p1")
	h.cluster = fmt.Sprintf("stream_pool = %q", kind)
	return Way{Name: "pool " + kind, hops: []hop{h}, only: streamsOnly}
}

func second(h hop) hop {
	h.name = "p2"
	return h
}

// pairs are all that are run.
func pairs(others []string) []Pair {
	out := []Pair{
		{"kitex-ttstream", "kitex-thrift", []Way{
			one(), two(), split("ttheader", "ttstream"), pool("long"), pool("short"),
			crossing(ttstreamToGrpc, hopToGrpc),
			crossing(ttstreamAndBack, hopToGrpc, second(hopToTtstream)),
		}},
		{"kitex-ttstream-long", "kitex-thrift", []Way{one()}},
		{"kitex-ttstream-short", "kitex-thrift", []Way{one(), two()}},
		{"kitex-grpc-thrift", "kitex-thrift", []Way{
			one(), two(), split("grpc"),
			crossing(grpcToTtstream, hopToTtstream),
			crossing(grpcAndBack, hopToTtstream, second(hopToGrpc)),
		}},
		{"kitex-grpc", "kitex-protobuf", []Way{one(), two()}},
		{"kitex-grpc", "grpc-go", []Way{one()}},
		{"grpc-go", "kitex-protobuf", []Way{one()}},
		{"grpc-go", "grpc-go", []Way{one(), two(), split("grpc")}},
	}
	for _, o := range others {
		out = append(out,
			Pair{o, o, []Way{one(), two()}},
			Pair{o, "grpc-go", []Way{one()}},
			Pair{o, "kitex-protobuf", []Way{one()}},
			Pair{"grpc-go", o, []Way{one()}},
		)
	}
	return out
}
