//! Constants of the IDL as defaults of fields (generic-call 1.4).

use std::collections::HashMap;

use bytes::Bytes;

use crate::descriptor::{Type, TypeId};
use crate::idl::Idl;
use crate::idl::names::{Type as IdlType, Value as Constant, ValueKind};
use crate::idl::{IdlError, IdlErrorKind};
use crate::limits::MAX_IDL_DEPTH;
use crate::value::Value;

/// What a constant needs to know about the descriptor in the making.
pub(crate) trait Types {
    /// The type behind an id.
    fn ty(&self, id: TypeId) -> Type;

    /// A struct's field with this name in the IDL; of several the last.
    fn member(&self, ty: Type, name: &str) -> Option<Member>;

    /// The name of a struct, and that of its file.
    fn struct_name(&self, ty: Type) -> (Box<str>, Box<str>);
}

/// A field of a struct.
pub(crate) struct Member {
    /// Its effective name.
    pub(crate) key: Box<str>,
    /// Its type.
    pub(crate) ty: Type,
    /// Whether a later field has the same effective name, so that this one is never written.
    pub(crate) hidden: bool,
}

/// Makes values of constants, of all fields of a descriptor together not too many.
pub(crate) struct Constants<'a, T> {
    pub(crate) idl: &'a Idl,
    pub(crate) types: &'a T,
    /// How many more bytes the values may take.
    pub(crate) room: usize,
}

/// The field that a constant is for.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The file it stands in.
    pub(crate) file: usize,
    /// Where its default stands.
    pub(crate) at: usize,
    /// Its name.
    pub(crate) name: &'a str,
}

