package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/generic/descriptor"
)

// matches says whether what Kitex did is a result of a row, and if not, why not. `ours` is set where the
// result is the one that is expected of us: of an error's words only that there is one is compared then,
// as Kitex's own stand under `kitex`.
func (want Result) matches(g got, ours bool) error {
	switch {
	case want.Error != nil:
		return want.matchesError(g, ours)
	case want.Outcome == "exception":
		return want.matchesException(g)
	case g.err != nil:
		return g.err
	case want.Dump != nil:
		return want.matchesDump(g)
	case want.Outcome != "":
		return want.matchesOutcome(g)
	case want.Status != nil || want.Headers != nil || want.Body != nil || want.RawBody != nil:
		return want.matchesHTTP(g)
	case want.Value != nil:
		return want.matchesValue(g)
	}
	text, ok := g.value.(string)
	switch {
	case !ok:
		return fmt.Errorf("no text")
	case want.Text != nil:
		if text != *want.Text {
			return fmt.Errorf("another text")
		}
		return nil
	case want.JSON != nil:
		return SameJSON([]byte(text), want.JSON)
	}
	return fmt.Errorf("the row expects nothing")
}

func (want Result) matchesError(g got, ours bool) error {
	switch {
	case g.err == nil && g.bytes != nil:
		if _, err := Dump(g.bytes); err != nil && *want.Error == "corrupt" {
			return nil
		}
		return fmt.Errorf("no error")
	case g.err == nil:
		return fmt.Errorf("no error")
	case strings.HasPrefix(g.err.Error(), "harness: "):
		return g.err
	case !ours && !strings.Contains(g.err.Error(), *want.Error):
		return fmt.Errorf("another error")
	}
	return nil
}

func (want Result) matchesDump(g got) error {
	dump := DumpArgument
	if want.Outer {
		dump = Dump
	}
	text, err := dump(g.bytes)
	if err != nil {
		return err
	}
	wanted, err := Canonical(*want.Dump)
	if err != nil {
		return err
	}
	if text, err = Canonical(text); err != nil {
		return err
	}
	if text != wanted {
		return fmt.Errorf("another value")
	}
	return nil
}

// matchesOutcome: Kitex has no word for a result that is not there. Its clients return `null`, with
// dynamicgo `{}`, which is what "empty" is compared with; HTTP and Map return nil.
func (want Result) matchesOutcome(g got) error {
	ok := false
	switch want.Outcome {
	case "void":
		_, ok = g.value.(descriptor.Void)
	case "empty":
		text, isText := g.value.(string)
		ok = g.value == nil || isText && (text == "null" || text == "{}")
	}
	if !ok {
		return fmt.Errorf("another outcome")
	}
	return nil
}

// matchesException: Kitex has declared exceptions as errors, whose text is the JSON with dynamicgo, and
// otherwise Go's notation of the map.
func (want Result) matchesException(g got) error {
	if response, ok := g.value.(*generic.HTTPResponse); ok && g.err == nil { // but not in HTTP
		return SameJSON(mustJSON(Jsonable(response.Body)), want.exception())
	}
	if g.err == nil {
		return fmt.Errorf("no error")
	}
	if want.exception() == nil {
		return nil
	}
	_, text, ok := strings.Cut(g.err.Error(), "map[string]interface {}{")
	if ok {
		var fields map[string]any
		if err := json.Unmarshal(want.exception(), &fields); err != nil {
			return err
		}
		wanted := strings.TrimPrefix(fmt.Sprintf("%#v", fields), "map[string]interface {}{")
		if !strings.HasPrefix(text, wanted) {
			return fmt.Errorf("another exception")
		}
		return nil
	}
	at := strings.IndexByte(g.err.Error(), '{')
	if at < 0 {
		return fmt.Errorf("not an exception")
	}
	return SameJSON([]byte(g.err.Error()[at:]), want.exception())
}

func (want Result) exception() json.RawMessage {
	if want.JSON != nil {
		return want.JSON
	}
	return want.Value
}

func (want Result) matchesValue(g got) error {
	v, err := untag(want.Value)
	if err != nil {
		return err
	}
	if Tag(v) != Tag(g.value) {
		return fmt.Errorf("another value")
	}
	return nil
}

func (want Result) matchesHTTP(g got) error {
	response, ok := g.value.(*generic.HTTPResponse)
	if !ok || response == nil {
		return fmt.Errorf("no HTTP response")
	}
	if want.Status != nil && int32(*want.Status) != response.StatusCode {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	if want.Headers != nil {
		headers := map[string]string{}
		for k := range response.Header {
			headers[strings.ToLower(k)] = response.Header.Get(k)
		}
		wanted := map[string]string{}
		for k, v := range want.Headers {
			wanted[strings.ToLower(k)] = v
		}
		if !reflect.DeepEqual(headers, wanted) {
			return fmt.Errorf("headers %v", headers)
		}
	}
	if want.Body != nil {
		if err := SameJSON(mustJSON(Jsonable(response.Body)), want.Body); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	if want.RawBody != nil {
		if err := SameJSON(response.RawBody, want.RawBody); err != nil {
			return fmt.Errorf("raw body: %w", err)
		}
	}
	return nil
}

func mustJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// Jsonable makes what encoding/json takes of a response's body.
func Jsonable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = Jsonable(e)
		}
		return out
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			out[fmt.Sprint(k)] = Jsonable(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Jsonable(e)
		}
		return out
	case []byte:
		return string(v)
	}
	return v
}

// SameJSON compares two texts as values; numbers are compared as they are written, unless both are the
// same double.
func SameJSON(a, b []byte) error {
	one, err := decode(a)
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	other, err := decode(b)
	if err != nil {
		return fmt.Errorf("the row's JSON: %w", err)
	}
	if !equal(one, other) {
		return fmt.Errorf("another value")
	}
	return nil
}

func decode(text []byte) (any, error) {
	if !utf8.Valid(text) { // which the decoder would mend
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("something after the value")
	}
	return v, nil
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if a == b {
			return true
		}
		if !strings.ContainsAny(string(a)+string(b), ".eE") {
			return false // two integers: every digit counts
		}
		x, err := a.Float64()
		y, err2 := b.Float64()
		return err == nil && err2 == nil && x == y
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			other, ok := b[k]
			if !ok || !equal(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}
