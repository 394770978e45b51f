//! Connections: taken by the listeners, handed to the worker with the fewest, served there, drained.

mod listen;
mod worker;

pub(crate) use listen::{Listening, accept};
pub(crate) use worker::{Accepted, Serve, Worker};
