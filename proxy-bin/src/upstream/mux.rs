//! The shared driver: many callers on few connections, for backends that answer out of order. Each call gets a
//! sequence id of the connection's own; requests of one turn of the loop leave in one write, replies of one read are
//! handed to their callers without another hop.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;
use thrift_codec::MessageType;

use crate::rpc::{Call, Fault, FaultKind, Form, Message, Reply};
use crate::telemetry::Counters;
use crate::upstream::cluster::Timeouts;
use crate::upstream::pool;
use crate::wire::conn::{Conn, Stall};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Edits, Side, encode};

/// The shared connection of one worker to one endpoint.
#[derive(Debug)]
pub(crate) struct Mux {
    settings: Settings,
    current: RefCell<Option<Rc<Shared>>>,
}

/// What a shared connection needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster: String,
    pub(crate) address: String,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) counters: Arc<Counters>,
}

impl Mux {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, current: RefCell::default() }
    }

    /// Sends `call` in form `form` and awaits its reply, whose sequence id is the caller's again.
    pub(crate) async fn exchange(&self, call: &Call, form: Form, edits: &Edits<'_>) -> Result<Reply, Fault> {
        let shared = self.connection();
        let ticket = shared.enter()?;
        let edits = Edits { seqid: Some(ticket.seqid), ..*edits };
        encode::encode(&call.message, form, &edits, &mut shared.outbox.borrow_mut())?;
        shared.wake();
        if call.is_oneway() {
            return Ok(Reply::Sent);
        }
        let mut message = ticket.await?;
        message.rewrite_seqid(call.message.shape().seqid);
        Ok(Reply::Message(message))
    }

    /// Lets a connection that nobody uses notice the time.
    pub(crate) fn sweep(&self) {
        if let Some(shared) = self.current.borrow().as_ref().filter(|shared| shared.open.get()) {
            shared.wake();
        }
    }

    /// The connection that takes new calls; begun, not awaited: its first calls wait in its outbox.
    fn connection(&self) -> Rc<Shared> {
        let mut current = self.current.borrow_mut();
        if let Some(shared) = current.as_ref().filter(|shared| shared.open.get()) {
            return Rc::clone(shared);
        }
        let shared = Rc::new(Shared::default());
        tokio::task::spawn_local(drive(Rc::clone(&shared), self.settings.clone()));
        Rc::clone(current.insert(shared))
    }
}

/// What callers and the connection's task have in common.
#[derive(Debug)]
struct Shared {
    slots: RefCell<Slab<Slot>>,
    generation: Cell<u16>,
    outbox: RefCell<Outbox>,
    task: RefCell<Option<Waker>>,
    /// Whether new calls may come.
    open: Cell<bool>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            slots: RefCell::default(),
            generation: Cell::new(1),
            outbox: RefCell::default(),
            task: RefCell::default(),
            open: Cell::new(true),
        }
    }
}

#[derive(Debug)]
struct Slot {
    seqid: i32,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Done(Result<Message, Fault>),
}

impl Shared {
    /// A place for one call, with a sequence id that no other call of this connection has had for long.
    fn enter(self: &Rc<Self>) -> Result<Ticket, Fault> {
        let mut slots = self.slots.borrow_mut();
        let entry = slots.vacant_entry();
        let index = entry.key();
        if self.outbox.borrow().len() > MAX_BACKLOG || index > MAX_INDEX {
            let text = "request over limit: the shared connection to the backend is full";
            return Err(Fault::unsent(FaultKind::OverLimit, text));
        }
        // Never zero, which is reserved (P12): the generation is at least one.
        let generation = self.generation.get();
        self.generation.set(if generation >= MAX_GENERATION { 1 } else { generation.saturating_add(1) });
        let low = u16::try_from(index).unwrap_or(u16::MAX);
        let seqid = i32::from(generation) << INDEX_BITS | i32::from(low);
        entry.insert(Slot { seqid, state: State::Waiting(None) });
        Ok(Ticket { shared: Rc::clone(self), index, seqid })
    }

    fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }

    /// Hands `message` to the call that it answers.
    fn deliver(&self, message: Message) -> Delivery {
        let header = message.facts().header_seqid;
        let seqid = if header == 0 { message.shape().seqid } else { header };
        if seqid == 0 && message.shape().message_type == MessageType::EXCEPTION {
            // As a Kitex-Protobuf server answers an unknown method over Framed (P9): the only call that waits is meant.
            let waiting = |(index, slot): (usize, &Slot)| matches!(slot.state, State::Waiting(_)).then_some(index);
            let (first, second) = {
                let slots = self.slots.borrow();
                let mut waiting = slots.iter().filter_map(waiting);
                (waiting.next(), waiting.next())
            };
            return match (first, second) {
                (Some(index), None) => self.settle(index, None, Ok(message)).into(),
                (None, _) => Delivery::Unclaimed,
                (Some(_), Some(_)) => Delivery::Unnumbered,
            };
        }
        let Ok(index) = usize::try_from(seqid & 0xffff) else { return Delivery::Unclaimed };
        self.settle(index, Some(seqid), Ok(message)).into()
    }

    fn settle(&self, index: usize, seqid: Option<i32>, result: Result<Message, Fault>) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(index) else { return false };
        if seqid.is_some_and(|seqid| seqid != slot.seqid) {
            return false;
        }
        // What has come first stands: neither a second reply nor the connection's end takes its place.
        let State::Waiting(waker) = &mut slot.state else { return false };
        let waker = waker.take();
        slot.state = State::Done(result);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    fn fail(&self, fault: &Fault) {
        self.open.set(false);
        let waiting: Vec<_> = self.slots.borrow().iter().map(|(index, _)| index).collect();
        for index in waiting {
            self.settle(index, None, Err(fault.clone()));
        }
    }
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// Its call has it.
    Claimed,
    /// Nobody waits for it any more.
    Unclaimed,
    /// It names no call, and several wait.
    Unnumbered,
}

