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

mod call;
mod fields;
mod grpc;
mod read;
mod send;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use grpc_frame::http2::{Frame, Http2Codec, Peer, SettingId};

pub use fields::Fields;
pub use grpc::{Answer, grpc_message, grpc_request, grpc_response, grpc_trailers};

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

fn encoded(frame: &Frame) -> BytesMut {
    let mut octets = BytesMut::new();
    frame.encode(&mut octets).unwrap_or_else(|error| panic!("{frame:?}: {error}"));
    octets
}

/// No extra fields.
const NONE: [(&str, &str); 0] = [];

#[cfg(test)]
mod tests;
