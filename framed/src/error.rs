/// Bytes that are not a frame, or not one we take: the peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// LENGTH claims more than the limit allows.
    #[error("{field} at offset {offset}: at most {max} bytes are allowed, {actual} are claimed")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins, counted from the frame's first byte.
        offset: usize,
        /// The limit, in bytes.
        max: usize,
        /// What the peer claims, in bytes.
        actual: usize,
    },
    /// The stream ended inside a frame.
    #[error("{field} at offset {offset}: needs {expected} bytes, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins, counted from the frame's first byte.
        offset: usize,
        /// How many bytes the field has.
        expected: usize,
        /// How many of them came.
        actual: usize,
    },
}

/// A payload that cannot be framed: our own caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than LENGTH can say, or than the codec's limit.
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

/// What a [`FramedCodec`](crate::FramedCodec) yields inside tokio-util's `Framed`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something that is not a frame.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The payload given to us does not fit into a frame.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
