//! What both gRPC drivers share: how an end reads in HTTP/2 fields, and which values must not travel.

use std::borrow::Cow;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use grpc_frame::DecodeError;
use grpc_frame::content_type;
use grpc_frame::message::{CompressedFlag, Head};
use grpc_frame::metadata::{self, BIZ_EXTRA, BIZ_STATUS, NameKind};
use grpc_frame::status::{self, Code, Compat};
use h2::{Reason, SendStream};
use http::header::{CONTENT_TYPE, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rpc::stream::{Data, Entry, Framing, Metadata, Reset, StreamHead, StreamOutcome, Trailers};
use crate::rpc::{Fault, FaultKind, Head as _};
use crate::wire::http2;

/// The end that the trailers of a backend tell. What would make a Kitex client's reader panic (streaming-wire B7) is
/// replaced.
pub(crate) fn trailers(mut fields: HeaderMap, only: bool) -> Trailers {
    let outcome = match outcome(&fields) {
        Ok(outcome) => outcome,
        Err(error) => unreadable(&mut fields, &error),
    };
    Trailers { outcome, metadata: Metadata::Http2(fields), only }
}

/// How the call ended. Of repeated keys Kitex takes the last, and reads them all.
fn outcome(fields: &HeaderMap) -> Result<StreamOutcome, DecodeError> {
    let mut code = None;
    for status in fields.get_all(GRPC_STATUS) {
        code = Some(if status == "0" { Code::OK } else { Code::parse(status.as_bytes())? });
    }
    let mut business = None;
    for status in fields.get_all(BIZ_STATUS) {
        business = Some(metadata::parse_biz_status(status.as_bytes())?);
    }
    let text = || {
        let text = fields.get(GRPC_MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
        Bytes::from(status::decode_message(text).into_owned())
    };
    Ok(match (code, business) {
        (Some(Code::OK), _) => StreamOutcome::Ok,
        (Some(_), Some(status)) => {
            let extra = fields.get_all(BIZ_EXTRA).iter().next_back();
            let extra = extra.map(|extra| Bytes::copy_from_slice(extra.as_bytes()));
            StreamOutcome::Business { status, message: text(), extra }
        }
        (Some(code), None) => StreamOutcome::Status { code: code.0, message: text() },
        // As every client reads it (B6).
        (None, _) => StreamOutcome::Status { code: Code::UNKNOWN.0, message: Bytes::new() },
    })
}

fn unreadable(fields: &mut HeaderMap, why: &DecodeError) -> StreamOutcome {
    let message = format!("proxy: the backend's trailers can't be forwarded: {why}");
    fields.remove(BIZ_STATUS);
    set_status(fields, Code::INTERNAL, message.as_bytes());
    StreamOutcome::Status { code: Code::INTERNAL.0, message: message.into() }
}

/// The trailers that tell `outcome`, to which metadata may be added.
pub(crate) fn fields_of(outcome: &StreamOutcome, compat: Compat) -> HeaderMap {
    let mut fields = HeaderMap::new();
    match outcome {
        StreamOutcome::Ok => set_status(&mut fields, Code::OK, b""),
        StreamOutcome::Status { code, message } => set_status(&mut fields, Code(*code), message),
        StreamOutcome::Business { status, message, extra } => {
            // As from a Kitex server (B7).
            set_status(&mut fields, Code::INTERNAL, message);
            fields.insert(BIZ_STATUS, HeaderValue::from(*status));
            if let Some(extra) = extra.clone().and_then(|extra| HeaderValue::from_maybe_shared(extra).ok()) {
                fields.insert(BIZ_EXTRA, extra);
            }
        }
        StreamOutcome::Exception { code, message } => match status::parse_rpc_error(message) {
            // What a Kitex process makes of a status that it got (D3) is the status again.
            Some((code, message)) if code != Code::OK => set_status(&mut fields, code, message),
            _ => set_status(&mut fields, Code::from_exception(*code, compat), message),
        },
    }
    fields
}

/// The trailers for a stream that the proxy can't carry.
pub(crate) fn fields_of_fault(fault: &Fault, compat: Compat) -> HeaderMap {
    let mut fields = HeaderMap::new();
    set_status(&mut fields, code(fault.kind, compat), fault.told().as_bytes());
    fields
}

fn code(kind: FaultKind, compat: Compat) -> Code {
    match kind {
        FaultKind::UnknownService if compat == Compat::Kitex => Code::KITEX_UNKNOWN_SERVICE,
        FaultKind::UnknownMethod if compat == Compat::Kitex => Code::KITEX_UNKNOWN_METHOD,
        FaultKind::UnknownService | FaultKind::UnknownMethod | FaultKind::NotConvertible => Code::UNIMPLEMENTED,
        FaultKind::Connect | FaultKind::UpstreamClosed | FaultKind::ShuttingDown => Code::UNAVAILABLE,
        FaultKind::BadReply | FaultKind::BadArguments | FaultKind::Panic => Code::INTERNAL,
        FaultKind::Timeout => Code::DEADLINE_EXCEEDED,
        FaultKind::OverLimit => Code::RESOURCE_EXHAUSTED,
        FaultKind::DownstreamClosed => Code::CANCELLED,
    }
}

fn set_status(fields: &mut HeaderMap, code: Code, message: &[u8]) {
    fields.insert(GRPC_STATUS, HeaderValue::from(code.0));
    // Escaped text is visible ASCII.
    if let Ok(message) = HeaderValue::from_str(&status::encode_message(message)) {
        fields.insert(GRPC_MESSAGE, message);
    }
}

/// The trailers for a caller whose backend reset the stream in another protocol (streaming-wire D3).
pub(crate) fn fields_of_reset(reset: &Reset, compat: Compat) -> HeaderMap {
    let (code, text) = match reset {
        Reset::Http2(code) => {
            (Code::from_rst(*code), format!("proxy: the backend reset the stream, code {code}").into())
        }
        Reset::Rst { code, message, path, .. } => {
            let timed_out =
                matches!(ttstream::Code(*code), ttstream::Code::RECV_TIMEOUT | ttstream::Code::STREAM_TIMEOUT);
            let code = if timed_out { Code::DEADLINE_EXCEEDED } else { Code::CANCELLED };
            let mut text = message.to_vec();
            if !path.is_empty() {
                text.extend_from_slice(b" [canceled path: ");
                text.extend_from_slice(path);
                text.push(b']');
            }
            (code, text)
        }
        Reset::Lost(protocol) => (Code::UNAVAILABLE, format!("proxy: the {protocol} connection was lost").into()),
        Reset::Deadline(text) => (Code::DEADLINE_EXCEEDED, text.as_bytes().to_vec()),
        Reset::Fault(fault) => return fields_of_fault(fault, compat),
    };
    let mut fields = HeaderMap::new();
    set_status(&mut fields, code, &text);
    fields
}

/// Adds the pairs of another protocol's metadata, and says how many have no form in HTTP/2 (streaming-wire D5).
pub(crate) fn add_entries<'a>(fields: &mut HeaderMap, entries: impl Iterator<Item = Entry<'a>>) -> u64 {
    let mut dropped = 0_u64;
    for Entry { key, value } in entries {
        let name = match metadata::metainfo_header(&key) {
            Some(name) => Some(Cow::Owned(name)),
            None => metadata::field_name(&key),
        };
        let travels = |name: &Cow<'_, str>| {
            use NameKind::{Backward, Persist, Transit, User};
            matches!(NameKind::of(name), User | Persist | Transit | Backward)
        };
        let name = name.filter(travels);
        let value = match &name {
            Some(name) if metadata::is_binary(name) => HeaderValue::try_from(metadata::encode_bin(&value)),
            _ => HeaderValue::from_bytes(&value),
        };
        let pair = name.and_then(|name| HeaderName::try_from(&*name).ok()).zip(value.ok());
        if pair.is_none_or(|(name, value)| fields.try_append(name, value).is_err()) {
            dropped = dropped.saturating_add(1);
        }
    }
    dropped
}

