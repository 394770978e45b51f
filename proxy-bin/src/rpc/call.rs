use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::rpc::{Fault, Message, Protocol};

/// One call, as it came: the message exactly as received, and where it came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call {
    /// The message, envelope and header included.
    pub message: Message,
    /// The connection that it came by.
    pub downstream: Rc<Downstream>,
    /// When an answer is of no more use; set by the deadline layer.
    pub deadline: Option<Instant>,
}

impl Call {
    /// A call without a deadline.
    #[must_use]
    pub fn new(message: Message, downstream: Rc<Downstream>) -> Self {
        Self { message, downstream, deadline: None }
    }

    /// The service: the header's `isn`, else the listener's default, else empty.
    #[must_use]
    pub fn service(&self) -> &[u8] {
        self.message.service().or(self.downstream.default_service.as_deref()).unwrap_or_default()
    }

    /// The method name of the envelope, never empty.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.message.name()
    }

    /// Whether no reply is expected.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.message.is_oneway()
    }

    /// What the caller speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.message.shape().form.protocol()
    }
}

/// What is known of the connection that a call came by.
#[derive(Debug)]
#[non_exhaustive]
pub struct Downstream {
    /// The caller's address.
    pub peer: SocketAddr,
    /// The same as text, as the `rip` key carries it.
    pub peer_text: String,
    /// The name of the listener, empty when it has none.
    pub listener: String,
    /// The service of calls that carry none.
    pub default_service: Option<Vec<u8>>,
}

impl Downstream {
    /// Describes a connection.
    #[must_use]
    pub fn new(peer: SocketAddr, listener: String, default_service: Option<Vec<u8>>) -> Self {
        Self { peer, peer_text: peer.to_string(), listener, default_service }
    }
}

/// What a call came back with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// The backend's message, exactly as received.
    Message(Message),
    /// The call was oneway: it was handed to a backend, and nothing comes back.
    Sent,
}

/// A stage that answers calls: the pipeline, seen from a downstream driver.
pub trait Handle {
    /// Answers one call. Dropping the future gives the call up.
    ///
    /// # Errors
    ///
    /// The fault for which the driver makes its protocol's answer.
    fn call(&self, call: Call) -> impl Future<Output = Result<Reply, Fault>>;
}
