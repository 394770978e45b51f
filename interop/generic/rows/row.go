// Package rows replays the acceptance rows of the generic call (thrift-generic/tests/rows) against live
// Kitex generic clients and servers over TCP, so that what the Rust tests expect is what Kitex does, and
// every difference is one that a row lists.
package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// Row is one conversion: the same file is read by the Rust tests.
type Row struct {
	ID      string                     `json:"id"`
	Case    string                     `json:"case"`
	Op      string                     `json:"op"`
	Fixture string                     `json:"fixture"`
	Method  string                     `json:"method"`
	Profile string                     `json:"profile"`
	Options map[string]json.RawMessage `json:"options"`
	In      json.RawMessage            `json:"in"`
	Base    *Base                      `json:"base"`
	Expect  Result                     `json:"expect"`
	// Kitex is what Kitex does where it isn't what is expected of us.
	Kitex *Result `json:"kitex"`

	File string `json:"-"`
}

// Base is what a framework would put into the request's base.
type Base struct {
	LogID  string            `json:"log_id"`
	Caller string            `json:"caller"`
	Addr   string            `json:"addr"`
	Extra  map[string]string `json:"extra"`
}

// Result is what a conversion gave, or what it should give: one of its members is set.
type Result struct {
	Dump  *string         `json:"dump"`
	Outer bool            `json:"outer"`
	JSON  json.RawMessage `json:"json"`
	Text  *string         `json:"text"`
	// Value is a tagged value, of Map rows.
	Value   json.RawMessage `json:"value"`
	Outcome string          `json:"outcome"`
	Error   *string         `json:"error"`
	// Status, Headers, Body and RawBody are of HTTP responses.
	Status  *int              `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	RawBody json.RawMessage   `json:"raw_body"`
	Skip    string            `json:"skip"`
}

// Name says which row it is.
func (r *Row) Name() string {
	name := r.ID + " " + r.Case
	if r.Profile == "dynamic" {
		name += " (dynamic)"
	}
	return name
}

func (r *Row) dynamic() bool { return r.Profile == "dynamic" }

// Load reads all rows of a folder, in the order of the files' names. A member that is not known here is
// an error: a row that is half understood proves nothing.
func Load(dir string) ([]*Row, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var out []*Row
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var rows []*Row
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&rows); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		for _, r := range rows {
			r.File = filepath.Base(file)
			key := r.ID + "\x00" + r.Case + "\x00" + r.Profile + "\x00" + r.Op
			if seen[key] {
				return nil, fmt.Errorf("%s: %s is there twice", r.File, r.Name())
			}
			seen[key] = true
		}
		out = append(out, rows...)
	}
	return out, nil
}
