//! The same work by hand: safe Rust with the same checks, for this one purpose.

use bytes::{Bytes, BytesMut};
use ttheader::IntKey;

/// Reads a header: LENGTH, FLAGS and SEQUENCE NUMBER, or that it is none. No field, no offset, no value in between.
#[inline(never)]
pub fn parse<'a>(
    wire: &'a [u8],
    mut string: impl FnMut(&'a [u8], &'a [u8]),
    mut int: impl FnMut(u16, &'a [u8]),
) -> Option<(u32, u16, i32)> {
    let length = u32::from_be_bytes(wire.get(..4)?.try_into().ok()?);
    let block_len = number(wire, 12)? * 4;
    if number(wire, 4)? != 0x1000 || block_len == 0 || (length as usize) < 10 + block_len {
        return None;
    }
    let block = wire.get(14..14 + block_len)?;
    if !matches!(block.first()?, 0x00 | 0x03 | 0x04 | 0x10 | 0x11) {
        return None;
    }
    let mut at = 2 + usize::from(*block.get(1)?);
    if at > block.len() {
        return None;
    }
    while let Some(id) = block.get(at) {
        at += 1;
        match id {
            0x00 => {}
            0x01 => {
                let count = number(block, at)?;
                at += 2;
                for _ in 0..count {
                    let key = text(block, &mut at)?;
                    string(key, text(block, &mut at)?);
                }
            }
            0x10 => {
                let count = number(block, at)?;
                at += 2;
                for _ in 0..count {
                    let key = number(block, at)? as u16;
                    at += 2;
                    int(key, text(block, &mut at)?);
                }
            }
            0x11 => _ = text(block, &mut at)?,
            _ => return None,
        }
    }
    Some((length, number(wire, 6)? as u16, i32::from_be_bytes(wire.get(8..12)?.try_into().ok()?)))
}

/// Gives an int key another value on the way from `wire` to `dst`, which is empty.
#[inline(never)]
pub fn change_int(wire: &[u8], key: u16, value: &[u8], payload_len: usize, dst: &mut BytesMut) -> Option<()> {
    let (mut old, mut end) = (None, None);
    parse(
        wire,
        |_, _| {},
        |k, v| {
            if k == key {
                old = Some(v);
            }
            // The int keys come last, here.
            end = Some(v.as_ptr_range().end.addr());
        },
    )?;
    let old = old?.as_ptr_range();
    let offset = |address: usize| address - wire.as_ptr().addr();
    dst.reserve(wire.len() + value.len() + 4);
    dst.extend_from_slice(wire.get(..offset(old.start.addr()) - 2)?);
    dst.extend_from_slice(&(value.len() as u16).to_be_bytes());
    dst.extend_from_slice(value);
    dst.extend_from_slice(wire.get(offset(old.end.addr())..offset(end?))?);
    let block_len = (dst.len() - 14).next_multiple_of(4);
    dst.resize(14 + block_len, 0);
    dst[..4].copy_from_slice(&((10 + block_len + payload_len) as u32).to_be_bytes());
    dst[12..14].copy_from_slice(&((block_len / 4) as u16).to_be_bytes());
    Some(())
}

/// What `Vec` and `BytesMut` have in common.
pub trait Buffer {
    fn put(&mut self, bytes: &[u8]);
    fn bytes(&mut self) -> &mut [u8];
}

