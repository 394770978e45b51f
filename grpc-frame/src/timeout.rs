//! `grpc-timeout`: how long the caller will still wait (streaming-wire B9).
//!
//! ```
//! use std::time::Duration;
//!
//! use grpc_frame::timeout;
//!
//! assert_eq!(timeout::parse(b"250m"), Ok(Duration::from_millis(250)));
//! assert_eq!(&*timeout::encode(Duration::from_millis(240)), "240000u");
//! ```

use std::time::Duration;

use crate::{DecodeError, ShortText};

/// The name of the header.
pub const NAME: &str = "grpc-timeout";

/// The longest timeout [`parse`] gives, 292 years: 2^63 − 1 nanoseconds, at which Kitex and grpc-go stop too.
pub const MAX: Duration = Duration::from_nanos(0x7fff_ffff_ffff_ffff);

/// Reads a timeout: one to eight digits and a unit, two to nine characters in all. What is longer than [`MAX`] becomes
/// [`MAX`].
///
/// A sign in front is let pass, as Kitex and grpc-go let it pass; a negative timeout has expired and reads as zero.
///
/// # Errors
///
/// [`DecodeError::Malformed`]. The answer of a server is RST_STREAM INTERNAL_ERROR.
pub fn parse(value: &[u8]) -> Result<Duration, DecodeError> {
    let malformed = |offset, expected| Err(DecodeError::malformed(NAME, value, offset, expected));
    if value.len() > MAX_LEN {
        return malformed(MAX_LEN, "at most 9 characters");
    }
    let Some((&unit, number)) = value.split_last() else { return malformed(0, "1 to 8 digits and a unit") };
    let Some(nanos_per_unit) = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos) else {
        return malformed(number.len(), "a unit: H, M, S, m, u or n");
    };
    let (negative, digits, digits_at) = match number.split_first() {
        Some((b'-', digits)) => (true, digits, 1),
        Some((b'+', digits)) => (false, digits, 1),
        _ => (false, number, 0),
    };
    if digits.is_empty() {
        return malformed(digits_at, "a digit");
    }
    let mut count = 0_u64;
    for (index, byte) in digits.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return malformed(digits_at.saturating_add(index), "a digit");
        }
        count = count.saturating_mul(10).saturating_add(u64::from(byte & 0x0f));
    }
    if negative {
        return Ok(Duration::ZERO);
    }
    Ok(Duration::from_nanos(count.saturating_mul(nanos_per_unit)).min(MAX))
}

/// Writes a timeout: rounded up, in the finest unit in which it has no more than eight digits. Zero is `0n`; more than
/// 99,999,999 hours become as many.
#[must_use]
pub fn encode(timeout: Duration) -> ShortText {
    let nanos = timeout.as_nanos();
    for (unit, nanos_per_unit) in UNITS {
        let count = nanos.div_ceil(u128::from(nanos_per_unit));
        if let Ok(count @ ..=MAX_COUNT) = u32::try_from(count) {
            return ShortText::new(false, count, Some(unit));
        }
    }
    ShortText::new(false, MAX_COUNT, Some(b'H'))
}

/// Units and their nanoseconds, the finest first.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

const MAX_LEN: usize = 9;
const MAX_COUNT: u32 = 99_999_999;
