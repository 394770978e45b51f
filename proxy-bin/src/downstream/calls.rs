//! The calls of one connection that are in flight.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

pin_project! {
    /// Futures that run side by side. The only one of a caller that asks and waits runs in place, beside the
    /// connection's own state; those of a caller that asks ahead go to a collection that polls just those that can
    /// move.
    #[derive(Debug)]
    pub(crate) struct Calls<F> {
        #[pin]
        only: Option<F>,
        more: FuturesUnordered<F>,
    }
}

impl<F: Future> Calls<F> {
    pub(crate) fn new() -> Self {
        Self { only: None, more: FuturesUnordered::new() }
    }

    pub(crate) fn push(self: Pin<&mut Self>, call: F) {
        let mut this = self.project();
        if this.only.is_none() {
            this.only.set(Some(call));
        } else {
            this.more.push(call);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.more.len().saturating_add(usize::from(self.only.is_some()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the next call to end came to. Pending while there is none, too.
    pub(crate) fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(only) = this.only.as_mut().as_pin_mut()
            && let Poll::Ready(output) = only.poll(cx)
        {
            this.only.set(None);
            return Poll::Ready(output);
        }
        // Even an empty collection takes the waker, which costs two locked instructions.
        if this.more.is_empty() {
            return Poll::Pending;
        }
        match ready!(this.more.poll_next_unpin(cx)) {
            Some(output) => Poll::Ready(output),
            None => Poll::Pending,
        }
    }
}
