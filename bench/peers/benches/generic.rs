//! What `thrift-generic` is measured beside: the quickest public JSON crates, with the same payloads, from and into Rust
//! structs that are known when they are compiled. They do less: no Thrift is read or written, and binary stays the text
//! that it is in JSON. Names are those that `bench/generic.sh` looks for.

#[path = "../../../thrift-generic/benches/payload/mod.rs"]
#[allow(dead_code)]
mod payload;

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use thrift_generic::Descriptor;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    byte_field: i8,
    i64_field: i64,
    double_field: f64,
    i32_field: i32,
    string_field: String,
    binary_field: String,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Nesting {
    string: String,
    list_simple: Vec<Simple>,
    double: f64,
    i32: i32,
    list_i32: Vec<i32>,
    i64: i64,
    map_string_string: BTreeMap<String, String>,
    simple_struct: Simple,
    map_i32_i64: BTreeMap<i32, i64>,
    list_string: Vec<String>,
    binary: String,
    map_i64_string: BTreeMap<i64, String>,
    list_i64: Vec<i64>,
    byte: i8,
    map_string_simple: BTreeMap<String, Simple>,
}

fn floors(c: &mut Criterion) {
    payload::check(&Descriptor::from_text(payload::IDL).unwrap());
    payload_of::<Simple>(c, "small", &payload::small());
    payload_of::<Nesting>(c, "medium", &payload::medium());
}

fn payload_of<T: for<'de> Deserialize<'de> + PartialEq + Serialize>(c: &mut Criterion, name: &str, json: &str) {
    let value: T = serde_json::from_str(json).unwrap();
    assert!(value == sonic_rs::from_str::<T>(json).unwrap());
    assert!(value == serde_json::from_str::<T>(&sonic_rs::to_string(&value).unwrap()).unwrap());

    let mut group = c.benchmark_group(format!("json/write/{name}"));
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("serde_json", |b| b.iter(|| serde_json::from_str::<T>(black_box(json)).unwrap()));
    group.bench_function("sonic-rs", |b| b.iter(|| sonic_rs::from_str::<T>(black_box(json)).unwrap()));
    group.finish();

    let mut group = c.benchmark_group(format!("json/read/{name}"));
    group.throughput(Throughput::Bytes(json.len() as u64));
    let mut out = Vec::new();
    group.bench_function("serde_json", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&value)).unwrap();
            black_box(out.len())
        });
    });
    group.bench_function("sonic-rs", |b| {
        b.iter(|| {
            out.clear();
            sonic_rs::to_writer(&mut out, black_box(&value)).unwrap();
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, floors);
criterion_main!(benches);
