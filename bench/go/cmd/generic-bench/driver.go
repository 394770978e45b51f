package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// driver measures rounds of all contenders, ours among them, and makes the table.
type driver struct {
	rounds       int
	seconds      float64
	idl          string
	ours, floors string

	seen map[key][]figure
	load []string
}

type key struct{ name, direction, payload string }

func (d *driver) run(w io.Writer) error {
	d.seen = map[key][]figure{}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for round := range d.rounds {
		load, _ := os.ReadFile("/proc/loadavg")
		d.load = append(d.load, strings.Fields(string(load))[0])
		fmt.Fprintf(w, "round %d of %d\n", round+1, d.rounds)
		out, err := pinned(self, "-json", "-idl", d.idl, "-seconds", strconv.FormatFloat(d.seconds, 'f', -1, 64))
		if err != nil {
			return err
		}
		lines := json.NewDecoder(bytes.NewReader(out))
		for {
			var f figure
			if err := lines.Decode(&f); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			d.keep(f)
		}
		for _, binary := range []string{d.ours, d.floors} {
			if binary == "" {
				continue
			}
			out, err := pinned(binary, "--bench", "--noplot", "--discard-baseline", `^json/(write|read)/(small|medium)/`,
				"--warm-up-time", "0.3", "--measurement-time", strconv.FormatFloat(max(d.seconds, 0.5), 'f', -1, 64))
			if err != nil {
				return err
			}
			if err := d.keepCriterion(out); err != nil {
				return fmt.Errorf("%s: %w\n%s", binary, err, out)
			}
		}
	}
	return nil
}

func (d *driver) keep(f figure) {
	k := key{f.Name, f.Direction, f.Payload}
	d.seen[k] = append(d.seen[k], f)
}

// pinned runs a program on the last core, as all of them are.
func pinned(name string, args ...string) ([]byte, error) {
	core := strconv.Itoa(runtime.NumCPU() - 1)
	cmd := exec.Command("taskset", append([]string{"-c", core, name}, args...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, stderr.String())
	}
	return out, err
}

var (
	measured = regexp.MustCompile(`time:\s+\[\S+ \S+ (\S+) (ns|µs|us|ms|s) `)
	units    = map[string]float64{"ns": 1, "µs": 1e3, "us": 1e3, "ms": 1e6, "s": 1e9}
)

// keepCriterion reads what a criterion benchmark prints: a name in front of `time:`, or on the line before
// it where the name is long. Names are `json/<direction>/<payload>/<who>`; others are not of this contest.
func (d *driver) keepCriterion(out []byte) error {
	found := 0
	var before string
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		line := lines.Text()
		m := measured.FindStringSubmatch(line)
		if m == nil {
			if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(line, " ") {
				before = t
			}
			continue
		}
		name := strings.TrimSpace(line[:strings.Index(line, "time:")])
		if name == "" {
			name = before
		}
		f, ok := contestant(name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return err
		}
		f.Nanos = n * units[m[2]]
		d.keep(f)
		found++
	}
	if found == 0 {
		return fmt.Errorf("no benchmark of the contest in its output")
	}
	return nil
}

