//! One request: what it calls, its arguments, the call, its answer. The model that a request has begun with stays its own,
//! whatever becomes of the IDL meanwhile.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use ttheader::IntKey;

use crate::downstream::http::body::{self, Packing};
use crate::downstream::http::connection::Shared;
use crate::gateway::headers::{self, RequestId};
use crate::gateway::{Error, Found, Model, Target};
use crate::rpc::stream::is_own;
use crate::rpc::{Call, Fault, FaultKind, Handle, Message, Protocol, Reply};
use crate::wire::meter::Meter;
use crate::wire::pingpong::compose;

/// Answers a request; there is always an answer.
pub(super) async fn answer<H: Handle>(shared: &Rc<Shared<H>>, request: http::Request<Incoming>) -> Response<Bytes> {
    let _in_flight = shared.enter();
    // A stream of HTTP/2 is in flight as a connection is.
    let _guard = poll_fn(|cx| Poll::Ready(shared.drain.enter(cx.waker()))).await;
    shared.counters.call(Protocol::Http);
    let (parts, mut body) = request.into_parts();
    let id = RequestId::of(&parts.headers);
    let gzip = body::takes_gzip(&parts.headers);

    let result = {
        let mut exchange = pin!(exchange(shared, &parts, &mut body, &id));
        poll_fn(|cx| match exchange.as_mut().poll(cx) {
            Poll::Pending if shared.drain.has_expired() => {
                Poll::Ready(Err(Fault::sent(FaultKind::ShuttingDown, "the proxy ends").into()))
            }
            polled => polled,
        })
        .await
    };
    // In the proxy's last moments an answer waits for nobody.
    if !shared.drain.has_expired() {
        body::discard(&mut body, &parts.headers).await;
    }
    let mut response = match result {
        Ok(response) => response,
        Err(error) => {
            record(shared, &parts, &id, &error);
            error.into_response(id.as_str())
        }
    };
    id.put(response.headers_mut());
    body::pack(&mut response, gzip);
    response
}

/// Counts and logs an error, once.
fn record<H>(shared: &Shared<H>, parts: &Parts, id: &RequestId, error: &Error) {
    let (peer, method, path, request_id) = (shared.downstream.peer, &parts.method, parts.uri.path(), id.as_str());
    let status = error.status().as_u16();
    match error.fault_kind() {
        Some(kind) => {
            shared.counters.fault(kind);
            let reason = kind.name();
            tracing::warn!(reason, %peer, %method, path, request_id, status, "call failed: {error}");
        }
        None if error.is_by_backend() => shared.counters.replies.add_one(),
        None => {
            shared.counters.http_refused.add_one();
            tracing::debug!(%peer, %method, path, request_id, status, "request refused: {error}");
        }
    }
}

async fn exchange<H: Handle>(
    shared: &Shared<H>,
    parts: &Parts,
    body: &mut Incoming,
    id: &RequestId,
) -> Result<Response<Bytes>, Error> {
    let settings = &shared.settings;
    let model = settings.gateway.model();
    let target = match model.find(&parts.method, parts.uri.path())? {
        Found::Page => return Ok(model.page(host(parts))),
        Found::OpenApi => return Ok(model.openapi()),
        Found::Call(target) => target,
    };
    let package = model.called(&target)?.package.map(Box::from);
    let timeout = headers::timeout_of(&parts.headers)?;
    let packing = Packing::of(&parts.headers)?;
    if !body.is_end_stream() {
        model.check_content_type(&target, &parts.headers)?;
    }
    let meter = Meter::new(usize::MAX, Some(Rc::clone(&settings.worker)));
    let body = body::read(body, &parts.headers, packing, settings.max_body, settings.read_timeout, &meter).await?;
    let message = request(shared, &model, &target, parts, &body, id, timeout)?;
    drop(body);

    let mut call = Call::new(message, Rc::clone(&shared.downstream));
    call.package = package;
    match shared.handler.call(call).await? {
        Reply::Sent => {
            shared.counters.oneways.add_one();
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok(response)
        }
        Reply::Message(mut message) => {
            let broke = |error| Fault::sent(FaultKind::UpstreamClosed, format!("reply broke off: {error}"));
            message.collect().await.map_err(broke)?;
            let mut response = model.answer(&target, &message)?;
            if let Some(header) = message.header() {
                let dropped = headers::put_backward(header, is_own, response.headers_mut());
                shared.counters.drop_metadata(dropped);
            }
            shared.counters.replies.add_one();
            Ok(response)
        }
    }
}

/// The call that a request is.
fn request<H>(
    shared: &Shared<H>,
    model: &Model,
    target: &Target,
    parts: &Parts,
    body: &Bytes,
    id: &RequestId,
    timeout: Option<Duration>,
) -> Result<Message, Error> {
    let arguments = model.arguments(target, parts, body)?;
    // Less than a millisecond is one: zero would be none.
    let timeout = timeout.map(|time| time.as_millis().max(1).to_string());
    let mut ints =
        vec![(IntKey::LOG_ID, id.as_str().as_bytes()), (IntKey::FROM_SERVICE, shared.settings.name.as_bytes())];
    ints.extend(timeout.as_ref().map(|timeout| (IntKey::RPC_TIMEOUT, timeout.as_bytes())));
    let metainfo: Vec<_> = headers::metainfo(&parts.headers).collect();
    let called = model.called(target)?;
    let request = compose::Request {
        service: called.service.as_bytes(),
        method: called.method.as_bytes(),
        version: called.version,
        oneway: called.oneway,
        seqid: shared.next_seqid(),
        ints: &ints,
    };
    let pairs = metainfo.iter().map(|(key, value)| (key.as_bytes(), *value));
    compose::request(&request, pairs, &arguments).map_err(|unfit| Fault::from(unfit).into())
}

/// What the caller calls us: of HTTP/2 the authority.
fn host(parts: &Parts) -> &str {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default()
}
