"""thriftpy2 as a peer of the matrix.

    peer.py server --transport framed            prints `LISTEN <addr>`, then `SEEN <method>` per call
    peer.py client --transport framed --addr A   prints one JSON object: what each case gave
"""

import argparse
import json
import math
import os
import sys
import threading
import time
import zlib

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.server import TThreadedServer
from thriftpy2.thrift import TApplicationException, TProcessor
from thriftpy2.transport import (
    TBufferedTransportFactory,
    TFramedTransportFactory,
    TServerSocket,
)

IDL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "idl")
echo = thriftpy2.load(os.path.join(IDL, "echo.thrift"), module_name="echo_thrift")
ghost = thriftpy2.load(os.path.join(IDL, "ghost.thrift"), module_name="ghost_thrift")

TRANSPORTS = {"framed": TFramedTransportFactory, "buffered": TBufferedTransportFactory}


class Handler:
    """Does what the Kitex handler does, as far as this peer is asked for it."""

    def echo(self, msg):
        if msg == "throw":
            raise echo.EchoError(message="mock exception")
        return msg

    def ping(self, msg):
        pass

    def nothing(self):
        pass

    def nothingWith(self, v):
        pass

    def echoMany(self, a, b, c, d):
        return f"{a} {b} {c} {d.name}/{d.number}"

    def slow(self, millis, msg):
        time.sleep(millis / 1000)
        return msg

    def big(self, pad, size):
        return (pad * (size // len(pad) + 1))[:size]

    def declared(self, which):
        if which == 0:
            return "nothing thrown"
        if which == 1:
            raise echo.EchoError(message="declared at id 1")
        raise echo.OtherError(code=which, detail=echo.Inner(name="declared at id 5", number=5))

    def declaredVoid(self, which):
        if which:
            raise echo.EchoError(message="declared by a void method")

    def fail(self, text, code):
        raise TApplicationException(code or 6, text)

    def whoami(self):
        return "EchoService"

    def __getattr__(self, name):
        if name.startswith("echo"):
            return lambda v: v
        raise AttributeError(name)


class Noting(TProcessor):
    """Says on stdout which calls reach the handler, and answers application exceptions."""

    def process_in(self, iprot):
        api, seqid, result, call = super().process_in(iprot)
        if not isinstance(result, TApplicationException):
            os.write(1, f"SEEN {api}\n".encode())  # at once: threads must not share a line
        return api, seqid, result, call

    def process(self, iprot, oprot):
        api, seqid, result, call = self.process_in(iprot)
        if isinstance(result, TApplicationException):
            return self.send_exception(oprot, api, result, seqid)
        try:
            result.success = call()
        except TApplicationException as err:
            return self.send_exception(oprot, api, err, seqid)
        except Exception as err:  # declared ones become a field of the result
            self.handle_exception(err, result)
        if not result.oneway:
            self.send_result(oprot, api, result, seqid)


def serve(transport):
    socket = TServerSocket(host="127.0.0.1", port=0, client_timeout=None)
    listen = socket.listen

    def announce():
        listen()
        host, port = socket.sock.getsockname()
        print(f"LISTEN {host}:{port}", flush=True)

    socket.listen = announce
    server = TThreadedServer(
        Noting(echo.EchoService, Handler()),
        socket,
        iprot_factory=TBinaryProtocolFactory(),
        itrans_factory=TRANSPORTS[transport](),
        daemon=True,
    )
    server.serve()


def show(value):
    """A value as JSON that is the same for equal values."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.hex() if len(value) < 64 else f"{len(value)} bytes, crc {zlib.crc32(value):08x}"
    if isinstance(value, (set, frozenset)):
        return sorted(show(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [show(v) for v in value]
    if isinstance(value, dict):
        return {str(k): show(v) for k, v in sorted(value.items(), key=lambda p: str(p[0]))}
    if hasattr(value, "thrift_spec"):
        return {k: show(v) for k, v in sorted(vars(value).items()) if v is not None}
    if isinstance(value, str) and len(value) > 200:
        return f"{len(value)} characters"
    return value


def everything():
    inner = echo.Inner(name="inner", number=10)
    return echo.Everything(
        flag=True, tiny=-1, small=2, medium=-3, large=1 << 40, real=5.5, text="ünïcode ✓",
        blob=b"\x07\x00\xff", colour=echo.Colour.GREEN, inner=inner, words=["x", "", "y"],
        numbers={12, 13}, named={"k": inner}, nested=[{1: [inner], 2: []}, {}],
        choice=echo.Choice(text="chosen"), flags=[True, False], reals={18: 1.25},
    )


class Caller:
    def __init__(self, transport, addr):
        self.host, port = addr.rsplit(":", 1)
        self.port, self.transport, self.out = int(port), transport, {}

    def connect(self, service=None):
        return make_client(
            service or echo.EchoService, self.host, self.port, timeout=5000,
            proto_factory=TBinaryProtocolFactory(), trans_factory=TRANSPORTS[self.transport](),
        )

    def note(self, name, call, service=None):
        """Each call of its own connection: after an EXCEPTION a Kitex server closes."""
        client = self.connect(service)
        try:
            self.out[name] = {"ok": show(call(client))}
        except TApplicationException as err:
            self.out[name] = {"application": [err.type, err.message]}
        except (echo.EchoError, echo.OtherError) as err:
            self.out[name] = {"declared": [type(err).__name__, show(err)]}
        except Exception as err:
            self.out[name] = {"broken": f"{type(err).__name__}: {err}"}
        finally:
            client.close()

    def run(self):
        for value in (True, False):
            self.note(f"bool {value}", lambda c: c.echoBool(value))
        self.note("byte", lambda c: c.echoByte(-128))
        self.note("i16", lambda c: c.echoI16(-32768))
        self.note("i32", lambda c: c.echoI32(2**31 - 1))
        self.note("i64", lambda c: c.echoI64(-(2**63)))
        for value in (1.5, math.inf, math.nan):
            self.note(f"double {value}", lambda c: c.echoDouble(value))
        for value in ("", "hi", "ünïcode ✓", "x" * 20000):
            self.note(f"string {len(value)}", lambda c: c.echoString(value))
        self.note("binary", lambda c: c.echoBinary(bytes(range(256))))
        self.note("enum", lambda c: c.echoEnum(echo.Colour.BLUE))
        self.note("list", lambda c: c.echoList(["a", "", "c"]))
        self.note("set", lambda c: c.echoSet({1, -2}))
        self.note("map", lambda c: c.echoMap({"one": echo.Inner(name="1", number=1)}))
        self.note("union", lambda c: c.echoUnion(echo.Choice(number=7)))
        self.note("everything", lambda c: c.echoEverything(everything()))
        self.note("many", lambda c: c.echoMany("a", 2, [3, 4], echo.Inner(name="five", number=5)))
        self.note("void", lambda c: c.nothing())
        self.note("void with argument", lambda c: c.nothingWith("v"))
        for which in (0, 1, 7):
            self.note(f"declared {which}", lambda c: c.declared(which))
        self.note("declared void", lambda c: c.declaredVoid(1))
        self.note("handler error", lambda c: c.fail("boom", 0))
        self.note("handler error with a code", lambda c: c.fail("coded", 7777))
        self.note("panic", lambda c: c.panics("oh no"))
        self.note("unknown method", lambda c: c.nope("hi"), ghost.Ghost)
        self.note("large", lambda c: c.big(b"\xa5" * (1 << 20), 1 << 20))

        def oneway(client):
            for i in range(3):
                client.ping(f"token {i}")
            return client.echo("after")

        self.note("oneway", oneway)
        self.note("one connection", lambda c: [len(c.echo("x" * i)) for i in range(50)])
        right = []

        def many(i):
            client = self.connect()
            right.extend(client.slow(i % 5, f"caller {i} {j}") == f"caller {i} {j}" for j in range(10))
            client.close()

        threads = [threading.Thread(target=many, args=(i,)) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.out["16 at once"] = {"ok": right.count(True)}
        return self.out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--transport", choices=list(TRANSPORTS), default="framed")
    parser.add_argument("--addr")
    args = parser.parse_args()
    if args.role == "server":
        serve(args.transport)
    else:
        json.dump(Caller(args.transport, args.addr).run(), sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
