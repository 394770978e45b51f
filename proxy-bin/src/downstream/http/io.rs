//! The byte stream below hyper: a connection whose peer has to take what is written, and whose traffic is counted.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::conn::{Conn, Stall};

/// A connection, shared by hyper and the loop that watches it.
#[derive(Clone, Debug)]
pub(super) struct Io {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conn: Conn,
    stall: RefCell<Stall>,
    written: Cell<u64>,
}

impl Io {
    pub(super) fn new(conn: Conn, write_timeout: Duration) -> Self {
        let stall = RefCell::new(Stall::new(write_timeout));
        Self { shared: Rc::new(Shared { conn, stall, written: Cell::new(0) }) }
    }

    /// Bytes that ever came.
    pub(super) fn received(&self) -> u64 {
        self.shared.conn.received()
    }

    /// Bytes that ever left.
    pub(super) fn written(&self) -> u64 {
        self.shared.written.get()
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let conn = &self.shared.conn;
        if conn.buffered() == 0 {
            return conn.poll_read_direct(cx, buf);
        }
        // What was read to tell the version.
        conn.with_inbox(|inbox| {
            let len = inbox.len().min(buf.remaining());
            buf.put_slice(inbox.get(..len).unwrap_or_default());
            inbox.advance(len);
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Shared { conn, stall, written } = &*self.shared;
        match conn.poll_write(cx, slices) {
            Poll::Ready(done) => {
                stall.borrow_mut().reset();
                let bytes = done.as_ref().copied().unwrap_or_default();
                written.set(written.get().wrapping_add(u64::try_from(bytes).unwrap_or_default()));
                Poll::Ready(done)
            }
            Poll::Pending => {
                ready!(stall.borrow_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.conn.poll_shutdown(cx)
    }
}
