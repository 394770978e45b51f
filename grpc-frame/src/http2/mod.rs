//! HTTP/2 frames ([RFC 9113], sections 3.4, 4 and 6): every type of frame, read without a copy and written.
//!
//! ```text
//! +-----------------------------------------------+
//! |                 Length (24)                   |   octets of payload, at most SETTINGS_MAX_FRAME_SIZE
//! +---------------+---------------+---------------+
//! |   Type (8)    |   Flags (8)   |
//! +-+-------------+---------------+-------------------------------+
//! |R|                 Stream Identifier (31)                      |   0: the connection itself
//! +=+=============================================================+
//! |                   Frame Payload (0...)                      ...
//! +---------------------------------------------------------------+
//! ```
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use grpc_frame::http2::{Data, Flags, Frame, Http2Codec, StreamId};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! # fn main() -> Result<(), grpc_frame::http2::CodecError> {
//! let mut codec = Http2Codec::default();
//! let mut wire = BytesMut::new();
//! let data = Data::new(StreamId::new(1), Bytes::from_static(b"hello")).with_flags(Flags::END_STREAM);
//! codec.encode(Frame::Data(data.clone()), &mut wire)?;
//! assert_eq!(&wire[..], b"\0\0\x05\0\x01\0\0\0\x01hello");
//! assert_eq!(codec.decode(&mut wire)?, Some(Frame::Data(data)));
//! # Ok(())
//! # }
//! ```
//!
//! One file a type: [`Data`], [`Headers`], [`Priority`], [`RstStream`], [`Settings`], [`PushPromise`], [`Ping`],
//! [`GoAway`], [`WindowUpdate`], [`Continuation`], and [`Unknown`] for all that has no meaning here and still is to
//! arrive. Each has `parse`, from a [`Head`] and the payload behind it, and `encode`; [`Http2Codec`] cuts a stream of
//! bytes into them, holds them against limits, and joins a header block that comes in pieces.
//!
//! A rule that a peer breaks is a [`DecodeError`]: it says what was expected where, which [`ErrorCode`] answers it,
//! and whether the stream or the whole connection pays for it.
//!
//! **Left out**: HPACK. A header block is opaque bytes. The states of streams and connection too: which frame may come
//! when, whose stream ids are odd, windows that are used up.
//!
//! [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113.html

mod codec;
mod continuation;
mod data;
mod error;
mod error_code;
mod frame;
mod goaway;
mod head;
mod headers;
mod limits;
mod padding;
mod ping;
mod preface;
mod priority;
mod push_promise;
mod rst_stream;
mod settings;
mod unknown;
mod window_update;

pub use codec::{Http2Codec, Http2CodecBuilder};
pub use continuation::{Assembler, Continuation};
pub use data::Data;
pub use error::{CodecError, DecodeError, EncodeError, Scope};
pub use error_code::ErrorCode;
pub use frame::Frame;
pub use goaway::GoAway;
pub use head::{Flags, FrameType, Head, StreamId};
pub use headers::Headers;
pub use limits::{
    DEFAULT_MAX_CONTINUATIONS, DEFAULT_MAX_FRAME_SIZE, DEFAULT_MAX_HEADER_BLOCK, HEAD_LEN, MAX_EAGER_RESERVE,
    MAX_MAX_FRAME_SIZE, MAX_WINDOW, MIN_MAX_FRAME_SIZE,
};
pub use ping::Ping;
pub use preface::{PREFACE, Peer, peek_preface};
pub use priority::{Dependency, Priority};
pub use push_promise::PushPromise;
pub use rst_stream::RstStream;
pub use settings::{SettingId, Settings};
pub use unknown::Unknown;
pub use window_update::WindowUpdate;
