//! The ping-pong protocols in bytes: what a message is (`decode`), how it leaves (`encode`), the answer that a
//! fault becomes (`answer`), and how one is made of its parts (`compose`). Both drivers use all of it.

pub(crate) mod answer;
pub(crate) mod compose;
pub(crate) mod decode;
pub(crate) mod encode;

pub(crate) use answer::Origin;
pub(crate) use decode::{Decoded, Decoder, Malformed, Side};
pub(crate) use encode::Edits;
