/// Bytes from the start of a frame to what LENGTH counts.
pub(crate) const LENGTH_LEN: usize = 4;
/// How many structs and containers may lie in each other, an exception's own among them: Thrift's limit as well.
pub(crate) const MAX_DEPTH: u8 = 64;
/// The longest Thrift string: its length is a signed number of 32 bits.
pub(crate) const MAX_THRIFT_STRING_LEN: usize = 0x7fff_ffff;
/// The largest LENGTH.
pub(crate) const MAX_FRAME_LENGTH: usize = 0xffff_ffff;
