use bytes::{Buf, Bytes, BytesMut};

use super::{DecodeError, EncodeError, ErrorCode, Flags, FrameType, HEAD_LEN, Head, StreamId};

/// GOAWAY (section 6.8): the sender takes no new streams, and says which of the others it has dealt with.
///
/// ```text
/// +-+-------------------------------------------------------------+
/// |R|                  Last-Stream-ID (31)                        |
/// +-+-------------------------------------------------------------+
/// |                      Error Code (32)                          |
/// +---------------------------------------------------------------+
/// |                  Additional Debug Data (*)                  ...
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct GoAway {
    /// Flags, none of which means anything here.
    pub flags: Flags,
    /// Last-Stream-ID: streams of the receiver above it were not processed and may be tried elsewhere.
    pub last_stream_id: StreamId,
    /// Error Code.
    pub code: ErrorCode,
    /// Additional Debug Data, for people, such as `too_many_pings`: a view of the read buffer.
    pub debug_data: Bytes,
}

impl GoAway {
    /// A frame without flags.
    #[must_use]
    pub const fn new(last_stream_id: StreamId, code: ErrorCode, debug_data: Bytes) -> Self {
        Self { flags: Flags::NONE, last_stream_id, code, debug_data }
    }

    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdNotZero`], [`DecodeError::FieldMissing`].
    pub fn parse(head: Head, mut payload: Bytes) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        let Some(&[l0, l1, l2, l3, c0, c1, c2, c3]) = payload.first_chunk() else {
            let (field, at) = if payload.len() < FIELD_LEN { ("Last-Stream-ID", 0) } else { ("Error Code", FIELD_LEN) };
            let actual = payload.len().saturating_sub(at);
            return Err(head.missing(field, HEAD_LEN.saturating_add(at), FIELD_LEN, actual));
        };
        payload.advance(FIELDS_LEN);
        Ok(Self {
            flags: head.flags,
            last_stream_id: StreamId::new(u32::from_be_bytes([l0, l1, l2, l3])),
            code: ErrorCode(u32::from_be_bytes([c0, c1, c2, c3])),
            debug_data: payload,
        })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when Length cannot say it.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.last_stream_id.value().to_be_bytes());
        dst.extend_from_slice(&self.code.0.to_be_bytes());
        dst.extend_from_slice(&self.debug_data);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Head, EncodeError> {
        let len = self.debug_data.len().saturating_add(FIELDS_LEN);
        Head::of(FrameType::GOAWAY, self.flags, StreamId::CONNECTION, len)
    }
}

const FIELD_LEN: usize = 4;
const FIELDS_LEN: usize = 8;
