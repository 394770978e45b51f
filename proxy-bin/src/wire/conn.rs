//! One TCP connection of either side, shared by the futures of one task.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use crate::wire::arena;
use crate::wire::outbox::Outbox;

/// A connection and what was read ahead of it. Every borrow ends within one poll.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: RefCell<TcpStream>,
    inbox: RefCell<BytesMut>,
    received: Cell<u64>,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: RefCell::new(stream), inbox: RefCell::default(), received: Cell::new(0) }
    }

    /// Looks at, and takes from, what has been read and not been used.
    pub(crate) fn with_inbox<R>(&self, look: impl FnOnce(&mut BytesMut) -> R) -> R {
        let mut inbox = self.inbox.borrow_mut();
        let result = look(&mut inbox);
        if inbox.is_empty() {
            // An idle connection keeps no part of a buffer alive.
            *inbox = BytesMut::new();
        }
        result
    }

    /// Bytes read and not used.
    pub(crate) fn buffered(&self) -> usize {
        self.inbox.borrow().len()
    }

    /// Bytes that ever came by this connection.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Reads behind what is there; `want` is how many bytes the inbox shall hold in the end. Zero is the peer's end.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>, want: usize) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let stream = Pin::new(&mut *stream);
        let mut inbox = self.inbox.borrow_mut();
        let read = if inbox.is_empty() {
            let (read, bytes) = arena::read_with(|block| poll_read_buf(stream, cx, block));
            *inbox = bytes;
            ready!(read)?
        } else {
            // Part of a message is here: the rest is read behind it, into a buffer of its own. What the peer
            // announced is reserved only as far as one read may bring it; much at once promises more.
            let missing = want.saturating_sub(inbox.len());
            let least = if inbox.len() < BULK { MIN_TAIL } else { arena::MIN_READ };
            inbox.reserve(missing.clamp(least, 2 * arena::MIN_READ));
            ready!(poll_read_buf(stream, cx, &mut *inbox))?
        };
        self.count(read);
        Poll::Ready(Ok(read))
    }

    /// Reads at most `limit` bytes of a message into the spare capacity of `chunk`, past the inbox. The peer's end is
    /// an error here, and so is a wait that `stall` ends.
    pub(crate) fn poll_rest(
        &self,
        cx: &mut Context<'_>,
        chunk: &mut BytesMut,
        limit: usize,
        stall: &mut Stall,
    ) -> Poll<io::Result<usize>> {
        match self.poll_read(cx, chunk, limit) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(read) => {
                stall.moved(read.as_ref().copied().unwrap_or_default());
                Poll::Ready(read)
            }
            Poll::Pending => stall.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Reads at most `limit` bytes into the spare capacity of `chunk`, past the inbox. Zero is the peer's end.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        chunk: &mut BytesMut,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let spare = chunk.capacity().saturating_sub(chunk.len());
        let mut stream = self.stream.borrow_mut();
        let read = ready!(poll_read_buf(Pin::new(&mut *stream), cx, &mut chunk.limit(limit.min(spare))))?;
        self.count(read);
        Poll::Ready(Ok(read))
    }

    /// Reads into `buf`, past the inbox. Nothing read is the peer's end.
    pub(crate) fn poll_read_direct(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf))?;
        self.count(buf.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }

    /// Writes `outbox` and `bytes` behind it in one go, and says how many of `bytes` have left.
    pub(crate) fn poll_write_through(
        &self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        outbox.poll_write_through(cx, Pin::new(&mut *self.stream.borrow_mut()), bytes)
    }

    /// Writes all of `outbox`. A peer that takes nothing until `stall` ends is an error.
    pub(crate) fn poll_flush(
        &self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
        stall: &mut Stall,
    ) -> Poll<io::Result<()>> {
        let before = outbox.len();
        let flushed = outbox.poll_flush(cx, Pin::new(&mut *self.stream.borrow_mut()));
        if flushed.is_ready() || outbox.len() < before {
            stall.reset();
        }
        match flushed {
            Poll::Pending => stall.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            flushed => flushed,
        }
    }

    /// Writes some of `slices`.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, slices)
    }

    /// Ends the sending side.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }

    /// Whether an idle connection is still good: nothing came, not even an end. Costs no system call.
    pub(crate) fn poll_is_quiet(&self, cx: &mut Context<'_>) -> bool {
        self.buffered() == 0 && self.poll_fill(cx, 0).is_pending()
    }

    /// Whether the peer's kernel refuses what was sent; waits for that at most for `patience`.
    ///
    /// A peer that closed before our bytes came answers them with a reset; one that took them does not.
    pub(crate) async fn was_refused(self, patience: Duration) -> bool {
        let stream = self.stream.into_inner();
        let _silent = tokio::time::timeout(patience, stream.ready(Interest::ERROR)).await;
        matches!(stream.take_error(), Ok(Some(_)))
    }

    fn count(&self, read: usize) {
        self.received.set(self.received.get().wrapping_add(u64::try_from(read).unwrap_or_default()));
    }
}

/// A part of a message of this size shows a peer that sends more than one read takes.
const BULK: usize = 4 * 1024;
/// The least that is reserved behind a smaller part.
const MIN_TAIL: usize = 512;

/// Ends a wait in which nothing moves. Costs nothing until the first wait.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    moved: usize,
}

impl Stall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, moved: 0 }
    }

    /// Starts over: what was waited for is here.
    pub(crate) fn reset(&mut self) {
        self.timer = None;
        self.moved = 0;
    }

    /// Counts bytes that came or went; enough of them start the time over, single ones do not.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= ENOUGH {
            self.reset();
        }
    }

    /// Ready once the limit has passed since the first poll after a reset.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }
}

/// A peer that moves less than this many bytes within the limit is too slow.
const ENOUGH: usize = 64 * 1024;
