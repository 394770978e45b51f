//! Towards callers: one driver a protocol, bytes ⇄ `rpc`.

mod body;
mod pingpong;
mod replies;

pub(crate) use pingpong::{Settings, serve};
