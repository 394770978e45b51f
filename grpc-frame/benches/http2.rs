//! `cargo bench -p grpc-frame --bench http2`: cutting a connection into frames, by payload and read; header blocks in
//! one piece and in several; and frames written.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grpc_frame::http2::{Data, Flags, Frame, Headers, Http2Codec, Ping, StreamId, WindowUpdate};
use tokio_util::codec::{Decoder, Encoder};

criterion_group!(benches, decode, encode);
criterion_main!(benches);

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for payload in [64, 261, 1 << 10, 16 << 10] {
        let frames = vec![data(payload); (256 << 10) / payload];
        measure(&mut group, &format!("DATA of {payload} octets"), &frames, 16_384);
    }
    measure(
        &mut group,
        "a unary call: HEADERS, DATA, WINDOW_UPDATE, PING, trailers",
        &vec![call(); 200].concat(),
        16_384,
    );
    let block = Frame::from(Headers::new(StreamId::new(1), vec![0x82; 4000].into()));
    measure(&mut group, "header block of 4,000 octets in one frame", &vec![block.clone(); 60], 16_384);
    measure(&mut group, "header block of 4,000 octets in four frames", &vec![block; 60], 1000);
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn measure(group: &mut Group<'_>, name: &str, frames: &[Frame], max_frame_size: usize) {
    let mut codec = Http2Codec::builder().max_send_frame_size(max_frame_size).build();
    let mut wire = BytesMut::new();
    for frame in frames {
        codec.encode(frame, &mut wire).unwrap();
    }
    group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
    for read in [1 << 10, 64 << 10] {
        let id = BenchmarkId::new(name, format!("reads of {read} octets"));
        group.bench_function(id, |b| b.iter(|| assert_eq!(count_frames(&wire, read), frames.len())));
    }
}

/// As a connection does it: what a read brings goes behind what is left of the one before.
fn count_frames(wire: &[u8], read: usize) -> usize {
    let mut codec = Http2Codec::default();
    let mut src = BytesMut::with_capacity(64 << 10);
    let mut frames = 0;
    for read in wire.chunks(read) {
        src.extend_from_slice(read);
        while let Some(frame) = codec.decode(&mut src).unwrap() {
            black_box(frame.stream_id());
            frames += 1;
        }
    }
    frames
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let mut dst = BytesMut::with_capacity(64 << 10);
    for payload in [64, 1 << 10, 16 << 10] {
        let frame = data(payload);
        let Frame::Data(data) = &frame else { unreachable!() };
        group.throughput(Throughput::Bytes(payload.try_into().unwrap()));
        group.bench_function(BenchmarkId::new("DATA, copied", payload), |b| {
            b.iter(|| {
                dst.clear();
                Http2Codec::default().encode(black_box(&frame), &mut dst).unwrap();
            });
        });
        group.bench_function(BenchmarkId::new("DATA, head alone", payload), |b| {
            b.iter(|| black_box(data).head().unwrap().to_bytes());
        });
    }
    let call = call();
    group.throughput(Throughput::Elements(call.len().try_into().unwrap()));
    group.bench_function("a unary call", |b| {
        let mut codec = Http2Codec::default();
        b.iter(|| {
            dst.clear();
            for frame in black_box(&call) {
                codec.encode(frame, &mut dst).unwrap();
            }
        });
    });
    group.finish();
}

fn data(len: usize) -> Frame {
    Data::new(StreamId::new(1), vec![b'd'; len].into()).into()
}

/// What a unary call of small messages puts on the wire, both ways taken together.
fn call() -> Vec<Frame> {
    let id = StreamId::new(1);
    let headers =
        |len: usize, flags| Headers::new(id, Bytes::from(vec![0x82; len])).with_flags(Flags::END_HEADERS | flags);
    vec![
        headers(90, Flags::NONE).into(),
        Data::new(id, Bytes::from_static(&[0; 69])).with_flags(Flags::END_STREAM).into(),
        WindowUpdate::new(StreamId::CONNECTION, 69).into(),
        Ping::new(*b"\x02\x04\x10\x10\x09\x0e\x07\x07").into(),
        headers(20, Flags::NONE).into(),
        Data::new(id, Bytes::from_static(&[0; 69])).into(),
        headers(15, Flags::END_STREAM).into(),
    ]
}
