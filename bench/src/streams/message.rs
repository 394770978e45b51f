//! The one message of a run, as it stands on the wire, with a stamp that tells every copy from every other.

use super::{Fault, Kind};

/// Bytes of the stamp.
const STAMP_LEN: usize = 8;
/// gRPC's flag and length.
const GRPC_PREFIX_LEN: usize = 5;

/// A message of a fixed size, framed as gRPC does it or as the bare Thrift struct of ttstream.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Message {
    /// A message of `size` bytes, gRPC's prefix not counted: one field, of type bytes or string, with number 1.
    pub(crate) fn new(kind: Kind, size: usize) -> Self {
        let (mut bytes, tail): (Vec<u8>, &[u8]) = if kind.is_grpc() {
            let mut bytes = vec![0];
            bytes.extend_from_slice(&be32(size));
            bytes.push(0x0a);
            push_varint_of_rest(size.saturating_sub(1), &mut bytes);
            (bytes, &[])
        } else {
            // type string, field id 1, length; behind it the stop byte
            let mut bytes = vec![0x0b, 0, 1];
            bytes.extend_from_slice(&be32(size.saturating_sub(8)));
            (bytes, &[0])
        };
        let stamp_at = bytes.len();
        let whole = size.saturating_add(if kind.is_grpc() { GRPC_PREFIX_LEN } else { 0 });
        // Not one letter repeated: a misplaced piece must not compare equal.
        let fill = whole.saturating_sub(stamp_at).saturating_sub(tail.len());
        bytes.extend((b'!'..=b'~').cycle().take(fill));
        bytes.extend_from_slice(tail);
        Self { bytes, stamp_at }
    }

    /// Length on the wire.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The message with `stamp`.
    pub(crate) fn stamped(&mut self, stamp: u64) -> &[u8] {
        if let Some(field) = self.bytes.get_mut(self.stamp_at..).and_then(|rest| rest.first_chunk_mut::<STAMP_LEN>()) {
            *field = stamp.to_be_bytes();
        }
        &self.bytes
    }
}

/// Compares an answer with the message that was sent, as it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Check {
    stamp: u64,
    at: usize,
}

impl Check {
    /// Expects the message with `stamp`.
    pub(crate) fn new(stamp: u64) -> Self {
        Self { stamp, at: 0 }
    }

    /// Takes what came of the answer.
    ///
    /// # Errors
    /// When it is longer than, or differs from what was sent.
    pub(crate) fn feed(&mut self, came: &[u8], message: &mut Message) -> Result<(), Fault> {
        let missing = message.stamped(self.stamp).get(self.at..).unwrap_or_default();
        let Some(expected) = missing.get(..came.len()) else {
            let len = message.len();
            return Err(Fault::Length { expected: len, actual: self.at.saturating_add(came.len()) });
        };
        if expected != came {
            return Err(Fault::Payload);
        }
        self.at = self.at.saturating_add(came.len());
        Ok(())
    }

    /// Whether all of it has come.
    pub(crate) fn is_whole(&self, message: &Message) -> bool {
        self.at == message.len()
    }

    /// # Errors
    /// When some of it is missing.
    pub(crate) fn end(&self, message: &Message) -> Result<(), Fault> {
        if self.is_whole(message) {
            return Ok(());
        }
        Err(Fault::Length { expected: message.len(), actual: self.at })
    }
}

/// Appends, as a varint, how many of `rest` bytes are left behind that varint.
fn push_varint_of_rest(rest: usize, out: &mut Vec<u8>) {
    for own in 1..=5_usize {
        let mut value = rest.saturating_sub(own);
        let mut bytes = Vec::with_capacity(own);
        for place in 1..=own {
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value >>= 7;
            bytes.push(if place == own { low } else { low | 0x80 });
        }
        if value == 0 {
            out.extend_from_slice(&bytes);
            return;
        }
    }
}

pub(crate) fn be32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_they_say() {
        for size in [64, 1 << 10, 16 << 10, 1 << 20] {
            let grpc = Message::new(Kind::GrpcUnary, size);
            assert_eq!(grpc.len(), size + 5);
            assert_eq!(grpc.bytes[1..5], be32(size));
            // the field's length, decoded, must reach the end of the message exactly
            let mut at = 6;
            let (mut value, mut shift) = (0_usize, 0);
            loop {
                let byte = grpc.bytes[at];
                at += 1;
                value |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            assert_eq!(at + value, grpc.len());

            let thrift = Message::new(Kind::Ttstream, size);
            assert_eq!(thrift.len(), size);
            assert_eq!(thrift.bytes[3..7], be32(size - 8));
            assert_eq!(thrift.bytes.last(), Some(&0));
        }
    }

    #[test]
    fn an_answer_is_checked_in_pieces() {
        let mut message = Message::new(Kind::GrpcBidi, 64);
        let answer = message.stamped(7).to_vec();
        message.stamped(8);
        let mut check = Check::new(7);
        for piece in answer.chunks(10) {
            check.feed(piece, &mut message).unwrap();
        }
        assert!(check.is_whole(&message));
        assert!(matches!(check.feed(b"x", &mut message), Err(Fault::Length { .. })));
        assert!(matches!(Check::new(9).feed(&answer, &mut message), Err(Fault::Payload)));
        assert!(matches!(Check::new(9).end(&message), Err(Fault::Length { actual: 0, .. })));
    }
}
