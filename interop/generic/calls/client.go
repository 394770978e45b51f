package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	dproto "github.com/cloudwego/dynamicgo/proto"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/client/callopt"
	"github.com/cloudwego/kitex/client/callopt/streamcall"
	"github.com/cloudwego/kitex/client/genericclient"
	"github.com/cloudwego/kitex/pkg/generic"
	"github.com/cloudwego/kitex/pkg/generic/descriptor"
	gthrift "github.com/cloudwego/kitex/pkg/generic/thrift"
	"github.com/cloudwego/kitex/pkg/kerrors"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/transport"

	"interop/generic/rows"
	"interop/wire"
)

// Kind is one of Kitex's generic clients.
type Kind string

// The kinds. "dynamicgo" is the provider; http-dynamicgo-raw also reads by it.
const (
	BinaryV1     Kind = "binary-v1"
	BinaryV2     Kind = "binary-v2"
	Map          Kind = "map"
	JSON         Kind = "json"
	JSONFast     Kind = "json-dynamicgo"
	JSONCombined Kind = "json-combined"
	JSONSecond   Kind = "json-second"
	HTTP         Kind = "http"
	HTTPFast     Kind = "http-dynamicgo"
	HTTPFastRaw  Kind = "http-dynamicgo-raw"
	BinaryPb     Kind = "binary-pb"
	JSONPb       Kind = "json-pb"
)

// Transport is how a client travels: calls by one protocol, streams by one or none.
type Transport struct {
	Name     string
	protocol transport.Protocol
	Streams  bool
}

// Transports are all there are.
var Transports = []Transport{
	{"buffered", transport.PurePayload, false},
	{"framed", transport.Framed, false},
	{"ttheader", transport.TTHeader, false},
	{"ttheader-framed", transport.TTHeaderFramed, false},
	{"ttstream", transport.TTHeader | transport.TTHeaderStreaming, true},
	{"grpc-streaming", transport.TTHeader | transport.GRPCStreaming, true},
	{"grpc", transport.GRPC, true},
}

// Caller is a client of a kind towards an address.
type Caller struct {
	Kind      Kind
	Transport Transport
	cli       genericclient.Client
}

const idlFile, protoFile = "generic.thrift", "live.proto"

func newGeneric(kind Kind, idl string) (generic.Generic, error) {
	file := filepath.Join(idl, idlFile)
	switch kind {
	case BinaryV1:
		return generic.BinaryThriftGeneric(), nil
	case BinaryV2:
		return generic.BinaryThriftGenericV2("Generic"), nil
	case BinaryPb:
		return generic.BinaryPbGeneric("LiveP", "acme.wire.livep"), nil
	case JSONPb:
		p, err := generic.NewPbFileProviderWithDynamicGo(filepath.Join(idl, protoFile), context.Background(), dproto.Options{})
		if err != nil {
			return nil, err
		}
		return generic.JSONPbGeneric(p)
	case JSONFast, HTTPFast, HTTPFastRaw:
		p, err := generic.NewThriftFileProviderWithDynamicGo(file)
		if err != nil {
			return nil, err
		}
		if !p.(generic.GetProviderOption).Option().DynamicGoEnabled {
			return nil, errors.New("dynamicgo refuses the IDL")
		}
		if kind == JSONFast {
			return generic.JSONThriftGeneric(p)
		}
		return generic.HTTPThriftGeneric(p, generic.UseRawBodyForHTTPResp(kind == HTTPFastRaw))
	}
	var opts []generic.ThriftIDLProviderOption
	switch kind {
	case JSONCombined:
		opts = append(opts, generic.WithParseMode(gthrift.CombineServices))
	case JSONSecond:
		opts = append(opts, generic.WithIDLServiceName("Second"))
	}
	p, err := generic.NewThriftFileProviderWithOption(file, opts)
	if err != nil {
		return nil, err
	}
	switch kind {
	case Map:
		return generic.MapThriftGeneric(p)
	case HTTP:
		return generic.HTTPThriftGeneric(p)
	}
	return generic.JSONThriftGeneric(p)
}

// timeout bounds a call; what Kitex itself never ends ends by it.
const timeout = 2 * time.Second

