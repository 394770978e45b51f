//! What the `nom` parsers of this crate share: an error that keeps field and offset, and the terminals.

use nom::{
    Err, IResult, Parser,
    bytes::complete::take,
    error::{ErrorKind, ParseError},
    number::complete::{be_i16, be_i32, u8 as byte},
};

use crate::{DecodeError, TType};

pub(crate) type Parsed<'a, O> = IResult<&'a [u8], O, FromEnd>;

/// An error whose offset is counted from the end of the input, because a `nom` parser sees only what is left of it.
/// [`run`], which knows the whole, turns it round.
#[derive(Debug)]
pub(crate) struct FromEnd(DecodeError);

impl FromEnd {
    /// `error` has its offset counted from the end already.
    pub(crate) fn new(error: DecodeError) -> Self {
        Self(error)
    }

    /// `error` gets the offset of the first byte of `rest`.
    pub(crate) fn at(rest: &[u8], error: impl FnOnce(usize) -> DecodeError) -> Err<Self> {
        Err::Error(Self(error(rest.len())))
    }

    pub(crate) fn truncated(rest: &[u8], field: &'static str, expected: usize) -> Err<Self> {
        Self::at(rest, |offset| DecodeError::Truncated { field, offset, expected, actual: rest.len() })
    }
}

impl ParseError<&[u8]> for FromEnd {
    fn from_error_kind(rest: &[u8], _: ErrorKind) -> Self {
        // The terminals below fail for want of bytes alone, and `field` puts the field's name and length in.
        Self(DecodeError::Truncated { field: "", offset: rest.len(), expected: 0, actual: rest.len() })
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Runs `parser` on the whole of `src`; an error's offset is that in `src`.
#[inline]
pub(crate) fn run<'a, O>(
    mut parser: impl Parser<&'a [u8], Output = O, Error = FromEnd>,
    src: &'a [u8],
) -> Result<(&'a [u8], O), DecodeError> {
    parser.parse(src).map_err(|error| match error {
        Err::Error(FromEnd(error)) | Err::Failure(FromEnd(error)) => {
            error.map_offset(|left| src.len().saturating_sub(left))
        }
        // All parsers here are `complete` ones, which never say so.
        Err::Incomplete(_) => DecodeError::Truncated { field: "", offset: src.len(), expected: 1, actual: 0 },
    })
}

/// A terminal of `len` bytes, called `name` where they are not all there.
#[inline]
pub(crate) fn field<'a, O>(
    name: &'static str,
    len: usize,
    mut terminal: impl Parser<&'a [u8], Output = O, Error = FromEnd>,
) -> impl Parser<&'a [u8], Output = O, Error = FromEnd> {
    move |input: &'a [u8]| terminal.parse(input).map_err(|_| FromEnd::truncated(input, name, len))
}

/// A signed length of four bytes that must not be negative, nor more than `max`.
#[inline]
pub(crate) fn length<'a>(name: &'static str, max: usize) -> impl Parser<&'a [u8], Output = usize, Error = FromEnd> {
    move |input: &'a [u8]| {
        let (rest, len) = field(name, 4, be_i32).parse(input)?;
        let Ok(len) = usize::try_from(len) else {
            return Err(FromEnd::at(input, |offset| DecodeError::Negative { field: name, offset, actual: len }));
        };
        if len > max {
            return Err(FromEnd::at(input, |offset| DecodeError::TooLong { field: name, offset, max, actual: len }));
        }
        Ok((rest, len))
    }
}

/// `len` bytes as they are.
#[inline]
pub(crate) fn bytes<'a>(name: &'static str, len: usize) -> impl Parser<&'a [u8], Output = &'a [u8], Error = FromEnd> {
    field(name, len, take(len))
}

/// A length-prefixed string (spec 1.7).
pub(crate) fn string(input: &[u8]) -> Parsed<'_, &[u8]> {
    length("string length", usize::MAX).flat_map(|len| bytes("string", len)).parse(input)
}

/// A field header; `None` for STOP.
pub(crate) fn field_header(input: &[u8]) -> Parsed<'_, Option<(TType, i16)>> {
    let (rest, ttype) = field("field type", 1, byte).map(TType).parse(input)?;
    if ttype == TType::STOP {
        return Ok((rest, None));
    }
    field("field id", 2, be_i16).map(|id| Some((ttype, id))).parse(rest)
}
