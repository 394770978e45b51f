//! Bytes and texts that nobody means well with: cut, bent, nested deep, claiming to be huge.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::path::Path;
use std::thread;

use thrift_codec::DecodeError;
use thrift_generic::descriptor::{Builder, Function};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, ErrorKind, Options, Profile};

const PROFILES: [Profile; 2] = [Profile::Default, Profile::Dynamic];

const ALL: &str = r#"{"b":true,"by":-1,"i16v":300,"i32v":70000,"i64v":-9007199254740993,"d":1.5e-7,"s":"a\"\u4f60\ud83d\ude00\n",
    "bin":"aGVsbG8=","li":[1,2,3],"ss":["a","b"],"msi":{"a":1,"b":2},"mis":{"-5":"x"},"mbs":{"true":"y"},"mds":{"1.5":"z"},
    "e":2,"st":{"x":1,"y":"q"},"ls":[{"x":1},{}],"mss":{"k":{"y":"v"}},"lli":[[1],[],[2,3]],"m88":{"1":2},"lbin":["AQ=="],
    "mbin":{"AQ==":1},"lbool":[true,false],"ld":[0.5,1e300],"me":{"1":2},"jc":"123","jcl":["1",2],"jcm":{"a":"1"},
    "m3264":{"7":8},"si64":[9],"jcs":"t","unknown":[{"x":[null,true,1.5,"\\"]}]} "#;

fn all() -> Descriptor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/all.thrift");
    Builder::new().build(&Idl::from_file(path, &[]).unwrap()).unwrap()
}

fn method(d: &Descriptor) -> &Function {
    &d.functions()[0]
}

#[test]
fn every_prefix_of_a_text_is_an_error() {
    let d = all();
    let text = ALL.trim_end().as_bytes();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        let mut out = b"kept".to_vec();
        for len in 0..text.len() {
            let written = codec.encode_request(&d, method(&d), Some(&text[..len]), None, &mut out);
            // In the default profile no text at all is an empty struct.
            if len == 0 && profile == Profile::Default {
                written.unwrap();
                out.truncate(4);
                continue;
            }
            let error = written.expect_err(&String::from_utf8_lossy(&text[..len]));
            assert!(error.offset().is_some_and(|offset| offset <= len), "{error}");
            assert_eq!(out, b"kept");
        }
        codec.encode_request(&d, method(&d), Some(text), None, &mut out).unwrap();
    }
}

#[test]
fn every_prefix_of_a_value_is_an_error() {
    let d = all();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        let (mut thrift, mut out) = (Vec::new(), b"kept".to_vec());
        codec.encode_request(&d, method(&d), Some(ALL.as_bytes()), None, &mut thrift).unwrap();
        for len in 0..thrift.len() {
            let error = codec.decode_request(&d, method(&d), &thrift[..len], &mut out).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Thrift(DecodeError::Truncated { .. })), "{len}: {error}");
            assert!(error.offset().is_some_and(|offset| offset <= len), "{error}");
            assert_eq!(out, b"kept");
        }
        thrift.push(0);
        let error = codec.decode_request(&d, method(&d), &thrift, &mut out).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Trailing(1));
    }
}

#[test]
fn bent_texts_and_values_do_no_harm() {
    let d = all();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        let (mut thrift, mut out) = (Vec::new(), Vec::new());
        codec.encode_request(&d, method(&d), Some(ALL.as_bytes()), None, &mut thrift).unwrap();
        for at in 0..thrift.len() {
            for byte in [0, 1, 2, 8, 11, 12, 13, 15, 0x7f, 0x80, 0xff, thrift[at] ^ 1] {
                let mut bent = thrift.clone();
                bent[at] = byte;
                out.clear();
                if codec.decode_request(&d, method(&d), &bent, &mut out).is_ok() {
                    serde_json::from_slice::<serde_json::Value>(&out).unwrap();
                }
            }
        }
        for at in 0..ALL.len() {
            for byte in [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'-', b'.', b'e', b'n', b' ', 0, 0xff] {
                let mut bent = ALL.as_bytes().to_vec();
                bent[at] = byte;
                let (mut thrift, mut back) = (Vec::new(), Vec::new());
                if codec.encode_request(&d, method(&d), Some(&bent), None, &mut thrift).is_ok() {
                    codec.decode_request(&d, method(&d), &thrift, &mut back).unwrap();
                    serde_json::from_slice::<serde_json::Value>(&back).unwrap();
                }
            }
        }
    }
}

