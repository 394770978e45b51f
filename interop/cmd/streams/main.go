// Command streams runs the streaming part of the matrix. See the README of this folder. It exits with
// 1 when a cell fails, with 2 when it cannot run.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/streams"
)

func main() {
	var l streams.Lab
	flag.StringVar(&l.Bin, "bin", "bin", "folder of the programs of this module")
	flag.StringVar(&l.Proxy, "proxy", os.Getenv("PROXY_BIN"), "the proxy's binary; without one, only the direct results are made")
	flag.StringVar(&l.OthersDir, "others-dir", "streams-peers", "folder of the peers in other languages")
	others := flag.String("others", strings.Join(streams.Others, ","), "peers in other languages; none of the named may be missing")
	flag.BoolVar(&l.Relay, "relay", false, "a plain TCP relay stands in for the proxy, to check the harness")
	flag.IntVar(&l.Jobs, "jobs", 2, "pairs that are run at once")
	flag.StringVar(&l.PairFilter, "pair", "", "run pairs whose name (`client → server`) contains this")
	flag.StringVar(&l.WayFilter, "way", "", "run ways whose name contains this")
	flag.StringVar(&l.CaseFilter, "case", "", "run cases whose name contains this")
	flag.Parse()
	if flag.NArg() > 0 {
		l.PairFilter = flag.Arg(0)
	}
	klog.SetLevel(klog.LevelFatal)
	if *others != "" {
		l.Others = strings.Split(*others, ",")
	}
	dir, err := os.MkdirTemp("", "streams-*")
	fatal(err)
	l.Dir = dir
	report, err := l.Run(os.Stdout)
	_ = os.RemoveAll(dir)
	report.Print(os.Stdout)
	fatal(err)
	if report.Failed > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(2)
	}
}
