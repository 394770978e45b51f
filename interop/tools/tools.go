//go:build tools

// Package tools pins the code generators to the versions in go.mod.
package tools

import (
	_ "github.com/cloudwego/kitex/tool/cmd/kitex"
	_ "github.com/cloudwego/thriftgo"
)
