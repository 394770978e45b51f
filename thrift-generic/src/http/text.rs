//! Texts of a request as values: of queries, paths, headers, cookies and forms (generic-call 5.6).

use crate::descriptor::{Descriptor, Type};
use crate::error::{Error, ErrorKind};
use crate::options::{Options, Profile};
use crate::value::Value;
use crate::value::js_conv;
use crate::value::kind::mismatch;
use crate::value::text::{decode_base64, enum_number, invalid, parse_f64, parse_i64};
use crate::wire;

/// Appends the value of type `ty` that `text` stands for, by the rules of the profile. `js`: what is no integer counts as
/// 0 in the default profile.
pub(super) fn write(
    d: &Descriptor,
    options: &Options,
    ty: Type,
    text: &[u8],
    js: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let writer = TextWriter { d, options };
    match options.profile {
        Profile::Dynamic => writer.value(ty, text, out),
        Profile::Default => {
            let start = out.len();
            let Err(error) = writer.value(ty, text, out) else { return Ok(()) };
            out.truncate(start);
            if js && js_conv::is_integer(ty) {
                put_integer(out, ty, 0);
                return Ok(());
            }
            // What can't be converted stays text, for which only the types of texts have a place.
            Err(match ty {
                Type::String | Type::Binary => error,
                _ => mismatch(ty, &Value::String(String::new())),
            })
        }
    }
}

struct TextWriter<'a> {
    d: &'a Descriptor,
    options: &'a Options,
}

impl TextWriter<'_> {
    fn value(&self, ty: Type, text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        match ty {
            Type::String => wire::bytes(out, text)?,
            Type::Binary if self.options.base64 => wire::bytes(out, &decode_base64(utf8("base64", text)?)?)?,
            Type::Binary => wire::bytes(out, text)?,
            Type::Bool => out.push(u8::from(self.bool(text)?)),
            Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_) => {
                put_integer(out, ty, self.integer(ty, utf8(ty.name(), text)?)?);
            }
            Type::Double => out.extend_from_slice(&parse_f64(utf8("double", text)?)?.to_be_bytes()),
            Type::List(element) => self.list(self.d.ty(element), text, out)?,
            Type::Set(element) if self.is_dynamic() => self.list(self.d.ty(element), text, out)?,
            Type::Void | Type::Set(_) | Type::Map(..) | Type::Struct(_) => {
                return Err(mismatch(ty, &Value::String(String::new())));
            }
        }
        Ok(())
    }

    fn bool(&self, text: &[u8]) -> Result<bool, Error> {
        match text {
            b"true" => Ok(true),
            b"false" => Ok(false),
            b"1" | b"t" | b"T" | b"TRUE" | b"True" if self.is_dynamic() => Ok(true),
            b"0" | b"f" | b"F" | b"FALSE" | b"False" if self.is_dynamic() => Ok(false),
            _ => Err(invalid("bool", &String::from_utf8_lossy(text), "ParseBool: invalid syntax")),
        }
    }

    /// Out of range is an error in the default profile, and wraps in the dynamic one.
    fn integer(&self, ty: Type, text: &str) -> Result<i64, Error> {
        if let Type::Enum(id) = ty
            && let Some(number) = enum_number(self.d.enumeration(id), self.options, text)
        {
            return Ok(number.into());
        }
        let number = parse_i64(ty.name(), text)?;
        let fits = match ty {
            Type::Byte => i8::try_from(number).is_ok(),
            Type::I16 => i16::try_from(number).is_ok(),
            Type::I32 | Type::Enum(_) => i32::try_from(number).is_ok(),
            _ => true,
        };
        if fits || self.is_dynamic() {
            Ok(number)
        } else {
            Err(invalid(ty.name(), text, "ParseInt: value out of range"))
        }
    }

    /// Elements between commas; white space counts.
    fn list(&self, element: Type, text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let elements = text.split(|&byte| byte == b',');
        wire::list_header(out, element.ttype(), elements.clone().count())?;
        elements.into_iter().try_for_each(|text| self.value(element, text, out))
    }

    fn is_dynamic(&self) -> bool {
        self.options.profile == Profile::Dynamic
    }
}

/// Appends the low bytes of `number`, as many as an integer of type `ty` has.
pub(super) fn put_integer(out: &mut Vec<u8>, ty: Type, number: i64) {
    let [.., c, d, e, f] = number.to_be_bytes();
    match ty {
        Type::Byte => out.push(f),
        Type::I16 => out.extend_from_slice(&[e, f]),
        Type::I64 => out.extend_from_slice(&number.to_be_bytes()),
        _ => out.extend_from_slice(&[c, d, e, f]),
    }
}

fn utf8<'t>(expected: &'static str, text: &'t [u8]) -> Result<&'t str, Error> {
    std::str::from_utf8(text).map_err(|_| {
        Error::new(ErrorKind::Value {
            expected,
            found: String::from_utf8_lossy(text).into(),
            reason: "it is no UTF-8".into(),
        })
    })
}
