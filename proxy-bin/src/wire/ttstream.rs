//! What both ttstream drivers share: a connection's frames in and out, what waits for one stream, and how metadata and
//! ends of other protocols read in frames.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grpc_frame::compression::{self, CompressionError, Encoding};
use grpc_frame::message::Assembler;
use grpc_frame::metadata::is_binary;
use grpc_frame::status;
use http::HeaderMap;
use tokio_util::codec::Decoder;
use ttstream::stream::ConnectionError;
use ttstream::{Code, DecodeError, EncodeError, Exception, Frame, StreamEncoder, TtStreamCodec, keys};

use crate::rpc::stream::{Data, End, Entry, Event, Framing, Metadata, Reset, StreamOutcome};
use crate::rpc::{Fault, FaultKind, Protocol};
use crate::wire::conn::{Conn, Stall};
use crate::wire::meter::Meter;
use crate::wire::outbox::Outbox;

/// One connection, whichever side opened it. Every borrow ends within one poll.
#[derive(Debug)]
pub(crate) struct Link {
    conn: Conn,
    codec: RefCell<TtStreamCodec>,
    want: Cell<usize>,
    outbox: RefCell<Outbox>,
    read_stall: RefCell<Stall>,
    write_stall: RefCell<Stall>,
    /// Who reads and writes here.
    task: RefCell<Option<Waker>>,
    /// Streams that wait for room in the outbox.
    blocked: RefCell<Vec<Waker>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("closed by the peer")]
    Closed,
    #[error("closed by the peer inside a frame")]
    Cut,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("unreadable frame: {0}")]
    Malformed(#[from] DecodeError),
    #[error("a frame of stream {id}: {error}")]
    TooLong { id: i32, error: DecodeError },
    #[error("{0}")]
    Broken(#[from] ConnectionError),
    #[error("too slow {0}")]
    Slow(&'static str),
}

impl Link {
    pub(crate) fn new(conn: Conn, max_message: usize, read_timeout: Duration, write_timeout: Duration) -> Self {
        // The limit is the message's; head and an exception's text come on top.
        let max_frame = max_message.saturating_add(ttheader::MAX_HEADER_LEN);
        Self {
            conn,
            codec: RefCell::new(TtStreamCodec::builder().max_frame_len(max_frame).build()),
            want: Cell::new(0),
            outbox: RefCell::default(),
            read_stall: RefCell::new(Stall::new(read_timeout)),
            write_stall: RefCell::new(Stall::new(write_timeout)),
            task: RefCell::default(),
            blocked: RefCell::default(),
        }
    }

    /// The next frame.
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Result<Frame, Lost>> {
        loop {
            if self.conn.buffered() > 0 && self.conn.buffered() >= self.want.get() {
                let decoded = self.conn.with_inbox(|inbox| {
                    let frame = self.codec.borrow_mut().decode(inbox);
                    let length = inbox.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
                    // What the codec refuses it refuses at once: the length is within its limit.
                    self.want.set(if matches!(frame, Ok(None)) {
                        usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4)
                    } else {
                        0
                    });
                    frame
                });
                match decoded {
                    Ok(Some(frame)) => {
                        self.read_stall.borrow_mut().reset();
                        return Poll::Ready(Ok(frame));
                    }
                    Ok(None) => {}
                    Err(ttstream::CodecError::Decode(error)) => return Poll::Ready(Err(self.refused(error))),
                    Err(error) => return Poll::Ready(Err(io::Error::other(error).into())),
                }
            }
            let inside = self.conn.buffered() > 0;
            match self.conn.poll_fill(cx, self.want.get()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(if inside { Lost::Cut } else { Lost::Closed })),
                Poll::Ready(Ok(read)) => self.read_stall.borrow_mut().moved(read),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if inside => {
                    ready!(self.read_stall.borrow_mut().poll(cx));
                    return Poll::Ready(Err(Lost::Slow("sending a frame")));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Why a frame can't be read, and whose it is, where that is known: its stream may be answered.
    fn refused(&self, error: DecodeError) -> Lost {
        let id = self.conn.with_inbox(|inbox| {
            let head = inbox
                .first_chunk::<12>()
                .filter(|_| matches!(error, DecodeError::Header(ttheader::DecodeError::TooLarge { .. })));
            head.map(|&[.., a, b, c, d]| i32::from_be_bytes([a, b, c, d]))
        });
        id.map_or(Lost::Malformed(error), |id| Lost::TooLong { id, error })
    }

    /// Writes what waits.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.conn.poll_flush(cx, &mut outbox, &mut self.write_stall.borrow_mut());
        if outbox.len() < MAX_UNWRITTEN {
            self.blocked.borrow_mut().drain(..).for_each(Waker::wake);
        }
        match flushed {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Poll::Ready(Err(Lost::Slow("taking its frames")))
            }
            flushed => flushed.map_err(Lost::Io),
        }
    }

    /// Lets `write` append the head of a frame.
    pub(crate) fn write<R>(&self, write: impl FnOnce(&mut BytesMut) -> R) -> R {
        self.outbox.borrow_mut().write_with(HEAD_HINT, write)
    }

    /// Appends a frame of another hop under this hop's id, everything else as it came.
    pub(crate) fn forward(&self, frame: &Frame, id: i32) -> Result<(), EncodeError> {
        self.write(|dst| frame.encode_head_with_id(id, dst))?;
        self.outbox.borrow_mut().push(&frame.payload_for(id));
        Ok(())
    }

    /// Appends a message: behind the head of the data frame that it came in, or one of the stream's own.
    pub(crate) fn message(
        &self,
        encoder: &StreamEncoder,
        frame: Option<&Frame>,
        payload: &Bytes,
    ) -> Result<(), EncodeError> {
        match frame {
            Some(frame) => self.write(|dst| frame.encode_head_with_id(encoder.stream_id(), dst)),
            None => self.write(|dst| encoder.data(payload.len(), dst)),
        }?;
        self.outbox.borrow_mut().push(payload);
        Ok(())
    }

    /// Ready while more may be written.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbox.borrow().len() < MAX_UNWRITTEN {
            return Poll::Ready(());
        }
        self.blocked.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    /// Whether everything has left, and nothing has come that was not looked at.
    pub(crate) fn is_still(&self) -> bool {
        self.outbox.borrow().is_empty() && self.conn.buffered() == 0
    }

    /// Whether a frame, or a part of one, is here already.
    pub(crate) fn has_input(&self) -> bool {
        self.conn.buffered() > 0
    }

    /// Remembers whom to wake for reading and writing.
    pub(crate) fn set_task(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    /// There is something to write, or room to read again.
    pub(crate) fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }
}

/// What has come for one stream and has not been taken.
#[derive(Debug)]
pub(crate) struct Queue {
    events: RefCell<VecDeque<Event>>,
    meter: Meter,
    waker: RefCell<Option<Waker>>,
    /// The peer's reset, for who does not take what precedes it.
    reset: RefCell<Option<Reset>>,
    ended: Cell<bool>,
}

impl Queue {
    pub(crate) fn new(meter: Meter) -> Self {
        Self {
            events: RefCell::default(),
            meter,
            waker: RefCell::default(),
            reset: RefCell::default(),
            ended: Cell::new(false),
        }
    }

    /// Puts `event` behind what waits. False when the budget has no room for it; it is dropped then.
    #[must_use]
    pub(crate) fn push(&self, event: Event) -> bool {
        if let Event::End(End::Reset(reset)) = &event {
            // Also of a stream whose sender has half closed.
            self.reset.borrow_mut().get_or_insert_with(|| reset.clone());
            self.wake();
        }
        if self.ended.get() {
            return true;
        }
        if let Event::Data(data) = &event
            && !self.meter.take(data.bytes.len())
        {
            return false;
        }
        self.ended.set(matches!(event, Event::End(_)));
        self.events.borrow_mut().push_back(event);
        self.wake();
        true
    }

    /// Ends the stream in place of what waits.
    pub(crate) fn fail(&self, fault: Fault) {
        let waiting = std::mem::take(&mut *self.events.borrow_mut());
        for event in waiting {
            if let Event::Data(data) = event {
                self.meter.give(data.bytes.len());
            }
        }
        self.ended.set(true);
        self.events.borrow_mut().push_back(Event::End(End::Fault(fault)));
        self.wake();
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Event> {
        match self.events.borrow_mut().pop_front() {
            Some(event) => Poll::Ready(event),
            None => self.register(cx),
        }
    }

    pub(crate) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<Reset> {
        match &*self.reset.borrow() {
            Some(reset) => Poll::Ready(reset.clone()),
            None => self.register(cx),
        }
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.meter.give(bytes);
    }

    /// Whether the stream's own budget is used up.
    pub(crate) fn is_full(&self) -> bool {
        self.meter.is_full()
    }

    fn register<T>(&self, cx: &Context<'_>) -> Poll<T> {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The message of a data frame, or the reason why it can't travel.
pub(crate) fn data(frame: Frame, max_message: usize) -> Result<Event, Fault> {
    let bytes = frame.payload();
    if bytes.len() > max_message {
        let text = format!("a message of {} bytes, {max_message} are allowed (`max_message`)", bytes.len());
        return Err(Fault::sent(FaultKind::OverLimit, text));
    }
    Ok(Event::Data(Data { bytes, framing: Framing::Message(frame), last: false }))
}

/// A reset, read from an rst frame.
pub(crate) fn reset_of(reset: &ttstream::Reset<'_>) -> Reset {
    let ttstream::Exception { code, message } = reset.exception;
    let (message, path) = (Bytes::copy_from_slice(message), Bytes::copy_from_slice(reset.cancel_path));
    Reset::Rst { code: code.0, message, path }
}

/// How a stream ended, read from a backend's trailer (streaming-wire A9).
pub(crate) fn outcome_of(outcome: &ttstream::Outcome<'_>) -> StreamOutcome {
    let bytes = Bytes::copy_from_slice;
    match outcome {
        ttstream::Outcome::Success => StreamOutcome::Ok,
        ttstream::Outcome::Business(error) => StreamOutcome::Business {
            status: error.status,
            message: bytes(error.message),
            extra: Some(error.extra).filter(|extra| !extra.is_empty()).map(bytes),
        },
        ttstream::Outcome::Exception(exception) => {
            StreamOutcome::Exception { code: exception.code.0, message: bytes(exception.message) }
        }
        ttstream::Outcome::Undecodable(error) => {
            StreamOutcome::Exception { code: Code::ILLEGAL_FRAME.0, message: error.to_string().into() }
        }
        _ => StreamOutcome::Exception { code: Code::ILLEGAL_FRAME.0, message: Bytes::new() },
    }
}

/// The code of an exception and its text.
type Told = (Code, Bytes);

/// A key and its value in a frame.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The exception and the pairs that tell `outcome` in a trailer (D3).
pub(crate) fn trailer_of(outcome: &StreamOutcome) -> (Option<Told>, Vec<(&'static [u8], Bytes)>) {
    match outcome {
        StreamOutcome::Ok => (None, Vec::new()),
        StreamOutcome::Business { status, message, extra } => {
            let mut pairs =
                vec![(keys::BIZ_STATUS, Bytes::from(status.to_string())), (keys::BIZ_MESSAGE, message.clone())];
            pairs.extend(extra.clone().map(|extra| (keys::BIZ_EXTRA, extra)));
            (None, pairs)
        }
        // The text that a Kitex process gives such an error.
        StreamOutcome::Status { code, message } => {
            let text = status::rpc_error(status::Code(*code), message);
            (Some((Code::INTERNAL_ERROR, text.into())), Vec::new())
        }
        StreamOutcome::Exception { code, message } => (Some((Code(*code), message.clone())), Vec::new()),
    }
}

/// The exception of a trailer for a stream that the proxy can't carry; `over_grpc` is whether its backend speaks that.
pub(crate) fn exception_of_fault(fault: &Fault, over_grpc: bool) -> (Code, Bytes) {
    let code = match fault.kind {
        FaultKind::UnknownService => Code::UNKNOWN_SERVICE,
        FaultKind::UnknownMethod => Code::UNKNOWN_METHOD,
        FaultKind::Timeout => Code::STREAM_TIMEOUT,
        // In the form in which a gRPC process knows what became of it (D3).
        FaultKind::UpstreamClosed if over_grpc => {
            let text = status::rpc_error(status::Code::UNAVAILABLE, fault.told().as_bytes());
            return (Code::INTERNAL_ERROR, text.into());
        }
        _ => Code::INTERNAL_ERROR,
    };
    (code, fault.told().into())
}

/// What an rst frame towards a backend says (D4). `name` is what the proxy calls itself.
pub(crate) fn rst_of(reset: &Reset, name: &str) -> (Code, Bytes, Bytes) {
    let own = || Bytes::copy_from_slice(name.as_bytes());
    let foreign = || Bytes::from(["non-ttstream path,", name].concat());
    match reset {
        Reset::Http2(GRACEFUL_SHUTDOWN) => {
            (Code::INTERNAL_CANCELLED, Bytes::from_static(b"rpc error: code = 14 desc = graceful shutdown"), foreign())
        }
        Reset::Http2(error) => {
            let error = grpc_frame::http2::ErrorCode(*error);
            let text =
                format!("rpc error: code = 1 desc = transport: RSTStream Frame received with error code: {error}");
            (Code::INTERNAL_CANCELLED, text.into(), foreign())
        }
        Reset::Rst { code, message, path } if path.is_empty() => (Code(*code), message.clone(), own()),
        Reset::Rst { code, message, path } => {
            (Code(*code), message.clone(), [&path[..], name.as_bytes()].join(&b","[..]).into())
        }
        Reset::Lost(Protocol::TtStream) => (Code::CONNECTION_CLOSED, built_in(Code::CONNECTION_CLOSED), own()),
        Reset::Lost(_) => {
            let text = b"rpc error: code = 1 desc = transport: connection EOF";
            (Code::INTERNAL_CANCELLED, Bytes::from_static(text), foreign())
        }
        Reset::Deadline(text) => (Code::STREAM_TIMEOUT, text.to_string().into(), own()),
        Reset::Fault(fault) => (Code::INTERNAL_CANCELLED, fault.told().into(), own()),
    }
}

fn built_in(code: Code) -> Bytes {
    Bytes::from_static(code.message().unwrap_or_default().as_bytes())
}

/// What a caller is told when its backend reset the stream in another protocol, or was lost (D3).
pub(crate) fn exception_of_reset(reset: &Reset) -> (Code, Bytes) {
    match reset {
        Reset::Http2(GRACEFUL_SHUTDOWN) => {
            (Code::INTERNAL_ERROR, status::rpc_error(status::Code::UNAVAILABLE, b"graceful shutdown").into())
        }
        Reset::Http2(code) => {
            let error = grpc_frame::http2::ErrorCode(*code);
            let text = format!("stream terminated by RST_STREAM with error code: {error}");
            (Code::INTERNAL_ERROR, status::rpc_error(status::Code::from_rst(*code), text.as_bytes()).into())
        }
        Reset::Rst { code, message, .. } => (Code(*code), message.clone()),
        Reset::Lost(protocol) => {
            (Code::INTERNAL_ERROR, format!("proxy: the backend's {protocol} connection was lost").into())
        }
        Reset::Deadline(text) => (Code::STREAM_TIMEOUT, text.to_string().into()),
        Reset::Fault(fault) => exception_of_fault(fault, false),
    }
}

/// The string pairs of another protocol's metadata, and how many pairs have no form in a frame (D5).
pub(crate) fn pairs_of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> (Vec<Pair<'a>>, u64) {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut dropped = 0_u64;
    for Entry { key, value } in entries {
        if key.len() > MAX_STRING || value.len() > MAX_STRING {
            dropped = dropped.saturating_add(1);
            continue;
        }
        let Some((_, first)) = pairs.iter_mut().find(|(known, _)| *known == key) else {
            pairs.push((key, value));
            continue;
        };
        // A frame has one value for a key.
        dropped = dropped.saturating_add(1);
        let joins = !key.starts_with(b"RPC_") && !str::from_utf8(&key).is_ok_and(is_binary);
        if joins && first.len().saturating_add(value.len()) < MAX_STRING {
            *first = [&first[..], &value[..]].join(&b","[..]).into();
        }
    }
    (pairs, dropped)
}

/// The messages in the data of another protocol.
#[derive(Debug)]
pub(crate) struct Messages {
    assembler: Assembler,
    encoding: Option<Bytes>,
    max_message: usize,
}

impl Messages {
    pub(crate) fn new(max_message: usize) -> Self {
        Self { assembler: Assembler::new(max_message), encoding: None, max_message }
    }

    /// Learns how messages are compressed.
    pub(crate) fn set_encoding(&mut self, fields: &HeaderMap) {
        self.encoding = fields.get(compression::ENCODING).map(|name| Bytes::copy_from_slice(name.as_bytes()));
    }

    pub(crate) fn feed(&mut self, bytes: Bytes) {
        self.assembler.feed(bytes);
    }

    /// The next whole message, uncompressed, as a data frame carries it (D2).
    ///
    /// # Errors
    ///
    /// It is too long, empty, or compressed in a way that can't be undone.
    pub(crate) fn next_message(&mut self) -> Result<Option<Bytes>, Fault> {
        let payload = self.next_payload()?;
        if payload.as_ref().is_some_and(Bytes::is_empty) {
            return Err(Fault::sent(FaultKind::BadArguments, "an empty message has no form in ttstream"));
        }
        Ok(payload)
    }

    /// The next whole message, uncompressed, which may be empty.
    ///
    /// # Errors
    ///
    /// It is too long, or compressed in a way that can't be undone.
    pub(crate) fn next_payload(&mut self) -> Result<Option<Bytes>, Fault> {
        let too_long = |text: String| Fault::sent(FaultKind::OverLimit, text);
        let Some(message) = self.assembler.next_message().map_err(|error| too_long(error.to_string()))? else {
            return Ok(None);
        };
        let payload = if message.flag.is_compressed() {
            let encoding = Encoding::parse(self.encoding.as_deref().unwrap_or_default());
            if encoding == Encoding::Identity {
                let text = "a message is compressed, and `grpc-encoding` does not say how";
                return Err(Fault::sent(FaultKind::BadArguments, text));
            }
            encoding.decompress(&message.payload, self.max_message).map_err(|error| match error {
                CompressionError::TooLong { .. } => too_long(error.to_string()),
                error => Fault::sent(FaultKind::BadArguments, format!("a compressed message: {error}")),
            })?
        } else {
            message.payload
        };
        Ok(Some(payload))
    }

    /// Whether the sender may end here.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.assembler.is_between_messages()
    }
}

/// Appends a server's trailer.
pub(crate) fn write_trailer(
    encoder: &StreamEncoder,
    exception: Option<(Code, &[u8])>,
    pairs: &[Pair<'_>],
    dst: &mut BytesMut,
) -> Result<(), EncodeError> {
    let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
    match exception {
        Some((code, message)) => encoder.exception_trailer(pairs, &Exception::new(code, message), dst),
        None => encoder.trailer(pairs, dst),
    }
}

/// The pairs of metadata that came in another form than a frame's.
pub(crate) fn foreign(metadata: &Metadata) -> (Vec<Pair<'_>>, u64) {
    let mut unreadable = 0_u64;
    let (pairs, dropped) = pairs_of(metadata.entries(|| unreadable = unreadable.saturating_add(1)));
    (pairs, dropped.saturating_add(unreadable))
}

/// What may wait to be written on a connection, in bytes, before its streams wait too.
const MAX_UNWRITTEN: usize = 256 * 1024;
/// Room for the head of a usual frame.
const HEAD_HINT: usize = 256;
/// The longest key or value of a frame, in bytes.
const MAX_STRING: usize = 65_535;
/// What Kitex resets with at the end of its grace time (streaming-wire B10).
const GRACEFUL_SHUTDOWN: u32 = 1000;
