//! Thrift bytes to JSON text: the rows of generic-call 7.8. Those that are conversions of data lie in
//! `rows/json-read.json`, from where they are played against live Kitex too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that is wrong may panic"
)]

mod support {
    pub(crate) mod dump;
    pub(crate) mod json;
}

use support::json::{fixture, play, unhex};
use thrift_codec::ApplicationException;
use thrift_generic::descriptor::{Builder, ParseMode};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Options, Outcome, Profile};

const PROFILES: [Profile; 2] = [Profile::Default, Profile::Dynamic];

#[test]
fn jr_01_a_string_is_not_quoted() {
    play("json-read.json", "JR-01");
}

#[test]
fn jr_02_binary_is_bare_base64() {
    play("json-read.json", "JR-02");
}

#[test]
fn jr_03_results_of_other_types() {
    play("json-read.json", "JR-03");
}

#[test]
fn jr_04_idl_defaults_are_added() {
    play("json-read.json", "JR-04");
}

#[test]
fn jr_05_everything_is_added_in_the_dynamic_profile() {
    play("json-read.json", "JR-05");
}

#[test]
fn jr_06_a_required_field_is_missing() {
    play("json-read.json", "JR-06");
}

#[test]
fn jr_07_unknown_fields_are_passed() {
    play("json-read.json", "JR-07");
}

#[test]
fn jr_08_another_type_is_an_error() {
    play("json-read.json", "JR-08");
}

#[test]
fn jr_09_void_by_an_empty_result() {
    play("json-read.json", "JR-09");
}

#[test]
fn jr_10_void_by_a_marker() {
    play("json-read.json", "JR-10");
}

#[test]
fn jr_11_a_void_method_that_returns_text() {
    play("json-read.json", "JR-11");
}

#[test]
fn jr_12_servers_write_void_as_an_empty_result() {
    play("json-read.json", "JR-12");
}

#[test]
fn jr_13_a_declared_exception() {
    play("json-read.json", "JR-13");
}

#[test]
fn jr_14_a_declared_exception_in_the_dynamic_profile() {
    play("json-read.json", "JR-14");
}

#[test]
fn jr_15_an_exception_counts_before_a_value() {
    play("json-read.json", "JR-15");
}

#[test]
fn jr_16_the_second_exception() {
    play("json-read.json", "JR-16");
}

#[test]
fn jr_17_an_empty_result() {
    play("json-read.json", "JR-17");
}

#[test]
fn jr_18_nan_and_infinities() {
    play("json-read.json", "JR-18");
}

#[test]
fn jr_19_doubles_as_go_writes_them() {
    play("json-read.json", "JR-19");
}

#[test]
fn jr_20_signs_and_bools() {
    play("json-read.json", "JR-20");
}

#[test]
fn jr_21_an_empty_list_of_another_type() {
    play("json-read.json", "JR-21");
}

#[test]
fn jr_22_an_empty_map_of_another_type() {
    play("json-read.json", "JR-22");
}

#[test]
fn jr_23_sets() {
    play("json-read.json", "JR-23");
}

#[test]
fn jr_24_keys_are_text() {
    play("json-read.json", "JR-24");
}

#[test]
fn jr_25_what_html_minds() {
    play("json-read.json", "JR-25");
}

#[test]
fn jr_26_what_is_no_utf8() {
    play("json-read.json", "JR-26");
}

#[test]
fn jr_27_control_characters() {
    play("json-read.json", "JR-27");
}

#[test]
fn jr_28_js_conv() {
    play("json-read.json", "JR-28");
}

#[test]
fn jr_29_js_conv_of_containers() {
    play("json-read.json", "JR-29");
}

#[test]
fn jr_30_js_conv_of_a_default() {
    play("json-read.json", "JR-30");
}

#[test]
fn jr_31_a_negative_default() {
    play("json-read.json", "JR-31");
}

#[test]
fn jr_32_aliases_of_what_is_added() {
    play("json-read.json", "JR-32");
}

