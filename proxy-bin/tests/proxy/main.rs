//! The proxy run in-process, on free ports of loopback, between scripted raw peers. A file is what it shows.
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
mod config;
mod conversions;
mod drain;
mod hostile;
mod large;
mod pipelining;
mod routing;
mod rules;
mod sniffing;
mod support;
mod upstream;
