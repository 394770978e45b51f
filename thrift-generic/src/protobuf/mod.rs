//! Kitex-Protobuf and gRPC calls without generated code: `.proto` files and descriptor sets, and messages as JSON
//! (generic-call 6.7, 6.8). With the feature `protobuf` only.
//!
//! ```
//! use thrift_generic::protobuf::{PbDescriptor, PbIdl, PbJsonCodec, PbOptions, PbServices};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let idl = PbIdl::from_text(
//!     r#"syntax = "proto3"; package shop;
//!     message Order { int64 id = 1; repeated string tag_names = 2; }
//!     service Shop { rpc Place(Order) returns (Order); }"#,
//! )?;
//! let shop = PbDescriptor::new(&idl, &PbServices::Last)?;
//! let place = shop.function("Place").unwrap();
//! assert_eq!(place.path(), "/shop.Shop/Place");
//!
//! let codec = PbJsonCodec::new(PbOptions::default());
//! let mut message = Vec::new();
//! codec.encode(&shop, place.input, br#"{"id":7,"tagNames":["new"]}"#, &mut message)?;
//! assert_eq!(message, b"\x08\x07\x12\x03new");
//! let mut json = Vec::new();
//! codec.decode(&shop, place.output, &message, &mut json)?;
//! assert_eq!(json, br#"{"id":7,"tagNames":["new"]}"#);
//! # Ok(())
//! # }
//! ```
//!
//! # The shape of the JSON
//!
//! That of Kitex's JSONPb generic, which is not the official one of proto3:
//!
//! | | written | also read |
//! | --- | --- | --- |
//! | names | the JSON name (lowerCamel, or `json_name`) | the name in the `.proto` |
//! | integers, 64-bit ones too | bare numbers ([`PbOptions::i64_as_text`]: text) | text; numbers with a zero fraction |
//! | `float`, `double` | bare numbers | text, `NaN`, `Infinity`, `-Infinity` among it |
//! | enums | numbers ([`PbOptions::enum_names`]: names) | names |
//! | `bytes` | base64, padded | without padding, and the alphabet for URLs |
//! | maps | objects, all keys quoted | |
//! | well-known types | as any message: `{"seconds":1,"nanos":0}` | |
//! | absent fields | left out | `null`: a field, an element, an entry or a message that is not there |
//!
//! Members come out by field number, entries of maps by key. A message of which a singular field is there twice has the
//! last one, of a `oneof` the last member, and a nested message the parts of both; a list may lie in pieces, packed or
//! not. A field of another wire type than its own counts as unknown. Extensions count as unknown, both ways, and that
//! the fields that proto2 calls `required` are there is not checked.
//!
//! # Where Kitex differs
//!
//! Kitex writes integers that are out of range modulo 2^32 or 2^64, cuts fractions off, takes the text `x` for the key 0,
//! and passes over what stands behind the JSON; here these are errors. It fails at, panics at or corrupts `null`, empty
//! maps, a scalar in place of a list, keys of the types `sint` and `fixed`, u64 beyond 2^63, repeated fields in pieces,
//! NaN and text that is no UTF-8; here these work, or are errors with a path. A lone surrogate is an error, not U+FFFD. A
//! `float` is written with the digits that it needs: `0.1`, not `0.10000000149011612`. A member that is there twice in
//! JSON is written twice, by both.

mod binary;
mod bridge;
mod decode;
mod descriptor;
mod encode;
mod idl;
mod json;
mod options;
mod provider;
mod schema;
mod wire;

pub use binary::request;
pub use bridge::PbHttpCodec;
pub use descriptor::{COMBINED, PbDescriptor, PbFunction, PbServices};
pub use idl::{PbIdl, PbIdlError};
pub use json::PbJsonCodec;
pub use options::{MAX_PB_DEPTH, PbOptions};
pub use prost_reflect;
pub use provider::PbProvider;
pub use schema::PbMessage;
