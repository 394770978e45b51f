//! Rows MR of the acceptance list (generic-call 7.6): bytes to values.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

mod support {
    pub(crate) mod dump;
    pub(crate) mod map;
}

use support::map::{fixture, play};
use thrift_codec::exception::INTERNAL_ERROR;
use thrift_generic::binary::{Message, v2};
use thrift_generic::value::MapCodec;
use thrift_generic::{ErrorKind, Options, Outcome, Value};

#[test]
fn mr_01_values_of_each_type() {
    play("map-read.json", "MR-01");
}

#[test]
fn mr_02_a_required_field_that_is_missing_is_an_error() {
    play("map-read.json", "MR-02");
}

#[test]
fn mr_03_another_type_on_the_wire_is_an_error() {
    play("map-read.json", "MR-03");
}

#[test]
fn mr_04_binary_is_text_and_enums_are_numbers() {
    play("map-read.json", "MR-04");
}

#[test]
fn mr_05_keys_may_be_text() {
    play("map-read.json", "MR-05");
}

#[test]
fn mr_06_structs_in_containers_and_defaults() {
    play("map-read.json", "MR-06");
}

#[test]
fn mr_12_void_has_three_forms() {
    play("map-read.json", "MR-12");
}

#[test]
fn mr_13_binary_may_be_base64() {
    play("map-read.json", "MR-13");
}

#[test]
fn mr_14_binary_may_be_bytes() {
    play("map-read.json", "MR-14");
}

#[test]
fn mr_15_absent_fields_may_be_filled() {
    play("map-read.json", "MR-15");
}

#[test]
fn mr_18_declared_exceptions() {
    play("map-read.json", "MR-18");
}

#[test]
fn mr_19_a_struct_may_be_a_key() {
    play("map-read.json", "MR-19");
}

#[test]
fn mr_20_js_conv_gives_text() {
    play("map-read.json", "MR-20");
}

#[test]
fn mr_21_options_of_our_own() {
    play("map-read.json", "MR-21");
}

/// What the client of one codec sends, the server of another gets, and the other way round.
fn call(fixture_name: &str, method: &str, request: &Value, handle: impl Fn(Value) -> Outcome<Value>) -> Outcome<Value> {
    let d = fixture(fixture_name);
    let f = d.function(method).unwrap();
    let (client, server) = (MapCodec::default(), MapCodec::default());
    let mut arguments = Vec::new();
    client.encode_request(&d, f, request, None, &mut arguments).unwrap();
    let answer = handle(server.decode_request(&d, f, &arguments).unwrap());
    let answer = match &answer {
        Outcome::Value(value) => Outcome::Value(value),
        Outcome::Exception { id, value } => Outcome::Exception { id: *id, value },
        Outcome::Void => Outcome::Void,
        _ => Outcome::Empty,
    };
    let mut result = Vec::new();
    server.encode_response(&d, f, &answer, &mut result).unwrap();
    client.decode_response(&d, f, &result).unwrap()
}

#[test]
fn mr_06_nulls_come_back_as_zero() {
    let bar = |text: &str| Value::structure([("Bar", text)]);
    let request = Value::structure([
        ("Msg", Value::from("hello")),
        ("TestList", Value::list([bar("foo"), Value::Null])),
        ("TestMap", Value::map([("l1", bar("foo")), ("l2", Value::Null)])),
        ("StrList", Value::list([Value::from("123"), Value::Null])),
        ("I64List", Value::list([Value::from(123_i64), Value::Null])),
        ("B", Value::Null),
    ]);
    let Outcome::Value(response) = call("mapping", "E", &request, Outcome::Value) else { panic!() };
    let empty = || Value::from("");
    let base = Value::structure([("LogID", empty()), ("Caller", empty()), ("Addr", empty()), ("Client", empty())]);
    let expected = Value::structure([
        ("Msg", Value::from("hello")),
        ("Foo", Value::I32(0)),
        ("TestList", Value::list([bar("foo"), bar("")])),
        ("TestMap", Value::map([("l1", bar("foo")), ("l2", bar(""))])),
        ("StrList", Value::list(["123", ""])),
        ("I64List", Value::list([123_i64, 0])),
        ("B", Value::Bool(false)),
        ("Base", base),
    ]);
    assert_eq!(response, expected);
}

#[test]
fn mr_07_doubles_and_nulls_in_a_list_of_integers() {
    let list = Value::list([Value::Double(123.0), Value::Null, Value::Double(456.0)]);
    let request = Value::structure([("Msg", Value::from("hello")), ("I64List", list)]);
    let Outcome::Value(response) = call("mapping", "E", &request, Outcome::Value) else { panic!() };
    assert_eq!(response.field::<Vec<i64>>("I64List").unwrap(), [123, 0, 456]);
}

#[test]
fn mr_08_a_scalar_there_and_back() {
    assert_eq!(call("req", "Str", &Value::from("hello"), Outcome::Value), Outcome::Value(Value::from("hello")));
}

