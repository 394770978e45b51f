//! Tells one worker's connections to end, and when they have.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

/// The state of one worker's drain.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    begun: Cell<bool>,
    expired: Cell<bool>,
    connections: RefCell<Slab<Waker>>,
    last: RefCell<Option<Waker>>,
}

impl Drain {
    /// Whether connections shall end once they have nothing to do.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Tells every connection.
    pub(crate) fn begin(&self) {
        self.begun.set(true);
        for (_, connection) in &*self.connections.borrow() {
            connection.wake_by_ref();
        }
    }

    /// Whether the time for what is still in flight is over.
    pub(crate) fn has_expired(&self) -> bool {
        self.expired.get()
    }

    /// Tells every stream that its time is over.
    pub(crate) fn expire(&self) {
        self.expired.set(true);
        self.begin();
    }

    /// Counts the running task in until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>, task: &Waker) -> Guard {
        Guard { key: self.connections.borrow_mut().insert(task.clone()), drain: Rc::clone(self) }
    }

    /// Ready once no connection is left.
    pub(crate) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.connections.borrow().is_empty() {
            return Poll::Ready(());
        }
        *self.last.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// One connection that is counted.
#[derive(Debug)]
pub(crate) struct Guard {
    drain: Rc<Drain>,
    key: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut connections = self.drain.connections.borrow_mut();
        connections.try_remove(self.key);
        if connections.is_empty() {
            self.drain.last.borrow_mut().take().into_iter().for_each(Waker::wake);
        }
    }
}

/// How long a connection with nothing to do stays once the drain has begun: what is already under way to us shall still
/// be served (pingpong-wire 8.9).
pub(crate) const QUIET: Duration = Duration::from_millis(100);
