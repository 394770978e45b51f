//! `cargo bench -p ttheader`: cutting a stream into frames, by size of header, payload and read; and a header read,
//! changed and written.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio_util::codec::Decoder;
use ttheader::{Entry, Flags, Header, HeaderView, HeaderWriter, IntKey, Patch, TtHeaderCodec};

criterion_group!(benches, decode, header);
criterion_main!(benches);

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, header) in [("empty header", Header::default()), ("14 entries", full_header())] {
        for payload in [64, 1 << 10, 16 << 10] {
            let mut wire = BytesMut::new();
            let frames = (256 << 10) / payload;
            for _ in 0..frames {
                header.encode(payload, &mut wire).unwrap();
                wire.resize(wire.len() + payload, 0);
            }
            group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
            for read in [1 << 10, 64 << 10] {
                let id = BenchmarkId::new(name, format!("{payload} B payload, reads of {read} B"));
                group.bench_function(id, |b| b.iter(|| assert_eq!(count_frames(&wire, read), frames)));
            }
        }
    }
    group.finish();
}

/// As a connection does it: what a read brings goes behind what is left of the one before.
fn count_frames(wire: &[u8], read: usize) -> usize {
    let mut codec = TtHeaderCodec::default();
    let mut src = BytesMut::with_capacity(64 << 10);
    let mut frames = 0;
    for read in wire.chunks(read) {
        src.extend_from_slice(read);
        while let Some(frame) = codec.decode(&mut src).unwrap() {
            black_box(frame.payload());
            frames += 1;
        }
    }
    frames
}

fn header(c: &mut Criterion) {
    let header = full_header();
    let mut wire = BytesMut::new();
    header.encode(100, &mut wire).unwrap();
    let mut dst = BytesMut::with_capacity(4 << 10);
    let mut group = c.benchmark_group("header of 14 entries");
    group.throughput(Throughput::Bytes(wire.len().try_into().unwrap()));
    group.bench_function("parse", |b| b.iter(|| HeaderView::parse(black_box(&wire)).map(|view| view.seq())));
    group.bench_function("parse, every entry handed out", |b| {
        b.iter(|| {
            HeaderView::parse_with(black_box(&wire), |entry| _ = black_box(entry.value())).map(|view| view.seq())
        });
    });
    group.bench_function("parse, lower the timeout, write", |b| {
        b.iter(|| {
            dst.clear();
            let mut timeout = None;
            let view = HeaderView::parse_with(black_box(&wire), |entry| {
                if matches!(entry, Entry::Int { key: IntKey::RPC_TIMEOUT, .. }) {
                    timeout = Some(entry);
                }
            });
            Patch::new().replace(&timeout.unwrap(), b"1499").encode(&view.unwrap(), 100, &mut dst).unwrap();
        });
    });
    group.bench_function("write what is kept", |b| {
        b.iter(|| {
            dst.clear();
            black_box(&header).encode(100, &mut dst).unwrap();
        });
    });
    group.bench_function("write entry by entry", |b| {
        b.iter(|| {
            dst.clear();
            let mut writer = HeaderWriter::new(&mut dst, Flags::default(), 7);
            for (key, value) in black_box(STRINGS) {
                writer.string(key, value).unwrap();
            }
            for (key, value) in black_box(INTS) {
                writer.int(key, value).unwrap();
            }
            writer.finish(100).unwrap();
        });
    });
    group.finish();
}

fn full_header() -> Header {
    let mut header = Header::new(Flags::default(), 7);
    for (key, value) in STRINGS {
        header.append_string(key, value).unwrap();
    }
    for (key, value) in INTS {
        header.append_int(key, value).unwrap();
    }
    header
}

const STRINGS: [(&[u8], &[u8]); 8] = [
    (b"isn", b"EchoService"),
    (b"rip", b"192.0.2.113:45678"),
    (b"RPC_PERSIST_user", b"u-1234567890"),
    (b"RPC_PERSIST_tenant", b"acme"),
    (b"RPC_TRANSIT_trace", b"4bf92f3577b34da6a3ce929d0e0e4736"),
    (b"RPC_TRANSIT_ab", b"exp-7:on"),
    (b"crc32c", b"e3069283"),
    (b"K_ProcessAtTime", b"1700000000000"),
];
const INTS: [(IntKey, &[u8]); 6] = [
    (IntKey::TRANSPORT_TYPE, b"framed"),
    (IntKey::FROM_SERVICE, b"caller.svc"),
    (IntKey::TO_SERVICE, b"dest.svc"),
    (IntKey::TO_METHOD, b"echo"),
    (IntKey::RPC_TIMEOUT, b"1500"),
    (IntKey::MSG_TYPE, b"1"),
];
