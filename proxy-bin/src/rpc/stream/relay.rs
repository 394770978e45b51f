//! The one state machine of all stream protocols (streaming-wire C5): two directions that move by themselves, each in
//! order; the backend's end ends the stream, the caller's half close does not.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::rpc::drain::Drain;
use crate::rpc::stream::{Closed, End, Event, Reset, Side, StreamOutcome, Trailers};
use crate::rpc::{Fault, FaultKind};

/// The waits of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// When an answer is of no more use, and whose limit that is.
    pub(crate) deadline: Option<(Instant, &'static str)>,
    /// How long the backend's first message may take.
    pub(crate) first_message: Option<Duration>,
    /// How long nothing may move.
    pub(crate) idle: Option<Duration>,
}

/// How a stream ended, for the log and the counters.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With the backend's trailers.
    Trailers(StreamOutcome),
    /// The caller gave it up.
    ByCaller(Reset),
    /// The backend reset it.
    ByBackend(Reset),
    /// For a reason that the caller was told by the proxy.
    Fault(Fault),
}

/// Carries a stream from its opening to its end.
pub(crate) async fn relay(down: &mut dyn Side, up: &mut dyn Side, limits: Limits, drain: &Drain) -> Ended {
    let mut relay = Relay {
        request: Flow::default(),
        response: Flow::default(),
        timers: Timers::new(limits),
        grace: None,
        answered: false,
        reset: None,
    };
    poll_fn(|cx| {
        if drain.has_expired() {
            let fault = Fault::sent(FaultKind::ShuttingDown, "shutting down, and the time for streams is over");
            return Poll::Ready(fail(fault, down, up));
        }
        let polled = relay.poll(cx, down, up);
        down.poll_flush(cx);
        up.poll_flush(cx);
        polled
    })
    .await
}

struct Relay {
    request: Flow,
    response: Flow,
    timers: Timers,
    /// Runs once the backend takes nothing more and still has not said how the stream ends.
    grace: Option<Pin<Box<Sleep>>>,
    answered: bool,
    /// A reset of the backend that lets what came before it leave first, and the turns that it still waits.
    reset: Option<(Reset, u8)>,
}

/// One direction.
#[derive(Default)]
struct Flow {
    /// Received, and not yet taken by the other side.
    held: Option<Event>,
    held_len: usize,
    done: bool,
}

enum Moved {
    /// This side has said its last; what it said is not passed on yet.
    End(End),
    /// The event's last part was taken, and with it the half close.
    HalfClosed,
    /// The other side takes nothing more.
    Refused,
}

