#!/bin/sh
# Measures the JSON conversions of thrift-generic beside Kitex's, dynamicgo's and those of the public Rust
# crates, in turns on one core, and writes RESULTS-generic.md:
#
#   bench/generic.sh [options of generic-bench, such as -rounds 3 -seconds 0.5 -markdown FILE]
#
# Needs Go below 1.27 on amd64, where dynamicgo's converter is native, and a machine with nothing else on it.
set -eu
cd "$(dirname "$0")"
root=$(cd .. && pwd)

# bench_binary <folder> <package> <bench>: builds it and prints where it is.
bench_binary() {
    (cd "$1" && cargo bench --package "$2" --bench "$3" --no-run --message-format=json) |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}
ours=$(bench_binary "$root" thrift-generic json)
floors=$(bench_binary peers peers generic)
for binary in "$ours" "$floors"; do
    if [ ! -x "$binary" ]; then
        echo "generic.sh: a benchmark was not built" >&2
        exit 2
    fi
done
mkdir -p .work/bin
(cd go && go build -trimpath -o ../.work/bin/ ./cmd/generic-bench)
exec .work/bin/generic-bench -idl "$root/thrift-generic/tests/fixtures/baseline.thrift" \
    -ours "$ours" -floors "$floors" -markdown RESULTS-generic.md "$@"
