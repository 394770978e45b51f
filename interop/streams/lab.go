package streams

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"interop/live"
	"interop/matrix"
)

// Lab is a run of the streaming part.
type Lab struct {
	// Bin is the folder of this module's programs, Proxy the binary of the proxy ("" for direct only),
	// Dir takes configurations, OthersDir has the peers in other languages.
	Bin, Proxy, Dir, OthersDir string
	// Others are the names of those that take part.
	Others []string
	// Relay puts a TCP relay in the place of the proxy, to check the harness.
	Relay bool
	// Jobs is how many pairs are run at once.
	Jobs int
	// PairFilter, WayFilter and CaseFilter pick a part; empty ones match everything.
	PairFilter, WayFilter, CaseFilter string

	out    io.Writer
	peers  peers
	mu     sync.Mutex
	report Report
}

// Report counts cells.
type Report struct {
	Ok, Excepted, Skipped, Failed int
	failures                      []string
	used                          map[string]bool
}

func (l *Lab) proxy(h hop, endpoint string) (*matrix.Proxy, error) {
	if l.Relay {
		return matrix.RelayProxy(endpoint)
	}
	return matrix.StartProxyWith(l.Proxy, l.Dir, h.config(endpoint))
}

// Run goes through all pairs, then through the cases that the runner plays itself.
func (l *Lab) Run(w io.Writer) (*Report, error) {
	l.out, l.report.used = w, map[string]bool{}
	l.peers = goPeers(l.Bin)
	l.peers.addOthers(l.OthersDir, l.Others)
	for _, o := range l.Others {
		if _, err := os.Stat(find(l.peers.servers, o).Command[0]); err != nil {
			return &l.report, fmt.Errorf("peer %s is not built: %w", o, err)
		}
	}
	todo := make(chan Pair)
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	for range max(1, l.Jobs) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for p := range todo {
				if err := l.pair(p); err != nil {
					select {
					case errs <- fmt.Errorf("%s: %w", p.Name(), err):
					default:
					}
				}
			}
		}()
	}
	for _, p := range pairs(l.Others) {
		if strings.Contains(p.Name(), l.PairFilter) {
			todo <- p
		}
	}
	close(todo)
	wg.Wait()
	select {
	case err := <-errs:
		return &l.report, err
	default:
	}
	if l.Proxy != "" && !l.Relay && (l.PairFilter == "" || strings.Contains("driven", l.PairFilter)) {
		l.drive()
	}
	if l.PairFilter == "" || strings.Contains("h2spec", l.PairFilter) {
		fmt.Fprintln(w, "\nh2spec against a gRPC listener")
		if err := l.h2spec(); err != nil {
			return &l.report, err
		}
	}
	return &l.report, nil
}

// outcome is what one run of a client gave.
type outcome struct {
	results map[string]live.Result
	seen    []live.Observation
}

func (l *Lab) once(client Peer, addr string, s *server, cases string, wanted int) (outcome, error) {
	s.take(-1) // what was left behind
	results, err := client.run(addr, cases)
	if err != nil {
		return outcome{}, err
	}
	return outcome{results, s.take(wanted)}, nil
}

