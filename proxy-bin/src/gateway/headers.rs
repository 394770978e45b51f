//! What of a request's head travels along with its call, and what of a reply's header comes back.

use std::time::Duration;

use grpc_frame::metadata::{self, NameKind};
use grpc_frame::timeout;
use http::{HeaderMap, HeaderName, HeaderValue};
use ttheader::HeaderView;

use crate::gateway::Error;

/// The number by which one request is found again in logs: the caller's, or a new one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's where it is good: visible ASCII, not too long.
    pub(crate) fn of(fields: &HeaderMap) -> Self {
        let given = fields
            .get(&REQUEST_ID)
            .filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
        if let Some(given) = given {
            return Self(given.clone());
        }
        let made = uuid::Uuid::new_v4().simple().to_string();
        // Hexadecimal digits are always a good value.
        Self(HeaderValue::from_str(&made).unwrap_or(HeaderValue::from_static("-")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Says it in an answer.
    pub(crate) fn put(&self, fields: &mut HeaderMap) {
        fields.insert(REQUEST_ID, self.0.clone());
    }
}

/// The time that the caller gives the call: `grpc-timeout`, as grpc-gateway has it.
///
/// # Errors
///
/// The value is none.
pub(crate) fn timeout_of(fields: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = fields.get(TIMEOUT) else { return Ok(None) };
    match timeout::parse(value.as_bytes()) {
        Ok(timeout) => Ok(Some(timeout)),
        Err(error) => Err(Error::bad_request(format!("{error}, expected up to 8 digits and H, M, S, m, u or n"))),
    }
}

/// Metainfo of the request under its keys in TTHeader (`rpc-persist-a-b` → `RPC_PERSIST_A_B`). Empty values are dropped,
/// as Kitex drops them.
pub(crate) fn metainfo(fields: &HeaderMap) -> impl Iterator<Item = (String, &[u8])> {
    fields.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let travels = matches!(NameKind::of(name), NameKind::Persist | NameKind::Transit) && !value.is_empty();
        travels.then(|| metadata::metainfo_key(name)).flatten().map(|key| (key, value.as_bytes()))
    })
}

/// Puts the metadata of a reply into the fields of its answer: Kitex's backward values, which have any name, as
/// `rpc-backward-…`. Says how many have no form there.
pub(crate) fn put_backward<'a>(reply: HeaderView<'a>, is_own: impl Fn(&[u8]) -> bool, fields: &mut HeaderMap) -> u64 {
    let mut dropped = 0_u64;
    for (key, value) in reply.strings().filter(|(key, _)| !is_own(key) && *key != ttheader::keys::REMOTE_ADDRESS) {
        let name = match metadata::metainfo_header(key) {
            Some(name) => Some(name),
            None => metadata::field_name(key).map(|name| format!("{BACKWARD}{name}")),
        };
        let name = name.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        match name.zip(HeaderValue::from_bytes(value).ok()) {
            Some((name, value)) => _ = fields.append(name, value),
            None => dropped = dropped.saturating_add(1),
        }
    }
    dropped
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const BACKWARD: &str = "rpc-backward-";
/// What a caller's request id may have at the most, in bytes.
const MAX_REQUEST_ID: usize = 128;
