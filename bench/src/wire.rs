//! The bytes of an echo call and of its reply, on every transport the harness speaks.
//!
//! Written from the wire rules by hand, and on purpose not with our codec crates: the harness judges the proxy, so it
//! may not share its mistakes.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Method of every call.
pub(crate) const METHOD: &[u8] = b"echo";
const SERVICE: &[u8] = b"EchoService";

/// Upper half of the first word of a strict Thrift Binary message.
pub(crate) const STRICT: [u8; 2] = [0x80, 0x01];
/// The two bytes at offset 4 that say TTHeader.
pub(crate) const TTHEADER: [u8; 2] = [0x10, 0x00];
/// TTHeader's fixed part, from LENGTH to HEADER SIZE.
pub(crate) const TTHEADER_FIXED_LEN: usize = 14;
/// What LENGTH counts of the fixed part.
pub(crate) const TTHEADER_COUNTED_LEN: usize = 10;
/// version, type, name length, name, seqid.
pub(crate) const ENVELOPE_LEN: usize = 16;
/// Where the seqid stands in an envelope whose method is [`METHOD`].
const SEQID_AT: usize = 12;

/// A CALL.
pub(crate) const CALL: u8 = 1;
/// A REPLY.
pub(crate) const REPLY: u8 = 2;
/// A CALL nobody answers.
pub(crate) const ONEWAY: u8 = 4;

const RECORD: &[u8] = b"\x08\x00\x01\0\0\0\0\x0a\x00\x02\0\0\0\0\0\0\0\0\x0b\x00\x03\0\0\0\x08recordxy\0";

/// How a call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Transport {
    /// The bare message.
    Buffered,
    /// A `u32` length, then the message.
    Framed,
    /// TTHeader with the keys a Kitex client writes, then the bare message.
    Ttheader,
    /// The same with the caller's timeout (int key 12), which a proxy has to watch and to lower.
    TtheaderTimeout,
    /// TTHeader, then a framed message: the default of a current Kitex client.
    TtheaderFramed,
}

impl Transport {
    /// Whether a TTHeader stands in front.
    pub(crate) fn has_header(self) -> bool {
        matches!(self, Self::Ttheader | Self::TtheaderTimeout | Self::TtheaderFramed)
    }

    /// Whether the message itself has a `u32` length in front.
    pub(crate) fn has_frame(self) -> bool {
        matches!(self, Self::Framed | Self::TtheaderFramed)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffered => "buffered",
            Self::Framed => "framed",
            Self::Ttheader => "ttheader",
            Self::TtheaderTimeout => "ttheader-timeout",
            Self::TtheaderFramed => "ttheader-framed",
        })
    }
}

/// What the argument of the echo call is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Shape {
    /// One string of the wanted size.
    String,
    /// `list<struct { 1: i32, 2: i64, 3: string }>` with strings of 8 bytes, of about the wanted size.
    Records,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Records => "records",
        })
    }
}

/// A request, ready but for its sequence id, and the reply it must get.
#[derive(Debug)]
pub(crate) struct Template {
    transport: Transport,
    /// Everything in front of the args struct.
    head: Vec<u8>,
    /// Where sequence ids stand in `head`: in the envelope, and in a TTHeader.
    seqid_at: usize,
    sequence_at: Option<usize>,
    /// The args struct.
    body: Vec<u8>,
    /// The result struct.
    reply_body: Vec<u8>,
}

impl Template {
    pub(crate) fn new(transport: Transport, shape: Shape, size: usize) -> Self {
        let value = value(shape, size);
        let body = structure(&value, 1);
        let reply_body = structure(&value, 0);
        let mut message = Vec::with_capacity(ENVELOPE_LEN);
        message.extend_from_slice(&STRICT);
        message.extend_from_slice(&[0, CALL]);
        message.extend_from_slice(&be32(METHOD.len()));
        message.extend_from_slice(METHOD);
        message.extend_from_slice(&[0; 4]);

        let message_len = message.len().saturating_add(body.len());
        let mut payload = Vec::new();
        if transport.has_frame() {
            payload.extend_from_slice(&be32(message_len));
        }
        let envelope_at = payload.len();
        payload.extend_from_slice(&message);

        let mut head = Vec::new();
        if transport.has_header() {
            let info = request_info(transport);
            let words = u16::try_from(info.len() / 4).unwrap_or(u16::MAX);
            let counted = TTHEADER_COUNTED_LEN
                .saturating_add(info.len())
                .saturating_add(payload.len())
                .saturating_add(body.len());
            head.extend_from_slice(&be32(counted));
            head.extend_from_slice(&TTHEADER);
            head.extend_from_slice(&[0, 0, 0, 0, 0, 0]); // FLAGS, SEQUENCE NUMBER
            head.extend_from_slice(&words.to_be_bytes());
            head.extend_from_slice(&info);
        }
        let seqid_at = head.len().saturating_add(envelope_at).saturating_add(SEQID_AT);
        head.extend_from_slice(&payload);
        Self { transport, head, seqid_at, sequence_at: transport.has_header().then_some(8), body, reply_body }
    }

