// Command grpcproxy is mwitkow's grpc-proxy as its README builds it: a transparent handler whose director copies the
// caller's metadata, one client connection.
//
//	grpcproxy -listen 127.0.0.1:0 -backend 127.0.0.1:9999
//
// GOMAXPROCS is taken from the environment as usual.
package main

import (
	"context"
	"flag"
	"log"
	"net"

	"github.com/mwitkow/grpc-proxy/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	backend := flag.String("backend", "", "address of the backend")
	flag.Parse()
	conn, err := grpc.NewClient("passthrough:///"+*backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	director := func(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return metadata.NewOutgoingContext(ctx, md.Copy()), conn, nil
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(proxy.TransparentHandler(director)))
	if err := server.Serve(ln); err != nil {
		log.Fatal(err)
	}
}
