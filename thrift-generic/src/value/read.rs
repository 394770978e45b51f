//! Thrift bytes to values (generic-call 4.4).

use thrift_codec::TType;
use thrift_codec::binary::Reader;

use crate::descriptor::{Descriptor, Field, FieldSet, Requiredness, Type};
use crate::error::{Error, ErrorKind};
use crate::options::{EnumNames, FillAbsent, Options};
use crate::path::Step;
use crate::value::Value;
use crate::value::text::{encode_base64, key_to_text, label};

/// Takes values off the front of some bytes.
pub(crate) struct ValueReader<'a> {
    d: &'a Descriptor,
    options: &'a Options,
    reader: Reader<'a>,
    depth: usize,
}

impl<'a> ValueReader<'a> {
    pub(crate) fn new(d: &'a Descriptor, options: &'a Options, bytes: &'a [u8]) -> Self {
        Self { d, options, reader: Reader::new(bytes), depth: 0 }
    }

    /// The value is the last.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match self.reader.rest().len() {
            0 => Ok(()),
            len => Err(Error::new(ErrorKind::Trailing(len)).at(self.reader.offset())),
        }
    }

    /// Reads a value. `js`: an i64 in it is text.
    pub(crate) fn value(&mut self, ty: Type, js: bool) -> Result<Value, Error> {
        Ok(match ty {
            Type::Bool => Value::Bool(self.reader.bool()?),
            Type::Byte => {
                let number = self.reader.i8()?;
                self.present_byte(number)
            }
            Type::I16 => Value::I16(self.reader.i16()?),
            Type::I32 => Value::I32(self.reader.i32()?),
            Type::Enum(_) => {
                let number = self.reader.i32()?;
                self.present_enum(ty, number)
            }
            Type::I64 => {
                let number = self.reader.i64()?;
                self.present_i64(number, js)
            }
            Type::Double => Value::Double(self.reader.double()?),
            Type::String => text(self.reader.bytes()?),
            Type::Binary => {
                let bytes = self.reader.bytes()?;
                self.present_binary(bytes)
            }
            Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => return self.nested(ty, js),
            Type::Void => {
                if !self.reader.rest().is_empty() {
                    self.reader.skip(TType::STRUCT)?;
                }
                Value::Void
            }
        })
    }

    /// The header of the next field.
    pub(crate) fn field_header(&mut self) -> Result<Option<thrift_codec::binary::FieldHeader>, Error> {
        Ok(self.reader.field_header()?)
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, ttype: TType) -> Result<(), Error> {
        Ok(self.reader.skip_within(ttype, self.options.max_depth.saturating_sub(self.depth))?)
    }

    /// Reads the value of a field, and shows it as its value mapping wants it. `None`: its type is another, and it has
    /// been skipped.
    pub(crate) fn field(&mut self, field: &Field, ttype: TType, js: bool) -> Result<Option<Value>, Error> {
        if ttype != field.ty.ttype() {
            if self.options.skip_mismatched {
                self.skip(ttype)?;
                return Ok(None);
            }
            return Err(wrong_type(field.ty, ttype).at(self.reader.offset()));
        }
        let value = self.value(field.ty, js || self.has_js_conv(field))?;
        self.mapped(field, value).map(Some)
    }

    /// The IDL's default of a field that is absent, as it would have been read; `None` if it has none.
    pub(crate) fn default_of(&self, field: &Field) -> Result<Option<Value>, Error> {
        let Some(default) = &field.default else { return Ok(None) };
        let value = self.present(field.ty, default, self.has_js_conv(field));
        self.mapped(field, value).map(Some)
    }

    /// Reads a value that has others in it. The levels are kept here and not on the stack, of which there may be too
    /// little.
    fn nested(&mut self, ty: Type, js: bool) -> Result<Value, Error> {
        let mut levels = Vec::new();
        let depth = self.depth;
        let read = self.levels(ty, js, &mut levels);
        self.depth = depth;
        let steps = levels.iter().rev().filter_map(Level::step);
        read.map_err(|error| steps.fold(error, Error::inside))
    }

    fn levels(&mut self, ty: Type, js: bool, levels: &mut Vec<Level<'a>>) -> Result<Value, Error> {
        levels.push(self.enter(ty, js)?);
        loop {
            let Some(level) = levels.last_mut() else { return Ok(Value::Null) };
            match self.next(level)? {
                Some((ty, js)) if is_nested(ty) => levels.push(self.enter(ty, js)?),
                Some((ty, js)) => {
                    let value = self.value(ty, js)?;
                    self.take(level, value)?;
                }
                None => {
                    self.finish(level)?;
                    self.depth = self.depth.saturating_sub(1);
                    let value = levels.pop().map_or(Value::Null, Level::value);
                    match levels.last_mut() {
                        Some(level) => self.take(level, value)?,
                        None => return Ok(value),
                    }
                }
            }
        }
    }

    /// Begins a value that has others in it.
    fn enter(&mut self, ty: Type, js: bool) -> Result<Level<'a>, Error> {
        let offset = self.reader.offset();
        let limit = self.options.max_depth;
        if self.depth >= limit {
            return Err(Error::new(ErrorKind::Depth { limit }).at(offset));
        }
        self.depth = self.depth.saturating_add(1);
        let d: &'a Descriptor = self.d;
        match ty {
            Type::List(element) | Type::Set(element) => {
                let element = d.ty(element);
                let header = self.reader.list_header()?;
                if header.element != element.ttype() {
                    return Err(wrong_type(element, header.element).at(offset));
                }
                let elements = Vec::with_capacity(header.count.min(MAX_EAGER));
                Ok(Level::List { element, left: header.count, elements, js })
            }
            Type::Map(key, item) => {
                let (key, item) = (d.ty(key), d.ty(item));
                let header = self.reader.map_header()?;
                // An empty map says nothing about its types that anybody keeps to.
                if header.count > 0 && header.key != key.ttype() {
                    return Err(wrong_type(key, header.key).at(offset));
                }
                if header.count > 0 && header.value != item.ttype() {
                    return Err(wrong_type(item, header.value).at(offset.saturating_add(1)));
                }
                let as_text = self.options.map_keys_as_text;
                let room = header.count.min(MAX_EAGER);
                let pairs = Vec::with_capacity(if as_text { 0 } else { room });
                let members = Vec::with_capacity(if as_text { room } else { 0 });
                Ok(Level::Map { key, item, left: header.count, name: None, pairs, members, as_text, js })
            }
            Type::Struct(id) => {
                let fields = &d.structure(id).fields;
                Ok(Level::Struct { fields, seen: Seen::new(fields), members: Vec::new(), current: None, js })
            }
            _ => Err(Error::expected("struct, list, set or map", ty.name())),
        }
    }

    /// Reads what stands before the next value of a level; nothing where the level ends.
    fn next(&mut self, level: &mut Level<'a>) -> Result<Option<(Type, bool)>, Error> {
        match level {
            Level::Struct { fields, current, js, .. } => {
                *current = None;
                while let Some(header) = self.reader.field_header()? {
                    let found = fields.index_of_id(header.id).and_then(|index| Some((index, fields.get(index)?)));
                    let Some((index, field)) = found else {
                        self.skip(header.ttype)?;
                        continue;
                    };
                    if header.ttype == field.ty.ttype() {
                        *current = Some((index, field));
                        return Ok(Some((field.ty, *js || self.has_js_conv(field))));
                    }
                    if !self.options.skip_mismatched {
                        *current = Some((index, field));
                        return Err(wrong_type(field.ty, header.ttype).at(self.reader.offset()));
                    }
                    self.skip(header.ttype)?;
                }
                Ok(None)
            }
            Level::List { element, left, js, .. } => Ok((*left > 0).then_some((*element, *js))),
            Level::Map { key, item, left, name, js, .. } => Ok(match name {
                Some(_) => Some((*item, *js)),
                None => (*left > 0).then_some((*key, false)),
            }),
        }
    }

    /// Puts a value where it belongs in a level.
    fn take(&self, level: &mut Level<'a>, value: Value) -> Result<(), Error> {
        match level {
            Level::Struct { seen, members, current, .. } => {
                let Some((index, field)) = *current else { return Ok(()) };
                let value = self.mapped(field, value)?;
                if seen.insert(index) {
                    members.push((field.key.clone(), value));
                } else if let Some((_, place)) = members.iter_mut().find(|(key, _)| *key == field.key) {
                    // Of two the last counts, as for Kitex.
                    *place = value;
                }
            }
            Level::List { left, elements, .. } => {
                *left = left.saturating_sub(1);
                elements.push(value);
            }
            Level::Map { left, name, pairs, members, as_text, .. } => match (name.take(), *as_text) {
                (None, false) => *name = Some(value),
                (None, true) => {
                    let text = key_to_text(self.text_key(value)).map_err(|error| error.at(self.reader.offset()))?;
                    *name = Some(Value::String(text.into()));
                }
                (Some(Value::String(key)), true) => {
                    *left = left.saturating_sub(1);
                    members.push((key.into(), value));
                }
                (Some(key), _) => {
                    *left = left.saturating_sub(1);
                    pairs.push((key, value));
                }
            },
        }
        Ok(())
    }

    /// Adds what a level is still to have.
    fn finish(&self, level: &mut Level<'a>) -> Result<(), Error> {
        match level {
            Level::Struct { fields, seen, members, js, .. } => self.absent(fields, seen, *js, members),
            Level::List { .. } | Level::Map { .. } => Ok(()),
        }
    }

    fn absent(
        &self,
        fields: &FieldSet,
        seen: &Seen,
        js: bool,
        members: &mut Vec<(Box<str>, Value)>,
    ) -> Result<(), Error> {
        for (index, field) in fields.iter().enumerate() {
            if seen.contains(index) {
                continue;
            }
            if let Some(default) = &field.default {
                let value = self.present(field.ty, default, js || self.has_js_conv(field));
                members.push((field.key.clone(), self.mapped(field, value)?));
            } else if field.requiredness == Requiredness::Required {
                let missing = ErrorKind::Required { id: field.id, name: field.key.clone() };
                return Err(Error::new(missing).at(self.reader.offset()));
            } else if self.is_filled(field) {
                members.push((field.key.clone(), empty(field.ty)));
            }
        }
        Ok(())
    }

    /// Binary keys that are shown as bytes can't be where keys are text.
    fn text_key(&self, key: Value) -> Value {
        match key {
            Value::Bytes(bytes) if self.options.base64 => Value::String(encode_base64(&bytes)),
            key => key,
        }
    }

    /// A default of the IDL as it would have been read.
    fn present(&self, ty: Type, value: &Value, js: bool) -> Value {
        let present = |ty, value: &Value| if value.is_null() { empty(ty) } else { self.present(ty, value, js) };
        match (ty, value) {
            (Type::I64, _) => value.as_i64().map_or_else(|| value.clone(), |number| self.present_i64(number, js)),
            (Type::Byte, Value::I8(number)) => self.present_byte(*number),
            (Type::Enum(_), _) => match value.as_i64().and_then(|number| i32::try_from(number).ok()) {
                Some(number) => self.present_enum(ty, number),
                None => value.clone(),
            },
            (Type::Binary, _) => value.as_bytes().map_or_else(|| value.clone(), |bytes| self.present_binary(bytes)),
            (Type::List(element) | Type::Set(element), Value::List(elements)) => {
                let element = self.d.ty(element);
                Value::List(elements.iter().map(|value| present(element, value)).collect())
            }
            (Type::Map(key_type, item), Value::Map(pairs)) => {
                let (key_type, item) = (self.d.ty(key_type), self.d.ty(item));
                let key = |key: &Value| self.present(key_type, key, false);
                if self.options.map_keys_as_text {
                    let text = |value: &Value| key_to_text(self.text_key(key(value))).unwrap_or_default();
                    Value::Struct(pairs.iter().map(|(key, value)| (text(key), present(item, value))).collect())
                } else {
                    Value::Map(pairs.iter().map(|(k, value)| (key(k), present(item, value))).collect())
                }
            }
            (Type::Struct(id), Value::Struct(members)) => {
                let fields = &self.d.structure(id).fields;
                let known =
                    |name: &str| fields.by_key(name).or_else(|| fields.iter().find(|field| *field.name == *name));
                let member = |(name, value): &(Box<str>, Value)| match known(name) {
                    Some(field) => {
                        let value = self.present(field.ty, value, js || self.has_js_conv(field));
                        (field.key.clone(), value)
                    }
                    None => (name.clone(), value.clone()),
                };
                Value::Struct(members.iter().map(member).collect())
            }
            _ => value.clone(),
        }
    }

    fn present_i64(&self, number: i64, js: bool) -> Value {
        if js || self.options.i64_as_string { Value::String(number.to_string()) } else { Value::I64(number) }
    }

    fn present_byte(&self, number: i8) -> Value {
        if self.options.byte_as_unsigned { Value::I16(number.cast_unsigned().into()) } else { Value::I8(number) }
    }

    fn present_enum(&self, ty: Type, number: i32) -> Value {
        if let (Type::Enum(id), EnumNames::Write) = (ty, self.options.enum_names) {
            let values = &self.d.enumeration(id).values;
            if let Some((name, _)) = values.iter().find(|(_, known)| *known == number) {
                return Value::String(name.clone().into());
            }
        }
        Value::I32(number)
    }

    fn present_binary(&self, bytes: &[u8]) -> Value {
        if self.options.binary_as_bytes {
            Value::from(bytes)
        } else if self.options.base64 {
            Value::String(encode_base64(bytes))
        } else {
            text(bytes)
        }
    }

    fn mapped(&self, field: &Field, value: Value) -> Result<Value, Error> {
        match &field.value_mapping {
            Some(mapping) if self.options.value_mapping => mapping.response(value, field),
            _ => Ok(value),
        }
    }

    fn has_js_conv(&self, field: &Field) -> bool {
        field.js_conv && self.options.value_mapping
    }

    fn is_filled(&self, field: &Field) -> bool {
        match self.options.fill_absent {
            FillAbsent::Off => false,
            FillAbsent::NotOptional => field.requiredness != Requiredness::Optional,
            FillAbsent::All => true,
        }
    }
}