    /// Appends everything in front of the args struct, with `seqid` filled in.
    pub(crate) fn push_head(&self, seqid: u32, out: &mut Vec<u8>) {
        let base = out.len();
        out.extend_from_slice(&self.head);
        for at in [Some(self.seqid_at), self.sequence_at].into_iter().flatten() {
            if let Some(field) = out.get_mut(base.saturating_add(at)..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                *field = seqid.to_be_bytes();
            }
        }
    }

    /// The args struct.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The result struct of the right reply.
    pub(crate) fn reply_body(&self) -> &[u8] {
        &self.reply_body
    }

    /// Length of the whole request.
    pub(crate) fn request_len(&self) -> usize {
        self.head.len().saturating_add(self.body.len())
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }
}

/// What stands in front of a reply's result struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyHead {
    /// Bytes up to the result struct.
    pub(crate) len: usize,
    /// Bytes of the result struct; unknown on Buffered.
    pub(crate) body_len: Option<usize>,
    pub(crate) seqid: u32,
}

/// A reply that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Not the transport of the request.
    #[error("reply is not on the request's transport")]
    Transport,
    /// Not a strict Thrift message.
    #[error("reply is no strict Thrift message")]
    Magic,
    /// An EXCEPTION, or no reply at all.
    #[error("reply has message type {0}")]
    MessageType(u8),
    /// Another method's reply.
    #[error("reply is of another method")]
    Method,
    /// Not the oldest call's reply.
    #[error("reply has seqid {actual}, expected {expected}")]
    Seqid {
        /// Sequence id of the oldest call without a reply.
        expected: u32,
        /// Sequence id of the reply.
        actual: u32,
    },
    /// TTHeader's SEQUENCE NUMBER differs from the payload's seqid.
    #[error("TTHeader's SEQUENCE NUMBER is {0}, the payload's seqid is not")]
    Sequence(u32),
    /// A reply nobody waits for.
    #[error("reply that no call waits for")]
    Unasked,
    /// The result struct is too short or too long.
    #[error("result of {actual} bytes, expected {expected}")]
    Length {
        /// Bytes of the right result struct.
        expected: usize,
        /// Bytes of this one.
        actual: usize,
    },
    /// The result struct is not the argument that was sent.
    #[error("result differs from what was sent")]
    Payload,
}

/// Reads what stands in front of a reply's result struct; `None` asks for more bytes.
pub(crate) fn parse_reply_head(bytes: &[u8], transport: Transport) -> Result<Option<ReplyHead>, Violation> {
    let mut at = 0_usize;
    let mut sequence = None;
    let mut payload_len = None;
    if transport.has_header() {
        let Some(fixed) = bytes.first_chunk::<TTHEADER_FIXED_LEN>() else { return Ok(None) };
        let [l0, l1, l2, l3, m0, m1, _, _, s0, s1, s2, s3, w0, w1] = *fixed;
        if [m0, m1] != TTHEADER {
            return Err(Violation::Transport);
        }
        let info = usize::from(u16::from_be_bytes([w0, w1])).saturating_mul(4);
        let counted = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        payload_len = Some(counted.saturating_sub(TTHEADER_COUNTED_LEN).saturating_sub(info));
        sequence = Some(u32::from_be_bytes([s0, s1, s2, s3]));
        at = TTHEADER_FIXED_LEN.saturating_add(info);
    }
    if transport.has_frame() {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if payload_len.is_some_and(|outer| outer.checked_sub(4) != Some(length)) {
            return Err(Violation::Transport);
        }
        payload_len = Some(length);
        at = at.saturating_add(4);
    }
    let Some(envelope) = bytes.get(at..).and_then(|rest| rest.first_chunk::<ENVELOPE_LEN>()) else { return Ok(None) };
    let [v0, v1, _, message_type, n0, n1, n2, n3, name @ .., q0, q1, q2, q3] = *envelope;
    if [v0, v1] != STRICT {
        return Err(Violation::Magic);
    }
    if message_type != REPLY {
        return Err(Violation::MessageType(message_type));
    }
    if [n0, n1, n2, n3] != be32(METHOD.len()) || name != *METHOD {
        return Err(Violation::Method);
    }
    let seqid = u32::from_be_bytes([q0, q1, q2, q3]);
    if let Some(sequence) = sequence.filter(|&sequence| sequence != seqid) {
        return Err(Violation::Sequence(sequence));
    }
    let body_len = payload_len.map(|len| len.saturating_sub(ENVELOPE_LEN));
    Ok(Some(ReplyHead { len: at.saturating_add(ENVELOPE_LEN), body_len, seqid }))
}

