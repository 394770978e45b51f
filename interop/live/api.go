package live

import "context"

// Conn is a client for whoever plays a case by itself.
type Conn struct {
	caller caller
}

// Dial makes one; connections are made when it calls.
func Dial(c Client) *Conn { return &Conn{connect(c)} }

// Close drops the connections.
func (c *Conn) Close() { c.caller.close() }

// Ask makes a unary call.
func (c *Conn) Ask(ctx context.Context, m *Msg) (*Msg, Ended) {
	reply, _, trailers, err := c.caller.ask(ctx, options{}, m)
	return reply, c.sort(err, trailers)
}

// AskGhost makes a unary call of something that the server may not have.
func (c *Conn) AskGhost(ctx context.Context, service, method string) Ended {
	_, _, trailers, err := c.caller.ask(ctx, options{service: service, method: method}, &Msg{Text: "boo"})
	return c.sort(err, trailers)
}

func (c *Conn) sort(err error, trailers map[string][]string) Ended {
	e := c.caller.ended(err, trailers)
	e.Message = tidy(e.Message)
	return e
}

// Stream is an open stream.
type Stream struct {
	conn *Conn
	st   stream
}

// Open opens one; a Download takes its message here.
func (c *Conn) Open(ctx context.Context, method string, m *Msg) (*Stream, error) {
	st, err := c.caller.open(ctx, options{}, method, m)
	return &Stream{c, st}, err
}

// OpenGhost opens a stream of something that the server may not have.
func (c *Conn) OpenGhost(ctx context.Context, service, method string) (*Stream, error) {
	st, err := c.caller.open(ctx, options{service: service, method: method}, "Chat", nil)
	return &Stream{c, st}, err
}

// Send sends a message.
func (s *Stream) Send(m *Msg) error { return s.st.send(m) }

// Recv receives one.
func (s *Stream) Recv() (*Msg, error) { return s.st.recv() }

// CloseSend half-closes.
func (s *Stream) CloseSend() error { return s.st.closeSend() }

// End sorts the error that ended the stream.
func (s *Stream) End(err error) Ended { return s.conn.sort(err, s.st.trailer()) }

// Sort sorts the error of a call that could not be opened.
func (c *Conn) Sort(err error) Ended { return c.sort(err, nil) }
