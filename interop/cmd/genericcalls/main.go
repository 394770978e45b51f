// Command genericcalls has Kitex's generic clients call our server, and our clients Kitex's servers. See
// the README of this folder. It exits with 1 when a cell fails, with 2 when it cannot run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/generic/calls"
	"interop/generic/web"
	"interop/matrix"
)

func main() {
	var l calls.Lab
	flag.StringVar(&l.IDL, "idl", "idl", "folder of the IDL files")
	flag.StringVar(&l.CaseFilter, "case", "", "play cases whose name contains this")
	flag.StringVar(&l.KindFilter, "kind", "", "play clients whose name contains this")
	flag.StringVar(&l.TransportFilter, "transport", "", "play transports whose name contains this")
	peer := flag.String("peer", "bin/generic-peer", "our server; with none, only the direct outcomes are made")
	binary := flag.String("proxy", os.Getenv("PROXY_BIN"), "the proxy's binary, for its tool and its gateway; with none, neither is played")
	browser := flag.String("browser", "chromium", "the browser's binary")
	only := flag.String("part", "", "play the part whose name contains this: server, tool, gateway")
	flag.BoolVar(&l.Verbose, "v", false, "print every outcome")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	if *peer != "" {
		l.Peer = func(args ...string) (string, func(), error) {
			return start(*peer, append([]string{"--idl", l.IDL}, args...))
		}
	}
	var total calls.Report
	play := func(name string, run func(io.Writer) (calls.Report, error)) {
		if !strings.Contains(name, *only) {
			return
		}
		report, err := run(os.Stdout)
		if err != nil {
			fmt.Fprintln(os.Stderr, "genericcalls:", err)
			os.Exit(2)
		}
		total.Add(report)
	}
	play("server", l.Run)
	if *binary != "" {
		play("tool", func(w io.Writer) (calls.Report, error) { return l.RunTool(w, *binary) })
	}
	if *binary != "" {
		gateway := web.Lab{Proxy: *binary, IDL: l.IDL, Browser: *browser, Verbose: l.Verbose}
		play("gateway", gateway.Run)
	}
	fmt.Printf("\n%d the same, %d differ as listed, %d fail\n", total.Same, total.Listed, total.Failed+total.Sense)
	if total.Failed+total.Sense > 0 {
		os.Exit(1)
	}
}

// start runs our server until stop is called.
func start(binary string, args []string) (addr string, stop func(), err error) {
	p, err := matrix.Start(func(line string) bool {
		rest, ok := strings.CutPrefix(line, "LISTEN ")
		if ok {
			addr = rest
		}
		return ok
	}, []string{"NO_COLOR=1"}, binary, args...)
	if err != nil {
		return "", nil, err
	}
	return addr, p.Kill, nil
}
