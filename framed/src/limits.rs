/// The longest payload a [`FramedCodec`](crate::FramedCodec) takes unless told otherwise: 16 MiB, in bytes.
///
/// Kitex itself has no limit, so that twelve bytes from a stranger can ask it for 4 GiB.
pub const DEFAULT_MAX_FRAME_LEN: usize = 16 << 20;

/// The most the codec reserves in advance on the word of LENGTH alone, in bytes.
///
/// What lies beyond is reserved as the bytes come in, so that a peer pays for the memory it makes us hold.
pub const MAX_EAGER_RESERVE: usize = 64 << 10;
