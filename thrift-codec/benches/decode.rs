//! Finding the end of buffered messages, by message size and by how much one read brings: `cargo bench -p
//! thrift-codec`. Beside public crates: `bench/peers`.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use thrift_codec::{
    ApplicationException, BufferedCodec, DEFAULT_MAX_NAME_LEN, MessageHeader, MessageType, Skipper, TType, Version,
    binary::{FieldHeader, ListHeader, Writer},
    exception, skip_struct,
};
use tokio_util::codec::Decoder;

/// A call whose only argument is a list of records, `len` bytes or a little more.
fn message(len: usize) -> BytesMut {
    let mut records = BytesMut::new();
    let mut count = 0;
    while records.len() < len {
        let mut writer = Writer::new(&mut records);
        writer.field_header(FieldHeader { ttype: TType::I64, id: 1 });
        writer.i64(count);
        writer.field_header(FieldHeader { ttype: TType::STRING, id: 2 });
        writer.bytes(b"somebody's name").unwrap();
        writer.field_header(FieldHeader { ttype: TType::LIST, id: 3 });
        writer.list_header(ListHeader { element: TType::STRING, count: 2 }).unwrap();
        writer.bytes(b"one").unwrap();
        writer.bytes(b"two").unwrap();
        writer.field_header(FieldHeader { ttype: TType::BOOL, id: 4 });
        writer.bool(true);
        writer.stop();
        count += 1;
    }
    let mut message = BytesMut::new();
    MessageHeader::new(Version::THRIFT, MessageType::CALL, b"GetUsers", 1).encode(&mut message).unwrap();
    let mut writer = Writer::new(&mut message);
    writer.field_header(FieldHeader { ttype: TType::LIST, id: 1 });
    writer.list_header(ListHeader { element: TType::STRUCT, count: usize::try_from(count).unwrap() }).unwrap();
    message.extend_from_slice(&records);
    Writer::new(&mut message).stop();
    message
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode buffered");
    for len in [64, 1 << 10, 16 << 10, 256 << 10] {
        let wire = message(len);
        group.throughput(Throughput::Bytes(u64::try_from(wire.len()).unwrap()));
        for read_len in [1 << 10, 16 << 10, 64 << 10] {
            let id = BenchmarkId::new(format!("messages of {len}"), format!("reads of {read_len}"));
            group.bench_with_input(id, &wire, |b, wire| {
                let mut codec = BufferedCodec::default();
                let mut src = BytesMut::with_capacity(1 << 20);
                b.iter(|| {
                    for read in wire.chunks(read_len) {
                        src.extend_from_slice(read);
                        while let Some(message) = codec.decode(&mut src).unwrap() {
                            black_box(message);
                        }
                    }
                });
            });
        }
    }
    group.finish();
}

fn skip(c: &mut Criterion) {
    let mut group = c.benchmark_group("skip_struct");
    for len in [64, 1 << 10, 100 << 10] {
        let message = message(len);
        let body = message.split_at(MessageHeader::parse(&message).unwrap().encoded_len()).1;
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        group.bench_with_input(BenchmarkId::new("whole", len), body, |b, body| {
            b.iter(|| skip_struct(black_box(body)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("in pieces of 1024", len), body, |b, body| {
            let mut skipper = Skipper::new_struct();
            b.iter(|| {
                skipper.reset(TType::STRUCT);
                black_box(body).chunks(1 << 10).find_map(|piece| skipper.skip(piece).unwrap()).unwrap()
            });
        });
    }
    group.finish();
}

fn parse(c: &mut Criterion) {
    let message = message(0);
    c.bench_function("MessageHeader::peek", |b| {
        b.iter(|| MessageHeader::peek(black_box(&message), DEFAULT_MAX_NAME_LEN).unwrap().unwrap());
    });
    c.bench_function("MessageHeader::parse", |b| b.iter(|| MessageHeader::parse(black_box(&message)).unwrap()));
    let mut body = BytesMut::new();
    ApplicationException::new(exception::INTERNAL_ERROR, b"biz error: boom").encode(&mut body).unwrap();
    c.bench_function("ApplicationException::parse", |b| {
        b.iter(|| ApplicationException::parse(black_box(&body)).unwrap());
    });
}

criterion_group!(benches, decode, skip, parse);
criterion_main!(benches);
