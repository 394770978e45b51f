use bytes::{BufMut, BytesMut};

use crate::info::SectionHead;
use crate::writer::{Tail, finish, put_count, string_len};
use crate::{EncodeError, Entry, Flags, HeaderView, IntKey};

/// A list of changes, applied while a header is copied from a frame to where it is sent.
///
/// Whatever is not changed is copied as it stands, order, unknown keys, duplicates and padding
/// between sections included. New entries go behind the last section, where they win over
/// duplicates before them.
///
/// Up to 6 changes are kept in the patch itself; it allocates for more.
///
/// ```
/// use bytes::BytesMut;
/// use ttheader::{Flags, Header, HeaderView, Patch, keys};
///
/// let mut header = Header::new(Flags::default(), 1);
/// header.append_string(keys::CONNECTION_RESET, b"1")?;
/// let mut reply = BytesMut::new();
/// header.encode(0, &mut reply)?;
///
/// let mut relayed = BytesMut::new();
/// Patch::new().seq(7).remove_string(keys::CONNECTION_RESET).encode(&HeaderView::parse(&reply)?, 0, &mut relayed)?;
/// let view = HeaderView::parse(&relayed)?;
/// assert_eq!((view.seq(), view.string(keys::CONNECTION_RESET)), (7, None));
/// # Ok::<(), ttheader::CodecError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Patch<'a> {
    seq: Option<i32>,
    flags: Option<Flags>,
    inline: [Edit<'a>; INLINE],
    len: usize,
    spilled: Vec<Edit<'a>>,
}

impl<'a> Patch<'a> {
    /// No change.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets SEQUENCE NUMBER.
    #[must_use]
    #[inline]
    pub fn seq(mut self, seq: i32) -> Self {
        self.seq = Some(seq);
        self
    }

    /// Sets FLAGS.
    #[must_use]
    #[inline]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = Some(flags);
        self
    }

    /// Removes a string key with all its duplicates. Nothing happens if it is not there.
    #[must_use]
    #[inline]
    pub fn remove_string(self, key: &'a [u8]) -> Self {
        self.push(Edit { action: Action::Remove, key: Key::Str(key), value: &[] })
    }

    /// Removes an int key with all its duplicates. Nothing happens if it is not there.
    #[must_use]
    #[inline]
    pub fn remove_int(self, key: IntKey) -> Self {
        self.push(Edit { action: Action::Remove, key: Key::Int(key), value: &[] })
    }

    /// Gives a string key this value: in the place of its first occurrence, the others are removed;
    /// at the end if it is not there. Later changes of the same key replace earlier ones.
    #[must_use]
    #[inline]
    pub fn set_string(self, key: &'a [u8], value: &'a [u8]) -> Self {
        self.push(Edit { action: Action::Set, key: Key::Str(key), value })
    }

    /// Gives an int key this value, as [`set_string`](Self::set_string).
    #[must_use]
    #[inline]
    pub fn set_int(self, key: IntKey, value: &'a [u8]) -> Self {
        self.push(Edit { action: Action::Set, key: Key::Int(key), value })
    }

    /// Adds a string pair at the end without looking whether the key is there: cheaper than
    /// [`set_string`](Self::set_string), and the last duplicate wins.
    #[must_use]
    #[inline]
    pub fn append_string(self, key: &'a [u8], value: &'a [u8]) -> Self {
        self.push(Edit { action: Action::Append, key: Key::Str(key), value })
    }

    /// Adds an int pair at the end, as [`append_string`](Self::append_string).
    #[must_use]
    #[inline]
    pub fn append_int(self, key: IntKey, value: &'a [u8]) -> Self {
        self.push(Edit { action: Action::Append, key: Key::Int(key), value })
    }

    /// Removes the ACL token. Nothing happens if it is not there.
    #[must_use]
    #[inline]
    pub fn remove_acl_token(self) -> Self {
        self.push(Edit { action: Action::Remove, key: Key::Acl, value: &[] })
    }

    /// Whether the patch changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seq.is_none() && self.flags.is_none() && self.edits().next().is_none()
    }

    /// Writes fixed bytes and header block for a payload of this length. `dst` ends where the
    /// payload starts.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a new key or value, the header or the frame is too long; `dst` is then what
    /// it was before.
    #[inline]
    pub fn encode(&self, view: &HeaderView<'_>, payload_len: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let start = dst.len();
        let done = self
            .copy_info(view, dst)
            .and_then(|()| finish(dst, start, self.flags_or(view.flags()), self.seq_or(view.seq()), payload_len));
        if done.is_err() {
            dst.truncate(start);
        }
        done
    }

    pub(crate) fn flags_or(&self, old: Flags) -> Flags {
        self.flags.unwrap_or(old)
    }

    pub(crate) fn seq_or(&self, old: i32) -> i32 {
        self.seq.unwrap_or(old)
    }

    /// Copies everything up to the padding, with the changes; the fixed bytes are the old ones. After
    /// an error a part of it is in `dst`.
    pub(crate) fn copy_info(&self, view: &HeaderView<'_>, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let info_end = view.layout().info_end;
        dst.reserve(info_end.saturating_add(self.max_growth()));
        let mut copy = Copier { src: view.bytes(), copied: 0, dst };
        let mut found = Found::default();
        if self.edits().any(|edit| edit.action != Action::Append) {
            self.copy_entries(view, &mut copy, &mut found)?;
        }
        copy.up_to(info_end);
        let mut tail = Tail::default();
        for (index, edit) in self.edits().enumerate() {
            match edit.action {
                Action::Remove => continue,
                Action::Set if found.contains(index) => continue,
                Action::Set | Action::Append => match edit.key {
                    Key::Str(key) => tail.string(copy.dst, key, edit.value)?,
                    Key::Int(key) => tail.int(copy.dst, key, edit.value)?,
                    Key::Acl => {}
                },
            }
        }
        Ok(())
    }

    fn copy_entries(
        &self,
        view: &HeaderView<'_>,
        copy: &mut Copier<'_, '_>,
        found: &mut Found,
    ) -> Result<(), EncodeError> {
        let mut walker = view.walker();
        // The view has been checked, so that the walker cannot fail.
        while let Ok(Some(SectionHead { id, offset, count })) = walker.section() {
            let section_at = copy.position(offset);
            let mut kept = count;
            for _ in 0..count {
                let entry_start = walker.offset();
                let Ok(Some(entry)) = walker.entry(id) else { break };
                let Some((index, edit)) = self.find(&entry) else { continue };
                if edit.action == Action::Set && found.insert(index) {
                    let value_len = string_len("INFO value", edit.value)?;
                    copy.up_to(entry.value_range().start.saturating_sub(VALUE_LEN_LEN));
                    copy.dst.put_slice(&value_len);
                    copy.dst.put_slice(edit.value);
                } else {
                    copy.up_to(entry_start);
                    kept = kept.saturating_sub(1);
                }
                copy.skip_to(entry.value_range().end);
            }
            match kept {
                _ if kept == count => {}
                0 => copy.dst.truncate(section_at),
                _ => put_count(copy.dst, section_at.saturating_add(INFO_ID_LEN), kept),
            }
        }
        Ok(())
    }

    /// The change of this entry, and its index; there is at most one.
    #[inline]
    fn find(&self, entry: &Entry<'_>) -> Option<(usize, &Edit<'a>)> {
        self.edits().enumerate().find(|(_, edit)| edit.action != Action::Append && edit.key.is_of(entry))
    }

    /// The most bytes a header can be longer with the changes than without.
    fn max_growth(&self) -> usize {
        self.edits().fold(MAX_PADDING, |sum, edit| {
            sum.saturating_add(edit.key.len()).saturating_add(edit.value.len()).saturating_add(MAX_ENTRY_OVERHEAD)
        })
    }

    #[inline]
    fn edits(&self) -> impl Iterator<Item = &Edit<'a>> {
        self.inline.get(..self.len).unwrap_or(&self.inline).iter().chain(&self.spilled)
    }

    #[inline]
    fn push(mut self, edit: Edit<'a>) -> Self {
        let replaces =
            |old: &&mut Edit<'a>| edit.action != Action::Append && old.action != Action::Append && old.key == edit.key;
        let in_use = self.inline.get_mut(..self.len).unwrap_or_default().iter_mut();
        if let Some(old) = in_use.chain(&mut self.spilled).find(replaces) {
            *old = edit;
        } else if let Some(free) = self.inline.get_mut(self.len) {
            *free = edit;
            self.len = self.len.saturating_add(1);
        } else {
            self.spilled.push(edit);
        }
        self
    }
}

