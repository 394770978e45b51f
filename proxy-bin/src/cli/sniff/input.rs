//! What a file is: a capture, a hex dump of any usual style, or the bytes themselves.

use crate::sniff::{Verdict, sniff};

/// The bytes to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// One direction of a connection, or a part of it.
    Bytes(Vec<u8>),
    /// The same, read from a dump.
    Hex(Vec<u8>),
    /// Captured packets: pcap or pcapng.
    Capture(Vec<u8>),
}

/// Tells what `file` is.
///
/// # Errors
///
/// It looks like a hex dump, and is none; the text says where.
pub(crate) fn classify(file: Vec<u8>) -> Result<Input, String> {
    if file.first_chunk().is_some_and(is_capture) {
        return Ok(Input::Capture(file));
    }
    let is_text = file.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'));
    if !is_text || file.is_empty() || sniff(&file) != Verdict::Unknown && sniff(&file) != Verdict::NeedMore {
        return Ok(Input::Bytes(file));
    }
    let text = String::from_utf8_lossy(&file);
    match dump(&text) {
        Ok(bytes) => Ok(Input::Hex(bytes)),
        // Text of another kind, such as HTTP/1.
        Err(wrong) if !looks_like_hex(&text) => {
            drop(wrong);
            Ok(Input::Bytes(file))
        }
        Err(wrong) => Err(wrong),
    }
}

/// The magic numbers of pcap, either byte order, micro- or nanoseconds, and of pcapng.
fn is_capture(magic: &[u8; 4]) -> bool {
    matches!(u32::from_be_bytes(*magic), 0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 | 0x0a0d_0d0a)
}

/// Whether a mistake in it is worth telling: most of its first line is hex.
fn looks_like_hex(text: &str) -> bool {
    let Some(line) = text.lines().find(|line| !line.trim().is_empty()) else { return false };
    let hex = line.bytes().filter(|byte| byte.is_ascii_hexdigit()).count();
    hex.saturating_mul(2) > line.bytes().filter(|byte| !byte.is_ascii_whitespace()).count()
}

/// The bytes of a dump: with offsets in front of its lines, or hex alone.
fn dump(text: &str) -> Result<Vec<u8>, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match with_offsets(&lines) {
        Some(rows) => columns(&rows),
        None => plain(text),
    }
}

/// A line of a dump: which byte it begins with, and what follows the offset.
struct Row<'a> {
    offset: usize,
    rest: &'a str,
    /// A `*` stands in front: the row before is repeated up to this one.
    repeats: bool,
}

/// The rows of `hexdump -C`, `xxd`, `od -t x1`, `tcpdump -X` and the like: offsets that begin with 0 and grow.
fn with_offsets<'a>(lines: &[&'a str]) -> Option<Vec<Row<'a>>> {
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(lines.len());
    let mut repeats = false;
    for line in lines {
        if line.trim() == "*" {
            repeats = true;
            continue;
        }
        let trimmed = line.trim_start();
        let end = trimmed.find([' ', '\t', ':']).unwrap_or(trimmed.len());
        let (offset, rest) = trimmed.split_at_checked(end)?;
        let digits = offset.strip_prefix("0x").unwrap_or(offset);
        // Two digits are a byte rather than an offset, unless a colon says so.
        if digits.len() < if rest.starts_with(':') { 1 } else { 4 } {
            return None;
        }
        let offset = usize::from_str_radix(digits, 16).ok()?;
        let grows = rows.last().map_or(offset == 0, |last| offset > last.offset);
        let first_alone =
            rows.is_empty() && lines.len() == 1 && !rest.starts_with([':', '\t']) && !rest.starts_with("  ");
        if !grows || first_alone || offset > super::MAX_INPUT {
            return None;
        }
        rows.push(Row { offset, rest: rest.strip_prefix(':').unwrap_or(rest), repeats: std::mem::take(&mut repeats) });
    }
    // Bytes that happen to look like offsets do not grow by what their lines hold.
    let step = |rows: &[Row<'_>]| match rows {
        [first, second, ..] => second.offset.saturating_sub(first.offset) <= MAX_ROW || second.repeats,
        _ => true,
    };
    (!rows.is_empty() && step(&rows)).then_some(rows)
}

