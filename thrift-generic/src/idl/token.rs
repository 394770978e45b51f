//! What a text is made of (generic-call 1.1), as parsers for `nom` on a span that knows where it is.

use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult};

use crate::idl::ast::{Name, Offset};
use crate::idl::error::IdlErrorKind;
use crate::limits::MAX_IDL_DEPTH;

/// What is left of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    rest: &'a str,
    at: Offset,
    /// How many types or constants are open around it.
    depth: usize,
}

/// Why a parser gave up, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    at: Offset,
    what: What,
}

/// Most faults are forgotten, because something else can be tried: they are small.
#[derive(Debug)]
enum What {
    Expected(&'static str),
    Other(Box<IdlErrorKind>),
}

impl Fault {
    pub(crate) fn at(&self) -> Offset {
        self.at
    }

    /// For people; `text` is the whole file.
    pub(crate) fn kind(self, text: &str) -> IdlErrorKind {
        match self.what {
            What::Expected(expected) => {
                let found = Span { rest: text.get(self.at..).unwrap_or_default(), at: self.at, depth: 0 }.found();
                IdlErrorKind::Syntax { expected, found }
            }
            What::Other(kind) => *kind,
        }
    }
}

pub(crate) type Parsed<'a, T> = IResult<Span<'a>, T, Fault>;

impl<'a> Span<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, at: 0, depth: 0 }
    }

    pub(crate) fn at(self) -> Offset {
        self.at
    }

    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    fn advance(self, len: usize) -> Self {
        let rest = self.rest.get(len..).unwrap_or_default();
        Self { rest, at: self.at.saturating_add(len), ..self }
    }

    /// Up to `len`, and what is behind it.
    fn take(self, len: usize) -> (&'a str, Self) {
        (self.rest.get(..len).unwrap_or(self.rest), self.advance(len))
    }

    /// Without white space and comments in front.
    pub(crate) fn skip(self) -> Self {
        let mut span = self;
        loop {
            let rest = span.rest;
            let space = rest.len().saturating_sub(rest.trim_start_matches([' ', '\t', '\x0b', '\r', '\n']).len());
            let len = if space > 0 {
                space
            } else if rest.starts_with("//") || rest.starts_with('#') {
                rest.find(['\r', '\n']).unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(len) => len.saturating_add(4),
                    None => return span,
                }
            } else {
                return span;
            };
            span = span.advance(len);
        }
    }

    /// A recoverable error here: something else may be tried.
    pub(crate) fn expected<T>(self, expected: &'static str) -> Parsed<'a, T> {
        Err(Err::Error(Fault { at: self.at, what: What::Expected(expected) }))
    }

    /// An error that nothing else can help.
    #[cold]
    pub(crate) fn fail<T>(self, kind: IdlErrorKind) -> Parsed<'a, T> {
        Err(Err::Failure(Fault { at: self.at, what: What::Other(Box::new(kind)) }))
    }

    /// What stands here, for people.
    fn found(self) -> Box<str> {
        if self.rest.is_empty() {
            return "the end of the file".into();
        }
        if self.rest.starts_with("/*") {
            return "a comment without an end".into();
        }
        let word = self.rest.trim_start_matches(is_word_part).len();
        let len = self.rest.len().saturating_sub(word).max(self.rest.chars().next().map_or(0, char::len_utf8));
        let found: String = self.rest.get(..len).unwrap_or_default().chars().take(MAX_FOUND).collect();
        format!("{found:?}").into()
    }
}

/// The most that an error shows of a text, in characters.
const MAX_FOUND: usize = 40;

impl ParseError<Span<'_>> for Fault {
    fn from_error_kind(span: Span<'_>, _: ErrorKind) -> Self {
        Self { at: span.at, what: What::Expected("something else") }
    }

    fn append(_: Span<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }

    /// Of two alternatives, the one that came further knows better.
    fn or(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

/// An identifier; no word is reserved.
pub(crate) fn word<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, (&'a str, Offset)> {
    move |span| {
        let span = span.skip();
        if !span.rest.starts_with(is_word_start) {
            return span.expected(expected);
        }
        let len = span.rest.find(|c| !is_word_part(c)).unwrap_or(span.rest.len());
        let (text, rest) = span.take(len);
        Ok((rest, (text, span.at)))
    }
}

/// An identifier to be kept.
pub(crate) fn name<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, Name> {
    move |span| word(expected)(span).map(|(rest, (text, at))| (rest, Name { text: text.into(), at }))
}

/// This very identifier.
pub(crate) fn keyword<'a>(keyword: &'static str, expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, ()> {
    move |span| match word(expected)(span)? {
        (rest, (text, _)) if text == keyword => Ok((rest, ())),
        _ => span.skip().expected(expected),
    }
}

/// This very character.
pub(crate) fn symbol<'a>(symbol: char, expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, ()> {
    move |span| {
        let span = span.skip();
        if span.rest.starts_with(symbol) { Ok((span.advance(symbol.len_utf8()), ())) } else { span.expected(expected) }
    }
}

