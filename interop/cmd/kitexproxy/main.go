// Command kitexproxy is a proxy made of Kitex alone: an unknown-service handler in front, a binary
// generic client behind. It is what a Kitex user can build today, and the bench's competitor.
//
//	kitexproxy -listen 127.0.0.1:0 -backend 127.0.0.1:9999 -transport ttheader
//
// It prints `LISTEN <addr>` to stdout. GOMAXPROCS is taken from the environment as usual.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/genericclient"
	"github.com/cloudwego/kitex/pkg/connpool"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"
	"github.com/cloudwego/kitex/transport"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	backend := flag.String("backend", "", "address of the backend")
	name := flag.String("transport", "framed", "towards the backend: framed, ttheader, ttheader-framed or buffered")
	idle := flag.Int("idle", 1024, "idle connections kept to the backend")
	flag.Parse()
	klog.SetLevel(klog.LevelFatal)
	opts, ok := transports[*name]
	if !ok || *backend == "" {
		flag.Usage()
		log.Fatal("a backend and a known transport are needed")
	}
	c := &clients{opts: append([]client.Option{
		client.WithHostPorts(*backend),
		client.WithConnectTimeout(time.Second),
		client.WithLongConnection(connpool.IdleConfig{
			MaxIdlePerAddress: *idle, MaxIdleGlobal: *idle, MaxIdleTimeout: time.Minute,
		}),
	}, opts...)}

	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	svr := genericserver.NewUnknownServiceOrMethodServer(
		&genericserver.UnknownServiceOrMethodHandler{DefaultHandler: c.forward},
		server.WithListener(ln),
		server.WithMetaHandler(transmeta.ServerTTHeaderHandler),
	)
	fmt.Printf("LISTEN %s\n", ln.Addr())
	if err := svr.Run(); err != nil {
		log.Fatal(err)
	}
}

// Options of the transport OR their bits to the default, which is Framed.
var transports = map[string][]client.Option{
	"buffered": {client.WithTransportProtocol(transport.PurePayload)},
	"framed":   {client.WithTransportProtocol(transport.Framed)},
	"ttheader": {
		client.WithTransportProtocol(transport.PurePayload), client.WithTransportProtocol(transport.TTHeader),
		client.WithMetaHandler(transmeta.ClientTTHeaderHandler),
	},
	"ttheader-framed": {
		client.WithTransportProtocol(transport.TTHeader), client.WithMetaHandler(transmeta.ClientTTHeaderHandler),
	},
}

// clients has one generic client per service name, as the name is fixed in it.
type clients struct {
	opts []client.Option
	all  sync.Map
}

func (c *clients) forward(ctx context.Context, service, method string, request interface{}) (interface{}, error) {
	cli, ok := c.all.Load(service)
	if !ok {
		made, err := genericclient.NewClient("backend", generic.BinaryThriftGenericV2(service), c.opts...)
		if err != nil {
			return nil, err
		}
		cli, _ = c.all.LoadOrStore(service, made)
	}
	return cli.(genericclient.Client).GenericCall(ctx, method, request)
}
