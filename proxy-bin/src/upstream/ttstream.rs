//! The ttstream driver: a stream has a connection of its own, or shares one, as the cluster says.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use grpc_frame::content_type::Codec;
use tokio::sync::Mutex;
use ttstream::stream::{Client, ClientEvent, Ids};
use ttstream::{Exception, Frame, FrameType, IntKey, StreamEncoder, keys};

use crate::rpc::stream::{Closed, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead, Trailers};
use crate::rpc::{Fault, FaultKind, Head, Protocol, StreamPool};
use crate::telemetry::Counters;
use crate::upstream::cluster::Timeouts;
use crate::upstream::pool;
use crate::wire::conn::{Conn, Stall};
use crate::wire::meter::Meter;
use crate::wire::ttstream::{self as wire, Link, Lost, Messages, Queue};

/// What a connection to a backend needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster: String,
    pub(crate) address: String,
    /// What the proxy calls itself in a cancel path.
    pub(crate) name: String,
    pub(crate) pool: StreamPool,
    pub(crate) rst: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_message: usize,
    pub(crate) stream_budget: usize,
    pub(crate) worker: Rc<Meter>,
    pub(crate) counters: Arc<Counters>,
}

/// The connections of one worker to one endpoint.
#[derive(Debug)]
pub(crate) struct Links {
    settings: Settings,
    idle: RefCell<Vec<Idle>>,
    sweeps: Cell<u64>,
    /// The connection that all streams share, where they do.
    shared: Mutex<Option<Rc<Connection>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Rc<Connection>,
    since: u64,
}

impl Links {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, idle: RefCell::default(), sweeps: Cell::new(0), shared: Mutex::new(None) }
    }

    /// Whether a stream has a form in ttstream at all.
    ///
    /// # Errors
    ///
    /// It has none.
    pub(crate) fn check(head: &StreamHead) -> Result<(), Fault> {
        if head.codec() == Codec::Thrift {
            return Ok(());
        }
        let text = "ttstream carries Thrift alone, and the call is not application/grpc+thrift";
        Err(Fault::unsent(FaultKind::NotConvertible, text))
    }

    /// A connection for one stream.
    ///
    /// # Errors
    ///
    /// No connection can be had.
    pub(crate) async fn ready(self: &Rc<Self>) -> Result<Rc<Connection>, Fault> {
        if self.settings.pool == StreamPool::Mux { self.share().await } else { self.checkout().await }
    }

    /// Opens a stream on a connection of [`Links::ready`].
    ///
    /// # Errors
    ///
    /// A part of its metadata is too long for a frame.
    pub(crate) fn open(self: &Rc<Self>, connection: Rc<Connection>, head: &StreamHead) -> Result<Box<dyn Side>, Fault> {
        let shared = self.settings.pool == StreamPool::Mux;
        let stream = connection.begin(head)?;
        let messages = match &head.form {
            HeadForm::Http2 { fields, .. } => {
                let mut messages = Messages::new(self.settings.max_message);
                messages.set_encoding(fields);
                Some(messages)
            }
            HeadForm::Frame(_) => None,
        };
        Ok(Box::new(BackendSide { links: Rc::clone(self), connection, stream, shared, messages, failure: None }))
    }

    async fn connect(&self) -> Result<Rc<Connection>, Fault> {
        let Settings { cluster, address, timeouts, counters, max_message, stream_budget, worker, .. } = &self.settings;
        let stream = pool::connect(cluster, address, timeouts.connect).await?;
        counters.upstream_connections.add_one();
        counters.upstream_open.add_one();
        let budget = stream_budget.saturating_mul(CONNECTION_SHARE);
        Ok(Rc::new(Connection {
            link: Link::new(Conn::new(stream), *max_message, timeouts.read, timeouts.write),
            streams: RefCell::default(),
            ids: RefCell::new(Ids::new()),
            live: Cell::new(true),
            meter: Rc::new(Meter::new(budget, Some(Rc::clone(worker)))),
            stream_budget: *stream_budget,
            max_message: *max_message,
            counters: Arc::clone(counters),
        }))
    }

    /// An idle connection that is still good, else a fresh one.
    async fn checkout(&self) -> Result<Rc<Connection>, Fault> {
        while let Some(idle) = poll_fn(|_| Poll::Ready(self.idle.borrow_mut().pop())).await {
            if poll_fn(|cx| Poll::Ready(idle.connection.is_still(cx))).await {
                self.settings.counters.upstream_reused.add_one();
                return Ok(idle.connection);
            }
        }
        Box::pin(self.connect()).await
    }

    /// The connection that all streams share.
    async fn share(self: &Rc<Self>) -> Result<Rc<Connection>, Fault> {
        let mut shared = self.shared.lock().await;
        if let Some(connection) = shared.as_ref().filter(|connection| connection.live.get()) {
            self.settings.counters.upstream_reused.add_one();
            return Ok(Rc::clone(connection));
        }
        let connection = self.connect().await?;
        tokio::task::spawn_local(drive(Rc::clone(&connection), Rc::clone(self)));
        Ok(Rc::clone(shared.insert(connection)))
    }

    /// Closes what has been idle for too long, and what the peer has closed. Called once a second.
    pub(crate) fn sweep(&self) {
        let now = self.sweeps.get().saturating_add(1);
        self.sweeps.set(now);
        let max_idle = self.settings.timeouts.idle.as_secs().saturating_add(1);
        let mut cx = Context::from_waker(Waker::noop());
        self.idle
            .borrow_mut()
            .retain(|idle| now.saturating_sub(idle.since) <= max_idle && idle.connection.is_still(&mut cx));
    }
}

