//! The driver of a caller's ttstream connection: one task, in which its streams run side by side.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use grpc_frame::status;
use ttstream::stream::{Server, ServerEvent, opens};
use ttstream::{Exception, Frame, StreamEncoder};

use crate::downstream::calls::Calls;
use crate::rpc::drain::{Drain, QUIET};
use crate::rpc::stream::{
    Closed, Data, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead, StreamOutcome, Trailers, send_end,
};
use crate::rpc::{Downstream, Fault, FaultKind, Handle, Protocol};
use crate::telemetry::Counters;
use crate::wire::conn::{Conn, Stall};
use crate::wire::meter::Meter;
use crate::wire::ttstream::{self as wire, Link, Lost, Messages, Queue};

/// What a listener says of its ttstream connections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_streams: usize,
    pub(crate) max_message: usize,
    pub(crate) stream_budget: usize,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) rst: bool,
    /// What all streams of the worker may hold.
    pub(crate) worker: Rc<Meter>,
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
    let link = Link::new(conn, settings.max_message, settings.read_timeout, settings.write_timeout);
    let budget = settings.stream_budget.saturating_mul(CONNECTION_SHARE);
    let meter = Rc::new(Meter::new(budget, Some(Rc::clone(&settings.worker))));
    let mut driver = Driver {
        shared: Rc::new(Shared { link, streams: RefCell::default(), settings, downstream, handler, drain, counters }),
        meter,
        idle: Stall::new(Duration::ZERO),
        quiet: Stall::new(QUIET),
    };
    driver.idle = Stall::new(driver.shared.settings.idle_timeout);
    let mut calls = pin!(Calls::new());
    let end = poll_fn(|cx| driver.poll(cx, calls.as_mut())).await;
    let Shared { downstream, counters, streams, .. } = &*driver.shared;
    let peer = downstream.peer;
    match &end {
        Lost::Closed | Lost::Io(_) | Lost::Slow(IDLE) => tracing::debug!(%peer, "connection ended: {end}"),
        end => {
            counters.downstream_refused.add_one();
            tracing::info!(%peer, listener = downstream.listener, "connection refused: {end}");
        }
    }
    // Each stream learns of it, and ends its backend's side (streaming-wire C5.6).
    for stream in streams.borrow().values() {
        if let Lost::TooLong { id, error } = &end
            && *id == stream.encoder.stream_id()
        {
            // The one that is to blame can still be told.
            stream.fail(Fault::sent(FaultKind::OverLimit, format!("request over `max_message`: {error}")));
            continue;
        }
        stream.machine.borrow_mut().lost();
        let _room = stream.queue.push(Event::End(End::Reset(Reset::Lost(Protocol::TtStream))));
    }
    poll_fn(|cx| {
        while calls.as_mut().poll_next(cx).is_ready() {}
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let _told = tokio::time::timeout(LAST_WORDS, poll_fn(|cx| driver.shared.link.poll_flush(cx))).await;
}

/// What the streams of a connection have in common.
struct Shared<H> {
    link: Link,
    streams: RefCell<HashMap<i32, Rc<Stream>>>,
    settings: Rc<Settings>,
    downstream: Rc<Downstream>,
    handler: Rc<H>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
}

/// One stream, as frames reach it.
struct Stream {
    machine: RefCell<Server>,
    queue: Queue,
    encoder: StreamEncoder,
    /// Whether nobody listens any more; what comes is passed over.
    over: Cell<bool>,
}

impl Stream {
    /// Ends the stream for a reason of the proxy's own.
    fn fail(&self, fault: Fault) {
        if !self.over.replace(true) {
            self.queue.fail(fault);
        }
    }
}

/// The way of one stream.
type Call = Pin<Box<dyn Future<Output = ()>>>;

struct Driver<H> {
    shared: Rc<Shared<H>>,
    meter: Rc<Meter>,
    idle: Stall,
    quiet: Stall,
}

impl<H: Handle + 'static> Driver<H> {
    fn poll(&mut self, cx: &mut Context<'_>, mut calls: Pin<&mut Calls<Call>>) -> Poll<Lost> {
        self.shared.link.set_task(cx);
        loop {
            let mut progress = false;
            for _ in 0..FRAMES_A_TURN {
                if !self.may_read() {
                    break;
                }
                match self.shared.link.poll_frame(cx) {
                    Poll::Ready(Ok(frame)) => {
                        progress = true;
                        self.idle.reset();
                        self.quiet.reset();
                        match self.dispatch(frame) {
                            Ok(Some(call)) => calls.as_mut().push(call),
                            Ok(None) => {}
                            Err(lost) => return Poll::Ready(lost),
                        }
                    }
                    Poll::Ready(Err(lost)) => return Poll::Ready(lost),
                    Poll::Pending => break,
                }
            }
            while calls.as_mut().poll_next(cx).is_ready() {
                progress = true;
            }
            if let Poll::Ready(Err(lost)) = self.shared.link.poll_flush(cx) {
                return Poll::Ready(lost);
            }
            if !progress {
                break;
            }
        }
        if !calls.is_empty() {
            return Poll::Pending;
        }
        if self.shared.drain.has_begun() && !self.shared.link.has_input() {
            ready!(self.quiet.poll(cx));
            return Poll::Ready(Lost::Slow(IDLE));
        }
        // A mux client forgets connections and leaves them open (streaming-wire F21).
        self.idle.poll(cx).map(|()| Lost::Slow(IDLE))
    }

    /// A connection with one stream waits for whoever is slow; one that is shared must not (streaming-wire A16).
    fn may_read(&self) -> bool {
        let streams = self.shared.streams.borrow();
        streams.len() != 1 || streams.values().all(|stream| !stream.queue.is_full())
    }

    /// What a frame means. Some when it opens a stream.
    fn dispatch(&self, frame: Frame) -> Result<Option<Call>, Lost> {
        let stream = self.shared.streams.borrow().get(&frame.stream_id()).map(Rc::clone);
        let Some(stream) = stream else {
            return if opens(&frame)? { Ok(self.begin(frame)) } else { Ok(None) };
        };
        let event = match stream.machine.borrow_mut().received(&frame)? {
            ServerEvent::HalfClose(_) => Event::End(End::HalfClose(Some(frame.clone()))),
            ServerEvent::Reset(reset) => Event::End(End::Reset(wire::reset_of(&reset, &frame))),
            ServerEvent::Message => match wire::data(frame.clone(), self.shared.settings.max_message) {
                Ok(event) => event,
                Err(fault) => {
                    stream.fail(fault);
                    return Ok(None);
                }
            },
            _ => return Ok(None),
        };
        if !stream.over.get() && !stream.queue.push(event) {
            let text = format!("the backend does not take the stream's messages; {} wait", self.shared.held());
            stream.fail(Fault::sent(FaultKind::OverLimit, text));
        }
        Ok(None)
    }

    fn begin(&self, frame: Frame) -> Option<Call> {
        let shared = Rc::clone(&self.shared);
        shared.counters.call(Protocol::TtStream);
        let id = frame.stream_id();
        // An id that is reserved has been refused, and no frame holds a method that is too long.
        let encoder = StreamEncoder::new(id, frame.method()).ok()?;
        let budget = Meter::new(shared.settings.stream_budget, Some(Rc::clone(&self.meter)));
        let stream = Rc::new(Stream {
            machine: RefCell::new(Server::new()),
            queue: Queue::new(budget),
            encoder,
            over: Cell::new(false),
        });
        let open = shared.streams.borrow().len();
        shared.streams.borrow_mut().insert(id, Rc::clone(&stream));
        let mut side = CallerSide {
            messages: None,
            max_message: shared.settings.max_message,
            rst: shared.settings.rst,
            shared: Rc::clone(&shared),
            stream,
        };
        let head = Box::new(StreamHead::new(HeadForm::Frame(frame), Rc::clone(&shared.downstream)));
        Some(Box::pin(async move {
            // Kitex is silent in these cases (streaming-wire A14); an answer is worth more.
            let refusal = if open >= shared.settings.max_streams {
                Some(Fault::unsent(FaultKind::OverLimit, format!("over limit: {open} streams on one connection")))
            } else if side.stream.encoder.method().is_empty() {
                Some(Fault::unsent(FaultKind::UnknownMethod, "the stream names no method"))
            } else {
                None
            };
            match refusal {
                Some(fault) => {
                    shared.counters.fault(fault.kind);
                    send_end(End::Fault(fault), &mut side);
                }
                None => {
                    super::stream::carry(&mut side, head, &*shared.handler, &shared.drain, &shared.counters).await;
                }
            }
        }))
    }
}

