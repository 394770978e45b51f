package matrix

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"interop/call"
)

// Verdict is the judgement of one cell.
type Verdict struct {
	Letters string
	Diffs   []string
}

// judge compares what the proxied client got with what the direct one got.
func judge(cell Cell, want, got call.Observation, direct func(call.Kind) call.Observation) Verdict {
	fetch := func(k call.Kind) call.Observation { return normal(direct(k)) }
	c := &comparison{Cell: cell, want: normal(want), got: normal(got), direct: fetch}
	v := Verdict{}
	for _, e := range Exceptions {
		if e.apply(c) {
			v.Letters += e.Letter
		}
	}
	for i := range c.want.Seen {
		// Not an exception but the point of the cell: the backend is spoken to as configured.
		c.want.Seen[i].Transport = cell.Transport()
	}
	v.Diffs = diff(c.want, c.got)
	return v
}

// normal is a deep copy in which what is random or unique is made equal.
func normal(o call.Observation) call.Observation {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var out call.Observation
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	tidyMap := func(m map[string]string) {
		if len(m["crc32c"]) == 8 {
			m["crc32c"] = "a checksum" // covers the seqid, which differs from call to call
		}
		if extra := m["biz-extra"]; extra != "" {
			var pairs map[string]string
			if json.Unmarshal([]byte(extra), &pairs) == nil {
				sorted, _ := json.Marshal(pairs) // Kitex writes it in random order
				m["biz-extra"] = string(sorted)
			}
		}
	}
	tidyMap(out.Backward)
	tidyMap(out.Reply.Strings)
	for i := range out.Seen {
		tidyMap(out.Seen[i].Strings)
		if dialled := out.Seen[i].Ints[11]; strings.HasPrefix(dialled, "127.0.0.1:") {
			out.Seen[i].Ints[11] = "ADDR" // Volo tells whom it called, which is the proxy or the server
		}
	}
	return out
}

func diff(want, got call.Observation) []string {
	var out []string
	names := map[string]bool{}
	for n := range want.Notes {
		names[n] = true
	}
	for n := range got.Notes {
		names[n] = true
	}
	for n := range names {
		w, inWant := want.Notes[n]
		g, inGot := got.Notes[n]
		if inWant != inGot || !reflect.DeepEqual(w, g) {
			out = append(out, fmt.Sprintf("result %q:\n      expected %s\n      got      %s", n, line(w, inWant), line(g, inGot)))
		}
	}
	sort.Strings(out)
	pair := func(what string, w, g interface{}) {
		if a, b := line(w, true), line(g, true); a != b {
			out = append(out, fmt.Sprintf("%s:\n      expected %s\n      got      %s", what, a, b))
		}
	}
	pair("backward values", orEmpty(want.Backward), orEmpty(got.Backward))
	pair("string keys of the reply", orEmpty(want.Reply.Strings), orEmpty(got.Reply.Strings))
	pair("int keys of the reply", orNone(want.Reply.Ints), orNone(got.Reply.Ints))
	if len(want.Seen) != len(got.Seen) {
		out = append(out, fmt.Sprintf("calls that reached a handler: expected %d, got %d", len(want.Seen), len(got.Seen)))
		return out
	}
	for i := range want.Seen {
		w, g := want.Seen[i], got.Seen[i]
		pair(fmt.Sprintf("string keys that the server saw (%s)", w.Method), orEmpty(w.Strings), orEmpty(g.Strings))
		pair(fmt.Sprintf("int keys that the server saw (%s)", w.Method), orNone(w.Ints), orNone(g.Ints))
		w.Strings, g.Strings, w.Ints, g.Ints = nil, nil, nil, nil
		pair(fmt.Sprintf("call that the server saw (%s)", w.Method), w, g)
	}
	if len(out) > 6 {
		out = append(out[:6], fmt.Sprintf("and %d more differences", len(out)-6))
	}
	return out
}

func line(v interface{}, there bool) string {
	if !there {
		return "nothing"
	}
	text, _ := json.Marshal(v)
	if len(text) > 600 {
		return fmt.Sprintf("%s… (%d characters)", text[:600], len(text))
	}
	return strings.ReplaceAll(string(text), "\n", " ")
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func orNone(m map[uint16]string) map[uint16]string {
	if m == nil {
		return map[uint16]string{}
	}
	return m
}
