//! JSON strings: finding their end, escapes in both directions. Sixteen bytes at a time where there are as many.

use wide::u8x16;

use super::out::Out;

/// Why a JSON string is none, and where.
#[derive(Debug)]
pub(super) struct BadString<'j> {
    pub(super) fault: Fault,
    /// The text from the faulty place on.
    pub(super) rest: &'j [u8],
}

#[derive(Debug)]
pub(super) enum Fault {
    /// The text ends.
    End,
    /// A backslash, and then nothing that may follow one.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
}

/// Puts the string behind `rest`'s opening quote, without its quotes and escapes, into `out`; gives what follows the
/// closing one. Halves of surrogate pairs are an error unless `lenient`.
#[inline]
pub(super) fn unescape<'j>(mut rest: &'j [u8], lenient: bool, out: &mut Out<'_>) -> Result<&'j [u8], BadString<'j>> {
    loop {
        let Some(chunk) = rest.first_chunk::<16>() else { return unescape_end(rest, lenient, out) };
        let found = quotes(chunk);
        if found == 0 {
            out.put(chunk);
            rest = rest.get(16..).unwrap_or_default();
            continue;
        }
        let clean = to_usize(found.trailing_zeros());
        out.put_part(chunk, clean);
        let Some((&stop, after)) = rest.get(clean..).unwrap_or_default().split_first() else { continue };
        if stop == b'"' {
            return Ok(after);
        }
        rest = escapes(after, lenient, out)?;
    }
}

/// The same where fewer than sixteen bytes are left.
#[inline(never)]
fn unescape_end<'j>(mut rest: &'j [u8], lenient: bool, out: &mut Out<'_>) -> Result<&'j [u8], BadString<'j>> {
    loop {
        match rest.split_first() {
            None => return Err(BadString { fault: Fault::End, rest }),
            Some((b'"', after)) => return Ok(after),
            Some((b'\\', after)) => rest = escapes(after, lenient, out)?,
            Some((&byte, after)) => {
                out.put(&[byte]);
                rest = after;
            }
        }
    }
}

/// Resolves the escape whose backslash has just been passed, and all that follow it at once.
#[cfg_attr(not(debug_assertions), inline(always))]
fn escapes<'j>(mut rest: &'j [u8], lenient: bool, out: &mut Out<'_>) -> Result<&'j [u8], BadString<'j>> {
    loop {
        let Some((&letter, after)) = rest.split_first() else { return Err(BadString { fault: Fault::End, rest }) };
        let plain = UNESCAPED.get(usize::from(letter)).copied().unwrap_or_default();
        if plain != 0 {
            out.put(&[plain]);
            rest = after;
        } else if let (b'u', Some((code @ 0..0x80, after))) = (letter, hex(after)) {
            let [.., byte] = code.to_be_bytes();
            out.put(&[byte]);
            rest = after;
        } else if letter == b'u' {
            rest = unicode(after, lenient, out)?;
        } else {
            return Err(BadString { fault: Fault::Escape, rest });
        }
        match rest.split_first() {
            Some((b'\\', after)) => rest = after,
            _ => return Ok(rest),
        }
    }
}

/// What follows `\u`.
#[inline(never)]
fn unicode<'j>(rest: &'j [u8], lenient: bool, out: &mut Out<'_>) -> Result<&'j [u8], BadString<'j>> {
    let Some((first, after)) = hex(rest) else { return Err(BadString { fault: Fault::Escape, rest }) };
    let (code, after) = match (first, after) {
        (0xd800..0xdc00, [b'\\', b'u', low @ ..]) => match hex(low) {
            Some((second @ 0xdc00..0xe000, end)) => {
                ((((first & 0x3ff) << 10) | (second & 0x3ff)).wrapping_add(0x1_0000), end)
            }
            _ => (first, after),
        },
        _ => (first, after),
    };
    let Some(letter) = char::from_u32(code) else {
        if !lenient {
            return Err(BadString { fault: Fault::Surrogate, rest });
        }
        out.put("\u{fffd}".as_bytes().first_chunk::<3>().unwrap_or(&[0; 3]));
        return Ok(after);
    };
    let mut utf8 = [0; 4];
    let len = letter.encode_utf8(&mut utf8).len();
    out.put_part(&utf8, len);
    Ok(after)
}

/// Four hexadecimal digits.
#[cfg_attr(not(debug_assertions), inline(always))]
fn hex(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    let [a, b, c, d] = digits.map(|digit| HEX.get(usize::from(digit)).copied().unwrap_or(BAD));
    let code = (a << 12) | (b << 8) | (c << 4) | d;
    (code <= 0xffff).then_some((code, after))
}

/// The string behind `rest`'s opening quote as it stands there, whether there is an escape in it, and what follows its
/// closing quote; `None` where it does not end. Escapes are not checked.
#[inline]
pub(super) fn raw_string(text: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let mut rest = text;
    let mut escaped = false;
    loop {
        let at = match rest.first_chunk::<16>().map(quotes) {
            Some(0) => {
                rest = rest.get(16..)?;
                continue;
            }
            Some(found) => to_usize(found.trailing_zeros()),
            None => rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?,
        };
        let (stop, after) = rest.get(at..)?.split_first()?;
        if *stop == b'"' {
            let len = text.len().wrapping_sub(after.len()).wrapping_sub(1);
            return Some((text.get(..len)?, escaped, after));
        }
        escaped = true;
        rest = after.get(1..)?;
    }
}

