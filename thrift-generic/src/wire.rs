//! Thrift Binary, appended to a `Vec`.

use thrift_codec::{EncodeError, TType};

use crate::error::Error;

#[inline]
pub(crate) fn field(out: &mut Vec<u8>, ttype: TType, id: i16) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[ttype.0, high, low]);
}

#[inline]
pub(crate) fn stop(out: &mut Vec<u8>) {
    out.push(TType::STOP.0);
}

#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Error> {
    let len = i32_len("string length", value.len())?;
    out.reserve(value.len().saturating_add(4));
    out.extend_from_slice(&len);
    out.extend_from_slice(value);
    Ok(())
}

#[inline]
pub(crate) fn list_header(out: &mut Vec<u8>, element: TType, count: usize) -> Result<(), Error> {
    let [a, b, c, d] = i32_len("element count", count)?;
    out.extend_from_slice(&[element.0, a, b, c, d]);
    Ok(())
}

#[inline]
pub(crate) fn map_header(out: &mut Vec<u8>, key: TType, value: TType, count: usize) -> Result<(), Error> {
    let [a, b, c, d] = i32_len("pair count", count)?;
    out.extend_from_slice(&[key.0, value.0, a, b, c, d]);
    Ok(())
}

/// `len` as it stands before every text and container.
#[inline]
pub(crate) fn i32_len(field: &'static str, len: usize) -> Result<[u8; 4], Error> {
    let too_long =
        |_| EncodeError::TooLong { field, max: usize::try_from(i32::MAX).unwrap_or(usize::MAX), actual: len };
    Ok(i32::try_from(len).map_err(too_long)?.to_be_bytes())
}