impl From<bool> for Delivery {
    fn from(settled: bool) -> Self {
        if settled { Self::Claimed } else { Self::Unclaimed }
    }
}

/// One call's place. Dropped, a late reply finds nobody.
struct Ticket {
    shared: Rc<Shared>,
    index: usize,
    seqid: i32,
}

impl Future for Ticket {
    type Output = Result<Message, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(self.index) else {
            return Poll::Ready(Err(Fault::sent(FaultKind::UpstreamClosed, "the shared connection is gone")));
        };
        match &mut slot.state {
            State::Waiting(Some(waker)) => waker.clone_from(cx.waker()),
            State::Waiting(waker) => *waker = Some(cx.waker().clone()),
            State::Done(_) => match std::mem::replace(&mut slot.state, State::Waiting(None)) {
                State::Done(result) => return Poll::Ready(result),
                State::Waiting(_) => {}
            },
        }
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.slots.borrow_mut().try_remove(self.index);
        if !self.shared.open.get() {
            // It may have been the last that the connection stayed for.
            self.shared.wake();
        }
    }
}

/// The connection's task: connects, writes what gathers, hands replies out, until there is no more use for it.
async fn drive(shared: Rc<Shared>, settings: Settings) {
    let fault = match pool::connect(&settings.cluster, &settings.address, settings.timeouts.connect).await {
        Err(fault) => fault,
        Ok(stream) => {
            settings.counters.upstream_connections.add_one();
            settings.counters.upstream_open.add_one();
            let mut link = Link {
                conn: Conn::new(stream),
                decoder: Decoder::new(Side::Replies, settings.limits),
                want: 0,
                write_stall: Stall::new(settings.timeouts.write),
                read_stall: Stall::new(settings.timeouts.read),
                idle: Stall::new(settings.timeouts.idle),
            };
            let end = poll_fn(|cx| link.poll(cx, &shared, &settings.counters)).await;
            settings.counters.upstream_open.sub_one();
            let Settings { cluster, address, .. } = &settings;
            match end {
                End::Malformed(why) => {
                    Fault::sent(FaultKind::BadReply, format!("cluster {cluster}: unreadable reply: {why}"))
                }
                End::Io(error) => {
                    let text = format!("cluster {cluster}: shared connection to {address} failed: {error}");
                    Fault::sent(FaultKind::UpstreamClosed, text)
                }
                End::Unused => return,
            }
        }
    };
    shared.fail(&fault);
}

struct Link {
    conn: Conn,
    decoder: Decoder,
    want: usize,
    write_stall: Stall,
    read_stall: Stall,
    idle: Stall,
}

enum End {
    Io(io::Error),
    Malformed(String),
    Unused,
}

impl Link {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, counters: &Counters) -> Poll<End> {
        let mut task = shared.task.borrow_mut();
        if task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
        drop(task);

        if let Err(end) = self.poll_write(cx, shared) {
            return Poll::Ready(end);
        }
        loop {
            match self.poll_read(cx, shared, counters) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => break,
            }
        }
        if !shared.slots.borrow().is_empty() {
            self.idle.reset();
        } else if !shared.open.get() || self.idle.poll(cx).is_ready() {
            shared.open.set(false);
            return Poll::Ready(End::Unused);
        }
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), End> {
        let mut outbox = shared.outbox.borrow_mut();
        match self.conn.poll_flush(cx, &mut outbox, &mut self.write_stall) {
            Poll::Ready(written) => written.map_err(End::Io),
            Poll::Pending => Ok(()),
        }
    }

    /// One read, and every reply in it.
    fn poll_read(&mut self, cx: &mut Context<'_>, shared: &Shared, counters: &Counters) -> Poll<Result<(), End>> {
        let read = self.conn.poll_fill(cx, self.want);
        if read.is_pending() && self.conn.buffered() > 0 && self.read_stall.poll(cx).is_ready() {
            return Poll::Ready(Err(End::Io(io::ErrorKind::TimedOut.into())));
        }
        match ready!(read) {
            Ok(0) => return Poll::Ready(Err(End::Io(io::ErrorKind::UnexpectedEof.into()))),
            Ok(read) => self.read_stall.moved(read),
            Err(error) => return Poll::Ready(Err(End::Io(error))),
        }
        while self.conn.buffered() > 0 {
            match self.conn.with_inbox(|inbox| self.decoder.decode(inbox)) {
                Ok(Decoded::Need(bytes)) => {
                    self.want = bytes;
                    return Poll::Ready(Ok(()));
                }
                Ok(Decoded::Message { message, .. }) => {
                    self.read_stall.reset();
                    if message.facts().reset {
                        // The backend is going to close: it finishes what it has, and gets nothing new.
                        shared.open.set(false);
                    }
                    match shared.deliver(message) {
                        Delivery::Claimed => {}
                        Delivery::Unclaimed => counters.replies_unclaimed.add_one(),
                        // One of the calls would wait for ever.
                        Delivery::Unnumbered => {
                            return Poll::Ready(Err(End::Malformed("an exception that names no call".into())));
                        }
                    }
                }
                Err(malformed) => return Poll::Ready(Err(End::Malformed(malformed.to_string()))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What may wait for a backend that does not read, in bytes.
const MAX_BACKLOG: usize = 8 << 20;
const INDEX_BITS: u32 = 16;
const MAX_INDEX: usize = 0xffff;
const MAX_GENERATION: u16 = 0x7fff;

/// A shared connection is handed whole messages only.
pub(crate) fn whole(limits: Limits) -> Limits {
    Limits { cut_through: u64::MAX, ..limits }
}
