//! A call that is carried as a stream: the caller speaks ping-pong, the backend gRPC.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use grpc_frame::content_type;
use grpc_frame::metadata::{SOURCE_METHOD, SOURCE_SERVICE, STREAM_LOG_ID};
use grpc_frame::status::{self, Code};
use http::header::{CONTENT_TYPE, TE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use thrift_codec::{Version, exception};
use ttheader::{IntKey, keys};

use crate::rpc::drain::Drain;
use crate::rpc::stream::{
    Closed, Data, End, Entry, Event, Framing, HeadForm, Limits, Metadata, Reset, Side, StreamHead, StreamOutcome,
    Trailers, is_own, relay,
};
use crate::rpc::{Call, Fault, FaultKind, Message, Reply, Rest, StreamTransport};
use crate::upstream::Cluster;
use crate::upstream::unary::prefixed;
use crate::wire::grpc;
use crate::wire::pingpong::Origin;
use crate::wire::pingpong::compose::{self, Business};
use crate::wire::ttstream::{Messages, exception_of_reset, pairs_of};

/// Carries `call` as a unary call of gRPC. Dropped, it resets the stream.
///
/// # Errors
///
/// No backend can be had, the call has no form in gRPC, or the backend's answer makes no sense.
pub(crate) async fn ask(cluster: &Cluster, mut call: Call) -> Result<Reply, Fault> {
    let mut head = head(cluster, &call)?;
    if call.is_oneway() {
        let own = Instant::now().checked_add(ONEWAY_TIME);
        head.deadline = call.deadline.into_iter().chain(own).min();
        let limits = Limits { deadline: head.deadline.map(|at| (at, "of a oneway call")), ..Limits::default() };
        // Its caller's connection is free for the next call before the backend has answered.
        let broke = |error| Fault::unsent(FaultKind::DownstreamClosed, format!("request broke off: {error}"));
        call.message.collect().await.map_err(broke)?;
        let mut up = cluster.open_over(StreamTransport::Grpc, head).await?;
        let mut down = Caller::new(call, cluster.max_message())?;
        let method = String::from_utf8_lossy(&down.origin.name);
        tracing::debug!(%method, "oneway call over gRPC: a Kitex backend never runs it");
        tokio::task::spawn_local(async move { relay(&mut down, &mut *up, limits, &Drain::default()).await });
        return Ok(Reply::Sent);
    }
    let mut up = cluster.open_over(StreamTransport::Grpc, head).await?;
    let mut down = Caller::new(call, cluster.max_message())?;
    // The time is the call's, and runs where it was taken in.
    relay(&mut down, &mut *up, Limits::default(), &Drain::default()).await;
    down.reply(cluster).map(Reply::Message)
}

/// What opens the stream (D1).
fn head(cluster: &Cluster, call: &Call) -> Result<Box<StreamHead>, Fault> {
    let bad = |what: String| Fault::unsent(FaultKind::NotConvertible, format!("no gRPC request: {what}"));
    let service = call.service();
    if service.is_empty() {
        return Err(bad("the call names no service, nor does the listener (`service`)".into()));
    }
    let header = call.message.header();
    let int = |key| header.and_then(|header| header.int(key)).filter(|value| !value.is_empty());
    let package = call.package.as_deref().unwrap_or(cluster.package());
    let path = grpc::path(package, service, call.method()).ok_or_else(|| bad("service or method".into()))?;
    let authority = Authority::try_from(int(IntKey::TO_SERVICE).unwrap_or(service)).ok();
    let uri = match authority {
        Some(authority) => Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build().ok(),
        // Its authority is the endpoint's address then.
        None => Some(Uri::from(path)),
    };

    let mut fields = HeaderMap::new();
    let content_type = match call.message.shape().version {
        Version::KITEX_PROTOBUF => content_type::GRPC,
        _ => content_type::GRPC_THRIFT,
    };
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(TE, HeaderValue::from_static("trailers"));
    for (name, key) in
        [(SOURCE_SERVICE, IntKey::FROM_SERVICE), (SOURCE_METHOD, IntKey::FROM_METHOD), (STREAM_LOG_ID, IntKey::LOG_ID)]
    {
        if let Some(value) = int(key).and_then(|value| HeaderValue::from_bytes(value).ok()) {
            fields.insert(HeaderName::from_static(name), value);
        }
    }
    let strings = header.into_iter().flat_map(|header| header.strings()).chain(call.message.mesh_pairs());
    let token = header.and_then(|header| header.acl_token()).map(|token| (keys::GDPR_TOKEN, token));
    let pairs = strings.chain(token).filter(|(key, _)| !is_own(key));
    let mut dropped =
        grpc::add_entries(&mut fields, pairs.map(|(key, value)| Entry { key: key.into(), value: value.into() }));
    let lost = header.into_iter().flat_map(|header| header.ints()).filter(|(key, _)| !HAS_PLACE.contains(key)).count();
    dropped = dropped.saturating_add(u64::try_from(lost).unwrap_or(u64::MAX));
    cluster.counters().drop_metadata(dropped);

    let form = HeadForm::Http2 { uri: uri.ok_or_else(|| bad("service or method".into()))?, fields };
    let mut head = Box::new(StreamHead::new(form, Rc::clone(&call.downstream)));
    head.deadline = call.deadline;
    Ok(head)
}

/// The caller's side of the stream: says the one message, and collects the answer.
struct Caller {
    origin: Origin,
    body: [Bytes; 2],
    rest: Option<Rest>,
    chunk: BytesMut,
    half_closed: bool,
    messages: Messages,
    headers: Option<Metadata>,
    message: Option<Bytes>,
    end: Option<End>,
}

impl Caller {
    fn new(mut call: Call, max_message: usize) -> Result<Self, Fault> {
        let envelope_len = call.message.shape().envelope_len();
        let len = call.message.payload_len().saturating_sub(u64::try_from(envelope_len).unwrap_or(u64::MAX));
        let payload = call.message.payload();
        Ok(Self {
            origin: Origin::of(&call),
            body: prefixed(len, payload.slice(envelope_len.min(payload.len())..))?,
            rest: call.message.take_rest(),
            chunk: BytesMut::new(),
            half_closed: false,
            messages: Messages::new(max_message),
            headers: None,
            message: None,
            end: None,
        })
    }

    /// Takes a piece of the answer.
    fn feed(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.messages.feed(bytes);
        if self.message.is_none() {
            self.message = self.messages.next_payload()?;
        }
        if self.message.is_some() && !self.messages.is_between_messages() {
            return Err(Fault::sent(FaultKind::BadReply, "a unary call was answered with more than one message"));
        }
        Ok(())
    }

    /// What the collected answer is to the caller (D3, D6).
    fn reply(self, cluster: &Cluster) -> Result<Message, Fault> {
        let bad = |text| Fault::sent(FaultKind::BadReply, text);
        let (outcome, trailers) = match self.end {
            Some(End::Trailers(Trailers { outcome, metadata, .. })) => (outcome, metadata),
            Some(End::Fault(fault)) => return Err(fault),
            Some(End::Reset(reset)) => {
                let (code, message) = exception_of_reset(&reset);
                (StreamOutcome::Exception { code: code.0, message }, Metadata::default())
            }
            Some(End::HalfClose(_)) | None => return Err(bad("the stream ended without saying how")),
        };
        let mut dropped = 0_u64;
        if matches!(&trailers, Metadata::Http2(fields) if fields.contains_key(status::DETAILS)) {
            dropped = 1;
        }
        let metadata = [self.headers.unwrap_or_default(), trailers];
        let (pairs, doubled) = {
            let mut unreadable = |metadata| dropped = dropped.saturating_add(metadata);
            let [headers, trailers] = &metadata;
            let mut entries: Vec<_> = headers.entries(|| unreadable(1)).collect();
            entries.extend(trailers.entries(|| unreadable(1)));
            pairs_of(entries.into_iter())
        };
        cluster.counters().drop_metadata(dropped.saturating_add(doubled));

        let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
        let composed = match &outcome {
            StreamOutcome::Ok => match self.message {
                None => return Err(bad("a unary call was answered without a message")),
                Some(message) if message.is_empty() && self.origin.version != Version::KITEX_PROTOBUF => {
                    return Err(bad("a unary call was answered with an empty message, which is no Thrift struct"));
                }
                Some(message) => compose::reply(&self.origin, pairs, &message),
            },
            // A result without a success field (D6).
            StreamOutcome::Business { status, message, extra } => {
                let error = Business { status: *status, message, extra: extra.as_deref() };
                compose::business_error(&self.origin, pairs, error)
            }
            StreamOutcome::Status { code, message } => {
                let (code, text) = exception_of_status(Code(*code), message);
                compose::exception(&self.origin, pairs, code, &text)
            }
            StreamOutcome::Exception { code, message } => compose::exception(&self.origin, pairs, *code, message),
        };
        composed.map_err(|unfit| Fault::sent(FaultKind::NotConvertible, unfit.to_string()))
    }
}

impl Side for Caller {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let bytes = if let Some(piece) = self.body.iter_mut().find(|piece| !piece.is_empty()) {
            std::mem::take(piece)
        } else if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_empty()) {
            self.chunk.reserve(CHUNK);
            if let Err(error) = ready!(rest.poll_read(cx, &mut self.chunk)) {
                let text = format!("request broke off: {error}");
                return Poll::Ready(Event::End(End::Fault(Fault::sent(FaultKind::DownstreamClosed, text))));
            }
            self.chunk.split().freeze()
        } else if !std::mem::replace(&mut self.half_closed, true) {
            return Poll::Ready(Event::End(End::HalfClose(None)));
        } else {
            return Poll::Pending;
        };
        let last = self.body.iter().all(Bytes::is_empty) && self.rest.as_ref().is_none_or(Rest::is_empty);
        self.half_closed |= last;
        Poll::Ready(Event::Data(Data { bytes, framing: Framing::Prefixed, last }))
    }

    fn release(&mut self, _: usize) {
        // The caller's connection is read as the request is taken.
    }

    fn poll_send(&mut self, _: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        let taken = match event.take() {
            Some(Event::Headers(headers)) => {
                if let Metadata::Http2(fields) = &headers {
                    self.messages.set_encoding(fields);
                }
                self.headers = Some(headers);
                Ok(())
            }
            Some(Event::Data(data)) => self.feed(data.bytes),
            Some(Event::End(end)) => {
                self.end.get_or_insert(end);
                Ok(())
            }
            Some(Event::Meta(_)) | None => Ok(()),
        };
        Poll::Ready(taken.map_err(|fault| {
            self.end = Some(End::Fault(fault));
            Closed
        }))
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        // A caller that is gone takes the call along.
        Poll::Pending
    }

    fn reset(&mut self, _: &Reset) {}

    fn poll_flush(&mut self, _: &mut Context<'_>) {}

    fn finish(&mut self) {}
}

