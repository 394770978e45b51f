//! Unary calls that cross between gRPC and ping-pong: the proxy in-process, on free ports of loopback, between scripted
//! raw peers.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod chain;
mod from_grpc;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "these tests have no use for a proxy in a process of its own")]
mod support;
mod to_grpc;
mod vectors;

use testkit::peer::http2::Fields;

/// The method of most calls.
const PATH: &str = "/livet.Live/Ask";

/// The fields of a call whose messages are Thrift, and `extra` behind them.
fn thrift<const N: usize>(extra: [(&str, &str); N]) -> Fields {
    extra.iter().fold(Fields::from([("content-type", "application/grpc+thrift")]), |fields, (name, value)| {
        fields.with(name, value)
    })
}
