// Command kitexstreams is a stream proxy made of Kitex alone: an unknown-service handler in front, a binary generic
// client behind. It is what a Kitex user can build today.
//
//	kitexstreams -listen 127.0.0.1:0 -backend 127.0.0.1:9999 -protocol ttstream
//
// The caller's context is handed on as it is, which is the kindest to cancellation; headers and trailers of the backend
// are not forwarded. GOMAXPROCS is taken from the environment as usual.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/genericclient"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"
	"github.com/cloudwego/kitex/transport"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	backend := flag.String("backend", "", "address of the backend")
	protocol := flag.String("protocol", "grpc", "on both sides: grpc or ttstream")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	transports := map[string]transport.Protocol{"grpc": transport.GRPCStreaming, "ttstream": transport.TTHeaderStreaming}
	towards, ok := transports[*protocol]
	if !ok || *backend == "" {
		flag.Usage()
		log.Fatal("a backend and a known protocol are needed")
	}
	c := &clients{
		protobuf: *protocol == "grpc",
		opts: []client.Option{
			client.WithHostPorts(*backend),
			client.WithConnectTimeout(time.Second),
			client.WithTransportProtocol(towards),
		},
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	svr := genericserver.NewUnknownServiceOrMethodServer(
		&genericserver.UnknownServiceOrMethodHandler{StreamingHandler: c.forward},
		server.WithListener(ln),
	)
	if err := svr.Run(); err != nil {
		log.Fatal(err)
	}
}

// clients has one generic client per package and service, as both are fixed in it.
type clients struct {
	protobuf bool
	opts     []client.Option
	all      sync.Map
}

func (c *clients) of(pkg, service string) (genericclient.Client, error) {
	name := pkg + "." + service
	if found, ok := c.all.Load(name); ok {
		return found.(genericclient.Client), nil
	}
	g := generic.BinaryThriftGenericV2(service)
	if c.protobuf {
		g = generic.BinaryPbGeneric(service, pkg)
	}
	made, err := genericclient.NewClient("bench.echo", g, c.opts...)
	if err != nil {
		return nil, err
	}
	found, _ := c.all.LoadOrStore(name, made)
	return found.(genericclient.Client), nil
}

func (c *clients) forward(ctx context.Context, service, method string, caller generic.BidiStreamingServer) error {
	cli, err := c.of(rpcinfo.GetRPCInfo(ctx).Invocation().PackageName(), service)
	if err != nil {
		return err
	}
	backend, err := cli.BidirectionalStreaming(ctx, method)
	if err != nil {
		return err
	}
	go func() {
		for {
			message, err := caller.Recv(ctx)
			if err != nil {
				// A caller that is lost has cancelled ctx, and with it the backend's stream.
				if errors.Is(err, io.EOF) {
					_ = backend.CloseSend(ctx)
				}
				return
			}
			if backend.Send(ctx, message) != nil {
				return // what the backend has to say is read below
			}
		}
	}()
	for {
		message, err := backend.Recv(backend.Context())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := caller.Send(ctx, message); err != nil {
			return err
		}
	}
}
