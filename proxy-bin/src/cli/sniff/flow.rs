//! One direction of a connection: what it speaks, and its frames one by one.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use grpc_frame::content_type::Codec;
use thrift_codec::skip_struct;

use crate::cli::sniff::body::{Bodies, Body, Way};
use crate::cli::sniff::text::{Text, readable};
use crate::cli::sniff::{As, http2, pingpong, protobuf, ttstream};
use crate::rpc::Protocol;
use crate::sniff::{Verdict, sniff};
use crate::wire::pingpong::Decoded;

/// What both directions of a connection share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    streams: http2::Streams,
    services: ttstream::Services,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Flow {
    way: Option<Way>,
    forced: Option<As>,
    pieces: VecDeque<Piece>,
    inbox: BytesMut,
    /// The offset of the inbox's first byte.
    at: usize,
    kind: Kind,
}

/// Bytes without a gap.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) bytes: Bytes,
    /// Bytes that are missing in front.
    pub(crate) missing: u64,
    /// Offsets at which a packet begins: where to look for a frame once one is lost.
    pub(crate) starts: Vec<usize>,
}

#[derive(Debug)]
enum Kind {
    /// Not known yet.
    Open,
    PingPong(pingpong::Messages),
    TtStream(ttstream::Frames),
    Http2(Box<http2::Frames>),
    /// Nothing more can be told from what is left.
    Done,
}

impl Flow {
    pub(crate) fn new(way: Option<Way>, forced: Option<As>, pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.bytes.is_empty()).collect();
        Self { way, forced, pieces, inbox: BytesMut::new(), at: 0, kind: Kind::Open }
    }

    /// What the direction speaks, as far as it begins with it.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.pieces.front().map(|piece| &piece.bytes[..]) {
            None => "nothing",
            Some(bytes) => name(&found(bytes)),
        }
    }

    /// Prints the next frame, and says where it stands. None at the end.
    pub(crate) fn next(&mut self, shared: &mut Shared, bodies: &Bodies, text: &mut Text) -> Option<Range<usize>> {
        while self.inbox.is_empty() || matches!(self.kind, Kind::Done) {
            let piece = self.pieces.pop_front()?;
            if piece.missing > 0 {
                text.nonsense(0, piece.at, format_args!("{} bytes are missing in the capture", piece.missing));
            }
            self.begin(&piece);
            if piece.missing > 0 {
                return Some(piece.at..self.at.saturating_add(1));
            }
        }
        let (at, before) = (self.at, self.inbox.len());
        if matches!(self.kind, Kind::Open) {
            self.open(bodies, text);
            if matches!(self.kind, Kind::Done) {
                return Some(at..at.saturating_add(before));
            }
        }
        let failed = match &mut self.kind {
            Kind::PingPong(messages) => match messages.next(&mut self.inbox) {
                Ok(Decoded::Message { message, .. }) => {
                    pingpong::print(&message, at, bodies, text);
                    None
                }
                Ok(Decoded::Need(_)) => Some(None),
                Err(malformed) => Some(Some(malformed.to_string())),
            },
            Kind::TtStream(frames) => match frames.next(&mut self.inbox) {
                Ok(Some(frame)) => {
                    frames.print(&frame, at, &mut shared.services, bodies, text);
                    None
                }
                Ok(None) => Some(None),
                Err(error) => Some(Some(error.to_string())),
            },
            Kind::Http2(frames) => match frames.next(&mut self.inbox) {
                Ok(http2::Found::Nothing) => Some(None),
                Ok(http2::Found::Preface) => {
                    text.line(0, "HTTP/2 connection preface");
                    None
                }
                Ok(http2::Found::Frame(frame)) => {
                    frames.print(frame, at, &mut shared.streams, bodies, text);
                    None
                }
                Ok(http2::Found::Bad(error)) => {
                    text.nonsense(0, at, format_args!("HTTP/2 frame: {error}"));
                    None
                }
                Err(error) => Some(Some(error.to_string())),
            },
            Kind::Open | Kind::Done => None,
        };
        if let Some(why) = failed {
            let left = self.inbox.len();
            match why {
                None => text.nonsense(0, at, format_args!("the last {left} bytes are a frame that is cut off")),
                Some(why) => text.nonsense(0, at, format_args!("makes no sense from here on, {left} bytes: {why}")),
            }
            text.dump_all(1, at, self.inbox.get(..SHOWN).unwrap_or(&self.inbox));
            self.kind = Kind::Done;
            return Some(at..at.saturating_add(left));
        }
        self.at = at.saturating_add(before.saturating_sub(self.inbox.len()));
        Some(at..self.at)
    }

    /// Goes on with another piece, behind a gap at the first packet that begins like a frame.
    fn begin(&mut self, piece: &Piece) {
        let skipped = if piece.missing == 0 {
            0
        } else {
            let starts = piece.starts.iter().map(|start| start.saturating_sub(piece.at));
            let fits =
                |start: &usize| piece.bytes.get(*start..).is_some_and(|rest| !matches!(found(rest), Found::Unknown));
            starts.take(MAX_STARTS).find(fits).unwrap_or(0)
        };
        self.inbox = BytesMut::from(piece.bytes.get(skipped..).unwrap_or_default());
        self.at = piece.at.saturating_add(skipped);
        self.kind = Kind::Open;
    }

    /// Finds out what the inbox begins with; what is no connection is printed at once.
    fn open(&mut self, bodies: &Bodies, text: &mut Text) {
        let found = match self.forced {
            None => found(&self.inbox),
            Some(As::Call) => Found::Speaks(Protocol::TtHeader),
            Some(As::Ttstream) => Found::Speaks(Protocol::TtStream),
            Some(As::Http2) => Found::Speaks(Protocol::Grpc),
            Some(As::Struct) => Found::Struct,
            Some(As::Protobuf) => Found::Protobuf,
        };
        let body = |codec| Body {
            codec,
            service: b"",
            method: b"",
            way: self.way,
            streamed: true,
            bytes: &self.inbox,
            at: self.at,
        };
        self.kind = match &found {
            Found::Speaks(Protocol::TtStream) => Kind::TtStream(ttstream::Frames::new(self.way)),
            Found::Speaks(Protocol::Grpc) => {
                Kind::Http2(Box::new(http2::Frames::new(self.way.unwrap_or(Way::Response))))
            }
            // Each message may differ from the one before.
            Found::Speaks(_) => Kind::PingPong(pingpong::Messages::new()),
            Found::Struct => {
                text.line(0, "Thrift struct without a message around it");
                bodies.print(&body(Codec::Thrift), 1, text);
                Kind::Done
            }
            Found::Protobuf => {
                text.line(0, "Protobuf message without anything around it, by the look of it");
                bodies.print(&body(Codec::Protobuf), 1, text);
                Kind::Done
            }
            Found::GrpcMessage => {
                text.line(0, "gRPC message without a connection around it");
                let message = self.inbox.get(5..).unwrap_or_default();
                let codec = if skip_struct(message) == Ok(message.len()) { Codec::Thrift } else { Codec::Protobuf };
                bodies.print(&Body { bytes: message, at: self.at.saturating_add(5), ..body(codec) }, 1, text);
                Kind::Done
            }
            Found::Tls => {
                text.line(0, format_args!("TLS: encrypted, {} bytes", self.inbox.len()));
                Kind::Done
            }
            Found::Http1 => {
                let shown = self.inbox.get(..MAX_HTTP1).unwrap_or(&self.inbox);
                text.line(0, format_args!("HTTP/1, {} bytes", self.inbox.len()));
                for line in String::from_utf8_lossy(shown).lines() {
                    text.line(1, text.value(line.as_bytes()));
                }
                Kind::Done
            }
            Found::Unknown => {
                text.nonsense(0, self.at, format_args!("unknown protocol, {} bytes", self.inbox.len()));
                text.dump_all(1, self.at, self.inbox.get(..SHOWN).unwrap_or(&self.inbox));
                Kind::Done
            }
        };
    }
}

