package streams

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
)

// Frame types of TTHeader Streaming.
const (
	ttHeader  = "2"
	ttData    = "3"
	ttTrailer = "4"
	ttRst     = "5"
)

// ttFrame is one frame as it is on the wire.
type ttFrame struct {
	id      int32
	kind    string
	method  string
	strings [][2]string
	payload []byte
}

func (f ttFrame) bytes() []byte {
	str := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	info := []byte{0x10, 0}
	if len(f.strings) > 0 {
		info = binary.BigEndian.AppendUint16(append(info, 0x01), uint16(len(f.strings)))
		for _, kv := range f.strings {
			info = str(str(info, kv[0]), kv[1])
		}
	}
	info = append(info, 0x10, 0, 2, 0, 9)
	info = str(info, f.method)
	info = append(info, 0, 27)
	info = str(info, f.kind)
	for len(info)%4 != 0 {
		info = append(info, 0)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(10+len(info)+len(f.payload)))
	out = append(out, 0x10, 0, 0, 2)
	out = binary.BigEndian.AppendUint32(out, uint32(f.id))
	out = binary.BigEndian.AppendUint16(out, uint16(len(info)/4))
	return slices.Concat(out, info, f.payload)
}

// ttException is the payload of an rst and of a trailer with an error.
func ttException(method string, id, code int32, message string) []byte {
	out := []byte{0x80, 1, 0, 3}
	out = append(binary.BigEndian.AppendUint32(out, uint32(len(method))), method...)
	out = binary.BigEndian.AppendUint32(out, uint32(id))
	out = append(binary.BigEndian.AppendUint32(append(out, 0x0b, 0, 1), uint32(len(message))), message...)
	out = binary.BigEndian.AppendUint32(append(out, 0x08, 0, 2), uint32(code))
	return append(out, 0)
}

// ttMsg is a Msg of the Thrift service with a text alone.
func ttMsg(text string) []byte {
	out := append(binary.BigEndian.AppendUint32([]byte{0x0b, 0, 1}, uint32(len(text))), text...)
	return append(out, 0)
}

// readTT reads one frame, as far as these peers need it: its id, its kind and its payload.
func readTT(r io.Reader) (ttFrame, error) {
	head := make([]byte, 14)
	if _, err := io.ReadFull(r, head); err != nil {
		return ttFrame{}, err
	}
	rest := make([]byte, int(binary.BigEndian.Uint32(head))-10)
	if _, err := io.ReadFull(r, rest); err != nil {
		return ttFrame{}, err
	}
	f := ttFrame{id: int32(binary.BigEndian.Uint32(head[8:]))}
	size := 4 * int(binary.BigEndian.Uint16(head[12:]))
	if size > len(rest) {
		return f, fmt.Errorf("an info of %d bytes in %d", size, len(rest))
	}
	f.payload = rest[size:]
	for i := 0; i+4 < size; i++ { // key 27 with a value of one byte
		if rest[i] == 0 && rest[i+1] == 27 && rest[i+2] == 0 && rest[i+3] == 1 {
			f.kind = string(rest[i+4 : i+5])
		}
	}
	return f, nil
}

// serveRawTT starts a ttstream server that answers each header frame as told.
func serveRawTT(answer func(c net.Conn, id int32)) (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					f, err := readTT(c)
					if err != nil {
						return
					}
					if f.kind == ttHeader {
						go answer(c, f.id)
					}
				}
			}()
		}
	}()
	return ln, nil
}
