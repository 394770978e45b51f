use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};

use crate::accept::{Listening, Worker, accept};
use crate::config::Config;
use crate::gateway::{Gateway, Watch};
use crate::handler::Services;
use crate::hook::{Hook, Hooks};
use crate::pipeline::Pipeline;
use crate::route::RouteTable;
use crate::telemetry::{Counters, Totals};

/// A proxy whose listeners are bound and that is ready to run.
///
/// ```
/// use proxy::{Config, Ended, Proxy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::parse(
///     r#"
///     [[listener]]
///     bind = "127.0.0.1:0"
///
///     [[route]]
///     cluster = "echo"
///
///     [cluster.echo]
///     endpoints = ["127.0.0.1:9999"]
///     "#,
///     "example.toml",
/// )?;
/// let proxy = Proxy::builder().config(config).build()?;
/// println!("listening on {:?}", proxy.local_addrs());
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let shutdown = async { /* a signal, usually */ };
/// assert_eq!(runtime.block_on(proxy.run(shutdown))?, Ended::Drained);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    config: Arc<Config>,
    listening: Vec<Listening>,
    local_addrs: Vec<SocketAddr>,
    services: Arc<Services>,
    hooks: Hooks,
    routes: Arc<RouteTable>,
    /// One for each worker, and one for the listeners: each has one writer.
    counters: Vec<Arc<Counters>>,
    accepting: Arc<Counters>,
    /// Of each listener, where it is one.
    gateways: Vec<Option<Arc<Gateway>>>,
    /// What they count when they read their IDL anew.
    reloads: Vec<Arc<Counters>>,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Every connection came to its end by itself.
    Drained,
    /// The drain's time ran out, and calls in flight were cut off.
    CutOff,
}

/// Why a proxy can't be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// No configuration was given.
    #[error("no configuration was given to the builder")]
    NoConfig,
    /// A listener can't be bound.
    #[error("listener {listener}: can't listen on {bind}: {source}")]
    #[non_exhaustive]
    Bind {
        /// The listener's name.
        listener: String,
        /// The address it asked for.
        bind: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What an HTTP listener shall serve can't be served.
    #[error("listener {listener}: {text}")]
    #[non_exhaustive]
    Idl {
        /// The listener's name.
        listener: String,
        /// What is wrong with the IDL, and where.
        text: String,
    },
    /// A worker thread can't be started, or a listener can't be used.
    #[error("can't start: {0}")]
    Start(#[from] io::Error),
}

impl Proxy {
    /// Begins a proxy.
    #[must_use]
    pub fn builder() -> ProxyBuilder {
        ProxyBuilder::default()
    }

    /// Where the listeners are bound, in the order of the configuration.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// A reader of the counters that can be kept while the proxy runs.
    pub fn totals(&self) -> impl Fn() -> Totals + Send + Sync + Clone + 'static {
        let counters: Vec<_> =
            self.counters.iter().chain([&self.accepting]).chain(&self.reloads).map(Arc::clone).collect();
        move || {
            let mut totals = Totals::default();
            counters.iter().for_each(|worker| totals.add(worker));
            totals
        }
    }

    /// Serves until `shutdown` is ready, then drains: no new connections, calls in flight are finished, headers tell
    /// callers to go (pingpong-wire 8.9). Every worker has a thread of its own; dropping the future stops them at once.
    ///
    /// # Errors
    ///
    /// A worker can't be started, or a listener can't be used.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Ended, ProxyError> {
        let workers = self.start_workers(0)?;
        self.supervise(workers, shutdown).await
    }

    /// As [`Proxy::run`], but blocks, with the first worker on this thread: with one worker the process has one thread,
    /// which makes every system call cheaper.
    ///
    /// # Errors
    ///
    /// As [`Proxy::run`], or the system gives no runtime.
    pub fn run_here(self, shutdown: impl Future<Output = ()>) -> Result<Ended, ProxyError> {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(async {
            let (first, work) = Worker::here(self.pipeline(0));
            let work = tokio::task::spawn_local(work);
            let mut workers = vec![first];
            workers.extend(self.start_workers(1)?);
            let ended = self.supervise(workers, shutdown).await?;
            Ok(if work.await.unwrap_or(false) { ended } else { Ended::CutOff })
        })
    }

    /// What worker number `index` is made by.
    fn pipeline(&self, index: usize) -> impl FnOnce() -> Pipeline + Send + 'static {
        let (config, services, routes) =
            (Arc::clone(&self.config), Arc::clone(&self.services), Arc::clone(&self.routes));
        let (hooks, gateways) = (self.hooks.clone(), self.gateways.clone());
        let counters = self.counters.get(index).map(Arc::clone).unwrap_or_default();
        move || Pipeline::new(config, services, hooks, routes, &gateways, counters)
    }

    fn start_workers(&self, from: usize) -> io::Result<Vec<Worker>> {
        (from..self.config.workers).map(|index| Worker::start(index, self.pipeline(index))).collect()
    }

    async fn supervise(self, workers: Vec<Worker>, shutdown: impl Future<Output = ()>) -> Result<Ended, ProxyError> {
        let workers: Arc<[Worker]> = workers.into();
        // Kept to the end of the run.
        let watched = self.gateways.iter().zip(&self.reloads);
        let _watches: Vec<_> =
            watched.filter_map(|(gateway, counters)| Watch::start(gateway.as_ref()?, Arc::clone(counters))).collect();
        let mut accepting = tokio::task::JoinSet::new();
        for (listening, addr) in self.listening.into_iter().zip(&self.local_addrs) {
            tracing::info!(listener = listening.name(), %addr, "listening");
            accepting.spawn(accept(listening, Arc::clone(&workers), Arc::clone(&self.accepting)));
        }
        tokio::select! {
            () = shutdown => {}
            Some(Ok(Err(error))) = accepting.join_next() => return Err(error.into()),
        }
        accepting.shutdown().await;

        let limit = self.config.drain;
        tracing::info!(?limit, "draining");
        workers.iter().for_each(|worker| worker.drain(limit));
        // Every thread is waited for, whatever the first one says.
        let cut_off = tokio::task::spawn_blocking(move || workers.iter().filter(|worker| !worker.join()).count());
        Ok(if cut_off.await.is_ok_and(|workers| workers == 0) { Ended::Drained } else { Ended::CutOff })
    }
}

