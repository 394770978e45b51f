//! The driver of a caller's gRPC connection: one task for the connection, one for each stream.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use grpc_frame::content_type::{self, ContentType};
use grpc_frame::message::Boundaries;
use grpc_frame::path::Path;
use grpc_frame::status::Compat;
use grpc_frame::timeout;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::rpc::drain::Drain;
use crate::rpc::stream::{
    Closed, Data, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead, StreamOutcome, Trailers, send_end,
};
use crate::rpc::{Downstream, Fault, FaultKind, Handle, Protocol};
use crate::telemetry::Counters;
use crate::wire::conn::Conn;
use crate::wire::grpc;
use crate::wire::http2::{self, Io, Keepalive};

/// What a listener says of its gRPC connections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_streams: u32,
    pub(crate) max_message: usize,
    pub(crate) preface_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) keepalive: Duration,
    pub(crate) compat: Compat,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(
    conn: Conn,
    downstream: Rc<Downstream>,
    settings: Rc<Settings>,
    handler: Rc<impl Handle + 'static>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
) {
    let io = Io::new(conn, settings.write_timeout);
    let shared = Rc::new(Shared { downstream, settings, handler, drain, counters });
    let end = connection(io, &shared).await;
    let peer = shared.downstream.peer;
    match end {
        Ok(()) => tracing::debug!(%peer, "connection ended"),
        Err(why) => {
            shared.counters.downstream_refused.add_one();
            tracing::info!(%peer, listener = shared.downstream.listener, "connection refused: {why}");
        }
    }
}

/// What the streams of a connection have in common.
struct Shared<H> {
    downstream: Rc<Downstream>,
    settings: Rc<Settings>,
    handler: Rc<H>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
}

async fn connection<H: Handle + 'static>(io: Io, shared: &Rc<Shared<H>>) -> Result<(), String> {
    let Shared { settings, drain, .. } = &**shared;
    let handshake = http2::server(settings.max_streams).handshake::<_, Bytes>(io.clone());
    let mut handshake = pin!(tokio::time::timeout(settings.preface_timeout, handshake));
    let handshake = poll_fn(|cx| {
        let done = handshake.as_mut().poll(cx);
        // SETTINGS go out before the rest of the preface is awaited (streaming-wire B1).
        let _unsent = io.poll_flush_out(cx);
        done
    });
    let mut h2 = match handshake.await {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no HTTP/2 preface within {:?}", settings.preface_timeout)),
    };
    let mut keepalive = Keepalive::new(h2.ping_pong(), settings.keepalive);
    let mut draining = false;
    poll_fn(|cx| {
        if drain.has_begun() && !draining {
            draining = true;
            // GOAWAY twice, a PING between them (streaming-wire B12).
            h2.graceful_shutdown();
        }
        let end = loop {
            match h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    accepted(Rc::clone(shared), request, respond);
                }
                Poll::Ready(Some(Err(error))) => break Poll::Ready(lost(&error)),
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Pending => break Poll::Pending,
            }
        };
        match io.poll_flush_out(cx) {
            Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Poll::Ready(Err(format!("too slow taking its replies, {:?}", settings.write_timeout)));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => {}
            // What is left to say at the end is still said.
            Poll::Pending => return Poll::Pending,
        }
        if end.is_pending() && keepalive.poll(cx, io.received(), true).is_ready() {
            return Poll::Ready(Err("keepalive ping not answered".into()));
        }
        end
    })
    .await
}

/// A caller that goes away is no fault; one that breaks the protocol is told so by `h2`, and logged.
fn lost(error: &h2::Error) -> Result<(), String> {
    if error.is_io() || (error.is_go_away() && error.is_remote()) { Ok(()) } else { Err(error.to_string()) }
}

/// Answers a request that is none of gRPC, and starts the task of one that is.
fn accepted<H: Handle + 'static>(shared: Rc<Shared<H>>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    shared.counters.call(Protocol::Grpc);
    let (parts, body) = request.into_parts();
    let mut side = CallerSide {
        body,
        respond: Respond::Waiting(respond),
        boundaries: Boundaries::new(shared.settings.max_message),
        prefix: Bytes::new(),
        counters: Arc::clone(&shared.counters),
        response_type: None,
        compat: shared.settings.compat,
    };
    match side.head(parts, &shared.downstream) {
        Err(refusal) => side.refuse(refusal),
        Ok(head) => {
            tokio::task::spawn_local(async move {
                super::stream::carry(&mut side, head, &*shared.handler, &shared.drain, &shared.counters).await;
            });
        }
    }
}

