use bytes::{Bytes, BytesMut};
use ttheader::{Flags, HEAD_LEN, HeaderWriter, IntKey, ProtocolId, keys, set_length};

use crate::limits::{LENGTH_LEN, MAX_FRAME_LENGTH};
use crate::{EncodeError, Exception, FrameType};

/// Writes the frames of one stream on one hop: everything they have in common is prepared once.
///
/// Every method appends one frame's head, and its exception where there is one; the payload of a data frame follows in
/// the same vectored write. Which frames have to be written when is what [`stream`](crate::stream) says.
///
/// ```
/// use bytes::BytesMut;
/// use ttstream::StreamEncoder;
///
/// let stream = StreamEncoder::new(1, b"EchoBidi")?;
/// let mut wire = BytesMut::new();
/// stream.open(b"EchoService", [(&b"RPC_PERSIST_user"[..], &b"u1"[..])], &mut wire)?;
/// stream.data(13, &mut wire)?;
/// wire.extend_from_slice(b"\x0b\0\x01\0\0\0\x05hello\0");
/// stream.half_close(&mut wire);
/// # Ok::<(), ttstream::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEncoder {
    /// The head of a data frame without payload.
    head: Bytes,
    /// Where its digit stands; the method ends 4 bytes before.
    digit_at: usize,
    id: i32,
}

impl StreamEncoder {
    /// Prepares the frames of stream `stream_id`, which carry `method`. This allocates, and nothing else here does but
    /// for the buffer that is written to.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ReservedId`] for stream id 0, [`EncodeError::Header`] for a method over 65,535 bytes.
    pub fn new(stream_id: i32, method: &[u8]) -> Result<Self, EncodeError> {
        let mut head = BytesMut::with_capacity(MIN_HEAD_LEN.saturating_add(method.len()));
        FrameWriter::new(FrameType::Data, stream_id, method, &mut head)?.finish(0)?;
        let digit_at = METHOD_AT.saturating_add(method.len()).saturating_add(INT_PAIR_LEN);
        Ok(Self { head: head.freeze(), digit_at, id: stream_id })
    }

    /// The stream's id on this hop.
    #[must_use]
    pub fn stream_id(&self) -> i32 {
        self.id
    }

    /// The method that the frames carry.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.head.get(METHOD_AT..self.digit_at.saturating_sub(INT_PAIR_LEN)).unwrap_or_default()
    }

    /// Bytes that [`data`](Self::data) appends.
    #[must_use]
    pub fn data_head_len(&self) -> usize {
        self.head.len()
    }

    /// Appends a client's header frame, which opens the stream: `isn` with the IDL service, then `pairs`; an `isn`
    /// among them is left out.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Header`]: a key or value over 65,535 bytes, or more than 262,140 in all. `dst` is then what it
    /// was before.
    pub fn open<'p>(
        &self,
        service: &[u8],
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut writer = self.writer(FrameType::Header, dst)?;
        let others = pairs.into_iter().filter(|(key, _)| *key != keys::IDL_SERVICE_NAME);
        writer.string(keys::IDL_SERVICE_NAME, service)?;
        writer.strings(others)?;
        writer.finish(0)
    }

    /// Appends a server's header frame.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn header<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut writer = self.writer(FrameType::Header, dst)?;
        writer.strings(pairs)?;
        writer.finish(0)
    }

    /// Appends a server's header frame without pairs, as it has to precede the first data frame or the trailer where
    /// no other was sent.
    #[inline]
    pub fn empty_header(&self, dst: &mut BytesMut) {
        self.bare(FrameType::Header, dst);
    }

    /// Appends the head of a data frame: `dst` ends where the payload starts.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Header`] if LENGTH cannot say how long the payload is; `dst` is then what it was before.
    #[inline]
    pub fn data(&self, payload_len: usize, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let actual = self.head.len().saturating_sub(LENGTH_LEN).saturating_add(payload_len);
        let Ok(length) = u32::try_from(actual) else {
            return Err(ttheader::EncodeError::FrameTooLong { expected: MAX_FRAME_LENGTH, actual }.into());
        };
        let start = dst.len();
        dst.extend_from_slice(&self.head);
        // The head has been written: LENGTH is there to be set.
        let _set = dst.get_mut(start..).map(|head| set_length(head, length));
        Ok(())
    }

    /// Appends a client's trailer, which says that no more messages come: no pairs, no payload, as it has to be
    /// (specification F16).
    #[inline]
    pub fn half_close(&self, dst: &mut BytesMut) {
        self.bare(FrameType::Trailer, dst);
    }

    /// Appends a server's trailer, which ends the stream: success, or a business error where the pairs name one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn trailer<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut writer = self.writer(FrameType::Trailer, dst)?;
        writer.strings(pairs)?;
        writer.finish(0)
    }

    /// Appends a server's trailer with an exception, which outweighs the keys of a business error among the pairs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`EncodeError::TextTooLong`] for a message over 2 GiB.
    pub fn exception_trailer<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        exception: &Exception<'_>,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        exception.check()?;
        let mut writer = self.writer(FrameType::Trailer, dst)?;
        writer.strings(pairs)?;
        writer.finish(exception.encoded_len(self.method()))?;
        exception.encode(self.method(), self.id, dst)
    }

    /// Appends an rst frame: an exception, and the cancel path unless it is empty.
    ///
    /// # Errors
    ///
    /// As [`exception_trailer`](Self::exception_trailer).
    pub fn rst(&self, exception: &Exception<'_>, cancel_path: &[u8], dst: &mut BytesMut) -> Result<(), EncodeError> {
        exception.check()?;
        let mut writer = self.writer(FrameType::Rst, dst)?;
        if !cancel_path.is_empty() {
            writer.string(keys::CANCEL_PATH, cancel_path)?;
        }
        writer.finish(exception.encoded_len(self.method()))?;
        exception.encode(self.method(), self.id, dst)
    }

    /// Appends the head of a meta frame, as something between client and server sends it to the client.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn meta<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        payload_len: usize,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut writer = self.writer(FrameType::Meta, dst)?;
        writer.strings(pairs)?;
        writer.finish(payload_len)
    }

    /// Begins a frame of this stream to write it pair by pair, int keys included.
    ///
    /// # Errors
    ///
    /// None that [`new`](Self::new) has not told already.
    pub fn writer<'b>(&self, frame_type: FrameType, dst: &'b mut BytesMut) -> Result<FrameWriter<'_, 'b>, EncodeError> {
        FrameWriter::new(frame_type, self.id, self.method(), dst)
    }

    /// A frame of nothing but method and type.
    #[inline]
    fn bare(&self, frame_type: FrameType, dst: &mut BytesMut) {
        let start = dst.len();
        dst.extend_from_slice(&self.head);
        if let Some(digit) = dst.get_mut(start.saturating_add(self.digit_at)) {
            *digit = frame_type.digit();
        }
    }
}

