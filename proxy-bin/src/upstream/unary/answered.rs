//! A stream that one call answers: the caller speaks gRPC, the backend ping-pong.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use thrift_codec::{ApplicationException, ErrorProto, MessageHeader, MessageType, Version};
use ttheader::{HeaderWriter, IntKey, keys};

use crate::rpc::stream::{
    Closed, Codec, Data, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead, StreamOutcome, Trailers,
    is_own,
};
use crate::rpc::{Call, Fault, FaultKind, Form, Head, Message, Outcome, Outer, Protocol, Reply, Rest};
use crate::upstream::Cluster;
use crate::upstream::unary::prefixed;
use crate::wire::meter::Meter;
use crate::wire::pingpong::{self, compose};
use crate::wire::ttstream::{Messages, pairs_of};

/// The backend's side of such a stream. The call is made once the caller has half closed: not before is it known that it
/// sends one message and no other.
///
/// Everything is polled by the task that carries the stream, which asks for events after it has sent: no waker is kept.
pub(crate) struct Answered {
    cluster: Rc<Cluster>,
    /// What is held of the request, within what the worker's streams may hold.
    held: Meter,
    state: State,
}

enum State {
    /// The caller's message is on its way.
    Asked {
        head: Box<StreamHead>,
        messages: Messages,
        message: Option<Bytes>,
    },
    /// The call is made.
    Called(Pin<Box<dyn Future<Output = Result<Message, Fault>>>>),
    /// The reply is here, if not all of it.
    Answer(Box<Answer>),
    Done,
}

/// What is left to say, in this order.
#[derive(Default)]
struct Answer {
    headers: Option<Metadata>,
    body: [Bytes; 2],
    rest: Option<Rest>,
    chunk: BytesMut,
    end: Option<End>,
}

impl Answered {
    /// Whether the stream that `head` opens is a unary call that has to cross: the route lists its method, its caller
    /// speaks gRPC, and the cluster a ping-pong protocol.
    pub(crate) fn is_for(cluster: &Cluster, unary: &[String], head: &StreamHead) -> bool {
        !unary.is_empty()
            && cluster.call_form().is_some()
            && head.protocol() == Protocol::Grpc
            && unary.iter().any(|method| method.as_bytes() == head.method())
    }

    pub(crate) fn new(cluster: Rc<Cluster>, head: Box<StreamHead>) -> Self {
        let mut messages = Messages::new(cluster.max_message());
        if let HeadForm::Http2 { fields, .. } = &head.form {
            messages.set_encoding(fields);
        }
        // How long the message may be is for `messages` to say.
        let held = Meter::new(usize::MAX, Some(Rc::clone(cluster.worker())));
        Self { cluster, held, state: State::Asked { head, messages, message: None } }
    }

    /// Takes a piece of the request.
    fn feed(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let State::Asked { messages, message, .. } = &mut self.state else { return Ok(()) };
        if !self.held.take(bytes.len()) {
            let text = "streams hold as much as they may (`stream_memory`)";
            return Err(Fault::unsent(FaultKind::OverLimit, text));
        }
        messages.feed(bytes);
        if message.is_none() {
            *message = messages.next_payload()?;
        }
        if message.is_some() && !messages.is_between_messages() {
            return Err(Fault::unsent(FaultKind::BadArguments, "a unary call with more than one message"));
        }
        Ok(())
    }

    /// Makes the call: the caller has said all there is.
    fn call(&mut self) -> Result<(), Fault> {
        let State::Asked { head, messages, message } = std::mem::replace(&mut self.state, State::Done) else {
            return Ok(());
        };
        let bad = |text| Fault::unsent(FaultKind::BadArguments, text);
        let Some(message) = message else {
            let whole = messages.is_between_messages();
            return Err(bad(if whole { "a unary call without a message" } else { "the message is cut off" }));
        };
        if message.is_empty() && head.codec() == Codec::Thrift {
            return Err(bad("an empty message is no Thrift struct"));
        }
        let call = request(&self.cluster, *head, &message)?;
        let version = call.message.shape().version;
        let cluster = Rc::clone(&self.cluster);
        self.state = State::Called(Box::pin(async move {
            match cluster.call(call).await? {
                Reply::Message(mut reply) => {
                    if reply.outcome() == Outcome::Exception {
                        let broke = |error| Fault::sent(FaultKind::UpstreamClosed, format!("reply broke off: {error}"));
                        reply.collect().await.map_err(broke)?;
                    } else if reply.shape().version != version {
                        return Err(Fault::sent(FaultKind::BadReply, "the reply is none of the call's codec"));
                    }
                    Ok(reply)
                }
                Reply::Sent => Err(Fault::sent(FaultKind::BadReply, "the call has no reply")),
            }
        }));
        Ok(())
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Answer(Box::new(Answer { end: Some(End::Fault(fault)), ..Answer::default() }));
    }
}

