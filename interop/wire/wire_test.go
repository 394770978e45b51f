package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

type vector struct {
	Name   string          `json:"name"`
	Hex    string          `json:"hex"`
	Length int             `json:"length"`
	Fields json.RawMessage `json:"fields"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../../testkit/vectors/vectors-pingpong.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every golden vector that parses does so to its last byte, and the deliberate rejects fail.
func TestVectorsParse(t *testing.T) {
	// What a reader of single messages must refuse; the rest of neg_* is refused by its meaning.
	refused := map[string]bool{
		"neg_framed_unversioned": true, "neg_ttheader_info_id_2": true,
		"neg_ttheader_header_size_0": true, "neg_pb_buffered": true,
	}
	for _, v := range vectors(t) {
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := Parse(raw)
		if refused[v.Name] {
			if err == nil {
				t.Errorf("%s: parsed as %s", v.Name, messages[0].Describe())
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		var whole []byte
		for _, m := range messages {
			whole = append(whole, m.Raw...)
		}
		if !bytes.Equal(whole, raw) {
			t.Errorf("%s: %d of %d bytes taken", v.Name, len(whole), len(raw))
		}
	}
}

// The builder makes the same bytes as the vectors, where the order of the entries is ours to choose.
func TestBuilderMakesTheVectors(t *testing.T) {
	want := map[string]string{}
	for _, v := range vectors(t) {
		want[v.Name] = v.Hex
	}
	call := Envelope(Thrift, Call, "echo", 1, Text(1, "hi"))
	for name, got := range map[string][]byte{
		"buffered_call":                call,
		"framed_call":                  Frame(call),
		"ttheader_call_minimal":        TTHeader(Head{Sequence: 1}, call),
		"ttheader_framed_call_minimal": TTHeader(Head{Sequence: 1}, Frame(call)),
		"ttheader_call_acl_only":       TTHeader(Head{Sequence: 1, ACL: "tok"}, call),
		"mux_call":                     TTHeader(Head{Flags: 1, Sequence: 1}, Frame(call)),
		"mesh_buffered_call":           MeshHeader(nil, call),
		"pb_framed_call":               Frame(Envelope(Protobuf, Call, "Echo", 1, []byte("\n\x02hi"))),
	} {
		if hex.EncodeToString(got) != want[name] {
			t.Errorf("%s:\n got %x\nwant %s", name, got, want[name])
		}
	}
}

func TestFaultIsReadInBothCodecs(t *testing.T) {
	for _, v := range vectors(t) {
		if !strings.Contains(v.Name, "unknown_") {
			continue
		}
		raw, _ := hex.DecodeString(v.Hex)
		m, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		code, text, ok := m[0].Fault()
		if !ok || code == 0 || !strings.HasPrefix(text, "unknown ") {
			t.Errorf("%s: %d %q %v", v.Name, code, text, ok)
		}
	}
}
