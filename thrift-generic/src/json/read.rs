//! Thrift Binary to JSON text (generic-call 3.7, 3.9, 3.10).

use thrift_codec::{DecodeError, TType};

use super::number::{Decimal, without_exponent};
use super::out::Out;
use super::{base64, fill, mapped, text};
use crate::descriptor::{Descriptor, Enum, Field, KeyText, Plan, RankSets, Slot, Struct, StructId, Type, TypeId};
use crate::error::{Error, ErrorKind};
use crate::options::{EnumNames, Options, Profile};
use crate::path::Step;

/// Reads one Thrift value.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'o> {
    pub(super) d: &'a Descriptor,
    pub(super) options: &'a Options,
    /// The default profile.
    lenient: bool,
    /// What is left.
    pub(super) rest: &'a [u8],
    whole: &'a [u8],
    pub(super) out: Out<'o>,
    /// Bits of the fields that were read, beyond the first 64, of every struct that is open.
    spill: Vec<u64>,
    /// Fields with `api.none` are not there.
    hide: bool,
    /// Strings may be no UTF-8: what is not is replaced.
    lossy: bool,
    /// An IDL default is read: nothing is missing in it.
    is_default: bool,
}

/// The fields of one struct that were read, as bits by rank: the first 64, and where the others are in `spill`.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: u64,
    spilled: usize,
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

    pub(super) fn offset(&self) -> usize {
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
    pub(super) fn value(&mut self, ty: Type, js: bool, depth: usize) -> Result<(), Error> {
        // What nests is apart from what does not, so that the stack of an unoptimized build holds as deep.
        match ty {
            Type::Struct(id) => self.structure(id, js && self.lenient, depth),
            Type::List(element) | Type::Set(element) => self.list(element, js, depth),
            Type::Map(key, value) => self.map(key, value, js, depth),
            _ => self.scalar(ty, js),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn scalar(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        match ty {
            Type::Bool => {
                let [byte] = self.take("bool")?;
                if byte == 1 {
                    self.out.put(b"true");
                } else {
                    self.out.put(b"false");
                }
            }
            Type::Byte => {
                let [byte] = self.take("i8")?;
                if self.options.byte_as_unsigned {
                    self.integer(byte, js && !self.lenient);
                } else {
                    self.integer(byte.cast_signed(), js && !self.lenient);
                }
            }
            Type::I16 => {
                let number = i16::from_be_bytes(self.take("i16")?);
                self.integer(number, js && !self.lenient);
            }
            Type::I32 => {
                let number = i32::from_be_bytes(self.take("i32")?);
                self.integer(number, js && !self.lenient);
            }
            Type::Enum(id) => {
                let number = i32::from_be_bytes(self.take("enum")?);
                if self.options.enum_names == EnumNames::Write
                    && let Some(name) = name_of(self.d.enumeration(id), number)
                {
                    self.quoted(name.as_bytes());
                    return Ok(());
                }
                self.integer(number, js && !self.lenient);
            }
            Type::I64 => {
                let number = i64::from_be_bytes(self.take("i64")?);
                self.integer(number, js || self.options.i64_as_string);
            }
            Type::Double => {
                let number = f64::from_be_bytes(self.take("double")?);
                return self.double(number, js && !self.lenient);
            }
            Type::String => return self.string(),
            Type::Binary => return self.binary(),
            _ => return Err(Error::new(ErrorKind::Unsupported("void has no value".into()))),
        }
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn integer<I: itoa::Integer>(&mut self, number: I, quoted: bool) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        if quoted {
            self.out.put(b"\"");
        }
        self.out.put_slice(digits);
        if quoted {
            self.out.put(b"\"");
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn double(&mut self, number: f64, quoted: bool) -> Result<(), Error> {
        let Some(decimal) = Decimal::json(number, self.lenient) else { return self.no_number(number) };
        if quoted {
            self.out.put(b"\"");
        }
        let (bytes, len) = decimal.parts();
        self.out.put_part(bytes, len);
        if quoted {
            self.out.put(b"\"");
        }
        Ok(())
    }

    /// A double of a value of the user's own, which may be anything.
    pub(super) fn plain_double(&mut self, number: f64) {
        match Decimal::json(number, self.lenient) {
            Some(decimal) => {
                let (bytes, len) = decimal.parts();
                self.out.put_part(bytes, len);
            }
            None => self.out.put(b"null"),
        }
    }

    #[cold]
    fn no_number(&mut self, number: f64) -> Result<(), Error> {
        if self.options.null_for_nan {
            self.out.put(b"null");
            return Ok(());
        }
        let found = without_exponent(number).into();
        let reason = "JSON has neither Nan nor Inf".into();
        Err(Error::new(ErrorKind::Value { expected: "double", found, reason }).at(self.offset().saturating_sub(8)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn string(&mut self) -> Result<(), Error> {
        let len = self.count("string length")?;
        let text = self.rest;
        match text.get(len..) {
            Some(rest) => self.rest = rest,
            None => return Err(self.truncated("string", len)),
        }
        self.out.put(b"\"");
        if self.lossy {
            self.lossy_text(text.get(..len).unwrap_or_default());
        } else {
            // Reads on behind the string, where there is something: whole chunks are quicker.
            self.escaped(text, len);
        }
        self.out.put(b"\"");
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn escaped(&mut self, text: &[u8], len: usize) {
        if self.options.escape_html {
            text::escape::<true>(text, len, &mut self.out);
        } else {
            text::escape::<false>(text, len, &mut self.out);
        }
    }

    /// Every byte that is not part of a letter becomes U+FFFD, as in Go.
    #[inline(never)]
    fn lossy_text(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().as_bytes();
            self.escaped(valid, valid.len());
            for _ in chunk.invalid() {
                self.out.put(b"\\ufffd");
            }
        }
    }

    pub(super) fn quoted(&mut self, text: &[u8]) {
        self.out.put(b"\"");
        if self.lossy {
            self.lossy_text(text)
        } else {
            self.escaped(text, text.len())
        }
        self.out.put(b"\"");
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn binary(&mut self) -> Result<(), Error> {
        if !self.options.base64 {
            return self.string();
        }
        let bytes = self.bytes()?;
        self.out.put(b"\"");
        base64::encode(bytes, &mut self.out);
        self.out.put(b"\"");
        Ok(())
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

    /// A key, between quotes that are there already.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn key(&mut self, ty: Type) -> Result<(), Error> {
        match ty {
            Type::String => {
                let len = self.count("string length")?;
                let text = self.rest;
                match text.get(len..) {
                    Some(rest) => self.rest = rest,
                    None => return Err(self.truncated("string", len)),
                }
                if self.lossy {
                    self.lossy_text(text.get(..len).unwrap_or_default());
                } else {
                    self.escaped(text, len);
                }
            }
            Type::I32 => {
                let number = i32::from_be_bytes(self.take("i32")?);
                self.integer(number, false);
            }
            Type::I64 => {
                let number = i64::from_be_bytes(self.take("i64")?);
                self.integer(number, false);
            }
            _ => return self.key_of_another_type(ty),
        }
        Ok(())
    }

    #[inline(never)]
    fn key_of_another_type(&mut self, ty: Type) -> Result<(), Error> {
        match ty {
            Type::Bool => {
                let [byte] = self.take("bool")?;
                self.out.put_slice(if byte == 1 { b"true" } else { b"false" });
            }
            Type::Byte => {
                let [byte] = self.take("i8")?;
                if self.options.byte_as_unsigned {
                    self.integer(byte, false);
                } else {
                    self.integer(byte.cast_signed(), false);
                }
            }
            Type::I16 => {
                let number = i16::from_be_bytes(self.take("i16")?);
                self.integer(number, false);
            }
            Type::Enum(id) => {
                let number = i32::from_be_bytes(self.take("enum")?);
                match name_of(self.d.enumeration(id), number) {
                    Some(name) if self.options.enum_names == EnumNames::Write => {
                        self.escaped(name.as_bytes(), name.len())
                    }
                    _ => self.integer(number, false),
                }
            }
            Type::Double => {
                let number = f64::from_be_bytes(self.take("double")?);
                self.out.put_slice(without_exponent(number).as_bytes());
            }
            Type::Binary => {
                let bytes = self.bytes()?;
                if self.options.base64 {
                    base64::encode(bytes, &mut self.out);
                } else if self.lossy {
                    self.lossy_text(bytes);
                } else {
                    self.escaped(bytes, bytes.len());
                }
            }
            _ => {
                let text = format!("a {} can't be a key in JSON", ty.name());
                return Err(Error::new(ErrorKind::Unsupported(text.into())).at(self.offset()));
            }
        }
        Ok(())
    }

    fn structure(&mut self, id: StructId, js: bool, depth: usize) -> Result<(), Error> {
        let d = self.d;
        let depth = self.deeper(depth)?;
        let structure = d.structure(id);
        let plan = structure.fields.plan();
        let mut seen = self.begin(plan);
        let at = self.out.pos();
        let mut expected = 0usize;
        loop {
            let index = match (self.rest.first_chunk::<3>(), plan.slots().get(expected)) {
                // Fields mostly come in the order of the IDL, and with its types.
                (Some(head), Some(slot)) if *head == slot.head => {
                    self.rest = self.rest.get(3..).unwrap_or_default();
                    expected
                }
                _ => match self.next_field(structure, depth)? {
                    Next::End => break,
                    Next::Skipped => continue,
                    Next::Field(index) => index,
                },
            };
            expected = index.wrapping_add(1);
            let Some(slot) = plan.slots().get(index) else { continue };
            let repeated = self.see(&mut seen, slot.rank);
            if repeated || slot.special {
                if let Err(error) = self.special(slot, structure, index, repeated, js, depth) {
                    return Err(at_field(error, structure, index));
                }
                continue;
            }
            self.member_name(&slot.key);
            if let Err(error) = self.value(slot.ty, js || (slot.js_conv && self.options.value_mapping), depth) {
                return Err(at_field(error, structure, index));
            }
        }
        self.absent(structure, seen, js)?;
        if self.out.pos() == at {
            self.out.put(b"{}");
        } else {
            self.out.patch(at, *b"{");
            self.out.put(b"}");
        }
        Ok(())
    }

    /// Reads the header of a field that is not the expected one.
    #[inline(never)]
    fn next_field(&mut self, structure: &Struct, depth: usize) -> Result<Next, Error> {
        let Some((ttype, id)) = self.field_header()? else { return Ok(Next::End) };
        let known = structure.fields.index_of_id(id);
        let Some(field) = known.and_then(|index| structure.fields.get(index)) else {
            self.skip(ttype, depth)?;
            return Ok(Next::Skipped);
        };
        match self.is_type(field.ty, ttype) {
            Ok(true) => Ok(known.map_or(Next::Skipped, Next::Field)),
            Ok(false) => self.skip(ttype, depth).map(|()| Next::Skipped),
            Err(error) => Err(error.inside(Step::Field(field.key.clone()))),
        }
    }

    /// A field that was there before, or that is not shown as it is.
    #[inline(never)]
    fn special(
        &mut self,
        slot: &Slot,
        structure: &'a Struct,
        index: usize,
        repeated: bool,
        js: bool,
        depth: usize,
    ) -> Result<(), Error> {
        let Some(field) = structure.fields.get(index) else { return Ok(()) };
        if repeated || (field.hidden && self.hide) {
            return self.skip(slot.ttype, depth);
        }
        self.member_name(&slot.key);
        if field.value_mapping.is_some() && self.options.value_mapping {
            return mapped::read(self, field);
        }
        self.value(slot.ty, js || (slot.js_conv && self.options.value_mapping), depth)
    }

    /// `,"key":`; the comma becomes a brace where it is the first.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn member_name(&mut self, key: &KeyText) {
        match key.padded() {
            Some((bytes, len)) if !(self.options.escape_html && key.minds_html()) => self.out.put_part(bytes, len),
            _ => self.long_member_name(key),
        }
    }

    #[cold]
    #[inline(never)]
    fn long_member_name(&mut self, key: &KeyText) {
        self.out.put_slice(if self.options.escape_html { key.html_text() } else { key.text() });
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn begin(&mut self, plan: &Plan) -> Seen {
        let seen = Seen { first: 0, spilled: self.spill.len() };
        let more = plan.sets().len().wrapping_sub(1);
        if more > 0 {
            self.spill.resize(seen.spilled.wrapping_add(more), 0);
        }
        seen
    }

    /// Notes a field; whether it was there before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn see(&mut self, seen: &mut Seen, rank: u16) -> bool {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            let before = seen.first & bit != 0;
            seen.first |= bit;
            return before;
        }
        let at = seen.spilled.wrapping_add(usize::from(rank >> 6)).wrapping_sub(1);
        match self.spill.get_mut(at) {
            Some(word) => {
                let before = *word & bit != 0;
                *word |= bit;
                before
            }
            None => false,
        }
    }

    /// Shows the fields that are not there and should be.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn absent(&mut self, structure: &'a Struct, seen: Seen, js: bool) -> Result<(), Error> {
        if let [only] = structure.fields.plan().sets() {
            if self.wanted(only) & !seen.first != 0 {
                self.fill(structure, seen, js)?;
            }
        } else {
            self.fill(structure, seen, js)?;
            self.spill.truncate(seen.spilled);
        }
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn wanted(&self, sets: &RankSets) -> u64 {
        if self.is_default {
            return 0;
        }
        if self.lenient {
            return sets.required | sets.with_default;
        }
        let hidden = if self.hide { sets.hidden } else { 0 };
        ((sets.required | sets.default) & !sets.base | sets.with_plain_default) & !hidden
    }

    #[inline(never)]
    fn fill(&mut self, structure: &'a Struct, seen: Seen, js: bool) -> Result<(), Error> {
        let plan = structure.fields.plan();
        for (word, sets) in plan.sets().iter().enumerate() {
            let read = match word.checked_sub(1) {
                None => seen.first,
                Some(more) => self.spill.get(seen.spilled.wrapping_add(more)).copied().unwrap_or_default(),
            };
            let mut missing = self.wanted(sets) & !read;
            while missing != 0 {
                let bit = usize::try_from(missing.trailing_zeros()).unwrap_or_default();
                missing &= missing.wrapping_sub(1);
                let index = plan.index_of_rank(word.wrapping_mul(64).wrapping_add(bit));
                let (Some(slot), Some(field)) = (plan.slots().get(index), structure.fields.get(index)) else {
                    continue;
                };
                if self.lenient && sets.required >> bit & 1 == 1 {
                    let kind = ErrorKind::Required { id: field.id, name: field.key.clone() };
                    return Err(Error::new(kind).at(self.offset()));
                }
                self.member_name(&slot.key);
                self.default(slot, field, js).map_err(|error| at_field(error, structure, index))?;
            }
        }
        Ok(())
    }

    /// The IDL default of a field, or its zero.
    fn default(&mut self, slot: &'a Slot, field: &Field, js: bool) -> Result<(), Error> {
        let js = js || (slot.js_conv && self.options.value_mapping);
        let Some(bytes) = fill::default(self.d, field, slot) else {
            self.zero(field.ty, js);
            return Ok(());
        };
        let (rest, whole) = (self.rest, self.whole);
        self.rest = bytes;
        self.whole = bytes;
        self.is_default = true;
        let written = if field.value_mapping.is_some() && self.options.value_mapping {
            mapped::read(self, field)
        } else {
            self.value(field.ty, js, self.options.max_depth)
        };
        self.is_default = false;
        self.rest = rest;
        self.whole = whole;
        written
    }

    fn zero(&mut self, ty: Type, js: bool) {
        let quoted = js && !self.lenient;
        match ty {
            Type::Void => self.out.put(b"null"),
            Type::Bool => self.out.put(b"false"),
            Type::I64 => self.integer(0u8, js || self.options.i64_as_string),
            Type::Byte | Type::I16 | Type::I32 | Type::Double | Type::Enum(_) => self.integer(0u8, quoted),
            Type::String | Type::Binary => self.out.put(b"\"\""),
            Type::List(_) | Type::Set(_) => self.out.put(b"[]"),
            Type::Map(..) | Type::Struct(_) => self.out.put(b"{}"),
        }
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

/// What comes next in a struct.
enum Next {
    /// Nothing.
    End,
    /// A field that nobody asked for; it is passed.
    Skipped,
    /// The value of the field with this index.
    Field(usize),
}

fn name_of(of: &Enum, number: i32) -> Option<&str> {
    of.values.iter().find_map(|(name, known)| (*known == number).then_some(&**name))
}

#[cold]
#[inline(never)]
fn at_index(error: Error, index: usize) -> Error {
    error.inside(Step::Index(index))
}

#[cold]
#[inline(never)]
fn at_field(error: Error, structure: &Struct, index: usize) -> Error {
    match structure.fields.get(index) {
        Some(field) => error.inside(Step::Field(field.key.clone())),
        None => error,
    }
}
