//! The scripted raw peer for HTTP/2 and gRPC, on either side of a connection.
//!
//! [`RawH2`] sends any frame, sound or not, and reads frames with their header lists decoded. It answers SETTINGS and
//! PING unless told not to, as it reads them, and gives no credit unless told to. What comes is held against the rules of frames: a peer
//! that breaks one fails the test.
//!
//! A backend is a [`RawServer`](super::RawServer) whose connections are turned into this:
//!
//! ```
//! use testkit::peer::RawServer;
//! use testkit::peer::http2::{RawH2, grpc_message};
//!
//! let backend = RawServer::start(|conn| {
//!     let mut conn = RawH2::server(conn);
//!     while let Some(request) = conn.next_request() {
//!         while let Some(message) = conn.next_grpc_message(request.stream) {
//!             conn.respond(request.stream);
//!             conn.send_data(request.stream, grpc_message(message), false);
//!         }
//!         conn.trailers(request.stream, 0, "");
//!     }
//! });
//! let mut client = RawH2::client(backend.addr());
//! let answer = client.call("/echo.Echo/Echo", [("x-key", "value")], "hello");
//! assert_eq!((answer.status(), answer.messages()), (Some(0), vec![b"hello".to_vec()]));
//! ```

mod fields;
mod grpc;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    Continuation, Data, ErrorCode, Flags, Frame, FrameType, GoAway, Headers, Http2Codec, PREFACE, Peer, Ping,
    RstStream, SettingId, Settings, StreamId, Unknown, WindowUpdate,
};
use tokio_util::codec::Decoder;

pub use fields::Fields;
pub use grpc::{Answer, grpc_message, grpc_request, grpc_response, grpc_trailers};

use super::conn::Came;
use super::{PATIENCE, RawConn};

/// One HTTP/2 connection of either side, driven by hand.
///
/// Streams are given by their number. Reads wait for [`PATIENCE`] unless told otherwise and then fail their test;
/// those called `next_…` wait as long as it takes, and say `None` when the peer has closed. Frames that a wait passes
/// over stay for the next one.
pub struct RawH2 {
    conn: RawConn,
    codec: Http2Codec,
    inbox: BytesMut,
    unread: VecDeque<H2Frame>,
    decoder: loona_hpack::Decoder<'static>,
    encoder: loona_hpack::Encoder<'static>,
    acknowledges: bool,
    credits: bool,
    peer: Peer,
    closed: bool,
    next_stream: u32,
    streams: HashMap<u32, Stream>,
    windows: Windows,
}

/// What the gRPC helpers know of a stream.
#[derive(Debug, Default)]
struct Stream {
    /// The request was handed out.
    requested: bool,
    /// Headers of the answer were sent.
    responded: bool,
    /// The end or a reset was read.
    ended: bool,
    /// Data that was read and not handed out.
    data: Vec<u8>,
}

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct H2Frame {
    /// The frame; a header block in pieces is one.
    pub frame: Frame,
    /// The header list of HEADERS or PUSH_PROMISE; empty with other frames.
    pub fields: Fields,
}

impl H2Frame {
    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.frame.stream_id().value()
    }

    /// Whether END_STREAM is set.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        matches!(self.frame, Frame::Data(_) | Frame::Headers(_)) && self.frame.is_end_of_stream()
    }
}

/// A request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Its stream.
    pub stream: u32,
    /// Its header list.
    pub fields: Fields,
    /// Whether END_STREAM was set on the headers.
    pub ended: bool,
}

/// What the peer takes: octets, which may be fewer than none.
#[derive(Debug)]
struct Windows {
    connection: i64,
    initial: i64,
    /// What each stream's window differs from the initial one.
    streams: HashMap<u32, i64>,
    max_frame_size: usize,
}

enum Pulled {
    Frame(H2Frame),
    End,
    Nothing,
}

