package calls

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Lab plays Kitex's clients against a Kitex server and against ours.
type Lab struct {
	// IDL is the folder of the IDL files.
	IDL string
	// Peer starts our server, with or without a handler of unknown services; without Peer only the
	// direct outcomes are made.
	Peer func(args ...string) (addr string, stop func(), err error)
	// CaseFilter and KindFilter choose.
	CaseFilter, KindFilter, TransportFilter string
	Verbose                                 bool
}

// Report counts cells.
type Report struct {
	Same, Listed, Failed, Sense int
	used                        map[string]int
}

// Add adds the counts up.
func (r *Report) Add(o Report) {
	r.Same += o.Same
	r.Listed += o.Listed
	r.Failed += o.Failed
	r.Sense += o.Sense
}

var kinds = []Kind{BinaryV1, BinaryV2, Map, JSON, JSONFast, JSONCombined, JSONSecond, HTTP, HTTPFast, HTTPFastRaw, BinaryPb, JSONPb}

// Run plays all cells. What is expected is what the same client gets of a Kitex server in the same run.
func (l *Lab) Run(w io.Writer) (Report, error) {
	total := Report{used: map[string]int{}}
	for _, p := range []part{
		{"Kitex generic clients → our server", nil, kinds, Cases},
		{"the same, our server by the rules of dynamicgo", []string{"--dynamic"}, []Kind{BinaryV2, JSON, JSONFast}, Cases},
		{"the same, with a handler of unknown services", []string{"--unknown"}, kinds, Unknown},
	} {
		r, err := l.part(w, p, total.used)
		if err != nil {
			return total, err
		}
		total.Add(r)
	}
	if l.complete() && l.Peer != nil {
		total.Failed += unused(w, exceptions, total.used)
	}
	return total, nil
}

// complete is true where no cell is left out.
func (l *Lab) complete() bool {
	return l.CaseFilter == "" && l.KindFilter == "" && l.TransportFilter == ""
}

// unused counts the exceptions that no cell needed: their list must not go stale.
func unused(w io.Writer, list []exception, used map[string]int) (n int) {
	for _, x := range list {
		if used[x.name] == 0 {
			fmt.Fprintf(w, "FAIL  nothing differs as the exception %q says\n", x.name)
			n++
		}
	}
	return n
}

// part is a server of ours, and what is played against it.
type part struct {
	name  string
	args  []string
	kinds []Kind
	cases []Case
}

func (l *Lab) part(w io.Writer, p part, used map[string]int) (Report, error) {
	var report Report
	thrift, err := StartGenerated(slices.Contains(p.args, "--unknown"))
	if err != nil {
		return report, err
	}
	defer thrift.Stop()
	pb, err := StartProtobuf()
	if err != nil {
		return report, err
	}
	defer pb.Stop()
	ours, oursPb := "", ""
	if l.Peer != nil {
		addr, stop, err := l.Peer(p.args...)
		if err != nil {
			return report, err
		}
		defer stop()
		ours = addr
		if addr, stop, err = l.Peer("--protobuf"); err != nil {
			return report, err
		}
		defer stop()
		oursPb = addr
	}
	fmt.Fprintf(w, "\n%s\n  %-20s", p.name, "")
	for _, by := range Transports {
		fmt.Fprintf(w, " %15s", by.Name)
	}
	fmt.Fprintln(w)
	for _, kind := range p.kinds {
		if !strings.Contains(string(kind), l.KindFilter) {
			continue
		}
		var line, details strings.Builder
		for _, by := range Transports {
			cell := Report{used: used}
			if strings.Contains(by.Name, l.TransportFilter) {
				direct, through := thrift.Addr, ours
				if kind == BinaryPb || kind == JSONPb {
					direct, through = pb.Addr, oursPb
				}
				if err := l.column(&details, &cell, kind, by, direct, through, p.cases); err != nil {
					return report, err
				}
			}
			report.Add(cell)
			fmt.Fprintf(&line, " %15s", cell.Short())
		}
		if strings.Trim(line.String(), " -") != "" {
			fmt.Fprintf(w, "  %-20s%s\n%s", kind, line.String(), details.String())
		}
	}
	return report, nil
}

// Short is the counts of a cell.
func (r Report) Short() string {
	if r.Same+r.Listed+r.Failed+r.Sense == 0 {
		return "-"
	}
	out := fmt.Sprintf("%d ok", r.Same)
	if r.Listed > 0 {
		out += fmt.Sprintf(" %d*", r.Listed)
	}
	if n := r.Failed + r.Sense; n > 0 {
		out += fmt.Sprintf(" %d FAIL", n)
	}
	return out
}

