//! Unary calls that cross between the two kinds of exchange (streaming-wire D6): a stream that one call answers
//! ([`Answered`]), and a call that is carried as a stream ([`ask()`]). The bytes of the argument and the result are the same
//! on both sides; what differs is what stands around them.

mod answered;
mod ask;

use bytes::{Bytes, BytesMut};
use grpc_frame::message::{CompressedFlag, Head};
use thrift_codec::MessageHeader;
use ttheader::{EncodeError, Flags, HeaderWriter, ProtocolId};

use crate::rpc::{Fault, FaultKind, Form, Message, Outer};
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Side};

pub(crate) use answered::Answered;
pub(super) use ask::ask;

/// Makes a message of its parts: the envelope, the struct or Protobuf message behind it, and what `fill` puts into the
/// header, if the form has one. `side` is the direction that it goes.
fn message(
    side: Side,
    form: Form,
    envelope: &MessageHeader<'_>,
    header_seqid: i32,
    body: &[u8],
    fill: impl FnOnce(&mut HeaderWriter<'_>) -> Result<(), EncodeError>,
) -> Result<Message, Fault> {
    let unfit = |why: &dyn std::fmt::Display| Fault::sent(FaultKind::NotConvertible, format!("no message: {why}"));
    let message_len = envelope.encoded_len().saturating_add(body.len());
    let payload_len = message_len.saturating_add(if form.framed { 4 } else { 0 });
    let mut frame = BytesMut::with_capacity(payload_len.saturating_add(HEADER_HINT));
    if form.outer == Outer::TtHeader {
        let mut header = HeaderWriter::new(&mut frame, Flags::default(), header_seqid);
        if envelope.version == thrift_codec::Version::KITEX_PROTOBUF {
            header.protocol_id(ProtocolId::KITEX_PROTOBUF);
        }
        fill(&mut header).map_err(|error| unfit(&error))?;
        header.finish(payload_len).map_err(|error| unfit(&error))?;
    }
    if form.framed {
        let len = u32::try_from(message_len).map_err(|_| unfit(&"too long for a frame length"))?;
        frame.extend_from_slice(&len.to_be_bytes());
    }
    envelope.encode(&mut frame).map_err(|error| unfit(&error))?;
    frame.extend_from_slice(body);
    match Decoder::new(side, UNLIMITED).decode(&mut frame) {
        Ok(Decoded::Message { message, missing: 0 }) => Ok(message),
        Ok(_) => Err(unfit(&"it is not whole")),
        Err(malformed) => Err(unfit(&malformed)),
    }
}

/// The message's own length was checked where it came in.
const UNLIMITED: Limits = Limits { max_message: u64::MAX, cut_through: u64::MAX, max_header: ttheader::MAX_HEADER_LEN };

/// What gRPC puts in front of `first`, the first piece of a message of `len` bytes: alone where the piece is too long to
/// be copied behind it.
fn prefixed(len: u64, first: Bytes) -> Result<[Bytes; 2], Fault> {
    let too_long = || Fault::sent(FaultKind::OverLimit, format!("a message of {len} bytes has no form in gRPC"));
    let len = usize::try_from(len).map_err(|_| too_long())?;
    let head = Head::new(CompressedFlag::PLAIN, len).map_err(|_| too_long())?.encode();
    Ok(if first.len() < COPY_BELOW {
        [[&head, &first[..]].concat().into(), Bytes::new()]
    } else {
        [Bytes::copy_from_slice(&head), first]
    })
}

/// About what a header takes, in bytes.
const HEADER_HINT: usize = 512;
/// A message of this size is not copied behind its prefix, in bytes.
const COPY_BELOW: usize = 16 << 10;
