package matrix

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"interop/call"
)

// Report counts cells.
type Report struct {
	Ok, Excepted, Failed int
	failures             []failure
	used                 map[string]bool
}

type failure struct{ where, what string }

// Filter picks a part of the matrix; empty parts match everything.
type Filter struct{ Kind, Case, Upstream string }

func (f Filter) kind(k call.Kind) bool { return f.Kind == "" || f.Kind == string(k) }
func (f Filter) cs(name string) bool   { return f.Case == "" || strings.Contains(name, f.Case) }
func (f Filter) up(name string) bool   { return f.Upstream == "" || f.Upstream == name }

// Run goes through the matrix and writes one table per client.
func (l *Lab) Run(w io.Writer, f Filter) (*Report, error) {
	r := &Report{used: map[string]bool{}}
	for _, k := range Kinds {
		if !f.kind(k) {
			continue
		}
		if err := l.runKind(w, f, k, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (l *Lab) columns(f Filter, k call.Kind) []Upstream {
	var out []Upstream
	for _, u := range Upstreams {
		if !f.up(u.Name) || !(Cell{Kind: k, Upstream: u}).Legal() || l.Relay && u.Name != "as caller" || l.Kitex && u.Mux {
			continue
		}
		out = append(out, u)
	}
	return out
}

func (l *Lab) runKind(w io.Writer, f Filter, k call.Kind, r *Report) error {
	columns := l.columns(f, k)
	if l.Binary == "" && !l.Relay && !l.Kitex {
		columns = nil
	}
	start := time.Now()
	fmt.Fprintf(w, "\nclient %s\n  %-38s %-12s", k, "case", "direct")
	for _, u := range columns {
		fmt.Fprintf(w, " %-11s", u.Name)
	}
	fmt.Fprintln(w)
	for _, cs := range call.Cases {
		if !f.cs(cs.Name) || !cs.For(k) {
			continue
		}
		direct, err := l.Direct(cs, k)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %-38s %-12s", cs.Name, r.direct(cs, k, direct))
		for _, u := range columns {
			cell := Cell{Case: cs, Kind: k, Upstream: u}
			v, err := l.Try(cell)
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", k, cs.Name, u.Name, err)
			}
			fmt.Fprintf(w, " %-11s", r.count(fmt.Sprintf("%s, %s, upstream %s", k, cs.Name, u.Name), v, func() string { return l.Trace(cell) }))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "  (%.1f s)\n", time.Since(start).Seconds())
	l.DropProxies()
	return nil
}

// direct books a direct observation, which has to make sense in itself.
func (r *Report) direct(cs call.Case, k call.Kind, o call.Observation) string {
	if err := cs.Sane(k, o); err != nil {
		r.Failed++
		r.failures = append(r.failures, failure{fmt.Sprintf("%s, %s, direct", k, cs.Name), fmt.Sprintf("    %v\n", err)})
		return "FAIL"
	}
	return summary(o)
}

// count puts a verdict on the books and says what the table shows for it.
func (r *Report) count(where string, v Verdict, trace func() string) string {
	if len(v.Diffs) > 0 {
		r.Failed++
		what := "    " + strings.Join(v.Diffs, "\n    ") + "\n"
		if r.Failed <= 25 && trace != nil {
			what += trace()
		}
		r.failures = append(r.failures, failure{where, what})
		return "FAIL"
	}
	for _, letter := range v.Letters {
		r.used[string(letter)] = true
	}
	if v.Letters == "" {
		r.Ok++
		return "ok"
	}
	r.Excepted++
	return "ok*" + v.Letters
}

// summary says in a word what the direct client got.
func summary(o call.Observation) string {
	kinds := map[string]int{}
	for _, n := range o.Notes {
		kinds[n.Kind]++
	}
	var names []string
	for k := range kinds {
		names = append(names, k)
	}
	sort.Strings(names)
	if len(names) == 1 {
		return fmt.Sprintf("%s %d", names[0], kinds[names[0]])
	}
	var parts []string
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%.3s %d", n, kinds[n]))
	}
	return strings.Join(parts, " ")
}

// Print writes the exceptions, the failures and the count.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "\nok*: equal to the direct result but for what the specification asks for or allows\n")
	for _, e := range Exceptions {
		note := ""
		if !r.used[e.Letter] {
			note = " (not met in this run)"
		}
		fmt.Fprintf(w, "  %s  %-9s %s%s\n     %-9s %s\n", e.Letter, e.Rule, e.What, note, "", e.Why)
	}
	fmt.Fprintf(w, "and for raw bytes\n")
	for _, e := range RawExceptions {
		note := ""
		if !r.used["raw "+e.Letter] {
			note = " (not met in this run)"
		}
		fmt.Fprintf(w, "  %s  %-9s %s%s\n     %-9s %s\n", e.Letter, e.Rule, e.What, note, "", e.Why)
	}
	for _, f := range r.failures {
		fmt.Fprintf(w, "\nFAIL %s\n%s", f.where, f.what)
	}
	fmt.Fprintf(w, "\n%d ok, %d ok with a listed exception, %d failed\n", r.Ok, r.Excepted, r.Failed)
}
