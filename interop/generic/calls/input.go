// Package calls has live generic clients call live servers: Kitex's generic clients a Kitex server and
// ours, and our clients Kitex's servers, over every transport.
package calls

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/cloudwego/gopkg/protocol/thrift"
	"github.com/cloudwego/kitex/pkg/generic"

	"interop/kitex_gen/gen"
	"interop/kitex_gen/livep"
)

// Input is the argument of a call, in the form that a kind of client takes: one of its members is set.
type Input struct {
	Note    *gen.Note
	Text    *string
	Blob    []byte
	Numbers []int64
	// JSON is text as it is, for clients that take JSON.
	JSON string
	// Msg is the message of the Protobuf service.
	Msg *livep.Msg
	// HTTP is a request: method, target, headers as `K: V`, body.
	HTTP *Request
}

// Request is an HTTP request that can be made more than once.
type Request struct {
	Method, Target string
	Headers        []string
	Body           string
}

// Build makes it, towards an origin.
func (r *Request) Build(origin string) (*http.Request, error) {
	var body *strings.Reader
	var out *http.Request
	var err error
	if r.Body == "" {
		out, err = http.NewRequest(r.Method, origin+r.Target, nil)
	} else {
		body = strings.NewReader(r.Body)
		out, err = http.NewRequest(r.Method, origin+r.Target, body)
	}
	if err != nil {
		return nil, err
	}
	for _, h := range r.Headers {
		k, v, _ := strings.Cut(h, ": ")
		out.Header.Add(k, v)
	}
	return out, nil
}

func text(s string) Input { return Input{Text: &s} }

func note(s string, number int64) Input {
	return Input{Note: &gen.Note{Text: s, Number: number, Preset: 3}}
}

// full has a value for each field of a Note but one.
func full() Input {
	price := int64(9007199254740993)
	alias := "an alias"
	return Input{Note: &gen.Note{
		Text: "full 你好 <&> \" \\ \u0001", Number: -9223372036854775808, Blob: []byte{0, 1, 0xff, 0xfe, 'h'},
		Items:  []*gen.Item{{Name: "a", Price: &price, Tags: []string{"x", ""}}, {Name: "b", Tags: []string{}}},
		Counts: map[string]int64{"one": 1, "": -1}, Kind: gen.Kind_FANCY, Real: 1.5e300, Preset: 7,
		Words: []string{"w1", "w2"}, Names: map[int64]string{-3: "minus three", 4: ""}, Flag: true, Tiny: -128, Small: 32767,
		Item: &gen.Item{Name: "c", Tags: []string{}}, Alias: &alias, Grid: [][]int32{{1, -2}, {}},
	}}
}

// jsonText is the text that JSON clients take.
func (in Input) jsonText() (string, error) {
	switch {
	case in.JSON != "":
		return in.JSON, nil
	case in.Text != nil:
		return *in.Text, nil
	case in.Blob != nil:
		return base64.StdEncoding.EncodeToString(in.Blob), nil
	case in.Numbers != nil:
		out, err := json.Marshal(in.Numbers)
		return string(out), err
	case in.Msg != nil:
		out, err := json.Marshal(map[string]any{"text": in.Msg.Text, "blob": in.Msg.Blob, "n": in.Msg.N})
		return string(out), err
	}
	out, err := json.Marshal(in.Note)
	return string(out), err
}

// value is what Map clients take.
func (in Input) value() any {
	switch {
	case in.Text != nil:
		return *in.Text
	case in.Blob != nil:
		return in.Blob
	case in.Numbers != nil:
		return asMap(reflect.ValueOf(in.Numbers))
	}
	return asMap(reflect.ValueOf(in.Note))
}

// asMap makes the values of Kitex's Map generic of generated ones.
func asMap(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return asMap(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if inner := asMap(v.Field(i)); inner != nil {
				out[name] = inner
			}
		}
		return out
	case reflect.Map:
		out := map[any]any{}
		for _, k := range v.MapKeys() {
			out[k.Interface()] = asMap(v.MapIndex(k))
		}
		return out
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes()
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = asMap(v.Index(i))
		}
		return out
	}
	if kind, ok := v.Interface().(gen.Kind); ok {
		return int32(kind)
	}
	return v.Interface()
}

// arguments is the struct of the arguments: every method has one, with id 1.
func (in Input) arguments() []byte {
	var out []byte
	switch {
	case in.Text != nil:
		out = append(binary.BigEndian.AppendUint32([]byte{11, 0, 1}, uint32(len(*in.Text))), *in.Text...)
	case in.Blob != nil:
		out = append(binary.BigEndian.AppendUint32([]byte{11, 0, 1}, uint32(len(in.Blob))), in.Blob...)
	case in.Numbers != nil:
		out = binary.BigEndian.AppendUint32([]byte{15, 0, 1, 10}, uint32(len(in.Numbers)))
		for _, n := range in.Numbers {
			out = binary.BigEndian.AppendUint64(out, uint64(n))
		}
	default:
		out = append([]byte{12, 0, 1}, in.bare()...)
	}
	return append(out, 0)
}

// bare is the struct alone, as streams have it.
func (in Input) bare() []byte { return thrift.FastMarshal(in.Note) }

// message is the bytes of the Protobuf message.
func (in Input) message() ([]byte, error) {
	return in.Msg.Marshal(nil)
}

// request is what HTTP clients take.
func (in Input) request() (any, error) {
	if in.HTTP == nil {
		return nil, fmt.Errorf("no HTTP request")
	}
	req, err := in.HTTP.Build("http://gateway.test")
	if err != nil {
		return nil, err
	}
	return generic.FromHTTPRequest(req)
}
