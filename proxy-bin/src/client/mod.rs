//! A caller: one backend, asked in any protocol that the proxy speaks, over the drivers that it forwards with. What goes
//! and comes is the bytes of arguments and results; what they mean is for a codec such as `thrift-generic`.

mod invocation;
mod stream;

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thrift_codec::{ApplicationException, ErrorProto, Version};
use ttheader::{IntKey, keys};

pub use invocation::Invocation;
pub use stream::ClientStream;

use crate::config::{self, defaults};
use crate::rpc::stream::{Codec, Metadata, StreamOutcome, is_own};
use crate::rpc::{
    Call, Downstream, Fault, FaultKind, Message, Outcome, Reply as Answer, StreamPool, StreamTransport, Transport,
};
use crate::telemetry::Counters;
use crate::upstream::Cluster;
use crate::wire::meter::Meter;
use crate::wire::pingpong::compose::{self, Request};

/// Calls one backend. Its connections are kept for the next call; it belongs to the thread that made it.
///
/// It has to live in a runtime whose tasks need not be `Send`: tokio's local runtime, or a `LocalSet`.
///
/// ```no_run
/// use proxy::client::{Client, Invocation};
/// use proxy::rpc::Transport;
/// use tokio::runtime::{Builder, LocalOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
/// let reply = runtime.block_on(async {
///     let client = Client::builder("127.0.0.1:8888").calls_over(Transport::Framed).build();
///     // struct echo_args { 1: string msg } with "hi"
///     client.call(&Invocation::new("EchoService", "echo"), b"\x0b\0\x01\0\0\0\x02hi\0").await
/// })?;
/// println!("{:?}", reply.map(|reply| reply.body));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    cluster: Rc<Cluster>,
    downstream: Rc<Downstream>,
    over_grpc: bool,
    streaming: StreamTransport,
    max_message: usize,
    seqid: Cell<i32>,
}

/// What a call came back with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// How it turned out. A declared exception counts as well: it is one of the results that the body may hold.
    pub outcome: StreamOutcome,
    /// The struct of the result, or the Protobuf message; empty where the outcome says something else.
    pub body: Bytes,
    /// What came in front of the body.
    pub headers: Metadata,
    /// What came behind it; over gRPC alone.
    pub trailers: Metadata,
}

