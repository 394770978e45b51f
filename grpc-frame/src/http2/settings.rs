use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    DecodeError, EncodeError, Flags, FrameType, HEAD_LEN, Head, MAX_MAX_FRAME_SIZE, MAX_WINDOW, MIN_MAX_FRAME_SIZE,
    StreamId,
};

/// SETTINGS (section 6.5): what the sender asks the receiver to keep to, or the acknowledgement of that.
///
/// ```text
/// +-------------------------------+
/// |       Identifier (16)         |   any number of these
/// +-------------------------------+-------------------------------+
/// |                        Value (32)                             |
/// +---------------------------------------------------------------+
/// ```
///
/// Values have been checked. Order, repetitions and settings that nobody knows stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    flags: Flags,
    settings: Bytes,
}

impl Settings {
    /// These settings.
    ///
    /// # Errors
    ///
    /// [`EncodeError::OutOfRange`] for a value that the setting must not have.
    pub fn new(settings: impl IntoIterator<Item = (SettingId, u32)>) -> Result<Self, EncodeError> {
        let mut octets = BytesMut::new();
        for (id, value) in settings {
            let (min, max) = id.range();
            if value < min || value > max {
                return Err(EncodeError::OutOfRange { field: id.name().unwrap_or("Value"), min, max, actual: value });
            }
            octets.put_u16(id.0);
            octets.put_u32(value);
        }
        Ok(Self { flags: Flags::NONE, settings: octets.freeze() })
    }

    /// The acknowledgement of the other side's settings.
    #[must_use]
    pub const fn ack() -> Self {
        Self { flags: Flags::ACK, settings: Bytes::new() }
    }

    /// Reads the payload behind `head`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::StreamIdNotZero`]; [`DecodeError::WrongLength`] for a part of a setting, and for any with ACK;
    /// [`DecodeError::SettingOutOfRange`].
    pub fn parse(head: Head, payload: Bytes) -> Result<Self, DecodeError> {
        head.check_stream_id()?;
        let (whole, rest) = payload.as_chunks::<SETTING_LEN>();
        let expected = match head.flags.contains(Flags::ACK) {
            true => 0,
            false => payload.len().saturating_sub(rest.len()),
        };
        if payload.len() != expected {
            let (frame_type, stream_id) = (head.frame_type, head.stream_id);
            return Err(DecodeError::WrongLength { frame_type, stream_id, expected, actual: payload.len() });
        }
        let mut offset = HEAD_LEN.saturating_add(ID_LEN);
        for setting in whole {
            let (id, actual) = read(setting);
            let (min, max) = id.range();
            if actual < min || actual > max {
                return Err(DecodeError::SettingOutOfRange { id, offset, min, max, actual });
            }
            offset = offset.saturating_add(SETTING_LEN);
        }
        Ok(Self { flags: head.flags, settings: payload })
    }

    /// Flags: ACK, and whatever else came.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether it acknowledges the other side's settings, and so holds none.
    #[must_use]
    pub const fn is_ack(&self) -> bool {
        self.flags.contains(Flags::ACK)
    }

    /// All settings, in the order in which they are to be applied.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SettingId, u32)> + Clone + '_ {
        self.settings.as_chunks::<SETTING_LEN>().0.iter().map(read)
    }

    /// The value of a setting; the last one, if it comes more than once (section 6.5.3).
    #[must_use]
    pub fn value(&self, id: SettingId) -> Option<u32> {
        self.iter().filter(|&(other, _)| other == id).last().map(|(_, value)| value)
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when Length cannot say it.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = self.head()?;
        dst.reserve(head.frame_len());
        dst.extend_from_slice(&head.to_bytes());
        dst.extend_from_slice(&self.settings);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Head, EncodeError> {
        Head::of(FrameType::SETTINGS, self.flags, StreamId::CONNECTION, self.settings.len())
    }

    /// Refuses what a server must not say to a client: that it may push (section 6.5.2).
    pub(crate) fn check_from_server(&self) -> Result<(), DecodeError> {
        let mut offset = HEAD_LEN.saturating_add(ID_LEN);
        for (id, actual) in self.iter() {
            if id == SettingId::ENABLE_PUSH && actual != 0 {
                return Err(DecodeError::SettingOutOfRange { id, offset, min: 0, max: 0, actual });
            }
            offset = offset.saturating_add(SETTING_LEN);
        }
        Ok(())
    }
}

