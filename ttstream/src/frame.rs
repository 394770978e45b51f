use std::{fmt, str};

use bytes::{Buf, Bytes, BytesMut};
use ttheader::{Entries, Entry, Flags, HeaderView, IntKey, Layout, keys, set_seq};

use crate::exception::{Code, Exception, ExceptionError, Text};
use crate::{DecodeError, EncodeError};

/// A whole frame of a stream as it was received, checked.
///
/// ```text
/// 0        4        6       8           12            14                       14 + 4×HS
/// +--------+--------+-------+-----------+-------------+------------------------+---------+
/// | LENGTH | 0x1000 | FLAGS | stream id | HEADER SIZE | header block           | PAYLOAD |
/// +--------+--------+-------+-----------+-------------+------------------------+---------+
///                    bit 1                             int 9 method, int 27 type,
///                                                      string pairs, ACL token
/// ```
///
/// Method, pairs and payload are views of the one piece of memory that the frame came in. As with every `Bytes`, that
/// memory is the connection's read buffer: copy what is to outlive the stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    raw: Bytes,
    layout: Layout,
    frame_type: FrameType,
    /// Where the method's value starts, and its length; both 0 without one.
    method: (u32, u16),
}

impl Frame {
    /// Checks the bytes of one whole frame.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; there are fewer or more bytes than LENGTH says as well.
    pub fn parse(raw: Bytes) -> Result<Self, DecodeError> {
        // For its checks of the length; the header is read below, for what is picked out of it.
        let frame = ttheader::Frame::parse(raw)?;
        Self::parse_whole(frame.into_raw())
    }

    /// Checks the header of a frame that is whole.
    #[inline]
    pub(crate) fn parse_whole(raw: Bytes) -> Result<Self, DecodeError> {
        let mut found = Found::default();
        let header = HeaderView::parse_with(&raw, |entry| found.visit(&entry))?;
        if !header.flags().contains(Flags::STREAMING) {
            return Err(DecodeError::NotStreaming { actual: header.flags() });
        }
        let frame_type = found.frame_type()?;
        let (layout, method) = (header.layout(), found.method);
        Ok(Self { raw, layout, frame_type, method })
    }

    /// What kind of frame it is.
    #[must_use]
    #[inline]
    pub fn frame_type(&self) -> FrameType {
        self.frame_type
    }

    /// The stream's id on this connection.
    #[must_use]
    #[inline]
    pub fn stream_id(&self) -> i32 {
        self.layout_head().seq
    }

    /// Int key 9: the method, on every frame of a stock peer; empty where it is missing. Only that of the header
    /// frame which opens the stream counts (specification A4).
    #[must_use]
    #[inline]
    pub fn method(&self) -> &[u8] {
        let (start, len) = self.method;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.raw.get(start..start.saturating_add(len.into())).unwrap_or_default()
    }

