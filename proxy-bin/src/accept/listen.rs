//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::accept::worker::{Accepted, Worker};
use crate::config;
use crate::rpc;
use crate::telemetry::Counters;
use crate::wire::http2;

/// A bound listener that takes no connections yet.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: TcpListener,
    index: usize,
    name: String,
    max_connections: usize,
    /// Whether every caller speaks HTTP/2.
    http2: bool,
}

impl Listening {
    /// Binds the listener that is number `index` in the configuration.
    ///
    /// # Errors
    ///
    /// The address is taken or not ours.
    pub(crate) fn bind(index: usize, config: &config::Listener) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(config.bind), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&config.bind.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: socket.into(),
            index,
            name: config.name.clone(),
            max_connections: config.max_connections,
            http2: config.protocols == [rpc::Protocol::Grpc],
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Takes connections and hands each to the worker that has the fewest, for as long as it is polled.
///
/// # Errors
///
/// The socket can't be used at all; a connection that fails is passed over.
pub(crate) async fn accept(listening: Listening, workers: Arc<[Worker]>, counters: Arc<Counters>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listening.socket)?;
    let open = Arc::new(());
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: some come back when connections end.
                tracing::error!(listener = listening.name, %error, "can't accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if Arc::strong_count(&open) > listening.max_connections {
            counters.downstream_over_limit.add_one();
            if listening.http2 {
                // A Kitex client waits for ever where a connection ends without a word (streaming-wire B1). What does
                // not fit into an empty send buffer is not worth a wait.
                let _told = stream.try_write(&http2::FULL);
            }
            tracing::info!(%peer, listener = listening.name, "connection refused: over max_connections");
            continue;
        }
        let Ok(stream) = stream.into_std().and_then(tuned) else { continue };
        let accepted = Accepted { stream, peer, listener: listening.index, open: Arc::clone(&open) };
        if let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) {
            worker.hand(accepted);
        }
    }
}

fn tuned(stream: std::net::TcpStream) -> io::Result<std::net::TcpStream> {
    let socket = socket2::SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    // A caller that vanished without a word is noticed, as by a Kitex server (pingpong-wire 6.2).
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(stream)
}

const BACKLOG: i32 = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const KEEPALIVE: Duration = Duration::from_secs(600);
