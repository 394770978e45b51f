use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    Assembler, CodecError, Continuation, DEFAULT_MAX_CONTINUATIONS, DEFAULT_MAX_FRAME_SIZE, DEFAULT_MAX_HEADER_BLOCK,
    Data, DecodeError, EncodeError, Flags, Frame, FrameType, HEAD_LEN, Head, Headers, MAX_EAGER_RESERVE,
    MAX_MAX_FRAME_SIZE, PREFACE, Peer, PushPromise, StreamId, peek_preface,
};

/// Cuts one direction of a connection into [`Frame`]s, and writes them.
///
/// A header block in several frames is joined: what is yielded has END_HEADERS, and no [`Continuation`] is. The builder
/// can leave the pieces as they came. Written, a header block longer than the peer's frames goes out in pieces; every
/// other frame that is too long is an error, for how to divide it is the caller's to say.
///
/// After an error of [`Scope::Stream`](super::Scope::Stream) the frame is gone and the next call goes on behind it.
/// After one of the connection nothing that comes makes sense any more. tokio-util's `Framed` ends with either.
#[derive(Clone, Debug)]
pub struct Http2Codec {
    max_frame_size: usize,
    max_send_frame_size: usize,
    joins_header_blocks: bool,
    blocks: Assembler,
    peer: Option<Peer>,
    opening: Opening,
}

/// What of the connection preface is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Preface,
    Settings,
    Done,
}

impl Http2Codec {
    /// A codec with the default limits, to change them.
    pub fn builder() -> Http2CodecBuilder {
        Http2CodecBuilder {
            max_frame_size: DEFAULT_MAX_FRAME_SIZE,
            max_send_frame_size: DEFAULT_MAX_FRAME_SIZE,
            max_header_block: DEFAULT_MAX_HEADER_BLOCK,
            max_continuations: DEFAULT_MAX_CONTINUATIONS,
            joins_header_blocks: true,
            peer: None,
        }
    }

    /// Sets the longest payload to take, in octets: what SETTINGS_MAX_FRAME_SIZE of ours says, once the peer has
    /// acknowledged it.
    pub fn set_max_frame_size(&mut self, octets: usize) {
        self.max_frame_size = octets.min(MAX_PAYLOAD);
    }

    /// Sets the longest payload to write, in octets: what SETTINGS_MAX_FRAME_SIZE of the peer says.
    pub fn set_max_send_frame_size(&mut self, octets: usize) {
        self.max_send_frame_size = octets.clamp(1, MAX_PAYLOAD);
    }

    /// The longest payload that is taken, in octets.
    #[must_use]
    pub fn max_frame_size(&self) -> usize {
        self.max_frame_size
    }

    /// The longest payload that is written, in octets.
    #[must_use]
    pub fn max_send_frame_size(&self) -> usize {
        self.max_send_frame_size
    }

    /// Takes one whole frame off the front, head included, without looking at its payload: for who sends it on as it
    /// is. `None` as long as a part of it is missing. A client's preface is taken off before it.
    ///
    /// Order and size of header blocks are not watched. Do not change to [`decode`](Decoder::decode) inside one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::FrameTooLarge`], [`DecodeError::WrongPreface`], [`DecodeError::SettingsExpected`].
    #[inline]
    pub fn split(&mut self, src: &mut BytesMut) -> Result<Option<(Head, Bytes)>, DecodeError> {
        match self.whole_head(src)? {
            Some(head) => Ok(Some((head, src.split_to(head.frame_len()).freeze()))),
            None => Ok(None),
        }
    }

    /// The head of the frame at the front, once all of the frame is there.
    #[inline]
    fn whole_head(&mut self, src: &mut BytesMut) -> Result<Option<Head>, DecodeError> {
        if self.opening != Opening::Done && !self.open_connection(src)? {
            return Ok(None);
        }
        let Some(head) = Head::peek(src) else { return Ok(None) };
        if head.payload_len() > self.max_frame_size {
            return Err(self.too_large(&head));
        }
        // The head stays in `src` until its payload is there: were it taken at once, a peer that closes right after it
        // would leave an empty buffer behind, which passes for a clean end of the stream.
        if src.len() < head.frame_len() {
            make_room(src, head.frame_len());
            return Ok(None);
        }
        Ok(Some(head))
    }

    /// Takes the preface off the front, and looks at the first frame's head: true once there is one.
    #[cold]
    fn open_connection(&mut self, src: &mut BytesMut) -> Result<bool, DecodeError> {
        if self.opening == Opening::Preface {
            if !peek_preface(src)? {
                return Ok(false);
            }
            src.advance(PREFACE.len());
            self.opening = Opening::Settings;
        }
        let Some(head) = Head::peek(src) else { return Ok(false) };
        if head.frame_type != FrameType::SETTINGS || head.flags.contains(Flags::ACK) {
            return Err(DecodeError::SettingsExpected { actual: head.frame_type });
        }
        if src.len() >= head.frame_len() {
            self.opening = Opening::Done;
        }
        Ok(true)
    }

