use super::head::{HEAD_LEN, cut_in_head, cut_in_message, too_long};
use crate::{DEFAULT_MAX_MESSAGE_LEN, DecodeError};

/// Counts the messages in DATA that passes by and keeps none of it: sixteen bytes of state, and no work for the bytes
/// within a message.
///
/// ```
/// use grpc_frame::message::Boundaries;
///
/// let mut boundaries = Boundaries::default();
/// assert_eq!(boundaries.feed(b"\0\0\0\0\x02hi\0\0\0"), Ok(1));
/// assert!(!boundaries.is_between_messages());
/// assert_eq!(boundaries.feed(b"\0\0\0\0\0\0\0"), Ok(2));
/// assert!(boundaries.is_between_messages());
/// ```
#[derive(Clone, Debug)]
pub struct Boundaries {
    max: u32,
    /// Message-Length of the message under way, as far as `head` has come.
    len: u32,
    /// Bytes of that message still to come; counted from the moment its head is whole.
    left: u32,
    /// Bytes of head that have come: all five while a message is under way.
    head: u8,
}

impl Boundaries {
    /// A counter that refuses messages longer than `max_message_len` bytes, their heads not counted.
    #[must_use]
    pub fn new(max_message_len: usize) -> Self {
        Self { max: u32::try_from(max_message_len).unwrap_or(u32::MAX), len: 0, left: 0, head: 0 }
    }

    /// Takes what comes next and says how many messages end in it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] as soon as a head claims more than the limit, and from then on each time: where the next
    /// message begins is not to be known.
    pub fn feed(&mut self, mut data: &[u8]) -> Result<usize, DecodeError> {
        let mut messages = 0_usize;
        loop {
            // Nearly always the head lies in one piece.
            if self.head == 0
                && let Some((&[_, a, b, c, d], rest)) = data.split_first_chunk()
            {
                self.len = u32::from_be_bytes([a, b, c, d]);
                self.head = WHOLE_HEAD;
                self.left = self.len;
                data = rest;
            } else {
                data = self.feed_head(data);
            }
            if self.head < WHOLE_HEAD {
                return Ok(messages);
            }
            if self.len > self.max {
                return Err(too_long(to_usize(self.max), to_usize(self.len)));
            }
            match data.split_at_checked(to_usize(self.left)) {
                Some((_, rest)) => {
                    data = rest;
                    self.head = 0;
                    self.left = 0;
                    messages = messages.saturating_add(1);
                }
                None => {
                    // It is the shorter one, so it has no more bytes than a `u32` counts.
                    self.left = self.left.saturating_sub(u32::try_from(data.len()).unwrap_or(u32::MAX));
                    return Ok(messages);
                }
            }
        }
    }

    /// Whether nothing of a next message has come yet: where a stream may end.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.head == 0
    }

    /// The stream has ended: whether it did so between messages.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when it ended inside of one, with what came of head or message;
    /// [`DecodeError::TooLong`] when [`feed`](Self::feed) said so.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.head {
            0 => Ok(()),
            head @ ..WHOLE_HEAD => Err(cut_in_head(head.into())),
            _ if self.len > self.max => Err(too_long(to_usize(self.max), to_usize(self.len))),
            _ => Err(cut_in_message(to_usize(self.len), to_usize(self.len.saturating_sub(self.left)))),
        }
    }

    /// A head that comes in pieces, byte by byte.
    fn feed_head<'a>(&mut self, mut data: &'a [u8]) -> &'a [u8] {
        while self.head < WHOLE_HEAD
            && let Some((&byte, rest)) = data.split_first()
        {
            data = rest;
            // The flag is shifted out at the top by the four bytes behind it.
            self.len = self.len << 8 | u32::from(byte);
            self.head = self.head.saturating_add(1);
            self.left = self.len;
        }
        data
    }
}

impl Default for Boundaries {
    /// With the limit of [`DEFAULT_MAX_MESSAGE_LEN`].
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MESSAGE_LEN)
    }
}

/// Where an address has 16 bits, a length of more is over any limit.
fn to_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// [`HEAD_LEN`] as it is counted.
const WHOLE_HEAD: u8 = 5;
const _: () = assert!(HEAD_LEN == 5, "they are the same");
