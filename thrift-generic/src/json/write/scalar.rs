//! Values that hold no others.

use super::Writer;
use super::error::{no_number, no_value, too_long};
use crate::descriptor::Type;
use crate::error::Error;
use crate::json::scan::Kind;
use crate::json::{base64, number, text};
use crate::options::EnumNames;

impl Writer<'_, '_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn integer(&mut self, ty: Type, js: bool) -> Result<i64, Error> {
        self.scan.peek();
        match number::integer(self.scan.rest) {
            Some((value, rest)) => {
                self.scan.rest = rest;
                Ok(value)
            }
            None => self.integer_of_another_kind(ty, js),
        }
    }

    #[inline(never)]
    pub(super) fn integer_of_another_kind(&mut self, ty: Type, js: bool) -> Result<i64, Error> {
        if self.strict {
            return self.strict_integer(ty, js);
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let number = self.scan.number()?;
                Ok(if self.lenient { number.to_i64_wrapping() } else { number.to_i64_cutting() })
            }
            Kind::String => {
                let text = self.unescaped()?;
                if let Some(value) = self.enum_named(ty, &text) {
                    return Ok(value);
                }
                if !(self.options.strings_as_numbers || js) {
                    return Err(self.mismatch(ty, Kind::String, offset));
                }
                if self.lenient {
                    return Ok(number::wrapping(&text).unwrap_or_default());
                }
                match number::number(&text) {
                    _ if text.is_empty() => Ok(0),
                    Some((number, [])) => Ok(number.to_i64_cutting()),
                    _ => Err(no_number(ty, &text, "invalid char", offset)),
                }
            }
            Kind::Bool if self.lenient => self.scan.boolean().map(i64::from),
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| 0),
            kind => Err(self.mismatch(ty, kind, offset)),
        }
    }

    /// The number of an enum's value, where names are accepted.
    pub(in crate::json) fn enum_named(&self, ty: Type, name: &[u8]) -> Option<i64> {
        let Type::Enum(id) = ty else { return None };
        if self.options.enum_names == EnumNames::Off {
            return None;
        }
        let values = &self.d.enumeration(id).values;
        values.iter().find_map(|(known, number)| (known.as_bytes() == name).then_some(i64::from(*number)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn double(&mut self, js: bool) -> Result<f64, Error> {
        self.scan.peek();
        let rest = self.scan.rest;
        match number::double(rest) {
            Some((value, after)) if value.is_finite() && value != 0.0 => {
                self.scan.rest = after;
                Ok(value)
            }
            _ => self.double_of_another_kind(js),
        }
    }

    #[inline(never)]
    pub(super) fn double_of_another_kind(&mut self, js: bool) -> Result<f64, Error> {
        if self.strict {
            return self.strict_double();
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let number = self.scan.number()?;
                self.checked_double(number, offset)
            }
            Kind::String if self.options.strings_as_numbers || js => {
                let text = self.unescaped()?;
                if self.lenient {
                    return Ok(match number::parse_float(&text) {
                        Err("value out of range") if text.starts_with(b"-") => f64::NEG_INFINITY,
                        Err("value out of range") => f64::INFINITY,
                        parsed => parsed.unwrap_or_default(),
                    });
                }
                match number::number(&text) {
                    _ if text.is_empty() => Ok(0.0),
                    Some((number, [])) => self.checked_double(number, offset),
                    _ => Err(no_number(Type::Double, &text, "invalid char", offset)),
                }
            }
            Kind::Bool if self.lenient => self.scan.boolean().map(|value| if value { 1.0 } else { 0.0 }),
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| 0.0),
            kind => Err(self.mismatch(Type::Double, kind, offset)),
        }
    }

    pub(super) fn checked_double(&self, number: number::Number<'_>, offset: usize) -> Result<f64, Error> {
        let value = number.to_f64();
        if self.lenient {
            return Ok(value);
        }
        if value.is_infinite() {
            return Err(no_number(Type::Double, number.text, "float number is infinity", offset));
        }
        // An integer, to dynamicgo, and those have no negative zero.
        Ok(if number.integral && value == 0.0 { 0.0 } else { value })
    }

    #[inline(never)]
    pub(super) fn bool_of_another_kind(&mut self) -> Result<bool, Error> {
        if self.strict {
            return Err(self.refused(Type::Bool));
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Bool => self.scan.boolean(),
            Kind::Number if self.lenient => Ok(self.scan.number()?.to_f64() != 0.0),
            Kind::String if self.lenient => {
                Ok(matches!(&*self.unescaped()?.to_ascii_lowercase(), b"1" | b"t" | b"true"))
            }
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| false),
            kind => Err(self.mismatch(Type::Bool, kind, offset)),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn string(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        if self.scan.peek() != Some(b'"') {
            return self.string_of_another_kind(ty, js);
        }
        self.scan.pass();
        let at = self.begin_bytes();
        match text::unescape(self.scan.rest, self.lenient, &mut self.out) {
            Ok(rest) => self.scan.rest = rest,
            Err(bad) => return Err(self.scan.bad_string(bad)),
        }
        self.end_bytes(at)
    }

    #[inline(never)]
    pub(super) fn string_of_another_kind(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        if self.strict {
            return Err(self.refused(ty));
        }
        let offset = self.scan.offset();
        let kind = self.scan.kind()?;
        let number_as_text = kind == Kind::Number && js && ty == Type::String;
        if !(self.lenient || number_as_text) {
            return Err(self.mismatch(ty, kind, offset));
        }
        let at = self.begin_bytes();
        match kind {
            Kind::Number => {
                let number = self.scan.number()?;
                if number.integral || !self.lenient {
                    self.out.put_slice(number.text);
                } else {
                    self.out.put_slice(number::without_exponent(number.to_f64()).as_bytes());
                }
            }
            Kind::Null => self.skip()?,
            _ => {
                self.skip()?;
                self.out.put_slice(self.scan.since(offset));
            }
        }
        self.end_bytes(at)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn binary(&mut self) -> Result<(), Error> {
        if !self.options.base64 {
            return self.string(Type::Binary, false);
        }
        if self.scan.peek() != Some(b'"') {
            return self.binary_of_another_kind();
        }
        let before = self.scan;
        let (raw, escaped) = self.scan.raw_string()?;
        if escaped && self.lenient {
            self.scan = before;
            return self.binary_of_another_kind();
        }
        self.base64(raw)
    }

    /// By way of the text that a string would be.
    #[inline(never)]
    pub(super) fn binary_of_another_kind(&mut self) -> Result<(), Error> {
        let at = self.out.pos();
        self.string(Type::Binary, false)?;
        let text = self.out.since(at.saturating_add(4)).to_vec();
        self.out.back_to(at);
        self.base64(&text)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn base64(&mut self, text: &[u8]) -> Result<(), Error> {
        let at = self.begin_bytes();
        match base64::decode(text, &mut self.out) {
            Ok(()) => self.end_bytes(at),
            Err(end) => {
                let reason = format!("illegal base64 data at input byte {end}");
                Err(no_value("binary", text, &reason, self.scan.offset()))
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::json) fn begin_bytes(&mut self) -> usize {
        let at = self.out.pos();
        self.out.put(&[0; 4]);
        at
    }

    /// Puts the length in front of what was written since [`Writer::begin_bytes`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::json) fn end_bytes(&mut self, at: usize) -> Result<(), Error> {
        let len = self.out.pos().wrapping_sub(at).wrapping_sub(4);
        let Ok(short) = i32::try_from(len) else { return Err(too_long("string", len)) };
        self.out.patch(at, short.to_be_bytes());
        Ok(())
    }
}
