package calls

import (
	"fmt"
	"io"
	"strings"

	"github.com/cloudwego/kitex/client/callopt"
)

// toolWays are the tool's transports, and what Kitex's client has for them.
var toolWays = []struct {
	name string
	by   Transport
}{
	{"buffered", Transports[0]},
	{"framed", Transports[1]},
	{"ttheader", Transports[2]},
	{"ttheader-framed", Transports[3]},
	{"ttstream", Transports[4]},
	{"grpc", Transports[6]},
}

// toolServer is a server that the tool calls, and Kitex's client that says what is right.
type toolServer struct {
	name    string
	start   func() (*Server, error)
	profile string
	kind    Kind
}

// RunTool has `proxy-bin call` call Kitex's servers, generated and generic. What is expected is what
// Kitex's JSON client gets of the same server.
func (l *Lab) RunTool(w io.Writer, binary string) (Report, error) {
	total := Report{used: map[string]int{}}
	generated := func() (*Server, error) { return StartGenerated(false) }
	of := func(kind Kind) func() (*Server, error) {
		return func() (*Server, error) { return StartGeneric(kind, l.IDL) }
	}
	fmt.Fprintf(w, "\nproxy-bin call → Kitex servers\n  %-26s", "")
	for _, way := range toolWays {
		fmt.Fprintf(w, " %15s", way.name)
	}
	fmt.Fprintln(w)
	for _, s := range []toolServer{
		{"generated", generated, "default", JSON},
		{"generated, dynamic", generated, "dynamic", JSONFast},
		{"generic JSON", of(JSON), "default", JSON},
		{"generic JSON, dynamicgo", of(JSONFast), "default", JSON},
		{"generic Map", of(Map), "default", JSON},
		{"generated Protobuf", StartProtobuf, "", JSONPb},
	} {
		if !strings.Contains(s.name, l.KindFilter) {
			continue
		}
		if err := l.toolServer(w, binary, s, &total); err != nil {
			return total, err
		}
	}
	if l.complete() {
		total.Failed += unused(w, toolExceptions, total.used)
	}
	return total, nil
}

func (l *Lab) toolServer(w io.Writer, binary string, s toolServer, total *Report) error {
	svr, err := s.start()
	if err != nil {
		return err
	}
	defer svr.Stop()
	var line, details strings.Builder
	for _, way := range toolWays {
		cell := Report{used: total.used}
		if strings.Contains(way.name, l.TransportFilter) && !impossible(s.kind, way.by) {
			tool := &Tool{Binary: binary, IDL: l.IDL, Addr: svr.Addr, Transport: way.name, Profile: s.profile, Protobuf: s.kind == JSONPb}
			if err := l.toolColumn(&details, &cell, tool, s, way.by); err != nil {
				return err
			}
		}
		total.Add(cell)
		fmt.Fprintf(&line, " %15s", cell.Short())
	}
	fmt.Fprintf(w, "  %-26s%s\n%s", s.name, line.String(), details.String())
	return nil
}

func (l *Lab) toolColumn(w io.Writer, cell *Report, tool *Tool, s toolServer, by Transport) error {
	reference, err := Connect(s.kind, by, tool.Addr, l.IDL)
	if err != nil {
		return err
	}
	defer reference.Close()
	for _, cs := range Cases {
		if !cs.is(s.kind, by) || cs.Name == "unknown method" || cs.Name == "100 at once" || !strings.Contains(cs.Name, l.CaseFilter) {
			continue
		}
		if strings.Contains(s.name, "generic") && strings.Contains(cs.Name, "declared exception") {
			continue // Kitex's generic servers cannot write them
		}
		want, got := translated(cs.Do(reference)), cs.Do(tool)
		if cs.Name == "oneway" {
			got = strings.ReplaceAll(got, "text null", "nil")
		}
		l.compare(w, cell, cs, s.kind, by, toolExceptions, want, got)
	}
	if s.kind != JSON || s.name != "generated" || !strings.Contains("raw bytes", l.CaseFilter) {
		return nil
	}
	return l.toolRaw(w, cell, tool, by)
}

// toolRaw plays what the tool does without an IDL.
func (l *Lab) toolRaw(w io.Writer, cell *Report, tool *Tool, by Transport) error {
	reference, err := Connect(BinaryV2, by, tool.Addr, l.IDL)
	if err != nil {
		return err
	}
	defer reference.Close()
	arguments := text("hello").arguments()
	for _, cs := range []struct{ name, call, want string }{
		{"raw bytes", "Generic/Ping", fmt.Sprintf("bytes 0b0000%x", arguments[3:])},
		{"raw bytes, unknown method", "Generic/Nope", reference.Call("Nope", text("hello"))},
		{"raw bytes, unknown service", "Ghost/Nope", reference.CallWith("Nope", text("hello"), callopt.WithBinaryGenericIDLService("Ghost"))},
	} {
		l.compare(w, cell, Case{Name: cs.name}, BinaryV2, by, toolExceptions, translated(cs.want), tool.Raw(cs.call, arguments))
	}
	return nil
}

// toolExceptions are differences between the tool and Kitex's client that are the tool's by intent.
var toolExceptions = []exception{
	{"all exceptions", "Kitex knows the first entry of throws only, and takes another one for an empty result (3.11)",
		func(cs Case, kind Kind, _ Transport, want, got string) bool {
			return cs.Name == "second declared exception" && got == `declared {"seconds":9}`
		}},
	{"void", "Kitex with dynamicgo cannot read a void result without a field (9.1, 7)",
		func(cs Case, kind Kind, _ Transport, want, got string) bool {
			return kind == JSONFast && strings.Contains(cs.Name, "void") && (want == "timeout" || strings.HasPrefix(want, "error: ")) && (got == "text null" || strings.HasPrefix(got, "biz 404"))
		}},
	{"business error over framed Protobuf", "Kitex's client cannot do without a header there, and puts one in front; the tool sends what it is told to",
		func(cs Case, kind Kind, by Transport, want, got string) bool {
			return kind == JSONPb && by.Name == "framed" && strings.Contains(cs.Name, "business error") && got == "text {}"
		}},
	{"empty", "Kitex with dynamicgo reads an empty result as {} (3.11)",
		func(cs Case, kind Kind, _ Transport, want, got string) bool {
			return kind == JSONFast && want == "text {}" && got == "text null"
		}},
}
