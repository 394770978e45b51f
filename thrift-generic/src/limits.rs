/// How deep values may be nested unless [`Options`](crate::Options) say otherwise (generic-call 3.5).
pub const DEFAULT_MAX_DEPTH: usize = 1024;

/// How deep types and constants of an IDL may be nested.
pub const MAX_IDL_DEPTH: usize = 64;

/// The longest IDL text that is read, all files together, in bytes.
pub const MAX_IDL_LEN: usize = 16 << 20;

/// How many files an IDL may have.
pub const MAX_IDL_FILES: usize = 4096;
