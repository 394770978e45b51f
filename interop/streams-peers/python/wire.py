"""What the server and the client share: messages, blobs, metadata, the limits that are raised."""

import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "gen"))
import live_pb2  # noqa: E402  (made by setup.sh)

SERVICE = "acme.wire.livep.LiveP"
Msg = live_pb2.Msg

# 64 MiB messages go both ways; grpcio's own limit is 4 MiB for what is received.
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def blob(size):
    period = bytes(i * 31 + 7 & 0xFF for i in range(256))
    return (period * (size // 256 + 1))[:size]


def x_metadata(metadata):
    """The `x-` keys with all their values; those of `-bin` keys in base64."""
    seen = {}
    # By key, as the order of different keys means nothing; the values of one key keep theirs.
    for key, value in sorted(metadata or (), key=lambda entry: entry[0]):
        if key.startswith("x-"):
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
            seen.setdefault(key, []).append(text)
    return seen