/// What a proxy is built from.
#[derive(Debug, Default)]
pub struct ProxyBuilder {
    config: Option<Config>,
    services: Services,
    hooks: Hooks,
}

impl ProxyBuilder {
    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Answers these services in the process itself; the routes have what is left.
    #[must_use]
    pub fn services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// Lets `hook` see messages on their way, after the hooks that were added before.
    #[must_use]
    pub fn hook(mut self, hook: impl Hook + 'static) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// There is no configuration, an IDL can't be served, or an address can't be bound.
    pub fn build(self) -> Result<Proxy, ProxyError> {
        let config = self.config.ok_or(ProxyError::NoConfig)?;
        let gateways = config.listeners.iter().map(gateway).collect::<Result<Vec<_>, _>>()?;
        let bind = |(index, listener): (usize, &crate::config::Listener)| {
            Listening::bind(index, listener)
                .and_then(|listening| Ok((listening.local_addr()?, listening)))
                .map_err(|source| ProxyError::Bind { listener: listener.name.clone(), bind: listener.bind, source })
        };
        let bound = config.listeners.iter().enumerate().map(bind).collect::<Result<Vec<_>, _>>()?;
        let (local_addrs, listening) = bound.into_iter().unzip();
        let counters = || Arc::new(Counters::with_routes(config.routes.len()));
        Ok(Proxy {
            services: Arc::new(self.services),
            hooks: self.hooks,
            routes: RouteTable::new(&config),
            listening,
            local_addrs,
            counters: (0..config.workers).map(|_| counters()).collect(),
            accepting: counters(),
            reloads: gateways.iter().map(|_| counters()).collect(),
            gateways,
            config: Arc::new(config),
        })
    }
}

/// What a listener serves, if it is one of HTTP.
fn gateway(listener: &crate::config::Listener) -> Result<Option<Arc<Gateway>>, ProxyError> {
    let gateway = listener.gateway.as_ref().map(Gateway::new).transpose();
    gateway
        .map(|gateway| gateway.map(Arc::new))
        .map_err(|error| ProxyError::Idl { listener: listener.name.clone(), text: error.to_string() })
}
