//! What is written for fields that nobody gave: defaults and zeros, in Thrift Binary.

use crate::descriptor::{Descriptor, Field, Slot, Type};
use crate::value::Value;

/// The IDL default of a field in Thrift Binary; `None` if it has none.
pub(super) fn default<'d>(d: &Descriptor, field: &Field, slot: &'d Slot) -> Option<&'d [u8]> {
    let value = field.default.as_ref()?;
    Some(slot.default.get_or_init(|| {
        let mut bytes = Vec::new();
        encode(d, field.ty, value, &mut bytes);
        bytes.into()
    }))
}

/// The zero of a type: of a struct only the STOP.
#[inline]
pub(super) fn zero(d: &Descriptor, ty: Type) -> ([u8; 8], usize) {
    match ty {
        Type::Void => ([0; 8], 0),
        Type::Bool | Type::Byte | Type::Struct(_) => ([0; 8], 1),
        Type::I16 => ([0; 8], 2),
        Type::I32 | Type::Enum(_) | Type::String | Type::Binary => ([0; 8], 4),
        Type::I64 | Type::Double => ([0; 8], 8),
        Type::List(element) | Type::Set(element) => ([d.ty(element).ttype().0, 0, 0, 0, 0, 0, 0, 0], 5),
        Type::Map(key, value) => ([d.ty(key).ttype().0, d.ty(value).ttype().0, 0, 0, 0, 0, 0, 0], 6),
    }
}

/// A default is of its field's type already; whatever is not becomes zero.
fn encode(d: &Descriptor, ty: Type, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (Type::Bool, Value::Bool(value)) => out.push(u8::from(*value)),
        (Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_), _) if integer(value).is_some() => {
            let bytes = integer(value).unwrap_or_default().to_be_bytes();
            let (_, len) = zero(d, ty);
            out.extend(bytes.iter().skip(bytes.len().saturating_sub(len)));
        }
        (Type::Double, Value::Double(value)) => out.extend(value.to_be_bytes()),
        (Type::String | Type::Binary, Value::String(text)) => encode_bytes(text.as_bytes(), out),
        (Type::String | Type::Binary, Value::Bytes(bytes)) => encode_bytes(bytes, out),
        (Type::List(element) | Type::Set(element), Value::List(values)) => {
            let element = d.ty(element);
            out.push(element.ttype().0);
            out.extend(count(values.len()));
            for value in values {
                encode(d, element, value, out);
            }
        }
        (Type::Map(key, of), Value::Map(pairs)) => {
            let (key, of) = (d.ty(key), d.ty(of));
            out.extend([key.ttype().0, of.ttype().0]);
            out.extend(count(pairs.len()));
            for (name, value) in pairs {
                encode(d, key, name, out);
                encode(d, of, value, out);
            }
        }
        (Type::Struct(id), Value::Struct(members)) => {
            let fields = &d.structure(id).fields;
            for (name, value) in members {
                // By the name in the IDL, also where there is an alias.
                let Some(field) = fields.iter().find(|field| field.name == *name).or_else(|| fields.by_key(name))
                else {
                    continue;
                };
                out.push(field.ty.ttype().0);
                out.extend(field.id.to_be_bytes());
                encode(d, field.ty, value, out);
            }
            out.push(0);
        }
        _ => {
            let (bytes, len) = zero(d, ty);
            out.extend(bytes.iter().take(len));
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(count(bytes.len()));
    out.extend(bytes);
}

/// An IDL is far from being this long.
fn count(len: usize) -> [u8; 4] {
    i32::try_from(len).unwrap_or_default().to_be_bytes()
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::I8(value) => Some(i64::from(*value)),
        Value::I16(value) => Some(i64::from(*value)),
        Value::I32(value) => Some(i64::from(*value)),
        Value::I64(value) => Some(*value),
        _ => None,
    }
}
