//! Thrift Binary to JSON text (generic-call 3.7, 3.9, 3.10).

mod scalar;
mod structure;

use thrift_codec::{DecodeError, TType};

use crate::descriptor::{Descriptor, Field, Type, TypeId};
use crate::error::{Error, ErrorKind};
use crate::json::out::Out;
use crate::json::{base64, mapped, text};
use crate::options::{Options, Profile};
use crate::path::Step;

/// Reads one Thrift value.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'o> {
    pub(in crate::json) d: &'a Descriptor,
    pub(in crate::json) options: &'a Options,
    /// The default profile.
    lenient: bool,
    /// What is left.
    pub(in crate::json) rest: &'a [u8],
    whole: &'a [u8],
    pub(in crate::json) out: Out<'o>,
    /// Bits of the fields that were read, beyond the first 64, of every struct that is open.
    spill: Vec<u64>,
    /// Fields with `api.none` are not there.
    hide: bool,
    /// Strings may be no UTF-8: what is not is replaced.
    lossy: bool,
    /// An IDL default is read: nothing is missing in it.
    is_default: bool,
}

/// Appends to `out` what `read` makes of `thrift`; leaves it as it was where that fails.
pub(crate) fn run<T>(
    d: &Descriptor,
    options: &Options,
    response: bool,
    thrift: &[u8],
    out: &mut Vec<u8>,
    mut read: impl FnMut(&mut Reader<'_, '_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let lenient = options.profile == Profile::Default;
    let mut reader = Reader {
        d,
        options,
        lenient,
        rest: thrift,
        whole: thrift,
        out: Out::new(out, thrift.len().saturating_mul(2).saturating_add(64)),
        spill: Vec::new(),
        hide: response && !lenient,
        lossy: false,
        is_default: false,
    };
    let mut result = read(&mut reader).and_then(|value| reader.end().map(|()| value));
    // All that is no ASCII in the output are strings, between quotes: either each of them is UTF-8, or the whole is not.
    if result.is_ok() && simdutf8::basic::from_utf8(reader.out.written()).is_err() {
        reader.out.clear();
        reader.rest = thrift;
        reader.lossy = true;
        result = read(&mut reader);
    }
    match &result {
        Ok(_) => reader.out.finish(),
        Err(_) => reader.out.abandon(),
    }
    result
}

impl<'a> Reader<'a, '_> {
    /// Takes back what was shown.
    pub(crate) fn start_over(&mut self) {
        self.out.clear();
    }

    fn end(&self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            len => Err(Error::new(ErrorKind::Trailing(len)).at(self.offset())),
        }
    }

    pub(in crate::json) fn offset(&self) -> usize {
        self.whole.len().wrapping_sub(self.rest.len())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated(field, N)),
        }
    }

    #[cold]
    #[inline(never)]
    fn truncated(&self, field: &'static str, expected: usize) -> Error {
        let (offset, actual) = (self.offset(), self.rest.len());
        Error::from(DecodeError::Truncated { field, offset, expected, actual }).at(offset)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn count(&mut self, field: &'static str) -> Result<usize, Error> {
        let count = i32::from_be_bytes(self.take(field)?);
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => Err(self.negative(field, count)),
        }
    }

    #[cold]
    #[inline(never)]
    fn negative(&self, field: &'static str, actual: i32) -> Error {
        let offset = self.offset().saturating_sub(4);
        Error::from(DecodeError::Negative { field, offset, actual }).at(offset)
    }

    /// The bytes of a string or binary.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.count("string length")?;
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated("string", len)),
        }
    }

    /// The header of the next field; `None` at the end of the struct.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn field_header(&mut self) -> Result<Option<(TType, i16)>, Error> {
        match self.rest {
            [0, rest @ ..] => {
                self.rest = rest;
                Ok(None)
            }
            _ => {
                let [ttype, high, low] = self.take("field header")?;
                Ok(Some((TType(ttype), i16::from_be_bytes([high, low]))))
            }
        }
    }

    /// Passes a value of this type.
    #[inline(never)]
    pub(crate) fn skip(&mut self, ttype: TType, depth: usize) -> Result<(), Error> {
        let len = match ttype.fixed_len() {
            Some(len) => len,
            None if ttype == TType::STRING => return self.bytes().map(drop),
            None => {
                let offset = self.offset();
                let mut reader = thrift_codec::binary::Reader::new(self.rest);
                reader.skip_within(ttype, depth).map_err(|error| Error::from(error.shifted(offset)).at(offset))?;
                self.rest.len().wrapping_sub(reader.rest().len())
            }
        };
        match self.rest.get(len..) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.truncated(ttype.name().unwrap_or("value"), len)),
        }
    }

    /// The one argument or result in a struct: text without quotes. Whether it was there: a value of another type may
    /// be skipped.
    pub(crate) fn wrapped(&mut self, field: &Field, ttype: TType) -> Result<bool, Error> {
        let depth = self.options.max_depth;
        let result = self.wrapped_value(field, ttype, depth);
        if field.key.is_empty() { result } else { result.map_err(|error| error.inside(Step::Field(field.key.clone()))) }
    }

    fn wrapped_value(&mut self, field: &Field, ttype: TType, depth: usize) -> Result<bool, Error> {
        if !self.is_type(field.ty, ttype)? {
            self.skip(ttype, depth)?;
            return Ok(false);
        }
        match field.ty {
            _ if field.value_mapping.is_some() && self.options.value_mapping => mapped::read(self, field)?,
            Type::Binary if self.options.base64 => {
                let bytes = self.bytes()?;
                base64::encode(bytes, &mut self.out);
            }
            Type::String | Type::Binary => {
                let bytes = self.bytes()?;
                self.plain_text(bytes);
            }
            ty => self.value(ty, field.js_conv && self.options.value_mapping, depth)?,
        }
        Ok(true)
    }

    fn plain_text(&mut self, bytes: &[u8]) {
        if !self.lossy {
            return self.out.put_slice(bytes);
        }
        for chunk in bytes.utf8_chunks() {
            self.out.put_slice(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                self.out.put_slice("\u{fffd}".as_bytes());
            }
        }
    }

    /// Reads a value that is all there is.
    pub(crate) fn root(&mut self, ty: Type) -> Result<(), Error> {
        self.value(ty, false, self.options.max_depth)
    }

    /// Whether a value on the wire is of the type; `false` where it is not and is to be skipped.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_type(&self, ty: Type, ttype: TType) -> Result<bool, Error> {
        if ttype == ty.ttype() { Ok(true) } else { self.is_another_type(ty, ttype) }
    }

    #[cold]
    #[inline(never)]
    fn is_another_type(&self, ty: Type, ttype: TType) -> Result<bool, Error> {
        match (ty, ttype) {
            (Type::List(_) | Type::Set(_), TType::LIST | TType::SET) if !self.lenient => Ok(true),
            _ if self.options.skip_mismatched && ttype.is_value() => Ok(false),
            _ => Err(Error::expected(ty.name(), ttype.name().unwrap_or("an unknown type")).at(self.offset())),
        }
    }

    /// The type of elements or keys, which has to be the declared one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn check_element(&self, ty: Type, ttype: TType) -> Result<(), Error> {
        if ttype == ty.ttype() { Ok(()) } else { self.check_other_element(ty, ttype) }
    }

    #[cold]
    #[inline(never)]
    fn check_other_element(&self, ty: Type, ttype: TType) -> Result<(), Error> {
        if self.is_another_type(ty, ttype)? {
            return Ok(());
        }
        Err(Error::expected(ty.name(), ttype.name().unwrap_or("an unknown type")).at(self.offset()))
    }

    #[inline]
    pub(in crate::json) fn value(&mut self, ty: Type, js: bool, depth: usize) -> Result<(), Error> {
        // What nests is apart from what does not, so that the stack of an unoptimized build holds as deep.
        match ty {
            Type::Struct(id) => self.structure(id, js && self.lenient, depth),
            Type::List(element) | Type::Set(element) => self.list(element, js, depth),
            Type::Map(key, value) => self.map(key, value, js, depth),
            _ => self.scalar(ty, js),
        }
    }

    fn list(&mut self, element: TypeId, js: bool, depth: usize) -> Result<(), Error> {
        let depth = self.deeper(depth)?;
        let element = self.d.ty(element);
        let [ttype] = self.take("element type")?;
        let count = self.count("element count")?;
        self.check_element(element, TType(ttype))?;
        if count == 0 {
            self.out.put(b"[]");
            return Ok(());
        }
        let at = self.out.pos();
        for index in 0..count {
            self.out.put(b",");
            if let Err(error) = self.value(element, js, depth) {
                return Err(at_index(error, index));
            }
        }
        self.out.patch(at, *b"[");
        self.out.put(b"]");
        Ok(())
    }

    fn map(&mut self, key: TypeId, value: TypeId, js: bool, depth: usize) -> Result<(), Error> {
        let depth = self.deeper(depth)?;
        let (key, value) = (self.d.ty(key), self.d.ty(value));
        let [key_type, value_type] = self.take("key and value type")?;
        let count = self.count("pair count")?;
        if count == 0 {
            // Kitex looks at the types of an empty map with dynamicgo only.
            if !self.lenient {
                self.check_element(key, TType(key_type))?;
                self.check_element(value, TType(value_type))?;
            }
            self.out.put(b"{}");
            return Ok(());
        }
        self.check_element(key, TType(key_type))?;
        self.check_element(value, TType(value_type))?;
        let at = self.out.pos();
        for index in 0..count {
            self.out.put(b",\"");
            let start = self.out.pos();
            if let Err(error) = self.key(key) {
                return Err(at_index(error, index));
            }
            self.out.put(b"\":");
            if let Err(error) = self.value(value, js, depth) {
                return Err(self.at_entry(error, start));
            }
        }
        self.out.patch(at, *b"{");
        self.out.put(b"}");
        Ok(())
    }

    /// One level deeper.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deeper(&self, depth: usize) -> Result<usize, Error> {
        match depth.checked_sub(1) {
            Some(depth) => Ok(depth),
            None => Err(Error::new(ErrorKind::Depth { limit: self.options.max_depth }).at(self.offset())),
        }
    }

    /// The error of a value, whose key begins at `start` of what was written.
    #[cold]
    #[inline(never)]
    fn at_entry(&self, error: Error, start: usize) -> Error {
        let key = self.out.since(start);
        let key = text::raw_string(key).map_or(key, |(key, ..)| key);
        error.inside(Step::Entry(super::write::shortened(key)))
    }
}

#[cold]
#[inline(never)]
fn at_index(error: Error, index: usize) -> Error {
    error.inside(Step::Index(index))
}
