//! Towards callers: one driver a protocol, bytes ⇄ `rpc`.

mod body;
mod calls;
mod ended;
pub(crate) mod grpc;
pub(crate) mod pingpong;
mod replies;
