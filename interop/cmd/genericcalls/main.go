// Command genericcalls has Kitex's generic clients call our server, and our clients Kitex's servers. See
// the README of this folder. It exits with 1 when a cell fails, with 2 when it cannot run.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/generic/calls"
)

func main() {
	var l calls.Lab
	flag.StringVar(&l.IDL, "idl", "idl", "folder of the IDL files")
	flag.StringVar(&l.CaseFilter, "case", "", "play cases whose name contains this")
	flag.StringVar(&l.KindFilter, "kind", "", "play clients whose name contains this")
	flag.StringVar(&l.TransportFilter, "transport", "", "play transports whose name contains this")
	flag.BoolVar(&l.Verbose, "v", false, "print every outcome")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	report, err := l.Run(os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "genericcalls:", err)
		os.Exit(2)
	}
	fmt.Printf("\n%d the same, %d differ as listed, %d fail\n", report.Same, report.Listed, report.Failed+report.Sense)
	if report.Failed+report.Sense > 0 {
		os.Exit(1)
	}
}