fn columns(rows: &[Row<'_>]) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    // Where the text beside the bytes begins, known from the rows before the last.
    let mut gutter = None;
    for (index, row) in rows.iter().enumerate() {
        let wrong = |what: &str| format!("hex dump, offset {:#x}: {what}", row.offset);
        if row.repeats {
            let last = bytes.len().checked_sub(rows.get(index.saturating_sub(1)).map_or(0, |last| last.offset));
            let row_len = last.filter(|&len| len > 0).ok_or_else(|| wrong("nothing to repeat"))?;
            while bytes.len() < row.offset {
                // A whole row at a time; what is too much is taken away again.
                bytes.extend_from_within(bytes.len().saturating_sub(row_len)..);
            }
            bytes.truncate(row.offset);
        }
        if bytes.len() != row.offset {
            return Err(wrong(&format!("expected {:#x}, the lines before hold as many bytes", bytes.len())));
        }
        let next = rows.get(index.saturating_add(1));
        let wanted = next.filter(|next| !next.repeats).map(|next| next.offset.saturating_sub(row.offset));
        let (row_bytes, end) = cells(row.rest, wanted, gutter);
        if let Some(wanted) = wanted.filter(|&wanted| wanted != row_bytes.len()) {
            return Err(wrong(&format!("{} bytes in this line, {wanted} up to the next offset", row_bytes.len())));
        }
        gutter = gutter.max(Some(end));
        bytes.extend_from_slice(&row_bytes);
    }
    Ok(bytes)
}

/// The bytes of a row, as many as are wanted, else those in front of the text beside them; and where they end.
fn cells(row: &str, wanted: Option<usize>, gutter: Option<usize>) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let (mut at, mut end, mut blanks) = (0_usize, 0_usize, 0_usize);
    let text = row.as_bytes();
    while bytes.len() < wanted.unwrap_or(MAX_ROW) {
        let blank = text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if blank {
            blanks = blanks.saturating_add(1);
            at = at.saturating_add(1);
            continue;
        }
        // A lone last row: one blank between groups, two in the middle of sixteen bytes, and in front of the text.
        let at_text = match (wanted, gutter) {
            (Some(_), _) => false,
            (None, Some(gutter)) => at >= gutter,
            (None, None) => blanks >= 2 && !bytes.is_empty() && bytes.len() != 8,
        };
        let Some(byte) = text.get(at..at.saturating_add(2)).and_then(hex_pair).filter(|_| !at_text) else { break };
        bytes.push(byte);
        at = at.saturating_add(2);
        end = at;
        blanks = 0;
    }
    (bytes, end)
}

/// Hex with whatever people put between: blanks, commas, quotes, brackets, `0x`, `\x`, `#` comments.
fn plain(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        for word in code.split(|c: char| c.is_whitespace() || ",:;\"'[](){}-\\".contains(c)) {
            let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix('x')).unwrap_or(word).as_bytes();
            let mut pairs = digits.chunks_exact(2);
            for pair in &mut pairs {
                bytes.push(hex_pair(pair).ok_or_else(|| not_hex(number, word))?);
            }
            if !pairs.remainder().is_empty() {
                return Err(not_hex(number, word));
            }
        }
    }
    Ok(bytes)
}

