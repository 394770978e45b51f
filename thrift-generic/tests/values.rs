//! Random types, random values of them, and back: bytes, JSON, paths; and bytes that are nothing.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::fmt::Write as _;

use proptest::prelude::*;
use thrift_generic::access::{Change, Path};
use thrift_generic::descriptor::{Requiredness, Type};
use thrift_generic::json::JsonCodec;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options, Profile, Value};

/// A type of an IDL: structs by their place.
#[derive(Clone, Debug)]
enum Shape {
    Plain(&'static str),
    Struct(usize),
    List(Box<Self>),
    Set(Box<Self>),
    Map(&'static str, Box<Self>),
}

impl Shape {
    fn text(&self, structs: usize) -> String {
        match self {
            Self::Plain(name) => (*name).to_owned(),
            Self::Struct(at) => format!("S{}", at % structs),
            Self::List(element) => format!("list<{}>", element.text(structs)),
            Self::Set(element) => format!("set<{}>", element.text(structs)),
            Self::Map(key, value) => format!("map<{key}, {}>", value.text(structs)),
        }
    }
}

const PLAIN: &[&str] = &["bool", "byte", "i16", "i32", "i64", "double", "string", "binary", "E"];
const KEYS: &[&str] = &["bool", "i8", "i16", "i32", "i64", "string", "binary", "E"];

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        3 => prop::sample::select(PLAIN).prop_map(Shape::Plain),
        1 => any::<usize>().prop_map(Shape::Struct),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| {
        prop_oneof![
            inner.clone().prop_map(|element| Shape::List(Box::new(element))),
            inner.clone().prop_map(|element| Shape::Set(Box::new(element))),
            (prop::sample::select(KEYS), inner).prop_map(|(key, value)| Shape::Map(key, Box::new(value))),
        ]
    })
}

/// The text of an IDL whose only method takes the first struct. Ids are in no order, and some are far apart.
fn idl() -> impl Strategy<Value = String> {
    let field = (prop::sample::select(&["", "optional "][..]), shape(), any::<bool>());
    prop::collection::vec(prop::collection::vec(field, 1..8), 1..4).prop_map(|structs| {
        let mut text = String::from("enum E { A = 1, B = -2 }\n");
        for (at, fields) in structs.iter().enumerate() {
            writeln!(text, "struct S{at} {{").unwrap();
            for (number, (requiredness, shape, far)) in fields.iter().enumerate() {
                let id = if *far { 3000 - 7 * number } else { number + 1 };
                // A struct that has itself in it must be allowed to end.
                let is_struct = matches!(shape, Shape::Struct(_));
                let requiredness = if is_struct { "optional " } else { requiredness };
                writeln!(text, "  {id}: {requiredness}{} f{number}", shape.text(structs.len())).unwrap();
            }
            text.push_str("}\n");
        }
        text + "service S { S0 M(1: S0 s) }\n"
    })
}

/// Draws what a value is made of from bytes, which proptest can shrink.
struct Dice<'a>(std::slice::Iter<'a, u8>);

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn number(&mut self) -> i64 {
        let bytes: [u8; 8] = std::array::from_fn(|_| self.byte());
        match bytes[0] % 3 {
            0 => i64::from(bytes[1].cast_signed()),
            _ => i64::from_be_bytes(bytes),
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: &[&str] =
            &["a", "Z", "0", "\"", "\\", "\n", "\u{1}", "é", "你", "😀", "<", "\u{2028}", "/", " "];
        (0..self.byte() % 6).map(|_| LETTERS[usize::from(self.byte()) % LETTERS.len()]).collect()
    }

    fn value(&mut self, d: &Descriptor, ty: Type, depth: usize) -> Value {
        let few = if depth > 4 { 0 } else { usize::from(self.byte() % 4) };
        match ty {
            Type::Bool => Value::Bool(self.byte() % 2 == 1),
            Type::Byte => Value::I8(self.byte().cast_signed()),
            Type::I16 => Value::I16(i16::from_be_bytes([self.byte(), self.byte()])),
            Type::I32 => Value::I32(i32::from_be_bytes(std::array::from_fn(|_| self.byte()))),
            Type::Enum(_) => Value::I32([1, -2, 77][usize::from(self.byte()) % 3]),
            Type::I64 => Value::I64(self.number()),
            Type::Double => {
                let value = f64::from_bits(self.number().cast_unsigned());
                Value::Double(if value.is_finite() { value } else { 1.5 })
            }
            Type::String => Value::String(self.text()),
            Type::Binary => Value::from((0..self.byte() % 6).map(|_| self.byte()).collect::<Vec<u8>>()),
            Type::List(element) | Type::Set(element) => {
                Value::List((0..few).map(|_| self.value(d, d.ty(element), depth + 1)).collect())
            }
            Type::Map(key, item) => {
                let mut pairs: Vec<(Value, Value)> = Vec::new();
                for _ in 0..few {
                    let key = self.value(d, d.ty(key), depth + 1);
                    if pairs.iter().all(|(known, _)| *known != key) {
                        pairs.push((key, self.value(d, d.ty(item), depth + 1)));
                    }
                }
                Value::Map(pairs)
            }
            Type::Struct(id) => {
                let fields = &d.structure(id).fields;
                let mut members = Vec::new();
                for field in fields.iter() {
                    let is_absent = depth > 4 || self.byte().is_multiple_of(3);
                    // What is not optional is written anyway, as zero.
                    if field.requiredness != Requiredness::Optional || !is_absent {
                        members.push((field.key.clone(), self.value(d, field.ty, depth + 1)));
                    }
                }
                Value::Struct(members)
            }
            _ => Value::Null,
        }
    }
}

