//! What the comparison benches share: contests that are run in turns, an allocator that counts, messages to work on,
//! and the plain loops that everything is held against.

mod contest;
pub mod messages;
pub mod plain;

pub use contest::{Contest, CountingAllocator};
