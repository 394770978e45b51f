use bytes::{Buf, Bytes, BytesMut};

use super::{DecodeError, EncodeError, Flags, FrameType, HEAD_LEN, Head, StreamId, padding};

/// PUSH_PROMISE (section 6.6): a server announces an answer to a request that nobody made. gRPC has no use for it.
///
/// ```text
/// +---------------+
/// |Pad Length? (8)|
/// +-+-------------+-----------------------------------------------+
/// |R|                  Promised Stream ID (31)                    |
/// +-+-----------------------------+-------------------------------+
/// |                    Field Block Fragment (*)                 ...
/// +---------------------------------------------------------------+
/// |                           Padding (*)                       ...
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct PushPromise {
    /// Stream Identifier: the request that the promise belongs to.
    pub stream_id: StreamId,
    /// Flags. PADDED is written as [`padding`](Self::padding) has it.
    pub flags: Flags,
    /// Pad Length, if the frame is padded. The padding itself is not kept; zeros are written.
    pub padding: Option<u8>,
    /// Promised Stream ID: even, and not 0.
    pub promised_id: StreamId,
    /// Field Block Fragment: HPACK, all of the header block if END_HEADERS is set. A view of the read buffer.
    pub fragment: Bytes,
}

impl PushPromise {
    /// A whole header block: END_HEADERS is set.
    #[must_use]
    pub const fn new(stream_id: StreamId, promised_id: StreamId, fragment: Bytes) -> Self {
        Self { stream_id, flags: Flags::END_HEADERS, padding: None, promised_id, fragment }
    }

    /// Reads the payload behind `head`, of which nothing may be missing.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdZero`], [`DecodeError::FieldMissing`], [`DecodeError::PaddingTooLong`],
    /// [`DecodeError::WrongPromise`].
    pub fn parse(head: Head, mut payload: Bytes) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        let padding = padding::take_len(&head, &mut payload)?;
        let offset = HEAD_LEN.saturating_add(padding.iter().len());
        let Some(promised_id) = payload.first_chunk().copied() else {
            return Err(head.missing("Promised Stream ID", offset, ID_LEN, payload.len()));
        };
        payload.advance(ID_LEN);
        let promised_id = StreamId::new(u32::from_be_bytes(promised_id));
        if !promised_id.is_of_server() {
            return Err(DecodeError::WrongPromise { offset, actual: promised_id });
        }
        padding::cut(&head, padding, &mut payload)?;
        Ok(Self { stream_id: head.stream_id, flags: head.flags, padding, promised_id, fragment: payload })
    }

    /// Whether the header block ends with this frame.
    #[must_use]
    pub const fn is_end_headers(&self) -> bool {
        self.flags.contains(Flags::END_HEADERS)
    }

    /// The head.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0, or for a promise that a server cannot make; [`EncodeError::TooLong`] when
    /// Length cannot say it.
    pub fn head(&self) -> Result<Head, EncodeError> {
        if !self.promised_id.is_of_server() {
            return Err(EncodeError::StreamId { frame_type: FrameType::PUSH_PROMISE, actual: self.promised_id });
        }
        let flags = self.flags.with(Flags::PADDED, self.padding.is_some());
        let len = self.fields_len().saturating_add(self.fragment.len());
        Head::of(FrameType::PUSH_PROMISE, flags, self.stream_id, len)
    }

    /// Writes the frame, as one frame.
    ///
    /// # Errors
    ///
    /// Those of [`head`](Self::head).
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        padding::put_len(self.padding, dst);
        dst.extend_from_slice(&self.promised_id.value().to_be_bytes());
        dst.extend_from_slice(&self.fragment);
        padding::put(self.padding, dst);
        Ok(())
    }

    /// Octets of the payload that are not the fragment.
    pub(crate) fn fields_len(&self) -> usize {
        padding::encoded_len(self.padding).saturating_add(ID_LEN)
    }

    /// Where the fragment starts, counted from the first octet of the head.
    pub(crate) fn fragment_offset(&self) -> usize {
        let padding = padding::encoded_len(self.padding.map(|_| 0));
        HEAD_LEN.saturating_add(padding).saturating_add(ID_LEN)
    }
}

const ID_LEN: usize = 4;
