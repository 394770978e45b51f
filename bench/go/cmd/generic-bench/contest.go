package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cloudwego/dynamicgo/conv/j2t"
	"github.com/cloudwego/dynamicgo/conv/t2j"
	dthrift "github.com/cloudwego/dynamicgo/thrift"
	"github.com/cloudwego/gopkg/bufiox"
	"github.com/cloudwego/kitex/pkg/generic"
)

// contender is one way of converting; each call does the whole conversion once, into a buffer that it
// keeps, and leaves what it made in out.
type contender struct {
	name      string
	direction string
	payload   payload
	bytes     int
	run       func() error
	out       func() []byte
}

// writer is one of Kitex's generic arguments, as a client has them: JSON text in, the struct of the
// arguments out.
func writer(g generic.Generic, method, text string) (run func() error, out func() []byte) {
	ctx := context.Background()
	info := g.GenericMethod()(ctx, method)
	buf := make([]byte, 0, 32<<10)
	return func() error {
		args := info.NewArgs().(*generic.Args)
		args.Method, args.Request = method, text
		buf = buf[:0]
		w := bufiox.NewBytesWriter(&buf)
		if err := args.Write(ctx, method, w); err != nil {
			return err
		}
		return w.Flush()
	}, func() []byte { return buf }
}

// reader is one of Kitex's generic results, as a client has them: the struct of the result in, JSON text
// out.
func reader(g generic.Generic, method string, result []byte) (run func() error, out func() []byte) {
	ctx := context.Background()
	info := g.GenericMethod()(ctx, method)
	var text string
	return func() error {
		res := info.NewResult().(*generic.Result)
		if err := res.Read(ctx, method, len(result), bufiox.NewBytesReader(result)); err != nil {
			return err
		}
		var ok bool
		if text, ok = res.GetSuccess().(string); !ok {
			return errors.New("the result is no text")
		}
		return nil
	}, func() []byte { return []byte(text) }
}

// contest are all contenders, each of which has shown that it converts rightly.
func contest(idl string) ([]contender, error) {
	plain, err := generic.NewThriftFileProvider(idl)
	if err != nil {
		return nil, err
	}
	kitex, err := generic.JSONThriftGeneric(plain)
	if err != nil {
		return nil, err
	}
	fast, err := generic.NewThriftFileProviderWithDynamicGo(idl)
	if err != nil {
		return nil, err
	}
	if !fast.(generic.GetProviderOption).Option().DynamicGoEnabled {
		return nil, errors.New("dynamicgo is not in use")
	}
	dynamicgo, err := generic.JSONThriftGeneric(fast)
	if err != nil {
		return nil, err
	}
	service, err := dthrift.NewDescritorFromPath(context.Background(), idl)
	if err != nil {
		return nil, err
	}
	all, err := payloads(func(method, text string) ([]byte, error) {
		run, out := writer(dynamicgo, method, text)
		err := run()
		return out(), err
	})
	if err != nil {
		return nil, err
	}
	var out []contender
	for _, p := range all {
		add := func(name, direction string, bytes int, run func() error, made func() []byte) {
			out = append(out, contender{name, direction, p, bytes, run, made})
		}
		result := append(append([]byte{12, 0, 0}, p.thrift...), 0)
		for _, k := range []struct {
			name string
			g    generic.Generic
		}{{"kitex", kitex}, {"kitex+dynamicgo", dynamicgo}} {
			run, made := writer(k.g, p.method, string(p.json))
			add(k.name, "write", len(p.json), run, func() []byte { b := made(); return b[3 : len(b)-1] })
			read, text := reader(k.g, p.method, result)
			add(k.name, "read", len(p.json), read, text)
		}
		function, err := service.LookupFunctionByMethod(p.method)
		if err != nil {
			return nil, err
		}
		desc := function.Request().Struct().FieldById(1).Type()
		ctx := context.Background()
		buf := make([]byte, 0, 32<<10)
		to := j2t.NewBinaryConv(generic.DefaultJSONDynamicGoConvOpts)
		add("dynamicgo", "write", len(p.json), func() error {
			buf = buf[:0]
			return to.DoInto(ctx, desc, p.json, &buf)
		}, func() []byte { return buf })
		text := make([]byte, 0, 32<<10)
		from := t2j.NewBinaryConv(generic.DefaultJSONDynamicGoConvOpts)
		add("dynamicgo", "read", len(p.json), func() error {
			text = text[:0]
			return from.DoInto(ctx, desc, p.thrift, &text)
		}, func() []byte { return text })
	}
	for _, c := range out {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s, %s %s: %w", c.name, c.direction, c.payload.name, err)
		}
	}
	return out, nil
}

// check runs the contender once and looks at what it made. Kitex writes fields and members in no order, so
// lengths stand for the bytes, and JSON is compared as values.
func (c contender) check() error {
	if err := c.run(); err != nil {
		return err
	}
	made := c.out()
	if c.direction == "write" {
		if len(made) != len(c.payload.thrift) {
			return fmt.Errorf("%d bytes", len(made))
		}
		return nil
	}
	same, err := sameJSON(made, c.payload.json)
	if err == nil && !same {
		err = errors.New("another value")
	}
	return err
}

func sameJSON(a, b []byte) (bool, error) {
	var texts [2][]byte
	for i, text := range [][]byte{a, b} {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			return false, err
		}
		var err error
		if texts[i], err = json.Marshal(v); err != nil {
			return false, err
		}
	}
	return bytes.Equal(texts[0], texts[1]), nil
}
