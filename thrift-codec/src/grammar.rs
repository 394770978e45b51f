//! What the `nom` parsers of this crate share: an error that keeps field and offset, and the terminals.

use nom::{
    Err, IResult, Parser,
    error::{ErrorKind, ParseError},
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

    #[cold]
    pub(crate) fn truncated(rest: &[u8], field: &'static str, expected: usize) -> Err<Self> {
        Self::at(rest, |offset| DecodeError::Truncated { field, offset, expected, actual: rest.len() })
    }
}

impl ParseError<&[u8]> for FromEnd {
    fn from_error_kind(rest: &[u8], _: ErrorKind) -> Self {
        // None of `nom`'s own parsers is used that could fail; those below say what they miss.
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

/// `N` bytes called `name`. `nom`'s own numbers are put together byte by byte, and take several times as long.
#[inline]
pub(crate) fn array<'a, const N: usize>(
    name: &'static str,
) -> impl Parser<&'a [u8], Output = [u8; N], Error = FromEnd> {
    move |input: &'a [u8]| match input.split_first_chunk() {
        Some((bytes, rest)) => Ok((rest, *bytes)),
        None => Err(FromEnd::truncated(input, name, N)),
    }
}

/// A signed length of four bytes that must not be negative, nor more than `max`.
#[inline]
pub(crate) fn length<'a>(name: &'static str, max: usize) -> impl Parser<&'a [u8], Output = usize, Error = FromEnd> {
    move |input: &'a [u8]| {
        let (rest, len) = array(name).map(i32::from_be_bytes).parse(input)?;
        let Ok(len) = usize::try_from(len) else {
            return Err(FromEnd::at(input, |offset| DecodeError::Negative { field: name, offset, actual: len }));
        };
        if len > max {
            return Err(FromEnd::at(input, |offset| DecodeError::TooLong { field: name, offset, max, actual: len }));
        }
        Ok((rest, len))
    }
}

/// `len` bytes called `name`.
#[inline]
pub(crate) fn bytes<'a>(name: &'static str, len: usize) -> impl Parser<&'a [u8], Output = &'a [u8], Error = FromEnd> {
    move |input: &'a [u8]| match input.split_at_checked(len) {
        Some((bytes, rest)) => Ok((rest, bytes)),
        None => Err(FromEnd::truncated(input, name, len)),
    }
}

/// A length-prefixed string (spec 1.7).
#[inline]
pub(crate) fn string(input: &[u8]) -> Parsed<'_, &[u8]> {
    length("string length", usize::MAX).flat_map(|len| bytes("string", len)).parse(input)
}

/// A field header; `None` for STOP.
#[inline]
pub(crate) fn field_header(input: &[u8]) -> Parsed<'_, Option<(TType, i16)>> {
    let (rest, ttype) = array("field type").map(|[ttype]| TType(ttype)).parse(input)?;
    if ttype == TType::STOP {
        return Ok((rest, None));
    }
    array("field id").map(|id| Some((ttype, i16::from_be_bytes(id)))).parse(rest)
}
