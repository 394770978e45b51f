//! What stands inside a message: as JSON where an IDL knows it, else as a tree of ids and types.

use grpc_frame::content_type::Codec;

use crate::cli::schema::{Answer, Schema};
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
pub(crate) struct Bodies {
    /// The IDL, where one is given.
    pub(crate) schema: Option<Schema>,
}

impl Bodies {
    pub(crate) fn print(&self, body: &Body<'_>, depth: usize, text: &mut Text) {
        text.dump(depth, body.at, body.bytes);
        if let Some(told) = self.by_idl(body) {
            match told {
                Ok(answer) => return print_answer(&answer, depth, text),
                // Bytes that the IDL does not fit may still be a struct.
                Err(error) => text.line(depth, format_args!("(not what the IDL says: {error})")),
            }
        }
        tree(body, depth, text);
    }

    /// What the IDL makes of a body whose method it has.
    fn by_idl(&self, body: &Body<'_>) -> Option<Result<Answer, String>> {
        let schema = self.schema.as_ref()?;
        let (service, name) = (str::from_utf8(body.service).ok()?, str::from_utf8(body.method).ok()?);
        // The service may be called otherwise than in the IDL.
        let method = schema.method(service, name).or_else(|| schema.method("", name))?;
        let streams = method.streams() != (false, false);
        if method.codec() != body.codec || (streams && !body.streamed) {
            return None;
        }
        Some(match body.way? {
            Way::Request => method.decode_request(body.bytes).map(Answer::Value),
            Way::Response => method.decode_response(body.bytes),
        })
    }
}

fn print_answer(answer: &Answer, depth: usize, text: &mut Text) {
    match answer {
        Answer::Value(json) if json.starts_with(['{', '[', '"']) => text.json(depth, json),
        // The text of a string, without quotes.
        Answer::Value(value) => text.line(depth, text.value(value.as_bytes())),
        Answer::Void => text.line(depth, "(void)"),
        Answer::Empty => text.line(depth, "(no result)"),
        Answer::Declared { name, ty, json } => {
            text.line(depth, format_args!("exception {name}: {ty}"));
            text.json(depth.saturating_add(1), json);
        }
    }
}

fn tree(body: &Body<'_>, depth: usize, text: &mut Text) {
    let Body { codec, bytes, at, .. } = *body;
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
        _ if protobuf::tree(bytes, depth, text) => {}
        _ => {
            let what = format!("{} bytes that are no Protobuf message: {}", bytes.len(), text.value(bytes));
            text.nonsense(depth, at, what);
        }
    }
}
