//! HTTP/2 frames, their header blocks, and the gRPC messages in DATA.

use std::collections::HashMap;

use bytes::{Buf, BytesMut};
use grpc_frame::content_type::{self, Codec, ContentType};
use grpc_frame::http2::{
    self, CodecError, DecodeError, Flags, Frame, FrameType, Http2Codec, MAX_MAX_FRAME_SIZE, PREFACE, Scope, StreamId,
};
use grpc_frame::path::Path;
use grpc_frame::{compression, metadata, status};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio_util::codec::Decoder;

use crate::cli::sniff::body::{Bodies, Body, Way};
use crate::cli::sniff::pingpong::plain;
use crate::cli::sniff::text::Text;
use crate::wire::ttstream::Messages;

/// One direction of a connection.
pub(crate) struct Frames {
    codec: Http2Codec,
    hpack: loona_hpack::Decoder<'static>,
    way: Way,
    /// Header blocks can be read: none before them is missing.
    in_step: bool,
}

/// What both directions of a connection know of its streams.
#[derive(Debug, Default)]
pub(crate) struct Streams(HashMap<u32, Stream>);

#[derive(Debug, Default)]
struct Stream {
    /// `:path`.
    path: String,
    /// None where it carries no gRPC.
    codec: Option<Codec>,
    request: Option<Messages>,
    response: Option<Messages>,
}

/// What was found at the front.
pub(crate) enum Found {
    /// Nothing whole.
    Nothing,
    /// The client's preface.
    Preface,
    Frame(Frame),
    /// A frame that breaks a rule and is passed over.
    Bad(DecodeError),
}

type Field = (Vec<u8>, Vec<u8>);

impl Frames {
    pub(crate) fn new(way: Way) -> Self {
        let codec = Http2Codec::builder()
            .max_frame_size(MAX_MAX_FRAME_SIZE.try_into().unwrap_or(usize::MAX))
            .max_header_block(MAX_HEADER_BLOCK)
            .max_continuations(usize::MAX)
            .build();
        let mut hpack = loona_hpack::Decoder::new();
        hpack.set_max_allowed_table_size(MAX_TABLE);
        Self { codec, hpack, way, in_step: true }
    }

    /// # Errors
    ///
    /// What stands at the front is no frame, and where the next begins nobody knows.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Found, CodecError> {
        if inbox.starts_with(&PREFACE) {
            inbox.advance(PREFACE.len());
            self.way = Way::Request;
            return Ok(Found::Preface);
        }
        match self.codec.decode(inbox) {
            Ok(frame) => Ok(frame.map_or(Found::Nothing, Found::Frame)),
            Err(CodecError::Decode(error)) if matches!(error.scope(), Scope::Stream(..)) => Ok(Found::Bad(error)),
            Err(error) => Err(error),
        }
    }

    /// Prints `frame`, whose first byte stands at `at`.
    pub(crate) fn print(&mut self, frame: Frame, at: usize, streams: &mut Streams, bodies: &Bodies, text: &mut Text) {
        match frame {
            Frame::Headers(headers) => {
                let ends = headers.flags.contains(Flags::END_STREAM);
                title(text, FrameType::HEADERS, headers.stream_id, ends, &format!("{} bytes", headers.fragment.len()));
                text.dump(1, at, &headers.fragment);
                let fields = self.fields(&headers.fragment, at, text);
                streams.note(headers.stream_id, self.way, &fields);
                print_fields(&fields, text);
            }
            Frame::Data(data) => {
                let ends = data.flags.contains(Flags::END_STREAM);
                title(text, FrameType::DATA, data.stream_id, ends, &format!("{} bytes", data.data.len()));
                let at = at.saturating_add(http2::HEAD_LEN).saturating_add(usize::from(data.padding.is_some()));
                streams.data(data.stream_id, self.way, data.data, at, bodies, text);
            }
            Frame::Settings(settings) => {
                let ack = if settings.is_ack() { "ACK" } else { "" };
                title(text, FrameType::SETTINGS, StreamId::CONNECTION, false, ack);
                for (id, value) in settings.iter() {
                    text.line(1, format_args!("{id:?} = {value}"));
                }
            }
            Frame::RstStream(reset) => {
                title(text, FrameType::RST_STREAM, reset.stream_id, false, &reset.code.to_string());
                streams.0.remove(&reset.stream_id.value());
            }
            Frame::Ping(ping) => {
                let ack = if ping.flags.contains(Flags::ACK) { "ACK " } else { "" };
                title(text, FrameType::PING, StreamId::CONNECTION, false, &format!("{ack}{:02x?}", ping.data));
            }
            Frame::GoAway(goaway) => {
                let what = format!("last stream {}, {}", goaway.last_stream_id, goaway.code);
                title(text, FrameType::GOAWAY, StreamId::CONNECTION, false, &what);
                if !goaway.debug_data.is_empty() {
                    text.line(1, text.value(&goaway.debug_data));
                }
            }
            Frame::WindowUpdate(update) => {
                title(text, FrameType::WINDOW_UPDATE, update.stream_id, false, &format!("+{}", update.increment));
            }
            Frame::Priority(priority) => title(text, FrameType::PRIORITY, priority.stream_id, false, ""),
            Frame::PushPromise(promise) => {
                let what = format!("promises stream {}", promise.promised_id);
                title(text, FrameType::PUSH_PROMISE, promise.stream_id, false, &what);
                let fields = self.fields(&promise.fragment, at, text);
                print_fields(&fields, text);
            }
            Frame::Continuation(continuation) => {
                title(text, FrameType::CONTINUATION, continuation.stream_id, false, "");
                self.in_step = false;
            }
            Frame::Unknown(unknown) => {
                title(text, unknown.frame_type, unknown.stream_id, false, &format!("{} bytes", unknown.payload.len()));
                text.dump(1, at, &unknown.payload);
            }
            _ => {}
        }
    }

    /// The fields of a header block, as many as are shown.
    fn fields(&mut self, block: &[u8], at: usize, text: &mut Text) -> Vec<Field> {
        if !self.in_step {
            text.line(1, "(a header block before this one is missing: it can't be read)");
            return Vec::new();
        }
        let (mut fields, mut len, mut left_out): (Vec<Field>, usize, usize) = (Vec::new(), 0, 0);
        // A byte may stand for four KiB of the table, so that the list has a limit of its own.
        let decoded = self.hpack.decode_with_cb(block, |name, value| {
            len = len.saturating_add(name.len()).saturating_add(value.len());
            if len > MAX_FIELDS {
                left_out = left_out.saturating_add(1);
            } else {
                fields.push((name.into_owned(), value.into_owned()));
            }
        });
        if left_out > 0 {
            text.line(1, format_args!("({left_out} more fields)"));
        }
        if let Err(error) = decoded {
            self.in_step = false;
            text.nonsense(1, at, format_args!("HPACK: {error}"));
        }
        fields
    }
}

