use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{
    CodecError, DEFAULT_MAX_MESSAGE_LEN, DEFAULT_MAX_NAME_LEN, DecodeError, EncodeError, MAX_DEPTH, MAX_EAGER_RESERVE,
    MessageHeader, Skipper, TType, Version,
};

/// Thrift's buffered transport: strict Binary messages, one behind the other, with no length before them.
///
/// The end of a message is where its struct ends, which a [`Skipper`] finds while the bytes come in. An item is one
/// whole message, envelope included, as a view of the read buffer.
#[derive(Clone, Debug)]
pub struct BufferedCodec {
    max_message_len: usize,
    max_name_len: usize,
    state: State,
    skipper: Skipper,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the first byte of a message.
    Envelope,
    /// In the struct: the skipper has seen the first `scanned` bytes of the message, `envelope_len` excepted.
    Body { envelope_len: usize, scanned: usize },
    /// There is no going on, and the next call says so again.
    Failed(DecodeError),
}

impl BufferedCodec {
    /// A codec with limits of your own.
    #[must_use]
    pub fn builder() -> BufferedCodecBuilder {
        BufferedCodecBuilder {
            max_message_len: DEFAULT_MAX_MESSAGE_LEN,
            max_depth: MAX_DEPTH,
            max_name_len: DEFAULT_MAX_NAME_LEN,
        }
    }

    /// The longest message this codec takes, envelope included, in bytes.
    #[must_use]
    pub fn max_message_len(&self) -> usize {
        self.max_message_len
    }

    /// Length of the message at the front of `src`, which has grown at its end since the last call or not at all.
    fn message_len(&mut self, src: &[u8]) -> Result<Option<usize>, DecodeError> {
        if let State::Envelope = self.state {
            let Some(header) = MessageHeader::peek(src, self.max_name_len)? else { return Ok(None) };
            if header.version != Version::THRIFT {
                let (expected, actual) = (Version::THRIFT.0, header.version.0);
                return Err(DecodeError::BadVersion { offset: 0, expected, actual });
            }
            let envelope_len = header.encoded_len();
            self.check_len(envelope_len)?;
            self.skipper.reset(TType::STRUCT);
            self.state = State::Body { envelope_len, scanned: envelope_len };
        }
        let (envelope_len, scanned) = match self.state {
            State::Body { envelope_len, scanned } => (envelope_len, scanned),
            State::Failed(error) => return Err(error),
            State::Envelope => return Ok(None),
        };
        // Not beyond the limit: what is wrong with a message that is too long must not depend on how much of it came.
        let seen = src.len().min(self.max_message_len);
        match self.skipper.skip(src.get(scanned..seen).unwrap_or_default()) {
            Ok(Some(len)) => {
                self.state = State::Envelope;
                Ok(Some(scanned.saturating_add(len)))
            }
            Ok(None) => {
                self.state = State::Body { envelope_len, scanned: seen };
                self.check_len(seen.saturating_add(self.missing()))?;
                Ok(None)
            }
            Err(error) => Err(error.shifted(envelope_len)),
        }
    }

    fn check_len(&self, actual: usize) -> Result<(), DecodeError> {
        if actual > self.max_message_len {
            let max = self.max_message_len;
            return Err(DecodeError::TooLong { field: "message", offset: 0, max, actual });
        }
        Ok(())
    }

    fn missing(&self) -> usize {
        usize::try_from(self.skipper.pending()).unwrap_or(usize::MAX)
    }
}

impl Default for BufferedCodec {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Decoder for BufferedCodec {
    type Item = Bytes;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        match self.message_len(src) {
            Ok(Some(len)) => Ok(Some(src.split_to(len).freeze())),
            Ok(None) => {
                if let State::Body { .. } = self.state {
                    src.reserve(self.missing().min(MAX_EAGER_RESERVE));
                }
                Ok(None)
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error.into())
            }
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        match self.decode(src)? {
            Some(message) => Ok(Some(message)),
            None if src.is_empty() => Ok(None),
            None => Err(match self.state {
                State::Body { envelope_len, .. } => self.skipper.truncated().shifted(envelope_len).into(),
                State::Failed(error) => error.into(),
                // The whole of `src` is too short for an envelope, and `parse` says what is missing.
                State::Envelope => match MessageHeader::parse(src) {
                    Err(error) => error.into(),
                    Ok(_) => std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into(),
                },
            }),
        }
    }
}

impl Encoder<Bytes> for BufferedCodec {
    type Error = CodecError;

    /// Appends one whole message, envelope included, as it is.
    fn encode(&mut self, message: Bytes, dst: &mut BytesMut) -> Result<(), CodecError> {
        if message.len() > self.max_message_len {
            let (max, actual) = (self.max_message_len, message.len());
            return Err(EncodeError::TooLong { field: "message", max, actual }.into());
        }
        dst.extend_from_slice(&message);
        Ok(())
    }
}

/// Sets the limits of a [`BufferedCodec`].
#[derive(Clone, Debug)]
pub struct BufferedCodecBuilder {
    max_message_len: usize,
    max_depth: usize,
    max_name_len: usize,
}

impl BufferedCodecBuilder {
    /// The longest message to take in either direction, envelope included, in bytes; 16 MiB if never called.
    #[must_use]
    pub fn max_message_len(mut self, max_message_len: usize) -> Self {
        self.max_message_len = max_message_len;
        self
    }

    /// How many levels of structs, maps, sets and lists to take; [`MAX_DEPTH`], which is also the most, if never
    /// called.
    #[must_use]
    pub fn max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// The longest method name to take, in bytes; 4 KiB if never called.
    #[must_use]
    pub fn max_name_len(mut self, max_name_len: usize) -> Self {
        self.max_name_len = max_name_len;
        self
    }

    /// The codec.
    #[must_use]
    pub fn build(self) -> BufferedCodec {
        BufferedCodec {
            max_message_len: self.max_message_len,
            max_name_len: self.max_name_len,
            state: State::Envelope,
            skipper: Skipper::new_struct().with_max_depth(self.max_depth),
        }
    }
}
