use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::accept::{Listening, Worker, accept};
use crate::config::Config;
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
    counters: Vec<Arc<Counters>>,
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
    /// A worker thread can't be started, or a listener can't be used.
    #[error("can't start: {0}")]
    Start(#[from] io::Error),
}

impl Proxy {
    /// Begins a proxy.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the listeners are bound, in the order of the configuration.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// A reader of the counters that can be kept while the proxy runs.
    #[must_use]
    pub fn totals(&self) -> impl Fn() -> Totals + Send + Sync + Clone + 'static {
        let counters = self.counters.clone();
        move || {
            let mut totals = Totals::default();
            counters.iter().for_each(|worker| totals.add(worker));
            totals
        }
    }

    /// Serves until `shutdown` is ready, then drains: no new connections, calls in flight are finished, headers tell
    /// callers to go (pingpong-wire 8.9). Dropping the future stops at once.
    ///
    /// # Errors
    ///
    /// A worker can't be started, or a listener can't be used.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Ended, ProxyError> {
        let routes = RouteTable::new(&self.config);
        let (acceptor, per_worker) = self.counters.split_first().ok_or(ProxyError::NoConfig)?;
        let workers = per_worker.iter().enumerate().map(|(index, counters)| {
            let (config, routes, counters) = (Arc::clone(&self.config), Arc::clone(&routes), Arc::clone(counters));
            Worker::start(index, move || Pipeline::new(config, routes, counters))
        });
        let workers: Arc<[Worker]> = workers.collect::<io::Result<Vec<_>>>()?.into();

        let mut accepting = tokio::task::JoinSet::new();
        for (listening, addr) in self.listening.into_iter().zip(&self.local_addrs) {
            tracing::info!(listener = listening.name(), %addr, "listening");
            accepting.spawn(accept(listening, Arc::clone(&workers), Arc::clone(acceptor)));
        }
        tokio::select! {
            () = shutdown => {}
            Some(Ok(Err(error))) = accepting.join_next() => return Err(error.into()),
        }
        accepting.shutdown().await;

        let limit = self.config.drain;
        tracing::info!(?limit, "draining");
        workers.iter().for_each(|worker| worker.drain(limit));
        let joined =
            tokio::task::spawn_blocking(move || workers.iter().map(Worker::join).fold(true, |all, one| all && one));
        Ok(if joined.await.unwrap_or(false) { Ended::Drained } else { Ended::CutOff })
    }
}

/// What a proxy is built from.
#[derive(Debug, Default)]
pub struct Builder {
    config: Option<Config>,
}

impl Builder {
    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// There is no configuration, or an address can't be bound.
    pub fn build(self) -> Result<Proxy, ProxyError> {
        let config = self.config.ok_or(ProxyError::NoConfig)?;
        let bind = |(index, listener): (usize, &crate::config::Listener)| {
            Listening::bind(index, listener)
                .and_then(|listening| Ok((listening.local_addr()?, listening)))
                .map_err(|source| ProxyError::Bind { listener: listener.name.clone(), bind: listener.bind, source })
        };
        let bound = config.listeners.iter().enumerate().map(bind).collect::<Result<Vec<_>, _>>()?;
        let (local_addrs, listening) = bound.into_iter().unzip();
        // The first is the acceptor's, so that each has one writer.
        let counters = (0..=config.workers).map(|_| Arc::new(Counters::with_routes(config.routes.len()))).collect();
        Ok(Proxy { config: Arc::new(config), listening, local_addrs, counters })
    }
}
