//! Streams, made as a caller would make them: each message waits for the echo of the one before.

use std::cell::Cell;
use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use grpc_frame::content_type;
use grpc_frame::message::{Assembler, Message, MessageCodec};
use h2::RecvStream;
use http::{Request, StatusCode};
use thrift_codec::{TType, binary};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio_util::codec::{Decoder, Encoder};
use tokio_util::io::{InspectReader, InspectWriter};
use ttstream::stream::{Client, ClientEvent};
use ttstream::{Outcome, StreamEncoder, TtStreamCodec};

use crate::cli::demo::caller::{Answer, PATIENCE, Problem, connect};
use crate::rpc::Protocol;
use crate::wire::http2;

/// A stream to open.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    /// The listener to open it at.
    pub(crate) at: &'static str,
    /// What it shall reach the backend as.
    pub(crate) out: Protocol,
    messages: usize,
}

/// Every kind of stream; a unary call of gRPC is one of a single message.
pub(crate) const KINDS: &[Kind] = &[
    kind("ttstream, 3 messages", Protocol::TtStream, "as-caller", Protocol::TtStream, 3),
    kind("grpc unary", Protocol::Grpc, "as-caller", Protocol::Grpc, 1),
    kind("grpc, 3 messages", Protocol::Grpc, "as-caller", Protocol::Grpc, 3),
    kind("grpc, 3 messages", Protocol::Grpc, "ttstream", Protocol::TtStream, 3),
    kind("ttstream, 3 messages", Protocol::TtStream, "grpc", Protocol::Grpc, 3),
];

const fn kind(name: &'static str, protocol: Protocol, at: &'static str, out: Protocol, messages: usize) -> Kind {
    Kind { name, protocol, at, out, messages }
}

/// Opens the stream and checks what comes back.
pub(crate) fn call(addr: SocketAddr, kind: &Kind) -> Result<Answer, Box<dyn Error>> {
    let start = Instant::now();
    let (sent, received) = match kind.protocol {
        Protocol::Grpc => {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async { tokio::time::timeout(PATIENCE, grpc(addr, kind.messages)).await })??
        }
        _ => ttstream(addr, kind.messages)?,
    };
    Ok(Answer { reply: kind.protocol.to_string(), sent, received, latency: start.elapsed() })
}

/// The bytes that went and came.
fn ttstream(addr: SocketAddr, messages: usize) -> Result<(usize, usize), Box<dyn Error>> {
    let mut stream = connect(addr)?;
    let (encoder, mut state) = (StreamEncoder::new(1, b"echo")?, Client::new());
    let mut out = BytesMut::new();
    encoder.open(b"EchoService", [], &mut out)?;

    let (mut inbox, mut chunk) = (BytesMut::new(), [0; 4096]);
    let (mut sent, mut received) = (0_usize, 0_usize);
    let mut wanted = (1..=messages).map(message);
    let mut awaited = wanted.next();
    if let Some(first) = &awaited {
        put(first, &encoder, &mut state, &mut out)?;
    }
    loop {
        stream.write_all(&out)?;
        sent = sent.saturating_add(out.len());
        out.clear();
        let frame = loop {
            if let Some(frame) = TtStreamCodec::default().decode(&mut inbox)? {
                break frame;
            }
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Err(Problem::CutOff.into());
            }
            received = received.saturating_add(read);
            inbox.extend_from_slice(chunk.get(..read).unwrap_or_default());
        };
        match state.received(&frame)?.0 {
            ClientEvent::Message if awaited.as_deref() == Some(frame.payload_slice()) => {
                awaited = wanted.next();
                match &awaited {
                    Some(next) => put(next, &encoder, &mut state, &mut out)?,
                    None if state.half_close().trailer => encoder.half_close(&mut out),
                    None => {}
                }
            }
            ClientEvent::End(Outcome::Success) if awaited.is_none() => return Ok((sent, received)),
            ClientEvent::Header | ClientEvent::Meta => {}
            other => return Err(Problem::Reply(format!("{other:?}")).into()),
        }
    }
}

fn put(message: &[u8], encoder: &StreamEncoder, state: &mut Client, out: &mut BytesMut) -> Result<(), Box<dyn Error>> {
    if state.send_message()?.data {
        encoder.data(message.len(), out)?;
        out.extend_from_slice(message);
    }
    Ok(())
}

/// The bytes that went and came.
async fn grpc(addr: SocketAddr, messages: usize) -> Result<(usize, usize), Box<dyn Error>> {
    let (sent, received) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
    let add = |sum: &Rc<Cell<usize>>| {
        let sum = Rc::clone(sum);
        move |bytes: &[u8]| sum.set(sum.get().saturating_add(bytes.len()))
    };
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let stream = InspectWriter::new(InspectReader::new(stream, add(&received)), add(&sent));
    let (requests, connection) = http2::client().handshake(stream).await?;
    tokio::task::spawn_local(connection);

    let request = Request::post(format!("http://{addr}/EchoService/echo"))
        // ttstream carries Thrift alone.
        .header(content_type::NAME, content_type::GRPC_THRIFT)
        .header("te", "trailers")
        .body(())?;
    let (response, mut out) = requests.ready().await?.send_request(request, false)?;
    let mut send = |number| -> Result<(), Box<dyn Error>> {
        let mut frame = BytesMut::new();
        MessageCodec::default().encode(Message::plain(message(number)), &mut frame)?;
        Ok(out.send_data(frame.freeze(), number == messages)?)
    };
    send(1)?;
    let (head, mut body) = response.await?.into_parts();
    if head.status != StatusCode::OK || head.headers.contains_key("grpc-status") {
        return Err(Problem::Reply(format!("{head:?}")).into());
    }
    let mut echoes = Assembler::default();
    for number in 1..=messages {
        let echo = next_message(&mut body, &mut echoes).await?;
        if echo != Some(message(number)) {
            return Err(Problem::Reply(format!("{echo:?}")).into());
        }
        if number < messages {
            send(number.saturating_add(1))?;
        }
    }
    let more = next_message(&mut body, &mut echoes).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    if more.is_some() || trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err(Problem::Reply(format!("{more:?}, then {trailers:?}")).into());
    }
    Ok((sent.get(), received.get()))
}

async fn next_message(body: &mut RecvStream, messages: &mut Assembler) -> Result<Option<Bytes>, Box<dyn Error>> {
    loop {
        if let Some(message) = messages.next_message()? {
            return Ok(Some(message.payload));
        }
        match body.data().await.transpose()? {
            Some(data) => messages.feed(data),
            None => return Ok(None),
        }
    }
}

/// A Thrift struct with the text in field 1. To the backend and the proxy it is just bytes.
fn message(number: usize) -> Bytes {
    let mut message = BytesMut::new();
    let mut fields = binary::Writer::new(&mut message);
    fields.field_header(binary::FieldHeader { ttype: TType::STRING, id: 1 });
    let _fits = fields.bytes(format!("message {number} through the proxy").as_bytes());
    fields.stop();
    message.freeze()
}
