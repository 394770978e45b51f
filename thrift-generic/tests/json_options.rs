//! What options, profiles and descriptors change in the JSON mapping, beyond the rows; what errors say.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod support {
    pub(crate) mod dump;
}

use std::fmt::Write as _;
use std::sync::Arc;

use support::dump::dump;
use thrift_generic::descriptor::{Builder, Field, Handler, Registry, ValueMapping};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, EnumNames, Error, Options, Outcome, Profile, Value};

const PROFILES: [Profile; 2] = [Profile::Default, Profile::Dynamic];

fn write(d: &Descriptor, options: &Options, json: &str) -> Result<String, Error> {
    let mut out = Vec::new();
    JsonCodec::new(options.clone()).write(d, d.functions()[0].request, json.as_bytes(), &mut out)?;
    Ok(dump(&out))
}

/// To Thrift and back.
fn echo(d: &Descriptor, options: &Options, json: &str) -> Result<String, Error> {
    let codec = JsonCodec::new(options.clone());
    let (mut thrift, mut back) = (Vec::new(), Vec::new());
    let ty = d.functions()[0].request;
    codec.write(d, ty, json.as_bytes(), &mut thrift)?;
    codec.read(d, ty, &thrift, &mut back)?;
    Ok(String::from_utf8(back).unwrap())
}

fn options(profile: Profile, change: impl Fn(&mut Options)) -> Options {
    let mut options = Options::json(profile);
    change(&mut options);
    options
}

