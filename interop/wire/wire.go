// Package wire reads and writes ping-pong messages by hand, independent of Kitex and of the proxy:
// what the raw cases send, and how captures are compared by content.
package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
)

// The magic numbers and message types of the specification, sections 1.3 and 2.3.
const (
	Thrift   = 0x8001
	Protobuf = 0x9001
	Header   = 0x1000
	Mesh     = 0xFFAF

	Call, Reply, Exception, Oneway, Stream = 1, 2, 3, 4, 5

	maxMessage = 1 << 28
)

// Message is one parsed ping-pong message.
type Message struct {
	Transport string // buffered, framed, ttheader, ttheader-framed, mesh-buffered, mesh-framed

	Flags      uint16
	Sequence   uint32
	ProtocolID byte
	Transforms []byte
	ACL        *string
	Strings    map[string]string
	Ints       map[uint16]string
	// HeaderLen is the header block after the 14 fixed bytes, padding included.
	HeaderLen int

	Codec  string // thrift, protobuf
	Type   int
	Method string
	Seqid  uint32
	Body   []byte // the struct with its STOP, or the protobuf message
	Raw    []byte
}

// HasHeader is true for both TTHeader forms.
func (m *Message) HasHeader() bool { return strings.HasPrefix(m.Transport, "ttheader") }

// Read takes one message off a stream. An error of io.EOF means a clean end before the first byte.
func Read(r *bufio.Reader) (*Message, error) {
	t := &tape{r: r}
	m := &Message{Strings: map[string]string{}, Ints: map[uint16]string{}}
	err := m.read(t)
	m.Raw = t.taken
	if err == io.EOF && len(t.taken) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return m, err
}