#[derive(Clone, Copy, Debug)]
struct Edit<'a> {
    action: Action,
    key: Key<'a>,
    value: &'a [u8],
}

impl Default for Edit<'_> {
    fn default() -> Self {
        Self { action: Action::Append, key: Key::Int(IntKey(0)), value: &[] }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Remove,
    Set,
    Append,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key<'a> {
    Str(&'a [u8]),
    Int(IntKey),
    Acl,
}

impl Key<'_> {
    #[inline]
    fn is_of(&self, entry: &Entry<'_>) -> bool {
        match (self, entry) {
            (Self::Str(ours), Entry::Str { key, .. }) => ours == key,
            (Self::Int(ours), Entry::Int { key, .. }) => ours == key,
            (Self::Acl, Entry::Acl { .. }) => true,
            _ => false,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Str(key) => key.len(),
            Self::Int(_) | Self::Acl => 0,
        }
    }
}

/// Copies a header in runs as long as possible.
struct Copier<'s, 'd> {
    src: &'s [u8],
    /// All before it is copied, or skipped.
    copied: usize,
    dst: &'d mut BytesMut,
}

impl Copier<'_, '_> {
    #[inline]
    fn up_to(&mut self, offset: usize) {
        self.dst.put_slice(self.src.get(self.copied..offset).unwrap_or_default());
        self.copied = offset;
    }

    #[inline]
    fn skip_to(&mut self, offset: usize) {
        self.copied = offset;
    }

    /// Where a byte that is yet to be copied will come to stand.
    #[inline]
    fn position(&self, offset: usize) -> usize {
        self.dst.len().saturating_add(offset.saturating_sub(self.copied))
    }
}

/// Which changes have found their key.
#[derive(Debug, Default)]
struct Found {
    first: u64,
    /// Indices that the mask has no bit for.
    others: Vec<usize>,
}

impl Found {
    #[inline]
    fn contains(&self, index: usize) -> bool {
        match Self::bit(index) {
            Some(bit) => self.first & bit != 0,
            None => self.others.contains(&index),
        }
    }

    /// Whether it was not there before.
    #[inline]
    fn insert(&mut self, index: usize) -> bool {
        let is_new = !self.contains(index);
        match Self::bit(index) {
            Some(bit) => self.first |= bit,
            None if is_new => self.others.push(index),
            None => {}
        }
        is_new
    }

    #[inline]
    fn bit(index: usize) -> Option<u64> {
        u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index))
    }
}

/// Changes kept in the patch itself: what a proxy does to one message is fewer.
const INLINE: usize = 6;
const INFO_ID_LEN: usize = 1;
const VALUE_LEN_LEN: usize = 2;
/// INFO ID, count, and the lengths of key and value.
const MAX_ENTRY_OVERHEAD: usize = 7;
const MAX_PADDING: usize = 3;
