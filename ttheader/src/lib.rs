#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod checksum;
pub mod keys;

mod codec;
mod error;
mod frame;
mod grammar;
mod head;
mod header;
mod ids;
mod info;
mod limits;
mod mesh;
mod patch;
mod view;
mod writer;

pub use codec::{TtHeaderCodec, TtHeaderCodecBuilder};
pub use error::{CodecError, DecodeError, EncodeError};
pub use frame::Frame;
pub use head::{Head, encode_minimal, set_flags, set_length, set_seq};
pub use header::Header;
pub use ids::{Flags, InfoId, IntKey, ProtocolId};
pub use info::{Entry, Section};
pub use limits::{HEAD_LEN, MAGIC, MAX_HEADER_LEN, MAX_STRING_LEN};
pub use mesh::{MESH_MAGIC, MeshHeader, MeshPairs};
pub use patch::Patch;
pub use view::{Entries, HeaderView, Ints, Layout, Sections, Strings};
pub use writer::HeaderWriter;
