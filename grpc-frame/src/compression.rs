//! `grpc-encoding` and `grpc-accept-encoding`, and what they name (streaming-wire B5).
//!
//! Formats are features: `gzip`, `deflate`, `zstd`. Names are known without them.

use std::fmt;

use bytes::Bytes;

/// The name of the header that says how messages with their flag set are compressed.
pub const ENCODING: &str = "grpc-encoding";
/// The name of the header that says what may come back.
pub const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// How messages are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding<'a> {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950: what gRPC calls `deflate` has the head and the checksum of zlib, as in HTTP.
    Deflate,
    /// RFC 8878.
    Zstd,
    /// Any other, by name.
    Other(&'a [u8]),
}

impl<'a> Encoding<'a> {
    /// The encoding of this name. Names are in lower case; others are [`Other`](Self::Other), as no peer knows them.
    #[must_use]
    pub fn from_name(name: &'a [u8]) -> Self {
        match name {
            b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"zstd" => Self::Zstd,
            other => Self::Other(other),
        }
    }

    /// The value of a `grpc-encoding` header; spaces around it do not count, and an empty one is [`Identity`](Self::Identity).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Self {
        match value.trim_ascii() {
            b"" => Self::Identity,
            name => Self::from_name(name),
        }
    }

    /// The encodings that a `grpc-accept-encoding` header lists, in its order: separated by commas, with spaces and empty
    /// places passed over, and what follows a `;` too.
    pub fn parse_list(value: &'a [u8]) -> impl Iterator<Item = Self> + use<'a> {
        value.split(|&byte| byte == b',').filter_map(|place| {
            let name = place.split(|&byte| byte == b';').next()?.trim_ascii();
            (!name.is_empty()).then(|| Self::from_name(name))
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a [u8] {
        match self {
            Self::Identity => b"identity",
            Self::Gzip => b"gzip",
            Self::Deflate => b"deflate",
            Self::Zstd => b"zstd",
            Self::Other(name) => name,
        }
    }

    /// Whether [`compress`](Self::compress) and [`decompress`](Self::decompress) know it, by the features that are on.
    #[must_use]
    pub fn is_supported(self) -> bool {
        match self {
            Self::Identity => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Deflate => cfg!(feature = "deflate"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Other(_) => false,
        }
    }

    /// The message that `payload` is the compressed form of. [`Identity`](Self::Identity) hands it back as it is.
    ///
    /// What is held grows with what comes out, to `max_len` bytes and one; zstd holds as much again for its window, or
    /// 8 MiB if that is more.
    ///
    /// # Errors
    ///
    /// [`CompressionError::TooLong`] when more than `max_len` bytes would come out, however few went in;
    /// [`CompressionError::Corrupt`] when the payload is not of this format, is cut, or has something behind it;
    /// [`CompressionError::Unsupported`] when [`is_supported`](Self::is_supported) is false.
    pub fn decompress(self, payload: &Bytes, max_len: usize) -> Result<Bytes, CompressionError> {
        match self {
            Self::Identity if payload.len() > max_len => Err(CompressionError::TooLong { max: max_len }),
            Self::Identity => Ok(payload.clone()),
            #[cfg(feature = "gzip")]
            Self::Gzip => formats::gunzip(payload, max_len),
            #[cfg(feature = "deflate")]
            Self::Deflate => formats::inflate(payload, max_len),
            #[cfg(feature = "zstd")]
            Self::Zstd => formats::unzstd(payload, max_len),
            _ => Err(CompressionError::Unsupported),
        }
    }

    /// The compressed form of a message, at the format's usual level. [`Identity`](Self::Identity) hands it back as it is.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Unsupported`] when [`is_supported`](Self::is_supported) is false.
    pub fn compress(self, payload: &Bytes) -> Result<Bytes, CompressionError> {
        match self {
            Self::Identity => Ok(payload.clone()),
            #[cfg(feature = "gzip")]
            Self::Gzip => formats::gzip(payload),
            #[cfg(feature = "deflate")]
            Self::Deflate => formats::deflate(payload),
            #[cfg(feature = "zstd")]
            Self::Zstd => formats::zstd(payload),
            _ => Err(CompressionError::Unsupported),
        }
    }
}

impl fmt::Display for Encoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name().escape_ascii(), f)
    }
}

impl fmt::Debug for Encoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({self})")
    }
}

/// A message that could not be decompressed, or an encoding that nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// Not known, or its feature is off. A Kitex server answers with status 13, others with 12 (UNIMPLEMENTED).
    #[error("grpc-encoding is not supported")]
    Unsupported,
    /// The bytes are not what `grpc-encoding` says, or end early, or go on behind their end.
    #[error("Message: the compressed bytes are corrupt")]
    Corrupt,
    /// More would come out than the limit allows.
    #[error("Message: at most {max} bytes are allowed, decompressed it has more")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
}

