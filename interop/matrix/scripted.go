package matrix

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"interop/call"
	"interop/capture"
	"interop/peer"
	"interop/wire"
)

// scripted is a backend that answers every request with bytes of our choice.
type scripted struct {
	ln    net.Listener
	conns atomic.Int32
}

func startScripted(answer func(*wire.Message) []byte) (*scripted, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &scripted{ln: ln}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					m, err := wire.Read(r)
					if err != nil {
						return
					}
					if _, err := conn.Write(answer(m)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s, nil
}

// under gives a recorded reply the sequence id of the request that it is to answer.
func under(raw []byte, m *wire.Message, seqid uint32) []byte {
	out := bytes.Clone(raw)
	binary.BigEndian.PutUint32(out[len(out)-len(m.Body)-4:], seqid)
	if m.HasHeader() {
		binary.BigEndian.PutUint32(out[8:], seqid)
	}
	return out
}

// RunScripted has a scripted backend answer Kitex's clients: with each golden vector that is a
// reply, and with `crrst` on a connection that it then keeps open.
func (l *Lab) RunScripted(w io.Writer, f Filter, file string, r *Report) error {
	if f.Kind == "raw" || l.Kitex {
		return nil
	}
	var vectors []struct {
		capture.Vector
		Accepts *bool `json:"kitex_client_accepts"`
	}
	if err := capture.Load(file, &vectors); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nscripted backend\n  %-18s %-42s %-11s %s\n", "client", "its reply", "as caller", "direct")
	for _, v := range vectors {
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			return err
		}
		messages, err := wire.Parse(raw)
		if v.Direction != "reply" || v.Accepts == nil || !*v.Accepts || err != nil || messages[0].Sequence == 0 && messages[0].Method == "none" {
			continue
		}
		for _, k := range Kinds {
			m := messages[0]
			if k == call.Mux || k == call.Bare || k.Transport() != m.Transport || k.Protobuf() != (m.Codec == "protobuf") || !f.kind(k) || !f.cs(v.Name) {
				continue
			}
			s, err := startScripted(func(req *wire.Message) []byte { return under(raw, m, req.Seqid) })
			if err != nil {
				return err
			}
			err = l.tryScripted(w, v.Name, k, s, r)
			s.ln.Close()
			if err != nil {
				return err
			}
		}
	}
	return l.tryCrrst(w, f, r)
}

var scriptedCase = call.Case{
	Name:   "scripted",
	Thrift: func(r *call.Run) { v, err := r.Echo().Echo(r.Ctx, "hi"); r.Note("echo", v, err) },
	Pb: func(r *call.Run) {
		v, err := r.Ghost("PbEchoService", "Echo")(r.Ctx, "hi")
		r.Note("echo", v, err)
	},
}

func nobody() []peer.Seen { return nil }

func (l *Lab) tryScripted(w io.Writer, name string, k call.Kind, s *scripted, r *Report) error {
	want := scriptedCase.Do(k, s.ln.Addr().String(), nobody)
	result := ""
	if l.Binary != "" || l.Relay {
		p, err := l.newProxy(s.ln.Addr().String(), k, Upstreams[0])
		if err != nil {
			return err
		}
		defer p.Stop()
		got := scriptedCase.Do(k, p.Addr, nobody)
		cell := Cell{Case: scriptedCase, Kind: k, Upstream: Upstreams[0]}
		v := judge(cell, want, got, func(call.Kind) call.Observation { return want })
		result = r.count(fmt.Sprintf("%s, backend answers %s", k, name), v, func() string {
			return "    log of the proxy:\n      " + lastLines(p.Log(), 3) + "\n"
		})
	}
	fmt.Fprintf(w, "  %-18s %-42s %-11s %s\n", k, name, result, brief(want))
	return nil
}

// tryCrrst: a connection on which the backend announced its end must not be used again, and the
// announcement must not reach the caller.
func (l *Lab) tryCrrst(w io.Writer, f Filter, r *Report) error {
	const calls = 5
	if l.Binary == "" || !f.cs("crrst") {
		return nil
	}
	for _, c := range []struct {
		kind call.Kind
		up   Upstream
	}{
		{call.TTHeader, Upstreams[0]}, {call.TTHeaderFramed, Upstreams[0]}, {call.Framed, Upstreams[2]}, {call.Buffered, Upstreams[3]},
	} {
		if !f.kind(c.kind) {
			continue
		}
		s, err := startScripted(func(m *wire.Message) []byte {
			body := wire.Envelope(wire.Thrift, wire.Reply, m.Method, m.Seqid, wire.Text(0, "hi"))
			if strings.HasSuffix(m.Transport, "framed") {
				body = wire.Frame(body)
			}
			return wire.TTHeader(wire.Head{Sequence: m.Seqid, Strings: [][2]string{{"crrst", "1"}, {"bk", "bv"}}}, body)
		})
		if err != nil {
			return err
		}
		p, err := l.newProxy(s.ln.Addr().String(), c.kind, c.up)
		if err != nil {
			return err
		}
		cs := call.Case{Name: "crrst", Thrift: func(run *call.Run) {
			e := run.Echo()
			for i := 0; i < calls; i++ {
				v, err := e.Echo(run.Ctx, "hi")
				run.Note(fmt.Sprint("call ", i), v, err)
			}
		}}
		got := cs.Do(c.kind, p.Addr, nobody)
		v := Verdict{}
		for name, n := range got.Notes {
			if n.Kind != "ok" || n.Value != `"hi"` {
				v.Diffs = append(v.Diffs, fmt.Sprintf("%s: %s", name, line(n, true)))
			}
		}
		if n := s.conns.Load(); n != calls {
			v.Diffs = append(v.Diffs, fmt.Sprintf("%d connections to the backend for %d calls: one was used after its crrst", n, calls))
		}
		if _, there := got.Reply.Strings["crrst"]; there {
			v.Diffs = append(v.Diffs, "the backend's crrst reached the caller")
		}
		if c.kind.Header() && got.Reply.Strings["bk"] != "bv" {
			v.Diffs = append(v.Diffs, "the other keys of the reply did not reach the caller")
		}
		result := r.count(fmt.Sprintf("%s, backend answers with crrst, upstream %s", c.kind, c.up.Name), v, nil)
		fmt.Fprintf(w, "  %-18s %-42s %-11s %d connections for %d calls\n", c.kind, "crrst on each reply, upstream "+c.up.Name, result, s.conns.Load(), calls)
		p.Stop()
		s.ln.Close()
	}
	return nil
}

func brief(o call.Observation) string {
	n := o.Notes["echo"]
	text := fmt.Sprintf("%s %s %s", n.Kind, n.Value, n.Text)
	if len(text) > 90 {
		text = text[:90] + "…"
	}
	return text
}
