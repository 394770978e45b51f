//! Unary calls that cross between the two kinds of exchange (streaming-wire D6): a stream that one call answers
//! ([`Answered`]), and a call that is carried as a stream ([`ask()`]). The bytes of the argument and the result are the same
//! on both sides; what differs is what stands around them.

mod answered;
mod ask;

use bytes::Bytes;
use grpc_frame::message::{CompressedFlag, Head};

use crate::rpc::{Fault, FaultKind};

pub(crate) use answered::Answered;
pub(super) use ask::ask;

/// What gRPC puts in front of `first`, the first piece of a message of `len` bytes: alone where the piece is too long to
/// be copied behind it.
fn prefixed(len: u64, first: Bytes) -> Result<[Bytes; 2], Fault> {
    let too_long = || Fault::sent(FaultKind::OverLimit, format!("a message of {len} bytes has no form in gRPC"));
    let len = usize::try_from(len).map_err(|_| too_long())?;
    let head = Head::new(CompressedFlag::PLAIN, len).map_err(|_| too_long())?.encode();
    Ok(if first.len() < COPY_BELOW {
        [[&head, &first[..]].concat().into(), Bytes::new()]
    } else {
        [Bytes::copy_from_slice(&head), first]
    })
}

/// A message of this size is not copied behind its prefix, in bytes.
const COPY_BELOW: usize = 16 << 10;
