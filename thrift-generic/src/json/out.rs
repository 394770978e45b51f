//! Where converters write to.

/// The end of a buffer. What lies in front of it stays; room behind it is made in advance, so that a few bytes more or
/// less are written by one store and counted afterwards.
#[derive(Debug)]
pub(super) struct Out<'o> {
    /// Written, from `start` to `pos`; room from there on.
    buffer: &'o mut Vec<u8>,
    start: usize,
    pos: usize,
}

impl<'o> Out<'o> {
    /// Appends to `buffer`, with room for about `guess` bytes.
    pub(super) fn new(buffer: &'o mut Vec<u8>, guess: usize) -> Self {
        let start = buffer.len();
        buffer.resize(start.saturating_add(guess), 0);
        Self { buffer, start, pos: start }
    }

    /// Ends the buffer after what was written.
    pub(super) fn finish(self) {
        self.buffer.truncate(self.pos);
    }

    /// Leaves the buffer as it was.
    pub(super) fn abandon(self) {
        self.buffer.truncate(self.start);
    }

    /// How many bytes are in front of the next one, with those that were there before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// What was written since `pos`.
    pub(super) fn since(&self, pos: usize) -> &[u8] {
        self.buffer.get(pos..self.pos).unwrap_or_default()
    }

    /// What was written from `start` to `end`.
    pub(super) fn range(&self, start: usize, end: usize) -> &[u8] {
        self.buffer.get(start..end.min(self.pos)).unwrap_or_default()
    }

    /// What was written.
    pub(super) fn written(&self) -> &[u8] {
        self.since(self.start)
    }

    /// Takes back what was written since `pos`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn back_to(&mut self, pos: usize) {
        self.pos = pos.clamp(self.start, self.pos);
    }

    /// Takes back everything.
    pub(super) fn clear(&mut self) {
        self.pos = self.start;
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.put_part(bytes, N);
    }

    /// Stores all of `bytes`, of which only `keep` count.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn put_part<const N: usize>(&mut self, bytes: &[u8; N], keep: usize) {
        match self.buffer.get_mut(self.pos..).and_then(|room| room.first_chunk_mut::<N>()) {
            Some(room) => *room = *bytes,
            None => self.put_growing(bytes),
        }
        self.pos = self.pos.wrapping_add(keep);
    }

    #[cold]
    #[inline(never)]
    fn put_growing(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.pos..).and_then(|room| room.get_mut(..bytes.len())) {
            room.copy_from_slice(bytes);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn put_slice(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.pos = self.pos.wrapping_add(bytes.len());
    }

    /// The next `len` bytes, which count once [`Out::advance`] says so.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.buffer.len().wrapping_sub(self.pos) < len {
            self.grow(len);
        }
        self.buffer.get_mut(self.pos..self.pos.wrapping_add(len))
    }

    /// Counts `len` bytes of what [`Out::room`] gave.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn advance(&mut self, len: usize) {
        self.pos = self.pos.wrapping_add(len).min(self.buffer.len());
    }

    /// Overwrites bytes that were written before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn patch<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        if let Some(place) = self.buffer.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            *place = bytes;
        }
    }

    /// Doubles, at the least: the work that this costs is paid for by what was written before.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        let wanted = self.pos.saturating_add(len).saturating_add(64);
        let written = self.pos.saturating_sub(self.start);
        self.buffer.resize(wanted.max(self.pos.saturating_add(written)).max(self.buffer.len()), 0);
    }
}
