//! Streams between ttstream peers, and across to gRPC and back: the proxy in-process, on free ports of loopback, between
//! scripted raw peers. A file is what it shows.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod answers;
mod bytes;
mod cancel;
mod drain;
mod from_grpc;
mod hops;
mod mixture;
mod outcomes;
mod pools;
mod pressure;
mod sequences;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "these tests have no use for a proxy in a process of its own")]
mod support;
mod time;
mod to_grpc;
mod way;