impl Flow {
    /// Moves what there is from one side to the other.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut dyn Side,
        to: &mut dyn Side,
        moved: &mut bool,
        message: &mut bool,
    ) -> Poll<Moved> {
        loop {
            if self.held.is_none() {
                let event = std::task::ready!(from.poll_recv(cx));
                *moved = true;
                match event {
                    Event::End(end) => return Poll::Ready(Moved::End(end)),
                    event => {
                        if let Event::Data(data) = &event {
                            self.held_len = data.bytes.len();
                            *message = true;
                        }
                        self.held = Some(event);
                    }
                }
            }
            let last = matches!(&self.held, Some(Event::Data(data)) if data.last);
            match std::task::ready!(to.poll_send(cx, &mut self.held)) {
                Ok(()) => {
                    self.held = None;
                    *moved = true;
                    from.release(std::mem::take(&mut self.held_len));
                    if last {
                        return Poll::Ready(Moved::HalfClosed);
                    }
                }
                Err(Closed) => return Poll::Ready(Moved::Refused),
            }
        }
    }

    /// Drops what the other side will never take.
    fn abandon(&mut self, from: &mut dyn Side) {
        self.held = None;
        from.release(std::mem::take(&mut self.held_len));
        self.done = true;
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>, down: &mut dyn Side, up: &mut dyn Side) -> Poll<Ended> {
        if let Some((reset, turns)) = &mut self.reset {
            if *turns > 0 {
                *turns = turns.saturating_sub(1);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Self::end(End::Reset(reset.clone()), down, up));
        }
        let mut moved = false;
        if !self.request.done
            && let Poll::Ready(step) = self.request.poll(cx, down, up, &mut moved, &mut false)
            && let Some(ended) = self.request_step(step, down, up)
        {
            return Poll::Ready(ended);
        }
        // A caller that waits, or that nothing can be taken from, says so in no other way than this.
        if (self.request.done || self.request.held.is_some())
            && let Poll::Ready(reset) = down.poll_reset(cx)
        {
            return Poll::Ready(by_caller(reset, up));
        }
        match self.response.poll(cx, up, down, &mut moved, &mut self.answered) {
            Poll::Ready(Moved::End(End::Reset(reset))) => {
                self.reset = Some((reset, RESET_TURNS));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Moved::End(end)) => return Poll::Ready(Self::end(end, down, up)),
            // Its end comes yet.
            Poll::Ready(Moved::HalfClosed) => cx.waker().wake_by_ref(),
            Poll::Ready(Moved::Refused) => {
                let reset = match down.poll_reset(cx) {
                    Poll::Ready(reset) => reset,
                    Poll::Pending => Reset::Http2(CANCEL),
                };
                return Poll::Ready(by_caller(reset, up));
            }
            Poll::Pending => {}
        }
        if let Some(grace) = &mut self.grace
            && grace.as_mut().poll(cx).is_ready()
        {
            let fault = Fault::sent(FaultKind::UpstreamClosed, "the backend stopped reading and did not say why");
            return Poll::Ready(fail(fault, down, up));
        }
        match self.timers.poll(cx, moved, self.answered) {
            Poll::Ready(text) => Poll::Ready(fail(Fault::sent(FaultKind::Timeout, text), down, up)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// What the end of the request direction means. Some when it is the end of the stream.
    fn request_step(&mut self, step: Moved, down: &mut dyn Side, up: &mut dyn Side) -> Option<Ended> {
        match step {
            Moved::HalfClosed => self.request.done = true,
            Moved::End(end @ (End::HalfClose(_) | End::Trailers(_))) => {
                // Taken at once: an end needs no room.
                self.request.held = Some(Event::End(end));
                let mut cx = Context::from_waker(std::task::Waker::noop());
                let _taken = up.poll_send(&mut cx, &mut self.request.held);
                self.request.held = None;
                self.request.done = true;
            }
            Moved::End(End::Reset(reset)) => return Some(by_caller(reset, up)),
            Moved::End(End::Fault(fault)) => return Some(fail(fault, down, up)),
            Moved::Refused => {
                // The reason is on its way in the other direction (streaming-wire C2), within a short time.
                self.request.abandon(down);
                self.grace = Some(Box::pin(tokio::time::sleep(GRACE)));
            }
        }
        None
    }

    /// Passes the backend's end on.
    fn end(end: End, down: &mut dyn Side, up: &mut dyn Side) -> Ended {
        let ended = match &end {
            End::Trailers(Trailers { outcome, .. }) => Ended::Trailers(outcome.clone()),
            End::HalfClose(_) => Ended::Trailers(StreamOutcome::Ok),
            End::Reset(reset) => Ended::ByBackend(reset.clone()),
            End::Fault(fault) => return fail(fault.clone(), down, up),
        };
        send_end(end, down);
        up.finish();
        ended
    }
}

fn by_caller(reset: Reset, up: &mut dyn Side) -> Ended {
    up.reset(&reset);
    Ended::ByCaller(reset)
}

/// Ends both sides for a reason of the proxy's own.
fn fail(fault: Fault, down: &mut dyn Side, up: &mut dyn Side) -> Ended {
    up.reset(&match fault.kind {
        FaultKind::Timeout => Reset::Deadline(fault.text.clone()),
        _ => Reset::Fault(fault.clone()),
    });
    send_end(End::Fault(fault.clone()), down);
    Ended::Fault(fault)
}

/// An end needs no room: every driver takes it at once.
pub(crate) fn send_end(end: End, side: &mut dyn Side) {
    let mut event = Some(Event::End(end));
    let _taken = side.poll_send(&mut Context::from_waker(std::task::Waker::noop()), &mut event);
    side.finish();
}

/// The deadline, and the waits between messages.
struct Timers {
    limits: Limits,
    deadline: Option<Pin<Box<Sleep>>>,
    idle: Option<Pin<Box<Sleep>>>,
    first: Option<Pin<Box<Sleep>>>,
}

impl Timers {
    fn new(limits: Limits) -> Self {
        let sleep = |time: Duration| Box::pin(tokio::time::sleep(time));
        Self {
            deadline: limits.deadline.map(|(at, _)| Box::pin(tokio::time::sleep_until(at.into()))),
            idle: limits.idle.map(sleep),
            first: limits.first_message.map(sleep),
            limits,
        }
    }

    /// Ready, with what the caller is told, once a wait is over.
    fn poll(&mut self, cx: &mut Context<'_>, moved: bool, answered: bool) -> Poll<String> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let whose = self.limits.deadline.map(|(_, whose)| whose).unwrap_or_default();
            return Poll::Ready(format!("the stream's deadline passed, {whose}"));
        }
        if answered {
            self.first = None;
        }
        if let Some(first) = &mut self.first
            && first.as_mut().poll(cx).is_ready()
        {
            let limit = self.limits.first_message.unwrap_or_default();
            return Poll::Ready(format!("no message of the backend within {limit:?} (`first_message_timeout`)"));
        }
        if let Some((idle, limit)) = self.idle.as_mut().zip(self.limits.idle) {
            if moved && let Some(at) = Instant::now().checked_add(limit) {
                idle.as_mut().reset(at.into());
            }
            if idle.as_mut().poll(cx).is_ready() {
                return Poll::Ready(format!("nothing moved for {limit:?} (`stream_idle_timeout`)"));
            }
        }
        Poll::Pending
    }
}

/// Turns of the worker in which a connection writes what has been sent before a reset: `h2` forgets what it has not
/// written.
const RESET_TURNS: u8 = 2;
/// The error code of HTTP/2 for what nobody wants any more.
const CANCEL: u32 = 8;
/// How long a backend that takes nothing more may take to say why.
const GRACE: Duration = Duration::from_secs(1);
