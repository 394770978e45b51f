package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Dump writes a Thrift struct in the notation of the rows: fields by id, map entries by their keys, so
// that equal contents have equal dumps whatever the order on the wire.
func Dump(body []byte) (string, error) {
	r := &reader{rest: body}
	s := r.value(12, 0)
	if r.err != nil {
		return "", r.err
	}
	if len(r.rest) > 0 {
		return "", fmt.Errorf("%d bytes after the struct", len(r.rest))
	}
	return s, nil
}

// DumpArgument is the same for the value of the only field; a struct that has not exactly one is dumped
// whole.
func DumpArgument(body []byte) (string, error) {
	whole, err := Dump(body)
	if err != nil || len(body) < 4 {
		return whole, err
	}
	r := &reader{rest: body[3:]}
	inner := r.value(body[0], 0)
	if len(r.rest) != 1 {
		return whole, nil
	}
	return inner, nil
}

type reader struct {
	rest []byte
	err  error
}

const maxDepth = 4096

func (r *reader) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.rest)) {
		r.err = errors.New("the bytes end too early")
	}
	if r.err != nil {
		return make([]byte, min(max(n, 0), 8))
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

// count is a number of elements that take at least one byte each.
func (r *reader) count() int {
	n := int(int32(r.u32()))
	if r.err == nil && (n < 0 || n > len(r.rest)) {
		r.err = fmt.Errorf("%d elements in %d bytes", n, len(r.rest))
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *reader) value(typ byte, depth int) string {
	if depth > maxDepth {
		r.err = errors.New("too deep")
	}
	if r.err != nil {
		return ""
	}
	switch typ {
	case 2:
		return fmt.Sprintf("bool(%d)", r.take(1)[0])
	case 3:
		return fmt.Sprintf("i8(%d)", int8(r.take(1)[0]))
	case 4:
		return "dbl(" + double(math.Float64frombits(binary.BigEndian.Uint64(r.take(8)))) + ")"
	case 6:
		return fmt.Sprintf("i16(%d)", int16(binary.BigEndian.Uint16(r.take(2))))
	case 8:
		return fmt.Sprintf("i32(%d)", int32(r.u32()))
	case 10:
		return fmt.Sprintf("i64(%d)", int64(binary.BigEndian.Uint64(r.take(8))))
	case 11:
		return quote(r.take(int(int32(r.u32()))))
	case 12:
		return r.fields(depth)
	case 13:
		key, elem := r.take(1)[0], r.take(1)[0]
		var entries []string
		for n := r.count(); n > 0 && r.err == nil; n-- {
			k := r.value(key, depth+1)
			entries = append(entries, k+"=>"+r.value(elem, depth+1))
		}
		sort.Strings(entries)
		return fmt.Sprintf("map<%d,%d>[%s]", key, elem, strings.Join(entries, ", "))
	case 14, 15:
		elem := r.take(1)[0]
		var elems []string
		for n := r.count(); n > 0 && r.err == nil; n-- {
			elems = append(elems, r.value(elem, depth+1))
		}
		name := "list"
		if typ == 14 {
			name = "set"
		}
		return fmt.Sprintf("%s<%d>[%s]", name, elem, strings.Join(elems, ", "))
	}
	if r.err == nil {
		r.err = fmt.Errorf("wire type %d", typ)
	}
	return ""
}

func (r *reader) fields(depth int) string {
	type field struct {
		id   int16
		text string
	}
	var fields []field
	for r.err == nil {
		typ := r.take(1)[0]
		if typ == 0 {
			break
		}
		id := int16(binary.BigEndian.Uint16(r.take(2)))
		if typ == 1 { // how Kitex writes a void result: the value is a struct's stop byte
			r.take(1)
			fields = append(fields, field{id, fmt.Sprintf("%d:void", id)})
			continue
		}
		fields = append(fields, field{id, fmt.Sprintf("%d:%s", id, r.value(typ, depth+1))})
	}
	sort.SliceStable(fields, func(i, j int) bool { return fields[i].id < fields[j].id })
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.text
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

func double(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// quote is the one form of a text in canonical dumps: what is not printable ASCII is escaped by bytes.
func quote(text []byte) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Canonical brings a dump that a row has into the form that Dump writes: which characters are escaped in
// a text, how a double is written, blanks, and the order of map entries are not what a row is about.
func Canonical(dump string) (string, error) {
	c := &scanner{rest: dump}
	out := c.value()
	c.blanks()
	if c.err == nil && c.rest != "" {
		c.fail("something after the value")
	}
	return out, c.err
}

type scanner struct {
	rest string
	err  error
}

func (c *scanner) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("dump: %s at %.20q", what, c.rest)
	}
	c.rest = ""
}

func (c *scanner) blanks() { c.rest = strings.TrimLeft(c.rest, " \n\t") }

func (c *scanner) eat(token string) bool {
	c.blanks()
	rest, ok := strings.CutPrefix(c.rest, token)
	if ok {
		c.rest = rest
	}
	return ok
}

func (c *scanner) want(token string) {
	if !c.eat(token) {
		c.fail("expected " + token)
	}
}

// until takes everything up to one of the characters.
func (c *scanner) until(stops string) string {
	at := strings.IndexAny(c.rest, stops)
	if at < 0 {
		c.fail("expected one of " + stops)
		return ""
	}
	out := c.rest[:at]
	c.rest = c.rest[at:]
	return strings.TrimSpace(out)
}

func (c *scanner) value() string {
	c.blanks()
	switch {
	case strings.HasPrefix(c.rest, `"`):
		return quote(c.text())
	case c.eat("{"):
		return c.sequence("}", func() string {
			id := c.until(":")
			c.want(":")
			return id + ":" + c.value()
		}, func(s []string) {
			sort.SliceStable(s, func(i, j int) bool { return fieldID(s[i]) < fieldID(s[j]) })
		}, "{")
	case c.eat("void"):
		return "void"
	}
	head := c.until("([")
	if c.eat("(") {
		number := c.until(")")
		c.want(")")
		if head == "dbl" {
			f, err := strconv.ParseFloat(strings.Replace(number, "inf", "Inf", 1), 64)
			if err != nil {
				c.fail(err.Error())
			}
			number = double(f)
		}
		return head + "(" + number + ")"
	}
	c.want("[")
	if strings.HasPrefix(head, "map<") {
		return c.sequence("]", func() string {
			k := c.value()
			c.want("=>")
			return k + "=>" + c.value()
		}, sort.Strings, strings.ReplaceAll(head, " ", "")+"[")
	}
	return c.sequence("]", c.value, func([]string) {}, head+"[")
}

func (c *scanner) sequence(end string, one func() string, order func([]string), open string) string {
	var out []string
	for c.err == nil && !c.eat(end) {
		if len(out) > 0 {
			c.want(",")
		}
		out = append(out, one())
	}
	order(out)
	return open + strings.Join(out, ", ") + end
}

func fieldID(field string) int {
	id, _, _ := strings.Cut(field, ":")
	n, _ := strconv.Atoi(id)
	return n
}

func (c *scanner) text() []byte {
	c.rest = c.rest[1:]
	var out []byte
	for c.rest != "" && c.rest[0] != '"' {
		if c.rest[0] != '\\' {
			out = append(out, c.rest[0])
			c.rest = c.rest[1:]
			continue
		}
		if len(c.rest) < 2 {
			break
		}
		switch {
		case strings.HasPrefix(c.rest, `\u{`): // as Rust writes it
			end := strings.IndexByte(c.rest, '}')
			if end < 0 {
				c.fail("unterminated escape")
				return nil
			}
			n, err := strconv.ParseUint(c.rest[3:end], 16, 32)
			if err != nil {
				c.fail("bad escape")
				return nil
			}
			out = utf8.AppendRune(out, rune(n))
			c.rest = c.rest[end+1:]
		case c.rest[1] == '0' && !strings.HasPrefix(c.rest, `\00`):
			out = append(out, 0)
			c.rest = c.rest[2:]
		case c.rest[1] == '\'' || c.rest[1] == '/':
			out = append(out, c.rest[1])
			c.rest = c.rest[2:]
		default:
			value, multibyte, tail, err := strconv.UnquoteChar(c.rest, '"')
			if err != nil {
				c.fail("bad escape")
				return nil
			}
			if multibyte {
				out = utf8.AppendRune(out, value)
			} else {
				out = append(out, byte(value))
			}
			c.rest = tail
		}
	}
	if c.rest == "" {
		c.fail("unterminated text")
		return nil
	}
	c.rest = c.rest[1:]
	return out
}
