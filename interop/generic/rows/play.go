package rows

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/generic/descriptor"
	"github.com/cloudwego/kitex/transport"
)

// got is what Kitex did.
type got struct {
	// bytes were written; or err, or value was read.
	bytes []byte
	value any
	err   error
}

func (g got) String() string {
	switch {
	case g.err != nil:
		return "error: " + g.err.Error()
	case g.bytes != nil:
		text, err := Dump(g.bytes)
		if err != nil {
			return fmt.Sprintf("corrupt bytes (%v): %x", err, g.bytes)
		}
		return "wrote " + text
	}
	switch v := g.value.(type) {
	case string:
		return fmt.Sprintf("text %q", v)
	case *generic.HTTPResponse:
		body, err := json.Marshal(Jsonable(v.Body))
		if err != nil {
			body = []byte(fmt.Sprint(v.Body))
		}
		return fmt.Sprintf("status %d, headers %v, body %s, raw body %q", v.StatusCode, v.Header, body, v.RawBody)
	case nil:
		return "nil"
	case descriptor.Void:
		return "Void"
	}
	return Tag(g.value)
}

// Lab has the live peers. Rows are played one after the other.
type Lab struct {
	// Fixtures is the folder of the IDL files.
	Fixtures string
	// Protocol is how Kitex's clients travel: one that says how long the payload is.
	Protocol transport.Protocol

	backend  *scripted
	subjects map[string]*subject
	callers  map[string]*callers
	served   map[string]*served
}

// NewLab starts the scripted backend.
func NewLab(fixtures string, protocol transport.Protocol) (*Lab, error) {
	backend, err := newScripted()
	return &Lab{
		Fixtures: fixtures, Protocol: protocol, backend: backend,
		subjects: map[string]*subject{}, callers: map[string]*callers{}, served: map[string]*served{},
	}, err
}

// Close ends the peers.
func (l *Lab) Close() {
	for _, s := range l.served {
		_ = s.server.Stop()
	}
	_ = l.backend.ln.Close()
}

func (l *Lab) subject(r *Row) (*subject, error) {
	options, err := json.Marshal(r.Options)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(r.kind(), r.Fixture, r.dynamic(), string(options))
	if s := l.subjects[key]; s != nil {
		return s, nil
	}
	s, err := newSubject(l.Fixtures, r)
	if err == nil {
		s.key = key
		l.subjects[key] = s
	}
	return s, err
}

func (l *Lab) caller(s *subject) (*callers, error) {
	if c := l.callers[s.key]; c != nil {
		return c, nil
	}
	c, err := newCallers(s, l.backend.ln.Addr().String(), l.Protocol)
	if err == nil {
		l.callers[s.key] = c
	}
	return c, err
}

func (l *Lab) server(s *subject) (*served, error) {
	if out := l.served[s.key]; out != nil {
		return out, nil
	}
	out, err := newServed(s)
	if err == nil {
		l.served[s.key] = out
	}
	return out, err
}

// play has Kitex do what the row says. The error is the harness's own; Kitex's is in what is got.
func (l *Lab) play(r *Row) (got, error) {
	s, err := l.subject(r)
	if err != nil {
		return got{}, err
	}
	switch r.Op {
	case "json_write", "map_write", "http_write":
		return l.playWrite(r, s)
	case "json_read", "map_read", "http_read":
		return l.playRead(r, s)
	case "json_serve_read", "json_serve_write", "map_serve_read", "map_serve_write":
		return l.playServe(r, s)
	}
	return got{}, fmt.Errorf("op %q", r.Op)
}

func (l *Lab) playWrite(r *Row, s *subject) (got, error) {
	c, err := l.caller(s)
	if err != nil {
		return got{}, err
	}
	request, err := r.request()
	if err != nil {
		return got{}, err
	}
	l.backend.arm(nil)
	_, err = c.call(r.Method, request, r.Base)
	wait := time.Duration(0)
	if err == nil { // a oneway call returns before its bytes have arrived
		wait = time.Second
	}
	if arguments, ok := l.backend.taken(wait); ok {
		return got{bytes: arguments}, nil
	}
	if err == nil {
		err = fmt.Errorf("harness: nothing arrived")
	}
	return got{err: err}, nil
}

func (r *Row) request() (any, error) {
	switch r.kind() {
	case "json":
		return r.jsonText()
	case "map":
		return untag(r.In)
	}
	var h httpRequest
	if err := json.Unmarshal(r.In, &h); err != nil {
		return nil, err
	}
	return h.build()
}

// jsonText is the text of a row's input; nil where it is null.
func (r *Row) jsonText() (any, error) {
	var in struct {
		JSON *string `json:"json"`
	}
	if err := json.Unmarshal(r.In, &in); err != nil {
		return nil, err
	}
	if in.JSON == nil {
		return nil, nil
	}
	return *in.JSON, nil
}

func (r *Row) bytes() ([]byte, error) {
	var in struct {
		Hex string `json:"hex"`
	}
	if err := json.Unmarshal(r.In, &in); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(in.Hex)
	if err == nil && len(raw) == 0 {
		err = fmt.Errorf("no bytes")
	}
	return raw, err
}

func (l *Lab) playRead(r *Row, s *subject) (got, error) {
	c, err := l.caller(s)
	if err != nil {
		return got{}, err
	}
	raw, err := r.bytes()
	if err != nil {
		return got{}, err
	}
	l.backend.arm(raw)
	value, err := c.read(r.Method)
	return got{value: value, err: err}, nil
}

func (l *Lab) playServe(r *Row, s *subject) (got, error) {
	v, err := l.server(s)
	if err != nil {
		return got{}, err
	}
	if r.Op == "json_serve_read" || r.Op == "map_serve_read" {
		raw, err := r.bytes()
		if err != nil {
			return got{}, err
		}
		called, request, reply, err := v.exchange(r.Method, raw, nil)
		if called {
			return got{value: request}, nil
		}
		if err == nil {
			_, text, _ := reply.Fault()
			err = fmt.Errorf("%s", text)
		}
		return got{err: err}, nil
	}
	answer, err := r.answer()
	if err != nil {
		return got{}, err
	}
	f, err := s.service.LookupFunctionByMethod(r.Method)
	if err != nil {
		return got{}, err
	}
	called, _, reply, err := v.exchange(r.Method, zeroArguments(f), answer)
	if err == nil && !called {
		err = fmt.Errorf("harness: the handler was not called")
	}
	if err == nil {
		if _, text, ok := reply.Fault(); ok {
			err = fmt.Errorf("%s", text)
		}
	}
	if err != nil {
		return got{err: err}, nil
	}
	return got{bytes: reply.Body}, nil
}

// answer is what the handler of a row returns.
func (r *Row) answer() (any, error) {
	if r.kind() == "map" {
		return untag(r.In)
	}
	var void struct {
		Void bool `json:"void"`
	}
	if json.Unmarshal(r.In, &void) == nil && void.Void {
		return descriptor.Void{}, nil
	}
	return r.jsonText()
}
