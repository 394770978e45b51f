use std::{collections::VecDeque, mem};

use bytes::{Buf, Bytes};

use super::head::{HEAD_LEN, Head, Message, cut_in_head, cut_in_message};
use crate::{DEFAULT_MAX_MESSAGE_LEN, DecodeError, MAX_EAGER_RESERVE};

/// Puts messages together from chunks as DATA frames bring them, split anywhere.
///
/// A message that lies within one chunk is a view of it, wherever its head lies. One that does not is joined, which copies
/// it; its memory grows with what has come and never on the word of its length.
///
/// ```
/// use bytes::Bytes;
/// use grpc_frame::message::Assembler;
///
/// let mut assembler = Assembler::default();
/// let mut messages = Vec::new();
/// for chunk in [&b"\0\0\0\0\x01a\0\0"[..], b"\0\0\x02b", b"c"] {
///     assembler.feed(Bytes::from_static(chunk));
///     while let Some(message) = assembler.next_message()? {
///         messages.push(message.payload);
///     }
/// }
/// assembler.finish()?;
/// assert_eq!(messages, ["a", "bc"]);
/// # Ok::<(), grpc_frame::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Assembler {
    max: usize,
    /// What has come of a head that does not lie within one chunk with its message; whole while that one is under way.
    head: [u8; HEAD_LEN],
    head_len: usize,
    /// What has come of that message, if it does not lie within one chunk either.
    joined: Vec<u8>,
    /// What of the oldest chunk has not been read.
    chunk: Bytes,
    /// Chunks behind it; empty as long as the caller asks for all messages before it feeds again.
    later: VecDeque<Bytes>,
}

impl Assembler {
    /// An assembler that refuses messages longer than `max_message_len` bytes, their heads not counted.
    #[must_use]
    pub fn new(max_message_len: usize) -> Self {
        Self {
            max: max_message_len,
            head: [0; HEAD_LEN],
            head_len: 0,
            joined: Vec::new(),
            chunk: Bytes::new(),
            later: VecDeque::new(),
        }
    }

