//! Finds where a request ends and turns it into its reply.

use std::ops::Range;

use crate::wire::{ONEWAY, REPLY, REPLY_INFO, STRICT, TTHEADER, TTHEADER_COUNTED_LEN, TTHEADER_FIXED_LEN, be32};

/// The largest message the backend takes, whatever a length says.
const MESSAGE_MAX: usize = 256 << 20;
const DEPTH_MAX: u32 = 64;
/// TTHeader of a reply: the fixed part and one INFO section.
const REPLY_HEADER_LEN: usize = TTHEADER_FIXED_LEN.saturating_add(REPLY_INFO.len());

/// Where the parts of a complete request lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Bytes of the whole request.
    pub(crate) len: usize,
    has_header: bool,
    /// Inner frame included.
    payload_at: usize,
    envelope_at: usize,
}

/// What the first bytes of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Request(Request),
    /// At least so many bytes are needed, counted from the first.
    Needs(usize),
    /// No protocol of ours.
    Garbage,
}

/// Looks for a request at the front of `bytes`.
pub(crate) fn find(bytes: &[u8]) -> Found {
    let Some(&[a, b, c, d, e, f, _, _]) = bytes.first_chunk::<8>() else { return Found::Needs(8) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let framed_len = length.saturating_add(4);
    if [e, f] == TTHEADER {
        let Some(&[.., w0, w1]) = bytes.first_chunk::<TTHEADER_FIXED_LEN>() else {
            return Found::Needs(TTHEADER_FIXED_LEN);
        };
        let info = usize::from(u16::from_be_bytes([w0, w1])).saturating_mul(4);
        return find_framed(bytes, framed_len, true, TTHEADER_FIXED_LEN.saturating_add(info));
    }
    if [a, b] == STRICT {
        let Some(args_at) = args_at(bytes, 0) else { return Found::Needs(12) };
        return match end_of_struct(bytes, args_at, 0) {
            Ok(len) => Found::Request(Request { len, has_header: false, payload_at: 0, envelope_at: 0 }),
            Err(Stop::Needs(len)) if len <= MESSAGE_MAX => Found::Needs(len),
            Err(_) => Found::Garbage,
        };
    }
    if [e, f] == STRICT { find_framed(bytes, framed_len, false, 0) } else { Found::Garbage }
}

fn find_framed(bytes: &[u8], len: usize, has_header: bool, payload_at: usize) -> Found {
    if len > MESSAGE_MAX {
        return Found::Garbage;
    }
    if bytes.len() < len {
        return Found::Needs(len);
    }
    let at = |offset: usize| bytes.get(offset..offset.saturating_add(2));
    let inner = payload_at.saturating_add(4);
    let envelope_at = if at(payload_at) == Some(&STRICT) {
        payload_at
    } else if at(inner) == Some(&STRICT) {
        inner
    } else {
        return Found::Garbage;
    };
    Found::Request(Request { len, has_header, payload_at, envelope_at })
}

impl Request {
    /// Sets the sequence id of the message at the front of `bytes`, in the envelope and in a TTHeader, and returns the
    /// one it had.
    pub(crate) fn swap_seqid(self, bytes: &mut [u8], seqid: u32) -> Option<u32> {
        let at = args_at(bytes, self.envelope_at)?.checked_sub(4)?;
        let field: &mut [u8; 4] = bytes.get_mut(at..)?.first_chunk_mut()?;
        let old = u32::from_be_bytes(std::mem::replace(field, seqid.to_be_bytes()));
        if self.has_header {
            *bytes.get_mut(8..)?.first_chunk_mut()? = seqid.to_be_bytes();
        }
        Some(old)
    }

    /// Appends the reply to `bytes`, the request; nothing for a oneway call.
    pub(crate) fn push_reply(self, bytes: &[u8], out: &mut Vec<u8>) {
        let payload = bytes.get(self.payload_at..self.len).unwrap_or_default();
        let Some((seqid, args_at)) = self.call(bytes) else { return };
        if self.has_header {
            out.extend_from_slice(&reply_header(seqid, payload.len()));
        }
        let start = out.len();
        out.extend_from_slice(payload);
        let moved = |offset: usize| start.saturating_add(offset.saturating_sub(self.payload_at));
        patch(out, moved(self.envelope_at), moved(args_at));
    }

    /// Turns the request in `bytes` into its reply where it stands, and says where that lies; empty for a oneway
    /// call, `None` where the reply's header has no room.
    pub(crate) fn reply_in_place(self, bytes: &mut [u8]) -> Option<Range<usize>> {
        let Some((seqid, args_at)) = self.call(bytes) else { return Some(0..0) };
        let mut from = self.payload_at;
        if self.has_header {
            from = from.checked_sub(REPLY_HEADER_LEN)?;
            let header = reply_header(seqid, self.len.saturating_sub(self.payload_at));
            bytes.get_mut(from..self.payload_at)?.copy_from_slice(&header);
        }
        patch(bytes, self.envelope_at, args_at);
        Some(from..self.len)
    }

    /// Sequence id, and where the args struct begins; `None` if nobody waits for a reply.
    fn call(self, bytes: &[u8]) -> Option<(u32, usize)> {
        let args_at = args_at(bytes, self.envelope_at)?;
        let seqid = u32::from_be_bytes(*bytes.get(args_at.saturating_sub(4)..)?.first_chunk()?);
        let message_type = *bytes.get(self.envelope_at.saturating_add(3))?;
        (message_type != ONEWAY).then_some((seqid, args_at))
    }
}

/// Makes a REPLY of a CALL, and the result (field 0) of the argument (field 1).
fn patch(bytes: &mut [u8], envelope_at: usize, args_at: usize) {
    if let Some(message_type) = bytes.get_mut(envelope_at.saturating_add(3)) {
        *message_type = REPLY;
    }
    if let Some([ttype, id @ ..]) = bytes.get_mut(args_at..).and_then(|rest| rest.first_chunk_mut::<3>())
        && *ttype != 0
    {
        *id = [0, 0];
    }
}

fn reply_header(seqid: u32, payload_len: usize) -> [u8; REPLY_HEADER_LEN] {
    let counted = TTHEADER_COUNTED_LEN.saturating_add(REPLY_INFO.len()).saturating_add(payload_len);
    let [l0, l1, l2, l3] = be32(counted);
    let [m0, m1] = TTHEADER;
    let [s0, s1, s2, s3] = seqid.to_be_bytes();
    let mut header = [0; REPLY_HEADER_LEN];
    if let Some((fixed, info)) = header.split_first_chunk_mut::<TTHEADER_FIXED_LEN>() {
        *fixed = [l0, l1, l2, l3, m0, m1, 0, 0, s0, s1, s2, s3, 0, 3]; // three words of INFO
        info.copy_from_slice(&REPLY_INFO);
    }
    header
}

/// Where the struct after the envelope begins, if the name's length is here.
fn args_at(bytes: &[u8], envelope_at: usize) -> Option<usize> {
    let name_len = number(bytes, envelope_at.saturating_add(4)).ok()?;
    Some(envelope_at.saturating_add(12).saturating_add(name_len))
}

/// Why a struct's end was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Needs(usize),
    Garbage,
}

