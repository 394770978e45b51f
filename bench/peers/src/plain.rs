//! The same work by hand: safe Rust with the same checks, as one would write it for this one purpose, without
//! resuming, offsets in errors, or an interface that anybody else could use.

use bytes::{Buf, Bytes, BytesMut};
use thrift_codec::{ApplicationException, DecodeError, MessageHeader, MessageType, Skipper, TType, Version};

/// What is wrong with a struct.
#[derive(Debug, PartialEq)]
pub enum SkipError {
    /// It ends too early.
    Short,
    /// A length or count is negative.
    Negative,
    /// A type is unknown.
    Type,
    /// It is nested too deep.
    Deep,
}

#[derive(Clone, Copy)]
enum Level {
    Struct,
    List { element: u8, left: u32 },
    Map { key: u8, value: u8, left: u32, at_value: bool },
}

/// Length of the struct `src` begins with.
pub fn skip_struct(src: &[u8]) -> Result<usize, SkipError> {
    let mut stack = [Level::Struct; 64];
    let mut depth = 1;
    let mut pos = 0;
    while depth > 0 {
        let ttype = match &mut stack[depth - 1] {
            Level::Struct => {
                let ttype = *src.get(pos).ok_or(SkipError::Short)?;
                if ttype == 0 {
                    pos += 1;
                    depth -= 1;
                    continue;
                }
                pos += 3;
                ttype
            }
            Level::List { left: 0, .. } | Level::Map { left: 0, at_value: false, .. } => {
                depth -= 1;
                continue;
            }
            Level::List { element, left } => {
                *left -= 1;
                *element
            }
            Level::Map { value, at_value: at_value @ true, .. } => {
                *at_value = false;
                *value
            }
            Level::Map { key, left, at_value, .. } => {
                *left -= 1;
                *at_value = true;
                *key
            }
        };
        let inner = match ttype {
            2 | 3 => {
                pos += 1;
                continue;
            }
            6 => {
                pos += 2;
                continue;
            }
            8 => {
                pos += 4;
                continue;
            }
            4 | 10 => {
                pos += 8;
                continue;
            }
            11 => {
                pos += 4 + count(src, pos)? as usize;
                continue;
            }
            12 => Level::Struct,
            14 | 15 => {
                let element = *src.get(pos).ok_or(SkipError::Short)?;
                let left = count(src, pos + 1)?;
                pos += 5;
                if left > 0 && fixed_len(element) > 0 {
                    pos += left as usize * fixed_len(element);
                    Level::List { element, left: 0 }
                } else {
                    Level::List { element, left }
                }
            }
            13 => {
                let key = *src.get(pos).ok_or(SkipError::Short)?;
                let value = *src.get(pos + 1).ok_or(SkipError::Short)?;
                let left = count(src, pos + 2)?;
                pos += 6;
                if left > 0 && fixed_len(key) > 0 && fixed_len(value) > 0 {
                    pos += left as usize * (fixed_len(key) + fixed_len(value));
                    Level::Map { key, value, left: 0, at_value: false }
                } else {
                    Level::Map { key, value, left, at_value: false }
                }
            }
            _ => return Err(SkipError::Type),
        };
        *stack.get_mut(depth).ok_or(SkipError::Deep)? = inner;
        depth += 1;
    }
    if pos <= src.len() { Ok(pos) } else { Err(SkipError::Short) }
}

fn count(src: &[u8], pos: usize) -> Result<u32, SkipError> {
    let bytes = src.get(pos..pos + 4).ok_or(SkipError::Short)?;
    let count = i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    u32::try_from(count).map_err(|_| SkipError::Negative)
}

fn fixed_len(ttype: u8) -> usize {
    match ttype {
        2 | 3 => 1,
        6 => 2,
        8 => 4,
        4 | 10 => 8,
        _ => 0,
    }
}

/// The frame that `src` begins with, if it is all there.
#[inline]
pub fn split_frame(src: &mut BytesMut, max: usize) -> Result<Option<Bytes>, usize> {
    if src.len() < 4 {
        return Ok(None);
    }
    let len = u32::from_be_bytes([src[0], src[1], src[2], src[3]]) as usize;
    if len > max {
        return Err(len);
    }
    if src.len() < 4 + len {
        return Ok(None);
    }
    src.advance(4);
    Ok(Some(src.split_to(len).freeze()))
}

/// The envelope of a message, by a cursor; errors as the crate's.
#[inline]
pub fn envelope(message: &[u8]) -> Result<MessageHeader<'_>, DecodeError> {
    let mut at = Cursor { src: message, pos: 0 };
    let version = Version(u16::from_be_bytes(at.array("version")?));
    match (message[0], version) {
        (_, Version::THRIFT | Version::KITEX_PROTOBUF) => {}
        (0x82, _) => return Err(DecodeError::Compact { offset: 0 }),
        (0, _) => return Err(DecodeError::Unversioned { offset: 0 }),
        _ => return Err(DecodeError::BadVersion { offset: 0, expected: 0x8001, actual: version.0 }),
    }
    let message_type = MessageType(u16::from_be_bytes(at.array("message type")?));
    let name = at.bytes("method name length", "method name")?;
    let seqid = i32::from_be_bytes(at.array("seqid")?);
    Ok(MessageHeader::new(version, message_type, name, seqid))
}

/// An exception, by a cursor; errors as the crate's.
#[inline]
pub fn application_exception(body: &[u8]) -> Result<ApplicationException<'_>, DecodeError> {
    let mut at = Cursor { src: body, pos: 0 };
    let mut exception = ApplicationException::new(0, &[]);
    loop {
        let [ttype] = at.array("field type")?;
        if ttype == 0 {
            return Ok(exception);
        }
        match (ttype, i16::from_be_bytes(at.array("field id")?)) {
            (11, 1) => exception.message = at.bytes("string length", "string")?,
            (8, 2) => exception.code = i32::from_be_bytes(at.array("code")?),
            _ => {
                let mut skipper = Skipper::new(TType(ttype)).with_max_depth(63);
                let rest = &body[at.pos..];
                match skipper.skip(rest).map_err(|error| error.shifted(at.pos))? {
                    Some(len) => at.pos += len,
                    None => return Err(skipper.truncated().shifted(at.pos)),
                }
            }
        }
    }
}

struct Cursor<'a> {
    src: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some(bytes) = self.src[self.pos..].first_chunk() else {
            return Err(self.truncated(field, N));
        };
        self.pos += N;
        Ok(*bytes)
    }

    fn bytes(&mut self, length: &'static str, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let offset = self.pos;
        let len = i32::from_be_bytes(self.array(length)?);
        let Ok(len) = usize::try_from(len) else {
            return Err(DecodeError::Negative { field: length, offset, actual: len });
        };
        let Some(bytes) = self.src[self.pos..].get(..len) else {
            return Err(self.truncated(field, len));
        };
        self.pos += len;
        Ok(bytes)
    }

    fn truncated(&self, field: &'static str, expected: usize) -> DecodeError {
        DecodeError::Truncated { field, offset: self.pos, expected, actual: self.src.len() - self.pos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages;

    #[test]
    fn skips_what_the_crate_skips() {
        for src in [
            messages::records(1024),
            messages::orders(1024),
            messages::scalars(1024),
            messages::texts(1024),
            messages::blob(1024),
        ] {
            assert_eq!(skip_struct(&src), Ok(src.len()));
            assert_eq!(thrift_codec::skip_struct(&src), Ok(src.len()));
            for cut in 0..src.len() {
                assert!(skip_struct(&src[..cut]).is_err());
            }
        }
    }
}
