//! The worker's buffers. Nothing here is kept by an idle connection, which is what makes one cheap.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::BytesMut;

/// What one read can take in at the most, in bytes.
pub(crate) const MIN_READ: usize = 32 * 1024;

/// What a read of a known long message takes in, in bytes.
pub(crate) const LARGE: usize = 256 * 1024;

/// What an outbox gathers small pieces in, in bytes.
pub(crate) const GATHER: usize = 16 * 1024;

/// Two reads fit behind each other, so that a block is not given up after the first.
const BLOCK: usize = 4 * MIN_READ;
const MAX_RETIRED: usize = 16;
const MAX_KEPT: usize = 16;

thread_local! {
    static ARENA: RefCell<Arena> = RefCell::new(Arena::default());
}

/// Runs `read` on a buffer with at least [`MIN_READ`] spare bytes and splits off what it appended.
pub(crate) fn read_with<R>(read: impl FnOnce(&mut BytesMut) -> R) -> (R, BytesMut) {
    ARENA.with_borrow_mut(|arena| {
        let block = arena.block();
        let result = read(block);
        (result, block.split())
    })
}

/// An empty buffer of [`LARGE`] bytes, to be given back.
pub(crate) fn take_large() -> BytesMut {
    take(|arena| &mut arena.large, LARGE)
}

/// An empty buffer of [`GATHER`] bytes, to be given back.
pub(crate) fn take_gather() -> BytesMut {
    take(|arena| &mut arena.gather, GATHER)
}

/// Takes back a buffer of [`take_large`] or [`take_gather`].
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    ARENA.with_borrow_mut(|arena| {
        // Taken back only whole: a part of the buffer may still be on its way somewhere.
        let list = match buffer.capacity() {
            LARGE.. => &mut arena.large,
            GATHER.. => &mut arena.gather,
            _ if buffer.try_reclaim(LARGE) => &mut arena.large,
            _ if buffer.try_reclaim(GATHER) => &mut arena.gather,
            _ => return,
        };
        if list.len() < MAX_KEPT {
            list.push(buffer);
        }
    });
}

fn take(list: impl FnOnce(&mut Arena) -> &mut Vec<BytesMut>, capacity: usize) -> BytesMut {
    ARENA.with_borrow_mut(|arena| list(arena).pop()).unwrap_or_else(|| BytesMut::with_capacity(capacity))
}

/// Connections read into one block after the other and keep only what they need of it; a block whose messages are
/// all gone is used again.
#[derive(Default)]
struct Arena {
    block: BytesMut,
    retired: VecDeque<BytesMut>,
    large: Vec<BytesMut>,
    gather: Vec<BytesMut>,
}

impl Arena {
    fn block(&mut self) -> &mut BytesMut {
        if self.block.capacity() < MIN_READ && !self.block.try_reclaim(BLOCK) {
            let fresh = self
                .retired
                .iter_mut()
                .position(|block| block.try_reclaim(BLOCK))
                .and_then(|free| self.retired.remove(free))
                .unwrap_or_else(|| BytesMut::with_capacity(BLOCK));
            self.retired.push_back(std::mem::replace(&mut self.block, fresh));
            if self.retired.len() > MAX_RETIRED {
                self.retired.pop_front();
            }
        }
        &mut self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_once_its_messages_are_gone() {
        let ((), first) = read_with(|block| block.extend_from_slice(&[1; BLOCK - MIN_READ]));
        let start = first.as_ptr().addr();
        let ((), second) = read_with(|block| block.extend_from_slice(&[2; MIN_READ]));
        assert_eq!(second.as_ptr().addr(), start + BLOCK - MIN_READ);
        drop((first, second));
        let ((), third) = read_with(|block| block.extend_from_slice(b"x"));
        assert_eq!(third.as_ptr().addr(), start);
    }

    #[test]
    fn a_block_that_is_held_is_left_alone() {
        let ((), held) = read_with(|block| block.extend_from_slice(&[1; BLOCK]));
        let ((), other) = read_with(|block| block.extend_from_slice(&[2; BLOCK]));
        assert!(held.iter().all(|&byte| byte == 1) && other.iter().all(|&byte| byte == 2));
    }
}
