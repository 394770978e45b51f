use std::fmt;

use super::STATUS;
use crate::{DecodeError, ShortText};

/// `grpc-status`: a number of 32 bits. gRPC names 0 to 16; Kitex lets any other through (streaming-wire B7).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number on the wire, whatever it comes to mean")]
pub struct Code(pub i32);

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $value:literal;)+) => {
        impl Code {
            $($(#[$doc])+ pub const $name: Self = Self($value);)+

            /// The name in the specification of gRPC, if it has one, or in Kitex.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Success.
    OK = 0;
    /// Cancelled, most of the time by the caller. Kitex servers say it of an unknown method too.
    CANCELLED = 1;
    /// An error that says no more of itself.
    UNKNOWN = 2;
    /// The request is wrong whatever the state of the system.
    INVALID_ARGUMENT = 3;
    /// The deadline passed.
    DEADLINE_EXCEEDED = 4;
    /// What was asked for is not there.
    NOT_FOUND = 5;
    /// What was to be made is there already.
    ALREADY_EXISTS = 6;
    /// The caller may not do this. Kitex servers say it of thrift that does not decode too.
    PERMISSION_DENIED = 7;
    /// A quota, a limit or a buffer is full.
    RESOURCE_EXHAUSTED = 8;
    /// The system is not in the state that the call needs.
    FAILED_PRECONDITION = 9;
    /// Aborted, most of the time because of another call at the same moment.
    ABORTED = 10;
    /// Past the end of what there is.
    OUT_OF_RANGE = 11;
    /// The method or service is not served here.
    UNIMPLEMENTED = 12;
    /// Something that must not be is. Kitex servers say it of every error of a handler.
    INTERNAL = 13;
    /// Not to be reached now; trying again may help.
    UNAVAILABLE = 14;
    /// Data is lost.
    DATA_LOSS = 15;
    /// Nobody knows who the caller is.
    UNAUTHENTICATED = 16;
    /// Kitex: the caller's own receive timeout passed. Never on the wire.
    RECV_DEADLINE_EXCEEDED = 17;
}

impl Code {
    /// What a Kitex server says of an unknown service (the type code of its framework error, cast).
    pub const KITEX_UNKNOWN_SERVICE: Self = Self(20);
    /// What a Kitex server says of an unknown method; reads as [`CANCELLED`](Self::CANCELLED).
    pub const KITEX_UNKNOWN_METHOD: Self = Self(1);

    /// Reads `grpc-status`: a decimal number with a sign, if any.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when it is empty, no number, or out of the range of `i32`. Never forward the latter: the
    /// reader of a Kitex client panics.
    pub fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        parse_i32(STATUS, value).map(Self)
    }

    /// Writes `grpc-status`.
    #[must_use]
    pub fn encode(self) -> ShortText {
        ShortText::new(self.0.is_negative(), self.0.unsigned_abs(), None)
    }

    /// What a client makes of RST_STREAM with this HTTP/2 error code (B10). CANCEL is [`CANCELLED`](Self::CANCELLED);
    /// when the client's own deadline has passed, it is [`DEADLINE_EXCEEDED`](Self::DEADLINE_EXCEEDED), which is not to be
    /// seen here.
    #[must_use]
    pub const fn from_rst(error_code: u32) -> Self {
        match error_code {
            0..=2 | 4..=6 | 9 | 10 | 13 => Self::INTERNAL,
            3 | 11 => Self::RESOURCE_EXHAUSTED,
            7 | KITEX_GRACEFUL_SHUTDOWN => Self::UNAVAILABLE,
            8 => Self::CANCELLED,
            12 => Self::PERMISSION_DENIED,
            _ => Self::UNKNOWN,
        }
    }

    /// The HTTP/2 error code with which a server that cannot send trailers resets a stream for this status (B10): INTERNAL
    /// → INTERNAL_ERROR, CANCELLED → CANCEL, UNAVAILABLE → REFUSED_STREAM, RESOURCE_EXHAUSTED → ENHANCE_YOUR_CALM,
    /// PERMISSION_DENIED → INADEQUATE_SECURITY, all others → NO_ERROR.
    ///
    /// REFUSED_STREAM promises that nothing was done and invites the caller to try again: a proxy that has sent the
    /// request on must not use it.
    #[must_use]
    pub const fn to_rst(self) -> u32 {
        match self {
            Self::INTERNAL => 2,
            Self::CANCELLED => 8,
            Self::UNAVAILABLE => 7,
            Self::RESOURCE_EXHAUSTED => 11,
            Self::PERMISSION_DENIED => 12,
            _ => 0,
        }
    }

    /// What a client makes of a response that is not gRPC, by its `:status`, if any (B10).
    #[must_use]
    pub const fn from_http(status: Option<u16>) -> Self {
        match status {
            None | Some(400) => Self::INTERNAL,
            Some(401) => Self::UNAUTHENTICATED,
            Some(403) => Self::PERMISSION_DENIED,
            Some(404) => Self::UNIMPLEMENTED,
            Some(429 | 502..=504) => Self::UNAVAILABLE,
            Some(_) => Self::UNKNOWN,
        }
    }

    /// The status for the type of an exception, of Thrift or of TTHeader Streaming (D3). Never
    /// [`OK`](Self::OK).
    #[must_use]
    pub const fn from_exception(type_id: i32, compat: Compat) -> Self {
        match (type_id, compat) {
            (20 | 21, Compat::Kitex) => Self::KITEX_UNKNOWN_SERVICE,
            (1 | 20 | 21, Compat::Grpc) | (1, Compat::Kitex) => Self::UNIMPLEMENTED,
            (2..=10 | 12001..=12005, _) => Self::INTERNAL,
            (12006 | 12013, _) => Self::UNAVAILABLE,
            (12007..=12012, _) => Self::CANCELLED,
            (12014 | 12015, _) => Self::DEADLINE_EXCEEDED,
            _ => Self::UNKNOWN,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Code({}, {name})", self.0),
            None => write!(f, "Code({})", self.0),
        }
    }
}

/// Whose codes a caller expects where gRPC and Kitex differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// Those of gRPC: an unknown service is 12, UNIMPLEMENTED.
    #[default]
    Grpc,
    /// Those of Kitex: an unknown service is 20.
    Kitex,
}

/// A decimal number of 32 bits, with a sign if any, and nothing around it.
pub(crate) fn parse_i32(field: &'static str, value: &[u8]) -> Result<i32, DecodeError> {
    if let Some(number) = str::from_utf8(value).ok().and_then(|text| text.parse().ok()) {
        return Ok(number);
    }
    let sign = usize::from(matches!(value.first(), Some(b'-' | b'+')));
    match value.iter().skip(sign).position(|byte| !byte.is_ascii_digit()) {
        Some(digits) => Err(DecodeError::malformed(field, value, sign.saturating_add(digits), "a decimal number")),
        None if value.len() == sign => Err(DecodeError::malformed(field, value, sign, "a decimal number")),
        None => Err(DecodeError::malformed(field, value, 0, "a number of 32 bits")),
    }
}

/// With which a Kitex server resets what is left of its streams when it stops.
const KITEX_GRACEFUL_SHUTDOWN: u32 = 1000;
