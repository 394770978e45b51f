//! The vocabulary that every stage shares: what a call, a reply and a failure are, whatever protocol they came by.

mod call;
pub(crate) mod drain;
mod fault;
mod form;
mod head;
mod message;
pub mod stream;

pub use call::{Call, Downstream, Handle, OpenStream, Reply};
pub use fault::{Blame, Fault, FaultKind};
pub use form::{Form, Outer, Protocol, StreamPool, StreamTransport, Transport};
pub use head::Head;
pub use message::{HeaderFacts, Message, Outcome, Rest, Shape, Source};