#[test]
fn an_error_says_where_and_what() {
    let d = Descriptor::from_text(
        "struct Item { 1: i64 price, 2: map<i32, string> notes } struct Req { 1: list<Item> items }
         service S { Req M(1: Req req) }",
    )
    .unwrap();
    let f = d.function("M").unwrap();
    let codec = JsonCodec::new(options(Profile::Dynamic, |options| options.strings_as_numbers = false));
    let mut out = b"kept".to_vec();
    let mut error = |json: &str| {
        let error = codec.encode_request(&d, f, Some(json.as_bytes()), None, &mut out).unwrap_err();
        assert_eq!(out, b"kept");
        error.to_string()
    };
    let json = r#"{"items":[{"price":1},{"price":2},{"price":3},{"price": "x"}]}"#;
    assert_eq!(
        error(json),
        format!(
            "req.items[3].price: expected i64, got string (expect type I64) (at byte {})",
            json.find("\"x\"").unwrap()
        )
    );
    assert_eq!(
        error(r#"{"items":[{"notes":{"1":"a","x":"b"}}]}"#),
        r#"req.items[0].notes[key "x"]: "x" is no i32: invalid char (a map key) (at byte 28)"#
    );
    assert_eq!(
        error(r#"{"items":[{"notes":{"1":true}}]}"#),
        r#"req.items[0].notes["1"]: expected string, got bool (expect type STRING) (a map value) (at byte 24)"#
    );
    assert_eq!(error(r#"{"items":[}"#), "req.items[0]: JSON: expected a value, got '}' (at index 0) (at byte 10)");
    assert_eq!(error(r#"{"items""#), "req: JSON: expected a colon, got the end of the text (at byte 8)");
    assert_eq!(
        error("{\"items\":[\u{1}"),
        "req.items[0]: JSON: expected a value, got byte 0x01 (at index 0) (at byte 10)"
    );

    let default = JsonCodec::new(options(Profile::Default, |options| options.strings_as_numbers = false));
    let error = default.encode_request(&d, f, Some(json.as_bytes()), None, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "req.items[3].price: expected i64, got string (at byte 56)");

    // Reading.
    let mut thrift = Vec::new();
    codec.encode_request(&d, f, Some(br#"{"items":[{"price":1}]}"#), None, &mut thrift).unwrap();
    thrift[6] = 8;
    let error = codec.decode_request(&d, f, &thrift, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "req.items: expected struct, got i32 (at byte 11)");
    assert_eq!(out, b"kept");
}

#[test]
fn members_may_come_in_any_order() {
    let d = Descriptor::from_text(
        "struct S { 1: i32 a, 2: i32 b, -7: i32 c, 4: optional i32 dd, 300: i32 a_name_that_is_longer_than_thirty_two_bytes }
         service X { S M(1: S s) }",
    )
    .unwrap();
    for profile in PROFILES {
        let options = Options::json(profile);
        let json = r#" { "dd" : 4 , "a_name_that_is_longer_than_thirty_two_bytes":5,"zz":[1,{"x":null}], "b":2,"a":1 ,"c":3 } "#;
        assert_eq!(write(&d, &options, json).unwrap(), "{-7:i32(3), 1:i32(1), 2:i32(2), 4:i32(4), 300:i32(5)}");
        assert_eq!(
            echo(&d, &options, json).unwrap(),
            r#"{"dd":4,"a_name_that_is_longer_than_thirty_two_bytes":5,"b":2,"a":1,"c":3}"#
        );
        assert_eq!(write(&d, &options, "{}").unwrap(), "{-7:i32(0), 1:i32(0), 2:i32(0), 300:i32(0)}");
        let strict = self::options(profile, |options| options.deny_unknown = true);
        assert_eq!(
            write(&d, &strict, r#"{"a":1,"zz":1}"#).unwrap_err().to_string(),
            "unknown field \"zz\" (at byte 7)"
        );
    }
}

#[test]
fn structs_may_have_hundreds_of_fields() {
    let mut idl = "struct S {".to_owned();
    for id in 1..=300 {
        write!(idl, "{id}: {} i32 f{id} = {id},", ["required", "optional", ""][id % 3]).unwrap();
    }
    idl.push_str("301: optional S s } service X { S M(1: S s) }");
    let d = Descriptor::from_text(&idl).unwrap();
    for profile in PROFILES {
        let options = Options::json(profile);
        let dumped = write(&d, &options, r#"{"f1":5,"f200":7,"f300":8,"s":{"f299":1,"f64":2,"f65":3}}"#).unwrap();
        let value = |id: usize| if profile == Profile::Default { 0 } else { id };
        let expected = |given: &[(usize, usize)], rest: &str| {
            let mut parts = Vec::new();
            for id in 1..=300 {
                match given.iter().find(|(known, _)| *known == id) {
                    Some((_, number)) => parts.push(format!("{id}:i32({number})")),
                    None if id % 3 != 1 => parts.push(format!("{id}:i32({})", value(id))),
                    None => {}
                }
            }
            parts.extend((!rest.is_empty()).then(|| rest.to_owned()));
            format!("{{{}}}", parts.join(", "))
        };
        let inner = expected(&[(299, 1), (64, 2), (65, 3)], "");
        assert_eq!(dumped, expected(&[(1, 5), (200, 7), (300, 8)], &format!("301:{inner}")));

        // Read again, what is absent gets its default, and what is there twice counts once.
        let codec = JsonCodec::new(options);
        let mut thrift = Vec::new();
        codec.write(&d, d.functions()[0].request, br#"{"f300":8}"#, &mut thrift).unwrap();
        let mut twice = thrift[..thrift.len() - 1].to_vec();
        twice.extend_from_slice(&thrift);
        let (mut once_json, mut twice_json) = (Vec::new(), Vec::new());
        codec.read(&d, d.functions()[0].request, &thrift, &mut once_json).unwrap();
        codec.read(&d, d.functions()[0].request, &twice, &mut twice_json).unwrap();
        assert_eq!(once_json, twice_json);
        let json: serde_json::Value = serde_json::from_slice(&once_json).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 300);
        assert_eq!((&json["f300"], &json["f1"], &json["f299"]), (&8.into(), &1.into(), &value(299).into()));
    }
}

#[test]
fn what_is_filled_in_is_a_matter_of_options() {
    let d = Descriptor::from_text(
        r#"struct In { 1: optional i32 a = 3, 2: i32 b }
           struct S {
               1: required i32 r = 1, 2: i32 d = 2, 3: optional i32 o = 3, 4: list<string> l = ["x"], 5: In i = {"b": 7},
               6: map<string, i32> m = {"k": 1}, 7: binary bin = "hi",
           }
           service X { S M(1: S s) }"#,
    )
    .unwrap();
    for profile in PROFILES {
        let none = options(profile, |options| options.write_default = false);
        let dumped = write(&d, &none, "{}").unwrap();
        assert_eq!(dumped, if profile == Profile::Default { "{1:i32(0)}" } else { "{1:i32(1)}" });
        let all = options(profile, |options| {
            options.write_optional = true;
            options.idl_defaults_on_write = true;
        });
        let containers = match profile {
            Profile::Default => r#"4:list<11>["x"], 5:{2:i32(7)}, 6:map<11,8>["k"=>i32(1)]"#,
            Profile::Dynamic => "4:list<11>[], 5:{}, 6:map<11,8>[]",
        };
        assert_eq!(
            write(&d, &all, "{}").unwrap(),
            format!(r#"{{1:i32(1), 2:i32(2), 3:i32(3), {containers}, 7:"hi"}}"#)
        );
        let refuse = options(profile, |options| options.write_required = false);
        assert_eq!(write(&d, &refuse, "{}").unwrap_err().to_string(), "required field (1/r) missing (at byte 2)");
        assert!(write(&d, &refuse, r#"{"r":5}"#).is_ok());
        // Both profiles read every kind of default.
        let mut json = Vec::new();
        let codec = JsonCodec::new(Options::json(profile));
        codec.read(&d, d.functions()[0].request, &[8, 0, 1, 0, 0, 0, 9, 0], &mut json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = r#"{"r":9,"d":2,"o":3,"l":["x"],"i":{"b":7},"m":{"k":1},"bin":"aGk="}"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }
}

#[test]
fn enums_may_travel_by_name() {
    let d = Descriptor::from_text(
        "enum E { A = 1, B = 2 } struct S { 1: optional E e, 2: optional list<E> l, 3: optional map<E, E> m }
         service X { S M(1: S s) }",
    )
    .unwrap();
    let json = r#"{"e":"B","l":["A",2,7],"m":{"A":"B","2":1}}"#;
    let dumped = "{1:i32(2), 2:list<8>[i32(1), i32(2), i32(7)], 3:map<8,8>[i32(1)=>i32(2), i32(2)=>i32(1)]}";
    for profile in PROFILES {
        let accept = options(profile, |options| options.enum_names = EnumNames::Accept);
        assert_eq!(write(&d, &accept, json).unwrap(), dumped);
        assert_eq!(echo(&d, &accept, json).unwrap(), r#"{"e":2,"l":[1,2,7],"m":{"1":2,"2":1}}"#);
        let show = options(profile, |options| options.enum_names = EnumNames::Write);
        assert_eq!(echo(&d, &show, json).unwrap(), r#"{"e":"B","l":["A","B",7],"m":{"A":"B","B":"A"}}"#);
    }
}

#[test]
fn wrong_types_on_the_wire_may_be_skipped() {
    let d = Descriptor::from_text(
        "struct S { 1: optional i32 a, 2: optional string b } service X { S M(1: S s) void V(1: i32 i) }",
    )
    .unwrap();
    let wrong = [11, 0, 1, 0, 0, 0, 1, b'x', 11, 0, 2, 0, 0, 0, 1, b'y', 0];
    for profile in PROFILES {
        let codec = JsonCodec::new(options(profile, |options| options.skip_mismatched = true));
        let mut json = Vec::new();
        codec.read(&d, d.functions()[0].request, &wrong, &mut json).unwrap();
        assert_eq!(json, br#"{"b":"y"}"#);
        let codec = JsonCodec::new(Options::json(profile));
        let error = codec.read(&d, d.functions()[0].request, &wrong, &mut json).unwrap_err();
        assert_eq!(error.to_string(), "a: expected i32, got string (at byte 3)");
        // Nothing of what came before is lost, and nothing of the failed value is left.
        assert_eq!(json, br#"{"b":"y"}"#);
    }
}

#[test]
fn of_equal_keys_the_first_counts_however_many_there_are() {
    let d = Descriptor::from_text("struct S { 1: map<string, i32> m } service X { S M(1: S s) }").unwrap();
    let mut json = "{\"m\":{".to_owned();
    for n in 0..200 {
        write!(json, "\"k{}\":{n},", n % 100).unwrap();
    }
    json.push_str("\"k0\":7}}");
    let default = echo(&d, &Options::json(Profile::Default), &json).unwrap();
    let read: serde_json::Value = serde_json::from_str(&default).unwrap();
    assert_eq!(default.matches(':').count(), 101);
    for n in 0..100 {
        assert_eq!(read["m"][format!("k{n}")], n);
    }
    let dynamic = echo(&d, &Options::json(Profile::Dynamic), &json).unwrap();
    assert_eq!(dynamic.matches(':').count(), 202);
}

#[test]
fn names_and_texts_are_escaped() {
    let idl = r#"struct S { 1: string a (go.tag = 'json:"<a&b>"'), 2: string b } service X { S M(1: S s) }"#;
    let d = Descriptor::from_text(idl).unwrap();
    let json = r#"{"<a&b>":"</x>","b":"\u2028\u2029\u201c"}"#;
    assert_eq!(
        echo(&d, &Options::json(Profile::Default), json).unwrap(),
        "{\"\\u003ca\\u0026b\\u003e\":\"\\u003c/x\\u003e\",\"b\":\"\\u2028\\u2029\u{201c}\"}"
    );
    assert_eq!(
        echo(&d, &Options::json(Profile::Dynamic), json).unwrap(),
        "{\"<a&b>\":\"</x>\",\"b\":\"\u{2028}\u{2029}\u{201c}\"}"
    );
}

#[test]
fn every_length_and_every_byte_of_a_text_survives() {
    let d =
        Descriptor::from_text("struct S { 1: string a, 2: map<string, string> m } service X { S M(1: S s) }").unwrap();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        let ty = d.functions()[0].request;
        for len in 0..36 {
            for at in 0..len {
                for special in ['"', '\\', '\n', '\u{1}', '<', '\u{7f}', '\u{e9}', '\u{2028}', '\u{1f600}'] {
                    let mut text: Vec<char> = (0..len).map(|n| char::from(b'a' + n % 26)).collect();
                    text[usize::from(at)] = special;
                    let text: String = text.into_iter().collect();
                    let mut json = serde_json::json!({"a": text, "m": {text.as_str(): text}}).to_string();
                    let (mut thrift, mut back) = (Vec::new(), Vec::new());
                    codec.write(&d, ty, json.as_bytes(), &mut thrift).unwrap();
                    codec.read(&d, ty, &thrift, &mut back).unwrap();
                    let (before, after) = (
                        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
                        serde_json::from_slice::<serde_json::Value>(&back).unwrap(),
                    );
                    assert_eq!(before, after);
                    json.clear();
                }
            }
        }
    }
}

#[test]
fn what_is_no_utf8_is_replaced_byte_by_byte() {
    let d =
        Descriptor::from_text("struct S { 1: string a, 2: map<string, string> m } service X { S M(1: S s) }").unwrap();
    let mut thrift = vec![11, 0, 1, 0, 0, 0, 4, b'<', 0xff, b'"', 0xe4, 13, 0, 2, 11, 11, 0, 0, 0, 1, 0, 0, 0, 1, 0x80];
    thrift.extend([0, 0, 0, 3, 0xe4, 0xbd, 0xa0, 0]);
    for profile in PROFILES {
        let mut json = b"before \xff".to_vec();
        JsonCodec::new(Options::json(profile)).read(&d, d.functions()[0].request, &thrift, &mut json).unwrap();
        let json = str::from_utf8(json.strip_prefix(b"before \xff").unwrap()).unwrap();
        let read: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(read, serde_json::json!({"a": "<\u{fffd}\"\u{fffd}", "m": {"\u{fffd}": "你"}}));
    }
}

/// Centuries as far as the caller is concerned, years on the wire.
#[derive(Debug)]
struct Centuries;

impl ValueMapping for Centuries {
    fn request(&self, value: Value, field: &Field) -> Result<Value, Error> {
        match value.as_i64() {
            Some(centuries) => Ok(Value::I64(centuries * 100)),
            None if value.as_str() == Some("none") => Ok(Value::Null),
            None => {
                assert_eq!(&*field.name, "year");
                Err(Error::expected("a century", "something else"))
            }
        }
    }

    fn response(&self, value: Value, _: &Field) -> Result<Value, Error> {
        let years = value.as_i64().unwrap();
        Ok(Value::structure([("century", Value::I64(years / 100)), ("text", Value::from("\"<\""))]))
    }
}

#[test]
fn values_may_be_mapped_by_the_user() {
    let idl = Idl::from_text(
        r#"struct S { 1: optional i64 year (my.century = ""), 2: optional string s, 3: optional i64 d = 300 (my.century = "") }
           service X { S M(1: S s) }"#,
    )
    .unwrap();
    let registry = Registry::default().with("my.century", Handler::Value(|_| Arc::new(Centuries)));
    let d = Builder::new().registry(registry).build(&idl).unwrap();
    for profile in PROFILES {
        let options = Options::json(profile);
        assert_eq!(write(&d, &options, r#"{"year":20,"s":"x"}"#).unwrap(), r#"{1:i64(2000), 2:"x"}"#);
        assert_eq!(write(&d, &options, r#"{"year":"none","s":"x"}"#).unwrap(), r#"{2:"x"}"#);
        assert_eq!(write(&d, &options, r#"{"year":null}"#).unwrap(), "{}");
        assert_eq!(
            write(&d, &options, r#"{"s":"x","year":[1]}"#).unwrap_err().to_string(),
            "year: expected a century, got something else (at byte 16)"
        );
        let back: serde_json::Value = serde_json::from_str(&echo(&d, &options, r#"{"year":20}"#).unwrap()).unwrap();
        assert_eq!(
            back,
            serde_json::json!({"year": {"century": 20, "text": "\"<\""}, "d": {"century": 3, "text": "\"<\""}})
        );
        let off = self::options(profile, |options| options.value_mapping = false);
        assert_eq!(write(&d, &off, r#"{"year":20}"#).unwrap(), "{1:i64(20)}");
    }
}

#[test]
fn all_arguments_travel_by_name() {
    let d = Descriptor::from_text("service X { i32 Two(1: i32 a, 2: string b) }").unwrap();
    let f = d.function("Two").unwrap();
    for profile in PROFILES {
        let codec = JsonCodec::new(Options::json(profile));
        let (mut thrift, mut json) = (Vec::new(), Vec::new());
        codec.encode_arguments(&d, f, br#"{"b":"x","a":5}"#, None, &mut thrift).unwrap();
        assert_eq!(dump(&thrift), r#"{1:i32(5), 2:"x"}"#);
        codec.decode_arguments(&d, f, &thrift, &mut json).unwrap();
        assert_eq!(json, br#"{"b":"x","a":5}"#);
        json.clear();
        codec.decode_request(&d, f, &thrift, &mut json).unwrap();
        assert_eq!(json, b"5");
    }
}

#[test]
fn messages_of_streams_are_bare() {
    let d = Descriptor::from_text("struct S { 1: optional i32 a } service X { S M(1: S s) }").unwrap();
    let ty = d.functions()[0].request;
    let codec = JsonCodec::new(Options::json(Profile::Default));
    let (mut thrift, mut json) = (Vec::new(), Vec::new());
    codec.encode_message(&d, ty, Some(br#"{"a":1}"#), &mut thrift).unwrap();
    codec.decode_message(&d, ty, &thrift, &mut json).unwrap();
    assert_eq!((&thrift[..], &json[..]), (&[8, 0, 1, 0, 0, 0, 1, 0][..], &br#"{"a":1}"#[..]));
    thrift.clear();
    codec.encode_message(&d, ty, None, &mut thrift).unwrap();
    assert_eq!(thrift, [0]);
}

#[test]
fn fields_of_no_response_are_hidden_in_the_dynamic_profile() {
    let d = Descriptor::from_text(r#"struct S { 1: i32 a, 2: i32 secret (api.none = "") } service X { S M(1: S s) }"#)
        .unwrap();
    let f = d.function("M").unwrap();
    let result = [12, 0, 0, 8, 0, 1, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 2, 0, 0];
    for (profile, expected, written) in [
        (Profile::Default, r#"{"a":1,"secret":2}"#, "{0:{1:i32(1), 2:i32(2)}}"),
        (Profile::Dynamic, r#"{"a":1}"#, "{0:{1:i32(1)}}"),
    ] {
        let codec = JsonCodec::new(Options::json(profile));
        let (mut json, mut thrift) = (Vec::new(), Vec::new());
        codec.decode_response(&d, f, &result, &mut json).unwrap();
        assert_eq!(str::from_utf8(&json).unwrap(), expected);
        codec.encode_response(&d, f, &Outcome::Value(br#"{"a":1,"secret":2}"#), &mut thrift).unwrap();
        assert_eq!(dump(&thrift), written);
        // Requests have them in both.
        thrift.clear();
        codec.encode_request(&d, f, Some(br#"{"a":1,"secret":2}"#), None, &mut thrift).unwrap();
        assert_eq!(dump(&thrift), "{1:{1:i32(1), 2:i32(2)}}");
    }
}
