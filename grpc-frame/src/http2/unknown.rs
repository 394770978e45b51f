use bytes::{Bytes, BytesMut};

use super::{EncodeError, Flags, FrameType, Head, StreamId};

/// A frame of a type that RFC 9113 does not define (sections 4.1, 5.5): it means nothing here, and is kept to be sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "all that a frame of any type has")]
pub struct Unknown {
    /// Type.
    pub frame_type: FrameType,
    /// Flags.
    pub flags: Flags,
    /// Stream Identifier.
    pub stream_id: StreamId,
    /// Frame Payload: a view of the read buffer.
    pub payload: Bytes,
}

impl Unknown {
    /// Keeps the payload behind `head`, whatever its type is.
    #[must_use]
    #[inline]
    pub const fn parse(head: Head, payload: Bytes) -> Self {
        Self { frame_type: head.frame_type, flags: head.flags, stream_id: head.stream_id, payload }
    }

    /// Writes the frame. No rule is held against it: with a type that is known, this writes what the type's own
    /// `encode` would refuse.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when Length cannot say it.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.payload);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Head, EncodeError> {
        Head::new(self.frame_type, self.flags, self.stream_id, self.payload.len())
    }
}
