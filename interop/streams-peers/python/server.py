"""grpcio (asyncio) as a server of LiveP: does what the script in the first request message says.

    peer server --listen 127.0.0.1:0
"""

import argparse
import asyncio
import json
import os
import signal
import threading

import grpc
from google.protobuf import any_pb2, wrappers_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from wire import LIMITS, SERVICE, Msg, blob, x_metadata

HANG_SECONDS = 20
CODES = {code.value[0]: code for code in grpc.StatusCode}


class HandlerError(Exception):
    """A plain error: the library decides what the caller sees of it."""


class Call:
    """One call: its script, and how much of the request has been read.

    With `request` the method takes one message, and with `one_reply` it returns one: grpcio hands and
    takes those itself, streams are read and written through the context.
    """

    def __init__(self, method, context, request, one_reply):
        self.method = method
        self.context = context
        self.request = request
        self.takes_stream = request is None
        self.one_reply = one_reply
        self.answer = None
        self.hung = False
        self.script = {}
        self.read_count = 0
        self.headers_sent = False
        self.replied = False

    async def run(self):
        try:
            await METHODS[self.method](self)
        except asyncio.CancelledError:
            remaining = self.context.time_remaining()
            self.observe(cancelled=True, code=4 if remaining is not None and remaining <= 0 else 1)
            raise
        except BaseException:
            self.observe(cancelled=False)
            raise
        self.observe(cancelled=False)
        return self.answer

    def observe(self, cancelled, code=None):
        if not self.script.get("observe"):
            return
        seen = {"case": self.script.get("case"), "method": self.method, "cancelled": cancelled}
        if cancelled:
            seen.update(code=code, text="")
        seen["messages"] = self.read_count
        print("OBS " + json.dumps(seen), flush=True)

    async def read(self):
        """The next request message, or None at the half close."""
        if not self.takes_stream:
            message, self.request = self.request, None
            if message is None:
                return None
        else:
            message = await self.context.read()
        if message is grpc.aio.EOF:
            if self.script.get("observe"):
                # A read ends alike for a half close and for a cancelled call; with the latter the task
                # is cancelled a moment later.
                await asyncio.sleep(0.1)
            return None
        self.read_count += 1
        if self.read_count == 1:
            await self.start(message)
        return message

    async def start(self, first):
        if first.text.startswith("{"):
            try:
                self.script = json.loads(first.text)
            except ValueError:
                pass
        if self.script.get("gzip"):
            self.context.set_compression(grpc.Compression.Gzip)
        if self.script.get("flush"):
            await self.send_headers()
            await self.pause()

    async def send_headers(self):
        if not self.headers_sent:
            self.headers_sent = True
            headers = pairs(self.script.get("headers"))
            # Headers that grpcio itself sends together with a single reply do not name the compression.
            if headers or self.script.get("flush") or self.script.get("gzip"):
                await self.context.send_initial_metadata(headers)

    async def pause(self):
        if self.script.get("pause_ms"):
            await asyncio.sleep(self.script["pause_ms"] / 1000)

    async def reply(self, text="", payload=b"", n=0):
        if self.replied:
            await self.pause()
        elif self.script.get("tell"):
            text = self.what_was_seen()
        if "size" in self.script:
            payload = blob(self.script["size"])
        self.replied = True
        await self.send_headers()
        message = Msg(text=text, blob=payload, n=n)
        if self.one_reply:
            self.answer = message
        else:
            await self.context.write(message)

    async def replies(self, count):
        for n in range(count):
            await self.reply(n=n)

    def what_was_seen(self):
        remaining = self.context.time_remaining()
        return json.dumps(
            {
                "meta": x_metadata(self.context.invocation_metadata()),
                "authority": None,  # grpcio does not tell it to an asyncio handler
                "path": f"/{SERVICE}/{self.method}",
                "deadline_ms": None if remaining is None else round(remaining * 1000),
            },
            separators=(",", ":"),
        )

    def end_kind(self):
        return self.script.get("end", {}).get("kind", "ok")

    async def hang(self):
        if self.end_kind() == "hang" and not self.hung:
            self.hung = True
            await asyncio.sleep(HANG_SECONDS)

    async def answer_once(self, *reply):
        await self.hang()
        if self.end_kind() in ("ok", "hang"):
            await self.reply(*reply)

    async def end(self):
        await self.hang()
        end = self.script.get("end", {})
        kind = self.end_kind()
        await self.send_headers()
        trailers = pairs(self.script.get("trailers"))
        self.context.set_trailing_metadata(trailers)
        message = end.get("message", "")
        if kind == "status":
            if end.get("details"):
                trailers += details(end["code"], message)
            await self.context.abort(CODES[end["code"]], message, trailers)
        elif kind == "error":
            raise HandlerError(message)
        elif kind not in ("ok", "hang"):
            await self.context.abort(grpc.StatusCode.UNKNOWN, f"{kind}: {message}", trailers)


async def ask(call):
    request = await call.read()
    await call.answer_once(request.text, request.blob, request.n)
    await call.end()


async def upload(call):
    total = 0
    while (message := await call.read()) is not None:
        total += message.n
        if call.read_count == call.script.get("early"):
            break
    await call.answer_once(str(call.read_count), b"", total)
    await call.end()


async def download(call):
    await call.read()
    await call.replies(call.script.get("replies", 3))
    await call.end()


async def chat(call):
    while (message := await call.read()) is not None:
        if not call.script.get("replies"):
            await call.reply(message.text, message.blob, message.n)
        if call.read_count == call.script.get("early"):
            return await call.end()
    await call.replies(call.script.get("replies", 0))
    await call.end()


def pairs(mapping):
    """Script metadata as grpcio takes it; the value of a `-bin` key is its text as bytes."""
    return tuple((k, v.encode() if k.endswith("-bin") else v) for k, v in (mapping or {}).items())


def details(code, message):
    detail = any_pb2.Any()
    detail.Pack(wrappers_pb2.StringValue(value="detail-text"))
    status = rpc_status.to_status(status_pb2.Status(code=code, message=message, details=[detail]))
    return tuple(status.trailing_metadata)


METHODS = {"Ask": ask, "Upload": upload, "Download": download, "Chat": chat}


def handlers():
    coding = {"request_deserializer": Msg.FromString, "response_serializer": Msg.SerializeToString}

    async def asked(request, context):
        return await Call("Ask", context, request, one_reply=True).run()

    async def uploaded(_stream, context):
        return await Call("Upload", context, None, one_reply=True).run()

    async def downloaded(request, context):
        await Call("Download", context, request, one_reply=False).run()

    async def chatted(_stream, context):
        await Call("Chat", context, None, one_reply=False).run()

    return {
        "Ask": grpc.unary_unary_rpc_method_handler(asked, **coding),
        "Upload": grpc.stream_unary_rpc_method_handler(uploaded, **coding),
        "Download": grpc.unary_stream_rpc_method_handler(downloaded, **coding),
        "Chat": grpc.stream_stream_rpc_method_handler(chatted, **coding),
    }


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1:0")
    args = parser.parse_args()

    server = grpc.aio.server(options=LIMITS)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers())])
    port = server.add_insecure_port(args.listen)
    await server.start()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def stdin_closed():
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=stdin_closed, daemon=True).start()
    print(f"LISTENING {args.listen.rpartition(':')[0]}:{port}", flush=True)
    await stop.wait()
    await server.stop(None)


asyncio.run(main())
