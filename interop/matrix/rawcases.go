package matrix

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"interop/capture"
	"interop/peer"
	"interop/wire"
)

var (
	plain    = peer.Options{Handler: true}
	summing  = peer.Options{Handler: true, Crc32c: true}
	protobuf = peer.Options{Handler: true, Protobuf: true}
)

func message(typ int, method string, seqid uint32, body []byte) []byte {
	return wire.Envelope(wire.Thrift, typ, method, seqid, body)
}

func echoes(seqid uint32, msg string) []byte {
	return message(wire.Call, "echo", seqid, wire.Text(1, msg))
}

func named(service string) wire.Head {
	return wire.Head{Sequence: 5, Strings: [][2]string{{"isn", service}}}
}

// slow is a call of `slow(millis, msg)`.
func slow(seqid uint32, millis byte, msg string) []byte {
	body := append([]byte{0x08, 0, 1, 0, 0, 0, millis}, wire.Text(2, msg)...)
	return message(wire.Call, "slow", seqid, body)
}

// patched overwrites bytes at an offset.
func patched(raw []byte, at int, with ...byte) []byte {
	out := bytes.Clone(raw)
	copy(out[at:], with)
	return out
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// many is n pipelined Framed calls.
func many(n int) []byte {
	var out []byte
	for i := 1; i <= n; i++ {
		out = append(out, wire.Frame(echoes(uint32(i), "pipelined"))...)
	}
	return out
}

// deep is an args struct with nested structs under an unknown field.
func deep(levels int) []byte {
	out := bytes.Repeat([]byte{0x0C, 0x00, 0x09}, levels)
	return append(out, make([]byte, levels+1)...)
}

var block = []byte{0, 0, 0, 0}

// RawCases is the table. What is expected is what a Kitex server answers directly.
var RawCases = []RawCase{
	// The sound forms, and what surrounds them.
	{Name: "framed", Server: plain, Bytes: wire.Frame(echoes(7, "hi")), Replies: 1},
	{Name: "framed, seqid 0", Server: plain, Bytes: wire.Frame(echoes(0, "hi")), Replies: 1},
	{Name: "framed, negative seqid", Server: plain, Bytes: wire.Frame(echoes(0xFFFFFFFE, "hi")), Replies: 1},
	{Name: "framed, one byte at a time", Server: plain, Bytes: wire.Frame(echoes(7, "hi")), Piece: 1, Replies: 1},
	{Name: "buffered, one byte at a time", Server: plain, Bytes: echoes(7, "hi"), Piece: 1, Replies: 1},
	{Name: "ttheader, one byte at a time", Server: plain, Bytes: wire.TTHeader(named("EchoService"), echoes(5, "hi")), Piece: 1, Replies: 1},
	{Name: "framed, 20 pipelined", Server: plain, Bytes: many(20), Replies: 20},
	{Name: "framed, slow before fast, pipelined", Server: plain, Bytes: join(wire.Frame(slow(1, 60, "slow")), wire.Frame(echoes(2, "fast"))), Replies: 2},
	{Name: "three transports on one connection", Server: plain, Bytes: join(wire.TTHeader(named("EchoService"), wire.Frame(echoes(5, "a"))), echoes(6, "b"), wire.Frame(echoes(7, "c"))), Replies: 3},
	{Name: "framed, half-close at once, fast handler", Server: plain, Bytes: wire.Frame(echoes(7, "hi")), Fin: true, Replies: 1},
	{Name: "framed, half-close at once, slow handler", Server: plain, Bytes: wire.Frame(slow(7, 100, "slow")), Fin: true},
	{Name: "ttheader, sequence number 99, seqid 7", Server: plain, Bytes: wire.TTHeader(wire.Head{Sequence: 99}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, unknown flags", Server: plain, Bytes: wire.TTHeader(wire.Head{Flags: 0xF0F8, Sequence: 7}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, protocol id 4", Server: plain, Bytes: wire.TTHeader(wire.Head{Protocol: 4, Sequence: 7}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, crrst in a request", Server: plain, Bytes: wire.TTHeader(wire.Head{Sequence: 7, Strings: [][2]string{{"crrst", "1"}}}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, ACL token as a string key", Server: plain, Bytes: wire.TTHeader(wire.Head{Sequence: 7, Strings: [][2]string{{"RPC_TRANSIT_gdpr-token", "tok"}}}, echoes(7, "hi")), Replies: 1},
	{Name: "mesh header, framed, with isn", Server: plain, Bytes: wire.MeshHeader([][2]string{{"isn", "SecondService"}}, wire.Frame(message(wire.Call, "whoami", 7, []byte{0}))), Replies: 1},
	{Name: "framed, surplus bytes in the frame", Server: plain, Bytes: wire.Frame(append(echoes(7, "hi"), "surplus"...)), Replies: 1},
	{Name: "framed, unknown field in the arguments", Server: plain, Bytes: wire.Frame(message(wire.Call, "echo", 7, join([]byte{0x0F, 0, 9, 0x08, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}, wire.Text(1, "hi")))), Replies: 1},
	{Name: "framed, 30 levels of nesting", Server: plain, Bytes: wire.Frame(message(wire.Call, "echo", 7, deep(30))), Replies: 1},

	// Service and method: 5.4.
	{Name: "framed, unknown method", Server: plain, Bytes: wire.Frame(message(wire.Call, "nope", 5, []byte{0})), Replies: 1},
	{Name: "buffered, unknown method", Server: plain, Bytes: message(wire.Call, "nope", 5, []byte{0}), Replies: 1},
	{Name: "ttheader without isn, unknown method", Server: plain, Bytes: wire.TTHeader(wire.Head{Sequence: 5}, message(wire.Call, "nope", 5, []byte{0})), Replies: 1},
	{Name: "ttheader, unknown method", Server: plain, Bytes: wire.TTHeader(named("EchoService"), message(wire.Call, "nope", 5, []byte{0})), Replies: 1},
	{Name: "ttheader with frame, unknown method", Server: plain, Bytes: wire.TTHeader(named("EchoService"), wire.Frame(message(wire.Call, "nope", 5, []byte{0}))), Replies: 1},
	{Name: "ttheader, unknown service", Server: plain, Bytes: wire.TTHeader(named("Ghost"), message(wire.Call, "whoami", 5, []byte{0})), Replies: 1},
	{Name: "framed, unknown method, then another call", Server: plain, Bytes: join(wire.Frame(message(wire.Call, "nope", 5, []byte{0})), wire.Frame(echoes(6, "after"))), Replies: 2},
	{Name: "pb framed, unknown method", Server: protobuf, Bytes: wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "Nope", 5, nil)), Replies: 1},
	{Name: "pb ttheader, unknown method", Server: protobuf, Bytes: wire.TTHeader(wire.Head{Sequence: 5}, wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "Nope", 5, nil))), Replies: 1},
	{Name: "pb to a thrift service", Server: plain, Bytes: wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "echo", 5, []byte("\n\x02hi"))), Replies: 1},
	{Name: "thrift to a pb service", Server: protobuf, Bytes: wire.Frame(message(wire.Call, "Echo", 5, wire.Text(1, "hi"))), Replies: 1},

	// Message types: 1.3, 1.9.
	{Name: "type 0", Server: plain, Bytes: wire.Frame(message(0, "echo", 7, wire.Text(1, "hi")))},
	{Name: "type REPLY", Server: plain, Bytes: wire.Frame(message(wire.Reply, "echo", 7, wire.Text(1, "hi")))},
	{Name: "type EXCEPTION", Server: plain, Bytes: wire.Frame(message(wire.Exception, "echo", 7, wire.Text(1, "hi")))},
	{Name: "type STREAM", Server: plain, Bytes: wire.Frame(message(wire.Stream, "echo", 7, wire.Text(1, "hi"))), Replies: 1},
	{Name: "type HEARTBEAT", Server: plain, Bytes: wire.Frame(message(6, "echo", 7, wire.Text(1, "hi")))},
	{Name: "type 7", Server: plain, Bytes: wire.Frame(message(7, "echo", 7, wire.Text(1, "hi")))},
	{Name: "type 0x0101", Server: plain, Bytes: wire.Frame(message(0x0101, "echo", 7, wire.Text(1, "hi")))},
	{Name: "oneway", Server: plain, Bytes: wire.Frame(message(wire.Oneway, "ping", 7, wire.Text(1, "hi")))},
	{Name: "oneway, then a call on the same connection", Server: plain, Bytes: join(wire.Frame(message(wire.Oneway, "ping", 7, wire.Text(1, "hi"))), wire.Frame(echoes(8, "after"))), Replies: 1},
	{Name: "oneway type for a two-way method", Server: plain, Bytes: wire.Frame(message(wire.Oneway, "echo", 7, wire.Text(1, "hi")))},
	{Name: "oneway type, unknown method", Server: plain, Bytes: wire.Frame(message(wire.Oneway, "nope", 7, []byte{0}))},
	{Name: "call type for a oneway method", Server: plain, Bytes: wire.Frame(message(wire.Call, "ping", 7, wire.Text(1, "hi")))},

	// Malformed: 5.4, 7.2.
	{Name: "unversioned thrift, bare", Server: plain, Bytes: join([]byte{0, 0, 0, 4}, []byte("echo\x01\x00\x00\x00\x07"), wire.Text(1, "hi"))},
	{Name: "compact thrift, framed", Server: plain, Bytes: wire.Frame([]byte("\x82\x21\x07\x04echo\x18\x02hi\x00"))},
	{Name: "HTTP/1", Server: plain, Bytes: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	{Name: "TLS", Server: plain, Bytes: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
	{Name: "five bytes and a half-close", Server: plain, Bytes: []byte{0, 0, 0, 26, 0x80}, Fin: true},
	{Name: "half a frame and a half-close", Server: plain, Bytes: wire.Frame(echoes(7, "hi"))[:20], Fin: true},
	{Name: "nothing but a half-close", Server: plain, Fin: true},
	{Name: "empty method", Server: plain, Bytes: wire.Frame(message(wire.Call, "", 7, wire.Text(1, "hi")))},
	{Name: "negative method length field", Server: plain, Bytes: patched(wire.Frame(echoes(7, "hi")), 8, 0xFF, 0xFF, 0xFF, 0xFF)},
	{Name: "framed, malformed arguments: unknown type", Server: plain, Bytes: wire.Frame(message(wire.Call, "echo", 7, []byte{0x63, 0, 9, 1, 2, 3, 0})), Replies: 1},
	{Name: "framed, malformed arguments: negative string", Server: plain, Bytes: wire.Frame(message(wire.Call, "echo", 7, []byte{0x0B, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0})), Replies: 1},
	{Name: "framed, malformed arguments: no STOP", Server: plain, Bytes: wire.Frame(message(wire.Call, "echo", 7, wire.Text(1, "hi")[:9])), Replies: 1},
	{Name: "ttheader, malformed arguments: unknown type", Server: plain, Bytes: wire.TTHeader(named("EchoService"), message(wire.Call, "echo", 5, []byte{0x63, 0, 9, 1, 2, 3, 0})), Replies: 1},
	{Name: "ttheader with frame, malformed arguments: unknown type", Server: plain, Bytes: wire.TTHeader(named("EchoService"), wire.Frame(message(wire.Call, "echo", 5, []byte{0x63, 0, 9, 1, 2, 3, 0}))), Replies: 1},
	{Name: "buffered, malformed arguments: unknown type", Server: plain, Bytes: message(wire.Call, "echo", 7, []byte{0x63, 0, 9, 1, 2, 3, 0})},
	{Name: "buffered, malformed arguments: negative string", Server: plain, Bytes: message(wire.Call, "echo", 7, []byte{0x0B, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0})},
	{Name: "pb, malformed body", Server: protobuf, Bytes: wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "Echo", 5, []byte{0x0A, 0x7F, 1})), Replies: 1},
	{Name: "pb, empty method", Server: protobuf, Bytes: wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, "", 5, []byte("\n\x02hi")))},
	{Name: "pb without a frame", Server: protobuf, Bytes: wire.Envelope(wire.Protobuf, wire.Call, "Echo", 5, []byte("\n\x02hi"))},
	{Name: "framed, length 0", Server: plain, Bytes: patched(wire.Frame(echoes(7, "hi")), 0, 0, 0, 0, 0), Replies: 1},
	{Name: "framed, length 1", Server: plain, Bytes: patched(wire.Frame(echoes(7, "hi")), 0, 0, 0, 0, 1), Replies: 1},
	{Name: "ttheader, LENGTH too small", Server: plain, Bytes: patched(wire.TTHeader(wire.Head{Sequence: 7}, echoes(7, "length")), 0, 0, 0, 0, 12), Replies: 1},
	{Name: "ttheader, inner frame length too small", Server: plain, Bytes: wire.TTHeader(wire.Head{Sequence: 7}, append(wire.Frame(echoes(7, "hi")), 0, 0, 0, 0, 0, 0, 0, 0)), Replies: 1},
	{Name: "ttheader, header size 0", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, nil, echoes(7, "hi"))},
	{Name: "ttheader, protocol id 5", Server: plain, Bytes: wire.TTHeader(wire.Head{Protocol: 5, Sequence: 7}, echoes(7, "hi"))},
	{Name: "ttheader, protocol id 2 (compact)", Server: plain, Bytes: wire.TTHeader(wire.Head{Protocol: 2, Sequence: 7}, echoes(7, "hi"))},
	{Name: "ttheader, transforms past the header", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 200, 0, 0}, echoes(7, "hi"))},
	{Name: "ttheader, two transforms", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 2, 1, 3}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, unknown info id", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 0, 0x12, 0}, echoes(7, "hi"))},
	{Name: "ttheader, truncated string section", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 0, 1, 0, 2, 0, 1, 'k', 0, 1, 'v', 0}, echoes(7, "hi"))},
	{Name: "ttheader, truncated int section", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 0, 0x10, 0, 1, 0, 1, 0xFF}, echoes(7, "hi"))},
	{Name: "ttheader, zeros between sections", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, []byte{0, 0, 0, 0, 1, 0, 1, 0, 1, 'k', 0, 1, 'v', 0, 0, 0}, echoes(7, "hi")), Replies: 1},
	{Name: "ttheader, wrong payload magic", Server: plain, Bytes: wire.TTHeaderBlock(0, 7, block, []byte("not thrift at all"))},
	{Name: "ttheader behind a mesh header", Server: plain, Bytes: wire.MeshHeader(nil, wire.TTHeader(wire.Head{Sequence: 7}, echoes(7, "hi")))},
	{Name: "mesh header, pair past the end", Server: plain, Bytes: join([]byte{0xFF, 0xAF, 0, 4, 0, 1, 0, 9}, wire.Frame(echoes(7, "hi")))},
	{Name: "crc32c wrong", Server: summing, Bytes: wire.TTHeader(wire.Head{Sequence: 7, Strings: [][2]string{{"crc32c", "00000000"}}}, echoes(7, "hi"))},
	{Name: "crc32c upper case", Server: summing, Bytes: wire.TTHeader(wire.Head{Sequence: 1, Strings: [][2]string{{"crc32c", "B1393A18"}}}, echoes(1, "hi"))},
	{Name: "crc32c empty", Server: summing, Bytes: wire.TTHeader(wire.Head{Sequence: 7, Strings: [][2]string{{"crc32c", ""}}}, echoes(7, "hi")), Replies: 1},
	{Name: "a good call, then rubbish", Server: plain, Bytes: join(wire.Frame(echoes(7, "hi")), []byte("rubbish that is no message")), Replies: 1},

	// Not ping-pong.
	{Name: "streaming, HTTP/2 preface", Server: plain, Bytes: []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
	{Name: "streaming, TTHeader Streaming", Server: plain, Bytes: wire.TTHeader(wire.Head{Flags: 2, Sequence: 7}, echoes(7, "hi"))},
	{Name: "streaming flag on the second message", Fresh: true, Server: plain, Bytes: join(wire.TTHeader(wire.Head{Sequence: 6}, echoes(6, "hi")), wire.TTHeader(wire.Head{Flags: 2, Sequence: 7}, echoes(7, "hi"))), Replies: 2},
}

// VectorCases are the golden vectors that are requests, sent as they are.
func VectorCases(file string) ([]RawCase, error) {
	var vectors []struct {
		capture.Vector
		Accepts *bool `json:"kitex_server_accepts"`
	}
	if err := capture.Load(file, &vectors); err != nil {
		return nil, err
	}
	var out []RawCase
	for _, v := range vectors {
		if v.Direction != "request" {
			continue
		}
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			return nil, err
		}
		c := RawCase{Name: "vector " + v.Name, Server: plain, Bytes: raw}
		switch {
		case len(v.Name) > 2 && v.Name[:2] == "pb" || v.Name == "neg_pb_buffered":
			c.Server = protobuf
		case bytes.Contains(raw, []byte("crc32c")):
			c.Server = summing
		}
		if v.Accepts != nil && *v.Accepts && binary.BigEndian.Uint16(raw) != 0 || bytes.Contains(raw, []byte("echo")) {
			c.Replies = 1
		}
		if v.Name == "pipelined_three_transports" {
			c.Replies = 3
		}
		if v.Name[:4] == "neg_" {
			c.Replies = 0
		}
		out = append(out, c)
	}
	return out, nil
}
