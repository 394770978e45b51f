//! Our header blocks: a few fields that a peer's table learns the first time and gets by number afterwards, as from any
//! gRPC library.

use super::super::{CHAT_PATH, CONTENT_TYPE, UNARY_PATH};

/// A field of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Field {
    /// One that HPACK's static table has, by its index.
    Static(u8),
    /// One whose name the static table has at this index.
    Named(u8, &'static str),
    /// Name and value.
    Literal(&'static str, &'static str),
}

/// Fields of a unary call, as a gRPC client sends them.
pub(in super::super) const UNARY_REQUEST: &[Field] = &request(UNARY_PATH);
/// Fields of a bidirectional stream.
pub(in super::super) const CHAT_REQUEST: &[Field] = &request(CHAT_PATH);
/// Initial metadata of every answer.
pub(in super::super) const RESPONSE: &[Field] = &[Field::Static(8), Field::Named(31, CONTENT_TYPE)];
/// Trailers of every answer, as a Kitex or grpc-go server writes them.
pub(in super::super) const TRAILERS: &[Field] =
    &[Field::Literal("grpc-status", "0"), Field::Literal("grpc-message", "")];

/// The dynamic table's first index.
const DYNAMIC: usize = 62;

const fn request(path: &'static str) -> [Field; 7] {
    [
        Field::Static(3), // :method POST
        Field::Static(6), // :scheme http
        Field::Named(4, path),
        Field::Named(1, "bench.echo"), // :authority
        Field::Named(31, CONTENT_TYPE),
        Field::Named(58, "bench/0.1"), // user-agent
        Field::Literal("te", "trailers"),
    ]
}

/// Writes header blocks.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// What the peer's dynamic table holds, oldest first. A run has some ten fields, far below the table's 4,096 bytes.
    table: Vec<Field>,
    /// The peer has asked for a smaller table than that.
    literal_only: bool,
    /// It has to be told that the table is not used any more.
    size_update_due: bool,
}

impl Encoder {
    /// Uses the dynamic table no longer.
    pub(super) fn stop_indexing(&mut self) {
        self.size_update_due = !self.literal_only;
        self.literal_only = true;
        self.table.clear();
    }

    pub(super) fn encode(&mut self, fields: &[Field], out: &mut Vec<u8>) {
        const SIZE_ZERO: u8 = 0x20;
        if std::mem::take(&mut self.size_update_due) {
            out.push(SIZE_ZERO);
        }
        for field in fields {
            self.field(*field, out);
        }
    }

    fn field(&mut self, field: Field, out: &mut Vec<u8>) {
        const INDEXED: u8 = 0x80;
        const INCREMENTAL: u8 = 0x40;
        if let Field::Static(index) = field {
            out.push(INDEXED | index);
            return;
        }
        if let Some(age) = self.table.iter().rev().position(|known| *known == field) {
            // Ten fields reach index 72, and one byte holds 126.
            out.push(INDEXED | u8::try_from(DYNAMIC.saturating_add(age)).unwrap_or(0));
            return;
        }
        let (name, value) = match field {
            Field::Static(_) => return,
            Field::Named(index, value) => (Err(index), value),
            Field::Literal(name, value) => (Ok(name), value),
        };
        let index = name.err().unwrap_or(0);
        if self.literal_only {
            // A prefix of four bits: 15 and more goes on in a second byte.
            match index.checked_sub(15) {
                Some(rest) => out.extend_from_slice(&[15, rest]),
                None => out.push(index),
            }
        } else {
            out.push(INCREMENTAL | index);
            self.table.push(field);
        }
        if let Ok(name) = name {
            push_string(name, out);
        }
        push_string(value, out);
    }
}

/// Strings of the harness are shorter than the 127 bytes from which a length needs a second byte.
fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).unwrap_or(0));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::decode::Reader;
    use super::*;

    #[test]
    fn a_block_decodes_the_first_time_and_by_number_afterwards() {
        let mut encoder = Encoder::default();
        let mut reader = Reader::default();
        let mut sizes = Vec::new();
        for fields in [UNARY_REQUEST, RESPONSE, TRAILERS, UNARY_REQUEST, RESPONSE, TRAILERS, TRAILERS] {
            let mut block = Vec::new();
            encoder.encode(fields, &mut block);
            let head = reader.read(&block).unwrap();
            if fields == UNARY_REQUEST {
                assert_eq!((head.unary, head.is_grpc), (Some(true), true));
            } else if fields == RESPONSE {
                assert_eq!((head.status, head.grpc_status, head.is_grpc), (Some(200), None, true));
            } else {
                assert_eq!((head.status, head.grpc_status), (None, Some(0)));
            }
            sizes.push(block.len());
        }
        assert_eq!(sizes[3..], [7, 2, 2, 2], "{sizes:?}");
    }

    #[test]
    fn a_peer_without_a_table_gets_literals() {
        let mut encoder = Encoder::default();
        let mut reader = Reader::default();
        let mut block = Vec::new();
        encoder.encode(CHAT_REQUEST, &mut block);
        reader.read(&block).unwrap();
        encoder.stop_indexing();
        for _ in 0..2 {
            block.clear();
            encoder.encode(CHAT_REQUEST, &mut block);
            assert_eq!(reader.read(&block).unwrap().unary, Some(false));
        }
    }
}
