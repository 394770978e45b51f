//! Bytes → message, by the detection order of pingpong-wire 2.3. Nothing is read twice: what is known of a message
//! that is not complete yet is kept until the rest has come.

use bytes::BytesMut;
use thrift_codec::{MessageHeader, MessageType, Skipper, Version};
use ttheader::{Entry, Flags, Head, HeaderView, IntKey, MeshHeader, keys};

use crate::rpc::{Form, HeaderFacts, Message, Outer, Shape};

/// Which way the messages of a connection go; decides the message types that are legal (pingpong-wire 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// From callers.
    Requests,
    /// From backends.
    Replies,
}

/// The bounds of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest message in bytes, its header apart.
    pub(crate) max_message: u64,
    /// From here on a message of known length is handed on before all of it is here.
    pub(crate) cut_through: u64,
    /// The largest TTHeader in bytes.
    pub(crate) max_header: usize,
}

impl Limits {
    /// For messages whose parts were checked where they came in: whole, however long.
    pub(crate) const UNLIMITED: Self =
        Self { max_message: u64::MAX, cut_through: u64::MAX, max_header: ttheader::MAX_HEADER_LEN };
}

/// What a look at the inbox gave.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A message, taken from the inbox; with bytes still to come where `missing` is not zero.
    Message { message: Message, missing: u64 },
    /// The inbox shall hold this many bytes before another look is worth it.
    Need(usize),
}