impl Client {
    /// Begins a client of the backend at `address`, `host:port`.
    #[must_use]
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            address: address.into(),
            calls: Transport::TtHeader,
            streams: StreamTransport::TtStream,
            connect_timeout: defaults::CONNECT_TIMEOUT,
            max_message: defaults::MAX_MESSAGE,
        }
    }

    /// Calls a method and awaits its reply: none where it is oneway. `body` is the struct of the arguments, or the
    /// Protobuf message.
    ///
    /// # Errors
    ///
    /// No reply came, or none that makes sense; what the backend itself says is a [`Reply`].
    pub async fn call(&self, invocation: &Invocation, body: &[u8]) -> Result<Option<Reply>, Fault> {
        let deadline = invocation.timeout.and_then(|time| Instant::now().checked_add(time));
        if self.over_grpc {
            return self.call_over_grpc(invocation, body, deadline).await;
        }
        let mut call = Call::new(self.request(invocation, body)?, Rc::clone(&self.downstream));
        call.deadline = deadline;
        let version = call.message.shape().version;
        let answer = async {
            let Answer::Message(mut message) = self.cluster.call(call).await? else { return Ok(None) };
            let broke = |error| Fault::sent(FaultKind::UpstreamClosed, format!("the reply broke off: {error}"));
            message.collect().await.map_err(broke)?;
            Reply::of(&message, version).map(Some)
        };
        within(deadline, invocation.timeout, answer).await
    }

    /// Opens a stream. Messages are bare structs over ttstream and gRPC, or Protobuf messages over gRPC.
    ///
    /// # Errors
    ///
    /// The backend can't be reached, or a name has no form in the protocol.
    pub async fn open(&self, invocation: &Invocation) -> Result<ClientStream, Fault> {
        let deadline = invocation.timeout.and_then(|time| Instant::now().checked_add(time));
        self.open_over(self.streaming, invocation, deadline).await
    }

    async fn open_over(
        &self,
        transport: StreamTransport,
        invocation: &Invocation,
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Fault> {
        let mut head = Box::new(invocation.head(transport, &self.downstream)?);
        head.deadline = deadline;
        let opening = self.cluster.open_over(transport, head);
        let side = within(deadline, invocation.timeout, opening).await?;
        Ok(ClientStream::new(side, self.max_message, deadline.zip(invocation.timeout)))
    }

    async fn call_over_grpc(
        &self,
        invocation: &Invocation,
        body: &[u8],
        deadline: Option<Instant>,
    ) -> Result<Option<Reply>, Fault> {
        let stream = self.open_over(StreamTransport::Grpc, invocation, deadline).await?;
        // What refuses it says why in its answer.
        let _refused = stream.send_last(Bytes::copy_from_slice(body)).await;
        let first = stream.recv().await?;
        if first.is_some() && stream.recv().await?.is_some() {
            return Err(Fault::sent(FaultKind::BadReply, "a unary call was answered with more than one message"));
        }
        let outcome = stream.outcome().unwrap_or(StreamOutcome::Ok);
        let body = match first {
            Some(body) => body,
            None if outcome == StreamOutcome::Ok && !invocation.oneway => {
                return Err(Fault::sent(FaultKind::BadReply, "a unary call was answered without a message"));
            }
            None => Bytes::new(),
        };
        let reply = Reply { outcome, body, headers: stream.headers(), trailers: stream.trailers() };
        // What a framework says to a oneway call is an answer, too.
        Ok(Some(reply).filter(|reply| !invocation.oneway || reply.outcome != StreamOutcome::Ok))
    }

    fn request(&self, invocation: &Invocation, body: &[u8]) -> Result<Message, Fault> {
        let timeout = invocation.timeout.map(|time| time.as_millis().max(1).to_string());
        let mut ints: Vec<(IntKey, &[u8])> = Vec::new();
        for (key, value) in [
            (IntKey::FROM_SERVICE, invocation.caller.as_deref()),
            (IntKey::LOG_ID, invocation.log_id.as_deref()),
            (IntKey::RPC_TIMEOUT, timeout.as_deref()),
        ] {
            ints.extend(value.map(|value| (key, value.as_bytes())));
        }
        let request = Request {
            service: invocation.service.as_bytes(),
            method: invocation.method.as_bytes(),
            version: match invocation.codec {
                Codec::Thrift => Version::THRIFT,
                _ => Version::KITEX_PROTOBUF,
            },
            oneway: invocation.oneway,
            seqid: self.next_seqid(),
            ints: &ints,
        };
        let pairs = invocation.metadata.iter().map(|(key, value)| (&**key, &**value));
        Ok(compose::request(&request, pairs, body)?)
    }

    /// Numbers calls from 1 on; zero is none.
    fn next_seqid(&self) -> i32 {
        let next = self.seqid.get().checked_add(1).unwrap_or(1);
        self.seqid.set(next);
        next
    }
}

impl Reply {
    /// What a reply says whose call was of this codec.
    fn of(message: &Message, version: Version) -> Result<Self, Fault> {
        let value = |key| message.header().and_then(|header| header.string(key)).map(Bytes::copy_from_slice);
        let outcome = match message.outcome() {
            Outcome::Exception => exception(message)?,
            Outcome::BusinessError(status) => StreamOutcome::Business {
                status,
                message: value(keys::BIZ_MESSAGE).unwrap_or_default(),
                extra: value(keys::BIZ_EXTRA).filter(|extra| !extra.is_empty()),
            },
            Outcome::Success | Outcome::DeclaredException if message.shape().version != version => {
                return Err(Fault::sent(FaultKind::BadReply, "the reply is none of the call's codec"));
            }
            Outcome::Success | Outcome::DeclaredException => StreamOutcome::Ok,
        };
        let body = match outcome {
            StreamOutcome::Ok => message.payload().slice(message.shape().envelope_len()..),
            _ => Bytes::new(),
        };
        let pairs = message.header().into_iter().flat_map(|header| header.strings());
        let part = |bytes: &[u8]| message.frame().slice_ref(bytes);
        let pairs = pairs.filter(|(key, _)| !is_own(key)).map(|(key, value)| (part(key), part(value))).collect();
        Ok(Self { outcome, body, headers: Metadata::Pairs(pairs), trailers: Metadata::default() })
    }
}

