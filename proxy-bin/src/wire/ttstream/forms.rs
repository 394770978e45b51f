//! How messages, metadata and ends read in frames (streaming-wire D).

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use grpc_frame::metadata::is_binary;
use grpc_frame::status;
use ttstream::{Code, EncodeError, Exception, Frame, FrameType, StreamEncoder, keys};

use crate::rpc::stream::{Data, Entry, Event, Framing, Metadata, Reset, StreamOutcome};
use crate::rpc::{Fault, FaultKind, Protocol};

/// The message of a data frame, or the reason why it can't travel.
pub(crate) fn data(frame: Frame, max_message: usize) -> Result<Event, Fault> {
    let bytes = frame.payload();
    if bytes.len() > max_message {
        let text = format!("a message of {} bytes, {max_message} are allowed (`max_message`)", bytes.len());
        return Err(Fault::sent(FaultKind::OverLimit, text));
    }
    Ok(Event::Data(Data { bytes, framing: Framing::Message(Some(frame)), last: false }))
}

/// A reset, read from an rst frame.
pub(crate) fn reset_of(reset: &ttstream::Reset<'_>, frame: &Frame) -> Reset {
    let ttstream::Exception { code, message } = reset.exception;
    let (message, path) = (Bytes::copy_from_slice(message), Bytes::copy_from_slice(reset.cancel_path));
    Reset::Rst { code: code.0, message, path, frame: frame.clone() }
}

/// Appends an rst frame, with whatever else the frame of `reset` says.
pub(crate) fn write_rst(
    encoder: &StreamEncoder,
    exception: &Exception<'_>,
    path: &[u8],
    reset: &Reset,
    dst: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Reset::Rst { frame, .. } = reset else { return encoder.rst(exception, path, dst) };
    let mut writer = encoder.writer(FrameType::Rst, dst)?;
    if !path.is_empty() {
        writer.string(keys::CANCEL_PATH, path)?;
    }
    writer.strings(frame.pairs().filter(|(key, _)| *key != keys::CANCEL_PATH))?;
    for entry in frame.header().entries() {
        // Method and type are the stream's own, and passed over.
        if let ttheader::Entry::Int { key, value, .. } = entry {
            writer.int(key, value)?;
        }
    }
    writer.finish(exception.encoded_len(encoder.method()))?;
    exception.encode(encoder.method(), encoder.stream_id(), dst)
}

/// How a stream ended, read from a backend's trailer (streaming-wire A9).
pub(crate) fn outcome_of(outcome: &ttstream::Outcome<'_>) -> StreamOutcome {
    let bytes = Bytes::copy_from_slice;
    match outcome {
        ttstream::Outcome::Success => StreamOutcome::Ok,
        ttstream::Outcome::Business(error) => StreamOutcome::Business {
            status: error.status,
            message: bytes(error.message),
            extra: Some(error.extra).filter(|extra| !extra.is_empty()).map(bytes),
        },
        ttstream::Outcome::Exception(exception) => {
            StreamOutcome::Exception { code: exception.code.0, message: bytes(exception.message) }
        }
        ttstream::Outcome::Undecodable(error) => {
            StreamOutcome::Exception { code: Code::ILLEGAL_FRAME.0, message: error.to_string().into() }
        }
        _ => StreamOutcome::Exception { code: Code::ILLEGAL_FRAME.0, message: Bytes::new() },
    }
}

/// The code of an exception and its text.
type Told = (Code, Bytes);

