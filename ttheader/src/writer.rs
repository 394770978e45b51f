use bytes::BytesMut;

use crate::limits::{HEAD_LEN, MAX_HEADER_LEN, MAX_STRING_LEN, PROTOCOL_ID_OFFSET, WORD_LEN};
use crate::{EncodeError, Flags, Head, InfoId, IntKey, ProtocolId};

/// Writes a header straight into a buffer, entry by entry, without any value in between.
///
/// Entries of one kind that follow each other share a section. [`finish`](Self::finish) completes
/// it; without that, dropping the writer takes back what it wrote.
///
/// ```
/// use bytes::BytesMut;
/// use ttheader::{Flags, HeaderView, HeaderWriter, IntKey, keys};
///
/// let mut wire = BytesMut::new();
/// let mut header = HeaderWriter::new(&mut wire, Flags::default(), 7);
/// header.string(keys::IDL_SERVICE_NAME, b"EchoService")?;
/// header.int(IntKey::TO_METHOD, b"echo")?;
/// header.finish(5)?;
/// wire.extend_from_slice(b"hello");
///
/// assert_eq!(HeaderView::parse(&wire)?.int(IntKey::TO_METHOD), Some(&b"echo"[..]));
/// # Ok::<(), ttheader::CodecError>(())
/// ```
#[derive(Debug)]
pub struct HeaderWriter<'b> {
    dst: &'b mut BytesMut,
    start: usize,
    flags: Flags,
    seq: i32,
    tail: Tail,
    finished: bool,
}

impl<'b> HeaderWriter<'b> {
    /// Begins a header behind what `dst` has already: PROTOCOL ID 0, no transforms.
    #[inline]
    pub fn new(dst: &'b mut BytesMut, flags: Flags, seq: i32) -> Self {
        let start = dst.len();
        dst.extend_from_slice(&[0; EMPTY_LEN]);
        Self { dst, start, flags, seq, tail: Tail::default(), finished: false }
    }

    /// Sets PROTOCOL ID. Kitex writes 0 for every payload.
    pub fn protocol_id(&mut self, id: ProtocolId) {
        if let Some(byte) = self.dst.get_mut(self.start.saturating_add(PROTOCOL_ID_OFFSET)) {
            *byte = id.0;
        }
    }

    /// Appends a string pair.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was before.
    #[inline]
    pub fn string(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        self.tail.string(self.dst, key, value)
    }

    /// Appends an int pair.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was before.
    #[inline]
    pub fn int(&mut self, key: IntKey, value: &[u8]) -> Result<(), EncodeError> {
        self.tail.int(self.dst, key, value)
    }

    /// Appends the ACL token.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StringTooLong`]; the header stays as it was before.
    pub fn acl_token(&mut self, token: &[u8]) -> Result<(), EncodeError> {
        self.tail.acl_token(self.dst, token)
    }

    /// Pads the header and writes the lengths: `dst` ends where the payload starts.
    ///
    /// # Errors
    ///
    /// [`EncodeError::HeaderTooLong`] and [`EncodeError::FrameTooLong`]; `dst` is then what it was
    /// before [`new`](Self::new).
    #[inline]
    pub fn finish(mut self, payload_len: usize) -> Result<(), EncodeError> {
        self.tail.close(self.dst);
        finish(self.dst, self.start, self.flags, self.seq, payload_len)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for HeaderWriter<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.finished {
            self.dst.truncate(self.start);
        }
    }
}

/// The section at the end of a header, which the next entry may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// [`InfoId::PADDING`] if no section can be joined.
    id: InfoId,
    count: u16,
    /// Where its count stands in the buffer.
    count_at: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Self { id: InfoId::PADDING, count: 0, count_at: 0 }
    }
}

