//! The proxy on one screen: accept → sniff → downstream → route → layer → upstream. The reply is the return value.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use grpc_frame::status::Compat;
use tokio::net::TcpStream;

use crate::accept::{Accepted, Serve};
use crate::config::{Config, Listener, Route};
use crate::downstream::http::HttpVersion;
use crate::downstream::{grpc, http, pingpong, ttstream};
use crate::gateway::Gateway;
use crate::handler::{self, Answerer, Handler, Services};
use crate::hook::{Hooked, Hooks};
use crate::layer::deadline;
use crate::route::{self, Found, RouteTable};
use crate::rpc::drain::{Drain, QUIET};
use crate::rpc::stream::{Limits, Side, StreamHead};
use crate::rpc::{Call, Downstream, Fault, FaultKind, Handle, Head, OpenStream, Protocol, Reply};
use crate::sniff::{self, Verdict};
use crate::telemetry::Counters;
use crate::upstream::{Answered, Cluster};
use crate::wire::conn::Conn;
use crate::wire::meter::Meter;
use crate::wire::pingpong::decode;

/// Every stage, as one worker has it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    config: Arc<Config>,
    services: Arc<Services>,
    hooks: Hooks,
    handled: handler::Bounds,
    routes: Arc<RouteTable>,
    settings: Vec<Settings>,
    clusters: Vec<Rc<Cluster>>,
    counters: Arc<Counters>,
}

impl Pipeline {
    pub(crate) fn new(
        config: Arc<Config>,
        services: Arc<Services>,
        hooks: Hooks,
        routes: Arc<RouteTable>,
        gateways: &[Option<Arc<Gateway>>],
        counters: Arc<Counters>,
    ) -> Self {
        let worker = Rc::new(Meter::new(bytes(config.stream_memory), None));
        let cluster = |cluster| Rc::new(Cluster::new(cluster, &config.name, &worker, &counters));
        Self {
            settings: config
                .listeners
                .iter()
                .zip(gateways)
                .map(|(listener, gateway)| Settings::new(&config.name, listener, gateway.as_ref(), &worker))
                .collect(),
            clusters: config.clusters.iter().map(cluster).collect(),
            handled: handler::Bounds {
                budget: bytes(config.listeners.iter().map(|at| at.stream_budget).max().unwrap_or_default()),
                max_message: bytes(config.listeners.iter().map(|at| at.max_message).max().unwrap_or_default()),
            },
            config,
            services,
            hooks,
            routes,
            counters,
        }
    }

