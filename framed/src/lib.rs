#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod codec;
mod error;
mod limits;

pub use codec::{FramedCodec, FramedCodecBuilder, HEAD_LEN, encode_head, peek_len};
pub use error::{CodecError, DecodeError, EncodeError};
pub use limits::{DEFAULT_MAX_FRAME_LEN, MAX_EAGER_RESERVE};
