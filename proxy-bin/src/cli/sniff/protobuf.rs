//! A Protobuf message without its IDL: a tree of field numbers.

use crate::cli::sniff::text::{Text, readable};

/// A field's value as it stands on the wire.
enum Wire<'a> {
    Varint(u64),
    I64(u64),
    Len(&'a [u8]),
    I32(u32),
}

/// Prints a message. False where it is none; nothing is printed then.
pub(crate) fn tree(bytes: &[u8], depth: usize, text: &mut Text) -> bool {
    if !is_message(bytes) {
        return false;
    }
    print(bytes, depth, 0, text);
    true
}

/// Whether all of `bytes` are fields of a message.
pub(crate) fn is_message(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        if field(&mut rest).is_none() {
            return false;
        }
    }
    true
}

fn print(bytes: &[u8], depth: usize, level: usize, text: &mut Text) {
    let mut rest = bytes;
    let mut shown = 0_usize;
    while let Some((number, value)) = field(&mut rest) {
        shown = shown.saturating_add(1);
        if shown > MAX_FIELDS && !text.style.full {
            text.line(depth, format_args!("… {} bytes of more fields", rest.len()));
            return;
        }
        match value {
            Wire::Varint(value) => text.line(depth, format_args!("{number}: varint {value}{}", signs(value))),
            Wire::I64(value) => {
                text.line(depth, format_args!("{number}: 64-bit {value:#018x} ({:?})", f64::from_bits(value)))
            }
            Wire::I32(value) => {
                text.line(depth, format_args!("{number}: 32-bit {value:#010x} ({:?})", f32::from_bits(value)))
            }
            // Text is more often meant than a message that happens to be text.
            Wire::Len(value)
                if value.is_empty() || level >= MAX_LEVEL || readable(value).is_some() || !is_message(value) =>
            {
                text.line(depth, format_args!("{number}: bytes {}", text.value(value)));
            }
            Wire::Len(value) => {
                text.line(depth, format_args!("{number}: message, {} bytes", value.len()));
                print(value, depth.saturating_add(1), level.saturating_add(1), text);
            }
        }
    }
}

/// What a varint is as a signed number of either kind, where that reads differently.
fn signs(value: u64) -> String {
    let signed = i64::from_ne_bytes(value.to_ne_bytes());
    if signed < 0 { format!(" ({signed})") } else { String::new() }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = varint(rest)?;
    let number = tag >> 3;
    if number == 0 || number > MAX_NUMBER {
        return None;
    }
    let value = match tag & 7 {
        0 => Wire::Varint(varint(rest)?),
        1 => Wire::I64(u64::from_le_bytes(array(rest)?)),
        2 => {
            let len = usize::try_from(varint(rest)?).ok()?;
            let (value, behind) = rest.split_at_checked(len)?;
            *rest = behind;
            Wire::Len(value)
        }
        5 => Wire::I32(u32::from_le_bytes(array(rest)?)),
        // Groups are nobody's any more.
        _ => return None,
    };
    Some((number, value))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (value, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*value)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The largest number of a field.
const MAX_NUMBER: u64 = (1 << 29) - 1;
/// Messages inside messages that are looked into.
const MAX_LEVEL: usize = 32;
/// Fields of one message that are shown.
const MAX_FIELDS: usize = 256;
