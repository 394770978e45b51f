//! As much of HTTP/2 as an honest peer needs: frames, settings, pings, and both flow control windows.

pub(super) mod decode;
pub(super) mod encode;
pub(super) mod frame;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use encode::{Encoder, Field};
use frame::Frame;

use super::outbox::Outbox;
use super::{Fault, Writes};

/// What this side allows on one stream: more than the largest message of the harness, so that what is measured is not
/// the harness's own flow control.
pub(super) const STREAM_WINDOW: u32 = 4 << 20;
/// What it allows on one connection.
pub(super) const CONNECTION_WINDOW: u32 = 32 << 20;
/// The largest DATA frame sent: what every peer takes without having said so, and what stock gRPC clients send.
const FRAME_MAX: usize = 16 << 10;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HTTP/2's own value until the peer says another.
const DEFAULT_WINDOW: i64 = 65_535;
const DEFAULT_TABLE: u32 = 4_096;

/// One side of a connection.
#[derive(Debug)]
pub(super) struct Http2 {
    /// What has to be written to the socket.
    pub(super) out: Outbox,
    encoder: Encoder,
    window: i64,
    initial_window: i64,
    streams: HashMap<u32, Stream, BuildHasherDefault<IdHasher>>,
    /// Streams with bytes that wait for window, in the order they get it.
    waiting: VecDeque<u32>,
    /// Bytes received that the connection's window has not been given back for.
    received: u32,
    /// Bytes of the client's preface that are still to come.
    preface_left: usize,
}

/// What happens behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The stream stays open for more.
    Stay,
    /// END_STREAM with the last DATA frame.
    End,
    /// Trailers.
    Trailers(&'static [Field]),
}

/// What came, as far as it concerns a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Headers { id: u32, tag: usize, block: &'a [u8], end: bool },
    Data { id: u32, tag: usize, bytes: &'a [u8], end: bool },
    Reset { code: u32 },
    GoAway { code: u32 },
}

#[derive(Debug)]
struct Stream {
    tag: usize,
    window: i64,
    received: u32,
    /// Bytes that wait for window, from `at` on.
    unsent: Vec<u8>,
    at: usize,
    then: Then,
    /// The end was sent, or is behind the bytes that wait.
    closed: bool,
}

impl Http2 {
    /// A client's side, with preface and settings to be sent.
    pub(super) fn client(writes: Writes) -> Self {
        let mut own = Self::new(0, writes);
        own.out.bytes.extend_from_slice(PREFACE);
        own.greet();
        own
    }

    /// A server's side, with settings to be sent.
    pub(super) fn server(writes: Writes) -> Self {
        let mut own = Self::new(PREFACE.len(), writes);
        own.greet();
        own
    }

    fn new(preface_left: usize, writes: Writes) -> Self {
        Self {
            out: Outbox::new(writes),
            encoder: Encoder::default(),
            window: DEFAULT_WINDOW,
            initial_window: DEFAULT_WINDOW,
            streams: HashMap::default(),
            waiting: VecDeque::new(),
            received: 0,
            preface_left,
        }
    }

    fn greet(&mut self) {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        const ENABLE_PUSH_OFF: [u8; 6] = [0, 2, 0, 0, 0, 0];
        let mut settings = Vec::new();
        if self.preface_left == 0 {
            settings.extend_from_slice(&ENABLE_PUSH_OFF);
        }
        settings.extend_from_slice(&INITIAL_WINDOW_SIZE);
        settings.extend_from_slice(&STREAM_WINDOW.to_be_bytes());
        frame::push(frame::SETTINGS, 0, 0, &settings, &mut self.out.bytes);
        let more = CONNECTION_WINDOW.saturating_sub(65_535);
        frame::push(frame::WINDOW_UPDATE, 0, 0, &more.to_be_bytes(), &mut self.out.bytes);
    }

    /// Takes the client's preface off the front; whether it is complete.
    ///
    /// # Errors
    /// When the bytes are no HTTP/2.
    pub(super) fn take_preface(&mut self, bytes: &mut &[u8]) -> Result<bool, Fault> {
        let from = PREFACE.len().saturating_sub(self.preface_left);
        let expected = PREFACE.get(from..).unwrap_or_default();
        let (came, rest) = bytes.split_at(expected.len().min(bytes.len()));
        if !expected.starts_with(came) {
            return Err(Fault::Http2("no client preface"));
        }
        *bytes = rest;
        self.preface_left = self.preface_left.saturating_sub(came.len());
        Ok(self.preface_left == 0)
    }

