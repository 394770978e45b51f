//! The calls of one connection that are in flight.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Futures that run side by side. The only one of a caller that asks and waits runs in a place that is used again;
/// those of a caller that asks ahead go to a collection that polls just those that can move.
#[derive(Debug)]
pub(crate) struct Calls<F> {
    only: Pin<Box<Option<F>>>,
    more: FuturesUnordered<F>,
}

impl<F: Future> Calls<F> {
    pub(crate) fn new() -> Self {
        Self { only: Box::pin(None), more: FuturesUnordered::new() }
    }

    pub(crate) fn push(&mut self, call: F) {
        if self.only.is_none() {
            self.only.set(Some(call));
        } else {
            self.more.push(call);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.more.len().saturating_add(usize::from(self.only.is_some()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the next call to end came to. Pending while there is none, too.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(only) = self.only.as_mut().as_pin_mut()
            && let Poll::Ready(output) = only.poll(cx)
        {
            self.only.set(None);
            return Poll::Ready(output);
        }
        match ready!(self.more.poll_next_unpin(cx)) {
            Some(output) => Poll::Ready(output),
            None => Poll::Pending,
        }
    }
}
