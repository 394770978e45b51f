//! Compressed messages: other programs' bytes, our own, and what a hostile peer would send.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::Bytes;
use grpc_frame::compression::{CompressionError, Encoding};
use testkit::{from_hex, streaming_vectors};

const FORMATS: [Encoding<'static>; 3] = [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd];

#[test]
fn the_compressed_vector_decompresses() {
    let vectors = streaming_vectors()["grpc_frames"].as_array().unwrap();
    let vector = vectors.iter().find(|frame| frame["id"] == "G26").unwrap();
    let hex = |name: &str| Bytes::from(from_hex(vector[name].as_str().unwrap()));
    assert_eq!(Encoding::Gzip.decompress(&hex("message_hex"), 7), Ok(hex("decompressed_hex")));
}

/// What Python's zlib and the `zstd` program make of `hello hello hello hello`.
#[test]
fn the_bytes_of_other_programs_decompress() {
    for (encoding, hex) in OTHERS {
        let compressed = Bytes::from(from_hex(hex));
        assert_eq!(encoding.decompress(&compressed, 100).unwrap(), "hello hello hello hello", "{encoding}");
    }
}

#[test]
fn messages_come_back_as_they_went() {
    for len in [0, 1, 100, 1 << 12, 1 << 20] {
        let message: Bytes = (0..len).map(|i: usize| (i * 31 + 7).to_le_bytes()[i % 2]).collect();
        for encoding in FORMATS {
            let compressed = encoding.compress(&message).unwrap();
            assert_eq!(encoding.decompress(&compressed, len), Ok(message.clone()), "{encoding}, {len} bytes");
        }
        assert_eq!(Encoding::Identity.compress(&message), Ok(message.clone()));
        assert_eq!(Encoding::Identity.decompress(&message, len), Ok(message));
    }
}

#[test]
fn a_message_at_the_limit_is_taken_and_one_above_is_not() {
    let message = Bytes::from(vec![b'm'; 1000]);
    for encoding in FORMATS.into_iter().chain([Encoding::Identity]) {
        let compressed = encoding.compress(&message).unwrap();
        for max in [1000, 1001, usize::MAX] {
            assert_eq!(encoding.decompress(&compressed, max).unwrap().len(), 1000, "{encoding}");
        }
        for max in [0, 1, 999] {
            assert_eq!(encoding.decompress(&compressed, max), Err(CompressionError::TooLong { max }), "{encoding}");
        }
    }
    let empty = Encoding::Gzip.compress(&Bytes::new()).unwrap();
    assert_eq!(Encoding::Gzip.decompress(&empty, 0), Ok(Bytes::new()));
}

/// A gibibyte of zeros in a mebibyte or less.
#[test]
fn a_bomb_costs_no_more_memory_than_the_limit() {
    for encoding in FORMATS {
        let bomb = bomb(encoding);
        for max in [1 << 10, 1 << 16, 1 << 20] {
            let before = PEAK.get().0;
            PEAK.set((before, before));
            let result = encoding.decompress(&bomb, max);
            let held = PEAK.get().1 - before;
            assert_eq!(result, Err(CompressionError::TooLong { max }), "{encoding}");
            // Each step of growth holds the old and the new buffer for a moment. The state of a decoder of zstd is beyond
            // our sight, in C; the next test looks at what it is told.
            assert!(held <= 2 * max + (64 << 10), "{encoding}: {held} bytes for a limit of {max}");
        }
    }
}

/// Section 3.1.1.1.2 of RFC 8878: the frame's head says how large a window the decoder is to keep.
#[test]
fn a_window_above_the_limit_is_refused() {
    // Magic, a head without a content size, Window_Descriptor, and one raw block of one byte, the last.
    let frame = |exponent: u8| Bytes::from(from_hex(&format!("28b52ffd 00 {:02x} 090000 61", exponent << 3)));
    for (log, max, ok) in [
        (23, 1, true),
        (24, 1, false),
        (24, 1 << 24, true),
        (25, 1 << 24, false),
        (27, usize::MAX, true),
        (28, usize::MAX, false),
    ] {
        let expected = if ok { Ok(Bytes::from_static(b"a")) } else { Err(CompressionError::Corrupt) };
        assert_eq!(Encoding::Zstd.decompress(&frame(log - 10), max), expected, "a window of 2^{log}, a limit of {max}");
    }
}

#[test]
fn a_cut_message_is_corrupt() {
    let message = Bytes::from_static(b"a message that is long enough to be cut in many places");
    for encoding in FORMATS {
        let compressed = encoding.compress(&message).unwrap();
        for len in 0..compressed.len() {
            let result = encoding.decompress(&compressed.slice(..len), 1000);
            assert_eq!(result, Err(CompressionError::Corrupt), "{encoding}, {len} of {} bytes", compressed.len());
        }
    }
}

#[test]
fn bytes_behind_the_end_are_corrupt() {
    let message = Bytes::from_static(b"message");
    for encoding in FORMATS {
        let compressed = encoding.compress(&message).unwrap();
        for behind in [&b"\0"[..], b"garbage", &[0; 100]] {
            let more = Bytes::from([&compressed, behind].concat());
            assert_eq!(encoding.decompress(&more, 1000), Err(CompressionError::Corrupt), "{encoding}");
        }
    }
}

#[test]
fn a_flipped_bit_never_makes_another_message_where_the_format_has_a_checksum() {
    let message = Bytes::from(b"a message with some more words in it".to_vec());
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        let compressed = encoding.compress(&message).unwrap();
        for at in 0..compressed.len() * 8 {
            let mut flipped = compressed.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            // Some bits say nothing: those that fill a byte up, and gzip's time and system.
            match encoding.decompress(&flipped.into(), 1 << 16) {
                Ok(same) => assert_eq!(same, message, "{encoding}, bit {at}"),
                Err(error) => assert_eq!(error, CompressionError::Corrupt, "{encoding}, bit {at}"),
            }
        }
    }
}

