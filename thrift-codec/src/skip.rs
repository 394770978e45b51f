use std::{fmt, num::NonZeroU8};

use crate::{DecodeError, MAX_DEPTH, TType};

/// Finds the end of one value without building it, in as many pieces as it arrives in (spec 1.8).
///
/// Nothing is read twice, no piece is kept, nothing is allocated, and a claimed length or count costs nothing until
/// the bytes are there: the work is bounded by the bytes given.
///
/// ```
/// use thrift_codec::Skipper;
///
/// # fn main() -> Result<(), thrift_codec::DecodeError> {
/// let mut skipper = Skipper::new_struct();
/// assert_eq!(skipper.skip(b"\x0b\0\x01\0\0")?, None); // field 1, a string, half of its length
/// assert_eq!(skipper.skip(b"\0\x02h")?, None);
/// assert_eq!(skipper.skip(b"i\0\x80\x01")?, Some(2)); // "i", STOP, and two bytes of what comes next
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Skipper {
    /// The levels around `level`, outermost first; `depth` of them.
    parents: [Level; MAX_DEPTH],
    level: Level,
    depth: usize,
    max_depth: usize,
    /// Bytes of the value `whole` that are still to be passed over before anything is looked at again.
    pending: u64,
    whole: Whole,
    /// The first bytes of a header that ended with the last piece.
    head: [u8; MAX_HEAD_LEN],
    head_len: usize,
    /// Bytes seen.
    offset: u64,
    error: Option<DecodeError>,
}

impl Skipper {
    /// For a struct: the body of a message.
    #[must_use]
    pub fn new_struct() -> Self {
        Self::new(TType::STRUCT)
    }

    /// For a value of type `ttype`.
    #[must_use]
    pub fn new(ttype: TType) -> Self {
        Self {
            parents: [Level::STRUCT; MAX_DEPTH],
            level: Level::root(ttype),
            depth: 0,
            max_depth: MAX_DEPTH,
            pending: 0,
            whole: Whole { ttype: TType::STOP, len: 0 },
            head: [0; MAX_HEAD_LEN],
            head_len: 0,
            offset: 0,
            error: None,
        }
    }

