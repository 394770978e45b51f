//! One worker's view of a cluster: its endpoints, and in which form calls reach them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config;
use crate::rpc::stream::{Side, StreamHead};
use crate::rpc::{Call, Fault, FaultKind, Form, Head, Message, Outer, Protocol, Reply, StreamTransport, Transport};
use crate::telemetry::Counters;
use crate::upstream::balance::RoundRobin;
use crate::upstream::mux::{self, Mux};
use crate::upstream::pingpong::Exchange;
use crate::upstream::pool::Pool;
use crate::upstream::{grpc, ttstream, unary};
use crate::wire::meter::Meter;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::encode::Reset;
use crate::wire::pingpong::{Edits, encode};

/// The waits of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) idle: Duration,
    pub(crate) read: Duration,
    pub(crate) write: Duration,
}

/// A cluster, as one worker reaches it.
#[derive(Debug)]
pub(crate) struct Cluster {
    endpoints: Vec<Endpoint>,
    balance: RoundRobin,
    form: Option<Form>,
    /// Whether calls leave as unary ones of gRPC.
    calls_over_grpc: bool,
    package: Option<String>,
    /// Numbers calls that came without a number.
    seqid: Cell<i32>,
    worker: Rc<Meter>,
    streaming: Option<StreamTransport>,
    limits: Limits,
    timeouts: Timeouts,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Endpoint {
    pool: Rc<Pool>,
    mux: Option<Mux>,
    grpc: Rc<grpc::Links>,
    ttstream: Rc<ttstream::Links>,
}

impl Cluster {
    /// `name` is what the proxy calls itself, `worker` what the worker's streams may hold.
    pub(crate) fn new(config: &config::Cluster, name: &str, worker: &Rc<Meter>, counters: &Arc<Counters>) -> Self {
        let limits = Limits {
            max_message: config.max_message,
            cut_through: config.cut_through,
            max_header: ttheader::MAX_HEADER_LEN,
        };
        let timeouts = Timeouts {
            connect: config.connect_timeout,
            idle: config.idle_timeout,
            read: config.read_timeout,
            write: config.write_timeout,
        };
        let endpoint = |endpoint: &config::Endpoint| Endpoint {
            pool: Rc::new(Pool::new(
                config.name.clone(),
                endpoint.address.clone(),
                timeouts.connect,
                timeouts.idle,
                Arc::clone(counters),
            )),
            mux: config.mux.then(|| {
                Mux::new(mux::Settings {
                    cluster: config.name.clone(),
                    address: endpoint.address.clone(),
                    limits: mux::whole(limits),
                    timeouts,
                    counters: Arc::clone(counters),
                })
            }),
            grpc: Rc::new(grpc::Links::new(grpc::Settings {
                cluster: config.name.clone(),
                address: endpoint.address.clone(),
                package: config.package.clone(),
                timeouts,
                keepalive: config.keepalive,
                max_age: config.max_connection_age,
                max_message: bytes(config.max_message),
                counters: Arc::clone(counters),
            })),
            ttstream: Rc::new(ttstream::Links::new(ttstream::Settings {
                cluster: config.name.clone(),
                address: endpoint.address.clone(),
                name: name.to_owned(),
                pool: config.stream_pool,
                rst: config.rst,
                timeouts,
                max_message: bytes(config.max_message),
                stream_budget: bytes(config.stream_budget),
                worker: Rc::clone(worker),
                counters: Arc::clone(counters),
            })),
        };
        Self {
            endpoints: config.endpoints.iter().map(endpoint).collect(),
            balance: RoundRobin::new(config.endpoints.iter().map(|endpoint| endpoint.weight)),
            form: config.pingpong.and_then(Transport::form),
            calls_over_grpc: config.pingpong == Some(Transport::Grpc),
            package: config.package.clone(),
            seqid: Cell::new(0),
            worker: Rc::clone(worker),
            streaming: config.streaming,
            limits,
            timeouts,
            counters: Arc::clone(counters),
        }
    }

