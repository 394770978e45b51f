//! A stream that a handler serves, as the relay sees it: in place of a backend's side.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use grpc_frame::message::{CompressedFlag, Head as Prefix};

use crate::handler::{Answering, Failure, Handler, Request, Stream, call};
use crate::rpc::stream::{
    Closed, Data, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead, StreamOutcome, Trailers,
};
use crate::rpc::{Fault, FaultKind};
use crate::wire::ttstream::Messages;

/// What a stream with a handler may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes that wait in each direction.
    pub(crate) budget: usize,
    /// Bytes of a message.
    pub(crate) max_message: usize,
}

/// The handler's side of a stream. The handler is polled by the task that carries the stream; dropped with it.
pub(crate) struct Local {
    stream: Stream,
    messages: Messages,
    answering: Option<Answering<'static, ()>>,
    end: Option<Trailers>,
    headers_sent: bool,
}

impl Local {
    /// Begins to serve the stream that `head` opens.
    pub(crate) fn new(handler: Arc<dyn Handler>, head: Box<StreamHead>, bounds: Bounds) -> Self {
        let mut messages = Messages::new(bounds.max_message);
        if let HeadForm::Http2 { fields, .. } = &head.form {
            messages.set_encoding(fields);
        }
        let codec = head.codec();
        let head: Rc<StreamHead> = Rc::from(head);
        let request = Request { head, codec, body: Bytes::new() };
        let stream = Stream::new(bounds.budget);
        let answering = serve(handler, request, stream.clone());
        Self { stream, messages, answering: Some(Box::pin(answering)), end: None, headers_sent: false }
    }

    /// Takes what the caller said.
    fn take(&mut self, data: Data) {
        let delivered = match data.framing {
            Framing::Message(_) => {
                self.stream.0.borrow_mut().deliver(data.bytes);
                Ok(())
            }
            Framing::Prefixed => self.unprefix(data.bytes),
        };
        match delivered {
            Ok(()) if data.last => self.half_close(),
            Ok(()) => {}
            Err(fault) => self.stream.0.borrow_mut().end(Some(Failure::of(&fault))),
        }
    }

    fn unprefix(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.messages.feed(bytes);
        while let Some(message) = self.messages.next_payload()? {
            self.stream.0.borrow_mut().deliver(message);
        }
        Ok(())
    }

    fn half_close(&mut self) {
        let broken = if self.messages.is_between_messages() {
            None
        } else {
            Some(Failure::internal("the caller half closed inside a message"))
        };
        self.stream.0.borrow_mut().end(broken);
    }

    /// What the handler has said and the caller has not been told.
    fn next_event(&mut self) -> Option<Event> {
        let mut shared = self.stream.0.borrow_mut();
        if let Some(message) = shared.outbound.front() {
            if !self.headers_sent {
                self.headers_sent = true;
                return Some(Event::Headers(Metadata::Pairs(std::mem::take(&mut shared.headers))));
            }
            let Ok(prefix) = Prefix::new(CompressedFlag::PLAIN, message.len()) else {
                let text = format!("a message of {} bytes is too long", message.len());
                return Some(Event::End(End::Fault(Fault::sent(FaultKind::OverLimit, text))));
            };
            let bytes = [&prefix.encode(), &message[..]].concat().into();
            shared.outbound_len = shared.outbound_len.saturating_add(prefix.encode().len());
            shared.outbound.pop_front();
            return Some(Event::Data(Data { bytes, framing: Framing::Prefixed, last: false }));
        }
        let mut trailers = self.end.take()?;
        if trailers.outcome == StreamOutcome::Ok && !self.headers_sent {
            self.end = Some(trailers);
            self.headers_sent = true;
            return Some(Event::Headers(Metadata::Pairs(std::mem::take(&mut shared.headers))));
        }
        trailers.only = !self.headers_sent;
        Some(Event::End(End::Trailers(trailers)))
    }
}

/// Runs the handler, whichever way it wants to see the stream.
async fn serve(handler: Arc<dyn Handler>, request: Request, stream: Stream) -> Result<(), Failure> {
    let serving = async {
        if handler.streams(request.head.method()) {
            return handler.stream(request, stream).await;
        }
        let Some(body) = stream.recv().await? else {
            return Err(Failure::internal("a unary call without a message"));
        };
        if stream.recv().await?.is_some() {
            return Err(Failure::internal("a unary call with more than one message"));
        }
        let response = handler.call(Request { body, ..request }).await?;
        for (key, value) in response.metadata {
            stream.add_header(key, value);
        }
        stream.send(response.body).await;
        Ok(())
    };
    // A handler's state is its own; the worker's is not touched by what it does.
    std::panic::AssertUnwindSafe(serving).catch_unwind().await.unwrap_or_else(|panic| Err(call::panicked(&*panic)))
}

impl Side for Local {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(answering) = &mut self.answering
            && let Poll::Ready(result) = answering.as_mut().poll(cx)
        {
            self.answering = None;
            let outcome = result.map_or_else(outcome, |()| StreamOutcome::Ok);
            let metadata = Metadata::Pairs(std::mem::take(&mut self.stream.0.borrow_mut().trailers));
            self.end = Some(Trailers { outcome, metadata, only: false });
        }
        match self.next_event() {
            Some(event) => Poll::Ready(event),
            None => {
                self.stream.0.borrow_mut().keep_driver(cx);
                Poll::Pending
            }
        }
    }

    fn release(&mut self, bytes: usize) {
        self.stream.0.borrow_mut().release(bytes);
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if self.answering.is_none() {
            return Poll::Ready(Err(Closed));
        }
        if matches!(event, Some(Event::Data(_))) && !self.stream.0.borrow().has_room() {
            self.stream.0.borrow_mut().keep_driver(cx);
            return Poll::Pending;
        }
        match event.take() {
            Some(Event::Data(data)) => self.take(data),
            Some(Event::End(_)) => self.half_close(),
            Some(Event::Headers(_) | Event::Meta(_)) | None => {}
        }
        Poll::Ready(Ok(()))
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        Poll::Pending
    }

    fn reset(&mut self, _: &Reset) {
        self.answering = None;
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) {}

    fn finish(&mut self) {
        self.answering = None;
    }
}

/// How a stream turns out whose handler failed.
fn outcome(failure: Failure) -> StreamOutcome {
    match failure {
        Failure::Business { status, message, extra } => {
            StreamOutcome::Business { status, message: message.into(), extra: extra.map(Bytes::from) }
        }
        Failure::Exception { code, message } => StreamOutcome::Exception { code, message: message.into() },
        Failure::Status { code, message } => StreamOutcome::Status { code, message: message.into() },
    }
}
