use bytes::BytesMut;
use thrift_codec::binary::{FieldHeader, Writer};
use thrift_codec::{ApplicationException, ErrorProto, MessageHeader, MessageType, Skipper, TType, Version};
use ttheader::checksum::Crc32c;
use ttheader::{Flags, Head, HeaderView, HeaderWriter, IntKey, MeshHeader, ProtocolId, keys};

/// What stands in front of a message, and whether a length does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "tests name them all")]
pub enum Form {
    /// The bare message.
    Buffered,
    /// A length, then the message.
    Framed,
    /// TTHeader, then the bare message.
    TtHeader,
    /// TTHeader, then a length and the message.
    TtHeaderFramed,
    /// The legacy mesh header, then the bare message.
    MeshBuffered,
    /// The legacy mesh header, then a length and the message.
    MeshFramed,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] =
        [Self::Buffered, Self::Framed, Self::TtHeader, Self::TtHeaderFramed, Self::MeshBuffered, Self::MeshFramed];

    /// Whether a length stands right before the message.
    #[must_use]
    pub fn is_framed(self) -> bool {
        matches!(self, Self::Framed | Self::TtHeaderFramed | Self::MeshFramed)
    }

    /// Whether a TTHeader stands in front.
    #[must_use]
    pub fn has_ttheader(self) -> bool {
        matches!(self, Self::TtHeader | Self::TtHeaderFramed)
    }

    /// Whether a mesh header stands in front.
    #[must_use]
    pub fn has_mesh(self) -> bool {
        matches!(self, Self::MeshBuffered | Self::MeshFramed)
    }

    /// The form of the reply: the same, but nobody writes a mesh header.
    #[must_use]
    pub fn of_reply(self) -> Self {
        match self {
            Self::MeshBuffered => Self::Buffered,
            Self::MeshFramed => Self::Framed,
            other => other,
        }
    }
}

/// One ping-pong message in its parts. What the form has no place for is not written, and compares as empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests look at all of it")]
pub struct Message {
    /// How it stands on the wire.
    pub form: Form,
    /// Thrift or Kitex-Protobuf.
    pub version: Version,
    /// Call, reply, exception, oneway.
    pub message_type: MessageType,
    /// The method name.
    pub method: Vec<u8>,
    /// The sequence id of the envelope.
    pub seqid: i32,
    /// What follows the envelope.
    pub body: Vec<u8>,
    /// SEQUENCE NUMBER of the TTHeader; the sequence id where there is none.
    pub header_seqid: i32,
    /// FLAGS of the TTHeader.
    pub flags: Flags,
    /// PROTOCOL ID of the TTHeader.
    pub protocol_id: ProtocolId,
    /// The ACL token.
    pub acl: Option<Vec<u8>>,
    /// String entries of the TTHeader, or pairs of the mesh header, in order.
    pub strings: Vec<(Vec<u8>, Vec<u8>)>,
    /// Int entries of the TTHeader, in order.
    pub ints: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// A Framed Thrift CALL whose first argument is the text `hi`.
    #[must_use]
    pub fn call(method: &str, seqid: i32) -> Self {
        Self {
            form: Form::Framed,
            version: Version::THRIFT,
            message_type: MessageType::CALL,
            method: method.into(),
            seqid,
            body: text_struct(1, "hi"),
            header_seqid: seqid,
            flags: Flags::default(),
            protocol_id: ProtocolId::default(),
            acl: None,
            strings: Vec::new(),
            ints: Vec::new(),
        }
    }

    /// The REPLY that returns the first argument: the form of the request, no header entries.
    #[must_use]
    pub fn reply(&self) -> Self {
        let mut body = self.body.clone();
        if self.version == Version::THRIFT
            && let [_, 0, id @ 1, ..] = &mut body[..]
        {
            *id = 0;
        }
        Self {
            form: self.form.of_reply(),
            version: self.version,
            message_type: MessageType::REPLY,
            body,
            ..Self::call("", self.seqid)
        }
        .method(&self.method)
    }

    /// The EXCEPTION that answers this call.
    ///
    /// # Panics
    ///
    /// When `text` is too long for a string.
    #[must_use]
    pub fn exception(&self, code: i32, text: &str) -> Self {
        let mut body = BytesMut::new();
        if self.version == Version::KITEX_PROTOBUF {
            ErrorProto::new(code, text.as_bytes()).encode(&mut body);
        } else {
            ApplicationException::new(code, text.as_bytes()).encode(&mut body).expect("a short text");
        }
        Self { message_type: MessageType::EXCEPTION, body: body.to_vec(), ..self.reply() }
    }

    /// Sets the form.
    #[must_use]
    pub fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Makes it a Kitex-Protobuf message whose field 1 is the text `hi`.
    #[must_use]
    pub fn protobuf(self) -> Self {
        Self { version: Version::KITEX_PROTOBUF, body: b"\x0a\x02hi".to_vec(), ..self }
    }

    /// Makes it ONEWAY.
    #[must_use]
    pub fn oneway(self) -> Self {
        self.message_type(MessageType::ONEWAY)
    }

