//! The proxy as a library: handlers that answer in the process, hooks that see messages on their way.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod handlers;
mod hooks;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "these tests have no use for a proxy in a process of its own")]
mod support;

/// A listener and nothing else.
const LISTENER: &str = "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n";
