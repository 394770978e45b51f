//! The driver of a caller's ping-pong connection: one task, which reads requests, runs their calls side by side, and
//! writes the replies in the order that the caller is owed.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::downstream::body::{Gate, RequestBody};
use crate::downstream::calls::Calls;
use crate::downstream::replies::{self, Finished, Replies};
use crate::rpc::drain::{Drain, QUIET};
use crate::rpc::{Call, Downstream, Fault, FaultKind, Handle, Message, Protocol, Reply, Rest};
use crate::telemetry::Counters;
use crate::wire::arena;
use crate::wire::conn::{Conn, Stall};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Origin, Side};

/// What a listener says of its connections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) limits: Limits,
    pub(crate) max_in_flight: usize,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) half_close_timeout: Duration,
    pub(crate) strip_business_errors: bool,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(
    conn: Rc<Conn>,
    downstream: Rc<Downstream>,
    settings: Rc<Settings>,
    handler: Rc<impl Handle>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
) {
    let mut calls = pin!(Calls::new());
    let mut driver = Driver {
        decoder: Decoder::new(Side::Requests, settings.limits),
        replies: Replies::new(settings.strip_business_errors, Arc::clone(&counters)),
        outbox: Outbox::default(),
        gate: Rc::default(),
        want: 0,
        reading: Reading::Open,
        read_stall: Stall::new(settings.read_timeout),
        write_stall: Stall::new(settings.write_timeout),
        half_closed: Stall::new(settings.half_close_timeout),
        quiet: Stall::new(QUIET),
        conn,
        downstream,
        settings,
        drain,
        counters,
    };
    loop {
        while let Some(call) = driver.next_call(calls.len()) {
            let origin = Origin::of(&call);
            let place = (!origin.out_of_order).then(|| driver.replies.reserve());
            let handler = &handler;
            calls.as_mut().push(async move {
                let result = match handler.call(call).await {
                    Ok(Reply::Message(message)) => gathered(message, &origin).await,
                    result => result,
                };
                Finished { origin, place, result }
            });
        }
        if let Event::End(end) = poll_fn(|cx| driver.poll(cx, calls.as_mut())).await {
            driver.log(&end);
            return;
        }
    }
}

/// A reply that can't go back piece by piece is awaited whole.
async fn gathered(mut message: Message, origin: &Origin) -> Result<Reply, Fault> {
    if replies::needs_whole(&message, origin.reply_form()) {
        let broke = |error| Fault::sent(FaultKind::UpstreamClosed, format!("reply broke off: {error}"));
        Box::pin(message.collect()).await.map_err(broke)?;
    }
    Ok(Reply::Message(message))
}

struct Driver {
    conn: Rc<Conn>,
    downstream: Rc<Downstream>,
    settings: Rc<Settings>,
    drain: Rc<Drain>,
    counters: Arc<Counters>,
    decoder: Decoder,
    replies: Replies,
    outbox: Outbox,
    gate: Rc<Gate>,
    /// Bytes that the inbox shall hold before the next look.
    want: usize,
    reading: Reading,
    read_stall: Stall,
    write_stall: Stall,
    half_closed: Stall,
    quiet: Stall,
}

/// Whether more requests can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// They can.
    Open,
    /// The caller has closed its sending side.
    HalfClosed,
    /// What came can't be read: what is in flight is answered, then the connection ends.
    Refused,
}

enum Event {
    /// There may be another call to start.
    Progress,
    /// The connection ends.
    End(End),
}

#[derive(Debug)]
enum End {
    /// The caller is done, or gone between two messages.
    Clean,
    /// Drained.
    Drained,
    /// The refusal has been logged where it came up.
    Refused,
    Lost(io::Error),
    Truncated,
    Slow(&'static str, Duration),
    /// The reply that was being written broke off: only a close can tell the caller.
    ReplyBroke(io::Error),
}

impl Driver {
    /// The next request that is there, while more calls may be in flight.
    fn next_call(&mut self, in_flight: usize) -> Option<Call> {
        let may_start = self.reading == Reading::Open
            && in_flight < self.settings.max_in_flight
            && self.gate.abandoned() == 0
            && !self.gate.is_taken()
            && self.conn.buffered() > 0
            && self.conn.buffered() >= self.want;
        if !may_start {
            return None;
        }
        match self.conn.with_inbox(|inbox| self.decoder.decode(inbox)) {
            Ok(Decoded::Need(bytes)) => {
                self.want = bytes;
                None
            }
            Ok(Decoded::Message { mut message, missing }) => {
                self.want = 0;
                self.read_stall.reset();
                let protocol = message.shape().form.protocol();
                if !self.settings.protocols.contains(&protocol) {
                    self.refuse(&format!("{protocol} is not allowed here"));
                    return None;
                }
                self.counters.call(protocol);
                if missing > 0 {
                    let body = RequestBody::new(&self.conn, &self.gate, missing, self.settings.read_timeout);
                    message.set_rest(Rest::new(missing, Box::new(body)));
                }
                Some(Call::new(message, Rc::clone(&self.downstream)))
            }
            Err(malformed) => {
                self.refuse(&malformed.to_string());
                None
            }
        }
    }

