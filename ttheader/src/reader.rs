use crate::DecodeError;

/// Takes fields off the front of a complete header, and knows where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the byte behind `rest`, so that reading has one thing less to keep up to date.
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, whose first byte has this offset in the frame.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset.saturating_add(bytes.len()) }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn slice(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        self.rest = rest;
        Ok(head)
    }

    /// A `u16` length and as many bytes.
    #[inline]
    pub(crate) fn string(&mut self, len_field: &'static str, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u16(len_field)?;
        self.slice(field, usize::from(len))
    }

    /// The next byte, or `None` at the end.
    #[inline]
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    #[cold]
    fn truncated(&self, field: &'static str, expected: usize) -> DecodeError {
        DecodeError::Truncated { field, offset: self.offset(), expected, actual: self.rest.len() }
    }
}
