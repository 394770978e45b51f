//! Answering calls and streams in the process itself: what a server does, behind every protocol of the proxy.
//!
//! A [`Handler`] sees bytes: the struct of a Thrift message, or a Protobuf message. Which handler answers what is said by
//! [`Services`]; [`generic`] puts JSON on top by an IDL.

mod call;
pub mod generic;
mod services;
mod side;
mod stream;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;

use crate::rpc::stream::Codec;
use crate::rpc::{Fault, FaultKind, Head};

pub use services::{RegisterError, Service, Services, ServicesBuilder};
pub use stream::Stream;

pub(crate) use call::answer;
pub(crate) use services::Answerer;
pub(crate) use side::{Bounds, Local};

/// The future of a handler. It runs on the worker of its call and is dropped when the caller gives the call up.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

/// Answers calls and streams.
///
/// All workers share one handler. What it does not implement answers with "not implemented", as a Kitex server does
/// (generic-call 6.6).
pub trait Handler: Send + Sync {
    /// Answers one call: a ping-pong one, or a unary one on a stream whose method is not [streamed](Self::streams).
    fn call(&self, request: Request) -> Answering<'_, Response> {
        let _unused = request;
        Box::pin(async { Err(Failure::not_implemented("GenericCall")) })
    }

    /// Serves one stream until it returns; its error is how the stream ends.
    fn stream(&self, request: Request, stream: Stream) -> Answering<'_, ()> {
        let _unused = (request, stream);
        Box::pin(async { Err(Failure::not_implemented("BidiStreaming")) })
    }

    /// Whether a stream that calls `method` is for [`stream`](Self::stream). Otherwise it is a unary call that came by
    /// a protocol of streams, and is for [`call`](Self::call).
    fn streams(&self, method: &[u8]) -> bool {
        let _unused = method;
        true
    }
}

/// What a handler answers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// Who calls what, and the metadata that came along.
    pub head: Rc<dyn Head>,
    /// What the bytes are.
    pub codec: Codec,
    /// Thrift: the struct of the arguments. Protobuf: the message. Of a stream empty: its messages come by the stream.
    pub body: Bytes,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("service", &String::from_utf8_lossy(self.head.service()))
            .field("method", &String::from_utf8_lossy(self.head.method()))
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A handler's answer to a call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Response {
    /// Thrift: the struct of the result. Protobuf: the message.
    pub body: Bytes,
    /// What travels beside it: string keys of a header, fields of HTTP/2.
    pub metadata: Vec<(Bytes, Bytes)>,
}

impl Response {
    /// An answer without metadata.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), metadata: Vec::new() }
    }
}

/// Why a handler has no answer, in terms of all protocols.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A business error: a status, its message, and a JSON object of what else there is to say.
    #[error("biz error: code={status}, msg={message}")]
    Business {
        /// Never zero.
        status: i32,
        /// The message.
        message: String,
        /// A JSON object.
        extra: Option<String>,
    },
    /// An application exception of this type (pingpong-wire 5).
    #[error("{message}")]
    Exception {
        /// Its type.
        code: i32,
        /// Its message.
        message: String,
    },
    /// A status of gRPC; towards callers of other protocols an internal error.
    #[error("{message}")]
    Status {
        /// `grpc-status`, not zero.
        code: i32,
        /// `grpc-message`.
        message: String,
    },
}

impl Failure {
    /// A business error without extra.
    pub fn business(status: i32, message: impl Into<String>) -> Self {
        Self::Business { status, message: message.into(), extra: None }
    }

    /// An internal error, as a Kitex server answers when its handler fails.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Exception { code: thrift_codec::exception::INTERNAL_ERROR, message: message.into() }
    }

    fn not_implemented(kind: &str) -> Self {
        Self::internal(format!("generic.ServiceV2 {kind} not implemented"))
    }

    fn of(fault: &Fault) -> Self {
        let code = match fault.kind {
            FaultKind::BadArguments => thrift_codec::exception::PROTOCOL_ERROR,
            _ => thrift_codec::exception::INTERNAL_ERROR,
        };
        Self::Exception { code, message: fault.text.to_string() }
    }
}

/// A handler of calls made of a function.
///
/// ```
/// use proxy::handler::{self, Response};
///
/// let echo = handler::calls(|request| async move { Ok(Response::new(request.body)) });
/// # let _: std::sync::Arc<dyn proxy::handler::Handler> = std::sync::Arc::new(echo);
/// ```
pub fn calls<F, A>(function: F) -> impl Handler
where
    F: Fn(Request) -> A + Send + Sync,
    A: Future<Output = Result<Response, Failure>> + 'static,
{
    Calls(function)
}

struct Calls<F>(F);

impl<F, A> Handler for Calls<F>
where
    F: Fn(Request) -> A + Send + Sync,
    A: Future<Output = Result<Response, Failure>> + 'static,
{
    fn call(&self, request: Request) -> Answering<'_, Response> {
        Box::pin((self.0)(request))
    }

    fn streams(&self, _: &[u8]) -> bool {
        false
    }
}

/// A handler of streams made of a function.
pub fn streams<F, A>(function: F) -> impl Handler
where
    F: Fn(Request, Stream) -> A + Send + Sync,
    A: Future<Output = Result<(), Failure>> + 'static,
{
    Streams(function)
}

struct Streams<F>(F);

impl<F, A> Handler for Streams<F>
where
    F: Fn(Request, Stream) -> A + Send + Sync,
    A: Future<Output = Result<(), Failure>> + 'static,
{
    fn stream(&self, request: Request, stream: Stream) -> Answering<'_, ()> {
        Box::pin((self.0)(request, stream))
    }
}
