use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use thrift_codec::{MessageHeader, MessageType, Version};
use ttheader::{HeaderView, MeshHeader};

use crate::rpc::{Form, Outer};

/// One ping-pong message exactly as received, and where its parts lie.
///
/// A message above the cut-through threshold is handed on before all of it has arrived: what is missing is its
/// [`Rest`].
#[derive(Debug)]
pub struct Message {
    // One small allocation, where every stage would copy some 200 bytes.
    parts: Box<Parts>,
}

#[derive(Debug)]
struct Parts {
    frame: Bytes,
    shape: Shape,
    facts: HeaderFacts,
    rest: Option<Rest>,
    seqid_rewrite: Option<i32>,
}

impl Message {
    /// A message over the bytes at hand. `frame` holds everything up to and including the envelope.
    #[must_use]
    pub fn new(frame: Bytes, shape: Shape, facts: HeaderFacts) -> Self {
        Self { parts: Box::new(Parts { frame, shape, facts, rest: None, seqid_rewrite: None }) }
    }

    /// Lets the message leave with another sequence id: a shared connection numbers calls by itself.
    pub fn rewrite_seqid(&mut self, seqid: i32) {
        self.parts.seqid_rewrite = Some(seqid);
    }

    /// The sequence id that the message shall leave with, where it is another one.
    #[must_use]
    pub fn seqid_rewrite(&self) -> Option<i32> {
        self.parts.seqid_rewrite
    }

    /// Takes what has not arrived yet.
    pub fn take_rest(&mut self) -> Option<Rest> {
        self.parts.rest.take()
    }

    /// Puts what has not arrived yet behind the bytes at hand.
    pub fn set_rest(&mut self, rest: Rest) {
        self.parts.rest = Some(rest);
    }

    /// Waits until the message is whole, for what can't be done piece by piece. Its length has been checked against
    /// the limit for messages.
    ///
    /// # Errors
    ///
    /// The sender closed or fell silent inside the message.
    pub async fn collect(&mut self) -> io::Result<()> {
        let Some(mut rest) = self.parts.rest.take() else { return Ok(()) };
        let mut whole = BytesMut::from(&self.parts.frame[..]);
        while !rest.is_empty() {
            // A length is a claim: room grows with what has come.
            whole.reserve(usize::try_from(rest.len()).unwrap_or(usize::MAX).min(COLLECT_STEP));
            poll_fn(|cx| rest.poll_read(cx, &mut whole)).await?;
        }
        self.parts.frame = whole.freeze();
        Ok(())
    }

    /// The bytes at hand, from the frame's first.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.parts.frame
    }

    /// Where the parts lie.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.parts.shape
    }

    /// What the header says, picked out in one pass.
    #[must_use]
    pub fn facts(&self) -> &HeaderFacts {
        &self.parts.facts
    }

    /// Whether a part has not arrived yet.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        self.parts.rest.is_some()
    }

    /// The message itself, envelope first, without header and length.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.parts.frame.slice(self.parts.shape.message_at.min(self.parts.frame.len())..)
    }

    /// The length of the message itself in bytes, what has not arrived included.
    #[must_use]
    pub fn payload_len(&self) -> u64 {
        self.parts.shape.frame_len.saturating_sub(u64::try_from(self.parts.shape.message_at).unwrap_or(u64::MAX))
    }

    /// The method name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self.parts.shape.message_at.saturating_add(8);
        self.parts.frame.get(start..start.saturating_add(self.parts.shape.name_len)).unwrap_or_default()
    }

    /// The method name, as a part of the frame.
    #[must_use]
    pub fn name_bytes(&self) -> Bytes {
        let end = self.parts.shape.body_at().saturating_sub(4).min(self.parts.frame.len());
        self.parts.frame.slice(end.saturating_sub(self.parts.shape.name_len)..end)
    }

    /// The bytes behind the envelope: the struct of a Thrift message, the body of a Kitex-Protobuf one.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.parts.frame.get(self.parts.shape.body_at()..).unwrap_or_default()
    }

    /// The service that the header names (`isn`).
    #[must_use]
    pub fn service(&self) -> Option<&[u8]> {
        self.header_bytes(self.parts.facts.service)
    }

    /// The caller that the header names (int key 3).
    #[must_use]
    pub fn caller(&self) -> Option<&[u8]> {
        self.header_bytes(self.parts.facts.caller)
    }

    /// The header, of a message that has one.
    #[must_use]
    pub fn header(&self) -> Option<HeaderView<'_>> {
        if self.parts.shape.form.outer != Outer::TtHeader {
            return None;
        }
        let header = self.parts.frame.get(..self.parts.shape.outer_len)?;
        self.parts.facts.layout.map(|layout| HeaderView::with_layout(header, layout))
    }

    /// The pairs of a mesh header, none where there is no such header.
    pub fn mesh_pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let header =
            self.parts.frame.get(..self.parts.shape.outer_len).filter(|_| self.parts.shape.form.outer == Outer::Mesh);
        header.and_then(|header| MeshHeader::parse(header).ok()).into_iter().flat_map(|mesh| mesh.pairs())
    }

    /// Whether no reply is expected.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.parts.shape.message_type == MessageType::ONEWAY
    }

    /// How a reply turned out, read without IDL: message type, first field id, header keys.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.parts.shape.message_type == MessageType::EXCEPTION {
            return Outcome::Exception;
        }
        if let Some(code) = self.parts.facts.business_status {
            return Outcome::BusinessError(code);
        }
        match *self.body() {
            // field type, then its id: zero is the return value, another id a declared exception
            [ttype, id_high, id_low, ..]
                if self.parts.shape.version == Version::THRIFT && ttype != 0 && (id_high, id_low) != (0, 0) =>
            {
                Outcome::DeclaredException
            }
            _ => Outcome::Success,
        }
    }

    fn header_bytes(&self, range: Option<(u32, u32)>) -> Option<&[u8]> {
        let (start, end) = range?;
        self.parts.frame.get(Range { start: usize::try_from(start).ok()?, end: usize::try_from(end).ok()? })
    }
}

