//! Values to Thrift bytes (generic-call 4.2, 4.3).

use thrift_codec::TType;

use crate::base::Base;
use crate::descriptor::{BaseKind, Descriptor, Field, FieldSet, Requiredness, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::path::Step;
use crate::value::kind::mismatch;
use crate::value::text::{decode_base64, enum_number, key_from_text, label, parse_f64, parse_i64};
use crate::value::{Value, js_conv};
use crate::wire;

/// Appends values to `out`.
pub(crate) struct ValueWriter<'a> {
    d: &'a Descriptor,
    options: &'a Options,
    out: &'a mut Vec<u8>,
    depth: usize,
    /// The value is a default of the IDL: already what is to be written.
    is_default: bool,
}

impl<'a> ValueWriter<'a> {
    pub(crate) fn new(d: &'a Descriptor, options: &'a Options, out: &'a mut Vec<u8>) -> Self {
        Self { d, options, out, depth: 0, is_default: false }
    }

    /// Writes a value, without a field header.
    pub(crate) fn value(&mut self, ty: Type, value: &Value, js: bool) -> Result<(), Error> {
        match ty {
            Type::Bool => match value {
                Value::Bool(value) => self.out.push(u8::from(*value)),
                _ => return Err(mismatch(ty, value)),
            },
            Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_) => {
                let number = self.integer(ty, value, js)?;
                self.put_integer(ty, number);
            }
            Type::Double => {
                let number = double(value)?;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Type::String => match value {
                Value::String(text) => wire::bytes(self.out, text.as_bytes())?,
                Value::Bytes(bytes) => wire::bytes(self.out, bytes)?,
                _ => return Err(mismatch(ty, value)),
            },
            Type::Binary => self.binary(value)?,
            Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => self.nested(ty, value, js, None)?,
            Type::Void => match value {
                Value::Void | Value::Null => wire::stop(self.out),
                _ => return Err(mismatch(ty, value)),
            },
        }
        Ok(())
    }

    /// Writes the first argument of a method: as [`value`](Self::value), but that a framework's base goes into it.
    pub(crate) fn request(&mut self, ty: Type, value: &Value, base: Option<&Base>) -> Result<(), Error> {
        match ty {
            Type::Struct(_) => self.nested(ty, value, false, base),
            _ => self.value(ty, value, false),
        }
    }

    /// Writes a field that has a value: its header, and what its value mapping makes of the value.
    pub(crate) fn field(&mut self, field: &Field, value: &Value, js: bool) -> Result<(), Error> {
        let inside = |error: Error| error.inside(Step::Field(field.key.clone()));
        let mapping = field.value_mapping.as_deref().filter(|_| self.options.value_mapping && !self.is_default);
        if let Some(mapping) = mapping {
            let value = mapping.request(value.clone(), field).map_err(inside)?;
            if value.is_null() {
                return self.missing(field);
            }
            wire::field(self.out, field.ty.ttype(), field.id);
            return self.value(field.ty, &value, js).map_err(inside);
        }
        wire::field(self.out, field.ty.ttype(), field.id);
        self.value(field.ty, value, js || self.has_js_conv(field)).map_err(inside)
    }

    /// Writes a field that has no value, if one without is written (generic-call 3.5, 4.3).
    pub(crate) fn missing(&mut self, field: &Field) -> Result<(), Error> {
        let is_written = match field.requiredness {
            Requiredness::Required if !self.options.write_required => {
                return Err(Error::new(ErrorKind::Required { id: field.id, name: field.key.clone() }));
            }
            Requiredness::Required => true,
            Requiredness::Default => self.options.write_default,
            Requiredness::Optional => self.options.write_optional,
        };
        if !is_written {
            return Ok(());
        }
        wire::field(self.out, field.ty.ttype(), field.id);
        match &field.default {
            Some(default) if self.options.idl_defaults_on_write => {
                let outer = std::mem::replace(&mut self.is_default, true);
                let written = self.value(field.ty, default, false);
                self.is_default = outer;
                written.map_err(|error| error.inside(Step::Field(field.key.clone())))
            }
            _ => self.zero(field.ty),
        }
    }

