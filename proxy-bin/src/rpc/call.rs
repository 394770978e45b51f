use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::rpc::stream::{Limits, Side, StreamHead};
use crate::rpc::{Fault, Head, Message, Outer, Protocol};

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
    /// The package of its service, where whoever makes the call knows it: paths of gRPC have it. Else the cluster's is
    /// taken.
    pub package: Option<Box<str>>,
}

impl Call {
    /// A call without a deadline.
    #[must_use]
    pub fn new(message: Message, downstream: Rc<Downstream>) -> Self {
        Self { message, downstream, deadline: None, package: None }
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

impl Head for Call {
    fn protocol(&self) -> Protocol {
        self.protocol()
    }

    fn service(&self) -> &[u8] {
        self.service()
    }

    fn method(&self) -> &[u8] {
        self.method()
    }

    fn caller(&self) -> Option<&[u8]> {
        self.message.caller()
    }

    fn metadata(&self, key: &[u8]) -> Option<&[u8]> {
        if self.message.shape().form.outer == Outer::Mesh {
            return self.message.mesh_pairs().filter_map(|(k, v)| (k == key).then_some(v)).last();
        }
        // Found in a copy of the view, which borrows from the message all the same.
        self.message.header().and_then(|header| header.string(key))
    }

    fn downstream(&self) -> &Downstream {
        &self.downstream
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

/// A stream that has been opened towards a backend.
pub struct OpenStream {
    /// The backend's side.
    pub(crate) side: Box<dyn Side>,
    /// What its relay has to mind.
    pub(crate) limits: Limits,
}

impl std::fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenStream").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A stage that answers calls: the pipeline, seen from a downstream driver.
pub trait Handle {
    /// Answers one call. Dropping the future gives the call up.
    ///
    /// # Errors
    ///
    /// The fault for which the driver makes its protocol's answer.
    fn call(&self, call: Call) -> impl Future<Output = Result<Reply, Fault>>;

    /// Opens one stream: what comes back is its backend's side. Dropping the future gives the stream up.
    ///
    /// # Errors
    ///
    /// The fault for which the driver makes its protocol's answer.
    fn open(&self, head: Box<StreamHead>) -> impl Future<Output = Result<OpenStream, Fault>>;
}
