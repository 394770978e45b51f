use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use ttstream::{Exception, Frame};

use crate::rpc::stream::{Closed, End, Event, Framing, Reset, Side};
use crate::rpc::{Fault, FaultKind, Protocol, StreamPool};
use crate::upstream::ttstream::connection::{Connection, Stream};
use crate::upstream::ttstream::{Idle, Links};
use crate::wire::ttstream::{self as wire, Messages};

/// The backend's side of a stream.
pub(super) struct BackendSide {
    pub(super) links: Rc<Links>,
    pub(super) connection: Rc<Connection>,
    pub(super) stream: Rc<Stream>,
    /// Whether the connection has a task of its own.
    pub(super) shared: bool,
    /// What makes frames of another protocol's data.
    pub(super) messages: Option<Messages>,
    /// Why the request can't go on.
    pub(super) failure: Option<Fault>,
}

impl BackendSide {
    fn message(&self, frame: Option<&Frame>, payload: &Bytes) -> Result<(), Closed> {
        let _data_alone = self.stream.machine.borrow_mut().send_message().map_err(|_| Closed)?;
        let (link, encoder) = (&self.connection.link, &self.stream.encoder);
        link.message(encoder, frame, payload).map_err(|_| Closed)
    }

    fn data(&mut self, bytes: Bytes, framing: &Framing) -> Result<(), Closed> {
        if let Framing::Message(frame) = framing {
            return self.message(frame.as_ref(), &bytes);
        }
        let Some(mut messages) = self.messages.take() else { return Err(Closed) };
        messages.feed(bytes);
        let sent = loop {
            match messages.next_message() {
                Ok(Some(payload)) => {
                    if let Err(closed) = self.message(None, &payload) {
                        break Err(closed);
                    }
                }
                Ok(None) => break Ok(()),
                Err(fault) => {
                    self.failure = Some(fault);
                    break Ok(());
                }
            }
        };
        self.messages = Some(messages);
        sent
    }

    /// Says that no more messages come: as the caller's frame says it, where that is one and holds nothing that would
    /// harm a stock server (streaming-wire F16).
    fn half_close(&mut self, frame: Option<&Frame>) {
        if self.messages.as_ref().is_some_and(|messages| !messages.is_between_messages()) {
            self.failure = Some(Fault::sent(FaultKind::BadArguments, "the caller half closed inside a message"));
            return;
        }
        if self.stream.machine.borrow_mut().half_close().trailer {
            let (link, encoder) = (&self.connection.link, &self.stream.encoder);
            match frame.filter(|frame| frame.payload_slice().is_empty()) {
                // The id is our own, never the reserved one.
                Some(frame) => {
                    let _written = link.forward(frame, encoder.stream_id());
                }
                None => link.write(|dst| encoder.half_close(dst)),
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.stream.machine.borrow().is_closed()
    }
}

impl Side for BackendSide {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(fault) = self.failure.take() {
            return Poll::Ready(Event::End(End::Fault(fault)));
        }
        loop {
            if let Poll::Ready(event) = self.stream.queue.poll_next(cx) {
                return Poll::Ready(event);
            }
            if self.shared || !self.connection.live.get() {
                return Poll::Pending;
            }
            // Read only what is asked for: the backend feels who does not take it.
            if let Err(lost) = ready!(self.connection.poll_frame(cx)) {
                self.connection.lose(&lost, &self.links.settings);
            }
        }
    }

    fn release(&mut self, bytes: usize) {
        self.stream.queue.release(bytes);
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if matches!(event, Some(Event::Data(_))) {
            ready!(self.connection.link.poll_room(cx));
        }
        let sent = match event.take() {
            Some(Event::Data(data)) => {
                let sent = self.data(data.bytes, &data.framing);
                // What was not said whole is no half close.
                if data.last && sent.is_ok() && self.failure.is_none() {
                    self.half_close(None);
                }
                sent
            }
            Some(Event::End(end)) => {
                self.half_close(match &end {
                    End::HalfClose(frame) => frame.as_ref(),
                    _ => None,
                });
                Ok(())
            }
            // Nothing else goes this way.
            _ => Ok(()),
        };
        if self.shared {
            self.connection.link.wake();
        }
        Poll::Ready(sent)
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<Reset> {
        // A backend's reset is what its answer ends with.
        Poll::Pending
    }

    fn reset(&mut self, reset: &Reset) {
        if !self.links.settings.rst {
            // What the peer does not know would end the connection; so does this, and nothing but (streaming-wire A17).
            self.connection.live.set(false);
            return;
        }
        let writes = self.stream.machine.borrow_mut().cancel();
        let (link, encoder) = (&self.connection.link, &self.stream.encoder);
        if writes.rst {
            let (code, text, path) = wire::rst_of(reset, &self.links.settings.name);
            let exception = Exception::new(code, &text);
            if link.write(|dst| wire::write_rst(encoder, &exception, &path, reset, dst)).is_err() {
                // The path grew beyond what a frame holds.
                let _fits = link.write(|dst| encoder.rst(&exception, b"", dst));
            }
        }
        if writes.trailer {
            link.write(|dst| encoder.half_close(dst));
        }
        if self.shared {
            link.wake();
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if self.shared || !self.connection.live.get() {
            return;
        }
        if let Poll::Ready(Err(lost)) = self.connection.link.poll_flush(cx) {
            self.connection.lose(&lost, &self.links.settings);
            cx.waker().wake_by_ref();
        } else if self.failure.is_some() {
            cx.waker().wake_by_ref();
        }
    }

    fn finish(&mut self) {}
}

impl Drop for BackendSide {
    fn drop(&mut self) {
        if !self.is_closed() && self.connection.live.get() {
            // Given up without a word.
            self.reset(&Reset::Lost(Protocol::TtStream));
        }
        self.connection.streams.borrow_mut().remove(&self.stream.encoder.stream_id());
        if self.shared {
            // It may have been the last.
            self.connection.link.wake();
            return;
        }
        if !self.connection.live.get() {
            return;
        }
        let (links, connection) = (Rc::clone(&self.links), Rc::clone(&self.connection));
        let flushed = connection.link.poll_flush(&mut Context::from_waker(Waker::noop()));
        match flushed {
            Poll::Ready(Ok(())) => keep(&links, connection),
            Poll::Ready(Err(_)) => {}
            // The last words still have to leave.
            Poll::Pending => {
                tokio::task::spawn_local(async move {
                    let flushed = tokio::time::timeout(LAST_WORDS, poll_fn(|cx| connection.link.poll_flush(cx))).await;
                    if let Ok(Ok(())) = flushed {
                        keep(&links, connection);
                    }
                });
            }
        }
    }
}

/// Keeps a connection for the next stream.
fn keep(links: &Links, connection: Rc<Connection>) {
    if links.settings.pool == StreamPool::Long {
        links.idle.borrow_mut().push(Idle { connection, since: links.sweeps.get() });
    }
}

/// How long the end of a stream may take to leave once nobody waits for it.
const LAST_WORDS: Duration = Duration::from_secs(1);
