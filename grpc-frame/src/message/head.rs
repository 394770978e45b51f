use std::fmt;

use bytes::Bytes;

use crate::{DecodeError, EncodeError};

/// Length of a message's head, in bytes: Compressed-Flag and Message-Length.
pub const HEAD_LEN: usize = 5;

/// Compressed-Flag. Only 0 and 1 mean something; the others are kept, and Kitex takes them for 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "one byte on the wire, whatever it comes to mean")]
pub struct CompressedFlag(pub u8);

impl CompressedFlag {
    /// The message is as it is.
    pub const PLAIN: Self = Self(0);
    /// The message is compressed as `grpc-encoding` says.
    pub const COMPRESSED: Self = Self(1);

    /// Whether the message has to be decompressed before it is read.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        self.0 == Self::COMPRESSED.0
    }
}

impl fmt::Debug for CompressedFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompressedFlag({:#04x})", self.0)
    }
}

/// What stands in front of each message.
///
/// ```text
/// 0                 1                 5                5 + N
/// +-----------------+-----------------+----------------+
/// | Compressed-Flag | Message-Length  | Message        |
/// |                 | N, big-endian   |                |
/// +-----------------+-----------------+----------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "five bytes on the wire, and nothing else will be in them")]
pub struct Head {
    /// Compressed-Flag.
    pub flag: CompressedFlag,
    /// Message-Length: bytes of message behind the head, as they are on the wire.
    pub len: u32,
}

impl Head {
    /// The head of the message that begins with `src`; `None` as long as there are fewer than five bytes. Nothing is
    /// checked: what the length may be is the caller's to say.
    #[must_use]
    #[inline]
    pub fn peek(src: &[u8]) -> Option<Self> {
        let &[flag, a, b, c, d] = src.first_chunk()?;
        Some(Self { flag: CompressedFlag(flag), len: u32::from_be_bytes([a, b, c, d]) })
    }

    /// The head for a message of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when 32 bits cannot say the length.
    #[inline]
    pub fn new(flag: CompressedFlag, len: usize) -> Result<Self, EncodeError> {
        match u32::try_from(len) {
            Ok(len) => Ok(Self { flag, len }),
            Err(_) => Err(EncodeError::TooLong {
                field: MESSAGE,
                max: usize::try_from(u32::MAX).unwrap_or(usize::MAX),
                actual: len,
            }),
        }
    }

    /// The head as it goes to the wire, for a vectored write of head and message.
    #[must_use]
    #[inline]
    pub const fn encode(self) -> [u8; HEAD_LEN] {
        let [a, b, c, d] = self.len.to_be_bytes();
        [self.flag.0, a, b, c, d]
    }

    /// Message-Length, if it is within the limit.
    #[inline]
    pub(super) fn checked_len(self, max: usize) -> Result<usize, DecodeError> {
        // Where an address has 16 bits, a length of more is over any limit.
        let actual = usize::try_from(self.len).unwrap_or(usize::MAX);
        if actual > max { Err(too_long(max, actual)) } else { Ok(actual) }
    }
}

#[cold]
pub(super) fn too_long(max: usize, actual: usize) -> DecodeError {
    DecodeError::TooLong { field: LENGTH, offset: 1, max, actual }
}

/// The stream ended after so many bytes of a head, none of them excepted.
#[cold]
pub(super) fn cut_in_head(actual: usize) -> DecodeError {
    DecodeError::Truncated { field: HEAD, offset: 0, expected: HEAD_LEN, actual }
}

/// The stream ended after so many bytes of a message.
#[cold]
pub(super) fn cut_in_message(expected: usize, actual: usize) -> DecodeError {
    DecodeError::Truncated { field: MESSAGE, offset: HEAD_LEN, expected, actual }
}

/// A whole message, as it came: still compressed if its flag says so.
///
/// The payload is a view of the buffer it arrived in and keeps all of it alive: copy what outlives the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a head and what it announces, and nothing else will be in it")]
pub struct Message {
    /// Compressed-Flag.
    pub flag: CompressedFlag,
    /// The bytes behind the head.
    pub payload: Bytes,
}

impl Message {
    /// A message that is not compressed.
    #[must_use]
    pub const fn plain(payload: Bytes) -> Self {
        Self { flag: CompressedFlag::PLAIN, payload }
    }

    /// A message whose payload is compressed.
    #[must_use]
    pub const fn compressed(payload: Bytes) -> Self {
        Self { flag: CompressedFlag::COMPRESSED, payload }
    }

    /// Its head.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when 32 bits cannot say the length.
    #[inline]
    pub fn head(&self) -> Result<Head, EncodeError> {
        Head::new(self.flag, self.payload.len())
    }
}

const HEAD: &str = "Length-Prefixed-Message head";
const LENGTH: &str = "Message-Length";
const MESSAGE: &str = "Message";
