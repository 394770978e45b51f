use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use grpc_frame::content_type::ContentType;
use grpc_frame::message::Boundaries;
use grpc_frame::status::{Code, Compat};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};

use crate::rpc::stream::{Closed, Data, End, Event, Framing, Metadata, Reset, Side, StreamOutcome, Trailers};
use crate::rpc::{Fault, FaultKind};
use crate::upstream::grpc::link::InUse;
use crate::upstream::grpc::{Links, Started};
use crate::wire::grpc;

/// The backend's side of a stream.
pub(crate) struct BackendSide {
    links: Rc<Links>,
    link: Option<InUse>,
    request: SendStream<Bytes>,
    response: Answer,
    boundaries: Boundaries,
    /// The prefix of a message whose own bytes follow alone.
    prefix: Bytes,
    half_closed: bool,
    /// What it takes to send all of it again, until the backend has said a word.
    replay: Option<Replay>,
}

/// How far the answer is.
enum Answer {
    Awaited(ResponseFuture),
    Body(RecvStream),
    Again(Pin<Box<dyn Future<Output = Result<Started, Fault>>>>),
    Done,
}

/// What has been sent of a request.
struct Replay {
    request: Box<Request<()>>,
    sent: Vec<Bytes>,
    len: usize,
}

impl BackendSide {
    pub(crate) fn new(links: Rc<Links>, request: Box<Request<()>>, started: Started) -> Self {
        let boundaries = Boundaries::new(links.settings.max_message);
        let Started { link, response, stream } = started;
        Self {
            links,
            link: Some(link),
            request: stream,
            response: Answer::Awaited(response),
            boundaries,
            prefix: Bytes::new(),
            half_closed: false,
            replay: Some(Replay { request, sent: Vec::new(), len: 0 }),
        }
    }

    /// The first that a backend says.
    fn answered(&mut self, response: Response<RecvStream>) -> Event {
        self.replay = None;
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if content_type.and_then(ContentType::parse).is_none() && !parts.headers.contains_key(grpc::GRPC_STATUS) {
            // None of gRPC's: what a caller would make of it (streaming-wire B10), its body apart.
            let code = Code::from_http(Some(parts.status.as_u16()));
            let text = format!("the backend answered HTTP {} and no gRPC", parts.status.as_u16());
            self.request.send_reset(Reason::PROTOCOL_ERROR);
            self.response = Answer::Done;
            let outcome = StreamOutcome::Status { code: code.0, message: format!("proxy: {text}").into() };
            let fields = grpc::fields_of(&outcome, Compat::Grpc);
            return Event::End(End::Trailers(Trailers { outcome, metadata: Metadata::Http2(fields), only: true }));
        }
        if body.is_end_stream() {
            self.response = Answer::Done;
            return Event::End(End::Trailers(grpc::trailers(parts.headers, true)));
        }
        self.response = Answer::Body(body);
        Event::Headers(Metadata::Http2(parts.headers))
    }

    /// What becomes of a stream that failed before the backend said a word.
    fn failed(&mut self, error: &h2::Error) -> Option<Event> {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        let unprocessed = error.is_remote() && (refused || error.is_go_away());
        if unprocessed
            && let Some(link) = &self.link
            && error.is_go_away()
        {
            link.close();
        }
        let Some(replay) = self.replay.as_ref().filter(|_| unprocessed) else { return Some(self.lost(error)) };
        let (links, request) = (Rc::clone(&self.links), replay.request.clone());
        links.settings.counters.upstream_stale.add_one();
        self.link = None;
        self.response = Answer::Again(Box::pin(async move { links.start(&request).await }));
        None
    }

    /// Sends on another connection what was sent, once: the second refusal stands.
    fn restarted(&mut self, started: Started) {
        let Started { link, response, stream } = started;
        self.link = Some(link);
        self.request = stream;
        self.response = Answer::Awaited(response);
        let Some(replay) = self.replay.take() else { return };
        let last = replay.sent.len().checked_sub(1);
        for (index, bytes) in replay.sent.into_iter().enumerate() {
            let _later = self.request.send_data(bytes, self.half_closed && Some(index) == last);
        }
        if self.half_closed && last.is_none() {
            let _later = self.request.send_data(Bytes::new(), true);
        }
    }

    fn lost(&self, error: &h2::Error) -> Event {
        let settings = &self.links.settings;
        match grpc::reset_by_peer(error) {
            Some(reset) if error.is_remote() => Event::End(End::Reset(reset)),
            // Ours, of a peer that broke the protocol.
            Some(_) => {
                let text = format!("cluster {}: {} broke HTTP/2: {error}", settings.cluster, settings.address);
                Event::End(End::Fault(Fault::sent(FaultKind::BadReply, text)))
            }
            None => {
                let text = format!("cluster {}: connection to {} lost: {error}", settings.cluster, settings.address);
                Event::End(End::Fault(Fault::sent(FaultKind::UpstreamClosed, text)))
            }
        }
    }

