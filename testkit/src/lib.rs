#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is linked into tests alone, where a panic is how a failure is told"
)]

mod chance;
mod hex;
pub mod peer;
mod split;
mod streaming;
mod vectors;

pub use chance::Chance;
pub use hex::{from_hex, to_hex};
pub use split::{assert_every_cut_is_an_error, assert_split_invariant, decode_in_reads};
pub use streaming::{streaming_captures, streaming_vectors};
pub use vectors::{Direction, Vector, vector, vectors};
