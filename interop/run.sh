#!/bin/sh
# Builds the peers and runs the matrix against a proxy binary:
#
#   interop/run.sh path/to/proxy-bin [options of the runner]           ping-pong, streams, generic calls
#   interop/run.sh path/to/proxy-bin streams [options]                 streams only
#   interop/run.sh path/to/proxy-bin generic [options]                 generic calls only
#
# Options given without `streams` or `generic` go to the ping-pong runner, and then only that is run.
# Without a path the binary is taken from $PROXY_BIN. Needs go, node, npm, python3, cargo, for streams a
# JDK with Maven, for generic calls curl and Chromium; a peer that is missing or cannot be built fails the
# run, none is skipped. Ends with 1 when a cell fails.
set -eu
proxy=${PROXY_BIN:-}
case ${1:-} in
'' | -* | streams | generic) ;;
*)
    proxy=$1
    shift
    ;;
esac
what=all
case ${1:-} in
streams | generic)
    what=$1
    shift
    ;;
-*) what=pingpong ;;
esac
if [ -z "$proxy" ] || [ ! -x "$proxy" ]; then
    echo "run.sh: no proxy binary: give its path, or set PROXY_BIN" >&2
    exit 2
fi
proxy=$(cd "$(dirname "$proxy")" && pwd)/$(basename "$proxy")
cd "$(dirname "$0")"
tools="go cargo timeout"
case $what in
generic) tools="$tools curl chromium" ;;
streams) tools="$tools node npm python3" ;;
pingpong) tools="$tools node npm python3" ;;
all) tools="$tools node npm python3 curl chromium" ;;
esac
for tool in $tools; do
    if ! command -v "$tool" >/dev/null; then
        echo "run.sh: $tool is needed for one of the peers" >&2
        exit 2
    fi
done

# once <stamp> <file> <command...>: runs the command again only when the file has changed.
once() {
    stamp=$1 file=$2
    shift 2
    if ! cmp -s "$file" "$stamp"; then
        "$@"
        cp "$file" "$stamp"
    fi
}
python_peer() {
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r python/requirements.txt
}
node_peer() {
    npm ci --prefix node --no-audit --no-fund --loglevel=error
}

step() { echo "== $* ($(($(date +%s) - started)) s)"; }
started=$(date +%s)
mkdir -p bin
step "Kitex, grpc-go: servers, clients, runners"
go build -o bin/ ./cmd/...
step "go vet, go test"
go vet ./...
go test ./...
status=0

if [ $what = all ] || [ $what = pingpong ]; then
    step "Volo"
    target=${CARGO_TARGET_DIR:-$PWD/volo/target}
    (cd volo && CARGO_TARGET_DIR=$target cargo build --release --locked --quiet)
    cp "$target/release/volo-peer" bin/volo-peer
    step "thriftpy2"
    once .venv/requirements.installed python/requirements.txt python_peer
    step "Node thrift"
    once node/node_modules/.lock.installed node/package-lock.json node_peer

    step "captures against the golden vectors"
    timeout 120 bin/capture >bin/capture.log 2>&1 || {
        cat bin/capture.log
        exit 1
    }
    tail -1 bin/capture.log
    step "the ping-pong matrix"
    timeout 900 bin/runner -proxy "$proxy" "$@" || status=$?
fi

if [ $what = all ] || [ $what = streams ]; then
    step "h2spec"
    go build -o bin/h2spec github.com/summerwind/h2spec/cmd/h2spec
    for peer in python node java tonic; do
        step "stream peer: $peer"
        sh "streams-peers/$peer/setup.sh"
    done
    [ $what = streams ] || set --
    step "streams"
    timeout 1800 bin/streams -proxy "$proxy" "$@" || status=$?
fi
if [ $what = all ] || [ $what = generic ]; then
    step "our generic server"
    target=${CARGO_TARGET_DIR:-$PWD/generic-peer/target}
    # Not --locked: what the crates of this project need is their own matter.
    (cd generic-peer && CARGO_TARGET_DIR=$target cargo build --quiet)
    cp "$target/debug/generic-peer" bin/generic-peer
    for transport in framed ttheader; do
        step "rows of thrift-generic, Kitex over $transport"
        timeout 300 bin/genericrows -transport $transport || status=$?
    done
    [ $what = generic ] || set --
    step "generic calls"
    timeout 900 bin/genericcalls -proxy "$proxy" "$@" || status=$?
fi
step "done"
exit $status
