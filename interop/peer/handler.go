// Package peer is the Kitex server of the matrix: handlers that do what the caller asks for, and an
// observer that notes what each call looked like when it arrived.
package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/remote"

	"interop/kitex_gen/echo"
	"interop/kitex_gen/pbecho"
)

// Handler serves EchoService.
type Handler struct{}

// Echo answers msg, except for the words that the captures and the golden vectors need.
func (Handler) Echo(ctx context.Context, msg string) (string, error) {
	switch msg {
	case "throw":
		return "", &echo.EchoError{Message: "mock exception"}
	case "boom":
		return "", errors.New("boom")
	case "biz":
		return "", kerrors.NewBizStatusErrorWithExtra(1001, "not found", map[string]string{"k": "<v>"})
	case "back":
		metainfo.SendBackwardValue(ctx, "bk", "bv")
		return "back", nil
	case "sleep":
		time.Sleep(300 * time.Millisecond)
		return "hi", nil
	}
	return msg, nil
}

func (Handler) Ping(context.Context, string) error                             { return nil }
func (Handler) EchoBool(_ context.Context, v bool) (bool, error)               { return v, nil }
func (Handler) EchoByte(_ context.Context, v int8) (int8, error)               { return v, nil }
func (Handler) EchoI16(_ context.Context, v int16) (int16, error)              { return v, nil }
func (Handler) EchoI32(_ context.Context, v int32) (int32, error)              { return v, nil }
func (Handler) EchoI64(_ context.Context, v int64) (int64, error)              { return v, nil }
func (Handler) EchoDouble(_ context.Context, v float64) (float64, error)       { return v, nil }
func (Handler) EchoString(_ context.Context, v string) (string, error)         { return v, nil }
func (Handler) EchoBinary(_ context.Context, v []byte) ([]byte, error)         { return v, nil }
func (Handler) EchoEnum(_ context.Context, v echo.Colour) (echo.Colour, error) { return v, nil }
func (Handler) EchoList(_ context.Context, v []string) ([]string, error)       { return v, nil }
func (Handler) EchoSet(_ context.Context, v []int64) ([]int64, error)          { return v, nil }
func (Handler) EchoMap(_ context.Context, v map[string]*echo.Inner) (map[string]*echo.Inner, error) {
	return v, nil
}
func (Handler) EchoUnion(_ context.Context, v *echo.Choice) (*echo.Choice, error) { return v, nil }
func (Handler) EchoEverything(_ context.Context, v *echo.Everything) (*echo.Everything, error) {
	return v, nil
}
func (Handler) EchoMany(_ context.Context, a string, b int32, c []int64, d *echo.Inner) (string, error) {
	return fmt.Sprintf("%s %d %v %s/%d", a, b, c, d.GetName(), d.GetNumber()), nil
}
func (Handler) Nothing(context.Context) error             { return nil }
func (Handler) NothingWith(context.Context, string) error { return nil }

func (Handler) Slow(_ context.Context, millis int32, msg string) (string, error) {
	time.Sleep(time.Duration(millis) * time.Millisecond)
	return msg, nil
}

func (Handler) Big(_ context.Context, pad []byte, size int32) ([]byte, error) {
	return fill(pad, size), nil
}

func (Handler) Declared(_ context.Context, which int32) (string, error) {
	switch which {
	case 0:
		return "nothing thrown", nil
	case 1:
		return "", &echo.EchoError{Message: "declared at id 1"}
	}
	return "", &echo.OtherError{Code: which, Detail: &echo.Inner{Name: "declared at id 5", Number: 5}}
}

func (Handler) DeclaredVoid(_ context.Context, which int32) error {
	if which == 0 {
		return nil
	}
	return &echo.EchoError{Message: "declared by a void method"}
}

func (Handler) Business(_ context.Context, code int32, text string, extra map[string]string) (string, error) {
	return "", business(code, text, extra)
}

func (Handler) Fail(_ context.Context, text string, code int32) (string, error) {
	return "", failure(text, code)
}

func (Handler) Panics(_ context.Context, text string) (string, error) { panic(text) }

func (Handler) Metainfo(ctx context.Context, backward map[string]string) (map[string]string, error) {
	return exchange(ctx, backward), nil
}

func (Handler) Whoami(context.Context) (string, error) { return "EchoService", nil }

// Second serves SecondService.
type Second struct{}

func (Second) Whoami(context.Context) (string, error)               { return "SecondService", nil }
func (Second) Second(_ context.Context, msg string) (string, error) { return "second: " + msg, nil }

// PbHandler serves PbEchoService.
type PbHandler struct{}

func (PbHandler) Echo(ctx context.Context, req *pbecho.Text) (*pbecho.Text, error) {
	if req.GetMsg() == "biz" {
		return nil, kerrors.NewBizStatusError(1001, "not found")
	}
	msg, err := Handler{}.Echo(ctx, req.GetMsg())
	var declared *echo.EchoError
	if errors.As(err, &declared) {
		return nil, errors.New(declared.Message) // Protobuf has no declared exceptions
	}
	return &pbecho.Text{Msg: msg}, err
}
func (PbHandler) EchoEverything(_ context.Context, req *pbecho.Everything) (*pbecho.Everything, error) {
	return req, nil
}
func (PbHandler) Empty(context.Context, *pbecho.Nothing) (*pbecho.Nothing, error) {
	return &pbecho.Nothing{}, nil
}
func (PbHandler) Slow(ctx context.Context, req *pbecho.SlowRequest) (*pbecho.Text, error) {
	msg, err := Handler{}.Slow(ctx, req.GetMillis(), req.GetMsg())
	return &pbecho.Text{Msg: msg}, err
}
func (PbHandler) Big(_ context.Context, req *pbecho.BigRequest) (*pbecho.BigRequest, error) {
	return &pbecho.BigRequest{Pad: fill(req.GetPad(), req.GetSize()), Size: req.GetSize()}, nil
}
func (PbHandler) Business(_ context.Context, req *pbecho.BusinessRequest) (*pbecho.Text, error) {
	return nil, business(req.GetCode(), req.GetText(), req.GetExtra())
}
func (PbHandler) Fail(_ context.Context, req *pbecho.FailRequest) (*pbecho.Text, error) {
	return nil, failure(req.GetText(), req.GetCode())
}
func (PbHandler) Panics(_ context.Context, req *pbecho.Text) (*pbecho.Text, error) {
	panic(req.GetMsg())
}
func (PbHandler) Metainfo(ctx context.Context, req *pbecho.Pairs) (*pbecho.Pairs, error) {
	return &pbecho.Pairs{Pairs: exchange(ctx, req.GetPairs())}, nil
}

func fill(pad []byte, size int32) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i)
		if len(pad) > 0 {
			out[i] ^= pad[i%len(pad)]
		}
	}
	return out
}

func business(code int32, text string, extra map[string]string) error {
	return kerrors.NewBizStatusErrorWithExtra(code, text, extra)
}

func failure(text string, code int32) error {
	if code != 0 {
		return remote.NewTransErrorWithMsg(code, text)
	}
	return errors.New(text)
}

// exchange notes the metainfo that arrived, and sends `backward` to the caller.
func exchange(ctx context.Context, backward map[string]string) map[string]string {
	seen := map[string]string{}
	for k, v := range metainfo.GetAllPersistentValues(ctx) {
		seen["persistent/"+k] = v
	}
	for k, v := range metainfo.GetAllValues(ctx) {
		seen["transient/"+k] = v
	}
	metainfo.SendBackwardValuesFromMap(ctx, backward)
	return seen
}