#[test]
fn huge_claims_cost_nothing() {
    let d = all();
    let huge = i32::MAX.to_be_bytes();
    let [a, b, c, e] = huge;
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        for field in [
            vec![15, 0, 10, 8, a, b, c, e],
            vec![14, 0, 11, 11, a, b, c, e],
            vec![13, 0, 12, 11, 8, a, b, c, e],
            vec![11, 0, 8, a, b, c, e],
            vec![11, 0, 9, a, b, c, e],
            vec![15, 0, 18, 12, a, b, c, e],
            vec![15, 0, 99, 8, a, b, c, e],
            vec![11, 0, 98, a, b, c, e],
        ] {
            let mut out = Vec::new();
            let error = codec.read(&d, method(&d).request, &field, &mut out).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Thrift(DecodeError::Truncated { .. })), "{error}");
            assert!(out.capacity() < 1024, "{} bytes were reserved", out.capacity());
        }
        for field in [vec![15, 0, 10, 8], vec![13, 0, 12, 11, 8], vec![11, 0, 8], vec![11, 0, 98]] {
            let negative = [&field[..], &[0xff; 4]].concat();
            let error = codec.read(&d, method(&d).request, &negative, &mut Vec::new()).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Thrift(DecodeError::Negative { .. })), "{error}");
        }
    }
}

#[test]
fn nesting_ends_at_the_limit_and_fits_a_small_stack() {
    // Two megabytes are what threads have unless told otherwise, and code that is not optimized needs the most.
    let small = thread::Builder::new().stack_size(2 << 20);
    small.spawn(nesting).unwrap().join().unwrap();
}

fn nesting() {
    let d = Descriptor::from_text(
        "struct N { 1: optional N n, 2: optional list<N> l, 3: optional map<string, N> m, 4: optional string s }
         service S { N M(1: N n) }",
    )
    .unwrap();
    let ty = method(&d).request;
    let nested = |open: &str, close: &str, times: usize| format!("{}{{}}{}", open.repeat(times), close.repeat(times));
    for profile in PROFILES {
        for (open, close, levels) in
            [("{\"n\":", "}", 1), ("{\"l\":[", "]}", 2), ("{\"m\":{\"k\":", "}}", 2), ("{\"unknown\":[", "]}", 2)]
        {
            for limit in [3, 64, 1024] {
                let mut options = Options::json(profile);
                options.max_depth = limit;
                let codec = JsonCodec::new(options);
                let times = (limit - 1) / levels;
                let fits = nested(open, close, times);
                let (mut thrift, mut json) = (Vec::new(), Vec::new());
                codec.write(&d, ty, fits.as_bytes(), &mut thrift).unwrap();
                codec.read(&d, ty, &thrift, &mut json).unwrap();
                if !open.contains("unknown") {
                    assert_eq!(str::from_utf8(&json).unwrap(), fits);
                }
                let deeper = nested(open, close, times + 1);
                let error = codec.write(&d, ty, deeper.as_bytes(), &mut Vec::new()).unwrap_err();
                assert_eq!(error.kind(), &ErrorKind::Depth { limit }, "{error}");
                // What another may write can be too deep for us to read.
                let mut wide = Options::json(profile);
                wide.max_depth = 2048;
                let mut thrift = Vec::new();
                if limit < 1024 && !open.contains("unknown") {
                    JsonCodec::new(wide).write(&d, ty, deeper.as_bytes(), &mut thrift).unwrap();
                    let error = codec.read(&d, ty, &thrift, &mut Vec::new()).unwrap_err();
                    assert_eq!(error.kind(), &ErrorKind::Depth { limit }, "{error}");
                }
            }
        }
        let codec = JsonCodec::new(Options::json(profile));
        for text in ["[", "{\"a\":", "{\"unknown\":[", "{\"n\":", "{\"s\":["] {
            codec.write(&d, ty, text.repeat(100_000).as_bytes(), &mut Vec::new()).unwrap_err();
        }
        // A stranger's deep value in a field that nobody asked for.
        let stranger = [&[12, 0, 9][..]].concat().repeat(100_000);
        codec.read(&d, ty, &stranger, &mut Vec::new()).unwrap_err();
        codec.read(&d, ty, &[12, 0, 1].repeat(100_000), &mut Vec::new()).unwrap_err();
    }
}

#[test]
fn an_error_of_a_deep_value_is_dropped_and_printed_without_a_deep_stack() {
    let d = Descriptor::from_text("struct N { 1: optional N n, 2: i32 i } service S { N M(1: N n) }").unwrap();
    let text = format!("{}{{\"i\":[]}}{}", "{\"n\":".repeat(1000), "}".repeat(1000));
    let codec = JsonCodec::new(Options::json(Profile::Dynamic));
    let error = codec.write(&d, method(&d).request, text.as_bytes(), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().ends_with(".n.i: expected i32, got list (expect type I32) (at byte 5005)"), "{error}");
}