fn options() -> Options {
    let mut options = Options::map();
    options.binary_as_bytes = true;
    options
}

proptest! {
    #[test]
    fn a_value_survives_bytes_and_json(text in idl(), seed in prop::collection::vec(any::<u8>(), 0..400)) {
        let d = Descriptor::from_text(&text).unwrap();
        let f = d.function("M").unwrap();
        let value = Dice(seed.iter()).value(&d, f.request, 0);
        let codec = MapCodec::new(options());
        let mut bytes = Vec::new();
        codec.write(&d, f.request, &value, &mut bytes).unwrap();
        prop_assert_eq!(codec.read(&d, f.request, &bytes).unwrap(), value.clone());

        for profile in [Profile::Default, Profile::Dynamic] {
            let json_codec = JsonCodec::new(Options::json(profile));
            let mut json = Vec::new();
            json_codec.read(&d, f.request, &bytes, &mut json).unwrap();
            let mut again = Vec::new();
            json_codec.write(&d, f.request, &json, &mut again).unwrap();
            // The dynamic profile reads and writes -0 as 0, and both write members in the order they come in.
            let read = codec.read(&d, f.request, &again).unwrap();
            prop_assert_eq!(read, value.clone(), "{}", String::from_utf8_lossy(&json));
        }

        // And as what a server gets, and answers.
        let mut arguments = Vec::new();
        codec.encode_request(&d, f, &value, None, &mut arguments).unwrap();
        prop_assert_eq!(codec.decode_request(&d, f, &arguments).unwrap(), value);
    }

    #[test]
    fn every_field_is_found_by_its_path(text in idl(), seed in prop::collection::vec(any::<u8>(), 0..400)) {
        let d = Descriptor::from_text(&text).unwrap();
        let f = d.function("M").unwrap();
        let value = Dice(seed.iter()).value(&d, f.request, 0);
        let codec = MapCodec::new(options());
        let mut bytes = Vec::new();
        codec.write(&d, f.request, &value, &mut bytes).unwrap();
        let mut paths = Vec::new();
        parts(&value, String::new(), &mut paths);
        for (path, part) in paths {
            let path = Path::parse(&d, f.request, &path).unwrap();
            let found = path.get(&bytes).unwrap().unwrap();
            prop_assert_eq!(&found.value(&d, &codec).unwrap(), part);
            // What is put in where it was changes nothing, and what is put in where it was taken out is back.
            let same = Change::raw(found.ttype(), found.bytes()).unwrap();
            prop_assert_eq!(path.set(&bytes, &same).unwrap(), bytes.clone());
            let without = path.set(&bytes, &Change::unset()).unwrap();
            prop_assert!(without.len() < bytes.len());
            codec.read(&d, f.request, &without).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(text in idl(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let d = Descriptor::from_text(&text).unwrap();
        hostile(&d, &bytes);
    }

    /// Bytes that are nearly a value get further.
    #[test]
    fn broken_values_are_a_value_or_an_error(
        text in idl(),
        seed in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let d = Descriptor::from_text(&text).unwrap();
        let f = d.function("M").unwrap();
        let value = Dice(seed.iter()).value(&d, f.request, 0);
        let mut bytes = Vec::new();
        MapCodec::new(options()).write(&d, f.request, &value, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        hostile(&d, &bytes);
    }
}

/// Whatever is read can be written, and is the same again.
fn hostile(d: &Descriptor, bytes: &[u8]) {
    let f = d.function("M").unwrap();
    let codec = MapCodec::new(options());
    if let Ok(value) = codec.read(d, f.request, bytes) {
        let mut again = Vec::new();
        codec.write(d, f.request, &value, &mut again).unwrap();
        let value = codec.read(d, f.request, &again).unwrap();
        let mut twice = Vec::new();
        codec.write(d, f.request, &value, &mut twice).unwrap();
        assert_eq!(twice, again);
    }
    _ = codec.decode_request(d, f, bytes);
    _ = codec.decode_response(d, f, bytes);
    for path in ["f0", "f1", "f2"] {
        if let Ok(path) = Path::parse(d, f.request, path) {
            let found = path.get(bytes);
            let without = path.set(bytes, &Change::unset());
            assert_eq!(found.is_ok(), without.is_ok());
            if let Ok(without) = without {
                assert_eq!(path.get(&without).unwrap(), None);
            }
        }
    }
}

/// The paths to all that is in a value.
fn parts<'v>(value: &'v Value, path: String, out: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Struct(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                parts(value, path.clone(), out);
                out.push((path, value));
            }
        }
        Value::List(elements) => {
            for (at, value) in elements.iter().enumerate() {
                let path = format!("{path}[{at}]");
                parts(value, path.clone(), out);
                out.push((path, value));
            }
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                let key = match key {
                    Value::Bool(key) => key.to_string(),
                    Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => key.as_i64().unwrap().to_string(),
                    Value::String(key) => format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")),
                    // A key that is no UTF-8 has no path.
                    _ => continue,
                };
                let path = format!("{path}[{key}]");
                parts(value, path.clone(), out);
                out.push((path, value));
            }
        }
        _ => {}
    }
}
