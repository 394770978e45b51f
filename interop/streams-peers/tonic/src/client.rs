//! Runs cases of ../cases.json, one JSON line each.

use std::error::Error;
use std::time::{Duration, Instant};

use prost::Message as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::wire::{self, Msg, SERVICE, STRING_VALUE};

const CASES: &str = include_str!("../../cases.json");
const CASE_LIMIT: Duration = Duration::from_secs(30);
const EARLY: Duration = Duration::from_millis(150);
const FIRST_TEXT_LIMIT: usize = 4096;
/// How long a server has to end a stream whose deadline is over, before the caller drops it.
const DEADLINE_GRACE: Duration = Duration::from_millis(200);
const DEADLINE_SLACK: Duration = Duration::from_millis(20);

pub(crate) async fn run(target: &str, cases: &str) -> Result<(), Box<dyn Error>> {
    let known: Vec<Value> = serde_json::from_str(CASES)?;
    let find = |id: &str| known.iter().find(|spec| wire::text(spec, "id") == Some(id)).cloned();
    let wanted: Vec<&str> = match cases {
        "all" => known.iter().filter_map(|spec| wire::text(spec, "id")).collect(),
        list => list.split(',').collect(),
    };
    let channel = Endpoint::from_shared(format!("http://{target}"))?
        // A fixed name, so that what a server tells of it does not depend on the port.
        .origin("http://live.example".parse()?)
        .connect_lazy();
    for id in wanted {
        let spec = find(id).unwrap_or_else(|| json!({ "id": id, "skip": "no such case" }));
        let line = match spec.get("skip") {
            Some(why) => json!({ "case": id, "skip": why }),
            None => run_case(&channel, &spec).await?,
        };
        println!("{line}");
    }
    Ok(())
}

async fn run_case(channel: &Channel, spec: &Value) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let call = async {
        match wire::number(spec, "streams") {
            Some(streams) => many_calls(channel, spec, streams).await,
            None => one_call(channel.clone(), spec.clone(), 0).await,
        }
    };
    let seen = match timeout(CASE_LIMIT, call).await {
        Ok(seen) => seen,
        Err(_) => {
            let message = format!("no end within {} s", CASE_LIMIT.as_secs());
            Seen { end: end("error", None, &message, None), ..Seen::default() }
        }
    };
    Ok(seen.line(spec, started))
}

/// All streams at once, added up: the digest is that of the digests, the end the first bad one.
async fn many_calls(channel: &Channel, spec: &Value, streams: u64) -> Seen {
    let mut tasks = JoinSet::new();
    for stream in 0..streams {
        let call = one_call(channel.clone(), spec.clone(), stream);
        tasks.spawn(async move { (stream, call.await) });
    }
    let mut calls = tasks.join_all().await;
    calls.sort_by_key(|(stream, _)| *stream);
    let mut total = Seen::default();
    for (stream, call) in calls {
        if stream == 0 {
            total.first = call.first;
        }
        if total.end.is_null() || total.end["kind"] == "ok" {
            total.end = call.end;
        }
        total.messages += call.messages;
        total.hash.update(hex(call.hash));
    }
    total
}

/// What a caller got of one call.
#[derive(Default)]
struct Seen {
    hash: Sha256,
    messages: u64,
    first: String,
    headers_at: Option<Instant>,
    first_at: Option<Instant>,
    headers: MetadataMap,
    trailers: MetadataMap,
    end: Value,
}

impl Seen {
    fn message(&mut self, spec: &Value, mut message: Msg) {
        if wire::text(spec, "report") == Some("deadline") {
            let told: Value = serde_json::from_str(&message.text).unwrap_or_default();
            // gRPC's core rounds a timeout up to hundredths of a second when it writes it.
            let limit = wire::number(spec, "deadline_ms").unwrap_or(0) + 10;
            let remaining = wire::number(&told, "deadline_ms");
            message.text = remaining.is_some_and(|remaining| remaining > 0 && remaining <= limit).to_string();
        }
        if self.messages == 0 {
            self.first = message.text.chars().take(FIRST_TEXT_LIMIT).collect();
            self.first_at = Some(Instant::now());
        }
        self.messages += 1;
        self.hash.update(&message.text);
        self.hash.update(b"|");
        self.hash.update(&message.blob);
        self.hash.update(b"|");
        self.hash.update(message.n.to_string());
    }

