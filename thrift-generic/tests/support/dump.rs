//! Thrift bytes in the notation of the rows: `{1:i32(5), 2:"x"}` (generic-call 7).

#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic, and not every test needs all of it"
)]

use thrift_codec::TType;
use thrift_codec::binary::Reader;

/// A struct; its fields by id, the entries of maps by their text, so that equal contents are equal texts.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes);
    let text = value(&mut reader, TType::STRUCT);
    assert!(reader.rest().is_empty(), "{} bytes behind the struct", reader.rest().len());
    text
}

/// The value of a struct's only field; a struct that has none, or several, as a whole.
pub(crate) fn dump_argument(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes);
    if let Some(field) = reader.field_header().unwrap() {
        let text = value(&mut reader, field.ttype);
        if reader.field_header().unwrap().is_none() {
            return text;
        }
    }
    dump(bytes)
}

/// A dump that somebody wrote, in the form in which [`dump`] writes it: texts and doubles may be written otherwise.
pub(crate) fn canonical(dump: &str) -> String {
    let mut out = String::new();
    let mut rest = dump;
    while let Some(char) = rest.chars().next() {
        if char == '"' {
            let (text, after) = unquote(&rest[1..]);
            out.push_str(&quote(&text));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("dbl(") {
            let (number, after) = after.split_once(')').unwrap();
            out.push_str(&format!("dbl({})", number.parse::<f64>().unwrap()));
            rest = after;
        } else {
            out.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    out
}

fn value(reader: &mut Reader<'_>, ttype: TType) -> String {
    match ttype {
        TType::BOOL => format!("bool({})", reader.i8().unwrap()),
        TType::I8 => format!("i8({})", reader.i8().unwrap()),
        TType::I16 => format!("i16({})", reader.i16().unwrap()),
        TType::I32 => format!("i32({})", reader.i32().unwrap()),
        TType::I64 => format!("i64({})", reader.i64().unwrap()),
        TType::DOUBLE => format!("dbl({})", reader.double().unwrap()),
        TType::STRING => quote(reader.bytes().unwrap()),
        TType::STRUCT => {
            let mut fields = Vec::new();
            while let Some(field) = reader.field_header().unwrap() {
                fields.push((field.id, format!("{}:{}", field.id, value(reader, field.ttype))));
            }
            fields.sort_by_key(|(id, _)| *id);
            let texts: Vec<_> = fields.into_iter().map(|(_, text)| text).collect();
            format!("{{{}}}", texts.join(", "))
        }
        TType::LIST | TType::SET => {
            let header = reader.list_header().unwrap();
            let elements: Vec<_> = (0..header.count).map(|_| value(reader, header.element)).collect();
            let name = if ttype == TType::SET { "set" } else { "list" };
            format!("{name}<{}>[{}]", header.element.0, elements.join(", "))
        }
        TType::MAP => {
            let header = reader.map_header().unwrap();
            let entry = |reader: &mut Reader<'_>| {
                let key = value(reader, header.key);
                format!("{key}=>{}", value(reader, header.value))
            };
            let mut entries: Vec<_> = (0..header.count).map(|_| entry(reader)).collect();
            entries.sort();
            format!("map<{},{}>[{}]", header.key.0, header.value.0, entries.join(", "))
        }
        other => panic!("a value of type {other:?}"),
    }
}

/// What is not printable ASCII is escaped byte by byte.
fn quote(text: &[u8]) -> String {
    let mut out = String::from('"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            0x20..0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// A text up to its closing quotation mark, in Go's notation, and what follows.
fn unquote(rest: &str) -> (Vec<u8>, &str) {
    let mut text = Vec::new();
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (text, &rest[at + 1..]),
            '\\' => {
                let (_, escaped) = chars.next().unwrap();
                let mut code = |digits: usize| {
                    let digits: String = chars.by_ref().take(digits).map(|(_, digit)| digit).collect();
                    u32::from_str_radix(&digits, 16).unwrap()
                };
                match escaped {
                    'x' => text.push(u8::try_from(code(2)).unwrap()),
                    'u' => text.extend(char::from_u32(code(4)).unwrap().to_string().into_bytes()),
                    'n' => text.push(b'\n'),
                    'r' => text.push(b'\r'),
                    't' => text.push(b'\t'),
                    'b' => text.push(8),
                    'f' => text.push(12),
                    other => text.extend(other.to_string().into_bytes()),
                }
            }
            char => text.extend(char.to_string().into_bytes()),
        }
    }
    panic!("no end of the text in {rest:?}");
}