/// A value that is being read, and has others in it.
enum Level<'a> {
    Struct {
        fields: &'a FieldSet,
        seen: Seen,
        members: Vec<(Box<str>, Value)>,
        current: Option<(usize, &'a Field)>,
        js: bool,
    },
    List {
        element: Type,
        left: usize,
        elements: Vec<Value>,
        js: bool,
    },
    Map {
        key: Type,
        item: Type,
        left: usize,
        /// The key whose value comes next.
        name: Option<Value>,
        pairs: Vec<(Value, Value)>,
        /// Instead of the pairs where keys are text.
        members: Vec<(Box<str>, Value)>,
        as_text: bool,
        js: bool,
    },
}

impl Level<'_> {
    /// Where in it an error is.
    fn step(&self) -> Option<Step> {
        match self {
            Self::Struct { current, .. } => current.map(|(_, field)| Step::Field(field.key.clone())),
            Self::List { elements, .. } => Some(Step::Index(elements.len())),
            Self::Map { name: Some(key), .. } => Some(Step::Entry(label(key))),
            Self::Map { pairs, members, .. } => Some(Step::Key(pairs.len().max(members.len()).to_string().into())),
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Struct { members, .. } => Value::Struct(members),
            Self::List { elements, .. } => Value::List(elements),
            Self::Map { members, as_text: true, .. } => Value::Struct(members),
            Self::Map { pairs, .. } => Value::Map(pairs),
        }
    }
}

