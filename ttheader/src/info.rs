use std::fmt;
use std::ops::Range;

use nom::Parser;

use crate::grammar::{Input, Short, number, string};
use crate::{DecodeError, InfoId, IntKey};

/// One entry of an INFO section.
#[derive(Clone, Copy, PartialEq, Eq)]
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
        /// Where the section starts in the frame.
        section: usize,
    },
    /// A pair of section 0x10.
    Int {
        /// The key.
        key: IntKey,
        /// The value; may be empty.
        value: &'a [u8],
        /// Where the value starts in the frame.
        offset: usize,
        /// Where the section starts in the frame.
        section: usize,
    },
    /// The token of section 0x11.
    Acl {
        /// The token.
        value: &'a [u8],
        /// Where the token starts in the frame.
        offset: usize,
        /// Where the section starts in the frame.
        section: usize,
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
        let (Self::Str { offset, .. } | Self::Int { offset, .. } | Self::Acl { offset, .. }) = *self;
        offset..offset.saturating_add(self.value().len())
    }

    /// Where its section starts in the frame.
    #[must_use]
    #[inline]
    pub fn section(&self) -> usize {
        let (Self::Str { section, .. } | Self::Int { section, .. } | Self::Acl { section, .. }) = *self;
        section
    }

    /// Where it starts in the frame: its key or, for the token, its section.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        let before_value = match self {
            Self::Str { key, .. } => key.len().saturating_add(4),
            Self::Int { .. } => 4,
            Self::Acl { .. } => 3,
        };
        self.value_range().start.saturating_sub(before_value)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value().escape_ascii();
        match self {
            Self::Str { key, .. } => write!(f, "\"{}\": \"{value}\"", key.escape_ascii()),
            Self::Int { key, .. } => write!(f, "{key:?}: \"{value}\""),
            Self::Acl { .. } => write!(f, "ACL token: \"{value}\""),
        }
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
/// section  = %x00                                      ; padding, one byte, anywhere
///          / %x01 number *(string string)              ; count, then as many keys and values
///          / %x10 number *(number string)              ; count, then as many keys and values
///          / %x11 string                               ; ACL token
/// string   = number *OCTET                             ; length, then as many bytes
/// number   = 2OCTET                                    ; most significant first
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walker<'a> {
    input: Input<'a>,
}

/// A section's id and count, read already; its entries are next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionHead {
    pub(crate) id: InfoId,
    pub(crate) offset: usize,
    pub(crate) count: u16,
}

/// Bytes of a frame, from an offset up to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// Reaches from the first section that is added to the last.
    #[inline]
    fn add(&mut self, start: usize, end: usize) {
        if self.end == 0 {
            self.start = start;
        }
        self.end = end;
    }

    /// The smallest span that has both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self.end, other.end) {
            (0, _) => other,
            (_, 0) => self,
            _ => Self { start: self.start.min(other.start), end: self.end.max(other.end) },
        }
    }
}

/// Which part of a header has to be walked to see all sections of a kind: senders write one of each,
/// so that looking for an int key skips all strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans {
    /// All sections, without the padding behind them.
    pub(crate) all: Span,
    pub(crate) strings: Span,
    pub(crate) ints: Span,
}

impl<'a> Walker<'a> {
    #[inline]
    pub(crate) fn new(input: Input<'a>) -> Self {
        Self { input }
    }

    /// The next section; `None` at the end. All entries of the one before must have been read.
    #[inline(always)]
    pub(crate) fn section(&mut self) -> Result<Option<SectionHead>, DecodeError> {
        let offset = self.input.offset();
        let Some(id) = self.input.next_byte().map(InfoId) else { return Ok(None) };
        let count = match id {
            InfoId::STRINGS | InfoId::INTS => self.input.take(number("INFO count"))?,
            InfoId::ACL_TOKEN => 1,
            InfoId::PADDING => 0,
            InfoId(actual) => return Err(DecodeError::UnknownId { field: "INFO ID", offset, actual }),
        };
        Ok(Some(SectionHead { id, offset, count }))
    }

    /// The next entry of the section with this id that starts here; `None` for padding, which has none.
    #[inline(always)]
    pub(crate) fn entry(&mut self, id: InfoId, section: usize) -> Result<Option<Entry<'a>>, DecodeError> {
        match id {
            InfoId::STRINGS => self.string(section).map(Some),
            InfoId::INTS => self.int(section).map(Some),
            InfoId::ACL_TOKEN => self.acl_token(section).map(Some),
            _ => Ok(None),
        }
    }

    /// Where the next byte is in the frame.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.input.offset()
    }

    /// Visits every entry up to the end.
    #[inline]
    pub(crate) fn visit_all(&mut self, mut visit: impl FnMut(Entry<'a>)) -> Result<Spans, DecodeError> {
        let start = self.offset();
        let mut spans = Spans { all: Span { start, end: start }, ..Spans::default() };
        while let Some(SectionHead { id, offset, count }) = self.section()? {
            // A loop a kind, and not one around `entry`: the kind is not asked for at each entry.
            match id {
                InfoId::STRINGS => {
                    for _ in 0..count {
                        visit(self.string(offset)?);
                    }
                    spans.strings.add(offset, self.offset());
                }
                InfoId::INTS => {
                    for _ in 0..count {
                        visit(self.int(offset)?);
                    }
                    spans.ints.add(offset, self.offset());
                }
                InfoId::ACL_TOKEN => visit(self.acl_token(offset)?),
                _ => continue,
            }
            spans.all.end = self.offset();
        }
        Ok(spans)
    }

    #[inline(always)]
    fn string(&mut self, section: usize) -> Result<Entry<'a>, DecodeError> {
        let (key, value) = self.input.take((string("INFO key length", "INFO key"), value()))?;
        Ok(Entry::Str { key, value, offset: self.offset_of(value), section })
    }

    #[inline(always)]
    fn int(&mut self, section: usize) -> Result<Entry<'a>, DecodeError> {
        let (key, value) = self.input.take((number("INFO int key"), value()))?;
        Ok(Entry::Int { key: IntKey(key), value, offset: self.offset_of(value), section })
    }

    #[inline(always)]
    fn acl_token(&mut self, section: usize) -> Result<Entry<'a>, DecodeError> {
        let value = self.input.take(string("ACL token length", "ACL token"))?;
        Ok(Entry::Acl { value, offset: self.offset_of(value), section })
    }

    /// Where the value starts that was read last.
    #[inline(always)]
    fn offset_of(&self, value: &[u8]) -> usize {
        self.offset().saturating_sub(value.len())
    }
}

#[inline(always)]
fn value<'a>() -> impl Parser<&'a [u8], Output = &'a [u8], Error = Short> {
    string("INFO value length", "INFO value")
}
