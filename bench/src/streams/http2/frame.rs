//! Frames, RFC 9113 section 4.1.

use super::super::Fault;

pub(in super::super) const DATA: u8 = 0;
pub(in super::super) const HEADERS: u8 = 1;
pub(in super::super) const RST_STREAM: u8 = 3;
pub(in super::super) const SETTINGS: u8 = 4;
pub(in super::super) const PUSH_PROMISE: u8 = 5;
pub(in super::super) const PING: u8 = 6;
pub(in super::super) const GOAWAY: u8 = 7;
pub(in super::super) const WINDOW_UPDATE: u8 = 8;
pub(in super::super) const CONTINUATION: u8 = 9;

pub(in super::super) const ACK: u8 = 0x1;
pub(in super::super) const END_STREAM: u8 = 0x1;
pub(in super::super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

const HEAD_LEN: usize = 9;
/// The largest frame a peer may send: HTTP/2's default, which the harness does not raise.
const PAYLOAD_MAX: usize = 16 << 10;

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Frame<'a> {
    pub(in super::super) kind: u8,
    pub(in super::super) flags: u8,
    pub(in super::super) id: u32,
    pub(in super::super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes one off the front; `None` if it is not whole yet.
    ///
    /// # Errors
    /// When it is longer than allowed.
    pub(in super::super) fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_LEN>() else { return Ok(None) };
        let [l0, l1, l2, kind, flags, i0, i1, i2, i3] = *head;
        let len = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap_or(usize::MAX);
        if len > PAYLOAD_MAX {
            return Err(Fault::Http2("a frame over 16 KiB"));
        }
        let Some((payload, rest)) = rest.split_at_checked(len) else { return Ok(None) };
        *bytes = rest;
        Ok(Some(Self { kind, flags, id: u32::from_be_bytes([i0, i1, i2, i3]) & 0x7fff_ffff, payload }))
    }

    /// Payload of a DATA frame without padding.
    pub(in super::super) fn data(&self) -> Result<&'a [u8], Fault> {
        if self.flags & PADDED == 0 {
            return Ok(self.payload);
        }
        let (&pad, rest) = self.payload.split_first().ok_or(Fault::Http2("padding"))?;
        rest.get(..rest.len().saturating_sub(usize::from(pad))).ok_or(Fault::Http2("padding"))
    }

    /// Payload of a HEADERS frame without padding and priority.
    pub(in super::super) fn header_block(&self) -> Result<&'a [u8], Fault> {
        const PRIORITY_LEN: usize = 5;
        let block = self.data()?;
        if self.flags & PRIORITY == 0 {
            return Ok(block);
        }
        block.get(PRIORITY_LEN..).ok_or(Fault::Http2("priority"))
    }
}

/// Appends a frame.
pub(in super::super) fn push(kind: u8, flags: u8, id: u32, payload: &[u8], out: &mut Vec<u8>) {
    let [_, l0, l1, l2] = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let [i0, i1, i2, i3] = id.to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, kind, flags, i0, i1, i2, i3]);
    out.extend_from_slice(payload);
}

/// Begins a frame whose payload is appended next; [`finish`] wants the place back.
pub(in super::super) fn begin(kind: u8, flags: u8, id: u32, out: &mut Vec<u8>) -> usize {
    let at = out.len();
    push(kind, flags, id, &[], out);
    at
}

/// Writes the length of a frame that was begun at `at`.
pub(in super::super) fn finish(at: usize, out: &mut [u8]) {
    let len = out.len().saturating_sub(at).saturating_sub(HEAD_LEN);
    let [_, l0, l1, l2] = u32::try_from(len).unwrap_or(0).to_be_bytes();
    if let Some(field) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<3>()) {
        *field = [l0, l1, l2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_priority_are_taken_off() {
        let frame = Frame { kind: HEADERS, flags: PADDED | PRIORITY, id: 1, payload: b"\x02\0\0\0\0\x10abc\0\0" };
        assert_eq!(frame.header_block().unwrap(), b"abc");
        let frame = Frame { kind: DATA, flags: 0, id: 1, payload: b"\x02ab" };
        assert_eq!(frame.data().unwrap(), b"\x02ab");
    }

    #[test]
    fn a_frame_is_taken_whole_or_not_at_all() {
        let mut out = Vec::new();
        let at = begin(HEADERS, END_HEADERS, 5, &mut out);
        out.extend_from_slice(b"xyz");
        finish(at, &mut out);
        for cut in 0..out.len() {
            assert!(Frame::take(&mut &out[..cut]).unwrap().is_none());
        }
        let mut rest = &out[..];
        let frame = Frame::take(&mut rest).unwrap().unwrap();
        assert_eq!((frame.kind, frame.id, frame.payload), (HEADERS, 5, &b"xyz"[..]));
        assert!(rest.is_empty());
    }
}
