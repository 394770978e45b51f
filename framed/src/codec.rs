use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{CodecError, DEFAULT_MAX_FRAME_LEN, DecodeError, EncodeError, MAX_EAGER_RESERVE};

/// Length of a frame's head, in bytes: LENGTH and nothing else.
pub const HEAD_LEN: usize = 4;

/// Apache Thrift's framed transport: LENGTH, an unsigned 32-bit big-endian integer, and as many bytes of payload.
///
/// Decodes to the payload without LENGTH, as a view of the read buffer; the payload is not looked into and may be
/// empty. Encodes by copying the payload behind its LENGTH; [`encode_head`] serves who would rather write both with
/// one vectored write.
///
/// ```text
/// 0               4                4 + N
/// +---------------+----------------+
/// | LENGTH: N     | PAYLOAD        |
/// +---------------+----------------+
/// ```
#[derive(Clone, Debug)]
pub struct FramedCodec {
    max_frame_len: usize,
}

impl FramedCodec {
    /// A codec with limits of your own.
    #[must_use]
    pub fn builder() -> FramedCodecBuilder {
        FramedCodecBuilder { max_frame_len: DEFAULT_MAX_FRAME_LEN }
    }

    /// The longest payload this codec takes, in bytes.
    #[must_use]
    pub fn max_frame_len(&self) -> usize {
        self.max_frame_len
    }

    #[inline]
    fn payload_len(&self, src: &[u8]) -> Result<Option<usize>, DecodeError> {
        let Some(len) = peek_len(src) else { return Ok(None) };
        // Where an address has 16 bits, a length of more is over any limit.
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > self.max_frame_len { Err(self.too_long(len)) } else { Ok(Some(len)) }
    }

    #[cold]
    fn too_long(&self, actual: usize) -> DecodeError {
        DecodeError::TooLong { field: "LENGTH", offset: 0, max: self.max_frame_len, actual }
    }
}

impl Default for FramedCodec {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Decoder for FramedCodec {
    type Item = Bytes;
    type Error = CodecError;

    // Inlined, because handing the frame over in memory costs half as much again as all the rest of it.
    #[inline(always)]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        let Some(payload_len) = self.payload_len(src)? else { return Ok(None) };
        let frame_len = HEAD_LEN.saturating_add(payload_len);
        if src.len() < frame_len {
            // LENGTH stays in `src` until its payload is there: were it taken at once, a peer that closes right after
            // it would leave an empty buffer behind, which passes for a clean end of the stream.
            make_room(src, frame_len);
            return Ok(None);
        }
        let mut frame = src.split_to(frame_len).freeze();
        frame.advance(HEAD_LEN);
        Ok(Some(frame))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        let (field, offset, expected) = match self.payload_len(src)? {
            None if src.is_empty() => return Ok(None),
            None => ("LENGTH", 0, HEAD_LEN),
            Some(payload_len) => ("PAYLOAD", HEAD_LEN, payload_len),
        };
        match self.decode(src)? {
            Some(payload) => Ok(Some(payload)),
            None => {
                let actual = src.len().saturating_sub(offset);
                Err(DecodeError::Truncated { field, offset, expected, actual }.into())
            }
        }
    }
}

impl Encoder<Bytes> for FramedCodec {
    type Error = CodecError;

    fn encode(&mut self, payload: Bytes, dst: &mut BytesMut) -> Result<(), CodecError> {
        if payload.len() > self.max_frame_len {
            return Err(
                EncodeError::TooLong { field: "PAYLOAD", max: self.max_frame_len, actual: payload.len() }.into()
            );
        }
        let head = encode_head(payload.len())?;
        dst.reserve(HEAD_LEN.saturating_add(payload.len()));
        dst.extend_from_slice(&head);
        dst.extend_from_slice(&payload);
        Ok(())
    }
}

/// For the rest of a frame, as far as LENGTH is to be believed before the bytes are there.
#[cold]
fn make_room(src: &mut BytesMut, frame_len: usize) {
    src.reserve(frame_len.saturating_sub(src.len()).min(MAX_EAGER_RESERVE));
}

/// Sets the limits of a [`FramedCodec`].
#[derive(Clone, Debug)]
pub struct FramedCodecBuilder {
    max_frame_len: usize,
}

impl FramedCodecBuilder {
    /// The longest payload to take in either direction, in bytes; 16 MiB if never called.
    #[must_use]
    pub fn max_frame_len(mut self, max_frame_len: usize) -> Self {
        self.max_frame_len = max_frame_len;
        self
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> FramedCodec {
        FramedCodec { max_frame_len: self.max_frame_len }
    }
}

/// LENGTH of the frame that begins with `src`: bytes of payload, without LENGTH itself.
///
/// `None` as long as there are fewer than four bytes. Nothing is checked: what LENGTH may be is the caller's to say.
#[must_use]
#[inline]
pub fn peek_len(src: &[u8]) -> Option<u32> {
    src.first_chunk().copied().map(u32::from_be_bytes)
}

/// The head of a frame whose payload is `payload_len` bytes long, for a vectored write of head and payload.
///
/// # Errors
///
/// [`EncodeError::TooLong`] when 32 bits cannot say the length. Apache Thrift reads LENGTH as a signed number and so
/// takes half as much.
#[inline]
pub fn encode_head(payload_len: usize) -> Result<[u8; HEAD_LEN], EncodeError> {
    match u32::try_from(payload_len) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => Err(EncodeError::TooLong {
            field: "PAYLOAD",
            max: usize::try_from(u32::MAX).unwrap_or(usize::MAX),
            actual: payload_len,
        }),
    }
}
