//! Metadata: which names are whose, what may stand in a header, and how values of `-bin` and the metainfo of Kitex look
//! there (streaming-wire B8, D5).
//!
//! Names are in lower case, as HTTP/2 has them, unless said otherwise; values are bytes and need not be text.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{DecodeError, status};

/// Name of the calling service.
pub const SOURCE_SERVICE: &str = "source-service";
/// Method that the caller is itself serving; empty outside of one.
pub const SOURCE_METHOD: &str = "source-method";
/// Name of the called service in discovery.
pub const DESTINATION_SERVICE: &str = "destination-service";
/// Method that is called; `:path` has it too.
pub const DESTINATION_METHOD: &str = "destination-method";
/// Address that is called. Defined and not written by anybody in open source.
pub const DESTINATION_ADDR: &str = "destination-addr";
/// Log id of a stream.
pub const STREAM_LOG_ID: &str = "stream-log-id";
/// Response header: the address that really answered, set by whoever stands between.
pub const REMOTE_IP: &str = "rip";
/// Trailer: code of a business error, decimal. Counts only beside a `grpc-status` that is not 0 (B7).
pub const BIZ_STATUS: &str = "biz-status";
/// Trailer: extra of a business error, a JSON object, which may hold bytes outside of ASCII.
pub const BIZ_EXTRA: &str = "biz-extra";

/// What a name in metadata means to gRPC (B8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameKind {
    /// Belongs to this hop's request or response, as do names that begin with `:`; never forwarded as metadata.
    Reserved,
    /// Read and taken away by the transport of Kitex: `grpc-accept-encoding`, `biz-status`, `biz-extra`.
    Consumed,
    /// Says something about the connection, and is malformed in HTTP/2 (RFC 9113 section 8.2.2).
    ConnectionSpecific,
    /// Persistent metainfo, `rpc-persist-…`.
    Persist,
    /// Transient metainfo, `rpc-transit-…`.
    Transit,
    /// Backward metainfo, `rpc-backward-…`: response headers of Volo servers.
    Backward,
    /// Any other.
    User,
}

impl NameKind {
    /// The kind of a name in lower case.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "content-type"
            | "user-agent"
            | "te"
            | "grpc-message-type"
            | "grpc-encoding"
            | "grpc-message"
            | "grpc-status"
            | "grpc-timeout"
            | "grpc-status-details-bin" => Self::Reserved,
            "grpc-accept-encoding" | BIZ_STATUS | BIZ_EXTRA => Self::Consumed,
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => {
                Self::ConnectionSpecific
            }
            _ if name.starts_with(':') => Self::Reserved,
            _ if name.starts_with(Metainfo::Persist.header_prefix()) => Self::Persist,
            _ if name.starts_with(Metainfo::Transit.header_prefix()) => Self::Transit,
            _ if name.starts_with(Metainfo::Backward.header_prefix()) => Self::Backward,
            _ => Self::User,
        }
    }
}

/// Whether a name is gRPC's own and must not be forwarded as metadata (B8): pseudo headers, `content-type`, `te`,
/// `user-agent` and the `grpc-…` ones. `grpc-tags-bin` and `grpc-trace-bin` are metadata.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    NameKind::of(name) == NameKind::Reserved
}

/// Whether values under this name are base64 on the wire.
#[must_use]
pub fn is_binary(name: &str) -> bool {
    name.ends_with("-bin")
}

/// The value of a `-bin` header for these bytes: base64 without padding.
#[must_use]
pub fn encode_bin(value: &[u8]) -> String {
    UNPADDED.encode(value)
}

/// The bytes of a `-bin` header: base64 with padding if its length is a multiple of four, without if it is not, as
/// grpc-go and Kitex have it. Bits left over in the last character are not looked at.
///
/// # Errors
///
/// [`DecodeError::Malformed`] with `field` for its name, a constant since errors are `Copy`. A Kitex server drops such a
/// header of the user and goes on with the call.
pub fn decode_bin(field: &'static str, value: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let engine = if value.len().is_multiple_of(4) { &PADDED } else { &UNPADDED };
    engine.decode(value).map_err(|error| {
        let offset = match error {
            base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol(offset, _) => offset,
            base64::DecodeError::InvalidPadding => value.iter().position(|&byte| byte == b'=').unwrap_or(value.len()),
            base64::DecodeError::InvalidLength(_) => value.len(),
        };
        DecodeError::malformed(field, value, offset, "base64")
    })
}

