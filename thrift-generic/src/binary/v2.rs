//! Structs of arguments and results, and those of streams: `BinaryThriftGenericV2` (generic-call 6.2).

use bytes::{Bytes, BytesMut};
use thrift_codec::{DecodeError, MessageHeader, MessageType, Version, skip_struct};

use crate::binary::{BinaryError, Message};

/// A struct without fields: what is sent for no message at all.
pub const EMPTY: Bytes = Bytes::from_static(&[0]);

/// What is sent for a message: its bytes as they are, or an empty struct for none.
#[must_use]
pub fn body(message: Option<Bytes>) -> Bytes {
    message.unwrap_or(EMPTY)
}

/// Takes exactly one struct off the front of what has arrived, without a copy: where nothing says how long a payload is.
///
/// ```
/// use bytes::Bytes;
/// use thrift_generic::binary::v2::take_struct;
///
/// # fn main() -> Result<(), thrift_codec::DecodeError> {
/// let mut arrived = Bytes::from_static(b"\x08\0\x01\0\0\0\x07\0next");
/// assert_eq!(take_struct(&mut arrived)?, &b"\x08\0\x01\0\0\0\x07\0"[..]);
/// assert_eq!(arrived, &b"next"[..]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The bytes do not begin with a struct, or end inside it; they are left as they are.
pub fn take_struct(bytes: &mut Bytes) -> Result<Bytes, DecodeError> {
    let len = skip_struct(bytes)?;
    Ok(bytes.split_to(len.min(bytes.len())))
}

/// The envelope of a message, apart from its body, which can be sent from where it is.
///
/// # Errors
///
/// [`BinaryError::TooLong`].
pub fn envelope(message_type: MessageType, method: &str, seqid: i32) -> Result<Bytes, BinaryError> {
    let mut head = BytesMut::new();
    MessageHeader::new(Version::THRIFT, message_type, method.as_bytes(), seqid).encode(&mut head)?;
    Ok(head.freeze())
}

/// A whole message around a body, which is copied into it.
///
/// # Errors
///
/// [`BinaryError::TooLong`].
pub fn wrap(message_type: MessageType, method: &str, seqid: i32, body: Option<&[u8]>) -> Result<Bytes, BinaryError> {
    Message::new(message_type, method, seqid, body.unwrap_or(&EMPTY)).map(Message::into_bytes)
}

/// The struct of the result in the reply to a call, without a copy.
///
/// # Errors
///
/// As [`Message::parse`] and [`Message::into_result`].
pub fn unwrap_reply(reply: Bytes, method: &str, seqid: i32) -> Result<Bytes, BinaryError> {
    Message::parse(Some(reply))?.into_result(method, seqid)
}
