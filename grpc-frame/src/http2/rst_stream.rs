use bytes::BytesMut;

use super::{DecodeError, EncodeError, ErrorCode, Flags, FrameType, Head, StreamId};

/// RST_STREAM (section 6.4): ends a stream at once.
///
/// ```text
/// +---------------------------------------------------------------+
/// |                        Error Code (32)                        |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct RstStream {
    /// Stream Identifier.
    pub stream_id: StreamId,
    /// Flags, none of which means anything here.
    pub flags: Flags,
    /// Error Code.
    pub code: ErrorCode,
}

impl RstStream {
    /// A frame without flags.
    #[must_use]
    pub const fn new(stream_id: StreamId, code: ErrorCode) -> Self {
        Self { stream_id, flags: Flags::NONE, code }
    }

    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdZero`], [`DecodeError::WrongLength`].
    #[inline]
    pub fn parse(head: Head, payload: &[u8]) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        let code = ErrorCode(u32::from_be_bytes(head.fixed(payload)?));
        Ok(Self { stream_id: head.stream_id, flags: head.flags, code })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = Head::of(FrameType::RST_STREAM, self.flags, self.stream_id, size_of::<u32>())?;
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.code.0.to_be_bytes());
        Ok(())
    }
}