/// Walks the struct at `at`, and says where it ends.
fn end_of_struct(bytes: &[u8], mut at: usize, depth: u32) -> Result<usize, Stop> {
    if depth > DEPTH_MAX {
        return Err(Stop::Garbage);
    }
    loop {
        let ttype = byte(bytes, at)?;
        if ttype == 0 {
            return Ok(at.saturating_add(1));
        }
        at = end_of_value(bytes, at.saturating_add(3), ttype, depth)?;
    }
}

fn end_of_value(bytes: &[u8], at: usize, ttype: u8, depth: u32) -> Result<usize, Stop> {
    if let Some(len) = fixed_len(ttype) {
        return Ok(at.saturating_add(len));
    }
    match ttype {
        11 => Ok(at.saturating_add(4).saturating_add(number(bytes, at)?)),
        12 => end_of_struct(bytes, at, depth.saturating_add(1)),
        13 => {
            let (key, value) = (byte(bytes, at)?, byte(bytes, at.saturating_add(1))?);
            let count = number(bytes, at.saturating_add(2))?;
            end_of_values(bytes, at.saturating_add(6), count, &[key, value], depth)
        }
        14 | 15 => {
            let element = byte(bytes, at)?;
            let count = number(bytes, at.saturating_add(1))?;
            end_of_values(bytes, at.saturating_add(5), count, &[element], depth)
        }
        _ => Err(Stop::Garbage),
    }
}