    /// Takes the next chunk. Ask for all messages there are before the next one: chunks that wait are kept as they are,
    /// with the buffers they are views of.
    #[inline]
    pub fn feed(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.later.push_back(chunk);
        }
    }

    /// The next message, if it is whole.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] as soon as a head claims more than the limit, and from then on each time: where the next
    /// message begins is not to be known.
    // Inlined, because handing the message over in memory costs as much as the rest of it.
    #[inline(always)]
    pub fn next_message(&mut self) -> Result<Option<Message>, DecodeError> {
        // Nearly always head and message lie in one chunk.
        if self.head_len == 0
            && let Some(head) = Head::peek(&self.chunk)
        {
            let len = head.checked_len(self.max)?;
            if self.chunk.len() >= HEAD_LEN.saturating_add(len) {
                // The head first: taken off the payload afterwards, half of a word just written is read with its other
                // half, which costs the processor a third of all this.
                self.chunk.advance(HEAD_LEN);
                let payload = self.chunk.split_to(len);
                return Ok(Some(Message { flag: head.flag, payload }));
            }
        }
        if self.chunk.is_empty() && self.later.is_empty() { Ok(None) } else { self.next_in_pieces() }
    }

    /// Bytes that wait here: of a message that is not whole, and of chunks that have not been looked at.
    #[must_use]
    pub fn buffered_len(&self) -> usize {
        let later = self.later.iter().fold(0_usize, |sum, chunk| sum.saturating_add(chunk.len()));
        self.head_len.saturating_add(self.joined.len()).saturating_add(self.chunk.len()).saturating_add(later)
    }

    /// Whether nothing of a next message has come yet: where a stream may end. Ask for all messages first.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.buffered_len() == 0
    }

    /// The stream has ended: whether it did so between messages. Ask for all messages first; a message that nobody asked
    /// for is not an error, but lost.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when it ended inside of one, with what came of head or message;
    /// [`DecodeError::TooLong`] when [`next_message`](Self::next_message) says so.
    pub fn finish(mut self) -> Result<(), DecodeError> {
        while self.next_message()?.is_some() {}
        match (self.head_len, Head::peek(&self.head)) {
            (0, _) => Ok(()),
            (HEAD_LEN, Some(head)) => Err(cut_in_message(head.checked_len(self.max)?, self.joined.len())),
            (len, _) => Err(cut_in_head(len)),
        }
    }

    /// The next message, when it is not whole in the chunk at hand.
    #[cold]
    fn next_in_pieces(&mut self) -> Result<Option<Message>, DecodeError> {
        loop {
            if let Some(message) = self.join()? {
                return Ok(Some(message));
            }
            // What was at hand has been taken.
            let Some(chunk) = self.later.pop_front() else { return Ok(None) };
            self.chunk = chunk;
        }
    }

    /// Reads on in the chunk at hand, to the end of the message under way or of the chunk.
    fn join(&mut self) -> Result<Option<Message>, DecodeError> {
        let Some(head) = self.take_head() else { return Ok(None) };
        let len = head.checked_len(self.max)?;
        let payload = if self.joined.is_empty() && self.chunk.len() >= len {
            self.chunk.split_to(len)
        } else {
            self.take(len.saturating_sub(self.joined.len()));
            if self.joined.len() < len {
                return Ok(None);
            }
            mem::take(&mut self.joined).into()
        };
        self.head_len = 0;
        Ok(Some(Message { flag: head.flag, payload }))
    }

    /// The head of the message under way, if the chunk at hand completes it.
    fn take_head(&mut self) -> Option<Head> {
        let missing = self.head.get_mut(self.head_len..)?;
        let came = self.chunk.split_to(missing.len().min(self.chunk.len()));
        missing.get_mut(..came.len())?.copy_from_slice(&came);
        self.head_len = self.head_len.saturating_add(came.len());
        if self.head_len < HEAD_LEN { None } else { Head::peek(&self.head) }
    }

    /// Moves bytes that the message under way is `missing` from the chunk at hand behind it.
    fn take(&mut self, missing: usize) {
        let bytes = self.chunk.split_to(missing.min(self.chunk.len()));
        let (have, need) = (self.joined.len(), self.joined.len().saturating_add(bytes.len()));
        if self.joined.capacity() < need {
            // Doubled, so that growing moves a byte once on average; and never past what is to come.
            let room = need.saturating_mul(2).max(MAX_EAGER_RESERVE).min(have.saturating_add(missing));
            self.joined.reserve_exact(room.saturating_sub(have));
        }
        self.joined.extend_from_slice(&bytes);
    }
}

impl Default for Assembler {
    /// With the limit of [`DEFAULT_MAX_MESSAGE_LEN`].
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MESSAGE_LEN)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test that is wrong may panic")]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_what_came_and_not_with_what_is_claimed() {
        const LEN: usize = 3 << 20;
        let mut assembler = Assembler::default();
        assembler.feed(Bytes::copy_from_slice(&[0, 0, 0x30, 0, 0]));
        assert_eq!(assembler.next_message(), Ok(None));
        assert_eq!(assembler.joined.capacity(), 0, "nothing for a bare head");
        let mut came = 0;
        while came < LEN - 1000 {
            came += 1000;
            assembler.feed(Bytes::from(vec![0; 1000]));
            assert_eq!(assembler.next_message(), Ok(None));
            let held = assembler.joined.capacity();
            assert!(held <= (2 * came).max(MAX_EAGER_RESERVE) && held <= LEN, "{held} bytes held, {came} came");
        }
        assembler.feed(Bytes::from(vec![0; LEN - came]));
        assert_eq!(assembler.next_message().unwrap().unwrap().payload.len(), LEN);
        assert_eq!(assembler.joined.capacity(), 0, "between messages it holds nothing");
        assert_eq!(assembler.finish(), Ok(()));
    }
}
