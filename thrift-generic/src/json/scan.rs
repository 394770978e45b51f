//! A cursor on JSON text.

use super::number::{self, Number};
use super::text::{self, BadString, Fault};
use crate::error::{Error, ErrorKind};

/// What is left of a JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'j> {
    text: &'j [u8],
    pub(super) rest: &'j [u8],
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    List,
    Object,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// In the words of Kitex's Map mapping.
    pub(super) fn kitex(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool => "BOOL",
            Self::Number => "NUMBER",
            Self::String => "STRING",
            Self::List => "LIST",
            Self::Object => "STRUCT",
        }
    }
}

impl<'j> Scanner<'j> {
    pub(super) fn new(text: &'j [u8]) -> Self {
        Self { text, rest: text }
    }

    /// Bytes in front of the cursor.
    pub(super) fn offset(&self) -> usize {
        self.text.len().wrapping_sub(self.rest.len())
    }

    /// The text from `offset` up to the cursor.
    pub(super) fn since(&self, offset: usize) -> &'j [u8] {
        self.text.get(offset..self.offset()).unwrap_or_default()
    }

    /// The first byte that is no white space; it stays.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn peek(&mut self) -> Option<u8> {
        match self.rest.first() {
            Some(&byte) if byte > b' ' => Some(byte),
            _ => self.peek_further(),
        }
    }

    #[inline(never)]
    fn peek_further(&mut self) -> Option<u8> {
        while let Some((&byte, after)) = self.rest.split_first() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.rest = after;
        }
        None
    }

    /// Passes one byte.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn pass(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Passes this byte, after white space.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Error> {
        if self.peek() != Some(byte) {
            return Err(self.syntax(name));
        }
        self.pass();
        Ok(())
    }

    /// After a value: passes a comma, and white space behind it, and gives `true`; or passes `end`, and gives `false`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn another(&mut self, end: u8, name: &'static str) -> Result<bool, Error> {
        match self.peek() {
            Some(b',') => {
                self.pass();
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.pass();
                Ok(false)
            }
            _ => Err(self.syntax(name)),
        }
    }

    /// Passes a word.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn word(&mut self, word: &'static [u8]) -> Result<(), Error> {
        match self.rest.strip_prefix(word) {
            Some(after) => {
                self.rest = after;
                Ok(())
            }
            None => Err(self.syntax("a value")),
        }
    }

    /// What kind of value comes next. Words are known by their first letter.
    pub(super) fn kind(&mut self) -> Result<Kind, Error> {
        match self.peek() {
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'"') => Ok(Kind::String),
            Some(b'[') => Ok(Kind::List),
            Some(b'{') => Ok(Kind::Object),
            _ => Err(self.syntax("a value")),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, Error> {
        if self.peek() == Some(b't') {
            return self.word(b"true").map(|()| true);
        }
        self.word(b"false").map(|()| false)
    }

    /// A number.
    pub(super) fn number(&mut self) -> Result<Number<'j>, Error> {
        let Some((number, rest)) = number::number(self.rest) else { return Err(self.syntax("a number")) };
        self.rest = rest;
        Ok(number)
    }

    /// A string as it stands between its quotes, and whether there are escapes in it.
    #[inline]
    pub(super) fn raw_string(&mut self) -> Result<(&'j [u8], bool), Error> {
        self.expect(b'"', "a string")?;
        let Some((raw, escaped, rest)) = text::raw_string(self.rest) else {
            self.rest = self.rest.get(self.rest.len()..).unwrap_or_default();
            return Err(self.syntax("the end of a string"));
        };
        self.rest = rest;
        Ok((raw, escaped))
    }

    /// Passes a value of any kind.
    pub(super) fn skip(&mut self, depth: usize, limit: usize) -> Result<(), Error> {
        match self.kind()? {
            Kind::Null => self.word(b"null"),
            Kind::Bool => self.boolean().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::String => self.raw_string().map(drop),
            Kind::List => {
                let depth = self.deeper(depth, limit)?;
                self.pass();
                if self.peek() == Some(b']') {
                    self.pass();
                    return Ok(());
                }
                loop {
                    self.skip(depth, limit)?;
                    if !self.another(b']', COMMA_OR_BRACKET)? {
                        return Ok(());
                    }
                }
            }
            Kind::Object => {
                let depth = self.deeper(depth, limit)?;
                self.pass();
                if self.peek() == Some(b'}') {
                    self.pass();
                    return Ok(());
                }
                loop {
                    self.raw_string()?;
                    self.expect(b':', "a colon")?;
                    self.skip(depth, limit)?;
                    if !self.another(b'}', COMMA_OR_BRACE)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// One level deeper, of which there are `depth` left of `limit`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn deeper(&self, depth: usize, limit: usize) -> Result<usize, Error> {
        match depth.checked_sub(1) {
            Some(depth) => Ok(depth),
            None => Err(Error::new(ErrorKind::Depth { limit }).at(self.offset())),
        }
    }

    /// Something else was to come.
    #[cold]
    #[inline(never)]
    pub(super) fn syntax(&mut self, expected: &'static str) -> Error {
        let found = match self.peek() {
            None => "the end of the text".into(),
            Some(byte) if byte.is_ascii_graphic() => format!("{:?}", char::from(byte)),
            Some(byte) => format!("byte {byte:#04x}"),
        };
        Error::new(ErrorKind::Syntax { expected, found: found.into() }).at(self.offset())
    }

    /// A string that is none.
    #[cold]
    #[inline(never)]
    pub(super) fn bad_string(&mut self, bad: BadString<'j>) -> Error {
        self.rest = bad.rest;
        match bad.fault {
            Fault::End => self.syntax("the end of a string"),
            Fault::Escape => self.syntax("an escape (invalid escape char)"),
            Fault::Surrogate => self.syntax("a surrogate pair (invalid unicode escape)"),
        }
    }
}

pub(super) const COMMA_OR_BRACKET: &str = "',' or ']'";
pub(super) const COMMA_OR_BRACE: &str = "',' or '}'";
