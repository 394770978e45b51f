//! What both directions share: the codec, and texts in JSON.

use crate::error::{Error, ErrorKind};
use crate::path::Step;
use crate::protobuf::decode::Decoder;
use crate::protobuf::descriptor::PbDescriptor;
use crate::protobuf::encode::encode;
use crate::protobuf::options::{MAX_PB_DEPTH, PbOptions};
use crate::protobuf::schema::PbMessage;

/// JSON to messages and back, in the [shape](super#the-shape-of-the-json) of Kitex's JSONPb generic (generic-call 6.8).
#[derive(Clone, Debug, Default)]
pub struct PbJsonCodec {
    options: PbOptions,
}

impl PbJsonCodec {
    /// A codec.
    #[must_use]
    pub fn new(options: PbOptions) -> Self {
        Self { options: PbOptions { max_depth: options.max_depth.min(MAX_PB_DEPTH), ..options } }
    }

    /// Appends the message that an object of JSON stands for; `null` stands for an empty one, as a call without a request
    /// does. In a stream each message is one.
    ///
    /// Takes time and memory linear in `json`, but that a nested message of more than 127 bytes is moved once a level.
    ///
    /// # Errors
    ///
    /// The text is no JSON, or a value has no place in its field; with the path to it, and its place in the text. What
    /// `out` had before is then still in it, and no more.
    ///
    /// # Panics
    ///
    /// The message is of other files than the descriptor.
    pub fn encode(&self, d: &PbDescriptor, message: PbMessage, json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        encode(d.schema(), &self.options, message, json, out).inspect_err(|_| out.truncate(start))
    }

    /// Appends the object of JSON that stands for a message.
    ///
    /// # Errors
    ///
    /// The bytes are no such message, or have what JSON can't say (NaN, text that is no UTF-8); with the path to it, and
    /// its place in the message. What `out` had before is then still in it, and no more.
    ///
    /// # Panics
    ///
    /// The message is of other files than the descriptor.
    pub fn decode(&self, d: &PbDescriptor, message: PbMessage, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        let name = &d.schema().message(message).name;
        Decoder::new(d.schema(), &self.options, out)
            .root(message, bytes)
            .map_err(|error| error.inside(Step::Field(name.clone())))
            .inspect_err(|_| out.truncate(start))
    }
}

/// Appends text in quotes.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cold]
pub(super) fn invalid(expected: &'static str, found: &str, reason: &str) -> Error {
    const SHOWN: usize = 64;
    let mut shown: String = found.chars().take(SHOWN).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    Error::new(ErrorKind::Value { expected, found: shown.into(), reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_json_wants_it() {
        for text in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\n\r\t\u{7f}", "<ü&\u{2028}\u{1f600}>"] {
            let mut out = Vec::new();
            push_text(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
