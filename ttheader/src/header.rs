use std::fmt;

use bytes::BytesMut;

use crate::info::{Span, Spans};
use crate::limits::{HEAD_LEN, PROTOCOL_ID_OFFSET, WORD_LEN};
use crate::view::Layout;
use crate::writer::{EMPTY_LEN, Tail, finish, string_len};
use crate::{EncodeError, Flags, Head, HeaderView, IntKey, Patch, ProtocolId};

/// A header to keep and to edit.
///
/// It holds the header block as it will be sent, so that sections, order, duplicates and unknown
/// keys of a header that was received survive, and [`encode`](Self::encode) is one copy. To change
/// a header on its way through, a [`Patch`] is cheaper; to write one once, a
/// [`HeaderWriter`](crate::HeaderWriter).
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Fixed bytes, which are a placeholder, and the block without the padding at its end.
    wire: BytesMut,
    flags: Flags,
    seq: i32,
    info_start: usize,
    tail: Tail,
}

impl Header {
    /// A header without entries: PROTOCOL ID 0, no transforms.
    #[must_use]
    pub fn new(flags: Flags, seq: i32) -> Self {
        let wire = BytesMut::from(&[0; EMPTY_LEN][..]);
        Self { wire, flags, seq, info_start: EMPTY_LEN, tail: Tail::default() }
    }

    /// Sets FLAGS.
    pub fn set_flags(&mut self, flags: Flags) {
        self.flags = flags;
    }

    /// Sets SEQUENCE NUMBER.
    pub fn set_seq(&mut self, seq: i32) {
        self.seq = seq;
    }

    /// Sets PROTOCOL ID.
    pub fn set_protocol_id(&mut self, id: ProtocolId) {
        if let Some(byte) = self.wire.get_mut(PROTOCOL_ID_OFFSET) {
            *byte = id.0;
        }
    }

    /// Adds a string pair at the end without looking whether the key is there.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn append_string(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        self.tail.string(&mut self.wire, key, value)?;
        self.tail.close(&mut self.wire);
        Ok(())
    }

    /// Adds an int pair at the end without looking whether the key is there.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn append_int(&mut self, key: IntKey, value: &[u8]) -> Result<(), EncodeError> {
        self.tail.int(&mut self.wire, key, value)?;
        self.tail.close(&mut self.wire);
        Ok(())
    }

    /// Adds an ACL token at the end without looking whether there is one.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn append_acl_token(&mut self, token: &[u8]) -> Result<(), EncodeError> {
        self.tail.acl_token(&mut self.wire, token)
    }

    /// Gives a string key this value: in the place of its first occurrence, the others are removed;
    /// at the end if it is not there.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn set_string(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        match self.view().string(key) {
            Some(_) => self.apply(Patch::new().set_string(key, value)),
            None => self.append_string(key, value),
        }
    }

    /// Gives an int key this value, as [`set_string`](Self::set_string).
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn set_int(&mut self, key: IntKey, value: &[u8]) -> Result<(), EncodeError> {
        match self.view().int(key) {
            Some(_) => self.apply(Patch::new().set_int(key, value)),
            None => self.append_int(key, value),
        }
    }

    /// Gives the ACL token this value: all sections that held one go, and a new one comes last.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn set_acl_token(&mut self, token: &[u8]) -> Result<(), EncodeError> {
        string_len("ACL token", token)?;
        self.remove_acl_token();
        self.tail.acl_token(&mut self.wire, token)
    }

    /// Removes a string key with all its duplicates; whether it was there.
    pub fn remove_string(&mut self, key: &[u8]) -> bool {
        self.view().string(key).is_some() && self.apply(Patch::new().remove_string(key)).is_ok()
    }

    /// Removes an int key with all its duplicates; whether it was there.
    pub fn remove_int(&mut self, key: IntKey) -> bool {
        self.view().int(key).is_some() && self.apply(Patch::new().remove_int(key)).is_ok()
    }

    /// Removes the ACL token; whether it was there.
    pub fn remove_acl_token(&mut self) -> bool {
        self.view().acl_token().is_some() && self.apply(Patch::new().remove_acl_token()).is_ok()
    }

    /// Applies changes to the header.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was.
    pub fn apply(&mut self, patch: &Patch<'_>) -> Result<(), EncodeError> {
        let mut wire = BytesMut::new();
        patch.copy_info(&self.view(), &mut wire)?;
        let (flags, seq) = (patch.flags_or(self.flags), patch.seq_or(self.seq));
        *self = Self { wire, flags, seq, info_start: self.info_start, tail: Tail::default() };
        Ok(())
    }

    /// A view to read it by. Its head has the lengths of a frame without payload.
    #[must_use]
    pub fn view(&self) -> HeaderView<'_> {
        let words = self.block_len().div_ceil(WORD_LEN);
        // Too long a header cannot be encoded, and here its length is of no consequence.
        let words = u16::try_from(words).unwrap_or(u16::MAX);
        let head = Head::for_lengths(self.flags, self.seq, words, 0);
        let head = head.unwrap_or(Head { length: 0, flags: self.flags, seq: self.seq, header_words: words });
        let all = Span { start: self.info_start, end: self.wire.len() };
        HeaderView::with_layout(&self.wire, Layout { head, spans: Spans { all, strings: all, ints: all } })
    }

    /// Bytes that [`encode`](Self::encode) will write.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD_LEN.saturating_add(self.block_len().next_multiple_of(WORD_LEN))
    }

    /// Writes fixed bytes and header block for a payload of this length: `dst` ends where the
    /// payload starts, which can follow in a write of its own.
    ///
    /// # Errors
    ///
    /// [`EncodeError::HeaderTooLong`] and [`EncodeError::FrameTooLong`]; `dst` is then what it was
    /// before.
    #[inline]
    pub fn encode(&self, payload_len: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let start = dst.len();
        dst.reserve(self.encoded_len());
        dst.extend_from_slice(&self.wire);
        let done = finish(dst, start, self.flags, self.seq, payload_len);
        if done.is_err() {
            dst.truncate(start);
        }
        done
    }

    fn block_len(&self) -> usize {
        self.wire.len().saturating_sub(HEAD_LEN)
    }
}

impl Default for Header {
    fn default() -> Self {
        Self::new(Flags::default(), 0)
    }
}

impl From<HeaderView<'_>> for Header {
    fn from(view: HeaderView<'_>) -> Self {
        let Layout { head, spans } = view.layout();
        let wire = BytesMut::from(view.bytes().get(..spans.all.end).unwrap_or_default());
        Self { wire, flags: head.flags, seq: head.seq, info_start: spans.all.start, tail: Tail::default() }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}
