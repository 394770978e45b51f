//! Percent-encoding, as Go's `net/url` reads it.

use std::borrow::Cow;

/// The bytes behind percent-escapes, with `+` for a space where `plus` says so. `None`: an escape is broken.
pub(super) fn unescape(text: &[u8], plus: bool) -> Option<Cow<'_, [u8]>> {
    let special = |&byte: &u8| byte == b'%' || plus && byte == b'+';
    let Some((head, mut rest)) = text.iter().position(special).and_then(|at| text.split_at_checked(at)) else {
        return Some(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(head);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (&[high, low], tail) = tail.split_first_chunk()?;
                out.push(hex_digit(high)?.wrapping_shl(4) | hex_digit(low)?);
                rest = tail;
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
    }
    Some(Cow::Owned(out))
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(unescape(b"a%E4%bd%A0+", false).as_deref(), Some("a你+".as_bytes()));
        assert_eq!(unescape(b"+%2B%ff", true).as_deref(), Some(&b" +\xff"[..]));
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        assert!(matches!(unescape(b"a+b", false), Some(Cow::Borrowed(b"a+b"))));
    }

    #[test]
    fn a_broken_escape_is_none() {
        for text in ["%", "%4", "a%4g", "%%20", "%+1"] {
            assert_eq!(unescape(text.as_bytes(), true), None, "{text}");
        }
    }
}
