//! The configuration: a file model that knows TOML (`file`), and this checked form that the stages are built from.

mod file;
mod gateway;
pub(crate) mod units;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub use gateway::{Gateway, IdlKind};

use crate::rpc::{Protocol, StreamPool, StreamTransport, Transport};

/// A configuration that has been checked: every reference resolves, every number is in range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the proxy calls itself in a cancel path (`ttscp`).
    pub name: String,
    /// Worker threads, each with its own connections to every backend.
    pub workers: usize,
    /// How long calls in flight may take once the proxy is told to stop.
    pub drain: Duration,
    /// What the ttstream streams of one worker may hold for peers that do not take it, in bytes.
    pub stream_memory: u64,
    /// Where callers connect.
    pub listeners: Vec<Listener>,
    /// Where calls go; the first that matches wins.
    pub routes: Vec<Route>,
    /// The backends.
    pub clusters: Vec<Cluster>,
}

/// Where callers connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// What routes and logs call it; the address where the file gives no name.
    pub name: String,
    /// The address; port 0 takes a free one.
    pub bind: SocketAddr,
    /// What may be spoken.
    pub protocols: Vec<Protocol>,
    /// The service of calls that carry none.
    pub service: Option<String>,
    /// The largest message in bytes, its header apart.
    pub max_message: u64,
    /// From here on, in bytes, a message is handed on before all of it has arrived.
    pub cut_through: u64,
    /// Whether a business error that can't travel becomes an empty success, as from a Kitex server, not an exception.
    pub strip_business_errors: bool,
    /// Calls in flight on one connection.
    pub max_in_flight: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long a new connection may take to say what it speaks.
    pub sniff_timeout: Duration,
    /// How long a message may pause inside.
    pub read_timeout: Duration,
    /// How long a caller may not take what is written to it.
    pub write_timeout: Duration,
    /// How long calls in flight are finished for a caller that has closed its sending side.
    pub half_close_timeout: Duration,
    /// gRPC streams at a time on one connection.
    pub max_streams: u32,
    /// How long a gRPC connection may be silent before it is asked whether it is still there.
    pub keepalive: Duration,
    /// Whether an unknown service or method is answered over gRPC as a Kitex server does (20, 1), not with 12.
    pub kitex_status: bool,
    /// What a ttstream stream may hold for a backend that does not take it, in bytes.
    pub stream_budget: u64,
    /// How long a ttstream connection is kept without a stream.
    pub idle_timeout: Duration,
    /// Whether ttstream callers understand rst frames, as Kitex does from 0.15 on.
    pub rst: bool,
    /// What an HTTP listener serves; none where other protocols are spoken.
    pub gateway: Option<Gateway>,
}

/// One rule of the route table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// What logs call it; its place in the file where it has no name.
    pub name: String,
    /// Only calls of this listener.
    pub listener: Option<String>,
    /// Only this service.
    pub service: Pattern,
    /// Only this method.
    pub method: Pattern,
    /// Only this caller.
    pub caller: Pattern,
    /// Only calls whose header has these string keys with these values.
    pub metadata: Vec<(String, Pattern)>,
    /// Index of the cluster in [`Config::clusters`].
    pub cluster: usize,
    /// How long a call or stream may take; a shorter deadline of the caller holds.
    pub timeout: Option<Duration>,
    /// Methods that are unary, and so can cross between gRPC and ping-pong.
    pub unary: Vec<String>,
    /// How long the first message of a stream's backend may take.
    pub first_message_timeout: Option<Duration>,
    /// How long nothing may move on a stream.
    pub stream_idle_timeout: Option<Duration>,
}

