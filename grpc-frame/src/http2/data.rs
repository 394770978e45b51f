use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, Flags, FrameType, Head, StreamId, padding};

/// DATA (section 6.1): octets of a stream, for gRPC pieces of messages.
///
/// ```text
/// +---------------+
/// |Pad Length? (8)|
/// +---------------+-----------------------------------------------+
/// |                            Data (*)                         ...
/// +---------------------------------------------------------------+
/// |                           Padding (*)                       ...
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Data {
    /// Stream Identifier.
    pub stream_id: StreamId,
    /// Flags. PADDED is written as [`padding`](Self::padding) has it.
    pub flags: Flags,
    /// Pad Length, if the frame is padded. The padding itself is not kept; zeros are written.
    pub padding: Option<u8>,
    /// Data, without padding: a view of the read buffer.
    pub data: Bytes,
}

impl Data {
    /// A frame without flags and padding.
    #[must_use]
    #[inline]
    pub const fn new(stream_id: StreamId, data: Bytes) -> Self {
        Self { stream_id, flags: Flags::NONE, padding: None, data }
    }

    /// The same frame with these flags.
    #[must_use]
    #[inline]
    pub fn with_flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Reads the payload behind `head`, of which nothing may be missing.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdZero`], [`DecodeError::FieldMissing`], [`DecodeError::PaddingTooLong`].
    #[inline]
    pub fn parse(head: Head, mut payload: Bytes) -> Result<Self, DecodeError> {
        if head.stream_id.is_connection() {
            return Err(DecodeError::StreamIdZero { frame_type: FrameType::DATA });
        }
        let mut padding = None;
        if head.flags.contains(Flags::PADDED) {
            padding = padding::take_len(&head, &mut payload)?;
            padding::cut(&head, padding, &mut payload)?;
        }
        Ok(Self { stream_id: head.stream_id, flags: head.flags, padding, data: payload })
    }

    /// What the frame takes from the flow-control windows of stream and connection, in octets: all of its payload,
    /// padding and Pad Length included.
    #[must_use]
    #[inline]
    pub fn flow_len(&self) -> usize {
        self.data.len().saturating_add(padding::encoded_len(self.padding))
    }

    /// Whether it is the sender's last frame of this stream.
    #[must_use]
    #[inline]
    pub const fn is_end_stream(&self) -> bool {
        self.flags.contains(Flags::END_STREAM)
    }

    /// The head, for a vectored write: behind it go Pad Length if there is one, the data, and the padding.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0, [`EncodeError::TooLong`] when Length cannot say it.
    #[inline]
    pub fn head(&self) -> Result<Head, EncodeError> {
        let flags = self.flags.with(Flags::PADDED, self.padding.is_some());
        Head::of(FrameType::DATA, flags, self.stream_id, self.flow_len())
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// Those of [`head`](Self::head).
    #[inline]
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        padding::put_len(self.padding, dst);
        dst.extend_from_slice(&self.data);
        padding::put(self.padding, dst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_for_flow_control_and_not_as_data() {
        for (padding, flow_len) in [(None, 3), (Some(0), 4), (Some(1), 5), (Some(255), 259)] {
            let data = Data { padding, ..Data::new(StreamId::new(1), Bytes::from_static(b"abc")) };
            assert_eq!((data.flow_len(), data.head().unwrap().payload_len()), (flow_len, flow_len));
        }
    }
}
