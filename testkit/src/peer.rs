//! The scripted raw peer: hand-made bytes over blocking sockets, every read with a deadline.
//!
//! [`RawClient`] is what a caller does, byte by byte; [`RawServer`] is a backend whose every accepted connection runs a
//! closure and which records what came; [`Message`] makes and reads messages of every ping-pong form. [`http2`] speaks
//! HTTP/2 and gRPC over the same connections, [`ttstream`] TTHeader Streaming.

mod conn;
pub mod http2;
mod message;
mod server;
pub mod ttstream;

use std::time::{Duration, Instant};

pub use conn::{RawClient, RawConn};
pub use message::{Form, Message, text_struct};
pub use server::{RawServer, Received};

/// How long a read waits before it fails its test, unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until `holds`.
///
/// # Panics
///
/// When it does not within five seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 5 s: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
