#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod binary;
mod buffered;
mod error;
pub mod exception;
mod grammar;
mod limits;
pub mod message;
mod skip;
mod ttype;

pub use buffered::{BufferedCodec, BufferedCodecBuilder};
pub use error::{CodecError, DecodeError, EncodeError};
pub use exception::{ApplicationException, ErrorProto};
pub use limits::{DEFAULT_MAX_MESSAGE_LEN, DEFAULT_MAX_NAME_LEN, MAX_DEPTH, MAX_EAGER_RESERVE};
pub use message::{MessageHeader, MessageType, Version, set_seqid};
pub use skip::{Skipper, skip_struct};
pub use ttype::TType;
