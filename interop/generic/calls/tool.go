package calls

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Tool is `proxy-bin call`: a process per call.
type Tool struct {
	Binary, IDL, Addr string
	// Transport is what the tool calls it.
	Transport string
	// Profile is default or dynamic; with Protobuf it stays empty.
	Profile  string
	Protobuf bool
}

// services are where the methods are, for a tool that wants both names.
func (t *Tool) name(method string) string {
	switch {
	case t.Protobuf:
		return "acme.wire.livep.LiveP/" + method
	case method == "Whoami" || method == "Other":
		return "Second/" + method
	}
	return "Generic/" + method
}

func (t *Tool) run(stdin string, args ...string) (stdout, stderr string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.Binary, append([]string{"call", "--transport", t.Transport, "--timeout", "3s"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		return "", "harness: " + err.Error(), -1
	}
	return out.String(), problems.String(), code
}

func (t *Tool) schema() []string {
	file := idlFile
	if t.Protobuf {
		file = protoFile
	}
	out := []string{"--idl", filepath.Join(t.IDL, file)}
	if t.Profile != "" {
		out = append(out, "--profile", t.Profile)
	}
	return out
}

// Call gives the text on standard input, as it can be long.
func (t *Tool) Call(method string, in Input) string {
	text, err := in.jsonText()
	if err != nil {
		return "harness: " + err.Error()
	}
	stdout, stderr, code := t.run(text, append(t.schema(), "--compact", "-d", "@-", t.name(method), t.Addr)...)
	if code != 0 {
		return told(stdout, stderr, code)
	}
	if method == "Tell" && stdout == "" {
		return "nil" // a oneway call has nothing to print
	}
	return "text " + Canonical(strings.TrimSuffix(stdout, "\n"))
}

// Upload sends the messages one per line.
func (t *Tool) Upload(method string, ins []Input) string {
	stdout, stderr, code := t.stream(method, ins)
	if code != 0 {
		return told(stdout, stderr, code)
	}
	return "text " + Canonical(strings.TrimSuffix(stdout, "\n"))
}

// Download sends one message.
func (t *Tool) Download(method string, in Input) string { return t.Chat(method, []Input{in}) }

// Chat sends all messages at once.
func (t *Tool) Chat(method string, ins []Input) string {
	stdout, stderr, code := t.stream(method, ins)
	var out []string
	for line := range strings.Lines(stdout) {
		out = append(out, "text "+Canonical(strings.TrimSuffix(line, "\n")))
	}
	end := "the end"
	if code != 0 {
		end = told("", stderr, code)
	}
	return strings.Join(append(out, end), "\n")
}

func (t *Tool) stream(method string, ins []Input) (stdout, stderr string, code int) {
	var messages strings.Builder
	for _, in := range ins {
		text, err := in.jsonText()
		if err != nil {
			return "", "harness: " + err.Error(), -1
		}
		messages.WriteString(text + "\n")
	}
	return t.run(messages.String(), append(t.schema(), "--compact", "-d", "@-", t.name(method), t.Addr)...)
}

// Raw calls with bytes.
func (t *Tool) Raw(name string, arguments []byte) string {
	stdout, stderr, code := t.run("", "--raw", "-d", hex.EncodeToString(arguments), name, t.Addr)
	if code != 0 {
		return told(stdout, stderr, code)
	}
	return "bytes " + strings.TrimSpace(stdout)
}

// told says in the words of Kitex's clients what the tool prints of a failure, by its line of JSON, and
// checks that the exit code is the one for it.
func told(stdout, stderr string, code int) string {
	if stdout != "" {
		return fmt.Sprintf("exit code %d, and an answer: %s", code, stdout)
	}
	var line struct {
		Error, Message string
		Status         int
		Extra, Value   json.RawMessage
	}
	// Warnings of the log are no part of it.
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	d := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	if err := d.Decode(&line); err != nil || d.Decode(&struct{}{}) != io.EOF {
		return fmt.Sprintf("exit code %d: %s", code, strings.TrimSpace(stderr))
	}
	codes := map[string]int{"unreadable": 1, "transport": 2, "status": 3, "exception": 3, "declared": 4, "business": 5, "timeout": 6}
	if codes[line.Error] != code {
		return fmt.Sprintf("exit code %d with %s", code, stderr)
	}
	switch line.Error {
	case "business":
		return fmt.Sprintf("biz %d %q %s", line.Status, line.Message, line.Extra)
	case "declared":
		return "declared " + Canonical(string(line.Value))
	case "timeout":
		return "timeout"
	}
	switch {
	case strings.Contains(line.Message, "boom"):
		return "error of the handler"
	case strings.HasSuffix(line.Message, "closed before its reply was complete"):
		return closed
	}
	return "error: " + line.Message
}

var (
	declared = regexp.MustCompile(`map\[string\]interface \{\}\{(.*)\}$`)
	prefix   = regexp.MustCompile(`^error: remote or network error(\[remote\])?: (rpc error: code = \d+ desc = )?`)
)

// translated brings what Kitex's JSON client told into the tool's words: Kitex has no other word for a
// result that is not there than null, and none of its own for a declared exception.
func translated(told string) string {
	switch told {
	case "void", "nil":
		return "text null"
	}
	if m := declared.FindStringSubmatch(told); m != nil {
		return "declared " + Canonical("{"+m[1]+"}")
	}
	told = prefix.ReplaceAllString(told, "error: ")
	if value, ok := strings.CutPrefix(told, "error: {"); ok { // how dynamicgo has it
		return "declared " + Canonical("{"+value)
	}
	return told
}
