#!/bin/sh
# Installs grpc-js and its Protobuf loader. Does nothing when the lock file has not changed.
set -eu
cd "$(dirname "$0")"
if ! cmp -s package-lock.json node_modules/.lock.installed; then
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
    cp package-lock.json node_modules/.lock.installed
fi