fn is_nested(ty: Type) -> bool {
    matches!(ty, Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..))
}

/// How many elements room is made for before they have been read; a count costs the peer one byte an element, and us
/// forty.
const MAX_EAGER: usize = 1024;

/// Text, and bytes where it is none.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes),
    }
}

/// What an absent field is filled with (generic-call 4.4, `EnableSetFieldsForEmptyStruct`).
fn empty(ty: Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(false),
        Type::Byte => Value::I8(0),
        Type::I16 => Value::I16(0),
        Type::I32 | Type::Enum(_) => Value::I32(0),
        Type::I64 => Value::I64(0),
        Type::Double => Value::Double(0.0),
        Type::String => Value::String(String::new()),
        Type::Void | Type::Binary | Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => Value::Null,
    }
}

#[cold]
pub(crate) fn wrong_type(ty: Type, ttype: TType) -> Error {
    Error::expected(ty.name(), ttype.name().unwrap_or("an unknown type"))
}

/// Which fields of a struct have been read.
struct Seen {
    few: u128,
    many: Vec<bool>,
}

impl Seen {
    fn new(fields: &FieldSet) -> Self {
        let few = usize::try_from(u128::BITS).unwrap_or_default();
        let many = if fields.len() > few { vec![false; fields.len()] } else { Vec::new() };
        Self { few: 0, many }
    }

    /// Whether it is the first time.
    fn insert(&mut self, index: usize) -> bool {
        if let Some(seen) = self.many.get_mut(index) {
            return !std::mem::replace(seen, true);
        }
        let bit = bit(index);
        let is_first = self.few & bit == 0;
        self.few |= bit;
        is_first
    }

    fn contains(&self, index: usize) -> bool {
        self.many.get(index).copied().unwrap_or(self.few & bit(index) != 0)
    }
}

fn bit(index: usize) -> u128 {
    u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or_default()
}