/// Writes a frame's head pair by pair, for what [`StreamEncoder`] has no method for: int keys of the caller's identity,
/// pairs that depend on others.
///
/// Method and type are written where they belong. [`finish`](Self::finish) completes the head; without that, dropping
/// the writer takes back what it wrote.
#[derive(Debug)]
pub struct FrameWriter<'a, 'b> {
    header: HeaderWriter<'b>,
    frame_type: FrameType,
    /// Until it is written.
    method: Option<&'a [u8]>,
}

impl<'a, 'b> FrameWriter<'a, 'b> {
    /// Begins a head behind what `dst` has already.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ReservedId`] for stream id 0.
    pub fn new(
        frame_type: FrameType,
        stream_id: i32,
        method: &'a [u8],
        dst: &'b mut BytesMut,
    ) -> Result<Self, EncodeError> {
        if stream_id == 0 {
            return Err(EncodeError::ReservedId);
        }
        let mut header = HeaderWriter::new(dst, Flags::STREAMING, stream_id);
        header.protocol_id(ProtocolId::THRIFT_STRUCT);
        Ok(Self { header, frame_type, method: Some(method) })
    }

    /// Appends a string pair; the ACL token's key goes into a section of its own (specification A2).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Header`] for a key or value over 65,535 bytes; the head stays as it was before.
    pub fn string(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        if key == keys::GDPR_TOKEN {
            return Ok(self.header.acl_token(value)?);
        }
        Ok(self.header.string(key, value)?)
    }

    /// Appends string pairs.
    ///
    /// # Errors
    ///
    /// As [`string`](Self::string).
    pub fn strings<'p>(&mut self, pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>) -> Result<(), EncodeError> {
        pairs.into_iter().try_for_each(|(key, value)| self.string(key, value))
    }

    /// Appends an int pair. Method and type are there anyway: 9 and 27 are passed over.
    ///
    /// # Errors
    ///
    /// As [`string`](Self::string).
    pub fn int(&mut self, key: IntKey, value: &[u8]) -> Result<(), EncodeError> {
        if matches!(key, IntKey::TO_METHOD | IntKey::FRAME_TYPE) {
            return Ok(());
        }
        // Keys in ascending order, as in the vectors, if they come so.
        if key > IntKey::TO_METHOD {
            self.method()?;
        }
        Ok(self.header.int(key, value)?)
    }

    /// Completes the head: `dst` ends where the payload starts.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Header`] for a method over 65,535 bytes, a header over 262,140 or a frame over 4 GiB; `dst` is
    /// then what it was before [`new`](Self::new).
    pub fn finish(mut self, payload_len: usize) -> Result<(), EncodeError> {
        self.method()?;
        self.header.int(IntKey::FRAME_TYPE, &[self.frame_type.digit()])?;
        Ok(self.header.finish(payload_len)?)
    }

    fn method(&mut self) -> Result<(), EncodeError> {
        if let Some(method) = self.method {
            self.header.int(IntKey::TO_METHOD, method)?;
            self.method = None;
        }
        Ok(())
    }
}

/// PROTOCOL ID, number of transforms, INFO ID and count of the int section: what stands between the fixed bytes and the
/// first int pair of a bare head.
const BEFORE_INTS_LEN: usize = 5;
/// Key and length of an int pair.
const INT_PAIR_LEN: usize = 4;
/// Where the method stands in a bare head.
const METHOD_AT: usize = HEAD_LEN + BEFORE_INTS_LEN + INT_PAIR_LEN;
/// A bare head without its method, padding included.
const MIN_HEAD_LEN: usize = METHOD_AT + INT_PAIR_LEN + 1 + 4;