func (l *Lab) column(w io.Writer, cell *Report, kind Kind, by Transport, direct, ours string, cases []Case) error {
	var chosen []Case
	for _, cs := range cases {
		if cs.is(kind, by) && strings.Contains(cs.Name, l.CaseFilter) {
			chosen = append(chosen, cs)
		}
	}
	if len(chosen) == 0 || impossible(kind, by) {
		return nil
	}
	reference, err := Connect(kind, by, direct, l.IDL)
	if err != nil {
		return err
	}
	defer reference.Close()
	var through *Caller
	if ours != "" {
		if through, err = Connect(kind, by, ours, l.IDL); err != nil {
			return err
		}
		defer through.Close()
	}
	for _, cs := range chosen {
		want := cs.Do(reference)
		if strings.Contains(want, "harness: ") || strings.Contains(want, "panic: ") || cs.Sense != "" && !strings.Contains(want, cs.Sense) && !senseless(cs, kind, by) {
			cell.Sense++
			fmt.Fprintf(w, "    FAIL %s, %s: the direct outcome makes no sense\n%s", cs.Name, by.Name, indented(want))
			continue
		}
		if through == nil {
			cell.Same++
			if l.Verbose {
				fmt.Fprintf(w, "    %s, %s\n%s", cs.Name, by.Name, indented(want))
			}
			continue
		}
		l.compare(w, cell, cs, kind, by, exceptions, want, cs.Do(through))
	}
	return nil
}

// compare judges one cell and counts it.
func (l *Lab) compare(w io.Writer, cell *Report, cs Case, kind Kind, by Transport, list []exception, want, got string) {
	x, listed := excepted(list, cs, kind, by, want, got)
	switch {
	case got == want:
		cell.Same++
		if l.Verbose {
			fmt.Fprintf(w, "    %s, %s\n%s", cs.Name, by.Name, indented(want))
		}
	case listed:
		cell.Listed++
		cell.used[x]++
		if l.Verbose {
			fmt.Fprintf(w, "    %s, %s: differs (%s)\n      Kitex\n%s      ours\n%s", cs.Name, by.Name, x, indented(want), indented(got))
		}
	default:
		cell.Failed++
		fmt.Fprintf(w, "    FAIL %s, %s\n      Kitex\n%s      ours\n%s", cs.Name, by.Name, indented(want), indented(got))
	}
}

func indented(text string) string {
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i == 12 {
			out.WriteString("        …\n")
			break
		}
		if len(line) > 500 {
			line = line[:500] + "…"
		}
		fmt.Fprintf(&out, "        %s\n", line)
	}
	return out.String()
}

// impossible are combinations that Kitex itself does not have: V1 works on whole messages of ping-pong, and
// unframed Protobuf does not exist.
func impossible(kind Kind, by Transport) bool {
	switch kind {
	case BinaryV1:
		return by.Name == "buffered" || by.Streams
	case BinaryPb, JSONPb:
		return by.Name == "buffered" || by.Name == "ttstream"
	}
	return false
}

// senseless are direct outcomes in which Kitex's own limits hide what a case is about.
func senseless(cs Case, kind Kind, by Transport) bool {
	// A combined client has no service's name, and a server of gRPC goes by the name.
	return kind == JSONCombined && by.Name == "grpc"
}

// exception is a difference that is ours by intent.
type exception struct {
	name string
	why  string
	is   func(cs Case, kind Kind, by Transport, want, got string) bool
}

var exceptions = []exception{
	{"business error as an exception", "a Framed or Buffered caller of ours is told of a business error by EXCEPTION 6, of Kitex by an empty result (rule b of the matrix)",
		func(cs Case, _ Kind, by Transport, want, got string) bool {
			return (by.Name == "buffered" || by.Name == "framed") && strings.Contains(cs.Name, "business error") && strings.HasSuffix(got, "biz error: code=404, msg=not found")
		}},
	{"unknown names by gRPC", "gRPC's own status for them is 12; Kitex has 20 and 1 (rule e of the streams, `kitex_status`)",
		func(_ Case, _ Kind, by Transport, want, got string) bool {
			return strings.HasPrefix(by.Name, "grpc") && strings.Contains(want, "desc = unknown ") &&
				strings.Contains(got, "code = 12 desc = proxy: unknown ")
		}},
	{"unknown method of a stream", "stock ttstream servers say nothing of it (rule s of the streams)",
		func(cs Case, _ Kind, _ Transport, want, got string) bool {
			return cs.Name == "stream of a method that is not there" && want == "timeout" && strings.HasSuffix(got, "unknown method Nope (service Generic)")
		}},
}

func excepted(list []exception, cs Case, kind Kind, by Transport, want, got string) (string, bool) {
	for _, x := range list {
		if x.is(cs, kind, by, want, got) {
			return x.name, true
		}
	}
	return "", false
}
