use std::fmt;

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
            parents: [Level::NONE; MAX_DEPTH],
            level: Level::root(ttype),
            depth: 0,
            max_depth: MAX_DEPTH,
            pending: 0,
            whole: Whole { ttype: TType::STOP, len: 0 },
            head: [0; MAX_HEAD_LEN],
            head_len: 0,
            offset: 0,
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
    }

    /// Goes on with the bytes that follow those given before.
    ///
    /// `Some(n)`: the value ended with the first `n` bytes of `chunk`, and the skipper is done until it is
    /// [`reset`](Self::reset). `None`: all of `chunk` belongs to the value, and more is to come.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Negative`], [`DecodeError::UnknownType`], [`DecodeError::TooDeep`], with the offset in the value,
    /// however it was cut into pieces. There is no going on after one.
    pub fn skip(&mut self, chunk: &[u8]) -> Result<Option<usize>, DecodeError> {
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
        self.depth == 0 && !self.level.is_struct() && self.level.left == 0
    }

    /// Walks along `src` until the value ends, which gives its length, or `src` does, which leaves the place in `self`.
    fn walk(&mut self, src: &[u8]) -> Result<Option<usize>, DecodeError> {
        let mut rest = src;
        let mut level = self.level;
        let mut depth = self.depth;
        loop {
            let (ttype, field_len) = if level.is_struct() {
                match rest.split_first() {
                    None => break,
                    Some((&stop, after)) if stop == TType::STOP.0 => {
                        rest = after;
                        // A struct is never the outermost level, so that there is one to return to.
                        depth = depth.saturating_sub(1);
                        level = self.parents.get(depth).copied().unwrap_or(Level::NONE);
                        continue;
                    }
                    Some((&ttype, _)) => (TType(ttype), FIELD_HEADER_LEN),
                }
            } else if level.left > 0 {
                (level.next_type(), 0)
            } else if depth > 0 {
                depth = depth.saturating_sub(1);
                level = self.parents.get(depth).copied().unwrap_or(Level::NONE);
                continue;
            } else {
                self.level = level;
                self.depth = 0;
                let len = src.len().saturating_sub(rest.len());
                self.offset = self.offset.saturating_add(to_u64(len));
                return Ok(Some(len));
            };
            let offset = Offset { base: self.offset, src: src.len(), rest: rest.len() };

            let mut inner = None;
            let len = match ttype {
                TType::BOOL | TType::I8 => 1,
                TType::I16 => 2,
                TType::I32 => 4,
                TType::I64 | TType::DOUBLE => 8,
                TType::STRING => {
                    let Some(len) = int_at(rest, field_len) else { break };
                    let Ok(len) = u32::try_from(len) else {
                        return Err(offset.negative("string length", field_len, len));
                    };
                    u64::from(len).saturating_add(4)
                }
                TType::STRUCT => {
                    inner = Some(Level::STRUCT);
                    0
                }
                TType::LIST | TType::SET => {
                    let Some(&element) = rest.get(field_len) else { break };
                    let count_at = field_len.saturating_add(1);
                    let Some(count) = int_at(rest, count_at) else { break };
                    let Ok(count) = u32::try_from(count) else {
                        return Err(offset.negative("element count", count_at, count));
                    };
                    let element = TType(element);
                    if depth >= self.max_depth {
                        return Err(offset.too_deep(field_len, self.max_depth));
                    }
                    match element.fixed_len() {
                        _ if count == 0 => 5,
                        Some(len) => u64::from(count).saturating_mul(to_u64(len)).saturating_add(5),
                        None if element.is_value() => {
                            inner = Some(Level { left: count, types: [element, element] });
                            5
                        }
                        None => return Err(offset.unknown("element type", field_len, element)),
                    }
                }
                TType::MAP => {
                    let Some(&[key, value]) = rest.get(field_len..).and_then(<[u8]>::first_chunk) else { break };
                    let count_at = field_len.saturating_add(2);
                    let Some(count) = int_at(rest, count_at) else { break };
                    let Ok(count) = u32::try_from(count) else {
                        return Err(offset.negative("pair count", count_at, count));
                    };
                    let (key, value) = (TType(key), TType(value));
                    if depth >= self.max_depth {
                        return Err(offset.too_deep(field_len, self.max_depth));
                    }
                    match (key.fixed_len(), value.fixed_len()) {
                        _ if count == 0 => 6,
                        (Some(key), Some(value)) => {
                            u64::from(count).saturating_mul(to_u64(key.saturating_add(value))).saturating_add(6)
                        }
                        _ if !key.is_value() => return Err(offset.unknown("key type", field_len, key)),
                        _ if !value.is_value() => {
                            return Err(offset.unknown("value type", field_len.saturating_add(1), value));
                        }
                        _ => {
                            // An even number left means that a key is next.
                            inner = Some(Level { left: count.saturating_mul(2), types: [key, value] });
                            6
                        }
                    }
                }
                _ => return Err(offset.unknown("field type", 0, ttype)),
            };

            level.left = level.left.wrapping_sub(1);
            if let Some(inner) = inner {
                match self.parents.get_mut(depth) {
                    Some(place) if depth < self.max_depth => *place = level,
                    _ => return Err(offset.too_deep(field_len, self.max_depth)),
                }
                depth = depth.saturating_add(1);
                level = inner;
            }
            let len = len.saturating_add(to_u64(field_len));
            match rest.get(to_usize(len)..) {
                Some(after) => rest = after,
                None => {
                    self.whole = Whole { ttype, len };
                    self.pending = len.saturating_sub(to_u64(rest.len()));
                    rest = &[];
                    break;
                }
            }
        }
        self.level = level;
        self.depth = depth;
        for (place, byte) in self.head.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.head_len = rest.len();
        self.offset = self.offset.saturating_add(to_u64(src.len()));
        Ok(None)
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
const MAX_HEAD_LEN: usize = 9;

/// A struct, or what is left of a container: elements, or keys and values by turns.
#[derive(Clone, Copy)]
struct Level {
    left: u32,
    /// Of the next value when `left` is even, and odd. For a struct, which has no such thing, `OF_STRUCT`.
    types: [TType; 2],
}

impl Level {
    /// What no container has: keys without a type and values with one.
    const OF_STRUCT: [TType; 2] = [TType::STOP, TType::STRUCT];

    const STRUCT: Self = Self { left: 0, types: Self::OF_STRUCT };
    const NONE: Self = Self::root(TType::BOOL).emptied();

    /// A level of one value, which is not counted as one.
    const fn root(ttype: TType) -> Self {
        Self { left: 1, types: [ttype, ttype] }
    }

    const fn emptied(self) -> Self {
        Self { left: 0, types: self.types }
    }

    const fn is_struct(&self) -> bool {
        matches!(self.types, Self::OF_STRUCT)
    }

    const fn next_type(&self) -> TType {
        let [even, odd] = self.types;
        if self.left.is_multiple_of(2) { even } else { odd }
    }
}

/// The value that `pending` is the rest of, its header included; kept for the error when it never comes.
#[derive(Clone, Copy)]
struct Whole {
    ttype: TType,
    len: u64,
}

/// Where `rest` begins in the value; worked out only for an error.
#[derive(Clone, Copy)]
struct Offset {
    base: u64,
    src: usize,
    rest: usize,
}

impl Offset {
    fn plus(self, n: usize) -> usize {
        to_usize(self.base).saturating_add(self.src.saturating_sub(self.rest)).saturating_add(n)
    }

    #[cold]
    fn negative(self, field: &'static str, at: usize, actual: i32) -> DecodeError {
        DecodeError::Negative { field, offset: self.plus(at), actual }
    }

    #[cold]
    fn unknown(self, field: &'static str, at: usize, actual: TType) -> DecodeError {
        DecodeError::UnknownType { field, offset: self.plus(at), actual: actual.0 }
    }

    #[cold]
    fn too_deep(self, at: usize, max: usize) -> DecodeError {
        DecodeError::TooDeep { offset: self.plus(at), max }
    }
}

fn int_at(src: &[u8], at: usize) -> Option<i32> {
    src.get(at..)?.first_chunk().copied().map(i32::from_be_bytes)
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Saturates where an address has 32 bits: no piece is that long, so that the comparison comes out the same.
fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
