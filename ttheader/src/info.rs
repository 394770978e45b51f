use std::ops::Range;

use crate::reader::Reader;
use crate::{DecodeError, InfoId, IntKey};

/// One entry of an INFO section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// A pair of section 0x01.
    Str {
        /// The key.
        key: &'a [u8],
        /// The value; may be empty.
        value: &'a [u8],
        /// Where the value starts in the frame.
        offset: usize,
    },
    /// A pair of section 0x10.
    Int {
        /// The key.
        key: IntKey,
        /// The value; may be empty.
        value: &'a [u8],
        /// Where the value starts in the frame.
        offset: usize,
    },
    /// The token of section 0x11.
    Acl {
        /// The token.
        value: &'a [u8],
        /// Where the token starts in the frame.
        offset: usize,
    },
}

impl<'a> Entry<'a> {
    /// The value, or the token.
    #[must_use]
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        match *self {
            Self::Str { value, .. } | Self::Int { value, .. } | Self::Acl { value, .. } => value,
        }
    }

    /// Where the value lies, counted from the frame's first byte: to overwrite it in place by one of
    /// the same length, as a checksum needs it.
    #[must_use]
    #[inline]
    pub fn value_range(&self) -> Range<usize> {
        let (Self::Str { value, offset, .. } | Self::Int { value, offset, .. } | Self::Acl { value, offset }) = *self;
        offset..offset.saturating_add(value.len())
    }
}

/// One INFO section as it stands in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a section is, and all of it")]
pub struct Section<'a> {
    /// What it holds.
    pub id: InfoId,
    /// How many entries; 1 for the ACL token, 0 for padding.
    pub count: u16,
    /// Where it starts in the frame, its id included.
    pub offset: usize,
    /// Its bytes, id included.
    pub bytes: &'a [u8],
}

/// Walks INFO sections. The only code that knows their grammar:
///
/// ```text
/// info     = *section
/// section  = %x00                                    ; padding, one byte, anywhere
///          / %x01 count count*(string string)        ; key, value
///          / %x10 count count*(u16 string)           ; key, value
///          / %x11 string                             ; ACL token
/// count    = u16
/// string   = u16 *OCTET                              ; length, bytes
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walker<'a> {
    reader: Reader<'a>,
}

/// A section's id and count, read already; its entries are next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionHead {
    pub(crate) id: InfoId,
    pub(crate) offset: usize,
    pub(crate) count: u16,
}

impl<'a> Walker<'a> {
    /// Walks `info`, whose first byte has this offset in the frame.
    #[inline]
    pub(crate) fn new(info: &'a [u8], offset: usize) -> Self {
        Self { reader: Reader::new(info, offset) }
    }

    #[inline]
    pub(crate) fn from_reader(reader: Reader<'a>) -> Self {
        Self { reader }
    }

    /// The next section; `None` at the end. All entries of the one before must have been read.
    #[inline]
    pub(crate) fn section(&mut self) -> Result<Option<SectionHead>, DecodeError> {
        let offset = self.reader.offset();
        let Some(id) = self.reader.next_byte().map(InfoId) else { return Ok(None) };
        let count = match id {
            InfoId::STRINGS | InfoId::INTS => self.reader.u16("INFO count")?,
            InfoId::ACL_TOKEN => 1,
            InfoId::PADDING => 0,
            InfoId(actual) => return Err(DecodeError::UnknownId { field: "INFO ID", offset, actual }),
        };
        Ok(Some(SectionHead { id, offset, count }))
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<(&'a [u8], &'a [u8], usize), DecodeError> {
        let key = self.reader.string("INFO key length", "INFO key")?;
        let (value, offset) = self.value()?;
        Ok((key, value, offset))
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<(IntKey, &'a [u8], usize), DecodeError> {
        let key = IntKey(self.reader.u16("INFO int key")?);
        let (value, offset) = self.value()?;
        Ok((key, value, offset))
    }

    #[inline]
    pub(crate) fn acl_token(&mut self) -> Result<(&'a [u8], usize), DecodeError> {
        let len = usize::from(self.reader.u16("ACL token length")?);
        let offset = self.reader.offset();
        Ok((self.reader.slice("ACL token", len)?, offset))
    }

    /// The next entry of a section with this id; `None` for padding, which has none.
    #[inline]
    pub(crate) fn entry(&mut self, id: InfoId) -> Result<Option<Entry<'a>>, DecodeError> {
        Ok(Some(match id {
            InfoId::STRINGS => {
                let (key, value, offset) = self.string()?;
                Entry::Str { key, value, offset }
            }
            InfoId::INTS => {
                let (key, value, offset) = self.int()?;
                Entry::Int { key, value, offset }
            }
            InfoId::ACL_TOKEN => {
                let (value, offset) = self.acl_token()?;
                Entry::Acl { value, offset }
            }
            _ => return Ok(None),
        }))
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// Visits every entry up to the end, and says where the last section that is not padding ends.
    #[inline]
    pub(crate) fn visit_all(&mut self, mut visit: impl FnMut(Entry<'a>)) -> Result<usize, DecodeError> {
        let mut end = self.offset();
        while let Some(section) = self.section()? {
            match section.id {
                InfoId::STRINGS => {
                    for _ in 0..section.count {
                        let (key, value, offset) = self.string()?;
                        visit(Entry::Str { key, value, offset });
                    }
                }
                InfoId::INTS => {
                    for _ in 0..section.count {
                        let (key, value, offset) = self.int()?;
                        visit(Entry::Int { key, value, offset });
                    }
                }
                InfoId::ACL_TOKEN => {
                    let (value, offset) = self.acl_token()?;
                    visit(Entry::Acl { value, offset });
                }
                _ => continue,
            }
            end = self.offset();
        }
        Ok(end)
    }

    #[inline]
    fn value(&mut self) -> Result<(&'a [u8], usize), DecodeError> {
        let len = usize::from(self.reader.u16("INFO value length")?);
        let offset = self.reader.offset();
        Ok((self.reader.slice("INFO value", len)?, offset))
    }
}
