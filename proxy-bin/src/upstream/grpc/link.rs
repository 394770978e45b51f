use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;

use crate::rpc::{Fault, FaultKind};
use crate::upstream::grpc::{Links, Settings, Started};
use crate::upstream::pool;
use crate::wire::conn::Conn;
use crate::wire::http2::{self, Io, Keepalive};

/// One connection, as its streams see it.
#[derive(Debug)]
pub(crate) struct Link {
    requests: RefCell<SendRequest<Bytes>>,
    io: Io,
    streams: Cell<usize>,
    /// Whether new streams may come.
    open: Cell<bool>,
    task: RefCell<Option<Waker>>,
    /// Sweeps since it was opened, and since it last had a stream: seconds.
    age: Cell<u64>,
    idle: Cell<u64>,
    max_age: u64,
    max_idle: u64,
    links: std::rc::Weak<Links>,
}

impl Link {
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Whether the peer has told its limits: SETTINGS is the first that it sends.
    pub(crate) fn is_settled(&self) -> bool {
        self.io.received() > 0
    }

    /// Whether the peer's limit is no streams at all.
    pub(crate) fn takes_none(&self) -> bool {
        self.requests.borrow().current_max_send_streams() == 0
    }

    pub(crate) fn has_room(&self) -> bool {
        if !self.open.get() {
            return false;
        }
        let mut requests = self.requests.borrow_mut();
        // A connection that the peer has told to end takes no streams, though those that it has go on.
        if let Poll::Ready(Err(_)) = requests.poll_ready(&mut Context::from_waker(Waker::noop())) {
            self.open.set(false);
            return false;
        }
        // Until the peer has told its limit, the only one that is certain is the first.
        let limit = if self.is_settled() { requests.current_max_send_streams() } else { 1 };
        self.streams.get() < limit
    }

    /// Sends a request's HEADERS, never its end: a Kitex server waits for ever for a message that does not come in a
    /// frame of its own (streaming-wire B2).
    ///
    /// # Errors
    ///
    /// The connection takes no streams any more; nothing was sent.
    pub(crate) fn start(self: &Rc<Self>, request: Request<()>) -> Result<Started, h2::Error> {
        match self.requests.borrow_mut().send_request(request, false) {
            Ok((response, stream)) => {
                self.streams.set(self.streams.get().saturating_add(1));
                self.idle.set(0);
                Ok(Started { link: InUse(Rc::clone(self)), response, stream })
            }
            Err(error) => {
                self.open.set(false);
                Err(error)
            }
        }
    }

    /// Called once a second.
    pub(crate) fn tick(&self) {
        self.age.set(self.age.get().saturating_add(1));
        self.idle.set(if self.streams.get() == 0 { self.idle.get().saturating_add(1) } else { 0 });
        if self.age.get() > self.max_age || self.idle.get() > self.max_idle {
            self.open.set(false);
        }
        if !self.open.get() {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }
}

/// A stream's hold on its connection.
#[derive(Debug)]
pub(crate) struct InUse(Rc<Link>);

impl InUse {
    /// The connection takes no more streams: the peer said so.
    pub(crate) fn close(&self) {
        self.0.open.set(false);
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let link = &self.0;
        let streams = link.streams.get().saturating_sub(1);
        link.streams.set(streams);
        if !link.open.get() && streams == 0 {
            link.wake();
        }
        if let Some(links) = link.links.upgrade()
            && links.waiting.get() > 0
        {
            links.changed.notify_waiters();
        }
    }
}

/// The task of one connection: connects, and carries what its streams exchange until there is no more use for it.
pub(crate) async fn drive(links: Rc<Links>) {
    let settings = links.settings.clone();
    let (link, connection) = match connect(&links, &settings).await {
        Ok(connected) => connected,
        Err(fault) => return links.not_connected(fault),
    };
    settings.counters.upstream_connections.add_one();
    settings.counters.upstream_open.add_one();
    links.connected(Rc::clone(&link));
    let why = carry(&link, connection, &settings, &links).await;
    link.open.set(false);
    settings.counters.upstream_open.sub_one();
    links.gone(&link);
    tracing::debug!(cluster = settings.cluster, address = settings.address, "gRPC connection ended: {why}");
}

type Connection = h2::client::Connection<Io, Bytes>;

async fn connect(links: &Rc<Links>, settings: &Settings) -> Result<(Rc<Link>, Connection), Fault> {
    let Settings { cluster, address, timeouts, .. } = settings;
    let stream = pool::connect(cluster, address, timeouts.connect).await?;
    let io = Io::new(Conn::new(stream), timeouts.write);
    let (requests, connection) = http2::client().handshake(io.clone()).await.map_err(|error| {
        Fault::unsent(FaultKind::Connect, format!("cluster {cluster}: no HTTP/2 with {address}: {error}"))
    })?;
    let link = Rc::new(Link {
        requests: RefCell::new(requests),
        io,
        streams: Cell::new(0),
        open: Cell::new(true),
        task: RefCell::default(),
        age: Cell::new(0),
        idle: Cell::new(0),
        max_age: settings.max_age.map_or(u64::MAX, |age| jittered(age).as_secs()),
        max_idle: timeouts.idle.as_secs().saturating_add(1),
        links: Rc::downgrade(links),
    });
    Ok((link, connection))
}

/// Up to a tenth less, so that connections opened together do not end together.
fn jittered(age: Duration) -> Duration {
    // The low bits of the clock are chance enough.
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let tenths = nanos.checked_rem(100).unwrap_or_default();
    age.saturating_sub(age.checked_div(1000).unwrap_or_default().saturating_mul(tenths))
}

async fn carry(link: &Link, connection: Connection, settings: &Settings, links: &Links) -> String {
    let mut connection = pin!(connection);
    let mut keepalive = Keepalive::new(connection.ping_pong(), settings.keepalive);
    poll_fn(|cx| {
        let mut task = link.task.borrow_mut();
        if task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
        drop(task);
        let end = Pin::new(&mut connection).poll(cx);
        // The peer may have told its limit, or another one.
        if links.waiting.get() > 0 {
            links.changed.notify_waiters();
        }
        if let Poll::Ready(Err(error)) = link.io.poll_flush_out(cx) {
            return Poll::Ready(error.to_string());
        }
        match end {
            Poll::Ready(Ok(())) => return Poll::Ready("closed".into()),
            Poll::Ready(Err(error)) => return Poll::Ready(error.to_string()),
            Poll::Pending => {}
        }
        if !link.open.get() && link.streams.get() == 0 {
            return Poll::Ready("no longer used".into());
        }
        // Asked without a stream, a peer may take it for abuse (streaming-wire B11).
        match keepalive.poll(cx, link.io.received(), link.streams.get() > 0) {
            Poll::Ready(()) => Poll::Ready("keepalive ping not answered".into()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