/// Made and set up.
impl RawH2 {
    /// Connects to `addr` and sends nothing.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    pub fn connect(addr: SocketAddr) -> Self {
        Self::new(RawConn::connect(addr), Peer::Server)
    }

    /// Connects to `addr` and sends the preface and empty SETTINGS.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    pub fn client(addr: SocketAddr) -> Self {
        let mut conn = Self::connect(addr);
        conn.open(&[]);
        conn
    }

    /// Takes an accepted connection over and sends nothing.
    #[must_use]
    pub fn accepted(conn: RawConn) -> Self {
        Self::new(conn, Peer::Client)
    }

    /// Takes an accepted connection over and sends empty SETTINGS.
    #[must_use]
    pub fn server(conn: RawConn) -> Self {
        let mut conn = Self::accepted(conn);
        conn.open(&[]);
        conn
    }

    fn new(conn: RawConn, peer: Peer) -> Self {
        // A peer that takes nothing must not hold its test up for ever.
        conn.stream().set_write_timeout(Some(5 * PATIENCE)).expect("SO_SNDTIMEO");
        Self {
            conn,
            codec: Http2Codec::builder()
                .expect_preface(peer)
                .max_header_block(16 << 20)
                .max_continuations(10_000)
                .build(),
            inbox: BytesMut::new(),
            unread: VecDeque::new(),
            decoder: loona_hpack::Decoder::new(),
            encoder: loona_hpack::Encoder::new(),
            acknowledges: true,
            credits: false,
            peer,
            closed: false,
            next_stream: 1,
            streams: HashMap::new(),
            windows: Windows { connection: 65_535, initial: 65_535, streams: HashMap::new(), max_frame_size: 16_384 },
        }
    }

    /// Sets how long each read waits.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.conn = self.conn.patience(patience);
        self
    }

    /// Whether SETTINGS and PING are acknowledged as they are read, which they are at first.
    pub fn auto_ack(&mut self, on: bool) {
        self.acknowledges = on;
    }

    /// Whether the windows of stream and connection are given back as DATA is read, which they are not at first.
    pub fn auto_credit(&mut self, on: bool) {
        self.credits = on;
    }

    /// The connection beneath.
    #[must_use]
    pub fn conn(&self) -> &RawConn {
        &self.conn
    }
}

/// Sending.
impl RawH2 {
    /// Sends what opens the connection: on a client's side the preface, and SETTINGS with these values.
    ///
    /// # Panics
    ///
    /// When a value is one that it must not have, or the peer is gone.
    pub fn open(&mut self, settings: &[(SettingId, u32)]) {
        if self.peer == Peer::Server {
            self.conn.send(PREFACE);
        }
        self.send_settings(settings);
    }