/// Puts the first `len` bytes of `rest` into `out` as a JSON string without its quotes. What follows them may be looked
/// at, not more.
#[inline]
pub(super) fn escape<const HTML: bool>(mut rest: &[u8], len: usize, out: &mut Out<'_>) {
    let mut left = len;
    while left > 0 {
        let Some(chunk) = rest.first_chunk::<16>() else {
            return escape_end::<HTML>(rest.get(..left).unwrap_or_default(), out);
        };
        let clean = to_usize(specials::<HTML>(chunk).trailing_zeros());
        if clean >= left || clean >= 16 {
            let clean = left.min(16);
            out.put_part(chunk, clean);
            left = left.wrapping_sub(clean);
            rest = rest.get(clean..).unwrap_or_default();
            continue;
        }
        out.put_part(chunk, clean);
        left = left.wrapping_sub(clean);
        rest = rest.get(clean..).unwrap_or_default();
        // One is followed by the next often enough.
        while left > 0 {
            let Some(after) = escape_one::<HTML>(rest.get(..left).unwrap_or_default(), out) else { break };
            left = left.wrapping_sub(after);
            rest = rest.get(after..).unwrap_or_default();
        }
    }
}

#[inline(never)]
fn escape_end<const HTML: bool>(mut rest: &[u8], out: &mut Out<'_>) {
    while let Some((&byte, after)) = rest.split_first() {
        match escape_one::<HTML>(rest, out) {
            Some(len) => rest = rest.get(len..).unwrap_or_default(),
            None => {
                out.put(&[byte]);
                rest = after;
            }
        }
    }
}

/// Escapes the first byte, if it needs that, and gives the number of bytes dealt with.
#[cfg_attr(not(debug_assertions), inline(always))]
fn escape_one<const HTML: bool>(rest: &[u8], out: &mut Out<'_>) -> Option<usize> {
    let byte = *rest.first()?;
    let table = if HTML { &ESCAPED_HTML } else { &ESCAPED };
    let escaped = table.get(usize::from(byte))?;
    let [.., len] = *escaped;
    if len != 0 {
        out.put_part(escaped, usize::from(len));
        return Some(1);
    }
    if HTML && byte == 0xe2 {
        return Some(match rest {
            [_, 0x80, last @ (0xa8 | 0xa9), ..] => {
                out.put(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                3
            }
            _ => {
                out.put(&[byte]);
                1
            }
        });
    }
    None
}

/// The bytes that are a quote or a backslash.
#[cfg_attr(not(debug_assertions), inline(always))]
fn quotes(chunk: &[u8; 16]) -> u32 {
    let chunk = u8x16::new(*chunk);
    (chunk.simd_eq(u8x16::splat(b'"')) | chunk.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// The bytes that can't stand in a JSON string as they are; with `HTML`, also those that might not.
#[cfg_attr(not(debug_assertions), inline(always))]
fn specials<const HTML: bool>(chunk: &[u8; 16]) -> u32 {
    let chunk = u8x16::new(*chunk);
    let control = chunk.min(u8x16::splat(0x1f)).simd_eq(chunk);
    let backslash = chunk.simd_eq(u8x16::splat(b'\\'));
    if !HTML {
        return (control | backslash | chunk.simd_eq(u8x16::splat(b'"'))).to_bitmask();
    }
    // A quote and an ampersand differ in one bit, as do the two angle brackets.
    let quote = (chunk | u8x16::splat(0x04)).simd_eq(u8x16::splat(b'&'));
    let angle = (chunk | u8x16::splat(0x02)).simd_eq(u8x16::splat(b'>'));
    let separator = chunk.simd_eq(u8x16::splat(0xe2));
    (control | backslash | quote | angle | separator).to_bitmask()
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn to_usize(bits: u32) -> usize {
    usize::try_from(bits).unwrap_or(usize::MAX)
}

/// What a byte is written as, and in the last place the length of that; 0 for bytes that stay.
static ESCAPED: [[u8; 8]; 256] = escaped(false);
static ESCAPED_HTML: [[u8; 8]; 256] = escaped(true);

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions, reason = "at compile time")]
const fn escaped(html: bool) -> [[u8; 8]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 0x80 {
        let special = byte < 0x20 || (html && (byte == b'<' || byte == b'>' || byte == b'&'));
        if special {
            let (high, low) = (DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]);
            table[byte as usize] = [b'\\', b'u', b'0', b'0', high, low, 0, 6];
        }
        byte += 1;
    }
    table[b'\n' as usize] = [b'\\', b'n', 0, 0, 0, 0, 0, 2];
    table[b'\r' as usize] = [b'\\', b'r', 0, 0, 0, 0, 0, 2];
    table[b'\t' as usize] = [b'\\', b't', 0, 0, 0, 0, 0, 2];
    table[b'"' as usize] = [b'\\', b'"', 0, 0, 0, 0, 0, 2];
    table[b'\\' as usize] = [b'\\', b'\\', 0, 0, 0, 0, 0, 2];
    table
}

/// What a letter after a backslash stands for; 0 for `u` and where it stands for nothing.
static UNESCAPED: [u8; 256] = unescaped();

#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "at compile time")]
const fn unescaped() -> [u8; 256] {
    let mut table = [0; 256];
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table[b'b' as usize] = 8;
    table[b'f' as usize] = 12;
    table[b'n' as usize] = b'\n';
    table[b'r' as usize] = b'\r';
    table[b't' as usize] = b'\t';
    table
}

/// The value of a hexadecimal digit.
static HEX: [u32; 256] = hex_digits();
/// No digit: in whatever place it stands, the number becomes too large.
const BAD: u32 = 0x10000;

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions, reason = "at compile time")]
const fn hex_digits() -> [u32; 256] {
    let mut table = [BAD; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit] = digit as u32;
        digit += 1;
    }
    while digit < 16 {
        table[b'a' as usize + digit - 10] = digit as u32;
        table[b'A' as usize + digit - 10] = digit as u32;
        digit += 1;
    }
    table
}
