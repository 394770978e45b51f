//! [`Message`] → bytes of any form: verbatim where nothing changed, else with the fewest patches (pingpong-wire 8.3 to
//! 8.7). Converting is what happens when the form out differs from the form in; there is no code for a pair.

use bytes::BytesMut;
use thrift_codec::{Skipper, Version};
use ttheader::checksum::Crc32c;
use ttheader::{EncodeError, Flags, HeaderView, HeaderWriter, IntKey, Patch, keys};

use crate::rpc::{Fault, FaultKind, Form, Message, Outer, Shape};
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Side};

/// What shall be different in the message that leaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Edits<'a> {
    /// Another sequence id, in envelope and header.
    pub(crate) seqid: Option<i32>,
    /// The caller's address, for a header that names none.
    pub(crate) remote_address: Option<&'a str>,
    /// The time that is left in ms, for a header that carries a timeout.
    pub(crate) timeout_ms: Option<u64>,
    /// The service, for a header that the proxy makes.
    pub(crate) service: Option<&'a [u8]>,
    /// Takes the streaming flag out: a backend's connection that begins with it would be one of streams
    /// (pingpong-wire 2.2), where the caller's had begun without.
    pub(crate) clear_streaming: bool,
    /// What becomes of `crrst`, which is a matter of one hop (P6).
    pub(crate) reset: Reset,
    /// Names the message type in a header that the proxy makes, as a Kitex server does.
    pub(crate) name_type: bool,
}

/// What becomes of `crrst`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reset {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken out.
    Remove,
    /// The proxy is going to close this connection, and says so.
    Announce,
}

/// Whether `message` must be whole before it can leave as `to`: a checksum to compute, or an end to find.
pub(crate) fn needs_whole(message: &Message, to: Form, edits: &Edits<'_>) -> bool {
    message.has_rest() && (rewrites_checksum(message, to, edits) || trims(message.shape(), to))
}

/// Appends `message` in form `to`. Of a message with a rest, everything that is here.
///
/// # Errors
///
/// What keeps the message from travelling in that form.
pub(crate) fn encode(message: &Message, to: Form, edits: &Edits<'_>, out: &mut Outbox) -> Result<(), Fault> {
    let shape = message.shape();
    let seqid = edits.seqid.or(message.seqid_rewrite());
    if to == shape.form && !edits_change(message, edits) {
        out.push(message.frame());
        return Ok(());
    }
    if shape.version == Version::KITEX_PROTOBUF && !to.framed {
        return Err(Fault::unsent(FaultKind::NotConvertible, "Kitex-Protobuf needs a frame length on the way out"));
    }

    let mut payload = message.payload();
    let mut payload_len = message.payload_len();
    if trims(shape, to) {
        payload.truncate(message_end(message)?);
        payload_len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
    }
    let inner = if to.framed { Some(frame_len(payload_len)?.to_be_bytes()) } else { None };
    let framed_len = payload_len.saturating_add(if to.framed { 4 } else { 0 });
    match (to.outer, message.header()) {
        (Outer::Plain, _) => {}
        (Outer::Mesh, _) => out.push(&message.frame().slice(..shape.outer_len)),
        (Outer::TtHeader, Some(view)) => {
            let checksum = rewrites_checksum(message, to, edits).then(|| checksum(inner, &payload, shape, seqid));
            patch_header(&view, message, to, &Edits { seqid, ..*edits }, checksum, framed_len, out)?;
        }
        (Outer::TtHeader, None) => new_header(message, edits, framed_len, out)?,
    }
    if let Some(inner) = inner {
        out.push_slice(&inner);
    }
    match seqid {
        None => out.push(&payload),
        Some(seqid) => {
            let envelope = payload.split_to(shape.envelope_len().min(payload.len()));
            out.write_with(envelope.len(), |dst| put_envelope(dst, &envelope, shape, seqid));
            out.push(&payload);
        }
    }
    Ok(())
}

