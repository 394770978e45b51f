//! Walks a JSON text from front to back.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, ErrorKind};
use crate::value::Value;

/// A place in a JSON text. Text in it may be no UTF-8: it is passed on as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    max_depth: usize,
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], max_depth: usize) -> Self {
        Self { text, at: 0, max_depth }
    }

    /// How many bytes lie behind.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// What comes next, and where.
    #[inline]
    pub(super) fn kind(&mut self) -> Result<Kind, Error> {
        Ok(match self.peek() {
            Some(b'"') => Kind::String,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    /// Takes `null`, if it is next.
    #[inline]
    pub(super) fn null(&mut self) -> Result<bool, Error> {
        match self.peek() {
            Some(b'n') => self.word(b"null", "null").map(|()| true),
            _ => Ok(false),
        }
    }

    pub(super) fn bool(&mut self) -> Result<bool, Error> {
        match self.peek() {
            Some(b't') => self.word(b"true", "true").map(|()| true),
            _ => self.word(b"false", "false").map(|()| false),
        }
    }

    /// Takes a number, as it is written.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
        self.peek();
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(digits).map_err(|_| self.unexpected("a number"))
    }

    /// Takes a string, and resolves its escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        self.step();
        let start = self.at;
        self.run();
        let head = self.text.get(start..self.at).unwrap_or_default();
        if self.take(b'"') {
            return Ok(Cow::Borrowed(head));
        }
        let mut text = head.to_vec();
        loop {
            match self.next() {
                Some(b'"') => return Ok(Cow::Owned(text)),
                Some(b'\\') => self.escape(&mut text)?,
                _ => return Err(self.cut("the end of a string")),
            }
            let start = self.at;
            self.run();
            text.extend_from_slice(self.text.get(start..self.at).unwrap_or_default());
        }
    }

    /// Begins an object or array.
    pub(super) fn open(&mut self, kind: Kind) -> Result<(), Error> {
        let (bracket, expected) = match kind {
            Kind::Array => (b'[', "an array"),
            _ => (b'{', "an object"),
        };
        if self.peek() != Some(bracket) {
            return Err(self.unexpected(expected));
        }
        self.step();
        Ok(())
    }

    /// Goes to the next member of an object, and takes its key; `None` takes the end.
    #[inline]
    pub(super) fn member(&mut self, is_first: &mut bool) -> Result<Option<Cow<'a, [u8]>>, Error> {
        if !self.more(b'}', is_first, "a comma or the end of an object")? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.step();
        Ok(Some(key))
    }

    /// Goes to the next element of an array; `false` takes the end.
    #[inline]
    pub(super) fn element(&mut self, is_first: &mut bool) -> Result<bool, Error> {
        self.more(b']', is_first, "a comma or the end of an array")
    }

    /// Takes a value of any kind.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Error> {
        self.peek();
        let start = self.at;
        self.skip_within(self.max_depth)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// What lies ahead.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes this many bytes ahead.
    pub(super) fn pass(&mut self, len: usize) {
        self.at = self.at.saturating_add(len);
    }

    /// Takes a value of any kind as [`Value`]; numbers stay as they are written; of members with the same key the last
    /// counts.
    pub(super) fn value(&mut self) -> Result<Value, Error> {
        self.value_within(self.max_depth)
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.step(),
                byte => return byte.copied(),
            }
        }
    }

    #[inline]
    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.step();
        byte
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.text.get(self.at) == Some(&byte);
        if is_next {
            self.step();
        }
        is_next
    }

    fn digits(&mut self) -> Result<(), Error> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at = self.at.saturating_add(len);
        if len == 0 { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], expected: &'static str) -> Result<(), Error> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.unexpected(expected));
        }
        self.at = self.at.saturating_add(word.len());
        Ok(())
    }

    /// Goes to the next quote or backslash.
    #[inline]
    fn run(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut len = 0_usize;
        // Eight at a time: a byte is 0 where it is what is looked for, and the lowest one that is shows in its high bit.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let mut chunks = rest.chunks_exact(8);
        for chunk in &mut chunks {
            let word = chunk.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
            let found = zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
            if found != 0 {
                let byte = usize::try_from(found.trailing_zeros() >> 3).unwrap_or_default();
                self.at = self.at.saturating_add(len.saturating_add(byte));
                return;
            }
            len = len.saturating_add(8);
        }
        let tail = chunks.remainder();
        let found = tail.iter().position(|&byte| matches!(byte, b'"' | b'\\')).unwrap_or(tail.len());
        self.at = self.at.saturating_add(len.saturating_add(found));
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        let byte = match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let unit = self.code_unit()?;
                let char = self.paired(unit)?;
                text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.cut("an escape")),
        };
        text.push(byte);
        Ok(())
    }

    /// A character from its first unit of UTF-16. Half a pair is U+FFFD, as in Go.
    fn paired(&mut self, unit: u32) -> Result<char, Error> {
        if let (0xd800..0xdc00, Some(b"\\u")) = (unit, self.text.get(self.at..self.at.saturating_add(2))) {
            let behind = *self;
            self.at = self.at.saturating_add(2);
            let low = self.code_unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = ((unit & 0x3ff) << 10 | (low & 0x3ff)).saturating_add(0x1_0000);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            *self = behind;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code_unit(&mut self) -> Result<u32, Error> {
        let mut unit = 0_u32;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.cut("four hexadecimal digits"))?;
        }
        Ok(unit)
    }

    #[inline]
    fn more(&mut self, close: u8, is_first: &mut bool, expected: &'static str) -> Result<bool, Error> {
        let is_first = std::mem::take(is_first);
        match self.peek() {
            Some(byte) if byte == close && is_first => {}
            Some(_) if is_first => return Ok(true),
            Some(byte) if byte == close => {}
            Some(b',') => {
                self.step();
                return Ok(true);
            }
            _ => return Err(self.unexpected(expected)),
        }
        self.step();
        Ok(false)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Error> {
        let mut is_first = true;
        match self.kind()? {
            Kind::Null => _ = self.null()?,
            Kind::Bool => _ = self.bool()?,
            Kind::Number => _ = self.number()?,
            Kind::String => self.skip_string()?,
            Kind::Array => {
                let depth = self.deeper(depth)?;
                self.step();
                while self.element(&mut is_first)? {
                    self.skip_within(depth)?;
                }
            }
            Kind::Object => {
                let depth = self.deeper(depth)?;
                self.step();
                while self.member(&mut is_first)?.is_some() {
                    self.skip_within(depth)?;
                }
            }
        }
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), Error> {
        self.step();
        loop {
            self.run();
            match self.next() {
                Some(b'"') => return Ok(()),
                // Rare enough to be resolved for nothing.
                Some(b'\\') => self.escape(&mut Vec::new())?,
                _ => return Err(self.cut("the end of a string")),
            }
        }
    }

    fn value_within(&mut self, depth: usize) -> Result<Value, Error> {
        let mut is_first = true;
        Ok(match self.kind()? {
            Kind::Null => self.null().map(|_| Value::Null)?,
            Kind::Bool => Value::Bool(self.bool()?),
            Kind::Number => Value::Number(self.number()?.into()),
            Kind::String => string_value(self.string()?),
            Kind::Array => {
                let depth = self.deeper(depth)?;
                self.step();
                let mut elements = Vec::new();
                while self.element(&mut is_first)? {
                    elements.push(self.value_within(depth)?);
                }
                Value::List(elements)
            }
            Kind::Object => {
                let depth = self.deeper(depth)?;
                self.step();
                let mut members = Vec::new();
                let mut places = HashMap::new();
                while let Some(key) = self.member(&mut is_first)? {
                    let value = self.value_within(depth)?;
                    let next = members.len();
                    match members.get_mut(*places.entry(key.clone()).or_insert(next)) {
                        Some((_, place)) => *place = value,
                        None => members.push((String::from_utf8_lossy(&key).into(), value)),
                    }
                }
                Value::Struct(members)
            }
        })
    }

    fn deeper(&self, depth: usize) -> Result<usize, Error> {
        depth.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Depth { limit: self.max_depth }).at(self.at))
    }

    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> Error {
        const SHOWN: usize = 12;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest {
            [] => "the end".into(),
            rest => String::from_utf8_lossy(rest.get(..SHOWN).unwrap_or(rest)).into(),
        };
        Error::new(ErrorKind::Syntax { expected, found }).at(self.at)
    }

    /// The same for the byte that was just taken.
    #[cold]
    fn cut(&self, expected: &'static str) -> Error {
        Self { at: self.at.saturating_sub(1), ..*self }.unexpected(expected)
    }
}

