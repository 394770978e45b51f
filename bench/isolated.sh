#!/bin/sh
# isolated.sh CONGESTION-CONTROL COMMAND…
# Runs a command (as root) in a network namespace of its own: loopback only, and TCP with the congestion control named,
# whatever the system's default is. Set by the routes, as a namespace may not have every algorithm as its default.
set -eu
[ $# -ge 2 ] || { echo "usage: $0 CONGESTION-CONTROL COMMAND…" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 2; }

# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --net sh -euc '
    control=$1
    shift
    ip link set lo up
    for to in 127.0.0.0/8 127.0.0.1; do
        ip route replace local "$to" dev lo table local proto kernel scope host src 127.0.0.1 congctl "$control"
    done
    exec "$@"' sh "$@"
