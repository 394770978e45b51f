//! The envelope around a struct: version, message type, method name, seqid (spec 1.1, 4).

use bytes::{BufMut, BytesMut};
use nom::Parser;

use crate::{
    DecodeError, EncodeError,
    grammar::{FromEnd, Parsed, array, bytes, length, run},
};

/// Length of what is fixed in an envelope, in bytes: all of it but the method name.
pub const ENVELOPE_LEN: usize = 12;

/// The envelope of a Thrift or Kitex-Protobuf message, borrowed from it (spec 1.1, 4).
///
/// ```text
/// 0         2              4                8      8 + N   12 + N
/// +---------+--------------+----------------+------+-------+----------------------------+
/// | version | message type | name length: N | name | seqid | a struct, or for 0x9001    |
/// |         |              |                |      |       | the message of Protobuf    |
/// +---------+--------------+----------------+------+-------+----------------------------+
/// ```
///
/// All 16 bits of the message type count, as for Kitex, and any value is let through; so is an empty name, which Kitex
/// refuses. What may be sent on is for the caller to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageHeader<'a> {
    /// What the body is written in.
    pub version: Version,
    /// What the message is for.
    pub message_type: MessageType,
    /// The method's name, as its bytes are; no encoding is promised.
    pub name: &'a [u8],
    /// The number by which a reply finds its call.
    pub seqid: i32,
}

impl<'a> MessageHeader<'a> {
    /// The envelope of a message to be written.
    #[must_use]
    pub const fn new(version: Version, message_type: MessageType, name: &'a [u8], seqid: i32) -> Self {
        Self { version, message_type, name, seqid }
    }

    /// Reads the envelope off the front of a message that may not have arrived in full; `None` when more bytes are
    /// needed to tell.
    ///
    /// # Errors
    ///
    /// As soon as they are certain: [`DecodeError::BadVersion`], [`DecodeError::Unversioned`],
    /// [`DecodeError::Compact`] when it is no message of ours, [`DecodeError::Negative`] and
    /// [`DecodeError::TooLong`] for a name of less than 0 or more than `max_name_len` bytes.
    #[inline]
    pub fn peek(prefix: &'a [u8], max_name_len: usize) -> Result<Option<Self>, DecodeError> {
        match run(envelope(max_name_len), prefix) {
            Ok((_, header)) => Ok(Some(header)),
            Err(DecodeError::Truncated { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the envelope of `message`, which is here in full.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek), and [`DecodeError::Truncated`] when the message ends inside its envelope.
    #[inline]
    pub fn parse(message: &'a [u8]) -> Result<Self, DecodeError> {
        run(envelope(usize::MAX), message).map(|(_, header)| header)
    }

    /// Length of the envelope, in bytes; what follows is the body.
    #[must_use]
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        ENVELOPE_LEN.saturating_add(self.name.len())
    }

    /// Where the seqid stands, counted from the message's first byte.
    #[must_use]
    #[inline]
    pub const fn seqid_offset(&self) -> usize {
        self.name.len().saturating_add(8)
    }

    /// Appends the envelope to `dst`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when the name has more bytes than its length field can say.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let name_len = i32_len("method name", self.name.len())?;
        dst.reserve(self.encoded_len());
        dst.put_u16(self.version.0);
        dst.put_u16(self.message_type.0);
        dst.put_i32(name_len);
        dst.put_slice(self.name);
        dst.put_i32(self.seqid);
        Ok(())
    }
}

/// The first two bytes of a message: what its body is written in (spec 1.1, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "every number is a version, known or not")]
pub struct Version(pub u16);

impl Version {
    /// Thrift Binary, version 1, the strict form.
    pub const THRIFT: Self = Self(0x8001);
    /// Kitex-Protobuf: Thrift's envelope around a Protobuf message.
    pub const KITEX_PROTOBUF: Self = Self(0x9001);
}

/// What a message is for (spec 1.3). All 16 bits count, as for Kitex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "every number is a message type, known or not")]
pub struct MessageType(pub u16);

impl MessageType {
    /// A request that is to be answered.
    pub const CALL: Self = Self(1);
    /// An answer: a result, a declared exception, or a business error.
    pub const REPLY: Self = Self(2);
    /// An answer whose body is an [`ApplicationException`](crate::ApplicationException), or an
    /// [`ErrorProto`](crate::ErrorProto) in Kitex-Protobuf.
    pub const EXCEPTION: Self = Self(3);
    /// A request that nobody answers. To Kitex it is one only if the method says so too (spec 1.9).
    pub const ONEWAY: Self = Self(4);
    /// Let through by Kitex, and without a meaning in ping-pong calls.
    pub const STREAM: Self = Self(5);
    /// Refused by Kitex's own codecs.
    pub const HEARTBEAT: Self = Self(6);
}

/// Writes `seqid` over that of `message`, in place.
///
/// # Errors
///
/// When `message` has no whole envelope; it is left as it was. See [`MessageHeader::parse`].
#[inline]
pub fn set_seqid(message: &mut [u8], seqid: i32) -> Result<(), DecodeError> {
    let offset = MessageHeader::parse(message)?.seqid_offset();
    let actual = message.len().saturating_sub(offset);
    let Some(place) = message.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) else {
        return Err(DecodeError::Truncated { field: "seqid", offset, expected: 4, actual });
    };
    *place = seqid.to_be_bytes();
    Ok(())
}

/// `len` as the signed 32-bit number that stands before every name, text and container.
pub(crate) fn i32_len(field: &'static str, len: usize) -> Result<i32, EncodeError> {
    i32::try_from(len).map_err(|_| EncodeError::TooLong {
        field,
        max: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
        actual: len,
    })
}

#[inline]
fn envelope<'a>(max_name_len: usize) -> impl Parser<&'a [u8], Output = MessageHeader<'a>, Error = FromEnd> {
    let message_type = array("message type").map(u16::from_be_bytes).map(MessageType);
    let name = length("method name length", max_name_len).flat_map(|len| bytes("method name", len));
    let seqid = array("seqid").map(i32::from_be_bytes);
    (version, message_type, name, seqid)
        .map(|(version, message_type, name, seqid)| MessageHeader::new(version, message_type, name, seqid))
}

#[inline]
fn version(input: &[u8]) -> Parsed<'_, Version> {
    // One byte is enough for the two forms that others speak and we do not: Compact begins with its protocol id, and
    // the old Binary form with the length of a name of less than 16 MiB.
    match input.first() {
        Some(0x82) => return Err(FromEnd::at(input, |offset| DecodeError::Compact { offset })),
        Some(0x00) => return Err(FromEnd::at(input, |offset| DecodeError::Unversioned { offset })),
        _ => {}
    }
    let (rest, version) = array("version").map(u16::from_be_bytes).map(Version).parse(input)?;
    match version {
        Version::THRIFT | Version::KITEX_PROTOBUF => Ok((rest, version)),
        Version(actual) => {
            Err(FromEnd::at(input, |offset| DecodeError::BadVersion { offset, expected: Version::THRIFT.0, actual }))
        }
    }
}
