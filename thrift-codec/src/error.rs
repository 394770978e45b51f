/// Bytes that are not a Thrift message, or not one we take: the peer is at fault.
///
/// `offset` counts from the first byte of what was given to the function that failed: of the message where a message
/// is read, of the struct where a struct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("{field} at offset {offset}: needs {expected} bytes, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// How many bytes the field has.
        expected: usize,
        /// How many of them are there.
        actual: usize,
    },
    /// The message begins with neither 0x8001 (Thrift) nor, where it may, 0x9001 (Kitex-Protobuf).
    #[error("version at offset {offset}: expected {expected:#06x}, got {actual:#06x}")]
    BadVersion {
        /// Where the version stands.
        offset: usize,
        /// The version that is spoken here.
        expected: u16,
        /// What the peer sent.
        actual: u16,
    },
    /// A Binary message of the old form, without a version. Kitex refuses it too (spec 1.2).
    #[error("message at offset {offset}: the Binary form without a version is not spoken")]
    Unversioned {
        /// Where the message begins.
        offset: usize,
    },
    /// A message in Thrift's Compact protocol. Kitex refuses it too (spec 3.3).
    #[error("message at offset {offset}: the Compact protocol is not spoken")]
    Compact {
        /// Where the message begins.
        offset: usize,
    },
    /// A length or a count is negative.
    #[error("{field} at offset {offset}: {actual} is negative")]
    Negative {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// What the peer sent.
        actual: i32,
    },
    /// Something is longer than its limit.
    #[error("{field} at offset {offset}: at most {max} bytes are allowed, {actual} are claimed")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// The limit, in bytes.
        max: usize,
        /// What the peer claims or has sent, in bytes.
        actual: usize,
    },
    /// A value has a type that nobody knows the length of (spec 1.7).
    #[error("{field} at offset {offset}: unknown type {actual}")]
    UnknownType {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the type id stands.
        offset: usize,
        /// The type id.
        actual: u8,
    },
    /// Structs, maps, sets and lists are nested deeper than the limit.
    #[error("value at offset {offset}: nested deeper than {max} levels")]
    TooDeep {
        /// Where the value begins that is one level too deep.
        offset: usize,
        /// The limit, in levels.
        max: usize,
    },
    /// A field of a Protobuf message has a number or a wire type that does not exist, or a varint of more than ten
    /// bytes.
    #[error("{field} at offset {offset}: {actual:#x} is not Protobuf")]
    NotProtobuf {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// What the peer sent, as far as it could be read.
        actual: u64,
    },
}

impl DecodeError {
    /// The same error, told to someone for whom the bytes begin `by` bytes earlier.
    #[must_use]
    pub fn shifted(self, by: usize) -> Self {
        self.map_offset(|offset| offset.saturating_add(by))
    }

    pub(crate) fn map_offset(mut self, f: impl FnOnce(usize) -> usize) -> Self {
        let (Self::Truncated { offset, .. }
        | Self::BadVersion { offset, .. }
        | Self::Unversioned { offset }
        | Self::Compact { offset }
        | Self::Negative { offset, .. }
        | Self::TooLong { offset, .. }
        | Self::UnknownType { offset, .. }
        | Self::TooDeep { offset, .. }
        | Self::NotProtobuf { offset, .. }) = &mut self;
        *offset = f(*offset);
        self
    }
}

/// A value that cannot be written: our own caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A name, text, container or message is longer than its length field can say, or than the codec's limit.
    #[error("{field}: at most {max} are allowed, there are {actual}")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// The limit, in bytes or elements.
        max: usize,
        /// The length, in bytes or elements.
        actual: usize,
    },
}

/// What a [`BufferedCodec`](crate::BufferedCodec) yields inside tokio-util's `Framed`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something that is not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What was given to us cannot be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