/// A list separator, or nothing.
pub(crate) fn separator(span: Span<'_>) -> Parsed<'_, ()> {
    let start = span.skip();
    Ok((if start.rest.starts_with([',', ';']) { start.advance(1) } else { span }, ()))
}

/// Text in quotes.
///
/// A backslash resolves a quote of the literal's own kind, and stays as it is before anything else. That way no literal
/// could end in a backslash: thriftgo takes the quote in `"a\\"` for a part of it, Apache Thrift for its end. Here it is
/// the end where something follows that can follow a literal.
pub(crate) fn literal<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, Name> {
    move |span| {
        let span = span.skip();
        let Some(quote) = span.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return span.expected(expected);
        };
        let mut text = String::new();
        let mut rest = span.rest.get(1..).unwrap_or_default();
        loop {
            let Some(len) = rest.find(['\\', quote]) else {
                let expected = "a quote that ends the literal";
                return Err(Err::Failure(Fault { at: span.at, what: What::Expected(expected) }));
            };
            let (plain, special) = rest.split_at_checked(len).unwrap_or((rest, ""));
            text.push_str(plain);
            let (shown, skipped) = match special.strip_prefix('\\') {
                None => {
                    rest = special.get(1..).unwrap_or_default();
                    break;
                }
                Some(escaped) if escaped.starts_with(quote) => (special.get(1..2), 2),
                Some(escaped) => match escaped.strip_prefix('\\').and_then(|behind| behind.strip_prefix(quote)) {
                    Some(behind) if !may_follow_literal(behind) => (special.get(1..3), 3),
                    Some(_) => (special.get(..2), 2),
                    None if escaped.starts_with('\\') => (special.get(..2), 2),
                    None => (special.get(..1), 1),
                },
            };
            text.push_str(shown.unwrap_or_default());
            rest = special.get(skipped..).unwrap_or_default();
        }
        let len = span.rest.len().saturating_sub(rest.len());
        Ok((span.advance(len), Name { text: text.into(), at: span.at }))
    }
}

fn may_follow_literal(rest: &str) -> bool {
    rest.is_empty()
        || rest.starts_with(|c: char| {
            c.is_ascii_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | ':' | '/' | '#')
        })
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
}

/// The text of an integer.
pub(crate) fn integer_text<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, (&'a str, Span<'a>)> {
    move |span| {
        let span = span.skip();
        match integer_len(span.rest) {
            Some(len) => {
                let (text, rest) = span.take(len);
                Ok((rest, (text, span)))
            }
            None => span.expected(expected),
        }
    }
}

/// An integer, by the rules of constants: `0x`, `0o`, and octal behind a leading zero.
pub(crate) fn integer<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, i64> {
    move |span| {
        let (rest, (text, start)) = integer_text(expected)(span)?;
        match parse_integer(text) {
            Ok(value) => Ok((rest, value)),
            Err(reason) => start.fail(IdlErrorKind::Number { text: shorten(text), reason }),
        }
    }
}

/// An integer or a double.
pub(crate) fn number<'a>(expected: &'static str) -> impl Fn(Span<'a>) -> Parsed<'a, Number> {
    move |span| {
        let span = span.skip();
        let Some(len) = double_len(span.rest) else {
            return integer(expected)(span).map(|(rest, value)| (rest, Number::Int(value)));
        };
        let (text, rest) = span.take(len);
        match text.parse() {
            Ok(value) if f64::is_finite(value) => Ok((rest, Number::Double(value))),
            Ok(_) => span.fail(IdlErrorKind::Number { text: shorten(text), reason: "value out of range" }),
            Err(_) => span.fail(IdlErrorKind::Number { text: shorten(text), reason: "invalid syntax" }),
        }
    }
}

pub(crate) fn shorten(text: &str) -> Box<str> {
    text.chars().take(MAX_FOUND).collect()
}

fn digits(text: &str, is_digit: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_digit(c)).unwrap_or(text.len())
}

fn sign(text: &str) -> usize {
    usize::from(text.starts_with(['+', '-']))
}

fn behind(text: &str, len: usize) -> &str {
    text.get(len..).unwrap_or_default()
}

