// Package streams is the streaming part of the matrix: every pair of a client and a server runs its
// cases directly, then through one proxy and through two, and what the caller got and what the server
// saw must be the same, apart from a table of differences that are meant.
package streams

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"interop/live"
	"interop/matrix"
)

// Peer is a client or a server of the matrix.
type Peer struct {
	Name string
	// Command starts it; --target and --cases, or --listen, are added.
	Command []string
	// Speaks is what is on the wire: ttstream, grpc-thrift or grpc-protobuf.
	Speaks string
}

// peers are those of this machine, by name.
type peers struct {
	clients, servers []Peer
}

// goPeers are the programs of this module.
func goPeers(bin string) peers {
	client := func(name, speaks string, args ...string) Peer {
		return Peer{Name: name, Speaks: speaks, Command: append([]string{filepath.Join(bin, "liveclient")}, args...)}
	}
	server := func(name string) Peer {
		return Peer{Name: name, Command: []string{filepath.Join(bin, "liveserver"), "-lib", name}}
	}
	return peers{
		clients: []Peer{
			client("kitex-ttstream", "ttstream", "-transport", "ttstream"),
			client("kitex-ttstream-long", "ttstream", "-transport", "ttstream", "-pool", "long"),
			client("kitex-ttstream-short", "ttstream", "-transport", "ttstream", "-pool", "short"),
			client("kitex-grpc-thrift", "grpc-thrift", "-transport", "grpc"),
			client("kitex-grpc", "grpc-protobuf", "-transport", "grpc", "-codec", "protobuf"),
			client("grpc-go", "grpc-protobuf", "-lib", "grpc-go", "-transport", "grpc", "-codec", "protobuf"),
		},
		servers: []Peer{server("kitex-thrift"), server("kitex-protobuf"), server("grpc-go")},
	}
}

// Others are the peers in other languages, each a program that takes `client` or `server`.
var Others = []string{"python", "node", "java", "tonic"}

func (p *peers) addOthers(dir string, names []string) {
	for _, name := range names {
		program := filepath.Join(dir, name, "peer")
		p.clients = append(p.clients, Peer{Name: name, Speaks: "grpc-protobuf", Command: []string{program, "client"}})
		p.servers = append(p.servers, Peer{Name: name, Command: []string{program, "server"}})
	}
}

func find(all []Peer, name string) Peer {
	i := slices.IndexFunc(all, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		panic("no peer " + name)
	}
	return all[i]
}

// server is a running server and what it has told of its calls.
type server struct {
	*matrix.Process
	addr string
	mu   sync.Mutex
	obs  []live.Observation
}

func serve(p Peer, more ...string) (*server, error) {
	return serveAt(p, "127.0.0.1:0", more...)
}

func serveAt(p Peer, addr string, more ...string) (*server, error) {
	s := &server{}
	args := append(slices.Clone(p.Command[1:]), "--listen", addr)
	process, err := matrix.Start(func(line string) bool {
		if rest, ok := strings.CutPrefix(line, "LISTENING "); ok {
			s.addr = rest
		}
		if rest, ok := strings.CutPrefix(line, "OBS "); ok {
			var o live.Observation
			if json.Unmarshal([]byte(rest), &o) == nil {
				s.mu.Lock()
				s.obs = append(s.obs, o)
				s.mu.Unlock()
			}
		}
		return s.addr != ""
	}, nil, p.Command[0], append(args, more...)...)
	s.Process = process
	return s, err
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.obs)
}

// take waits until as many observations are there as are wanted, or none has come for a while.
func (s *server) take(wanted int) []live.Observation {
	quiet := 400 * time.Millisecond
	if wanted > 0 {
		quiet = 4 * time.Second
	}
	seen, since := s.count(), time.Now()
	for time.Since(since) < quiet && (wanted <= 0 || seen < wanted) {
		time.Sleep(10 * time.Millisecond)
		if n := s.count(); n != seen {
			seen, since = n, time.Now()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.obs
	s.obs = nil
	slices.SortStableFunc(out, func(a, b live.Observation) int { return strings.Compare(a.Case, b.Case) })
	return out
}

// run lets a client run cases against an address.
func (p Peer) run(addr, cases string) (map[string]live.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := append(slices.Clone(p.Command[1:]), "--target", addr, "--cases", cases)
	cmd := exec.CommandContext(ctx, p.Command[0], args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("client %s: %w\n%s", p.Name, err, lastBytes(stderr.Bytes(), 2000))
	}
	out := map[string]live.Result{}
	lines := bufio.NewScanner(bytes.NewReader(stdout))
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	for lines.Scan() {
		var r live.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("client %s printed %q: %w", p.Name, lines.Text(), err)
		}
		out[r.Case] = r
	}
	return out, lines.Err()
}

func lastBytes(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}
