//! The TOML file as it is written, and the way from there to a checked [`Config`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::config::gateway::{self, FileProfile};
use crate::config::units::{Size, Time};
use crate::config::{Cluster, Config, Endpoint, Listener, Pattern, Route, defaults};
use crate::rpc::{Protocol, StreamPool, StreamTransport, Transport};

/// What is wrong, and in which line.
pub(crate) struct FileError {
    pub(crate) line: Option<usize>,
    pub(crate) text: String,
}

/// Reads and checks `text`.
pub(crate) fn parse(text: &str, base: &Path) -> Result<Config, FileError> {
    let file: File = toml::from_str(text).map_err(|error| FileError {
        line: error.span().map(|span| line_of(text, &span)),
        text: error.message().to_owned(),
    })?;
    file.check(base).map_err(|wrong| FileError { line: wrong.span.map(|span| line_of(text, &span)), text: wrong.text })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    workers: Option<Spanned<usize>>,
    drain: Option<Time>,
    stream_memory: Option<Size>,
    #[serde(default)]
    listener: Vec<Spanned<FileListener>>,
    #[serde(default)]
    route: Vec<Spanned<FileRoute>>,
    #[serde(default)]
    cluster: BTreeMap<String, Spanned<FileCluster>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileListener {
    name: Option<String>,
    bind: SocketAddr,
    protocols: Option<Vec<Protocol>>,
    service: Option<String>,
    max_message: Option<Size>,
    cut_through: Option<Size>,
    #[serde(default)]
    strip_business_errors: bool,
    max_in_flight: Option<usize>,
    max_connections: Option<usize>,
    sniff_timeout: Option<Time>,
    read_timeout: Option<Time>,
    write_timeout: Option<Time>,
    half_close_timeout: Option<Time>,
    max_streams: Option<u32>,
    keepalive: Option<Time>,
    #[serde(default)]
    kitex_status: bool,
    stream_budget: Option<Size>,
    idle_timeout: Option<Time>,
    rst: Option<bool>,
    idl: Option<PathBuf>,
    proto: Option<PathBuf>,
    descriptor_set: Option<PathBuf>,
    #[serde(default)]
    include: Vec<PathBuf>,
    profile: Option<FileProfile>,
    base64: Option<bool>,
    i64_as_string: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRoute {
    name: Option<String>,
    listener: Option<Spanned<String>>,
    service: Option<String>,
    method: Option<String>,
    caller: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    cluster: Spanned<String>,
    timeout: Option<Time>,
    #[serde(default)]
    unary: Vec<String>,
    first_message_timeout: Option<Time>,
    stream_idle_timeout: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCluster {
    endpoints: Vec<Spanned<FileEndpoint>>,
    pingpong: Option<Transport>,
    streaming: Option<StreamTransport>,
    #[serde(default)]
    mux: bool,
    package: Option<String>,
    stream_pool: Option<StreamPool>,
    rst: Option<bool>,
    stream_budget: Option<Size>,
    keepalive: Option<Time>,
    max_connection_age: Option<Time>,
    connect_timeout: Option<Time>,
    idle_timeout: Option<Time>,
    read_timeout: Option<Time>,
    write_timeout: Option<Time>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected \"host:port\" or { address = \"host:port\", weight = 10 }"
)]
enum FileEndpoint {
    Address(String),
    Weighted { address: String, weight: u32 },
}

/// What a check found, and where.
struct Wrong {
    span: Option<Range<usize>>,
    text: String,
}

impl Wrong {
    fn at(span: Range<usize>, text: impl Into<String>) -> Self {
        Self { span: Some(span), text: text.into() }
    }
}

impl File {
    fn check(self, base: &Path) -> Result<Config, Wrong> {
        let workers = match self.workers {
            Some(workers) if *workers.get_ref() == 0 => {
                return Err(Wrong::at(workers.span(), "workers = 0, expected at least 1"));
            }
            Some(workers) => workers.into_inner(),
            None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        };
        if self.listener.is_empty() {
            return Err(Wrong {
                span: None,
                text: "no [[listener]], expected at least one with bind = \"host:port\"".into(),
            });
        }
        let listeners =
            self.listener.into_iter().map(|listener| check_listener(listener, base)).collect::<Result<Vec<_>, _>>()?;
        for (index, listener) in listeners.iter().enumerate() {
            if listeners.iter().skip(index.saturating_add(1)).any(|other| other.name == listener.name) {
                return Err(Wrong { span: None, text: format!("two listeners are called `{}`", listener.name) });
            }
        }
        // A reply may be as long as the most generous listener lets a request be.
        let max_message = listeners.iter().map(|listener| listener.max_message).max().unwrap_or(defaults::MAX_MESSAGE);
        let cut_through = listeners.iter().map(|listener| listener.cut_through).min().unwrap_or(defaults::CUT_THROUGH);
        let clusters = self
            .cluster
            .into_iter()
            .map(|(name, cluster)| check_cluster(name, cluster, max_message, cut_through))
            .collect::<Result<Vec<_>, _>>()?;
        let routes = self
            .route
            .into_iter()
            .enumerate()
            .map(|(index, route)| check_route(index, route, &listeners, &clusters))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Config {
            name: self.name.unwrap_or_else(|| defaults::NAME.into()),
            workers,
            drain: time(self.drain, defaults::DRAIN),
            stream_memory: size(self.stream_memory, defaults::STREAM_MEMORY),
            listeners,
            routes,
            clusters,
        })
    }
}

fn check_listener(listener: Spanned<FileListener>, base: &Path) -> Result<Listener, Wrong> {
    let span = listener.span();
    let file = listener.into_inner();
    if file.protocols.as_ref().is_some_and(Vec::is_empty) {
        return Err(Wrong::at(span, "protocols is empty, expected at least one (left out: all)"));
    }
    if file.max_in_flight == Some(0) || file.max_connections == Some(0) || file.max_streams == Some(0) {
        return Err(Wrong::at(span, "max_in_flight, max_connections and max_streams: expected at least 1"));
    }
    let protocols = file.protocols.unwrap_or_else(|| Protocol::SNIFFED.to_vec());
    let keys = gateway::Keys {
        idl: file.idl,
        proto: file.proto,
        descriptor_set: file.descriptor_set,
        include: file.include,
        profile: file.profile,
        base64: file.base64,
        i64_as_string: file.i64_as_string,
    };
    let gateway = keys.check(&protocols, base).map_err(|text| Wrong::at(span, text))?;
    Ok(Listener {
        name: file.name.unwrap_or_else(|| file.bind.to_string()),
        bind: file.bind,
        protocols,
        service: file.service,
        max_message: size(file.max_message, defaults::MAX_MESSAGE),
        cut_through: size(file.cut_through, defaults::CUT_THROUGH),
        strip_business_errors: file.strip_business_errors,
        max_in_flight: file.max_in_flight.unwrap_or(defaults::MAX_IN_FLIGHT),
        max_connections: file.max_connections.unwrap_or(defaults::MAX_CONNECTIONS),
        sniff_timeout: time(file.sniff_timeout, defaults::SNIFF_TIMEOUT),
        read_timeout: time(file.read_timeout, defaults::READ_TIMEOUT),
        write_timeout: time(file.write_timeout, defaults::WRITE_TIMEOUT),
        half_close_timeout: time(file.half_close_timeout, defaults::HALF_CLOSE_TIMEOUT),
        max_streams: file.max_streams.unwrap_or(defaults::MAX_STREAMS),
        keepalive: time(file.keepalive, defaults::LISTENER_KEEPALIVE),
        kitex_status: file.kitex_status,
        stream_budget: size(file.stream_budget, defaults::STREAM_BUDGET),
        idle_timeout: time(file.idle_timeout, defaults::LISTENER_IDLE_TIMEOUT),
        rst: file.rst.unwrap_or(true),
        gateway,
    })
}

fn check_cluster(
    name: String,
    cluster: Spanned<FileCluster>,
    max_message: u64,
    cut_through: u64,
) -> Result<Cluster, Wrong> {
    let span = cluster.span();
    let file = cluster.into_inner();
    if file.endpoints.is_empty() {
        return Err(Wrong::at(span, format!("cluster {name}: endpoints is empty, expected [\"host:port\"]")));
    }
    if file.rst == Some(false) && file.stream_pool == Some(StreamPool::Mux) {
        let text = "rst = false, expected no stream_pool = \"mux\" with it: a stream that can't be reset needs a connection to close";
        return Err(Wrong::at(span, format!("cluster {name}: {text}")));
    }
    Ok(Cluster {
        endpoints: file.endpoints.into_iter().map(check_endpoint).collect::<Result<_, _>>()?,
        name,
        pingpong: file.pingpong,
        streaming: file.streaming,
        mux: file.mux,
        package: file.package,
        stream_pool: file.stream_pool.unwrap_or_default(),
        rst: file.rst.unwrap_or(true),
        stream_budget: size(file.stream_budget, defaults::STREAM_BUDGET),
        keepalive: time(file.keepalive, defaults::CLUSTER_KEEPALIVE),
        max_connection_age: file.max_connection_age.map(|time| time.0),
        connect_timeout: time(file.connect_timeout, defaults::CONNECT_TIMEOUT),
        idle_timeout: time(file.idle_timeout, defaults::IDLE_TIMEOUT),
        read_timeout: time(file.read_timeout, defaults::READ_TIMEOUT),
        write_timeout: time(file.write_timeout, defaults::WRITE_TIMEOUT),
        max_message,
        cut_through,
    })
}

fn check_endpoint(endpoint: Spanned<FileEndpoint>) -> Result<Endpoint, Wrong> {
    let span = endpoint.span();
    let (address, weight) = match endpoint.into_inner() {
        FileEndpoint::Address(address) => (address, defaults::WEIGHT),
        FileEndpoint::Weighted { address, weight } => (address, weight),
    };
    let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok()));
    if !matches!(port, Some(Some(1..))) {
        return Err(Wrong::at(span, format!("endpoint `{address}`, expected host:port")));
    }
    if weight == 0 {
        return Err(Wrong::at(span, format!("endpoint {address}: weight = 0, expected at least 1")));
    }
    Ok(Endpoint { address, weight })
}