/// What a setting is about: an open set of 16 bits (section 6.5.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "16 bits, whatever they say")]
pub struct SettingId(pub u16);

impl SettingId {
    /// Octets of the receiver's table for decoding headers; 4,096 unless said otherwise.
    pub const HEADER_TABLE_SIZE: Self = Self(0x01);
    /// Whether the server may push: 0 or 1, and never 1 from a server.
    pub const ENABLE_PUSH: Self = Self(0x02);
    /// How many streams the other side may have open at a time; no limit unless said otherwise.
    pub const MAX_CONCURRENT_STREAMS: Self = Self(0x03);
    /// Octets of every stream's window at first; 65,535 unless said otherwise, at most [`MAX_WINDOW`].
    pub const INITIAL_WINDOW_SIZE: Self = Self(0x04);
    /// The longest payload of a frame, in octets: [`MIN_MAX_FRAME_SIZE`] to [`MAX_MAX_FRAME_SIZE`].
    pub const MAX_FRAME_SIZE: Self = Self(0x05);
    /// The longest header list, in octets before compression; advisory.
    pub const MAX_HEADER_LIST_SIZE: Self = Self(0x06);
    /// Whether CONNECT may name a protocol (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: Self = Self(0x08);
    /// Whether the priorities of RFC 7540 are of no use (RFC 9218).
    pub const NO_RFC7540_PRIORITIES: Self = Self(0x09);

    /// The specification's name without `SETTINGS_`; `None` for one that is not known here.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
            Self::ENABLE_PUSH => "ENABLE_PUSH",
            Self::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
            Self::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
            Self::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
            Self::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
            Self::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
            Self::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
            _ => return None,
        })
    }

    /// The smallest and the largest value that RFC 9113 allows.
    const fn range(self) -> (u32, u32) {
        match self {
            Self::ENABLE_PUSH => (0, 1),
            Self::INITIAL_WINDOW_SIZE => (0, MAX_WINDOW),
            Self::MAX_FRAME_SIZE => (MIN_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE),
            _ => (0, u32::MAX),
        }
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "setting {:#06x}", self.0),
        }
    }
}

const fn read(&[i0, i1, v0, v1, v2, v3]: &[u8; SETTING_LEN]) -> (SettingId, u32) {
    (SettingId(u16::from_be_bytes([i0, i1])), u32::from_be_bytes([v0, v1, v2, v3]))
}

const ID_LEN: usize = 2;
const SETTING_LEN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_settings_counts_and_unknown_ones_stay() {
        let given =
            [(SettingId(0x4d44), 7), (SettingId::MAX_FRAME_SIZE, 1 << 15), (SettingId::MAX_FRAME_SIZE, 1 << 16)];
        let settings = Settings::new(given).unwrap();
        assert_eq!(settings.iter().collect::<Vec<_>>(), given);
        assert_eq!(settings.value(SettingId::MAX_FRAME_SIZE), Some(1 << 16));
        assert_eq!(settings.value(SettingId::ENABLE_PUSH), None);
        assert_eq!(format!("{:?} {}", SettingId(0x4d44), SettingId::ENABLE_PUSH), "setting 0x4d44 ENABLE_PUSH");
    }

    #[test]
    fn a_value_out_of_range_is_not_written() {
        let error = EncodeError::OutOfRange { field: "ENABLE_PUSH", min: 0, max: 1, actual: 2 };
        assert_eq!(Settings::new([(SettingId::ENABLE_PUSH, 2)]), Err(error));
    }
}