fn exception(message: &Message) -> Result<StreamOutcome, Fault> {
    let parsed = match message.shape().version {
        Version::KITEX_PROTOBUF => ErrorProto::parse(message.body()).map(|error| (error.code, error.message)),
        _ => ApplicationException::parse(message.body()).map(|error| (error.code, error.message)),
    };
    match parsed {
        Ok((code, text)) => Ok(StreamOutcome::Exception { code, message: Bytes::copy_from_slice(text) }),
        Err(error) => Err(Fault::sent(FaultKind::BadReply, format!("unreadable exception: {error}"))),
    }
}

/// Awaits `work` until the deadline.
async fn within<T>(
    deadline: Option<Instant>,
    time: Option<Duration>,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let Some(deadline) = deadline else { return work.await };
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(done) => done,
        Err(_) => Err(Fault::sent(FaultKind::Timeout, timed_out(time.unwrap_or_default()))),
    }
}

/// What a caller is told once its time is over.
fn timed_out(time: Duration) -> String {
    format!("timeout: no answer within {time:?}")
}

/// How a client asks its backend.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    address: String,
    calls: Transport,
    streams: StreamTransport,
    connect_timeout: Duration,
    max_message: u64,
}

impl ClientBuilder {
    /// What calls are spoken in; TTHeader where it is not said.
    #[must_use]
    pub fn calls_over(mut self, transport: Transport) -> Self {
        self.calls = transport;
        self
    }

    /// What streams are spoken in; TTHeader Streaming where it is not said.
    #[must_use]
    pub fn streams_over(mut self, transport: StreamTransport) -> Self {
        self.streams = transport;
        self
    }

    /// How long connecting may take.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// The largest reply or message in bytes.
    #[must_use]
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.max_message = bytes;
        self
    }

    /// The client. Nothing is connected yet.
    #[must_use]
    pub fn build(self) -> Client {
        let cluster = config::Cluster {
            name: "client".to_owned(),
            endpoints: vec![config::Endpoint { address: self.address, weight: defaults::WEIGHT }],
            pingpong: Some(self.calls),
            streaming: Some(self.streams),
            mux: false,
            package: None,
            stream_pool: StreamPool::Long,
            rst: true,
            stream_budget: defaults::STREAM_BUDGET,
            keepalive: defaults::CLUSTER_KEEPALIVE,
            max_connection_age: None,
            connect_timeout: self.connect_timeout,
            idle_timeout: defaults::IDLE_TIMEOUT,
            read_timeout: defaults::READ_TIMEOUT,
            write_timeout: defaults::WRITE_TIMEOUT,
            max_message: self.max_message,
            cut_through: u64::MAX,
        };
        let worker = Rc::new(Meter::new(usize::MAX, None));
        let mut downstream = Downstream::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), String::new(), None);
        // The calls are this process's own: no `rip`.
        downstream.peer_text.clear();
        Client {
            cluster: Rc::new(Cluster::new(&cluster, defaults::NAME, &worker, &Arc::new(Counters::default()))),
            downstream: Rc::new(downstream),
            over_grpc: self.calls == Transport::Grpc,
            streaming: self.streams,
            max_message: usize::try_from(self.max_message).unwrap_or(usize::MAX),
            seqid: Cell::new(0),
        }
    }
}
