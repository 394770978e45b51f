//! The driver of a caller's HTTP connection: HTTP/1.1 and HTTP/2 in clear text by hyper, each request one call. The gateway
//! says what a request is, and what a reply becomes.

mod body;
mod connection;
mod exchange;
mod io;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::gateway::Gateway;
use crate::wire::meter::Meter;

pub(crate) use connection::{HttpVersion, serve};

/// What a listener says of its HTTP connections.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) gateway: Arc<Gateway>,
    /// What the proxy calls itself towards backends.
    pub(crate) name: String,
    /// Of a request, unpacked, in bytes.
    pub(crate) max_body: usize,
    pub(crate) max_streams: u32,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) keepalive: Duration,
    /// What the requests of a worker may hold.
    pub(crate) worker: Rc<Meter>,
}
