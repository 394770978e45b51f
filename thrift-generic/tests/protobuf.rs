//! Protobuf: files, messages as JSON, and what hostile input does. Rows P-*, V-19 and B-11 of the specification.
#![cfg(feature = "protobuf")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;
use thrift_generic::ErrorKind;
use thrift_generic::protobuf::prost_reflect::prost::Message as _;
use thrift_generic::protobuf::prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage as _, Value as PbValue};
use thrift_generic::protobuf::{
    COMBINED, PbDescriptor, PbIdl, PbJsonCodec, PbMessage, PbOptions, PbProvider, PbServices, request,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn kinds() -> PbDescriptor {
    static KINDS: LazyLock<PbDescriptor> = LazyLock::new(|| {
        PbDescriptor::new(&PbIdl::from_file(fixture("pb_kinds.proto"), &[]).unwrap(), &PbServices::Last).unwrap()
    });
    KINDS.clone()
}

fn all(d: &PbDescriptor) -> PbMessage {
    d.message("kinds.All").unwrap()
}

/// The bytes of an `All` as JSON text.
fn encode(json: &str) -> Result<Vec<u8>, thrift_generic::Error> {
    encode_with(PbOptions::default(), json)
}

fn encode_with(options: PbOptions, json: &str) -> Result<Vec<u8>, thrift_generic::Error> {
    let d = kinds();
    let mut out = b"ahead".to_vec();
    let result = PbJsonCodec::new(options).encode(&d, all(&d), json.as_bytes(), &mut out);
    assert!(out.starts_with(b"ahead"));
    if result.is_err() {
        assert_eq!(out, b"ahead", "what was there before, and no more");
    }
    result.map(|()| out.split_off(5))
}

/// An `All` as JSON text.
fn decode(bytes: &[u8]) -> Result<String, thrift_generic::Error> {
    decode_with(PbOptions::default(), bytes)
}

fn decode_with(options: PbOptions, bytes: &[u8]) -> Result<String, thrift_generic::Error> {
    let d = kinds();
    let mut out = b"ahead".to_vec();
    let result = PbJsonCodec::new(options).decode(&d, all(&d), bytes, &mut out);
    assert!(out.starts_with(b"ahead"));
    if result.is_err() {
        assert_eq!(out, b"ahead", "what was there before, and no more");
    }
    result.map(|()| String::from_utf8(out.split_off(5)).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What prost-reflect makes of the bytes: the judge of what they mean.
fn judged(d: &PbDescriptor, message: PbMessage, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(d.reflect(message), bytes).unwrap()
}

/// There and back by one caller and one server, as a call goes.
fn echo(d: &PbDescriptor, method: &str, json: &str) -> String {
    let codec = PbJsonCodec::default();
    let function = d.function(method).unwrap();
    let through = |message, json: &[u8]| {
        let mut wire = Vec::new();
        codec.encode(d, message, json, &mut wire).unwrap();
        let mut seen = Vec::new();
        codec.decode(d, message, &wire, &mut seen).unwrap();
        seen
    };
    let at_server = through(function.input, json.as_bytes());
    String::from_utf8(through(function.output, &at_server)).unwrap()
}

#[test]
fn v_19_services_by_mode() {
    let idl = PbIdl::from_file(fixture("pb_services.proto"), &[]).unwrap();
    let names = |services: PbServices| {
        let d = PbDescriptor::new(&idl, &services).unwrap();
        let functions: Vec<_> = d.functions().iter().map(|function| function.path().to_owned()).collect();
        assert_eq!(d.package(), "shop.v1");
        (d.name().to_owned(), functions)
    };
    assert_eq!(
        names(PbServices::First),
        ("First".into(), vec!["/shop.v1.First/Place".into(), "/shop.v1.First/Both".into()])
    );
    assert_eq!(names(PbServices::default()).0, "Second");
    assert_eq!(names(PbServices::Last).1.len(), 4);
    assert_eq!(names(PbServices::Named("First".into())).0, "First");
    assert_eq!(names(PbServices::Named("shop.v1.Second".into())).0, "Second");
    let (name, functions) = names(PbServices::Combine);
    assert_eq!((&*name, COMBINED, functions.len()), ("CombinedService", "CombinedService", 6));
    assert_eq!(names(PbServices::All), (name, functions));
    let combined = PbDescriptor::new(&idl, &PbServices::Combine).unwrap();
    assert!(combined.is_combined());
    // Of two methods with one name Kitex finds the later; by their paths both are found.
    assert_eq!(combined.function("Both").unwrap().service.as_ref(), "shop.v1.Second");
    assert_eq!(combined.function_at("/shop.v1.First/Both").unwrap().service.as_ref(), "shop.v1.First");
    assert!(combined.function("Neither").is_none());
    let error = PbDescriptor::new(&idl, &PbServices::Named("Third".into())).unwrap_err();
    assert_eq!(error.to_string(), "no service Third in the files");
    let empty = PbIdl::from_text("syntax = \"proto3\"; message M {}").unwrap();
    for services in [PbServices::First, PbServices::Last, PbServices::Combine, PbServices::All] {
        assert_eq!(PbDescriptor::new(&empty, &services).unwrap_err().to_string(), "no service in the file");
    }
}

#[test]
fn v_19_files_texts_and_sets_say_the_same() {
    let read = |name: &str| std::fs::read_to_string(fixture(name)).unwrap();
    let imports = HashMap::from([("pb_shared.proto".to_owned(), read("pb_shared.proto"))]);
    let of_text = PbIdl::from_content("a/main.proto", &read("pb_kinds.proto"), &imports).unwrap();
    let of_file = PbIdl::from_file(fixture("pb_kinds.proto"), &[fixture("")]).unwrap();
    let mut names: Vec<_> = of_file.files().filter_map(Path::file_name).collect();
    names.sort();
    assert_eq!(names, ["pb_kinds.proto", "pb_shared.proto"]);
    assert_eq!(of_text.files().count(), 0);
    let of_set = PbIdl::from_set(&of_file.pool().encode_to_vec()).unwrap();
    for idl in [of_text, of_file, of_set] {
        assert_eq!(idl.services().collect::<Vec<_>>(), ["kinds.Kinds".into()]);
        assert_eq!(idl.package(), "kinds");
        let d = PbDescriptor::new(&idl, &PbServices::First).unwrap();
        assert_eq!(echo(&d, "Echo", r#"{"stamp":{"nanos":5}}"#), r#"{"stamp":{"nanos":5}}"#);
    }
    let missing = PbIdl::from_content("main.proto", &read("pb_kinds.proto"), &HashMap::new()).unwrap_err();
    assert_eq!(missing.to_string(), "main.proto:4:1: import 'pb_shared.proto' not found");
    let known = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; \
                 message M { google.protobuf.Timestamp at = 1; }";
    assert!(PbIdl::from_text(known).is_ok());
}

#[test]
fn errors_of_files_say_where() {
    let error = PbIdl::from_text("syntax = \"proto3\";\nmessage M {\n  int33 a = 1;\n}").unwrap_err().to_string();
    assert!(error.starts_with("main.proto:3:3: ") && error.contains("int33"), "{error}");
    let error = PbIdl::from_text("syntax = \"proto3\";\nmessage M { int32 a 1; }").unwrap_err().to_string();
    assert!(error.starts_with("main.proto:2:21: expected '='"), "{error}");
    let circle = HashMap::from([("a.proto".to_owned(), "import \"main.proto\";".to_owned())]);
    let error = PbIdl::from_content("main.proto", "import \"a.proto\";", &circle).unwrap_err().to_string();
    assert!(error.contains("cycle"), "{error}");
    assert!(PbIdl::from_file(fixture("none.proto"), &[]).is_err());
    assert!(PbIdl::from_set(b"\xff\xff").is_err());
    assert_eq!(PbIdl::from_set(b"").unwrap_err().to_string(), "a descriptor set without files");
}

#[test]
fn files_nested_beyond_reason_are_an_error() {
    for (open, close) in [("message M { ", "}"), ("message M { oneof o { group G = 1 { ", "}}}")] {
        let text = format!("syntax = \"proto2\"; {}{}", open.repeat(50_000), close.repeat(50_000));
        assert!(PbIdl::from_text(&text).is_err());
    }
    let option = format!("syntax = \"proto2\"; option (o) = {{ a {} {} }};", "{ a ".repeat(50_000), "}".repeat(50_000));
    assert!(PbIdl::from_text(&option).is_err());
}

#[test]
fn v_19_a_provider_takes_updates_and_keeps_what_is_in_force_where_one_fails() {
    let text = |field: &str| {
        format!("syntax = \"proto3\"; message M {{ int32 {field} = 1; }} service S {{ rpc Echo(M) returns (M); }}")
    };
    let provider = PbProvider::new(&PbIdl::from_text(&text("old")).unwrap(), PbServices::Last).unwrap();
    let json = |d: &PbDescriptor| {
        let mut out = Vec::new();
        PbJsonCodec::default().decode(d, d.function("Echo").unwrap().input, b"\x08\x07", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let before = provider.load();
    provider.clone().update_content("m.proto", &text("new"), &HashMap::new()).unwrap();
    assert_eq!(json(&provider.load()), r#"{"new":7}"#);
    assert_eq!(json(&before), r#"{"old":7}"#, "a call keeps what it began with");
    assert!(provider.update_content("m.proto", "message", &HashMap::new()).is_err());
    assert!(provider.update_content("m.proto", "message M {}", &HashMap::new()).is_err());
    assert_eq!(json(&provider.load()), r#"{"new":7}"#);
    assert_eq!(provider.reload().unwrap_err().to_string(), "not made from a file");
    let provider = PbProvider::from_file(fixture("pb_services.proto"), &[], PbServices::Last).unwrap();
    provider.reload().unwrap();
    assert_eq!(provider.load().name(), "Second");
}

#[test]
fn b_11_a_binary_call_without_a_message_is_an_error() {
    assert_eq!(request(Some(b"")).unwrap(), b"");
    assert_eq!(request(Some(b"\x08\x01")).unwrap(), b"\x08\x01");
    assert_eq!(request(None).unwrap_err().to_string(), "a Protobuf call without a message");
}

#[test]
fn p_01_a_message_is_echoed() {
    let idl = PbIdl::from_text(
        "syntax = \"proto3\"; package test; message Request { string message = 1; } \
         message Response { string message = 1; } service Echo { rpc Echo(Request) returns (Response); }",
    );
    let d = PbDescriptor::new(&idl.unwrap(), &PbServices::Last).unwrap();
    assert_eq!(echo(&d, "Echo", r#"{"message":"send hello"}"#), r#"{"message":"send hello"}"#);
    assert_eq!(d.function("Echo").unwrap().path(), "/test.Echo/Echo");
}

#[test]
fn p_02_lists_of_strings() {
    assert_eq!(echo(&kinds(), "Echo", r#"{"rs":["1","","3"]}"#), r#"{"rs":["1","","3"]}"#);
}

#[test]
fn p_03_messages_without_fields() {
    let d = kinds();
    for nothing in ["{}", " null ", "{\"unknown\": [1, {\"a\": null}]}"] {
        assert_eq!(echo(&d, "Nothing", nothing), "{}");
    }
    let mut out = Vec::new();
    for text in ["", " ", "[]", "\"x\"", "1", "true", "{", "{}x", "{} {}", "{\"i32\" 1}", "nul"] {
        let error = PbJsonCodec::default().encode(&d, all(&d), text.as_bytes(), &mut out).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Syntax { .. }), "{text}: {error}");
    }
}

#[test]
fn p_04_nested_messages_maps_lists_and_bytes() {
    let json = json!({
        "in": {"s": "inner", "in": {"b": true}},
        "ms": {"a": 1, "b": 0}, "mi": {"-5": "x"}, "ml": {"-9223372036854775808": "x"}, "mu": {"4294967295": "x"},
        "mul": {"18446744073709551615": "x"}, "mb": {"false": "f", "true": "t"}, "mz": {"-7": "z"}, "mf": {"8": "f"},
        "mm": {"k": {"i32": 1}, "": {}}, "me": {"1": 1, "2": -1},
        "ri": [1, 2, -1], "ru": [3, 4], "rd": [1.5, -0.25], "re": [0, 1, -1, 99], "rz": [-1, 1], "rb": [true, false],
        "rm": [{"i32": 1}, {}], "by": "aGVsbG8=", "rby": ["", "AA==", "AAECAw=="],
    });
    let d = kinds();
    let back: serde_json::Value = serde_json::from_str(&echo(&d, "Echo", &json.to_string())).unwrap();
    assert_eq!(back, json);
    assert_eq!(hex(&encode(r#"{"ri":[1,2]}"#).unwrap()), "9201020102");
    assert_eq!(hex(&encode(r#"{"ru":[1,2]}"#).unwrap()), "980101980102", "[packed = false] counts");
    assert_eq!(hex(&encode(r#"{"in":{}}"#).unwrap()), "8a0100");
    assert_eq!(hex(&encode(r#"{"ri":[],"rs":[],"ru":[]}"#).unwrap()), "");
    // Either form is read, whatever the file says, also in turns.
    assert_eq!(
        decode(b"\x92\x01\x02\x01\x02\x90\x01\x03\x9a\x01\x02\x04\x05\x98\x01\x06").unwrap(),
        r#"{"ri":[1,2,3],"ru":[4,5,6]}"#
    );
    // A packed list of nothing is there on the wire, and not in JSON.
    assert_eq!(decode(b"\x92\x01\x00").unwrap(), "{}");
}

#[test]
fn p_05_integers_for_floats() {
    let bytes = encode(r#"{"f":7,"d":9223372036854775807,"rd":[1,-1,18446744073709551615]}"#).unwrap();
    let d = kinds();
    let message = judged(&d, all(&d), &bytes);
    assert_eq!(message.get_field_by_name("f").unwrap().as_f32(), Some(7.0));
    assert_eq!(message.get_field_by_name("d").unwrap().as_f64(), Some(9_223_372_036_854_775_807_f64));
    assert_eq!(decode(&bytes).unwrap(), r#"{"d":9.223372036854776e+18,"f":7,"rd":[1,-1,1.8446744073709552e+19]}"#);
}

#[test]
fn p_07_both_names_are_read_and_the_json_name_written() {
    for json in [r#"{"snake_case_name":"x"}"#, r#"{"snakeCaseName":"x"}"#] {
        assert_eq!(decode(&encode(json).unwrap()).unwrap(), r#"{"snakeCaseName":"x"}"#);
    }
    for json in [r#"{"renamed":"x"}"#, r#"{"otherName":"x"}"#] {
        assert_eq!(decode(&encode(json).unwrap()).unwrap(), r#"{"otherName":"x"}"#);
    }
}

#[test]
fn p_08_null_is_absent() {
    for json in ["null", r#"{"i32":null,"s":null,"in":null,"ri":null,"ms":null,"oa":null,"e":null,"by":null}"#] {
        assert_eq!(hex(&encode(json).unwrap()), "", "{json}");
    }
    assert_eq!(
        decode(&encode(r#"{"ri":[1,null,2],"rm":[null,{}],"rs":[null]}"#).unwrap()).unwrap(),
        r#"{"ri":[1,2],"rm":[{}]}"#
    );
    assert_eq!(decode(&encode(r#"{"ms":{"a":null,"b":2},"mm":{"x":null}}"#).unwrap()).unwrap(), r#"{"ms":{"b":2}}"#);
}

#[test]
fn p_09_an_empty_map_is_not_written() {
    assert_eq!(hex(&encode(r#"{"ms":{},"mm":{}}"#).unwrap()), "");
}

#[test]
fn p_10_maps_of_one_name_have_their_own_types() {
    let json = r#"{"extra":{"Extra":{"a":"text"},"other":{"Extra":{"a":7}}}}"#;
    assert_eq!(decode(&encode(json).unwrap()).unwrap(), json);
    let error = encode(r#"{"extra":{"other":{"Extra":{"a":"text"}}}}"#).unwrap_err();
    assert_eq!(error.path().to_string(), "All.extra.other.Extra[\"a\"]");
}

#[test]
fn p_11_keys_of_maps_are_text() {
    let json = r#"{"mb":{"false":"f","true":"t"},"mi":{"-5":"x"}}"#;
    assert_eq!(decode(&encode(json).unwrap()).unwrap(), json);
    for (json, path) in [
        (r#"{"mb":{"True":"x"}}"#, "All.mb[key \"True\"]"),
        (r#"{"mi":{"x":"x"}}"#, "All.mi[key \"x\"]"),
        (r#"{"mi":{"2147483648":"x"}}"#, "All.mi[key \"2147483648\"]"),
        (r#"{"mu":{"-1":"x"}}"#, "All.mu[key \"-1\"]"),
        (r#"{"mi":{" 1":"x"}}"#, "All.mi[key \" 1\"]"),
        (r#"{"mi":{"":"x"}}"#, "All.mi[key \"\"]"),
    ] {
        assert_eq!(encode(json).unwrap_err().path().to_string(), path);
    }
}

#[test]
fn p_12_64_bits_are_exact() {
    for json in [
        r#"{"u64":18446744073709551615,"f64":9223372036854775808}"#,
        r#"{"i64":-9223372036854775808,"s64":-9223372036854775808,"sf64":9223372036854775807}"#,
        r#"{"i64":9007199254740993}"#,
        r#"{"i32":-2147483648,"u32":4294967295,"s32":-2147483648,"f32":4294967295,"sf32":-2147483648}"#,
    ] {
        assert_eq!(decode(&encode(json).unwrap()).unwrap(), json);
    }
    let mut text = PbOptions::default();
    text.i64_as_text = true;
    let json = r#"{"i32":1,"i64":"-9223372036854775808","u64":"18446744073709551615","ml":{"5":"x"}}"#;
    assert_eq!(decode_with(text, &encode(json).unwrap()).unwrap(), json);
}

#[test]
fn integers_out_of_range_and_with_fractions_are_errors() {
    for (json, words) in [
        (r#"{"i32":4294967297}"#, "All.i32: \"4294967297\" is no int32: out of range"),
        (r#"{"i32":1.9}"#, "All.i32: \"1.9\" is no int32: not an integer"),
        (r#"{"u32":-1}"#, "All.u32: \"-1\" is no uint32: out of range"),
        (r#"{"i64":9223372036854775808}"#, "All.i64: \"9223372036854775808\" is no int64: out of range"),
        (r#"{"u64":18446744073709551616}"#, "All.u64: \"18446744073709552000\" is no uint64: out of range"),
        (r#"{"e":2147483648}"#, "All.e: \"2147483648\" is no enum: out of range"),
        (r#"{"f":1e39}"#, "is no float: out of range"),
        (r#"{"s":1}"#, "All.s: expected string, got number"),
        (r#"{"ri":1}"#, "All.ri: expected list, got number"),
        (r#"{"ri":[[1]]}"#, "All.ri[0]: expected int32, got list"),
        (r#"{"rm":[{},{"s":{}}]}"#, "All.rm[1].s: expected string, got object"),
        (r#"{"ms":[]}"#, "All.ms: expected map, got list"),
        (r#"{"in":"x"}"#, "All.in: expected message, got string"),
        (r#"{"b":"true"}"#, "All.b: expected bool, got string"),
        (r#"{"b":1}"#, "All.b: expected bool, got number"),
        (r#"{"i32":true}"#, "All.i32: expected int32, got bool"),
        (r#"{"i32":"one"}"#, "All.i32: \"one\" is no int32: no such number"),
        (r#"{"by":"!!"}"#, "All.by: \"!!\" is no base64: illegal base64 data"),
        (r#"{"by":"aGVsbG8=="}"#, "is no base64"),
        (r#"{"e":"BLUE"}"#, "All.e: \"BLUE\" is no enum: no value has this name"),
        (r#"{"s":"\ud83d"}"#, "JSON: expected an object, got unexpected end of hex escape"),
    ] {
        let error = encode(json).unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }
    let error = encode("{\n  \"i32\": 1,\n  \"s\": true\n}").unwrap_err();
    assert_eq!(error.offset().map(|at| at / 10), Some(2), "{error}");
    assert!(encode_with(PbOptions::default(), "{\"s\":\"\u{1}\"}").is_err());
    let d = kinds();
    let error = PbJsonCodec::default().encode(&d, all(&d), b"{\"s\":\"\xff\"}", &mut Vec::new()).unwrap_err();
    assert_eq!(error.offset(), Some(6));
}

#[test]
fn more_is_read_than_written() {
    assert_eq!(
        encode(r#"{"i32":"-1","u64":"18446744073709551615","d":"1.5e3","f":"NaN"}"#).unwrap(),
        encode(r#"{"i32":-1,"u64":18446744073709551615,"d":1500,"f":"NaN"}"#).unwrap()
    );
    assert_eq!(
        encode(r#"{"i32":1e3,"u32":2.0,"s64":-3.0}"#).unwrap(),
        encode(r#"{"i32":1000,"u32":2,"s64":-3}"#).unwrap()
    );
    assert_eq!(encode(r#"{"e":"GREEN","re":["MINUS",1]}"#).unwrap(), encode(r#"{"e":1,"re":[-1,1]}"#).unwrap());
    for by in ["-_8=", "-_8", "+/8", "+/8="] {
        assert_eq!(hex(&encode(&format!("{{\"by\":\"{by}\"}}")).unwrap()), "7a02fbff", "{by}");
    }
    // An explicit zero is written, as Kitex does.
    assert_eq!(hex(&encode(r#"{"i32":0,"b":false,"s":""}"#).unwrap()), "180068007200");
}

#[test]
fn enums_travel_by_name_where_that_is_wanted() {
    let mut names = PbOptions::default();
    names.enum_names = true;
    let bytes = encode(r#"{"e":1,"re":[0,-1,99],"me":{"1":1}}"#).unwrap();
    assert_eq!(decode_with(names, &bytes).unwrap(), r#"{"e":"GREEN","re":["RED","MINUS",99],"me":{"1":"GREEN"}}"#);
    assert_eq!(decode(&bytes).unwrap(), r#"{"e":1,"re":[0,-1,99],"me":{"1":1}}"#);
}

#[test]
fn p_13_nan_is_an_error_unless_it_may_be_text() {
    let bytes = encode(r#"{"d":"NaN","f":"-Infinity","rd":[1,"Infinity"]}"#).unwrap();
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "All.d: \"NaN\" is no double: JSON has no such number (at byte 0)");
    let mut text = PbOptions::default();
    text.nan_as_text = true;
    assert_eq!(decode_with(text, &bytes).unwrap(), r#"{"d":"NaN","f":"-Infinity","rd":[1,"Infinity"]}"#);
}

#[test]
fn floats_have_the_digits_they_need() {
    let json = r#"{"d":0.1,"f":0.1,"rd":[1e300,5e-324,-0.0001,123456789.5]}"#;
    let back: serde_json::Value = serde_json::from_str(&decode(&encode(json).unwrap()).unwrap()).unwrap();
    assert_eq!(back, serde_json::from_str::<serde_json::Value>(json).unwrap());
    assert!(decode(&encode(json).unwrap()).unwrap().starts_with(r#"{"d":0.1,"f":0.1,"#));
}

#[test]
fn p_14_the_last_of_several_wins() {
    assert_eq!(decode(b"\x18\x01\x72\x01a\x18\x02\x72\x01b").unwrap(), r#"{"i32":2,"s":"b"}"#);
    // Nested messages are merged; lists come together from wherever they lie.
    assert_eq!(
        decode(b"\x8a\x01\x04\x18\x01\x68\x01\x9a\x01\x01\x01\x8a\x01\x02\x18\x02\x98\x01\x02").unwrap(),
        r#"{"in":{"i32":2,"b":true},"ru":[1,2]}"#
    );
    // Of a map's entries with one key the last counts.
    assert_eq!(decode(b"\xc2\x01\x05\x0a\x01a\x10\x01\xc2\x01\x05\x0a\x01a\x10\x02").unwrap(), r#"{"ms":{"a":2}}"#);
    // An entry without a key or a value has those that mean nothing.
    assert_eq!(
        decode(b"\xc2\x01\x00\xc2\x01\x03\x0a\x01a\x82\x02\x00\x8a\x02\x02\x08\x01").unwrap(),
        r#"{"ms":{"":0,"a":0},"mm":{"":{}},"me":{"1":0}}"#
    );
    // Of a oneof the last member counts, and of it only what came after the others.
    assert_eq!(decode(b"\x92\x02\x01a\x98\x02\x05").unwrap(), r#"{"ob":5}"#);
    assert_eq!(decode(b"\xa2\x02\x02\x18\x01\x98\x02\x05\xa2\x02\x02\x68\x01").unwrap(), r#"{"oc":{"b":true}}"#);
    assert_eq!(decode(&encode(r#"{"oa":"x","ob":1}"#).unwrap()).unwrap(), r#"{"ob":1}"#);
}

#[test]
fn p_15_streams_are_messages_under_a_path_with_the_package() {
    let idl = PbIdl::from_file(fixture("pb_services.proto"), &[]).unwrap();
    let d = PbDescriptor::new(&idl, &PbServices::Last).unwrap();
    let shape = |name: &str| {
        let function = d.function(name).unwrap();
        (function.path(), function.client_streaming, function.server_streaming, function.is_streaming())
    };
    assert_eq!(shape("Both"), ("/shop.v1.Second/Both", false, false, false));
    assert_eq!(shape("Upload"), ("/shop.v1.Second/Upload", true, false, true));
    assert_eq!(shape("Watch"), ("/shop.v1.Second/Watch", false, true, true));
    assert_eq!(shape("Chat"), ("/shop.v1.Second/Chat", true, true, true));
    for json in [r#"{"id":1,"note":"a"}"#, r#"{"id":2}"#, "{}"] {
        assert_eq!(echo(&d, "Chat", json), json);
    }
    let bare = PbIdl::from_text("syntax = \"proto3\"; message M {} service S { rpc A(stream M) returns (stream M); }");
    let bare = PbDescriptor::new(&bare.unwrap(), &PbServices::Last).unwrap();
    assert_eq!((bare.package(), bare.function("A").unwrap().path()), ("", "/S/A"));
}

#[test]
fn p_16_unknown_members_are_passed_over() {
    let json = r#"{"unknown":{"a":[1,{"b":"\u0041"}]},"i32":1,"":null,"in":{"no":1.5e3}}"#;
    assert_eq!(decode(&encode(json).unwrap()).unwrap(), r#"{"i32":1,"in":{}}"#);
    let mut strict = PbOptions::default();
    strict.deny_unknown = true;
    let error = encode_with(strict.clone(), r#"{"in":{"no":1}}"#).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::UnknownField("no".into()));
    assert_eq!(error.path().to_string(), "All.in");
    assert!(encode_with(strict, r#"{"in":{"i32":1}}"#).is_ok());
}

#[test]
fn fields_that_are_not_known_are_passed_over_on_the_wire() {
    // Number 1000 in every wire type, and fields 3 and 14 in wire types that are not theirs.
    assert_eq!(
        decode(
            b"\xc0\x3e\x05\xc1\x3e12345678\xc2\x3e\x02xx\xc3\x3e\x08\x01\x0b\x0c\xc4\x3e\xc5\x3e1234\
              \x1d1234\x70\x05\x18\x09"
        )
        .unwrap(),
        r#"{"i32":9}"#
    );
}

#[test]
fn bytes_that_are_no_message_are_errors_with_a_place() {
    for (bytes, words) in [
        (&b"\x18"[..], "All: Protobuf: a varint without an end (at byte 1)"),
        (b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "a varint of more than 64 bits (at byte 1)"),
        (b"\x72\x05abc", "a length beyond the end (at byte 1)"),
        (b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a length beyond the end"),
        (b"\x00\x01", "a field number out of range (at byte 0)"),
        (b"\x1e\x01", "an unknown wire type (at byte 0)"),
        (b"\x1f", "an unknown wire type"),
        (b"\x0c", "the end of a group that did not begin"),
        (b"\x1b\x0c", "the end of another group (at byte 1)"),
        (b"\x1b\x08\x01", "a varint without an end"),
        (b"\x4d123", "a number without an end (at byte 1)"),
        (b"\x92\x01\x02\x01\xff", "All.ri[1]: Protobuf: a varint without an end"),
        (b"\x72\x03a\xffb", "All.s: Protobuf: a string that is no UTF-8 (at byte 3)"),
        (b"\x9a\x01\x00\xaa\x01\x03\x72\x01\xff", "All.rm[0].s: Protobuf: a string that is no UTF-8 (at byte 8)"),
        (b"\xc2\x01\x03\x0a\x01\xff", "All.ms: Protobuf: a string that is no UTF-8"),
        (b"\x82\x02\x07\x0a\x01k\x12\x02\x18\xff", "All.mm[\"k\"]: Protobuf: a varint without an end"),
    ] {
        let error = decode(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{bytes:?}: {error}");
    }
}

#[test]
fn depth_has_a_limit_both_ways() {
    let nested = |levels: usize| format!("{}{}", "{\"in\":".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
    let too_deep = |limit: usize| move |error: &thrift_generic::Error| error.kind() == &ErrorKind::Depth { limit };
    let bytes = encode(&nested(100)).unwrap();
    assert_eq!(decode(&bytes).unwrap(), nested(100));
    assert!(encode(&nested(101)).is_err_and(|error| too_deep(100)(&error)));
    // A decoder elsewhere has the same limit, not counting the outermost.
    let d = kinds();
    assert!(DynamicMessage::decode(d.reflect(all(&d)), &*bytes).is_ok());
    let mut deep = PbOptions::default();
    deep.max_depth = usize::MAX;
    let bytes = encode_with(deep.clone(), &nested(256)).unwrap();
    assert_eq!(decode_with(deep.clone(), &bytes).unwrap(), nested(256));
    assert!(decode(&bytes).is_err_and(|error| too_deep(100)(&error)));
    assert!(encode_with(deep.clone(), &nested(257)).is_err_and(|error| too_deep(256)(&error)));
    // Lists and maps in between, and what is not known.
    let mixed = format!("{}{{}}{}", "{\"rm\":[{\"mm\":{\"k\":".repeat(33), "}}]}".repeat(33));
    assert_eq!(decode(&encode(&mixed).unwrap()).unwrap(), mixed);
    assert!(encode(&format!("{{\"in\":{mixed}}}")).is_err_and(|error| too_deep(100)(&error)));
    let unknown = format!("{{\"unknown\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(hex(&encode(&unknown).unwrap()), "");
    let groups = [vec![0x1b; 200_000], vec![0x1c; 200_000]].concat();
    assert!(decode(&groups).is_err_and(|error| too_deep(99)(&error)));
    let groups = [vec![0x1b; 99], vec![0x1c; 99]].concat();
    assert_eq!(decode(&groups).unwrap(), "{}");
}

#[test]
fn proto2_has_groups_and_defaults_and_extensions() {
    let idl = PbIdl::from_file(fixture("pb_old.proto"), &[fixture("")]).unwrap();
    let text = "syntax = \"proto2\"; import \"pb_old.proto\"; service S { rpc Echo(old.Old) returns (old.Old); }";
    let old = std::fs::read_to_string(fixture("pb_old.proto")).unwrap();
    assert!(PbDescriptor::new(&idl, &PbServices::Last).is_err());
    let imports = HashMap::from([("pb_old.proto".to_owned(), old)]);
    let idl = PbIdl::from_content("main.proto", text, &imports).unwrap();
    let d = PbDescriptor::new(&idl, &PbServices::Last).unwrap();
    let json = r#"{"id":1,"item":[{"price":2,"deep":{"text":"x"}},{}],"loose":[1,2]}"#;
    let mut bytes = Vec::new();
    let message = d.message("old.Old").unwrap();
    PbJsonCodec::default().encode(&d, message, json.as_bytes(), &mut bytes).unwrap();
    assert_eq!(hex(&bytes), "08011b20022b3201782c1c1b1c38013802");
    assert_eq!(echo(&d, "Echo", json), json);
    assert_eq!(judged(&d, message, &bytes).encode_to_vec(), bytes);
    // An absent field has no default in JSON; an entry without a value has the enum's first.
    let mut out = Vec::new();
    PbJsonCodec::default().decode(&d, message, b"\x42\x02\x08\x01\xa2\x06\x01x", &mut out).unwrap();
    assert_eq!(out, br#"{"levels":{"1":5}}"#);
}

#[test]
fn well_known_types_are_messages_as_any() {
    let idl = PbIdl::from_text(
        "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\"; \
         message M { google.protobuf.Timestamp at = 1; google.protobuf.Int64Value n = 2; } \
         service S { rpc Echo(M) returns (M); }",
    );
    let d = PbDescriptor::new(&idl.unwrap(), &PbServices::Last).unwrap();
    let json = r#"{"at":{"seconds":1,"nanos":5},"n":{"value":7}}"#;
    assert_eq!(echo(&d, "Echo", json), json);
}

#[test]
fn a_member_that_is_there_twice_is_written_twice() {
    assert_eq!(hex(&encode(r#"{"i32":1,"i32":2,"ri":[1],"ri":[2]}"#).unwrap()), "180118029201010192010102");
}

/// A value for every field of an `All`, up to some depth.
///
/// Encoded, because the way in which prost-reflect prints a message does not end where one refers to itself.
fn message(d: &PbDescriptor) -> impl Strategy<Value = Vec<u8>> + use<> {
    let descriptor = d.reflect(all(d));
    let leaf = proptest::collection::vec((0..44_usize, any::<[u8; 12]>(), "\\PC{0,4}"), 0..12);
    leaf.prop_recursive(3, 24, 3, |inner| {
        (proptest::collection::vec((0..44_usize, any::<[u8; 12]>(), "\\PC{0,4}"), 0..12), inner).prop_map(
            |(mut own, inner)| {
                own.extend(inner);
                own
            },
        )
    })
    .prop_map(move |seeds| {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (depth, (at, bytes, text)) in seeds.into_iter().enumerate() {
            fill(&mut message, at, bytes, &text, depth % 4);
        }
        message.encode_to_vec()
    })
}

/// Puts one value, told by a seed, in one field, or in one further in.
fn fill(message: &mut DynamicMessage, at: usize, bytes: [u8; 12], text: &str, depth: usize) {
    let descriptor = message.descriptor();
    let fields: Vec<_> = descriptor.fields().collect();
    let Some(field) = fields.get(at % fields.len().max(1)) else { return };
    let scalar = |kind: Kind, salt: usize| -> PbValue {
        let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()).rotate_left(salt as u32 * 7) >> (bytes[8] % 64);
        match kind {
            Kind::Double => PbValue::F64(Some(f64::from_bits(n)).filter(|f| f.is_finite()).unwrap_or(1.5)),
            Kind::Float => PbValue::F32(Some(f32::from_bits(n as u32)).filter(|f| f.is_finite()).unwrap_or(0.1)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => PbValue::I32(n as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => PbValue::I64(n as i64),
            Kind::Uint32 | Kind::Fixed32 => PbValue::U32(n as u32),
            Kind::Uint64 | Kind::Fixed64 => PbValue::U64(n),
            Kind::Bool => PbValue::Bool(n & 1 == 1),
            Kind::String => PbValue::String(format!("{text}{salt}")),
            Kind::Bytes => PbValue::Bytes(bytes[..usize::from(bytes[9] % 12)].to_vec().into()),
            Kind::Enum(_) => PbValue::EnumNumber((n % 3) as i32 - 1),
            Kind::Message(of) => {
                let mut inner = DynamicMessage::new(of);
                if depth > 0 {
                    fill(&mut inner, at + salt + 1, bytes, text, depth - 1);
                }
                PbValue::Message(inner)
            }
        }
    };
    let value = if field.is_map() {
        let Kind::Message(entry) = field.kind() else { unreachable!() };
        let pairs = (0..usize::from(bytes[10] % 4)).map(|salt| {
            let key = scalar(entry.map_entry_key_field().kind(), salt);
            let key = match key {
                PbValue::Bool(key) => MapKey::Bool(key),
                PbValue::I32(key) => MapKey::I32(key),
                PbValue::I64(key) => MapKey::I64(key),
                PbValue::U32(key) => MapKey::U32(key),
                PbValue::U64(key) => MapKey::U64(key),
                PbValue::String(key) => MapKey::String(key),
                other => panic!("{other:?} as a key"),
            };
            (key, scalar(entry.map_entry_value_field().kind(), salt))
        });
        PbValue::Map(pairs.collect())
    } else if field.is_list() {
        PbValue::List((0..usize::from(bytes[10] % 4)).map(|salt| scalar(field.kind(), salt)).collect())
    } else {
        scalar(field.kind(), 0)
    };
    message.set_field(field, value);
}

proptest! {
    /// prost-reflect's messages, to JSON and back, are what they were, however the options are.
    #[test]
    fn messages_survive_json(message in message(&kinds()), i64_as_text: bool, enum_names: bool) {
        let d = kinds();
        let mut options = PbOptions::default();
        (options.i64_as_text, options.enum_names) = (i64_as_text, enum_names);
        let codec = PbJsonCodec::new(options);
        let mut json = Vec::new();
        codec.decode(&d, all(&d), &message, &mut json).unwrap();
        let mut bytes = Vec::new();
        codec.encode(&d, all(&d), &json, &mut bytes).unwrap();
        let back = judged(&d, all(&d), &bytes);
        // What is absent and what is as if absent are one in proto3.
        prop_assert_eq!(explicit(back), explicit(judged(&d, all(&d), &message)), "{}", String::from_utf8_lossy(&json));
    }

    /// Two messages one behind the other are one: what prost-reflect merges, JSON shows merged.
    #[test]
    fn messages_behind_one_another_are_merged(first in message(&kinds()), second in message(&kinds())) {
        let d = kinds();
        let both = [first, second].concat();
        let json = decode(&both).unwrap();
        let back = judged(&d, all(&d), &encode(&json).unwrap());
        prop_assert_eq!(explicit(back), explicit(judged(&d, all(&d), &both)), "{}", json);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        if let Ok(json) = decode(&bytes) {
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }

    #[test]
    fn any_text_is_json_or_an_error(text in "[\\[\\]{}\":,a-z0-9\\\\ .-]{0,40}") {
        if let Ok(bytes) = encode(&text) {
            let d = kinds();
            judged(&d, all(&d), &bytes);
        }
    }
}

/// A message in the one form that all equal ones have: without scalars that are there but say nothing.
fn explicit(message: DynamicMessage) -> Vec<(u32, String)> {
    let fields = message.fields().filter(|(field, value)| {
        field.supports_presence() || field.is_map() || field.is_list() || !value.is_default_for_field(field)
    });
    fields.map(|(field, value)| (field.number(), canonical(value))).collect()
}

fn canonical(value: &PbValue) -> String {
    match value {
        PbValue::Message(message) => format!("{:?}", explicit(message.clone())),
        PbValue::List(values) => format!("{:?}", values.iter().map(canonical).collect::<Vec<_>>()),
        PbValue::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().map(|(key, value)| (format!("{key:?}"), canonical(value))).collect();
            pairs.sort();
            format!("{pairs:?}")
        }
        other => format!("{other:?}"),
    }
}
