"""Runs the named peers against each other and holds each line against cases.json and the other pairs.

    check.py python node java tonic
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASE_LIMIT_MS = 30_000
CLIENT_LIMIT_S = 300
FIELDS = ["case", "headers", "early_headers", "messages", "digest", "first", "trailers", "end", "ms"]

# Where a library differs by itself: (client, server, case) → what is not looked at, and why.
ANY = "*"
JOINED = "Node's HTTP/2 joins equal request fields to one value"
DIFFERENCES = {
    (ANY, "node", "unary_metadata"): ("seen", JOINED),
    (ANY, "node", "chat_metadata"): ("seen", JOINED),
    (ANY, "node", "unary_gzip"): ("compressed answers", "grpc-js cannot compress what a server sends"),
    (ANY, "node", "chat_gzip"): ("compressed answers", "grpc-js cannot compress what a server sends"),
    ("node", "python", "chat_gzip"): (
        "compressed requests",
        "grpc-js stops compressing when the answer's grpc-accept-encoding has spaces in it",
    ),
}


def ignored(client, server, case):
    keys = ((client, server, case), (ANY, server, case), (client, ANY, case))
    return [DIFFERENCES[key][0] for key in keys if key in DIFFERENCES]


class Server:
    """A peer's server on a free port, with the lines that it prints."""

    def __init__(self, peer):
        command = [os.path.join(HERE, peer, "peer"), "server", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        if not first.startswith("LISTENING "):
            raise SystemExit(f"{peer}: the server said {first!r}")
        self.address = first.split()[1]
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def stop(self, by_signal):
        """Ends it by SIGTERM or by closing its stdin; the observations it printed."""
        if by_signal:
            self.process.send_signal(signal.SIGTERM)
        else:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"a server does not end by {'SIGTERM' if by_signal else 'its stdin closing'}")
        self.reader.join()
        return [json.loads(line[4:]) for line in self.lines if line.startswith("OBS ")]


class Counter:
    """A byte relay that counts, so that it can be told whether messages travelled compressed."""

    def __init__(self, upstream):
        self.sent = self.received = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.upstream = upstream
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            host, port = self.upstream.split(":")
            called = socket.create_connection((host, int(port)))
            threading.Thread(target=self.copy, args=(caller, called, "sent"), daemon=True).start()
            threading.Thread(target=self.copy, args=(called, caller, "received"), daemon=True).start()

    def copy(self, source, sink, count):
        try:
            while data := source.recv(65536):
                setattr(self, count, getattr(self, count) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def run_client(peer, address, cases="all"):
    command = [os.path.join(HERE, peer, "peer"), "client", "--target", address, "--cases", cases]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_LIMIT_S)
    except subprocess.TimeoutExpired as late:
        printed = (late.stdout or b"").decode()
        raise SystemExit(f"{peer} client: not done after {CLIENT_LIMIT_S} s, having printed\n{printed}") from None
    if done.returncode or done.stderr:
        raise SystemExit(f"{peer} client: exit code {done.returncode}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(case, line, observed, left_out):
    """What in the line is not as the case asks for."""
    if "skip" in case or "skip" in line:
        if ("skip" in case) != ("skip" in line):
            yield "skipped" if "skip" in line else "not skipped"
        return
    expect = case["expect"]
    if list(line) != FIELDS:
        yield f"fields {list(line)}"
    code = expect.get("code", 0)
    kind = "status" if code else "ok"
    end = line["end"]
    if (end["kind"], end["code"]) != (kind, code) and "end" not in left_out:
        yield f"end {end}"
    for name, default in (("message", None), ("details", None)):
        if (name in expect or name == "details") and end[name] != expect.get(name, default):
            yield f"{name} {end[name]!r}"
    # grpc-js writes a message with a clean end too.
    if kind == "ok" and end["message"] not in ("", "OK"):
        yield f"a message with OK: {end['message']!r}"
    for name, default in (("messages", 0), ("headers", {}), ("trailers", {}), ("early_headers", None)):
        if line[name] != expect.get(name, default):
            yield f"{name} {line[name]!r}"
    if "first" in expect and line["first"] != expect["first"]:
        yield f"first {line['first']!r}"
    if "seen" in expect and "seen" not in left_out:
        seen = json.loads(line["first"])["meta"]
        if seen != expect["seen"]:
            yield f"the server saw {seen}"
    if line["ms"] >= CASE_LIMIT_MS:
        yield f"{line['ms']} ms"
    if expect.get("observed"):
        method, read = case["method"], case.get("messages", 1)
        wanted = {"case": case["id"], "method": method, "cancelled": True, "messages": read}
        if [{k: o.get(k) for k in wanted} for o in observed] != [wanted]:
            yield f"observed {observed}"


def compressed(server, client, address):
    """The gzip cases through a relay that counts."""
    for case in ("unary_gzip", "chat_gzip"):
        counter = Counter(address)
        run_client(client, counter.address, case)
        counter.close()
        # One blob of these cases is 64 KiB of a period of 256 bytes: some hundred bytes compressed.
        left_out = ignored(client, server, case)
        if counter.sent > 32768 and "compressed requests" not in left_out:
            yield f"{case}: {counter.sent} bytes of requests"
        if counter.received > 32768 and "compressed answers" not in left_out:
            yield f"{case}: {counter.received} bytes of answers"


def main(peers):
    with open(os.path.join(HERE, "cases.json"), encoding="utf-8") as file:
        cases = {case["id"]: case for case in json.load(file)}
    bad = []
    digests = {}
    checked = 0
    for i, server_peer in enumerate(peers):
        for j, client_peer in enumerate(peers):
            pair = f"{client_peer} → {server_peer}"
            started = time.monotonic()
            server = Server(server_peer)
            lines = run_client(client_peer, server.address)
            gzip_faults = list(compressed(server_peer, client_peer, server.address))
            observed = server.stop(by_signal=(i + j) % 2 == 0)
            found = [f"{pair}: {fault}" for fault in gzip_faults]
            if [line["case"] for line in lines] != list(cases):
                found.append(f"{pair}: cases {[line['case'] for line in lines]}")
            for line in lines:
                case = cases[line["case"]]
                of_case = [o for o in observed if o["case"] == case["id"]]
                left_out = ignored(client_peer, server_peer, case["id"])
                found += [f"{pair}: {case['id']}: {fault}" for fault in faults(case, line, of_case, left_out)]
                # What a server tells of itself may differ; every other message is the same everywhere.
                if "digest" in line and "seen" not in case["expect"]:
                    digests.setdefault(case["id"], {}).setdefault(line["digest"], []).append(pair)
            skipped = sum("skip" in line for line in lines)
            checked += len(lines) - skipped
            took = time.monotonic() - started
            print(f"{pair}: {len(lines) - skipped} cases, {skipped} skipped, {len(found)} faults, {took:.1f} s", flush=True)
            bad += found
    for case, seen in digests.items():
        if len(seen) > 1:
            bad.append(f"{case}: different messages: {seen}")
    for (client_peer, server_peer, case), (what, why) in DIFFERENCES.items():
        if {client_peer, server_peer} <= {ANY, *peers}:
            print(f"not looked at: {client_peer} → {server_peer}: {what} of {case}: {why}")
    for fault in bad:
        print("FAULT", fault)
    print(f"{checked} lines of {len(peers) ** 2} pairs, {len(bad)} faults")
    return 1 if bad else 0


sys.exit(main(sys.argv[1:]))