    /// Sends `octets`, whatever they are.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.conn.send(octets);
    }

    /// Sends `octets` if the peer takes them; false when it is gone, or takes nothing for a long time.
    pub fn try_send(&mut self, octets: impl AsRef<[u8]>) -> bool {
        self.conn.try_send(octets)
    }

    /// Sends a frame that breaks no rule of its own.
    ///
    /// # Panics
    ///
    /// When it does, or the peer is gone.
    pub fn send_frame(&mut self, frame: impl Into<Frame>) {
        let frame = frame.into();
        self.windows.sent(&frame);
        self.conn.send(encoded(&frame));
    }

    /// Sends a frame of any type with anything in it.
    ///
    /// # Panics
    ///
    /// When Length cannot say how long it is, or the peer is gone.
    pub fn send_any(&mut self, frame_type: FrameType, flags: Flags, stream: u32, payload: impl AsRef<[u8]>) {
        let payload = Bytes::copy_from_slice(payload.as_ref());
        let frame = Unknown { frame_type, flags, stream_id: StreamId::new(stream), payload };
        self.conn.send(encoded(&frame.into()));
    }

    /// Sends SETTINGS. A larger frame size is taken from now on.
    ///
    /// # Panics
    ///
    /// When a value is one that it must not have, or the peer is gone.
    pub fn send_settings(&mut self, settings: &[(SettingId, u32)]) {
        let settings = Settings::new(settings.iter().copied()).expect("values in range");
        if let Some(size) = settings.value(SettingId::MAX_FRAME_SIZE) {
            self.codec.set_max_frame_size(usize::try_from(size).expect("24 bits"));
        }
        self.send_frame(settings);
    }

    /// Sends HEADERS with these fields as literals that are not indexed.
    pub fn send_headers(&mut self, stream: u32, fields: impl Into<Fields>, end_stream: bool) {
        self.send_block(stream, fields.into().literal_block(), end_stream);
    }

    /// Sends HEADERS with this header block, which need not be one.
    pub fn send_block(&mut self, stream: u32, block: impl Into<Bytes>, end_stream: bool) {
        let flags = Flags::END_HEADERS.with(Flags::END_STREAM, end_stream);
        self.send_frame(Headers::new(StreamId::new(stream), block.into()).with_flags(flags));
    }

    /// Sends a header block as HEADERS and CONTINUATION, `piece` octets each.
    pub fn send_block_in_pieces(&mut self, stream: u32, block: impl Into<Bytes>, piece: usize, end_stream: bool) {
        let (stream_id, mut block) = (StreamId::new(stream), block.into());
        let first = block.split_to(piece.min(block.len()));
        let flags = |block: &Bytes| Flags::NONE.with(Flags::END_HEADERS, block.is_empty());
        let first_flags = flags(&block).with(Flags::END_STREAM, end_stream);
        self.send_frame(Headers::new(stream_id, first).with_flags(first_flags));
        while !block.is_empty() {
            let fragment = block.split_to(piece.min(block.len()));
            self.send_frame(Continuation { stream_id, flags: flags(&block), fragment });
        }
    }

    /// The header block of these fields by this connection's table, which grows: it has to be sent, and in turn.
    pub fn encode_fields(&mut self, fields: impl Into<Fields>) -> Bytes {
        self.encoder.encode(fields.into().iter()).into()
    }

    /// Sends one DATA frame, whatever the windows are.
    pub fn send_data(&mut self, stream: u32, data: impl AsRef<[u8]>, end_stream: bool) {
        let data = Data::new(StreamId::new(stream), Bytes::copy_from_slice(data.as_ref()));
        self.send_frame(data.with_flags(Flags::NONE.with(Flags::END_STREAM, end_stream)));
    }

    /// Sends DATA frames as the windows allow, waiting for them to open; false when the stream is reset or the
    /// connection closed first. Other frames that come meanwhile stay to be read.
    ///
    /// # Panics
    ///
    /// When the windows stay shut.
    pub fn send_all(&mut self, stream: u32, data: impl AsRef<[u8]>, end_stream: bool) -> bool {
        let mut rest = data.as_ref();
        loop {
            let window = usize::try_from(self.window(stream)).unwrap_or_default();
            let (piece, after) = rest.split_at(rest.len().min(window).min(self.windows.max_frame_size));
            if !piece.is_empty() || after.is_empty() {
                self.send_data(stream, piece, end_stream && after.is_empty());
                rest = after;
                if rest.is_empty() {
                    return true;
                }
                continue;
            }
            match self.pull(Some(self.conn.deadline())) {
                Pulled::Frame(frame) => {
                    let reset = frame.stream() == stream && matches!(frame.frame, Frame::RstStream(_));
                    self.unread.push_back(frame);
                    if reset {
                        return false;
                    }
                }
                Pulled::End => return false,
                Pulled::Nothing => panic!("the window of stream {stream} stays at {}", self.window(stream)),
            }
        }
    }

    /// Sends RST_STREAM.
    pub fn send_reset(&mut self, stream: u32, code: ErrorCode) {
        self.send_frame(RstStream::new(StreamId::new(stream), code));
    }

    /// Sends PING.
    pub fn send_ping(&mut self, data: [u8; 8]) {
        self.send_frame(Ping::new(data));
    }

    /// Sends GOAWAY.
    pub fn send_goaway(&mut self, last_stream: u32, code: ErrorCode, text: &str) {
        let debug_data = Bytes::copy_from_slice(text.as_bytes());
        self.send_frame(GoAway::new(StreamId::new(last_stream), code, debug_data));
    }

    /// Sends WINDOW_UPDATE; stream 0 is the connection.
    pub fn grant(&mut self, stream: u32, octets: u32) {
        self.send_frame(WindowUpdate::new(StreamId::new(stream), octets));
    }

    /// How many octets of DATA the peer takes on `stream` now, by SETTINGS and WINDOW_UPDATE as far as they were read
    /// and DATA as it was sent.
    #[must_use]
    pub fn window(&self, stream: u32) -> i64 {
        self.windows.of(stream)
    }
}

