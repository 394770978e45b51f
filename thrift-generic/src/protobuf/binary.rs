use crate::error::{Error, ErrorKind};

/// The payload of a call whose message was encoded elsewhere: the bytes as they are (generic-call 6.7). On Kitex-Protobuf
/// the envelope comes around them, on gRPC the path is [`PbFunction::path`](super::PbFunction::path).
///
/// # Errors
///
/// There is no message. An empty one is `Some(b"")`.
pub fn request(message: Option<&[u8]>) -> Result<&[u8], Error> {
    message.ok_or_else(|| Error::new(ErrorKind::Unsupported("a Protobuf call without a message".into())))
}
