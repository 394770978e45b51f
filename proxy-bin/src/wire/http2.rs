//! What both HTTP/2 drivers share: the byte stream below `h2`, which gathers what is written in one turn of its
//! connection, the settings of both sides, and keepalive.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::{Ping, PingPong, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::wire::conn::{Conn, Stall};
use crate::wire::outbox::Outbox;

/// The byte stream that `h2` is given. `h2` flushes each DATA frame alone; here a flush is only noted, and what has
/// gathered leaves in one write when the connection's turn ends: [`Io::poll_flush_out`].
#[derive(Clone, Debug)]
pub(crate) struct Io {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conn: Conn,
    outbox: RefCell<Outbox>,
    stall: RefCell<Stall>,
    /// Bytes that were read in this turn.
    turn: Cell<usize>,
}

impl Io {
    pub(crate) fn new(conn: Conn, write_timeout: Duration) -> Self {
        Self {
            shared: Rc::new(Shared {
                conn,
                outbox: RefCell::default(),
                stall: RefCell::new(Stall::new(write_timeout)),
                turn: Cell::new(0),
            }),
        }
    }

    /// Ends the connection's turn: writes what has gathered. Pending wakes the task once the peer takes more.
    ///
    /// # Errors
    ///
    /// The connection is lost, or the peer took nothing for the write timeout (`TimedOut`).
    pub(crate) fn poll_flush_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.turn.set(0);
        let mut outbox = self.shared.outbox.borrow_mut();
        if outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.shared.conn.poll_flush(cx, &mut outbox, &mut self.shared.stall.borrow_mut())
    }

    /// Bytes that ever came.
    pub(crate) fn received(&self) -> u64 {
        self.shared.conn.received()
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Shared { conn, turn, .. } = &*self.shared;
        if turn.get() >= TURN {
            // What has come is handed on while it is in the cache; then it is this connection's turn again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if conn.buffered() == 0 && buf.remaining() >= DIRECT {
            ready!(conn.poll_read_direct(cx, buf))?;
        } else {
            // One system call brings more than `h2` asks for.
            if conn.buffered() == 0 && ready!(conn.poll_fill(cx, 0))? == 0 {
                return Poll::Ready(Ok(()));
            }
            conn.with_inbox(|inbox| {
                let len = inbox.len().min(buf.remaining());
                buf.put_slice(inbox.get(..len).unwrap_or_default());
                inbox.advance(len);
            });
        }
        turn.set(turn.get().saturating_add(buf.filled().len().saturating_sub(before)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Shared { conn, outbox, stall, .. } = &*self.shared;
        let mut outbox = outbox.borrow_mut();
        if buf.len() >= DIRECT
            && let Poll::Ready(written) = conn.poll_write_through(cx, &mut outbox, buf)?
            && written > 0
        {
            return Poll::Ready(Ok(written));
        }
        if outbox.len() >= MAX_GATHERED {
            ready!(conn.poll_flush(cx, &mut outbox, &mut stall.borrow_mut()))?;
        }
        outbox.push_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush_out(cx))?;
        self.shared.conn.poll_shutdown(cx)
    }
}

/// Our side of a caller's connection (design 5): a caller may be anybody.
pub(crate) fn server(max_streams: u32) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(SERVER_WINDOW)
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SERVER_FRAME_BUDGET);
    builder
}

/// Our side of a backend's connection (design 5): honest traffic must not trip the guards of `h2`.
pub(crate) fn client() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CLIENT_WINDOW)
        .max_header_list_size(MAX_HEADER_LIST_FROM_BACKEND)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(CLIENT_FRAME_BUDGET)
        .max_local_error_reset_streams(None)
        .max_concurrent_reset_streams(RESET_MEMORY)
        .reset_stream_duration(RESET_MEMORY_TIME);
    builder
}

