"""A 1 GiB Framed call and its 1 GiB reply through the proxy, and how much memory the proxy had at its peak.

    cargo build --release -p proxy-bin && python3 bench/one_gib.py target/release/proxy-bin
"""

import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SIZE = 1 << 30
BLOCK = b"x" * (1 << 20)
ENVELOPE = 4 + 4 + 4 + 4  # version and type, name length, "echo", seqid
FIELD = 1 + 2 + 4  # type, id, string length
MESSAGE = ENVELOPE + FIELD + SIZE + 1  # and the STOP


def head(kind, field):
    envelope = struct.pack(">HHI4si", 0x8001, kind, 4, b"echo", 7)
    return struct.pack(">I", MESSAGE) + envelope + struct.pack(">bhI", 11, field, SIZE)


def send(peer, kind, field):
    peer.sendall(head(kind, field))
    for _ in range(SIZE // len(BLOCK)):
        peer.sendall(BLOCK)
    peer.sendall(b"\0")


def receive(peer):
    """The first bytes of a whole message."""
    first, left = b"", 4 + MESSAGE
    while left:
        data = peer.recv(min(left, 1 << 20))
        if not data:
            sys.exit(f"closed with {left} bytes missing")
        first = (first + data)[: 4 + ENVELOPE + FIELD]
        left -= len(data)
    return first


def backend(listener):
    peer, _ = listener.accept()
    receive(peer)
    send(peer, 2, 0)
    peer.recv(1)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=backend, args=(listener,), daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(
            'workers = 1\n[[listener]]\nbind = "127.0.0.1:0"\nmax_message = "2GiB"\n[[route]]\ncluster = "big"\n'
            f'[cluster.big]\nendpoints = ["127.0.0.1:{listener.getsockname()[1]}"]\n'
        )
        config.flush()
        proxy = subprocess.Popen([sys.argv[1], "run", "--config", config.name], stderr=subprocess.PIPE, text=True)
        try:
            port = re.search(r"listening.*?127\.0\.0\.1:(\d+)\s*$", proxy.stderr.readline())[1]
            caller = socket.create_connection(("127.0.0.1", int(port)))
            begun = time.time()
            sending = threading.Thread(target=send, args=(caller, 1, 1))
            sending.start()
            assert receive(caller) == head(2, 0), "another reply than the backend's"
            sending.join()
            took = time.time() - begun
            peak = re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{proxy.pid}/status").read())[1]
        finally:
            proxy.terminate()
            proxy.wait()
    print(f"1 GiB there and 1 GiB back in {took:.1f} s, the proxy's peak RSS was {int(peak) / 1024:.1f} MiB")
    sys.exit(int(peak) > 64 * 1024)


main()
