//! `proxy-bin call`, the binary itself, against scripted raw backends; and the client of the library that
//! it is made of.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod calls;
mod client;
mod failures;
mod looks;
mod protobuf;
mod streams;
mod support;
