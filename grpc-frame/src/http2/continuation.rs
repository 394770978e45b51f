use bytes::{Bytes, BytesMut};

use super::{
    DEFAULT_MAX_CONTINUATIONS, DEFAULT_MAX_HEADER_BLOCK, DecodeError, EncodeError, Flags, Frame, FrameType, HEAD_LEN,
    Head, Headers, PushPromise, StreamId,
};

/// CONTINUATION (section 6.10): the next piece of a header block.
///
/// ```text
/// +---------------------------------------------------------------+
/// |                    Field Block Fragment (*)                 ...
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification's fields, and all of them")]
pub struct Continuation {
    /// Stream Identifier: that of the HEADERS or PUSH_PROMISE before it.
    pub stream_id: StreamId,
    /// Flags: END_HEADERS with the last piece.
    pub flags: Flags,
    /// Field Block Fragment: HPACK. A view of the read buffer.
    pub fragment: Bytes,
}

impl Continuation {
    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdZero`].
    pub fn parse(head: Head, payload: Bytes) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        Ok(Self { stream_id: head.stream_id, flags: head.flags, fragment: payload })
    }

    /// Whether the header block ends with this frame.
    #[must_use]
    pub const fn is_end_headers(&self) -> bool {
        self.flags.contains(Flags::END_HEADERS)
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::StreamId`] on stream 0, [`EncodeError::TooLong`] when Length cannot say it.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.fragment);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Head, EncodeError> {
        Head::of(FrameType::CONTINUATION, self.flags, self.stream_id, self.fragment.len())
    }
}

/// Joins a header block that comes in several frames, and sees to it that it ends.
///
/// ```text
///           HEADERS, PUSH_PROMISE without END_HEADERS
///  nothing ─────────────────────────────────────────► open ──┐ CONTINUATION of the same stream,
///   open   ◄───────────────────────────────────────── block ◄┘ within the limits
///           CONTINUATION with END_HEADERS
/// ```
///
/// Between HEADERS and the last CONTINUATION no other frame may come, of whatever stream and type. Limits hold for
/// blocks of one frame too, and count octets as they came, compressed.
#[derive(Clone, Debug)]
pub struct Assembler {
    max_header_block: usize,
    max_continuations: usize,
    open: Option<Open>,
    joined: Option<Joined>,
}

/// A header block that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    stream_id: StreamId,
    /// Octets so far.
    len: usize,
    /// Frames so far, the first aside.
    continuations: usize,
}

/// The frame that a header block began with, and the block so far.
#[derive(Clone, Debug)]
struct Joined {
    first: Frame,
    block: BytesMut,
}

impl Assembler {
    /// With these limits: octets of a header block, and CONTINUATION frames that may follow one HEADERS or PUSH_PROMISE.
    #[must_use]
    pub const fn new(max_header_block: usize, max_continuations: usize) -> Self {
        Self { max_header_block, max_continuations, open: None, joined: None }
    }

    /// Takes the next frame. A header block in pieces comes out once, as HEADERS or PUSH_PROMISE with all of it,
    /// END_HEADERS and no padding; until then it is `None`. Every other frame comes out as it went in, and so does a
    /// block in one piece, without a copy.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), and [`DecodeError::HeaderBlockTooLarge`]. All of them end the connection.
    pub fn push(&mut self, frame: Frame) -> Result<Option<Frame>, DecodeError> {
        self.note(&frame)?;
        match (frame, self.joined.take()) {
            (Frame::Continuation(next), Some(mut joined)) => {
                joined.block.extend_from_slice(&next.fragment);
                if self.open.is_none() {
                    return Ok(Some(joined.finish()));
                }
                self.joined = Some(joined);
                Ok(None)
            }
            (first @ (Frame::Headers(_) | Frame::PushPromise(_)), _) if self.open.is_some() => {
                self.joined = Some(Joined::start(first));
                Ok(None)
            }
            (frame, _) => Ok(Some(frame)),
        }
    }

