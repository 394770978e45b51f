//! Bodies of EXCEPTION messages, in Thrift and in Kitex-Protobuf, and the codes in them (spec 1.6, 4).

use bytes::{BufMut, BytesMut};
use nom::Parser;

use crate::{
    DecodeError, EncodeError, MAX_DEPTH, Skipper, TType,
    binary::{FieldHeader, Writer},
    grammar::{FromEnd, Parsed, array, bytes, field_header, run, string},
};

/// No code was given.
pub const UNKNOWN: i32 = 0;
/// The service is there, the method is not in it.
pub const UNKNOWN_METHOD: i32 = 1;
/// The message type is not one that is expected here.
pub const INVALID_MESSAGE_TYPE: i32 = 2;
/// The reply names another method.
pub const WRONG_METHOD_NAME: i32 = 3;
/// The reply has another seqid.
pub const BAD_SEQUENCE_ID: i32 = 4;
/// The reply holds neither a result nor an exception.
pub const MISSING_RESULT: i32 = 5;
/// The handler, or what stands before it, failed.
pub const INTERNAL_ERROR: i32 = 6;
/// The arguments could not be decoded.
pub const PROTOCOL_ERROR: i32 = 7;
/// The transform is not one that is spoken here.
pub const INVALID_TRANSFORM: i32 = 8;
/// The body is in another codec than the method's.
pub const INVALID_PROTOCOL: i32 = 9;
/// The caller is of a kind that is not served.
pub const UNSUPPORTED_CLIENT_TYPE: i32 = 10;
/// Kitex: no service could be found for the call. Also said of an unknown method where no service name travelled.
pub const UNKNOWN_SERVICE: i32 = 20;
/// Kitex: the call names no service. Defined there and never sent.
pub const NO_SERVICE_NAME: i32 = 21;

/// The body of a Thrift EXCEPTION message, borrowed from it (spec 1.6).
///
/// ```text
/// 0B 0001 <length> <message>   field 1, STRING
/// 08 0002 <code>               field 2, I32
/// 00                           STOP
/// ```
///
/// Codes are open: a handler may choose one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplicationException<'a> {
    /// What happened, in words, as its bytes are; no encoding is promised.
    pub message: &'a [u8],
    /// What happened, as a number.
    pub code: i32,
}

impl<'a> ApplicationException<'a> {
    /// An exception to be written.
    #[must_use]
    pub const fn new(code: i32, message: &'a [u8]) -> Self {
        Self { message, code }
    }

    /// Reads an exception off the front of `body`: fields in any order, unknown ones passed over, the last of two
    /// counting, a missing message empty, a missing code 0. What follows the struct is not looked at, as in Kitex.
    ///
    /// # Errors
    ///
    /// What is wrong, with its offset in `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        run(application_exception, body).map(|(_, exception)| exception)
    }

    /// Length of the struct as [`encode`](Self::encode) writes it, in bytes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.message.len().saturating_add(15)
    }

    /// Appends the struct to `dst`: both fields, in this order, even when empty, as Kitex writes it.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when the message has more bytes than its length can say.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        dst.reserve(self.encoded_len());
        let len = dst.len();
        let mut writer = Writer::new(dst);
        writer.field_header(MESSAGE);
        if let Err(error) = writer.bytes(self.message) {
            dst.truncate(len);
            return Err(error);
        }
        writer.field_header(CODE);
        writer.i32(self.code);
        writer.stop();
        Ok(())
    }
}

/// The body of a Kitex-Protobuf EXCEPTION message, borrowed from it (spec 4).
///
/// ```text
/// message ErrorProto { int32 TypeID = 1; string Message = 2; }
/// ```
///
/// The codes are those of [`ApplicationException`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorProto<'a> {
    /// What happened, in words, as its bytes are; no encoding is promised.
    pub message: &'a [u8],
    /// What happened, as a number.
    pub code: i32,
}

impl<'a> ErrorProto<'a> {
    /// An error to be written.
    #[must_use]
    pub const fn new(code: i32, message: &'a [u8]) -> Self {
        Self { message, code }
    }

    /// Reads all of `body`: fields in any order, unknown ones passed over, the last of two counting, a missing message
    /// empty, a missing code 0.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] and [`DecodeError::NotProtobuf`], with the offset in `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        run(error_proto, body).map(|(_, error)| error)
    }

    /// Length of the message as [`encode`](Self::encode) writes it, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let code_len = if self.code == 0 { 0 } else { varint_len(sign_extended(self.code)).saturating_add(1) };
        match self.message.len() {
            0 => code_len,
            len => code_len.saturating_add(1).saturating_add(varint_len(to_u64(len))).saturating_add(len),
        }
    }

    /// Appends the message to `dst`; an empty text and a code of 0 are left out, as proto3 has it.
    pub fn encode(&self, dst: &mut BytesMut) {
        dst.reserve(self.encoded_len());
        if self.code != 0 {
            dst.put_u8(CODE_TAG);
            put_varint(dst, sign_extended(self.code));
        }
        if !self.message.is_empty() {
            dst.put_u8(MESSAGE_TAG);
            put_varint(dst, to_u64(self.message.len()));
            dst.put_slice(self.message);
        }
    }
}

