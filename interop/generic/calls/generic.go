package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/generic/descriptor"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/server/genericserver"
)

// StartGeneric is a Kitex generic server of the services: of JSON, of JSON by dynamicgo, or of Map. It does
// what the generated one does, but for declared exceptions, which generic servers cannot write.
func StartGeneric(kind Kind, idl string) (*Server, error) {
	return start(func(opts ...server.Option) (server.Server, error) {
		svr := server.NewServer(opts...)
		told := &handler{}
		for _, service := range []string{"Generic", "Second"} {
			g, err := serviceGeneric(kind, idl, service)
			if err != nil {
				return nil, err
			}
			var fallback []server.RegisterOption
			if service == "Generic" {
				fallback = append(fallback, server.WithFallbackService())
			}
			if err := genericserver.RegisterService(svr, genericHandler(kind, told), g, fallback...); err != nil {
				return nil, err
			}
		}
		return svr, nil
	})
}

func serviceGeneric(kind Kind, idl, service string) (generic.Generic, error) {
	file := filepath.Join(idl, idlFile)
	opts := []generic.ThriftIDLProviderOption{generic.WithIDLServiceName(service)}
	if kind == JSONFast {
		p, err := generic.NewThriftFileProviderWithDynamicgoWithOption(file, opts)
		if err != nil {
			return nil, err
		}
		return generic.JSONThriftGeneric(p)
	}
	p, err := generic.NewThriftFileProviderWithOption(file, opts)
	if err != nil {
		return nil, err
	}
	if kind == Map {
		return generic.MapThriftGeneric(p)
	}
	return generic.JSONThriftGeneric(p)
}

// message is a Note as a generic handler has it.
type message struct {
	text   string
	number int64
}

func read(kind Kind, m any) message {
	if kind == Map {
		fields, _ := m.(map[string]any)
		text, _ := fields["text"].(string)
		number, _ := fields["number"].(int64)
		return message{text, number}
	}
	var fields struct {
		Text   string
		Number int64
	}
	text, _ := m.(string)
	_ = json.Unmarshal([]byte(text), &fields)
	return message{fields.Text, fields.Number}
}

func (m message) write(kind Kind) any {
	if kind == Map {
		return map[string]any{"text": m.text, "number": m.number}
	}
	out, _ := json.Marshal(map[string]any{"text": m.text, "number": m.number})
	return string(out)
}

func genericHandler(kind Kind, told *handler) *generic.ServiceV2 {
	return &generic.ServiceV2{
		GenericCall: func(ctx context.Context, service, method string, request any) (any, error) {
			text, _ := request.(string)
			switch method {
			case "Echo", "Unary":
				m := read(kind, request)
				if m.text == "empty" {
					return nil, nil
				}
				return request, ordered(m.text)
			case "Ping":
				return request, ordered(text)
			case "Nothing":
				return descriptor.Void{}, ordered(text)
			case "Inherited":
				return "inherited " + text, nil
			case "Whoami":
				return "second " + text, nil
			case "Tell":
				return descriptor.Void{}, told.Tell(ctx, text)
			case "Told":
				return told.Told(ctx, text)
			}
			return request, nil
		},
		ClientStreaming: func(ctx context.Context, _, _ string, stream generic.ClientStreamingServer) error {
			var texts []string
			var out message
			for {
				got, err := stream.Recv(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
				m := read(kind, got)
				texts = append(texts, m.text)
				out.number += m.number
			}
			out.text = strings.Join(texts, ",")
			if len(texts) > 0 {
				if err := ordered(texts[0]); err != nil {
					return err
				}
			}
			return stream.SendAndClose(ctx, out.write(kind))
		},
		ServerStreaming: func(ctx context.Context, _, _ string, request any, stream generic.ServerStreamingServer) error {
			m := read(kind, request)
			for i := range m.number {
				if err := stream.Send(ctx, message{fmt.Sprintf("%s %d", m.text, i), i}.write(kind)); err != nil {
					return err
				}
			}
			return late(m.text)
		},
		BidiStreaming: func(ctx context.Context, _, _ string, stream generic.BidiStreamingServer) error {
			for {
				got, err := stream.Recv(ctx)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := late(read(kind, got).text); err != nil {
					return err
				}
				if err := stream.Send(ctx, got); err != nil {
					return err
				}
			}
		},
	}
}
