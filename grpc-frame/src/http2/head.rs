use std::fmt;
use std::ops::BitOr;

use super::{DecodeError, EncodeError, HEAD_LEN, MAX_MAX_FRAME_SIZE};

/// The nine octets in front of every frame (section 4.1).
///
/// ```text
/// 0          3      4       5                       9
/// +----------+------+-------+-+---------------------+
/// | Length   | Type | Flags |R| Stream Identifier   |
/// +----------+------+-------+-+---------------------+
///   octets of                ignored when read, 0 when written
///   payload
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Head {
    /// Length: at most 24 bits, whoever made this.
    length: u32,
    /// Type.
    pub frame_type: FrameType,
    /// Flags, those without a meaning for this type included.
    pub flags: Flags,
    /// Stream Identifier.
    pub stream_id: StreamId,
}

impl Head {
    /// Reads the head off a frame's first octets; `None` while fewer than nine are there.
    ///
    /// Any nine octets are a head. What they may say is for the type's `parse` and for [`Http2Codec`] to check.
    ///
    /// [`Http2Codec`]: super::Http2Codec
    #[must_use]
    #[inline]
    pub const fn peek(prefix: &[u8]) -> Option<Self> {
        let Some(&[l0, l1, l2, frame_type, flags, s0, s1, s2, s3]) = prefix.first_chunk::<HEAD_LEN>() else {
            return None;
        };
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            frame_type: FrameType(frame_type),
            flags: Flags(flags),
            stream_id: StreamId::new(u32::from_be_bytes([s0, s1, s2, s3])),
        })
    }

    /// The head of a frame with `payload_len` octets of payload, of any type and on any stream.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] when Length cannot say it.
    #[inline]
    pub fn new(
        frame_type: FrameType,
        flags: Flags,
        stream_id: StreamId,
        payload_len: usize,
    ) -> Result<Self, EncodeError> {
        match u32::try_from(payload_len) {
            Ok(length @ 0..=MAX_MAX_FRAME_SIZE) => Ok(Self { length, frame_type, flags, stream_id }),
            _ => Err(EncodeError::TooLong { field: "Length", expected: MAX_PAYLOAD, actual: payload_len }),
        }
    }

    /// Octets of the payload.
    #[must_use]
    #[inline]
    pub fn payload_len(&self) -> usize {
        // 24 bits: a `usize` of 16 is the only one too small, and no limit lets such a frame pass there.
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Octets of the whole frame, these nine included.
    #[must_use]
    #[inline]
    pub fn frame_len(&self) -> usize {
        self.payload_len().saturating_add(HEAD_LEN)
    }

    /// The nine octets.
    #[must_use]
    #[inline]
    pub const fn to_bytes(&self) -> [u8; HEAD_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream_id.0.to_be_bytes();
        [l0, l1, l2, self.frame_type.0, self.flags.0, s0, s1, s2, s3]
    }

    /// The head of a frame of ours, whose stream id is held against the rule for its type.
    #[inline]
    pub(crate) fn of(
        frame_type: FrameType,
        flags: Flags,
        stream_id: StreamId,
        payload_len: usize,
    ) -> Result<Self, EncodeError> {
        let wrong = match frame_type.stream_rule() {
            StreamRule::Stream => stream_id.is_connection(),
            StreamRule::Connection => !stream_id.is_connection(),
            StreamRule::Either => false,
        };
        if wrong {
            return Err(EncodeError::StreamId { frame_type, actual: stream_id });
        }
        Self::new(frame_type, flags, stream_id, payload_len)
    }

    #[inline]
    pub(crate) fn check_stream_id(&self) -> Result<(), DecodeError> {
        let frame_type = self.frame_type;
        match frame_type.stream_rule() {
            StreamRule::Stream if self.stream_id.is_connection() => Err(DecodeError::StreamIdZero { frame_type }),
            StreamRule::Connection if !self.stream_id.is_connection() => {
                Err(DecodeError::StreamIdNotZero { frame_type, actual: self.stream_id })
            }
            _ => Ok(()),
        }
    }

    /// The payload of a type whose Length is always the same.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&self, payload: &[u8]) -> Result<[u8; N], DecodeError> {
        <[u8; N]>::try_from(payload).map_err(|_| DecodeError::WrongLength {
            frame_type: self.frame_type,
            stream_id: self.stream_id,
            expected: N,
            actual: payload.len(),
        })
    }

    #[cold]
    pub(crate) fn missing(&self, field: &'static str, offset: usize, expected: usize, actual: usize) -> DecodeError {
        DecodeError::FieldMissing { frame_type: self.frame_type, field, offset, expected, actual }
    }
}

