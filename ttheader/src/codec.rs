use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::limits::{
    DEFAULT_MAX_FRAME_LEN, DEFAULT_MAX_HEADER_LEN, HEAD_LEN, LENGTH_LEN, MAX_EAGER_RESERVE, MAX_HEADER_LEN,
};
use crate::{CodecError, DecodeError, EncodeError, Frame, Head, Header};

/// Cuts a stream of bytes into [`Frame`]s, and writes them.
///
/// Keeps nothing between calls but its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtHeaderCodec {
    max_frame_len: usize,
    max_header_len: usize,
}

impl TtHeaderCodec {
    /// A codec with the default limits, to change them.
    pub fn builder() -> TtHeaderCodecBuilder {
        TtHeaderCodecBuilder { codec: Self::default() }
    }

    /// Takes one whole frame off the front without looking at what its header says: for who sends
    /// it on by its fixed bytes alone. `None` as long as a part of it is missing.
    ///
    /// # Errors
    ///
    /// What [`Head::peek`] refuses, and [`DecodeError::TooLarge`] above a limit.
    #[inline]
    pub fn split(&mut self, src: &mut BytesMut) -> Result<Option<(Head, Bytes)>, DecodeError> {
        let Some(head) = Head::peek(src)? else { return Ok(None) };
        self.check(&head)?;
        let frame_len = head.frame_len();
        // The frame stays in `src` until it is whole: were its head consumed before, a peer that
        // closes right after it would leave an empty buffer, which `decode_eof` takes for a clean
        // end.
        let Some(missing) = frame_len.checked_sub(src.len()).filter(|&missing| missing > 0) else {
            return Ok(Some((head, src.split_to(frame_len).freeze())));
        };
        src.reserve(missing.min(MAX_EAGER_RESERVE));
        Ok(None)
    }

    /// Writes a header for a payload that follows in a write of its own: `dst` ends where the
    /// payload starts.
    ///
    /// # Errors
    ///
    /// [`EncodeError::HeaderTooLong`] and [`EncodeError::FrameTooLong`], by the codec's limits too;
    /// `dst` is then what it was before.
    pub fn encode_head(&self, header: &Header, payload_len: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let header_len = header.encoded_len().saturating_sub(HEAD_LEN);
        if header_len > self.max_header_len {
            return Err(EncodeError::HeaderTooLong { expected: self.max_header_len, actual: header_len });
        }
        let length = header.encoded_len().saturating_sub(LENGTH_LEN).saturating_add(payload_len);
        if length > self.max_frame_len {
            return Err(EncodeError::FrameTooLong { expected: self.max_frame_len, actual: length });
        }
        header.encode(payload_len, dst)
    }

    #[inline]
    fn check(&self, head: &Head) -> Result<(), DecodeError> {
        let header_len = head.header_len();
        if header_len > self.max_header_len {
            return Err(DecodeError::TooLarge {
                field: "HEADER SIZE",
                offset: 12,
                expected: self.max_header_len,
                actual: header_len,
            });
        }
        let length = head.frame_len().saturating_sub(LENGTH_LEN);
        if length > self.max_frame_len {
            return Err(DecodeError::TooLarge {
                field: "LENGTH",
                offset: 0,
                expected: self.max_frame_len,
                actual: length,
            });
        }
        Ok(())
    }
}

impl Default for TtHeaderCodec {
    fn default() -> Self {
        Self { max_frame_len: DEFAULT_MAX_FRAME_LEN, max_header_len: DEFAULT_MAX_HEADER_LEN }
    }
}

impl Decoder for TtHeaderCodec {
    type Item = Frame;
    type Error = CodecError;

    #[inline]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.split(src)? {
            Some((head, raw)) => Ok(Some(Frame::parse_behind(head, raw)?)),
            None => Ok(None),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        if src.is_empty() {
            return Ok(None);
        }
        let (field, expected) = Head::peek(src)?.map_or(("head", HEAD_LEN), |head| ("frame", head.frame_len()));
        Err(DecodeError::Truncated { field, offset: 0, expected, actual: src.len() }.into())
    }
}

/// Writes a frame as it was received.
impl Encoder<Frame> for TtHeaderCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        dst.extend_from_slice(frame.raw());
        Ok(())
    }
}

/// Writes a header and copies the payload behind it; see [`TtHeaderCodec::encode_head`].
impl Encoder<(&Header, Bytes)> for TtHeaderCodec {
    type Error = CodecError;

    fn encode(&mut self, (header, payload): (&Header, Bytes), dst: &mut BytesMut) -> Result<(), CodecError> {
        dst.reserve(header.encoded_len().saturating_add(payload.len()));
        self.encode_head(header, payload.len(), dst)?;
        dst.put(payload);
        Ok(())
    }
}

/// Sets the limits of a [`TtHeaderCodec`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct TtHeaderCodecBuilder {
    codec: TtHeaderCodec,
}

impl TtHeaderCodecBuilder {
    /// The largest LENGTH, which counts header and payload, in bytes: 16 MiB by default.
    pub fn max_frame_len(mut self, bytes: usize) -> Self {
        self.codec.max_frame_len = bytes;
        self
    }

    /// The longest header block in bytes: by default all that HEADER SIZE can say.
    pub fn max_header_len(mut self, bytes: usize) -> Self {
        self.codec.max_header_len = bytes.min(MAX_HEADER_LEN);
        self
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> TtHeaderCodec {
        self.codec
    }
}
