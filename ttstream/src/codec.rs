use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use ttheader::{Head, TtHeaderCodec, TtHeaderCodecBuilder};

use crate::{CodecError, Frame};

/// Cuts a stream of bytes into [`Frame`]s, and writes them.
///
/// Keeps nothing between calls but its limits. A frame above a limit is refused by its first 14 bytes, before anything
/// is reserved for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtStreamCodec {
    frames: TtHeaderCodec,
}

impl TtStreamCodec {
    /// A codec with the default limits, to change them.
    pub fn builder() -> TtStreamCodecBuilder {
        TtStreamCodecBuilder { frames: TtHeaderCodec::builder() }
    }
}

impl Decoder for TtStreamCodec {
    type Item = Frame;
    type Error = CodecError;

    #[inline]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.frames.split(src)? {
            Some((_, raw)) => Ok(Some(Frame::parse_whole(raw)?)),
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
        let (field, expected) =
            Head::peek(src)?.map_or(("head", ttheader::HEAD_LEN), |head| ("frame", head.frame_len()));
        Err(ttheader::DecodeError::Truncated { field, offset: 0, expected, actual: src.len() }.into())
    }
}

/// Writes a frame as it was received.
impl Encoder<Frame> for TtStreamCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        dst.extend_from_slice(frame.raw());
        Ok(())
    }
}

/// Sets the limits of a [`TtStreamCodec`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct TtStreamCodecBuilder {
    frames: TtHeaderCodecBuilder,
}

impl TtStreamCodecBuilder {
    /// The largest LENGTH, which counts header and payload, in bytes: 16 MiB by default.
    pub fn max_frame_len(self, bytes: usize) -> Self {
        Self { frames: self.frames.max_frame_len(bytes) }
    }

    /// The longest header block in bytes: by default all that HEADER SIZE can say, 262,140.
    pub fn max_header_len(self, bytes: usize) -> Self {
        Self { frames: self.frames.max_header_len(bytes) }
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> TtStreamCodec {
        TtStreamCodec { frames: self.frames.build() }
    }
}
