//! Keys of maps, which are text in JSON whatever their type.

use super::Writer;
use super::error::{at_key, no_number, no_value, parse_error};
use crate::descriptor::Type;
use crate::error::{Error, ErrorKind};
use crate::json::{fill, number};

impl Writer<'_, '_> {
    /// A key, which is always text.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn key(&mut self, ty: Type) -> Result<(), Error> {
        if self.scan.peek() != Some(b'"') {
            return Err(self.scan.syntax("a key"));
        }
        let start = self.scan;
        match ty {
            Type::String => return self.string(ty, false).map_err(|error| at_key(error, start)),
            Type::I64 | Type::I32 => {
                if let Some((value, [b'"', rest @ ..])) = number::integer(start.rest.get(1..).unwrap_or_default()) {
                    if ty == Type::I64 {
                        self.scan.rest = rest;
                        self.out.put(&value.to_be_bytes());
                        return Ok(());
                    }
                    if let Ok(value) = i32::try_from(value) {
                        self.scan.rest = rest;
                        self.out.put(&value.to_be_bytes());
                        return Ok(());
                    }
                }
            }
            _ => {}
        }
        self.key_slowly(ty).map_err(|error| at_key(error, start))
    }

    #[inline(never)]
    pub(super) fn key_slowly(&mut self, ty: Type) -> Result<(), Error> {
        let offset = self.scan.offset();
        if ty == Type::Binary {
            return self.binary();
        }
        let text = self.unescaped()?;
        self.key_of_text(ty, &text, offset)
    }

    /// A key of this type from its text.
    pub(crate) fn key_of_text(&mut self, ty: Type, text: &[u8], offset: usize) -> Result<(), Error> {
        match ty {
            Type::String => {
                let at = self.begin_bytes();
                self.out.put_slice(text);
                return self.end_bytes(at);
            }
            Type::Binary if self.options.base64 => return self.base64(text),
            Type::Binary => return self.key_of_text(Type::String, text, offset),
            Type::Byte | Type::I16 | Type::I32 | Type::Enum(_) | Type::I64 => {
                let bytes = self.integer_key(ty, text, offset)?.to_be_bytes();
                let (_, len) = fill::zero(self.d, ty);
                self.out.put_slice(bytes.get(8usize.saturating_sub(len)..).unwrap_or_default());
            }
            Type::Bool => match text {
                b"true" => self.out.put(&[1]),
                b"false" => self.out.put(&[0]),
                _ => {
                    return Err(no_value(
                        "bool",
                        text,
                        "unsupported type:BOOL for parse buildin types from string",
                        offset,
                    ));
                }
            },
            Type::Double => {
                let value = if self.lenient {
                    number::parse_float(text)
                        .map_err(|reason| parse_error("double", "ParseFloat", text, reason, offset))?
                } else {
                    match number::number(text) {
                        Some((number, [])) => self.checked_double(number, offset)?,
                        _ => return Err(no_number(ty, text, "invalid char", offset)),
                    }
                };
                self.out.put(&value.to_be_bytes());
            }
            Type::Void | Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => {
                let name = ty.name().to_uppercase();
                let text = format!("unsupported type:{name} for parse buildin types from string");
                return Err(Error::new(ErrorKind::Unsupported(text.into())).at(offset));
            }
        }
        Ok(())
    }

    pub(super) fn integer_key(&self, ty: Type, text: &[u8], offset: usize) -> Result<i64, Error> {
        if let Some(value) = self.enum_named(ty, text) {
            return Ok(value);
        }
        if !self.lenient {
            return match number::number(text) {
                Some((number, [])) => Ok(number.to_i64_cutting()),
                _ => Err(no_number(ty, text, "invalid char", offset)),
            };
        }
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(parse_error(ty.name(), "ParseInt", text, "invalid syntax", offset));
        }
        let parsed = str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let fits = |value: i64| match ty {
            Type::Byte => i8::try_from(value).is_ok(),
            Type::I16 => i16::try_from(value).is_ok(),
            Type::I64 => true,
            _ => i32::try_from(value).is_ok(),
        };
        parsed
            .filter(|&value| fits(value))
            .ok_or_else(|| parse_error(ty.name(), "ParseInt", text, "value out of range", offset))
    }
}
