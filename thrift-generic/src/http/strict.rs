//! JSON below the top level of a body, in the default profile: by the rules of the Map mapping, nothing is taken for what
//! it is not (generic-call 4.3, 5.4, 5.6).

use crate::descriptor::{Descriptor, Field, FieldSet, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::http::cursor::{Cursor, Kind};
use crate::http::text::put_integer;
use crate::options::Options;
use crate::path::Step;
use crate::value::Value;
use crate::value::js_conv;
use crate::value::kind::mismatch;
use crate::value::text::{decode_base64, enum_number, key_from_text, parse_f64, parse_i64};
use crate::value::write::ValueWriter;
use crate::wire;

/// Converts values at a cursor.
pub(super) struct StrictWriter<'w> {
    pub(super) d: &'w Descriptor,
    pub(super) options: &'w Options,
    pub(super) out: &'w mut Vec<u8>,
    /// How many more levels there may be.
    pub(super) depth: usize,
}

impl StrictWriter<'_> {
    /// Appends the value at the cursor, which is not null. `js`: texts in it may be integers.
    pub(super) fn value(&mut self, ty: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        let kind = cursor.kind()?;
        match (ty, kind) {
            (Type::String, Kind::String) => wire::bytes(self.out, &cursor.string()?),
            (Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_), Kind::Number) => {
                put_integer(self.out, ty, parse_i64(ty.name(), cursor.number()?)?);
                Ok(())
            }
            (Type::Double, Kind::Number) => {
                self.out.extend_from_slice(&parse_f64(cursor.number()?)?.to_be_bytes());
                Ok(())
            }
            (Type::Bool, Kind::Bool) => {
                self.out.push(u8::from(cursor.bool()?));
                Ok(())
            }
            (Type::Binary, Kind::String) => self.binary(cursor),
            (Type::Struct(id), Kind::Object) => self.structure(id, cursor, js),
            (Type::List(element) | Type::Set(element), Kind::Array) => self.list(self.d.ty(element), cursor, js),
            (Type::Map(key, value), Kind::Object) => self.map(self.d.ty(key), self.d.ty(value), cursor, js),
            (Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_), Kind::String) => {
                self.integer_text(ty, cursor, js)
            }
            _ => other(ty, cursor),
        }
    }

    fn binary(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let text = cursor.string()?;
        if self.options.base64 {
            wire::bytes(self.out, &decode_base64(&String::from_utf8_lossy(&text))?)
        } else {
            wire::bytes(self.out, &text)
        }
    }

    /// Text for an integer: of `api.js_conv`, or the name of an enum's value.
    #[cold]
    fn integer_text(&mut self, ty: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        let text = cursor.string()?;
        let text = String::from_utf8_lossy(&text);
        if let Type::Enum(id) = ty
            && let Some(number) = enum_number(self.d.enumeration(id), self.options, &text)
        {
            put_integer(self.out, ty, number.into());
            return Ok(());
        }
        if !js {
            return Err(mismatch(ty, &Value::String(String::new())));
        }
        ValueWriter::new(self.d, self.options, self.out).value(ty, &Value::I64(js_conv::number(&text)), false)
    }

    fn enter(&mut self, cursor: &Cursor<'_>) -> Result<(), Error> {
        let limit = self.options.max_depth;
        self.depth =
            self.depth.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Depth { limit }).at(cursor.offset()))?;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    fn structure(&mut self, id: StructId, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        self.enter(cursor)?;
        let fields = &self.d.structure(id).fields;
        let (start, before) = (self.out.len(), *cursor);
        let mut set = Set::new(fields.len());
        let mut hint = 0_usize;
        let mut is_first = true;
        cursor.open(Kind::Object)?;
        while let Some(key) = cursor.member(&mut is_first)? {
            let Some((index, field)) = self.find(fields, &key, hint)? else {
                cursor.skip()?;
                continue;
            };
            hint = index.saturating_add(1);
            if set.contains(index) {
                // A member came twice. The last one counts: of all that are there, not of those that were written.
                *cursor = before;
                self.out.truncate(start);
                self.by_value(id, cursor, js)?;
                self.leave();
                return Ok(());
            }
            if cursor.null()? {
                continue;
            }
            set.insert(index);
            if field.value_mapping.is_some() && self.options.value_mapping {
                self.mapped(field, cursor, js)?;
                continue;
            }
            wire::field(self.out, field.ty.ttype(), field.id);
            let js = js || field.js_conv && self.options.value_mapping;
            if let Err(error) = self.value(field.ty, cursor, js) {
                return Err(error.at(cursor.offset()).inside(Step::Field(field.key.clone())));
            }
        }
        if !set.is_full() {
            self.missing(fields, &set)?;
        }
        wire::stop(self.out);
        self.leave();
        Ok(())
    }

    /// The field with this key; `hint` is where it is likely to be.
    #[inline]
    fn find<'f>(&self, fields: &'f FieldSet, key: &[u8], hint: usize) -> Result<Option<(usize, &'f Field)>, Error> {
        if let Some(field) = fields.get(hint).filter(|field| *field.key.as_bytes() == *key) {
            return Ok(Some((hint, field)));
        }
        let index = std::str::from_utf8(key).ok().and_then(|key| fields.index_of_key(key));
        match index.and_then(|index| Some((index, fields.get(index)?))) {
            None if self.options.deny_unknown => {
                Err(Error::new(ErrorKind::UnknownField(String::from_utf8_lossy(key).into())))
            }
            found => Ok(found),
        }
    }

    #[inline(never)]
    fn missing(&mut self, fields: &FieldSet, set: &Set) -> Result<(), Error> {
        for (index, field) in fields.iter().enumerate() {
            if !set.contains(index) && fields.index_of_key(&field.key) == Some(index) {
                ValueWriter::new(self.d, self.options, self.out).missing(field)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn by_value(&mut self, id: StructId, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        let value = cursor.value()?;
        ValueWriter::new(self.d, self.options, self.out).value(Type::Struct(id), &value, js)
    }

    #[inline(never)]
    fn mapped(&mut self, field: &Field, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        let value = cursor.value()?;
        ValueWriter::new(self.d, self.options, self.out).field(field, &value, js)
    }

    fn list(&mut self, element: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        self.enter(cursor)?;
        wire::list_header(self.out, element.ttype(), 0)?;
        let count_at = self.out.len().saturating_sub(4);
        let mut count = 0_usize;
        let mut is_first = true;
        cursor.open(Kind::Array)?;
        while cursor.element(&mut is_first)? {
            if let Err(error) = self.element(element, cursor, js) {
                return Err(error.at(cursor.offset()).inside(Step::Index(count)));
            }
            count = count.saturating_add(1);
        }
        self.leave();
        patch_count(self.out, count_at, count)
    }

    fn map(&mut self, key_type: Type, value: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        self.enter(cursor)?;
        wire::map_header(self.out, key_type.ttype(), value.ttype(), 0)?;
        let count_at = self.out.len().saturating_sub(4);
        let mut count = 0_usize;
        let mut is_first = true;
        cursor.open(Kind::Object)?;
        while let Some(key) = cursor.member(&mut is_first)? {
            if let Err(error) = write_key(self.d, self.options, key_type, &key, self.out) {
                return Err(error.at(cursor.offset()).inside(Step::Key(label(&key))));
            }
            if let Err(error) = self.element(value, cursor, js) {
                return Err(error.at(cursor.offset()).inside(Step::Entry(label(&key))));
            }
            count = count.saturating_add(1);
        }
        self.leave();
        patch_count(self.out, count_at, count)
    }

    #[inline]
    fn element(&mut self, ty: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        if cursor.null()? {
            return ValueWriter::new(self.d, self.options, self.out).zero(ty);
        }
        self.value(ty, cursor, js)
    }
}

/// A value of another kind than the type wants.
#[cold]
#[inline(never)]
fn other(ty: Type, cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let kind = cursor.kind()?;
    let text = match kind {
        Kind::Number => Value::Number(cursor.number()?.into()),
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String(String::new()),
        Kind::Array => Value::List(Vec::new()),
        Kind::Object => Value::Struct(Vec::new()),
    };
    Err(mismatch(ty, &text))
}

#[cold]
fn label(key: &[u8]) -> Box<str> {
    String::from_utf8_lossy(key).into()
}

/// Appends a key of a map, given as text.
pub(super) fn write_key(
    d: &Descriptor,
    options: &Options,
    ty: Type,
    key: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match ty {
        Type::String => wire::bytes(out, key),
        Type::Binary if !options.base64 => wire::bytes(out, key),
        _ => {
            let value = key_from_text(d, options, ty, &String::from_utf8_lossy(key))?;
            ValueWriter::new(d, options, out).value(ty, &value, false)
        }
    }
}

/// Overwrites a count that was not known when it was written.
pub(super) fn patch_count(out: &mut [u8], at: usize, count: usize) -> Result<(), Error> {
    let count = wire::i32_len("element count", count)?;
    if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = count;
    }
    Ok(())
}

/// Which fields of a struct there were.
#[derive(Debug)]
pub(super) struct Set {
    few: u64,
    many: Vec<bool>,
    left: usize,
}

impl Set {
    pub(super) fn new(len: usize) -> Self {
        let many = if len > 64 { vec![false; len] } else { Vec::new() };
        Self { few: 0, many, left: len }
    }

    #[inline]
    pub(super) fn contains(&self, index: usize) -> bool {
        match self.many.get(index) {
            Some(is_set) => *is_set,
            None => self.few & bit(index) != 0,
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, index: usize) {
        if self.contains(index) {
            return;
        }
        self.left = self.left.saturating_sub(1);
        match self.many.get_mut(index) {
            Some(is_set) => *is_set = true,
            None => self.few |= bit(index),
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }
}

#[inline]
fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or_default()
}
