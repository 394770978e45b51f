package peer

import (
	"net"

	"github.com/cloudwego/kitex/pkg/remote/codec"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/server"

	"interop/kitex_gen/echo/echoservice"
	"interop/kitex_gen/echo/secondservice"
	"interop/kitex_gen/pbecho/pbechoservice"
)

// Options choose what kind of Kitex server is built.
type Options struct {
	// Handler installs ServerTTHeaderHandler.
	Handler bool
	// Mux serves the multiplexed mode only (TTHeader only).
	Mux bool
	// Crc32c checks and writes payload checksums.
	Crc32c bool
	// Protobuf serves the Protobuf twin and nothing else.
	Protobuf bool
	// Strict refuses traffic without a service name.
	Strict bool
	// Quiet leaves out the observer's middleware, for the bench.
	Quiet bool
}

// New builds a server on a listener; it runs with Run.
func New(ln net.Listener, o Options, obs *Observer) (server.Server, error) {
	opts := []server.Option{
		server.WithListener(ln),
		server.WithServerBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "dest.svc"}),
	}
	if o.Handler {
		opts = append(opts, server.WithMetaHandler(transmeta.ServerTTHeaderHandler))
	}
	if !o.Quiet {
		opts = append(opts, server.WithMetaHandler(obs), server.WithMiddleware(obs.Middleware))
	}
	if o.Mux {
		opts = append(opts, server.WithMuxTransport())
	}
	if o.Crc32c {
		opts = append(opts, server.WithCodec(codec.NewDefaultCodecWithConfig(codec.CodecConfig{CRC32Check: true})))
	}
	if o.Strict {
		opts = append(opts, server.WithRefuseTrafficWithoutServiceName())
	}
	svr := server.NewServer(opts...)
	if o.Protobuf {
		return svr, pbechoservice.RegisterService(svr, &PbHandler{})
	}
	if err := echoservice.RegisterService(svr, &Handler{}, server.WithFallbackService()); err != nil {
		return nil, err
	}
	return svr, secondservice.RegisterService(svr, &Second{})
}
