//! Splitting a stream of frames: `cargo bench --bench framed`.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use framed::FramedCodec;
use peers::{Contest, CountingAllocator, messages, plain};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MAX: usize = 16 << 20;

fn main() {
    split(1000, 256);
    split(1000, 64);
    split(100, 16 << 10);
    encode(256);
}

fn split(count: usize, len: usize) {
    let wire = messages::frames(count, len);
    let mut copy = vec![0; wire.len()];
    let mut ours = FramedCodec::builder().max_frame_len(MAX).build();
    let mut theirs = LengthDelimitedCodec::builder().max_frame_length(MAX).new_codec();
    let frames = |decode: &mut dyn FnMut(&mut BytesMut) -> Option<Bytes>| {
        let mut src = BytesMut::from(&wire[..]);
        let mut seen = 0;
        while let Some(frame) = decode(&mut src) {
            assert_eq!(frame.len(), len);
            seen += 1;
        }
        assert_eq!(seen, count);
    };
    frames(&mut |src| plain::split_frame(src, MAX).unwrap());
    frames(&mut |src| ours.decode(src).unwrap());
    frames(&mut |src| theirs.decode(src).unwrap().map(BytesMut::freeze));

    // The bytes are in one buffer, as a large read leaves them; that they were copied there does not count, that the
    // buffer is freed does.
    let buffer = || BytesMut::from(&wire[..]);
    Contest::new(format!("split {count} frames of {len} bytes into Bytes"), wire.len())
        .entry_on("plain loop", buffer, |mut src| {
            while let Ok(Some(frame)) = plain::split_frame(&mut src, MAX) {
                black_box(frame);
            }
        })
        .entry_on("framed", buffer, |mut src| {
            while let Ok(Some(frame)) = ours.decode(&mut src) {
                black_box(frame);
            }
        })
        .entry_on("tokio-util `LengthDelimitedCodec`", buffer, |mut src| {
            while let Ok(Some(frame)) = theirs.decode(&mut src) {
                black_box(frame.freeze());
            }
        })
        .entry("memcpy", || {
            copy.copy_from_slice(black_box(&wire));
            black_box(&mut copy)[0]
        })
        .run();
}

fn encode(len: usize) {
    let payload = Bytes::from(vec![b'f'; len]);
    let mut dst = BytesMut::with_capacity(1 << 16);
    let mut ours = FramedCodec::default();
    Contest::new(format!("encode a frame of {len} bytes"), len)
        .entry("framed", || {
            dst.clear();
            ours.encode(black_box(&payload).clone(), &mut dst).unwrap();
            dst.len()
        })
        .run();
}
