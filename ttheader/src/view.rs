use std::fmt;

use crate::grammar::{Input, number, octets};
use crate::info::{Entry, Section, SectionHead, Span, Spans, Walker};
use crate::limits::{HEAD_LEN, PROTOCOL_ID_OFFSET};
use crate::{DecodeError, Flags, Head, InfoId, IntKey, ProtocolId};

/// A whole header, borrowed from the bytes it came in.
///
/// ```text
/// 14            15    16       16+T                        14 + 4×HEADER SIZE
/// +-------------+-----+--------+---------------+-----------+
/// | PROTOCOL ID | T   | T ids  | INFO sections | padding   | PAYLOAD
/// +-------------+-----+--------+---------------+-----------+
/// ```
///
/// [`parse`](Self::parse) checks everything once; nothing that reads it can fail afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// From LENGTH up to the payload.
    bytes: &'a [u8],
    layout: Layout,
}

/// Where the parts of a checked header are: what [`HeaderView::parse`] found, without the bytes.
///
/// Whoever keeps a frame's bytes and this has the view again for nothing, by [`HeaderView::with_layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(crate) head: Head,
    pub(crate) spans: Spans,
}

impl Layout {
    /// The fixed bytes.
    #[must_use]
    #[inline]
    pub fn head(&self) -> Head {
        self.head
    }
}

impl<'a> HeaderView<'a> {
    /// Reads a header from a frame's bytes. They have to reach up to the payload; what follows is
    /// not looked at.
    ///
    /// Accepts what Kitex accepts: sections in any order, repeated, with padding between them, and
    /// duplicate keys, of which the last one counts.
    ///
    /// # Errors
    ///
    /// What [`Head::peek`] refuses; [`DecodeError::Truncated`] if anything runs past the end of the
    /// header; [`DecodeError::UnknownId`] for a PROTOCOL ID or INFO ID that Kitex refuses.
    #[inline]
    pub fn parse(header: &'a [u8]) -> Result<Self, DecodeError> {
        Self::parse_with(header, |_| {})
    }

