//! The gRPC driver: shared connections to one endpoint, as many as the peer's stream limit asks for, chosen for each
//! call anew.

mod link;
mod side;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use grpc_frame::timeout;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Uri, Version};
use tokio::sync::Notify;

use crate::rpc::stream::{HeadForm, Side, StreamHead};
use crate::rpc::{Fault, FaultKind, Head};
use crate::telemetry::Counters;
use crate::upstream::cluster::Timeouts;
use crate::upstream::grpc::link::Link;
use crate::upstream::grpc::side::BackendSide;
use crate::wire::grpc;

/// What a connection to a backend needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster: String,
    pub(crate) address: String,
    pub(crate) package: Option<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) keepalive: Duration,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_message: usize,
    pub(crate) counters: Arc<Counters>,
}

/// The connections of one worker to one endpoint.
#[derive(Debug)]
pub(crate) struct Links {
    settings: Settings,
    open: RefCell<Vec<Rc<Link>>>,
    /// Woken when a connection comes, goes, or may have got room for another stream.
    changed: Notify,
    /// How many wait for that.
    waiting: Cell<usize>,
    connecting: Cell<bool>,
    /// How many attempts to connect have failed, and how the last one did.
    failed: RefCell<(u64, Option<Fault>)>,
}

/// One stream that has been sent on its way.
pub(crate) struct Started {
    pub(crate) link: link::InUse,
    pub(crate) response: h2::client::ResponseFuture,
    pub(crate) stream: h2::SendStream<bytes::Bytes>,
}

