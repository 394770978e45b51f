use std::ops::Range;

use bytes::BytesMut;

use crate::info::{Span, Spans};
use crate::limits::MAX_STRING_LEN;
use crate::writer::{INFO_ID_LEN, Tail, finish, put_count, string_len};
use crate::{EncodeError, Entry, Flags, HeaderView, IntKey};

/// A list of changes, applied while a header is copied from a frame to where it is sent.
///
/// Whatever is not changed is copied as it stands, order, unknown keys, duplicates and padding
/// between sections included. New entries go behind the last section, where they win over
/// duplicates before them.
///
/// Up to 4 changes are kept in the patch itself; it allocates for more.
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
    inline: [Option<Edit<'a>>; INLINE],
    len: usize,
    spilled: Vec<Edit<'a>>,
    /// Whether all entries have to be looked at to find those that change.
    searches: bool,
    /// Whether they can be in any section.
    searches_all: bool,
    /// Bit n: some change is of a string key with this hash, or of int key n; modulo 64. It spares
    /// most entries the comparison.
    strings: u64,
    ints: u64,
    /// Where the last entry starts that is changed by its place.
    last_place: usize,
    /// Whether there are changes that can add an entry.
    adds: bool,
    /// The most bytes by which a header can grow.
    growth: usize,
    /// A change that cannot be written.
    error: Option<EncodeError>,
}

impl<'a> Patch<'a> {
    /// No change.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets SEQUENCE NUMBER.
    #[inline]
    pub fn seq(&mut self, seq: i32) -> &mut Self {
        self.seq = Some(seq);
        self
    }

    /// Sets FLAGS.
    #[inline]
    pub fn flags(&mut self, flags: Flags) -> &mut Self {
        self.flags = Some(flags);
        self
    }

    /// Removes a string key with all its duplicates. Nothing happens if it is not there.
    #[inline]
    pub fn remove_string(&mut self, key: &'a [u8]) -> &mut Self {
        self.push(Action::Remove, Key::Str(key), &[])
    }

    /// Removes an int key with all its duplicates. Nothing happens if it is not there.
    #[inline]
    pub fn remove_int(&mut self, key: IntKey) -> &mut Self {
        self.push(Action::Remove, Key::Int(key), &[])
    }

    /// Gives a string key this value: in the place of its first occurrence, the others are removed;
    /// at the end if it is not there. Later changes of the same key replace earlier ones.
    #[inline]
    pub fn set_string(&mut self, key: &'a [u8], value: &'a [u8]) -> &mut Self {
        self.push(Action::Set, Key::Str(key), value)
    }

    /// Gives an int key this value, as [`set_string`](Self::set_string).
    #[inline]
    pub fn set_int(&mut self, key: IntKey, value: &'a [u8]) -> &mut Self {
        self.push(Action::Set, Key::Int(key), value)
    }

    /// Adds a string pair at the end without looking whether the key is there: cheaper than
    /// [`set_string`](Self::set_string), and the last duplicate wins.
    #[inline]
    pub fn append_string(&mut self, key: &'a [u8], value: &'a [u8]) -> &mut Self {
        self.push(Action::Append, Key::Str(key), value)
    }

    /// Adds an int pair at the end, as [`append_string`](Self::append_string).
    #[inline]
    pub fn append_int(&mut self, key: IntKey, value: &'a [u8]) -> &mut Self {
        self.push(Action::Append, Key::Int(key), value)
    }

    /// Removes the ACL token. Nothing happens if it is not there.
    #[inline]
    pub fn remove_acl_token(&mut self) -> &mut Self {
        self.push(Action::Remove, Key::Acl, &[])
    }

    /// Gives this entry of the view another value. It is the cheapest change, as nothing has to be
    /// searched, if entries are given in their order: hand over what
    /// [`HeaderView::parse_with`](HeaderView::parse_with) came across.
    #[inline]
    pub fn replace(&mut self, entry: &Entry<'a>, value: &'a [u8]) -> &mut Self {
        self.push(Action::Set, Key::At(Place::of(entry)), value)
    }