    /// The header. It was checked when the frame was decoded: this costs nothing.
    #[must_use]
    #[inline]
    pub fn header(&self) -> HeaderView<'_> {
        HeaderView::with_layout(self.head(), self.layout)
    }

    /// All that precedes the payload, as it came.
    #[must_use]
    #[inline]
    pub fn head(&self) -> &[u8] {
        self.raw.get(..self.layout_head().payload_offset()).unwrap_or_default()
    }

    /// The payload, as a view of the frame's memory: one bare message in a data frame, an exception or nothing in
    /// trailer and rst.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> Bytes {
        self.raw.slice(self.layout_head().payload_offset().min(self.raw.len())..)
    }

    /// The payload, of a frame that is of no other interest any more: cheaper than [`payload`](Self::payload).
    #[must_use]
    #[inline]
    pub fn into_payload(mut self) -> Bytes {
        let offset = self.layout_head().payload_offset().min(self.raw.len());
        self.raw.advance(offset);
        self.raw
    }

    /// The payload, borrowed.
    #[must_use]
    #[inline]
    pub fn payload_slice(&self) -> &[u8] {
        self.raw.get(self.layout_head().payload_offset()..).unwrap_or_default()
    }

    /// The string pairs, in order, and the ACL token under its string key.
    #[must_use]
    pub fn pairs(&self) -> Pairs<'_> {
        Pairs { entries: self.header().entries() }
    }

    /// The value of a string key; of duplicates the last.
    #[must_use]
    pub fn string(&self, key: &[u8]) -> Option<&[u8]> {
        self.header().string(key)
    }

    /// `isn`: the IDL service, in the header frame that opens a stream. A hint: it may be missing, empty or
    /// `CombineService` (specification A13).
    #[must_use]
    pub fn service(&self) -> Option<&[u8]> {
        self.string(keys::IDL_SERVICE_NAME)
    }

    /// `ttscp`: in an rst frame, the services from the first that cancelled to the sender, comma-separated.
    #[must_use]
    pub fn cancel_path(&self) -> Option<&[u8]> {
        self.string(keys::CANCEL_PATH)
    }

    /// The business error in the pairs of a server's trailer: `biz-status` a decimal number of 32 bits that is not 0.
    ///
    /// It counts only where there is no payload: [`outcome`](Self::outcome) heeds that.
    #[must_use]
    pub fn business_error(&self) -> Option<BusinessError<'_>> {
        let (mut status, mut message, mut extra) = (None, &b""[..], &b""[..]);
        self.header().for_each(|entry| {
            let Entry::Str { key, value, .. } = entry else { return };
            match key {
                keys::BIZ_STATUS => status = Some(value),
                keys::BIZ_MESSAGE => message = value,
                keys::BIZ_EXTRA => extra = value,
                _ => {}
            }
        });
        let status = str::from_utf8(status?).ok()?.parse().ok()?;
        (status != 0).then_some(BusinessError { status, message, extra })
    }

    /// The exception in the payload of a trailer or rst frame.
    ///
    /// # Errors
    ///
    /// [`ExceptionError`], for an empty payload too.
    pub fn exception(&self) -> Result<Exception<'_>, ExceptionError> {
        Exception::parse(self.payload_slice())
    }

    /// How the stream ended, read from a trailer in the order of specification A9: an exception payload, then a
    /// business error, then success.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        if !self.payload_slice().is_empty() {
            return self.exception().map_or_else(Outcome::Undecodable, Outcome::Exception);
        }
        self.business_error().map_or(Outcome::Success, Outcome::Business)
    }

    /// Why the stream was reset, read from an rst frame: without a payload that can be decoded it is code 13, `rst`
    /// (specification A12).
    #[must_use]
    pub fn reset(&self) -> Reset<'_> {
        let exception = self.exception().unwrap_or_else(|_| Exception::built_in(Code::UNEXPLAINED_RESET));
        Reset { exception, cancel_path: self.cancel_path().unwrap_or_default() }
    }

    /// Appends what precedes the payload with another stream id, everything else as it came: the way to send a frame
    /// on to another hop. The payload follows in the same vectored write, from [`payload_for`](Self::payload_for).
    ///
    /// # Errors
    ///
    /// [`EncodeError::ReservedId`]; `dst` is then what it was before.
    #[inline]
    pub fn encode_head_with_id(&self, stream_id: i32, dst: &mut BytesMut) -> Result<(), EncodeError> {
        if stream_id == 0 {
            return Err(EncodeError::ReservedId);
        }
        let start = dst.len();
        dst.extend_from_slice(self.head());
        // The head has its 14 fixed bytes, so that the number is there to be set.
        let _set = dst.get_mut(start..).map(|head| set_seq(head, stream_id));
        Ok(())
    }

    /// The payload as it goes behind a head with this stream id: the same bytes, but for an exception, which holds the
    /// stream id of its hop (specification A6) and is copied for that.
    #[must_use]
    pub fn payload_for(&self, stream_id: i32) -> Bytes {
        let payload = self.payload();
        if !matches!(self.frame_type, FrameType::Trailer | FrameType::Rst) || payload.is_empty() {
            return payload;
        }
        let Some(offset) = self.exception().ok().and_then(|_| seqid_offset(&payload)) else { return payload };
        let mut copy = BytesMut::from(&payload[..]);
        if let Some(seqid) = copy.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
            *seqid = stream_id.to_be_bytes();
        }
        copy.freeze()
    }

    /// The whole frame.
    #[must_use]
    #[inline]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The whole frame, to send it on as it is.
    #[must_use]
    #[inline]
    pub fn into_bytes(self) -> Bytes {
        self.raw
    }

    #[inline]
    fn layout_head(&self) -> ttheader::Head {
        self.layout.head()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("frame_type", &self.frame_type)
            .field("stream_id", &self.stream_id())
            .field("header", &self.header())
            .field("payload_len", &self.payload_slice().len())
            .finish()
    }
}

