//! Texts that stand for values: keys of maps, numbers, base64.

use bytes::Bytes;

use crate::descriptor::{Descriptor, Enum, Type};
use crate::error::{Error, ErrorKind};
use crate::options::{EnumNames, Options};
use crate::value::Value;
use crate::value::kind::mismatch;

/// The text of a map's key as a value of the key's type (generic-call 3.4, the G column).
pub(crate) fn key_from_text(d: &Descriptor, options: &Options, ty: Type, text: &str) -> Result<Value, Error> {
    match ty {
        Type::String => Ok(Value::from(text)),
        Type::Binary if options.base64 => decode_base64(text).map(Value::from),
        Type::Binary => Ok(Value::from(text.as_bytes())),
        Type::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(invalid("bool", text, "expected true or false")),
        },
        Type::Double => parse_f64(text).map(Value::Double),
        Type::Byte | Type::I16 | Type::I32 | Type::I64 => parse_i64(ty.name(), text).map(Value::I64),
        Type::Enum(id) => match enum_number(d.enumeration(id), options, text) {
            Some(number) => Ok(Value::I32(number)),
            None => parse_i64(ty.name(), text).map(Value::I64),
        },
        Type::Void | Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => {
            Err(mismatch(ty, &Value::String(String::new())))
        }
    }
}

/// A value as the text of a map's key (generic-call 3.9).
pub(crate) fn key_to_text(key: Value) -> Result<Box<str>, Error> {
    Ok(match key {
        Value::Bool(value) => value.to_string().into(),
        Value::I8(value) => value.to_string().into(),
        Value::I16(value) => value.to_string().into(),
        Value::I32(value) => value.to_string().into(),
        Value::I64(value) => value.to_string().into(),
        Value::Double(value) => f64_text(value).into(),
        Value::Number(text) => text,
        Value::String(text) => text.into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into(),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Struct(_) | Value::Void => {
            return Err(Error::new(ErrorKind::Unsupported(
                format!("a {} is no key of a map that has text as keys", key.type_name()).into(),
            )));
        }
    })
}

/// A key for a path in an error.
#[cold]
pub(crate) fn label(key: &Value) -> Box<str> {
    match key {
        Value::Null | Value::List(_) | Value::Map(_) | Value::Struct(_) | Value::Void => key.type_name().into(),
        _ => key_to_text(key.clone()).unwrap_or_default(),
    }
}

/// The number of an enum's value with this name, where names may travel.
pub(crate) fn enum_number(of: &Enum, options: &Options, name: &str) -> Option<i32> {
    let accepted = options.enum_names != EnumNames::Off;
    of.values.iter().find_map(|(known, number)| (accepted && **known == *name).then_some(*number))
}

/// Decimal text, sign allowed. (Kitex: `strconv.ParseInt`, whose words for what can be wrong are kept.)
pub(crate) fn parse_i64(expected: &'static str, text: &str) -> Result<i64, Error> {
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            invalid(expected, text, "ParseInt: value out of range")
        }
        _ => invalid(expected, text, "ParseInt: invalid syntax"),
    })
}

/// Go's and Rust's idea of a double as text are the same but for what is out of range, which Rust takes as infinite.
pub(crate) fn parse_f64(text: &str) -> Result<f64, Error> {
    let value: f64 = text.parse().map_err(|_| invalid("double", text, "ParseFloat: invalid syntax"))?;
    if value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(invalid("double", text, "ParseFloat: value out of range"));
    }
    Ok(value)
}

/// The shortest text that is this double, without an exponent.
pub(crate) fn f64_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// Standard alphabet, padded; CR and LF are passed over, as Go does (generic-call 3.4).
pub(crate) fn decode_base64(text: &str) -> Result<Bytes, Error> {
    match base64_simd::STANDARD.decode_to_vec(text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => decode_slowly(text),
    }
}

/// Text that is broken into lines, or is none: then where, as Go says it.
#[cold]
fn decode_slowly(text: &str) -> Result<Bytes, Error> {
    let at = |at: usize| invalid("base64", text, &format!("illegal base64 data at input byte {at}"));
    let is_break = |&(_, byte): &(usize, u8)| !matches!(byte, b'\r' | b'\n');
    let mut rest = text.bytes().enumerate().filter(is_break);
    let mut bytes = Vec::with_capacity(text.len().div_ceil(4).saturating_mul(3));
    loop {
        let mut quantum = 0_u32;
        let mut pads = 0_u32;
        let mut place = 0_usize;
        for digit in 0..4 {
            let Some((offset, byte)) = rest.next() else {
                // Nothing of the next four is fine; Go counts from where they begin.
                return if digit == 0 { Ok(bytes.into()) } else { Err(at(place)) };
            };
            if digit == 0 {
                place = offset;
            }
            quantum <<= 6;
            match sextet(byte) {
                Some(bits) if pads == 0 => quantum |= u32::from(bits),
                None if byte == b'=' && digit >= 2 => pads = pads.saturating_add(1),
                _ => return Err(at(offset)),
            }
        }
        let [_, a, b, c] = quantum.to_be_bytes();
        match pads {
            0 => bytes.extend_from_slice(&[a, b, c]),
            1 => bytes.extend_from_slice(&[a, b]),
            _ => bytes.push(a),
        }
        if pads > 0 {
            return match rest.next() {
                None => Ok(bytes.into()),
                Some((offset, _)) => Err(at(offset)),
            };
        }
    }
}

pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cold]
pub(crate) fn invalid(expected: &'static str, found: &str, reason: &str) -> Error {
    const SHOWN: usize = 64;
    let mut shown: String = found.chars().take(SHOWN).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    Error::new(ErrorKind::Value { expected, found: shown.into(), reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_and_may_be_broken_into_lines() {
        for text in ["", "a", "ab", "abc", "abcd", "hello", "\u{0}ÿ~"] {
            assert_eq!(decode_base64(&encode_base64(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(encode_base64(b"hello"), "aGVsbG8=");
        assert_eq!(decode_base64("aGVs\r\nbG8=\n").unwrap(), &b"hello"[..]);
        for (text, at) in [("aGVsbG8", 4), ("a-_=", 1), ("hello!", 5), ("aGVsbG8=x", 8), ("====", 0), ("aG=s", 3)] {
            let error = decode_base64(text).unwrap_err().to_string();
            assert!(error.ends_with(&format!("illegal base64 data at input byte {at}")), "{error}");
        }
    }

    #[test]
    fn doubles_as_keys_have_no_exponent() {
        assert_eq!(f64_text(1.5), "1.5");
        assert_eq!(f64_text(1e21), "1000000000000000000000");
        assert_eq!(f64_text(-0.0), "-0");
        assert_eq!(f64_text(f64::INFINITY), "+Inf");
        assert!(parse_f64("1e400").is_err());
        assert_eq!(parse_f64("inf").unwrap(), f64::INFINITY);
    }
}
