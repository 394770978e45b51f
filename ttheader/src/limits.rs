/// Bytes before the header block: LENGTH, magic number, FLAGS, SEQUENCE NUMBER, HEADER SIZE.
pub const HEAD_LEN: usize = 14;
/// The magic number, at offset 4.
pub const MAGIC: u16 = 0x1000;
/// The longest header block: HEADER SIZE is 16 bits and counts words of 4 bytes.
pub const MAX_HEADER_LEN: usize = 262_140;
/// The longest key, value or ACL token: its length is 16 bits.
pub const MAX_STRING_LEN: usize = 65_535;

/// LENGTH counts from here.
pub(crate) const LENGTH_LEN: usize = 4;
/// Bytes of the fixed part that LENGTH counts.
pub(crate) const COUNTED_HEAD_LEN: usize = 10;
/// Where PROTOCOL ID is.
pub(crate) const PROTOCOL_ID_OFFSET: usize = 14;
/// The smallest header block that Kitex writes is one word, and no block is without its two bytes of
/// PROTOCOL ID and number of transforms.
pub(crate) const WORD_LEN: usize = 4;

/// What a codec takes unless told otherwise, counted as LENGTH counts: Volo's default as well.
pub(crate) const DEFAULT_MAX_FRAME_LEN: usize = 16 << 20;
/// What a codec takes unless told otherwise: all that HEADER SIZE can say.
pub(crate) const DEFAULT_MAX_HEADER_LEN: usize = MAX_HEADER_LEN;
/// A declared length is a claim, not yet bytes: this much is reserved for it at once.
pub(crate) const MAX_EAGER_RESERVE: usize = 64 << 10;
