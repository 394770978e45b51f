//! Parts → message: what the proxy says in its own name where no message came in, as a caller, or as the handler that
//! answers one. A message has a TTHeader where it has anything to put in; [`encode`](super::encode) gives it any other
//! form on its way out.

use bytes::BytesMut;
use thrift_codec::{ApplicationException, ErrorProto, MessageHeader, MessageType, Version};
use ttheader::{EncodeError, Flags, HeaderWriter, IntKey, ProtocolId, keys};

use crate::rpc::{Fault, FaultKind, Form, Message, Outer};
use crate::wire::pingpong::decode::Limits;
use crate::wire::pingpong::{Decoded, Decoder, Malformed, Origin, Side};

/// What a request says, its metadata and its body apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `isn`; not written where it is empty.
    pub(crate) service: &'a [u8],
    /// Never empty.
    pub(crate) method: &'a [u8],
    /// Thrift or Kitex-Protobuf.
    pub(crate) version: Version,
    /// Whether no reply is wanted.
    pub(crate) oneway: bool,
    /// Any number but zero, which Kitex takes for none.
    pub(crate) seqid: i32,
    /// What else the header says under int keys, such as the log id, the caller's name or the timeout. Method and type of
    /// the message are written anyway.
    pub(crate) ints: &'a [(IntKey, &'a [u8])],
}

/// Why parts make no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("no message: {0}")]
    Header(#[from] EncodeError),
    #[error("no message: {0}")]
    Envelope(#[from] thrift_codec::EncodeError),
    #[error("no message: {0} bytes are too long for a frame length")]
    TooLong(usize),
    #[error("no message: {0}")]
    Malformed(#[from] Malformed),
    #[error("no message: it is not whole")]
    Cut,
}

impl From<Unfit> for Fault {
    fn from(unfit: Unfit) -> Self {
        Self::unsent(FaultKind::NotConvertible, unfit.to_string())
    }
}

/// A call with these string keys and this body: the struct of the arguments, or the Protobuf message. `pairs` are written
/// as they are: metainfo has its prefix already.
///
/// # Errors
///
/// A name, a key, a value or the whole is longer than its length field can say, or the method's name is empty.
pub(crate) fn request<'a>(
    request: &Request<'_>,
    pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    body: &[u8],
) -> Result<Message, Unfit> {
    let Request { service, method, version, oneway, seqid, ints } = *request;
    let message_type = if oneway { MessageType::ONEWAY } else { MessageType::CALL };
    // Kitex-Protobuf is always framed.
    let form = Form { outer: Outer::TtHeader, framed: version == Version::KITEX_PROTOBUF };
    let envelope = MessageHeader::new(version, message_type, method, seqid);
    message(Side::Requests, form, &envelope, seqid, body, |header| {
        if !service.is_empty() {
            header.string(keys::IDL_SERVICE_NAME, service)?;
        }
        for (key, value) in pairs {
            header.string(key, value)?;
        }
        header.int(IntKey::TO_METHOD, method)?;
        header.int(IntKey::MSG_TYPE, message_type.0.to_string().as_bytes())?;
        for &(key, value) in ints {
            header.int(key, value)?;
        }
        Ok(())
    })
}

/// A business error, as its keys in a header tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Business<'a> {
    /// Never zero.
    pub(crate) status: i32,
    pub(crate) message: &'a [u8],
    /// A JSON object.
    pub(crate) extra: Option<&'a [u8]>,
}

/// The reply to the call of `to`: the struct of the result, or the Protobuf message. Of a caller without a TTHeader `pairs`
/// make one, which the one who writes the reply takes away again, and counts.
///
/// # Errors
///
/// As [`request`].
pub(crate) fn reply<'a>(
    to: &Origin,
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    body: &[u8],
) -> Result<Message, Unfit> {
    answer(to, MessageType::REPLY, pairs, None, body)
}

/// The reply that tells a business error: a result without a success field.
///
/// # Errors
///
/// As [`request`].
pub(crate) fn business_error<'a>(
    to: &Origin,
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    error: Business<'_>,
) -> Result<Message, Unfit> {
    let body: &[u8] = if to.version == Version::KITEX_PROTOBUF { b"" } else { b"\0" };
    answer(to, MessageType::REPLY, pairs, Some(error), body)
}

