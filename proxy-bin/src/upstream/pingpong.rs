//! The pooled driver: one call at a time on a connection, everything in the caller's task.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use thrift_codec::{ApplicationException, ErrorProto, MessageType, Version, exception};

use crate::rpc::{Call, Fault, FaultKind, Form, Message, Reply, Rest, Source};
use crate::upstream::cluster::Timeouts;
use crate::upstream::pool::{Lease, Pool};
use crate::wire::arena;
use crate::wire::conn::{Conn, Stall};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Edits, Side, encode};

/// What a call needs beside the connection.
pub(crate) struct Exchange<'a> {
    pub(crate) pool: &'a Rc<Pool>,
    pub(crate) form: Form,
    pub(crate) limits: &'a Limits,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) counters: &'a crate::telemetry::Counters,
}

impl Exchange<'_> {
    /// Sends `call` and awaits its reply. A connection that turns out to have been closed before the request came is
    /// replaced once.
    pub(crate) async fn run(&self, mut call: Call, edits: &Edits<'_>) -> Result<Reply, Fault> {
        let mut lease = self.pool.checkout().await?;
        loop {
            match self.attempt(&mut call, edits, &lease).await {
                Ok(message) => return Ok(self.conclude(message, lease)),
                Err(Failure::Fault(fault)) => return Err(fault),
                Err(Failure::Lost { error, replayable }) => {
                    if !(replayable && lease.may_be_stale() && Box::pin(refused(&error, lease)).await) {
                        return Err(self.lost(&error));
                    }
                    self.counters.upstream_stale.add_one();
                    lease = Box::pin(self.pool.connect()).await?;
                }
            }
        }
    }

    /// Sends the request and, unless it is oneway, reads the reply as far as it is handed on.
    async fn attempt(&self, call: &mut Call, edits: &Edits<'_>, lease: &Lease) -> Result<Option<Incoming>, Failure> {
        let Some(conn) = lease.conn() else { return Err(Failure::lost(io::ErrorKind::NotConnected.into(), false)) };
        let mut outbox = Outbox::default();
        encode::encode(&call.message, self.form, edits, &mut outbox)?;
        let rest = call.message.take_rest();
        let replayable = rest.is_none();
        let early = match self.send(conn, outbox, rest).await {
            Ok(early) => early,
            // A backend that refuses a request answers and closes; its answer may be here already. One that just does
            // not read is not waited for again.
            Err(Failure::Lost { error, .. }) if error.kind() != io::ErrorKind::TimedOut => {
                let Ok(mut incoming) = self.receive(conn).await else { return Err(Failure::lost(error, replayable)) };
                self.check_answers(call, &incoming.message)?;
                incoming.clean = false;
                return Ok(Some(incoming));
            }
            Err(fault) => return Err(fault),
        };
        if call.is_oneway() {
            return Ok(None);
        }
        let mut incoming = self.receive(conn).await.map_err(|failure| failure.replayable(replayable))?;
        self.check_answers(call, &incoming.message)?;
        incoming.clean &= !early;
        Ok(Some(incoming))
    }

    /// Writes everything. True when the reply began before the request was through.
    async fn send(&self, conn: &Conn, mut outbox: Outbox, rest: Option<Rest>) -> Result<bool, Failure> {
        let mut stall = Stall::new(self.timeouts.write);
        poll_fn(|cx| conn.poll_flush(cx, &mut outbox, &mut stall)).await.map_err(|error| Failure::lost(error, true))?;
        match rest {
            None => Ok(false),
            // Rare beside small messages, and large.
            Some(rest) => Box::pin(self.send_rest(conn, outbox, stall, rest)).await,
        }
    }

    /// Writes the rest of a large request as it comes.
    async fn send_rest(
        &self,
        conn: &Conn,
        mut outbox: Outbox,
        mut stall: Stall,
        mut rest: Rest,
    ) -> Result<bool, Failure> {
        while !rest.is_empty() {
            let mut chunk = arena::take_large();
            poll_fn(|cx| rest.poll_read(cx, &mut chunk)).await.map_err(|error| {
                Failure::Fault(Fault::sent(FaultKind::DownstreamClosed, format!("request broke off: {error}")))
            })?;
            outbox.push_buffer(chunk);
            let early = poll_fn(|cx| {
                if let Poll::Ready(written) = conn.poll_flush(cx, &mut outbox, &mut stall) {
                    return Poll::Ready(written.map(|()| false));
                }
                // A backend that answers before it has read everything may never read the rest.
                match conn.poll_fill(cx, 0) {
                    Poll::Ready(Ok(read)) if read > 0 => Poll::Ready(Ok(true)),
                    _ => Poll::Pending,
                }
            });
            if early.await.map_err(|error| Failure::lost(error, false))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn receive(&self, conn: &Conn) -> Result<Incoming, Failure> {
        let mut decoder = Decoder::new(Side::Replies, *self.limits);
        let mut stall = Stall::new(self.timeouts.read);
        let mut want = 0;
        loop {
            if conn.buffered() > 0 {
                match conn.with_inbox(|inbox| decoder.decode(inbox)) {
                    Ok(Decoded::Message { message, missing }) => {
                        return Ok(Incoming { message, missing, clean: missing > 0 || conn.buffered() == 0 });
                    }
                    Ok(Decoded::Need(bytes)) => want = bytes,
                    Err(malformed) => {
                        let text = format!("cluster {}: unreadable reply: {malformed}", self.name());
                        return Err(Failure::Fault(Fault::sent(FaultKind::BadReply, text)));
                    }
                }
            }
            let read = poll_fn(|cx| match conn.poll_fill(cx, want) {
                Poll::Pending if conn.buffered() > 0 && stall.poll(cx).is_ready() => {
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                read => read,
            });
            match read.await {
                Ok(0) => return Err(Failure::lost(io::ErrorKind::UnexpectedEof.into(), conn.buffered() == 0)),
                Ok(read) => stall.moved(read),
                // Without an end before it, a reset may come from a backend that has taken the request: never again.
                Err(error) => return Err(Failure::lost(error, false)),
            }
        }
    }

    /// Whether the reply answers this call. An EXCEPTION may carry any number (P9), and so may the reply to a message of
    /// type STREAM (pingpong-wire 1.3).
    fn check_answers(&self, call: &Call, reply: &Message) -> Result<(), Fault> {
        let (asked, got) = (call.message.shape(), reply.shape());
        let unnumbered = got.message_type == MessageType::EXCEPTION || asked.message_type == MessageType::STREAM;
        if got.seqid == asked.seqid || unnumbered {
            return Ok(());
        }
        let text = format!("cluster {}: reply to call {} where {} was asked", self.name(), got.seqid, asked.seqid);
        Err(Fault::sent(FaultKind::BadReply, text))
    }

    /// Decides what becomes of the connection.
    fn conclude(&self, incoming: Option<Incoming>, lease: Lease) -> Reply {
        let Some(Incoming { mut message, missing, clean }) = incoming else {
            linger(lease);
            return Reply::Sent;
        };
        let clean = clean && !message.facts().reset && server_keeps(&message);
        if missing > 0 {
            let stall = Stall::new(self.timeouts.read);
            let source = ReplyRest { lease: Some(lease), left: missing, clean, stall };
            message.set_rest(Rest::new(missing, Box::new(source)));
        } else if clean {
            lease.give_back();
        }
        Reply::Message(message)
    }

    fn lost(&self, error: &io::Error) -> Fault {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "closed before its reply was complete".into(),
            io::ErrorKind::TimedOut => format!("made no progress for {:?}", self.timeouts.read),
            _ => format!("failed: {error}"),
        };
        let text = format!("cluster {}: connection to {} {what}", self.name(), self.pool.address());
        Fault::sent(FaultKind::UpstreamClosed, text)
    }

    fn name(&self) -> &str {
        self.pool.cluster()
    }
}

/// A reply, whole or as far as it has come.
struct Incoming {
    message: Message,
    missing: u64,
    clean: bool,
}

enum Failure {
    Fault(Fault),
    /// The connection is gone.
    Lost {
        error: io::Error,
        replayable: bool,
    },
}

impl Failure {
    fn lost(error: io::Error, replayable: bool) -> Self {
        Self::Lost { error, replayable }
    }

    fn replayable(self, allowed: bool) -> Self {
        match self {
            Self::Lost { error, replayable } => Self::Lost { error, replayable: replayable && allowed },
            fault => fault,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Whether the backend had closed before the request came, so that it can't have seen it.
async fn refused(error: &io::Error, lease: Lease) -> bool {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => true,
        io::ErrorKind::UnexpectedEof => match lease.into_conn() {
            Some(conn) => conn.was_refused(REFUSAL_PATIENCE).await,
            None => false,
        },
        _ => false,
    }
}

/// A Kitex server keeps the connection after an error of its handler, and closes it after those of its own
/// (pingpong-wire 5.3, 5.4).
fn server_keeps(message: &Message) -> bool {
    if message.shape().message_type != MessageType::EXCEPTION {
        return true;
    }
    let code = match message.shape().version {
        Version::KITEX_PROTOBUF => ErrorProto::parse(message.body()).map(|error| error.code),
        _ => ApplicationException::parse(message.body()).map(|error| error.code),
    };
    code == Ok(exception::INTERNAL_ERROR)
}

/// Ends a connection after a oneway call: the backend gets time to read before it sees the end.
fn linger(lease: Lease) {
    tokio::task::spawn_local(async move {
        tokio::time::sleep(ONEWAY_LINGER).await;
        drop(lease);
    });
}

/// The rest of a large reply; gives the connection back behind its last byte.
struct ReplyRest {
    lease: Option<Lease>,
    left: u64,
    clean: bool,
    stall: Stall,
}

impl Source for ReplyRest {
    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut BytesMut, limit: usize) -> Poll<io::Result<usize>> {
        let Some(conn) = self.lease.as_ref().and_then(Lease::conn) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let read = ready!(conn.poll_rest(cx, chunk, limit, &mut self.stall))?;
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        if self.left == 0 && self.clean {
            self.lease.take().into_iter().for_each(Lease::give_back);
        }
        Poll::Ready(Ok(read))
    }
}

/// How long a reset may take that proves that the backend had closed before.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(50);
/// What a backend gets to read a oneway call before the close; a Kitex client waits half a millisecond.
const ONEWAY_LINGER: Duration = Duration::from_millis(5);
