//! gRPC through the proxy, run in-process on free ports of loopback, between scripted raw HTTP/2 peers. A file is what it
//! shows.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod abuse;
mod backends;
mod chain;
mod credit;
mod drain;
mod endings;
mod endpoints;
mod fields;
mod guards;
mod messages;
mod refusals;
mod resets;
mod retries;
mod stage;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "the ping-pong tests use more of it")]
mod support;
mod timers;
