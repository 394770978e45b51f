//! The proxy on one screen: accept → sniff → downstream → route → layer → upstream. The reply is the return value.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::TcpStream;

use crate::accept::{Accepted, Serve};
use crate::config::Config;
use crate::downstream::{self, Settings};
use crate::layer::deadline;
use crate::route::RouteTable;
use crate::rpc::drain::{Drain, QUIET};
use crate::rpc::{Call, Downstream, Fault, Handle, Protocol, Reply};
use crate::sniff::{self, Verdict};
use crate::telemetry::Counters;
use crate::upstream::Cluster;
use crate::wire::conn::Conn;
use crate::wire::pingpong::decode::Limits;

/// Every stage, as one worker has it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    config: Arc<Config>,
    routes: Arc<RouteTable>,
    settings: Vec<Rc<Settings>>,
    clusters: Vec<Cluster>,
    counters: Arc<Counters>,
}

impl Pipeline {
    pub(crate) fn new(config: Arc<Config>, routes: Arc<RouteTable>, counters: Arc<Counters>) -> Self {
        Self {
            settings: config.listeners.iter().map(|listener| Rc::new(settings(listener))).collect(),
            clusters: config.clusters.iter().map(|cluster| Cluster::new(cluster, &counters)).collect(),
            config,
            routes,
            counters,
        }
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
        let refused = match verdict {
            Ok(Verdict::Is(protocol)) if !listener.protocols.contains(&protocol) => {
                format!("{protocol} is not allowed here")
            }
            Ok(Verdict::Is(Protocol::TtStream | Protocol::Grpc)) => {
                "streams (ttstream, grpc) are not carried yet".into()
            }
            Ok(Verdict::Is(Protocol::Buffered | Protocol::Framed | Protocol::TtHeader)) => {
                let downstream = Downstream::new(
                    accepted.peer,
                    listener.name.clone(),
                    listener.service.as_ref().map(|service| service.clone().into_bytes()),
                );
                let (settings, counters) = (Rc::clone(settings), Arc::clone(&self.counters));
                return downstream::serve(Rc::new(conn), Rc::new(downstream), settings, self, drain, counters).await;
            }
            Ok(Verdict::Unknown | Verdict::NeedMore) => "unknown protocol".into(),
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
        self.clusters.iter().for_each(Cluster::sweep);
    }
}

impl Handle for Pipeline {
    async fn call(&self, call: Call) -> Result<Reply, Fault> {
        let target = self.routes.find(&call)?;
        self.counters.route(target.route);
        let Some(cluster) = self.clusters.get(target.cluster) else {
            return Err(Fault::unsent(crate::rpc::FaultKind::Connect, "the route's cluster is gone"));
        };
        deadline::within(target.timeout, call, |call| cluster.call(call)).await
    }
}

fn settings(listener: &crate::config::Listener) -> Settings {
    Settings {
        protocols: listener.protocols.clone(),
        limits: Limits {
            max_message: listener.max_message,
            cut_through: listener.cut_through,
            max_header: ttheader::MAX_HEADER_LEN,
        },
        max_in_flight: listener.max_in_flight,
        read_timeout: listener.read_timeout,
        write_timeout: listener.write_timeout,
        half_close_timeout: listener.half_close_timeout,
        strip_business_errors: listener.strip_business_errors,
    }
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
