use bytes::{Buf, Bytes, BytesMut};

use super::{DecodeError, EncodeError, Flags, FrameType, Head, StreamId};

/// PRIORITY (section 6.3): deprecated, and still to be taken.
///
/// ```text
/// +-+-------------------------------------------------------------+
/// |E|                  Stream Dependency (31)                     |
/// +-+-------------+-----------------------------------------------+
/// |   Weight (8)  |
/// +-+-------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Priority {
    /// Stream Identifier.
    pub stream_id: StreamId,
    /// Flags, none of which means anything here.
    pub flags: Flags,
    /// Stream Dependency and Weight.
    pub dependency: Dependency,
}

impl Priority {
    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdZero`]; [`DecodeError::WrongLength`], which is the stream's error and not the
    /// connection's.
    #[inline]
    pub fn parse(head: Head, payload: &[u8]) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        let dependency = Dependency::from_bytes(head.fixed(payload)?);
        Ok(Self { stream_id: head.stream_id, flags: head.flags, dependency })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = Head::of(FrameType::PRIORITY, self.flags, self.stream_id, Dependency::LEN)?;
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.dependency.to_bytes());
        Ok(())
    }
}

/// On what a stream depended in RFC 7540, and how much of its parent's share it wanted.
///
/// RFC 9113 section 5.3.2 keeps the fields and ignores what they say, as this crate does: a stream that depends on itself
/// passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Dependency {
    /// E: whether it is to be the only one that depends on its parent.
    pub exclusive: bool,
    /// Stream Dependency: the parent.
    pub stream_id: StreamId,
    /// Weight as on the wire, which is one less than what it means.
    pub weight: u8,
}

impl Dependency {
    pub(crate) const LEN: usize = 5;

    /// Takes the fields off the front of the payload of HEADERS.
    pub(crate) fn take(head: &Head, offset: usize, payload: &mut Bytes) -> Result<Self, DecodeError> {
        let Some(fields) = payload.first_chunk::<{ Self::LEN }>().copied() else {
            let (field, at, expected) = match payload.len() {
                4 => ("Weight", 4, 1),
                _ => ("Stream Dependency", 0, 4),
            };
            let actual = payload.len().saturating_sub(at);
            return Err(head.missing(field, offset.saturating_add(at), expected, actual));
        };
        payload.advance(Self::LEN);
        Ok(Self::from_bytes(fields))
    }

    const fn from_bytes([s0, s1, s2, s3, weight]: [u8; Self::LEN]) -> Self {
        let parent = u32::from_be_bytes([s0, s1, s2, s3]);
        Self { exclusive: s0 & EXCLUSIVE != 0, stream_id: StreamId::new(parent), weight }
    }

    pub(crate) const fn to_bytes(self) -> [u8; Self::LEN] {
        let [s0, s1, s2, s3] = self.stream_id.value().to_be_bytes();
        [if self.exclusive { s0 | EXCLUSIVE } else { s0 }, s1, s2, s3, self.weight]
    }
}

const EXCLUSIVE: u8 = 0x80;