    fn poll_body(body: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, h2::Error>> {
        loop {
            return Poll::Ready(match ready!(body.poll_data(cx)) {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => Ok(Some(bytes)),
                Some(Err(error)) => Err(error),
                None => Ok(None),
            });
        }
    }

    /// Remembers what was sent of `before`, as long as it may have to be sent again and is not much.
    fn note(&mut self, mut before: Bytes, left: usize) {
        let Some(replay) = &mut self.replay else { return };
        before.truncate(before.len().saturating_sub(left));
        replay.len = replay.len.saturating_add(before.len());
        if replay.len > MAX_REPLAY {
            self.replay = None;
        } else if !before.is_empty() {
            replay.sent.push(before);
        }
    }
}

impl Side for BackendSide {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match &mut self.response {
                Answer::Awaited(response) => match ready!(Pin::new(response).poll(cx)) {
                    Ok(response) => return Poll::Ready(self.answered(response)),
                    Err(error) => {
                        if let Some(end) = self.failed(&error) {
                            return Poll::Ready(end);
                        }
                    }
                },
                Answer::Again(again) => match ready!(again.as_mut().poll(cx)) {
                    Ok(started) => {
                        self.restarted(started);
                        // The request's side may have waited for this.
                        cx.waker().wake_by_ref();
                    }
                    Err(fault) => {
                        self.response = Answer::Done;
                        return Poll::Ready(Event::End(End::Fault(fault)));
                    }
                },
                Answer::Body(body) => {
                    let end = match ready!(Self::poll_body(body, cx)) {
                        Ok(Some(bytes)) => {
                            if let Err(error) = self.boundaries.feed(&bytes) {
                                let fault = Fault::sent(FaultKind::OverLimit, format!("response: {error}"));
                                self.request.send_reset(Reason::CANCEL);
                                return Poll::Ready(Event::End(End::Fault(fault)));
                            }
                            let data = Data { bytes, framing: Framing::Prefixed, last: false };
                            return Poll::Ready(Event::Data(data));
                        }
                        Ok(None) => match ready!(body.poll_trailers(cx)) {
                            Ok(Some(fields)) => End::Trailers(grpc::trailers(fields, false)),
                            Ok(None) => {
                                let text = "the backend ended the stream without trailers";
                                End::Fault(Fault::sent(FaultKind::BadReply, text))
                            }
                            Err(error) => return Poll::Ready(self.lost(&error)),
                        },
                        Err(error) => return Poll::Ready(self.lost(&error)),
                    };
                    return Poll::Ready(Event::End(end));
                }
                Answer::Done => return Poll::Pending,
            }
        }
    }

    fn release(&mut self, bytes: usize) {
        if let Answer::Body(body) = &mut self.response
            && bytes > 0
        {
            // It can only be too much, which it is not.
            let _released = body.flow_control().release_capacity(bytes);
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if matches!(self.response, Answer::Again(_)) {
            return Poll::Pending;
        }
        match event.take() {
            Some(Event::Data(mut data)) => {
                if !grpc::add_prefix(&mut data, &mut self.prefix) {
                    return Poll::Ready(Err(Closed));
                }
                if !self.prefix.is_empty() {
                    self.replay = None;
                }
                let before = self.replay.as_ref().map(|_| data.bytes.clone());
                let sent = grpc::poll_send_prefixed(&mut self.request, cx, &mut self.prefix, &mut data);
                if let Some(before) = before {
                    // What can't be sent on a stream that was refused is sent when it begins anew.
                    let left = if matches!(sent, Poll::Ready(_)) { 0 } else { data.bytes.len() };
                    self.note(before, left);
                }
                match sent {
                    Poll::Ready(result) => {
                        self.half_closed |= data.last;
                        Poll::Ready(if self.replay.is_some() { Ok(()) } else { result.map_err(|_| Closed) })
                    }
                    Poll::Pending => {
                        *event = Some(Event::Data(data));
                        Poll::Pending
                    }
                }
            }
            Some(Event::End(_)) if !self.half_closed => {
                self.half_closed = true;
                let sent = self.request.send_data(Bytes::new(), true);
                Poll::Ready(if self.replay.is_some() { Ok(()) } else { sent.map_err(|_| Closed) })
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        // A backend's reset is what its answer ends with.
        Poll::Pending
    }

    fn reset(&mut self, reset: &Reset) {
        self.request.send_reset(grpc::reason(reset));
        self.response = Answer::Done;
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) {
        // The connection's task writes.
    }

    fn finish(&mut self) {
        if !self.half_closed {
            // The backend has said all there is to say (streaming-wire B6).
            self.request.send_reset(Reason::NO_ERROR);
        }
        self.response = Answer::Done;
    }
}

/// What is remembered of a request, in bytes.
const MAX_REPLAY: usize = 64 << 10;
