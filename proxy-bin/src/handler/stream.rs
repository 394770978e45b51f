use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::handler::Failure;

/// A stream as its handler holds it: messages in, messages out.
///
/// Clones are the same stream. The caller's giving up drops the handler's future; nothing has to be watched for.
#[derive(Clone, Debug)]
pub struct Stream(pub(super) Rc<RefCell<Shared>>);

/// What the handler and the driver of its caller share; both live on one worker.
#[derive(Debug)]
pub(super) struct Shared {
    /// Messages of the caller that the handler has not taken.
    pub(super) inbound: VecDeque<Bytes>,
    pub(super) inbound_len: usize,
    pub(super) ended: bool,
    /// Why no more messages can be read.
    pub(super) broken: Option<Failure>,
    /// Messages of the handler that the driver has not taken.
    pub(super) outbound: VecDeque<Bytes>,
    /// Bytes of the handler that the caller has not taken.
    pub(super) outbound_len: usize,
    pub(super) headers: Vec<(Bytes, Bytes)>,
    pub(super) trailers: Vec<(Bytes, Bytes)>,
    budget: usize,
    receiving: Option<Waker>,
    sending: Option<Waker>,
    pub(super) driver: Option<Waker>,
}

impl Stream {
    /// A stream on which `budget` bytes may wait in each direction.
    pub(super) fn new(budget: usize) -> Self {
        Self(Rc::new(RefCell::new(Shared {
            inbound: VecDeque::new(),
            inbound_len: 0,
            ended: false,
            broken: None,
            outbound: VecDeque::new(),
            outbound_len: 0,
            headers: Vec::new(),
            trailers: Vec::new(),
            budget,
            receiving: None,
            sending: None,
            driver: None,
        })))
    }

    /// The caller's next message; none once it has half closed.
    ///
    /// # Errors
    ///
    /// What came is no message, or too long.
    pub async fn recv(&self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.0.borrow_mut().poll_recv(cx)).await
    }

    /// Sends a message, once what was sent before has gone far enough.
    pub async fn send(&self, message: impl Into<Bytes>) {
        poll_fn(|cx| self.0.borrow_mut().poll_room(cx)).await;
        self.0.borrow_mut().push(message.into());
    }

    /// Adds a pair to the metadata in front of the first message; too late once that is sent.
    pub fn add_header(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.borrow_mut().headers.push((key.into(), value.into()));
    }

    /// Adds a pair to the metadata behind the last message.
    pub fn add_trailer(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.borrow_mut().trailers.push((key.into(), value.into()));
    }
}

impl Shared {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        if let Some(message) = self.inbound.pop_front() {
            self.inbound_len = self.inbound_len.saturating_sub(message.len());
            // The driver may have waited for room.
            if let Some(driver) = self.driver.take() {
                driver.wake();
            }
            return Poll::Ready(Ok(Some(message)));
        }
        if let Some(broken) = &self.broken {
            return Poll::Ready(Err(broken.clone()));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        keep(&mut self.receiving, cx);
        Poll::Pending
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbound_len == 0 || self.outbound_len < self.budget {
            return Poll::Ready(());
        }
        keep(&mut self.sending, cx);
        Poll::Pending
    }

    fn push(&mut self, message: Bytes) {
        self.outbound_len = self.outbound_len.saturating_add(message.len());
        self.outbound.push_back(message);
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Whether the handler takes as much as the caller sends.
    pub(super) fn has_room(&self) -> bool {
        self.inbound_len < self.budget
    }

    /// Hands the handler a message.
    pub(super) fn deliver(&mut self, message: Bytes) {
        self.inbound_len = self.inbound_len.saturating_add(message.len());
        self.inbound.push_back(message);
        self.wake_receiver();
    }

    /// Tells the handler that no more messages come.
    pub(super) fn end(&mut self, broken: Option<Failure>) {
        self.ended = true;
        self.broken = self.broken.take().or(broken);
        self.wake_receiver();
    }

    /// The caller has taken this many bytes.
    pub(super) fn release(&mut self, bytes: usize) {
        self.outbound_len = self.outbound_len.saturating_sub(bytes);
        if let Some(sending) = self.sending.take() {
            sending.wake();
        }
    }

    /// Remembers the task that carries the stream.
    pub(super) fn keep_driver(&mut self, cx: &Context<'_>) {
        keep(&mut self.driver, cx);
    }

    fn wake_receiver(&mut self) {
        if let Some(receiving) = self.receiving.take() {
            receiving.wake();
        }
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    if !place.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}
