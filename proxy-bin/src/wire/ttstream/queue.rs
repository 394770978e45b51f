use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::rpc::Fault;
use crate::rpc::stream::{End, Event, Reset};
use crate::wire::meter::Meter;

/// What has come for one stream and has not been taken.
#[derive(Debug)]
pub(crate) struct Queue {
    events: RefCell<VecDeque<Event>>,
    meter: Meter,
    waker: RefCell<Option<Waker>>,
    /// The peer's reset, for who does not take what precedes it.
    reset: RefCell<Option<Reset>>,
    ended: Cell<bool>,
}

impl Queue {
    pub(crate) fn new(meter: Meter) -> Self {
        Self {
            events: RefCell::default(),
            meter,
            waker: RefCell::default(),
            reset: RefCell::default(),
            ended: Cell::new(false),
        }
    }

    /// Puts `event` behind what waits. False when the budget has no room for it; it is dropped then.
    #[must_use]
    pub(crate) fn push(&self, event: Event) -> bool {
        if let Event::End(End::Reset(reset)) = &event {
            // Also of a stream whose sender has half closed.
            self.reset.borrow_mut().get_or_insert_with(|| reset.clone());
            self.wake();
        }
        if self.ended.get() {
            return true;
        }
        if let Event::Data(data) = &event
            && !self.meter.take(data.bytes.len())
        {
            return false;
        }
        self.ended.set(matches!(event, Event::End(_)));
        self.events.borrow_mut().push_back(event);
        self.wake();
        true
    }

    /// Ends the stream in place of what waits.
    pub(crate) fn fail(&self, fault: Fault) {
        let waiting = std::mem::take(&mut *self.events.borrow_mut());
        for event in waiting {
            if let Event::Data(data) = event {
                self.meter.give(data.bytes.len());
            }
        }
        self.ended.set(true);
        self.events.borrow_mut().push_back(Event::End(End::Fault(fault)));
        self.wake();
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Event> {
        match self.events.borrow_mut().pop_front() {
            Some(event) => Poll::Ready(event),
            None => self.register(cx),
        }
    }

    pub(crate) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<Reset> {
        match &*self.reset.borrow() {
            Some(reset) => Poll::Ready(reset.clone()),
            None => self.register(cx),
        }
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.meter.give(bytes);
    }

    /// Whether the stream's own budget is used up.
    pub(crate) fn is_full(&self) -> bool {
        self.meter.is_full()
    }

    fn register<T>(&self, cx: &Context<'_>) -> Poll<T> {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}
