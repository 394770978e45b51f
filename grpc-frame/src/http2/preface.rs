use super::DecodeError;

/// What every client sends first (section 3.4).
pub const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Who is on the other side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "HTTP/2 knows these two")]
pub enum Peer {
    /// It opens streams. Its first octets are [`PREFACE`] and SETTINGS.
    Client,
    /// It answers them. Its first frame is SETTINGS.
    Server,
}

/// Tells a client's preface by a connection's first octets: true once all 24 are there, false while they agree so far.
///
/// # Errors
///
/// [`DecodeError::WrongPreface`] at the first octet that is another.
#[inline]
pub fn peek_preface(prefix: &[u8]) -> Result<bool, DecodeError> {
    match PREFACE.iter().zip(prefix).position(|(expected, actual)| expected != actual) {
        None => Ok(prefix.len() >= PREFACE.len()),
        Some(offset) => {
            let octet = |bytes: &[u8]| bytes.get(offset).copied().unwrap_or_default();
            Err(DecodeError::WrongPreface { offset, expected: octet(&PREFACE), actual: octet(prefix) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_of_the_preface_agrees_and_another_octet_does_not() {
        for len in 0..PREFACE.len() {
            assert_eq!(peek_preface(&PREFACE[..len]), Ok(false));
            let mut wrong = PREFACE[..=len].to_vec();
            wrong[len] ^= 0x20;
            let error = DecodeError::WrongPreface { offset: len, expected: PREFACE[len], actual: wrong[len] };
            assert_eq!(peek_preface(&wrong), Err(error));
        }
        assert_eq!(peek_preface(&PREFACE), Ok(true));
        assert_eq!(peek_preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), Ok(true));
    }
}