// cases are the names that the filter leaves, as the client takes them.
func (l *Lab) cases(only func(string) bool) string {
	if l.CaseFilter == "" && only == nil {
		return "all"
	}
	var names []string
	for _, c := range live.Cases {
		if strings.Contains(c.Name, l.CaseFilter) && (only == nil || only(c.Name)) {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ",")
}

func (l *Lab) pair(p Pair) error {
	client, s0 := find(l.peers.clients, p.Client), find(l.peers.servers, p.Server)
	s, err := serve(s0)
	if err != nil {
		return err
	}
	defer s.Kill()
	var b strings.Builder
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		fmt.Fprint(l.out, b.String())
	}()
	start := time.Now()
	all := l.cases(nil)
	if all == "" {
		return nil
	}
	direct, err := l.once(client, s.addr, s, all, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n%s\n  %-10s %s\n", p.Name(), "direct", l.direct(p, direct))
	var twin *outcome
	for _, way := range p.Ways {
		if l.Proxy == "" && !l.Relay || l.Relay && way.cross != none || !strings.Contains(way.Name, l.WayFilter) {
			continue
		}
		if way.cross != none && twin == nil {
			other := map[bool]string{true: "kitex-grpc-thrift", false: "kitex-ttstream"}[client.Speaks == "ttstream"]
			got, err := l.once(find(l.peers.clients, other), s.addr, s, all, 0)
			if err != nil {
				return err
			}
			twin = &got
		}
		line, err := l.way(p, way, client, s, direct, twin)
		if err != nil {
			l.fail(p.Name()+", "+way.Name, "    "+err.Error()+"\n")
			line = "FAIL"
		}
		fmt.Fprintf(&b, "  %-10s %s\n", way.Name, line)
	}
	fmt.Fprintf(&b, "  (%.1f s)\n", time.Since(start).Seconds())
	return nil
}

// direct books the direct results, which have to make sense in themselves.
func (l *Lab) direct(p Pair, o outcome) string {
	good, skipped := 0, 0
	for _, name := range names(o.results) {
		r := o.results[name]
		if r.Skip != "" {
			skipped++
			continue
		}
		if l.lacks(p.Server, name) {
			skipped++
			continue
		}
		if err := sane(name, r, of(name, o.seen)); err != nil {
			l.fail(fmt.Sprintf("%s, %s, direct", p.Name(), name), "    "+err.Error()+"\n")
			continue
		}
		good++
	}
	return fmt.Sprintf("%d cases, %d that the client leaves out", good, skipped)
}

// lacks is true for what servers in other languages do not do: business errors are a matter of Kitex,
// and a key in the metadata that asks for an observation one of the peers in Go.
func (l *Lab) lacks(server, name string) bool {
	return slices.Contains(l.Others, server) && (strings.Contains(name, "biz") || name == "chat_cancel_before_message")
}

func (l *Lab) way(p Pair, way Way, client Peer, s *server, direct outcome, twin *outcome) (string, error) {
	proxies, err := way.chain(l, s.addr)
	if err != nil {
		return "", err
	}
	defer stopAll(proxies)
	cases := l.cases(way.only)
	if cases == "" {
		return "no case", nil
	}
	wanted := 0
	for _, o := range direct.seen {
		if way.only == nil || way.only(o.Case) {
			wanted++
		}
	}
	got, err := l.once(client, proxies[len(proxies)-1].Addr, s, cases, wanted)
	if err != nil {
		return "", err
	}
	if l.Relay {
		way.hops = nil // a relay has no name
	}
	counts := map[string]int{}
	for _, name := range names(direct.results) {
		if way.only != nil && !way.only(name) {
			continue
		}
		c := cell{pair: p, way: way, name: name, want: direct.results[name], got: got.results[name], wantSeen: of(name, direct.seen), gotSeen: of(name, got.seen)}
		if twin != nil {
			c.twin, c.twinSeen = twin.results[name], of(name, twin.seen)
		}
		if c.want.Skip != "" || l.lacks(p.Server, name) {
			l.mu.Lock()
			l.report.Skipped++
			l.mu.Unlock()
			continue
		}
		v := judge(c)
		where := fmt.Sprintf("%s, %s, %s", p.Name(), way.Name, name)
		if len(v.diffs) > 0 {
			what := "    " + strings.Join(v.diffs, "\n    ") + "\n"
			for i, proxy := range proxies {
				what += fmt.Sprintf("    log of proxy %d from the server:\n      %s\n", i+1, lastLines(proxy.Log(), 3))
			}
			l.fail(where, what)
			counts["FAIL"]++
			continue
		}
		l.mu.Lock()
		if v.letters == "" {
			l.report.Ok++
			counts["ok"]++
		} else {
			l.report.Excepted++
			counts["ok*"+v.letters]++
			for _, letter := range v.letters {
				l.report.used[string(letter)] = true
			}
		}
		l.mu.Unlock()
	}
	for i, proxy := range proxies {
		if process := proxy.Process(); process != nil && !process.Alive() {
			l.fail(fmt.Sprintf("%s, %s", p.Name(), way.Name), fmt.Sprintf("    proxy %d has died:\n%s\n", i+1, lastLines(proxy.Log(), 10)))
		}
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(parts, "  "), nil
}

func (l *Lab) fail(where, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Failed++
	l.report.failures = append(l.report.failures, "FAIL "+where+"\n"+what)
}

func (l *Lab) ok() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Ok++
}

func names(m map[string]live.Result) []string { return slices.Sorted(maps.Keys(m)) }

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n      ")
}

// Print writes the table of exceptions, the failures and the count.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "\nok*: equal to the direct result but for what the specification asks for or allows\n")
	for _, e := range Exceptions {
		note := ""
		if !r.used[e.Letter] {
			note = " (not met in this run)"
		}
		fmt.Fprintf(w, "  %s  %-9s %s%s\n     %-9s %s\n", e.Letter, e.Rule, e.What, note, "", e.Why)
	}
	for _, f := range r.failures {
		fmt.Fprintf(w, "\n%s", f)
	}
	fmt.Fprintf(w, "\nstreams: %d ok, %d ok with a listed exception, %d that a library cannot express, %d failed\n", r.Ok, r.Excepted, r.Skipped, r.Failed)
}
