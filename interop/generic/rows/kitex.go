package rows

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/cloudwego/dynamicgo/conv"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/generic/descriptor"
	gthrift "github.com/cloudwego/kitex/pkg/generic/thrift"
	"github.com/cloudwego/thriftgo/parser"
)

// subject is one of Kitex's generic objects, with the descriptor of its service.
type subject struct {
	key     string
	generic generic.Generic
	service *descriptor.ServiceDescriptor
}

// kind is the generic that a row is about: json, map or http.
func (r *Row) kind() string { return strings.SplitN(r.Op, "_", 2)[0] }

// newSubject builds what a row needs. An option of ours that Kitex has no switch for is an error, as the
// row would prove nothing; such a row has to say so (`kitex.skip`).
func newSubject(fixtures string, r *Row) (*subject, error) {
	path := filepath.Join(fixtures, r.Fixture+".thrift")
	tree, err := parser.ParseFile(path, nil, true)
	if err != nil {
		return nil, err
	}
	service, err := gthrift.Parse(tree, gthrift.LastServiceOnly)
	if err != nil {
		return nil, err
	}
	var provider generic.DescriptorProvider
	if r.dynamic() {
		provider, err = generic.NewThriftFileProviderWithDynamicGo(path)
	} else {
		provider, err = generic.NewThriftFileProvider(path)
	}
	if err != nil {
		return nil, err
	}
	if r.dynamic() && !provider.(generic.GetProviderOption).Option().DynamicGoEnabled {
		return nil, fmt.Errorf("dynamicgo refuses %s", r.Fixture)
	}
	s := &switches{row: r, json: generic.DefaultJSONDynamicGoConvOpts, http: generic.DefaultHTTPDynamicGoConvOpts}
	if err := s.read(); err != nil {
		return nil, err
	}
	out := &subject{service: service}
	switch r.kind() {
	case "json":
		out.generic, err = generic.JSONThriftGeneric(provider, generic.WithCustomDynamicGoConvOpts(&s.json))
	case "http":
		out.generic, err = generic.HTTPThriftGeneric(provider, generic.WithCustomDynamicGoConvOpts(&s.http), generic.UseRawBodyForHTTPResp(s.rawBody))
	case "map":
		if s.textKeys {
			out.generic, err = generic.MapThriftGenericForJSON(provider)
		} else {
			out.generic, err = generic.MapThriftGeneric(provider)
		}
	default:
		err = fmt.Errorf("op %q", r.Op)
	}
	if err != nil {
		return nil, err
	}
	for _, set := range s.after {
		if err := set(out.generic); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// convOptions are dynamicgo's.
type convOptions = conv.Options

// switches are Kitex's, as the options of a row have them.
type switches struct {
	row      *Row
	json     convOptions
	http     convOptions
	rawBody  bool
	textKeys bool
	after    []func(generic.Generic) error
}

func (s *switches) read() error {
	names := make([]string, 0, len(s.row.Options))
	for name := range s.row.Options {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		value := s.row.Options[name]
		var on bool
		if name != "fill_absent" {
			if err := json.Unmarshal(value, &on); err != nil {
				return fmt.Errorf("option %s has no switch in Kitex: %w", name, err)
			}
		}
		if !s.set(name, on, value) {
			return fmt.Errorf("option %s has no switch in Kitex's %s (%s)", name, s.row.kind(), s.row.Profile)
		}
	}
	return nil
}

func (s *switches) set(name string, on bool, value json.RawMessage) bool {
	kind, dynamic := s.row.kind(), s.row.dynamic()
	switch {
	case name == "base64":
		s.after = append(s.after, func(g generic.Generic) error { return generic.SetBinaryWithBase64(g, on) })
		return true
	case name == "raw_response_body" && kind == "http":
		s.rawBody = on
		return true
	case kind == "map":
		return s.setMap(name, on, value)
	case !dynamic:
		return false
	}
	o := &s.json
	if kind == "http" {
		o = &s.http
	}
	field, ok := map[string]*bool{
		"value_mapping":       &o.EnableValueMapping,
		"strings_as_numbers":  &o.String2Int64,
		"i64_as_string":       &o.Int642String,
		"byte_as_unsigned":    &o.ByteAsUint8,
		"write_optional":      &o.WriteOptionalField,
		"write_default":       &o.WriteDefaultField,
		"write_required":      &o.WriteRequireField,
		"deny_unknown":        &o.DisallowUnknownField,
		"null_for_nan":        &o.EncodeNullJSONForInfOrNan,
		"read_body_fallback":  &o.ReadHttpValueFallback,
		"write_body_fallback": &o.WriteHttpValueFallback,
	}[name]
	if ok {
		*field = on
	}
	return ok
}

func (s *switches) setMap(name string, on bool, value json.RawMessage) bool {
	switch name {
	case "binary_as_bytes":
		s.after = append(s.after, func(g generic.Generic) error { return generic.SetBinaryWithByteSlice(g, on) })
	case "map_keys_as_text":
		s.textKeys = on
	case "fill_absent":
		var text string
		if json.Unmarshal(value, &text) != nil {
			return false
		}
		mode, ok := map[string]generic.SetFieldsForEmptyStructMode{
			"off": generic.NotSetFields, "not_optional": generic.SetNonOptiontionalFields, "all": generic.SetAllFields,
		}[text]
		if !ok {
			return false
		}
		s.after = append(s.after, func(g generic.Generic) error { return generic.EnableSetFieldsForEmptyStruct(g, mode) })
	default:
		return false
	}
	return true
}