const MESSAGE: FieldHeader = FieldHeader { ttype: TType::STRING, id: 1 };
const CODE: FieldHeader = FieldHeader { ttype: TType::I32, id: 2 };

fn application_exception(input: &[u8]) -> Parsed<'_, ApplicationException<'_>> {
    let mut exception = ApplicationException::new(UNKNOWN, &[]);
    let mut rest = input;
    loop {
        let (value, header) = field_header(rest)?;
        rest = match header.map(|(ttype, id)| FieldHeader { ttype, id }) {
            None => return Ok((value, exception)),
            Some(MESSAGE) => {
                let (rest, message) = string(value)?;
                exception.message = message;
                rest
            }
            Some(CODE) => {
                let (rest, code) = array("code").map(i32::from_be_bytes).parse(value)?;
                exception.code = code;
                rest
            }
            Some(FieldHeader { ttype: ttype @ TType(actual), .. }) if !ttype.is_value() && ttype != TType::VOID => {
                return Err(FromEnd::at(rest, |offset| DecodeError::UnknownType {
                    field: "field type",
                    offset,
                    actual,
                }));
            }
            Some(FieldHeader { ttype, .. }) => unknown(ttype, value)?.0,
        };
    }
}

/// A value that nobody asked for. The exception itself is the first level.
fn unknown(ttype: TType, input: &[u8]) -> Parsed<'_, ()> {
    let mut skipper = Skipper::new(ttype).with_max_depth(MAX_DEPTH.saturating_sub(1));
    let from_end = |error: DecodeError| {
        nom::Err::Error(FromEnd::new(error.map_offset(|offset| input.len().saturating_sub(offset))))
    };
    match skipper.skip(input).map_err(from_end)? {
        Some(len) => Ok((input.get(len..).unwrap_or_default(), ())),
        None => Err(from_end(skipper.truncated())),
    }
}

const CODE_TAG: u8 = 0x08;
const MESSAGE_TAG: u8 = 0x12;

/// Protobuf's wire types, the low three bits of a tag. Groups, 3 and 4, are gone from proto3.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

fn error_proto(input: &[u8]) -> Parsed<'_, ErrorProto<'_>> {
    let mut error = ErrorProto::new(UNKNOWN, &[]);
    let mut rest = input;
    while !rest.is_empty() {
        let (value, tag) = varint("tag", rest)?;
        // A number of 0 does not exist, and none has more than 29 bits.
        if !(8..1 << 32).contains(&tag) {
            return Err(not_protobuf("tag", rest, tag));
        }
        rest = match tag & 7 {
            VARINT => {
                let (rest, number) = varint("varint", value)?;
                if tag == u64::from(CODE_TAG) {
                    error.code = low_half(number);
                }
                rest
            }
            LENGTH_DELIMITED => {
                let (rest, len) = varint("length", value)?;
                let (rest, text) = bytes("bytes", usize::try_from(len).unwrap_or(usize::MAX)).parse(rest)?;
                if tag == u64::from(MESSAGE_TAG) {
                    error.message = text;
                }
                rest
            }
            FIXED64 => bytes("fixed64", 8).parse(value)?.0,
            FIXED32 => bytes("fixed32", 4).parse(value)?.0,
            _ => return Err(not_protobuf("tag", rest, tag)),
        };
    }
    Ok((rest, error))
}

fn varint<'a>(name: &'static str, input: &'a [u8]) -> Parsed<'a, u64> {
    let mut value = 0;
    let mut rest = input;
    for shift in (0..u64::BITS).step_by(7) {
        let Some((&byte, after)) = rest.split_first() else {
            let have = input.len();
            return Err(FromEnd::truncated(input, name, have.saturating_add(1)));
        };
        rest = after;
        // Of the tenth byte one bit is left; Protobuf lets the others go.
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte < 0x80 {
            return Ok((rest, value));
        }
    }
    Err(not_protobuf(name, input, value))
}

fn not_protobuf(field: &'static str, at: &[u8], actual: u64) -> nom::Err<FromEnd> {
    FromEnd::at(at, |offset| DecodeError::NotProtobuf { field, offset, actual })
}

fn put_varint(dst: &mut BytesMut, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return dst.put_u8(low & 0x7f);
        }
        dst.put_u8(low | 0x80);
    }
}

const fn varint_len(value: u64) -> usize {
    let mut len = 1_usize;
    let mut rest = value >> 7;
    while rest > 0 {
        len = len.saturating_add(1);
        rest >>= 7;
    }
    len
}

/// A negative int32 is written as the int64 of the same value, in ten bytes.
fn sign_extended(code: i32) -> u64 {
    u64::from_ne_bytes(i64::from(code).to_ne_bytes())
}

/// The int32 that a varint stands for: its low 32 bits.
fn low_half(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