    /// Removes this entry of the view, as [`replace`](Self::replace).
    #[inline]
    pub fn remove(&mut self, entry: &Entry<'a>) -> &mut Self {
        self.push(Action::Remove, Key::At(Place::of(entry)), &[])
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
        let spans = view.layout().spans;
        let info_end = spans.all.end;
        if let Some(error) = self.error {
            return Err(error);
        }
        dst.reserve(info_end.saturating_add(self.growth).saturating_add(MAX_PADDING));
        let mut copier = Copier::new(view.bytes(), dst);
        let mut found = Found::default();
        if self.searches {
            view.walk(self.searched(&spans), |entry| {
                if self.may_change(&entry) {
                    self.change(&entry, &mut copier, &mut found);
                }
            });
        } else if self.last_place > 0 {
            for edit in self.edits() {
                if let Key::At(place) = edit.key {
                    copier.apply(edit.action == Action::Set, place, edit.value);
                }
            }
        }
        copier.up_to(info_end);
        if self.adds { self.append(&found, dst) } else { Ok(()) }
    }

    /// Which part of the header has all entries that can change.
    fn searched(&self, spans: &Spans) -> Span {
        match (self.strings, self.ints) {
            _ if self.searches_all => spans.all,
            (_, 0) => spans.strings,
            (0, _) => spans.ints,
            _ => spans.strings.and(spans.ints),
        }
    }

    /// Writes the entries that are new.
    fn append(&self, found: &Found, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let mut tail = Tail::default();
        for (index, edit) in self.edits().enumerate() {
            match (edit.action, edit.key) {
                (Action::Set, _) if found.contains(index) => {}
                (Action::Set | Action::Append, Key::Str(key)) => tail.string(dst, key, edit.value)?,
                (Action::Set | Action::Append, Key::Int(key)) => tail.int(dst, key, edit.value)?,
                _ => {}
            }
        }
        tail.close(dst);
        Ok(())
    }

    #[inline]
    fn may_change(&self, entry: &Entry<'_>) -> bool {
        match entry {
            Entry::Str { key, .. } => self.strings & bit_of(hash(key)) != 0,
            Entry::Int { key, .. } => self.ints & bit_of(key.0.into()) != 0,
            Entry::Acl { .. } => true,
        }
    }

    #[inline(never)]
    fn change(&self, entry: &Entry<'_>, copier: &mut Copier<'_, '_>, found: &mut Found) {
        let mut edits = self.edits().enumerate();
        let edit = edits.find(|(_, edit)| edit.action != Action::Append && edit.key.is_of(entry));
        if let Some((index, edit)) = edit {
            copier.apply(edit.action == Action::Set && found.insert(index), Place::of(entry), edit.value);
        }
    }

    #[inline]
    fn edits(&self) -> impl Iterator<Item = &Edit<'a>> {
        self.inline.iter().map_while(Option::as_ref).chain(&self.spilled)
    }

    #[inline]
    fn push(&mut self, action: Action, key: Key<'a>, value: &'a [u8]) -> &mut Self {
        let edit = Edit { action, key, value };
        self.check(&edit);
        if action != Action::Append {
            match key {
                Key::Str(key) => self.strings |= bit_of(hash(key)),
                Key::Int(key) => self.ints |= bit_of(key.0.into()),
                Key::Acl => self.searches_all = true,
                Key::At(_) => {
                    (self.strings, self.ints, self.searches_all) = (u64::MAX, u64::MAX, true);
                }
            }
            self.searches |= !matches!(key, Key::At(place) if place.start >= self.last_place);
            if let Key::At(place) = key {
                self.last_place = place.start;
            }
            if self.len > 0 && self.replace_earlier(edit) {
                return self;
            }
        }
        match self.inline.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(edit);
                self.len = self.len.saturating_add(1);
            }
            None => self.spilled.push(edit),
        }
        self
    }

    /// Notes what `encode` has to know of all changes together.
    #[inline]
    fn check(&mut self, edit: &Edit<'a>) {
        let key_len = if let Key::Str(key) = edit.key { key.len() } else { 0 };
        if key_len > MAX_STRING_LEN || edit.value.len() > MAX_STRING_LEN {
            self.refuse(edit);
        }
        self.adds |= edit.action == Action::Append || edit.action == Action::Set && !matches!(edit.key, Key::At(_));
        let growth = key_len.saturating_add(edit.value.len()).saturating_add(MAX_ENTRY_OVERHEAD);
        self.growth = self.growth.saturating_add(growth);
    }

    #[cold]
    fn refuse(&mut self, edit: &Edit<'a>) {
        let key = if let Key::Str(key) = edit.key { string_len("INFO key", key) } else { Ok([0; 2]) };
        let error = key.and_then(|_| string_len("INFO value", edit.value)).err();
        self.error = self.error.or(error);
    }

    /// Whether there was a change of the same key, which is void now.
    fn replace_earlier(&mut self, edit: Edit<'a>) -> bool {
        let in_use = self.inline.iter_mut().map_while(Option::as_mut).chain(&mut self.spilled);
        for earlier in in_use {
            if earlier.action != Action::Append && earlier.key == edit.key {
                *earlier = edit;
                return true;
            }
        }
        false
    }
}