/// The exception that tells a status: D3 the other way round. What a Kitex server says of a service or method that it does
/// not have is what it says to ping-pong callers.
fn exception_of_status(code: Code, message: &[u8]) -> (i32, Vec<u8>) {
    let says = |what: &str| String::from_utf8_lossy(message).to_ascii_lowercase().contains(what);
    let restored = status::rpc_error(code, message);
    match code {
        Code::KITEX_UNKNOWN_SERVICE => (exception::UNKNOWN_SERVICE, message.to_vec()),
        Code::KITEX_UNKNOWN_METHOD if message.starts_with(b"unknown method") => {
            (exception::UNKNOWN_METHOD, message.to_vec())
        }
        Code::UNIMPLEMENTED if says("service") && !says("method") => (exception::UNKNOWN_SERVICE, restored),
        Code::UNIMPLEMENTED => (exception::UNKNOWN_METHOD, restored),
        _ => (exception::INTERNAL_ERROR, restored),
    }
}

/// Int keys that have another place in gRPC, or say something about this hop alone.
const HAS_PLACE: [IntKey; 9] = [
    IntKey::TRANSPORT_TYPE,
    IntKey::LOG_ID,
    IntKey::FROM_SERVICE,
    IntKey::TO_SERVICE,
    IntKey::TO_METHOD,
    IntKey::RPC_TIMEOUT,
    IntKey::WITH_MESH_HEADER,
    IntKey::FROM_METHOD,
    IntKey::MSG_TYPE,
];

/// What a oneway call may take where it says no less: nobody waits for it.
const ONEWAY_TIME: Duration = Duration::from_secs(5);
/// What is read of a long request at a time, in bytes.
const CHUNK: usize = 64 << 10;
