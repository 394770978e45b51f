//! What the server and the client share: messages, blobs, metadata, the parts of a JSON object.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tonic::metadata::{AsciiMetadataKey, BinaryMetadataKey, BinaryMetadataValue, KeyAndValueRef, MetadataMap};

include!(concat!(env!("OUT_DIR"), "/acme.wire.livep.rs"));

pub(crate) const SERVICE: &str = "acme.wire.livep.LiveP";
pub(crate) const STRING_VALUE: &str = "type.googleapis.com/google.protobuf.StringValue";

pub(crate) fn blob(size: u64) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + 7) as u8).collect()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

/// The `x-` keys with all their values; those of `-bin` keys in base64.
pub(crate) fn x_metadata(metadata: &MetadataMap) -> Value {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in metadata.iter() {
        let (key, text) = match entry {
            KeyAndValueRef::Ascii(key, value) => (key.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()),
            KeyAndValueRef::Binary(key, value) => {
                (key.as_str(), value.to_bytes().map_or_else(|_| format!("not base64: {value:?}"), |b| base64(&b)))
            }
        };
        if key.starts_with("x-") {
            seen.entry(key.to_owned()).or_default().push(text);
        }
    }
    Value::from_iter(seen)
}

/// Adds one entry; `bytes` is the value of a `-bin` key, `text` that of any other.
pub(crate) fn append(metadata: &mut MetadataMap, key: &str, text: &str, bytes: &[u8]) {
    if key.ends_with("-bin") {
        if let Ok(key) = BinaryMetadataKey::from_bytes(key.as_bytes()) {
            metadata.append_bin(key, BinaryMetadataValue::from_bytes(bytes));
        }
    } else if let (Ok(key), Ok(value)) = (AsciiMetadataKey::from_bytes(key.as_bytes()), text.parse()) {
        metadata.append(key, value);
    }
}

pub(crate) fn number(object: &Value, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

pub(crate) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

pub(crate) fn flag(object: &Value, name: &str) -> Option<bool> {
    object.get(name)?.as_bool()
}
