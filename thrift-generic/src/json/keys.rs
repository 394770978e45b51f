//! Which keys of a map were there before.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;

use super::out::Out;

/// The keys of one map, by their place in the output. A few are compared one by one; more are found by a hash that
/// nobody outside can know.
#[derive(Debug, Default)]
pub(super) struct Keys {
    few: [(u32, usize, usize); Self::FEW],
    len: usize,
    many: Option<Box<Many>>,
}

#[derive(Debug, Default)]
struct Many {
    state: RandomState,
    places: HashMap<u64, ()>,
}

impl Keys {
    const FEW: usize = 16;

    /// Whether the key that begins at `at` and has just been written was not there before.
    #[inline]
    pub(super) fn is_new(&mut self, at: usize, out: &Out<'_>) -> bool {
        let key = out.since(at);
        let mark = mark(key);
        for (other, start, end) in self.few.iter().take(self.len) {
            if *other == mark && out.range(*start, *end) == key {
                return false;
            }
        }
        if let Some(place) = self.few.get_mut(self.len) {
            *place = (mark, at, out.pos());
            self.len = self.len.wrapping_add(1);
            return true;
        }
        self.is_new_among_many(key)
    }

    #[inline(never)]
    fn is_new_among_many(&mut self, key: &[u8]) -> bool {
        let many = self.many.get_or_insert_default();
        let hash = many.state.hash_one(key);
        match many.places.entry(hash) {
            // Two keys with the same 64 bits of a secret hash: nobody has seen that yet.
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(());
                true
            }
        }
    }
}

/// Tells most keys apart.
#[cfg_attr(not(debug_assertions), inline(always))]
fn mark(key: &[u8]) -> u32 {
    let tail = match key.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => key.iter().fold(0, |mark, byte| (mark << 8) | u64::from(*byte)),
    };
    let [a, b, c, d, ..] = tail.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
