package rows

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/cloudwego/kitex/pkg/generic/descriptor"
)

// untag makes what Kitex's Map generic takes out of a tagged value.
func untag(raw json.RawMessage) (any, error) {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	var tagged map[string]json.RawMessage
	if err := json.Unmarshal(raw, &tagged); err != nil {
		return nil, fmt.Errorf("tagged value %.60s: %w", raw, err)
	}
	if len(tagged) != 1 {
		return nil, fmt.Errorf("tagged value %.60s: not one tag", raw)
	}
	for tag, v := range tagged {
		return untagAs(tag, v)
	}
	panic("unreachable")
}

func untagAs(tag string, raw json.RawMessage) (any, error) {
	switch tag {
	case "bool":
		return as[bool](raw)
	case "i8":
		return as[int8](raw)
	case "u8": // no type of ours: how Kitex has the default of a byte
		return as[uint8](raw)
	case "i16":
		return as[int16](raw)
	case "i32":
		return as[int32](raw)
	case "i64":
		text, err := as[string](raw)
		if err != nil {
			return as[int64](raw)
		}
		return strconv.ParseInt(text.(string), 10, 64)
	case "f64":
		if text, err := as[string](raw); err == nil {
			return strconv.ParseFloat(text.(string), 64)
		}
		return as[float64](raw)
	case "num":
		text, err := as[string](raw)
		if err != nil {
			return nil, err
		}
		return json.Number(text.(string)), nil
	case "str":
		return as[string](raw)
	case "bytes":
		text, err := as[string](raw)
		if err != nil {
			return nil, err
		}
		return hex.DecodeString(text.(string))
	case "void":
		return descriptor.Void{}, nil
	case "list":
		return untagList(raw)
	case "map":
		return untagMap(raw)
	case "struct":
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		out := map[string]any{}
		for name, m := range members {
			v, err := untag(m)
			if err != nil {
				return nil, err
			}
			out[name] = v
		}
		return out, nil
	}
	return nil, fmt.Errorf("tag %q", tag)
}

func untagList(raw json.RawMessage) (any, error) {
	var elems []json.RawMessage
	if err := json.Unmarshal(raw, &elems); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(elems))
	for _, e := range elems {
		v, err := untag(e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func untagMap(raw json.RawMessage) (any, error) {
	var entries [][2]json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, err
	}
	out := map[any]any{}
	for _, e := range entries {
		k, err := untag(e[0])
		if err != nil {
			return nil, err
		}
		switch k.(type) {
		case map[string]any, map[any]any, []any, []byte:
			return nil, fmt.Errorf("Go has no maps with such keys: %.40s", e[0])
		}
		if out[k], err = untag(e[1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func as[T any](raw json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(raw, &v)
	return v, err
}

// Tag writes a value of Kitex's Map generic in the notation of tagged values, members and entries sorted.
func Tag(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf(`{"bool":%v}`, v)
	case int8:
		return fmt.Sprintf(`{"i8":%d}`, v)
	case uint8:
		return fmt.Sprintf(`{"u8":%d}`, v)
	case int16:
		return fmt.Sprintf(`{"i16":%d}`, v)
	case int32:
		return fmt.Sprintf(`{"i32":%d}`, v)
	case int64:
		return fmt.Sprintf(`{"i64":"%d"}`, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprintf(`{"f64":"%v"}`, v)
		}
		return `{"f64":` + double(v) + `}`
	case json.Number:
		return fmt.Sprintf(`{"num":%q}`, string(v))
	case string:
		if !utf8.ValidString(v) {
			return fmt.Sprintf(`{"str-bytes":"%x"}`, v)
		}
		text, _ := json.Marshal(v)
		return `{"str":` + string(text) + `}`
	case []byte:
		return fmt.Sprintf(`{"bytes":"%x"}`, v)
	case descriptor.Void:
		return `{"void":true}`
	case []any:
		return `{"list":[` + joined(len(v), func(i int) string { return Tag(v[i]) }) + `]}`
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		return `{"struct":{` + joined(len(keys), func(i int) string {
			name, _ := json.Marshal(keys[i])
			return string(name) + ":" + Tag(v[keys[i]])
		}) + `}}`
	case map[any]any:
		entries := make([]string, 0, len(v))
		for k, e := range v {
			entries = append(entries, "["+Tag(k)+","+Tag(e)+"]")
		}
		sort.Strings(entries)
		return `{"map":[` + joined(len(entries), func(i int) string { return entries[i] }) + `]}`
	}
	return fmt.Sprintf(`{"%T":%q}`, v, fmt.Sprint(v))
}

func joined(n int, one func(int) string) string {
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(one(i))
	}
	return b.String()
}
