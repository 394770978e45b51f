use std::io;

use ttheader::Flags;

/// What is wrong with a frame that a peer sent. Offsets count from the frame's first byte.
///
/// Each of them means that every stream of the connection ends and the connection is closed without an answer, as
/// Kitex does it (specification A14): its own name for it is code 12004.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is no TTHeader frame, or one above a limit.
    #[error(transparent)]
    Header(#[from] ttheader::DecodeError),
    /// The streaming bit of FLAGS is clear: a frame of a ping-pong call.
    #[error("FLAGS at offset 6: expected {:#06x}, got {:#06x}", Flags::STREAMING.0, actual.0)]
    NotStreaming {
        /// What was found.
        actual: Flags,
    },
    /// Int key 27, which says what kind of frame it is, is missing.
    #[error("FrameType: expected int key 27, there is none")]
    NoFrameType,
    /// Int key 27 holds something else than one of the digits 1 to 5.
    #[error("FrameType at offset {offset}: expected a digit from 1 to 5, got {len} bytes, the first {actual:#04x}")]
    UnknownFrameType {
        /// Where the value starts.
        offset: usize,
        /// Bytes of the value.
        len: usize,
        /// Its first byte; 0 where there is none.
        actual: u8,
    },
}

/// What the caller asked for and the wire cannot carry. Nothing has been written then.
///
/// A stock Kitex process finds out inside its write path and closes the connection (specification F7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A key, a value or the method is longer than 65,535 bytes, the header than 262,140, or the frame than 4 GiB.
    #[error(transparent)]
    Header(#[from] ttheader::EncodeError),
    /// Stream id 0 is reserved for the connection (specification A6).
    #[error("stream id: 0 is reserved")]
    ReservedId,
    /// The text of an exception is longer than Thrift can say.
    #[error("{field}: at most {expected} bytes, got {actual}")]
    TextTooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// The most bytes that fit.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
}

/// What a `tokio_util` stream of frames yields when it fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The caller asked for something that cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ttheader::DecodeError> for CodecError {
    fn from(error: ttheader::DecodeError) -> Self {
        Self::Decode(error.into())
    }
}