    /// Writes the value that stands for none.
    pub(crate) fn zero(&mut self, ty: Type) -> Result<(), Error> {
        match ty {
            Type::Bool | Type::Byte | Type::Void | Type::Struct(_) => self.out.push(0),
            Type::I16 => self.out.extend_from_slice(&[0; 2]),
            Type::I32 | Type::Enum(_) | Type::String | Type::Binary => self.out.extend_from_slice(&[0; 4]),
            Type::I64 | Type::Double => self.out.extend_from_slice(&[0; 8]),
            Type::List(element) | Type::Set(element) => {
                wire::list_header(self.out, self.d.ty(element).ttype(), 0)?;
            }
            Type::Map(key, value) => {
                wire::map_header(self.out, self.d.ty(key).ttype(), self.d.ty(value).ttype(), 0)?;
            }
        }
        Ok(())
    }

    /// A number, narrowed as Kitex does: checked from integers, unchecked from all else.
    fn integer(&self, ty: Type, value: &Value, js: bool) -> Result<i64, Error> {
        let number = match value {
            Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => value.as_i64().unwrap_or_default(),
            Value::Double(value) => return Ok(truncated(*value)),
            Value::Number(text) => return parse_i64(ty.name(), text),
            Value::String(text) => {
                let named = match ty {
                    Type::Enum(id) => enum_number(self.d.enumeration(id), self.options, text).map(i64::from),
                    _ => None,
                };
                match named {
                    Some(number) => number,
                    None if js => js_conv::number(text),
                    None => return Err(mismatch(ty, value)),
                }
            }
            _ => return Err(mismatch(ty, value)),
        };
        if fits(ty, number) { Ok(number) } else { Err(Error::new(ErrorKind::Range { ty: width(ty), value: number })) }
    }

    /// The low bytes of `number`.
    fn put_integer(&mut self, ty: Type, number: i64) {
        let bytes = number.to_be_bytes();
        let skipped = match ty {
            Type::Byte => 7,
            Type::I16 => 6,
            Type::I64 => 0,
            _ => 4,
        };
        self.out.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    fn binary(&mut self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Bytes(bytes) => wire::bytes(self.out, bytes),
            Value::String(text) if self.options.base64 && !self.is_default => {
                wire::bytes(self.out, &decode_base64(text)?)
            }
            Value::String(text) => wire::bytes(self.out, text.as_bytes()),
            _ => Err(mismatch(Type::Binary, value)),
        }
    }

    /// Writes a value that has others in it. The levels are kept here and not on the stack, of which there may be too
    /// little.
    fn nested(&mut self, ty: Type, value: &Value, js: bool, base: Option<&Base>) -> Result<(), Error> {
        let mut levels = Vec::new();
        let depth = self.depth;
        let written = self.levels(ty, value, js, base, &mut levels);
        self.depth = depth;
        let steps = levels.iter().rev().filter_map(Level::step);
        written.map_err(|error| steps.fold(error, Error::inside))
    }