/// The EXCEPTION with this type and text: a framework's error, not one that the IDL declares.
///
/// # Errors
///
/// As [`request`].
pub(crate) fn exception<'a>(
    to: &Origin,
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    code: i32,
    text: &[u8],
) -> Result<Message, Unfit> {
    let mut body = BytesMut::new();
    if to.version == Version::KITEX_PROTOBUF {
        ErrorProto::new(code, text).encode(&mut body);
    } else {
        ApplicationException::new(code, text).encode(&mut body)?;
    }
    answer(to, MessageType::EXCEPTION, pairs, None, &body)
}

fn answer<'a>(
    to: &Origin,
    message_type: MessageType,
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    business: Option<Business<'_>>,
    body: &[u8],
) -> Result<Message, Unfit> {
    // What has a header only for its pairs is stripped of it by who writes it, and what is lost is counted there.
    let spoken = to.reply_form();
    let form = match spoken.outer {
        Outer::TtHeader => spoken,
        _ if business.is_some() || pairs.len() > 0 => Form { outer: Outer::TtHeader, framed: true },
        _ => Form { outer: Outer::Plain, framed: true },
    };
    let envelope = MessageHeader::new(to.version, message_type, &to.name, to.seqid);
    message(Side::Replies, form, &envelope, to.header_seqid, body, |header| {
        for (key, value) in pairs {
            header.string(key, value)?;
        }
        if let Some(Business { status, message, extra }) = business {
            header.string(keys::BIZ_STATUS, status.to_string().as_bytes())?;
            header.string(keys::BIZ_MESSAGE, message)?;
            if let Some(extra) = extra {
                header.string(keys::BIZ_EXTRA, extra)?;
            }
        }
        if spoken.outer == Outer::TtHeader {
            header.int(IntKey::MSG_TYPE, message_type.0.to_string().as_bytes())?;
        }
        Ok(())
    })
}

