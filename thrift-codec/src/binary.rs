//! Thrift's Binary protocol, value by value: a cursor that reads and one that writes (spec 1.7).

use bytes::{BufMut, BytesMut};

use crate::{DecodeError, EncodeError, MAX_DEPTH, Skipper, TType, message::i32_len};

/// Takes values off the front of `src`, and knows where it is.
///
/// Everything it hands out is borrowed from `src`, and no length is believed that `src` has not the bytes for. An error
/// leaves it where it was.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// Begins a field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the protocol has these two and no more")]
pub struct FieldHeader {
    /// What the field holds.
    pub ttype: TType,
    /// Its number in the IDL.
    pub id: i16,
}

/// Begins a list or a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the protocol has these two and no more")]
pub struct ListHeader {
    /// What each element is; any byte at all when there are none.
    pub element: TType,
    /// How many elements follow.
    pub count: usize,
}

/// Begins a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the protocol has these three and no more")]
pub struct MapHeader {
    /// What each key is; any byte at all when there are none.
    pub key: TType,
    /// What each value is; any byte at all when there are none.
    pub value: TType,
    /// How many pairs follow.
    pub count: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte of `src`, whose offset is 0.
    #[must_use]
    pub const fn new(src: &'a [u8]) -> Self {
        Self { rest: src, offset: 0 }
    }

    /// Begins at the first byte of `src`, which stands `offset` bytes into what errors are to count from.
    #[must_use]
    pub const fn at(src: &'a [u8], offset: usize) -> Self {
        Self { rest: src, offset }
    }

    /// True only for 1, as Kitex reads it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], as for all that follow.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array::<1>("bool").map(|[byte]| byte == 1)
    }

    /// A signed byte.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array("i8").map(i8::from_be_bytes)
    }

    /// Two bytes, signed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array("i16").map(i16::from_be_bytes)
    }

    /// Four bytes, signed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array("i32").map(i32::from_be_bytes)
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array("i64").map(i64::from_be_bytes)
    }

    /// Eight bytes, IEEE 754.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        self.array("double").map(f64::from_be_bytes)
    }

    /// Text or binary, borrowed. That text is UTF-8 nobody promises.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], [`DecodeError::Negative`].
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut ahead = self.clone();
        let len = ahead.count("string length")?;
        let Some((bytes, rest)) = ahead.rest.split_at_checked(len) else {
            return Err(ahead.truncated("string", len));
        };
        *self = Self { rest, offset: ahead.offset.saturating_add(len) };
        Ok(bytes)
    }

    /// The header of a struct's next field; `None` when the struct ends here.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`]. An unknown type is none yet: it may be that nobody has to skip it.
    #[inline]
    pub fn field_header(&mut self) -> Result<Option<FieldHeader>, DecodeError> {
        let mut ahead = self.clone();
        let [ttype] = ahead.array("field type")?;
        let header = match TType(ttype) {
            TType::STOP => None,
            ttype => Some(FieldHeader { ttype, id: i16::from_be_bytes(ahead.array("field id")?) }),
        };
        *self = ahead;
        Ok(header)
    }

    /// The header of a list or a set.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], also when the bytes left cannot hold that many elements, so that `count` may be
    /// believed; [`DecodeError::Negative`], and [`DecodeError::UnknownType`] unless the count is 0 (spec 1.8).
    #[inline]
    pub fn list_header(&mut self) -> Result<ListHeader, DecodeError> {
        let mut ahead = self.clone();
        let [element] = ahead.array("element type")?;
        let header = ListHeader { element: TType(element), count: ahead.count("element count")? };
        if header.count > 0 {
            let least = self.least("element type", header.element, 0)?;
            ahead.holds("elements", header.count, least)?;
        }
        *self = ahead;
        Ok(header)
    }

    /// The header of a map.
    ///
    /// # Errors
    ///
    /// As [`list_header`](Self::list_header).
    #[inline]
    pub fn map_header(&mut self) -> Result<MapHeader, DecodeError> {
        let mut ahead = self.clone();
        let [key, value] = ahead.array("key and value type")?;
        let header = MapHeader { key: TType(key), value: TType(value), count: ahead.count("pair count")? };
        if header.count > 0 {
            let key = self.least("key type", header.key, 0)?;
            let value = self.least("value type", header.value, 1)?;
            ahead.holds("pairs", header.count, key.saturating_add(value))?;
        }
        *self = ahead;
        Ok(header)
    }

    /// Passes over a value, whatever is in it, as deep as 64 levels.
    ///
    /// # Errors
    ///
    /// What a [`Skipper`] says, and [`DecodeError::Truncated`].
    pub fn skip(&mut self, ttype: TType) -> Result<(), DecodeError> {
        self.skip_within(ttype, MAX_DEPTH)
    }

    /// Passes over a value that may have `max_depth` levels, a scalar having none.
    ///
    /// # Errors
    ///
    /// What a [`Skipper`] says, and [`DecodeError::Truncated`].
    pub fn skip_within(&mut self, ttype: TType, max_depth: usize) -> Result<(), DecodeError> {
        let mut skipper = Skipper::new(ttype).with_max_depth(max_depth);
        let len = match skipper.skip(self.rest) {
            Ok(Some(len)) => len,
            Ok(None) => return Err(skipper.truncated().shifted(self.offset)),
            Err(error) => return Err(error.shifted(self.offset)),
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        self.offset = self.offset.saturating_add(len);
        Ok(())
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Where the next byte stands.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(*head)
    }

    #[inline]
    fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let offset = self.offset;
        let count = i32::from_be_bytes(self.array(field)?);
        usize::try_from(count).map_err(|_| DecodeError::Negative { field, offset, actual: count })
    }

    fn least(&self, field: &'static str, ttype: TType, at: usize) -> Result<usize, DecodeError> {
        let offset = self.offset.saturating_add(at);
        ttype.min_len().ok_or(DecodeError::UnknownType { field, offset, actual: ttype.0 })
    }

    fn holds(&self, field: &'static str, count: usize, least: usize) -> Result<(), DecodeError> {
        let expected = count.saturating_mul(least);
        if expected > self.rest.len() { Err(self.truncated(field, expected)) } else { Ok(()) }
    }

    #[cold]
    fn truncated(&self, field: &'static str, expected: usize) -> DecodeError {
        DecodeError::Truncated { field, offset: self.offset, expected, actual: self.rest.len() }
    }
}

