// Command runner runs the matrix: Kitex server, proxy, Kitex client, and the other peers. See the
// README of this folder. It exits with 1 when a cell fails, with 2 when it cannot run.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/matrix"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the programs of this module")
	proxy := flag.String("proxy", os.Getenv("PROXY_BIN"), "the proxy's binary; without one, only the direct column is run")
	relay := flag.Bool("relay", false, "a plain TCP relay stands in for the proxy, to check the harness")
	kitex := flag.Bool("kitexproxy", false, "the proxy made of Kitex, to see what it fails")
	vectorFile := flag.String("vectors", "../testkit/vectors/vectors-pingpong.json", "the golden vectors")
	peers := flag.Bool("peers", true, "run the peers other than Kitex too; none of them may be missing")
	python := flag.String("python", ".venv/bin/python", "a Python with python/requirements.txt installed")
	node := flag.String("node", "node", "Node.js, with node/ installed")
	volo := flag.String("volo", "bin/volo-peer", "the program built from volo/")
	var f matrix.Filter
	flag.StringVar(&f.Kind, "client", "", "run this client only")
	flag.StringVar(&f.Case, "case", "", "run cases whose name contains this")
	flag.StringVar(&f.Upstream, "upstream", "", "run this upstream only")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)

	lab, err := matrix.NewLab(*bin, *proxy, *relay)
	fatal(err)
	lab.Kitex = *kitex
	report, err := lab.Run(os.Stdout, f)
	if err == nil && !*kitex {
		vectors, err2 := matrix.VectorCases(*vectorFile)
		fatal(err2)
		err = lab.RunRaw(os.Stdout, f, vectors, report)
	}
	if err == nil && !*kitex {
		err = lab.RunLife(os.Stdout, f, report)
	}
	if err == nil {
		err = lab.RunRoutes(os.Stdout, f, report)
	}
	if err == nil {
		err = lab.RunScripted(os.Stdout, f, *vectorFile, report)
	}
	if err == nil && *peers && !*kitex {
		err = lab.RunPeers(os.Stdout, f, matrix.Peers(*python, *node, *volo), report)
	}
	report.Print(os.Stdout)
	lab.Close()
	fatal(err)
	if report.Failed > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(2)
	}
}