/// Makes a message of its parts: the envelope, the struct or Protobuf message behind it, and what `fill` puts into the
/// header, if the form has one. `side` is the direction that it goes.
pub(crate) fn message(
    side: Side,
    form: Form,
    envelope: &MessageHeader<'_>,
    header_seqid: i32,
    body: &[u8],
    fill: impl FnOnce(&mut HeaderWriter<'_>) -> Result<(), EncodeError>,
) -> Result<Message, Unfit> {
    let message_len = envelope.encoded_len().saturating_add(body.len());
    let payload_len = message_len.saturating_add(if form.framed { 4 } else { 0 });
    let mut frame = BytesMut::with_capacity(payload_len.saturating_add(HEADER_HINT));
    if form.outer == Outer::TtHeader {
        let mut header = HeaderWriter::new(&mut frame, Flags::default(), header_seqid);
        if envelope.version == Version::KITEX_PROTOBUF {
            header.protocol_id(ProtocolId::KITEX_PROTOBUF);
        }
        fill(&mut header)?;
        header.finish(payload_len)?;
    }
    if form.framed {
        let len = u32::try_from(message_len).map_err(|_| Unfit::TooLong(message_len))?;
        frame.extend_from_slice(&len.to_be_bytes());
    }
    envelope.encode(&mut frame)?;
    frame.extend_from_slice(body);
    match Decoder::new(side, Limits::UNLIMITED).decode(&mut frame)? {
        Decoded::Message { message, missing: 0 } => Ok(message),
        _ => Err(Unfit::Cut),
    }
}

/// About what a header takes, in bytes.
const HEADER_HINT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Outcome;
    use crate::wire::outbox::Outbox;
    use crate::wire::pingpong::{Edits, encode};

    const CALL: Request<'_> = Request {
        service: b"EchoService",
        method: b"echo",
        version: Version::THRIFT,
        oneway: false,
        seqid: 7,
        ints: &[(IntKey::LOG_ID, b"log")],
    };
    const HI: &[u8] = b"\x0b\0\x01\0\0\0\x02hi\0";
    const NONE: std::iter::Empty<(&[u8], &[u8])> = std::iter::empty();

    fn pair<'a>(key: &'a str, value: &'a str) -> std::iter::Once<(&'a [u8], &'a [u8])> {
        std::iter::once((key.as_bytes(), value.as_bytes()))
    }

    #[test]
    fn a_request_says_what_it_was_made_of() {
        let message = request(&CALL, pair("RPC_PERSIST_K", "v"), HI).unwrap();
        assert_eq!((message.service(), message.name(), message.body()), (Some(&b"EchoService"[..]), &b"echo"[..], HI));
        let header = message.header().unwrap();
        assert_eq!(header.string(b"RPC_PERSIST_K"), Some(&b"v"[..]));
        assert_eq!(header.int(IntKey::LOG_ID), Some(&b"log"[..]));
        assert_eq!(header.int(IntKey::MSG_TYPE), Some(&b"1"[..]));
        assert_eq!((message.shape().seqid, header.seq(), message.is_oneway()), (7, 7, false));
        assert!(request(&Request { oneway: true, ..CALL }, NONE, HI).unwrap().is_oneway());
        assert!(matches!(request(&Request { method: b"", ..CALL }, NONE, HI), Err(Unfit::Malformed(_))));
    }

    #[test]
    fn a_request_leaves_in_every_form() {
        let message = request(&CALL, NONE, HI).unwrap();
        for (outer, framed) in
            [(Outer::Plain, false), (Outer::Plain, true), (Outer::TtHeader, false), (Outer::TtHeader, true)]
        {
            let form = Form { outer, framed };
            let mut out = Outbox::default();
            encode::encode(&message, form, &Edits::default(), &mut out).unwrap();
            let mut bytes = BytesMut::from(&out.into_bytes()[..]);
            let Ok(Decoded::Message { message, missing: 0 }) =
                Decoder::new(Side::Requests, Limits::UNLIMITED).decode(&mut bytes)
            else {
                panic!("{form} is not whole");
            };
            assert_eq!((message.shape().form, message.name(), message.body()), (form, &b"echo"[..], HI));
        }
    }

    #[test]
    fn a_protobuf_request_is_framed_and_says_so() {
        let message = request(&Request { version: Version::KITEX_PROTOBUF, ..CALL }, NONE, b"\x0a\x02hi").unwrap();
        assert_eq!(message.shape().form, Form { outer: Outer::TtHeader, framed: true });
        assert_eq!(message.header().unwrap().protocol_id(), ProtocolId::KITEX_PROTOBUF);
        assert_eq!(message.body(), b"\x0a\x02hi");
    }

    #[test]
    fn answers_have_the_numbers_of_their_call() {
        let origin = Origin::of_message(&request(&CALL, NONE, HI).unwrap());
        let good = reply(&origin, pair("RPC_BACKWARD_B", "b"), b"\0").unwrap();
        assert_eq!((good.outcome(), good.shape().seqid, good.name()), (Outcome::Success, 7, &b"echo"[..]));
        assert_eq!(good.header().unwrap().string(b"RPC_BACKWARD_B"), Some(&b"b"[..]));

        let error = Business { status: 404, message: b"none", extra: Some(b"{}") };
        let business = business_error(&origin, NONE, error).unwrap();
        assert_eq!((business.outcome(), business.body()), (Outcome::BusinessError(404), &b"\0"[..]));
        assert_eq!(business.header().unwrap().string(keys::BIZ_EXTRA), Some(&b"{}"[..]));

        let failed = exception(&origin, NONE, 6, b"no").unwrap();
        assert_eq!(failed.outcome(), Outcome::Exception);
        assert_eq!(ApplicationException::parse(failed.body()), Ok(ApplicationException::new(6, b"no")));
    }

    #[test]
    fn only_what_has_pairs_gets_a_header_that_its_caller_does_not_speak() {
        let mut origin = Origin::of_message(&request(&CALL, NONE, HI).unwrap());
        origin.form = Form { outer: Outer::Plain, framed: false };
        assert_eq!(reply(&origin, NONE, b"\0").unwrap().shape().form, Form { outer: Outer::Plain, framed: true });
        let keyed = reply(&origin, pair("k", "v"), b"\0").unwrap();
        assert_eq!(keyed.shape().form.outer, Outer::TtHeader);
    }
}
