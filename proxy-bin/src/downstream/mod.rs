//! Towards callers: one driver a protocol, bytes ⇄ `rpc`.

mod body;
mod calls;
mod pingpong;
mod replies;

pub(crate) use pingpong::{Settings, serve};
