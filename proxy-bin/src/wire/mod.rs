//! What the drivers of both sides share: buffers, connections, and each protocol's messages in bytes.

pub(crate) mod arena;
pub(crate) mod conn;
pub(crate) mod grpc;
pub(crate) mod http2;
pub(crate) mod meter;
pub(crate) mod outbox;
pub(crate) mod pingpong;
pub(crate) mod ttstream;