/// The bytes are no message that the proxy carries.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("unknown protocol: the first bytes are {0:02x?}")]
    Unknown([u8; 8]),
    #[error(transparent)]
    Header(#[from] ttheader::DecodeError),
    #[error(transparent)]
    Thrift(#[from] thrift_codec::DecodeError),
    #[error("message of {actual} bytes, at most {max} are allowed")]
    TooLong { actual: u64, max: u64 },
    #[error("header of {actual} bytes, at most {max} are allowed")]
    HeaderTooLong { actual: usize, max: usize },
    #[error("inner frame length {inner} in a payload of {payload} bytes")]
    InnerLength { inner: u64, payload: u64 },
    #[error("frame of {frame} bytes can't hold an envelope of {envelope}")]
    FrameTooShort { frame: u64, envelope: u64 },
    #[error("message type {0}, which is not legal in this direction")]
    MessageType(u16),
    #[error("empty method name")]
    EmptyName,
    #[error("Kitex-Protobuf without a frame length")]
    UnframedProtobuf,
}

/// Takes messages off the front of an inbox.
#[derive(Debug)]
pub(crate) struct Decoder {
    side: Side,
    limits: Limits,
    /// What is known of a message that is not complete; most are, so that most connections have none.
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    shape: Shape,
    facts: HeaderFacts,
    /// Where the length is not on the wire: what looks for the end.
    walk: Option<Walk>,
}

/// A search for the end of a Buffered message.
#[derive(Debug)]
struct Walk {
    skipper: Skipper,
    /// Bytes of the frame that it has seen.
    seen: usize,
}

impl Decoder {
    pub(crate) fn new(side: Side, limits: Limits) -> Self {
        Self { side, limits, partial: None }
    }

    /// Takes the next message off `inbox`.
    ///
    /// # Errors
    ///
    /// The connection can't be read any further: there is no way to find the next message.
    pub(crate) fn decode(&mut self, inbox: &mut BytesMut) -> Result<Decoded, Malformed> {
        let (mut shape, facts, mut walk) = match self.partial.take() {
            Some(partial) => (partial.shape, partial.facts, partial.walk),
            None => match self.start(inbox)? {
                Progress::Known { shape, facts } => (shape, facts, None),
                Progress::Need(bytes) => return Ok(Decoded::Need(bytes)),
            },
        };
        if shape.frame_len == UNKNOWN {
            match self.find_end(inbox, &shape, &mut walk)? {
                Some(end) => shape.frame_len = end,
                None => {
                    self.partial = Some(Box::new(Partial { shape, facts, walk }));
                    // The end is not known: the next byte may be the last.
                    return Ok(Decoded::Need(inbox.len().saturating_add(1)));
                }
            }
        }
        let decoded = self.take(inbox, shape, facts);
        if matches!(decoded, Decoded::Need(_)) {
            self.partial = Some(Box::new(Partial { shape, facts, walk: None }));
        }
        Ok(decoded)
    }

    fn start(&self, inbox: &[u8]) -> Result<Progress, Malformed> {
        let Some(first) = inbox.first_chunk::<8>() else { return Ok(Progress::Need(8)) };
        if is_ttheader(first) {
            return self.start_ttheader(inbox);
        }
        if is_mesh(first) {
            return self.start_mesh(inbox);
        }
        self.start_payload(inbox, Outer::Plain, 0, None, HeaderFacts::default())
    }

    fn start_ttheader(&self, inbox: &[u8]) -> Result<Progress, Malformed> {
        let Some(head) = Head::peek(inbox)? else { return Ok(Progress::Need(ttheader::HEAD_LEN)) };
        let (header_len, outer_len) = (head.header_len(), head.payload_offset());
        if header_len > self.limits.max_header {
            return Err(Malformed::HeaderTooLong { actual: header_len, max: self.limits.max_header });
        }
        let payload_len = u64::from(head.length).saturating_add(4).saturating_sub(u64_len(outer_len));
        // An inner length may be among these bytes; without one, the message's own check is the stricter.
        self.check_len(payload_len.saturating_sub(4))?;
        let Some(header) = inbox.get(..outer_len) else { return Ok(Progress::Need(outer_len.saturating_add(8))) };
        let facts = ttheader_facts(header)?;
        self.start_payload(inbox, Outer::TtHeader, outer_len, Some(payload_len), facts)
    }

    fn start_mesh(&self, inbox: &[u8]) -> Result<Progress, Malformed> {
        let Some(outer_len) = MeshHeader::peek(inbox)? else { return Ok(Progress::Need(8)) };
        let Some(header) = inbox.get(..outer_len) else { return Ok(Progress::Need(outer_len.saturating_add(8))) };
        let facts = mesh_facts(header, &MeshHeader::parse(header)?);
        self.start_payload(inbox, Outer::Mesh, outer_len, None, facts)
    }

    /// The checks of pingpong-wire 2.3, 4; `payload_len` is what the outer header promises.
    fn start_payload(
        &self,
        inbox: &[u8],
        outer: Outer,
        outer_len: usize,
        payload_len: Option<u64>,
        facts: HeaderFacts,
    ) -> Result<Progress, Malformed> {
        let payload = inbox.get(outer_len..).unwrap_or_default();
        if let Some(payload) = payload_len.filter(|&len| len < 8) {
            return Err(Malformed::FrameTooShort { frame: payload, envelope: 12 });
        }
        let Some(first) = payload.first_chunk::<8>() else { return Ok(Progress::Need(outer_len.saturating_add(8))) };
        let [a, b, c, d, version_high, version_low, _, _] = *first;
        let framed = match (u16::from_be_bytes([a, b]), u16::from_be_bytes([version_high, version_low])) {
            (0x8001, _) => false,
            (_, 0x8001 | 0x9001) => true,
            (0x9001, _) => return Err(Malformed::UnframedProtobuf),
            _ => return Err(Malformed::Unknown(*first)),
        };
        let message_len = if framed {
            let inner = u64::from(u32::from_be_bytes([a, b, c, d]));
            if let Some(payload) = payload_len.filter(|&payload| payload != inner.saturating_add(4)) {
                return Err(Malformed::InnerLength { inner, payload });
            }
            Some(inner)
        } else {
            payload_len
        };
        if let Some(len) = message_len {
            self.check_len(len)?;
        }

        let message = payload.get(if framed { 4 } else { 0 }..).unwrap_or_default();
        let Some(envelope) = MessageHeader::peek(message, MAX_NAME)? else {
            // Where the envelope ends is known only from its eighth byte on.
            let announced =
                message.get(4..8).and_then(|len| <[u8; 4]>::try_from(len).ok()).map_or(0, u32::from_be_bytes);
            let announced = usize::try_from(announced).unwrap_or(MAX_NAME).min(MAX_NAME);
            return Ok(Progress::Need(
                inbox.len().saturating_sub(message.len()).saturating_add(announced).saturating_add(12),
            ));
        };
        self.check_envelope(&envelope)?;
        let envelope_len = u64_len(envelope.encoded_len());
        if let Some(frame) = message_len.filter(|&len| len < envelope_len) {
            return Err(Malformed::FrameTooShort { frame, envelope: envelope_len });
        }

        let form = Form { outer, framed };
        let prefix = u64_len(inbox.len().saturating_sub(message.len()));
        let frame_len = message_len.map_or(UNKNOWN, |len| prefix.saturating_add(len));
        Ok(Progress::Known { shape: Shape::new(form, outer_len, frame_len, &envelope), facts })
    }

    /// Takes a message of known length, whole or as far as it is here.
    fn take(&self, inbox: &mut BytesMut, shape: Shape, facts: HeaderFacts) -> Decoded {
        let have = u64_len(inbox.len());
        let (frame, missing) = if have == shape.frame_len {
            // The usual case, and cheaper than to split.
            (std::mem::take(inbox), 0)
        } else if have > shape.frame_len {
            (inbox.split_to(usize::try_from(shape.frame_len).unwrap_or(usize::MAX).min(inbox.len())), 0)
        } else if shape.frame_len >= self.limits.cut_through {
            (inbox.split(), shape.frame_len.saturating_sub(have))
        } else {
            return Decoded::Need(usize::try_from(shape.frame_len).unwrap_or(usize::MAX));
        };
        Decoded::Message { message: Message::new(frame.freeze(), shape, facts), missing }
    }

    /// Where a message without a length ends, as an offset of the frame. A later look goes on where the last stopped.
    fn find_end(&self, inbox: &[u8], shape: &Shape, walk: &mut Option<Walk>) -> Result<Option<u64>, Malformed> {
        let mut fresh = Walk { skipper: Skipper::new_struct(), seen: shape.body_at() };
        let Walk { skipper, seen } = walk.as_mut().unwrap_or(&mut fresh);
        let end = skipper.skip(inbox.get(*seen..).unwrap_or_default())?.map(|end| seen.saturating_add(end));
        *seen = inbox.len();
        if end.is_none() {
            walk.get_or_insert(fresh);
        }
        self.check_len(u64_len(end.unwrap_or(inbox.len()).saturating_sub(shape.outer_len)))?;
        Ok(end.map(u64_len))
    }

    fn check_len(&self, actual: u64) -> Result<(), Malformed> {
        let max = self.limits.max_message;
        if actual > max { Err(Malformed::TooLong { actual, max }) } else { Ok(()) }
    }

    fn check_envelope(&self, envelope: &MessageHeader<'_>) -> Result<(), Malformed> {
        let legal = match self.side {
            Side::Requests => [MessageType::CALL, MessageType::ONEWAY, MessageType::STREAM],
            Side::Replies => [MessageType::REPLY, MessageType::EXCEPTION, MessageType::STREAM],
        };
        if !legal.contains(&envelope.message_type) {
            return Err(Malformed::MessageType(envelope.message_type.0));
        }
        // An EXCEPTION may leave its method out: nobody checks it (pingpong-wire 1.4).
        if envelope.name.is_empty() && envelope.message_type != MessageType::EXCEPTION {
            return Err(Malformed::EmptyName);
        }
        Ok(())
    }
}

enum Progress {
    Known { shape: Shape, facts: HeaderFacts },
    Need(usize),
}

/// The length of a frame whose end has to be looked for; no frame is as short.
const UNKNOWN: u64 = 0;

/// Longer method names are nobody's; a message above the cut-through threshold waits for its envelope.
const MAX_NAME: usize = 64 * 1024;

/// Whether these first bytes are a TTHeader's: magic in bytes 4 and 5.
pub(crate) fn is_ttheader(first: &[u8; 8]) -> bool {
    matches!(first, [_, _, _, _, 0x10, 0x00, _, _])
}

/// Whether these first bytes are a mesh header's: magic in bytes 0 and 1.
pub(crate) fn is_mesh(first: &[u8; 8]) -> bool {
    matches!(first, [0xff, 0xaf, ..])
}

/// Checks a TTHeader and picks out what the proxy needs, in one pass.
fn ttheader_facts(header: &[u8]) -> Result<HeaderFacts, ttheader::DecodeError> {
    let mut facts = HeaderFacts::default();
    let view = HeaderView::parse_with(header, |entry| {
        facts.entries = facts.entries.saturating_add(1);
        match entry {
            Entry::Str { key, value, offset, .. } => note_string(&mut facts, key, value, offset),
            Entry::Int { key: IntKey::FROM_SERVICE, value, offset, .. } => facts.caller = Some(span(offset, value)),
            Entry::Int { key: IntKey::RPC_TIMEOUT, value, .. } => facts.timeout_ms = decimal(value),
            _ => {}
        }
    })?;
    facts.out_of_order = view.flags().contains(Flags::OUT_OF_ORDER);
    facts.streaming = view.flags().contains(Flags::STREAMING);
    facts.header_seqid = view.seq();
    facts.layout = Some(view.layout());
    Ok(facts)
}

fn mesh_facts(header: &[u8], mesh: &MeshHeader<'_>) -> HeaderFacts {
    let mut facts = HeaderFacts::default();
    for (key, value) in mesh.pairs() {
        facts.entries = facts.entries.saturating_add(1);
        let offset = value.as_ptr().addr().saturating_sub(header.as_ptr().addr());
        note_string(&mut facts, key, value, offset);
    }
    facts
}

/// The last duplicate wins, so each is written over.
fn note_string(facts: &mut HeaderFacts, key: &[u8], value: &[u8], offset: usize) {
    match key {
        keys::IDL_SERVICE_NAME => facts.service = Some(span(offset, value)),
        keys::REMOTE_ADDRESS => facts.remote_address = true,
        keys::CONNECTION_RESET => facts.reset = true,
        keys::CRC32C => facts.checksum = !value.is_empty(),
        keys::BIZ_STATUS => facts.business_status = decimal(value).filter(|&code: &i32| code != 0),
        _ if key.starts_with(keys::PAYLOAD_VALIDATOR_PREFIX) => facts.validated = true,
        _ => {}
    }
}

fn span(offset: usize, value: &[u8]) -> (u32, u32) {
    let end = offset.saturating_add(value.len());
    (u32::try_from(offset).unwrap_or(u32::MAX), u32::try_from(end).unwrap_or(u32::MAX))
}

fn decimal<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn u64_len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

// Kitex-Protobuf is only ever recognised behind a length.
const _: () = assert!(Version::KITEX_PROTOBUF.0 == 0x9001 && Version::THRIFT.0 == 0x8001);
