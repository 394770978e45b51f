//! `cargo bench -p ttstream`: cutting a stream of data frames, by size of message; heads written and sent on; a stream's
//! state.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio_util::codec::Decoder;
use ttstream::stream::{Client, Server};
use ttstream::{Code, Exception, Frame, StreamEncoder, TtStreamCodec};

criterion_group!(benches, decode, encode, machines);
criterion_main!(benches);

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode 100 data frames");
    for payload in [64, 1 << 10, 16 << 10] {
        let wire = data_frames(payload);
        group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
        group.bench_function(BenchmarkId::new("as they are", payload), |b| {
            b.iter_batched_ref(
                || BytesMut::from(&wire[..]),
                |src| {
                    while let Some(frame) = TtStreamCodec::default().decode(src).unwrap() {
                        black_box((frame.frame_type(), frame.stream_id(), frame.into_payload()));
                    }
                },
                criterion::BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("and written under another id", payload), |b| {
            let mut dst = BytesMut::with_capacity(64 << 10);
            b.iter_batched_ref(
                || BytesMut::from(&wire[..]),
                |src| {
                    dst.clear();
                    while let Some(frame) = TtStreamCodec::default().decode(src).unwrap() {
                        frame.encode_head_with_id(9, &mut dst).unwrap();
                        black_box(frame.into_payload());
                    }
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let encoder = StreamEncoder::new(7, b"EchoBidi").unwrap();
    let exception = Exception::built_in(Code::CANCELLED);
    let data = Frame::parse(data_frame(64)).unwrap();
    let mut dst = BytesMut::with_capacity(4 << 10);
    let mut group = c.benchmark_group("write a head");
    group.bench_function("data", |b| {
        b.iter(|| {
            dst.clear();
            black_box(&encoder).data(black_box(64), &mut dst).unwrap();
        });
    });
    group.bench_function("data, sent on with another id", |b| {
        b.iter(|| {
            dst.clear();
            black_box(&data).encode_head_with_id(black_box(9), &mut dst).unwrap();
        });
    });
    group.bench_function("half close", |b| {
        b.iter(|| {
            dst.clear();
            black_box(&encoder).half_close(&mut dst);
        });
    });
    group.bench_function("open with two pairs", |b| {
        let pairs: [(&[u8], &[u8]); 2] = [(b"RPC_PERSIST_user", b"u-1234567890"), (b"RPC_TRANSIT_trace", b"4bf92f35")];
        b.iter(|| {
            dst.clear();
            black_box(&encoder).open(b"EchoService", black_box(pairs), &mut dst).unwrap();
        });
    });
    group.bench_function("rst with exception and path", |b| {
        b.iter(|| {
            dst.clear();
            black_box(&encoder).rst(black_box(&exception), b"ServiceA,ProxyB", &mut dst).unwrap();
        });
    });
    group.bench_function("all that is prepared for a stream", |b| {
        b.iter(|| StreamEncoder::new(black_box(7), black_box(b"EchoBidi")).unwrap());
    });
    group.finish();
}

fn machines(c: &mut Criterion) {
    let data = Frame::parse(data_frame(64)).unwrap();
    let mut client = Client::new();
    let mut server = Server::new();
    c.bench_function("a message through both machines, either way", |b| {
        b.iter(|| {
            _ = black_box(client.send_message().unwrap());
            black_box(server.received(black_box(&data)).unwrap());
            _ = black_box(server.send_message().unwrap());
            _ = black_box(client.received(black_box(&data)).unwrap());
        });
    });
}

fn data_frames(payload: usize) -> Vec<u8> {
    data_frame(payload).repeat(100)
}

fn data_frame(payload: usize) -> Bytes {
    let mut wire = BytesMut::new();
    StreamEncoder::new(7, b"EchoBidi").unwrap().data(payload, &mut wire).unwrap();
    wire.resize(wire.len() + payload, 0);
    wire.freeze()
}
