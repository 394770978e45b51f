//! JSON text to Thrift Binary and back, with the payloads of generic-call 8.1 and a few hard ones: `cargo bench -p
//! thrift-generic --bench json`. Beside public crates: `bench/peers`; beside Kitex: `bench/generic.sh`.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that is wrong may panic"
)]

mod payload;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thrift_generic::descriptor::Type;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Profile};

const PROFILES: [(&str, Profile); 2] = [("ours/default", Profile::Default), ("ours/dynamic", Profile::Dynamic)];

fn baseline(c: &mut Criterion) {
    let d = Descriptor::from_text(payload::IDL).unwrap();
    payload::check(&d);
    for (size, name, json) in
        [("small", "SimpleMethod", payload::small()), ("medium", "NestingMethod", payload::medium())]
    {
        both_ways(c, &d, payload::method(&d, name).request, size, &json);
    }
}

fn hard(c: &mut Criterion) {
    let d = Descriptor::from_text(
        "struct Node { 1: optional Node child, 2: optional list<string> texts, 3: optional map<string, string> entries }
         service S { Node M(1: Node node) }",
    )
    .unwrap();
    let texts: Vec<String> = (0..131_072).map(|n| format!("\"{n:05}\"")).collect();
    let entries: Vec<String> = (0..20_000).map(|n| format!("\"key {n}\":\"value {n}\"")).collect();
    let node = d.function("M").unwrap().request;
    both_ways(c, &d, node, "1 MiB of short strings", &format!("{{\"texts\":[{}]}}", texts.join(",")));
    both_ways(c, &d, node, "1000 levels", &format!("{}{{}}{}", "{\"child\":".repeat(1000), "}".repeat(1000)));
    both_ways(c, &d, node, "map of 20000", &format!("{{\"entries\":{{{}}}}}", entries.join(",")));
}

/// Under the names by which `bench/generic.sh` puts them beside others.
fn both_ways(c: &mut Criterion, d: &Descriptor, ty: Type, name: &str, json: &str) {
    let mut thrift = Vec::new();
    for direction in ["write", "read"] {
        let mut group = c.benchmark_group(format!("json/{direction}/{name}"));
        group.throughput(Throughput::Bytes(u64::try_from(json.len()).unwrap()));
        for (profile_name, profile) in PROFILES {
            let codec = JsonCodec::new(Options::json(profile));
            thrift.clear();
            codec.write(d, ty, json.as_bytes(), &mut thrift).unwrap();
            let mut out = Vec::new();
            group.bench_function(profile_name, |b| {
                b.iter(|| {
                    out.clear();
                    match direction {
                        "write" => codec.write(d, ty, black_box(json.as_bytes()), &mut out).unwrap(),
                        _ => codec.read(d, ty, black_box(&thrift), &mut out).unwrap(),
                    }
                    black_box(out.len())
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, baseline, hard);
criterion_main!(benches);