// Connect makes a client.
func Connect(kind Kind, by Transport, addr, idl string) (*Caller, error) {
	g, err := newGeneric(kind, idl)
	if err != nil {
		return nil, err
	}
	cli, err := genericclient.NewClient("gen.svc", g,
		client.WithHostPorts(addr), client.WithTransportProtocol(by.protocol),
		client.WithMetaHandler(transmeta.ClientTTHeaderHandler), client.WithMetaHandler(transmeta.ClientHTTP2Handler),
		client.WithGRPCConnPoolSize(1), client.WithConnectTimeout(time.Second), client.WithRPCTimeout(timeout))
	return &Caller{Kind: kind, Transport: by, cli: cli}, err
}

// Close ends the client.
func (c *Caller) Close() { _ = c.cli.Close() }

// form is the input as this kind takes it. A stream's messages are bare structs.
func (c *Caller) form(method string, in Input, stream bool) (any, error) {
	switch c.Kind {
	case BinaryV1:
		return wire.Envelope(wire.Thrift, wire.Call, method, 100, in.arguments()), nil
	case BinaryV2:
		if stream {
			return in.bare(), nil
		}
		return in.arguments(), nil
	case Map:
		return in.value(), nil
	case BinaryPb:
		return in.message()
	case HTTP, HTTPFast, HTTPFastRaw:
		return in.request()
	}
	return in.jsonText()
}

// Call is one call; what came back is told in words that can be compared.
func (c *Caller) Call(method string, in Input) string { return c.CallWith(method, in) }

// Response is an HTTP call, with the response as it is.
func (c *Caller) Response(r *Request) (response *generic.HTTPResponse, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	request, err := Input{HTTP: r}.request()
	if err != nil {
		return nil, err
	}
	got, err := c.cli.GenericCall(ctx, "", request)
	if err != nil {
		return nil, err
	}
	response, _ = got.(*generic.HTTPResponse)
	return response, nil
}

// CallWith is Call with options of Kitex's.
func (c *Caller) CallWith(method string, in Input, opts ...callopt.Option) (told string) {
	defer c.recovered(&told)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	request, err := c.form(method, in, false)
	if err != nil {
		return "harness: " + err.Error()
	}
	response, err := c.cli.GenericCall(ctx, method, request, opts...)
	if err != nil {
		return failed(err)
	}
	return c.shown(response, false)
}

// Upload sends messages and takes the one answer.
func (c *Caller) Upload(method string, ins []Input) string { return c.UploadWith(method, ins) }

// UploadWith is Upload with options of Kitex's.
func (c *Caller) UploadWith(method string, ins []Input, opts ...streamcall.Option) (told string) {
	defer c.recovered(&told)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	st, err := c.cli.ClientStreaming(ctx, method, opts...)
	if err != nil {
		return failed(err)
	}
	for _, in := range ins {
		m, err := c.form(method, in, true)
		if err != nil {
			return "harness: " + err.Error()
		}
		if err := st.Send(ctx, m); err != nil {
			break // the answer says why
		}
	}
	response, err := st.CloseAndRecv(ctx)
	if err != nil {
		return failed(err)
	}
	return c.shown(response, true)
}

// Download sends one message and takes all answers.
func (c *Caller) Download(method string, in Input) string { return c.DownloadWith(method, in) }

// DownloadWith is Download with options of Kitex's.
func (c *Caller) DownloadWith(method string, in Input, opts ...streamcall.Option) (told string) {
	defer c.recovered(&told)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	m, err := c.form(method, in, true)
	if err != nil {
		return "harness: " + err.Error()
	}
	st, err := c.cli.ServerStreaming(ctx, method, m, opts...)
	if err != nil {
		return failed(err)
	}
	return c.received(ctx, st.Recv)
}

// Chat sends each message once the answer to the last one is there, then half closes.
func (c *Caller) Chat(method string, ins []Input) string { return c.ChatWith(method, ins) }

