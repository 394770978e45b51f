//! One ping-pong call of each kind, made as a caller would make it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use thrift_codec::{EncodeError, MessageHeader, MessageType, TType, Version, binary};
use ttheader::keys;

use crate::config::defaults;
use crate::rpc::{Form, Outer};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Malformed, Side, answer};

/// What a caller speaks.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) protobuf: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What it came in.
    pub(crate) reply: String,
    pub(crate) sent: usize,
    pub(crate) received: usize,
    pub(crate) latency: Duration,
}

/// Why a call did not come back right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("unreadable reply: {0}")]
    Malformed(#[from] Malformed),
    #[error("request can't be made: {0}")]
    Encode(#[from] EncodeError),
    #[error("reply is {got} where {expected} was expected")]
    Form { got: Form, expected: Form },
    #[error("reply says {0:?}")]
    Reply(String),
    #[error("the connection ended early")]
    CutOff,
}

/// Every kind of caller.
pub(crate) const KINDS: &[Kind] = &[
    thrift("buffered", Outer::Plain, false),
    thrift("framed", Outer::Plain, true),
    thrift("ttheader", Outer::TtHeader, false),
    thrift("ttheader-framed", Outer::TtHeader, true),
    thrift("mesh-buffered", Outer::Mesh, false),
    thrift("mesh-framed", Outer::Mesh, true),
    Kind { name: "framed protobuf", form: Form { outer: Outer::Plain, framed: true }, protobuf: true },
    Kind { name: "ttheader-framed protobuf", form: Form { outer: Outer::TtHeader, framed: true }, protobuf: true },
];

/// The bounds of a demo message.
pub(crate) const LIMITS: Limits =
    Limits { max_message: defaults::MAX_MESSAGE, cut_through: u64::MAX, max_header: ttheader::MAX_HEADER_LEN };

const fn thrift(name: &'static str, outer: Outer, framed: bool) -> Kind {
    Kind { name, form: Form { outer, framed }, protobuf: false }
}

/// Calls `echo` and checks what comes back.
pub(crate) fn call(addr: SocketAddr, kind: &Kind) -> Result<Answer, Problem> {
    let request = request(kind)?;
    let start = Instant::now();
    let mut stream = connect(addr)?;
    stream.write_all(&request)?;

    let mut decoder = Decoder::new(Side::Replies, LIMITS);
    let mut inbox = BytesMut::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(Problem::CutOff);
        }
        inbox.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Decoded::Message { message, .. } = decoder.decode(&mut inbox)? {
            let latency = start.elapsed();
            let (shape, body) = (message.shape(), message.body());
            if shape.message_type != MessageType::REPLY || !body.windows(TEXT.len()).any(|part| part == TEXT) {
                return Err(Problem::Reply(String::from_utf8_lossy(body).into_owned()));
            }
            let outer = if kind.form.outer == Outer::Mesh { Outer::Plain } else { kind.form.outer };
            let expected = Form { outer, ..kind.form };
            if shape.form != expected {
                return Err(Problem::Form { got: shape.form, expected });
            }
            let (reply, received) = (shape.form.to_string(), message.frame().len());
            return Ok(Answer { reply, sent: request.len(), received, latency });
        }
    }
}

/// A connection whose reads do not wait for ever.
pub(crate) fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn request(kind: &Kind) -> Result<Vec<u8>, EncodeError> {
    let mut payload = BytesMut::new();
    let version = if kind.protobuf { Version::KITEX_PROTOBUF } else { Version::THRIFT };
    MessageHeader::new(version, MessageType::CALL, b"echo", SEQID).encode(&mut payload)?;
    if kind.protobuf {
        // field 1, length-delimited
        payload.extend_from_slice(&[0x0a, u8::try_from(TEXT.len()).unwrap_or(u8::MAX)]);
        payload.extend_from_slice(TEXT);
    } else {
        let mut arguments = binary::Writer::new(&mut payload);
        arguments.field_header(binary::FieldHeader { ttype: TType::STRING, id: 1 });
        arguments.bytes(TEXT)?;
        arguments.stop();
    }

    let mut bytes = Vec::new();
    if kind.form.outer == Outer::Mesh {
        // magic, size, no pairs
        bytes.extend_from_slice(&[0xff, 0xaf, 0, 2, 0, 0]);
    }
    let mut out = Outbox::default();
    answer::put(kind.form, SEQID, &payload.freeze(), &mut out, |header| {
        header.string(keys::IDL_SERVICE_NAME, b"EchoService")
    });
    bytes.extend_from_slice(&out.into_bytes());
    Ok(bytes)
}

const TEXT: &[u8] = b"hello through the proxy";
const SEQID: i32 = 1;
/// What a reply may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