/// The task of a shared connection.
async fn drive(connection: Rc<Connection>, links: Rc<Links>) {
    let mut idle = Stall::new(links.settings.timeouts.idle);
    let lost = poll_fn(|cx| {
        connection.link.set_task(cx);
        for _ in 0..FRAMES_A_TURN {
            match connection.poll_frame(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(lost)) => return Poll::Ready(lost),
                Poll::Pending => {
                    if let Poll::Ready(Err(lost)) = connection.link.poll_flush(cx) {
                        return Poll::Ready(lost);
                    }
                    if !connection.streams.borrow().is_empty() {
                        idle.reset();
                        return Poll::Pending;
                    }
                    return idle.poll(cx).map(|()| Lost::Closed);
                }
            }
        }
        // The streams first.
        cx.waker().wake_by_ref();
        match connection.link.poll_flush(cx) {
            Poll::Ready(Err(lost)) => Poll::Ready(lost),
            _ => Poll::Pending,
        }
    })
    .await;
    connection.lose(&lost, &links.settings);
    let mut shared = links.shared.lock().await;
    if shared.as_ref().is_some_and(|shared| Rc::ptr_eq(shared, &connection)) {
        *shared = None;
    }
}

/// One connection to a backend and its streams.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    streams: RefCell<HashMap<i32, Rc<Stream>>>,
    ids: RefCell<Ids>,
    live: Cell<bool>,
    meter: Rc<Meter>,
    stream_budget: usize,
    max_message: usize,
    counters: Arc<Counters>,
}

/// One stream, as frames reach it.
#[derive(Debug)]
struct Stream {
    machine: RefCell<Client>,
    queue: Queue,
    encoder: StreamEncoder,
}

impl Connection {
    /// Opens a stream: its header frame waits to be written.
    fn begin(&self, head: &StreamHead) -> Result<Rc<Stream>, Fault> {
        let unfit = |error: ttstream::EncodeError| {
            Fault::unsent(FaultKind::NotConvertible, format!("no ttstream header frame: {error}"))
        };
        let id = self.ids.borrow_mut().next_id();
        let encoder = StreamEncoder::new(id, head.method()).map_err(unfit)?;
        match &head.form {
            HeadForm::Frame(frame) => self.link.forward(frame, id),
            HeadForm::Http2 { .. } => self.link.write(|dst| {
                let mut unreadable = 0_u64;
                let (pairs, dropped) = wire::pairs_of(head.entries(|| unreadable = unreadable.saturating_add(1)));
                self.counters.drop_metadata(dropped.saturating_add(unreadable));
                let mut frame = encoder.writer(FrameType::Header, dst)?;
                frame.string(keys::IDL_SERVICE_NAME, head.service())?;
                frame.strings(pairs.iter().map(|(key, value)| (&**key, &**value)))?;
                for (key, value) in [
                    (IntKey::FROM_SERVICE, head.caller()),
                    (IntKey::TO_SERVICE, head.destination()),
                    (IntKey::FROM_METHOD, head.caller_method()),
                ] {
                    if let Some(value) = value.filter(|value| !value.is_empty()) {
                        frame.int(key, value)?;
                    }
                }
                frame.finish(0)
            }),
        }
        .map_err(unfit)?;
        let stream = Rc::new(Stream {
            machine: RefCell::new(Client::new()),
            queue: Queue::new(Meter::new(self.stream_budget, Some(Rc::clone(&self.meter)))),
            encoder,
        });
        self.streams.borrow_mut().insert(id, Rc::clone(&stream));
        self.link.wake();
        Ok(stream)
    }

