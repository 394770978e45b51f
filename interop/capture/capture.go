// Package capture lists what is recorded between a released Kitex client and a released Kitex
// server, and compares it with the golden vectors.
package capture

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"interop/wire"
)

// File is the form of the committed captures.
type File struct {
	Kitex    string  `json:"kitex"`
	About    string  `json:"about"`
	Captures []Entry `json:"captures"`
}

// Entry is one recorded message (or several, back to back), under the name of its golden vector.
type Entry struct {
	Name      string `json:"name"`
	Direction string `json:"direction"` // request, reply
	By        string `json:"by"`        // who wrote the bytes
	Hex       string `json:"hex"`
}

// Vector is what is used of a golden vector.
type Vector struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	Hex       string `json:"hex"`
}

// Load reads JSON.
func Load(path string, into interface{}) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// Store writes the captures, one entry a line.
func (f *File) Store(path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n \"kitex\": %q,\n \"about\": %q,\n \"captures\": [\n", f.Kitex, f.About)
	for i, e := range f.Captures {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		comma := ","
		if i == len(f.Captures)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "  %s%s\n", text, comma)
	}
	b.WriteString(" ]\n}\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Entry finds one by name.
func (f *File) Entry(name string) (Entry, bool) {
	for _, e := range f.Captures {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// Result says how a capture compares with a vector.
type Result string

// The ways to agree: to the byte, or in content, where Kitex writes map entries in random order.
const (
	Bytes   Result = "byte for byte"
	Content Result = "same content, entries in another order"
)

// Compare tells how two recordings of the same message agree; an error says how they do not.
func Compare(captured, vector string) (Result, error) {
	if captured == vector {
		return Bytes, nil
	}
	got, err := describe(captured)
	if err != nil {
		return "", fmt.Errorf("the capture does not parse: %w", err)
	}
	want, err := describe(vector)
	if err != nil {
		return "", fmt.Errorf("the vector does not parse: %w", err)
	}
	if got != want {
		return "", fmt.Errorf("captured %s\n    vector   %s", got, want)
	}
	if len(captured) != len(vector) {
		return "", errors.New("same content in another length")
	}
	return Content, nil
}

func describe(text string) (string, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return "", err
	}
	messages, err := wire.Parse(raw)
	var lines []string
	for _, m := range messages {
		lines = append(lines, m.Describe())
	}
	return strings.Join(lines, "\n"), err
}