    #[cold]
    fn too_large(&self, head: &Head) -> DecodeError {
        DecodeError::FrameTooLarge {
            frame_type: head.frame_type,
            expected: self.max_frame_size,
            actual: head.payload_len(),
        }
    }

    /// The frame at the front if it is whole, breaks no rule, and is DATA without padding, as most frames are.
    #[inline(always)]
    fn plain_data(&mut self, src: &mut BytesMut) -> Option<Data> {
        let head = Head::peek(src)?;
        let whole = head.payload_len() <= self.max_frame_size && head.frame_len() <= src.len();
        let plain = head.frame_type == FrameType::DATA && !head.flags.contains(Flags::PADDED);
        if !(whole && plain && self.opening == Opening::Done) {
            return None;
        }
        if head.stream_id.is_connection() || self.blocks.open().is_some() {
            return None;
        }
        let mut data = src.split_to(head.frame_len()).freeze();
        data.advance(HEAD_LEN);
        Some(Data { flags: head.flags, ..Data::new(head.stream_id, data) })
    }

    #[inline(never)]
    fn decode_any(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        loop {
            // Order does not depend on the payload, and is told before that is there.
            if self.opening == Opening::Done
                && let Some(head) = Head::peek(src)
            {
                self.blocks.check(&head)?;
            }
            let Some(head) = self.whole_head(src)? else { return Ok(None) };
            let mut payload = src.split_to(head.frame_len()).freeze();
            payload.advance(HEAD_LEN);
            if let Some(frame) = self.take(head, payload)? {
                return Ok(Some(frame));
            }
        }
    }

    /// Reads a frame that is whole. `None` for a piece of a header block that is to be joined.
    fn take(&mut self, head: Head, payload: Bytes) -> Result<Option<Frame>, DecodeError> {
        if self.peer == Some(Peer::Client) && head.frame_type == FrameType::PUSH_PROMISE {
            return Err(DecodeError::PushFromClient);
        }
        let frame = Frame::parse(head, payload)?;
        if let (Some(Peer::Server), Frame::Settings(settings)) = (self.peer, &frame) {
            settings.check_from_server()?;
        }
        if self.joins_header_blocks {
            return self.blocks.push(frame);
        }
        self.blocks.note(&frame)?;
        Ok(Some(frame))
    }

    /// What the connection ended inside of; `None` if it ended where it may.
    fn cut(&self, src: &[u8]) -> Option<DecodeError> {
        let (field, expected) = match (self.opening, Head::peek(src)) {
            (Opening::Preface, _) if src.is_empty() => return None,
            (Opening::Preface, _) => ("preface", PREFACE.len()),
            // A client's preface is more than its 24 octets.
            (Opening::Settings, None) if self.peer == Some(Peer::Client) => ("SETTINGS", HEAD_LEN),
            (_, Some(head)) => ("frame", head.frame_len()),
            (_, None) if self.blocks.open().is_some() => ("CONTINUATION", HEAD_LEN),
            (_, None) if src.is_empty() => return None,
            (_, None) => ("head", HEAD_LEN),
        };
        Some(DecodeError::Truncated { field, offset: 0, expected, actual: src.len() })
    }

    /// Writes a frame, a header block in as many pieces as it needs.
    fn put(&self, frame: &Frame, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let (len, expected) = (frame.payload_len()?, self.max_send_frame_size);
        match frame {
            _ if len <= expected => frame.encode(dst),
            Frame::Headers(headers) if headers.is_end_headers() => {
                let at = self.first_len(headers.fields_len(), len)?;
                let flags = headers.flags.with(Flags::END_HEADERS, false);
                let fragment = headers.fragment.slice(..at.min(headers.fragment.len()));
                Headers { flags, fragment, ..headers.clone() }.encode(dst)?;
                self.put_rest(headers.stream_id, &headers.fragment, at, dst)
            }
            Frame::PushPromise(promise) if promise.is_end_headers() => {
                let at = self.first_len(promise.fields_len(), len)?;
                let flags = promise.flags.with(Flags::END_HEADERS, false);
                let fragment = promise.fragment.slice(..at.min(promise.fragment.len()));
                PushPromise { flags, fragment, ..promise.clone() }.encode(dst)?;
                self.put_rest(promise.stream_id, &promise.fragment, at, dst)
            }
            _ => Err(EncodeError::TooLong { field: "Length", expected, actual: len }),
        }
    }

    /// Octets of a header block that fit into its first frame beside the other fields.
    fn first_len(&self, fields_len: usize, len: usize) -> Result<usize, EncodeError> {
        let expected = self.max_send_frame_size;
        expected.checked_sub(fields_len).ok_or(EncodeError::TooLong { field: "Length", expected, actual: len })
    }