/// What a frame is: an open set of 8 bits (section 6 and, for what came later, the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "an octet, whatever it says")]
pub struct FrameType(pub u8);

impl FrameType {
    /// DATA (section 6.1).
    pub const DATA: Self = Self(0x00);
    /// HEADERS (section 6.2).
    pub const HEADERS: Self = Self(0x01);
    /// PRIORITY (section 6.3), deprecated.
    pub const PRIORITY: Self = Self(0x02);
    /// RST_STREAM (section 6.4).
    pub const RST_STREAM: Self = Self(0x03);
    /// SETTINGS (section 6.5).
    pub const SETTINGS: Self = Self(0x04);
    /// PUSH_PROMISE (section 6.6).
    pub const PUSH_PROMISE: Self = Self(0x05);
    /// PING (section 6.7).
    pub const PING: Self = Self(0x06);
    /// GOAWAY (section 6.8).
    pub const GOAWAY: Self = Self(0x07);
    /// WINDOW_UPDATE (section 6.9).
    pub const WINDOW_UPDATE: Self = Self(0x08);
    /// CONTINUATION (section 6.10).
    pub const CONTINUATION: Self = Self(0x09);

    /// The specification's name; `None` for a type that RFC 9113 does not define.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::HEADERS => "HEADERS",
            Self::PRIORITY => "PRIORITY",
            Self::RST_STREAM => "RST_STREAM",
            Self::SETTINGS => "SETTINGS",
            Self::PUSH_PROMISE => "PUSH_PROMISE",
            Self::PING => "PING",
            Self::GOAWAY => "GOAWAY",
            Self::WINDOW_UPDATE => "WINDOW_UPDATE",
            Self::CONTINUATION => "CONTINUATION",
            _ => return None,
        })
    }

    #[inline]
    const fn stream_rule(self) -> StreamRule {
        match self {
            Self::DATA
            | Self::HEADERS
            | Self::PRIORITY
            | Self::RST_STREAM
            | Self::PUSH_PROMISE
            | Self::CONTINUATION => StreamRule::Stream,
            Self::SETTINGS | Self::PING | Self::GOAWAY => StreamRule::Connection,
            _ => StreamRule::Either,
        }
    }
}

impl fmt::Debug for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "frame type {:#04x}", self.0),
        }
    }
}

/// Which stream ids a type may have.
#[derive(Clone, Copy)]
enum StreamRule {
    Stream,
    Connection,
    Either,
}

/// A frame's flags. Which bit means what depends on the type; bits without a meaning are kept and mean nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an octet, whatever it says")]
pub struct Flags(pub u8);

impl Flags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// DATA, HEADERS: the sender's last frame of this stream.
    pub const END_STREAM: Self = Self(0x01);
    /// SETTINGS, PING: an acknowledgement.
    pub const ACK: Self = Self(0x01);
    /// HEADERS, PUSH_PROMISE, CONTINUATION: the header block ends here.
    pub const END_HEADERS: Self = Self(0x04);
    /// DATA, HEADERS, PUSH_PROMISE: the payload starts with Pad Length and ends with padding.
    pub const PADDED: Self = Self(0x08);
    /// HEADERS: Stream Dependency and Weight are there.
    pub const PRIORITY: Self = Self(0x20);

    /// Whether all bits of `flags` are set.
    #[must_use]
    #[inline]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These flags with all bits of `flags` set, or cleared.
    #[must_use]
    #[inline]
    pub const fn with(self, flags: Self, on: bool) -> Self {
        if on { Self(self.0 | flags.0) } else { Self(self.0 & !flags.0) }
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}