impl Side for Answered {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let State::Called(call) = &mut self.state {
            let answer = ready!(call.as_mut().poll(cx)).and_then(Answer::of);
            match answer {
                Ok(answer) => self.state = State::Answer(Box::new(answer)),
                Err(fault) => self.fail(fault),
            }
        }
        let State::Answer(answer) = &mut self.state else { return Poll::Pending };
        let event = ready!(answer.poll_next(cx));
        if matches!(event, Event::End(_)) {
            self.state = State::Done;
        }
        Poll::Ready(event)
    }

    fn release(&mut self, _: usize) {
        // A backend's connection is read as the reply is taken.
    }

    fn poll_send(&mut self, _: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        let taken = match event.take() {
            Some(Event::Data(data)) => {
                let fed = self.feed(data.bytes);
                if data.last { fed.and_then(|()| self.call()) } else { fed }
            }
            Some(Event::End(_)) => self.call(),
            // No form in a call.
            Some(Event::Headers(_) | Event::Meta(_)) | None => Ok(()),
        };
        Poll::Ready(taken.map_err(|fault| {
            self.fail(fault);
            Closed
        }))
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        Poll::Pending
    }

    fn reset(&mut self, _: &Reset) {
        // The call's connection is not used again.
        self.state = State::Done;
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) {}

    fn finish(&mut self) {
        self.state = State::Done;
    }
}

impl Answer {
    /// What a reply tells a caller of gRPC.
    fn of(mut reply: Message) -> Result<Self, Fault> {
        let mut answer = Self::default();
        let pairs = pairs(&reply);
        if !pairs.is_empty() {
            answer.headers = Some(Metadata::Pairs(pairs));
        }
        let outcome = match reply.outcome() {
            Outcome::Exception => exception(&reply)?,
            Outcome::BusinessError(status) => {
                let value = |key| reply.header().and_then(|header| header.string(key)).map(Bytes::copy_from_slice);
                let extra = value(keys::BIZ_EXTRA).filter(|extra| !extra.is_empty());
                // No message with it (D6).
                StreamOutcome::Business { status, message: value(keys::BIZ_MESSAGE).unwrap_or_default(), extra }
            }
            // A declared exception is a result like another.
            Outcome::Success | Outcome::DeclaredException => {
                let envelope_len = reply.shape().envelope_len();
                let len = reply.payload_len().saturating_sub(u64::try_from(envelope_len).unwrap_or(u64::MAX));
                let payload = reply.payload();
                answer.body = prefixed(len, payload.slice(envelope_len.min(payload.len())..))?;
                answer.headers.get_or_insert_with(|| Metadata::Pairs(Vec::new()));
                answer.rest = reply.take_rest();
                StreamOutcome::Ok
            }
        };
        let only = answer.headers.is_none();
        answer.end = Some(End::Trailers(Trailers { outcome, metadata: Metadata::Pairs(Vec::new()), only }));
        Ok(answer)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(headers) = self.headers.take() {
            return Poll::Ready(Event::Headers(headers));
        }
        if let Some(piece) = self.body.iter_mut().find(|piece| !piece.is_empty()) {
            return Poll::Ready(data(std::mem::take(piece)));
        }
        if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_empty()) {
            self.chunk.reserve(CHUNK);
            return Poll::Ready(match ready!(rest.poll_read(cx, &mut self.chunk)) {
                Ok(_) => data(self.chunk.split().freeze()),
                Err(error) => {
                    let text = format!("reply broke off: {error}");
                    Event::End(End::Fault(Fault::sent(FaultKind::UpstreamClosed, text)))
                }
            });
        }
        match self.end.take() {
            Some(end) => Poll::Ready(Event::End(end)),
            None => Poll::Pending,
        }
    }
}

