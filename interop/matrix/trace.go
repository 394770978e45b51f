package matrix

import (
	"encoding/hex"
	"fmt"
	"strings"

	"interop/wire"
)

// Trace runs a cell once more with a recorder on each side of the proxy, and shows what passed.
func (l *Lab) Trace(cell Cell) string {
	s, err := l.Server(cell.Backend())
	if err != nil {
		return err.Error()
	}
	behind, err := StartRecorder(s.Addr, true)
	if err != nil {
		return err.Error()
	}
	defer behind.Stop()
	p, err := l.newProxy(behind.Addr, cell.Kind, cell.Upstream)
	if err != nil {
		return err.Error()
	}
	defer p.Stop()
	before, err := StartRecorder(p.Addr, true)
	if err != nil {
		return err.Error()
	}
	defer before.Stop()
	cell.Case.Do(cell.Kind, before.Addr, s.Take)
	var b strings.Builder
	b.WriteString(show("between caller and proxy", before))
	b.WriteString(show("between proxy and backend", behind))
	if text := p.Log(); text != "" {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		fmt.Fprintf(&b, "    log of the proxy:\n      %s\n", strings.Join(lines[max(0, len(lines)-8):], "\n      "))
	}
	return b.String()
}

func show(where string, r *Recorder) string {
	var b strings.Builder
	exchanges := r.Exchanges()
	fmt.Fprintf(&b, "    %s: %d connections\n", where, len(exchanges))
	for i, e := range exchanges[:min(len(exchanges), 4)] {
		up, down := e.Bytes()
		for _, d := range []struct {
			arrow string
			raw   []byte
		}{{"->", up}, {"<-", down}} {
			messages, err := wire.Parse(d.raw)
			for _, m := range messages[:min(len(messages), 6)] {
				fmt.Fprintf(&b, "      %d %s %s\n", i, d.arrow, m.Describe())
				if len(m.Raw) <= 300 {
					fmt.Fprintf(&b, "           %x\n", m.Raw)
				}
			}
			if err != nil {
				fmt.Fprintf(&b, "      %d %s %v; %d bytes: %s\n", i, d.arrow, err, len(d.raw), hex.EncodeToString(d.raw[:min(len(d.raw), 200)]))
			}
		}
	}
	return b.String()
}