    /// Writes what of a header block did not fit into its first frame.
    fn put_rest(&self, stream_id: StreamId, block: &Bytes, at: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let mut rest = block.slice(at.min(block.len())..);
        while !rest.is_empty() {
            let fragment = rest.split_to(rest.len().min(self.max_send_frame_size));
            let flags = Flags::NONE.with(Flags::END_HEADERS, rest.is_empty());
            Continuation { stream_id, flags, fragment }.encode(dst)?;
        }
        Ok(())
    }
}

impl Default for Http2Codec {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Decoder for Http2Codec {
    type Item = Frame;
    type Error = CodecError;

    // Inlined, because handing the frame over in memory costs as much again as all the rest of it. That the other way
    // returns another type is what keeps this one in registers: both would share the place in memory otherwise.
    #[inline(always)]
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.plain_data(src) {
            Some(data) => Ok(Some(Frame::Data(data))),
            None => Ok(self.decode_any(src)?),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.decode(src)? {
            Some(frame) => Ok(Some(frame)),
            None => self.cut(src).map_or(Ok(None), |error| Err(error.into())),
        }
    }
}

/// Writes a frame; copies its payload. For a vectored write see [`Data::head`](super::Data::head).
impl Encoder<Frame> for Http2Codec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(self.put(&frame, dst)?)
    }
}

/// As for a [`Frame`], which stays with the caller.
impl Encoder<&Frame> for Http2Codec {
    type Error = CodecError;

    fn encode(&mut self, frame: &Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(self.put(frame, dst)?)
    }
}

/// For the rest of a frame, as far as Length is to be believed before the octets are there.
#[cold]
fn make_room(src: &mut BytesMut, frame_len: usize) {
    src.reserve(frame_len.saturating_sub(src.len()).min(MAX_EAGER_RESERVE));
}

/// Sets the limits of an [`Http2Codec`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Http2CodecBuilder {
    max_frame_size: usize,
    max_send_frame_size: usize,
    max_header_block: usize,
    max_continuations: usize,
    joins_header_blocks: bool,
    peer: Option<Peer>,
}

impl Http2CodecBuilder {
    /// The longest payload to take, in octets: [`DEFAULT_MAX_FRAME_SIZE`] if never called, at most what Length can say.
    /// To be what SETTINGS_MAX_FRAME_SIZE of ours says.
    pub fn max_frame_size(mut self, octets: usize) -> Self {
        self.max_frame_size = octets;
        self
    }

    /// The longest payload to write, in octets: [`DEFAULT_MAX_FRAME_SIZE`] if never called, at most what Length can say.
    pub fn max_send_frame_size(mut self, octets: usize) -> Self {
        self.max_send_frame_size = octets;
        self
    }

    /// The longest header block to take, in octets as they come, compressed: [`DEFAULT_MAX_HEADER_BLOCK`] if never
    /// called.
    pub fn max_header_block(mut self, octets: usize) -> Self {
        self.max_header_block = octets;
        self
    }

    /// How many CONTINUATION frames may follow one HEADERS or PUSH_PROMISE: [`DEFAULT_MAX_CONTINUATIONS`] if never
    /// called.
    pub fn max_continuations(mut self, frames: usize) -> Self {
        self.max_continuations = frames;
        self
    }

    /// Whether a header block that comes in several frames is yielded as one, which is the default, or in its pieces.
    /// Their order and the limits are watched in either case.
    pub fn join_header_blocks(mut self, join: bool) -> Self {
        self.joins_header_blocks = join;
        self
    }

    /// Expects the connection from its first octet, coming from `peer`: a client's begins with [`PREFACE`], which is
    /// taken off, and the first frame of either is SETTINGS. What only the other side may say is refused as well:
    /// PUSH_PROMISE from a client, ENABLE_PUSH of 1 from a server.
    ///
    /// If never called, the first octet is that of a frame, which may be any.
    pub fn expect_preface(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> Http2Codec {
        let mut codec = Http2Codec {
            max_frame_size: 0,
            max_send_frame_size: 0,
            joins_header_blocks: self.joins_header_blocks,
            blocks: Assembler::new(self.max_header_block, self.max_continuations),
            peer: self.peer,
            opening: match self.peer {
                Some(Peer::Client) => Opening::Preface,
                Some(Peer::Server) => Opening::Settings,
                None => Opening::Done,
            },
        };
        codec.set_max_frame_size(self.max_frame_size);
        codec.set_max_send_frame_size(self.max_send_frame_size);
        codec
    }
}

const MAX_PAYLOAD: usize = 0x00ff_ffff;
const _: () = assert!(MAX_MAX_FRAME_SIZE == 0x00ff_ffff);
