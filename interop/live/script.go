// Package live has the streaming peers of the matrix that are written in Go: a server that does what
// the first message of a call tells it, and clients that run the cases and note what a caller gets.
// Peers in other languages keep to the same contract (streams-peers/README.md), so that one runner
// can compare them all.
package live

import (
	"encoding/json"
	"strings"
)

// Msg is a message of either service, as neither Thrift nor Protobuf has it.
type Msg struct {
	Text string
	Blob []byte
	N    int32
}

// Script is what a server does with a call: JSON in the text of the call's first message.
type Script struct {
	// Case is told in the server's observation.
	Case string `json:"case,omitempty"`
	// Headers is initial metadata; with Flush it is sent before anything else is done.
	Headers map[string]string `json:"headers,omitempty"`
	Flush   bool              `json:"flush,omitempty"`
	// Replies is the number of messages of a Download (3 when it is left out), or of a Chat after
	// the half close (0: each request is echoed).
	Replies *int `json:"replies,omitempty"`
	// Size is the length of each reply's blob.
	Size int `json:"size,omitempty"`
	// PauseMs goes before each reply.
	PauseMs int `json:"pause_ms,omitempty"`
	// Early ends the call after so many messages have been read.
	Early int `json:"early,omitempty"`
	// Trailers is trailing metadata.
	Trailers map[string]string `json:"trailers,omitempty"`
	End      End               `json:"end,omitzero"`
	// Tell asks for a reply that says what the server saw.
	Tell bool `json:"tell,omitempty"`
	// Observe asks for a line on the server's stdout about how the call ended there.
	Observe bool `json:"observe,omitempty"`
}

// End is how a call ends.
type End struct {
	Kind    string            `json:"kind,omitempty"` // ok, status, biz, error, panic, hang
	Code    int32             `json:"code,omitempty"`
	Message string            `json:"message,omitempty"`
	Details bool              `json:"details,omitempty"`
	Extra   map[string]string `json:"extra,omitempty"`
	// WaitMs goes before the end.
	WaitMs int `json:"wait_ms,omitempty"`
}

// DetailText is the string that a status with details carries.
const DetailText = "detail-text"

// Text is the script as the text of a message.
func (s Script) Text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // plain data
	}
	return string(text)
}

// parseScript reads a script; a text that is none is the empty script.
func parseScript(m *Msg) Script {
	var s Script
	if m != nil && strings.HasPrefix(m.Text, "{") {
		_ = json.Unmarshal([]byte(m.Text), &s)
	}
	return s
}

// Tell is what a server saw of a call.
type Tell struct {
	Meta       map[string][]string `json:"meta"`
	Persist    map[string]string   `json:"persist"`
	Transient  map[string]string   `json:"transient"`
	Authority  string              `json:"authority"`
	Path       string              `json:"path"`
	DeadlineMs *int64              `json:"deadline_ms"`
}

// Observation is the line that a server prints about a call with `observe`.
type Observation struct {
	Case      string `json:"case"`
	Method    string `json:"method"`
	Cancelled bool   `json:"cancelled"`
	Code      *int32 `json:"code,omitempty"`
	Text      string `json:"text,omitempty"`
	Messages  int    `json:"messages"`
}

// Result is the line that a client prints about a case.
type Result struct {
	Case         string              `json:"case"`
	Skip         string              `json:"skip,omitempty"`
	Headers      map[string][]string `json:"headers"`
	EarlyHeaders *bool               `json:"early_headers"`
	Messages     int                 `json:"messages"`
	Digest       string              `json:"digest"`
	First        string              `json:"first"`
	Trailers     map[string][]string `json:"trailers"`
	End          Ended               `json:"end"`
	Ms           int64               `json:"ms"`
}

// Ended is how a call ended for its caller.
type Ended struct {
	Kind    string            `json:"kind"` // ok, status, biz, error
	Code    int64             `json:"code"`
	Message string            `json:"message"`
	Details *string           `json:"details"`
	Extra   map[string]string `json:"extra"`
}

// Blob is the content of replies.
func Blob(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte((i*31 + 7) % 256)
	}
	return out
}