impl Buffer for Vec<u8> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl Buffer for BytesMut {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// Writes a header into an empty buffer; nobody checks that the strings are short enough.
#[inline(never)]
pub fn encode(dst: &mut impl Buffer, strings: &[(&str, &str)], ints: &[(IntKey, &str)], payload_len: usize) {
    dst.put(&[0; 16]);
    dst.put(&[0x01]);
    dst.put(&(strings.len() as u16).to_be_bytes());
    for (key, value) in strings {
        dst.put(&(key.len() as u16).to_be_bytes());
        dst.put(key.as_bytes());
        dst.put(&(value.len() as u16).to_be_bytes());
        dst.put(value.as_bytes());
    }
    dst.put(&[0x10]);
    dst.put(&(ints.len() as u16).to_be_bytes());
    for (key, value) in ints {
        dst.put(&key.0.to_be_bytes());
        dst.put(&(value.len() as u16).to_be_bytes());
        dst.put(value.as_bytes());
    }
    while !(dst.bytes().len() - 14).is_multiple_of(4) {
        dst.put(&[0]);
    }
    let bytes = dst.bytes();
    let block_len = bytes.len() - 14;
    bytes[..4].copy_from_slice(&((10 + block_len + payload_len) as u32).to_be_bytes());
    bytes[4..6].copy_from_slice(&0x1000_u16.to_be_bytes());
    bytes[8..12].copy_from_slice(&7_i32.to_be_bytes());
    bytes[12..14].copy_from_slice(&((block_len / 4) as u16).to_be_bytes());
}

/// Takes one frame off the front, if it is whole and a TTHeader.
pub fn split_frame(src: &mut BytesMut, max: usize) -> Option<Bytes> {
    let length = u32::from_be_bytes(src.get(..4)?.try_into().ok()?) as usize;
    if number(src, 4)? != 0x1000 || length > max || src.len() < length + 4 {
        return None;
    }
    Some(src.split_to(length + 4).freeze())
}

/// What is wrong, and where.
#[derive(Debug)]
#[expect(dead_code, reason = "somebody would read it in a log")]
pub struct Short {
    field: &'static str,
    offset: usize,
    expected: usize,
    left: usize,
}

/// As [`parse`], with offsets of values and errors that name field and place, as `ttheader` had it before `nom`.
#[inline(never)]
pub fn parse_with_offsets<'a>(
    wire: &'a [u8],
    mut string: impl FnMut(&'a [u8], &'a [u8], usize),
    mut int: impl FnMut(u16, &'a [u8], usize),
) -> Result<(), Short> {
    let short = Short { field: "head", offset: 0, expected: 14, left: wire.len() };
    let Some(head) = wire.first_chunk::<14>() else { return Err(short) };
    let block_len = usize::from(u16::from_be_bytes([head[12], head[13]])) * 4;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    if head[4..6] != [0x10, 0x00] || block_len == 0 || (length as usize) < 10 + block_len {
        return Err(short);
    }
    let Some(block) = wire.get(14..14 + block_len) else { return Err(short) };
    let mut cursor = Cursor { rest: block, end: 14 + block_len };
    let [id, transforms] = cursor.array("PROTOCOL ID")?;
    if !matches!(id, 0x00 | 0x03 | 0x04 | 0x10 | 0x11) {
        return Err(short);
    }
    cursor.slice("transform ids", transforms.into())?;
    while let Some((id, rest)) = cursor.rest.split_first() {
        cursor.rest = rest;
        match id {
            0x00 => {}
            0x01 => {
                for _ in 0..cursor.number("INFO count")? {
                    let (key, _) = cursor.string("INFO key length", "INFO key")?;
                    let (value, at) = cursor.string("INFO value length", "INFO value")?;
                    string(key, value, at);
                }
            }
            0x10 => {
                for _ in 0..cursor.number("INFO count")? {
                    let key = cursor.number("INFO int key")?;
                    let (value, at) = cursor.string("INFO value length", "INFO value")?;
                    int(key, value, at);
                }
            }
            0x11 => _ = cursor.string("ACL token length", "ACL token")?,
            _ => return Err(Short { field: "INFO ID", ..short }),
        }
    }
    Ok(())
}

struct Cursor<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Short> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.short(field, N)) };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    fn number(&mut self, field: &'static str) -> Result<u16, Short> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    fn slice(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Short> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else { return Err(self.short(field, len)) };
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn string(&mut self, len_field: &'static str, field: &'static str) -> Result<(&'a [u8], usize), Short> {
        let len = self.number(len_field)?;
        let at = self.end - self.rest.len();
        Ok((self.slice(field, len.into())?, at))
    }

    #[cold]
    fn short(&self, field: &'static str, expected: usize) -> Short {
        Short { field, offset: self.end - self.rest.len(), expected, left: self.rest.len() }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn text<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = number(bytes, *at)?;
    let text = bytes.get(*at + 2..*at + 2 + len)?;
    *at += 2 + len;
    Some(text)
}
