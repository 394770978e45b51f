/// The longest message a [`BufferedCodec`](crate::BufferedCodec) takes unless told otherwise: 16 MiB, in bytes.
pub const DEFAULT_MAX_MESSAGE_LEN: usize = 16 << 20;

/// The longest method name a [`BufferedCodec`](crate::BufferedCodec) takes unless told otherwise: 4 KiB, in bytes.
///
/// The specification knows no limit, and a name comes before anything else that could bound it.
pub const DEFAULT_MAX_NAME_LEN: usize = 4 << 10;

/// How deep structs, maps, sets and lists may be nested at most, the outermost being level 1.
///
/// Kitex and Apache Thrift stop at 64 levels too, so that nothing deeper could be delivered; the
/// [`Skipper`](crate::Skipper) has this many places on its stack and no more.
pub const MAX_DEPTH: usize = 64;

/// The most the codec reserves in advance on the word of a length alone, in bytes.
///
/// What lies beyond is reserved as the bytes come in, so that a peer pays for the memory it makes us hold.
pub const MAX_EAGER_RESERVE: usize = 64 << 10;
