use std::fmt;

/// Bytes that are not what they have to be, or more than we take: the peer is at fault. A status for it is 13
/// (INTERNAL), for [`TooLong`](Self::TooLong) 8 (RESOURCE_EXHAUSTED).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A length claims more than the limit allows.
    #[error("{field} at offset {offset}: at most {max} bytes are allowed, {actual} are claimed")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins, counted from the message's first byte.
        offset: usize,
        /// The limit, in bytes.
        max: usize,
        /// What the peer claims, in bytes.
        actual: usize,
    },
    /// The bytes ended inside a field.
    #[error("{field} at offset {offset}: needs {expected} bytes, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins, counted from the first byte of the message or value.
        offset: usize,
        /// How many bytes the field has.
        expected: usize,
        /// How many of them came.
        actual: usize,
    },
    /// A value is not of the form that its field has.
    #[error("{field} at offset {offset}: expected {expected}, got {}", Found(*actual))]
    Malformed {
        /// The header or field as the specification names it.
        field: &'static str,
        /// Where in the value it goes wrong.
        offset: usize,
        /// What would have been right, in words.
        expected: &'static str,
        /// The byte that stands there; `None` at the value's end.
        actual: Option<u8>,
    },
}

impl DecodeError {
    /// [`Malformed`](Self::Malformed), with the byte of `value` at `offset`.
    #[cold]
    pub(crate) fn malformed(field: &'static str, value: &[u8], offset: usize, expected: &'static str) -> Self {
        Self::Malformed { field, offset, expected, actual: value.get(offset).copied() }
    }
}

struct Found(Option<u8>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(byte) => write!(f, "{byte:#04x}"),
            None => f.write_str("the end"),
        }
    }
}

/// What was asked for and the wire cannot carry: our own caller is at fault. Nothing has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than its length can say, or than the codec's limit.
    #[error("{field}: at most {max} bytes are allowed, the payload has {actual}")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// The limit, in bytes.
        max: usize,
        /// The length of the payload, in bytes.
        actual: usize,
    },
}

/// What a [`MessageCodec`](crate::message::MessageCodec) yields inside tokio-util's `Framed`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something that is not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The message given to us does not fit.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
