use crate::rpc::Protocol;

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Verdict {
    /// They are this protocol's. Of the ping-pong protocols it is the first message's: each later one may differ.
    Is(Protocol),
    /// They are no protocol's that the proxy knows.
    Unknown,
    /// Every byte so far fits a protocol, and none is certain.
    NeedMore,
}

/// Tells the protocol of a connection by its first bytes (pingpong-wire 2.2, 2.3). Pure: the same bytes give the same
/// verdict, and a prefix of them gives the same or `NeedMore`.
///
/// ```
/// use proxy::rpc::Protocol;
/// use proxy::sniff::{Verdict, sniff};
///
/// assert_eq!(sniff(b"\x80\x01\x00\x01\0\0\0\x04"), Verdict::Is(Protocol::Buffered));
/// assert_eq!(sniff(b"\0\0\0\x1a\x80\x01\0\x01"), Verdict::Is(Protocol::Framed));
/// assert_eq!(sniff(b"PRI * HT"), Verdict::Is(Protocol::Grpc));
/// assert_eq!(sniff(b"GET / HT"), Verdict::Unknown);
/// assert_eq!(sniff(b"\0\0\0"), Verdict::NeedMore);
/// ```
#[must_use]
pub fn sniff(prefix: &[u8]) -> Verdict {
    let Some(first) = prefix.first_chunk::<8>() else { return Verdict::NeedMore };
    // Kitex's order, which decides where several would fit.
    match *first {
        HTTP2 => Verdict::Is(Protocol::Grpc),
        [_, _, _, _, 0x10, 0x00, _, flags] if flags & STREAMING != 0 => Verdict::Is(Protocol::TtStream),
        [_, _, _, _, 0x10, 0x00, _, _] => Verdict::Is(Protocol::TtHeader),
        // A mesh header counts as the message behind it.
        [0xff, 0xaf, size_high, size_low, ..] => mesh(prefix, u16::from_be_bytes([size_high, size_low])),
        first => payload(first),
    }
}

fn mesh(prefix: &[u8], size: u16) -> Verdict {
    let payload_at = usize::from(size).saturating_add(4);
    match prefix.get(payload_at..).map(|rest| rest.first_chunk::<8>()) {
        Some(Some(first)) => payload(*first),
        _ => Verdict::NeedMore,
    }
}

fn payload(first: [u8; 8]) -> Verdict {
    match first {
        [0x80, 0x01, ..] => Verdict::Is(Protocol::Buffered),
        [_, _, _, _, 0x80 | 0x90, 0x01, _, _] => Verdict::Is(Protocol::Framed),
        _ => Verdict::Unknown,
    }
}

/// The first eight bytes of the HTTP/2 preface.
const HTTP2: [u8; 8] = *b"PRI * HT";
/// The low byte of TTHeader's FLAGS.
const STREAMING: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of pingpong-wire 2.4.
    #[test]
    fn the_table_of_the_specification_holds() {
        use Protocol::{Buffered, Framed, Grpc, TtHeader, TtStream};
        for (bytes, protocol) in [
            ([0x80, 1, 0, 1, 0, 0, 0, 4], Some(Buffered)),
            ([0, 0, 0, 0x1a, 0x80, 1, 0, 1], Some(Framed)),
            ([0, 0, 0, 0x14, 0x90, 1, 0, 1], Some(Framed)),
            ([0x90, 1, 0, 1, 0, 0, 0, 4], None),
            ([0, 0, 0, 0x2c, 0x10, 0, 0, 0], Some(TtHeader)),
            ([0, 0, 0, 0x2c, 0x10, 0, 0, 1], Some(TtHeader)),
            ([0, 0, 0, 0x2c, 0x10, 0, 0, 2], Some(TtStream)),
            (*b"PRI * HT", Some(Grpc)),
            ([0, 0, 0, 0x1a, 0, 0, 0, 4], None),
            (*b"GET / HT", None),
            ([0x16, 3, 1, 2, 0, 1, 0, 1], None),
        ] {
            let expected = protocol.map_or(Verdict::Unknown, Verdict::Is);
            assert_eq!(sniff(&bytes), expected, "{bytes:02x?}");
            for cut in 0..8 {
                assert_eq!(sniff(&bytes[..cut]), Verdict::NeedMore);
            }
        }
    }

    #[test]
    fn a_mesh_header_counts_as_the_message_behind_it() {
        let mesh = testkit::from_hex("ffaf00020000 # no pairs");
        assert_eq!(sniff(&[&mesh[..], &[0x80, 1, 0, 1, 0, 0, 0, 4]].concat()), Verdict::Is(Protocol::Buffered));
        assert_eq!(sniff(&[&mesh[..], &[0, 0, 0, 9, 0x80, 1, 0, 1]].concat()), Verdict::Is(Protocol::Framed));
        assert_eq!(sniff(&[&mesh[..], b"PRI * HT"].concat()), Verdict::Unknown);
    }

    #[test]
    fn every_vector_has_one_verdict_from_its_eighth_byte_on_or_later() {
        for vector in testkit::vectors() {
            let last = sniff(&vector.bytes);
            assert_ne!(last, Verdict::NeedMore, "{}", vector.name);
            for cut in 0..vector.bytes.len() {
                let verdict = sniff(&vector.bytes[..cut]);
                assert!(verdict == last || verdict == Verdict::NeedMore, "{} cut at {cut}", vector.name);
            }
        }
    }
}