impl Links {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            open: RefCell::default(),
            changed: Notify::new(),
            waiting: Cell::new(0),
            connecting: Cell::new(false),
            failed: RefCell::default(),
        }
    }

    /// Waits until a connection has room for a stream.
    ///
    /// # Errors
    ///
    /// No connection can be had.
    pub(crate) async fn ready(self: &Rc<Self>) -> Result<(), Fault> {
        // Boxed, so that a stream's future is not as large as the rarest way of opening one.
        if self.pick().is_some() { Ok(()) } else { Box::pin(self.room(self.failures())).await }
    }

    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// No connection can be had, or the stream has no form in gRPC.
    pub(crate) async fn open(self: &Rc<Self>, head: Box<StreamHead>) -> Result<Box<dyn Side>, Fault> {
        let request = Box::new(self.request(*head)?);
        let started = match self.start_now(&request) {
            Some(started) => started,
            None => Box::pin(self.start(&request)).await?,
        };
        Ok(Box::new(BackendSide::new(Rc::clone(self), request, started)))
    }

    /// Sends `request` on the connection that has the fewest streams, a fresh one where all are full.
    async fn start(self: &Rc<Self>, request: &Request<()>) -> Result<Started, Fault> {
        let failures = self.failures();
        loop {
            if let Some(started) = self.start_now(request) {
                return Ok(started);
            }
            self.room(failures).await?;
        }
    }

    /// Waits until a connection has room, a fresh one where all are full. `failures` is how many attempts had failed
    /// before it was asked for.
    async fn room(self: &Rc<Self>, failures: u64) -> Result<(), Fault> {
        let _waiting = Waiting::count(&self.waiting);
        loop {
            if self.pick().is_some() {
                return Ok(());
            }
            if let (count, Some(fault)) = &*self.failed.borrow()
                && *count != failures
            {
                return Err(fault.clone());
            }
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            self.grow();
            changed.await;
        }
    }

    fn failures(&self) -> u64 {
        self.failed.borrow().0
    }

    /// Sends `request`, if a connection has room for it.
    fn start_now(&self, request: &Request<()>) -> Option<Started> {
        loop {
            // One that fails was about to end: nothing was sent, and it is not picked again.
            if let Ok(started) = self.pick()?.start(request.clone()) {
                return Some(started);
            }
        }
    }

    /// The connection with the fewest streams, and room for one more.
    fn pick(&self) -> Option<Rc<Link>> {
        let open = self.open.borrow();
        match &**open {
            [only] => only.has_room().then(|| Rc::clone(only)),
            several => several.iter().filter(|link| link.has_room()).min_by_key(|link| link.streams()).map(Rc::clone),
        }
    }

    /// Begins another connection, unless one is on its way, or one that is there would do: its limit is not known yet,
    /// or it has no streams and takes none, as a fresh one would.
    fn grow(self: &Rc<Self>) {
        let enough =
            |link: &Rc<Link>| link.is_open() && (!link.is_settled() || link.streams() == 0 || link.takes_none());
        let enough = self.open.borrow().iter().any(enough);
        if self.connecting.get() || enough || self.open.borrow().len() >= MAX_LINKS {
            return;
        }
        self.connecting.set(true);
        tokio::task::spawn_local(link::drive(Rc::clone(self)));
    }

    fn connected(&self, link: Rc<Link>) {
        self.connecting.set(false);
        self.open.borrow_mut().push(link);
        self.changed.notify_waiters();
    }

    fn not_connected(&self, fault: Fault) {
        self.connecting.set(false);
        {
            let mut failed = self.failed.borrow_mut();
            *failed = (failed.0.wrapping_add(1), Some(fault));
        }
        self.changed.notify_waiters();
    }

    fn gone(&self, link: &Rc<Link>) {
        self.open.borrow_mut().retain(|open| !Rc::ptr_eq(open, link));
        self.changed.notify_waiters();
    }

    /// The request that opens the stream: what came, for this hop.
    fn request(&self, head: StreamHead) -> Result<Request<()>, Fault> {
        let deadline = head.deadline;
        let bad = |what: &str| Fault::unsent(FaultKind::NotConvertible, format!("no gRPC request: {what}"));
        let mut request = match head.form {
            HeadForm::Http2 { uri, fields } => {
                let uri = if uri.authority().is_some() && uri.scheme().is_some() {
                    uri
                } else {
                    self.uri(uri.into_parts().path_and_query, None).ok_or_else(|| bad("its path"))?
                };
                let mut request = Request::new(());
                *request.headers_mut() = fields;
                *request.uri_mut() = uri;
                request
            }
            HeadForm::Frame(_) => self.bridged(&head).ok_or_else(|| bad("service or method"))?,
        };
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if let Ok(value) = HeaderValue::from_str(&timeout::encode(left)) {
                request.headers_mut().insert(grpc::GRPC_TIMEOUT, value);
            }
        }
        Ok(request)
    }

    /// The request for a stream of another protocol (streaming-wire D1).
    fn bridged(&self, head: &StreamHead) -> Option<Request<()>> {
        let package = self.settings.package.as_deref().unwrap_or_default();
        let path = grpc::path(package, head.service(), head.method())?;
        let destination = head.destination().filter(|name| !name.is_empty()).unwrap_or(head.service());
        let mut request = Request::new(());
        *request.uri_mut() = self.uri(Some(path), Authority::try_from(destination).ok())?;
        let (fields, dropped) = grpc::request_fields(head);
        self.settings.counters.drop_metadata(dropped);
        *request.headers_mut() = fields;
        Some(request)
    }

    fn uri(&self, path: Option<PathAndQuery>, authority: Option<Authority>) -> Option<Uri> {
        let authority = authority.or_else(|| self.settings.address.parse().ok())?;
        let builder = Uri::builder().scheme(Scheme::HTTP).authority(authority);
        builder.path_and_query(path?).build().ok()
    }

    /// Lets connections that have had their time go.
    pub(crate) fn sweep(&self) {
        for link in &*self.open.borrow() {
            link.tick();
        }
    }
}

/// One that waits for room.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a Cell<usize>) -> Self {
        waiting.set(waiting.get().saturating_add(1));
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Connections of one worker to one endpoint.
const MAX_LINKS: usize = 64;
