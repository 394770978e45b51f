//! `cargo bench -p framed`: cutting a stream into frames, by size of frame and read; and payloads put into frames.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framed::{FramedCodec, HEAD_LEN, encode_head};
use tokio_util::codec::{Decoder, Encoder};

criterion_group!(benches, decode, encode);
criterion_main!(benches);

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for payload in [64, 1 << 10, 16 << 10, 256 << 10] {
        let frames = (1 << 20) / payload;
        let mut wire = BytesMut::new();
        for _ in 0..frames {
            FramedCodec::default().encode(vec![0; payload].into(), &mut wire).unwrap();
        }
        group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
        for read in [1 << 10, 16 << 10, 64 << 10] {
            let id = BenchmarkId::new(format!("{payload} B payload"), format!("reads of {read} B"));
            group.bench_function(id, |b| b.iter(|| assert_eq!(count_frames(&wire, read), frames)));
        }
    }
    group.finish();
}

/// As a connection does it: what a read brings goes behind what is left of the one before. The copy is the read, and
/// most of the time.
fn count_frames(wire: &[u8], read: usize) -> usize {
    let mut codec = FramedCodec::default();
    let mut src = BytesMut::with_capacity(64 << 10);
    let mut frames = 0;
    for read in wire.chunks(read) {
        src.extend_from_slice(read);
        while let Some(payload) = codec.decode(&mut src).unwrap() {
            black_box(payload);
            frames += 1;
        }
    }
    frames
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for payload_len in [64, 1 << 10, 16 << 10] {
        let payload = Bytes::from(vec![0; payload_len]);
        let mut dst = BytesMut::with_capacity(payload_len + HEAD_LEN);
        group.throughput(Throughput::Bytes((payload_len + HEAD_LEN).try_into().unwrap()));
        group.bench_function(BenchmarkId::new("copied", format!("{payload_len} B payload")), |b| {
            b.iter(|| {
                dst.clear();
                FramedCodec::default().encode(black_box(&payload).clone(), &mut dst).unwrap();
            });
        });
        group.bench_function(BenchmarkId::new("head alone", format!("{payload_len} B payload")), |b| {
            b.iter(|| encode_head(black_box(&payload).len()).unwrap());
        });
    }
    group.finish();
}
