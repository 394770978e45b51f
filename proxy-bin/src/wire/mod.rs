//! What the drivers of both sides share: buffers, connections, and the ping-pong message in bytes.

pub(crate) mod arena;
pub(crate) mod conn;
pub(crate) mod outbox;
pub(crate) mod pingpong;
