#!/bin/sh
# Builds the peer and puts it at bin/stream-peer. cargo does nothing when nothing has changed.
set -eu
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
CARGO_TARGET_DIR=$target cargo build --release --locked --quiet
mkdir -p bin
cmp -s "$target/release/stream-peer" bin/stream-peer || cp "$target/release/stream-peer" bin/stream-peer
