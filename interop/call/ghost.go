package call

import (
	"context"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/serviceinfo"

	"interop/kitex_gen/echo"
	"interop/kitex_gen/echo/echoservice"
	"interop/kitex_gen/pbecho"
	"interop/kitex_gen/pbecho/pbechoservice"
)

// Ghost calls a method that the server may not have, of a service that it may not have, with the
// arguments of `echo`: string in, string out.
func (c *Client) Ghost(service, method string) func(ctx context.Context, msg string) (string, error) {
	if c.Kind == PbFramed {
		return func(ctx context.Context, msg string) (string, error) {
			out := &pbecho.Text{}
			err := c.rawPb(ctx, method, &pbecho.Text{Msg: msg}, out)
			return out.GetMsg(), err
		}
	}
	donor, like := echoservice.NewServiceInfo(), "echo"
	if c.Kind.Protobuf() {
		donor, like = pbechoservice.NewServiceInfo(), "Echo"
	}
	info := &serviceinfo.ServiceInfo{
		ServiceName:  service,
		Methods:      map[string]serviceinfo.MethodInfo{method: donor.Methods[like]},
		PayloadCodec: donor.PayloadCodec,
		Extra:        donor.Extra,
	}
	cli, err := client.NewClient(info, append([]client.Option{client.WithDestService("dest.svc")}, c.opts...)...)
	c.keep(cli, err)
	return func(ctx context.Context, msg string) (string, error) {
		if c.Kind.Protobuf() {
			result := &pbechoservice.EchoResult{}
			err := cli.Call(ctx, method, &pbechoservice.EchoArgs{Req: &pbecho.Text{Msg: msg}}, result)
			return result.GetSuccess().GetMsg(), err
		}
		result := &echo.EchoServiceEchoResult{}
		err := cli.Call(ctx, method, &echo.EchoServiceEchoArgs{Msg: msg}, result)
		return result.GetSuccess(), err
	}
}