    /// Allows `max_depth` levels of structs, maps, sets and lists, the outermost being level 1; [`MAX_DEPTH`] is the
    /// default and the most there can be.
    #[must_use]
    pub fn with_max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = max_depth.min(MAX_DEPTH);
        self
    }

    /// Begins anew with a value of type `ttype`, under the same limit.
    pub fn reset(&mut self, ttype: TType) {
        self.level = Level::root(ttype);
        self.depth = 0;
        self.pending = 0;
        self.head_len = 0;
        self.offset = 0;
        self.error = None;
    }

    /// Goes on with the bytes that follow those given before.
    ///
    /// `Some(n)`: the value ended with the first `n` bytes of `chunk`, and the skipper is done until it is
    /// [`reset`](Self::reset). `None`: all of `chunk` belongs to the value, and more is to come.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Negative`], [`DecodeError::UnknownType`], [`DecodeError::TooDeep`], with the offset in the value,
    /// however it was cut into pieces. There is no going on after one: it is what every further call says.
    pub fn skip(&mut self, chunk: &[u8]) -> Result<Option<usize>, DecodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut rest = chunk;
        loop {
            rest = self.pass(rest);
            if self.pending > 0 {
                return Ok(None);
            }
            if self.head_len == 0 {
                break;
            }
            rest = self.complete_head(rest);
            let head_len = self.wanted_head_len();
            if self.head_len < head_len {
                return Ok(None);
            }
            let head = self.head;
            let Some(head) = head.get(..head_len) else { return Ok(None) };
            self.head_len = 0;
            self.offset = self.offset.saturating_sub(to_u64(head_len));
            if self.walk(head)?.is_some() {
                return Ok(Some(chunk.len().saturating_sub(rest.len())));
            }
        }
        let done = self.walk(rest)?;
        Ok(done.map(|len| chunk.len().saturating_sub(rest.len()).saturating_add(len)))
    }

    /// How many more bytes the value has at the least, as far as can be told without them.
    ///
    /// A reader may ask for that many in advance, and refuse a value that must become too long.
    #[must_use]
    pub fn pending(&self) -> u64 {
        if self.pending > 0 {
            self.pending
        } else if self.head_len > 0 {
            to_u64(self.wanted_head_len().saturating_sub(self.head_len))
        } else {
            u64::from(!self.is_done())
        }
    }

    /// How many bytes of the value have been seen.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The error of a value that ends where the last piece ended.
    #[must_use]
    pub fn truncated(&self) -> DecodeError {
        let (field, expected, missing) = if self.pending > 0 {
            (self.whole.ttype, self.whole.len, self.pending)
        } else if self.head_len > 0 {
            let expected = self.wanted_head_len();
            (self.next_type(), to_u64(expected), to_u64(expected.saturating_sub(self.head_len)))
        } else if self.level.is_struct() {
            (TType::STOP, 1, 1)
        } else {
            let ttype = self.level.next_type();
            let expected = to_u64(ttype.min_len().unwrap_or(1));
            (ttype, expected, expected)
        };
        let actual = expected.saturating_sub(missing);
        DecodeError::Truncated {
            field: field.name().unwrap_or("field type"),
            offset: to_usize(self.offset.saturating_sub(actual)),
            expected: to_usize(expected),
            actual: to_usize(actual),
        }
    }

    /// Passes over what is pending, as far as it is there; the rest.
    fn pass<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let (passed, rest) = chunk.split_at_checked(to_usize(self.pending)).unwrap_or((chunk, &[]));
        self.pending = self.pending.saturating_sub(to_u64(passed.len()));
        self.offset = self.offset.saturating_add(to_u64(passed.len()));
        rest
    }

    /// Moves bytes into `head` until the header in it is whole; the rest.
    fn complete_head<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let missing = self.wanted_head_len().saturating_sub(self.head_len);
        let (moved, rest) = chunk.split_at_checked(missing).unwrap_or((chunk, &[]));
        let room = self.head.iter_mut().skip(self.head_len);
        for (place, byte) in room.zip(moved) {
            *place = *byte;
        }
        self.head_len = self.head_len.saturating_add(moved.len());
        self.offset = self.offset.saturating_add(to_u64(moved.len()));
        rest
    }

    /// How long the header is whose first bytes are in `head`.
    fn wanted_head_len(&self) -> usize {
        let field_len = if self.level.is_struct() { FIELD_HEADER_LEN } else { 0 };
        field_len.saturating_add(self.next_type().min_len().unwrap_or_default())
    }

    fn next_type(&self) -> TType {
        if self.level.is_struct() {
            TType(self.head.first().copied().unwrap_or_default())
        } else {
            self.level.next_type()
        }
    }

    fn is_done(&self) -> bool {
        self.depth == 0 && self.level.left == 0
    }

    /// Walks along `src` until the value ends, which gives its length, or `src` does, which leaves the place in `self`.
    fn walk(&mut self, src: &[u8]) -> Result<Option<usize>, DecodeError> {
        let mut at = Place { rest: src, level: self.level, depth: self.depth };
        let mut halt = self.steps(&mut at, |rest| rest.first_chunk::<MAX_SEEN_LEN>().map(<[u8; _]>::as_slice));
        if let Halt::Short = halt {
            (at, halt) = self.last_steps(at);
        }
        let seen = src.len().saturating_sub(at.rest.len());
        self.level = at.level;
        self.depth = at.depth;
        match halt {
            Halt::End => {
                self.offset = self.offset.saturating_add(to_u64(seen));
                Ok(Some(seen))
            }
            // There are no turns here: `steps` takes them.
            Halt::Pending | Halt::Short | Halt::Turn => {
                for (place, byte) in self.head.iter_mut().zip(at.rest) {
                    *place = *byte;
                }
                self.head_len = at.rest.len();
                self.offset = self.offset.saturating_add(to_u64(src.len()));
                Ok(None)
            }
            Halt::Fail => {
                let offset = to_usize(self.offset).saturating_add(seen);
                self.error = self.error.map(|error| error.shifted(offset));
                self.error.map_or(Ok(None), Err)
            }
        }
    }

    /// Where there are so few bytes left that they must be counted. `at` comes and goes by value, so that [`walk`]
    /// can have it in registers.
    ///
    /// [`walk`]: Self::walk
    #[inline(never)]
    fn last_steps<'c>(&mut self, mut at: Place<'c>) -> (Place<'c>, Halt) {
        let halt = self.steps(&mut at, Some);
        (at, halt)
    }

    /// Goes from value to value. `head` gives what there is to see of one, and nothing when that might be too little.
    #[inline(always)]
    fn steps<'c>(&mut self, at: &mut Place<'c>, head: impl Fn(&'c [u8]) -> Option<&'c [u8]>) -> Halt {
        loop {
            let halt = if at.level.is_struct() { self.fields(at, &head) } else { self.elements(at, &head) };
            match halt {
                Err(Halt::Turn) | Ok(()) => {}
                Err(halt) => return halt,
            }
        }
    }

    /// Passes over fields.
    #[inline(always)]
    fn fields<'c>(&mut self, at: &mut Place<'c>, head: impl Fn(&'c [u8]) -> Option<&'c [u8]>) -> Result<(), Halt> {
        loop {
            let head = head(at.rest).ok_or(Halt::Short)?;
            self.value::<FIELD_HEADER_LEN>(at, type_at(head, 0)?, head)?;
        }
    }

    /// Passes over elements.
    #[inline(always)]
    fn elements<'c>(&mut self, at: &mut Place<'c>, head: impl Fn(&'c [u8]) -> Option<&'c [u8]>) -> Result<(), Halt> {
        loop {
            if at.level.left == 0 {
                self.leave(at)?;
                if at.level.is_struct() {
                    return Err(Halt::Turn);
                }
                continue;
            }
            match at.level.types {
                Level::TEXTS => {
                    self.texts(at)?;
                    continue;
                }
                Level::STRUCTS => {
                    at.level = at.level.after_one();
                    self.enter(at, 0, Level::STRUCT)?;
                    return Err(Halt::Turn);
                }
                _ => {}
            }
            let head = head(at.rest).ok_or(Halt::Short)?;
            let level = at.level;
            at.level = level.after_one();
            if let Err(halt) = self.value::<0>(at, level.next_type(), head) {
                if let Halt::Short = halt {
                    // It has not begun yet.
                    at.level = level;
                }
                return Err(halt);
            }
        }
    }

    /// Passes over all that is left of a container with nothing but texts in it.
    #[inline(always)]
    fn texts(&mut self, at: &mut Place<'_>) -> Result<(), Halt> {
        while at.level.left > 0 {
            let len = self.count_at(at.rest, 0, "string length")?;
            at.level.left = at.level.left.saturating_sub(1);
            self.pass_over::<0>(at, TType::STRING, u64::from(len).saturating_add(4))?;
        }
        Ok(())
    }

    /// Passes over a value, or over what it begins with where there is more in it. It stands `AT` bytes into `at.rest`,
    /// which begins with `head`.
    #[inline(always)]
    fn value<const AT: usize>(&mut self, at: &mut Place<'_>, ttype: TType, head: &[u8]) -> Result<(), Halt> {
        match ttype {
            TType::BOOL | TType::I8 => self.pass_over::<AT>(at, ttype, 1)?,
            TType::I16 => self.pass_over::<AT>(at, ttype, 2)?,
            TType::I32 => self.pass_over::<AT>(at, ttype, 4)?,
            TType::I64 | TType::DOUBLE => self.pass_over::<AT>(at, ttype, 8)?,
            TType::STRING => {
                let len = self.count_at(head, AT, "string length")?;
                self.pass_over::<AT>(at, ttype, u64::from(len).saturating_add(4))?;
            }
            TType::STRUCT => {
                self.enter(at, AT, Level::STRUCT)?;
                self.pass_over::<AT>(at, ttype, 0)?;
                if AT == 0 {
                    return Err(Halt::Turn);
                }
            }
            TType::STOP if AT > 0 => {
                at.rest = at.rest.get(1..).unwrap_or_default();
                self.leave(at)?;
                if !at.level.is_struct() {
                    return Err(Halt::Turn);
                }
            }
            // In a container it is no value.
            TType::VOID if AT > 0 => {
                self.enter(at, AT, Level::STRUCT)?;
                self.pass_over::<AT>(at, ttype, 0)?;
            }
            TType::LIST | TType::SET => {
                let element = type_at(head, AT)?;
                let count = self.count_at(head, AT.saturating_add(1), "element count")?;
                self.check_depth(at, AT)?;
                if let Some(len) = fixed_len(element) {
                    let len = u64::from(count).saturating_mul(u64::from(len.get()));
                    self.pass_over::<AT>(at, ttype, len.saturating_add(5))?;
                } else if count > 0 {
                    self.check_type(element, AT, "element type")?;
                    self.enter(at, AT, Level::new(count, element, element))?;
                    self.pass_over::<AT>(at, ttype, 5)?;
                    if AT > 0 {
                        return Err(Halt::Turn);
                    }
                } else {
                    self.pass_over::<AT>(at, ttype, 5)?;
                }
            }
            TType::MAP => {
                let (key, value) = (type_at(head, AT)?, type_at(head, AT.saturating_add(1))?);
                let count = self.count_at(head, AT.saturating_add(2), "pair count")?;
                self.check_depth(at, AT)?;
                if let (Some(key), Some(value)) = (fixed_len(key), fixed_len(value)) {
                    let len = u64::from(key.get()).saturating_add(u64::from(value.get()));
                    let len = u64::from(count).saturating_mul(len);
                    self.pass_over::<AT>(at, ttype, len.saturating_add(6))?;
                } else if count > 0 {
                    self.check_type(key, AT, "key type")?;
                    self.check_type(value, AT.saturating_add(1), "value type")?;
                    self.enter(at, AT, Level::new(count.saturating_mul(2), key, value))?;
                    self.pass_over::<AT>(at, ttype, 6)?;
                    if AT > 0 {
                        return Err(Halt::Turn);
                    }
                } else {
                    self.pass_over::<AT>(at, ttype, 6)?;
                }
            }
            _ => return Err(self.fail(DecodeError::UnknownType { field: "field type", offset: 0, actual: ttype.0 })),
        }
        Ok(())
    }

    #[inline(always)]
    fn pass_over<const AT: usize>(&mut self, at: &mut Place<'_>, ttype: TType, len: u64) -> Result<(), Halt> {
        let len = len.saturating_add(to_u64(AT));
        match at.rest.get(to_usize(len)..) {
            Some(rest) => {
                at.rest = rest;
                Ok(())
            }
            None => {
                self.pend(Whole { ttype, len }, at.rest.len());
                at.rest = &[];
                Err(Halt::Pending)
            }
        }
    }

    #[cold]
    fn pend(&mut self, whole: Whole, seen: usize) {
        self.whole = whole;
        self.pending = whole.len.saturating_sub(to_u64(seen));
    }

    #[inline(always)]
    fn enter(&mut self, at: &mut Place<'_>, offset: usize, level: Level) -> Result<(), Halt> {
        self.check_depth(at, offset)?;
        if let Some(place) = self.parents.get_mut(at.depth) {
            *place = at.level;
        }
        at.depth = at.depth.saturating_add(1);
        at.level = level;
        Ok(())
    }

    #[inline(always)]
    fn leave(&mut self, at: &mut Place<'_>) -> Result<(), Halt> {
        let depth = at.depth.wrapping_sub(1);
        at.level = *self.parents.get(depth).ok_or(Halt::End)?;
        at.depth = depth;
        Ok(())
    }

    #[inline(always)]
    fn check_depth(&mut self, at: &Place<'_>, offset: usize) -> Result<(), Halt> {
        if at.depth < self.max_depth {
            Ok(())
        } else {
            Err(self.fail(DecodeError::TooDeep { offset, max: self.max_depth }))
        }
    }

    #[inline(always)]
    fn check_type(&mut self, ttype: TType, at: usize, field: &'static str) -> Result<(), Halt> {
        if ttype.is_value() {
            Ok(())
        } else {
            Err(self.fail(DecodeError::UnknownType { field, offset: at, actual: ttype.0 }))
        }
    }

    #[inline(always)]
    fn count_at(&mut self, head: &[u8], at: usize, field: &'static str) -> Result<u32, Halt> {
        let count = head.get(at..).and_then(<[u8]>::first_chunk).copied().map(i32::from_be_bytes).ok_or(Halt::Short)?;
        u32::try_from(count).map_err(|_| self.fail(DecodeError::Negative { field, offset: at, actual: count }))
    }

    /// The offset counts from where the walk is.
    #[cold]
    fn fail(&mut self, error: DecodeError) -> Halt {
        self.error = Some(error);
        Halt::Fail
    }
}