/// A stream's number, 31 bits; 0 is the connection itself (section 5.1.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u32);

impl StreamId {
    /// The connection itself.
    pub const CONNECTION: Self = Self(0);
    /// The highest there is. A GOAWAY with it announces a shutdown and refuses nothing yet (section 6.8).
    pub const MAX: Self = Self(RESERVED - 1);

    /// The stream with this number. The highest bit is reserved and dropped, here as on the wire.
    #[must_use]
    #[inline]
    pub const fn new(id: u32) -> Self {
        Self(id & !RESERVED)
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Whether this is the connection itself.
    #[must_use]
    #[inline]
    pub const fn is_connection(self) -> bool {
        self.0 == 0
    }

    /// Whether a client opens streams with such a number: it is odd.
    #[must_use]
    #[inline]
    pub const fn is_of_client(self) -> bool {
        self.0 & 1 == 1
    }

    /// Whether a server opens streams with such a number, by a promise: it is even and not 0.
    #[must_use]
    #[inline]
    pub const fn is_of_server(self) -> bool {
        !self.is_of_client() && !self.is_connection()
    }
}

impl From<StreamId> for u32 {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({})", self.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

const RESERVED: u32 = 1 << 31;
const MAX_PAYLOAD: usize = 0x00ff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_goes_to_the_wire_and_back() {
        let wire = [0x00, 0x01, 0x02, 0x09, 0x2d, 0x7f, 0xff, 0xff, 0xff];
        let head = Head::peek(&wire).unwrap();
        assert_eq!((head.payload_len(), head.frame_len()), (258, 267));
        assert_eq!((head.frame_type, head.flags), (FrameType::CONTINUATION, Flags(0x2d)));
        assert_eq!(head.stream_id, StreamId::MAX);
        assert_eq!(head.to_bytes(), wire);
        for len in 0..wire.len() {
            assert_eq!(Head::peek(&wire[..len]), None);
        }
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let head = Head::peek(&[0, 0, 0, 6, 0, 0x80, 0, 0, 0]).unwrap();
        assert!(head.stream_id.is_connection());
        assert_eq!(head.to_bytes()[5], 0);
        assert_eq!(StreamId::new(u32::MAX), StreamId::MAX);
    }

    #[test]
    fn length_has_24_bits() {
        let head = |len| Head::new(FrameType::DATA, Flags::NONE, StreamId::new(1), len);
        assert_eq!(head(0xff_ffff).unwrap().to_bytes()[..3], [0xff; 3]);
        let error = EncodeError::TooLong { field: "Length", expected: 0xff_ffff, actual: 0x100_0000 };
        assert_eq!(head(0x100_0000), Err(error));
        assert!(head(usize::MAX).is_err());
    }

    #[test]
    fn stream_ids_belong_to_one_side() {
        let sides = |id: u32| (StreamId::new(id).is_of_client(), StreamId::new(id).is_of_server());
        assert_eq!([sides(0), sides(1), sides(2)], [(false, false), (true, false), (false, true)]);
    }

    #[test]
    fn names_are_those_of_the_specification() {
        assert_eq!(format!("{:?} {}", FrameType::GOAWAY, FrameType(0x0a)), "GOAWAY frame type 0x0a");
        assert_eq!(format!("{:?} {:?} {}", Flags(4), StreamId::new(3), StreamId::new(3)), "Flags(0x04) StreamId(3) 3");
    }
}
