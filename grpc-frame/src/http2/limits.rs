/// Octets of a frame's head: Length, Type, Flags, Stream Identifier (section 4.1).
pub const HEAD_LEN: usize = 9;

/// The longest payload of a frame that everybody has to take, in octets, and the longest that is taken unless told
/// otherwise: the initial value of SETTINGS_MAX_FRAME_SIZE (section 4.2).
pub const DEFAULT_MAX_FRAME_SIZE: usize = 16_384;

/// The smallest SETTINGS_MAX_FRAME_SIZE that may be announced (section 6.5.2).
pub const MIN_MAX_FRAME_SIZE: u32 = 16_384;

/// The largest SETTINGS_MAX_FRAME_SIZE that may be announced, which is all that Length can say (section 6.5.2).
pub const MAX_MAX_FRAME_SIZE: u32 = (1 << 24) - 1;

/// The largest flow-control window, and the largest increment of one (section 6.9.1).
pub const MAX_WINDOW: u32 = (1 << 31) - 1;

/// The longest header block that is taken unless told otherwise, in octets, compressed as it came: 64 KiB.
///
/// It is the sum of what HEADERS or PUSH_PROMISE and their CONTINUATION frames carry. HTTP/2 itself has no such limit.
pub const DEFAULT_MAX_HEADER_BLOCK: usize = 64 << 10;

/// How many CONTINUATION frames may follow one HEADERS or PUSH_PROMISE unless told otherwise.
///
/// Frames of the size that everybody takes need three for the longest block; the others are for peers that cut smaller.
/// Without a number of its own a block could be spread over frames without a single octet and never end.
pub const DEFAULT_MAX_CONTINUATIONS: usize = 16;

/// The most that the codec reserves in advance on the word of Length alone, in octets.
///
/// What lies beyond is reserved as the octets come in, so that a peer pays for the memory it makes us hold.
pub const MAX_EAGER_RESERVE: usize = 64 << 10;
