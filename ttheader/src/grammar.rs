//! The grammar's leaves, as `nom` parsers that know which field they read.
//!
//! `nom` has a `be_u16` and a `take` of its own; they make a header of 14 entries twice as dear or
//! more, as builds go, and their errors name no field.

use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Parser};

use crate::DecodeError;

pub(crate) type Parsed<'a, O> = IResult<&'a [u8], O, Short>;

/// A field that runs past the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    field: &'static str,
    expected: usize,
    /// Bytes from the field's start to the end of the input, whose offset the caller knows.
    left: usize,
}

impl ParseError<&[u8]> for Short {
    /// Asked for by `nom`'s own leaves, of which there are none here.
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { field: "header", expected: 1, left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Input that is read from its front, and whose end has a known offset in the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Input<'a> {
    /// `bytes`, whose first one has this offset in the frame.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset.saturating_add(bytes.len()) }
    }

    /// Takes off the front what the parser recognises.
    #[inline(always)]
    pub(crate) fn take<O>(
        &mut self,
        mut parser: impl Parser<&'a [u8], Output = O, Error = Short>,
    ) -> Result<O, DecodeError> {
        match parser.parse(self.rest) {
            Ok((rest, output)) => {
                self.rest = rest;
                Ok(output)
            }
            Err(short) => Err(self.truncated(short)),
        }
    }

    /// Takes off the next byte; `None` at the end.
    #[inline]
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Where the next byte is in the frame.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    #[cold]
    fn truncated(&self, short: Err<Short>) -> DecodeError {
        let (Err::Error(Short { field, expected, left }) | Err::Failure(Short { field, expected, left })) = short
        else {
            return DecodeError::Truncated { field: "header", offset: self.end, expected: 1, actual: 0 };
        };
        DecodeError::Truncated { field, offset: self.end.saturating_sub(left), expected, actual: left }
    }
}

/// `2OCTET`, most significant first.
#[inline(always)]
pub(crate) fn number<'a>(field: &'static str) -> impl Parser<&'a [u8], Output = u16, Error = Short> {
    move |input: &'a [u8]| match input.split_first_chunk() {
        Some((bytes, rest)) => Ok((rest, u16::from_be_bytes(*bytes))),
        None => short(field, 2, input),
    }
}

/// `len OCTET`
#[inline(always)]
pub(crate) fn octets<'a>(field: &'static str, len: usize) -> impl Parser<&'a [u8], Output = &'a [u8], Error = Short> {
    move |input: &'a [u8]| match input.split_at_checked(len) {
        Some((bytes, rest)) => Ok((rest, bytes)),
        None => short(field, len, input),
    }
}

/// `string = number *OCTET`, the number being how many.
#[inline(always)]
pub(crate) fn string<'a>(
    len_field: &'static str,
    field: &'static str,
) -> impl Parser<&'a [u8], Output = &'a [u8], Error = Short> {
    number(len_field).flat_map(move |len| octets(field, usize::from(len)))
}

#[inline(always)]
fn short<'a, O>(field: &'static str, expected: usize, input: &'a [u8]) -> Parsed<'a, O> {
    Err(Err::Error(Short { field, expected, left: input.len() }))
}