// median over the rounds.
func (d *driver) median(k key) (figure, bool) {
	all := d.seen[k]
	if len(all) == 0 {
		return figure{}, false
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b figure) int {
		switch {
		case a.Nanos < b.Nanos:
			return -1
		case a.Nanos > b.Nanos:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2], true
}

func (d *driver) write(file string) error {
	var b strings.Builder
	d.table(&b)
	if file == "" {
		fmt.Print(b.String())
		return nil
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func (d *driver) table(b *strings.Builder) {
	fmt.Fprintf(b, "# Generic calls: JSON and Thrift\n\n")
	fmt.Fprintf(b, "Written by `bench/generic.sh` on %s.\n\n", time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(b, "%s; %s, kernel %s; %s. ", cpu(), plural(runtime.NumCPU(), "core"), kernel(), runtime.Version())
	fmt.Fprintf(b, "Kitex v0.16.3, dynamicgo v0.8.0 (its native converter).\n")
	fmt.Fprintf(b, "Medians of %s, all contenders in turns, %g s each, pinned to one core; load before each round: %s.\n", plural(d.rounds, "round"), d.seconds, strings.Join(d.load, ", "))
	fmt.Fprintf(b, "MB/s are of JSON. Small is 228 bytes of JSON, 114 of Thrift; Medium 11,199 and 6,455.\n\n")
	for _, part := range []struct{ direction, title string }{{"write", "JSON → Thrift"}, {"read", "Thrift → JSON"}} {
		fmt.Fprintf(b, "## %s\n\n", part.title)
		fmt.Fprintf(b, "| | Small, ns | MB/s | allocs | × ours | Medium, ns | MB/s | allocs | × ours |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, who := range names {
			d.row(b, who.name, who.title, part.direction)
		}
		fmt.Fprintln(b)
	}
	d.bars(b)
	b.WriteString(notes)
}

// names are the lines of the tables.
var names = []struct{ name, title string }{
	{oursDynamic, "**thrift-generic**, profile Dynamic"},
	{oursDefault, "**thrift-generic**, profile Default"},
	{"dynamicgo", "dynamicgo's converter alone, buffer kept"},
	{"kitex+dynamicgo", "Kitex generic with dynamicgo (D)"},
	{"kitex", "Kitex generic, default (G)"},
	{"serde_json", "serde_json, into and from a struct, no Thrift"},
	{"sonic-rs", "sonic-rs, into and from a struct, no Thrift"},
}

const oursDynamic, oursDefault = "ours/dynamic", "ours/default"

func (d *driver) row(b *strings.Builder, name, title, direction string) {
	line := "| " + title
	any := false
	for _, size := range []struct {
		name string
		json float64
	}{{"small", 228}, {"medium", 11199}} {
		f, ok := d.median(key{name, direction, size.name})
		if !ok {
			line += " | | | |"
			continue
		}
		any = true
		ours, _ := d.median(key{oursDynamic, direction, size.name})
		ratio := ""
		if ours.Nanos > 0 {
			ratio = fmt.Sprintf("%.2f", f.Nanos/ours.Nanos)
		}
		allocs := ""
		if f.Bytes > 0 {
			allocs = strconv.FormatFloat(f.Allocs, 'f', 0, 64)
		}
		line += fmt.Sprintf(" | %.0f | %.0f | %s | %s", f.Nanos, size.json/f.Nanos*1e3, allocs, ratio)
	}
	if any {
		fmt.Fprintln(b, line+" |")
	}
}

// bars are the ones that the project has set itself.
func (d *driver) bars(b *strings.Builder) {
	fmt.Fprintf(b, "## Bars\n\n| | wanted | found | |\n|---|--:|--:|---|\n")
	bar := func(what, wanted, found string, held bool) {
		mark := "missed"
		if held {
			mark = "held"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", what, wanted, found, mark)
	}
	for _, part := range []struct{ direction, title string }{{"write", "JSON → Thrift"}, {"read", "Thrift → JSON"}} {
		ratio := func(name, ours string) (float64, bool) {
			f, ok := d.median(key{name, part.direction, "medium"})
			o, ok2 := d.median(key{ours, part.direction, "medium"})
			return f.Nanos / max(o.Nanos, 1e-9), ok && ok2
		}
		if r, ok := ratio("dynamicgo", oursDynamic); ok {
			bar("Medium, "+part.title+", against dynamicgo alone", "≥ 1.5 ×", fmt.Sprintf("%.2f ×", r), r >= 1.5)
		}
		if r, ok := ratio("kitex", oursDefault); ok {
			bar("Medium, "+part.title+", against Kitex's default", "≥ 8 ×", fmt.Sprintf("%.2f ×", r), r >= 8)
		}
		if f, ok := d.median(key{oursDynamic, part.direction, "small"}); ok {
			bar("Small, "+part.title, "< 400 ns", fmt.Sprintf("%.0f ns", f.Nanos), f.Nanos < 400)
		}
	}
	fmt.Fprintln(b)
}

const notes = `## What is measured

Every contender converts the same bytes, keeps its output buffer, and is checked before it is measured. Kitex's are the
generic arguments and results that its clients use, in process, without a transport; they have the struct of the
arguments around the payload (4 bytes), and its results are text that is allocated anew, which no option avoids.
"dynamicgo's converter alone" is its j2t and t2j BinaryConv with the options that Kitex gives them. Ours are
JsonCodec::write and read. serde_json and sonic-rs do half of the work, for scale: they make a struct that the compiler
knows of JSON, or JSON of one, and there is no Thrift in it. Go runs with GOMAXPROCS=1 on the core that all are pinned to, so its garbage collector is
paid for by the conversion that makes the garbage.
`

func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(name), ":"))
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