#[test]
fn jr_33_example_method() {
    play("json-read.json", "JR-33");
}

#[test]
fn jr_34_an_inherited_method() {
    play("json-read.json", "JR-34");
}

#[test]
fn jr_41_a_server_reads_a_request() {
    play("json-read.json", "JR-41");
}

#[test]
fn jr_42_a_server_reads_no_request() {
    play("json-read.json", "JR-42");
}

#[test]
fn jr_13_and_jr_14_kitex_s_words_for_an_exception() {
    let bytes = unhex("0c00010800010000 01900b000200000003 6f6f700000".replace(' ', "").as_str());
    for (profile, expected) in
        PROFILES.into_iter().zip([r#"map[string]interface {}{"code":400, "msg":"oop"}"#, r#"{"code":400,"msg":"oop"}"#])
    {
        let d = fixture("req", profile);
        let codec = JsonCodec::new(Options::json(profile));
        let mut json = Vec::new();
        let outcome = codec.decode_response(&d, d.function("M").unwrap(), &bytes, &mut json).unwrap();
        assert_eq!(outcome, Outcome::Exception { id: 1, value: () });
        assert_eq!(codec.exception_text(str::from_utf8(&json).unwrap()), expected);
    }
}

/// From a client to a server and back, both of them ours.
fn call(
    name: &str,
    profile: Profile,
    method: &str,
    request: &str,
    handle: impl FnOnce(&str) -> Outcome<String>,
) -> (Outcome<()>, String) {
    let d = fixture(name, profile);
    let f = d.function(method).unwrap();
    let codec = JsonCodec::new(Options::json(profile));
    let (mut arguments, mut seen, mut result, mut response) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    codec.encode_request(&d, f, Some(request.as_bytes()), None, &mut arguments).unwrap();
    codec.decode_request(&d, f, &arguments, &mut seen).unwrap();
    let outcome = handle(str::from_utf8(&seen).unwrap());
    let outcome = match &outcome {
        Outcome::Value(json) => Outcome::Value(json.as_bytes()),
        Outcome::Void => Outcome::Void,
        Outcome::Empty => Outcome::Empty,
        Outcome::Exception { id, value } => Outcome::Exception { id: *id, value: value.as_bytes() },
        other => panic!("{other:?}"),
    };
    codec.encode_response(&d, f, &outcome, &mut result).unwrap();
    let outcome = codec.decode_response(&d, f, &result, &mut response).unwrap();
    (outcome, String::from_utf8(response).unwrap())
}

#[test]
fn jr_33_a_call_of_example_method() {
    for profile in PROFILES {
        let (outcome, json) = call("example", profile, "ExampleMethod", r#"{"Msg":"hello"}"#, |request| {
            assert!(request.contains(r#""Msg":"hello""#), "{request}");
            Outcome::Value(r#"{"Msg":"world"}"#.to_owned())
        });
        assert_eq!(outcome, Outcome::Value(()));
        assert!(json.starts_with(r#"{"Msg":"world","required_field":"","#), "{json}");
        assert!(json.ends_with(r#","I8":8}"#), "{json}");
    }
}

#[test]
fn jr_34_a_call_of_an_inherited_method_echoes() {
    for profile in PROFILES {
        let echoed =
            call("example", profile, "ExtendMethod", r#"{"Msg":123}"#, |request| Outcome::Value(request.to_owned()));
        assert_eq!(echoed, (Outcome::Value(()), r#"{"Msg":123}"#.to_owned()));
    }
}

#[test]
fn jr_35_a_oneway_call() {
    for profile in PROFILES {
        assert!(fixture("example", profile).function("Oneway").unwrap().oneway);
        // Should a peer answer nevertheless, it is a void result.
        let answered = call("example", profile, "Oneway", "hello", |request| {
            assert_eq!(request, "hello");
            Outcome::Void
        });
        assert_eq!(answered, (Outcome::Void, String::new()));
    }
}

#[test]
fn jr_36_what_a_handler_s_error_says() {
    // It travels as an exception message, beside the result: this crate has no part in it but to leave it alone.
    let exception = ApplicationException::new(6, b"biz error: no such order");
    let mut body = bytes::BytesMut::new();
    exception.encode(&mut body).unwrap();
    let parsed = ApplicationException::parse(&body).unwrap();
    assert!(parsed.message.ends_with(b"no such order"), "{parsed:?}");
    for profile in PROFILES {
        // Read as a result it is an error: its text stands where the first exception would.
        let d = fixture("req", profile);
        let f = d.function("M").unwrap();
        let read = JsonCodec::new(Options::json(profile)).decode_response(&d, f, &body, &mut Vec::new());
        assert_eq!(read.unwrap_err().to_string(), "e: expected struct, got string (at byte 3)");
    }
}

#[test]
fn jr_37_an_unknown_method_of_a_generated_server() {
    for profile in PROFILES {
        let error = fixture("example", profile).method("UnknownMethod").unwrap_err();
        assert_eq!(error.to_string(), "missing method: UnknownMethod in service: ExampleService");
    }
}

#[test]
fn jr_38_bytes_of_a_generated_server() {
    // As generated code writes them: fields by id, in order, a default of a required field included.
    let bytes = unhex("0c00000b000100000005776f726c640b00020000000003000408 0000".replace(' ', "").as_str());
    for profile in PROFILES {
        let d = fixture("example", profile);
        let mut json = Vec::new();
        let codec = JsonCodec::new(Options::json(profile));
        let outcome = codec.decode_response(&d, d.function("ExampleMethod").unwrap(), &bytes, &mut json).unwrap();
        assert_eq!(outcome, Outcome::Value(()));
        assert_eq!(str::from_utf8(&json).unwrap(), r#"{"Msg":"world","required_field":"","I8":8}"#);
    }
}

#[test]
fn jr_39_a_business_error_comes_with_an_empty_result() {
    // Code and message travel in TTHeader or in gRPC's metadata; the body is what a nil result is.
    for profile in PROFILES {
        let answered = call("example", profile, "ExampleMethod", r#"{"Msg":"x"}"#, |_| Outcome::Empty);
        assert_eq!(answered, (Outcome::Empty, String::new()));
    }
}

#[test]
fn jr_40_methods_of_combined_services() {
    let idl = Idl::from_text(
        "struct A { 1: string a } struct B { 1: i32 b } service One { A First(1: A a) } service Two { B Second(1: B b) }",
    );
    let d = Builder::new().mode(ParseMode::Combine).build(&idl.unwrap()).unwrap();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        for (method, json) in [("First", r#"{"a":"x"}"#), ("Second", r#"{"b":5}"#)] {
            let f = d.method(method).unwrap();
            let (mut thrift, mut back) = (Vec::new(), Vec::new());
            codec.encode_request(&d, f, Some(json.as_bytes()), None, &mut thrift).unwrap();
            codec.decode_request(&d, f, &thrift, &mut back).unwrap();
            assert_eq!(str::from_utf8(&back).unwrap(), json);
        }
    }
}

#[test]
fn jr_16_every_declared_exception_can_be_thrown() {
    for profile in PROFILES {
        for (id, json) in [(1, r#"{"code":400,"msg":"oop"}"#), (2, r#"{"why":"no"}"#)] {
            let thrown = call("req", profile, "M", r#"{"rs":"x","ds2":{}}"#, |_| Outcome::Exception {
                id,
                value: json.to_owned(),
            });
            assert_eq!(thrown, (Outcome::Exception { id, value: () }, json.to_owned()));
        }
    }
    let d = fixture("req", Profile::Default);
    let codec = JsonCodec::new(Options::json(Profile::Default));
    let outcome = Outcome::Exception { id: 3, value: &b"{}"[..] };
    let error = codec.encode_response(&d, d.function("M").unwrap(), &outcome, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "M throws no exception with id 3");
}