/// A key and its value in a frame.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The exception and the pairs that tell `outcome` in a trailer (D3).
pub(crate) fn trailer_of(outcome: &StreamOutcome) -> (Option<Told>, Vec<(&'static [u8], Bytes)>) {
    match outcome {
        StreamOutcome::Ok => (None, Vec::new()),
        StreamOutcome::Business { status, message, extra } => {
            let mut pairs =
                vec![(keys::BIZ_STATUS, Bytes::from(status.to_string())), (keys::BIZ_MESSAGE, message.clone())];
            pairs.extend(extra.clone().map(|extra| (keys::BIZ_EXTRA, extra)));
            (None, pairs)
        }
        // The text that a Kitex process gives such an error.
        StreamOutcome::Status { code, message } => {
            let text = status::rpc_error(status::Code(*code), message);
            (Some((Code::INTERNAL_ERROR, text.into())), Vec::new())
        }
        StreamOutcome::Exception { code, message } => (Some((Code(*code), message.clone())), Vec::new()),
    }
}

/// The exception of a trailer for a stream that the proxy can't carry; `over_grpc` is whether its backend speaks that.
pub(crate) fn exception_of_fault(fault: &Fault, over_grpc: bool) -> (Code, Bytes) {
    let code = match fault.kind {
        FaultKind::UnknownService => Code::UNKNOWN_SERVICE,
        FaultKind::UnknownMethod => Code::UNKNOWN_METHOD,
        FaultKind::Timeout => Code::STREAM_TIMEOUT,
        // In the form in which a gRPC process knows what became of it (D3).
        FaultKind::UpstreamClosed if over_grpc => {
            let text = status::rpc_error(status::Code::UNAVAILABLE, fault.told().as_bytes());
            return (Code::INTERNAL_ERROR, text.into());
        }
        _ => Code::INTERNAL_ERROR,
    };
    (code, fault.told().into())
}

/// What an rst frame towards a backend says (D4). `name` is what the proxy calls itself.
pub(crate) fn rst_of(reset: &Reset, name: &str) -> (Code, Bytes, Bytes) {
    let own = || Bytes::copy_from_slice(name.as_bytes());
    let foreign = || Bytes::from(["non-ttstream path,", name].concat());
    match reset {
        Reset::Http2(GRACEFUL_SHUTDOWN) => {
            (Code::INTERNAL_CANCELLED, Bytes::from_static(b"rpc error: code = 14 desc = graceful shutdown"), foreign())
        }
        Reset::Http2(error) => {
            let error = grpc_frame::http2::ErrorCode(*error);
            let text =
                format!("rpc error: code = 1 desc = transport: RSTStream Frame received with error code: {error}");
            (Code::INTERNAL_CANCELLED, text.into(), foreign())
        }
        Reset::Rst { code, message, path, .. } if path.is_empty() => (Code(*code), message.clone(), own()),
        Reset::Rst { code, message, path, .. } => {
            (Code(*code), message.clone(), [&path[..], name.as_bytes()].join(&b","[..]).into())
        }
        Reset::Lost(Protocol::TtStream) => (Code::CONNECTION_CLOSED, built_in(Code::CONNECTION_CLOSED), own()),
        Reset::Lost(_) => {
            let text = b"rpc error: code = 1 desc = transport: connection EOF";
            (Code::INTERNAL_CANCELLED, Bytes::from_static(text), foreign())
        }
        Reset::Deadline(text) => (Code::STREAM_TIMEOUT, text.to_string().into(), own()),
        Reset::Fault(fault) => (Code::INTERNAL_CANCELLED, fault.told().into(), own()),
    }
}

fn built_in(code: Code) -> Bytes {
    Bytes::from_static(code.message().unwrap_or_default().as_bytes())
}

/// What a caller is told when its backend reset the stream in another protocol, or was lost (D3).
pub(crate) fn exception_of_reset(reset: &Reset) -> (Code, Bytes) {
    match reset {
        Reset::Http2(GRACEFUL_SHUTDOWN) => {
            (Code::INTERNAL_ERROR, status::rpc_error(status::Code::UNAVAILABLE, b"graceful shutdown").into())
        }
        Reset::Http2(code) => {
            let error = grpc_frame::http2::ErrorCode(*code);
            let text = format!("stream terminated by RST_STREAM with error code: {error}");
            (Code::INTERNAL_ERROR, status::rpc_error(status::Code::from_rst(*code), text.as_bytes()).into())
        }
        Reset::Rst { code, message, .. } => (Code(*code), message.clone()),
        Reset::Lost(protocol) => {
            (Code::INTERNAL_ERROR, format!("proxy: the backend's {protocol} connection was lost").into())
        }
        Reset::Deadline(text) => (Code::STREAM_TIMEOUT, text.to_string().into()),
        Reset::Fault(fault) => exception_of_fault(fault, false),
    }
}

/// The string pairs of another protocol's metadata, and how many pairs have no form in a frame (D5).
pub(crate) fn pairs_of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> (Vec<Pair<'a>>, u64) {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut dropped = 0_u64;
    for Entry { key, value } in entries {
        if key.len() > MAX_STRING || value.len() > MAX_STRING {
            dropped = dropped.saturating_add(1);
            continue;
        }
        let Some((_, first)) = pairs.iter_mut().find(|(known, _)| *known == key) else {
            pairs.push((key, value));
            continue;
        };
        // A frame has one value for a key.
        dropped = dropped.saturating_add(1);
        let joins = !key.starts_with(b"RPC_") && !str::from_utf8(&key).is_ok_and(is_binary);
        if joins && first.len().saturating_add(value.len()) < MAX_STRING {
            *first = [&first[..], &value[..]].join(&b","[..]).into();
        }
    }
    (pairs, dropped)
}

/// Appends a server's trailer.
pub(crate) fn write_trailer(
    encoder: &StreamEncoder,
    exception: Option<(Code, &[u8])>,
    pairs: &[Pair<'_>],
    dst: &mut BytesMut,
) -> Result<(), EncodeError> {
    let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
    match exception {
        Some((code, message)) => encoder.exception_trailer(pairs, &Exception::new(code, message), dst),
        None => encoder.trailer(pairs, dst),
    }
}

/// The pairs of metadata that came in another form than a frame's.
pub(crate) fn foreign(metadata: &Metadata) -> (Vec<Pair<'_>>, u64) {
    let mut unreadable = 0_u64;
    let (pairs, dropped) = pairs_of(metadata.entries(|| unreadable = unreadable.saturating_add(1)));
    (pairs, dropped.saturating_add(unreadable))
}

/// The longest key or value of a frame, in bytes.
const MAX_STRING: usize = 65_535;
/// What Kitex resets with at the end of its grace time (streaming-wire B10).
const GRACEFUL_SHUTDOWN: u32 = 1000;
