//! The grammar of INFO from `nom`'s own leaves, which `ttheader` would use if they cost nothing.

use nom::{
    IResult, Parser,
    bytes::complete::take,
    error::{ErrorKind, ParseError},
    number::complete::{be_u8, be_u16},
};
use ttheader::Head;

/// What is wrong, and where.
#[derive(Debug)]
struct Short {
    field: &'static str,
    expected: usize,
    left: usize,
}

impl ParseError<&[u8]> for Short {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { field: "", expected: 0, left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// As `plain::parse_with_offsets`, less the offsets of values.
#[inline(never)]
pub fn parse<'a>(
    wire: &'a [u8],
    string: impl FnMut(&'a [u8], &'a [u8]),
    int: impl FnMut(u16, &'a [u8]),
) -> Option<Head> {
    let head = Head::peek(wire).ok()??;
    let block = wire.get(14..head.payload_offset())?;
    match info(block, string, int) {
        Ok(_) => Some(head),
        Err(error) => {
            if let nom::Err::Error(Short { field, expected, left }) = error {
                std::hint::black_box((field, expected, left));
            }
            None
        }
    }
}

#[inline(always)]
fn info<'a>(
    input: &'a [u8],
    mut string: impl FnMut(&'a [u8], &'a [u8]),
    mut int: impl FnMut(u16, &'a [u8]),
) -> IResult<&'a [u8], (), Short> {
    let (input, (_id, transforms)) = (be_u8, be_u8).parse(input)?;
    let (mut input, _) = named("transform ids", transforms.into(), take(transforms))(input)?;
    while let Some((id, rest)) = input.split_first() {
        input = rest;
        match id {
            0x00 => {}
            0x01 => {
                let (rest, count) = named("INFO count", 2, be_u16)(input)?;
                input = rest;
                for _ in 0..count {
                    let (rest, key) = text("INFO key length", "INFO key")(input)?;
                    let (rest, value) = text("INFO value length", "INFO value")(rest)?;
                    input = rest;
                    string(key, value);
                }
            }
            0x10 => {
                let (rest, count) = named("INFO count", 2, be_u16)(input)?;
                input = rest;
                for _ in 0..count {
                    let (rest, key) = named("INFO int key", 2, be_u16)(input)?;
                    let (rest, value) = text("INFO value length", "INFO value")(rest)?;
                    input = rest;
                    int(key, value);
                }
            }
            0x11 => {
                let (rest, _) = text("ACL token length", "ACL token")(input)?;
                input = rest;
            }
            _ => return Err(nom::Err::Error(Short { field: "INFO ID", expected: 1, left: input.len() })),
        }
    }
    Ok((input, ()))
}

#[inline(always)]
fn text<'a>(
    len_field: &'static str,
    field: &'static str,
) -> impl FnMut(&'a [u8]) -> IResult<&'a [u8], &'a [u8], Short> {
    move |input| {
        let (rest, len) = named(len_field, 2, be_u16)(input)?;
        named(field, len.into(), take(len))(rest)
    }
}

#[inline(always)]
fn named<'a, O>(
    field: &'static str,
    expected: usize,
    mut parser: impl Parser<&'a [u8], Output = O, Error = Short>,
) -> impl FnMut(&'a [u8]) -> IResult<&'a [u8], O, Short> {
    move |input| parser.parse(input).map_err(|error| error.map(|short| Short { field, expected, ..short }))
}