/// The INFO of a reply as a Kitex server with its TTHeader handler writes it: int key 22 (message type) is "2".
pub(crate) const REPLY_INFO: [u8; 12] = [0, 0, 0x10, 0, 1, 0, 22, 0, 1, b'2', 0, 0];

/// A length as Thrift and TTHeader write it; lengths here are built from sizes far below `u32::MAX`.
pub(crate) fn be32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Protocol, transforms and INFO sections of a request: `isn` and the int keys of Kitex's client handler.
fn request_info(transport: Transport) -> Vec<u8> {
    let mut info = vec![0, 0];
    info.extend_from_slice(&[0x01, 0, 1]);
    push_string(b"isn", &mut info);
    push_string(SERVICE, &mut info);
    let transport_type: &[u8] = if transport.has_frame() { b"framed" } else { b"unframed" };
    let mut keys: Vec<(u16, &[u8])> =
        vec![(1, transport_type), (3, b"bench.caller"), (6, b"bench.echo"), (9, METHOD), (20, b""), (22, b"1")];
    if transport == Transport::TtheaderTimeout {
        keys.push((12, b"30000"));
    }
    info.push(0x10);
    info.extend_from_slice(&u16::try_from(keys.len()).unwrap_or(u16::MAX).to_be_bytes());
    for (key, value) in keys {
        info.extend_from_slice(&key.to_be_bytes());
        push_string(value, &mut info);
    }
    info.resize(info.len().next_multiple_of(4), 0);
    info
}

fn push_string(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

/// A struct whose only field is `value`, a type byte and what follows the field id.
fn structure(value: &(u8, Vec<u8>), id: u16) -> Vec<u8> {
    let (ttype, bytes) = value;
    let mut out = Vec::with_capacity(bytes.len().saturating_add(4));
    out.push(*ttype);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(bytes);
    out.push(0);
    out
}

fn value(shape: Shape, size: usize) -> (u8, Vec<u8>) {
    match shape {
        Shape::String => {
            let mut bytes = be32(size).to_vec();
            // Not one letter repeated: a misplaced piece must not compare equal.
            bytes.extend((b'!'..=b'~').cycle().take(size));
            (11, bytes)
        }
        Shape::Records => {
            let count = size.checked_div(RECORD.len()).unwrap_or(0).max(1);
            let mut bytes = vec![12];
            bytes.extend_from_slice(&be32(count));
            for number in 0..count {
                let record_at = bytes.len();
                bytes.extend_from_slice(RECORD);
                if let Some(field) = bytes.get_mut(record_at.saturating_add(3)..).and_then(|r| r.first_chunk_mut()) {
                    *field = be32(number);
                }
            }
            (15, bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(transport: Transport, shape: Shape, size: usize, seqid: u32) -> Vec<u8> {
        let template = Template::new(transport, shape, size);
        let mut out = Vec::new();
        template.push_head(seqid, &mut out);
        out.extend_from_slice(template.body());
        assert_eq!(out.len(), template.request_len());
        out
    }

    #[test]
    fn framed_call_has_the_bytes_of_the_golden_vector() {
        // vector `framed_call`, with the argument "!\"" in place of "hi"
        let expected = b"\0\0\0\x1a\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02!\"\0";
        assert_eq!(request(Transport::Framed, Shape::String, 2, 1), expected);
    }

    #[test]
    fn ttheader_lengths_add_up() {
        for transport in [Transport::Ttheader, Transport::TtheaderTimeout, Transport::TtheaderFramed] {
            let bytes = request(transport, Shape::String, 64, 7);
            let length = u32::from_be_bytes(*bytes.first_chunk().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), bytes.len() - 4);
            let info = usize::from(u16::from_be_bytes([bytes[12], bytes[13]])) * 4;
            let mut payload = &bytes[14 + info..];
            if transport.has_frame() {
                payload = &payload[4..];
            }
            assert_eq!(payload[..4], [0x80, 1, 0, 1]);
            assert_eq!(payload[12..16], [0, 0, 0, 7]);
            assert_eq!(bytes[8..12], [0, 0, 0, 7]);
        }
    }

    #[test]
    fn records_fill_the_wanted_size() {
        let template = Template::new(Transport::Buffered, Shape::Records, 1024);
        assert_eq!(template.body().len(), 3 + 1 + 4 + 30 * RECORD.len() + 1);
        assert_eq!(RECORD.len(), 34);
    }

    #[test]
    fn an_exception_is_a_violation() {
        let bytes = b"\0\0\0\x20\x80\x01\0\x03\0\0\0\x04echo\0\0\0\x01\0\0\0\0";
        assert_eq!(parse_reply_head(bytes, Transport::Framed), Err(Violation::MessageType(3)));
    }
}