/// What kind of frame: int key 27, as a digit (specification A4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "any other is an illegal frame, which ends the connection")]
pub enum FrameType {
    /// `1`: facts about the connection from something in between, for the client.
    Meta,
    /// `2`: opens a stream (client), carries headers (server).
    Header,
    /// `3`: one message.
    Data,
    /// `4`: half close (client), end with outcome and trailers (server).
    Trailer,
    /// `5`: cancel, in either direction.
    Rst,
}

impl FrameType {
    /// The digit on the wire.
    #[must_use]
    #[inline]
    pub const fn digit(self) -> u8 {
        match self {
            Self::Meta => b'1',
            Self::Header => b'2',
            Self::Data => b'3',
            Self::Trailer => b'4',
            Self::Rst => b'5',
        }
    }

    /// The kind of frame that this digit stands for.
    #[must_use]
    #[inline]
    pub const fn from_digit(digit: u8) -> Option<Self> {
        match digit {
            b'1' => Some(Self::Meta),
            b'2' => Some(Self::Header),
            b'3' => Some(Self::Data),
            b'4' => Some(Self::Trailer),
            b'5' => Some(Self::Rst),
            _ => None,
        }
    }
}

/// How a stream ended, as its trailer says (specification A9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// Nothing went wrong; of a client's trailer, the half close.
    Success,
    /// An error that the application declared.
    Business(BusinessError<'a>),
    /// Any other failure. A Kitex client shows it as 12001 around this code.
    Exception(Exception<'a>),
    /// There is a payload and it is no exception. A Kitex client shows it as 12004.
    Undecodable(ExceptionError),
}

/// A business error in the pairs of a trailer.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusinessError<'a> {
    /// `biz-status`; never 0.
    pub status: i32,
    /// `biz-message`; empty where it is missing.
    pub message: &'a [u8],
    /// `biz-extra`, a JSON object of strings, not checked; empty where it is missing. A Kitex client shows 12003
    /// instead of the error when it is malformed.
    pub extra: &'a [u8],
}

impl fmt::Debug for BusinessError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusinessError")
            .field("status", &self.status)
            .field("message", &Text(self.message))
            .field("extra", &Text(self.extra))
            .finish()
    }
}

/// Why a stream was reset.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset<'a> {
    /// Code and text.
    pub exception: Exception<'a>,
    /// The services from the first that cancelled to the sender, comma-separated; empty where it is missing.
    pub cancel_path: &'a [u8],
}

impl fmt::Debug for Reset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reset")
            .field("exception", &self.exception)
            .field("cancel_path", &Text(self.cancel_path))
            .finish()
    }
}

/// The string pairs of a frame: see [`Frame::pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.find_map(|entry| match entry {
            Entry::Str { key, value, .. } => Some((key, value)),
            Entry::Acl { value, .. } => Some((keys::GDPR_TOKEN, value)),
            _ => None,
        })
    }
}

/// What is picked out of a header while it is checked; of duplicates the last counts.
#[derive(Default)]
struct Found {
    /// Offset, length and first byte of int key 27.
    frame_type: Option<(usize, usize, u8)>,
    method: (u32, u16),
}

impl Found {
    #[inline]
    fn visit(&mut self, entry: &Entry<'_>) {
        let Entry::Int { key, value, .. } = entry else { return };
        match *key {
            IntKey::FRAME_TYPE => {
                self.frame_type = Some((entry.value_range().start, value.len(), value.first().copied().unwrap_or(0)));
            }
            IntKey::TO_METHOD => {
                // A header has at most 262,154 bytes and a value 65,535.
                let start = u32::try_from(entry.value_range().start).unwrap_or(u32::MAX);
                self.method = (start, u16::try_from(value.len()).unwrap_or(u16::MAX));
            }
            _ => {}
        }
    }

    #[inline]
    fn frame_type(&self) -> Result<FrameType, DecodeError> {
        let Some((offset, len, actual)) = self.frame_type else { return Err(DecodeError::NoFrameType) };
        FrameType::from_digit(actual).filter(|_| len == 1).ok_or(DecodeError::UnknownFrameType { offset, len, actual })
    }
}

/// Where the sequence id stands in an exception.
fn seqid_offset(exception: &[u8]) -> Option<usize> {
    let name_len = i32::from_be_bytes(*exception.get(4..)?.first_chunk()?);
    usize::try_from(name_len).ok()?.checked_add(8)
}
