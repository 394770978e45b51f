//! `proxy-bin call`, the binary itself, against scripted raw backends.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod calls;
mod failures;
mod looks;
mod protobuf;
mod streams;
mod support;
