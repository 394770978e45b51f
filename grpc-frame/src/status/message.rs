use std::borrow::Cow;

use super::Code;

/// `grpc-message` for a text (streaming-wire B7): bytes from 0x20 to 0x7E stand for themselves, but for `%`; all others
/// become `%` and two digits in upper case. Each byte that is not UTF-8 becomes U+FFFD first, as Go reads it. Borrowed
/// where nothing changes.
#[must_use]
pub fn encode_message(text: &[u8]) -> Cow<'_, str> {
    if text.iter().copied().all(is_literal)
        && let Ok(text) = str::from_utf8(text)
    {
        return Cow::Borrowed(text);
    }
    let mut value = String::with_capacity(text.len().saturating_mul(2));
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            push_escaped(&mut value, byte);
        }
        for _ in chunk.invalid() {
            value.push_str("%EF%BF%BD");
        }
    }
    Cow::Owned(value)
}

/// The text of a `grpc-message`: `%` and two hexadecimal digits of either case are a byte, a `%` without them stands for
/// itself. Borrowed where nothing changes.
#[must_use]
pub fn decode_message(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = value.windows(ESCAPE_LEN).position(|three| escaped(three).is_some()) else {
        return Cow::Borrowed(value);
    };
    let (literal, mut rest) = value.split_at_checked(first).unwrap_or((&[], value));
    let mut text = Vec::with_capacity(value.len());
    text.extend_from_slice(literal);
    while let Some((&byte, behind)) = rest.split_first() {
        match rest.split_first_chunk::<ESCAPE_LEN>().and_then(|(three, rest)| Some((escaped(three)?, rest))) {
            Some((byte, behind)) => {
                text.push(byte);
                rest = behind;
            }
            None => {
                text.push(byte);
                rest = behind;
            }
        }
    }
    Cow::Owned(text)
}

/// The text that a Kitex process gives an error with a status, `rpc error: code = 14 desc = text`: what an exception on
/// TTHeader Streaming says where the backend's status was on gRPC (D3).
#[must_use]
pub fn rpc_error(code: Code, message: &[u8]) -> Vec<u8> {
    [CODE.as_bytes(), code.encode().as_ref(), DESC.as_bytes(), message].concat()
}

/// Code and text of what [`rpc_error`] writes, `biz error: ` before it or not; `None` for any other text.
#[must_use]
pub fn parse_rpc_error(text: &[u8]) -> Option<(Code, &[u8])> {
    let text = text.strip_prefix(b"biz error: ").unwrap_or(text);
    let text = text.strip_prefix(CODE.as_bytes())?;
    let len = text.iter().position(|&byte| byte == b' ')?;
    let (code, text) = text.split_at_checked(len)?;
    Some((Code::parse(code).ok()?, text.strip_prefix(DESC.as_bytes())?))
}

const CODE: &str = "rpc error: code = ";
const DESC: &str = " desc = ";

const fn is_literal(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'%'
}

fn push_escaped(value: &mut String, byte: u8) {
    if is_literal(byte) {
        value.push(char::from(byte));
    } else {
        value.push('%');
        for digit in [byte >> 4, byte & 0x0f] {
            value.extend(char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()));
        }
    }
}

/// The byte that `%` and two digits stand for.
fn escaped(three: &[u8]) -> Option<u8> {
    let &[b'%', high, low] = three else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

const ESCAPE_LEN: usize = 3;
