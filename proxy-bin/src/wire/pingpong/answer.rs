//! The answers that the proxy gives by itself: one function from a fault to bytes, by the table of pingpong-wire 8.8.

use bytes::{Bytes, BytesMut};
use thrift_codec::{ApplicationException, ErrorProto, MessageHeader, MessageType, Version, exception};
use ttheader::{EncodeError, HeaderWriter, IntKey, keys};

use crate::rpc::{Call, Fault, FaultKind, Form, Message, Outer};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::encode::write_header;

/// What of a call is needed to answer it once the call itself is gone.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) form: Form,
    pub(crate) version: Version,
    pub(crate) seqid: i32,
    /// The header's number, where there is one: a mesh may count anew there.
    pub(crate) header_seqid: i32,
    pub(crate) name: Bytes,
    pub(crate) oneway: bool,
    pub(crate) out_of_order: bool,
}

impl Origin {
    pub(crate) fn of(call: &Call) -> Self {
        Self::of_message(&call.message)
    }

    pub(crate) fn of_message(request: &Message) -> Self {
        let (shape, facts) = (request.shape(), request.facts());
        Self {
            form: shape.form,
            version: shape.version,
            seqid: shape.seqid,
            header_seqid: if shape.form.outer == Outer::TtHeader { facts.header_seqid } else { shape.seqid },
            name: request.name_bytes(),
            oneway: request.is_oneway(),
            out_of_order: facts.out_of_order,
        }
    }

    /// The form that a reply has: the request's, but nobody writes a mesh header (P2).
    pub(crate) fn reply_form(&self) -> Form {
        match self.form.outer {
            Outer::Mesh => Form { outer: Outer::Plain, framed: self.form.framed },
            Outer::Plain | Outer::TtHeader => self.form,
        }
    }
}

/// Appends the EXCEPTION that `fault` is to the caller of `origin`.
pub(crate) fn fault(origin: &Origin, fault: &Fault, announce_close: bool, out: &mut Outbox) {
    exception(origin, code(fault.kind), &fault.text, announce_close, out);
}

/// Appends the EXCEPTION that a business error becomes where its keys can't travel (P13, 8.6).
pub(crate) fn business_error(origin: &Origin, code: i32, message: &[u8], out: &mut Outbox) {
    let text = format!("biz error: code={code}, msg={}", String::from_utf8_lossy(message));
    exception(origin, exception::INTERNAL_ERROR, &text, false, out);
}

fn exception(origin: &Origin, code: i32, text: &str, announce_close: bool, out: &mut Outbox) {
    let mut payload = BytesMut::new();
    // A method name comes from an envelope of the same form, and the text is the proxy's own: both fit.
    let _fits =
        MessageHeader::new(origin.version, MessageType::EXCEPTION, &origin.name, origin.seqid).encode(&mut payload);
    if origin.version == Version::KITEX_PROTOBUF {
        ErrorProto::new(code, text.as_bytes()).encode(&mut payload);
    } else {
        let _fits = ApplicationException::new(code, text.as_bytes()).encode(&mut payload);
    }

    put(origin.reply_form(), origin.seqid, &payload.freeze(), out, |header| {
        if announce_close {
            header.string(keys::CONNECTION_RESET, b"1")?;
        }
        header.int(IntKey::MSG_TYPE, b"3")
    });
}

/// Appends a message of the proxy's own: `payload`, envelope first, in form `form`. A mesh header is never written.
pub(crate) fn put(
    form: Form,
    seqid: i32,
    payload: &Bytes,
    out: &mut Outbox,
    fill: impl FnOnce(&mut HeaderWriter<'_>) -> Result<(), EncodeError>,
) {
    if form.outer == Outer::TtHeader {
        let inner = if form.framed { 4 } else { 0 };
        let payload_len = u64::try_from(payload.len()).unwrap_or(u64::MAX).saturating_add(inner);
        // A few short entries always fit.
        let _fits = write_header(seqid, payload_len, out, fill);
    }
    if form.framed {
        out.push_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.push(payload);
}

fn code(kind: FaultKind) -> i32 {
    match kind {
        FaultKind::UnknownService => exception::UNKNOWN_SERVICE,
        FaultKind::UnknownMethod => exception::UNKNOWN_METHOD,
        FaultKind::BadReply | FaultKind::BadArguments => exception::PROTOCOL_ERROR,
        FaultKind::Connect
        | FaultKind::UpstreamClosed
        | FaultKind::Timeout
        | FaultKind::OverLimit
        | FaultKind::NotConvertible
        | FaultKind::DownstreamClosed
        | FaultKind::ShuttingDown
        | FaultKind::Panic => exception::INTERNAL_ERROR,
    }
}
