//! The yardstick: a byte relay of tokio's `copy_bidirectional`, one task and one upstream connection per connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// A relay to be run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Relay {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the bytes go.
    pub upstream: SocketAddr,
    /// Bytes of the buffer in each direction.
    pub buffer: usize,
}

impl Relay {
    /// A relay from `listen` to `upstream`.
    #[must_use]
    pub fn new(listen: SocketAddr, upstream: SocketAddr, buffer: usize) -> Self {
        Self { listen, upstream, buffer }
    }

    /// Relays for `lifetime` on a current-thread runtime; `ready` hears where it listens.
    ///
    /// # Errors
    /// When the runtime cannot start or the address cannot be bound.
    pub fn run(self, lifetime: Duration, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let listener = TcpListener::bind(self.listen).await?;
            ready(listener.local_addr()?);
            match tokio::time::timeout(lifetime, self.accept(&listener)).await {
                Ok(result) => result,
                Err(_elapsed) => Ok(()),
            }
        })
    }

    async fn accept(self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let (downstream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A connection that breaks is the end of this connection only; the load generator counts it.
                let _ = self.relay(downstream).await;
            });
        }
    }

    async fn relay(self, mut downstream: TcpStream) -> io::Result<()> {
        let mut upstream = TcpStream::connect(self.upstream).await?;
        downstream.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        copy_bidirectional_with_sizes(&mut downstream, &mut upstream, self.buffer, self.buffer).await?;
        Ok(())
    }
}
