package streams

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"interop/live"
)

var (
	ports     = regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`)
	durations = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s)\b`)
	remaining = regexp.MustCompile(`"deadline_ms": ?\d+`)
)

func tidy(text string) string {
	text = durations.ReplaceAllString(ports.ReplaceAllString(text, "ADDR"), "T")
	return remaining.ReplaceAllString(text, `"deadline_ms":0`)
}

// normal makes equal what differs from run to run.
func normal(r live.Result) live.Result {
	r.Ms = 0
	r.End.Message = tidy(r.End.Message)
	if text := tidy(r.First); text != r.First {
		// The text is part of the digest.
		r.First, r.Digest = text, ""
	}
	// Copies: the rules change what is wanted.
	r.Headers, r.Trailers = clone(r.Headers), clone(r.Trailers)
	if len(r.End.Extra) == 0 {
		r.End.Extra = nil
	}
	return r
}

func clone(m map[string][]string) map[string][]string {
	out := map[string][]string{}
	maps.Copy(out, m)
	return out
}

func normalSeen(all []live.Observation) []live.Observation {
	out := slices.Clone(all)
	for i := range out {
		out[i].Text = tidy(out[i].Text)
	}
	return out
}

func of(name string, all []live.Observation) []live.Observation {
	var out []live.Observation
	for _, o := range all {
		if o.Case == name {
			out = append(out, o)
		}
	}
	return out
}

// verdict is the judgement of a cell.
type verdict struct {
	letters string
	diffs   []string
}

func judge(c cell) verdict {
	c.want, c.got, c.twin = normal(c.want), normal(c.got), normal(c.twin)
	c.wantSeen, c.gotSeen, c.twinSeen = normalSeen(c.wantSeen), normalSeen(c.gotSeen), normalSeen(c.twinSeen)
	v := verdict{}
	for _, e := range Exceptions {
		if e.apply(&c) {
			v.letters += e.Letter
		}
	}
	want, got := fields(c.want), fields(c.got)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if want[name] != got[name] {
			v.diffs = append(v.diffs, fmt.Sprintf("%s:\n      expected %s\n      got      %s", name, cut(want[name]), cut(got[name])))
		}
	}
	if w, g := text(c.wantSeen), text(c.gotSeen); w != g {
		v.diffs = append(v.diffs, fmt.Sprintf("what the server saw:\n      expected %s\n      got      %s", cut(w), cut(g)))
	}
	return v
}

func fields(r live.Result) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		out[strings.ToLower(v.Type().Field(i).Name)] = text(v.Field(i).Interface())
	}
	return out
}

func text(v any) string {
	if s := reflect.ValueOf(v); s.Kind() == reflect.Slice && s.Len() == 0 {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func cut(s string) string {
	if len(s) > 500 {
		return s[:500] + "…"
	}
	return s
}

// sane says what is wrong with a direct result, so that a case cannot pass because the same nothing
// was seen twice.
func sane(name string, r live.Result, seen []live.Observation) error {
	if r.Case == "" {
		return fmt.Errorf("the client printed no line for it")
	}
	if strings.Contains(r.End.Message, "harness") {
		return fmt.Errorf("%s", r.End.Message)
	}
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
	}
	switch {
	case has("deadline_passed_on"):
	case has("deadline"):
		if !isDeadline(r.End) {
			return fmt.Errorf("no deadline passed: %+v", r.End)
		}
		return nil
	case has("cancel"):
		if r.End.Kind == "ok" {
			return fmt.Errorf("not cancelled: %+v", r.End)
		}
		if len(seen) != 1 || !seen[0].Cancelled {
			return fmt.Errorf("the server saw no cancellation: %s", text(seen))
		}
		return nil
	case has("biz"):
		if r.End.Kind != "biz" {
			return fmt.Errorf("no business error: %+v", r.End)
		}
		return nil
	case has("status", "error", "panic", "unknown", "trailers_only"):
		if r.End.Kind != "status" && r.End.Kind != "error" {
			return fmt.Errorf("no error: %+v", r.End)
		}
		return nil
	}
	if r.End.Kind != "ok" {
		return fmt.Errorf("did not end well: %+v", r.End)
	}
	if r.Messages == 0 && name != "chat_0" && name != "download_0" {
		return fmt.Errorf("no message came")
	}
	if has("headers") && len(r.Headers["x-header"])+len(r.Headers["x-head"]) == 0 {
		return fmt.Errorf("no headers came")
	}
	if has("trailers") && len(r.Trailers["x-trailer"])+len(r.Trailers["x-end"]) == 0 {
		return fmt.Errorf("no trailers came")
	}
	if has("headers_first") && (r.EarlyHeaders == nil || !*r.EarlyHeaders) {
		return fmt.Errorf("the headers did not come first")
	}
	return nil
}
