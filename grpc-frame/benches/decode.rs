//! `cargo bench -p grpc-frame --bench decode`: messages cut out of DATA, by size of message and of frame, and the values
//! of headers. With `--all-features` what the formats of compression take too.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::{hint::black_box, time::Duration};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grpc_frame::{
    compression::Encoding,
    message::{Assembler, Boundaries, Message, MessageCodec},
    path::Path,
    status, timeout,
};
use tokio_util::codec::{Decoder, Encoder};

criterion_group!(benches, messages, values, compression);
criterion_main!(benches);

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("messages");
    for len in [64, 256, 1 << 10, 16 << 10, 256 << 10] {
        let count = ((1 << 20) / len).min(1000);
        let mut wire = BytesMut::new();
        for _ in 0..count {
            MessageCodec::default().encode(Message::plain(vec![0; len].into()), &mut wire).unwrap();
        }
        let wire = wire.freeze();
        group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
        let name = |what: &str| format!("{what}, messages of {len} B");
        group.bench_function(BenchmarkId::new(name("codec"), "one buffer"), |b| {
            b.iter_batched_ref(
                || BytesMut::from(&wire[..]),
                |src| assert_eq!(decode(src), count),
                BatchSize::LargeInput,
            );
        });
        for data in [1 << 10, 16 << 10] {
            let chunks: Vec<Bytes> = chunks(&wire, data);
            let id = |what| BenchmarkId::new(name(what), format!("DATA of {data} B"));
            group.bench_function(id("assembler"), |b| b.iter(|| assert_eq!(assemble(&chunks), count)));
            group.bench_function(id("boundaries"), |b| b.iter(|| assert_eq!(count_messages(&chunks), count)));
        }
    }
    group.finish();
}

fn chunks(wire: &Bytes, len: usize) -> Vec<Bytes> {
    (0..wire.len()).step_by(len).map(|at| wire.slice(at..wire.len().min(at + len))).collect()
}

fn decode(src: &mut BytesMut) -> usize {
    let mut codec = MessageCodec::default();
    let mut messages = 0;
    while let Some(message) = codec.decode(src).unwrap() {
        black_box(message);
        messages += 1;
    }
    messages
}

fn assemble(chunks: &[Bytes]) -> usize {
    let mut assembler = Assembler::default();
    let mut messages = 0;
    for chunk in chunks {
        assembler.feed(chunk.clone());
        while let Some(message) = assembler.next_message().unwrap() {
            black_box(message);
            messages += 1;
        }
    }
    messages
}

fn count_messages(chunks: &[Bytes]) -> usize {
    let mut boundaries = Boundaries::default();
    chunks.iter().map(|chunk| boundaries.feed(black_box(chunk)).unwrap()).sum()
}

fn values(c: &mut Criterion) {
    let mut group = c.benchmark_group("values");
    group.bench_function("grpc-timeout parse", |b| b.iter(|| timeout::parse(black_box(b"999828u"))));
    group.bench_function("grpc-timeout encode", |b| {
        b.iter(|| timeout::encode(black_box(Duration::from_micros(999_828))))
    });
    group.bench_function(":path parse", |b| {
        b.iter(|| {
            let path = Path::parse(black_box("/tenant.EchoService/Echo")).unwrap();
            (path.package(), path.service(), path.method())
        });
    });
    group.bench_function("grpc-status parse", |b| b.iter(|| status::Code::parse(black_box(b"13"))));
    for (name, text) in [("plain", "upstream connect error or disconnect"), ("escaped", "café: 100% of it\n")] {
        let value = status::encode_message(text.as_bytes());
        group.bench_function(BenchmarkId::new("grpc-message encode", name), |b| {
            b.iter(|| status::encode_message(black_box(text.as_bytes())));
        });
        group.bench_function(BenchmarkId::new("grpc-message decode", name), |b| {
            b.iter(|| status::decode_message(black_box(value.as_bytes())));
        });
    }
    group.finish();
}

fn compression(c: &mut Criterion) {
    let mut group = c.benchmark_group("compression");
    let message: Bytes = (0..16_384_u32).map(|i| (i / 64 * 31 + i % 7).to_le_bytes()).map(|[byte, ..]| byte).collect();
    group.throughput(Throughput::Bytes(message.len().try_into().unwrap()));
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
        let Ok(compressed) = encoding.compress(&message) else { continue };
        group.bench_function(BenchmarkId::new("compress 16 KiB", encoding), |b| b.iter(|| encoding.compress(&message)));
        group.bench_function(BenchmarkId::new("decompress 16 KiB", encoding), |b| {
            b.iter(|| encoding.decompress(&compressed, 1 << 20).unwrap());
        });
    }
    group.finish();
}
