#!/bin/sh
# Builds target/stream-peer.jar with everything in it. Does nothing when no source has changed.
set -eu
cd "$(dirname "$0")"
sources="pom.xml ../../idl/live.proto $(find src -name '*.java' | LC_ALL=C sort)"
sum=$(cat $sources | cksum)
if [ ! -f target/stream-peer.jar ] || [ "$sum" != "$(cat target/sources.cksum 2>/dev/null)" ]; then
    mvn --batch-mode -Dstyle.color=never --quiet --no-transfer-progress clean package
    echo "$sum" >target/sources.cksum
fi