    fn line(self, spec: &Value, started: Instant) -> Value {
        let flush = spec.get("script").and_then(|script| wire::flag(script, "flush")) == Some(true);
        let early = match (self.headers_at, self.first_at) {
            (Some(headers), Some(first)) => first.saturating_duration_since(headers) >= EARLY,
            _ => false,
        };
        json!({
            "case": spec["id"],
            "headers": wire::x_metadata(&self.headers),
            "early_headers": flush.then_some(early),
            "messages": self.messages,
            "digest": hex(self.hash),
            "first": self.first,
            "trailers": wire::x_metadata(&self.trailers),
            "end": self.end,
            "ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn end(kind: &str, code: Option<i32>, message: &str, details: Option<String>) -> Value {
    json!({ "kind": kind, "code": code, "message": message, "details": details, "extra": null })
}

fn end_of(status: &Status) -> Value {
    let code = i32::from(status.code());
    let kind = if code == 0 { "ok" } else { "status" };
    end(kind, Some(code), status.message(), told_details(status))
}

/// `detail-text` when it is what the contract asks for; any other bytes as they are.
fn told_details(status: &Status) -> Option<String> {
    let raw = status.details();
    if raw.is_empty() {
        return None;
    }
    if let Ok(told) = tonic_types::pb::Status::decode(raw)
        && told.code == i32::from(status.code())
        && told.message == status.message()
        && let [detail] = told.details.as_slice()
        && detail.type_url == STRING_VALUE
        && let Ok(text) = String::decode(detail.value.as_slice())
    {
        return Some(text);
    }
    Some(format!("raw:{}", wire::base64(raw)))
}

fn requests(spec: &Value, stream: u64) -> impl Iterator<Item = Msg> {
    let empty = wire::flag(spec, "empty") == Some(true);
    let blob = wire::blob(wire::number(spec, "blob").unwrap_or(0));
    let prefix = if spec.get("streams").is_some() { format!("s{stream}") } else { String::new() };
    let script = spec.get("script").map(Value::to_string);
    (0..wire::number(spec, "messages").unwrap_or(1)).map(move |i| {
        if empty {
            return Msg::default();
        }
        let text = script.clone().filter(|_| i == 0).unwrap_or_else(|| format!("{prefix}m{i}"));
        Msg { text, blob: blob.clone(), n: i32::try_from(i + 1).unwrap_or(i32::MAX) }
    })
}

/// A cancel is a drop here; the library has no status for it.
fn dropped(seen: &mut Seen) {
    seen.end = end("status", Some(i32::from(Code::Cancelled)), "dropped by the caller", None);
}

async fn one_call(channel: Channel, spec: Value, stream: u64) -> Seen {
    let mut seen = Seen::default();
    let deadline = wire::number(&spec, "deadline_ms").map(Duration::from_millis);
    if let Some(after) = wire::number(&spec, "cancel_after_ms") {
        if timeout(Duration::from_millis(after), drive(channel, &spec, stream, &mut seen)).await.is_err() {
            dropped(&mut seen);
        }
    } else if let Some(deadline) = deadline {
        // tonic's own timer ends with the response headers, and a stream goes on without a deadline.
        let started = Instant::now();
        let limit = deadline + DEADLINE_GRACE;
        let ended = timeout(limit, drive(channel, &spec, stream, &mut seen)).await;
        // It is chance whose clock is first, the caller's or the server's; tonic's timer says CANCELLED,
        // and some servers reset a late call: all these ends are told as one.
        let by_deadline =
            [json!(1), json!(4)].contains(&seen.end["code"]) && started.elapsed() + DEADLINE_SLACK >= deadline;
        if ended.is_err() || by_deadline {
            seen.end = end("status", Some(i32::from(Code::DeadlineExceeded)), "deadline exceeded", None);
        }
    } else {
        drive(channel, &spec, stream, &mut seen).await;
    }
    seen
}

/// Every shape is opened as a bidirectional stream: on the wire there is no difference, and the other
/// calls of tonic's client mix the headers with the trailers.
async fn drive(channel: Channel, spec: &Value, stream: u64, seen: &mut Seen) {
    match converse(channel, spec, stream, seen).await {
        Ok(true) => seen.end = end_of(&Status::new(Code::Ok, "")),
        Ok(false) => dropped(seen),
        Err(status) => {
            seen.trailers = status.metadata().clone();
            seen.end = end_of(&status);
        }
    }
}

/// `Ok(false)` when the case asks for a cancel.
async fn converse(channel: Channel, spec: &Value, stream: u64, seen: &mut Seen) -> Result<bool, Status> {
    let ping_pong = wire::text(spec, "drive") == Some("ping_pong");
    let half_close = wire::flag(spec, "half_close").unwrap_or(true);
    let (sender, outgoing) = mpsc::unbounded_channel();
    let mut sender = Some(sender);
    let mut messages = requests(spec, stream);
    let mut send_next = || {
        let next = messages.next();
        match (next, &sender) {
            (Some(message), Some(open)) => {
                // Not sent when the call has ended, which reading tells.
                let _ = open.send(message);
                return true;
            }
            (None, Some(_)) if half_close => sender = None,
            _ => {}
        }
        false
    };
    if ping_pong {
        send_next();
    } else {
        while send_next() {}
    }

    let mut request = Request::new(UnboundedReceiverStream::new(outgoing));
    for pair in spec.get("metadata").and_then(Value::as_array).into_iter().flatten() {
        if let (Some(key), Some(value)) = (pair[0].as_str(), pair[1].as_str()) {
            wire::append(request.metadata_mut(), key, value, &wire::from_base64(value));
        }
    }
    if let Some(deadline) = wire::number(spec, "deadline_ms") {
        request.set_timeout(Duration::from_millis(deadline));
    }
    // 64 MiB messages; tonic's own limit is 4 MiB for what is received.
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX);
    if wire::flag(spec, "gzip") == Some(true) {
        grpc = grpc.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    }
    let service = wire::text(spec, "service").unwrap_or(SERVICE);
    let method = wire::text(spec, "method").unwrap_or_default();
    let path = format!("/{service}/{method}").parse().map_err(|_| Status::internal("path"))?;
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec: ProstCodec<Msg, Msg> = ProstCodec::default();
    let response = grpc.streaming(request, path, codec).await?;

    seen.headers_at = Some(Instant::now());
    let (headers, mut replies, _) = response.into_parts();
    seen.headers = headers;
    let cancel_after = wire::number(spec, "cancel_after_messages");
    while let Some(message) = replies.message().await? {
        seen.message(spec, message);
        if cancel_after == Some(seen.messages) {
            return Ok(false);
        }
        if ping_pong {
            send_next();
        }
    }
    seen.trailers = replies.trailers().await?.unwrap_or_default();
    Ok(true)
}
