//! Values that are part of something else: what the HTTP mapping needs (generic-call 5.4, 5.7).

use super::number;
use super::read::Reader;
use super::scan::Kind;
use super::write::Writer;
use crate::descriptor::{Descriptor, KeyText, Type};
use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::value::js_conv;
use crate::value::kind::kind as kind_of;
use crate::value::text::parse_i64;

/// A value that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Its length as JSON, with white space in front of it.
    pub(crate) len: usize,
    /// There is an object in it with a key that came twice; the first counted (default profile).
    pub(crate) repeated: bool,
}

/// Appends the value that begins `json`, which is not null; what follows is not looked at. In the default profile values
/// are taken for what they are, as by the Map mapping. `depth`: how many levels there may be.
pub(crate) fn write(
    d: &Descriptor,
    options: &Options,
    ty: Type,
    json: &[u8],
    js: bool,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<Written, Error> {
    let mut writer = Writer::strict(d, options, json, out);
    let result = writer.value(ty, js, depth);
    let written = Written { len: writer.scan.offset(), repeated: writer.repeated };
    writer.finish(result).map(|()| written)
}

impl Writer<'_, '_> {
    /// A number that is written as an integer with a sign at most, or text where that may stand for one.
    #[cold]
    #[inline(never)]
    pub(super) fn strict_integer(&mut self, ty: Type, js: bool) -> Result<i64, Error> {
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let text = String::from_utf8_lossy(self.scan.number()?.text);
                parse_i64(ty.name(), &text).map_err(|error| error.at(offset))
            }
            Kind::String => {
                let text = self.unescaped()?;
                if let Some(number) = self.enum_named(ty, &text) {
                    return Ok(number);
                }
                if !js {
                    return Err(refused(ty, Kind::String, offset));
                }
                let value = js_conv::number(&String::from_utf8_lossy(&text));
                let fits = match ty {
                    Type::Byte => i8::try_from(value).is_ok(),
                    Type::I16 => i16::try_from(value).is_ok(),
                    Type::I64 => true,
                    _ => i32::try_from(value).is_ok(),
                };
                if fits { Ok(value) } else { Err(Error::new(ErrorKind::Range { ty: ty.name(), value }).at(offset)) }
            }
            kind => Err(refused(ty, kind, offset)),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn strict_double(&mut self) -> Result<f64, Error> {
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let text = self.scan.number()?.text;
                number::parse_float(text).map_err(|reason| {
                    let kind = ErrorKind::Value {
                        expected: "double",
                        found: String::from_utf8_lossy(text).into(),
                        reason: format!("ParseFloat: {reason}").into(),
                    };
                    Error::new(kind).at(offset)
                })
            }
            kind => Err(refused(Type::Double, kind, offset)),
        }
    }

    /// What comes next is not written as this type.
    #[cold]
    #[inline(never)]
    pub(super) fn refused(&mut self, ty: Type) -> Error {
        let offset = self.scan.offset();
        match self.scan.kind() {
            Ok(kind) => refused(ty, kind, offset),
            Err(error) => error,
        }
    }
}

#[cold]
fn refused(ty: Type, found: Kind, offset: usize) -> Error {
    Error::new(ErrorKind::Mismatch { need: kind_of(ty), got: found.kitex() }).at(offset)
}

impl<'a> Reader<'a, '_> {
    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The value that comes next.
    pub(crate) fn shown(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        self.value(ty, js, self.options.max_depth)
    }

    /// Begins an object; what is given back is for [`Reader::end_object`].
    pub(crate) fn begin_object(&self) -> usize {
        self.out.pos()
    }

    /// The value of a member with this name.
    pub(crate) fn member(&mut self, key: &KeyText, ty: Type, js: bool) -> Result<(), Error> {
        self.member_name(key);
        self.value(ty, js, self.options.max_depth)
    }

    /// The value of a member with a name that is no field's.
    pub(crate) fn named_member(&mut self, name: &str, ty: Type, js: bool) -> Result<(), Error> {
        self.out.put(b",");
        self.quoted(name.as_bytes());
        self.out.put(b":");
        self.value(ty, js, self.options.max_depth)
    }

    /// Members that are JSON already, with a comma in front of each.
    pub(crate) fn members(&mut self, json: &[u8]) {
        self.out.put_slice(json);
    }

    pub(crate) fn end_object(&mut self, begin: usize) {
        if self.out.pos() == begin {
            self.out.put(b"{}");
        } else {
            self.out.patch(begin, *b"{");
            self.out.put(b"}");
        }
    }
}
