//! Any bytes, any texts: no panic, and what is accepted can be read again.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use std::path::Path;

use proptest::prelude::*;
use thrift_generic::descriptor::Builder;
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Profile};

fn fixtures() -> Vec<Descriptor> {
    ["all", "req", "baseline", "alias"]
        .map(|name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.thrift"));
            Builder::new().build(&Idl::from_file(path, &[]).unwrap()).unwrap()
        })
        .into()
}

fn codecs() -> [JsonCodec; 2] {
    [Profile::Default, Profile::Dynamic].map(|profile| JsonCodec::new(Options::json(profile)))
}

/// What a text becomes can be read, and that can be written and read with the same result.
fn text_is_handled_well(d: &Descriptor, codec: &JsonCodec, text: &[u8]) {
    for f in d.functions() {
        let mut thrift = Vec::new();
        if codec.write(d, f.request, text, &mut thrift).is_err() {
            assert!(thrift.is_empty());
            continue;
        }
        let (mut once, mut again, mut twice) = (Vec::new(), Vec::new(), Vec::new());
        // A missing required field of a struct that stands for none is an error on the other side, in Kitex too.
        if codec.read(d, f.request, &thrift, &mut once).is_err() {
            continue;
        }
        serde_json::from_slice::<serde_json::Value>(&once).unwrap();
        codec.write(d, f.request, &once, &mut again).unwrap();
        codec.read(d, f.request, &again, &mut twice).unwrap();
        serde_json::from_slice::<serde_json::Value>(&twice).unwrap();
    }
}

fn bytes_are_handled_well(d: &Descriptor, codec: &JsonCodec, bytes: &[u8]) {
    for f in d.functions() {
        let mut json = Vec::new();
        for read in [
            codec.read(d, f.request, bytes, &mut json).is_ok(),
            codec.decode_request(d, f, bytes, &mut Vec::new()).is_ok(),
            codec.decode_response(d, f, bytes, &mut Vec::new()).is_ok(),
        ] {
            if read && !json.is_empty() {
                serde_json::from_slice::<serde_json::Value>(&json).unwrap();
            }
        }
    }
}

/// JSON that knows the names of fields.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[0-9-]{0,4}".prop_map(Into::into),
        Just("aGk=".into()),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let name = prop_oneof![
            "[a-z]{1,3}",
            Just("s".to_owned()),
            Just("li".to_owned()),
            Just("msi".to_owned()),
            Just("mis".to_owned()),
            Just("st".to_owned()),
            Just("ls".to_owned()),
            Just("rs".to_owned()),
            Just("ds2".to_owned()),
            Just("StringField".to_owned()),
            Just("ListSimple".to_owned()),
            Just("MapI32I64".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json(json in json()) {
        for d in fixtures() {
            for codec in codecs() {
                text_is_handled_well(&d, &codec, json.to_string().as_bytes());
            }
        }
    }

    #[test]
    fn any_text(text in any::<Vec<u8>>()) {
        for d in fixtures() {
            for codec in codecs() {
                text_is_handled_well(&d, &codec, &text);
            }
        }
    }

    #[test]
    fn any_bytes(bytes in any::<Vec<u8>>()) {
        for d in fixtures() {
            for codec in codecs() {
                bytes_are_handled_well(&d, &codec, &bytes);
            }
        }
    }

    #[test]
    fn numbers_survive(integer in any::<i64>(), double in any::<f64>().prop_filter("JSON has none", |double| double.is_finite())) {
        let d = Descriptor::from_text("struct S { 1: i64 i, 2: double d } service X { S M(1: S s) }").unwrap();
        for codec in codecs() {
            let (mut thrift, mut json) = (Vec::new(), Vec::new());
            let text = format!("{{\"i\":{integer},\"d\":{double:e}}}");
            let ty = d.function("M").unwrap().request;
            codec.write(&d, ty, text.as_bytes(), &mut thrift).unwrap();
            codec.read(&d, ty, &thrift, &mut json).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(read.get("i").and_then(serde_json::Value::as_i64), Some(integer));
            let back: f64 = String::from_utf8(json).unwrap().split_once("\"d\":").unwrap().1.trim_end_matches('}').parse().unwrap();
            prop_assert_eq!(back.to_bits(), double.to_bits());
        }
    }
}
