//! The ttstream driver: a stream has a connection of its own, or shares one, as the cluster says.

mod connection;
mod side;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grpc_frame::content_type::Codec;
use tokio::sync::Mutex;
use ttstream::stream::Ids;

use crate::rpc::stream::{HeadForm, Side, StreamHead};
use crate::rpc::{Fault, FaultKind, StreamPool};
use crate::telemetry::Counters;
use crate::upstream::cluster::Timeouts;
use crate::upstream::pool;
use crate::upstream::ttstream::connection::{Connection, drive};
use crate::upstream::ttstream::side::BackendSide;
use crate::wire::conn::Conn;
use crate::wire::meter::Meter;
use crate::wire::ttstream::{Link, Messages};

/// What a connection to a backend needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster: String,
    pub(crate) address: String,
    /// What the proxy calls itself in a cancel path.
    pub(crate) name: String,
    pub(crate) pool: StreamPool,
    pub(crate) rst: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_message: usize,
    pub(crate) stream_budget: usize,
    pub(crate) worker: Rc<Meter>,
    pub(crate) counters: Arc<Counters>,
}

/// The connections of one worker to one endpoint.
#[derive(Debug)]
pub(crate) struct Links {
    settings: Settings,
    idle: RefCell<Vec<Idle>>,
    sweeps: Cell<u64>,
    /// The connection that all streams share, where they do.
    shared: Mutex<Option<Rc<Connection>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Rc<Connection>,
    since: u64,
}

impl Links {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, idle: RefCell::default(), sweeps: Cell::new(0), shared: Mutex::new(None) }
    }

    /// Whether a stream has a form in ttstream at all.
    ///
    /// # Errors
    ///
    /// It has none.
    pub(crate) fn check(head: &StreamHead) -> Result<(), Fault> {
        if head.codec() == Codec::Thrift {
            return Ok(());
        }
        let text = "ttstream carries Thrift alone, and the call is not application/grpc+thrift";
        Err(Fault::unsent(FaultKind::NotConvertible, text))
    }

    /// A connection for one stream.
    ///
    /// # Errors
    ///
    /// No connection can be had.
    pub(crate) async fn ready(self: &Rc<Self>) -> Result<Rc<Connection>, Fault> {
        if self.settings.pool == StreamPool::Mux { self.share().await } else { self.checkout().await }
    }

    /// Opens a stream on a connection of [`Links::ready`].
    ///
    /// # Errors
    ///
    /// A part of its metadata is too long for a frame.
    pub(crate) fn open(self: &Rc<Self>, connection: Rc<Connection>, head: &StreamHead) -> Result<Box<dyn Side>, Fault> {
        let shared = self.settings.pool == StreamPool::Mux;
        let stream = connection.begin(head)?;
        let messages = match &head.form {
            HeadForm::Http2 { fields, .. } => {
                let mut messages = Messages::new(self.settings.max_message);
                messages.set_encoding(fields);
                Some(messages)
            }
            HeadForm::Frame(_) => None,
        };
        Ok(Box::new(BackendSide { links: Rc::clone(self), connection, stream, shared, messages, failure: None }))
    }

    async fn connect(&self) -> Result<Rc<Connection>, Fault> {
        let Settings { cluster, address, timeouts, counters, max_message, stream_budget, worker, .. } = &self.settings;
        let stream = pool::connect(cluster, address, timeouts.connect).await?;
        counters.upstream_connections.add_one();
        counters.upstream_open.add_one();
        let budget = stream_budget.saturating_mul(CONNECTION_SHARE);
        Ok(Rc::new(Connection {
            link: Link::new(Conn::new(stream), *max_message, timeouts.read, timeouts.write),
            streams: RefCell::default(),
            ids: RefCell::new(Ids::new()),
            live: Cell::new(true),
            meter: Rc::new(Meter::new(budget, Some(Rc::clone(worker)))),
            stream_budget: *stream_budget,
            max_message: *max_message,
            counters: Arc::clone(counters),
        }))
    }

    /// An idle connection that is still good, else a fresh one.
    async fn checkout(&self) -> Result<Rc<Connection>, Fault> {
        while let Some(idle) = poll_fn(|_| Poll::Ready(self.idle.borrow_mut().pop())).await {
            if poll_fn(|cx| Poll::Ready(idle.connection.is_still(cx))).await {
                self.settings.counters.upstream_reused.add_one();
                return Ok(idle.connection);
            }
        }
        Box::pin(self.connect()).await
    }

    /// The connection that all streams share.
    async fn share(self: &Rc<Self>) -> Result<Rc<Connection>, Fault> {
        let mut shared = self.shared.lock().await;
        if let Some(connection) = shared.as_ref().filter(|connection| connection.live.get()) {
            self.settings.counters.upstream_reused.add_one();
            return Ok(Rc::clone(connection));
        }
        let connection = self.connect().await?;
        tokio::task::spawn_local(drive(Rc::clone(&connection), Rc::clone(self)));
        Ok(Rc::clone(shared.insert(connection)))
    }

    /// Closes what has been idle for too long, and what the peer has closed. Called once a second.
    pub(crate) fn sweep(&self) {
        let now = self.sweeps.get().saturating_add(1);
        self.sweeps.set(now);
        let max_idle = self.settings.timeouts.idle.as_secs().saturating_add(1);
        let mut cx = Context::from_waker(Waker::noop());
        self.idle
            .borrow_mut()
            .retain(|idle| now.saturating_sub(idle.since) <= max_idle && idle.connection.is_still(&mut cx));
    }
}

/// What a connection may hold, in budgets of one stream.
const CONNECTION_SHARE: usize = 4;
