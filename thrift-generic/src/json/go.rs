//! What Go prints of the values that a JSON text stands for.

use super::number::Number;
use super::out::Out;
use super::scan::{Kind, Scanner};
use super::text;
use crate::error::Error;
use crate::limits::DEFAULT_MAX_DEPTH;

/// What Go's `%#v` prints of the map that a JSON text was decoded to: `map[string]interface {}{"code":400}`, keys in
/// order. The text of Kitex's errors for declared exceptions (generic-call 3.11). What is no JSON stays as it is.
#[must_use]
pub fn go_syntax(json: &str) -> String {
    let mut scan = Scanner::new(json.as_bytes());
    let mut text = String::new();
    match value(&mut scan, DEFAULT_MAX_DEPTH, &mut text) {
        Ok(()) => text,
        Err(_) => json.to_owned(),
    }
}

fn value(scan: &mut Scanner<'_>, depth: usize, out: &mut String) -> Result<(), Error> {
    match scan.kind()? {
        Kind::Null => {
            scan.word(b"null")?;
            out.push_str("interface {}(nil)");
        }
        Kind::Bool => out.push_str(if scan.boolean()? { "true" } else { "false" }),
        Kind::Number => out.push_str(&number(scan.number()?)),
        Kind::String => quote(&string(scan)?, out),
        Kind::List => {
            let depth = scan.deeper(depth, DEFAULT_MAX_DEPTH)?;
            scan.pass();
            out.push_str("[]interface {}{");
            let mut first = true;
            while scan.peek() != Some(b']') {
                if !std::mem::take(&mut first) {
                    scan.expect(b',', "a comma")?;
                    out.push_str(", ");
                }
                value(scan, depth, out)?;
            }
            scan.pass();
            out.push('}');
        }
        Kind::Object => {
            let depth = scan.deeper(depth, DEFAULT_MAX_DEPTH)?;
            scan.pass();
            let mut members = Vec::new();
            while scan.peek() != Some(b'}') {
                if !members.is_empty() {
                    scan.expect(b',', "a comma")?;
                    scan.peek();
                }
                let name = string(scan)?;
                scan.expect(b':', "a colon")?;
                let mut text = String::new();
                value(scan, depth, &mut text)?;
                members.push((name, text));
            }
            scan.pass();
            members.sort();
            out.push_str("map[string]interface {}{");
            for (at, (name, text)) in members.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                quote(name, out);
                out.push(':');
                out.push_str(text);
            }
            out.push('}');
        }
    }
    Ok(())
}

fn string(scan: &mut Scanner<'_>) -> Result<String, Error> {
    scan.expect(b'"', "a string")?;
    let mut bytes = Vec::new();
    let mut out = Out::new(&mut bytes, 0);
    match text::unescape(scan.rest, true, &mut out) {
        Ok(rest) => scan.rest = rest,
        Err(bad) => return Err(scan.bad_string(bad)),
    }
    out.finish();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Integers as they are, and so whole doubles, which look the same; others by `%g`: with an exponent below 1e-4 and
/// from 1e6 on.
fn number(number: Number<'_>) -> String {
    let text = String::from_utf8_lossy(number.text).into_owned();
    if number.integral {
        return text;
    }
    let value = number.to_f64();
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    super::number::without_exponent(value)
}

/// A text in Go's double quotes.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..' ' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
            '\u{80}'..'\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_go_prints() {
        assert_eq!(go_syntax(r#"{"msg":"oop","code":400}"#), r#"map[string]interface {}{"code":400, "msg":"oop"}"#);
        assert_eq!(
            go_syntax(r#"{"a":[1,2.5,true,"x\n"],"b":{}, "c":1e-07}"#),
            r#"map[string]interface {}{"a":[]interface {}{1, 2.5, true, "x\n"}, "b":map[string]interface {}{}, "c":1e-07}"#
        );
        assert_eq!(
            go_syntax("[0.0001,0.00001,1234567.5,12345.5]"),
            "[]interface {}{0.0001, 1e-05, 1.2345675e+06, 12345.5}"
        );
        assert_eq!(go_syntax("no JSON"), "no JSON");
    }
}
