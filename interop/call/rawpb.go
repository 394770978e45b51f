package call

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/cloudwego/kitex/client/callopt"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/remote"

	"interop/kitex_gen/pbecho"
	"interop/wire"
)

// pbMessage is what the generated Protobuf types have.
type pbMessage interface {
	Marshal(in []byte) ([]byte, error)
	Unmarshal(in []byte) error
}

var seqids atomic.Uint32

// rawPb is one Kitex-Protobuf call over Framed by hand: a stock client always speaks TTHeader. It
// reports errors in the words and types of Kitex's own client.
func (c *Client) rawPb(_ context.Context, method string, req, resp pbMessage) error {
	body, err := req.Marshal(nil)
	if err != nil {
		return err
	}
	timeout := c.setup.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	conn, err := net.DialTimeout("tcp", c.Addr, time.Second)
	if err != nil {
		return kerrors.ErrGetConnection.WithCause(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	seqid := seqids.Add(1)
	if _, err = conn.Write(wire.Frame(wire.Envelope(wire.Protobuf, wire.Call, method, seqid, body))); err != nil {
		return kerrors.ErrRemoteOrNetwork.WithCause(err)
	}
	m, err := wire.Read(bufio.NewReader(conn))
	if err != nil {
		var timed net.Error
		if errors.As(err, &timed) && timed.Timeout() {
			return kerrors.ErrRPCTimeout.WithCause(fmt.Errorf("timeout=%v, to=dest.svc, method=%s, location=kitex.rpcTimeoutMW, remote=%s", timeout, method, c.Addr))
		}
		return kerrors.ErrRemoteOrNetwork.WithCause(err)
	}
	if m.Transport != "framed" || m.Codec != "protobuf" {
		return fmt.Errorf("answered on another transport: %s", m.Describe())
	}
	if code, text, ok := m.Fault(); ok {
		return kerrors.ErrRemoteOrNetwork.WithCauseAndExtraMsg(remote.NewTransErrorWithMsg(code, text), "remote")
	}
	if m.Seqid != seqid || m.Method != method || m.Type != wire.Reply {
		return fmt.Errorf("not the answer to seqid %d: %s", seqid, m.Describe())
	}
	return resp.Unmarshal(m.Body)
}

// rawPbClient has the generated client's methods, on top of rawPb.
type rawPbClient struct{ c *Client }

func (r rawPbClient) Echo(ctx context.Context, req *pbecho.Text, _ ...callopt.Option) (*pbecho.Text, error) {
	out := &pbecho.Text{}
	return out, r.c.rawPb(ctx, "Echo", req, out)
}

func (r rawPbClient) EchoEverything(ctx context.Context, req *pbecho.Everything, _ ...callopt.Option) (*pbecho.Everything, error) {
	out := &pbecho.Everything{}
	return out, r.c.rawPb(ctx, "EchoEverything", req, out)
}

func (r rawPbClient) Empty(ctx context.Context, req *pbecho.Nothing, _ ...callopt.Option) (*pbecho.Nothing, error) {
	out := &pbecho.Nothing{}
	return out, r.c.rawPb(ctx, "Empty", req, out)
}

func (r rawPbClient) Slow(ctx context.Context, req *pbecho.SlowRequest, _ ...callopt.Option) (*pbecho.Text, error) {
	out := &pbecho.Text{}
	return out, r.c.rawPb(ctx, "Slow", req, out)
}

func (r rawPbClient) Big(ctx context.Context, req *pbecho.BigRequest, _ ...callopt.Option) (*pbecho.BigRequest, error) {
	out := &pbecho.BigRequest{}
	return out, r.c.rawPb(ctx, "Big", req, out)
}

func (r rawPbClient) Business(ctx context.Context, req *pbecho.BusinessRequest, _ ...callopt.Option) (*pbecho.Text, error) {
	out := &pbecho.Text{}
	return out, r.c.rawPb(ctx, "Business", req, out)
}

func (r rawPbClient) Fail(ctx context.Context, req *pbecho.FailRequest, _ ...callopt.Option) (*pbecho.Text, error) {
	out := &pbecho.Text{}
	return out, r.c.rawPb(ctx, "Fail", req, out)
}

func (r rawPbClient) Panics(ctx context.Context, req *pbecho.Text, _ ...callopt.Option) (*pbecho.Text, error) {
	out := &pbecho.Text{}
	return out, r.c.rawPb(ctx, "Panics", req, out)
}

func (r rawPbClient) Metainfo(ctx context.Context, req *pbecho.Pairs, _ ...callopt.Option) (*pbecho.Pairs, error) {
	out := &pbecho.Pairs{}
	return out, r.c.rawPb(ctx, "Metainfo", req, out)
}
