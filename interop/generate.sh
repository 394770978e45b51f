#!/bin/sh
# Writes kitex_gen/ anew from idl/, with the generators that go.mod pins. Needs Go alone: Kitex's
# tool generates Thrift through its built-in thriftgo and Protobuf through Prutal.
set -eu
cd "$(dirname "$0")"
mkdir -p bin
go build -mod=mod -o bin/kitex github.com/cloudwego/kitex/tool/cmd/kitex
go build -mod=mod -o bin/thriftgo github.com/cloudwego/thriftgo
PATH="$PWD/bin:$PATH"
rm -rf kitex_gen
kitex -module interop idl/echo.thrift
kitex -module interop -type protobuf idl/echo.proto
# The streaming services, with the interfaces that have a context in each call (`-streamx`).
kitex -module interop -streamx idl/live.thrift
kitex -module interop -streamx -type protobuf idl/live.proto
# What generic clients and servers call each other by.
kitex -module interop -streamx idl/generic.thrift
# The tool's own freshness check has no place in committed code.
rm -f kitex_info.yaml
gofmt -l -w kitex_gen