/// gRPC.
impl RawH2 {
    /// Opens the next stream with a request's headers; see [`grpc_request`].
    pub fn request(&mut self, path: &str, extra: impl Into<Fields>) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.send_headers(stream, grpc_request(path, extra), false);
        stream
    }

    /// A unary call: headers, one message, half-close, and the answer to its end.
    pub fn call(&mut self, path: &str, extra: impl Into<Fields>, payload: impl AsRef<[u8]>) -> Answer {
        let stream = self.request(path, extra);
        self.send_all(stream, grpc_message(payload), true);
        self.read_answer(stream)
    }

    /// Sends an answer's headers, unless they were sent for this stream before. To be followed by messages.
    pub fn respond(&mut self, stream: u32) {
        let state = self.streams.entry(stream).or_default();
        if !std::mem::replace(&mut state.responded, true) {
            self.send_headers(stream, grpc_response(NONE), false);
        }
    }

    /// Ends an answer with trailers; with trailers alone if it had no headers yet.
    pub fn trailers(&mut self, stream: u32, status: u32, message: &str) {
        let trailers = grpc_trailers(status, message, NONE);
        let responded = self.streams.get(&stream).is_some_and(|state| state.responded);
        let fields = if responded { trailers } else { grpc_response(trailers) };
        self.send_headers(stream, fields, true);
    }

    /// Waits for the next request however long it takes; `None` when the peer closes first.
    pub fn next_request(&mut self) -> Option<Request> {
        let requested = self.streams.iter().filter(|(_, state)| state.requested).map(|(stream, _)| *stream);
        let seen: HashSet<u32> = requested.collect();
        let is_new = |frame: &H2Frame| matches!(frame.frame, Frame::Headers(_)) && !seen.contains(&frame.stream());
        let frame = self.find(None, is_new)?;
        let state = self.streams.entry(frame.stream()).or_default();
        (state.requested, state.ended) = (true, frame.ends_stream());
        Some(Request { stream: frame.stream(), ended: frame.ends_stream(), fields: frame.fields })
    }

    /// Waits for the next gRPC message on `stream` however long it takes: its payload. `None` at the end of the stream,
    /// at its reset, and when the peer closes.
    pub fn next_grpc_message(&mut self, stream: u32) -> Option<Vec<u8>> {
        loop {
            let state = self.streams.entry(stream).or_default();
            if let Some((_, payload)) = grpc::take_message(&mut state.data) {
                return Some(payload);
            }
            if state.ended {
                return None;
            }
            let frame = self.find(None, |frame| is_of_stream(frame, stream))?;
            let state = self.streams.entry(stream).or_default();
            state.ended = frame.frame.is_end_of_stream();
            if let Frame::Data(data) = frame.frame {
                state.data.extend_from_slice(&data.data);
            }
        }
    }

    /// Reads what comes on `stream` up to its end or reset.
    ///
    /// # Panics
    ///
    /// When neither comes in time.
    pub fn read_answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        while !answer.ended && answer.reset.is_none() {
            let frame = self.wait_for(&format!("the end of stream {stream}"), |frame| is_of_stream(frame, stream));
            answer.ended = frame.ends_stream();
            match frame.frame {
                Frame::Data(data) => {
                    answer.data_frames.push(data.data.len());
                    answer.data.extend_from_slice(&data.data);
                }
                Frame::RstStream(reset) => answer.reset = Some(reset.code),
                _ if answer.headers.is_none() => answer.headers = Some(frame.fields),
                _ => answer.trailers = Some(frame.fields),
            }
        }
        answer
    }
}

