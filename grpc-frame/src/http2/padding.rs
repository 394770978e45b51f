use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{DecodeError, Flags, HEAD_LEN, Head};

/// Takes Pad Length off the front of a payload whose flags say that it is there. The padding itself stays at the end
/// until [`cut`] knows what is left for it.
#[inline]
pub(crate) fn take_len(head: &Head, payload: &mut Bytes) -> Result<Option<u8>, DecodeError> {
    if !head.flags.contains(Flags::PADDED) {
        return Ok(None);
    }
    let Some(&len) = payload.first() else {
        return Err(head.missing("Pad Length", HEAD_LEN, 1, 0));
    };
    payload.advance(1);
    Ok(Some(len))
}

/// Cuts the padding off the end of what follows the fields. What it consists of is not looked at, as section 6.1 allows.
#[inline]
pub(crate) fn cut(head: &Head, padding: Option<u8>, rest: &mut Bytes) -> Result<(), DecodeError> {
    let Some(padding) = padding.map(usize::from) else { return Ok(()) };
    let Some(len) = rest.len().checked_sub(padding) else {
        return Err(DecodeError::PaddingTooLong { frame_type: head.frame_type, expected: rest.len(), actual: padding });
    };
    rest.truncate(len);
    Ok(())
}

/// Octets that padding adds to a payload, Pad Length included.
#[inline]
pub(crate) fn encoded_len(padding: Option<u8>) -> usize {
    padding.map_or(0, |len| usize::from(len).saturating_add(1))
}

/// Writes Pad Length, if there is one.
#[inline]
pub(crate) fn put_len(padding: Option<u8>, dst: &mut BytesMut) {
    if let Some(len) = padding {
        dst.put_u8(len);
    }
}

/// Writes the padding, which is zeros (section 6.1).
#[inline]
pub(crate) fn put(padding: Option<u8>, dst: &mut BytesMut) {
    dst.put_bytes(0, padding.map_or(0, usize::from));
}
