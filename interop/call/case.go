package call

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"

	"interop/kitex_gen/pbecho"
	"interop/kitex_gen/pbecho/pbechoservice"
	"interop/peer"
)

// Case is something that a caller does, the same with and without a proxy between.
type Case struct {
	Name  string
	Setup Setup
	// Server names the kind of server that the case needs; empty: the ordinary one.
	Server string
	// HeaderOnly cases make sense for clients that send a TTHeader.
	HeaderOnly bool
	// Late cases leave an answer behind for which the caller does not wait; whether it comes before
	// the last one is chance, so the header of the last reply is not compared.
	Late bool
	// Seen is how many calls a server must have handled before the case is over; oneway calls are
	// still under way when their caller is done.
	Seen int
	// Want says what is wrong with a direct observation, so that a case cannot pass because the same
	// nothing was seen twice.
	Want func(Kind, Observation) error
	// Thrift and Pb do the calls; a nil one leaves the case out for those clients.
	Thrift, Pb func(*Run)
}

// For is true if the case can be run by a client of this kind.
func (c Case) For(k Kind) bool {
	if k.Protobuf() && c.Pb == nil || !k.Protobuf() && c.Thrift == nil {
		return false
	}
	return !c.HeaderOnly || k.Header()
}

// Sane judges a direct observation.
func (c Case) Sane(k Kind, o Observation) error {
	if len(o.Notes) == 0 {
		return errors.New("nothing was called")
	}
	for name, n := range o.Notes {
		if n.Kind == "other" {
			return fmt.Errorf("%s: %s", name, n.Text)
		}
	}
	if len(o.Seen) < c.Seen {
		return fmt.Errorf("%d of %d calls reached a handler", len(o.Seen), c.Seen)
	}
	if c.Want == nil {
		return nil
	}
	return c.Want(k, o)
}

// Run is a case under way.
type Run struct {
	*Client
	Ctx context.Context

	mu    sync.Mutex
	notes map[string]Outcome
}

// Note keeps what one call gave.
func (r *Run) Note(name string, value interface{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes[name] = Judge(value, err)
}

// Observation is all that can be told apart about a case: what the caller got, and what the server
// saw of it.
type Observation struct {
	Notes    map[string]Outcome `json:"notes"`
	Backward map[string]string  `json:"backward,omitempty"`
	Reply    Reply              `json:"reply"`
	Seen     []peer.Seen        `json:"seen"`
}

// Do runs a case. `take` asks the server what it saw.
func (c Case) Do(kind Kind, addr string, take func() []peer.Seen) Observation {
	take() // what an earlier case left behind
	cli := New(kind, addr, c.Setup)
	defer cli.Close()
	r := &Run{Client: cli, Ctx: Backward(context.Background()), notes: map[string]Outcome{}}
	func() {
		defer func() {
			if v := recover(); v != nil {
				r.Note("harness", nil, fmt.Errorf("panic: %v", v))
			}
		}()
		if kind.Protobuf() {
			c.Pb(r)
		} else {
			c.Thrift(r)
		}
	}()
	o := Observation{
		Notes:    r.notes,
		Backward: metainfo.RecvAllBackwardValues(r.Ctx),
		Reply:    cli.Reply(),
		Seen:     take(),
	}
	for deadline := time.Now().Add(time.Second); len(o.Seen) < c.Seen && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
		o.Seen = append(o.Seen, take()...)
	}
	if c.Late {
		o.Reply, o.Backward = Reply{}, nil
	}
	SortSeen(o.Seen)
	return o
}

// SortSeen puts calls in an order that does not depend on when they arrived.
func SortSeen(seen []peer.Seen) {
	sort.SliceStable(seen, func(i, j int) bool {
		a, b := seen[i], seen[j]
		return a.Method+a.Arg < b.Method+b.Arg
	})
}

// parallel runs n calls at once.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(i)
		}()
	}
	wg.Wait()
}

// PbEcho is an echo that checks its answer.
func (r *Run) PbEcho(cli pbechoservice.Client, msg string) error {
	got, err := cli.Echo(r.Ctx, &pbecho.Text{Msg: msg})
	if err == nil && got.GetMsg() != msg {
		return errors.New("wrong answer: " + got.GetMsg())
	}
	return err
}

// PbSlow is a slow call that checks its answer.
func (r *Run) PbSlow(cli pbechoservice.Client, millis int32) error {
	got, err := cli.Slow(r.Ctx, &pbecho.SlowRequest{Millis: millis, Msg: "slow"})
	if err == nil && got.GetMsg() != "slow" {
		return errors.New("wrong answer: " + got.GetMsg())
	}
	return err
}
