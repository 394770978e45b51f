// Command generic-bench measures Kitex's generic JSON conversions in process: the default one, the one on
// dynamicgo, and dynamicgo's converters alone. With -ours it measures the benchmark of thrift-generic in
// turns with them, and writes a table. bench/generic.sh builds and calls it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

func main() {
	testing.Init()
	idl := flag.String("idl", "../../thrift-generic/tests/fixtures/baseline.thrift", "the IDL of the payloads")
	seconds := flag.Float64("seconds", 1, "how long one contender is measured in a round")
	rounds := flag.Int("rounds", 5, "rounds; figures are medians over them")
	ours := flag.String("ours", "", "our benchmark's binary, measured in turns")
	floors := flag.String("floors", "", "the benchmark of the public crates, measured in turns")
	markdown := flag.String("markdown", "", "write the table to this file")
	asJSON := flag.Bool("json", false, "print one line of JSON per contender and end")
	check := flag.Bool("check", false, "look whether every contender converts rightly and end")
	flag.Parse()
	contenders, err := contest(*idl)
	fatal(err)
	if *check {
		fmt.Printf("%d contenders convert both payloads\n", len(contenders))
		return
	}
	fatal(flag.Set("test.benchtime", time.Duration(*seconds*float64(time.Second)).String()))
	if *asJSON {
		fatal(once(contenders))
		return
	}
	d := driver{rounds: *rounds, seconds: *seconds, idl: *idl, ours: *ours, floors: *floors}
	fatal(d.run(os.Stderr))
	fatal(d.write(*markdown))
}

// figure is what one contender took.
type figure struct {
	Name      string  `json:"name"`
	Direction string  `json:"direction"`
	Payload   string  `json:"payload"`
	Bytes     int     `json:"bytes"`
	Nanos     float64 `json:"ns"`
	Allocs    float64 `json:"allocs"`
	Heap      float64 `json:"heap_bytes"`
}

// once measures every contender in this process.
func once(contenders []contender) error {
	out := json.NewEncoder(os.Stdout)
	for _, c := range contenders {
		var failed error
		r := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.run(); err != nil {
					failed = err
					b.FailNow()
				}
			}
		})
		if failed == nil && r.N == 0 {
			failed = errors.New("not measured")
		}
		if failed != nil {
			return fmt.Errorf("%s: %w", c.name, failed)
		}
		n := float64(r.N)
		f := figure{c.name, c.direction, c.payload.name, c.bytes, float64(r.T.Nanoseconds()) / n, float64(r.MemAllocs) / n, float64(r.MemBytes) / n}
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "generic-bench:", err)
		os.Exit(1)
	}
}
