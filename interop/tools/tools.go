//go:build tools

// Package tools pins the code generators and h2spec to the versions in go.mod.
package tools

import (
	_ "github.com/cloudwego/kitex/tool/cmd/kitex"
	_ "github.com/cloudwego/thriftgo"
	_ "github.com/summerwind/h2spec/cmd/h2spec"
)
