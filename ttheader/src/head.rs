use bytes::BytesMut;

use crate::limits::{COUNTED_HEAD_LEN, HEAD_LEN, LENGTH_LEN, MAGIC, WORD_LEN};
use crate::{DecodeError, EncodeError, Flags};

/// The 14 fixed bytes.
///
/// ```text
/// 0               4         6         8                 12             14
/// +---------------+---------+---------+-----------------+--------------+
/// | LENGTH        | 0x1000  | FLAGS   | SEQUENCE NUMBER | HEADER SIZE  |
/// +---------------+---------+---------+-----------------+--------------+
///   bytes after it                                        words of 4 bytes
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Head {
    /// LENGTH: bytes that follow this field, header and payload included.
    pub length: u32,
    /// FLAGS.
    pub flags: Flags,
    /// SEQUENCE NUMBER.
    pub seq: i32,
    /// HEADER SIZE, in words of 4 bytes.
    pub header_words: u16,
}

impl Head {
    /// Reads the fixed bytes off a frame's first bytes; `None` while fewer than 14 are there.
    ///
    /// What it yields is consistent: the header has at least one word and LENGTH covers it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::WrongMagic`] as soon as 6 bytes are there, [`DecodeError::TooSmall`] for a
    /// HEADER SIZE of 0 and for a LENGTH that ends inside the header.
    #[inline]
    pub fn peek(prefix: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(&[l0, l1, l2, l3, m0, m1, f0, f1, s0, s1, s2, s3, h0, h1]) = prefix.first_chunk::<HEAD_LEN>() else {
            return match prefix {
                [_, _, _, _, m0, m1, ..] => check_magic(u16::from_be_bytes([*m0, *m1])).map(|()| None),
                _ => Ok(None),
            };
        };
        check_magic(u16::from_be_bytes([m0, m1]))?;
        let head = Self {
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            flags: Flags(u16::from_be_bytes([f0, f1])),
            seq: i32::from_be_bytes([s0, s1, s2, s3]),
            header_words: u16::from_be_bytes([h0, h1]),
        };
        if head.header_words == 0 {
            return Err(DecodeError::TooSmall { field: "HEADER SIZE", offset: 12, expected: 1, actual: 0 });
        }
        let expected = COUNTED_HEAD_LEN.saturating_add(head.header_len());
        let actual = head.frame_len().saturating_sub(LENGTH_LEN);
        if actual < expected {
            return Err(DecodeError::TooSmall { field: "LENGTH", offset: 0, expected, actual });
        }
        Ok(Some(head))
    }

    /// Bytes of the header block, padding included: 4 × HEADER SIZE.
    #[must_use]
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header_words).saturating_mul(WORD_LEN)
    }

    /// Where the payload starts in the frame: behind fixed bytes and header block.
    #[must_use]
    #[inline]
    pub fn payload_offset(&self) -> usize {
        HEAD_LEN.saturating_add(self.header_len())
    }

    /// Bytes of the payload.
    #[must_use]
    #[inline]
    pub fn payload_len(&self) -> usize {
        self.frame_len().saturating_sub(self.payload_offset())
    }

    /// Bytes of the whole frame, LENGTH itself included.
    #[must_use]
    #[inline]
    pub fn frame_len(&self) -> usize {
        // Saturates where a `usize` has 32 bits; no limit lets such a frame pass.
        usize::try_from(self.length).unwrap_or(usize::MAX).saturating_add(LENGTH_LEN)
    }

    /// The fixed bytes.
    #[must_use]
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEAD_LEN] {
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let [m0, m1] = MAGIC.to_be_bytes();
        let [f0, f1] = self.flags.0.to_be_bytes();
        let [s0, s1, s2, s3] = self.seq.to_be_bytes();
        let [h0, h1] = self.header_words.to_be_bytes();
        [l0, l1, l2, l3, m0, m1, f0, f1, s0, s1, s2, s3, h0, h1]
    }

    /// The head of a frame with a header block and a payload of these lengths.
    #[inline]
    pub(crate) fn for_lengths(
        flags: Flags,
        seq: i32,
        header_words: u16,
        payload_len: usize,
    ) -> Result<Self, EncodeError> {
        let head = Self { length: 0, flags, seq, header_words };
        let counted = COUNTED_HEAD_LEN.saturating_add(head.header_len()).saturating_add(payload_len);
        let Ok(length) = u32::try_from(counted) else {
            return Err(EncodeError::FrameTooLong { expected: MAX_LENGTH, actual: counted });
        };
        Ok(Self { length, ..head })
    }
}

/// Writes the smallest head: the fixed bytes and a header of one word without any entry, as needed
/// in front of a payload that came without a TTHeader (specification 8.5, 8.6). 18 bytes.
///
/// # Errors
///
/// [`EncodeError::FrameTooLong`] if LENGTH cannot say how long the payload is.
pub fn encode_minimal(flags: Flags, seq: i32, payload_len: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
    let head = Head::for_lengths(flags, seq, 1, payload_len)?;
    dst.reserve(HEAD_LEN.saturating_add(WORD_LEN));
    dst.extend_from_slice(&head.to_bytes());
    dst.extend_from_slice(&[0; WORD_LEN]);
    Ok(())
}

/// Overwrites SEQUENCE NUMBER in a frame's first bytes.
///
/// # Errors
///
/// [`DecodeError::Truncated`] if the bytes end before or inside it.
pub fn set_seq(frame: &mut [u8], seq: i32) -> Result<(), DecodeError> {
    overwrite(frame, "SEQUENCE NUMBER", 8, seq.to_be_bytes())
}

/// Overwrites FLAGS in a frame's first bytes.
///
/// # Errors
///
/// [`DecodeError::Truncated`] if the bytes end before or inside it.
pub fn set_flags(frame: &mut [u8], flags: Flags) -> Result<(), DecodeError> {
    overwrite(frame, "FLAGS", 6, flags.0.to_be_bytes())
}

/// Overwrites LENGTH in a frame's first bytes, for a payload that has become longer or shorter
/// behind an unchanged header.
///
/// # Errors
///
/// [`DecodeError::Truncated`] if the bytes end before or inside it.
pub fn set_length(frame: &mut [u8], length: u32) -> Result<(), DecodeError> {
    overwrite(frame, "LENGTH", 0, length.to_be_bytes())
}

#[inline]
fn check_magic(actual: u16) -> Result<(), DecodeError> {
    if actual == MAGIC {
        return Ok(());
    }
    Err(DecodeError::WrongMagic { field: "HEADER MAGIC", offset: 4, expected: MAGIC, actual })
}

fn overwrite<const N: usize>(
    frame: &mut [u8],
    field: &'static str,
    offset: usize,
    value: [u8; N],
) -> Result<(), DecodeError> {
    let actual = frame.len().saturating_sub(offset);
    let Some(target) = frame.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<N>()) else {
        return Err(DecodeError::Truncated { field, offset, expected: N, actual });
    };
    *target = value;
    Ok(())
}

const MAX_LENGTH: usize = 0xffff_ffff;