    /// Reads one frame and hands it to its stream.
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let frame = ready!(self.link.poll_frame(cx))?;
        let stream = self.streams.borrow().get(&frame.stream_id()).map(Rc::clone);
        // Frames of streams that are over come late, and mean nothing (streaming-wire A7).
        Poll::Ready(stream.map_or(Ok(()), |stream| self.dispatch(&stream, frame)))
    }

    fn dispatch(&self, stream: &Stream, frame: Frame) -> Result<(), Lost> {
        if frame.frame_type() == FrameType::Header && stream.machine.borrow().header_came() {
            // It spoils this stream, and framing is not lost (streaming-wire C5.7).
            let fault = Fault::sent(FaultKind::BadReply, "the backend sent a second header frame");
            let _room = stream.queue.push(Event::End(End::Fault(fault)));
            return Ok(());
        }
        let (event, writes) = stream.machine.borrow_mut().received(&frame)?;
        let event = match event {
            ClientEvent::Header => Event::Headers(Metadata::Frame(frame.clone())),
            ClientEvent::Message => match wire::data(frame.clone(), self.max_message) {
                Ok(event) => event,
                Err(fault) => Event::End(End::Fault(fault)),
            },
            ClientEvent::Meta => Event::Meta(frame.clone()),
            ClientEvent::End(outcome) => Event::End(End::Trailers(Trailers {
                outcome: wire::outcome_of(&outcome),
                metadata: Metadata::Frame(frame.clone()),
                only: false,
            })),
            ClientEvent::Reset(reset) => Event::End(End::Reset(wire::reset_of(&reset))),
            _ => return Ok(()),
        };
        if writes.trailer {
            // A client that never half closed says so at the end (A7).
            self.link.write(|dst| stream.encoder.half_close(dst));
        }
        if !stream.queue.push(event) {
            let text =
                format!("the caller does not take the stream's messages (`stream_budget` = {})", self.stream_budget);
            stream.queue.fail(Fault::sent(FaultKind::OverLimit, text));
        }
        Ok(())
    }

    /// Whether the connection can take a stream: it is open, and nothing but late frames has come.
    fn is_still(&self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.poll_frame(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return self.link.is_still() && self.live.get(),
            }
        }
    }

    /// Tells every stream that the connection is lost.
    fn lose(&self, lost: &Lost, settings: &Settings) {
        self.live.set(false);
        let Settings { cluster, address, .. } = settings;
        let kind = match lost {
            Lost::Malformed(_) | Lost::TooLong { .. } | Lost::Broken(_) => FaultKind::BadReply,
            _ => FaultKind::UpstreamClosed,
        };
        for stream in self.streams.borrow().values() {
            stream.machine.borrow_mut().lost();
            if let Lost::TooLong { id, error } = lost
                && *id == stream.encoder.stream_id()
            {
                stream.queue.fail(Fault::sent(FaultKind::OverLimit, format!("response over `max_message`: {error}")));
                continue;
            }
            let text = format!("cluster {cluster}: ttstream connection to {address} lost: {lost}");
            let _room = stream.queue.push(Event::End(End::Fault(Fault::sent(kind, text))));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.upstream_open.sub_one();
    }
}

/// The backend's side of a stream.
struct BackendSide {
    links: Rc<Links>,
    connection: Rc<Connection>,
    stream: Rc<Stream>,
    /// Whether the connection has a task of its own.
    shared: bool,
    /// What makes frames of another protocol's data.
    messages: Option<Messages>,
    /// Why the request can't go on.
    failure: Option<Fault>,
}

impl BackendSide {
    fn message(&self, frame: Option<&Frame>, payload: &Bytes) -> Result<(), Closed> {
        let _data_alone = self.stream.machine.borrow_mut().send_message().map_err(|_| Closed)?;
        let (link, encoder) = (&self.connection.link, &self.stream.encoder);
        link.message(encoder, frame, payload).map_err(|_| Closed)
    }

    fn data(&mut self, bytes: Bytes, framing: &Framing) -> Result<(), Closed> {
        if let Framing::Message(frame) = framing {
            return self.message(Some(frame), &bytes);
        }
        let Some(mut messages) = self.messages.take() else { return Err(Closed) };
        messages.feed(bytes);
        let sent = loop {
            match messages.next_message() {
                Ok(Some(payload)) => {
                    if let Err(closed) = self.message(None, &payload) {
                        break Err(closed);
                    }
                }
                Ok(None) => break Ok(()),
                Err(fault) => {
                    self.failure = Some(fault);
                    break Ok(());
                }
            }
        };
        self.messages = Some(messages);
        sent
    }

