#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod exception;
pub mod stream;

mod codec;
mod encode;
mod error;
mod frame;
mod limits;

pub use ttheader::{IntKey, keys};

pub use codec::{TtStreamCodec, TtStreamCodecBuilder};
pub use encode::{FrameWriter, StreamEncoder};
pub use error::{CodecError, DecodeError, EncodeError};
pub use exception::{Class, Code, Exception, ExceptionError};
pub use frame::{BusinessError, Frame, FrameType, Outcome, Pairs, Reset};