#[derive(Clone, Copy, Debug)]
struct Edit<'a> {
    action: Action,
    key: Key<'a>,
    value: &'a [u8],
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
    At(Place),
}

impl Key<'_> {
    #[inline]
    fn is_of(&self, entry: &Entry<'_>) -> bool {
        match (self, entry) {
            (Self::Str(ours), Entry::Str { key, .. }) => ours == key,
            (Self::Int(ours), Entry::Int { key, .. }) => ours == key,
            (Self::Acl, Entry::Acl { .. }) => true,
            (Self::At(place), _) => place.start == entry.start(),
            _ => false,
        }
    }
}

/// Enough to tell most keys apart: a family of them has a prefix in common.
#[inline]
fn hash(key: &[u8]) -> usize {
    key.last().map_or(0, |last| key.len() ^ usize::from(*last))
}

#[inline]
fn bit_of(number: usize) -> u64 {
    u32::try_from(number % 64).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(u64::MAX)
}

/// Copies a header in runs as long as possible, around the entries that change.
struct Copier<'s, 'd> {
    src: &'s [u8],
    /// All before it is copied, or left out.
    copied: usize,
    dst: &'d mut BytesMut,
    /// The section of the entry that changed last: where it starts in `src` and in `dst`, and how
    /// many entries are left in it.
    section: usize,
    section_at: usize,
    kept: u16,
}

impl<'s, 'd> Copier<'s, 'd> {
    #[inline]
    fn new(src: &'s [u8], dst: &'d mut BytesMut) -> Self {
        Self { src, copied: 0, dst, section: 0, section_at: 0, kept: 0 }
    }

    /// Copies up to this entry, which is behind what is copied, and gives it a value or leaves it
    /// out.
    fn apply(&mut self, keep: bool, place: Place, value: &[u8]) {
        if place.section != self.section {
            self.enter(place.section);
        }
        if keep {
            self.up_to(place.value.saturating_sub(VALUE_LEN_LEN));
            let len = u16::try_from(value.len()).unwrap_or_default(); // `check` saw to it
            self.dst.extend_from_slice(&len.to_be_bytes());
            self.dst.extend_from_slice(value);
        } else {
            self.up_to(place.start);
            self.leave_out(place);
        }
        self.copied = place.end;
    }

    /// Takes one off the section's count, and the section away when it was the last. The ACL token
    /// has no count and starts with its section.
    fn leave_out(&mut self, place: Place) {
        if place.start == place.section {
            return;
        }
        self.kept = self.kept.saturating_sub(1);
        match self.kept {
            0 => self.dst.truncate(self.section_at),
            kept => put_count(self.dst, self.section_at.saturating_add(INFO_ID_LEN), kept),
        }
    }

    fn enter(&mut self, section: usize) {
        self.section = section;
        self.section_at = self.dst.len().saturating_add(section.saturating_sub(self.copied));
        let count = self.src.get(section.saturating_add(INFO_ID_LEN)..).and_then(|rest| rest.first_chunk());
        self.kept = count.map_or(0, |count| u16::from_be_bytes(*count));
    }

    #[inline]
    fn up_to(&mut self, offset: usize) {
        self.dst.extend_from_slice(self.src.get(self.copied..offset).unwrap_or_default());
        self.copied = offset;
    }
}

/// Where an entry is in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    section: usize,
    start: usize,
    value: usize,
    end: usize,
}

impl Place {
    #[inline]
    fn of(entry: &Entry<'_>) -> Self {
        let Range { start: value, end } = entry.value_range();
        Self { section: entry.section(), start: entry.start(), value, end }
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
const INLINE: usize = 4;
const VALUE_LEN_LEN: usize = 2;
/// INFO ID, count, and the lengths of key and value.
const MAX_ENTRY_OVERHEAD: usize = 7;
/// A word, of which the header's padding is a part.
const MAX_PADDING: usize = 4;