fn data(bytes: Bytes) -> Event {
    Event::Data(Data { bytes, framing: Framing::Prefixed, last: false })
}

/// The call that the stream of `head` with its one message is (D1, D6).
fn request(cluster: &Cluster, head: StreamHead, message: &[u8]) -> Result<Call, Fault> {
    let version = match head.codec() {
        Codec::Thrift => Version::THRIFT,
        _ => Version::KITEX_PROTOBUF,
    };
    let form = match cluster.call_form() {
        // Kitex-Protobuf is always framed.
        Some(form) if form.outer == Outer::TtHeader => {
            Form { framed: form.framed || version == Version::KITEX_PROTOBUF, ..form }
        }
        // Its length shows whether there is something behind the struct, which must not pass for the next message.
        _ => Form { outer: Outer::Plain, framed: true },
    };
    let mut unreadable = 0_u64;
    let (pairs, mut dropped) = pairs_of(head.entries(|| unreadable = unreadable.saturating_add(1)));
    dropped = dropped.saturating_add(unreadable);
    if form.outer == Outer::Plain {
        dropped = dropped.saturating_add(u64::try_from(pairs.len()).unwrap_or(u64::MAX));
    }
    cluster.counters().drop_metadata(dropped);

    let seqid = cluster.next_seqid();
    let envelope = MessageHeader::new(version, MessageType::CALL, head.method(), seqid);
    let timeout = head.deadline.map(remaining_ms);
    let fill = |header: &mut HeaderWriter<'_>| {
        header.string(keys::IDL_SERVICE_NAME, head.service())?;
        for (key, value) in &pairs {
            header.string(key, value)?;
        }
        for (key, value) in [
            (IntKey::FROM_SERVICE, head.caller()),
            (IntKey::FROM_METHOD, head.caller_method()),
            (IntKey::TO_SERVICE, head.destination()),
            (IntKey::TO_METHOD, Some(head.method())),
            (IntKey::MSG_TYPE, Some(&b"1"[..])),
            (IntKey::RPC_TIMEOUT, timeout.as_deref().map(str::as_bytes)),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                header.int(key, value)?;
            }
        }
        Ok(())
    };
    let message = compose::message(pingpong::Side::Requests, form, &envelope, seqid, message, fill)
        .map_err(|unfit| Fault::sent(FaultKind::NotConvertible, unfit.to_string()))?;
    let mut call = Call::new(message, Rc::clone(&head.downstream));
    call.deadline = head.deadline;
    Ok(call)
}

/// The time left in whole ms, at least one: none is written as zero, which Kitex takes for none at all.
fn remaining_ms(deadline: Instant) -> String {
    deadline.saturating_duration_since(Instant::now()).as_millis().max(1).to_string()
}

/// The string pairs of a reply that are metadata, views of its frame.
fn pairs(reply: &Message) -> Vec<(Bytes, Bytes)> {
    let Some(header) = reply.header() else { return Vec::new() };
    // The header is a part of the frame.
    let part = |bytes: &[u8]| reply.frame().slice_ref(bytes);
    header.strings().filter(|(key, _)| !is_own(key)).map(|(key, value)| (part(key), part(value))).collect()
}

/// How a reply of type EXCEPTION turned out.
fn exception(reply: &Message) -> Result<StreamOutcome, Fault> {
    let parsed = match reply.shape().version {
        Version::KITEX_PROTOBUF => {
            ErrorProto::parse(reply.body()).map(|error| (error.code, Bytes::copy_from_slice(error.message)))
        }
        _ => ApplicationException::parse(reply.body()).map(|error| (error.code, Bytes::copy_from_slice(error.message))),
    };
    match parsed {
        Ok((code, message)) => Ok(StreamOutcome::Exception { code, message }),
        Err(error) => Err(Fault::sent(FaultKind::BadReply, format!("unreadable exception: {error}"))),
    }
}

/// What is read of a long reply at a time, in bytes.
const CHUNK: usize = 64 << 10;
