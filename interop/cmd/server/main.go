// Command server is the Kitex server of the matrix.
//
// It prints `LISTEN <addr>` and `CONTROL <addr>` to stdout when both ports are bound. GET /take on
// the control port answers, as JSON, what the handlers saw since the last one. SIGTERM starts
// Kitex's graceful shutdown.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/peer"
)

func main() {
	var o peer.Options
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	flag.BoolVar(&o.Handler, "handler", true, "install ServerTTHeaderHandler")
	flag.BoolVar(&o.Mux, "mux", false, "multiplexed mode")
	flag.BoolVar(&o.Crc32c, "crc32c", false, "check and write payload checksums")
	flag.BoolVar(&o.Protobuf, "pb", false, "serve the Protobuf twin")
	flag.BoolVar(&o.Strict, "strict", false, "refuse traffic without a service name")
	flag.BoolVar(&o.Quiet, "quiet", false, "note nothing about the calls (for measuring)")
	verbose := flag.Bool("v", false, "keep Kitex's own log")
	flag.Parse()
	if !*verbose {
		klog.SetLevel(klog.LevelFatal)
	}

	ln, err := net.Listen("tcp", *addr)
	check(err)
	control, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	obs := &peer.Observer{}
	http.HandleFunc("/take", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(obs.Take())
	})
	go func() { check(http.Serve(control, nil)) }()

	svr, err := peer.New(ln, o, obs)
	check(err)
	fmt.Fprintf(os.Stdout, "LISTEN %s\nCONTROL %s\n", ln.Addr(), control.Addr())
	check(svr.Run())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