/// The same message with another body: lengths and checksum are those of the new one. `side` is the direction that it
/// goes; the message is whole.
///
/// # Errors
///
/// It is signed, or the new body is too long for its lengths.
pub(crate) fn with_body(message: &Message, side: Side, body: &[u8]) -> Result<Message, Fault> {
    let shape = message.shape();
    if message.facts().validated {
        let text = "the payload is signed (`PV_`), and can't be changed";
        return Err(Fault::unsent(FaultKind::NotConvertible, text));
    }
    let mut payload = message.payload();
    payload.truncate(shape.envelope_len());
    let payload = [&payload, body].concat();
    let inner = if shape.form.framed {
        Some(frame_len(u64::try_from(payload.len()).unwrap_or(u64::MAX))?.to_be_bytes())
    } else {
        None
    };
    let mut frame = BytesMut::with_capacity(shape.outer_len.saturating_add(payload.len()).saturating_add(ADDED_HINT));
    match message.header() {
        Some(view) => {
            let mut patch = Patch::new();
            let checksum = message.facts().checksum.then(|| checksum(inner, &payload, shape, None));
            if let Some(checksum) = &checksum {
                patch.set_string(keys::CRC32C, checksum);
            }
            let framed_len = payload.len().saturating_add(if shape.form.framed { 4 } else { 0 });
            patch.encode(&view, framed_len, &mut frame).map_err(not_encodable)?;
        }
        None => frame.extend_from_slice(message.frame().get(..shape.outer_len).unwrap_or_default()),
    }
    frame.extend_from_slice(inner.as_ref().map_or(&[][..], |len| &len[..]));
    frame.extend_from_slice(&payload);
    let unreadable = |text: String| Fault::unsent(FaultKind::NotConvertible, format!("the changed message: {text}"));
    match Decoder::new(side, Limits::UNLIMITED).decode(&mut frame) {
        Ok(Decoded::Message { message, missing: 0 }) => Ok(message),
        Ok(_) => Err(unreadable("it is not whole".into())),
        Err(malformed) => Err(unreadable(malformed.to_string())),
    }
}

/// Appends `envelope` with `seqid` in it.
fn put_envelope(dst: &mut BytesMut, envelope: &[u8], shape: &Shape, seqid: i32) {
    let (head, _old) = envelope.split_at(shape.envelope_len().saturating_sub(4).min(envelope.len()));
    dst.extend_from_slice(head);
    dst.extend_from_slice(&seqid.to_be_bytes());
}

/// CRC-32C of what will stand behind the header.
fn checksum(inner: Option<[u8; 4]>, payload: &[u8], shape: &Shape, seqid: Option<i32>) -> [u8; 8] {
    let (envelope, body) = payload.split_at(shape.envelope_len().min(payload.len()));
    let mut patched = BytesMut::new();
    put_envelope(&mut patched, envelope, shape, seqid.unwrap_or(shape.seqid));
    let inner = inner.as_ref().map_or(&[][..], |len| &len[..]);
    Crc32c::new().update(inner).update(&patched).update(body).hex()
}

/// Appends a header for a message that has none: the least that is valid, and what the proxy knows (8.5, 8.6).
fn new_header(message: &Message, edits: &Edits<'_>, payload_len: u64, out: &mut Outbox) -> Result<(), Fault> {
    let shape = message.shape();
    let seqid = edits.seqid.or(message.seqid_rewrite()).unwrap_or(shape.seqid);
    write_header(seqid, payload_len, out, |header| {
        for (key, value) in message.mesh_pairs() {
            header.string(key, value)?;
        }
        if let Some(service) = edits.service.filter(|_| message.service().is_none()) {
            header.string(keys::IDL_SERVICE_NAME, service)?;
        }
        if let Some(address) = edits.remote_address.filter(|_| !message.facts().remote_address) {
            header.string(keys::REMOTE_ADDRESS, address.as_bytes())?;
        }
        if edits.reset == Reset::Announce {
            header.string(keys::CONNECTION_RESET, b"1")?;
        }
        if edits.name_type {
            header.int(IntKey::MSG_TYPE, shape.message_type.0.to_string().as_bytes())?;
        }
        Ok(())
    })
}

