use std::collections::HashMap;
use std::sync::OnceLock;

use thrift_generic::descriptor::Builder;
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, EnumNames, Options, Profile};

/// [`JsonCodec`]: what a JSON text becomes is a Thrift value, which is read as JSON that says the same when it is
/// written and read once more; Thrift bytes are JSON or an error.
///
/// The first byte says by which rules and as the argument of which method.
pub fn thrift_json(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let codec = &codecs()[usize::from(first & 3)];
    let all = descriptors();
    let d = &all[usize::from(first >> 2) % all.len()];
    for f in d.functions() {
        let mut thrift = b"before".to_vec();
        match codec.encode_request(d, f, Some(data), None, &mut thrift) {
            Ok(()) => read_again(codec, d, f, &thrift[6..]),
            Err(_) => assert_eq!(thrift, b"before", "half a value was left behind"),
        }
        let mut json = b"before".to_vec();
        match codec.read(d, f.request, data, &mut json) {
            Ok(()) => is_json(&json[6..]),
            Err(_) => assert_eq!(json, b"before", "half a text was left behind"),
        }
        json.clear();
        drop(codec.decode_request(d, f, data, &mut json));
        drop(codec.decode_response(d, f, data, &mut json));
        assert!(std::str::from_utf8(&json).is_ok(), "output that is no UTF-8");
    }
}

/// Bytes that we wrote ourselves.
fn read_again(codec: &JsonCodec, d: &Descriptor, f: &thrift_generic::descriptor::Function, thrift: &[u8]) {
    let mut once = Vec::new();
    if codec.decode_arguments(d, f, thrift, &mut once).is_err() {
        // NaN from text, and a struct that stands for a missing one and lacks what it requires: Kitex's rules.
        return;
    }
    is_json(&once);
    let (mut again, mut twice) = (Vec::new(), Vec::new());
    codec.encode_arguments(d, f, &once, None, &mut again).expect("what was read can be written");
    if codec.decode_arguments(d, f, &again, &mut twice).is_ok() {
        is_json(&twice);
    }
}

fn is_json(text: &[u8]) {
    // The parser's own limit of nesting is lower than ours.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        let deep = error.to_string().contains("recursion limit");
        assert!(deep, "{error}: {:?}", String::from_utf8_lossy(text));
    }
}

fn codecs() -> &'static [JsonCodec; 4] {
    static CODECS: OnceLock<[JsonCodec; 4]> = OnceLock::new();
    CODECS.get_or_init(|| {
        let plain = |profile| JsonCodec::new(Options::json(profile));
        let other = |profile| {
            let mut options = Options::json(profile);
            options.base64 = false;
            options.skip_mismatched = true;
            options.null_for_nan = true;
            options.write_optional = true;
            options.idl_defaults_on_write = profile == Profile::Default;
            options.i64_as_string = true;
            options.enum_names = EnumNames::Write;
            options.max_depth = 12;
            JsonCodec::new(options)
        };
        [plain(Profile::Default), plain(Profile::Dynamic), other(Profile::Default), other(Profile::Dynamic)]
    })
}

fn descriptors() -> &'static [Descriptor; 4] {
    static DESCRIPTORS: OnceLock<[Descriptor; 4]> = OnceLock::new();
    DESCRIPTORS.get_or_init(|| {
        let base = include_str!("../../thrift-generic/tests/fixtures/base.thrift");
        let includes = HashMap::from([("base.thrift".to_owned(), base.to_owned())]);
        [
            include_str!("../../thrift-generic/tests/fixtures/all.thrift"),
            include_str!("../../thrift-generic/tests/fixtures/req.thrift"),
            include_str!("../../thrift-generic/tests/fixtures/baseline.thrift"),
            "struct N { 1: optional N n, 2: optional list<N> l, 3: optional map<string, N> m, 4: string s = \"x\" }
             service S { N M(1: N n) }",
        ]
        .map(|text| {
            let idl = Idl::from_content(text, &includes).expect("a fixture is an IDL");
            Builder::new().build(&idl).expect("a fixture has a service")
        })
    })
}
