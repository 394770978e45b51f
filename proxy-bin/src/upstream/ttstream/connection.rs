use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ttstream::stream::{Client, ClientEvent, Ids};
use ttstream::{Frame, FrameType, IntKey, StreamEncoder, keys};

use crate::rpc::stream::{End, Event, HeadForm, Metadata, StreamHead, Trailers};
use crate::rpc::{Fault, FaultKind, Head};
use crate::telemetry::Counters;
use crate::upstream::ttstream::{Links, Settings};
use crate::wire::conn::Stall;
use crate::wire::meter::Meter;
use crate::wire::ttstream::{self as wire, Link, Lost, Queue};

/// One connection to a backend and its streams.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) link: Link,
    pub(super) streams: RefCell<HashMap<i32, Rc<Stream>>>,
    pub(super) ids: RefCell<Ids>,
    pub(super) live: Cell<bool>,
    pub(super) meter: Rc<Meter>,
    pub(super) stream_budget: usize,
    pub(super) max_message: usize,
    pub(super) counters: Arc<Counters>,
}

/// One stream, as frames reach it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) machine: RefCell<Client>,
    pub(super) queue: Queue,
    pub(super) encoder: StreamEncoder,
}

impl Connection {
    /// Opens a stream: its header frame waits to be written.
    pub(super) fn begin(&self, head: &StreamHead) -> Result<Rc<Stream>, Fault> {
        let unfit = |error: ttstream::EncodeError| {
            Fault::unsent(FaultKind::NotConvertible, format!("no ttstream header frame: {error}"))
        };
        let id = self.ids.borrow_mut().next_id();
        let encoder = StreamEncoder::new(id, head.method()).map_err(unfit)?;
        match &head.form {
            HeadForm::Frame(frame) => self.link.forward(frame, id),
            HeadForm::Http2 { .. } => self.link.write(|dst| {
                let mut unreadable = 0_u64;
                let (pairs, dropped) = wire::pairs_of(head.entries(|| unreadable = unreadable.saturating_add(1)));
                self.counters.drop_metadata(dropped.saturating_add(unreadable));
                let mut frame = encoder.writer(FrameType::Header, dst)?;
                frame.string(keys::IDL_SERVICE_NAME, head.service())?;
                frame.strings(pairs.iter().map(|(key, value)| (&**key, &**value)))?;
                for (key, value) in [
                    (IntKey::FROM_SERVICE, head.caller()),
                    (IntKey::TO_SERVICE, head.destination()),
                    (IntKey::FROM_METHOD, head.caller_method()),
                ] {
                    if let Some(value) = value.filter(|value| !value.is_empty()) {
                        frame.int(key, value)?;
                    }
                }
                frame.finish(0)
            }),
        }
        .map_err(unfit)?;
        let stream = Rc::new(Stream {
            machine: RefCell::new(Client::new()),
            queue: Queue::new(Meter::new(self.stream_budget, Some(Rc::clone(&self.meter)))),
            encoder,
        });
        self.streams.borrow_mut().insert(id, Rc::clone(&stream));
        self.link.wake();
        Ok(stream)
    }

    /// Reads one frame and hands it to its stream.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let frame = ready!(self.link.poll_frame(cx))?;
        let stream = self.streams.borrow().get(&frame.stream_id()).map(Rc::clone);
        // Frames of streams that are over come late, and mean nothing (streaming-wire A7).
        Poll::Ready(stream.map_or(Ok(()), |stream| self.dispatch(&stream, frame)))
    }

    fn dispatch(&self, stream: &Stream, frame: Frame) -> Result<(), Lost> {
        if frame.frame_type() == FrameType::Header && stream.machine.borrow().header_came() {
            // It spoils this stream, and framing is not lost (streaming-wire C5.7).
            let fault = Fault::sent(FaultKind::BadReply, "the backend sent a second header frame");
            let _room = stream.queue.push(Event::End(End::Fault(fault)));
            return Ok(());
        }
        let (event, writes) = stream.machine.borrow_mut().received(&frame)?;
        let event = match event {
            ClientEvent::Header => Event::Headers(Metadata::Frame(frame.clone())),
            ClientEvent::Message => match wire::data(frame.clone(), self.max_message) {
                Ok(event) => event,
                Err(fault) => Event::End(End::Fault(fault)),
            },
            ClientEvent::Meta => Event::Meta(frame.clone()),
            ClientEvent::End(outcome) => Event::End(End::Trailers(Trailers {
                outcome: wire::outcome_of(&outcome),
                metadata: Metadata::Frame(frame.clone()),
                only: false,
            })),
            ClientEvent::Reset(reset) => Event::End(End::Reset(wire::reset_of(&reset, &frame))),
            _ => return Ok(()),
        };
        if writes.trailer {
            // A client that never half closed says so at the end (A7).
            self.link.write(|dst| stream.encoder.half_close(dst));
        }
        if !stream.queue.push(event) {
            let text =
                format!("the caller does not take the stream's messages (`stream_budget` = {})", self.stream_budget);
            stream.queue.fail(Fault::sent(FaultKind::OverLimit, text));
        }
        Ok(())
    }

    /// Whether the connection can take a stream: it is open, and nothing but late frames has come.
    pub(super) fn is_still(&self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.poll_frame(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return self.link.is_still() && self.live.get(),
            }
        }
    }

    /// Tells every stream that the connection is lost.
    pub(super) fn lose(&self, lost: &Lost, settings: &Settings) {
        self.live.set(false);
        let Settings { cluster, address, .. } = settings;
        let kind = match lost {
            Lost::Malformed(_) | Lost::TooLong { .. } | Lost::Broken(_) => FaultKind::BadReply,
            _ => FaultKind::UpstreamClosed,
        };
        for stream in self.streams.borrow().values() {
            stream.machine.borrow_mut().lost();
            if let Lost::TooLong { id, error } = lost
                && *id == stream.encoder.stream_id()
            {
                stream.queue.fail(Fault::sent(FaultKind::OverLimit, format!("response over `max_message`: {error}")));
                continue;
            }
            let text = format!("cluster {cluster}: ttstream connection to {address} lost: {lost}");
            let _room = stream.queue.push(Event::End(End::Fault(Fault::sent(kind, text))));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.upstream_open.sub_one();
    }
}

/// The task of a shared connection.
pub(super) async fn drive(connection: Rc<Connection>, links: Rc<Links>) {
    let mut idle = Stall::new(links.settings.timeouts.idle);
    let lost = poll_fn(|cx| {
        connection.link.set_task(cx);
        for _ in 0..FRAMES_A_TURN {
            match connection.poll_frame(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(lost)) => return Poll::Ready(lost),
                Poll::Pending => {
                    if let Poll::Ready(Err(lost)) = connection.link.poll_flush(cx) {
                        return Poll::Ready(lost);
                    }
                    if !connection.streams.borrow().is_empty() {
                        idle.reset();
                        return Poll::Pending;
                    }
                    return idle.poll(cx).map(|()| Lost::Closed);
                }
            }
        }
        // The streams first.
        cx.waker().wake_by_ref();
        match connection.link.poll_flush(cx) {
            Poll::Ready(Err(lost)) => Poll::Ready(lost),
            _ => Poll::Pending,
        }
    })
    .await;
    connection.lose(&lost, &links.settings);
    let mut shared = links.shared.lock().await;
    if shared.as_ref().is_some_and(|shared| Rc::ptr_eq(shared, &connection)) {
        *shared = None;
    }
}

/// Frames that are read before it is the streams' turn.
const FRAMES_A_TURN: usize = 64;
