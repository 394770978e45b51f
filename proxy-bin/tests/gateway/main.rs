//! The HTTP gateway: the proxy in-process, on free ports of loopback, in front of scripted raw backends.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod calls;
mod client;
mod config;
mod connections;
mod drain;
mod errors;
mod metadata;
mod over_grpc;
mod pages;
mod protobuf;
mod reload;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "these tests have no use for a proxy in a process of its own")]
mod support;
mod thrift;

use std::net::SocketAddr;

use testkit::peer::RawServer;

use crate::support::Setup;

/// The IDL of most tests.
const IDL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/idl");

/// A gateway in front of this backend.
fn gateway(backend: &RawServer) -> Setup {
    gateway_to(backend.addr())
}

fn gateway_to(backend: SocketAddr) -> Setup {
    Setup::to_addr(backend)
        .listener(&format!("protocols = [\"http\"]\nidl = \"{IDL}\""))
        .cluster("pingpong = \"ttheader\"")
}
