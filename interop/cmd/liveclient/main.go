// Command liveclient is a streaming client of the matrix, written in Go: it runs cases against a
// server and prints one line of JSON for each.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/live"
)

func main() {
	var c live.Client
	flag.StringVar(&c.Target, "target", "", "address to call")
	flag.StringVar(&c.Lib, "lib", "kitex", "kitex or grpc-go")
	flag.StringVar(&c.Codec, "codec", "thrift", "thrift or protobuf")
	flag.StringVar(&c.Transport, "transport", "ttstream", "ttstream or grpc")
	flag.StringVar(&c.Pool, "pool", "mux", "pool of a ttstream client: mux, long or short")
	flag.StringVar(&c.Name, "name", "live.caller", "the caller's service name")
	cases := flag.String("cases", "all", "names of cases with commas between, or all")
	verbose := flag.Bool("v", false, "keep Kitex's own log")
	flag.Parse()
	if !*verbose {
		klog.SetLevel(klog.LevelFatal)
	}
	var names []string
	if *cases == "all" {
		for _, cs := range live.Cases {
			names = append(names, cs.Name)
		}
	} else {
		names = strings.Split(*cases, ",")
	}
	out := bufio.NewWriter(os.Stdout)
	for _, name := range names {
		result := live.Result{Case: name, Skip: "no such case here"}
		if cs, ok := live.Find(name); ok {
			result = live.Run(c, cs)
		}
		line, err := json.Marshal(result)
		if err != nil {
			fmt.Fprintln(os.Stderr, "liveclient:", err)
			os.Exit(1)
		}
		_, _ = out.Write(append(line, '\n'))
		_ = out.Flush()
	}
}
