//! Header blocks. Ours are of a few fields that a peer's table learns the first time and gets by number afterwards, as
//! from any gRPC library; the peer's are decoded in full, and remembered as long as the table they refer to is the same,
//! since most are the same bytes again and again.

use loona_hpack::Decoder;

use super::super::{CHAT_PATH, Fault, UNARY_PATH};

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

const CONTENT_TYPE: &str = "application/grpc";
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

/// What a header block said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Head {
    /// `:status`.
    pub(in super::super) status: Option<u16>,
    /// `grpc-status`.
    pub(in super::super) grpc_status: Option<u32>,
    /// Whether `content-type` says gRPC.
    pub(in super::super) is_grpc: bool,
    /// Whether `:path` is the unary one (`true`) or the bidirectional one (`false`).
    pub(in super::super) unary: Option<bool>,
}

/// Reads header blocks.
pub(in super::super) struct Reader {
    decoder: Decoder<'static>,
    /// Blocks that left the table as it was, with what they said.
    known: Vec<(Vec<u8>, Head)>,
    /// What the last block said that changed the table.
    last: Head,
}

impl Default for Reader {
    fn default() -> Self {
        Self { decoder: Decoder::new(), known: Vec::new(), last: Head::default() }
    }
}

impl Reader {
    /// What `block` says.
    ///
    /// # Errors
    /// When it does not decode.
    pub(in super::super) fn read(&mut self, block: &[u8]) -> Result<&Head, Fault> {
        const KNOWN_MAX: usize = 4;
        if let Some(place) = self.known.iter().position(|(bytes, _)| bytes == block) {
            return self.known.get(place).map(|(_, head)| head).ok_or(Fault::Http2("no such block"));
        }
        let mut head = Head::default();
        let decoded = self.decoder.decode_with_cb(block, |name, value| head.note(&name, &value));
        decoded.map_err(|error| Fault::Headers(format!("{error:?}")))?;
        if changes_table(block) {
            self.known.clear();
            self.last = head;
            return Ok(&self.last);
        }
        self.known.truncate(KNOWN_MAX.saturating_sub(1));
        self.known.insert(0, (block.to_vec(), head));
        self.known.first().map(|(_, head)| head).ok_or(Fault::Http2("no such block"))
    }
}

impl Head {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match name {
            b":status" => self.status = text.parse().ok(),
            b"grpc-status" => self.grpc_status = text.parse().ok(),
            b"content-type" => self.is_grpc = text.starts_with(CONTENT_TYPE),
            b":path" if text == UNARY_PATH => self.unary = Some(true),
            b":path" if text == CHAT_PATH => self.unary = Some(false),
            _ => {}
        }
    }
}

/// Whether a block that decodes has an incremental literal or a table size update in it.
fn changes_table(mut block: &[u8]) -> bool {
    while let Some(&first) = block.first() {
        if first & 0x80 != 0 {
            skip_integer(&mut block, 0x7f);
            continue;
        }
        if first & 0xf0 > 0x10 {
            return true;
        }
        if skip_integer(&mut block, 0x0f) == 0 {
            skip_string(&mut block);
        }
        skip_string(&mut block);
    }
    false
}

fn skip_string(block: &mut &[u8]) {
    let len = skip_integer(block, 0x7f);
    *block = block.get(len..).unwrap_or_default();
}

/// RFC 7541 section 5.1.
fn skip_integer(block: &mut &[u8], prefix: u8) -> usize {
    let Some((&first, rest)) = block.split_first() else { return 0 };
    *block = rest;
    let mut value = usize::from(first & prefix);
    if value < usize::from(prefix) {
        return value;
    }
    let mut shift = 0_u32;
    while let Some((&byte, rest)) = block.split_first() {
        *block = rest;
        let part = usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(usize::MAX);
        value = value.saturating_add(part);
        shift = shift.saturating_add(7);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
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
        assert!(!changes_table(&block));
        assert_eq!(reader.known[0].0, block);
    }
}