    /// Sets the message type.
    #[must_use]
    pub fn message_type(self, message_type: MessageType) -> Self {
        Self { message_type, ..self }
    }

    /// Sets the method.
    #[must_use]
    pub fn method(self, method: impl AsRef<[u8]>) -> Self {
        Self { method: method.as_ref().to_vec(), ..self }
    }

    /// Sets both sequence numbers.
    #[must_use]
    pub fn seqid(self, seqid: i32) -> Self {
        Self { seqid, header_seqid: seqid, ..self }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Makes the body a struct whose field 1 (of a reply: 0) is `text`.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let id = i16::from(self.message_type != MessageType::REPLY);
        self.body(text_struct(id, text))
    }

    /// Sets FLAGS.
    #[must_use]
    pub fn flags(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }

    /// Appends a string entry.
    #[must_use]
    pub fn string(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.strings.push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Appends an int entry.
    #[must_use]
    pub fn int(mut self, key: IntKey, value: impl AsRef<[u8]>) -> Self {
        self.ints.push((key.0, value.as_ref().to_vec()));
        self
    }

    /// Sets the ACL token.
    #[must_use]
    pub fn acl(self, token: &str) -> Self {
        Self { acl: Some(token.into()), ..self }
    }

    /// Appends the checksum of what stands behind the header now.
    #[must_use]
    pub fn checksummed(self) -> Self {
        let sum = self.checksum();
        self.string(keys::CRC32C, sum)
    }

    /// CRC-32C of what stands behind the header.
    #[must_use]
    pub fn checksum(&self) -> [u8; 8] {
        Crc32c::new().update(&self.payload()).hex()
    }

    /// The last value of a string entry.
    #[must_use]
    pub fn string_value(&self, key: &[u8]) -> Option<&[u8]> {
        self.strings.iter().rev().find_map(|(k, value)| (k == key).then_some(&value[..]))
    }

    /// The last value of an int entry.
    #[must_use]
    pub fn int_value(&self, key: IntKey) -> Option<&[u8]> {
        self.ints.iter().rev().find_map(|(k, value)| (*k == key.0).then_some(&value[..]))
    }

    /// Code and text of an EXCEPTION.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn code_and_text(&self) -> (i32, String) {
        assert_eq!(self.message_type, MessageType::EXCEPTION, "{self:?}");
        let (code, text) = if self.version == Version::KITEX_PROTOBUF {
            let error = ErrorProto::parse(&self.body).expect("ErrorProto");
            (error.code, error.message)
        } else {
            let error = ApplicationException::parse(&self.body).expect("TApplicationException");
            (error.code, error.message)
        };
        (code, String::from_utf8_lossy(text).into_owned())
    }

    /// The bytes on the wire.
    ///
    /// # Panics
    ///
    /// When a part is too long for its place.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        let mut wire = BytesMut::new();
        if self.form.has_ttheader() {
            let mut header = HeaderWriter::new(&mut wire, self.flags, self.header_seqid);
            header.protocol_id(self.protocol_id);
            if let Some(token) = &self.acl {
                header.acl_token(token).expect("a short token");
            }
            self.strings.iter().for_each(|(key, value)| header.string(key, value).expect("short strings"));
            self.ints.iter().for_each(|(key, value)| header.int(IntKey(*key), value).expect("a short value"));
            header.finish(payload.len()).expect("a header within its limits");
        } else if self.form.has_mesh() {
            let short = |len: usize| u16::try_from(len).expect("a short header").to_be_bytes();
            let mut pairs = short(self.strings.len()).to_vec();
            for text in self.strings.iter().flat_map(|(key, value)| [key, value]) {
                pairs.extend(short(text.len()));
                pairs.extend(text);
            }
            wire.extend_from_slice(&ttheader::MESH_MAGIC.to_be_bytes());
            wire.extend_from_slice(&short(pairs.len()));
            wire.extend_from_slice(&pairs);
        }
        wire.extend_from_slice(&payload);
        wire.to_vec()
    }

    /// Reads one whole message.
    ///
    /// # Panics
    ///
    /// When `wire` is not exactly that.
    #[must_use]
    pub fn parse(wire: &[u8]) -> Self {
        assert_eq!(len(wire), Some(wire.len()), "not one whole message: {}", crate::to_hex(wire));
        let (payload_at, is_ttheader, is_mesh) = outer(wire).expect("a message");
        let payload = &wire[payload_at..];
        let is_framed = payload[..2] != THRIFT;
        let message = if is_framed { &payload[4..] } else { payload };
        let envelope = MessageHeader::parse(message).expect("an envelope");
        let form = match (is_ttheader, is_mesh, is_framed) {
            (true, _, true) => Form::TtHeaderFramed,
            (true, _, false) => Form::TtHeader,
            (_, true, true) => Form::MeshFramed,
            (_, true, false) => Form::MeshBuffered,
            (_, _, true) => Form::Framed,
            (_, _, false) => Form::Buffered,
        };
        let mut read = Self {
            form,
            version: envelope.version,
            message_type: envelope.message_type,
            body: message[envelope.encoded_len()..].to_vec(),
            ..Self::call("", envelope.seqid)
        }
        .method(envelope.name);
        if is_ttheader {
            let header = HeaderView::parse(&wire[..payload_at]).expect("a header");
            read.header_seqid = header.seq();
            read.flags = header.flags();
            read.protocol_id = header.protocol_id();
            read.acl = header.acl_token().map(<[u8]>::to_vec);
            read.strings = header.strings().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            read.ints = header.ints().map(|(key, value)| (key.0, value.to_vec())).collect();
        } else if is_mesh {
            let mesh = MeshHeader::parse(&wire[..payload_at]).expect("a mesh header");
            read.strings = mesh.pairs().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        }
        read
    }

    /// What stands behind the header: the message, and its length where the form has one.
    fn payload(&self) -> Vec<u8> {
        let mut message = BytesMut::new();
        MessageHeader::new(self.version, self.message_type, &self.method, self.seqid)
            .encode(&mut message)
            .expect("a short name");
        message.extend_from_slice(&self.body);
        let mut payload = Vec::new();
        if self.form.is_framed() {
            payload.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
        }
        payload.extend(&message);
        payload
    }
}