impl<T: Types> Constants<'_, T> {
    /// The value of a constant for a field of this type.
    pub(crate) fn value(&mut self, target: Target<'_>, ty: Type, constant: &Constant) -> Result<Value, IdlError> {
        self.nested(target, ty, constant, 0)
    }

    /// Constants name constants, which may go in circles.
    fn nested(&mut self, target: Target<'_>, ty: Type, constant: &Constant, depth: usize) -> Result<Value, IdlError> {
        if depth > MAX_IDL_DEPTH {
            return Err(self.error(target, IdlErrorKind::TooDeep));
        }
        self.take(target, size_of::<Value>())?;
        let depth = depth.saturating_add(1);
        if let ValueKind::Const(number) = constant.kind {
            let mismatch = || self.mismatch(target, ty);
            let named = self.idl.model.consts.get(number).ok_or_else(mismatch)?;
            return match self.fits(ty, self.idl.model.types.get(named.ty)) {
                true => self.nested(target, ty, &named.value, depth),
                false => Err(mismatch()),
            };
        }
        match ty {
            Type::Bool => match constant.kind {
                ValueKind::Bool(value) => Ok(Value::Bool(value)),
                ValueKind::Int(value) => Ok(Value::Bool(value > 0)),
                ValueKind::Double(value) => Ok(Value::Bool(value > 0.0)),
                _ => Err(self.mismatch(target, ty)),
            },
            Type::Byte => self.integer(target, ty, constant).map(|value| Value::I8(low(value))),
            Type::I16 => self.integer(target, ty, constant).map(|value| Value::I16(low(value))),
            Type::I32 | Type::Enum(_) => self.integer(target, ty, constant).map(|value| Value::I32(low(value))),
            Type::I64 => self.integer(target, ty, constant).map(Value::I64),
            Type::Double => match constant.kind {
                ValueKind::Double(value) => Ok(Value::Double(value)),
                _ => self.integer(target, ty, constant).map(|value| Value::Double(double(value))),
            },
            Type::String | Type::Binary => match &constant.kind {
                ValueKind::Literal(text) => {
                    self.take(target, text.len())?;
                    Ok(match ty {
                        Type::Binary => Value::Bytes(Bytes::copy_from_slice(text.as_bytes())),
                        _ => Value::String(text.to_string()),
                    })
                }
                _ => Err(self.mismatch(target, ty)),
            },
            Type::List(element) | Type::Set(element) => {
                let element = self.types.ty(element);
                match &constant.kind {
                    ValueKind::List(elements) => {
                        let elements = elements.iter().map(|constant| self.nested(target, element, constant, depth));
                        Ok(Value::List(elements.collect::<Result<_, _>>()?))
                    }
                    ValueKind::Bool(_) => Err(self.mismatch(target, ty)),
                    // Kitex makes an empty one of any literal.
                    _ => Ok(Value::List(Vec::new())),
                }
            }
            Type::Map(key, value) => {
                let (key, value) = (self.types.ty(key), self.types.ty(value));
                match &constant.kind {
                    ValueKind::Map(entries) => self.map(target, (key, value), entries, depth),
                    ValueKind::Bool(_) => Err(self.mismatch(target, ty)),
                    _ => Ok(Value::Map(Vec::new())),
                }
            }
            Type::Struct(_) => match &constant.kind {
                ValueKind::Map(entries) => self.structure(target, ty, entries, depth),
                _ => Err(self.mismatch(target, ty)),
            },
            Type::Void => Err(self.mismatch(target, ty)),
        }
    }

    fn integer(&self, target: Target<'_>, ty: Type, constant: &Constant) -> Result<i64, IdlError> {
        match constant.kind {
            ValueKind::Int(value) | ValueKind::EnumValue(value) => Ok(value),
            ValueKind::Bool(value) if !matches!(ty, Type::Enum(_)) => Ok(i64::from(value)),
            _ => Err(self.mismatch(target, ty)),
        }
    }

    /// Of two entries with one key the later one counts.
    fn map(
        &mut self,
        target: Target<'_>,
        (key_type, value_type): (Type, Type),
        entries: &[(Constant, Constant)],
        depth: usize,
    ) -> Result<Value, IdlError> {
        let mut places = HashMap::new();
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        for (key, value) in entries {
            let key = self.nested(target, key_type, key, depth)?;
            let value = self.nested(target, value_type, value, depth)?;
            let place = *places.entry(format!("{key:?}")).or_insert(pairs.len());
            match pairs.get_mut(place) {
                Some(pair) => pair.1 = value,
                None => pairs.push((key, value)),
            }
        }
        Ok(Value::Map(pairs))
    }

    fn structure(
        &mut self,
        target: Target<'_>,
        ty: Type,
        entries: &[(Constant, Constant)],
        depth: usize,
    ) -> Result<Value, IdlError> {
        let mut places = HashMap::new();
        let mut members: Vec<(Box<str>, Value)> = Vec::new();
        for (key, value) in entries {
            let ValueKind::Literal(name) = &key.kind else {
                return Err(self.error(target, IdlErrorKind::DefaultKey(target.name.into())));
            };
            let Some(Member { key, ty: member, hidden }) = self.types.member(ty, name) else {
                let (owner, file) = self.types.struct_name(ty);
                return Err(self.error(target, IdlErrorKind::UnknownMember { member: name.clone(), owner, file }));
            };
            self.take(target, key.len())?;
            let (owner, _) = self.types.struct_name(ty);
            let name = format!("{owner}.{name}");
            let value = self.nested(Target { name: &name, ..target }, member, value, depth)?;
            if hidden {
                continue;
            }
            let place = *places.entry(key.clone()).or_insert(members.len());
            match members.get_mut(place) {
                Some(member) => member.1 = value,
                None => members.push((key, value)),
            }
        }
        Ok(Value::Struct(members))
    }

    /// Whether a named constant of a type may stand for a value of another one.
    fn fits(&self, ty: Type, constant: IdlType) -> bool {
        let integer =
            matches!(constant, IdlType::Enum(_) | IdlType::Base(Type::Byte | Type::I16 | Type::I32 | Type::I64));
        match ty {
            Type::Bool => matches!(constant, IdlType::Base(Type::Bool)),
            Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_) => integer,
            Type::Double => integer || matches!(constant, IdlType::Base(Type::Double)),
            Type::String | Type::Binary => matches!(constant, IdlType::Base(Type::String | Type::Binary)),
            Type::List(_) | Type::Set(_) => matches!(constant, IdlType::List(_) | IdlType::Set(_)),
            Type::Map(..) => matches!(constant, IdlType::Map(..)),
            Type::Struct(_) => matches!(constant, IdlType::Struct(_)),
            Type::Void => false,
        }
    }

    /// Constants that name others twice, which name others twice, would grow without end.
    fn take(&mut self, target: Target<'_>, len: usize) -> Result<(), IdlError> {
        match self.room.checked_sub(len) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => Err(self.error(target, IdlErrorKind::DefaultsTooLarge)),
        }
    }

    #[cold]
    fn mismatch(&self, target: Target<'_>, ty: Type) -> IdlError {
        let ty = match ty {
            Type::Struct(_) => self.types.struct_name(ty).0,
            _ => ty.name().into(),
        };
        self.error(target, IdlErrorKind::DefaultType { field: target.name.into(), ty })
    }

    #[cold]
    fn error(&self, target: Target<'_>, kind: IdlErrorKind) -> IdlError {
        self.idl.error(target.file, target.at, kind)
    }
}

/// The low bits of a number: what does not fit is cut off, as on the wire.
pub(crate) fn low<T: Low>(value: i64) -> T {
    T::low(value)
}

/// Integers that are the low bits of a wider one.
pub(crate) trait Low {
    /// The low bits.
    fn low(value: i64) -> Self;
}

macro_rules! low {
    ($($ty:ty),*) => {$(
        impl Low for $ty {
            fn low(value: i64) -> Self {
                value.to_le_bytes().first_chunk().map_or(0, |bytes| Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

low!(i8, i16, i32);

#[expect(clippy::as_conversions, reason = "the nearest double is meant; there is no other way to it")]
fn double(value: i64) -> f64 {
    value as f64
}
