//! Thrift bytes as they are: Kitex's two binary generics (generic-call 6.1, 6.2).
//!
//! [`v1`] hands over complete messages, [`v2`] the structs in them. Nothing is decoded but the envelope, and no body is
//! copied unless it has to be.

use bytes::Bytes;
use thrift_codec::{DecodeError, EncodeError};

pub mod v1;
pub mod v2;

pub use v1::Message;

/// What a generic call carries without looking into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variant {
    /// Complete Thrift messages, `BinaryThriftGeneric`.
    V1,
    /// Structs of arguments and results, `BinaryThriftGenericV2`.
    V2,
    /// Protobuf messages, `BinaryPbGeneric`.
    Protobuf,
}

impl Variant {
    /// What Kitex calls its codec (generic-call 6.9).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "RawThriftBinary",
            Self::V2 => "BinaryThriftV2",
            Self::Protobuf => "BinaryPb",
        }
    }

    /// Whether a service of this kind may share a server with `others` more, and with a handler for unknown services:
    /// complete messages say nothing of services (generic-call 6.4).
    ///
    /// # Errors
    ///
    /// [`BinaryError::Alone`].
    pub fn check_company(self, others: usize, unknown_handler: bool) -> Result<(), BinaryError> {
        match self {
            Self::V1 if others > 0 => Err(BinaryError::Alone("multi services")),
            Self::V1 if unknown_handler => Err(BinaryError::Alone("unknown service")),
            _ => Ok(()),
        }
    }
}

/// The message of a Protobuf call, which has none that says nothing: an empty one is no bytes.
///
/// # Errors
///
/// [`BinaryError::Nil`].
pub fn protobuf(message: Option<Bytes>) -> Result<Bytes, BinaryError> {
    message.ok_or(BinaryError::Nil("protobufBinaryCodec"))
}

/// What can be wrong with a message, or with a call. The texts are Kitex's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// There are no bytes at all.
    #[error("invalid marshal data in {0}: nil")]
    Nil(&'static str),
    /// Too few for the beginning of an envelope.
    #[error("invalid trans buffer in binaryThriftCodec Unmarshal, size={0} less than 8 bytes")]
    Short(usize),
    /// A message without a version in front.
    #[error("missing version in Thrift Message")]
    MissingVersion,
    /// A version that is not that of Thrift Binary.
    #[error("bad version in Thrift Message")]
    BadVersion,
    /// A name that is empty, negative in length, or longer than the message.
    #[error("method len[{0}] invalid in binaryThriftCodec Unmarshal")]
    MethodLen(i32),
    /// A message that ends inside its envelope.
    #[error("invalid trans buffer: {0}")]
    Envelope(DecodeError),
    /// A message of a type that has no business here.
    #[error("unexpected message type {0}")]
    MessageType(u16),
    /// A reply to another method.
    #[error("wrong method name, expect={expect}, actual={actual}")]
    WrongMethod {
        /// The method that was called.
        expect: Box<str>,
        /// The one in the reply.
        actual: Box<str>,
    },
    /// A reply to another call.
    #[error("method[{method}] out of order sequence response, expect[{expect}], receive[{receive}]")]
    OutOfOrder {
        /// The method that was called.
        method: Box<str>,
        /// The call's seqid.
        expect: i32,
        /// The reply's.
        receive: i32,
    },
    /// The peer answered with an exception message.
    #[error("{message}")]
    Exception {
        /// One of [`thrift_codec::exception`].
        code: i32,
        /// What happened, in the peer's words.
        message: Box<str>,
    },
    /// An exception message whose body is none.
    #[error("exception: {0}")]
    BadException(DecodeError),
    /// A name that is too long.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// A server that V1 would have to share.
    #[error("binary thrift generic v1 doesn't support {0}")]
    Alone(&'static str),
}