/// A struct with one text: field `id`.
///
/// # Panics
///
/// When the text is too long for a string.
#[must_use]
pub fn text_struct(id: i16, text: &str) -> Vec<u8> {
    let mut body = BytesMut::new();
    let mut writer = Writer::new(&mut body);
    writer.field_header(FieldHeader { ttype: TType::STRING, id });
    writer.bytes(text.as_bytes()).expect("a short text");
    writer.stop();
    body.to_vec()
}

/// Bytes of the message that `wire` begins with, once all of it is there.
pub(super) fn len(wire: &[u8]) -> Option<usize> {
    let (payload_at, is_ttheader, _) = outer(wire)?;
    let payload = wire.get(payload_at..)?;
    let len = if is_ttheader {
        Head::peek(wire).expect("a head")?.frame_len()
    } else if payload.get(..2)? == THRIFT {
        let envelope = MessageHeader::peek(payload, usize::MAX).expect("an envelope")?;
        let body_at = payload_at + envelope.encoded_len();
        body_at + Skipper::new_struct().skip(wire.get(body_at..)?).expect("a struct")?
    } else {
        payload_at + 4 + usize::try_from(u32::from_be_bytes(*payload.first_chunk()?)).expect("a length")
    };
    (wire.len() >= len).then_some(len)
}

/// Makes a REPLY of a request in place; false where none is expected.
pub(super) fn turn_around(wire: &mut [u8]) -> bool {
    let (payload_at, ..) = outer(wire).expect("a message");
    let message_at = if wire[payload_at..].starts_with(&THRIFT) { payload_at } else { payload_at + 4 };
    let message_type = &mut wire[message_at + 2..message_at + 4];
    let expected = message_type != MessageType::ONEWAY.0.to_be_bytes();
    message_type.copy_from_slice(&MessageType::REPLY.0.to_be_bytes());
    expected
}

/// Where the payload starts, and whether a TTHeader or a mesh header stands before it.
fn outer(wire: &[u8]) -> Option<(usize, bool, bool)> {
    match wire.first_chunk::<8>()? {
        [_, _, _, _, 0x10, 0x00, _, _] => Some((Head::peek(wire).expect("a head")?.payload_offset(), true, false)),
        [0xff, 0xaf, ..] => Some((MeshHeader::peek(wire).expect("a mesh header")?, false, true)),
        _ => Some((0, false, false)),
    }
}

const THRIFT: [u8; 2] = [0x80, 0x01];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        for form in Form::ALL {
            let mut message = Message::call("echo", 7).form(form);
            if form.has_ttheader() {
                message = message.flags(Flags(1)).acl("token").int(IntKey::RPC_TIMEOUT, "15").string("k", "");
            } else if form.has_mesh() {
                message = message.string("isn", "EchoService");
            }
            assert_eq!(Message::parse(&message.bytes()), message);
            assert_eq!(Message::parse(&message.reply().bytes()), message.reply());
            assert_eq!(message.exception(6, "no").code_and_text(), (6, "no".to_owned()));
        }
    }

    #[test]
    fn golden_vectors_are_what_is_built() {
        let call = Message::call("echo", 1);
        for (name, message) in [
            ("buffered_call", call.clone().form(Form::Buffered)),
            ("framed_call", call.clone()),
            ("framed_reply", call.reply()),
            ("framed_exception_internal_error", call.exception(6, "biz error: boom")),
            ("ttheader_call_minimal", call.clone().form(Form::TtHeader)),
            ("ttheader_framed_call_crc32c", call.clone().form(Form::TtHeaderFramed).checksummed()),
            ("mux_call", call.clone().form(Form::TtHeaderFramed).flags(Flags::OUT_OF_ORDER)),
            ("mesh_buffered_call", call.clone().form(Form::MeshBuffered)),
            ("pb_framed_call", call.protobuf().method("Echo")),
        ] {
            assert_eq!(crate::to_hex(&message.bytes()), crate::to_hex(&crate::vector(name).bytes), "{name}");
        }
    }
}
