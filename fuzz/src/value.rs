use std::sync::LazyLock;

use thrift_generic::access::{Change, Path, Paths};
use thrift_generic::descriptor::Type;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options};

/// Every type there is, the struct itself among them.
const IDL: &str = "
enum E { A = 1, B = 2 }
struct S {
    1: optional bool flag = true,
    2: optional byte small,
    3: i16 short,
    4: optional i32 number,
    5: optional i64 big (api.js_conv = ''),
    6: optional double real,
    7: optional string text,
    8: optional binary blob,
    9: optional E e,
    10: optional S s,
    11: optional list<S> list,
    12: optional set<i64> set,
    13: optional map<string, S> by_text,
    14: optional map<S, list<byte>> by_struct,
    15: optional map<i64, list<list<i16>>> by_number,
    3000: optional string far,
}
service Fuzz { S M(1: S s) }
";

struct Subject {
    d: Descriptor,
    ty: Type,
    typed: Vec<Path>,
    untyped: Vec<Path>,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let d = Descriptor::from_text(IDL).unwrap();
    let ty = d.function("M").unwrap().request;
    let typed = ["flag", "far", "s.s.number", "list[1].text", "set[0]", "by_text[\"a\"].s.big", "by_number[7][1][0]"];
    let untyped = ["1", "10.10.4", "11[1].7", "13[\"a\"].10.5", "15[7][1][0]", "12[2]"];
    let typed = typed.map(|path| Path::parse(&d, ty, path).unwrap()).into();
    let untyped = untyped.map(|path| Path::untyped(path).unwrap()).into();
    Subject { d, ty, typed, untyped }
});

/// Bytes that are a value are written and read again as they were, and no bytes at all are too much for a path.
pub fn thrift_value(data: &[u8]) {
    let Subject { d, ty, typed, untyped } = &*SUBJECT;
    let mut options = Options::map();
    options.binary_as_bytes = true;
    options.value_mapping = false;
    let codec = MapCodec::new(options);
    if let Ok(value) = codec.read(d, *ty, data) {
        let mut once = Vec::new();
        codec.write(d, *ty, &value, &mut once).unwrap();
        let again = codec.read(d, *ty, &once).unwrap();
        let mut twice = Vec::new();
        codec.write(d, *ty, &again, &mut twice).unwrap();
        assert_eq!(once, twice);
    }
    let method = d.function("M").unwrap();
    _ = MapCodec::default().decode_request(d, method, data);
    _ = MapCodec::default().decode_response(d, method, data);
    follow(typed, data);
    follow(untyped, data);
}

fn follow(paths: &[Path], data: &[u8]) {
    let each: Vec<_> = paths.iter().map(|path| path.get(data)).collect();
    if let Ok(many) = Paths::new(paths).get(data) {
        for (many, one) in many.iter().zip(&each) {
            // A path that goes into a value may find there more levels than are passed over elsewhere.
            if let Ok(one) = one {
                assert_eq!(many, one);
            }
        }
    }
    for (path, found) in paths.iter().zip(each) {
        // A change goes where reading goes.
        let without = path.set(data, &Change::unset());
        assert_eq!(without.is_ok(), found.is_ok());
        let (Ok(without), Ok(found)) = (without, found) else { continue };
        let Some(found) = found else { continue };
        assert!(without.len() < data.len());
        let same = Change::raw(found.ttype(), found.bytes()).unwrap();
        let changed = match path.set(data, &same) {
            Ok(changed) => changed,
            // Without a descriptor a field may come twice, and of two types.
            Err(error) => {
                assert!(path.ty().is_none(), "{error}");
                continue;
            }
        };
        assert_eq!(path.get(&changed).unwrap().map(|again| again.bytes()), Some(found.bytes()));
    }
}