/// Text, and bytes where it is none.
pub(super) fn string_value(text: Cow<'_, [u8]>) -> Value {
    match String::from_utf8(text.into_owned()) {
        Ok(text) => Value::String(text),
        Err(error) => Value::from(error.into_bytes()),
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Value, Error> {
        let mut cursor = Cursor::new(text.as_bytes(), 8);
        let value = cursor.value()?;
        cursor.end()?;
        let mut again = Cursor::new(text.as_bytes(), 8);
        assert_eq!(again.skip().unwrap(), text.trim().as_bytes(), "skipping agrees");
        Ok(value)
    }

    #[test]
    fn values_of_all_kinds() {
        let expected = Value::structure([
            ("a", Value::list([Value::Null, Value::Bool(true), Value::Number("-1.5e+3".into())])),
            ("b\n", Value::from("\u{1f600}\u{fffd}x\"\\/")),
        ]);
        let text = r#" { "a" : [ null , true , -1.5e+3 ] , "b\n" : "\ud83d\ude00\ud83dx\"\\\/" } "#;
        assert_eq!(value(text).unwrap(), expected);
        assert_eq!(value("{}").unwrap(), Value::Struct(Vec::new()));
        assert_eq!(value("[]").unwrap(), Value::List(Vec::new()));
    }

    #[test]
    fn strings_of_any_length_end_where_they_end() {
        for len in 0..40 {
            for end in ["", "\\n", "\\\\"] {
                let text = format!("\"{}{end}\"", "x".repeat(len));
                let expected = "x".repeat(len) + &end.replace("\\n", "\n").replace("\\\\", "\\");
                assert_eq!(value(&text).unwrap(), Value::String(expected));
            }
        }
    }

    #[test]
    fn malformed_text_is_an_error_with_its_place() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\"1}", 4),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("tru", 0),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("{} x", 3),
        ] {
            let error = Cursor::new(text.as_bytes(), 8).value().and_then(|_| {
                let mut cursor = Cursor::new(text.as_bytes(), 8);
                cursor.value()?;
                cursor.end()
            });
            assert_eq!(error.unwrap_err().offset(), Some(at), "{text}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(value(&nested(8)).is_ok());
        for text in [nested(9), "[".repeat(100_000), "{\"a\":".repeat(100_000)] {
            let error = Cursor::new(text.as_bytes(), 8).value().unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Depth { limit: 8 });
            let error = Cursor::new(text.as_bytes(), 8).skip().unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Depth { limit: 8 });
        }
    }
}
