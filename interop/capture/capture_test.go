package capture

import (
	"os"
	"testing"
)

const (
	captures = "../captures/kitex-v0.16.3.json"
	copied   = "../../testkit/vectors/captures-kitex-v0.16.3.json"
	golden   = "../../testkit/vectors/vectors-pingpong.json"
)

// What released peers put on the wire is what the golden vectors say, byte for byte or, where Kitex
// writes a map in random order, in content.
func TestCapturesAgreeWithTheVectors(t *testing.T) {
	var file File
	if err := Load(captures, &file); err != nil {
		t.Fatal(err)
	}
	var vectors []Vector
	if err := Load(golden, &vectors); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, v := range vectors {
		e, ok := file.Entry(v.Name)
		if !ok || e.Direction != v.Direction {
			continue // not Kitex's to write: an answer to the vector was recorded, or nothing
		}
		compared++
		if _, err := Compare(e.Hex, v.Hex); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
	if compared < 30 {
		t.Errorf("only %d captures stand for a vector", compared)
	}
}

// The deliberate rejects were closed without a byte, and the odd but legal requests were answered.
func TestCapturedAnswersToScriptedRequests(t *testing.T) {
	var file File
	if err := Load(captures, &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"neg_framed_unversioned", "neg_ttheader_protocol_id_2", "neg_ttheader_info_id_2",
		"neg_ttheader_header_size_0", "neg_pb_buffered", "neg_framed_reply_type_to_server",
	} {
		if e, ok := file.Entry(name); !ok || e.Hex != "" {
			t.Errorf("%s: %v, answered with %q", name, ok, e.Hex)
		}
	}
	for name, want := range map[string]string{
		"mesh_framed_call":   "framed | thrift type=2 \"echo\" seqid=1 0b000000000002686900",
		"mesh_buffered_call": "buffered | thrift type=2 \"echo\" seqid=1 0b000000000002686900",
		"volo_call":          "ttheader-framed flags=0x0 seq=1 protocol=0 #22=\"2\" | thrift type=2 \"echo\" seqid=1 0b000000000002686900",
	} {
		e, _ := file.Entry(name)
		if got, err := describe(e.Hex); err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
	}
}

func TestTheCopyForTheRustTestsIsTheSame(t *testing.T) {
	ours, err := os.ReadFile(captures)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(copied)
	if err != nil || string(ours) != string(theirs) {
		t.Errorf("%s is not the same file (%v): run capture -write", copied, err)
	}
}