fn check_route(
    index: usize,
    route: Spanned<FileRoute>,
    listeners: &[Listener],
    clusters: &[Cluster],
) -> Result<Route, Wrong> {
    let file = route.into_inner();
    if let Some(name) = &file.listener
        && !listeners.iter().any(|listener| listener.name == *name.get_ref())
    {
        let known = listeners.iter().map(|listener| listener.name.as_str());
        return Err(Wrong::at(name.span(), unknown("listener", name.get_ref(), known)));
    }
    let wanted = file.cluster.get_ref();
    let Some(cluster) = clusters.iter().position(|cluster| cluster.name == *wanted) else {
        let known = clusters.iter().map(|cluster| cluster.name.as_str());
        return Err(Wrong::at(file.cluster.span(), unknown("cluster", wanted, known)));
    };
    let pattern = |text: Option<String>| text.as_deref().map(Pattern::parse).unwrap_or_default();
    Ok(Route {
        name: file.name.unwrap_or_else(|| format!("#{}", index.saturating_add(1))),
        listener: file.listener.map(Spanned::into_inner),
        service: pattern(file.service),
        method: pattern(file.method),
        caller: pattern(file.caller),
        metadata: file.metadata.into_iter().map(|(key, value)| (key, Pattern::parse(&value))).collect(),
        cluster,
        timeout: file.timeout.map(|time| time.0),
        unary: file.unary,
        first_message_timeout: file.first_message_timeout.map(|time| time.0),
        stream_idle_timeout: file.stream_idle_timeout.map(|time| time.0),
    })
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("unknown {what} `{name}`, expected one of: {known}")
}

fn time(file: Option<Time>, default: std::time::Duration) -> std::time::Duration {
    file.map_or(default, |time| time.0)
}

fn size(file: Option<Size>, default: u64) -> u64 {
    file.map_or(default, |size| size.0)
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.get(..span.start).unwrap_or_default().matches('\n').count().saturating_add(1)
}
