//! What the comparison benches share: an allocator that counts, and messages to work on.
