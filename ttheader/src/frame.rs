use bytes::Bytes;

use crate::limits::HEAD_LEN;
use crate::view::Layout;
use crate::{DecodeError, Head, HeaderView};

/// A whole frame as it was received, its header checked.
///
/// Header and payload are views of the one piece of memory that the frame came in, and
/// [`raw`](Self::raw) can be sent on as it is, unknown parts included. As with every `Bytes`, that
/// memory is the connection's read buffer: copy what is to outlive the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    raw: Bytes,
    layout: Layout,
}

impl Frame {
    /// Checks the bytes of one whole frame.
    ///
    /// # Errors
    ///
    /// What [`HeaderView::parse`] refuses; [`DecodeError::Truncated`] and [`DecodeError::TooLarge`] if
    /// there are fewer or more bytes than LENGTH says.
    #[inline]
    pub fn parse(raw: Bytes) -> Result<Self, DecodeError> {
        let actual = raw.len();
        let truncated = |field, expected| DecodeError::Truncated { field, offset: 0, expected, actual };
        let head = Head::peek(&raw)?.ok_or_else(|| truncated("head", HEAD_LEN))?;
        let expected = head.frame_len();
        if actual < expected {
            return Err(truncated("frame", expected));
        }
        if actual > expected {
            return Err(DecodeError::TooLarge { field: "frame", offset: 0, expected, actual });
        }
        Self::parse_behind(head, raw)
    }

    /// Checks the header block of a frame that is whole.
    #[inline]
    pub(crate) fn parse_behind(head: Head, raw: Bytes) -> Result<Self, DecodeError> {
        let header = raw.get(..head.payload_offset()).unwrap_or_default();
        let layout = HeaderView::parse_behind(head, header, |_| {})?.layout();
        Ok(Self { raw, layout })
    }

    /// The fixed bytes.
    #[must_use]
    #[inline]
    pub fn head(&self) -> Head {
        self.layout.head
    }

    /// The header. It was checked when the frame was decoded: this costs nothing.
    #[must_use]
    #[inline]
    pub fn header(&self) -> HeaderView<'_> {
        let header = self.raw.get(..self.layout.head.payload_offset()).unwrap_or_default();
        HeaderView::with_layout(header, self.layout)
    }

    /// The payload, as a view of the frame's memory.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> Bytes {
        self.raw.slice(self.layout.head.payload_offset().min(self.raw.len())..)
    }

    /// The whole frame.
    #[must_use]
    #[inline]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The whole frame, to send it on.
    #[must_use]
    #[inline]
    pub fn into_raw(self) -> Bytes {
        self.raw
    }
}