impl fmt::Debug for Skipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skipper")
            .field("offset", &self.offset)
            .field("depth", &self.depth)
            .field("max_depth", &self.max_depth)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// Length of the struct that `src` begins with, in bytes, nested 64 levels deep at most.
///
/// # Errors
///
/// As [`Skipper::skip`], and [`DecodeError::Truncated`] when `src` ends inside the struct.
pub fn skip_struct(src: &[u8]) -> Result<usize, DecodeError> {
    let mut skipper = Skipper::new_struct();
    match skipper.skip(src)? {
        Some(len) => Ok(len),
        None => Err(skipper.truncated()),
    }
}

/// The type and the id that stand before every value in a struct.
const FIELD_HEADER_LEN: usize = 3;

/// The longest header that is looked at as one: of a field that is a map.
const MAX_HEAD_LEN: usize = FIELD_HEADER_LEN + 6;

/// How many bytes must be left so that a field of any type but STRING has its header and all of what is fixed in it,
/// and nothing more need be counted.
const MAX_SEEN_LEN: usize = FIELD_HEADER_LEN + 8;

/// Where a walk is. Apart from the skipper, so that it stays in registers.
#[derive(Clone, Copy)]
struct Place<'c> {
    rest: &'c [u8],
    level: Level,
    depth: usize,
}

