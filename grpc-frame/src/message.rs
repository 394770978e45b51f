//! Length-Prefixed-Messages: what DATA frames carry, cut wherever HTTP/2 pleased (streaming-wire B5).
//!
//! | to | take |
//! |---|---|
//! | read or write the five bytes in front of a message | [`Head`] |
//! | cut messages out of a `BytesMut` | [`MessageCodec`] |
//! | put messages together from the `Bytes` that DATA frames bring | [`Assembler`] |
//! | count messages that pass by, and know whether one is under way | [`Boundaries`] |
//!
//! All three take the same bytes, however they are split, for the same messages.

mod assembler;
mod boundaries;
mod codec;
mod head;

pub use assembler::Assembler;
pub use boundaries::Boundaries;
pub use codec::{MessageCodec, MessageCodecBuilder};
pub use head::{CompressedFlag, HEAD_LEN, Head, Message};
