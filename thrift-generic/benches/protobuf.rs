//! JSON text to Protobuf messages and back, with the payloads of generic-call 8.1 as messages, beside prost-reflect's own
//! way through its dynamic messages: `cargo bench -p thrift-generic --features protobuf --bench protobuf`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that is wrong may panic")]

#[expect(dead_code, reason = "what belongs to Thrift")]
mod payload;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost_reflect::prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, SerializeOptions};
use thrift_generic::protobuf::{PbDescriptor, PbIdl, PbJsonCodec, PbOptions, PbServices};

fn baseline(c: &mut Criterion) {
    let idl = PbIdl::from_text(include_str!("../tests/fixtures/pb_baseline.proto")).unwrap();
    let d = PbDescriptor::new(&idl, &PbServices::Last).unwrap();
    for (size, name, json) in
        [("small", "SimpleMethod", payload::small()), ("medium", "NestingMethod", payload::medium())]
    {
        let message = d.function(name).unwrap().input;
        let codec = PbJsonCodec::new(PbOptions::default());
        let mut out = Vec::new();
        codec.encode(&d, message, json.as_bytes(), &mut out).unwrap();
        let bytes = std::mem::take(&mut out);
        let mut group = c.benchmark_group(size);
        group.throughput(Throughput::Bytes(u64::try_from(json.len()).unwrap()));
        group.bench_function("json to protobuf", |b| {
            b.iter(|| {
                out.clear();
                codec.encode(&d, message, black_box(json.as_bytes()), &mut out).unwrap();
                black_box(out.len())
            });
        });
        group.bench_function("protobuf to json", |b| {
            b.iter(|| {
                out.clear();
                codec.decode(&d, message, black_box(&bytes), &mut out).unwrap();
                black_box(out.len())
            });
        });
        let descriptor = d.reflect(message);
        group.bench_function("json to protobuf, prost-reflect", |b| {
            b.iter(|| {
                out.clear();
                let mut json = serde_json::Deserializer::from_slice(black_box(json.as_bytes()));
                let options = DeserializeOptions::new();
                let message =
                    DynamicMessage::deserialize_with_options(descriptor.clone(), &mut json, &options).unwrap();
                message.encode(&mut out).unwrap();
                black_box(out.len())
            });
        });
        group.bench_function("protobuf to json, prost-reflect", |b| {
            b.iter(|| {
                out.clear();
                let message = DynamicMessage::decode(descriptor.clone(), black_box(&*bytes)).unwrap();
                let mut json = serde_json::Serializer::new(&mut out);
                let options = SerializeOptions::new().stringify_64_bit_integers(false).use_enum_numbers(true);
                message.serialize_with_options(&mut json, &options).unwrap();
                black_box(out.len())
            });
        });
        group.finish();
    }
}

criterion_group!(benches, baseline);
criterion_main!(benches);
