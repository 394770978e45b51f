//! What errors say.

use crate::descriptor::{Struct, Type};
use crate::error::{Error, ErrorKind};
use crate::json::scan::Scanner;
use crate::path::Step;

#[cold]
#[inline(never)]
pub(super) fn at_field(error: Error, structure: &Struct, index: usize) -> Error {
    match structure.fields.get(index) {
        Some(field) => error.inside(Step::Field(field.key.clone())),
        None => error,
    }
}

#[cold]
#[inline(never)]
pub(super) fn at_entry(error: Error, start: Scanner<'_>) -> Error {
    error.inside(Step::Entry(key_at(start)))
}

#[cold]
#[inline(never)]
pub(super) fn at_key(error: Error, start: Scanner<'_>) -> Error {
    error.inside(Step::Key(key_at(start)))
}

/// The key that is to be found here, as it stands in the text.
fn key_at(mut start: Scanner<'_>) -> Box<str> {
    start.peek();
    let raw = start.raw_string().map(|(raw, _)| raw).unwrap_or_default();
    shortened(raw)
}

/// A text for messages.
pub(in crate::json) fn shortened(text: &[u8]) -> Box<str> {
    const MOST: usize = 64;
    match text.get(..MOST) {
        Some(start) => format!("{}…", String::from_utf8_lossy(start).trim_end_matches('\u{fffd}')).into(),
        None => String::from_utf8_lossy(text).into(),
    }
}

#[cold]
#[inline(never)]
pub(super) fn no_value(expected: &'static str, text: &[u8], reason: &str, offset: usize) -> Error {
    Error::new(ErrorKind::Value { expected, found: shortened(text), reason: reason.into() }).at(offset)
}

#[cold]
pub(super) fn no_number(ty: Type, text: &[u8], reason: &str, offset: usize) -> Error {
    no_value(ty.name(), text, reason, offset)
}

/// In the words of Go's `strconv`.
#[cold]
pub(super) fn parse_error(expected: &'static str, function: &str, text: &[u8], reason: &str, offset: usize) -> Error {
    let found = shortened(text);
    no_value(expected, text, &format!("strconv.{function}: parsing {found:?}: {reason}"), offset)
}

#[cold]
#[inline(never)]
pub(super) fn dismatched(expected: &'static str, kitex: &str, found: &'static str, offset: usize) -> Error {
    Error::new(ErrorKind::Dismatched { expected, kitex: kitex.into(), found }).at(offset)
}

#[cold]
pub(super) fn too_long(field: &'static str, actual: usize) -> Error {
    let max = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
    Error::from(thrift_codec::EncodeError::TooLong { field, max, actual })
}
