//! Values that hold no others, and keys, which are text in JSON whatever their type.

use super::Reader;
use crate::descriptor::{Enum, Type};
use crate::error::{Error, ErrorKind};
use crate::json::number::{Decimal, without_exponent};
use crate::json::{base64, text};
use crate::options::EnumNames;

impl Reader<'_, '_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn scalar(&mut self, ty: Type, js: bool) -> Result<(), Error> {
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
    pub(super) fn integer<I: itoa::Integer>(&mut self, number: I, quoted: bool) {
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
    pub(super) fn double(&mut self, number: f64, quoted: bool) -> Result<(), Error> {
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
    pub(in crate::json) fn plain_double(&mut self, number: f64) {
        match Decimal::json(number, self.lenient) {
            Some(decimal) => {
                let (bytes, len) = decimal.parts();
                self.out.put_part(bytes, len);
            }
            None => self.out.put(b"null"),
        }
    }

    #[cold]
    pub(super) fn no_number(&mut self, number: f64) -> Result<(), Error> {
        if self.options.null_for_nan {
            self.out.put(b"null");
            return Ok(());
        }
        let found = without_exponent(number).into();
        let reason = "JSON has neither Nan nor Inf".into();
        Err(Error::new(ErrorKind::Value { expected: "double", found, reason }).at(self.offset().saturating_sub(8)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn string(&mut self) -> Result<(), Error> {
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
    pub(super) fn escaped(&mut self, text: &[u8], len: usize) {
        if self.options.escape_html {
            text::escape::<true>(text, len, &mut self.out);
        } else {
            text::escape::<false>(text, len, &mut self.out);
        }
    }

    /// Every byte that is not part of a letter becomes U+FFFD, as in Go.
    #[inline(never)]
    pub(super) fn lossy_text(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().as_bytes();
            self.escaped(valid, valid.len());
            for _ in chunk.invalid() {
                self.out.put(b"\\ufffd");
            }
        }
    }

    pub(in crate::json) fn quoted(&mut self, text: &[u8]) {
        self.out.put(b"\"");
        if self.lossy {
            self.lossy_text(text)
        } else {
            self.escaped(text, text.len())
        }
        self.out.put(b"\"");
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn binary(&mut self) -> Result<(), Error> {
        if !self.options.base64 {
            return self.string();
        }
        let bytes = self.bytes()?;
        self.out.put(b"\"");
        base64::encode(bytes, &mut self.out);
        self.out.put(b"\"");
        Ok(())
    }

    /// A key, between quotes that are there already.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn key(&mut self, ty: Type) -> Result<(), Error> {
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
    pub(super) fn key_of_another_type(&mut self, ty: Type) -> Result<(), Error> {
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
}

fn name_of(of: &Enum, number: i32) -> Option<&str> {
    of.values.iter().find_map(|(name, known)| (*known == number).then_some(&**name))
}
