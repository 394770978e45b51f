use bytes::{BufMut, Bytes, BytesMut};

use super::{DecodeError, Dependency, EncodeError, Flags, FrameType, HEAD_LEN, Head, StreamId, padding};

/// HEADERS (section 6.2): opens a stream, answers on it, or ends it with trailers.
///
/// ```text
/// +---------------+
/// |Pad Length? (8)|
/// +-+-------------+-----------------------------------------------+
/// |E|                 Stream Dependency? (31)                     |
/// +-+-------------+-----------------------------------------------+
/// |  Weight? (8)  |
/// +-+-------------+-----------------------------------------------+
/// |                    Field Block Fragment (*)                 ...
/// +---------------------------------------------------------------+
/// |                           Padding (*)                       ...
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Headers {
    /// Stream Identifier.
    pub stream_id: StreamId,
    /// Flags. PADDED and PRIORITY are written as [`padding`](Self::padding) and [`dependency`](Self::dependency) have
    /// them.
    pub flags: Flags,
    /// Pad Length, if the frame is padded. The padding itself is not kept; zeros are written.
    pub padding: Option<u8>,
    /// Stream Dependency and Weight, if they are there.
    pub dependency: Option<Dependency>,
    /// Field Block Fragment: HPACK, all of the header block if END_HEADERS is set. A view of the read buffer.
    pub fragment: Bytes,
}

impl Headers {
    /// A whole header block: END_HEADERS is set.
    #[must_use]
    #[inline]
    pub const fn new(stream_id: StreamId, fragment: Bytes) -> Self {
        Self { stream_id, flags: Flags::END_HEADERS, padding: None, dependency: None, fragment }
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
        head.check_stream_id()?;
        let padding = padding::take_len(&head, &mut payload)?;
        let dependency = match head.flags.contains(Flags::PRIORITY) {
            true => Some(Dependency::take(&head, HEAD_LEN.saturating_add(padding.iter().len()), &mut payload)?),
            false => None,
        };
        padding::cut(&head, padding, &mut payload)?;
        Ok(Self { stream_id: head.stream_id, flags: head.flags, padding, dependency, fragment: payload })
    }

    /// Whether it is the sender's last frame of this stream, CONTINUATION aside.
    #[must_use]
    #[inline]
    pub const fn is_end_stream(&self) -> bool {
        self.flags.contains(Flags::END_STREAM)
    }

    /// Whether the header block ends with this frame.
    #[must_use]
    #[inline]
    pub const fn is_end_headers(&self) -> bool {
        self.flags.contains(Flags::END_HEADERS)
    }

    /// The head.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0, [`EncodeError::TooLong`] when Length cannot say it.
    #[inline]
    pub fn head(&self) -> Result<Head, EncodeError> {
        let flags = self.flags.with(Flags::PADDED, self.padding.is_some());
        let flags = flags.with(Flags::PRIORITY, self.dependency.is_some());
        let len = self.fields_len().saturating_add(self.fragment.len());
        Head::of(FrameType::HEADERS, flags, self.stream_id, len)
    }

    /// Writes the frame, as one frame.
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
        if let Some(dependency) = self.dependency {
            dst.put_slice(&dependency.to_bytes());
        }
        dst.extend_from_slice(&self.fragment);
        padding::put(self.padding, dst);
        Ok(())
    }

    /// Octets of the payload that are not the fragment.
    pub(crate) fn fields_len(&self) -> usize {
        let dependency = if self.dependency.is_some() { Dependency::LEN } else { 0 };
        padding::encoded_len(self.padding).saturating_add(dependency)
    }

    /// Where the fragment starts, counted from the first octet of the head.
    pub(crate) fn fragment_offset(&self) -> usize {
        let padding = padding::encoded_len(self.padding.map(|_| 0));
        let dependency = if self.dependency.is_some() { Dependency::LEN } else { 0 };
        HEAD_LEN.saturating_add(padding).saturating_add(dependency)
    }
}
