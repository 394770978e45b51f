//! Plays the rows of the Map mapping (`tests/rows/map-*.json`).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use thrift_generic::base::Base;
use thrift_generic::descriptor::{Builder, Function};
use thrift_generic::idl::Idl;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, EnumNames, FillAbsent, Options, Outcome, Value};

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
pub(crate) fn fixture(name: &str) -> Descriptor {
    let path = folder("fixtures").join(format!("{name}.thrift"));
    Builder::new().build(&Idl::from_file(path, &[]).unwrap()).unwrap()
}

/// The value of a tagged one.
pub(crate) fn untag(tagged: &Json) -> Value {
    if tagged.is_null() {
        return Value::Null;
    }
    let (tag, value) = tagged.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap();
    let number = || value.as_i64().unwrap_or_else(|| text().parse().unwrap());
    match tag.as_str() {
        "bool" => Value::Bool(value.as_bool().unwrap()),
        "i8" => Value::I8(number().try_into().unwrap()),
        "i16" => Value::I16(number().try_into().unwrap()),
        "i32" => Value::I32(number().try_into().unwrap()),
        "i64" => Value::I64(number()),
        "f64" => Value::Double(value.as_f64().unwrap_or_else(|| text().parse().unwrap())),
        "num" => Value::Number(text().into()),
        "str" => Value::from(text()),
        "bytes" => Value::from(unhex(text())),
        "void" => Value::Void,
        "list" => Value::list(value.as_array().unwrap().iter().map(untag)),
        "map" => Value::map(value.as_array().unwrap().iter().map(|pair| (untag(&pair[0]), untag(&pair[1])))),
        "struct" => {
            Value::structure(value.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), untag(value))))
        }
        _ => panic!("tag {tag}"),
    }
}

fn play_one(row: &Json) {
    let d = fixture(row["fixture"].as_str().unwrap());
    let f = d.function(row["method"].as_str().unwrap()).unwrap();
    let codec = MapCodec::new(options(&row["options"]));
    let expect = &row["expect"];
    match row["op"].as_str().unwrap() {
        "map_write" => {
            let mut out = Vec::new();
            let base = base(&row["base"]);
            let written = codec.encode_request(&d, f, &untag(&row["in"]), base.as_ref(), &mut out);
            check_bytes(&out, written, expect);
        }
        "map_serve_write" => {
            let mut out = Vec::new();
            let value = untag(&row["in"]);
            let written = codec.encode_response(&d, f, &Outcome::Value(&value), &mut out);
            check_bytes(&out, written, expect);
        }
        "map_read" => {
            let bytes = unhex(row["in"]["hex"].as_str().unwrap());
            check_outcome(codec.decode_response(&d, f, &bytes), expect);
        }
        "map_serve_read" => {
            let bytes = unhex(row["in"]["hex"].as_str().unwrap());
            check_outcome(codec.decode_request(&d, f, &bytes).map(Outcome::Value), expect);
        }
        op => panic!("op {op}"),
    }
    echo(&d, f, &codec, row);
}

fn check_bytes(bytes: &[u8], written: Result<(), thrift_generic::Error>, expect: &Json) {
    if let Some(error) = expect["error"].as_str() {
        let text = written.unwrap_err().to_string();
        assert!(text.contains(error), "{text:?} does not say {error:?}");
        assert!(bytes.is_empty(), "half a value was left behind");
        return;
    }
    written.unwrap();
    let dump = if expect["outer"] == true { dump(bytes) } else { dump_argument(bytes) };
    assert_eq!(dump, canonical(expect["dump"].as_str().unwrap()));
}

fn check_outcome(read: Result<Outcome<Value>, thrift_generic::Error>, expect: &Json) {
    if let Some(error) = expect["error"].as_str() {
        let text = read.unwrap_err().to_string();
        assert!(text.contains(error), "{text:?} does not say {error:?}");
        return;
    }
    match (read.unwrap(), expect["outcome"].as_str()) {
        (Outcome::Void, Some("void")) | (Outcome::Empty, Some("empty")) => {}
        (Outcome::Exception { value, .. }, Some("exception")) => assert_same(&value, &untag(&expect["value"])),
        (Outcome::Value(value), None) => assert_same(&value, &untag(&expect["value"])),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

/// What was read can be written, and is read again as it was.
fn echo(d: &Descriptor, f: &Function, codec: &MapCodec, row: &Json) {
    let is_read = row["op"] == "map_read";
    let shown_otherwise = ["fill_absent", "enum_names"].iter().any(|name| !row["options"][name].is_null());
    if !is_read || shown_otherwise || row["expect"]["value"].is_null() || row["expect"]["outcome"] == "exception" {
        return;
    }
    let value = untag(&row["expect"]["value"]);
    let mut out = Vec::new();
    codec.encode_response(d, f, &Outcome::Value(&value), &mut out).unwrap();
    let again = codec.decode_response(d, f, &out).unwrap();
    let Outcome::Value(again) = again else { panic!("{again:?}") };
    // Default-requiredness fields that were absent are written as zero.
    for (name, member) in value.as_struct().unwrap_or_default() {
        assert_same(again.get(name).unwrap(), &zeroed(member, again.get(name).unwrap()));
    }
}

/// The members that `again` has beyond those of `value` are zero.
fn zeroed(value: &Value, again: &Value) -> Value {
    match (value, again) {
        (Value::Struct(members), Value::Struct(_)) => {
            let mut out = again.clone();
            for (name, member) in members {
                let after = again.get(name).unwrap_or(&Value::Null);
                out.insert(name, zeroed(member, after));
            }
            out
        }
        (Value::List(elements), Value::List(after)) if elements.len() == after.len() => {
            Value::List(elements.iter().zip(after).map(|(value, again)| zeroed(value, again)).collect())
        }
        (Value::Map(pairs), Value::Map(after)) if pairs.len() == after.len() => Value::Map(
            pairs.iter().zip(after).map(|((key, value), (_, again))| (key.clone(), zeroed(value, again))).collect(),
        ),
        _ => value.clone(),
    }
}

/// The order of members is not what a row is about.
fn assert_same(ours: &Value, expected: &Value) {
    assert_eq!(sorted(ours.clone()), sorted(expected.clone()));
}

fn sorted(value: Value) -> Value {
    match value {
        Value::List(elements) => Value::List(elements.into_iter().map(sorted).collect()),
        Value::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (sorted(key), sorted(value))).collect();
            pairs.sort_by_key(|(key, _)| format!("{key:?}"));
            Value::Map(pairs)
        }
        Value::Struct(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Struct(members)
        }
        value => value,
    }
}

fn options(changed: &Json) -> Options {
    let mut options = Options::map();
    for (name, value) in changed.as_object().into_iter().flatten() {
        let on = value == true;
        match (name.as_str(), value.as_str()) {
            ("base64", _) => options.base64 = on,
            ("binary_as_bytes", _) => options.binary_as_bytes = on,
            ("map_keys_as_text", _) => options.map_keys_as_text = on,
            ("write_required", _) => options.write_required = on,
            ("deny_unknown", _) => options.deny_unknown = on,
            ("idl_defaults_on_write", _) => options.idl_defaults_on_write = on,
            ("skip_mismatched", _) => options.skip_mismatched = on,
            ("fill_absent", Some("not_optional")) => options.fill_absent = FillAbsent::NotOptional,
            ("fill_absent", Some("all")) => options.fill_absent = FillAbsent::All,
            ("enum_names", Some("accept")) => options.enum_names = EnumNames::Accept,
            ("enum_names", Some("write")) => options.enum_names = EnumNames::Write,
            _ => panic!("option {name}"),
        }
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