/// Writes that leave the count of the last section to [`close`](Tail::close).
impl Tail {
    #[inline]
    pub(crate) fn string(&mut self, dst: &mut BytesMut, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        let key_len = string_len("INFO key", key)?;
        let value_len = string_len("INFO value", value)?;
        self.entry(dst, InfoId::STRINGS);
        dst.extend_from_slice(&key_len);
        dst.extend_from_slice(key);
        dst.extend_from_slice(&value_len);
        dst.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    pub(crate) fn int(&mut self, dst: &mut BytesMut, key: IntKey, value: &[u8]) -> Result<(), EncodeError> {
        let [k0, k1] = key.0.to_be_bytes();
        let [l0, l1] = string_len("INFO value", value)?;
        self.entry(dst, InfoId::INTS);
        dst.extend_from_slice(&[k0, k1, l0, l1]);
        dst.extend_from_slice(value);
        Ok(())
    }

    pub(crate) fn acl_token(&mut self, dst: &mut BytesMut, token: &[u8]) -> Result<(), EncodeError> {
        let len = string_len("ACL token", token)?;
        self.close(dst);
        *self = Self::default();
        dst.extend_from_slice(&[InfoId::ACL_TOKEN.0]);
        dst.extend_from_slice(&len);
        dst.extend_from_slice(token);
        Ok(())
    }

    /// Writes down how many entries the section has.
    #[inline]
    pub(crate) fn close(&self, dst: &mut BytesMut) {
        if self.id != InfoId::PADDING {
            put_count(dst, self.count_at, self.count);
        }
    }

    /// Counts one more entry of this kind, in a new section if the last one is another.
    #[inline]
    fn entry(&mut self, dst: &mut BytesMut, id: InfoId) {
        match self.count.checked_add(1) {
            Some(count) if self.id == id => self.count = count,
            _ => {
                self.close(dst);
                *self = Self { id, count: 1, count_at: dst.len().saturating_add(INFO_ID_LEN) };
                dst.extend_from_slice(&[id.0, 0, 0]);
            }
        }
    }
}

/// Overwrites a section's count.
#[inline]
pub(crate) fn put_count(dst: &mut [u8], count_at: usize, count: u16) {
    if let Some(bytes) = dst.get_mut(count_at..).and_then(|rest| rest.first_chunk_mut()) {
        *bytes = count.to_be_bytes();
    }
}

/// Completes the header that begins at `start` and reaches to the end of `dst`: padding, fixed bytes.
/// On an error `dst` is left for the caller to cut.
#[inline]
pub(crate) fn finish(
    dst: &mut BytesMut,
    start: usize,
    flags: Flags,
    seq: i32,
    payload_len: usize,
) -> Result<(), EncodeError> {
    let unpadded = dst.len().saturating_sub(start).saturating_sub(HEAD_LEN);
    // A whole word and a cut: that is two stores, where padding of just the length is a call.
    dst.extend_from_slice(&[0; WORD_LEN]);
    dst.truncate(start.saturating_add(HEAD_LEN).saturating_add(unpadded.next_multiple_of(WORD_LEN)));
    let Ok(header_words) = u16::try_from(unpadded.div_ceil(WORD_LEN)) else {
        return Err(EncodeError::HeaderTooLong { expected: MAX_HEADER_LEN, actual: unpadded });
    };
    let head = Head::for_lengths(flags, seq, header_words, payload_len)?;
    if let Some(bytes) = dst.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) {
        *bytes = head.to_bytes();
    }
    Ok(())
}

#[inline]
pub(crate) fn string_len(field: &'static str, bytes: &[u8]) -> Result<[u8; 2], EncodeError> {
    match u16::try_from(bytes.len()) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => Err(EncodeError::StringTooLong { field, expected: MAX_STRING_LEN, actual: bytes.len() }),
    }
}

/// The fixed bytes, PROTOCOL ID and the number of transforms.
pub(crate) const EMPTY_LEN: usize = HEAD_LEN + 2;
/// Where a section's count stands in it.
pub(crate) const INFO_ID_LEN: usize = 1;
