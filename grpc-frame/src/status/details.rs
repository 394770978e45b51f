use bytes::{BufMut, BytesMut};

use super::{Code, DETAILS};
use crate::DecodeError;

/// `google.rpc.Status`, borrowed from its protobuf: what `grpc-status-details-bin` holds behind base64.
///
/// ```text
/// message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
/// ```
///
/// Details are left as they are; `prost-types` and its like read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcStatus<'a> {
    /// The code, once more.
    pub code: Code,
    /// The text, once more.
    pub message: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> RpcStatus<'a> {
    /// Reads all of `bytes`: fields in any order, unknown ones passed over, the last of two counting.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] and [`DecodeError::Malformed`], with the offset in `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut status = Self { code: Code::OK, message: &[], bytes };
        let mut reader = Reader { all: bytes, rest: bytes };
        while let Some((number, value)) = reader.field()? {
            match (number, value) {
                (1, Value::Varint(code)) => status.code = Code(low_32_bits(code)),
                (2, Value::Bytes(message)) => status.message = message,
                _ => {}
            }
        }
        Ok(status)
    }

    /// The details, each the protobuf of a `google.protobuf.Any`.
    #[must_use]
    pub fn details(&self) -> Details<'a> {
        Details { reader: Reader { all: self.bytes, rest: self.bytes } }
    }

    /// Appends a `google.rpc.Status` to `dst`; each of `details` is the protobuf of a `google.protobuf.Any`.
    pub fn encode<'d>(code: Code, message: &[u8], details: impl IntoIterator<Item = &'d [u8]>, dst: &mut BytesMut) {
        if code != Code::OK {
            dst.put_u8(1 << 3 | VARINT);
            // Protobuf says a negative `int32` with the 64 bits of the same number.
            put_varint(dst, i64::from(code.0).cast_unsigned());
        }
        if !message.is_empty() {
            put_bytes(dst, 2, message);
        }
        for any in details {
            put_bytes(dst, 3, any);
        }
    }
}

/// The details of an [`RpcStatus`].
#[derive(Clone, Debug)]
pub struct Details<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Details<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // `RpcStatus::parse` has seen that every field is whole.
        while let Ok(Some((number, value))) = self.reader.field() {
            if let (3, Value::Bytes(any)) = (number, value) {
                return Some(any);
            }
        }
        None
    }
}

/// Takes protobuf fields off the front.
#[derive(Clone, Debug)]
struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of 32 or 64 bits, which `google.rpc.Status` has none of.
    Fixed,
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset();
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(DecodeError::malformed(DETAILS, self.all, offset, "a field number"));
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                // What an address cannot say is more than is left.
                Value::Bytes(self.bytes(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return Err(DecodeError::malformed(DETAILS, self.all, offset, "wire type 0, 1, 2 or 5")),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let offset = self.offset();
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.rest.split_first() else {
                let actual = self.all.len().saturating_sub(offset);
                let expected = actual.saturating_add(1);
                return Err(DecodeError::Truncated { field: DETAILS, offset, expected, actual });
            };
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::malformed(DETAILS, self.all, offset, "a varint of at most 10 bytes"))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            let (offset, actual) = (self.offset(), self.rest.len());
            return Err(DecodeError::Truncated { field: DETAILS, offset, expected: len, actual });
        };
        self.rest = rest;
        Ok(bytes)
    }

    fn offset(&self) -> usize {
        self.all.len().saturating_sub(self.rest.len())
    }
}

fn put_bytes(dst: &mut BytesMut, number: u8, bytes: &[u8]) {
    dst.put_u8(number << 3 | LEN);
    put_varint(dst, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    dst.put_slice(bytes);
}

fn put_varint(dst: &mut BytesMut, mut value: u64) {
    while value > 0x7f {
        dst.put_u8(low_7_bits(value) | 0x80);
        value >>= 7;
    }
    dst.put_u8(low_7_bits(value));
}

fn low_7_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

/// An `int32` is what its lowest 32 bits say.
fn low_32_bits(value: u64) -> i32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default().cast_signed()
}

const VARINT: u8 = 0;
const LEN: u8 = 2;
