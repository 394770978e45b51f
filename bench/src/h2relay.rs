//! The yardstick for gRPC: a relay of HTTP/2 streams on the `h2` crate and nothing else. One upstream connection per
//! downstream connection, one task per stream; header maps are handed on as they came, DATA as it arrives, and window is
//! given back once the other side has taken the bytes. It routes nothing, times nothing out, and a stream's error ends
//! that stream on both sides with the same reason.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that a peer may send on one stream before the other side has taken any.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// What small DATA frames may cost, so that many small messages are no abuse here.
const DATA_FRAME_BUDGET: usize = 64 << 20;

/// A relay to be run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct H2Relay {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the streams go.
    pub upstream: SocketAddr,
}

impl H2Relay {
    /// A relay from `listen` to `upstream`.
    #[must_use]
    pub fn new(listen: SocketAddr, upstream: SocketAddr) -> Self {
        Self { listen, upstream }
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

    async fn relay(self, downstream: TcpStream) -> io::Result<()> {
        downstream.set_nodelay(true)?;
        let mut server = h2::server::Builder::new();
        server.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        server.data_frame_budget(DATA_FRAME_BUDGET);
        let mut downstream = server.handshake::<_, Bytes>(downstream).await.map_err(io::Error::other)?;

        let upstream = TcpStream::connect(self.upstream).await?;
        upstream.set_nodelay(true)?;
        let mut client = h2::client::Builder::new();
        client.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        client.data_frame_budget(DATA_FRAME_BUDGET).enable_push(false);
        let (requests, connection) = client.handshake::<_, Bytes>(upstream).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Its streams hear of its end.
            let _ = connection.await;
        });
        while let Some(accepted) = downstream.accept().await {
            let (request, respond) = accepted.map_err(io::Error::other)?;
            tokio::spawn(stream(request, respond, requests.clone()));
        }
        Ok(())
    }
}

async fn stream(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, requests: SendRequest<Bytes>) {
    if let Err(error) = try_stream(request, &mut respond, requests).await {
        respond.send_reset(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
    }
}

async fn try_stream(
    request: Request<RecvStream>,
    respond: &mut SendResponse<Bytes>,
    requests: SendRequest<Bytes>,
) -> Result<(), h2::Error> {
    let mut requests = requests.ready().await?;
    let (head, body) = request.into_parts();
    let ended = body.is_end_stream();
    let (response, upstream) = requests.send_request(Request::from_parts(head, ()), ended)?;
    let up = async {
        if ended {
            return Ok(());
        }
        forward(body, upstream).await
    };
    let down = async {
        let (head, body) = response.await?.into_parts();
        let ended = body.is_end_stream();
        let downstream = respond.send_response(Response::from_parts(head, ()), ended)?;
        if ended {
            return Ok(());
        }
        forward(body, downstream).await
    };
    let (up, down) = join(up, down).await;
    down.and(up)
}

/// DATA and trailers of one direction.
async fn forward(mut from: RecvStream, mut to: SendStream<Bytes>) -> Result<(), h2::Error> {
    while let Some(data) = from.data().await {
        let mut data = match data {
            Ok(data) => data,
            Err(error) => {
                to.send_reset(error.reason().unwrap_or(Reason::CANCEL));
                return Err(error);
            }
        };
        let len = data.len();
        let end = from.is_end_stream();
        while !data.is_empty() {
            to.reserve_capacity(data.len());
            let mut room = to.capacity();
            if room == 0 {
                room = match std::future::poll_fn(|cx| to.poll_capacity(cx)).await {
                    Some(room) => room?,
                    None => return Err(Reason::CANCEL.into()),
                };
            }
            // The crate may wake a task whose capacity went to another stream meanwhile; an empty frame helps nobody.
            if room == 0 {
                continue;
            }
            let part = data.split_to(room.min(data.len()));
            let last = end && data.is_empty();
            to.send_data(part, last)?;
        }
        if end && len == 0 {
            to.send_data(Bytes::new(), true)?;
        }
        from.flow_control().release_capacity(len)?;
        if end {
            return Ok(());
        }
    }
    match from.trailers().await? {
        Some(trailers) => to.send_trailers(trailers),
        None => to.send_data(Bytes::new(), true),
    }
}