    /// Who answers a call or stream.
    fn answerer(&self, head: &impl Head) -> Result<Target<'_>, Fault> {
        let answerer = if self.services.is_empty() { Answerer::NoService } else { self.services.find(head) };
        if let Answerer::Handler(handler) = answerer {
            return Ok(Target::Handler(handler));
        }
        match self.cluster(head) {
            Err(fault) if fault.kind == FaultKind::UnknownService && matches!(answerer, Answerer::NoMethod) => {
                Err(route::unknown_method(head))
            }
            found => found.map(|(route, cluster)| Target::Cluster(route, cluster)),
        }
    }

    /// Where the routes send a call or stream.
    fn cluster(&self, head: &impl Head) -> Result<(&Route, &Rc<Cluster>), Fault> {
        let Found { index, route } = self.routes.find(head)?;
        self.counters.route(index);
        match self.clusters.get(route.cluster) {
            Some(cluster) => Ok((route, cluster)),
            None => Err(Fault::unsent(FaultKind::Connect, "the route's cluster is gone")),
        }
    }

    /// Has a call answered.
    async fn forward(&self, call: Call) -> Result<Reply, Fault> {
        match self.answerer(&call)? {
            Target::Cluster(route, cluster) => deadline::within(route.timeout, call, |call| cluster.call(call)).await,
            Target::Handler(handler) => {
                let handler = Arc::clone(handler);
                // Boxed, so that the futures of forwarded calls stay as small as they are.
                Box::pin(deadline::within(None, call, |call| handler::answer(handler, call))).await
            }
        }
    }

    /// Opens a stream towards whoever answers it.
    async fn connect(&self, mut head: Box<StreamHead>) -> Result<OpenStream, Fault> {
        let (route, cluster) = match self.answerer(&*head)? {
            Target::Cluster(route, cluster) => (route, cluster),
            Target::Handler(handler) => {
                let deadline = deadline::of_stream(None, head.timeout);
                head.deadline = deadline.map(|(at, _)| at);
                let side = handler::Local::new(Arc::clone(handler), head, self.handled);
                return Ok(OpenStream { side: Box::new(side), limits: Limits { deadline, ..Limits::default() } });
            }
        };
        let deadline = deadline::of_stream(route.timeout, head.timeout);
        head.deadline = deadline.map(|(at, _)| at);
        let limits = Limits { deadline, first_message: route.first_message_timeout, idle: route.stream_idle_timeout };
        let side: Box<dyn Side> = if Answered::is_for(cluster, &route.unary, &head) {
            Box::new(Answered::new(Rc::clone(cluster), head))
        } else {
            deadline::until(deadline, cluster.open(head)).await?
        };
        Ok(OpenStream { side, limits })
    }

    async fn connection(self: Rc<Self>, accepted: Accepted, drain: Rc<Drain>) {
        let Some((listener, settings)) =
            self.config.listeners.get(accepted.listener).zip(self.settings.get(accepted.listener))
        else {
            return;
        };
        let Ok(stream) = TcpStream::from_std(accepted.stream) else { return };
        let conn = Conn::new(stream);
        let verdict = tokio::select! {
            biased;
            verdict = sniff::read(&conn, listener.sniff_timeout) => verdict,
            () = left_unused(&conn, &drain) => return,
        };
        let downstream = Rc::new(Downstream::new(
            accepted.peer,
            listener.name.clone(),
            listener.service.as_ref().map(|service| service.clone().into_bytes()),
        ));
        let (settings, counters) = (settings.clone(), Arc::clone(&self.counters));
        if let Some(http) = settings.http {
            let version = match verdict {
                Ok(Verdict::Is(Protocol::Grpc)) => HttpVersion::Two,
                // Whatever else it is, hyper knows best what to say to it.
                Ok(_) => HttpVersion::One,
                Err(unsure) => return tracing::debug!(peer = %accepted.peer, "connection ended: {unsure}"),
            };
            return http::serve(conn, version, downstream, http, self, drain, counters).await;
        }
        let refused = match verdict {
            Ok(Verdict::Is(protocol)) if !listener.protocols.contains(&protocol) => {
                format!("{protocol} is not allowed here")
            }
            Ok(Verdict::Is(Protocol::Buffered | Protocol::Framed | Protocol::TtHeader)) => {
                return pingpong::serve(Rc::new(conn), downstream, settings.pingpong, self, drain, counters).await;
            }
            Ok(Verdict::Is(Protocol::Grpc)) => {
                return grpc::serve(conn, downstream, settings.grpc, self, drain, counters).await;
            }
            Ok(Verdict::Is(Protocol::TtStream)) => {
                return ttstream::serve(conn, downstream, settings.ttstream, self, drain, counters).await;
            }
            Ok(Verdict::Unknown | Verdict::NeedMore | Verdict::Is(Protocol::Http)) => "unknown protocol".into(),
            Err(sniff::Unsure::Silent) => return,
            Err(unsure) => unsure.to_string(),
        };
        self.counters.downstream_refused.add_one();
        tracing::info!(peer = %accepted.peer, listener = listener.name, "connection refused: {refused}");
    }
}

impl Serve for Pipeline {
    async fn serve(self: Rc<Self>, accepted: Accepted, drain: Rc<Drain>) {
        let open = Open::count(Arc::clone(&self.counters));
        // Its place under the listener's limit goes with `accepted`: whoever sees the gauge fall finds it free.
        self.connection(accepted, drain).await;
        drop(open);
    }

    fn sweep(&self) {
        self.clusters.iter().for_each(|cluster| cluster.sweep());
    }
}