    fn poll<F>(&mut self, cx: &mut Context<'_>, mut calls: Pin<&mut Calls<F>>) -> Poll<Event>
    where
        F: Future<Output = Finished>,
    {
        let mut progress = false;
        loop {
            // A caller that does not take its replies gets no new ones made.
            while self.outbox.len() < MAX_UNWRITTEN
                && let Poll::Ready(finished) = calls.as_mut().poll_next(cx)
            {
                self.replies.finished(finished);
                self.replies.encode(self.drain.has_begun(), &mut self.outbox);
                progress = true;
            }
            let held_back = self.outbox.len() >= MAX_UNWRITTEN;
            if let Err(end) = self.poll_write(cx) {
                return Poll::Ready(Event::End(end));
            }
            // Calls that were not looked at wake nobody: once there is room again, it is their turn.
            if !held_back || self.outbox.len() >= MAX_UNWRITTEN {
                break;
            }
        }
        if progress && self.conn.buffered() > 0 {
            return Poll::Ready(Event::Progress);
        }
        match self.poll_read(cx, calls.len()) {
            Poll::Ready(Ok(())) => return Poll::Ready(Event::Progress),
            Poll::Ready(Err(end)) => return Poll::Ready(Event::End(end)),
            Poll::Pending => {}
        }
        self.poll_end(cx, calls.is_empty()).map(Event::End)
    }

    /// Writes what is due, the pieces of a long reply as they come.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if !self.outbox.is_empty() {
                match self.conn.poll_flush(cx, &mut self.outbox, &mut self.write_stall) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                        return Err(End::Slow("taking its replies", self.settings.write_timeout));
                    }
                    Poll::Ready(Err(error)) => return Err(End::Lost(error)),
                    Poll::Pending => return Ok(()),
                }
            }
            let Some(rest) = self.replies.rest() else {
                self.replies.encode(self.drain.has_begun(), &mut self.outbox);
                if self.outbox.is_empty() {
                    return Ok(());
                }
                continue;
            };
            let mut chunk = arena::take_large();
            match rest.poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(_)) => self.outbox.push_buffer(chunk),
                Poll::Ready(Err(error)) => return Err(End::ReplyBroke(error)),
                Poll::Pending => {
                    arena::give(chunk);
                    return Ok(());
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, in_flight: usize) -> Poll<Result<(), End>> {
        let may_read = self.reading == Reading::Open
            && !self.gate.is_taken()
            && in_flight < self.settings.max_in_flight
            && self.outbox.len() < MAX_UNWRITTEN;
        if !may_read {
            return Poll::Pending;
        }
        let abandoned = self.gate.abandoned();
        let read = if abandoned > 0 { self.poll_discard(cx, abandoned) } else { self.conn.poll_fill(cx, self.want) };
        let inside = abandoned > 0 || self.conn.buffered() > 0;
        match read {
            Poll::Ready(Ok(0)) if inside => Poll::Ready(Err(End::Truncated)),
            Poll::Ready(Ok(0)) => {
                self.reading = Reading::HalfClosed;
                Poll::Pending
            }
            Poll::Ready(Ok(read)) => {
                self.quiet.reset();
                self.read_stall.moved(read);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(End::Lost(error))),
            Poll::Pending if inside && self.read_stall.poll(cx).is_ready() => {
                Poll::Ready(Err(End::Slow("sending a message", self.settings.read_timeout)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads past a request that its call gave up.
    fn poll_discard(&mut self, cx: &mut Context<'_>, abandoned: u64) -> Poll<io::Result<usize>> {
        let mut chunk = arena::take_large();
        let limit = usize::try_from(abandoned).unwrap_or(usize::MAX);
        let read = self.conn.poll_read(cx, &mut chunk, limit);
        arena::give(chunk);
        if let Poll::Ready(Ok(bytes)) = read {
            self.gate.discard(bytes);
        }
        read
    }

    /// Whether this connection has nothing more to do.
    fn poll_end(&mut self, cx: &mut Context<'_>, no_calls: bool) -> Poll<End> {
        let done = no_calls && self.outbox.is_empty() && self.replies.is_empty();
        match self.reading {
            Reading::HalfClosed if done => Poll::Ready(End::Clean),
            Reading::Refused if done => Poll::Ready(End::Refused),
            Reading::HalfClosed if self.half_closed.poll(cx).is_ready() => {
                Poll::Ready(End::Slow("waiting for replies, half closed", self.settings.half_close_timeout))
            }
            // What is already under way to us shall still be served (8.9).
            Reading::Open if self.drain.has_begun() && done && !self.gate.is_taken() && self.conn.buffered() == 0 => {
                self.quiet.poll(cx).map(|()| End::Drained)
            }
            _ => Poll::Pending,
        }
    }

    fn refuse(&mut self, why: &str) {
        self.reading = Reading::Refused;
        self.counters.downstream_refused.add_one();
        tracing::info!(peer = %self.downstream.peer, listener = self.downstream.listener, "connection refused: {why}");
    }

    fn log(&self, end: &End) {
        let peer = self.downstream.peer;
        match end {
            End::Clean | End::Drained | End::Refused => tracing::debug!(%peer, ?end, "connection ended"),
            End::Lost(error) => tracing::debug!(%peer, %error, "connection lost"),
            End::Truncated => {
                self.counters.downstream_refused.add_one();
                tracing::info!(%peer, "connection refused: closed inside a message");
            }
            End::Slow(what, limit) => {
                self.counters.downstream_refused.add_one();
                tracing::info!(%peer, ?limit, "connection refused: too slow {what}");
            }
            End::ReplyBroke(error) => tracing::warn!(%peer, %error, "reply broke off: connection closed"),
        }
    }
}

/// What may wait to be written to one caller, in bytes, before its calls wait too.
const MAX_UNWRITTEN: usize = 1 << 20;
