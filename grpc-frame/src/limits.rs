/// The longest message that is taken unless told otherwise: 16 MiB, in bytes.
///
/// grpc-go stops at 4 MiB and Kitex nowhere: it allocates what the length says, 4 GiB if need be (streaming-wire B5).
pub const DEFAULT_MAX_MESSAGE_LEN: usize = 16 << 20;

/// The most that is reserved in advance on the word of a length alone, in bytes.
///
/// What lies beyond is reserved as the bytes come in, so that a peer pays for the memory it makes us hold.
pub const MAX_EAGER_RESERVE: usize = 64 << 10;
