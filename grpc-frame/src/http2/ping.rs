use bytes::BytesMut;

use super::{DecodeError, EncodeError, Flags, FrameType, Head, StreamId};

/// PING (section 6.7): asks for the same octets back, or brings them back.
///
/// ```text
/// +---------------------------------------------------------------+
/// |                      Opaque Data (64)                         |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Ping {
    /// Flags: ACK, and whatever else came.
    pub flags: Flags,
    /// Opaque Data.
    pub data: [u8; 8],
}

impl Ping {
    /// A question.
    #[must_use]
    pub const fn new(data: [u8; 8]) -> Self {
        Self { flags: Flags::NONE, data }
    }

    /// The answer to this question.
    #[must_use]
    pub const fn to_ack(&self) -> Self {
        Self { flags: Flags::ACK, data: self.data }
    }

    /// Whether it is an answer.
    #[must_use]
    pub const fn is_ack(&self) -> bool {
        self.flags.contains(Flags::ACK)
    }

    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdNotZero`], [`DecodeError::WrongLength`].
    #[inline]
    pub fn parse(head: Head, payload: &[u8]) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        Ok(Self { flags: head.flags, data: head.fixed(payload)? })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// None that there is.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = Head::of(FrameType::PING, self.flags, StreamId::CONNECTION, self.data.len())?;
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.data);
        Ok(())
    }
}