impl Handle for Pipeline {
    async fn call(&self, call: Call) -> Result<Reply, Fault> {
        if !self.hooks.is_empty() {
            let hooks = self.hooks.watching(&call);
            if !hooks.is_empty() {
                // Boxed, so that the futures of calls that nobody watches stay as small as they are.
                return Box::pin(hooks.around(call, |call| self.forward(call))).await;
            }
        }
        self.forward(call).await
    }

    async fn open(&self, head: Box<StreamHead>) -> Result<OpenStream, Fault> {
        if !self.hooks.is_empty() {
            let hooks = self.hooks.watching(&*head);
            if !hooks.is_empty() {
                let seen = Rc::new(head.as_ref().clone());
                let OpenStream { side, limits } = self.connect(head).await?;
                let side = Hooked::new(side, hooks, seen, self.handled.max_message);
                return Ok(OpenStream { side: Box::new(side), limits });
            }
        }
        self.connect(head).await
    }
}

/// Who answers a call or stream.
enum Target<'a> {
    /// A handler in the process.
    Handler(&'a Arc<dyn Handler>),
    /// A backend of this cluster, by this route.
    Cluster(&'a Route, &'a Rc<Cluster>),
}

/// What a listener says to each of its drivers.
#[derive(Clone, Debug)]
struct Settings {
    pingpong: Rc<pingpong::Settings>,
    grpc: Rc<grpc::Settings>,
    ttstream: Rc<ttstream::Settings>,
    http: Option<Rc<http::Settings>>,
}

impl Settings {
    fn new(name: &str, listener: &Listener, gateway: Option<&Arc<Gateway>>, worker: &Rc<Meter>) -> Self {
        Self {
            pingpong: Rc::new(pingpong::Settings {
                protocols: listener.protocols.clone(),
                limits: decode::Limits {
                    max_message: listener.max_message,
                    cut_through: listener.cut_through,
                    max_header: ttheader::MAX_HEADER_LEN,
                },
                max_in_flight: listener.max_in_flight,
                read_timeout: listener.read_timeout,
                write_timeout: listener.write_timeout,
                half_close_timeout: listener.half_close_timeout,
                strip_business_errors: listener.strip_business_errors,
            }),
            grpc: Rc::new(grpc::Settings {
                max_streams: listener.max_streams,
                max_message: bytes(listener.max_message),
                preface_timeout: listener.sniff_timeout,
                write_timeout: listener.write_timeout,
                keepalive: listener.keepalive,
                compat: if listener.kitex_status { Compat::Kitex } else { Compat::Grpc },
            }),
            ttstream: Rc::new(ttstream::Settings {
                max_streams: listener.max_in_flight,
                max_message: bytes(listener.max_message),
                stream_budget: bytes(listener.stream_budget),
                read_timeout: listener.read_timeout,
                write_timeout: listener.write_timeout,
                idle_timeout: listener.idle_timeout,
                rst: listener.rst,
                worker: Rc::clone(worker),
            }),
            http: gateway.map(|gateway| {
                Rc::new(http::Settings {
                    gateway: Arc::clone(gateway),
                    name: name.to_owned(),
                    max_body: bytes(listener.max_message),
                    max_streams: listener.max_streams,
                    read_timeout: listener.read_timeout,
                    write_timeout: listener.write_timeout,
                    idle_timeout: listener.idle_timeout,
                    keepalive: listener.keepalive,
                    worker: Rc::clone(worker),
                })
            }),
        }
    }
}

/// A number of bytes of the configuration, as memory is counted.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Ready once the proxy drains and a connection that never said anything goes on saying nothing.
async fn left_unused(conn: &Conn, drain: &Drain) {
    // Whoever begins the drain wakes this task.
    poll_fn(|_| if drain.has_begun() { Poll::Ready(()) } else { Poll::Pending }).await;
    tokio::time::sleep(QUIET).await;
    if conn.buffered() > 0 {
        std::future::pending::<()>().await;
    }
}

/// A connection that is counted as open.
struct Open(Arc<Counters>);

impl Open {
    fn count(counters: Arc<Counters>) -> Self {
        counters.downstream_connections.add_one();
        counters.downstream_open.add_one();
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.downstream_open.sub_one();
    }
}
