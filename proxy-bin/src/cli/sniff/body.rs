//! What stands inside a message: as JSON where an IDL knows it, else as a tree of ids and types.

use grpc_frame::content_type::Codec;

use crate::cli::sniff::text::Text;
use crate::cli::sniff::{protobuf, thrift};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Request,
    Response,
}

/// What is known of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) codec: Codec,
    /// Empty where it is not known.
    pub(crate) service: &'a [u8],
    pub(crate) method: &'a [u8],
    /// None where it is not known.
    pub(crate) way: Option<Way>,
    /// Whether a stream carries it, so that its IDL decides if it is bare.
    pub(crate) streamed: bool,
    pub(crate) bytes: &'a [u8],
    /// The offset of its first byte.
    pub(crate) at: usize,
}

/// Prints bodies.
#[derive(Debug, Default)]
pub(crate) struct Bodies {}

impl Bodies {
    pub(crate) fn print(&self, body: &Body<'_>, depth: usize, text: &mut Text) {
        let Body { codec, bytes, at, .. } = *body;
        text.dump(depth, at, bytes);
        match codec {
            Codec::Thrift => match thrift::tree(bytes, depth, text) {
                Ok(len) if len < bytes.len() => {
                    let rest = bytes.get(len..).unwrap_or_default();
                    text.line(depth, format_args!("{} bytes behind the struct: {}", rest.len(), text.value(rest)));
                }
                Ok(_) if bytes == b"\0" => text.line(depth, "(empty struct)"),
                Ok(_) => {}
                Err(error) => text.nonsense(depth, at, format_args!("the struct makes no sense: {error}")),
            },
            _ if bytes.is_empty() => text.line(depth, "(empty message)"),
            _ => {
                if !protobuf::tree(bytes, depth, text) {
                    text.nonsense(
                        depth,
                        at,
                        format_args!("{} bytes that are no Protobuf message: {}", bytes.len(), text.value(bytes)),
                    );
                }
            }
        }
    }
}
