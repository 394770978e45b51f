//! Complete messages: `BinaryThriftGeneric` (generic-call 6.1).

use bytes::{Bytes, BytesMut};
use thrift_codec::{ApplicationException, MessageHeader, MessageType, Version, set_seqid};

use crate::binary::BinaryError;

/// A Thrift message, envelope and all. The bytes are kept as they came.
///
/// ```
/// use thrift_codec::MessageType;
/// use thrift_generic::binary::Message;
///
/// # fn main() -> Result<(), thrift_generic::binary::BinaryError> {
/// let call = Message::new(MessageType::CALL, "Echo", 100, b"\0")?.with_seqid(7);
/// let call = Message::parse(Some(call.into_bytes()))?;
/// assert_eq!((call.method(), call.seqid()), (&b"Echo"[..], 7));
///
/// let reply = call.reply(b"\0")?.into_bytes();
/// assert_eq!(Message::parse(Some(reply))?.into_result("Echo", 7)?, &b"\0"[..]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: Bytes,
    message_type: MessageType,
    name_len: usize,
    seqid: i32,
}

impl Message {
    /// Reads the envelope of a complete message. `None` is what Kitex has nil for.
    ///
    /// # Errors
    ///
    /// There is none, or it is not Thrift Binary's.
    pub fn parse(bytes: Option<Bytes>) -> Result<Self, BinaryError> {
        let bytes = bytes.ok_or(BinaryError::Nil("rawThriftBinaryCodec"))?;
        let Some(&[a, b, c, d, e, f, g, h]) = bytes.first_chunk() else { return Err(BinaryError::Short(bytes.len())) };
        if i32::from_be_bytes([a, b, c, d]) > 0 {
            return Err(BinaryError::MissingVersion);
        }
        if Version(u16::from_be_bytes([a, b])) != Version::THRIFT {
            return Err(BinaryError::BadVersion);
        }
        let name_len = i32::from_be_bytes([e, f, g, h]);
        let room = bytes.len().saturating_sub(8);
        if !usize::try_from(name_len).is_ok_and(|len| (1..=room).contains(&len)) {
            return Err(BinaryError::MethodLen(name_len));
        }
        let header = MessageHeader::parse(&bytes).map_err(BinaryError::Envelope)?;
        let (message_type, name_len, seqid) = (header.message_type, header.name.len(), header.seqid);
        Ok(Self { bytes, message_type, name_len, seqid })
    }

    /// Puts a message together. This copies the body; see [`v2::envelope`](crate::binary::v2::envelope) for sending it
    /// from where it is.
    ///
    /// # Errors
    ///
    /// [`BinaryError::TooLong`].
    pub fn new(message_type: MessageType, method: &str, seqid: i32, body: &[u8]) -> Result<Self, BinaryError> {
        Self::from_parts(message_type, method.as_bytes(), seqid, body)
    }

    /// An exception message: what tells a caller that a method is unknown, or its handler failed.
    ///
    /// # Errors
    ///
    /// [`BinaryError::TooLong`].
    pub fn exception(method: &str, seqid: i32, code: i32, message: &str) -> Result<Self, BinaryError> {
        let mut body = BytesMut::new();
        ApplicationException::new(code, message.as_bytes()).encode(&mut body)?;
        Self::new(MessageType::EXCEPTION, method, seqid, &body)
    }

    /// The reply to this message, with its method and seqid, as a server must send them.
    ///
    /// # Errors
    ///
    /// [`BinaryError::TooLong`].
    pub fn reply(&self, result: &[u8]) -> Result<Self, BinaryError> {
        Self::from_parts(MessageType::REPLY, self.method(), self.seqid, result)
    }

    fn from_parts(message_type: MessageType, method: &[u8], seqid: i32, body: &[u8]) -> Result<Self, BinaryError> {
        let header = MessageHeader::new(Version::THRIFT, message_type, method, seqid);
        let mut bytes = BytesMut::with_capacity(header.encoded_len().saturating_add(body.len()));
        header.encode(&mut bytes)?;
        bytes.extend_from_slice(body);
        Ok(Self { bytes: bytes.freeze(), message_type, name_len: method.len(), seqid })
    }

    /// The method's name, as its bytes are.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        let end = self.name_len.saturating_add(8);
        self.bytes.get(8..end).unwrap_or_default()
    }

    /// What the message is for.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The number by which a reply finds its call.
    #[must_use]
    pub fn seqid(&self) -> i32 {
        self.seqid
    }

    /// The struct behind the envelope, without a copy.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.name_len.saturating_add(12).min(self.bytes.len())..)
    }

    /// All of it.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// All of it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The message under another seqid. It is written over the old one where nobody else holds the bytes; otherwise
    /// they are copied, and the caller's stay what they were.
    #[must_use]
    pub fn with_seqid(self, seqid: i32) -> Self {
        if self.seqid == seqid {
            return self;
        }
        let mut bytes = self.bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        // It has an envelope, or there were no message.
        _ = set_seqid(&mut bytes, seqid);
        Self { bytes: bytes.freeze(), seqid, ..self }
    }

    /// The message under another seqid in two pieces, for a vectored write: a new envelope, and the body without a copy.
    ///
    /// # Errors
    ///
    /// [`BinaryError::TooLong`].
    pub fn split_with_seqid(&self, seqid: i32) -> Result<(Bytes, Bytes), BinaryError> {
        let mut head = BytesMut::new();
        MessageHeader::new(Version::THRIFT, self.message_type, self.method(), seqid).encode(&mut head)?;
        Ok((head.freeze(), self.body()))
    }

    /// The struct of the result, if this is the reply to a call of `method` under `seqid`; without a copy.
    ///
    /// # Errors
    ///
    /// [`BinaryError::Exception`], which is not checked for its name and seqid, as in Kitex; a message that is no reply,
    /// or another call's.
    pub fn into_result(self, method: &str, seqid: i32) -> Result<Bytes, BinaryError> {
        match self.message_type {
            MessageType::EXCEPTION => return Err(exception(&self.body())),
            MessageType::REPLY | MessageType::STREAM => {}
            MessageType(other) => return Err(BinaryError::MessageType(other)),
        }
        if self.method() != method.as_bytes() {
            let actual = String::from_utf8_lossy(self.method()).into();
            return Err(BinaryError::WrongMethod { expect: method.into(), actual });
        }
        if self.seqid != seqid {
            let receive = self.seqid;
            return Err(BinaryError::OutOfOrder { method: method.into(), expect: seqid, receive });
        }
        Ok(self.body())
    }

    /// The message, if a server may take it as a call.
    ///
    /// # Errors
    ///
    /// [`BinaryError::MessageType`].
    pub fn into_call(self) -> Result<Self, BinaryError> {
        match self.message_type {
            MessageType::CALL | MessageType::ONEWAY | MessageType::STREAM => Ok(self),
            MessageType(other) => Err(BinaryError::MessageType(other)),
        }
    }
}

/// The exception in the body of an exception message.
fn exception(body: &[u8]) -> BinaryError {
    match ApplicationException::parse(body) {
        Ok(exception) => {
            BinaryError::Exception { code: exception.code, message: String::from_utf8_lossy(exception.message).into() }
        }
        Err(error) => BinaryError::BadException(error),
    }
}