impl Streams {
    /// Learns from a header block what the stream's messages are.
    fn note(&mut self, id: StreamId, way: Way, fields: &[Field]) {
        if self.0.len() >= MAX_STREAMS && !self.0.contains_key(&id.value()) {
            return;
        }
        let value = |name: &str| fields.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| &value[..]);
        let stream = self.0.entry(id.value()).or_default();
        if let Some(path) = value(":path") {
            stream.path = String::from_utf8_lossy(path).into_owned();
        }
        if let Some(content_type) = value(content_type::NAME) {
            stream.codec = ContentType::parse(content_type).map(|content_type| content_type.codec());
        }
        let messages = match way {
            Way::Request => &mut stream.request,
            Way::Response => &mut stream.response,
        };
        let messages = messages.get_or_insert_with(|| Messages::new(MAX_MESSAGE));
        if let Some(encoding) = value(compression::ENCODING).and_then(|value| HeaderValue::from_bytes(value).ok()) {
            let mut fields = HeaderMap::new();
            fields.insert(HeaderName::from_static(compression::ENCODING), encoding);
            messages.set_encoding(&fields);
        }
    }

    fn data(&mut self, id: StreamId, way: Way, data: bytes::Bytes, at: usize, bodies: &Bodies, text: &mut Text) {
        let stream = self.0.get_mut(&id.value());
        let Some((stream, codec)) = stream.and_then(|stream| stream.codec.map(|codec| (stream, codec))) else {
            text.dump(1, at, &data);
            if !data.is_empty() {
                text.line(1, text.value(&data));
            }
            return;
        };
        let path = Path::parse(&stream.path).ok();
        let (service, method) = path.map_or(("", ""), |path| (path.full_service(), path.method()));
        let messages = match way {
            Way::Request => &mut stream.request,
            Way::Response => &mut stream.response,
        };
        let messages = messages.get_or_insert_with(|| Messages::new(MAX_MESSAGE));
        messages.feed(data);
        loop {
            match messages.next_payload() {
                Ok(Some(message)) => {
                    text.line(1, format_args!("gRPC message, {} bytes", message.len()));
                    let body = Body {
                        codec,
                        service: service.as_bytes(),
                        method: method.as_bytes(),
                        way: Some(way),
                        streamed: true,
                        bytes: &message,
                        at,
                    };
                    bodies.print(&body, 2, text);
                }
                Ok(None) if messages.is_between_messages() => return,
                Ok(None) => return text.line(1, "(a message that goes on in the next DATA)"),
                Err(fault) => {
                    text.nonsense(1, at, format_args!("gRPC message: {fault}"));
                    // The next DATA may begin anew.
                    *messages = Messages::new(MAX_MESSAGE);
                    return;
                }
            }
        }
    }
}

fn title(text: &mut Text, frame_type: FrameType, id: StreamId, ends: bool, what: &str) {
    let stream = if id.is_connection() { String::new() } else { format!(" stream {id}") };
    let ends = if ends { " END_STREAM" } else { "" };
    let what = if what.is_empty() { String::new() } else { format!(", {what}") };
    text.line(0, format_args!("HTTP/2 {frame_type}{stream}{ends}{what}"));
}

fn print_fields(fields: &[Field], text: &mut Text) {
    for (name, value) in fields {
        let shown = text.value(value);
        let name = plain(name, text);
        let told = match &*name {
            status::STATUS => status::Code::parse(value).ok().map(|code| format!("{code:?}")),
            status::MESSAGE => {
                Some(status::decode_message(value)).filter(|told| told[..] != value[..]).map(|told| text.value(&told))
            }
            name if metadata::is_binary(name) => {
                metadata::decode_bin("-bin", value).ok().map(|bytes| text.value(&bytes))
            }
            _ => None,
        };
        let told = told.map_or_else(String::new, |told| format!(" ({told})"));
        text.line(1, format_args!("{name} = {shown}{told}"));
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("way", &self.way).finish_non_exhaustive()
    }
}

/// Streams that are kept in mind.
const MAX_STREAMS: usize = 16_384;
/// The largest message, uncompressed, in bytes.
const MAX_MESSAGE: usize = 64 << 20;
/// The longest header block, compressed, in bytes.
const MAX_HEADER_BLOCK: usize = 1 << 20;
/// What is shown of a header block, in bytes.
const MAX_FIELDS: usize = 256 << 10;
/// The largest table that a peer may ask for, in bytes.
const MAX_TABLE: usize = 1 << 20;
