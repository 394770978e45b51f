//! The embedded backend: answers every call with its first argument, in the transport that the call came by, and every
//! message of a stream with itself.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use thrift_codec::{MessageHeader, MessageType, Version};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio_util::codec::Decoder as _;
use ttheader::IntKey;
use ttstream::stream::{Server, ServerEvent, Writes, opens};
use ttstream::{StreamEncoder, TtStreamCodec};

use crate::cli::demo::Seen;
use crate::cli::demo::caller::LIMITS;
use crate::config::defaults;
use crate::rpc::{Call, Downstream, Protocol};
use crate::sniff::{self, Verdict};
use crate::wire::conn::{Conn, Stall};
use crate::wire::http2::{self, Io};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::{Decoded, Decoder, Origin, Side, answer};

/// Starts the backend on a free port, in a thread of its own.
pub(crate) fn start(seen: Seen) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    std::thread::Builder::new()
        .name("echo-backend".into())
        .spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, peer) = listener.accept().await?;
                    let seen = Seen::clone(&seen);
                    tokio::task::spawn_local(async move {
                        if let Err(error) = serve(stream, peer, &seen).await {
                            tracing::debug!(%peer, %error, "echo backend: connection ended");
                        }
                    });
                }
            })
        })
        .map(|_thread: std::thread::JoinHandle<io::Result<()>>| addr)
}

async fn serve(stream: TcpStream, peer: SocketAddr, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let conn = Conn::new(stream);
    match sniff::read(&conn, defaults::SNIFF_TIMEOUT).await.map_err(io::Error::other)? {
        Verdict::Is(Protocol::TtStream) => ttstream(&conn, seen).await,
        Verdict::Is(Protocol::Grpc) => grpc(conn, seen).await,
        Verdict::Is(_) => pingpong(&conn, peer, seen).await,
        Verdict::Unknown | Verdict::NeedMore => Err(io::Error::other("unknown protocol")),
    }
}

/// Notes what a call or stream came by.
fn see(seen: &Seen, what: impl ToString) {
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.to_string());
}

