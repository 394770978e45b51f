//! Exceptions in trailer and rst frames (specification A5), and the codes in them (A11).

use std::fmt;

use bytes::BytesMut;

use crate::EncodeError;
use crate::limits::{MAX_DEPTH, MAX_THRIFT_STRING_LEN};

/// What an exception says, borrowed from the frame it came in.
///
/// ```text
/// 80 01 00 03                  version 1, message type EXCEPTION
/// <length> <method> <seqid>    the frame's method and stream id
/// 0B 0001 <length> <message>   field 1, STRING
/// 08 0002 <code>               field 2, I32
/// 00                           STOP
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields that a Go reader understands; more must not be written")]
pub struct Exception<'a> {
    /// What happened, as a number.
    pub code: Code,
    /// What happened, in words; no encoding is promised.
    pub message: &'a [u8],
}

impl<'a> Exception<'a> {
    /// An exception with a text of its own.
    #[must_use]
    pub const fn new(code: Code, message: &'a [u8]) -> Self {
        Self { code, message }
    }

    /// An exception with the text that Kitex gives to this code, or none if it has none.
    #[must_use]
    pub fn built_in(code: Code) -> Exception<'static> {
        Exception { code, message: code.message().unwrap_or_default().as_bytes() }
    }

    /// Reads the payload of a trailer or rst frame.
    ///
    /// Version and message type are checked; method and sequence id are not, as no receiver does. Fields may come in
    /// any order and unknown ones are passed over; a missing code is 0, a missing message empty. Bytes behind the
    /// struct are not looked at.
    ///
    /// # Errors
    ///
    /// [`ExceptionError`]. It concerns this stream and not the connection (A9, A12).
    pub fn parse(payload: &'a [u8]) -> Result<Self, ExceptionError> {
        let mut reader = Reader { rest: payload, offset: 0 };
        let actual = u32::from_be_bytes(reader.array("version")?);
        if actual != VERSION_EXCEPTION {
            return Err(ExceptionError::NotAnException { offset: 0, actual });
        }
        reader.string("name")?;
        reader.array::<4>("seqid")?;
        let mut exception = Self { code: Code::UNKNOWN, message: b"" };
        loop {
            let [ttype] = reader.array("field type")?;
            if ttype == STOP {
                return Ok(exception);
            }
            let id = i16::from_be_bytes(reader.array("field id")?);
            match (ttype, id) {
                (STRING, 1) => exception.message = reader.string("message")?,
                (I32, 2) => exception.code = Code(i32::from_be_bytes(reader.array("type")?)),
                // The exception itself is the first level.
                _ => reader.skip_field(ttype, MAX_DEPTH.saturating_sub(1))?,
            }
        }
    }

    /// Bytes that [`encode`](Self::encode) writes for this method.
    #[must_use]
    pub fn encoded_len(&self, method: &[u8]) -> usize {
        method.len().saturating_add(self.message.len()).saturating_add(FIXED_LEN)
    }

    /// Appends the payload of a trailer or rst frame: fields 1 and 2 in this order and nothing else, since the Go
    /// reader loses its way at any other (specification F17).
    ///
    /// # Errors
    ///
    /// [`EncodeError::TextTooLong`]; nothing has been written then.
    pub fn encode(&self, method: &[u8], stream_id: i32, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let method_len = thrift_len("name", method)?;
        let message_len = thrift_len("message", self.message)?;
        dst.reserve(self.encoded_len(method));
        dst.extend_from_slice(&VERSION_EXCEPTION.to_be_bytes());
        dst.extend_from_slice(&method_len);
        dst.extend_from_slice(method);
        dst.extend_from_slice(&stream_id.to_be_bytes());
        dst.extend_from_slice(&[STRING, 0, 1]);
        dst.extend_from_slice(&message_len);
        dst.extend_from_slice(self.message);
        dst.extend_from_slice(&[I32, 0, 2]);
        dst.extend_from_slice(&self.code.0.to_be_bytes());
        dst.extend_from_slice(&[STOP]);
        Ok(())
    }
}

impl Exception<'_> {
    /// Whether [`encode`](Exception::encode) can write it, for any method that a head can carry.
    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        thrift_len("message", self.message).map(|_| ())
    }
}

/// The text as far as it is UTF-8, with its code: for logs.
impl fmt::Display for Exception<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.0, String::from_utf8_lossy(self.message))
    }
}

impl fmt::Debug for Exception<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exception").field("code", &self.code.0).field("message", &Text(self.message)).finish()
    }
}