    /// Opens a stream with its headers; `tag` comes back with its events.
    pub(super) fn open(&mut self, id: u32, tag: usize, headers: &'static [Field]) {
        self.streams.insert(id, Stream::new(tag, self.initial_window));
        self.headers(id, headers, false);
    }

    /// Sends a header block.
    pub(super) fn headers(&mut self, id: u32, headers: &'static [Field], end: bool) {
        let end_stream = if end { frame::END_STREAM } else { 0 };
        let at = frame::begin(frame::HEADERS, frame::END_HEADERS | end_stream, id, &mut self.out.bytes);
        self.encoder.encode(headers, &mut self.out.bytes);
        frame::finish(at, &mut self.out.bytes);
    }

    /// Sends a message as far as the windows allow, keeps the rest until they allow more, and ends the stream as asked.
    pub(super) fn send(&mut self, id: u32, message: &[u8], then: Then) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.unsent.is_empty() {
            stream.unsent.extend_from_slice(message);
            stream.then = then;
            return;
        }
        let sent = push_data(id, message, then, &mut stream.window, &mut self.window, &mut self.out.bytes);
        if sent < message.len() {
            stream.unsent.extend_from_slice(message.get(sent..).unwrap_or_default());
            stream.at = 0;
            stream.then = then;
            self.waiting.push_back(id);
            return;
        }
        self.sent_all(id, then);
    }

    /// Ends this side of a stream on which nothing waits: an empty DATA frame, or trailers.
    pub(super) fn finish(&mut self, id: u32, then: Then) {
        if then == Then::End {
            frame::push(frame::DATA, frame::END_STREAM, id, &[], &mut self.out.bytes);
        }
        self.sent_all(id, then);
    }

    /// Forgets a stream.
    pub(super) fn close(&mut self, id: u32) {
        self.streams.remove(&id);
    }

    /// Takes a frame; what it means for a stream, if anything.
    ///
    /// # Errors
    /// When it breaks HTTP/2, or is of a kind that this harness has no use for.
    pub(super) fn handle<'a>(&mut self, frame: Frame<'a>) -> Result<Option<Event<'a>>, Fault> {
        match frame.kind {
            frame::DATA => return self.data(frame).map(Some),
            frame::HEADERS => {
                if frame.flags & frame::END_HEADERS == 0 {
                    return Err(Fault::Http2("a header block in more than one frame"));
                }
                let end = frame.flags & frame::END_STREAM != 0;
                let tag = self.streams.get(&frame.id).map_or(usize::MAX, |stream| stream.tag);
                return Ok(Some(Event::Headers { id: frame.id, tag, block: frame.header_block()?, end }));
            }
            frame::RST_STREAM => return Ok(self.reset(&frame)),
            frame::GOAWAY => {
                let code = frame.payload.get(4..).and_then(|rest| rest.first_chunk()).copied();
                return Ok(Some(Event::GoAway { code: u32::from_be_bytes(code.unwrap_or_default()) }));
            }
            frame::SETTINGS => self.settings(&frame)?,
            frame::PING if frame.flags & frame::ACK == 0 => {
                frame::push(frame::PING, frame::ACK, 0, frame.payload, &mut self.out.bytes);
            }
            frame::WINDOW_UPDATE => self.window_update(&frame)?,
            frame::CONTINUATION => return Err(Fault::Http2("CONTINUATION")),
            frame::PUSH_PROMISE => return Err(Fault::Http2("PUSH_PROMISE")),
            // PRIORITY, answered pings, and what an extension may bring.
            _ => {}
        }
        Ok(None)
    }

    /// Takes a stream that the peer has opened.
    pub(super) fn accept(&mut self, id: u32, tag: usize) {
        self.streams.insert(id, Stream::new(tag, self.initial_window));
    }

    fn data<'a>(&mut self, frame: Frame<'a>) -> Result<Event<'a>, Fault> {
        let len = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        self.received = self.received.saturating_add(len);
        if self.received >= CONNECTION_WINDOW / 2 {
            frame::push(frame::WINDOW_UPDATE, 0, 0, &self.received.to_be_bytes(), &mut self.out.bytes);
            self.received = 0;
        }
        let end = frame.flags & frame::END_STREAM != 0;
        let Some(stream) = self.streams.get_mut(&frame.id) else {
            return Err(Fault::Http2("DATA on a stream that is not open"));
        };
        stream.received = stream.received.saturating_add(len);
        if stream.received >= STREAM_WINDOW / 2 && !end {
            frame::push(frame::WINDOW_UPDATE, 0, frame.id, &stream.received.to_be_bytes(), &mut self.out.bytes);
            stream.received = 0;
        }
        Ok(Event::Data { id: frame.id, tag: stream.tag, bytes: frame.data()?, end })
    }

    /// A reset says something only about a stream that is not over; a server may send NO_ERROR behind its trailers.
    fn reset(&mut self, frame: &Frame<'_>) -> Option<Event<'static>> {
        let code = u32::from_be_bytes(frame.payload.first_chunk().copied().unwrap_or_default());
        let stream = self.streams.remove(&frame.id)?;
        if stream.closed && code == 0 {
            return None;
        }
        Some(Event::Reset { code })
    }

    fn settings(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        const HEADER_TABLE_SIZE: [u8; 2] = [0, 1];
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        if frame.flags & frame::ACK != 0 {
            return Ok(());
        }
        for setting in frame.payload.chunks_exact(6) {
            let Some((name, value)) = setting.split_first_chunk::<2>() else { continue };
            let value = u32::from_be_bytes(value.first_chunk().copied().unwrap_or_default());
            match *name {
                HEADER_TABLE_SIZE if value < DEFAULT_TABLE => self.encoder.stop_indexing(),
                INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value).saturating_sub(self.initial_window);
                    self.initial_window = i64::from(value);
                    for stream in self.streams.values_mut() {
                        stream.window = stream.window.saturating_add(change);
                    }
                }
                _ => {}
            }
        }
        frame::push(frame::SETTINGS, frame::ACK, 0, &[], &mut self.out.bytes);
        self.send_waiting();
        Ok(())
    }

    fn window_update(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        let Some(more) = frame.payload.first_chunk().map(|bytes| i64::from(u32::from_be_bytes(*bytes) & 0x7fff_ffff))
        else {
            return Err(Fault::Http2("WINDOW_UPDATE without a window"));
        };
        if frame.id == 0 {
            self.window = self.window.saturating_add(more);
        } else if let Some(stream) = self.streams.get_mut(&frame.id) {
            stream.window = stream.window.saturating_add(more);
        }
        if !self.waiting.is_empty() {
            self.send_waiting();
        }
        Ok(())
    }

    /// Gives every stream that waits what the windows have for it, once around.
    fn send_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let rest = stream.unsent.get(stream.at..).unwrap_or_default();
            let sent = push_data(id, rest, stream.then, &mut stream.window, &mut self.window, &mut self.out.bytes);
            if sent < rest.len() {
                stream.at = stream.at.saturating_add(sent);
                self.waiting.push_back(id);
                continue;
            }
            stream.unsent.clear();
            stream.at = 0;
            let then = stream.then;
            self.sent_all(id, then);
        }
    }

    fn sent_all(&mut self, id: u32, then: Then) {
        if then != Then::Stay
            && let Some(stream) = self.streams.get_mut(&id)
        {
            stream.closed = true;
        }
        if let Then::Trailers(trailers) = then {
            self.headers(id, trailers, true);
            // Only a server sends trailers, and only when it has read to the end.
            self.close(id);
        }
        self.out.end_message();
    }
}

impl Stream {
    fn new(tag: usize, window: i64) -> Self {
        Self { tag, window, received: 0, unsent: Vec::new(), at: 0, then: Then::Stay, closed: false }
    }
}

/// Appends DATA frames as far as both windows allow; how many bytes they hold.
fn push_data(id: u32, bytes: &[u8], then: Then, own: &mut i64, shared: &mut i64, out: &mut Vec<u8>) -> usize {
    let mut sent = 0_usize;
    while sent < bytes.len() {
        let room = usize::try_from((*own).min(*shared)).unwrap_or(0).min(FRAME_MAX);
        if room == 0 {
            break;
        }
        let rest = bytes.get(sent..).unwrap_or_default();
        let part = rest.get(..room).unwrap_or(rest);
        let last = then == Then::End && part.len() == rest.len();
        frame::push(frame::DATA, if last { frame::END_STREAM } else { 0 }, id, part, out);
        sent = sent.saturating_add(part.len());
        let taken = i64::try_from(part.len()).unwrap_or(i64::MAX);
        *own = own.saturating_sub(taken);
        *shared = shared.saturating_sub(taken);
    }
    sent
}

/// Stream ids are dealt in order; they need no mixing but the one that brings them to the table's control bits.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(GOLDEN);
    }
}