/// The path of a method that another protocol names; none where a name would be read as something else in it.
pub(crate) fn path(package: &str, service: &[u8], method: &[u8]) -> Option<PathAndQuery> {
    let name =
        |name: &[u8]| str::from_utf8(name).ok().filter(|name| !name.contains(['/', '?', '#'])).map(str::to_owned);
    grpc_frame::path::build(package, &name(service)?, &name(method)?).parse().ok()
}

/// The fields of a request for a stream that another protocol opened, timeout and pseudo fields apart (D1).
pub(crate) fn request_fields(head: &StreamHead) -> (HeaderMap, u64) {
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type::GRPC_THRIFT));
    fields.insert(TE, HeaderValue::from_static("trailers"));
    for (name, value) in [(metadata::SOURCE_SERVICE, head.caller()), (metadata::SOURCE_METHOD, head.caller_method())] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            fields.insert(name, value);
        }
    }
    let mut unreadable = 0_u64;
    let dropped = add_entries(&mut fields, head.entries(|| unreadable = unreadable.saturating_add(1)));
    (fields, dropped.saturating_add(unreadable))
}

/// Gives a message the prefix that it has in gRPC: in front of it, or in `prefix` where the message is too long to be
/// copied behind it. False when no prefix can say its length.
#[must_use]
pub(crate) fn add_prefix(data: &mut Data, prefix: &mut Bytes) -> bool {
    if !matches!(data.framing, Framing::Message(_)) {
        return true;
    }
    data.framing = Framing::Prefixed;
    let Ok(head) = Head::new(CompressedFlag::PLAIN, data.bytes.len()) else { return false };
    let head = head.encode();
    if data.bytes.len() < COPY_BELOW {
        data.bytes = [&head, &data.bytes[..]].concat().into();
    } else {
        *prefix = Bytes::copy_from_slice(&head);
    }
    true
}

