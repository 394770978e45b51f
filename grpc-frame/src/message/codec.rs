use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::head::{HEAD_LEN, Head, Message, cut_in_head, cut_in_message};
use crate::{CodecError, DEFAULT_MAX_MESSAGE_LEN, DecodeError, EncodeError, MAX_EAGER_RESERVE};

/// Cuts a `BytesMut` into messages, without copying them, and puts messages behind one another.
///
/// Nothing is decompressed; see [`compression`](crate::compression).
#[derive(Clone, Debug)]
pub struct MessageCodec {
    max_message_len: usize,
}

impl MessageCodec {
    /// A codec with limits of your own.
    #[must_use]
    pub fn builder() -> MessageCodecBuilder {
        MessageCodecBuilder { max_message_len: DEFAULT_MAX_MESSAGE_LEN }
    }

    /// The longest message this codec takes, in bytes, its head not counted.
    #[must_use]
    pub fn max_message_len(&self) -> usize {
        self.max_message_len
    }

    #[inline]
    fn peek(&self, src: &[u8]) -> Result<Option<(Head, usize)>, DecodeError> {
        let Some(head) = Head::peek(src) else { return Ok(None) };
        let len = head.checked_len(self.max_message_len)?;
        Ok(Some((head, len)))
    }
}

impl Default for MessageCodec {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Decoder for MessageCodec {
    type Item = Message;
    type Error = CodecError;

    // Inlined, because handing the message over in memory costs as much as the rest of it.
    #[inline(always)]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        let Some((head, len)) = self.peek(src)? else { return Ok(None) };
        let whole = HEAD_LEN.saturating_add(len);
        if src.len() < whole {
            // The head stays in `src` until its message is there: were it taken at once, a peer that ends the stream
            // right behind it would leave an empty buffer, which passes for a clean end.
            make_room(src, whole);
            return Ok(None);
        }
        let mut payload = src.split_to(whole).freeze();
        payload.advance(HEAD_LEN);
        Ok(Some(Message { flag: head.flag, payload }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        let missing = match self.peek(src)? {
            None if src.is_empty() => return Ok(None),
            None => cut_in_head(src.len()),
            Some((_, len)) => cut_in_message(len, src.len().saturating_sub(HEAD_LEN)),
        };
        match self.decode(src)? {
            Some(message) => Ok(Some(message)),
            None => Err(missing.into()),
        }
    }
}

impl Encoder<Message> for MessageCodec {
    type Error = CodecError;

    fn encode(&mut self, message: Message, dst: &mut BytesMut) -> Result<(), CodecError> {
        let (len, max) = (message.payload.len(), self.max_message_len);
        if len > max {
            return Err(EncodeError::TooLong { field: "Message", max, actual: len }.into());
        }
        let head = message.head()?;
        dst.reserve(HEAD_LEN.saturating_add(len));
        dst.extend_from_slice(&head.encode());
        dst.extend_from_slice(&message.payload);
        Ok(())
    }
}

/// For the rest of a message, as far as its length is to be believed before the bytes are there.
#[cold]
fn make_room(src: &mut BytesMut, whole: usize) {
    src.reserve(whole.saturating_sub(src.len()).min(MAX_EAGER_RESERVE));
}

/// Sets the limits of a [`MessageCodec`].
#[derive(Clone, Debug)]
pub struct MessageCodecBuilder {
    max_message_len: usize,
}

impl MessageCodecBuilder {
    /// The longest message to take in either direction, in bytes, its head not counted; 16 MiB if never called.
    #[must_use]
    pub fn max_message_len(mut self, max_message_len: usize) -> Self {
        self.max_message_len = max_message_len;
        self
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> MessageCodec {
        MessageCodec { max_message_len: self.max_message_len }
    }
}