impl<H> Shared<H> {
    /// The stream budget, as an error names it.
    fn held(&self) -> String {
        format!("{} bytes (`stream_budget`)", self.settings.stream_budget)
    }
}

/// The caller's side of a stream.
struct CallerSide<H> {
    shared: Rc<Shared<H>>,
    stream: Rc<Stream>,
    /// What makes frames of another protocol's data.
    messages: Option<Messages>,
    max_message: usize,
    rst: bool,
}

impl<H> CallerSide<H> {
    fn headers(&mut self, metadata: &Metadata) -> Result<(), Closed> {
        if self.stream.machine.borrow_mut().send_header().is_err() {
            // The one header frame of a stream has been sent: another one ends the connection (streaming-wire F4).
            return Ok(());
        }
        let (link, encoder) = (&self.shared.link, &self.stream.encoder);
        let written = match metadata {
            Metadata::Frame(frame) => link.forward(frame, encoder.stream_id()),
            foreign => {
                let mut messages = Messages::new(self.max_message);
                if let Metadata::Http2(fields) = foreign {
                    messages.set_encoding(fields);
                }
                self.messages = Some(messages);
                let (pairs, dropped) = wire::foreign(metadata);
                self.shared.counters.drop_metadata(dropped);
                link.write(|dst| encoder.header(pairs.iter().map(|(key, value)| (&**key, &**value)), dst))
            }
        };
        written.map_err(|_| Closed)
    }

