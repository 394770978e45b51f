#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod compression;
pub mod content_type;
pub mod http2;
pub mod message;
pub mod metadata;
pub mod path;
pub mod status;
pub mod timeout;

mod error;
mod limits;
mod text;

pub use error::{CodecError, DecodeError, EncodeError};
pub use limits::{DEFAULT_MAX_MESSAGE_LEN, MAX_EAGER_RESERVE};
pub use text::ShortText;
