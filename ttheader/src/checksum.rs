//! The payload's checksum under the string key [`CRC32C`](crate::keys::CRC32C) (specification 7.3).
//!
//! It covers everything behind the header: the inner frame's length if there is one, and the
//! payload's seqid. Whoever changes a byte of those has to write it anew.

/// Computes a CRC-32C piece by piece.
///
/// ```
/// use ttheader::checksum::Crc32c;
///
/// let crc = Crc32c::new().update(b"1234").update(b"56789");
/// assert_eq!(crc.value(), 0xe306_9283);
/// assert_eq!(&crc.hex(), b"e3069283");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crc32c(u32);

impl Crc32c {
    /// The checksum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The checksum of what it covered before, and of `piece` behind it.
    #[must_use]
    pub fn update(self, piece: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, piece))
    }

    /// The checksum as a number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The checksum as it stands in the header: 8 lower-case hex digits.
    #[must_use]
    pub fn hex(self) -> [u8; 8] {
        let mut digits = [0; 8];
        let nibbles = self.0.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (digit, nibble) in digits.iter_mut().zip(nibbles) {
            *digit = HEX_DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
        }
        digits
    }
}

impl<'a> FromIterator<&'a [u8]> for Crc32c {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(pieces: I) -> Self {
        pieces.into_iter().fold(Self::new(), Self::update)
    }
}

/// What [`verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else a checksum can be")]
pub enum Verdict {
    /// No checksum, or an empty one: the payload is taken as it is.
    Absent,
    /// The payload is what the sender summed up.
    Valid,
    /// It is not; Kitex closes the connection without a reply.
    Invalid,
}

/// Compares the header's value with the payload, given in as many pieces as it is in.
///
/// The comparison is one of text, as in Kitex: upper-case digits do not match.
pub fn verify<'a>(value: Option<&[u8]>, payload: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    match value {
        None | Some([]) => Verdict::Absent,
        Some(value) if value == payload.into_iter().collect::<Crc32c>().hex() => Verdict::Valid,
        Some(_) => Verdict::Invalid,
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