#[cfg(any(feature = "gzip", feature = "deflate", feature = "zstd"))]
mod formats {
    #[cfg(any(feature = "gzip", feature = "deflate"))]
    use std::io::Write;
    use std::io::{self, Read};

    use bytes::Bytes;

    use super::CompressionError;

    #[cfg(feature = "gzip")]
    pub(super) fn gunzip(payload: &[u8], max_len: usize) -> Result<Bytes, CompressionError> {
        // Several members behind one another are one message, as in Go.
        read(flate2::bufread::MultiGzDecoder::new(payload), payload.len(), max_len)
    }

    #[cfg(feature = "gzip")]
    pub(super) fn gzip(payload: &[u8]) -> Result<Bytes, CompressionError> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        written(encoder.write_all(payload).and_then(|()| encoder.finish()))
    }

    #[cfg(feature = "deflate")]
    pub(super) fn inflate(payload: &[u8], max_len: usize) -> Result<Bytes, CompressionError> {
        let inflater = Inflater { state: flate2::Decompress::new(true), rest: payload, ended: false };
        read(inflater, payload.len(), max_len)
    }

    #[cfg(feature = "deflate")]
    pub(super) fn deflate(payload: &[u8]) -> Result<Bytes, CompressionError> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        written(encoder.write_all(payload).and_then(|()| encoder.finish()))
    }

    #[cfg(feature = "zstd")]
    pub(super) fn unzstd(payload: &[u8], max_len: usize) -> Result<Bytes, CompressionError> {
        // The window is allocated on the word of the frame's head.
        let window_log = max_len.checked_next_power_of_two().map_or(usize::BITS, usize::ilog2);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(payload).map_err(corrupt)?;
        decoder.window_log_max(window_log.clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG)).map_err(corrupt)?;
        read(decoder, payload.len(), max_len)
    }

    #[cfg(feature = "zstd")]
    pub(super) fn zstd(payload: &[u8]) -> Result<Bytes, CompressionError> {
        written(zstd::stream::encode_all(payload, zstd::DEFAULT_COMPRESSION_LEVEL))
    }

    /// All that comes out of `reader`, which memory alone is behind.
    fn read(mut reader: impl Read, payload_len: usize, max_len: usize) -> Result<Bytes, CompressionError> {
        let most = max_len.saturating_add(1);
        let least = payload_len.saturating_mul(2).max(MIN_ROOM);
        let (mut out, mut len) = (Vec::new(), 0_usize);
        loop {
            if len == out.len() {
                let more = len.max(least).min(most.saturating_sub(len));
                out.reserve_exact(more);
                out.resize(len.saturating_add(more), 0);
            }
            match reader.read(out.get_mut(len..).unwrap_or_default()).map_err(corrupt)? {
                0 => break,
                came => len = len.saturating_add(came),
            }
            if len > max_len {
                return Err(CompressionError::TooLong { max: max_len });
            }
        }
        out.truncate(len);
        Ok(out.into())
    }

    /// zlib, and nothing behind it: flate2's own reader takes a stream that is cut for one that has ended.
    #[cfg(feature = "deflate")]
    struct Inflater<'a> {
        state: flate2::Decompress,
        rest: &'a [u8],
        ended: bool,
    }

    #[cfg(feature = "deflate")]
    impl Read for Inflater<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.ended {
                return Ok(0);
            }
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(self.rest, buf, flate2::FlushDecompress::None)?;
            let count = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX);
            let read = count(self.state.total_in(), read);
            let written = count(self.state.total_out(), written);
            self.rest = self.rest.get(read..).unwrap_or_default();
            self.ended = status == flate2::Status::StreamEnd;
            if self.ended && !self.rest.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.ended && written == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(written)
        }
    }

    /// Writing into memory does not fail; should it all the same, that is no reason to panic.
    fn written(result: io::Result<Vec<u8>>) -> Result<Bytes, CompressionError> {
        result.map(Bytes::from).map_err(corrupt)
    }

    fn corrupt(_: io::Error) -> CompressionError {
        CompressionError::Corrupt
    }

    /// The least that is reserved for what comes out, in bytes.
    const MIN_ROOM: usize = 256;
    /// 8 MiB: what RFC 8878 section 3.1.1.1.2 recommends every decoder to take.
    #[cfg(feature = "zstd")]
    const MIN_WINDOW_LOG: u32 = 23;
    /// 128 MiB: what zstd takes unless told otherwise.
    #[cfg(feature = "zstd")]
    const MAX_WINDOW_LOG: u32 = 27;
}
