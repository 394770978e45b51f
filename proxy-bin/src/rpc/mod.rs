//! The vocabulary that every stage shares: what a call, a reply and a failure are, whatever protocol they came by.

mod call;
pub(crate) mod drain;
mod fault;
mod form;
mod message;

pub use call::{Call, Downstream, Handle, Reply};
pub use fault::{Blame, Fault, FaultKind};
pub use form::{Form, Outer, Protocol, StreamTransport, Transport};
pub use message::{HeaderFacts, Message, Outcome, Rest, Shape, Source};
