package rows

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Report counts how rows ended.
type Report struct {
	Same, Differ, Skipped, Failed int
	// Words are errors among the same whose words are not ours.
	Words int
}

// verdict is how one row ended; why is empty where all is as the row says.
type verdict struct {
	row  *Row
	mark string // "ok", "differs", "skip", "FAIL"
	why  string
	got  got
}

// Run plays rows and prints those that are not as they say.
func (l *Lab) Run(w io.Writer, rows []*Row, verbose bool) Report {
	var report Report
	files := map[string]*Report{}
	for _, r := range rows {
		v := l.judge(r)
		if files[r.File] == nil {
			files[r.File] = &Report{}
		}
		for _, c := range []*Report{&report, files[r.File]} {
			switch v.mark {
			case "ok":
				c.Same++
				if v.otherWords() {
					c.Words++
				}
			case "differs":
				c.Differ++
			case "skip":
				c.Skipped++
			default:
				c.Failed++
			}
		}
		if v.mark == "FAIL" || verbose {
			v.print(w)
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(w, "\n  %-20s %6s %22s %18s %9s %9s\n", "rows", "same", "(error in other words)", "listed difference", "not run", "mismatch")
	for _, name := range names {
		files[name].print(w, name)
	}
	report.print(w, "all")
	return report
}

func (c *Report) print(w io.Writer, name string) {
	fmt.Fprintf(w, "  %-20s %6d %22d %18d %9d %9d\n", name, c.Same, c.Words, c.Differ, c.Skipped, c.Failed)
}

// otherWords is true of an error that lacks the words that the row has.
func (v verdict) otherWords() bool {
	want := v.row.Expect.Error
	return want != nil && v.got.err != nil && !strings.Contains(v.got.err.Error(), *want)
}

func (l *Lab) judge(r *Row) verdict {
	g, err := l.play(r)
	if r.Kitex != nil && r.Kitex.Skip != "" {
		if err == nil && r.Expect.Error == nil && r.Expect.matches(g, true) == nil {
			return verdict{r, "FAIL", "the row isn't compared, and could be: Kitex does the same", g}
		}
		return verdict{row: r, mark: "skip", why: r.Kitex.Skip}
	}
	if err != nil {
		return verdict{row: r, mark: "FAIL", why: "cannot be played: " + err.Error()}
	}
	same := r.Expect.matches(g, true)
	if r.Kitex == nil {
		if same != nil {
			return verdict{r, "FAIL", "Kitex differs, and the row doesn't say so: " + same.Error(), g}
		}
		return verdict{r, "ok", "", g}
	}
	if differs := r.Kitex.matches(g, false); differs != nil {
		return verdict{r, "FAIL", "Kitex doesn't do what the row says of it: " + differs.Error(), g}
	}
	if same == nil && r.Expect.Error == nil {
		return verdict{r, "FAIL", "the row says that Kitex differs, and it doesn't", g}
	}
	return verdict{r, "differs", "", g}
}

func (v verdict) print(w io.Writer) {
	fmt.Fprintf(w, "%-8s %s  [%s, %s %s]\n", v.mark, v.row.Name(), v.row.Op, v.row.Fixture, v.row.Method)
	if v.why != "" {
		fmt.Fprintf(w, "         %s\n", v.why)
	}
	if v.mark == "skip" {
		return
	}
	fmt.Fprintf(w, "         in       %s\n", clip(string(v.row.In)))
	fmt.Fprintf(w, "         expected %s\n", clip(v.row.Expect.String()))
	if v.row.Kitex != nil {
		fmt.Fprintf(w, "         of Kitex %s\n", clip(v.row.Kitex.String()))
	}
	fmt.Fprintf(w, "         Kitex    %s\n", clip(v.got.String()))
}

// String is the result as the row has it.
func (want Result) String() string {
	text, err := json.Marshal(want)
	if err != nil {
		return err.Error()
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members)
	var out []string
	for k, v := range members {
		if s := string(v); s != "null" && s != `""` && s != "false" {
			out = append(out, k+" "+s)
		}
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// clip makes a line that a terminal can show.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return '␣'
		}
		return r
	}, s)
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}