/// Reading.
impl RawH2 {
    /// Reads the next frame.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn read_frame(&mut self) -> H2Frame {
        self.wait_for("a frame", |_| true)
    }

    /// Reads the next frame however long it takes; `None` when the peer closes first.
    pub fn next_frame(&mut self) -> Option<H2Frame> {
        self.find(None, |_| true)
    }

    /// Reads the next frame if one comes within `time`.
    pub fn poll_frame(&mut self, time: Duration) -> Option<H2Frame> {
        self.find(Some(Instant::now() + time), |_| true)
    }

    /// Reads the first frame that is as `wanted`. Those before it stay to be read.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&H2Frame) -> bool) -> H2Frame {
        let deadline = self.conn.deadline();
        self.find(Some(deadline), wanted).unwrap_or_else(|| {
            let state = if self.closed { "closed" } else { "not in time" };
            panic!("{what}: {state}; unread are {:#?}", self.unread)
        })
    }

    /// Reads the next HEADERS of `stream`.
    pub fn wait_for_headers(&mut self, stream: u32) -> H2Frame {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::Headers(_)) && frame.stream() == stream;
        self.wait_for(&format!("HEADERS of stream {stream}"), wanted)
    }

    /// Reads the next DATA of `stream`.
    pub fn wait_for_data(&mut self, stream: u32) -> Data {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::Data(_)) && frame.stream() == stream;
        match self.wait_for(&format!("DATA of stream {stream}"), wanted).frame {
            Frame::Data(data) => data,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the reset of `stream`: its code.
    pub fn wait_for_reset(&mut self, stream: u32) -> ErrorCode {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::RstStream(_)) && frame.stream() == stream;
        match self.wait_for(&format!("RST_STREAM of stream {stream}"), wanted).frame {
            Frame::RstStream(reset) => reset.code,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the next GOAWAY.
    pub fn wait_for_goaway(&mut self) -> GoAway {
        match self.wait_for("GOAWAY", |frame| matches!(frame.frame, Frame::GoAway(_))).frame {
            Frame::GoAway(goaway) => goaway,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the next SETTINGS that are no acknowledgement.
    pub fn wait_for_settings(&mut self) -> Settings {
        let wanted = |frame: &H2Frame| matches!(&frame.frame, Frame::Settings(settings) if !settings.is_ack());
        match self.wait_for("SETTINGS", wanted).frame {
            Frame::Settings(settings) => settings,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the acknowledgement of SETTINGS of ours.
    pub fn wait_for_settings_ack(&mut self) {
        self.wait_for(
            "the acknowledgement of SETTINGS",
            |frame| matches!(&frame.frame, Frame::Settings(settings) if settings.is_ack()),
        );
    }

    /// Reads the answer to a PING of ours.
    pub fn wait_for_pong(&mut self, data: [u8; 8]) {
        self.wait_for(
            "the answer to PING",
            |frame| matches!(&frame.frame, Frame::Ping(ping) if ping.is_ack() && ping.data == data),
        );
    }

    /// Reads the next WINDOW_UPDATE of `stream`: its increment.
    pub fn wait_for_credit(&mut self, stream: u32) -> u32 {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::WindowUpdate(_)) && frame.stream() == stream;
        match self.wait_for(&format!("WINDOW_UPDATE of stream {stream}"), wanted).frame {
            Frame::WindowUpdate(update) => update.increment,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads up to the peer's close or reset: all frames that came.
    ///
    /// # Panics
    ///
    /// When the peer does not close.
    pub fn read_to_close(&mut self) -> Vec<H2Frame> {
        let deadline = self.conn.deadline();
        loop {
            match self.pull(Some(deadline)) {
                Pulled::Frame(frame) => self.unread.push_back(frame),
                Pulled::End => return self.unread.drain(..).collect(),
                Pulled::Nothing => panic!("not closed in time; unread are {:#?}", self.unread),
            }
        }
    }

    /// Expects that no frame of these streams comes within `time`; frames of others, and a close, are no matter.
    ///
    /// # Panics
    ///
    /// When one does, or is unread already.
    pub fn expect_silence(&mut self, streams: &[u32], time: Duration) {
        let wanted = |frame: &H2Frame| streams.contains(&frame.stream());
        if let Some(frame) = self.find(Some(Instant::now() + time), wanted) {
            panic!("a frame where silence was expected: {frame:?}");
        }
    }

    /// Closes the sending side.
    pub fn half_close(&self) {
        self.conn.half_close();
    }

    /// Ends both directions at once.
    pub fn shut_down(&self) {
        self.conn.shut_down();
    }

    /// Closes without a goodbye: the peer gets a TCP reset.
    pub fn reset(self) {
        self.conn.reset();
    }

    /// The first frame that is as `wanted`, unread or still to come before `deadline` and the peer's close.
    fn find(&mut self, deadline: Option<Instant>, wanted: impl Fn(&H2Frame) -> bool) -> Option<H2Frame> {
        if let Some(place) = self.unread.iter().position(&wanted) {
            return self.unread.remove(place);
        }
        loop {
            match self.pull(deadline) {
                Pulled::Frame(frame) if wanted(&frame) => return Some(frame),
                Pulled::Frame(frame) => self.unread.push_back(frame),
                Pulled::End | Pulled::Nothing => return None,
            }
        }
    }

    fn pull(&mut self, deadline: Option<Instant>) -> Pulled {
        loop {
            match self.codec.decode(&mut self.inbox) {
                Ok(Some(frame)) => return Pulled::Frame(self.take(frame)),
                Ok(None) => {}
                Err(error) => panic!("the peer broke a rule: {error}; {:02x?}", self.inbox),
            }
            match self.conn.fill(deadline) {
                Came::Bytes => self.inbox.extend_from_slice(&self.conn.drain()),
                Came::End => {
                    self.closed = true;
                    return Pulled::End;
                }
                Came::Nothing => return Pulled::Nothing,
            }
        }
    }

    /// Decodes the header list, keeps the windows' accounts, and answers what is to be answered.
    fn take(&mut self, frame: Frame) -> H2Frame {
        self.windows.received(&frame);
        // A peer that is gone needs no answer.
        match &frame {
            Frame::Settings(settings) if self.acknowledges && !settings.is_ack() => {
                self.conn.try_send(encoded(&Settings::ack().into()));
            }
            Frame::Ping(ping) if self.acknowledges && !ping.is_ack() => {
                self.conn.try_send(encoded(&ping.to_ack().into()));
            }
            Frame::Data(data) if self.credits && data.flow_len() > 0 => {
                let octets = u32::try_from(data.flow_len()).expect("24 bits");
                for stream_id in [StreamId::CONNECTION, data.stream_id] {
                    self.conn.try_send(encoded(&WindowUpdate::new(stream_id, octets).into()));
                }
            }
            _ => {}
        }
        let fields = match &frame {
            Frame::Headers(headers) => self.decode_fields(&headers.fragment),
            Frame::PushPromise(promise) => self.decode_fields(&promise.fragment),
            _ => Fields::default(),
        };
        H2Frame { frame, fields }
    }

    fn decode_fields(&mut self, block: &[u8]) -> Fields {
        Fields::new(self.decoder.decode(block).unwrap_or_else(|error| panic!("a header block: {error}; {block:02x?}")))
    }
}

impl fmt::Debug for RawH2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RawH2");
        shown.field("conn", &self.conn).field("peer", &self.peer).field("unread", &self.unread);
        shown.field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl Windows {
    fn of(&self, stream: u32) -> i64 {
        let own = self.initial + self.streams.get(&stream).copied().unwrap_or_default();
        own.min(self.connection)
    }

    fn sent(&mut self, frame: &Frame) {
        if let Frame::Data(data) = frame {
            let octets = i64::try_from(data.flow_len()).expect("24 bits");
            self.connection -= octets;
            *self.streams.entry(data.stream_id.value()).or_default() -= octets;
        }
    }

    fn received(&mut self, frame: &Frame) {
        match frame {
            Frame::Settings(settings) => {
                if let Some(initial) = settings.value(SettingId::INITIAL_WINDOW_SIZE) {
                    self.initial = initial.into();
                }
                if let Some(size) = settings.value(SettingId::MAX_FRAME_SIZE) {
                    self.max_frame_size = usize::try_from(size).expect("24 bits");
                }
            }
            Frame::WindowUpdate(update) if update.stream_id.is_connection() => {
                self.connection += i64::from(update.increment);
            }
            Frame::WindowUpdate(update) => {
                *self.streams.entry(update.stream_id.value()).or_default() += i64::from(update.increment);
            }
            _ => {}
        }
    }
}

/// Whether a frame is part of what a stream carries: header lists, data, its reset.
fn is_of_stream(frame: &H2Frame, stream: u32) -> bool {
    frame.stream() == stream && matches!(frame.frame, Frame::Headers(_) | Frame::Data(_) | Frame::RstStream(_))
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut octets = BytesMut::new();
    frame.encode(&mut octets).unwrap_or_else(|error| panic!("{frame:?}: {error}"));
    octets
}

/// No extra fields.
const NONE: [(&str, &str); 0] = [];

#[cfg(test)]
mod tests {
    use super::super::RawServer;
    use super::*;

    #[test]
    fn a_call_goes_there_and_back() {
        let backend = echo();
        let mut client = RawH2::client(backend.addr());
        let answer = client.call("/echo.Echo/Echo", [("x-key", "value")], "hello");
        assert_eq!((answer.status(), answer.message()), (Some(0), Some("value")));
        assert_eq!(answer.messages(), [b"hello"]);
        assert!(!answer.is_trailers_only());
        client.wait_for_settings();
        client.wait_for_settings_ack();
        assert_eq!((client.wait_for_credit(0), client.wait_for_credit(1)), (10, 10));
        client.expect_silence(&[0, 1], Duration::from_millis(20));
    }

    #[test]
    fn trailers_alone_are_told_from_an_answer() {
        let backend = RawServer::start(|conn| {
            let mut conn = RawH2::server(conn);
            while let Some(request) = conn.next_request() {
                conn.trailers(request.stream, 12, "no such method");
            }
        });
        let mut client = RawH2::client(backend.addr());
        let answer = client.call("/a/b", NONE, "");
        assert_eq!((answer.status(), answer.is_trailers_only()), (Some(12), true));
        assert_eq!(client.call("/a/b", NONE, "").message(), Some("no such method"));
    }

    #[test]
    fn more_than_a_window_goes_as_credit_comes() {
        let backend = echo();
        let mut client = RawH2::client(backend.addr());
        client.auto_credit(true);
        let payload = vec![b'm'; 1 << 20];
        let answer = client.call("/a/b", NONE, &payload);
        assert_eq!(answer.messages(), [payload]);
        assert!(answer.data_frames.iter().all(|len| *len <= 16_384));
    }

    #[test]
    fn windows_are_counted() {
        let backend = RawServer::start(|conn| {
            let mut conn = RawH2::accepted(conn);
            conn.open(&[(SettingId::INITIAL_WINDOW_SIZE, 10)]);
            let request = conn.next_request().unwrap();
            conn.grant(request.stream, 5);
            conn.wait_for_data(request.stream);
            conn.send_reset(request.stream, ErrorCode::CANCEL);
            conn.next_frame();
        });
        let mut client = RawH2::client(backend.addr());
        assert_eq!(client.window(1), 65_535);
        let stream = client.request("/a/b", NONE);
        client.wait_for_settings();
        assert_eq!(client.wait_for_credit(stream), 5);
        assert_eq!(client.window(stream), 15);
        assert!(!client.send_all(stream, [0; 16], true));
        assert_eq!((client.window(stream), client.window(3)), (0, 10));
        assert_eq!(client.wait_for_reset(stream), ErrorCode::CANCEL);
    }

    #[test]
    fn header_blocks_go_in_pieces_and_by_table() {
        let backend = echo();
        let mut client = RawH2::client(backend.addr());
        for stream in [1, 3, 5] {
            let fields = grpc_request("/a/b", [("x-key", "table")]);
            let block = client.encode_fields(fields);
            client.send_block_in_pieces(stream, block, 3, false);
            client.send_data(stream, grpc_message("m"), true);
            assert_eq!(client.read_answer(stream).message(), Some("table"));
        }
    }

    #[test]
    fn acknowledgements_can_be_left_out() {
        let backend = RawServer::start(|conn| {
            let mut conn = RawH2::server(conn);
            conn.auto_ack(false);
            let ping = conn.wait_for("PING", |frame| matches!(frame.frame, Frame::Ping(_)));
            let Frame::Ping(ping) = ping.frame else { unreachable!() };
            conn.send_frame(ping.to_ack());
            conn.send_goaway(0, ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings");
            conn.shut_down();
        });
        let mut client = RawH2::client(backend.addr());
        client.send_ping(*b"01234567");
        client.wait_for_pong(*b"01234567");
        let goaway = client.wait_for_goaway();
        assert_eq!((goaway.code, &goaway.debug_data[..]), (ErrorCode::ENHANCE_YOUR_CALM, &b"too_many_pings"[..]));
        // SETTINGS of the server alone: ours were not acknowledged.
        let rest = client.read_to_close();
        assert_eq!(rest.iter().map(|frame| frame.frame.frame_type()).collect::<Vec<_>>(), [FrameType::SETTINGS]);
        assert!(matches!(&rest[0].frame, Frame::Settings(settings) if !settings.is_ack()));
    }

    #[test]
    fn what_breaks_a_rule_can_be_sent_and_is_noticed() {
        let backend = RawServer::start(|mut conn| {
            conn.read_exact(24 + 9 + 9 + 3);
            conn.send([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
            conn.next_message();
        });
        let mut client = RawH2::client(backend.addr());
        client.send_any(FrameType::PING, Flags::NONE, 3, b"abc");
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.wait_for_credit(1)));
        let text = caught.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("Window Size Increment"), "{text}");
    }

    /// Echoes messages, and in `grpc-message` the value of `x-key`.
    fn echo() -> RawServer {
        RawServer::start(|conn| {
            let mut conn = RawH2::server(conn);
            conn.auto_credit(true);
            while let Some(request) = conn.next_request() {
                while let Some(message) = conn.next_grpc_message(request.stream) {
                    conn.respond(request.stream);
                    if !conn.send_all(request.stream, grpc_message(message), false) {
                        return;
                    }
                }
                conn.trailers(request.stream, 0, request.fields.text("x-key").unwrap_or_default());
            }
        })
    }
}