/// Why a request is none of gRPC.
enum Refusal {
    /// Answered with this HTTP status, as grpc-go does.
    Http(StatusCode),
    /// Answered with a status of gRPC.
    Grpc(Fault),
}

/// The caller's side of a stream.
struct CallerSide {
    body: RecvStream,
    respond: Respond,
    boundaries: Boundaries,
    /// The prefix of a message whose own bytes follow alone.
    prefix: Bytes,
    /// What an answer of the proxy's own says that it is.
    response_type: Option<HeaderValue>,
    compat: Compat,
    counters: Arc<Counters>,
}

/// How far the answer is.
enum Respond {
    Waiting(SendResponse<Bytes>),
    Sending(SendStream<Bytes>),
    Done,
}

impl CallerSide {
    /// Checks the request and makes the head of it.
    fn head(&mut self, parts: http::request::Parts, downstream: &Rc<Downstream>) -> Result<Box<StreamHead>, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::Http(StatusCode::METHOD_NOT_ALLOWED));
        }
        let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let Some(content_type) = ContentType::parse(content_type) else {
            return Err(Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        };
        self.response_type = HeaderValue::from_bytes(&content_type.response()).ok();
        if parts.headers.len() > MAX_FIELDS {
            let text = format!("the request has {} header fields, {MAX_FIELDS} are allowed", parts.headers.len());
            return Err(Refusal::Grpc(Fault::unsent(FaultKind::OverLimit, text)));
        }
        let bad = |text: String| Refusal::Grpc(Fault::unsent(FaultKind::BadArguments, text));
        if let Err(error) = Path::parse(parts.uri.path()) {
            return Err(bad(format!("malformed method name: {error}")));
        }
        let timeout = match parts.headers.get(grpc::GRPC_TIMEOUT).map(|value| timeout::parse(value.as_bytes())) {
            None => None,
            Some(Ok(timeout)) => Some(timeout),
            Some(Err(error)) => return Err(bad(error.to_string())),
        };
        let form = HeadForm::Http2 { uri: parts.uri, fields: parts.headers };
        let mut head = Box::new(StreamHead::new(form, Rc::clone(downstream)));
        head.timeout = timeout;
        Ok(head)
    }

    fn refuse(mut self, refusal: Refusal) {
        match refusal {
            Refusal::Http(status) => {
                if let Respond::Waiting(mut respond) = std::mem::replace(&mut self.respond, Respond::Done) {
                    let mut response = Response::new(());
                    *response.status_mut() = status;
                    let _gone = respond.send_response(response, true);
                }
            }
            Refusal::Grpc(fault) => send_end(End::Fault(fault), &mut self),
        }
    }

    /// Sends the initial metadata, or with `end` all there is.
    fn send_headers(&mut self, fields: HeaderMap, end: bool) -> Result<(), Closed> {
        let Respond::Waiting(mut respond) = std::mem::replace(&mut self.respond, Respond::Done) else {
            return Err(Closed);
        };
        let mut response = Response::new(());
        *response.headers_mut() = fields;
        let stream = respond.send_response(response, end).map_err(|_| Closed)?;
        if !end {
            self.respond = Respond::Sending(stream);
        }
        Ok(())
    }

    /// The initial metadata where the backend's protocol has none of gRPC's own.
    fn own_headers(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let content_type = self.response_type.clone();
        fields.insert(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static(content_type::GRPC)));
        fields
    }

    /// Sends the last there is: behind what was sent, or alone.
    fn send_trailers(&mut self, mut fields: HeaderMap) -> Result<(), Closed> {
        match std::mem::replace(&mut self.respond, Respond::Done) {
            Respond::Sending(mut stream) => stream.send_trailers(fields).map_err(|_| Closed),
            Respond::Waiting(respond) => {
                self.respond = Respond::Waiting(respond);
                if !fields.contains_key(CONTENT_TYPE) {
                    fields.extend(self.own_headers());
                }
                self.send_headers(fields, true)
            }
            Respond::Done => Err(Closed),
        }
    }

    /// Adds what another protocol's metadata has that has a form here, and counts the rest.
    fn add_entries(&self, fields: &mut HeaderMap, metadata: &Metadata) {
        let dropped = grpc::add_entries(fields, metadata.entries(|| self.counters.drop_metadata(1)));
        self.counters.drop_metadata(dropped);
    }

    fn send_end(&mut self, end: End) -> Result<(), Closed> {
        match end {
            End::Trailers(Trailers { metadata: Metadata::Http2(fields), .. }) => self.send_trailers(fields),
            End::Trailers(Trailers { outcome, metadata, .. }) => {
                let mut fields = grpc::fields_of(&outcome, self.compat);
                self.add_entries(&mut fields, &metadata);
                self.send_trailers(fields)
            }
            End::HalfClose(_) => self.send_trailers(grpc::fields_of(&StreamOutcome::Ok, self.compat)),
            End::Reset(Reset::Http2(code)) => {
                self.reset(&Reset::Http2(code));
                Ok(())
            }
            End::Reset(reset) => self.send_trailers(grpc::fields_of_reset(&reset, self.compat)),
            End::Fault(fault) => self.send_trailers(grpc::fields_of_fault(&fault, self.compat)),
        }
    }
}

