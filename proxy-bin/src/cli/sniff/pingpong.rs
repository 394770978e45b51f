//! Calls and replies: header, envelope, body.

use bytes::BytesMut;
use grpc_frame::content_type::Codec;
use thrift_codec::{ApplicationException, ErrorProto, MessageType, Version};
use ttheader::checksum::{self, Verdict};
use ttheader::{Entry, Flags, HeaderView, ProtocolId, keys};

use crate::cli::sniff::body::{Bodies, Body, Way};
use crate::cli::sniff::text::Text;
use crate::rpc::{Message, Outer};
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Malformed, Side};

/// Takes messages of either direction off the front of what is given.
#[derive(Debug)]
pub(crate) struct Messages {
    decoder: Decoder,
    side: Side,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { decoder: Decoder::new(Side::Requests, UNLIMITED), side: Side::Requests }
    }

    /// # Errors
    ///
    /// What stands at the front is no message.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self.decoder.decode(inbox) {
            Err(Malformed::MessageType(_)) => {
                self.side = if self.side == Side::Requests { Side::Replies } else { Side::Requests };
                self.decoder = Decoder::new(self.side, UNLIMITED);
                self.decoder.decode(inbox)
            }
            decoded => decoded,
        }
    }
}

/// Prints `message`, whose first byte stands at `at`.
pub(crate) fn print(message: &Message, at: usize, bodies: &Bodies, text: &mut Text) {
    let shape = message.shape();
    let kind = if shape.version == Version::KITEX_PROTOBUF { " Kitex-Protobuf" } else { "" };
    text.line(
        0,
        format_args!(
            "{}{kind} {} {}, seqid {}, {} bytes",
            shape.form,
            type_name(shape.message_type),
            text.value(message.name()),
            shape.seqid,
            shape.frame_len
        ),
    );
    if let Some(header) = message.header() {
        print_header(&header, text);
        let payload = message.frame().get(shape.outer_len..).unwrap_or_default();
        match checksum::verify(header.string(keys::CRC32C), [payload]) {
            Verdict::Invalid => text.nonsense(1, at, "crc32c does not match the payload"),
            Verdict::Valid => text.line(1, "crc32c matches the payload"),
            Verdict::Absent => {}
        }
    }
    if shape.form.outer == Outer::Mesh {
        text.line(1, format_args!("mesh header, {} bytes", shape.outer_len));
        for (key, value) in message.mesh_pairs() {
            text.line(2, format_args!("{} = {}", plain(key, text), text.value(value)));
        }
    }
    let at = at.saturating_add(shape.body_at());
    if shape.message_type == MessageType::EXCEPTION {
        return print_exception(message, at, text);
    }
    let way = match shape.message_type {
        MessageType::CALL | MessageType::ONEWAY => Some(Way::Request),
        MessageType::REPLY => Some(Way::Response),
        _ => None,
    };
    let body = Body {
        codec: if shape.version == Version::KITEX_PROTOBUF { Codec::Protobuf } else { Codec::Thrift },
        service: message.service().unwrap_or_default(),
        method: message.name(),
        way,
        streamed: false,
        bytes: message.body(),
        at,
    };
    bodies.print(&body, 1, text);
}

fn print_exception(message: &Message, at: usize, text: &mut Text) {
    let body = message.body();
    text.dump(1, at, body);
    let exception = match message.shape().version {
        Version::KITEX_PROTOBUF => ErrorProto::parse(body).map(|error| (error.code, error.message)),
        _ => ApplicationException::parse(body).map(|error| (error.code, error.message)),
    };
    match exception {
        Ok((code, message)) => text.line(1, format_args!("exception {code}: {}", text.value(message))),
        Err(error) => text.nonsense(1, at, format_args!("the exception makes no sense: {error}")),
    }
}

/// Prints what a TTHeader says.
pub(crate) fn print_header(header: &HeaderView<'_>, text: &mut Text) {
    let (Flags(flags), ProtocolId(protocol)) = (header.flags(), header.protocol_id());
    let mut names = Vec::new();
    for (flag, name) in [
        (Flags::OUT_OF_ORDER, "out of order"),
        (Flags::STREAMING, "streaming"),
        (Flags::DUPLEX_REVERSE, "duplex reverse"),
        (Flags::SASL, "SASL"),
    ] {
        names.extend(header.flags().contains(flag).then_some(name));
    }
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let transforms = header.transforms();
    text.line(
        1,
        format_args!(
            "TTHeader, {} bytes: FLAGS {flags:#06x}{names}, SEQUENCE NUMBER {}, PROTOCOL ID {protocol:#04x} ({}){}",
            header.bytes().len(),
            header.seq(),
            protocol_name(header.protocol_id()),
            if transforms.is_empty() { String::new() } else { format!(", transforms {transforms:02x?}") }
        ),
    );
    for entry in header.entries() {
        match entry {
            Entry::Str { key, value, .. } => {
                text.line(2, format_args!("{} = {}", plain(key, text), text.value(value)));
            }
            Entry::Int { key, value, .. } => {
                let name = key.name().map_or_else(String::new, |name| format!(" {name}"));
                text.line(2, format_args!("{}{name} = {}", key.0, text.value(value)));
            }
            Entry::Acl { value, .. } => text.line(2, format_args!("ACL token = {}", text.value(value))),
            _ => {}
        }
    }
}

/// A key, without quotes where it is plain.
pub(crate) fn plain(key: &[u8], text: &Text) -> String {
    match str::from_utf8(key) {
        Ok(key) if !key.is_empty() && key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            key.to_owned()
        }
        _ => text.value(key),
    }
}

fn protocol_name(id: ProtocolId) -> &'static str {
    match id {
        ProtocolId::THRIFT_BINARY => "Thrift Binary",
        ProtocolId::THRIFT_COMPACT => "Thrift Compact",
        ProtocolId::THRIFT_COMPACT_V2 => "Thrift Compact 2, or old Kitex-Protobuf",
        ProtocolId::KITEX_PROTOBUF => "Kitex-Protobuf",
        ProtocolId::THRIFT_STRUCT => "Thrift struct",
        ProtocolId::PROTOBUF_STRUCT => "Protobuf struct",
        _ => "unknown",
    }
}

fn type_name(message_type: MessageType) -> String {
    match message_type {
        MessageType::CALL => "CALL".into(),
        MessageType::REPLY => "REPLY".into(),
        MessageType::EXCEPTION => "EXCEPTION".into(),
        MessageType::ONEWAY => "ONEWAY".into(),
        MessageType::STREAM => "STREAM".into(),
        MessageType(other) => format!("type {other}"),
    }
}

/// A file's length has been checked.
const UNLIMITED: Limits = Limits { max_message: u64::MAX, cut_through: u64::MAX, max_header: ttheader::MAX_HEADER_LEN };
