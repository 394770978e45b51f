use bytes::BytesMut;

use super::{DecodeError, EncodeError, Flags, FrameType, Head, MAX_WINDOW, StreamId};

/// WINDOW_UPDATE (section 6.9): the receiver of this frame may send so much more.
///
/// ```text
/// +-+-------------------------------------------------------------+
/// |R|              Window Size Increment (31)                     |
/// +-+-------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct WindowUpdate {
    /// Stream Identifier: whose window, 0 being that of the connection.
    pub stream_id: StreamId,
    /// Flags, none of which means anything here.
    pub flags: Flags,
    /// Window Size Increment, in octets: 1 to [`MAX_WINDOW`].
    pub increment: u32,
}

impl WindowUpdate {
    /// A frame without flags.
    #[must_use]
    pub const fn new(stream_id: StreamId, increment: u32) -> Self {
        Self { stream_id, flags: Flags::NONE, increment }
    }

    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::WrongLength`]; [`DecodeError::ZeroIncrement`], which is the stream's error if there is one.
    #[inline]
    pub fn parse(head: Head, payload: &[u8]) -> Result<Self, DecodeError> {
        // The highest bit is reserved.
        let increment = u32::from_be_bytes(head.fixed(payload)?) & MAX_WINDOW;
        if increment == 0 {
            return Err(DecodeError::ZeroIncrement { stream_id: head.stream_id });
        }
        Ok(Self { stream_id: head.stream_id, flags: head.flags, increment })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::OutOfRange`] for an increment of 0 or above [`MAX_WINDOW`].
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        if self.increment == 0 || self.increment > MAX_WINDOW {
            let (min, max, actual) = (1, MAX_WINDOW, self.increment);
            return Err(EncodeError::OutOfRange { field: "Window Size Increment", min, max, actual });
        }
        let head = Head::of(FrameType::WINDOW_UPDATE, self.flags, self.stream_id, size_of::<u32>())?;
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.increment.to_be_bytes());
        Ok(())
    }
}