    fn levels<'v>(
        &mut self,
        ty: Type,
        value: &'v Value,
        js: bool,
        base: Option<&Base>,
        levels: &mut Vec<Level<'a, 'v>>,
    ) -> Result<(), Error> {
        levels.push(self.enter(ty, value, js)?);
        while let Some(level) = levels.last_mut() {
            // A framework's base is for the outermost struct.
            let base = base.filter(|_| self.depth == 1);
            match self.next(level, base)? {
                Some((ty, value, js)) if is_nested(ty) => levels.push(self.enter(ty, value, js)?),
                Some((ty, value, js)) => self.value(ty, value, js)?,
                None => {
                    self.depth = self.depth.saturating_sub(1);
                    levels.pop();
                }
            }
        }
        Ok(())
    }

    /// Begins a value that has others in it.
    fn enter<'v>(&mut self, ty: Type, value: &'v Value, js: bool) -> Result<Level<'a, 'v>, Error> {
        let limit = self.options.max_depth;
        if self.depth >= limit {
            return Err(Error::new(ErrorKind::Depth { limit }));
        }
        let level = match (ty, value) {
            (Type::Struct(id), Value::Struct(members)) => self.structure(id, members, js)?,
            (Type::List(element) | Type::Set(element), Value::List(values)) => {
                let element = self.d.ty(element);
                let js = js && (!js_conv::is_integer(element) || js_conv::all_text(values));
                wire::list_header(self.out, element.ttype(), values.len())?;
                Level::List { element, values, next: 0, js }
            }
            (Type::List(element), Value::Bytes(bytes)) if self.d.ty(element) == Type::Byte => {
                wire::list_header(self.out, TType::I8, bytes.len())?;
                self.out.extend_from_slice(bytes);
                Level::List { element: Type::Byte, values: &[], next: 0, js }
            }
            (Type::Map(key, item), Value::Map(pairs)) => {
                let (key, item) = (self.d.ty(key), self.d.ty(item));
                wire::map_header(self.out, key.ttype(), item.ttype(), pairs.len())?;
                Level::Pairs { key, item, pairs, next: 0, at_value: true, js }
            }
            (Type::Map(key, item), Value::Struct(members)) => {
                let (key, item) = (self.d.ty(key), self.d.ty(item));
                wire::map_header(self.out, key.ttype(), item.ttype(), members.len())?;
                Level::Members { key, item, members, next: 0, at_value: true, js }
            }
            _ => return Err(mismatch(ty, value)),
        };
        self.depth = self.depth.saturating_add(1);
        Ok(level)
    }

    fn structure<'v>(&self, id: StructId, members: &'v [(Box<str>, Value)], js: bool) -> Result<Level<'a, 'v>, Error> {
        let d: &'a Descriptor = self.d;
        let fields = &d.structure(id).fields;
        let mut given = vec![None; fields.len()];
        for (name, value) in members {
            match self.member(id, name).and_then(|index| given.get_mut(index)) {
                Some(slot) => *slot = Some(value).filter(|value| !value.is_null()),
                None if self.options.deny_unknown => {
                    return Err(Error::new(ErrorKind::UnknownField(name.clone())));
                }
                None => {}
            }
        }
        Ok(Level::Struct { fields, given, next: 0, current: None, js })
    }

    /// Writes what stands before the next value of a level, which is given; nothing where the level ends.
    fn next<'v>(
        &mut self,
        level: &mut Level<'a, 'v>,
        base: Option<&Base>,
    ) -> Result<Option<(Type, &'v Value, bool)>, Error> {
        match level {
            Level::Struct { fields, given, next, current, js } => {
                while let Some(field) = fields.get(*next) {
                    let index = *next;
                    *next = next.saturating_add(1);
                    *current = Some(field);
                    match (given.get(index).copied().flatten(), base) {
                        (given, Some(base)) if field.base == Some(BaseKind::Base) => self.base(field, given, base)?,
                        (Some(value), _) if self.is_mapped(field) => {
                            *current = None;
                            self.field(field, value, *js)?;
                        }
                        (Some(value), _) => {
                            wire::field(self.out, field.ty.ttype(), field.id);
                            return Ok(Some((field.ty, value, *js || self.has_js_conv(field))));
                        }
                        // Of two fields with one name the earlier is none.
                        (None, _) if fields.index_of_key(&field.key) == Some(index) => {
                            *current = None;
                            self.missing(field)?;
                        }
                        (None, _) => {}
                    }
                }
                *current = None;
                wire::stop(self.out);
                Ok(None)
            }
            Level::List { element, values, next, js } => {
                while let Some(value) = values.get(*next) {
                    *next = next.saturating_add(1);
                    if !value.is_null() {
                        return Ok(Some((*element, value, *js)));
                    }
                    self.zero(*element)?;
                }
                Ok(None)
            }
            Level::Pairs { key, item, pairs, next, at_value, js } => loop {
                *at_value = !*at_value;
                let Some((name, value)) = pairs.get(*next) else { return Ok(None) };
                if !*at_value {
                    return Ok(Some((*key, name, false)));
                }
                *next = next.saturating_add(1);
                if !value.is_null() {
                    return Ok(Some((*item, value, *js)));
                }
                self.zero(*item)?;
            },
            Level::Members { key, item, members, next, at_value, js } => {
                while let Some((name, value)) = members.get(*next) {
                    *next = next.saturating_add(1);
                    *at_value = false;
                    self.text_key(*key, name)?;
                    *at_value = true;
                    if !value.is_null() {
                        return Ok(Some((*item, value, *js)));
                    }
                    self.zero(*item)?;
                }
                Ok(None)
            }
        }
    }

    /// The members of defaults may have the names of the IDL.
    fn member(&self, id: StructId, name: &str) -> Option<usize> {
        let fields = &self.d.structure(id).fields;
        let by_name = || fields.iter().position(|field| *field.name == *name);
        fields.index_of_key(name).or_else(|| if self.is_default { by_name() } else { None })
    }

    /// Writes a `base.Base` of the framework's, merged with what the caller gave.
    pub(crate) fn base(&mut self, field: &Field, given: Option<&Value>, base: &Base) -> Result<(), Error> {
        let extra = match field.ty {
            Type::Struct(id) => self.d.structure(id).fields.by_id(6).map_or("Extra", |field| &*field.key),
            _ => "Extra",
        };
        let extra = given.and_then(|given| given.get(extra));
        // As in Kitex, what is no text is left out.
        let pairs: Vec<(&[u8], &[u8])> = match extra {
            Some(Value::Struct(members)) => {
                members.iter().filter_map(|(key, value)| Some((key.as_bytes(), value.as_bytes()?))).collect()
            }
            Some(Value::Map(pairs)) => {
                pairs.iter().filter_map(|(key, value)| Some((key.as_bytes()?, value.as_bytes()?))).collect()
            }
            _ => Vec::new(),
        };
        wire::field(self.out, field.ty.ttype(), field.id);
        base.write(&pairs, self.out)
    }

    fn text_key(&mut self, ty: Type, text: &str) -> Result<(), Error> {
        match ty {
            Type::String => wire::bytes(self.out, text.as_bytes()),
            _ => {
                let key = key_from_text(self.d, self.options, ty, text)?;
                self.value(ty, &key, false)
            }
        }
    }

    /// Whether the field has a value mapping of the user's own that counts.
    fn is_mapped(&self, field: &Field) -> bool {
        field.value_mapping.is_some() && self.options.value_mapping && !self.is_default
    }

    fn has_js_conv(&self, field: &Field) -> bool {
        field.js_conv && self.options.value_mapping && !self.is_default
    }
}

