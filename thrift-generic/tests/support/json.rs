//! Plays the rows of the JSON mapping (`tests/rows/json-*.json`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use thrift_generic::base::Base;
use thrift_generic::descriptor::{Builder, Function};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Error, Options, Outcome, Profile};

use super::dump::{canonical, dump, dump_argument};

/// Plays every case of a row.
pub(crate) fn play(file: &str, id: &str) {
    let text = fs::read_to_string(folder("rows").join(file)).unwrap();
    let rows: Vec<Json> = serde_json::from_str(&text).unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row["id"] == id).collect();
    assert!(!rows.is_empty(), "no row {id} in {file}");
    for row in rows {
        // Shown when it fails.
        println!("{id} {}", row["case"]);
        play_one(row);
    }
}

/// The descriptor of a fixture.
pub(crate) fn fixture(name: &str, profile: Profile) -> Descriptor {
    let path = folder("fixtures").join(format!("{name}.thrift"));
    Builder::new().profile(profile).build(&Idl::from_file(path, &[]).unwrap()).unwrap()
}

fn play_one(row: &Json) {
    let profile = match row["profile"].as_str().unwrap() {
        "default" => Profile::Default,
        "dynamic" => Profile::Dynamic,
        other => panic!("profile {other}"),
    };
    let d = fixture(row["fixture"].as_str().unwrap(), profile);
    let f = d.function(row["method"].as_str().unwrap()).unwrap();
    let codec = JsonCodec::new(options(profile, &row["options"]));
    let expect = &row["expect"];
    let mut out = b"before".to_vec();
    match row["op"].as_str().unwrap() {
        "json_write" => {
            let base = base(&row["base"]);
            let json = row["in"]["json"].as_str().map(str::as_bytes);
            let written = codec.encode_request(&d, f, json, base.as_ref(), &mut out);
            check_bytes(&out, written, expect);
        }
        "json_serve_write" => {
            let written = match row["in"]["json"].as_str() {
                Some(json) => codec.encode_response(&d, f, &Outcome::Value(json.as_bytes()), &mut out),
                None => codec.encode_response(&d, f, &Outcome::Empty, &mut out),
            };
            check_bytes(&out, written, expect);
        }
        "json_read" => {
            let bytes = unhex(row["in"]["hex"].as_str().unwrap());
            let read = codec.decode_response(&d, f, &bytes, &mut out);
            check_text(&out, read, expect);
            echo(&d, f, &codec, &out, expect);
        }
        "json_serve_read" => {
            let bytes = unhex(row["in"]["hex"].as_str().unwrap());
            let read = codec.decode_request(&d, f, &bytes, &mut out);
            check_text(&out, read.map(Outcome::Value), expect);
        }
        op => panic!("op {op}"),
    }
}

/// What stands behind that which was there before.
fn appended(out: &[u8]) -> &[u8] {
    out.strip_prefix(b"before").expect("what was in the buffer stays there")
}

fn check_bytes(out: &[u8], written: Result<(), Error>, expect: &Json) {
    let bytes = appended(out);
    if let Some(error) = expect["error"].as_str() {
        check_error(&written.unwrap_err(), error);
        assert!(bytes.is_empty(), "half a value was left behind");
        return;
    }
    written.unwrap();
    let dump = if expect["outer"] == true { dump(bytes) } else { dump_argument(bytes) };
    assert_eq!(dump, canonical(expect["dump"].as_str().unwrap()));
}

fn check_text(out: &[u8], read: Result<Outcome<()>, Error>, expect: &Json) {
    let bytes = appended(out);
    if let Some(error) = expect["error"].as_str() {
        check_error(&read.unwrap_err(), error);
        assert!(bytes.is_empty(), "half a text was left behind");
        return;
    }
    let text = str::from_utf8(bytes).unwrap();
    match (read.unwrap(), expect["outcome"].as_str()) {
        (Outcome::Void, Some("void")) | (Outcome::Empty, Some("empty")) => return assert_eq!(text, ""),
        (Outcome::Value(()), None) | (Outcome::Exception { .. }, Some("exception")) => {}
        (outcome, _) => panic!("{outcome:?} {text}"),
    }
    match expect["text"].as_str() {
        Some(expected) => assert_eq!(text, expected),
        None => assert_eq!(serde_json::from_str::<Json>(text).unwrap(), expect["json"]),
    }
}

fn check_error(error: &Error, part: &str) {
    let text = error.to_string();
    assert!(text.contains(part), "{text:?} does not say {part:?}");
    assert!(error.offset().is_some(), "{text:?} does not say where");
}

/// What was read can be written, and read again is the same.
fn echo(d: &Descriptor, f: &Function, codec: &JsonCodec, out: &[u8], expect: &Json) {
    if !expect["error"].is_null() || !expect["outcome"].is_null() {
        return;
    }
    let json = appended(out);
    // NaN is not written as null, and the dynamic profile knows no negative zero.
    if matches!(json, b"null" | b"-0") {
        return;
    }
    let mut thrift = Vec::new();
    codec.encode_response(d, f, &Outcome::Value(json), &mut thrift).unwrap();
    let mut again = Vec::new();
    codec.decode_response(d, f, &thrift, &mut again).unwrap();
    let (before, after) = (String::from_utf8_lossy(json), String::from_utf8_lossy(&again));
    match serde_json::from_str::<Json>(&before) {
        Ok(Json::Object(before)) => {
            let after: Json = serde_json::from_str(&after).unwrap();
            for (name, value) in before {
                // Members that have no default are filled in when the struct is written.
                assert_eq!(after[&name], value, "{after}");
            }
        }
        _ => assert_eq!(before, after),
    }
}

fn options(profile: Profile, changed: &Json) -> Options {
    let mut options = Options::json(profile);
    for (name, value) in changed.as_object().into_iter().flatten() {
        let place = match name.as_str() {
            "base64" => &mut options.base64,
            "null_for_nan" => &mut options.null_for_nan,
            "byte_as_unsigned" => &mut options.byte_as_unsigned,
            "i64_as_string" => &mut options.i64_as_string,
            _ => panic!("option {name}"),
        };
        *place = value.as_bool().unwrap();
    }
    options
}

fn base(given: &Json) -> Option<Base> {
    if given.is_null() {
        return None;
    }
    let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    let mut base = Base::default();
    base.log_id = text("log_id");
    base.caller = text("caller");
    base.addr = text("addr");
    let extra = given["extra"].as_object().into_iter().flatten();
    base.extra = extra.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    Some(base)
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}