/// What bytes begin with.
enum Found {
    Speaks(Protocol),
    Struct,
    Protobuf,
    GrpcMessage,
    Tls,
    Http1,
    Unknown,
}

fn found(bytes: &[u8]) -> Found {
    if is_http1(bytes) {
        return Found::Http1;
    }
    if let Verdict::Is(protocol) = sniff(bytes) {
        return Found::Speaks(protocol);
    }
    let message = bytes.split_first_chunk::<5>();
    match bytes {
        [0x16, 0x03, 0x00..=0x04, ..] => Found::Tls,
        _ if is_http2(bytes) => Found::Speaks(Protocol::Grpc),
        _ if message.is_some_and(|([flag, length @ ..], rest)| {
            *flag <= 1 && usize::try_from(u32::from_be_bytes(*length)) == Ok(rest.len())
        }) =>
        {
            Found::GrpcMessage
        }
        _ if skip_struct(bytes) == Ok(bytes.len()) => Found::Struct,
        _ if protobuf::is_message(bytes) => Found::Protobuf,
        _ => Found::Unknown,
    }
}

fn name(found: &Found) -> &'static str {
    match found {
        Found::Speaks(Protocol::Grpc) => "HTTP/2",
        Found::Speaks(protocol) => protocol.name(),
        Found::Struct => "a Thrift struct",
        Found::Protobuf => "a Protobuf message",
        Found::GrpcMessage => "a gRPC message",
        Found::Tls => "TLS",
        Found::Http1 => "HTTP/1",
        Found::Unknown => "unknown",
    }
}

fn is_http1(bytes: &[u8]) -> bool {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = first.get(..MAX_HTTP1).unwrap_or(first);
    let is_line = first.starts_with(b"HTTP/1.")
        || first.trim_ascii_end().ends_with(b" HTTP/1.1")
        || first.trim_ascii_end().ends_with(b" HTTP/1.0");
    is_line && readable(first).is_some()
}

/// Whether bytes look like frames of HTTP/2 without a preface in front: what a server sends begins with SETTINGS.
fn is_http2(bytes: &[u8]) -> bool {
    let Some((head, _)) = bytes.split_first_chunk::<9>() else { return false };
    let [a, b, c, frame_type, flags, stream @ ..] = *head;
    let length = u32::from_be_bytes([0, a, b, c]);
    match frame_type {
        4 => stream == [0; 4] && length.is_multiple_of(6) && length < 1024 && flags <= 1,
        // The window of the connection, and a ping: length and stream are fixed.
        8 => length == 4 && flags == 0,
        6 => length == 8 && stream == [0; 4],
        // Header blocks, of a stream.
        1 => flags & 0x04 != 0 && flags & !0x2d == 0 && stream != [0; 4] && length > 0 && length <= 16_384,
        _ => false,
    }
}

/// What is shown of bytes that make no sense.
const SHOWN: usize = 64;
/// What is shown of HTTP/1.
const MAX_HTTP1: usize = 4096;
/// Packets behind a gap that are looked at for the begin of a frame.
const MAX_STARTS: usize = 4096;