    /// Sends `call` to one endpoint and awaits its reply.
    pub(crate) async fn call(&self, mut call: Call) -> Result<Reply, Fault> {
        if self.calls_over_grpc {
            return Box::pin(unary::ask(self, call)).await;
        }
        let Some(endpoint) = self.endpoints.get(self.balance.next()) else {
            // A checked configuration has no cluster without endpoints.
            return Err(Fault::unsent(FaultKind::Connect, "the cluster has no endpoint"));
        };
        let downstream = Rc::clone(&call.downstream);
        let form = self.form_for(&call.message);
        let edits = Edits {
            // A client of this process's own has no address to tell.
            remote_address: Some(&*downstream.peer_text).filter(|address| !address.is_empty()),
            timeout_ms: call.deadline.map(remaining_ms),
            service: downstream.default_service.as_deref(),
            // What the caller does with its connection says nothing of ours.
            reset: Reset::Remove,
            clear_streaming: true,
            ..Edits::default()
        };
        if form.outer == Outer::Plain {
            self.counters.drop_metadata(call.message.facts().entries.into());
        }
        // What must not change a byte of its payload can't share a connection, and what is long should not.
        if let Some(mux) = endpoint.mux.as_ref().filter(|_| !call.message.has_rest() && !call.message.facts().validated)
        {
            return mux.exchange(&call, form, &edits).await;
        }
        if encode::needs_whole(&call.message, form, &edits) {
            let broke = |error| Fault::unsent(FaultKind::DownstreamClosed, format!("request broke off: {error}"));
            Box::pin(call.message.collect()).await.map_err(broke)?;
        }
        let exchange = Exchange {
            pool: &endpoint.pool,
            form,
            limits: &self.limits,
            timeouts: &self.timeouts,
            counters: &self.counters,
        };
        exchange.run(call, &edits).await
    }

    /// Opens a stream towards one endpoint: the next one where one can't be reached, for nothing has been sent then.
    pub(crate) async fn open(&self, head: Box<StreamHead>) -> Result<Box<dyn Side>, Fault> {
        let spoken = match head.protocol() {
            Protocol::TtStream => StreamTransport::TtStream,
            _ => StreamTransport::Grpc,
        };
        self.open_over(self.streaming.unwrap_or(spoken), head).await
    }

    /// As [`Cluster::open`], over this transport.
    pub(crate) async fn open_over(
        &self,
        transport: StreamTransport,
        head: Box<StreamHead>,
    ) -> Result<Box<dyn Side>, Fault> {
        if transport == StreamTransport::TtStream {
            ttstream::Links::check(&head)?;
        }
        // A checked configuration has no cluster without endpoints.
        let mut unreached = Fault::unsent(FaultKind::Connect, "the cluster has no endpoint");
        for _ in 0..self.endpoints.len().min(MAX_TRIES) {
            let Some(endpoint) = self.endpoints.get(self.balance.next()) else { break };
            match transport {
                StreamTransport::Grpc => match endpoint.grpc.ready().await {
                    Ok(()) => return endpoint.grpc.open(head).await,
                    Err(fault) => unreached = fault,
                },
                // Boxed, so that a stream's future is not as large as the rarest way of opening one.
                StreamTransport::TtStream => match Box::pin(endpoint.ttstream.ready()).await {
                    Ok(connection) => return endpoint.ttstream.open(connection, &head),
                    Err(fault) => unreached = fault,
                },
            }
        }
        Err(unreached)
    }

    /// Closes idle connections that are of no more use.
    pub(crate) fn sweep(&self) {
        for endpoint in &self.endpoints {
            endpoint.pool.sweep();
            endpoint.mux.iter().for_each(Mux::sweep);
            endpoint.grpc.sweep();
            endpoint.ttstream.sweep();
        }
    }

    /// The form in which calls leave, where the configuration says one.
    pub(super) fn call_form(&self) -> Option<Form> {
        self.form
    }

    /// The package of services that come without one.
    pub(super) fn package(&self) -> &str {
        self.package.as_deref().unwrap_or_default()
    }

    /// The largest message in bytes.
    pub(super) fn max_message(&self) -> usize {
        bytes(self.limits.max_message)
    }

    /// What the worker's streams may hold.
    pub(super) fn worker(&self) -> &Rc<Meter> {
        &self.worker
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A number for a call that came without one.
    pub(super) fn next_seqid(&self) -> i32 {
        let next = self.seqid.get().wrapping_add(1);
        self.seqid.set(next);
        next
    }

    /// The form in which `message` leaves: as it came, unless the cluster wants another.
    fn form_for(&self, message: &Message) -> Form {
        let came = message.shape().form;
        let Some(wanted) = self.form else { return came };
        match wanted.outer {
            // Kitex-Protobuf is always framed.
            Outer::TtHeader if message.shape().version == thrift_codec::Version::KITEX_PROTOBUF => {
                Form { framed: true, ..wanted }
            }
            // A validator's value covers the inner length, and can't be computed anew (P11).
            Outer::TtHeader if message.facts().validated => Form { framed: came.framed, ..wanted },
            _ => wanted,
        }
    }
}

/// The time left in whole ms, a part of one counted as one.
fn remaining_ms(deadline: Instant) -> u64 {
    let micros = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// Endpoints that are tried for one stream.
const MAX_TRIES: usize = 3;

/// A number of bytes of the configuration, as memory is counted.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
