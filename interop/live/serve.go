package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

// call is one call at a server, whatever library it came through.
type call struct {
	method string
	ctx    context.Context
	// first is the request of a method that takes one message; the others have recv.
	first *Msg
	recv  func() (*Msg, error) // io.EOF at the half close
	send  func(*Msg) error
	// setHeader keeps headers for the first message, flush sends them now.
	setHeader  func(map[string]string) error
	flush      func() error
	setTrailer func(map[string]string) error
	// fail turns the end of a script into the error that the handler returns.
	fail func(End) error
	tell func() Tell
	// gone says how a context or an error of the library tells of a cancellation.
	gone func(error) (*int32, string)
}

// errGone is what a handler returns when the caller is gone: nobody reads it.
var errGone = errors.New("the caller is gone")

// serve does what the script says. A unary call has no `send`: its reply is returned.
func serve(c *call) (reply *Msg, err error) {
	read := 0
	first := c.first
	var ended error // how reading came to its end
	if first == nil && c.recv != nil {
		first, ended = c.recv()
	}
	if ended == nil && first != nil {
		read = 1
	}
	s := parseScript(first)
	if id := c.watched(); id != "" {
		s.Case, s.Observe = id, true
	}
	defer func() {
		if s.Observe {
			c.observe(s, read, err)
		}
	}()
	if len(s.Headers) > 0 {
		if err := c.setHeader(s.Headers); err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
	}
	if s.Flush {
		if err := c.flush(); err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
	}
	if len(s.Trailers) > 0 {
		if err := c.setTrailer(s.Trailers); err != nil {
			return nil, fmt.Errorf("trailer: %w", err)
		}
	}
	switch c.method {
	case "Ask":
		if err := c.end(s); err != nil {
			return nil, err
		}
		return c.answer(s, first, 0), nil
	case "Upload":
		sum := int32(0)
		m := first
		for ended == nil {
			sum += m.N
			if s.Early > 0 && read >= s.Early {
				break
			}
			if m, ended = c.recv(); ended == nil {
				read++
			}
		}
		if ended != nil && !errors.Is(ended, io.EOF) {
			return nil, ended
		}
		if s.End.Kind != "" && s.End.Kind != "ok" {
			return nil, c.end(s)
		}
		out := &Msg{Text: strconv.Itoa(read), N: sum, Blob: Blob(s.Size)}
		if s.Tell {
			out.Text = c.told()
		}
		return nil, c.send(out)
	case "Download":
		replies := 3
		if s.Replies != nil {
			replies = *s.Replies
		}
		if err := c.replies(s, replies); err != nil {
			return nil, err
		}
		return nil, c.end(s)
	}
	// Chat
	echo := s.Replies == nil || *s.Replies == 0
	m := first
	for ended == nil {
		if echo {
			out := m
			if s.Tell && read == 1 {
				out = &Msg{Text: c.told(), Blob: m.Blob, N: m.N}
			}
			if s.Size > 0 {
				out = &Msg{Text: out.Text, Blob: Blob(s.Size), N: out.N}
			}
			if err := c.send(out); err != nil {
				return nil, err
			}
		}
		if s.Early > 0 && read >= s.Early {
			break
		}
		if m, ended = c.recv(); ended == nil {
			read++
		}
	}
	if ended != nil && !errors.Is(ended, io.EOF) {
		return nil, ended
	}
	if !echo {
		if err := c.replies(s, *s.Replies); err != nil {
			return nil, err
		}
	}
	return nil, c.end(s)
}

func (c *call) replies(s Script, n int) error {
	for i := 0; i < n; i++ {
		if s.PauseMs > 0 {
			time.Sleep(time.Duration(s.PauseMs) * time.Millisecond)
		}
		out := &Msg{Text: fmt.Sprintf("reply %d", i), N: int32(i), Blob: Blob(s.Size)}
		if s.Tell && i == 0 {
			out.Text = c.told()
		}
		if err := c.send(out); err != nil {
			return err
		}
	}
	return nil
}

// answer is the reply of a unary call: an echo, unless the script asks for more.
func (c *call) answer(s Script, m *Msg, n int32) *Msg {
	if m == nil {
		m = &Msg{}
	}
	out := &Msg{Text: m.Text, Blob: m.Blob, N: m.N + n}
	if s.Size > 0 {
		out.Blob = Blob(s.Size)
	}
	if s.Tell {
		out.Text = c.told()
	}
	return out
}

func (c *call) end(s Script) error {
	if s.End.WaitMs > 0 {
		time.Sleep(time.Duration(s.End.WaitMs) * time.Millisecond)
	}
	switch s.End.Kind {
	case "", "ok":
		return nil
	case "hang":
	default:
		if s.End.WaitMs == 0 && c.method == "Chat" {
			// Kitex and grpc-js may drop messages that they have when an error is there too; a Node
			// process that has just started on a busy machine takes long to get to them.
			time.Sleep(250 * time.Millisecond)
		}
	}
	switch s.End.Kind {
	case "panic":
		panic(s.End.Message)
	case "error":
		return errors.New(s.End.Message)
	case "hang":
		select {
		case <-c.ctx.Done():
			// A caller whose deadline has passed is to hear it from its own clock, not from this one.
			time.Sleep(150 * time.Millisecond)
			return errGone
		case <-time.After(20 * time.Second):
			return errors.New("nothing happened for 20 s")
		}
	}
	return c.fail(s.End)
}

// watched is the case to observe when no message has come to say so: a key of the metadata does.
func (c *call) watched() string {
	t := c.tell()
	if id := t.Persist["OBSERVE"]; id != "" {
		return id
	}
	if id := t.Persist["observe"]; id != "" { // as its header is called
		return id
	}
	if v := t.Meta["x-observe"]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c *call) told() string {
	text, err := json.Marshal(c.tell())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

var stdout sync.Mutex

// Print writes a line of the contract.
func Print(line string) {
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Fprintln(os.Stdout, line)
}

func (c *call) observe(s Script, read int, err error) {
	o := Observation{Case: s.Case, Method: c.method, Messages: read}
	// A read may fail a moment before the context does, and Node's HTTP/2 half-closes a stream right
	// before it resets it.
	select {
	case <-c.ctx.Done():
	case <-time.After(200 * time.Millisecond):
	}
	if cause := c.ctx.Err(); cause != nil {
		o.Cancelled = true
		o.Code, o.Text = c.gone(cause)
	} else if err != nil && s.End.Kind == "hang" {
		o.Text = err.Error()
	}
	text, jsonErr := json.Marshal(o)
	if jsonErr != nil {
		return
	}
	Print("OBS " + string(text))
}
