//! Connections to one endpoint, kept for the next call. Knows no protocol: what it keeps is a [`Conn`] and whatever the
//! driver needs beside it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::rpc::{Fault, FaultKind};
use crate::telemetry::Counters;
use crate::wire::conn::Conn;

/// The idle connections of one worker to one endpoint, the one used last on top.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    cluster: String,
    connect_timeout: Duration,
    idle: RefCell<Vec<Idle>>,
    /// Sweeps so far: the clock of the idle connections, read without a system call.
    sweeps: Cell<u64>,
    max_idle_sweeps: u64,
    counters: std::sync::Arc<Counters>,
}

#[derive(Debug)]
struct Idle {
    conn: Conn,
    since: u64,
}

impl Pool {
    pub(crate) fn new(
        cluster: String,
        address: String,
        connect_timeout: Duration,
        idle_timeout: Duration,
        counters: std::sync::Arc<Counters>,
    ) -> Self {
        Self {
            address,
            cluster,
            connect_timeout,
            idle: RefCell::default(),
            sweeps: Cell::new(0),
            // Begun periods count, so that a connection is kept for no less than it was told.
            max_idle_sweeps: idle_timeout.as_secs().saturating_add(1),
            counters,
        }
    }

    /// An idle connection that is still good, else a fresh one.
    ///
    /// # Errors
    ///
    /// The endpoint refused, or did not take the connection in time.
    pub(crate) async fn checkout(self: &Rc<Self>) -> Result<Lease, Fault> {
        let idle = std::future::poll_fn(|cx| {
            loop {
                match self.idle.borrow_mut().pop() {
                    Some(idle) if idle.conn.poll_is_quiet(cx) => {
                        return std::task::Poll::Ready(Some(idle.conn));
                    }
                    Some(_stale) => self.counters.upstream_open.sub_one(),
                    None => return std::task::Poll::Ready(None),
                }
            }
        });
        match idle.await {
            Some(conn) => {
                self.counters.upstream_reused.add_one();
                Ok(Lease { received: conn.received(), conn: Some(conn), pool: Rc::clone(self), reused: true })
            }
            // Rare, and large: it must not make every call's future so.
            None => Box::pin(self.connect()).await,
        }
    }

    /// A fresh connection.
    ///
    /// # Errors
    ///
    /// As [`Pool::checkout`].
    pub(crate) async fn connect(self: &Rc<Self>) -> Result<Lease, Fault> {
        let stream = connect(&self.cluster, &self.address, self.connect_timeout).await?;
        self.counters.upstream_connections.add_one();
        self.counters.upstream_open.add_one();
        Ok(Lease { conn: Some(Conn::new(stream)), pool: Rc::clone(self), reused: false, received: 0 })
    }

    /// Closes what has been idle for too long, and what the peer has closed. Called once a second.
    pub(crate) fn sweep(&self) {
        let now = self.sweeps.get().saturating_add(1);
        self.sweeps.set(now);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        self.idle.borrow_mut().retain(|idle| {
            let keep = now.saturating_sub(idle.since) <= self.max_idle_sweeps && idle.conn.poll_is_quiet(&mut cx);
            if !keep {
                self.counters.upstream_open.sub_one();
            }
            keep
        });
    }

    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Connects to `address`.
///
/// # Errors
///
/// The endpoint refused, or did not take the connection in time; the text names cluster and address.
pub(crate) async fn connect(cluster: &str, address: &str, limit: Duration) -> Result<TcpStream, Fault> {
    let failed = |why: String| {
        Fault::unsent(FaultKind::Connect, format!("cluster {cluster}: can't connect to {address}: {why}"))
    };
    let stream = tokio::time::timeout(limit, TcpStream::connect(address))
        .await
        .map_err(|_| failed(format!("no answer within {limit:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    // A call is written at once; there is nothing to wait for.
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}

/// A connection in use. Dropped, it is closed; only [`Lease::give_back`] keeps it.
#[derive(Debug)]
pub(crate) struct Lease {
    conn: Option<Conn>,
    pool: Rc<Pool>,
    reused: bool,
    received: u64,
}

impl Lease {
    pub(crate) fn conn(&self) -> Option<&Conn> {
        self.conn.as_ref()
    }

    /// Whether the connection had served a call before and not a byte has come for this one.
    pub(crate) fn may_be_stale(&self) -> bool {
        self.reused && self.conn.as_ref().is_some_and(|conn| conn.received() == self.received)
    }

    /// Takes the connection out, to end it in another way than by dropping it.
    pub(crate) fn into_conn(mut self) -> Option<Conn> {
        self.counters_closed();
        self.conn.take()
    }

    /// Keeps the connection for the next call: this one ended cleanly, with nothing left over.
    pub(crate) fn give_back(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.idle.borrow_mut().push(Idle { conn, since: self.pool.sweeps.get() });
        }
    }

    fn counters_closed(&self) {
        if self.conn.is_some() {
            self.pool.counters.upstream_open.sub_one();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.counters_closed();
    }
}