    fn message(&self, frame: Option<&Frame>, payload: &Bytes) -> Result<(), Closed> {
        let writes = self.stream.machine.borrow_mut().send_message().map_err(|_| Closed)?;
        let (link, encoder) = (&self.shared.link, &self.stream.encoder);
        if writes.header {
            link.write(|dst| encoder.empty_header(dst));
        }
        link.message(encoder, frame, payload).map_err(|_| Closed)
    }

    fn data(&mut self, data: Data) -> Result<(), Closed> {
        if let Framing::Message(frame) = &data.framing {
            return self.message(frame.as_ref(), &data.bytes);
        }
        let mut messages = self.messages.take().unwrap_or_else(|| Messages::new(self.max_message));
        messages.feed(data.bytes);
        let sent = loop {
            match messages.next_message() {
                Ok(Some(payload)) => {
                    if let Err(closed) = self.message(None, &payload) {
                        break Err(closed);
                    }
                }
                Ok(None) => break Ok(()),
                Err(fault) => {
                    self.send_end(End::Fault(fault));
                    break Err(Closed);
                }
            }
        };
        self.messages = Some(messages);
        sent
    }

    fn send_end(&mut self, end: End) {
        let mut own = Vec::new();
        let mut metadata = None;
        let (exception, pairs) = match &end {
            End::Trailers(Trailers { metadata: Metadata::Frame(frame), .. }) => return self.trailer_frame(frame),
            End::Trailers(Trailers { outcome, metadata: fields, .. }) => {
                metadata = Some(fields);
                let cut = self.messages.as_ref().is_some_and(|messages| !messages.is_between_messages());
                if cut && *outcome == StreamOutcome::Ok {
                    // As a client of gRPC reads it.
                    let text = status::rpc_error(status::Code::INTERNAL, b"proxy: the backend ended inside a message");
                    (Some((ttstream::Code::INTERNAL_ERROR, text.into())), Vec::new())
                } else {
                    wire::trailer_of(outcome)
                }
            }
            End::HalfClose(_) => (None, Vec::new()),
            End::Reset(reset @ Reset::Rst { .. }) if self.rst => return self.reset(reset),
            End::Reset(reset) => (Some(wire::exception_of_reset(reset)), Vec::new()),
            End::Fault(fault) => (Some(wire::exception_of_fault(fault, self.messages.is_some())), Vec::new()),
        };
        own.extend(pairs.iter().map(|(key, value)| ((*key).into(), (&**value).into())));
        if let Some(metadata) = metadata {
            let (pairs, dropped) = wire::foreign(metadata);
            self.shared.counters.drop_metadata(dropped);
            own.extend(pairs);
        }
        if !self.begin_trailer() {
            return;
        }
        let exception = exception.as_ref().map(|(code, text)| (*code, &text[..]));
        let (link, encoder) = (&self.shared.link, &self.stream.encoder);
        if link.write(|dst| wire::write_trailer(encoder, exception, &own, dst)).is_err() {
            // Too much for a frame (streaming-wire F7): the end without what came along.
            let text = b"proxy: the trailers are too long for a frame";
            let exception = exception.unwrap_or((ttstream::Code::INTERNAL_ERROR, text));
            let _fits = link.write(|dst| wire::write_trailer(encoder, Some(exception), &[], dst));
        }
    }

