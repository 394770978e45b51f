//! Values as text: JSON, and what Kitex puts into headers (generic-call 5.7).

use crate::error::{Error, ErrorKind};
use crate::options::Profile;
use crate::path::Step;
use crate::value::Value;
use crate::value::text::{encode_base64, f64_text, key_to_text};

/// Appends values as JSON.
pub(super) struct Json<'o> {
    pub(super) profile: Profile,
    pub(super) null_for_nan: bool,
    pub(super) out: &'o mut Vec<u8>,
}

impl Json<'_> {
    pub(super) fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Null | Value::Void => self.out.extend_from_slice(b"null"),
            Value::Bool(value) => self.out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => {
                let number = value.as_i64().unwrap_or_default();
                self.out.extend_from_slice(number.to_string().as_bytes());
            }
            Value::Double(value) => self.double(*value)?,
            Value::Number(text) => self.out.extend_from_slice(text.as_bytes()),
            Value::String(text) => self.string(text),
            // Without base64 these are strings that are no UTF-8.
            Value::Bytes(bytes) => self.string(&String::from_utf8_lossy(bytes)),
            Value::List(elements) => {
                self.out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    self.comma(index);
                    self.value(element).map_err(|error| error.inside(Step::Index(index)))?;
                }
                self.out.push(b']');
            }
            Value::Map(pairs) => {
                self.out.push(b'{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let key = key_to_text(key.clone())?;
                    self.comma(index);
                    self.member(&key, value)?;
                }
                self.out.push(b'}');
            }
            Value::Struct(members) => self.members(members)?,
        }
        Ok(())
    }

    pub(super) fn members(&mut self, members: &[(Box<str>, Value)]) -> Result<(), Error> {
        self.out.push(b'{');
        for (index, (key, value)) in members.iter().enumerate() {
            self.comma(index);
            self.member(key, value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    pub(super) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        for char in text.chars() {
            let escape = match char {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\0'..=' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if self.is_escaped(char) => {
                    self.out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
                    continue;
                }
                _ => {
                    self.out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            self.out.extend_from_slice(escape.as_bytes());
        }
        self.out.push(b'"');
    }

    fn is_escaped(&self, char: char) -> bool {
        char < ' ' || char != ' ' && self.profile == Profile::Default
    }

    pub(super) fn member(&mut self, key: &str, value: &Value) -> Result<(), Error> {
        self.string(key);
        self.out.push(b':');
        self.value(value).map_err(|error| error.inside(Step::Field(key.into())))
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(b',');
        }
    }

    /// The shortest text, with an exponent where Go has one.
    fn double(&mut self, value: f64) -> Result<(), Error> {
        let text = match value.abs() {
            size if !size.is_finite() && self.null_for_nan => "null".to_owned(),
            size if !size.is_finite() => {
                return Err(Error::new(ErrorKind::Unsupported(format!("JSON has no {value}").into())));
            }
            size if size != 0.0 && !(1e-6..1e21).contains(&size) => format!("{value:e}"),
            _ => value.to_string(),
        };
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A value as Kitex puts it into a header: lists joined by commas, maps and structs as Go prints them, keys sorted.
pub(super) fn header(value: &Value) -> Vec<u8> {
    match value {
        Value::List(elements) => elements.iter().map(header).collect::<Vec<_>>().join(&b','),
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.to_vec(),
        _ => go(value).into_bytes(),
    }
}

/// A value as Go's `%v` prints it.
fn go(value: &Value) -> String {
    let members = |members: Vec<(String, String)>| {
        let mut members = members;
        members.sort();
        let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("map[{}]", members.join(" "))
    };
    match value {
        Value::Null | Value::Void => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => value.as_i64().unwrap_or_default().to_string(),
        Value::Double(value) => f64_text(*value),
        Value::Number(text) => text.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => encode_base64(bytes),
        Value::List(elements) => format!("[{}]", elements.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Map(pairs) => members(pairs.iter().map(|(key, value)| (go(key), go(value))).collect()),
        Value::Struct(fields) => members(fields.iter().map(|(key, value)| (key.to_string(), go(value))).collect()),
    }
}

/// A status, the way Kitex makes one of a value: what is none is 0.
pub(super) fn status(value: &Value) -> i32 {
    let low = |number: i64| {
        let [_, _, _, _, a, b, c, d] = number.to_be_bytes();
        i32::from_be_bytes([a, b, c, d])
    };
    match value {
        Value::String(text) => match text.parse::<i64>() {
            Ok(number) => i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }),
            Err(_) => 0,
        },
        Value::Double(number) => low(crate::value::write::truncated(*number)),
        _ => low(value.as_i64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        let mut out = Vec::new();
        Json { profile: Profile::Default, null_for_nan: false, out: &mut out }.value(value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_as_json() {
        let value = Value::structure([
            ("a", Value::list([Value::I8(-1), Value::Null, Value::Double(1e21), Value::Double(0.5)])),
            ("<\u{1}\"\\\n\u{2028}é", Value::Bool(true)),
            ("m", Value::map([(1, "x"), (2, "y")])),
        ]);
        let expected = r#"{"a":[-1,null,1e21,0.5],"\u003c\u0001\"\\\n\u2028é":true,"m":{"1":"x","2":"y"}}"#;
        assert_eq!(json(&value), expected);
    }

    #[test]
    fn values_in_headers() {
        let text = |value: Value| String::from_utf8(header(&value)).unwrap();
        assert_eq!(text(Value::list([1, 2, 3])), "1,2,3");
        assert_eq!(text(Value::list([Value::list([1, 2]), Value::list([3])])), "1,2,3");
        assert_eq!(text(Value::structure([("b", Value::list([1, 2])), ("a", Value::from("x"))])), "map[a:x b:[1 2]]");
        assert_eq!(text(Value::Double(123.45)), "123.45");
    }

    #[test]
    fn values_as_status() {
        for (value, expected) in [
            (Value::I32(404), 404),
            (Value::from("500"), 500),
            (Value::from("x"), 0),
            (Value::from("99999999999"), i32::MAX),
            (Value::Double(201.9), 201),
            (Value::Bool(true), 0),
            (Value::I64(1 << 32), 0),
        ] {
            assert_eq!(status(&value), expected, "{value:?}");
        }
    }
}
