//! The peer's header blocks, RFC 7541: decoded in full, and remembered as long as the table they refer to is the same,
//! since from most peers they are the same bytes again and again.

use std::collections::VecDeque;
use std::fmt;

use httlib_huffman::DecoderSpeed;

use super::super::{CHAT_PATH, CONTENT_TYPE, Fault, UNARY_PATH};

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

/// Reads header blocks.
pub(in super::super) struct Reader {
    /// What the peer has put into the table, newest first.
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// Its size as HPACK counts it, and the most it may be.
    size: usize,
    max_size: usize,
    /// Blocks that left the table as it was, with what they said.
    known: Vec<(Vec<u8>, Head)>,
    /// What the last block said that changed the table.
    last: Head,
    /// For names and values that are Huffman-coded.
    scratch: (Vec<u8>, Vec<u8>),
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            table: VecDeque::new(),
            size: 0,
            max_size: TABLE_MAX,
            known: Vec::new(),
            last: Head::default(),
            scratch: (Vec::new(), Vec::new()),
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("table", &self.table.len()).finish_non_exhaustive()
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
            return self.known.get(place).map(|(_, head)| head).ok_or(BROKEN);
        }
        let (head, changed) = self.decode(block)?;
        if changed {
            self.known.clear();
            self.last = head;
            return Ok(&self.last);
        }
        self.known.truncate(KNOWN_MAX.saturating_sub(1));
        self.known.insert(0, (block.to_vec(), head));
        self.known.first().map(|(_, head)| head).ok_or(BROKEN)
    }

    /// What `block` says, and whether it has changed the table.
    fn decode(&mut self, mut block: &[u8]) -> Result<(Head, bool), Fault> {
        let mut head = Head::default();
        let mut changed = false;
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = take_integer(&mut block, 0x7f)?;
                let (name, value) = self.entry(index)?;
                head.note(name, value);
            } else if first & 0xe0 == 0x20 {
                self.max_size = take_integer(&mut block, 0x1f)?.min(TABLE_MAX);
                self.evict();
                changed = true;
            } else {
                let incremental = first & 0x40 != 0;
                let index = take_integer(&mut block, if incremental { 0x3f } else { 0x0f })?;
                let (mut name, mut value) = std::mem::take(&mut self.scratch);
                if index == 0 {
                    take_string(&mut block, &mut name)?;
                } else {
                    name.clear();
                    name.extend_from_slice(self.entry(index)?.0);
                }
                take_string(&mut block, &mut value)?;
                head.note(&name, &value);
                if incremental {
                    changed = true;
                    self.insert(name.clone(), value.clone());
                }
                self.scratch = (name, value);
            }
        }
        Ok((head, changed))
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Fault> {
        let place = index.checked_sub(1).ok_or(BROKEN)?;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.table.get(place.saturating_sub(STATIC.len()));
        entry.map(|(name, value)| (name.as_slice(), value.as_slice())).ok_or(BROKEN)
    }

    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.size = self.size.saturating_add(size_of_entry(&name, &value));
        self.table.push_front((name, value));
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.max_size
            && let Some((name, value)) = self.table.pop_back()
        {
            self.size = self.size.saturating_sub(size_of_entry(&name, &value));
        }
    }
}

/// HPACK's default, which the harness does not change.
const TABLE_MAX: usize = 4_096;
const BROKEN: Fault = Fault::Http2("a header block that does not decode");

fn size_of_entry(name: &[u8], value: &[u8]) -> usize {
    const OVERHEAD: usize = 32;
    name.len().saturating_add(value.len()).saturating_add(OVERHEAD)
}

/// RFC 7541 section 5.1; `mask` is the prefix.
fn take_integer(block: &mut &[u8], mask: u8) -> Result<usize, Fault> {
    let (&first, rest) = block.split_first().ok_or(BROKEN)?;
    *block = rest;
    let mut value = usize::from(first & mask);
    if value < usize::from(mask) {
        return Ok(value);
    }
    for shift in [0_u32, 7, 14, 21] {
        let (&byte, rest) = block.split_first().ok_or(BROKEN)?;
        *block = rest;
        value = value.saturating_add(usize::from(byte & 0x7f) << shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(BROKEN)
}

/// RFC 7541 section 5.2.
fn take_string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let huffman = block.first().is_some_and(|first| first & 0x80 != 0);
    let len = take_integer(block, 0x7f)?;
    let (text, rest) = block.split_at_checked(len).ok_or(BROKEN)?;
    *block = rest;
    out.clear();
    if huffman {
        return httlib_huffman::decode(text, out, DecoderSpeed::FourBits).map_err(|_| BROKEN);
    }
    out.extend_from_slice(text);
    Ok(())
}

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 appendix C.6: three responses, Huffman-coded, with a table of 256 bytes that has to evict.
    #[test]
    fn blocks_of_the_rfc_decode() {
        let mut reader = Reader { max_size: 256, ..Reader::default() };
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\
                      \x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\
                      \xe9\xae\x82\xae\x43\xd3";
        assert_eq!(reader.read(first).unwrap().status, Some(302));
        assert_eq!(reader.read(b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf").unwrap().status, Some(307));
        assert_eq!(reader.size, 222);
        assert_eq!(reader.table[0], (b":status".to_vec(), b"307".to_vec()));
        assert_eq!(reader.table[3], (b"cache-control".to_vec(), b"private".to_vec()));
        assert_eq!(reader.table.len(), 4);
    }

    #[test]
    fn only_blocks_that_leave_the_table_alone_are_remembered() {
        let mut reader = Reader::default();
        let incremental = b"\x40\x0bgrpc-status\x010";
        assert_eq!(reader.read(incremental).unwrap().grpc_status, Some(0));
        assert!(reader.known.is_empty());
        assert_eq!(reader.read(b"\xbe").unwrap().grpc_status, Some(0));
        assert_eq!(reader.known.len(), 1);
        // a new entry moves what index 62 means
        assert_eq!(reader.read(b"\x40\x0bgrpc-status\x015").unwrap().grpc_status, Some(5));
        assert_eq!(reader.read(b"\xbe").unwrap().grpc_status, Some(5));
        assert_eq!(reader.read(b"\x00\x0bgrpc-status\x017").unwrap().grpc_status, Some(7));
        assert_eq!(reader.known.len(), 2);
    }

    #[test]
    fn garbage_is_an_error() {
        for block in [&b"\xff"[..], b"\x80", b"\xbe", b"\x40\x0bgrpc", b"\x00\x03abc", b"\x7f\xff\xff\xff\xff\xff"] {
            assert!(Reader::default().read(block).is_err(), "{block:?}");
        }
    }
}