/// Backends that are the same to a caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cluster {
    /// What routes and logs call it.
    pub name: String,
    /// The backends.
    pub endpoints: Vec<Endpoint>,
    /// What ping-pong calls are spoken in; as the caller spoke where it is left out.
    pub pingpong: Option<Transport>,
    /// What streams are spoken in; as the caller spoke where it is left out.
    pub streaming: Option<StreamTransport>,
    /// Whether many calls share a connection.
    pub mux: bool,
    /// The package of services whose streams come without one (ttstream) and leave as gRPC.
    pub package: Option<String>,
    /// How ttstream streams share connections.
    pub stream_pool: StreamPool,
    /// Whether the backends understand rst frames, as Kitex does from 0.15 on.
    pub rst: bool,
    /// What a ttstream stream may hold for a caller that does not take it, in bytes.
    pub stream_budget: u64,
    /// How long a gRPC connection with streams may be silent before it is asked whether it is still there.
    pub keepalive: Duration,
    /// How long a gRPC connection takes new streams.
    pub max_connection_age: Option<Duration>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How long a reply may pause inside.
    pub read_timeout: Duration,
    /// How long a backend may not take what is written to it.
    pub write_timeout: Duration,
    /// The largest reply in bytes, its header apart.
    pub max_message: u64,
    /// From here on, in bytes, a reply is handed on before all of it has arrived.
    pub cut_through: u64,
}

/// One backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// `host:port`.
    pub address: String,
    /// Its share of the calls, beside the others' weights.
    pub weight: u32,
}

/// What a name has to be: anything, one name, or any with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pattern {
    /// Anything, and nothing.
    #[default]
    Any,
    /// This name.
    Exact(String),
    /// Names that begin so.
    Prefix(String),
}

impl Pattern {
    /// `prefix*`, else an exact name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => name == exact.as_bytes(),
            Self::Prefix(prefix) => name.starts_with(prefix.as_bytes()),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    ///
    /// The file can't be read, or says something wrong: the text names file, line, key and what was expected.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError { file: name.clone(), text: format!("can't be read: {error}") })?;
        Self::parse(&text, &name)
    }

    /// Reads and checks `text`; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        // Paths in a file are seen from where it lies.
        let base = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
        file::parse(text, base).map_err(|error| ConfigError {
            file: error.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")),
            text: error.text,
        })
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {text}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, with the line where one is to blame.
    pub file: String,
    /// What is wrong, and what was expected.
    pub text: String,
}

/// The values of everything that a file leaves out.
pub mod defaults {
    use std::time::Duration;

    /// `name`
    pub const NAME: &str = "proxy";
    /// `drain`
    pub const DRAIN: Duration = Duration::from_secs(10);
    /// `max_message`, bytes
    pub const MAX_MESSAGE: u64 = 16 << 20;
    /// `cut_through`, bytes
    pub const CUT_THROUGH: u64 = 64 << 10;
    /// `max_in_flight`, calls of a connection
    pub const MAX_IN_FLIGHT: usize = 1024;
    /// `max_connections`, of a listener
    pub const MAX_CONNECTIONS: usize = 65_536;
    /// `sniff_timeout`
    pub const SNIFF_TIMEOUT: Duration = Duration::from_secs(5);
    /// `read_timeout`
    pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
    /// `write_timeout`
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
    /// `half_close_timeout`
    pub const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
    /// `max_streams`, of a connection
    pub const MAX_STREAMS: u32 = 256;
    /// `keepalive` of a listener
    pub const LISTENER_KEEPALIVE: Duration = Duration::from_secs(2 * 3600);
    /// `keepalive` of a cluster: a Kitex server lets itself be asked every 5 min
    pub const CLUSTER_KEEPALIVE: Duration = Duration::from_secs(360);
    /// `idle_timeout` of a listener
    pub const LISTENER_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
    /// `stream_memory`, bytes, of a worker
    pub const STREAM_MEMORY: u64 = 256 << 20;
    /// `stream_budget`, bytes
    pub const STREAM_BUDGET: u64 = 4 << 20;
    /// `connect_timeout`
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    /// `idle_timeout`
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
    /// `profile`
    pub const PROFILE: thrift_generic::Profile = thrift_generic::Profile::Default;
    /// `base64`
    pub const BASE64: bool = true;
    /// `weight` of an endpoint
    pub const WEIGHT: u32 = 10;
}