#[test]
fn mr_09_a_handlers_error_reaches_the_client_in_its_words() {
    let answer = Message::exception("M", 7, INTERNAL_ERROR, "biz error: no such thing").unwrap();
    let error = v2::unwrap_reply(answer.into_bytes(), "M", 7).unwrap_err();
    assert!(error.to_string().contains("no such thing"), "{error}");
}

#[test]
fn mr_17_a_business_error_comes_with_an_empty_result() {
    let request = Value::structure([("rs", Value::from("x")), ("ds2", Value::structure([("r", "y")]))]);
    assert_eq!(call("req", "M", &request, |_| Outcome::Empty), Outcome::Empty);
}

#[test]
fn mr_10_a_oneway_call_carries_its_argument() {
    let d = fixture("req");
    let f = d.function("O").unwrap();
    assert!(f.oneway);
    let codec = MapCodec::default();
    let mut out = Vec::new();
    codec.encode_request(&d, f, &Value::from("x"), None, &mut out).unwrap();
    assert_eq!(codec.decode_request(&d, f, &out).unwrap(), Value::from("x"));
}

#[test]
fn mr_11_void_comes_back_as_void() {
    assert_eq!(call("req", "V", &Value::from("x"), |_| Outcome::Void), Outcome::Void);
}

#[test]
fn mr_18_a_declared_exception_there_and_back() {
    let thrown = Value::structure([("why", "x")]);
    let request = Value::structure([("rs", Value::from("x")), ("ds2", Value::structure([("r", "y")]))]);
    let outcome = call("req", "M", &request, |_| Outcome::Exception { id: 2, value: thrown.clone() });
    assert_eq!(outcome, Outcome::Exception { id: 2, value: thrown });
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    let d = fixture("req");
    let f = d.function("Str").unwrap();
    let codec = MapCodec::default();
    let error = codec.decode_response(&d, f, &[0, 0]).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::Trailing(1), Some(1)));
    assert!(codec.decode_request(&d, f, &[0, 0]).is_err());
    assert!(codec.read(&d, f.request, b"\0\0\0\0\0").is_err());
}

#[test]
fn every_cut_is_an_error() {
    let d = fixture("tenant");
    let f = d.function("Echo").unwrap();
    let codec = MapCodec::default();
    let info = Value::structure([("Map", Value::map([("a", "b")])), ("ID", Value::I64(1))]);
    let request = Value::structure([("Msg", Value::from("x")), ("Info", info), ("Set", Value::list(["s"]))]);
    let mut out = Vec::new();
    codec.encode_request(&d, f, &request, None, &mut out).unwrap();
    for len in 0..out.len() {
        assert!(codec.decode_request(&d, f, &out[..len]).is_err(), "{len}");
    }
}

#[test]
fn an_error_says_where() {
    let d = fixture("mapping");
    let f = d.function("M").unwrap();
    // {1: {7: {3: list<i64>[…, cut off
    let bytes = support::map::unhex("0c00010c00070f00030a000000020000000000000001");
    let error = MapCodec::default().decode_request(&d, f, &bytes).unwrap_err();
    assert!(error.to_string().starts_with("req.jp.ys: Thrift: elements at offset "), "{error}");
    let bytes = support::map::unhex("0c00010d00020b080000000100000001610000000100");
    let error = MapCodec::default().decode_request(&d, f, &bytes).unwrap_err();
    assert_eq!(error.to_string(), "req.mss: expected string, got i32 (at byte 7)");
}

#[test]
fn depth_is_limited_and_no_stack_overflows() {
    let d =
        thrift_generic::Descriptor::from_text("struct L { 1: optional list<L> l } service S { L M(1: L l) }").unwrap();
    let f = d.function("M").unwrap();
    let nested = |levels: usize| {
        let mut value = Value::structure::<&str, Value>([]);
        for _ in 0..levels {
            value = Value::structure([("l", Value::list([value]))]);
        }
        value
    };
    let codec = MapCodec::new(Options::map());
    let mut out = Vec::new();
    // 511 structs with lists in them, and the innermost struct.
    codec.write(&d, f.request, &nested(511), &mut out).unwrap();
    assert_eq!(codec.read(&d, f.request, &out).unwrap(), nested(511));
    let error = codec.write(&d, f.request, &nested(512), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Depth { limit: 1024 });
    let mut deep = b"\x0f\0\x01\x0c\0\0\0\x01".repeat(100_000);
    deep.extend(vec![0; 100_001]);
    let error = codec.read(&d, f.request, &deep).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Depth { limit: 1024 });
    assert!(error.path().steps().count() >= 1000);
}

#[test]
fn a_count_is_a_claim_and_allocates_nothing() {
    let d = fixture("all");
    let f = d.function("M").unwrap();
    let codec = MapCodec::default();
    for bytes in
        ["0c00010f000a087fffffff", "0c00010d000c0b087fffffff", "0c00010b00087fffffff", "0c00010f000a08ffffffff"]
    {
        assert!(codec.decode_request(&d, f, &support::map::unhex(bytes)).is_err());
    }
}