// ChatWith is Chat with options of Kitex's.
func (c *Caller) ChatWith(method string, ins []Input, opts ...streamcall.Option) (told string) {
	defer c.recovered(&told)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	st, err := c.cli.BidirectionalStreaming(ctx, method, opts...)
	if err != nil {
		return failed(err)
	}
	var out []string
	for _, in := range ins {
		m, err := c.form(method, in, true)
		if err != nil {
			return "harness: " + err.Error()
		}
		if err := st.Send(ctx, m); err != nil {
			break
		}
		got, err := st.Recv(ctx)
		if err != nil {
			return strings.Join(append(out, ending(err)), "\n")
		}
		out = append(out, c.shown(got, true))
	}
	if err := st.CloseSend(ctx); err != nil {
		return strings.Join(append(out, failed(err)), "\n")
	}
	return strings.Join(append(out, c.received(ctx, st.Recv)), "\n")
}

func (c *Caller) received(ctx context.Context, recv func(context.Context) (any, error)) string {
	var out []string
	for {
		got, err := recv(ctx)
		if err != nil {
			return strings.Join(append(out, ending(err)), "\n")
		}
		out = append(out, c.shown(got, true))
	}
}

func ending(err error) string {
	if errors.Is(err, io.EOF) {
		return "the end"
	}
	return failed(err)
}

func (c *Caller) recovered(told *string) {
	if p := recover(); p != nil {
		*told = fmt.Sprintf("panic: %v", p)
	}
}

// shown tells a response in words.
func (c *Caller) shown(response any, bare bool) string {
	switch v := response.(type) {
	case nil:
		return "nil"
	case descriptor.Void:
		return "void"
	case string:
		if c.Kind == Map {
			return rows.Tag(v)
		}
		return "text " + Canonical(v)
	case *generic.HTTPResponse:
		return shownHTTP(v)
	case []byte:
		return c.shownBytes(v)
	}
	return rows.Tag(response)
}

func (c *Caller) shownBytes(b []byte) string {
	switch c.Kind {
	case BinaryPb:
		return fmt.Sprintf("message %x", b)
	case BinaryV1:
		messages, err := wire.Parse(b)
		if err != nil || len(messages) != 1 {
			return fmt.Sprintf("no message (%v): %x", err, b)
		}
		m := messages[0]
		body, err := rows.Dump(m.Body)
		return fmt.Sprintf("%s, type %d, %s %v", m.Method, m.Type, body, err)
	}
	if dump, err := rows.Dump(b); err == nil && len(dump) < 4096 {
		return dump
	}
	return fmt.Sprintf("%d bytes %.64x", len(b), b)
}

// Canonical brings JSON into one form; other text stays.
func Canonical(text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return fmt.Sprintf("%q", text)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func shownHTTP(r *generic.HTTPResponse) string {
	if r == nil {
		return "no response"
	}
	var headers []string
	for k := range r.Header {
		headers = append(headers, k+": "+r.Header.Get(k))
	}
	sort.Strings(headers)
	body, err := json.Marshal(rows.Jsonable(r.Body))
	if err != nil {
		return "harness: " + err.Error()
	}
	out := fmt.Sprintf("status %d %s %s", r.StatusCode, headers, Canonical(string(body)))
	if len(r.RawBody) > 0 {
		out += " raw " + Canonical(string(r.RawBody))
	}
	return out
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// closed is what a caller is told of a server that closes without an answer, in its own words.
const closed = "the server closed the connection"

// failed tells an error in words: a business error by its parts, a handler's own by that it is one.
func failed(err error) string {
	if biz, ok := kerrors.FromBizStatusError(err); ok {
		extra, _ := json.Marshal(biz.BizExtra())
		return fmt.Sprintf("biz %d %q %s", biz.BizStatusCode(), biz.BizMessage(), extra)
	}
	text, _, _ := strings.Cut(err.Error(), "\nstack=")
	switch {
	case strings.Contains(text, "boom"):
		return "error of the handler"
	case strings.Contains(text, "default codec read failed: EOF"):
		return closed
	case kerrors.IsTimeoutError(err) || strings.Contains(text, "timeout") || strings.Contains(text, "deadline"):
		return "timeout"
	}
	return "error: " + address.ReplaceAllString(text, "ADDR")
}
