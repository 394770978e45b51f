//! Towards callers: one driver a protocol, bytes ⇄ `rpc`.

mod body;
mod calls;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod pingpong;
mod replies;
mod stream;
pub(crate) mod ttstream;
