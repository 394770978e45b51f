package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// The payloads of dynamicgo's and Kitex's own benchmarks, rebuilt from the recipe in section 8.1 of the
// specification. Field names and their order are those of baseline.thrift, and so is the JSON.

type simple struct {
	ByteField   int8
	I64Field    int64
	DoubleField float64
	I32Field    int32
	StringField string
	BinaryField []byte
}

type nesting struct {
	String          string
	ListSimple      []simple
	Double          float64
	I32             int32
	ListI32         []int32
	I64             int64
	MapStringString map[string]string
	SimpleStruct    simple
	MapI32I64       map[int32]int64
	ListString      []string
	Binary          []byte
	MapI64String    map[int64]string
	ListI64         []int64
	Byte            int8
	MapStringSimple map[string]simple
}

const elements = 16

func text() string {
	const once = "你好,\b\n\r\t世界"
	return once + once
}

func binary() []byte {
	out := make([]byte, 32)
	for i := range out {
		out[i] = byte(i % 16)
	}
	return out
}

func newSimple() simple {
	return simple{math.MaxInt8, math.MaxInt64, math.MaxFloat64, math.MaxInt32, text(), binary()}
}

func newNesting() nesting {
	n := nesting{
		String: text(), Double: math.MaxFloat64, I32: math.MaxInt32, I64: math.MaxInt64, SimpleStruct: newSimple(),
		Binary: binary(), Byte: math.MaxInt8,
		MapStringString: map[string]string{}, MapI32I64: map[int32]int64{}, MapI64String: map[int64]string{},
		MapStringSimple: map[string]simple{},
	}
	for i := range elements {
		key := strconv.Itoa(i)
		n.ListSimple = append(n.ListSimple, newSimple())
		n.ListI32 = append(n.ListI32, math.MinInt32)
		n.ListI64 = append(n.ListI64, math.MinInt64)
		n.ListString = append(n.ListString, text())
		n.MapStringString[key] = text()
		n.MapI32I64[int32(i)] = math.MinInt64
		n.MapI64String[int64(i)] = text()
		n.MapStringSimple[key] = newSimple()
	}
	return n
}

// payload is one of the two, as JSON and as Thrift: the bare struct, without the argument around it.
type payload struct {
	name   string
	method string
	json   []byte
	thrift []byte
}

func payloads(write func(method, json string) ([]byte, error)) ([]payload, error) {
	out := []payload{{name: "small", method: "SimpleMethod"}, {name: "medium", method: "NestingMethod"}}
	for i, want := range []struct {
		value        any
		json, thrift int
	}{{newSimple(), 228, 114}, {newNesting(), 11199, 6455}} {
		p := &out[i]
		var err error
		if p.json, err = json.Marshal(want.value); err != nil {
			return nil, err
		}
		args, err := write(p.method, string(p.json))
		if err != nil {
			return nil, err
		}
		p.thrift = args[3 : len(args)-1]
		if len(p.json) != want.json || len(p.thrift) != want.thrift {
			return nil, fmt.Errorf("%s has %d bytes of JSON and %d of Thrift, not %d and %d", p.name, len(p.json), len(p.thrift), want.json, want.thrift)
		}
	}
	return out, nil
}