/// Appends a header with what `fill` puts in, in front of a payload of `payload_len` bytes.
pub(crate) fn write_header(
    seqid: i32,
    payload_len: u64,
    out: &mut Outbox,
    fill: impl FnOnce(&mut HeaderWriter<'_>) -> Result<(), EncodeError>,
) -> Result<(), Fault> {
    let payload_len = usize::try_from(payload_len).map_err(|_| too_long())?;
    let written = out.write_with(ADDED_HINT, |dst| {
        let mut header = HeaderWriter::new(dst, Flags::default(), seqid);
        fill(&mut header)?;
        header.finish(payload_len)
    });
    written.map_err(not_encodable)
}

fn patch_header(
    view: &HeaderView<'_>,
    message: &Message,
    to: Form,
    edits: &Edits<'_>,
    checksum: Option<[u8; 8]>,
    payload_len: u64,
    out: &mut Outbox,
) -> Result<(), Fault> {
    let (shape, facts) = (message.shape(), message.facts());
    let timeout = edits.timeout_ms.map(|ms| ms.to_string());
    // What might not fit into the header is left out: none of it is worth the call (8.7).
    let has_room = shape.outer_len.saturating_add(ADDED_HINT) <= ttheader::MAX_HEADER_LEN;
    let mut patch = Patch::new();
    if let Some(seqid) = edits.seqid {
        patch.seq(seqid);
    }
    if edits.clear_streaming && facts.streaming {
        let Flags(flags) = view.flags();
        patch.flags(Flags(flags & !Flags::STREAMING.0));
    }
    if let Some(address) = edits.remote_address.filter(|_| has_room && !facts.remote_address) {
        patch.append_string(keys::REMOTE_ADDRESS, address.as_bytes());
    }
    if let Some(timeout) = timeout.as_ref().filter(|_| changes_timeout(message, edits)) {
        patch.set_int(IntKey::RPC_TIMEOUT, timeout.as_bytes());
    }
    match edits.reset {
        Reset::Remove if facts.reset => {
            patch.remove_string(keys::CONNECTION_RESET);
        }
        Reset::Announce if has_room && !facts.reset => {
            patch.append_string(keys::CONNECTION_RESET, b"1");
        }
        _ => {}
    }
    if has_room && to.framed != shape.form.framed && view.int(IntKey::TRANSPORT_TYPE).is_some() {
        patch.set_int(IntKey::TRANSPORT_TYPE, if to.framed { &b"framed"[..] } else { b"unframed" });
    }
    if let Some(checksum) = &checksum {
        patch.set_string(keys::CRC32C, checksum);
    }
    let payload_len = usize::try_from(payload_len).map_err(|_| too_long())?;
    let hint = shape.outer_len.saturating_add(ADDED_HINT);
    out.write_with(hint, |dst| patch.encode(view, payload_len, dst)).map_err(not_encodable)
}

/// Whether anything in the bytes becomes different while the form stays.
fn edits_change(message: &Message, edits: &Edits<'_>) -> bool {
    let facts = message.facts();
    let seqid = edits
        .seqid
        .or(message.seqid_rewrite())
        .is_some_and(|seqid| seqid != message.shape().seqid || (has_header(message) && seqid != facts.header_seqid));
    seqid
        || (has_header(message)
            && (changes_timeout(message, edits)
                || (edits.clear_streaming && facts.streaming)
                || (edits.remote_address.is_some() && !facts.remote_address)
                || match edits.reset {
                    Reset::Keep => false,
                    Reset::Remove => facts.reset,
                    Reset::Announce => !facts.reset,
                }))
}

fn changes_timeout(message: &Message, edits: &Edits<'_>) -> bool {
    matches!((message.facts().timeout_ms, edits.timeout_ms), (Some(old), Some(new)) if old != new)
}

fn rewrites_checksum(message: &Message, to: Form, edits: &Edits<'_>) -> bool {
    let shape = message.shape();
    let seqid = edits.seqid.or(message.seqid_rewrite());
    let payload_changes = to.framed != shape.form.framed || seqid.is_some_and(|seqid| seqid != shape.seqid);
    has_header(message) && message.facts().checksum && to.outer == Outer::TtHeader && payload_changes
}

fn has_header(message: &Message) -> bool {
    message.shape().form.outer == Outer::TtHeader
}

/// Whether bytes behind the struct must go: a reader of Buffered would take them for the next message (8.4).
fn trims(shape: &Shape, to: Form) -> bool {
    let length_travels = |form: Form| form.framed || form.outer == Outer::TtHeader;
    shape.version == Version::THRIFT && length_travels(shape.form) && !length_travels(to)
}

/// Where the struct of `message` ends, counted from its envelope.
fn message_end(message: &Message) -> Result<usize, Fault> {
    let body_len = match Skipper::new_struct().skip(message.body()) {
        Ok(Some(len)) => len,
        Ok(None) => return Err(Fault::unsent(FaultKind::BadArguments, "struct runs past the end of its frame")),
        Err(error) => return Err(Fault::unsent(FaultKind::BadArguments, error.to_string())),
    };
    Ok(message.shape().envelope_len().saturating_add(body_len))
}

fn frame_len(len: u64) -> Result<u32, Fault> {
    u32::try_from(len).map_err(|_| too_long())
}

fn too_long() -> Fault {
    Fault::unsent(FaultKind::NotConvertible, "message too long for a frame length")
}

fn not_encodable(error: EncodeError) -> Fault {
    Fault::unsent(FaultKind::NotConvertible, error.to_string())
}

/// About what a patch adds to a header, in bytes.
const ADDED_HINT: usize = 96;