/// Why a walk does not go on as it did.
enum Halt {
    /// Fields are followed by elements, or the other way round.
    Turn,
    /// The value ends here.
    End,
    /// The bytes do, inside a value that will be passed over whatever is in it.
    Pending,
    /// The bytes do, or might, before it is clear how long the value is that they begin.
    Short,
    /// There is no going on, and the skipper has the error.
    Fail,
}

/// A struct, or what is left of a container: elements, or keys and values by turns.
#[derive(Clone, Copy)]
struct Level {
    /// How many values.
    left: u32,
    /// The type of the next one in the lowest byte, and above it that of the one after. 0 for a struct, which knows
    /// nothing of the kind; no container has it, because then nothing would be left of it.
    types: u32,
}

impl Level {
    const STRUCT: Self = Self { left: 0, types: 0 };
    /// The `types` of a container of structs.
    const STRUCTS: u32 = u32::from_le_bytes([TType::STRUCT.0, TType::STRUCT.0, 0, 0]);
    /// The `types` of a container of texts; the keys and values of a map, for one, may both be such.
    const TEXTS: u32 = u32::from_le_bytes([TType::STRING.0, TType::STRING.0, 0, 0]);

    #[inline(always)]
    fn new(left: u32, next: TType, after: TType) -> Self {
        Self { left, types: u32::from_le_bytes([next.0, after.0, 0, 0]) }
    }

