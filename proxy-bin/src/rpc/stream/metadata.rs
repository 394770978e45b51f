use std::borrow::Cow;

use bytes::Bytes;
use grpc_frame::metadata::{self, NameKind};
use http::HeaderMap;
use ttstream::{Frame, keys};

/// What travels beside the messages, in the form it came in.
///
/// A driver of the same protocol sends it on as it is; another one reads its [`entries`](Self::entries).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Metadata {
    /// The fields of a HEADERS frame, without the pseudo ones.
    Http2(HeaderMap),
    /// A header or trailer frame of TTHeader Streaming.
    Frame(Frame),
    /// String pairs of a ping-pong message's header, those of the protocol itself apart.
    Pairs(Vec<(Bytes, Bytes)>),
}

/// One pair of metadata, for a driver of any protocol. What is a protocol's own (content type, status, method, the keys
/// of a business error) is not among them: the vocabulary has other places for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The key as TTHeader has it: metainfo as `RPC_PERSIST_A_B`, any other as it came.
    pub key: Cow<'a, [u8]>,
    /// Bytes, those of a `-bin` field decoded.
    pub value: Cow<'a, [u8]>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self::Http2(HeaderMap::new())
    }
}

impl Metadata {
    /// Every pair that can travel on another protocol, in order, duplicates included. `dropped` is called for each that
    /// can't be read.
    pub fn entries<'a>(&'a self, dropped: impl FnMut()) -> impl Iterator<Item = Entry<'a>> {
        let (fields, frame, pairs) = match self {
            Self::Http2(fields) => (Some(fields), None, &[][..]),
            Self::Frame(frame) => (None, Some(frame), &[][..]),
            Self::Pairs(pairs) => (None, None, &pairs[..]),
        };
        let pairs = pairs.iter().map(|(key, value)| Entry { key: key[..].into(), value: value[..].into() });
        entries(fields, frame, dropped).chain(pairs)
    }
}

/// The pairs of either form.
pub(super) fn entries<'a>(
    fields: Option<&'a HeaderMap>,
    frame: Option<&'a Frame>,
    dropped: impl FnMut(),
) -> impl Iterator<Item = Entry<'a>> {
    let fields = fields.map(|fields| fields_entries(fields, dropped));
    fields.into_iter().flatten().chain(frame.map(frame_entries).into_iter().flatten())
}

fn fields_entries<'a>(fields: &'a HeaderMap, mut dropped: impl FnMut()) -> impl Iterator<Item = Entry<'a>> {
    fields.iter().filter_map(move |(name, value)| {
        let name = name.as_str();
        let value = value.as_bytes();
        match NameKind::of(name) {
            NameKind::Reserved | NameKind::Consumed | NameKind::ConnectionSpecific => None,
            NameKind::Persist | NameKind::Transit | NameKind::Backward => {
                // Kitex drops empty values too (streaming-wire B8).
                let key = metadata::metainfo_key(name).filter(|_| !value.is_empty())?;
                Some(Entry { key: key.into_bytes().into(), value: value.into() })
            }
            _ if is_identity(name) => None,
            // As a key it would be taken for what the protocol itself says.
            _ if is_own(name.as_bytes()) => {
                dropped();
                None
            }
            _ if metadata::is_binary(name) => match metadata::decode_bin("-bin", value) {
                Ok(bytes) => Some(Entry { key: name.as_bytes().into(), value: bytes.into() }),
                Err(_) => {
                    dropped();
                    None
                }
            },
            _ => Some(Entry { key: name.as_bytes().into(), value: value.into() }),
        }
    })
}

fn frame_entries(frame: &Frame) -> impl Iterator<Item = Entry<'_>> {
    frame.pairs().filter(|(key, _)| !is_own(key)).map(|(key, value)| Entry { key: key.into(), value: value.into() })
}

/// Whether a string key says something about one message, stream or connection, or has its own place in another protocol:
/// it is not metadata that travels, and metadata must not pass for it.
pub(crate) fn is_own(key: &[u8]) -> bool {
    let own = [
        keys::IDL_SERVICE_NAME,
        keys::CANCEL_PATH,
        keys::BIZ_STATUS,
        keys::BIZ_MESSAGE,
        keys::BIZ_EXTRA,
        ttheader::keys::CONNECTION_RESET,
        ttheader::keys::CRC32C,
    ];
    own.contains(&key) || key.starts_with(ttheader::keys::PAYLOAD_VALIDATOR_PREFIX)
}

/// Fields that say who calls whom: a head has methods for them.
fn is_identity(name: &str) -> bool {
    [metadata::SOURCE_SERVICE, metadata::SOURCE_METHOD, metadata::DESTINATION_SERVICE, metadata::DESTINATION_METHOD]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_field_passes_for_what_the_other_protocol_says_itself() {
        let mut fields = HeaderMap::new();
        for name in ["isn", "ttscp", "biz-message", "biz-status", "crrst", "crc32c", "content-type", "x-key"] {
            fields.insert(name, HeaderValue::from_static("value"));
        }
        let mut dropped = 0;
        let metadata = Metadata::Http2(fields);
        let keys: Vec<_> = metadata.entries(|| dropped += 1).map(|entry| entry.key.into_owned()).collect();
        assert_eq!(keys, [b"x-key"]);
        assert_eq!(dropped, 5, "what gRPC takes away by itself is not counted");
    }
}