// Parse reads all the messages that some bytes hold.
func Parse(raw []byte) ([]*Message, error) {
	r := bufio.NewReader(strings.NewReader(string(raw)))
	var out []*Message
	for {
		m, err := Read(r)
		if errors.Is(err, io.EOF) && len(m.Raw) == 0 {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

func (m *Message) read(t *tape) error {
	head, err := t.peek(8)
	if err != nil {
		return err
	}
	left := -1 // what TTHeader says the payload has; -1: nothing says it
	switch {
	case binary.BigEndian.Uint16(head[4:]) == Header:
		m.Transport = "ttheader"
		if left, err = m.readHeader(t); err != nil {
			return err
		}
	case binary.BigEndian.Uint16(head) == Mesh:
		m.Transport = "mesh-"
		if err = m.readMesh(t); err != nil {
			return err
		}
	}
	if head, err = t.peek(8); err != nil {
		return err
	}
	lo, hi := binary.BigEndian.Uint16(head), binary.BigEndian.Uint16(head[4:])
	framed := lo != Thrift && (hi == Thrift || hi == Protobuf)
	switch {
	case lo != Thrift && !framed:
		return fmt.Errorf("invalid payload: % x", head)
	case m.Transport == "ttheader" && framed:
		m.Transport = "ttheader-framed"
	case m.Transport == "mesh-" && framed:
		m.Transport = "mesh-framed"
	case m.Transport == "mesh-":
		m.Transport = "mesh-buffered"
	case m.Transport == "" && framed:
		m.Transport = "framed"
	case m.Transport == "":
		m.Transport = "buffered"
	}
	if framed {
		n, err := t.u32()
		if err != nil {
			return err
		}
		if left >= 0 && int(n) != left-4 {
			return fmt.Errorf("inner frame says %d, TTHeader %d", n, left-4)
		}
		left = int(n)
	}
	start := len(t.taken)
	magic, err := t.u32()
	if err != nil {
		return err
	}
	m.Type = int(magic & 0xFFFF)
	m.Codec = "thrift"
	if magic>>16 == Protobuf {
		m.Codec = "protobuf"
	}
	n, err := t.u32()
	if err != nil {
		return err
	}
	method, err := t.take(int(n))
	if err != nil {
		return err
	}
	m.Method = string(method)
	if m.Seqid, err = t.u32(); err != nil {
		return err
	}
	body := len(t.taken)
	if left >= 0 {
		if _, err = t.take(left - (body - start)); err != nil {
			return err
		}
	} else if err = skip(t, 12, 0); err != nil {
		return err
	}
	m.Body = t.taken[body:]
	return nil
}

func (m *Message) readHeader(t *tape) (payload int, err error) {
	fixed, err := t.take(14)
	if err != nil {
		return 0, err
	}
	length := int(binary.BigEndian.Uint32(fixed))
	m.Flags = binary.BigEndian.Uint16(fixed[6:])
	m.Sequence = binary.BigEndian.Uint32(fixed[8:])
	m.HeaderLen = 4 * int(binary.BigEndian.Uint16(fixed[12:]))
	block, err := t.take(m.HeaderLen)
	if err != nil {
		return 0, err
	}
	if m.HeaderLen < 2 {
		return 0, errors.New("header size 0")
	}
	m.ProtocolID = block[0]
	transforms := int(block[1])
	if 2+transforms > len(block) {
		return 0, errors.New("transforms run past the header")
	}
	m.Transforms = block[2 : 2+transforms]
	if err := m.readSections(&cursor{rest: block[2+transforms:]}); err != nil {
		return 0, err
	}
	payload = length - 10 - m.HeaderLen
	if payload < 0 {
		return 0, fmt.Errorf("LENGTH %d is less than the header", length)
	}
	return payload, nil
}

func (m *Message) readSections(c *cursor) error {
	for len(c.rest) > 0 {
		switch id := c.u8(); id {
		case 0x00:
		case 0x01:
			for n := c.u16(); n > 0 && c.err == nil; n-- {
				k := c.str()
				m.Strings[k] = c.str()
			}
		case 0x10:
			for n := c.u16(); n > 0 && c.err == nil; n-- {
				k := c.u16()
				m.Ints[k] = c.str()
			}
		case 0x11:
			token := c.str()
			m.ACL = &token
		default:
			return fmt.Errorf("unknown info id %#x", id)
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

func (m *Message) readMesh(t *tape) error {
	head, err := t.take(4)
	if err != nil {
		return err
	}
	block, err := t.take(int(binary.BigEndian.Uint16(head[2:])))
	if err != nil {
		return err
	}
	c := &cursor{rest: block}
	for n := c.u16(); n > 0 && c.err == nil; n-- {
		k := c.str()
		m.Strings[k] = c.str()
	}
	return c.err
}

// Describe is the content in one line, entries sorted: two messages with the same content have the
// same description, whatever order Kitex wrote its map in.
func (m *Message) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", m.Transport)
	if m.HasHeader() {
		fmt.Fprintf(&b, " flags=%#x seq=%d protocol=%d", m.Flags, m.Sequence, m.ProtocolID)
		if len(m.Transforms) > 0 {
			fmt.Fprintf(&b, " transforms=%x", m.Transforms)
		}
	}
	if m.ACL != nil {
		fmt.Fprintf(&b, " acl=%q", *m.ACL)
	}
	keys := make([]string, 0, len(m.Strings))
	for k := range m.Strings {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%q", k, m.Strings[k])
	}
	ints := make([]int, 0, len(m.Ints))
	for k := range m.Ints {
		ints = append(ints, int(k))
	}
	sort.Ints(ints)
	for _, k := range ints {
		fmt.Fprintf(&b, " #%d=%q", k, m.Ints[uint16(k)])
	}
	fmt.Fprintf(&b, " | %s type=%d %q seqid=%d ", m.Codec, m.Type, m.Method, m.Seqid)
	if code, text, ok := m.Fault(); ok {
		fmt.Fprintf(&b, "exception %d %q", code, text)
	} else if len(m.Body) <= 96 {
		b.WriteString(hex.EncodeToString(m.Body))
	} else {
		fmt.Fprintf(&b, "%s… (%d bytes)", hex.EncodeToString(m.Body[:96]), len(m.Body))
	}
	return b.String()
}

// Fault reads the body of an EXCEPTION: TApplicationException, or Kitex's ErrorProto.
func (m *Message) Fault() (code int32, text string, ok bool) {
	if m.Type != Exception {
		return 0, "", false
	}
	c := &cursor{rest: m.Body}
	if m.Codec == "protobuf" {
		for len(c.rest) > 0 && c.err == nil {
			switch c.u8() {
			case 0x08:
				code = int32(c.varint())
			case 0x12:
				text = string(c.take(int(c.varint())))
			default:
				return 0, "", false
			}
		}
		return code, text, c.err == nil
	}
	for c.err == nil {
		switch typ := c.u8(); typ {
		case 0:
			return code, text, c.err == nil
		case 11:
			c.u16()
			text = string(c.take(int(c.u32())))
		case 8:
			c.u16()
			code = int32(c.u32())
		default:
			return 0, "", false
		}
	}
	return 0, "", false
}

// skip takes one value of a type off the tape; depth 64 as in the specification, 1.8.
func skip(t *tape, typ byte, depth int) error {
	if depth > 64 {
		return errors.New("depth limit exceeded")
	}
	switch typ {
	case 2, 3:
		_, err := t.take(1)
		return err
	case 6:
		_, err := t.take(2)
		return err
	case 8:
		_, err := t.take(4)
		return err
	case 4, 10:
		_, err := t.take(8)
		return err
	case 11:
		n, err := t.u32()
		if err != nil {
			return err
		}
		_, err = t.take(int(n))
		return err
	case 12:
		for {
			field, err := t.take(1)
			if err != nil || field[0] == 0 {
				return err
			}
			inner := field[0]
			if _, err = t.take(2); err != nil {
				return err
			}
			if err = skip(t, inner, depth+1); err != nil {
				return err
			}
		}
	case 13, 14, 15:
		elems, err := t.take(1)
		if err != nil {
			return err
		}
		types := []byte{elems[0]}
		if typ == 13 {
			value, err := t.take(1)
			if err != nil {
				return err
			}
			types = append(types, value[0])
		}
		n, err := t.u32()
		if err != nil {
			return err
		}
		for ; n > 0; n-- {
			for _, e := range types {
				if err := skip(t, e, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return fmt.Errorf("unknown data type %d", typ)
}

// tape reads off a stream and keeps what it read.
type tape struct {
	r     *bufio.Reader
	taken []byte
}

func (t *tape) peek(n int) ([]byte, error) {
	head, err := t.r.Peek(n)
	if err == io.EOF && len(head) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return head, err
}

func (t *tape) take(n int) ([]byte, error) {
	if n < 0 || n > maxMessage {
		return nil, fmt.Errorf("length %d", n)
	}
	start := len(t.taken)
	for have := 0; have < n; { // in steps: a claimed length is not yet bytes
		step := min(n-have, 1<<16)
		at := len(t.taken)
		t.taken = append(t.taken, make([]byte, step)...)
		got, err := io.ReadFull(t.r, t.taken[at:])
		if err != nil {
			t.taken = t.taken[:at+got]
			return nil, err
		}
		have += step
	}
	return t.taken[start:], nil
}

func (t *tape) u32() (uint32, error) {
	b, err := t.take(4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

// cursor walks a complete block; the first failure sticks.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) take(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.rest) {
		c.err = io.ErrUnexpectedEOF
		c.rest = nil
		return nil
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return math.MaxUint32
}

func (c *cursor) str() string { return string(c.take(int(c.u16()))) }

func (c *cursor) varint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.err = io.ErrUnexpectedEOF
		return 0
	}
	c.rest = c.rest[n:]
	return v
}