/// Shows bytes as text, for logs.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The number in an exception. Peers may put any into it; those that Kitex knows have names here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number on the wire, whatever it comes to mean")]
pub struct Code(pub i32);

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $value:literal, $class:ident, $text:expr;)+) => {
        impl Code {
            $($(#[$doc])+ pub const $name: Self = Self($value);)+

            /// What application code tests for; `None` for codes outside of TTHeader Streaming, and for 12001, which
            /// wraps another.
            #[must_use]
            pub const fn class(self) -> Option<Class> {
                match self.0 {
                    $($value => Class::$class(),)+
                    _ => None,
                }
            }

            /// The text that Kitex gives to it where no cause is attached; of the two time-outs the part before the
            /// figures.
            #[must_use]
            pub const fn message(self) -> Option<&'static str> {
                match self.0 {
                    $($value => $text,)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Framework: no code was given.
    UNKNOWN = 0, none, None;
    /// Framework: the service is there, the method is not in it.
    UNKNOWN_METHOD = 1, none, None;
    /// Framework: the message type is not one that is expected here.
    INVALID_MESSAGE_TYPE = 2, none, None;
    /// Framework: the reply names another method.
    WRONG_METHOD_NAME = 3, none, None;
    /// Framework: the reply has another sequence id.
    BAD_SEQUENCE_ID = 4, none, None;
    /// Framework: neither a result nor an exception.
    MISSING_RESULT = 5, none, None;
    /// Framework: the handler, or what stands before it, failed. What a stock server says of every plain error.
    INTERNAL_ERROR = 6, none, None;
    /// Framework: a message could not be decoded.
    PROTOCOL_ERROR = 7, none, None;
    /// Framework: the transform is not one that is spoken here.
    INVALID_TRANSFORM = 8, none, None;
    /// Framework: the body is in another codec than the method's.
    INVALID_PROTOCOL = 9, none, None;
    /// Framework: the caller is of a kind that is not served.
    UNSUPPORTED_CLIENT_TYPE = 10, none, None;
    /// What a receiver takes an rst for whose payload is missing or cannot be decoded (A12).
    UNEXPLAINED_RESET = 13, none, Some("rst");
    /// Framework: no service of that name is here.
    UNKNOWN_SERVICE = 20, none, None;
    /// Framework: the call names no service.
    NO_SERVICE_NAME = 21, none, None;
    /// A trailer with an exception came; raised by who receives it, around that exception.
    APPLICATION_EXCEPTION = 12001, none, Some("application exception");
    /// A second header came on a client's stream; raised locally, ends the connection.
    UNEXPECTED_HEADER = 12002, protocol, Some("unexpected header frame");
    /// The keys of a business error are malformed; raised locally.
    ILLEGAL_BIZ_ERROR = 12003, protocol, Some("illegal bizErr");
    /// A frame or an exception could not be decoded; raised locally.
    ILLEGAL_FRAME = 12004, protocol, Some("illegal frame");
    /// A message after the half close; raised locally.
    ILLEGAL_OPERATION = 12005, protocol, Some("illegal operation");
    /// The connection is closed, or a write failed; raised locally.
    TRANSPORT_CLOSING = 12006, protocol, Some("transport is closing");
    /// The caller's application cancelled; travels in rst frames.
    CANCELLED = 12007, cancelled, Some(CANCELLED_TEXT);
    /// The caller's application cancelled and said why; Kitex 0.16.3 defines it and never sends it.
    CANCELLED_WITH_CAUSE = 12008, cancelled, Some("user code canceled with cancelCause(error)");
    /// A client's shell around an rst that it received; its own number does not show.
    CANCELLED_DOWNSTREAM = 12009, cancelled, Some("canceled by downstream");
    /// A server's shell around an rst that it received; its own number does not show.
    CANCELLED_UPSTREAM = 12010, cancelled, Some("canceled by upstream");
    /// The context that carried the stream failed for a reason from outside, such as gRPC; travels in rst frames.
    INTERNAL_CANCELLED = 12011, cancelled, Some("internal canceled");
    /// The handler that had opened the stream returned; travels in rst frames.
    HANDLER_RETURNED = 12012, cancelled, Some("canceled by business handler returning");
    /// The connection of the stream that had opened this one was lost; travels in rst frames.
    CONNECTION_CLOSED = 12013, cancelled, Some("canceled by connection closed");
    /// A read of the caller took too long; travels in rst frames.
    RECV_TIMEOUT = 12014, timeout, Some("stream Recv timeout");
    /// The caller's deadline passed; travels in rst frames.
    STREAM_TIMEOUT = 12015, timeout, Some("stream timeout");
}

/// What kind of failure a code of TTHeader Streaming is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Somebody broke the rules, or the connection is gone.
    Protocol,
    /// Somebody does not want the answer any more.
    Cancelled,
    /// It took too long. A server counts a received one as cancelled.
    Timeout,
}

impl Class {
    const fn none() -> Option<Self> {
        None
    }

    const fn protocol() -> Option<Self> {
        Some(Self::Protocol)
    }

    const fn cancelled() -> Option<Self> {
        Some(Self::Cancelled)
    }

    const fn timeout() -> Option<Self> {
        Some(Self::Timeout)
    }
}

/// Why a payload is no exception. Offsets count from the payload's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExceptionError {
    /// A field runs past the end of the payload.
    #[error("{field} at offset {offset}: needs {expected} bytes, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// Bytes the field needs.
        expected: usize,
        /// Bytes that are left.
        actual: usize,
    },
    /// Another version, or a message of another type.
    #[error("version and type at offset {offset}: expected {VERSION_EXCEPTION:#010x}, got {actual:#010x}")]
    NotAnException {
        /// Where they start.
        offset: usize,
        /// What was found.
        actual: u32,
    },
    /// A length or a count below zero.
    #[error("{field} at offset {offset}: expected at least 0, got {actual}")]
    Negative {
        /// The field as the specification names it.
        field: &'static str,
        /// Where it starts.
        offset: usize,
        /// What was found.
        actual: i32,
    },
    /// An unknown field of a type that Thrift does not have: nobody knows where it ends.
    #[error("{field} at offset {offset}: {actual:#04x} is not known")]
    UnknownType {
        /// The field as the specification names it.
        field: &'static str,
        /// Where it stands.
        offset: usize,
        /// What was found.
        actual: u8,
    },
    /// An unknown field is nested too deeply.
    #[error("value at offset {offset}: nested more than {expected} levels deep")]
    TooDeep {
        /// Where the innermost value starts.
        offset: usize,
        /// The limit.
        expected: u8,
    },
}

/// Takes fields off the front, and knows where it is.
struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ExceptionError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(*head)
    }

    fn slice(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], ExceptionError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(head)
    }

    fn string(&mut self, field: &'static str) -> Result<&'a [u8], ExceptionError> {
        let len = self.count(field)?;
        self.slice(field, len)
    }

    fn count(&mut self, field: &'static str) -> Result<usize, ExceptionError> {
        let offset = self.offset;
        let actual = i32::from_be_bytes(self.array(field)?);
        usize::try_from(actual).map_err(|_| ExceptionError::Negative { field, offset, actual })
    }

    /// Passes over the value of an unknown field. Kitex's generic servers write fields of type void, which are structs
    /// without fields.
    fn skip_field(&mut self, ttype: u8, depth: u8) -> Result<(), ExceptionError> {
        self.skip(if ttype == VOID { STRUCT } else { ttype }, depth)
    }

    /// Passes over one value. It recurses at most `depth` times; every element of a container that is walked one by
    /// one takes a byte at least, so that the work is bounded by the payload and not by what a count claims.
    fn skip(&mut self, ttype: u8, depth: u8) -> Result<(), ExceptionError> {
        if let Some(width) = width(ttype) {
            return self.slice("value", width).map(|_| ());
        }
        if ttype == STRING {
            return self.string("value").map(|_| ());
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ExceptionError::TooDeep { offset: self.offset, expected: MAX_DEPTH });
        };
        match ttype {
            STRUCT => loop {
                let [ttype] = self.array("field type")?;
                if ttype == STOP {
                    return Ok(());
                }
                self.array::<2>("field id")?;
                self.skip_field(ttype, depth)?;
            },
            LIST | SET => {
                let [element] = self.array("element type")?;
                let count = self.count("count")?;
                self.elements(&[element], count, depth)
            }
            MAP => {
                let kinds: [u8; 2] = self.array("key and value type")?;
                let count = self.count("count")?;
                self.elements(&kinds, count, depth)
            }
            actual => Err(ExceptionError::UnknownType { field: "field type", offset: self.offset, actual }),
        }
    }

    fn elements(&mut self, kinds: &[u8], count: usize, depth: u8) -> Result<(), ExceptionError> {
        if let Some(width) = kinds.iter().try_fold(0_usize, |sum, kind| sum.checked_add(width(*kind)?)) {
            return self.slice("elements", count.saturating_mul(width)).map(|_| ());
        }
        for _ in 0..count {
            for kind in kinds {
                self.skip(*kind, depth)?;
            }
        }
        Ok(())
    }

    fn truncated(&self, field: &'static str, expected: usize) -> ExceptionError {
        ExceptionError::Truncated { field, offset: self.offset, expected, actual: self.rest.len() }
    }
}

/// Bytes of a value whose type says how many.
const fn width(ttype: u8) -> Option<usize> {
    match ttype {
        BOOL | BYTE => Some(1),
        I16 => Some(2),
        I32 => Some(4),
        I64 | DOUBLE => Some(8),
        _ => None,
    }
}

fn thrift_len(field: &'static str, text: &[u8]) -> Result<[u8; 4], EncodeError> {
    match i32::try_from(text.len()) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => Err(EncodeError::TextTooLong { field, expected: MAX_THRIFT_STRING_LEN, actual: text.len() }),
    }
}

/// The first four bytes of a message that is an exception: version 1 and type 3.
const VERSION_EXCEPTION: u32 = 0x8001_0003;
/// What an exception has around method and message.
const FIXED_LEN: usize = 4 + 4 + 4 + 3 + 4 + 3 + 4 + 1;

const STOP: u8 = 0;
const VOID: u8 = 1;
const BOOL: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;

/// What Kitex says when an application calls the `cancel` of its context.
const CANCELLED_TEXT: &str = "user code invoking stream RPC with context processed by context.WithCancel or \
                              context.WithTimeout, then invoking cancel() actively";
