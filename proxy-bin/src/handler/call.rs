//! A ping-pong call that a handler answers.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use thrift_codec::Version;

use crate::handler::{Failure, Handler, Request, Response};
use crate::rpc::stream::Codec;
use crate::rpc::{Call, Fault, FaultKind, Message, Reply};
use crate::wire::pingpong::{Origin, compose};

/// Lets `handler` answer `call`.
///
/// # Errors
///
/// The caller is gone, or the answer has no form as a message.
pub(crate) async fn answer(handler: Arc<dyn Handler>, mut call: Call) -> Result<Reply, Fault> {
    let broke = |error| Fault::unsent(FaultKind::DownstreamClosed, format!("request broke off: {error}"));
    call.message.collect().await.map_err(broke)?;
    let origin = Origin::of(&call);
    let (shape, payload) = (call.message.shape(), call.message.payload());
    let codec = if shape.version == Version::KITEX_PROTOBUF { Codec::Protobuf } else { Codec::Thrift };
    let body = payload.slice(shape.envelope_len().min(payload.len())..);
    let request = Request { head: Rc::new(call), codec, body };
    // A handler's state is its own; the worker's is not touched by what it does.
    let answered = AssertUnwindSafe(async { handler.call(request).await }).catch_unwind().await;
    let answered = answered.unwrap_or_else(|panic| Err(panicked(&*panic)));
    if origin.oneway {
        return Ok(Reply::Sent);
    }
    Ok(Reply::Message(message(&origin, answered)?))
}

/// The message that the handler's answer is.
fn message(to: &Origin, answered: Result<Response, Failure>) -> Result<Message, Fault> {
    let none = || std::iter::empty();
    Ok(match answered {
        Ok(response) => {
            let pairs = response.metadata.iter().map(|(key, value)| (&key[..], &value[..]));
            compose::reply(to, pairs, &response.body)?
        }
        Err(Failure::Business { status, message, extra }) => {
            let error =
                compose::Business { status, message: message.as_bytes(), extra: extra.as_ref().map(String::as_bytes) };
            compose::business_error(to, none(), error)?
        }
        Err(Failure::Exception { code, message }) => compose::exception(to, none(), code, message.as_bytes())?,
        Err(Failure::Status { message, .. }) => {
            compose::exception(to, none(), thrift_codec::exception::INTERNAL_ERROR, message.as_bytes())?
        }
    })
}

/// What a caller is told of a panic; nothing else dies of it.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no text");
    tracing::error!("panic in a handler: {text}");
    Failure::internal(format!("panic in the handler: {text}"))
}