/// A value that is being written, and has others in it.
enum Level<'a, 'v> {
    Struct {
        fields: &'a FieldSet,
        given: Vec<Option<&'v Value>>,
        next: usize,
        current: Option<&'a Field>,
        js: bool,
    },
    List {
        element: Type,
        values: &'v [Value],
        next: usize,
        js: bool,
    },
    Pairs {
        key: Type,
        item: Type,
        pairs: &'v [(Value, Value)],
        next: usize,
        at_value: bool,
        js: bool,
    },
    /// A map that has text as keys.
    Members {
        key: Type,
        item: Type,
        members: &'v [(Box<str>, Value)],
        next: usize,
        at_value: bool,
        js: bool,
    },
}

impl Level<'_, '_> {
    /// Where in it an error is.
    fn step(&self) -> Option<Step> {
        match self {
            Self::Struct { current, .. } => current.map(|field| Step::Field(field.key.clone())),
            Self::List { next, .. } => next.checked_sub(1).map(Step::Index),
            Self::Pairs { pairs, next, at_value: false, .. } => pairs.get(*next).map(|(key, _)| Step::Key(label(key))),
            Self::Pairs { pairs, next, .. } => {
                next.checked_sub(1).and_then(|at| pairs.get(at)).map(|(key, _)| Step::Entry(label(key)))
            }
            Self::Members { members, next, at_value, .. } => {
                let (key, _) = next.checked_sub(1).and_then(|at| members.get(at))?;
                Some(if *at_value { Step::Entry(key.clone()) } else { Step::Key(key.clone()) })
            }
        }
    }
}

fn is_nested(ty: Type) -> bool {
    matches!(ty, Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..))
}

fn double(value: &Value) -> Result<f64, Error> {
    match value {
        Value::Double(value) => Ok(*value),
        Value::Number(text) => parse_f64(text),
        _ => Err(mismatch(Type::Double, value)),
    }
}

fn fits(ty: Type, number: i64) -> bool {
    match ty {
        Type::Byte => i8::try_from(number).is_ok(),
        Type::I16 => i16::try_from(number).is_ok(),
        Type::I32 | Type::Enum(_) => i32::try_from(number).is_ok(),
        _ => true,
    }
}

fn width(ty: Type) -> &'static str {
    match ty {
        Type::Enum(_) => "i32",
        _ => ty.name(),
    }
}

/// Toward zero; what no i64 can hold is the least there is, as on the machines that Kitex runs on.
#[expect(clippy::as_conversions, reason = "there is no other conversion")]
pub(crate) fn truncated(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}