impl Side for CallerSide {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let bytes = match ready!(self.body.poll_data(cx)) {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => {
                    let reset = grpc::reset_by_peer(&error).unwrap_or(Reset::Lost(Protocol::Grpc));
                    return Poll::Ready(Event::End(End::Reset(reset)));
                }
                None => return Poll::Ready(Event::End(End::HalfClose(None))),
            };
            if let Err(error) = self.boundaries.feed(&bytes) {
                let fault = Fault::sent(FaultKind::OverLimit, format!("request: {error}"));
                return Poll::Ready(Event::End(End::Fault(fault)));
            }
            let last = self.body.is_end_stream();
            if bytes.is_empty() && !last {
                continue;
            }
            return Poll::Ready(Event::Data(Data { bytes, framing: Framing::Prefixed, last }));
        }
    }

    fn release(&mut self, bytes: usize) {
        if bytes > 0 {
            // It can only be too much, which it is not.
            let _released = self.body.flow_control().release_capacity(bytes);
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        match event.take() {
            Some(Event::Headers(Metadata::Http2(fields))) => Poll::Ready(self.send_headers(fields, false)),
            Some(Event::Headers(metadata)) => {
                let mut fields = self.own_headers();
                self.add_entries(&mut fields, &metadata);
                Poll::Ready(self.send_headers(fields, false))
            }
            Some(Event::Data(mut data)) => {
                if matches!(self.respond, Respond::Waiting(_)) {
                    self.send_headers(self.own_headers(), false)?;
                }
                let Respond::Sending(stream) = &mut self.respond else { return Poll::Ready(Err(Closed)) };
                if !grpc::add_prefix(&mut data, &mut self.prefix) {
                    return Poll::Ready(Err(Closed));
                }
                let sent = grpc::poll_send_prefixed(stream, cx, &mut self.prefix, &mut data);
                if sent.is_pending() {
                    *event = Some(Event::Data(data));
                }
                sent.map_err(|_| Closed)
            }
            Some(Event::End(end)) => Poll::Ready(self.send_end(end)),
            // No form in gRPC.
            Some(Event::Meta(_)) | None => Poll::Ready(Ok(())),
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reset> {
        let reset = match &mut self.respond {
            Respond::Waiting(respond) => ready!(respond.poll_reset(cx)),
            Respond::Sending(stream) => ready!(stream.poll_reset(cx)),
            Respond::Done => return Poll::Pending,
        };
        Poll::Ready(match reset {
            Ok(reason) => Reset::Http2(reason.into()),
            Err(_) => Reset::Lost(Protocol::Grpc),
        })
    }

    fn reset(&mut self, reset: &Reset) {
        let reason = grpc::reason(reset);
        match std::mem::replace(&mut self.respond, Respond::Done) {
            Respond::Waiting(mut respond) => respond.send_reset(reason),
            Respond::Sending(mut stream) => stream.send_reset(reason),
            Respond::Done => {}
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) {
        // The connection's task writes.
    }

    fn finish(&mut self) {
        // Dropped with the request still open, `h2` says NO_ERROR, as a Kitex server does (streaming-wire B6).
        self.respond = Respond::Done;
    }
}

/// Header fields of a request (design 5).
const MAX_FIELDS: usize = 256;