/// Sends a prefix of [`add_prefix`] and the data behind it, as much as the peer's window has room for: ready once
/// nothing is left.
///
/// # Errors
///
/// The stream or its connection has ended.
pub(crate) fn poll_send_prefixed(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    prefix: &mut Bytes,
    data: &mut Data,
) -> Poll<Result<(), h2::Error>> {
    if !prefix.is_empty() {
        ready!(http2::poll_send_data(stream, cx, prefix, false))?;
    }
    http2::poll_send_data(stream, cx, &mut data.bytes, data.last)
}

/// The error code that carries `reset` on (streaming-wire D4).
pub(crate) fn reason(reset: &Reset) -> Reason {
    match reset {
        Reset::Http2(code) => Reason::from(*code),
        Reset::Rst { .. } | Reset::Lost(_) | Reset::Deadline(_) | Reset::Fault(_) => Reason::CANCEL,
    }
}

/// Why a stream of `h2` ended: the peer's reset, else the connection's loss.
pub(crate) fn reset_by_peer(error: &h2::Error) -> Option<Reset> {
    error.reason().filter(|_| error.is_reset()).map(|reason| Reset::Http2(reason.into()))
}

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static(status::STATUS);
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static(status::MESSAGE);
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static(grpc_frame::timeout::NAME);

/// A message of this size is not copied behind its prefix, in bytes.
const COPY_BELOW: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_or_there_is_none() {
        let text = |service: &[u8], method: &[u8]| path("p", service, method).map(|path| path.to_string());
        assert_eq!(text(b"Live", b"Ask").as_deref(), Some("/p.Live/Ask"));
        for method in [&b"a/b"[..], b"Ask?x", b"Ask#x", b"Ask me", b"\xff"] {
            assert_eq!(text(b"Live", method), None);
        }
        assert_eq!(text(b"Live/Other", b"Ask"), None);
    }
}