    /// Like [`parse`](Self::parse), and hands out every entry on the way: the cheapest way to pick
    /// several, as the header is read once. Entries before a malformed one have been handed out
    /// when the error comes.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    #[inline]
    pub fn parse_with(header: &'a [u8], visit: impl FnMut(Entry<'a>)) -> Result<Self, DecodeError> {
        let truncated = |field, expected| DecodeError::Truncated { field, offset: 0, expected, actual: header.len() };
        let Some(head) = Head::peek(header)? else { return Err(truncated("head", HEAD_LEN)) };
        match header.get(..head.payload_offset()) {
            Some(bytes) => Self::parse_behind(head, bytes, visit),
            None => Err(truncated("header", head.payload_offset())),
        }
    }

    /// Reads the header block of `bytes`, which are those from LENGTH up to the payload.
    #[inline]
    pub(crate) fn parse_behind(head: Head, bytes: &'a [u8], visit: impl FnMut(Entry<'a>)) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes.get(PROTOCOL_ID_OFFSET..).unwrap_or_default(), PROTOCOL_ID_OFFSET);
        let [protocol_id, transforms] = input.take(number("PROTOCOL ID"))?.to_be_bytes();
        if !ProtocolId(protocol_id).is_accepted() {
            return Err(DecodeError::UnknownId {
                field: "PROTOCOL ID",
                offset: PROTOCOL_ID_OFFSET,
                actual: protocol_id,
            });
        }
        input.take(octets("transform ids", usize::from(transforms)))?;
        let spans = Walker::new(input).visit_all(visit)?;
        Ok(Self { bytes, layout: Layout { head, spans } })
    }

    /// The view of `bytes` that gave `layout`, without another look. Other bytes make a view that says nothing
    /// sensible; it does not panic.
    #[must_use]
    #[inline]
    pub fn with_layout(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, layout }
    }

    /// Where the parts are, to be kept beside the bytes.
    #[must_use]
    #[inline]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The fixed bytes.
    #[must_use]
    #[inline]
    pub fn head(&self) -> Head {
        self.layout.head
    }

    /// FLAGS.
    #[must_use]
    #[inline]
    pub fn flags(&self) -> Flags {
        self.layout.head.flags
    }

    /// SEQUENCE NUMBER.
    #[must_use]
    #[inline]
    pub fn seq(&self) -> i32 {
        self.layout.head.seq
    }

    /// PROTOCOL ID.
    #[must_use]
    #[inline]
    pub fn protocol_id(&self) -> ProtocolId {
        self.bytes.get(PROTOCOL_ID_OFFSET).copied().map_or_else(ProtocolId::default, ProtocolId)
    }

    /// The transform ids. Kitex skips and ignores them.
    #[must_use]
    #[inline]
    pub fn transforms(&self) -> &'a [u8] {
        self.bytes.get(TRANSFORMS_OFFSET..self.layout.spans.all.start).unwrap_or_default()
    }

    /// The bytes of the header as they came, from LENGTH up to the payload.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All entries, in order.
    #[must_use]
    #[inline]
    pub fn entries(&self) -> Entries<'a> {
        Entries { walker: self.walker(self.layout.spans.all), id: InfoId::PADDING, section: 0, left: 0 }
    }

    /// All pairs of the 0x01 sections, in order.
    #[must_use]
    #[inline]
    pub fn strings(&self) -> Strings<'a> {
        Strings { entries: self.entries() }
    }

    /// All pairs of the 0x10 sections, in order.
    #[must_use]
    #[inline]
    pub fn ints(&self) -> Ints<'a> {
        Ints { entries: self.entries() }
    }

    /// All sections, in order, padding between them included and padding behind them not.
    #[must_use]
    #[inline]
    pub fn sections(&self) -> Sections<'a> {
        Sections { bytes: self.bytes, walker: self.walker(self.layout.spans.all) }
    }

    /// The value of a string key; of duplicates the last.
    #[must_use]
    pub fn string(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.last(self.layout.spans.strings, |entry| matches!(entry, Entry::Str { key: k, .. } if *k == key))
    }

    /// The value of an int key; of duplicates the last.
    #[must_use]
    pub fn int(&self, key: IntKey) -> Option<&'a [u8]> {
        self.last(self.layout.spans.ints, |entry| matches!(entry, Entry::Int { key: k, .. } if *k == key))
    }

    /// The ACL token of section 0x11; of several the last.
    #[must_use]
    pub fn acl_token(&self) -> Option<&'a [u8]> {
        self.last(self.layout.spans.all, |entry| matches!(entry, Entry::Acl { .. }))
    }

    /// Calls `visit` with all entries, in order: cheaper than [`entries`](Self::entries).
    #[inline]
    pub fn for_each(&self, visit: impl FnMut(Entry<'a>)) {
        self.walk(self.layout.spans.all, visit);
    }

    /// Calls `visit` with the entries of a part of the header.
    #[inline]
    pub(crate) fn walk(&self, span: Span, visit: impl FnMut(Entry<'a>)) {
        // The bytes have been checked, so that an error cannot come up here.
        let _checked = self.walker(span).visit_all(visit);
    }

    #[inline]
    fn walker(&self, span: Span) -> Walker<'a> {
        Walker::new(Input::new(self.bytes.get(span.start..span.end).unwrap_or_default(), span.start))
    }

    #[inline]
    fn last(&self, span: Span, matches: impl Fn(&Entry<'a>) -> bool) -> Option<&'a [u8]> {
        let mut found = None;
        self.walk(span, |entry| {
            if matches(&entry) {
                found = Some(entry.value());
            }
        });
        found
    }
}

impl fmt::Debug for HeaderView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderView")
            .field("head", &self.head())
            .field("protocol_id", &self.protocol_id())
            .field("transforms", &self.transforms())
            .field("entries", &EntryList(self.entries()))
            .finish()
    }
}

/// All entries of a header: see [`HeaderView::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    walker: Walker<'a>,
    id: InfoId,
    /// Where the section starts whose entries are being read.
    section: usize,
    left: u16,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        // The bytes have been checked, so that an error cannot come up here.
        while self.left == 0 {
            let SectionHead { id, offset, count } = self.walker.section().ok()??;
            (self.id, self.section, self.left) = (id, offset, count);
        }
        self.left = self.left.saturating_sub(1);
        self.walker.entry(self.id, self.section).ok()?
    }
}

/// All string pairs of a header: see [`HeaderView::strings`].
#[derive(Clone, Debug)]
pub struct Strings<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for Strings<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.entries.find_map(|entry| match entry {
            Entry::Str { key, value, .. } => Some((key, value)),
            _ => None,
        })
    }
}

/// All int pairs of a header: see [`HeaderView::ints`].
#[derive(Clone, Debug)]
pub struct Ints<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for Ints<'a> {
    type Item = (IntKey, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.entries.find_map(|entry| match entry {
            Entry::Int { key, value, .. } => Some((key, value)),
            _ => None,
        })
    }
}

/// All sections of a header: see [`HeaderView::sections`].
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    bytes: &'a [u8],
    walker: Walker<'a>,
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        let SectionHead { id, offset, count } = self.walker.section().ok()??;
        for _ in 0..count {
            self.walker.entry(id, offset).ok()?;
        }
        let bytes = self.bytes.get(offset..self.walker.offset())?;
        Some(Section { id, count, offset, bytes })
    }
}

struct EntryList<'a>(Entries<'a>);

impl fmt::Debug for EntryList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone()).finish()
    }
}

const TRANSFORMS_OFFSET: usize = 16;
