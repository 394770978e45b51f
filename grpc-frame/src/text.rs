use std::{fmt, ops::Deref};

/// A number as a header says it: up to eleven ASCII characters, kept where it stands, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortText {
    bytes: [u8; CAPACITY],
    /// The text is at the array's end, since digits come up from the last one.
    start: usize,
}

impl ShortText {
    /// `magnitude` in decimal, between a minus and a unit where there are any.
    pub(crate) fn new(negative: bool, mut magnitude: u32, unit: Option<u8>) -> Self {
        let mut text = Self { bytes: [0; CAPACITY], start: CAPACITY };
        if let Some(unit) = unit {
            text.push_front(unit);
        }
        loop {
            text.push_front(b'0' | u8::try_from(magnitude % 10).unwrap_or_default());
            magnitude /= 10;
            if magnitude == 0 {
                break;
            }
        }
        if negative {
            text.push_front(b'-');
        }
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(self.start..).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn push_front(&mut self, byte: u8) {
        if let Some(start) = self.start.checked_sub(1)
            && let Some(slot) = self.bytes.get_mut(start)
        {
            *slot = byte;
            self.start = start;
        }
    }
}

impl Deref for ShortText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for ShortText {
    fn as_ref(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Room for `-2147483648`, the longest number there is; a timeout has nine characters.
const CAPACITY: usize = 11;
