//! With a buffer that is large enough nothing is allocated.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that is wrong may panic")]

#[path = "../benches/payload/mod.rs"]
mod payload;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Profile};

thread_local! {
    /// How often this thread has asked for memory.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator is unsafe by nature; this one counts")]
// SAFETY: every call goes to `System` unchanged; the counter touches no memory but its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get().wrapping_add(1));
        // SAFETY: the caller keeps what `GlobalAlloc` asks of it, and `System` asks the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get().wrapping_sub(before)
}

#[test]
fn nothing_is_allocated_besides_the_output() {
    let d = Descriptor::from_text(payload::IDL).unwrap();
    payload::check(&d);
    for (name, json) in [("SimpleMethod", payload::small()), ("NestingMethod", payload::medium())] {
        let f = payload::method(&d, name);
        for profile in [Profile::Default, Profile::Dynamic] {
            let codec = JsonCodec::new(Options::json(profile));
            let (mut thrift, mut text) = (Vec::new(), Vec::new());
            let mut both = |thrift: &mut Vec<u8>| {
                thrift.clear();
                text.clear();
                codec.encode_request(&d, f, Some(json.as_bytes()), None, thrift).unwrap();
                codec.decode_request(&d, f, thrift, &mut text).unwrap();
            };
            // The output grows, and that is all.
            assert!(allocations(|| both(&mut thrift)) > 0, "the allocator does not count");
            assert_eq!(allocations(|| both(&mut thrift)), 0, "{name} {profile:?}");
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&text).unwrap(),
                serde_json::from_str::<serde_json::Value>(&json).unwrap()
            );
        }
    }
}
