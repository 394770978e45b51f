use std::io;

/// What is wrong with bytes that a peer sent. Offsets count from the frame's first byte.
///
/// Each of them means that the connection has to be closed without a reply: Kitex does not
/// resynchronise either (specification 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field runs past the end of the bytes it has to lie in.
    #[error("{field} at offset {offset}: needs {expected} bytes, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// Bytes the field needs.
        expected: usize,
        /// Bytes that are left.
        actual: usize,
    },
    /// The magic number is another one: these bytes belong to another protocol.
    #[error("{field} at offset {offset}: expected {expected:#06x}, got {actual:#06x}")]
    WrongMagic {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// The magic number of the protocol.
        expected: u16,
        /// What was found.
        actual: u16,
    },
    /// A length is smaller than what it has to cover.
    #[error("{field} at offset {offset}: expected at least {expected}, got {actual}")]
    TooSmall {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// The smallest value that is allowed.
        expected: usize,
        /// What was found.
        actual: usize,
    },
    /// A length is larger than the limit.
    #[error("{field} at offset {offset}: expected at most {expected}, got {actual}")]
    TooLarge {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// The limit, in bytes.
        expected: usize,
        /// What was found, in bytes.
        actual: usize,
    },
    /// An id that Kitex refuses too: nobody knows what follows it.
    #[error("{field} at offset {offset}: {actual:#04x} is not known")]
    UnknownId {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// What was found.
        actual: u8,
    },
}

/// What the caller asked for and the wire cannot carry. Nothing has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A key, a value or the ACL token is longer than its 16-bit length can say.
    #[error("{field}: at most {expected} bytes, got {actual}")]
    StringTooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// The most bytes that fit.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The header would be longer than HEADER SIZE can say.
    #[error("header: at most {expected} bytes, got {actual}")]
    HeaderTooLong {
        /// The most bytes that fit.
        expected: usize,
        /// Bytes the header would have.
        actual: usize,
    },
    /// LENGTH would exceed the limit, or 32 bits.
    #[error("LENGTH: at most {expected}, got {actual}")]
    FrameTooLong {
        /// The limit, in bytes after LENGTH.
        expected: usize,
        /// Bytes that would follow LENGTH.
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