    /// Says that no more messages come: as the caller's frame says it, where that is one and holds nothing that would
    /// harm a stock server (streaming-wire F16).
    fn half_close(&mut self, frame: Option<&Frame>) {
        if self.messages.as_ref().is_some_and(|messages| !messages.is_between_messages()) {
            self.failure = Some(Fault::sent(FaultKind::BadArguments, "the caller half closed inside a message"));
            return;
        }
        if self.stream.machine.borrow_mut().half_close().trailer {
            let (link, encoder) = (&self.connection.link, &self.stream.encoder);
            match frame.filter(|frame| frame.payload_slice().is_empty()) {
                // The id is our own, never the reserved one.
                Some(frame) => drop(link.forward(frame, encoder.stream_id())),
                None => link.write(|dst| encoder.half_close(dst)),
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.stream.machine.borrow().is_closed()
    }
}

impl Side for BackendSide {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(fault) = self.failure.take() {
            return Poll::Ready(Event::End(End::Fault(fault)));
        }
        loop {
            if let Poll::Ready(event) = self.stream.queue.poll_next(cx) {
                return Poll::Ready(event);
            }
            if self.shared || !self.connection.live.get() {
                return Poll::Pending;
            }
            // Read only what is asked for: the backend feels who does not take it.
            if let Err(lost) = ready!(self.connection.poll_frame(cx)) {
                self.connection.lose(&lost, &self.links.settings);
            }
        }
    }

    fn release(&mut self, bytes: usize) {
        self.stream.queue.release(bytes);
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if matches!(event, Some(Event::Data(_))) {
            ready!(self.connection.link.poll_room(cx));
        }
        let sent = match event.take() {
            Some(Event::Data(data)) => {
                let sent = self.data(data.bytes, &data.framing);
                // What was not said whole is no half close.
                if data.last && sent.is_ok() && self.failure.is_none() {
                    self.half_close(None);
                }
                sent
            }
            Some(Event::End(end)) => {
                self.half_close(match &end {
                    End::HalfClose(frame) => frame.as_ref(),
                    _ => None,
                });
                Ok(())
            }
            // Nothing else goes this way.
            _ => Ok(()),
        };
        if self.shared {
            self.connection.link.wake();
        }
        Poll::Ready(sent)
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        // A backend's reset is what its answer ends with.
        Poll::Pending
    }

    fn reset(&mut self, reset: &Reset) {
        if !self.links.settings.rst {
            // What the peer does not know would end the connection; so does this, and nothing but (streaming-wire A17).
            self.connection.live.set(false);
            return;
        }
        let writes = self.stream.machine.borrow_mut().cancel();
        let (link, encoder) = (&self.connection.link, &self.stream.encoder);
        if writes.rst {
            let (code, text, path) = wire::rst_of(reset, &self.links.settings.name);
            let exception = Exception::new(code, &text);
            if link.write(|dst| encoder.rst(&exception, &path, dst)).is_err() {
                // The path grew beyond what a frame holds.
                let _fits = link.write(|dst| encoder.rst(&exception, b"", dst));
            }
        }
        if writes.trailer {
            link.write(|dst| encoder.half_close(dst));
        }
        if self.shared {
            link.wake();
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if self.shared || !self.connection.live.get() {
            return;
        }
        if let Poll::Ready(Err(lost)) = self.connection.link.poll_flush(cx) {
            self.connection.lose(&lost, &self.links.settings);
            cx.waker().wake_by_ref();
        } else if self.failure.is_some() {
            cx.waker().wake_by_ref();
        }
    }

    fn finish(&mut self) {}
}

impl Drop for BackendSide {
    fn drop(&mut self) {
        if !self.is_closed() && self.connection.live.get() {
            // Given up without a word.
            self.reset(&Reset::Lost(Protocol::TtStream));
        }
        self.connection.streams.borrow_mut().remove(&self.stream.encoder.stream_id());
        if self.shared {
            // It may have been the last.
            self.connection.link.wake();
            return;
        }
        if !self.connection.live.get() {
            return;
        }
        let (links, connection) = (Rc::clone(&self.links), Rc::clone(&self.connection));
        let flushed = connection.link.poll_flush(&mut Context::from_waker(Waker::noop()));
        match flushed {
            Poll::Ready(Ok(())) => keep(&links, connection),
            Poll::Ready(Err(_)) => {}
            // The last words still have to leave.
            Poll::Pending => {
                tokio::task::spawn_local(async move {
                    let flushed = tokio::time::timeout(LAST_WORDS, poll_fn(|cx| connection.link.poll_flush(cx))).await;
                    if let Ok(Ok(())) = flushed {
                        keep(&links, connection);
                    }
                });
            }
        }
    }
}

/// Keeps a connection for the next stream.
fn keep(links: &Links, connection: Rc<Connection>) {
    if links.settings.pool == StreamPool::Long {
        links.idle.borrow_mut().push(Idle { connection, since: links.sweeps.get() });
    }
}

/// Frames that are read before it is the streams' turn.
const FRAMES_A_TURN: usize = 64;
/// What a connection may hold, in budgets of one stream.
const CONNECTION_SHARE: usize = 4;
/// How long the end of a stream may take to leave once nobody waits for it.
const LAST_WORDS: Duration = Duration::from_secs(1);
