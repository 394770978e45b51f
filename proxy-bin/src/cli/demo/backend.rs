//! The embedded backend: answers every call with its first argument, in the transport that the call came by.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::PoisonError;

use bytes::{Bytes, BytesMut};
use thrift_codec::{MessageHeader, MessageType, Version};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use ttheader::IntKey;

use crate::cli::demo::Seen;
use crate::cli::demo::caller::LIMITS;
use crate::config::defaults;
use crate::rpc::{Call, Downstream};
use crate::wire::conn::{Conn, Stall};
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
    let downstream = Rc::new(Downstream::new(peer, String::new(), None));
    let mut decoder = Decoder::new(Side::Requests, LIMITS);
    let mut outbox = Outbox::default();
    let mut want = 0;
    let mut stall = Stall::new(defaults::WRITE_TIMEOUT);
    loop {
        match conn.with_inbox(|inbox| decoder.decode(inbox)).map_err(io::Error::other)? {
            Decoded::Message { message, .. } => {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.shape().form);
                let call = Call::new(message, Rc::clone(&downstream));
                if !call.is_oneway() {
                    echo(&call, &mut outbox);
                }
                std::future::poll_fn(|cx| conn.poll_flush(cx, &mut outbox, &mut stall)).await?;
            }
            Decoded::Need(bytes) => {
                want = bytes.max(want);
                if std::future::poll_fn(|cx| conn.poll_fill(cx, want)).await? == 0 {
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
