#!/bin/sh
# Installs grpcio and makes live_pb2.py from the IDL. Does nothing when neither has changed.
set -eu
cd "$(dirname "$0")"
idl=../../idl
if ! cmp -s requirements.txt .venv/requirements.installed; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt .venv/requirements.installed
    rm -rf gen
fi
if ! cmp -s "$idl/live.proto" gen/live.proto; then
    rm -rf gen
    mkdir gen
    .venv/bin/python -m grpc_tools.protoc -I "$idl" --python_out=gen "$idl/live.proto"
    cp "$idl/live.proto" gen/live.proto
fi
