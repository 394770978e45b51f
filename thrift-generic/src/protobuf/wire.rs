//! Tags, varints, lengths.

use crate::error::{Error, ErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Len,
    StartGroup,
    EndGroup,
    Fixed32,
}

impl WireType {
    fn id(self) -> u32 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Len => 2,
            Self::StartGroup => 3,
            Self::EndGroup => 4,
            Self::Fixed32 => 5,
        }
    }

    fn from_id(id: u64) -> Option<Self> {
        Some(match id {
            0 => Self::Varint,
            1 => Self::Fixed64,
            2 => Self::Len,
            3 => Self::StartGroup,
            4 => Self::EndGroup,
            5 => Self::Fixed32,
            _ => return None,
        })
    }
}

/// A piece of the message that is read, and how far its first byte is from that of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// A value as it lies on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    /// A varint, or fixed bytes.
    Bits(u64),
    /// Bytes with a length, or those of a group.
    Bytes(Part<'a>),
}

/// Takes values off the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(Part<'a>);

impl<'a> Reader<'a> {
    pub(super) fn new(part: Part<'a>) -> Self {
        Self(part)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// Where the next byte is.
    pub(super) fn at(&self) -> usize {
        self.0.at
    }

    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        if let Some((&byte, rest)) = self.0.bytes.split_first()
            && byte < 0x80
        {
            self.0 = Part { bytes: rest, at: self.0.at.wrapping_add(1) };
            return Ok(byte.into());
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for (count, &byte) in (0_u32..10).zip(self.0.bytes) {
            // The tenth byte has one bit to give.
            if count == 9 && byte > 1 {
                return Err(self.error("a varint of more than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << count.wrapping_mul(7);
            if byte < 0x80 {
                let len = usize::try_from(count).unwrap_or_default().wrapping_add(1);
                self.take(len)?;
                return Ok(value);
            }
        }
        Err(self.error(if self.0.bytes.len() < 10 {
            "a varint without an end"
        } else {
            "a varint of more than 10 bytes"
        }))
    }

    /// The number and type of the next field.
    pub(super) fn tag(&mut self) -> Result<(u32, WireType), Error> {
        let start = *self;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or_else(|| start.error("a field number out of range"))?;
        let ty = WireType::from_id(tag & 7).ok_or_else(|| start.error("an unknown wire type"))?;
        Ok((number, ty))
    }

    /// The value behind a tag. Groups in a group count towards `max_depth`.
    pub(super) fn value(&mut self, number: u32, ty: WireType, max_depth: usize) -> Result<Raw<'a>, Error> {
        Ok(match ty {
            WireType::Varint => Raw::Bits(self.varint()?),
            WireType::Fixed64 => Raw::Bits(u64::from_le_bytes(self.array()?)),
            WireType::Fixed32 => Raw::Bits(u32::from_le_bytes(self.array()?).into()),
            WireType::Len => {
                let start = *self;
                let len = self.varint()?;
                let part = usize::try_from(len).ok().and_then(|len| self.take(len).ok());
                Raw::Bytes(part.ok_or_else(|| start.error("a length beyond the end"))?)
            }
            WireType::StartGroup => Raw::Bytes(self.group(number, max_depth)?),
            WireType::EndGroup => return Err(self.error("the end of a group that did not begin")),
        })
    }

    /// What lies in a group, up to its end, which is taken too.
    fn group(&mut self, number: u32, max_depth: usize) -> Result<Part<'a>, Error> {
        let start = *self;
        let mut open = vec![number];
        loop {
            let end = *self;
            let (number, ty) = self.tag()?;
            match ty {
                WireType::StartGroup if open.len() >= max_depth => {
                    return Err(Error::new(ErrorKind::Depth { limit: max_depth }).at(end.at()));
                }
                WireType::StartGroup => open.push(number),
                WireType::EndGroup => {
                    if open.pop() != Some(number) {
                        return Err(end.error("the end of another group"));
                    }
                    if open.is_empty() {
                        let len = start.0.bytes.len().saturating_sub(end.0.bytes.len());
                        let bytes = start.0.bytes.get(..len).unwrap_or_default();
                        return Ok(Part { bytes, at: start.0.at });
                    }
                }
                _ => _ = self.value(number, ty, max_depth)?,
            }
        }
    }

    /// Bits of this width, one after another, as a packed field has them.
    pub(super) fn bits(&mut self, ty: WireType) -> Result<u64, Error> {
        Ok(match ty {
            WireType::Fixed64 => u64::from_le_bytes(self.array()?),
            WireType::Fixed32 => u32::from_le_bytes(self.array()?).into(),
            _ => self.varint()?,
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((array, rest)) = self.0.bytes.split_first_chunk() else {
            return Err(self.error("a number without an end"));
        };
        self.0 = Part { bytes: rest, at: self.0.at.wrapping_add(N) };
        Ok(*array)
    }

    fn take(&mut self, len: usize) -> Result<Part<'a>, Error> {
        let Some((bytes, rest)) = self.0.bytes.split_at_checked(len) else {
            return Err(self.error("a length beyond the end"));
        };
        let taken = Part { bytes, at: self.0.at };
        self.0 = Part { bytes: rest, at: self.0.at.wrapping_add(len) };
        Ok(taken)
    }

    #[cold]
    fn error(&self, what: &'static str) -> Error {
        Error::new(ErrorKind::Protobuf(what)).at(self.0.at)
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while let Ok(low) = u8::try_from(value & 0x7f)
        && value > 0x7f
    {
        out.push(low | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, ty: WireType) {
    put_varint(out, u64::from(number) << 3 | u64::from(ty.id()));
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// Leaves room for a length. What follows is counted by [`end_len`].
pub(super) fn begin_len(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Puts the length of what was written since [`begin_len`] in front of it.
pub(super) fn end_len(out: &mut Vec<u8>, start: usize) {
    let len = out.len().saturating_sub(start);
    let mut head = Vec::new();
    let at = start.saturating_sub(1);
    if let Some(place) = out.get_mut(at)
        && let Ok(short @ 0..0x80) = u8::try_from(len)
    {
        *place = short;
        return;
    }
    put_varint(&mut head, u64::try_from(len).unwrap_or(u64::MAX));
    out.splice(at..start, head);
}

/// As unsigned varints, small numbers of either sign are short.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(super) fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ (bits & 1).cast_signed().wrapping_neg()
}

/// The low half.
pub(super) fn low_u32(bits: u64) -> u32 {
    u32::try_from(bits & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(Part { bytes, at: 0 })
    }

    #[test]
    fn varints_end_at_64_bits() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut wire = Vec::new();
            put_varint(&mut wire, value);
            assert_eq!(reader(&wire).varint().unwrap(), value);
            assert!(reader(&wire[..wire.len() - 1]).varint().is_err());
        }
        assert!(reader(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").varint().is_err());
        assert!(reader(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00").varint().is_err());
        // Longer than need be is fine.
        assert_eq!(reader(b"\x81\x80\x00").varint().unwrap(), 1);
    }

    #[test]
    fn zigzag_goes_both_ways() {
        for (value, bits) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!(zigzag(value), bits);
            assert_eq!(unzigzag(bits), value);
        }
    }

    #[test]
    fn lengths_are_put_in_front_afterwards() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut out = b"ahead".to_vec();
            let start = begin_len(&mut out);
            out.resize(start + len, b'x');
            end_len(&mut out, start);
            let mut expected = b"ahead".to_vec();
            put_bytes(&mut expected, &vec![b'x'; len]);
            assert_eq!(out, expected);
        }
    }
}
