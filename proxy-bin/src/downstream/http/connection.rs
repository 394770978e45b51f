//! One connection: hyper's state machine, beside it the waits that hyper does not have, and the drain.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::downstream::http::Settings;
use crate::downstream::http::exchange;
use crate::downstream::http::io::Io;
use crate::rpc::drain::{Drain, QUIET};
use crate::rpc::{Downstream, Handle};
use crate::telemetry::Counters;
use crate::wire::conn::{Conn, Stall};

/// What the requests of a connection have in common.
pub(super) struct Shared<H> {
    pub(super) downstream: Rc<Downstream>,
    pub(super) settings: Rc<Settings>,
    pub(super) handler: Rc<H>,
    pub(super) drain: Rc<Drain>,
    pub(super) counters: Arc<Counters>,
    in_flight: Cell<usize>,
    /// Requests that ever came.
    requests: Cell<u64>,
}

impl<H> Shared<H> {
    /// Counts a request in until the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> InFlight<H> {
        self.in_flight.set(self.in_flight.get().saturating_add(1));
        self.requests.set(self.requests.get().wrapping_add(1));
        InFlight(Rc::clone(self))
    }
}

impl<H> Shared<H> {
    /// The number of the next call: any but zero, which Kitex takes for none.
    pub(super) fn next_seqid(&self) -> i32 {
        i32::try_from(self.requests.get() & 0x7fff_ffff).unwrap_or(1).max(1)
    }
}

/// A request that is being answered.
pub(super) struct InFlight<H>(Rc<Shared<H>>);

impl<H> Drop for InFlight<H> {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
    }
}

/// The version that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    One,
    Two,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(
    conn: Conn,
    version: HttpVersion,
    downstream: Rc<Downstream>,
    settings: Rc<Settings>,
    handler: Rc<impl Handle + 'static>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
) {
    let io = Io::new(conn, settings.write_timeout);
    let shared = Rc::new(Shared {
        downstream,
        settings,
        handler,
        drain,
        counters,
        in_flight: Cell::new(0),
        requests: Cell::new(0),
    });
    let requests = Rc::clone(&shared);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let shared = Rc::clone(&requests);
        async move { Ok::<_, Infallible>(exchange::answer(&shared, request).await.map(Full::new)) }
    });
    let watch = Watch::new(&shared, version, io.clone());
    let end = match version {
        HttpVersion::One => watch.run(http1().serve_connection(TokioIo::new(io), service)).await,
        HttpVersion::Two => watch.run(http2(&shared.settings).serve_connection(TokioIo::new(io), service)).await,
    };
    let peer = shared.downstream.peer;
    match end {
        Ok(()) => tracing::debug!(%peer, "connection ended"),
        Err(why) => {
            shared.counters.downstream_refused.add_one();
            tracing::info!(%peer, listener = shared.downstream.listener, "connection refused: {why}");
        }
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The wait for a head is ours: hyper's would end idle connections, too.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_headers(MAX_FIELDS).max_header_size(MAX_HEAD);
    builder
}

fn http2(settings: &Settings) -> http2::Builder<Spawn> {
    let mut builder = http2::Builder::new(Spawn);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(settings.keepalive)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Puts HTTP/2 streams into tasks of the worker.
#[derive(Clone, Debug)]
struct Spawn;

impl<F: Future<Output = ()> + 'static> Executor<F> for Spawn {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(stream);
    }
}

/// A connection of hyper's that can be told to end.
trait WindDown: Future<Output = hyper::Result<()>> {
    /// Takes no new requests; those in flight are answered.
    fn wind_down(self: Pin<&mut Self>);
}

impl<S> WindDown for http1::Connection<TokioIo<Io>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> WindDown for http2::Connection<TokioIo<Io>, S, Spawn>
where
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
    S::Future: 'static,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// What ends a connection besides its peer: silence, slowness, the drain.
struct Watch<H> {
    shared: Rc<Shared<H>>,
    version: HttpVersion,
    io: Io,
    /// Bytes each way when the connection last was seen to do something.
    moved: (u64, u64),
    /// Requests that the connection had brought when it last was looked at.
    seen: u64,
    /// Bytes that had come with the last of them: what comes behind is the next head.
    head_from: u64,
    idle: Stall,
    head: Stall,
    quiet: Stall,
    told: bool,
}

impl<H> Watch<H> {
    fn new(shared: &Rc<Shared<H>>, version: HttpVersion, io: Io) -> Self {
        let Settings { idle_timeout, read_timeout, .. } = *shared.settings;
        Self {
            shared: Rc::clone(shared),
            version,
            io,
            moved: (0, 0),
            seen: 0,
            // A first request has begun: its version was told by its first bytes.
            head_from: 0,
            idle: Stall::new(idle_timeout),
            head: Stall::new(read_timeout),
            quiet: Stall::new(QUIET),
            told: false,
        }
    }

    /// Runs a connection to its end.
    ///
    /// # Errors
    ///
    /// Why the peer is to blame for the end.
    async fn run(mut self, connection: impl WindDown) -> Result<(), String> {
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                return Poll::Ready(end.or_else(|error| self.lost(&error)));
            }
            if !self.told && self.poll_drain(cx).is_ready() {
                self.told = true;
                connection.as_mut().wind_down();
                // Whoever is told looks at it in its next poll.
                cx.waker().wake_by_ref();
            }
            self.poll_waits(cx)
        })
        .await
    }

    /// Ready once the drain has begun and nothing is left that may be under way to us (pingpong-wire 8.9). A request in
    /// flight is answered with the word that its connection ends.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shared.drain.has_begun() {
            return Poll::Pending;
        }
        if self.shared.in_flight.get() > 0 { Poll::Ready(()) } else { self.quiet.poll(cx) }
    }

    fn poll_waits(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let moved = (self.io.received(), self.io.written());
        let requests = self.shared.requests.get();
        if self.shared.in_flight.get() > 0 || self.seen != requests {
            self.seen = requests;
            // A body has its own wait.
            self.idle.reset();
            self.head.reset();
            (self.moved, self.head_from) = (moved, moved.0);
        }
        if self.shared.in_flight.get() > 0 {
            return Poll::Pending;
        }
        if self.moved != moved {
            self.idle.reset();
            self.moved = moved;
        }
        if self.version == HttpVersion::One && moved.0 != self.head_from {
            if self.head.poll(cx).is_ready() {
                return Poll::Ready(Err(format!("too slow sending a head, {:?}", self.shared.settings.read_timeout)));
            }
        } else if self.idle.poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// A caller that goes away is no fault; one that breaks the protocol has been told so by hyper, and is logged.
    fn lost(&self, error: &hyper::Error) -> Result<(), String> {
        let timed_out = std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|source| source.kind() == std::io::ErrorKind::TimedOut);
        if timed_out {
            return Err(format!("too slow taking its replies, {:?}", self.shared.settings.write_timeout));
        }
        if error.is_parse() { Err(error.to_string()) } else { Ok(()) }
    }
}

/// Header fields of a request (design 5).
const MAX_FIELDS: usize = 256;
/// The head of a request in HTTP/1.1, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// A caller's header list in HTTP/2, uncompressed, in bytes.
const MAX_HEADER_LIST: u32 = 64 << 10;
/// What one stream may have under way to us, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
/// What all streams of a connection may have under way to us, in bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What a stream may hold that was sent and has not left, in bytes.
const SEND_BUFFER: usize = 64 << 10;
/// How long a ping may stay unanswered, as in Kitex (streaming-wire B11).
const PING_TIMEOUT: Duration = Duration::from_secs(20);