fn end_of_values(bytes: &[u8], mut at: usize, count: usize, ttypes: &[u8], depth: u32) -> Result<usize, Stop> {
    let depth = depth.saturating_add(1);
    if depth > DEPTH_MAX {
        return Err(Stop::Garbage);
    }
    for _ in 0..count {
        for &ttype in ttypes {
            at = end_of_value(bytes, at, ttype, depth)?;
        }
        // A claimed count costs nothing: past the end the walk stops.
        if at > bytes.len() {
            return Err(Stop::Needs(at.saturating_add(1)));
        }
    }
    Ok(at)
}

fn fixed_len(ttype: u8) -> Option<usize> {
    match ttype {
        2 | 3 => Some(1),
        4 | 10 => Some(8),
        6 => Some(2),
        8 => Some(4),
        _ => None,
    }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Stop> {
    bytes.get(at).copied().ok_or(Stop::Needs(at.saturating_add(1)))
}

/// A length or count; negative ones are garbage.
fn number(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Stop::Needs(at.saturating_add(4)))?;
    usize::try_from(i32::from_be_bytes(*four)).map_err(|_| Stop::Garbage)
}

/// The reply to one whole request.
#[cfg(test)]
pub(crate) fn answer(bytes: &[u8]) -> Vec<u8> {
    let Found::Request(request) = find(bytes) else { panic!("no request: {bytes:?}") };
    let mut out = Vec::new();
    request.push_reply(bytes, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Shape, Template, Transport};

    const TRANSPORTS: [Transport; 5] = [
        Transport::Buffered,
        Transport::Framed,
        Transport::Ttheader,
        Transport::TtheaderTimeout,
        Transport::TtheaderFramed,
    ];

    fn request(transport: Transport, shape: Shape, size: usize) -> Vec<u8> {
        let template = Template::new(transport, shape, size);
        let mut wire = Vec::new();
        template.push_head(9, &mut wire);
        wire.extend_from_slice(template.body());
        wire
    }

    #[test]
    fn no_prefix_passes_for_a_request() {
        for transport in TRANSPORTS {
            let wire = request(transport, Shape::Records, 1024);
            for cut in 0..wire.len() {
                let Found::Needs(len) = find(&wire[..cut]) else { panic!("{transport} cut at {cut}") };
                assert!(len > cut && len <= wire.len(), "{transport} cut at {cut} needs {len}");
            }
            let Found::Request(found) = find(&wire) else { panic!("{transport}") };
            assert_eq!(found.len, wire.len());
        }
    }

    #[test]
    fn in_place_and_copied_replies_are_equal() {
        for transport in TRANSPORTS {
            let mut wire = request(transport, Shape::String, 1000);
            let copied = answer(&wire);
            let Found::Request(found) = find(&wire) else { panic!("{transport}") };
            let range = found.reply_in_place(&mut wire).unwrap();
            assert_eq!(wire[range], copied[..], "{transport}");
        }
    }

    #[test]
    fn buffered_reply_has_the_bytes_of_the_golden_vector() {
        let call = b"\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02hi\0";
        let reply = b"\x80\x01\0\x02\0\0\0\x04echo\0\0\0\x01\x0b\0\0\0\0\0\x02hi\0";
        assert_eq!(answer(call), reply);
    }

    #[test]
    fn oneway_is_not_answered() {
        assert_eq!(answer(b"\x80\x01\0\x04\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02hi\0"), b"");
    }

    #[test]
    fn garbage_is_named() {
        assert_eq!(find(b"GET / HTTP/1.1\r\n"), Found::Garbage);
        // an old, non-strict envelope
        assert_eq!(find(b"\0\0\0\x04echo\x01\0\0\0\x01\0"), Found::Garbage);
    }
}