fn not_hex(line: usize, word: &str) -> String {
    let word: String = word.chars().take(40).collect();
    format!("hex, line {}: {word:?} is not pairs of hex digits", line.saturating_add(1))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let &[high, low] = pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The most bytes of a dump's line.
const MAX_ROW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"\0\0\0\x1a\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02hi\0";

    fn hex(text: &str) -> Vec<u8> {
        match classify(text.as_bytes().to_vec()) {
            Ok(Input::Hex(bytes)) => bytes,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn dumps_of_every_style_are_read() {
        for text in [
            "0000001a80010001000000046563686f000000010b00010000000268690 0",
            "00 00 00 1a 80 01 00 01 00 00 00 04 65 63 68 6f # echo\n00000001 0b 0001 00000002 6869 00",
            r"\x00\x00\x00\x1a\x80\x01\x00\x01\x00\x00\x00\x04\x65\x63\x68\x6f\x00\x00\x00\x01\x0b\x00\x01\x00\x00\x00\x02\x68\x69\x00",
            "[0x00, 0x00, 0x00, 0x1a, 0x80, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x04, 0x65, 0x63, 0x68, 0x6f, 0x00, \
             0x00, 0x00, 0x01, 0x0b, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x68, 0x69, 0x00]",
            // xxd
            "00000000: 0000 001a 8001 0001 0000 0004 6563 686f  ............echo\n\
             00000010: 0000 0001 0b00 0100 0000 0268 6900       ...........hi.\n",
            // hexdump -C
            "00000000  00 00 00 1a 80 01 00 01  00 00 00 04 65 63 68 6f  |............echo|\n\
             00000010  00 00 00 01 0b 00 01 00  00 00 02 68 69 00        |...........hi.|\n0000001e\n",
            // od -A x -t x1
            "000000 00 00 00 1a 80 01 00 01 00 00 00 04 65 63 68 6f\n000010 00 00 00 01 0b 00 01 00 00 00 02 68 69 00\n\
             00001e\n",
            // tcpdump -X
            "\t0x0000:  0000 001a 8001 0001 0000 0004 6563 686f  ............echo\n\
             \t0x0010:  0000 0001 0b00 0100 0000 0268 6900       ...........hi.\n",
            // Wireshark
            "0000   00 00 00 1a 80 01 00 01 00 00 00 04 65 63 68 6f   ............echo\n\
             0010   00 00 00 01 0b 00 01 00 00 00 02 68 69 00         ...........hi.\n",
        ] {
            let text = text.replace("690 0", "6900");
            assert_eq!(hex(&text), BYTES, "{text}");
        }
    }

    #[test]
    fn text_beside_the_last_line_is_no_data() {
        assert_eq!(hex("00000000: 8001 0001 ab61  abcdef\n"), b"\x80\x01\0\x01\xaba");
        assert_eq!(hex("00000000  80 01 00 01 62 65  |..bebe|\n00000006\n"), b"\x80\x01\0\x01be");
        let lines = format!("00000000: {}  {}\n00000010: {:<39}  ab\n", ["6161"; 8].join(" "), "a".repeat(16), "6162");
        assert_eq!(hex(&lines), [&[b'a'; 16][..], b"ab"].concat());
    }

    #[test]
    fn a_star_repeats_the_line_before() {
        let text = "00000000  61 61 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|\n*\n\
                    00000040  62  |b|\n00000041\n";
        assert_eq!(hex(text), [&[b'a'; 64][..], b"b"].concat());
    }

    #[test]
    fn what_is_not_hex_is_told_or_taken_as_it_is() {
        assert!(classify(b"80 01 00 0g".to_vec()).unwrap_err().contains("line 1"));
        assert!(classify(b"80 01 00 0".to_vec()).unwrap_err().contains("\"0\""));
        let short = "00000000: 8001 0001\n00000010: 0000\n";
        assert!(classify(short.into()).unwrap_err().contains("4 bytes in this line, 16"), "{short}");
        let http = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        assert_eq!(classify(http.clone()), Ok(Input::Bytes(http)));
        assert_eq!(classify(BYTES.to_vec()), Ok(Input::Bytes(BYTES.to_vec())));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        assert_eq!(classify(preface.clone()), Ok(Input::Bytes(preface)));
        assert!(matches!(classify(b"\xd4\xc3\xb2\xa1".to_vec()), Ok(Input::Capture(_))));
    }
}
