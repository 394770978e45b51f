//! `content-type`: whether a request is gRPC, and what its messages are (streaming-wire B4).
//!
//! ```
//! use grpc_frame::content_type::{Codec, ContentType};
//!
//! let content_type = ContentType::parse(b"application/grpc+thrift").expect("it is gRPC");
//! assert_eq!(content_type.codec(), Codec::Thrift);
//! assert_eq!(ContentType::parse(b"application/json"), None);
//! ```

use std::borrow::Cow;

/// The name of the header.
pub const NAME: &str = "content-type";

/// What every content type of gRPC begins with, and what a protobuf client sends.
pub const GRPC: &str = "application/grpc";

/// What a Kitex client with a thrift IDL sends.
pub const GRPC_THRIFT: &str = "application/grpc+thrift";

/// A content type that is gRPC, borrowed from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentType<'a> {
    value: &'a [u8],
    sub_type: &'a [u8],
}

impl<'a> ContentType<'a> {
    /// Checks a content type as Kitex and grpc-go do: `application/grpc` in lower case, followed by nothing, `+` or `;`.
    /// `None` is another content type: a server answers RST_STREAM INTERNAL_ERROR.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let sub_type = match value.strip_prefix(GRPC.as_bytes())?.split_first() {
            None => &[],
            Some((b'+' | b';', sub_type)) => sub_type,
            Some(_) => return None,
        };
        Some(Self { value, sub_type })
    }

    /// What stands behind `+` or `;`, all of it; may be empty.
    #[must_use]
    pub fn sub_type(&self) -> &'a [u8] {
        self.sub_type
    }

    /// What the messages are.
    #[must_use]
    pub fn codec(&self) -> Codec {
        if self.sub_type == b"thrift" { Codec::Thrift } else { Codec::Protobuf }
    }

    /// What a Kitex server answers with: the same sub-type, behind `+` whatever stood there. Borrowed from the request's
    /// header where it is that already.
    #[must_use]
    pub fn response(&self) -> Cow<'a, [u8]> {
        if self.sub_type.is_empty() {
            return Cow::Borrowed(GRPC.as_bytes());
        }
        match self.value.get(GRPC.len()) {
            Some(b';') => Cow::Owned([GRPC.as_bytes(), b"+", self.sub_type].concat()),
            _ => Cow::Borrowed(self.value),
        }
    }
}

/// What the messages of a call are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Thrift structs without a message header: `args` and `result` of unary methods, bare ones of streaming methods.
    Thrift,
    /// Protobuf messages; also what a sub-type that nobody knows is taken for.
    Protobuf,
}
