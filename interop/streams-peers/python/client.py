"""grpcio (asyncio) as a client of LiveP: runs cases of ../cases.json, one JSON line each.

    peer client --target 127.0.0.1:PORT --cases a,b,c|all
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import re
import time

import grpc
from google.protobuf import wrappers_pb2
from google.rpc import status_pb2

from wire import HERE, LIMITS, SERVICE, Msg, blob, x_metadata

CASE_LIMIT_SECONDS = 30
EARLY_SECONDS = 0.15
DEADLINE_SLACK_MS = 20
FIRST_TEXT_LIMIT = 4096
CANCELLED = 1


class Seen:
    """What a caller got of one call."""

    def __init__(self, case):
        self.case = case
        self.hash = hashlib.sha256()
        self.messages = 0
        self.first = ""
        self.first_at = None
        self.headers_at = None
        self.headers = {}
        self.trailers = {}
        self.end = None

    def message(self, message):
        text = message.text
        if self.case.get("report") == "deadline":
            remaining = json.loads(text).get("deadline_ms")
            # gRPC's core rounds a timeout up to hundredths of a second when it writes it.
            limit = self.case["deadline_ms"] + 10
            text = "true" if remaining is not None and 0 < remaining <= limit else "false"
        if self.messages == 0:
            self.first = text[:FIRST_TEXT_LIMIT]
            self.first_at = time.monotonic()
        self.messages += 1
        for part in (text.encode(), b"|", message.blob, b"|", str(message.n).encode()):
            self.hash.update(part)

    def early_headers(self):
        if not self.case.get("script", {}).get("flush"):
            return None
        if self.headers_at is None or self.first_at is None:
            return False
        return self.first_at - self.headers_at >= EARLY_SECONDS

    def line(self, started):
        return {
            "case": self.case["id"],
            "headers": self.headers,
            "early_headers": self.early_headers(),
            "messages": self.messages,
            "digest": self.hash.hexdigest(),
            "first": self.first,
            "trailers": self.trailers,
            "end": self.end,
            "ms": round((time.monotonic() - started) * 1000),
        }


def end(kind, code, message, details=None):
    # A client's own texts name ports.
    message = re.sub(r"127\.0\.0\.1:\d+", "PEER", message)
    return {"kind": kind, "code": code, "message": message, "details": details, "extra": None}


def late(case, started, code):
    """Whether a call ended by its deadline.

    It is chance whose clock is first, the caller's or the server's, and some servers reset a late call
    or end it with CANCELLED; so all these ends are told as one.
    """
    due = case.get("deadline_ms")
    return due is not None and code in (1, 4) and (time.monotonic() - started) * 1000 >= due - DEADLINE_SLACK_MS


def told_details(code, message, trailers):
    """`detail-text` when it is what the contract asks for; any other bytes as they are."""
    for key, raw in trailers or ():
        if key == "grpc-status-details-bin":
            value = wrappers_pb2.StringValue()
            try:
                status = status_pb2.Status.FromString(raw)
                plain = status.code == code and status.message == message and len(status.details) == 1
                if plain and status.details[0].Unpack(value):
                    return value.value
            except ValueError:
                pass
            return "raw:" + base64.b64encode(raw).decode()
    return None


def requests(case, stream=0):
    for i in range(case.get("messages", 1)):
        if case.get("empty"):
            yield Msg()
            continue
        text = f"s{stream}m{i}" if "streams" in case else f"m{i}"
        if i == 0 and "script" in case:
            text = json.dumps(case["script"], ensure_ascii=False, separators=(",", ":"))
        yield Msg(text=text, blob=blob(case.get("blob", 0)), n=i + 1)


def open_call(channel, case, request):
    path = f"/{case.get('service', SERVICE)}/{case['method']}"
    multi = {
        "unary": channel.unary_unary,
        "upload": channel.stream_unary,
        "download": channel.unary_stream,
        "chat": channel.stream_stream,
    }[case["shape"]](path, request_serializer=Msg.SerializeToString, response_deserializer=Msg.FromString)
    metadata = [(k, base64.b64decode(v) if k.endswith("-bin") else v) for k, v in case.get("metadata", ())]
    options = {
        "metadata": metadata or None,
        "timeout": case["deadline_ms"] / 1000 if "deadline_ms" in case else None,
        "compression": grpc.Compression.Gzip if case.get("gzip") else None,
    }
    if case["shape"] in ("unary", "download"):
        return multi(request, **options)
    call = multi(**options)
    call._cython_call = KeepsStatus(call._cython_call)
    return call


class KeepsStatus:
    """Around grpcio's own call: a write that finds the call ended does not change how it ended.

    The asyncio client puts INTERNAL in the place of the status that has come when it loses that race,
    so the same answer would now and then be told differently.
    """

    def __init__(self, call):
        self._call = call

    def __getattr__(self, name):
        return getattr(self._call, name)

    def set_internal_error(self, _message):
        pass


async def one_call(channel, case, stream=0):
    seen = Seen(case)
    started = time.monotonic()
    messages = requests(case, stream)
    sends_stream = case["shape"] in ("upload", "chat")
    answers_stream = case["shape"] in ("download", "chat")
    call = open_call(channel, case, None if sends_stream else next(messages))

    async def note_headers():
        await call.initial_metadata()
        seen.headers_at = time.monotonic()

    async def send_all():
        for message in messages:
            await call.write(message)
        if case.get("half_close", True):
            await call.done_writing()

    async def receive():
        """One message; False at the end."""
        message = await call.read()
        if message is grpc.aio.EOF:
            return False
        seen.message(message)
        if seen.messages == case.get("cancel_after_messages"):
            call.cancel()
            return False
        return True

    async def ping_pong():
        for message in messages:
            await call.write(message)
            if not await receive():
                return
        if case.get("half_close", True):
            await call.done_writing()
        while await receive():
            pass

    tasks = [asyncio.create_task(note_headers())]
    if "cancel_after_ms" in case:
        asyncio.get_running_loop().call_later(case["cancel_after_ms"] / 1000, call.cancel)
    try:
        if case.get("drive") == "ping_pong":
            await ping_pong()
        else:
            if sends_stream:
                tasks.append(asyncio.create_task(send_all()))
            if answers_stream:
                while await receive():
                    pass
            else:
                seen.message(await call)
    except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
        pass  # how the call ended is asked below
    except asyncio.CancelledError:
        if asyncio.current_task().cancelling():
            raise  # the case limit, not the case
    finally:
        given_up = asyncio.current_task().cancelling()
        for task in tasks:
            task.cancel()
        if given_up:
            call.cancel()
        else:
            await asyncio.gather(*tasks, return_exceptions=True)

    code = (await call.code()).value[0]
    details = await call.details() or ""
    if late(case, started, code):
        code, details = 4, "deadline exceeded"
    if code == CANCELLED and call.cancelled():
        seen.end = end("status", code, details)
        seen.headers = x_metadata(await headers_of_cancelled(call))
        return seen
    trailers = await call.trailing_metadata()
    seen.headers = x_metadata(await call.initial_metadata())
    seen.trailers = x_metadata(trailers)
    kind = "status" if code else "ok"
    seen.end = end(kind, code, details, told_details(code, details, trailers))
    return seen


async def headers_of_cancelled(call):
    try:
        return await call.initial_metadata()
    except asyncio.CancelledError:
        return ()


async def many_calls(channel, case):
    """All streams at once, added up: the digest is that of the digests, the end the first bad one."""
    calls = await asyncio.gather(*(one_call(channel, case, s) for s in range(case["streams"])))
    total = Seen(case)
    total.first = calls[0].first
    total.messages = sum(call.messages for call in calls)
    total.end = next((call.end for call in calls if call.end["kind"] != "ok"), calls[0].end)
    for call in calls:
        total.hash.update(call.hash.hexdigest().encode())
    return total


async def run_case(channel, case):
    if "skip" in case:
        return {"case": case["id"], "skip": case["skip"]}
    started = time.monotonic()
    call = many_calls(channel, case) if "streams" in case else one_call(channel, case)
    try:
        seen = await asyncio.wait_for(call, CASE_LIMIT_SECONDS)
    except TimeoutError:
        seen = Seen(case)
        seen.end = end("error", None, f"no end within {CASE_LIMIT_SECONDS} s")
    return seen.line(started)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--cases", default="all")
    parser.add_argument("--codec", choices=["protobuf"], default="protobuf")
    parser.add_argument("--transport", choices=["grpc"], default="grpc")
    args = parser.parse_args()

    with open(os.path.join(HERE, "..", "cases.json"), encoding="utf-8") as file:
        known = {case["id"]: case for case in json.load(file)}
    wanted = list(known) if args.cases == "all" else args.cases.split(",")
    # A fixed name, so that what a server tells of it does not depend on the port.
    options = [*LIMITS, ("grpc.default_authority", "live.example")]
    async with grpc.aio.insecure_channel(args.target, options=options) as channel:
        for name in wanted:
            case = known.get(name, {"id": name, "skip": "no such case"})
            print(json.dumps(await run_case(channel, case), ensure_ascii=False), flush=True)


asyncio.run(main())
