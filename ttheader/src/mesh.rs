use crate::DecodeError;
use crate::grammar::{Input, number, string};

/// The first two bytes of a mesh header.
pub const MESH_MAGIC: u16 = 0xffaf;

/// The legacy mesh header, which Kitex servers take and nobody writes (specification 2.6).
///
/// ```text
/// 0         2       4        6                              4 + size
/// +---------+-------+--------+------------------------------+
/// | 0xFFAF  | size  | count  | count × (u16 key, u16 value) | PAYLOAD
/// +---------+-------+--------+------------------------------+
/// ```
///
/// Bytes between the last pair and the payload are not looked at, as in Kitex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshHeader<'a> {
    bytes: &'a [u8],
}

impl<'a> MeshHeader<'a> {
    /// Reads off the first bytes how many the header has; `None` while fewer than 4 are there. The
    /// payload starts behind them.
    ///
    /// # Errors
    ///
    /// [`DecodeError::WrongMagic`] as soon as 2 bytes are there; [`DecodeError::TooSmall`] if the
    /// size does not cover the count.
    #[inline]
    pub fn peek(prefix: &[u8]) -> Result<Option<usize>, DecodeError> {
        let [m0, m1, rest @ ..] = prefix else { return Ok(None) };
        let magic = u16::from_be_bytes([*m0, *m1]);
        if magic != MESH_MAGIC {
            return Err(DecodeError::WrongMagic {
                field: "mesh magic",
                offset: 0,
                expected: MESH_MAGIC,
                actual: magic,
            });
        }
        let Some(&size) = rest.first_chunk() else { return Ok(None) };
        let size = usize::from(u16::from_be_bytes(size));
        if size < COUNT_LEN {
            return Err(DecodeError::TooSmall { field: "mesh size", offset: 2, expected: COUNT_LEN, actual: size });
        }
        Ok(Some(FIXED_LEN.saturating_add(size)))
    }

    /// Reads a header from a message's bytes, which have to reach up to the payload; what follows is
    /// not looked at. Checks everything once.
    ///
    /// # Errors
    ///
    /// What [`peek`](Self::peek) refuses, and [`DecodeError::Truncated`] if the pairs run past the
    /// end of the header.
    pub fn parse(header: &'a [u8]) -> Result<Self, DecodeError> {
        let truncated =
            |expected| DecodeError::Truncated { field: "mesh header", offset: 0, expected, actual: header.len() };
        let len = Self::peek(header)?.ok_or_else(|| truncated(FIXED_LEN))?;
        let bytes = header.get(..len).ok_or_else(|| truncated(len))?;
        let mut input = Input::new(bytes.get(FIXED_LEN..).unwrap_or_default(), FIXED_LEN);
        for _ in 0..input.take(number("mesh pair count"))? {
            pair(&mut input)?;
        }
        Ok(Self { bytes })
    }

    /// The header's bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All pairs, in order. They mean what string keys of TTHeader mean.
    #[must_use]
    pub fn pairs(&self) -> MeshPairs<'a> {
        let mut input = Input::new(self.bytes.get(FIXED_LEN..).unwrap_or_default(), FIXED_LEN);
        let left = input.take(number("mesh pair count")).unwrap_or_default();
        MeshPairs { input, left }
    }

    /// The value of a key; of duplicates the last.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.pairs().filter(|(k, _)| *k == key).last().map(|(_, value)| value)
    }
}

/// All pairs of a mesh header: see [`MeshHeader::pairs`].
#[derive(Clone, Debug)]
pub struct MeshPairs<'a> {
    input: Input<'a>,
    left: u16,
}

impl<'a> Iterator for MeshPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        pair(&mut self.input).ok()
    }
}

#[inline]
fn pair<'a>(input: &mut Input<'a>) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    input.take((string("mesh key length", "mesh key"), string("mesh value length", "mesh value")))
}

/// Magic number and size.
const FIXED_LEN: usize = 4;
const COUNT_LEN: usize = 2;
