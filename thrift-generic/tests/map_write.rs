//! Rows MW of the acceptance list (generic-call 7.5): values to bytes.

mod support {
    pub(crate) mod dump;
    pub(crate) mod map;
}

use support::map::{fixture, play};
use thrift_generic::value::MapCodec;
use thrift_generic::{Options, Outcome, Value};

#[test]
fn mw_01_i8_is_written_in_the_fields_width() {
    play("map-write.json", "MW-01");
}

#[test]
fn mw_02_what_an_i8_cannot_hold_is_an_error() {
    play("map-write.json", "MW-02");
}

#[test]
fn mw_03_what_an_i16_or_i32_cannot_hold_is_an_error() {
    play("map-write.json", "MW-03");
}

#[test]
fn mw_04_integers_widen() {
    play("map-write.json", "MW-04");
}

#[test]
fn mw_05_doubles_are_truncated_into_integers() {
    play("map-write.json", "MW-05");
}

#[test]
fn mw_06_numbers_as_text_go_into_integers() {
    play("map-write.json", "MW-06");
}

#[test]
fn mw_07_doubles_take_doubles_and_numbers() {
    play("map-write.json", "MW-07");
}

#[test]
fn mw_08_strings_take_text_and_bytes() {
    play("map-write.json", "MW-08");
}

#[test]
fn mw_09_binary_takes_base64() {
    play("map-write.json", "MW-09");
}

#[test]
fn mw_10_a_list_of_bytes_takes_bytes() {
    play("map-write.json", "MW-10");
}

#[test]
fn mw_11_other_lists_take_no_bytes() {
    play("map-write.json", "MW-11");
}

#[test]
fn mw_12_null_elements_are_zero() {
    play("map-write.json", "MW-12");
}

#[test]
fn mw_13_an_error_in_a_list_names_the_element() {
    play("map-write.json", "MW-13");
}

#[test]
fn mw_14_an_error_in_a_set_is_one() {
    play("map-write.json", "MW-14");
}

#[test]
fn mw_15_an_error_in_a_map_names_key_or_value() {
    play("map-write.json", "MW-15");
}

#[test]
fn mw_16_null_values_of_maps_are_zero() {
    play("map-write.json", "MW-16");
}

#[test]
fn mw_17_keys_as_text_are_converted() {
    play("map-write.json", "MW-17");
}

#[test]
fn mw_18_missing_fields_are_zero_unless_optional() {
    play("map-write.json", "MW-18");
}

#[test]
fn mw_19_unknown_members_are_passed_over() {
    play("map-write.json", "MW-19");
}

#[test]
fn mw_20_enums_are_numbers() {
    play("map-write.json", "MW-20");
}

#[test]
fn mw_21_a_struct_takes_no_map() {
    play("map-write.json", "MW-21");
}

#[test]
fn mw_22_a_bool_takes_a_bool_only() {
    play("map-write.json", "MW-22");
}

#[test]
fn mw_23_js_conv_takes_text() {
    play("map-write.json", "MW-23");
}

#[test]
fn mw_24_js_conv_reaches_into_containers() {
    play("map-write.json", "MW-24");
}

#[test]
fn mw_25_js_conv_leaves_mixed_lists_alone() {
    play("map-write.json", "MW-25");
}

#[test]
fn mw_26_roots() {
    play("map-write.json", "MW-26");
}

#[test]
fn mw_27_the_frameworks_base_is_merged() {
    play("map-write.json", "MW-27");
}

#[test]
fn mw_28_options_of_our_own() {
    play("map-write.json", "MW-28");
}

#[test]
fn an_error_says_where() {
    let d = fixture("mapping");
    let f = d.function("M").unwrap();
    let mut out = vec![7];
    let mut error = |value: Value| {
        let codec = MapCodec::new(Options::map());
        let error = codec.encode_request(&d, f, &value, None, &mut out).unwrap_err();
        assert_eq!(out, [7], "half a value was left behind");
        error.to_string()
    };
    let points =
        Value::structure([("jp", Value::structure([("ys", Value::list([Value::from(1_i64), Value::from("x")]))]))]);
    assert_eq!(error(points), "req.jp.ys[1]: need I64 type, but got: STRING (at index 1)");
    let entry = Value::structure([("jml", Value::structure([("a", Value::from(true))]))]);
    assert_eq!(error(entry), "req.jml[\"a\"]: need LIST type, but got: BOOL (a map value)");
    let key = Value::structure([("m8", Value::structure([("300", 1)]))]);
    assert_eq!(error(key), "req.m8[key \"300\"]: value is beyond range of i8: 300 (a map key)");
}

#[test]
fn several_arguments_are_written_by_name() {
    let d = fixture("req");
    let f = d.function("Two").unwrap();
    let codec = MapCodec::default();
    let mut out = Vec::new();
    let both = Value::structure([("b", Value::from("x")), ("a", Value::from(4_i32))]);
    codec.encode_arguments(&d, f, &both, None, &mut out).unwrap();
    assert_eq!(support::dump::dump(&out), "{1:i32(4), 2:\"x\"}");
    let read = codec.decode_arguments(&d, f, &out).unwrap();
    assert_eq!((read.field::<i64>("a").unwrap(), read.field::<&str>("b").unwrap()), (4, "x"));
    assert_eq!(codec.decode_request(&d, f, &out).unwrap(), Value::I32(4));

    out.clear();
    codec.encode_request(&d, f, &Value::I32(4), None, &mut out).unwrap();
    assert_eq!(support::dump::dump(&out), "{1:i32(4)}");
}

#[test]
fn every_declared_exception_is_written() {
    let d = fixture("req");
    let f = d.function("M").unwrap();
    let codec = MapCodec::default();
    let write = |outcome: Outcome<&Value>| {
        let mut out = Vec::new();
        codec.encode_response(&d, f, &outcome, &mut out).map(|()| support::dump::dump(&out))
    };
    let why = Value::structure([("why", "x")]);
    assert_eq!(write(Outcome::Exception { id: 2, value: &why }).unwrap(), "{2:{1:\"x\"}}");
    assert!(write(Outcome::Exception { id: 3, value: &why }).unwrap_err().to_string().contains("id 3"));
    assert!(write(Outcome::Exception { id: 2, value: &Value::Null }).is_err());
    assert_eq!(write(Outcome::Empty).unwrap(), "{}");
    assert!(write(Outcome::Void).unwrap_err().to_string().contains("got: VOID"));

    let void = d.function("V").unwrap();
    for outcome in [Outcome::Void, Outcome::Empty, Outcome::Value(&Value::Null), Outcome::Value(&Value::Void)] {
        let mut out = Vec::new();
        codec.encode_response(&d, void, &outcome, &mut out).unwrap();
        assert_eq!(out, [0]);
    }
    let value = Value::I32(1);
    assert!(codec.encode_response(&d, void, &Outcome::Value(&value), &mut Vec::new()).is_err());
}

#[test]
fn s_07_messages_of_streams_are_bare() {
    let d = fixture("tenant");
    let f = d.function("EchoBidi").unwrap();
    assert!(f.streaming.is_bare());
    let codec = MapCodec::default();
    let mut out = Vec::new();
    codec.encode_message(&d, f.request, None, &mut out).unwrap();
    assert_eq!(out, [0]);
    out.clear();
    codec.encode_message(&d, f.request, Some(&Value::structure([("Msg", "hi")])), &mut out).unwrap();
    assert!(support::dump::dump(&out).starts_with("{1:\"hi\", 2:i8(0), "));
    assert_eq!(codec.decode_message(&d, f.request, &out).unwrap().field::<&str>("Msg").unwrap(), "hi");
}
