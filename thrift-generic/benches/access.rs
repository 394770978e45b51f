//! Fields of bytes by path, with the payloads of generic-call 8.1: `cargo bench -p thrift-generic --bench access`.
//!
//! What is read and changed is what dynamicgo measures (generic-call 8.2): the last piece of data; five from the
//! front, the middle and the end; three of them. Beside them, what it takes to go over the bytes at all, and to decode
//! and encode all of them for the sake of one field.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

#[allow(dead_code, reason = "the payloads are for several benchmarks")]
mod payload;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thrift_generic::access::{Change, Path, Paths};
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options, Value};

const SMALL: [&str; 5] = ["ByteField", "I64Field", "I32Field", "StringField", "BinaryField"];
/// The key "9" comes last, as text is sorted.
const MEDIUM: [&str; 5] =
    ["String", "ListI32[8]", "SimpleStruct.I64Field", "ListI64[15]", "MapStringSimple[\"9\"].BinaryField"];

fn small(c: &mut Criterion) {
    let changes = [Change::from(1_i8), Change::from(2_i32), Change::from(&[7; 32][..])];
    fields(c, "small", "SimpleMethod", &payload::small(), SMALL, [0, 2, 4], &changes);
}

fn medium(c: &mut Criterion) {
    let changes = [Change::from("a text of about the same length"), Change::from(2_i64), Change::from(&[7; 32][..])];
    fields(c, "medium", "NestingMethod", &payload::medium(), MEDIUM, [0, 2, 4], &changes);
}

fn fields(
    c: &mut Criterion,
    size: &str,
    method: &str,
    json: &str,
    five: [&str; 5],
    three: [usize; 3],
    changes: &[Change<'_>; 3],
) {
    let d = Descriptor::from_text(payload::IDL).unwrap();
    let ty = payload::method(&d, method).request;
    let bytes = payload::thrift(&d, method, json);
    let five = five.map(|path| Path::parse(&d, ty, path).unwrap());
    let [.., last] = &five;
    let [.., changed] = changes;
    let many = Paths::new(&five);
    assert!(many.get(&bytes).unwrap().iter().all(Option::is_some));
    let three = Paths::new(three.map(|at| five.get(at).unwrap()));

    let mut group = c.benchmark_group(size);
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap()));
    group.bench_function("pass over", |b| b.iter(|| thrift_codec::skip_struct(black_box(&bytes))));
    group.bench_function("get one", |b| b.iter(|| last.get(black_box(&bytes)).unwrap().map(|found| found.offset())));
    group.bench_function("get many (5)", |b| b.iter(|| many.get(black_box(&bytes)).unwrap()));
    group.bench_function("set one", |b| b.iter(|| last.set(black_box(&bytes), changed).unwrap()));
    group.bench_function("set many (3)", |b| b.iter(|| three.set(black_box(&bytes), changes).unwrap()));

    let codec = MapCodec::new(Options::map());
    group.bench_function("decode and encode all", |b| {
        b.iter(|| {
            let mut value = codec.read(&d, ty, black_box(&bytes)).unwrap();
            value.insert("BinaryField", Value::from(&[7; 32][..]));
            let mut out = Vec::with_capacity(bytes.len());
            codec.write(&d, ty, &value, &mut out).unwrap();
            out
        });
    });
    group.finish();
}

criterion_group!(benches, small, medium);
criterion_main!(benches);
