//! Base64 as Go's standard encoding has it: padded; CR and LF don't count; the last bits are not looked at.

use base64_simd::{AsOut as _, STANDARD};

use super::out::Out;

/// Puts `bytes` as base64 into `out`.
#[inline]
pub(super) fn encode(bytes: &[u8], out: &mut Out<'_>) {
    let len = STANDARD.encoded_length(bytes.len());
    if let Some(room) = out.room(len) {
        _ = STANDARD.encode(bytes, room.as_out());
        out.advance(len);
    }
}

/// Puts the bytes that `text` stands for into `out`.
///
/// # Errors
///
/// How far `text` is base64.
#[inline]
pub(super) fn decode(text: &[u8], out: &mut Out<'_>) -> Result<(), usize> {
    let most = text.len().div_ceil(4).saturating_mul(3);
    let decoded = match out.room(most) {
        Some(room) => STANDARD.decode(text, room.as_out()).map(|bytes| bytes.len()).ok(),
        None => None,
    };
    match decoded {
        Some(len) => {
            out.advance(len);
            Ok(())
        }
        None => decode_slowly(text, out),
    }
}

#[cold]
fn decode_slowly(text: &[u8], out: &mut Out<'_>) -> Result<(), usize> {
    let mut bytes = text.iter().copied().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    loop {
        let mut group = 0u32;
        let mut len = 0u32;
        while len < 4 {
            let Some((at, byte)) = bytes.next() else {
                // Go points at the beginning of the last, incomplete group.
                let missing = usize::try_from(len).unwrap_or_default();
                return if len == 0 { Ok(()) } else { Err(text.len().saturating_sub(missing)) };
            };
            if byte == b'=' {
                return padding(text, at, len, group, bytes, out);
            }
            let Some(digit) = digit(byte) else { return Err(at) };
            group = (group << 6) | digit;
            len = len.saturating_add(1);
        }
        let [_, bytes @ ..] = group.to_be_bytes();
        out.put(&bytes);
    }
}

/// The last group, of two or three digits, and nothing behind it.
fn padding(
    text: &[u8],
    at: usize,
    len: u32,
    group: u32,
    mut rest: impl Iterator<Item = (usize, u8)>,
    out: &mut Out<'_>,
) -> Result<(), usize> {
    let [high, low, _] = match len {
        2 => match rest.next() {
            Some((_, b'=')) => {
                let [_, bytes @ ..] = (group << 12).to_be_bytes();
                bytes
            }
            Some(_) => return Err(at),
            None => return Err(text.len()),
        },
        3 => {
            let [_, bytes @ ..] = (group << 6).to_be_bytes();
            bytes
        }
        _ => return Err(at),
    };
    if let Some((at, _)) = rest.next() {
        return Err(at);
    }
    out.put_part(&[high, low], if len == 2 { 1 } else { 2 });
    Ok(())
}

fn digit(byte: u8) -> Option<u32> {
    let (from, zero) = match byte {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'+' => (b'+', 62),
        b'/' => (b'/', 63),
        _ => return None,
    };
    Some(u32::from(byte.wrapping_sub(from)).saturating_add(zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, usize> {
        let mut buffer = Vec::new();
        let mut out = Out::new(&mut buffer, 0);
        decode(text.as_bytes(), &mut out)?;
        out.finish();
        Ok(buffer)
    }

    #[test]
    fn it_is_go_s() {
        assert_eq!(decoded("aGVsbG8="), Ok(b"hello".to_vec()));
        assert_eq!(decoded("aGVs\r\nbG8=\n"), Ok(b"hello".to_vec()));
        assert_eq!(decoded(""), Ok(Vec::new()));
        assert_eq!(decoded("aGVsbG9="), Ok(b"hello".to_vec()), "the last bits are not looked at");
        assert_eq!(decoded("aGVsbG8"), Err(4));
        assert_eq!(decoded("hello!"), Err(5));
        assert_eq!(decoded("a-_="), Err(1));
        assert_eq!(decoded("aG=="), Ok(b"h".to_vec()));
        assert_eq!(decoded("aG="), Err(3));
        assert_eq!(decoded("aG=x"), Err(2));
        assert_eq!(decoded("a==="), Err(1));
        assert_eq!(decoded("aG==aG=="), Err(4));
        let mut buffer = Vec::new();
        let mut out = Out::new(&mut buffer, 0);
        encode(b"hello", &mut out);
        out.finish();
        assert_eq!(buffer, b"aGVsbG8=");
    }
}
