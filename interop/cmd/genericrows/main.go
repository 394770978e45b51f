// Command genericrows replays the rows of thrift-generic against live Kitex. See the README of this
// folder. It exits with 1 when a row is not as it says, with 2 when it cannot run.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/transport"

	"interop/generic/rows"
)

func main() {
	dir := flag.String("rows", "../thrift-generic/tests/rows", "folder of the rows")
	fixtures := flag.String("fixtures", "../thrift-generic/tests/fixtures", "folder of their IDL files")
	by := flag.String("transport", "framed", "framed or ttheader")
	only := flag.String("row", "", "play rows whose name (`ID case`) contains this")
	verbose := flag.Bool("v", false, "print every row, with what Kitex did")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	protocol, ok := map[string]transport.Protocol{"framed": transport.Framed, "ttheader": transport.TTHeader}[*by]
	if !ok {
		fatal(fmt.Errorf("transport %q", *by))
	}
	all, err := rows.Load(*dir)
	fatal(err)
	var chosen []*rows.Row
	for _, r := range all {
		if strings.Contains(r.Name(), *only) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		fatal(fmt.Errorf("no rows"))
	}
	lab, err := rows.NewLab(*fixtures, protocol)
	fatal(err)
	report := lab.Run(os.Stdout, chosen, *verbose)
	lab.Close()
	if report.Failed > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "genericrows:", err)
		os.Exit(2)
	}
}