/// The code of a business error, the value of [`BIZ_STATUS`]: a decimal number of 32 bits with a sign, if any.
///
/// # Errors
///
/// [`DecodeError::Malformed`]. A Kitex client answers with RST_STREAM PROTOCOL_ERROR, or its reader panics where the
/// number is out of range: never forward such a value (B7).
pub fn parse_biz_status(value: &[u8]) -> Result<i32, DecodeError> {
    status::parse_i32(BIZ_STATUS, value)
}

/// The metainfo of Kitex: keys that travel with a call, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metainfo {
    /// Travels along the whole chain of calls.
    Persist,
    /// Travels to the called service and no further.
    Transit,
    /// Comes back with the response; over gRPC from Volo servers only.
    Backward,
}

impl Metainfo {
    /// What the names of headers begin with: `rpc-persist-`, `rpc-transit-`, `rpc-backward-`.
    #[must_use]
    pub const fn header_prefix(self) -> &'static str {
        match self {
            Self::Persist => "rpc-persist-",
            Self::Transit => "rpc-transit-",
            Self::Backward => "rpc-backward-",
        }
    }

    /// What string keys of TTHeader and TTHeader Streaming begin with: `RPC_PERSIST_`, `RPC_TRANSIT_`, `RPC_BACKWARD_`.
    #[must_use]
    pub const fn key_prefix(self) -> &'static str {
        match self {
            Self::Persist => "RPC_PERSIST_",
            Self::Transit => "RPC_TRANSIT_",
            Self::Backward => "RPC_BACKWARD_",
        }
    }

    const ALL: [Self; 3] = [Self::Persist, Self::Transit, Self::Backward];
}

/// The string key of TTHeader for a metainfo header: `rpc-persist-a-b` → `RPC_PERSIST_A_B`. `None` when the header is not
/// metainfo or nothing follows its prefix: Kitex drops these.
#[must_use]
pub fn metainfo_key(header: &str) -> Option<String> {
    let suffix = |kind: Metainfo| header.strip_prefix(kind.header_prefix());
    Metainfo::ALL.into_iter().find_map(suffix).filter(|name| !name.is_empty())?;
    Some(header.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect())
}

/// The header for a string key of TTHeader that is metainfo: `RPC_PERSIST_A_B` → `rpc-persist-a-b`. `None` when it is not
/// metainfo, nothing follows its prefix, or no header may have such a name.
///
/// Where [`survives_cgi`] is false, the far end will read another key.
#[must_use]
pub fn metainfo_header(key: &[u8]) -> Option<String> {
    let suffix = |kind: Metainfo| key.strip_prefix(kind.key_prefix().as_bytes());
    Metainfo::ALL.into_iter().find_map(suffix).filter(|name| !name.is_empty())?;
    let name: String =
        key.iter().map(|&byte| if byte == b'_' { '-' } else { char::from(byte.to_ascii_lowercase()) }).collect();
    name.bytes().all(is_name_byte).then_some(name)
}

/// Whether a metainfo key is the same after it has been a header's name: `A`–`Z`, digits, `_` and what else a name may
/// have, but neither a lower-case letter nor `-`.
#[must_use]
pub fn survives_cgi(key: &[u8]) -> bool {
    let survives = |&byte: &u8| byte != b'-' && !byte.is_ascii_lowercase() && is_name_byte(byte.to_ascii_lowercase());
    !key.is_empty() && key.iter().all(survives)
}

/// `key` as the name of a header in HTTP/2, in lower case; borrowed where it is that already. `None` when no header may
/// have it (D5): empty, a byte that is none of a token (RFC 9110 section 5.6.2), or connection-specific.
#[must_use]
pub fn field_name(key: &[u8]) -> Option<Cow<'_, str>> {
    let key = str::from_utf8(key).ok()?;
    if key.is_empty() || !key.bytes().all(|byte| is_name_byte(byte.to_ascii_lowercase())) {
        return None;
    }
    let name = if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(key.to_ascii_lowercase())
    } else {
        Cow::Borrowed(key)
    };
    (NameKind::of(&name) != NameKind::ConnectionSpecific).then_some(name)
}

/// Whether bytes may be a header's value: no control character but the tab. Bytes from 0x80 on are legal, and Kitex sends
/// them in `biz-extra` and metainfo.
///
/// Spaces at the ends, which RFC 9113 forbids and everybody takes, are no reason to lose a value.
#[must_use]
pub fn is_legal_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// A byte of a token in lower case.
fn is_name_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~'
    )
}

const PADDED: GeneralPurpose = base64_engine(DecodePaddingMode::RequireCanonical);
const UNPADDED: GeneralPurpose = base64_engine(DecodePaddingMode::RequireNone);

const fn base64_engine(padding: DecodePaddingMode) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(padding);
    GeneralPurpose::new(&alphabet::STANDARD, config)
}