/// Sends `data`, as much as the peer's window has room for: ready once nothing of it is left.
///
/// # Errors
///
/// The stream or its connection has ended.
pub(crate) fn poll_send_data(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    data: &mut Bytes,
    last: bool,
) -> Poll<Result<(), h2::Error>> {
    if data.is_empty() {
        // An empty DATA frame says nothing unless it is the last.
        return Poll::Ready(if last { stream.send_data(Bytes::new(), true) } else { Ok(()) });
    }
    loop {
        stream.reserve_capacity(data.len());
        let room = stream.capacity();
        if room >= data.len() {
            return Poll::Ready(stream.send_data(std::mem::take(data), last));
        }
        if room > 0 {
            stream.send_data(data.split_to(room), false)?;
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(h2::Reason::STREAM_CLOSED.into())),
        }
    }
}

/// Asks a peer that says nothing whether it is still there.
#[derive(Debug)]
pub(crate) struct Keepalive {
    pings: Option<PingPong>,
    interval: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    heard: u64,
}

impl Keepalive {
    /// Pings after `interval` without a byte from the peer.
    pub(crate) fn new(pings: Option<PingPong>, interval: Duration) -> Self {
        Self { pings, interval, timer: None, waiting: false, heard: 0 }
    }

    /// Ready once the peer has left a ping unanswered for [`PING_TIMEOUT`]. `received` is how many bytes ever came;
    /// `wanted` is whether the peer's policy lets it be asked now.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, received: u64, wanted: bool) -> Poll<()> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        loop {
            if self.waiting && pings.poll_pong(cx).is_ready() {
                self.waiting = false;
                self.timer = None;
            }
            let wait = if self.waiting { PING_TIMEOUT } else { self.interval };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            // The timer runs on while bytes come, so that they cost nothing; it counts only over silence.
            if received != self.heard {
                self.heard = received;
                self.waiting = false;
                continue;
            }
            if self.waiting {
                return Poll::Ready(());
            }
            self.waiting = wanted && pings.send_ping(Ping::opaque()).is_ok();
        }
    }
}

/// What a server says that takes no connection more: SETTINGS without values, then GOAWAY: no stream was processed, ENHANCE_YOUR_CALM (RFC 9113 6.5, 6.8).
pub(crate) const FULL: [u8; 26] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// What one stream may have under way to us, in bytes: a message of the usual size in one go.
const STREAM_WINDOW: u32 = 256 << 10;
/// What all streams of a caller's connection may have under way to us, in bytes.
const SERVER_WINDOW: u32 = 1 << 20;
/// What all streams of a backend's connection may have under way to us, in bytes: more than they can by their own
/// windows, so that callers who do not read hold up nobody else.
const CLIENT_WINDOW: u32 = (1 << 31) - 1;
/// What a stream may hold that was sent and has not left, in bytes.
const SEND_BUFFER: usize = 64 << 10;
/// What `h2` lets small unread DATA frames cost: it charges each what it is short of 256 bytes.
const SERVER_FRAME_BUDGET: usize = 4 << 20;
const CLIENT_FRAME_BUDGET: usize = 64 << 20;
/// A caller's header list, uncompressed, in bytes.
const MAX_HEADER_LIST: u32 = 64 << 10;
/// A backend's, as much as a Kitex client takes.
const MAX_HEADER_LIST_FROM_BACKEND: u32 = 16 << 20;
/// How many streams that we reset are remembered, and how long: frames that were under way are no fault of the peer.
const RESET_MEMORY: usize = 65_536;
const RESET_MEMORY_TIME: Duration = Duration::from_secs(30);
/// What a connection reads before it is others' turn, in bytes.
const TURN: usize = 256 * 1024;
/// From here on a copy costs more than a system call, in bytes.
const DIRECT: usize = 4 * 1024;
/// What may gather before `h2` is held back, in bytes.
const MAX_GATHERED: usize = 256 * 1024;
/// How long a ping may stay unanswered, as in Kitex (streaming-wire B11).
const PING_TIMEOUT: Duration = Duration::from_secs(20);
