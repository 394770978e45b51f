// Command client runs one case of the matrix against an address and prints what a caller can
// observe of it: `client -addr 127.0.0.1:8888 -kind ttheader -case "business error"`.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/call"
	"interop/peer"
)

func main() {
	addr := flag.String("addr", "", "address to call")
	kind := flag.String("kind", "framed", "buffered, framed, ttheader, ttheader-framed, ttheader-bare, mux, pb-ttheader or pb-framed")
	name := flag.String("case", "", "name of the case; empty: list them")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	for _, c := range call.Cases {
		if *name == "" {
			fmt.Println(c.Name)
		}
		if c.Name == *name {
			c.Seen = 0
			out, _ := json.MarshalIndent(c.Do(call.Kind(*kind), *addr, func() []peer.Seen { return nil }), "", "  ")
			fmt.Println(string(out))
			return
		}
	}
	if *name != "" {
		os.Exit(2)
	}
}
