//! The rest of a large request, read by its call from the caller's connection.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;

use crate::rpc::Source;
use crate::wire::conn::{Conn, Stall};

/// Who may read from the connection: its loop, or a call that is still receiving its request.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    taken: Cell<bool>,
    left: Cell<u64>,
}

impl Gate {
    /// Whether a call is reading.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.get()
    }

    /// Bytes of a request that its call has no use for any more, to be read and thrown away.
    pub(crate) fn abandoned(&self) -> u64 {
        if self.taken.get() { 0 } else { self.left.get() }
    }

    /// Counts bytes thrown away.
    pub(crate) fn discard(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX)));
    }
}

/// The rest of one request.
pub(crate) struct RequestBody {
    conn: Rc<Conn>,
    gate: Rc<Gate>,
    stall: Stall,
}

impl RequestBody {
    /// Takes the gate for `len` bytes.
    pub(crate) fn new(conn: &Rc<Conn>, gate: &Rc<Gate>, len: u64, limit: Duration) -> Self {
        gate.taken.set(true);
        gate.left.set(len);
        Self { conn: Rc::clone(conn), gate: Rc::clone(gate), stall: Stall::new(limit) }
    }
}

impl Source for RequestBody {
    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut BytesMut, limit: usize) -> Poll<io::Result<usize>> {
        let read = ready!(self.conn.poll_rest(cx, chunk, limit, &mut self.stall))?;
        self.gate.discard(read);
        Poll::Ready(Ok(read))
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.gate.taken.set(false);
    }
}