    /// A level of one value, which is not counted as one. A field of type void has a struct's.
    fn root(ttype: TType) -> Self {
        let ttype = if ttype == TType::VOID { TType::STRUCT } else { ttype };
        Self::new(1, ttype, TType::STRUCT)
    }

    #[inline(always)]
    const fn is_struct(self) -> bool {
        self.types == 0
    }

    #[inline(always)]
    const fn next_type(self) -> TType {
        let [next, ..] = self.types.to_le_bytes();
        TType(next)
    }

    /// When the next value is done with.
    #[inline(always)]
    const fn after_one(self) -> Self {
        let [next, after, ..] = self.types.to_le_bytes();
        Self { left: self.left.saturating_sub(1), types: u32::from_le_bytes([after, next, 0, 0]) }
    }
}

/// The value that `pending` is the rest of, its header included; kept for the error when it never comes.
#[derive(Clone, Copy)]
struct Whole {
    ttype: TType,
    len: u64,
}

/// [`TType::fixed_len`] by table, which is what makes it cheap for two types at once.
#[inline(always)]
fn fixed_len(ttype: TType) -> Option<NonZeroU8> {
    const LENS: [u8; 16] = [0, 0, 1, 1, 8, 0, 2, 0, 4, 0, 8, 0, 0, 0, 0, 0];
    LENS.get(usize::from(ttype.0)).copied().and_then(NonZeroU8::new)
}

#[inline(always)]
fn type_at(head: &[u8], at: usize) -> Result<TType, Halt> {
    head.get(at).copied().map(TType).ok_or(Halt::Short)
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Saturates where an address has 32 bits: no piece is that long, so that the comparison comes out the same.
fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_lengths_is_that_of_the_types() {
        for ttype in (0..=u8::MAX).map(TType) {
            assert_eq!(fixed_len(ttype).map(|len| usize::from(len.get())), ttype.fixed_len(), "{ttype:?}");
        }
    }
}