#[test]
fn what_nobody_knows_is_unsupported() {
    let payload = Bytes::from_static(b"x");
    for encoding in [Encoding::Other(b"snappy"), Encoding::parse(b"GZIP")] {
        assert!(!encoding.is_supported());
        assert_eq!(encoding.decompress(&payload, 100), Err(CompressionError::Unsupported));
        assert_eq!(encoding.compress(&payload), Err(CompressionError::Unsupported));
    }
    assert!(FORMATS.into_iter().all(Encoding::is_supported));
}

fn bomb(encoding: Encoding<'_>) -> Bytes {
    // Members and frames may follow one another; zlib has to be one.
    let zeros = Bytes::from(vec![0; 1 << 25]);
    let compressed = encoding.compress(&zeros).unwrap();
    let times = if encoding == Encoding::Deflate { 1 } else { 32 };
    compressed.repeat(times).into()
}

thread_local! {
    /// Bytes that this thread has now, and the most it has had.
    static PEAK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

#[allow(unsafe_code, reason = "an allocator is unsafe by nature; this one counts")]
// SAFETY: every call goes to `System` unchanged; the counter touches no memory but its own.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (now, most) = PEAK.get();
        let now = now.wrapping_add(layout.size());
        PEAK.set((now, most.max(now)));
        // SAFETY: the caller keeps what `GlobalAlloc` asks of it, and `System` asks the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let (now, most) = PEAK.get();
        PEAK.set((now.wrapping_sub(layout.size()), most));
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

const OTHERS: [(Encoding<'static>, &str); 3] = [
    (Encoding::Deflate, "789ccb48cdc9c957c8402701680308b1"),
    (Encoding::Gzip, "1f8b0800000000000203cb48cdc9c957c8402701e3513d8d17000000"),
    (Encoding::Zstd, "28b52ffd04586500003068656c6c6f200100994b11175eae0d"),
];