fn integer_len(text: &str) -> Option<usize> {
    let decimal = |c: char| c.is_ascii_digit();
    let prefixed = match text.get(..2) {
        Some("0x") => digits(behind(text, 2), |c| c.is_ascii_alphanumeric()),
        Some("0o") => digits(behind(text, 2), decimal),
        _ => 0,
    };
    if prefixed > 0 {
        return Some(prefixed.saturating_add(2));
    }
    let sign = sign(text);
    let len = digits(behind(text, sign), decimal);
    (len > 0).then_some(sign.saturating_add(len))
}

fn double_len(text: &str) -> Option<usize> {
    let decimal = |c: char| c.is_ascii_digit();
    let sign = sign(text);
    let whole = digits(behind(text, sign), decimal);
    let mut len = sign.saturating_add(whole);
    let fraction = behind(text, len).strip_prefix('.').map_or(0, |fraction| digits(fraction, decimal));
    if fraction > 0 {
        len = len.saturating_add(fraction).saturating_add(1);
    } else if whole == 0 {
        return None;
    }
    let exponent = behind(text, len).strip_prefix(['e', 'E']).map_or(0, |exponent| {
        let sign = self::sign(exponent);
        match digits(behind(exponent, sign), decimal) {
            0 => 0,
            digits => digits.saturating_add(sign).saturating_add(1),
        }
    });
    (fraction > 0 || exponent > 0).then_some(len.saturating_add(exponent))
}

fn parse_integer(text: &str) -> Result<i64, &'static str> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let parsed = if let Some(hex) = text.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(octal) = text.strip_prefix("0o") {
        i64::from_str_radix(octal, 8)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        i64::from_str_radix(text, 8)
    } else {
        text.parse()
    };
    parsed.map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    })
}

/// One level deeper: for types within types, and constants within constants.
pub(crate) fn nested<'a, T>(
    mut parser: impl FnMut(Span<'a>) -> Parsed<'a, T>,
) -> impl FnMut(Span<'a>) -> Parsed<'a, T> {
    move |span| {
        let depth = span.depth.saturating_add(1);
        if depth > MAX_IDL_DEPTH {
            return span.skip().fail(IdlErrorKind::TooDeep);
        }
        let (rest, value) = parser(Span { depth, ..span })?;
        Ok((Span { depth: span.depth, ..rest }, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal_of(text: &str) -> Option<String> {
        literal("a literal")(Span::new(text)).ok().map(|(_, name)| name.text.into())
    }

    #[test]
    fn a_literal_resolves_its_own_quote_only() {
        assert_eq!(literal_of(r#""a\"b""#).unwrap(), r#"a"b"#);
        assert_eq!(literal_of(r#"'a\'b\"c'"#).unwrap(), r#"a'b\"c"#);
        assert_eq!(literal_of(r#""a\nb\\c""#).unwrap(), r"a\nb\\c");
        assert_eq!(literal_of("'two\nlines'").unwrap(), "two\nlines");
        assert_eq!(literal_of(r#""open"#), None);
        assert_eq!(literal_of(r#""open\""#), None);
    }

    #[test]
    fn a_literal_may_end_in_a_backslash() {
        assert_eq!(literal_of(r#""abc\\")"#).unwrap(), r"abc\\");
        assert_eq!(literal_of(r#""json:\\"id\\"""#).unwrap(), r#"json:\"id\""#);
        assert_eq!(literal_of(r#""\\\"x""#).unwrap(), r#"\\"x"#);
    }

    #[test]
    fn numbers_are_read_with_their_base() {
        let int = |text| match number("a number")(Span::new(text)) {
            Ok((_, Number::Int(value))) => Some(value),
            _ => None,
        };
        for (text, value) in [("10", 10), ("+3", 3), ("-010", -8), ("010", 8), ("0x1e5", 0x1e5), ("0o17", 15), ("0", 0)]
        {
            assert_eq!(int(text), Some(value), "{text}");
        }
        assert_eq!(int("-9223372036854775808"), Some(i64::MIN));
        for text in ["9223372036854775808", "0xfg", "089", "-0x10e", "abc", "-", ""] {
            assert_ne!(int(text), Some(0x10e), "{text}");
        }
        assert_eq!(int("9223372036854775808"), None);
        assert_eq!(int("0xfg"), None);
        assert_eq!(int("089"), None);
    }

    #[test]
    fn doubles_keep_their_mantissa() {
        let double = |text| match number("a number")(Span::new(text)) {
            Ok((_, Number::Double(value))) => Some(value),
            _ => None,
        };
        for (text, value) in [("1e3", 1000.0), ("1.5e3", 1500.0), (".5", 0.5), ("-1.25E-2", -0.0125), ("+2.0", 2.0)] {
            assert_eq!(double(text), Some(value), "{text}");
        }
        assert_eq!(double("1e999"), None);
        assert_eq!(double("1."), None);
    }
}