    /// Takes note of the next frame, which stays as it is: for who wants the pieces, and their order and limits kept.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push).
    pub fn note(&mut self, frame: &Frame) -> Result<(), DecodeError> {
        self.check_next(frame.frame_type(), frame.stream_id())?;
        let Some(fragment) = Fragment::of(frame) else { return Ok(()) };
        let so_far = self.open.map_or(0, |open| open.len);
        let len = so_far.saturating_add(fragment.octets.len());
        if len > self.max_header_block {
            let (offset, expected) = (fragment.offset, self.max_header_block);
            return Err(DecodeError::HeaderBlockTooLarge { offset, expected, actual: len });
        }
        let continuations = self.open.map_or(0, |open| open.continuations.saturating_add(1));
        let open = Open { stream_id: frame.stream_id(), len, continuations };
        self.open = (!frame.flags().contains(Flags::END_HEADERS)).then_some(open);
        Ok(())
    }

    /// Whether a frame with this head may come next. To be asked as soon as the head is there, for the answer does not
    /// depend on the payload.
    ///
    /// # Errors
    ///
    /// [`DecodeError::ContinuationExpected`], [`DecodeError::ContinuationUnexpected`],
    /// [`DecodeError::TooManyContinuations`].
    #[inline]
    pub fn check(&self, head: &Head) -> Result<(), DecodeError> {
        self.check_next(head.frame_type, head.stream_id)
    }

    /// The stream whose header block has not ended, if there is one.
    #[must_use]
    #[inline]
    pub fn open(&self) -> Option<StreamId> {
        self.open.map(|open| open.stream_id)
    }

    #[inline]
    fn check_next(&self, frame_type: FrameType, stream_id: StreamId) -> Result<(), DecodeError> {
        let is_continuation = frame_type == FrameType::CONTINUATION;
        match self.open {
            None if is_continuation => Err(DecodeError::ContinuationUnexpected { actual: stream_id }),
            None => Ok(()),
            Some(Open { stream_id: expected, .. }) if !is_continuation || stream_id != expected => {
                Err(DecodeError::ContinuationExpected { expected, frame_type, actual: stream_id })
            }
            Some(Open { continuations, .. }) if continuations >= self.max_continuations => {
                let actual = continuations.saturating_add(1);
                Err(DecodeError::TooManyContinuations { expected: self.max_continuations, actual })
            }
            Some(_) => Ok(()),
        }
    }
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_HEADER_BLOCK, DEFAULT_MAX_CONTINUATIONS)
    }
}

impl Joined {
    fn start(first: Frame) -> Self {
        let block = Fragment::of(&first).map_or_else(BytesMut::new, |fragment| BytesMut::from(&fragment.octets[..]));
        Self { first, block }
    }

    fn finish(self) -> Frame {
        let fragment = self.block.freeze();
        let whole = |flags: Flags| flags.with(Flags::END_HEADERS, true).with(Flags::PADDED, false);
        match self.first {
            Frame::Headers(first) => {
                Frame::Headers(Headers { flags: whole(first.flags), padding: None, fragment, ..first })
            }
            Frame::PushPromise(first) => {
                Frame::PushPromise(PushPromise { flags: whole(first.flags), padding: None, fragment, ..first })
            }
            // `start` is given no other.
            other => other,
        }
    }
}

/// A piece of a header block, and where it stands in its frame.
struct Fragment<'a> {
    octets: &'a Bytes,
    offset: usize,
}

impl<'a> Fragment<'a> {
    fn of(frame: &'a Frame) -> Option<Self> {
        match frame {
            Frame::Headers(headers) => Some(Self { octets: &headers.fragment, offset: headers.fragment_offset() }),
            Frame::PushPromise(promise) => Some(Self { octets: &promise.fragment, offset: promise.fragment_offset() }),
            Frame::Continuation(next) => Some(Self { octets: &next.fragment, offset: HEAD_LEN }),
            _ => None,
        }
    }
}