async fn pingpong(conn: &Conn, peer: SocketAddr, seen: &Seen) -> io::Result<()> {
    let downstream = Rc::new(Downstream::new(peer, String::new(), None));
    let mut decoder = Decoder::new(Side::Requests, LIMITS);
    let mut outbox = Outbox::default();
    let mut want = 0;
    let mut stall = Stall::new(defaults::WRITE_TIMEOUT);
    loop {
        match conn.with_inbox(|inbox| decoder.decode(inbox)).map_err(io::Error::other)? {
            Decoded::Message { message, .. } => {
                see(seen, message.shape().form);
                let call = Call::new(message, Rc::clone(&downstream));
                if !call.is_oneway() {
                    echo(&call, &mut outbox);
                }
                poll_fn(|cx| conn.poll_flush(cx, &mut outbox, &mut stall)).await?;
            }
            Decoded::Need(bytes) => {
                want = bytes.max(want);
                if poll_fn(|cx| conn.poll_fill(cx, want)).await? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

fn echo(call: &Call, out: &mut Outbox) {
    let origin = Origin::of(call);
    let mut payload = BytesMut::new();
    // The name came in such an envelope, so it fits.
    let _fits = MessageHeader::new(origin.version, MessageType::REPLY, &origin.name, origin.seqid).encode(&mut payload);
    payload.extend_from_slice(&result(call.message.body(), origin.version));
    let form = origin.reply_form();
    answer::put(form, origin.seqid, &payload.freeze(), out, |header| header.int(IntKey::MSG_TYPE, b"2"));
}

/// The argument with id 1 becomes the return value, which has id 0; a Protobuf message is its own answer.
fn result(arguments: &[u8], version: Version) -> Bytes {
    let mut body = BytesMut::from(arguments);
    if version == Version::THRIFT
        && let Some([_, 0, id @ 1, ..]) = body.get_mut(..3)
    {
        *id = 0;
    }
    body.freeze()
}

async fn ttstream(conn: &Conn, seen: &Seen) -> io::Result<()> {
    let mut streams: HashMap<i32, (StreamEncoder, Server)> = HashMap::new();
    let mut outbox = Outbox::default();
    let mut stall = Stall::new(defaults::WRITE_TIMEOUT);
    loop {
        let Some(frame) = conn.with_inbox(|inbox| TtStreamCodec::default().decode(inbox)).map_err(io::Error::other)?
        else {
            poll_fn(|cx| conn.poll_flush(cx, &mut outbox, &mut stall)).await?;
            if poll_fn(|cx| conn.poll_fill(cx, 0)).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let mut out = BytesMut::new();
        let id = frame.stream_id();
        if let Some((encoder, state)) = streams.get_mut(&id) {
            match state.received(&frame).map_err(io::Error::other)? {
                ServerEvent::Message => {
                    let writes = state.send_message().unwrap_or(Writes::NONE);
                    put(encoder, writes, frame.payload_slice(), &mut out).map_err(io::Error::other)?;
                }
                ServerEvent::HalfClose(_) => {
                    put(encoder, state.finish(), b"", &mut out).map_err(io::Error::other)?;
                }
                _ => {}
            }
            if state.is_closed() {
                streams.remove(&id);
            }
        } else if opens(&frame).map_err(io::Error::other)? {
            see(seen, Protocol::TtStream);
            let encoder = StreamEncoder::new(id, frame.method()).map_err(io::Error::other)?;
            let mut state = Server::new();
            let writes = state.send_header().unwrap_or(Writes::NONE);
            put(&encoder, writes, b"", &mut out).map_err(io::Error::other)?;
            streams.insert(id, (encoder, state));
        }
        outbox.push(&out.freeze());
    }
}

fn put(
    encoder: &StreamEncoder,
    writes: Writes,
    message: &[u8],
    out: &mut BytesMut,
) -> Result<(), ttstream::EncodeError> {
    if writes.header {
        encoder.empty_header(out);
    }
    if writes.data {
        encoder.data(message.len(), out)?;
        out.extend_from_slice(message);
    }
    if writes.trailer {
        encoder.trailer([], out)?;
    }
    Ok(())
}

async fn grpc(conn: Conn, seen: &Seen) -> io::Result<()> {
    let io = Io::new(conn, defaults::WRITE_TIMEOUT);
    let handshake = http2::server(defaults::MAX_STREAMS).handshake::<_, Bytes>(io.clone());
    let mut handshake = std::pin::pin!(handshake);
    let mut h2 = turns(&io, |cx| handshake.as_mut().poll(cx)).await?.map_err(io::Error::other)?;
    while let Some(accepted) = turns(&io, |cx| h2.poll_accept(cx)).await? {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        see(seen, Protocol::Grpc);
        tokio::task::spawn_local(async move {
            if let Err(error) = echo_messages(request, respond).await {
                tracing::debug!(%error, "echo backend: stream ended");
            }
        });
    }
    Ok(())
}

/// Polls, and after each turn writes what has gathered.
async fn turns<T>(io: &Io, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> io::Result<T> {
    poll_fn(|cx| {
        let done = poll(cx);
        match io.poll_flush_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => done.map(Ok),
        }
    })
    .await
}

/// Sends back what comes, as it comes: whole messages are whole again in the end.
async fn echo_messages(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    response.headers_mut().extend(content_type.map(|content_type| (CONTENT_TYPE, content_type)));
    let mut out = respond.send_response(response, false)?;
    let mut body = request.into_body();
    while let Some(mut data) = body.data().await.transpose()? {
        let len = data.len();
        poll_fn(|cx| http2::poll_send_data(&mut out, cx, &mut data, false)).await?;
        body.flow_control().release_capacity(len)?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    out.send_trailers(trailers)
}
