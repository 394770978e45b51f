package wire

import "encoding/binary"

// Envelope is a Thrift or Kitex-Protobuf message: magic and type, method, seqid, body.
func Envelope(magic uint16, typ int, method string, seqid uint32, body []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, magic)
	out = binary.BigEndian.AppendUint16(out, uint16(typ))
	out = binary.BigEndian.AppendUint32(out, uint32(len(method)))
	out = append(out, method...)
	out = binary.BigEndian.AppendUint32(out, seqid)
	return append(out, body...)
}

// Frame puts the length in front.
func Frame(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// Head is what goes into a TTHeader.
type Head struct {
	Flags    uint16
	Sequence uint32
	Protocol byte
	ACL      string
	// Strings and Ints are pairs in the order in which they are written.
	Strings [][2]string
	Ints    []IntPair
}

// IntPair is one entry of the int section.
type IntPair struct {
	Key   uint16
	Value string
}

// TTHeader puts a header in front of a payload.
func TTHeader(h Head, payload []byte) []byte {
	block := []byte{h.Protocol, 0}
	if h.ACL != "" {
		block = append(block, 0x11)
		block = str(block, h.ACL)
	}
	if len(h.Strings) > 0 {
		block = append(block, 0x01)
		block = binary.BigEndian.AppendUint16(block, uint16(len(h.Strings)))
		for _, p := range h.Strings {
			block = str(str(block, p[0]), p[1])
		}
	}
	if len(h.Ints) > 0 {
		block = append(block, 0x10)
		block = binary.BigEndian.AppendUint16(block, uint16(len(h.Ints)))
		for _, p := range h.Ints {
			block = str(binary.BigEndian.AppendUint16(block, p.Key), p.Value)
		}
	}
	for len(block)%4 != 0 {
		block = append(block, 0)
	}
	return TTHeaderBlock(h.Flags, h.Sequence, block, payload)
}

// TTHeaderBlock takes the block after HEADER SIZE as it is; hostile cases need that.
func TTHeaderBlock(flags uint16, sequence uint32, block, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(10+len(block)+len(payload)))
	out = binary.BigEndian.AppendUint16(out, Header)
	out = binary.BigEndian.AppendUint16(out, flags)
	out = binary.BigEndian.AppendUint32(out, sequence)
	out = binary.BigEndian.AppendUint16(out, uint16(len(block)/4))
	out = append(out, block...)
	return append(out, payload...)
}

// MeshHeader puts a mesh header in front of a Buffered or Framed message.
func MeshHeader(pairs [][2]string, payload []byte) []byte {
	block := binary.BigEndian.AppendUint16(nil, uint16(len(pairs)))
	for _, p := range pairs {
		block = str(str(block, p[0]), p[1])
	}
	out := binary.BigEndian.AppendUint16(nil, Mesh)
	out = binary.BigEndian.AppendUint16(out, uint16(len(block)))
	return append(append(out, block...), payload...)
}

// Text is an args or result struct with one string field.
func Text(id uint16, text string) []byte {
	out := append([]byte{0x0B}, byte(id>>8), byte(id))
	out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
	return append(append(out, text...), 0)
}

func str(out []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(out, uint16(len(s))), s...)
}
