// Command liveserver is a streaming server of the matrix, written in Go: Kitex for the Thrift or the
// Protobuf service, or grpc-go.
//
// It prints `LISTENING <addr>` when it is ready, and an `OBS` line for each call whose script asks
// for one. It ends when its stdin is closed; SIGTERM starts the library's graceful shutdown.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/cloudwego/kitex/pkg/klog"

	"interop/live"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	lib := flag.String("lib", "kitex-thrift", "kitex-thrift, kitex-protobuf or grpc-go")
	unknown := flag.Bool("unknown", false, "install an unknown-service handler that echoes bytes (Kitex)")
	verbose := flag.Bool("v", false, "keep Kitex's own log")
	flag.Parse()
	if !*verbose {
		klog.SetLevel(klog.LevelFatal)
	}
	ln, err := net.Listen("tcp", *listen)
	check(err)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	addr := ln.Addr().String()
	switch *lib {
	case "kitex-thrift", "kitex-protobuf":
		svr, err := live.KitexServer(ln, *lib == "kitex-protobuf", *unknown)
		check(err)
		live.Print("LISTENING " + addr)
		check(svr.Run())
	case "grpc-go":
		svr := live.GrpcServer()
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() {
			<-term
			svr.GracefulStop()
		}()
		live.Print("LISTENING " + addr)
		check(svr.Serve(ln))
	default:
		log.Fatalf("no library %q", *lib)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
