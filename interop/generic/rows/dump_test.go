package rows

import (
	"encoding/hex"
	"testing"
)

func TestDump(t *testing.T) {
	for _, c := range []struct{ hex, whole, argument string }{
		{"00", "{}", "{}"},
		{"0b0001" + "00000002" + "68ff" + "00", `{1:"h\xff"}`, `"h\xff"`},
		{"0c0001" + "080002" + "00000005" + "030001" + "ff" + "00" + "00", `{1:{1:i8(-1), 2:i32(5)}}`, `{1:i8(-1), 2:i32(5)}`},
		{"0d0001" + "0b08" + "00000002" + "00000001" + "62" + "00000001" + "00000001" + "61" + "00000002" + "00", `{1:map<11,8>["a"=>i32(2), "b"=>i32(1)]}`, `map<11,8>["a"=>i32(2), "b"=>i32(1)]`},
		{"0e0005" + "02" + "00000001" + "01" + "040001" + "3ff8000000000000" + "00", `{1:dbl(1.5), 5:set<2>[bool(1)]}`, `{1:dbl(1.5), 5:set<2>[bool(1)]}`},
		{"0100000000", "{0:void}", "{0:void}"},
	} {
		raw, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Dump(raw); err != nil || got != c.whole {
			t.Errorf("%s: got %s, %v; want %s", c.hex, got, err, c.whole)
		}
		if got, err := DumpArgument(raw); c.hex != "0100000000" && (err != nil || got != c.argument) {
			t.Errorf("%s: got %s, %v; want %s", c.hex, got, err, c.argument)
		}
		if got, err := Canonical(c.whole); err != nil || got != c.whole {
			t.Errorf("canonical %s: got %s, %v", c.whole, got, err)
		}
	}
	for _, bad := range []string{"", "08", "0800010000", "0b00017fffffff", "0f000108ffffffff", "630001", "0000"} {
		raw, _ := hex.DecodeString(bad)
		if got, err := Dump(raw); err == nil {
			t.Errorf("%s: got %s", bad, got)
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{2:"你\n", 1:dbl(1e0)}`:                 `{1:dbl(1), 2:"\xe4\xbd\xa0\x0a"}`,
		`map<11, 8>["b"=>i32(1),"a" => i32(2)]`: `map<11,8>["a"=>i32(2), "b"=>i32(1)]`,
		`list<12>[ {}, {1:"\u{1}\u0001\x01"} ]`: `list<12>[{}, {1:"\x01\x01\x01"}]`,
		`dbl(inf)`:                              `dbl(+Inf)`,
	} {
		if got, err := Canonical(in); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{`{`, `{1:`, `"a`, `i32(1`, `list<8>[i32(1)`, `{1:i32(1)} x`} {
		if got, err := Canonical(bad); err == nil {
			t.Errorf("%s: got %s", bad, got)
		}
	}
}