    /// The backend's trailer, as it came.
    fn trailer_frame(&self, frame: &Frame) {
        if self.begin_trailer() {
            // The id is one that a caller chose, never the reserved one.
            let _written = self.shared.link.forward(frame, self.stream.encoder.stream_id());
        }
    }

    /// Writes what has to precede a trailer. False when there can't be one any more.
    fn begin_trailer(&self) -> bool {
        let writes = self.stream.machine.borrow_mut().finish();
        if writes.header {
            self.shared.link.write(|dst| self.stream.encoder.empty_header(dst));
        }
        writes.trailer
    }
}

impl<H> Side for CallerSide<H> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.stream.queue.poll_next(cx)
    }

    fn release(&mut self, bytes: usize) {
        let was_full = self.stream.queue.is_full();
        self.stream.queue.release(bytes);
        if was_full {
            self.shared.link.wake();
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if matches!(event, Some(Event::Data(_))) {
            ready!(self.shared.link.poll_room(cx));
        }
        match event.take() {
            Some(Event::Headers(metadata)) => Poll::Ready(self.headers(&metadata)),
            Some(Event::Data(data)) => Poll::Ready(self.data(data)),
            Some(Event::Meta(frame)) => {
                let written = self.shared.link.forward(&frame, self.stream.encoder.stream_id());
                Poll::Ready(written.map_err(|_| Closed))
            }
            Some(Event::End(end)) => {
                self.send_end(end);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reset> {
        self.stream.queue.poll_reset(cx)
    }

    fn reset(&mut self, reset: &Reset) {
        if !self.stream.machine.borrow_mut().reset().rst {
            return;
        }
        let (link, encoder) = (&self.shared.link, &self.stream.encoder);
        if let Reset::Rst { frame, .. } = reset {
            // The id is one that a caller chose, never the reserved one.
            let _written = link.forward(frame, encoder.stream_id());
            return;
        }
        let (code, text) = wire::exception_of_reset(reset);
        // A text of any length fits.
        let _written = link.write(|dst| encoder.rst(&Exception::new(code, &text), b"", dst));
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) {
        // The connection's task, in which this stream runs, writes at the end of its turn.
    }

    fn finish(&mut self) {
        self.stream.over.set(true);
    }
}

impl<H> Drop for CallerSide<H> {
    fn drop(&mut self) {
        self.shared.streams.borrow_mut().remove(&self.stream.encoder.stream_id());
        // There is something to write, or the end of the last stream to see.
        self.shared.link.wake();
    }
}

/// Frames that are read before it is the streams' turn.
const FRAMES_A_TURN: usize = 64;
/// What a connection may hold, in budgets of one stream.
const CONNECTION_SHARE: usize = 4;
/// How long what is still to be said may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Why a connection without streams ends.
const IDLE: &str = "opening another stream";