/// Where the parts of a ping-pong message lie, and what its envelope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shape {
    /// What stands in front.
    pub form: Form,
    /// Bytes of TTHeader or mesh header; 0 without one.
    pub outer_len: usize,
    /// Offset of the envelope.
    pub message_at: usize,
    /// Bytes of the whole, from the frame's first to the message's last.
    pub frame_len: u64,
    /// Thrift or Kitex-Protobuf.
    pub version: Version,
    /// Call, reply, exception, oneway.
    pub message_type: MessageType,
    /// The envelope's sequence id.
    pub seqid: i32,
    /// Bytes of the method name.
    pub name_len: usize,
}

impl Shape {
    /// The shape of a message whose envelope is `envelope`.
    #[must_use]
    pub fn new(form: Form, outer_len: usize, frame_len: u64, envelope: &MessageHeader<'_>) -> Self {
        Self {
            form,
            outer_len,
            message_at: outer_len.saturating_add(if form.framed { 4 } else { 0 }),
            frame_len,
            version: envelope.version,
            message_type: envelope.message_type,
            seqid: envelope.seqid,
            name_len: envelope.name.len(),
        }
    }

    /// Bytes of the envelope.
    #[must_use]
    pub fn envelope_len(&self) -> usize {
        self.name_len.saturating_add(12)
    }

    /// Offset of the bytes behind the envelope.
    #[must_use]
    pub fn body_at(&self) -> usize {
        self.message_at.saturating_add(self.envelope_len())
    }
}

/// What the proxy needs of a TTHeader or mesh header, found in the one pass that checks it. Positions are byte ranges
/// of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderFacts {
    /// `isn`, the service.
    pub service: Option<(u32, u32)>,
    /// Int key 3, the caller's service.
    pub caller: Option<(u32, u32)>,
    /// Int key 12 in milliseconds, where it is a decimal number.
    pub timeout_ms: Option<u64>,
    /// `biz-status`, where it is a number other than zero.
    pub business_status: Option<i32>,
    /// The value of `crc32c`, not empty.
    pub checksum: bool,
    /// Whether a `PV_` validator value is there.
    pub validated: bool,
    /// Whether `crrst` is there.
    pub reset: bool,
    /// Whether `rip` is there.
    pub remote_address: bool,
    /// Whether the sender takes replies in any order (flag 0x0001).
    pub out_of_order: bool,
    /// Whether the streaming flag (0x0002) is set, which means nothing on a ping-pong connection.
    pub streaming: bool,
    /// The header's own sequence number.
    pub header_seqid: i32,
    /// How many string and int entries there are, the ACL token counted as one.
    pub entries: u32,
    /// Where the parts of a TTHeader are, so that it is read once.
    pub layout: Option<ttheader::Layout>,
}

/// How a reply turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A result.
    Success,
    /// An exception that the IDL declares.
    DeclaredException,
    /// A business status error with its code.
    BusinessError(i32),
    /// A framework exception.
    Exception,
}

/// The part of a large message that has not arrived yet.
pub struct Rest {
    len: u64,
    source: Box<dyn Source>,
}

impl Rest {
    /// `len` bytes still to come from `source`.
    #[must_use]
    pub fn new(len: u64, source: Box<dyn Source>) -> Self {
        Self { len, source }
    }

    /// Bytes still to come.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether everything has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads what there is into the spare capacity of `chunk`, at most to the message's end.
    ///
    /// # Errors
    ///
    /// The peer's close inside the message is `UnexpectedEof`, its silence `TimedOut`.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut BytesMut) -> Poll<io::Result<usize>> {
        let limit = usize::try_from(self.len).unwrap_or(usize::MAX);
        let read = std::task::ready!(self.source.poll_read(cx, chunk, limit))?;
        self.len = self.len.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Poll::Ready(Ok(read))
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Where the rest of a large message comes from: the connection that its first part came by.
pub trait Source {
    /// Appends at most `limit` bytes to `chunk`, at least one.
    ///
    /// # Errors
    ///
    /// A close is `UnexpectedEof`, silence beyond the limit `TimedOut`.
    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut BytesMut, limit: usize) -> Poll<io::Result<usize>>;
}

/// What a collected message reserves at a time, in bytes.
const COLLECT_STEP: usize = 256 * 1024;
