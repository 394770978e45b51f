package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/genericclient"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/transport"
)

// Opaque is what the calls without an IDL carry: 14 bytes that are no valid Thrift.
var Opaque = []byte("hello, opaque!")

// OpaqueTransports are the ways of Unknown.
var OpaqueTransports = map[string]transport.Protocol{
	"framed":         transport.Framed,
	"ttheader":       transport.TTHeader,
	"ttstream":       transport.TTHeader | transport.TTHeaderStreaming,
	"gRPC streaming": transport.TTHeader | transport.GRPCStreaming,
	"gRPC":           transport.GRPC,
}

// Unknown calls what the server knows nothing of, by a client that has no IDL: unary, and with
// streams one call of each mode. It says for each what came back.
func Unknown(addr, by, service, method string) map[string]string {
	out := map[string]string{}
	cli, err := genericclient.NewClient("live.svc", generic.BinaryThriftGenericV2(service),
		client.WithHostPorts(addr), client.WithTransportProtocol(OpaqueTransports[by]), client.WithGRPCConnPoolSize(1))
	if err != nil {
		return map[string]string{"client": err.Error()}
	}
	defer cli.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	note := func(what string, got any, err error) {
		switch b, ok := got.([]byte); {
		case err != nil:
			out[what] = "error: " + tidy(err.Error())
		case ok && bytes.Equal(b, Opaque):
			out[what] = "the same bytes"
		default:
			out[what] = fmt.Sprintf("%q", got)
		}
	}
	got, err := cli.GenericCall(ctx, method, Opaque)
	note("unary", got, err)
	if by == "framed" || by == "ttheader" {
		return out
	}
	func() {
		st, err := cli.ClientStreaming(ctx, method)
		if err != nil {
			note("client", nil, err)
			return
		}
		if err := st.Send(ctx, Opaque); err != nil {
			note("client", nil, err)
			return
		}
		got, err := st.CloseAndRecv(ctx)
		note("client", got, err)
	}()
	func() {
		st, err := cli.ServerStreaming(ctx, method, Opaque)
		if err != nil {
			note("server", nil, err)
			return
		}
		got, err := st.Recv(ctx)
		note("server", got, err)
		_, err = st.Recv(ctx)
		out["server, end"] = ending(err)
	}()
	func() {
		st, err := cli.BidirectionalStreaming(ctx, method)
		if err != nil {
			note("bidirectional", nil, err)
			return
		}
		if err := st.Send(ctx, Opaque); err != nil {
			note("bidirectional", nil, err)
			return
		}
		if err := st.CloseSend(ctx); err != nil {
			note("bidirectional", nil, err)
			return
		}
		got, err := st.Recv(ctx)
		note("bidirectional", got, err)
		_, err = st.Recv(ctx)
		out["bidirectional, end"] = ending(err)
	}()
	return out
}

func ending(err error) string {
	switch {
	case err == nil:
		return "another message"
	case errors.Is(err, io.EOF):
		return "the end"
	}
	return "error: " + tidy(err.Error())
}
