//! What is held for peers that do not take it, counted in bytes against limits that contain each other: a stream's, its
//! connection's, the worker's.

use std::cell::Cell;
use std::rc::Rc;

/// A limit, what of it is in use, and the limit around it.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: usize,
    used: Cell<usize>,
    around: Option<Rc<Self>>,
}

impl Meter {
    pub(crate) fn new(limit: usize, around: Option<Rc<Self>>) -> Self {
        Self { limit, used: Cell::new(0), around }
    }

    /// Counts `bytes` in, unless a limit is exceeded by it. A stream that holds nothing may hold one message, however
    /// long that is.
    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let used = self.used.get();
        if used > 0 && used.saturating_add(bytes) > self.limit {
            return false;
        }
        if self.around.as_ref().is_some_and(|around| !around.take(bytes)) {
            return false;
        }
        self.used.set(used.saturating_add(bytes));
        true
    }

    /// Counts `bytes` out.
    pub(crate) fn give(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
        if let Some(around) = &self.around {
            around.give(bytes);
        }
    }

    /// Whether the limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.used.get() >= self.limit
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(around) = &self.around {
            around.give(self.used.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_all_that_is_within_it() {
        let worker = Rc::new(Meter::new(100, None));
        let (a, b) = (Meter::new(80, Some(Rc::clone(&worker))), Meter::new(80, Some(Rc::clone(&worker))));
        assert!(a.take(60));
        assert!(!a.take(21), "over its own limit");
        assert!(!b.take(41), "over the worker's");
        assert!(b.take(40));
        a.give(30);
        assert!(b.take(30));
        drop(a);
        drop(b);
        assert_eq!(worker.used.get(), 0);
    }

    #[test]
    fn who_holds_nothing_may_hold_one_message() {
        let stream = Meter::new(10, None);
        assert!(stream.take(1000) && stream.is_full());
        assert!(!stream.take(1));
    }
}
