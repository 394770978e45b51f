#!/bin/sh
# Sets up the stream peers and runs every client against every server, without a proxy:
#
#   check.sh [python] [node] [java] [tonic]      all of them when none is named
#
# Ends with 1 when a line is not what the case asks for, or is not what the same case gave elsewhere.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- python node java tonic
for peer in "$@"; do
    echo "== setting up $peer"
    sh "$peer/setup.sh"
done
exec python3 check.py "$@"