/// Appends values to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    dst: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// Appends to what is in `dst` already.
    #[must_use]
    pub const fn new(dst: &'a mut BytesMut) -> Self {
        Self { dst }
    }

    /// Writes 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.dst.put_u8(u8::from(value));
    }

    /// Writes a signed byte.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.dst.put_i8(value);
    }

    /// Writes two bytes.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.dst.put_i16(value);
    }

    /// Writes four bytes.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.dst.put_i32(value);
    }

    /// Writes eight bytes.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.dst.put_i64(value);
    }

    /// Writes eight bytes, IEEE 754.
    #[inline]
    pub fn double(&mut self, value: f64) {
        self.dst.put_f64(value);
    }

    /// Writes text or binary behind its length.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when there are more bytes than the length can say; nothing is written.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) -> Result<(), EncodeError> {
        let len = i32_len("string length", value.len())?;
        self.dst.reserve(value.len().saturating_add(4));
        self.dst.put_i32(len);
        self.dst.put_slice(value);
        Ok(())
    }

    /// Begins a field; its value is to follow.
    #[inline]
    pub fn field_header(&mut self, header: FieldHeader) {
        self.dst.put_u8(header.ttype.0);
        self.dst.put_i16(header.id);
    }

    /// Ends a struct.
    #[inline]
    pub fn stop(&mut self) {
        self.dst.put_u8(TType::STOP.0);
    }

    /// Begins a list or a set; its elements are to follow.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when there are more elements than the count can say; nothing is written.
    #[inline]
    pub fn list_header(&mut self, header: ListHeader) -> Result<(), EncodeError> {
        let count = i32_len("element count", header.count)?;
        self.dst.put_u8(header.element.0);
        self.dst.put_i32(count);
        Ok(())
    }

    /// Begins a map; its pairs are to follow, key before value.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when there are more pairs than the count can say; nothing is written.
    #[inline]
    pub fn map_header(&mut self, header: MapHeader) -> Result<(), EncodeError> {
        let count = i32_len("pair count", header.count)?;
        self.dst.put_u8(header.key.0);
        self.dst.put_u8(header.value.0);
        self.dst.put_i32(count);
        Ok(())
    }
}
