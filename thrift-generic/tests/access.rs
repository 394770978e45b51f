//! Fields of bytes by path.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod support {
    pub(crate) mod dump;
}

use support::dump::dump;
use thrift_codec::{DecodeError, TType};
use thrift_generic::access::{Change, Path, Paths};
use thrift_generic::descriptor::Type;
use thrift_generic::json::JsonCodec;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, ErrorKind, Options, Profile, Value};

const IDL: &str = r#"
enum Color { RED = 1, BLUE = 2 }
struct Item { 1: optional i64 price, 2: optional string name, 3: required i32 count }
struct Inner { 1: optional Item item, 2: optional string text }
struct Order {
    1: optional list<Item> items,
    2: optional map<string, string> tags,
    3: optional map<i64, Item> by_id,
    4: optional Inner inner,
    5: optional i16 small,
    6: optional bool flag,
    7: optional double weight,
    8: optional binary blob,
    9: optional map<Color, i32> colors,
    10: optional set<string> names,
    11: optional list<list<i32>> grid,
    12: optional map<bool, string> yes,
    13: optional map<double, string> at,
    14: optional string dotted (go.tag = 'json:"c.d"'),
    300: optional string far,
}
service Shop { void Buy(1: Order order) }
"#;

struct Shop {
    d: Descriptor,
    order: Type,
    codec: MapCodec,
}

impl Shop {
    fn new() -> Self {
        let d = Descriptor::from_text(IDL).unwrap();
        let order = d.function("Buy").unwrap().request;
        Self { d, order, codec: MapCodec::default() }
    }

    fn path(&self, text: &str) -> Path {
        Path::parse(&self.d, self.order, text).unwrap()
    }

    fn bytes(&self, order: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.codec.write(&self.d, self.order, order, &mut bytes).unwrap();
        bytes
    }

    fn sample(&self) -> Vec<u8> {
        let inner = Value::structure([("item", item(9)), ("text", Value::from("t"))]);
        self.bytes(&Value::structure([
            ("items", Value::list([item(5), item(7), item(8), item(11)])),
            ("tags", Value::map([("a", "x"), ("b", "y")])),
            ("by_id", Value::map([(7_i64, item(70)), (-1, item(71))])),
            ("inner", inner),
            ("small", Value::I16(3)),
            ("flag", Value::Bool(true)),
            ("weight", Value::Double(1.5)),
            ("blob", Value::from(&b"\xff"[..])),
            ("colors", Value::map([(1_i32, 10_i32), (2, 20)])),
            ("names", Value::list(["n", "m"])),
            ("grid", Value::list([Value::list([1, 2, 3]), Value::list::<i32>([]), Value::list([4])])),
            ("yes", Value::map([(true, "t"), (false, "f")])),
            ("at", Value::map([(0.5, "half")])),
            ("c.d", Value::from("dot")),
            ("far", Value::from("away")),
        ]))
    }
}

fn item(price: i64) -> Value {
    Value::structure([("price", Value::I64(price)), ("count", Value::I32(1))])
}

#[test]
fn values_are_found_by_names_places_and_keys() {
    let shop = Shop::new();
    let bytes = shop.sample();
    for (path, value) in [
        ("items[0].price", Value::I64(5)),
        ("items[3].price", Value::I64(11)),
        (r#"tags["a"]"#, Value::from("x")),
        (r#"tags["b"]"#, Value::from("y")),
        ("by_id[7].price", Value::I64(70)),
        ("by_id[-1].price", Value::I64(71)),
        ("inner.item.price", Value::I64(9)),
        ("inner.item", item(9)),
        ("small", Value::I16(3)),
        ("flag", Value::Bool(true)),
        ("weight", Value::Double(1.5)),
        ("blob", Value::from(&b"\xff"[..])),
        ("colors[BLUE]", Value::I32(20)),
        ("colors[1]", Value::I32(10)),
        ("names[1]", Value::from("m")),
        ("grid[0][2]", Value::I32(3)),
        ("grid[2][0]", Value::I32(4)),
        ("yes[false]", Value::from("f")),
        ("at[0.5]", Value::from("half")),
        (r#"["c.d"]"#, Value::from("dot")),
        ("300", Value::from("away")),
        ("4.1.1", Value::I64(9)),
    ] {
        let path = shop.path(path);
        let found = path.get(&bytes).unwrap().unwrap_or_else(|| panic!("nothing at {path}"));
        assert_eq!(found.value(&shop.d, &shop.codec).unwrap(), value, "{path}");
        assert_eq!(found.bytes(), &bytes[found.offset()..found.offset() + found.bytes().len()]);
        assert_eq!(found.ty(), path.ty());
    }
    assert_eq!(shop.path("").get(&bytes).unwrap().unwrap().bytes(), bytes);
}

#[test]
fn what_is_not_there_is_nothing() {
    let shop = Shop::new();
    let bytes = shop.sample();
    for path in ["items[4].price", "items[0].name", r#"tags["c"]"#, "by_id[8].price", "grid[1][0]", "colors[3]"] {
        assert!(!shop.path(path).exists(&bytes).unwrap(), "{path}");
    }
    for path in ["items[0].price", r#"tags["c"]"#, "inner.item.price", "small"] {
        assert_eq!(shop.path(path).get(&[0]).unwrap(), None, "{path}");
    }
}

#[test]
fn scalars_are_read_without_a_codec() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let get = |path: &str| shop.path(path).get(&bytes).unwrap().unwrap();
    assert_eq!(get("small").as_i64(), Some(3));
    assert_eq!(get("flag").as_bool(), Some(true));
    assert_eq!(get("weight").as_f64(), Some(1.5));
    assert_eq!(get("blob").as_bytes(), Some(&b"\xff"[..]));
    assert_eq!((get("blob").as_str(), get("blob").as_i64()), (None, None));
    assert_eq!(get("inner.text").as_str(), Some("t"));
    assert_eq!((get("items").count(), get("tags").count(), get("small").count()), (Some(4), Some(2), None));
    assert_eq!(get("items").ttype(), TType::LIST);
    // Without a copy.
    let text = get("inner.text").as_str().unwrap();
    assert!(bytes.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn a_path_is_checked_against_the_descriptor() {
    let shop = Shop::new();
    let error = |path: &str| Path::parse(&shop.d, shop.order, path).unwrap_err().to_string();
    assert_eq!(error("items[0].prize"), r#"path "items[0].prize" at byte 9: Item has no field "prize""#);
    assert_eq!(error("small.x"), r#"path "small.x" at byte 6: a i16 has no fields"#);
    assert_eq!(error("small[0]"), r#"path "small[0]" at byte 5: a i16 has no such part"#);
    assert_eq!(error("items[x]"), r#"path "items[x]" at byte 5: expected the place of an element"#);
    assert_eq!(error("tags[1]"), r#"path "tags[1]" at byte 4: "1" is no key of type string"#);
    assert_eq!(error("colors[GREEN]"), r#"path "colors[GREEN]" at byte 6: "GREEN" is no key of type enum"#);
    assert!(error(r#"by_id["7"]"#).contains("the keys are i64"));
    assert!(error(r#"tags["a"#).contains("never closed"));
    assert!(error(r#"tags["a\n"]"#).contains("backslash"));
    assert!(error("items[0").contains("expected ]"));
    assert!(error("items[0]price").contains("expected . or ["));
    assert!(error(".items").contains("expected a name"));
    assert!(error("items.").contains("expected a name"));
    let deep = "x[0]".repeat(40);
    assert!(Path::untyped(&deep).is_err());
    assert!(Path::ids(&[1; 64]).is_ok());
    assert!(Path::ids(&[1; 65]).unwrap_err().to_string().contains("more than 64 steps"));
}

#[test]
fn a_key_may_have_quotation_marks_in_it() {
    let shop = Shop::new();
    let bytes = shop.bytes(&Value::structure([("tags", Value::map([("a\"]\\", "x")]))]));
    assert_eq!(shop.path(r#"tags["a\"]\\"]"#).get(&bytes).unwrap().unwrap().as_str(), Some("x"));
}

#[test]
fn paths_without_a_descriptor_are_made_of_ids() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let get = |path: &str| Path::untyped(path).unwrap().get(&bytes).unwrap();
    assert_eq!(get("1[3].1").unwrap().as_i64(), Some(11));
    assert_eq!(get(r#"2["a"]"#).unwrap().as_str(), Some("x"));
    assert_eq!(get("3[7].1").unwrap().as_i64(), Some(70));
    assert_eq!(get("3[-1].1").unwrap().as_i64(), Some(71));
    assert_eq!(get("12[true]").unwrap().as_str(), Some("t"));
    assert_eq!(get("9[2]").unwrap().as_i64(), Some(20));
    assert_eq!(get("77"), None);
    assert_eq!(Path::ids(&[4, 1, 1]).unwrap().get(&bytes).unwrap().unwrap().as_i64(), Some(9));
    assert!(Path::untyped("name").is_err());
    let error = Path::untyped("5.1").unwrap().get(&bytes).unwrap_err();
    assert!(error.to_string().starts_with("5: expected struct, got i16"), "{error}");
    assert!(get("300").unwrap().value(&shop.d, &shop.codec).is_err());
}

#[test]
fn many_are_found_in_one_pass() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let texts = ["items[3].price", "items[0].price", "items", r#"tags["b"]"#, "inner.item.price", "items[3].price"];
    let known = texts.map(|text| shop.path(text));
    let paths = Paths::new(&known);
    assert_eq!((paths.len(), paths.is_empty()), (6, false));
    let found = paths.get(&bytes).unwrap();
    for (found, path) in found.iter().zip(&known) {
        assert_eq!(*found, path.get(&bytes).unwrap(), "{path}");
        assert!(found.is_some());
    }
    assert_eq!(Paths::new(&known).get(&[0]).unwrap(), [None; 6]);
    assert_eq!(Paths::new([]).get(&bytes).unwrap(), []);
}

/// `{5: i16(1), 5: i16(2)}`, and so on: what readers make of it is the last one.
#[test]
fn of_two_fields_the_last_counts() {
    let shop = Shop::new();
    let path = shop.path("small");
    let twice = b"\x06\0\x05\0\x01\x06\0\x05\0\x02\0";
    assert_eq!(path.get(twice).unwrap().unwrap().as_i64(), Some(2));
    assert_eq!(shop.codec.read(&shop.d, shop.order, twice).unwrap().field::<i64>("small").unwrap(), 2);
    assert_eq!(dump(&path.set(twice, &Change::from(9_i16)).unwrap()), "{5:i16(9)}");
    assert_eq!(path.set(twice, &Change::unset()).unwrap(), [0]);

    // The first inner has a text, the second has none.
    let text = shop.path("inner.text");
    let inner = b"\x0c\0\x04\x0b\0\x02\0\0\0\x01x\0\x0c\0\x04\0\0";
    assert_eq!(text.get(inner).unwrap(), None);
    let paths = [text, shop.path("inner.item.price")];
    assert_eq!(Paths::new(&paths).get(inner).unwrap(), [None, None]);
    let [text, _] = paths;
    assert_eq!(dump(&text.set(inner, &Change::from("y")).unwrap()), r#"{4:{2:"y"}}"#);

    let tag = shop.path(r#"tags["a"]"#);
    let tags = b"\x0d\0\x02\x0b\x0b\0\0\0\x03\0\0\0\x01a\0\0\0\x01x\0\0\0\x01b\0\0\0\x01y\0\0\0\x01a\0\0\0\x01z\0";
    assert_eq!(tag.get(tags).unwrap().unwrap().as_str(), Some("z"));
    assert_eq!(dump(&tag.set(tags, &Change::from("w")).unwrap()), r#"{2:map<11,11>["a"=>"w", "b"=>"y"]}"#);
    assert_eq!(dump(&tag.set(tags, &Change::unset()).unwrap()), r#"{2:map<11,11>["b"=>"y"]}"#);
}

#[test]
fn a_value_is_replaced_and_all_else_stays() {
    let shop = Shop::new();
    let bytes = shop.sample();
    for (path, value) in [
        ("items[2].price", Value::I64(-1)),
        (r#"tags["b"]"#, Value::from("something longer")),
        (r#"tags["b"]"#, Value::from("")),
        ("by_id[-1]", item(1)),
        ("inner", Value::structure([("text", "z")])),
        ("grid[0]", Value::list([7_i32])),
        ("grid[0][1]", Value::I32(7)),
        ("colors[RED]", Value::I32(7)),
        ("yes[true]", Value::from("yes")),
        ("far", Value::from("near")),
    ] {
        let path = shop.path(path);
        let change = Change::value(&shop.d, &path, &shop.codec, &value).unwrap();
        let changed = path.set(&bytes, &change).unwrap();
        let found = path.get(&changed).unwrap().unwrap();
        assert_eq!(found.value(&shop.d, &shop.codec).unwrap(), value, "{path}");
        let before = path.get(&bytes).unwrap().unwrap();
        assert_eq!(changed[..found.offset()], bytes[..before.offset()]);
        assert_eq!(changed[found.offset() + found.bytes().len()..], bytes[before.offset() + before.bytes().len()..]);
        shop.codec.read(&shop.d, shop.order, &changed).unwrap();
    }
}

#[test]
fn values_come_and_go_as_json() {
    let shop = Shop::new();
    let codec = JsonCodec::new(Options::json(Profile::Default));
    let path = shop.path("items[1]");
    let change = Change::json(&shop.d, &path, &codec, br#"{"price":77,"count":"3"}"#).unwrap();
    let bytes = path.set(&shop.sample(), &change).unwrap();
    let mut json = Vec::new();
    path.get(&bytes).unwrap().unwrap().json(&shop.d, &codec, &mut json).unwrap();
    assert_eq!(json, br#"{"price":77,"count":3}"#);
    assert!(Change::json(&shop.d, &Path::ids(&[5]).unwrap(), &codec, b"1").is_err());
}

#[test]
fn what_is_missing_is_added() {
    let shop = Shop::new();
    let set = |bytes: &[u8], path: &str, change: Change<'_>| dump(&shop.path(path).set(bytes, &change).unwrap());
    assert_eq!(set(&[0], "small", Change::from(1_i16)), "{5:i16(1)}");
    assert_eq!(set(&[0], "inner.item.price", Change::from(1_i64)), "{4:{1:{1:i64(1)}}}");
    assert_eq!(set(b"\x0c\0\x04\0\0", "inner.text", Change::from("x")), r#"{4:{2:"x"}}"#);
    assert_eq!(set(&[0], r#"tags["a"]"#, Change::from("x")), r#"{2:map<11,11>["a"=>"x"]}"#);
    // An empty map may have said any types.
    assert_eq!(set(b"\x0d\0\x02\0\0\0\0\0\0\0", r#"tags["a"]"#, Change::from("x")), r#"{2:map<11,11>["a"=>"x"]}"#);
    assert_eq!(set(&[0], "by_id[7].price", Change::from(1_i64)), "{3:map<10,12>[i64(7)=>{1:i64(1)}]}");
    assert_eq!(set(&[0], "colors[BLUE]", Change::from(1_i32)), "{9:map<8,8>[i32(2)=>i32(1)]}");
    assert_eq!(set(&[0], "yes[true]", Change::from("x")), r#"{12:map<2,11>[bool(1)=>"x"]}"#);
    assert_eq!(set(&[0], "at[1.5]", Change::from("x")), r#"{13:map<4,11>[dbl(1.5)=>"x"]}"#);
    let two = shop.bytes(&Value::structure([("tags", Value::map([("a", "x")])), ("far", Value::from("f"))]));
    assert_eq!(set(&two, r#"tags["b"]"#, Change::from("y")), r#"{2:map<11,11>["a"=>"x", "b"=>"y"], 300:"f"}"#);

    let path = Path::untyped(r#"6["user"]"#).unwrap();
    assert_eq!(dump(&path.set(&[0], &Change::from("x")).unwrap()), r#"{6:map<11,11>["user"=>"x"]}"#);
    let error = Path::untyped("6[7]").unwrap().set(&[0], &Change::from("x")).unwrap_err();
    assert!(error.to_string().contains("there are 0 elements"), "{error}");
}

#[test]
fn values_are_taken_out() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let read = |bytes: &[u8]| shop.codec.read(&shop.d, shop.order, bytes).unwrap();
    let unset = |path: &str| read(&shop.path(path).set(&bytes, &Change::unset()).unwrap());
    let whole = read(&bytes);

    let mut expected = whole.clone();
    expected.remove("small");
    assert_eq!(unset("small"), expected);

    let mut expected = whole.clone();
    expected.insert("items", Value::list([item(5), item(8), item(11)]));
    assert_eq!(unset("items[1]"), expected);

    let mut expected = whole.clone();
    expected.insert("tags", Value::map([("b", "y")]));
    assert_eq!(unset(r#"tags["a"]"#), expected);

    for missing in ["items[9]", r#"tags["zz"]"#, "items[0].name"] {
        assert_eq!(unset(missing), whole);
    }
    let nothing = shop.path("inner.item").set(&[0], &Change::unset()).unwrap();
    assert_eq!(nothing, [0]);
}

#[test]
fn many_are_changed_in_one_pass() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let paths = ["small", "items[1]", "items[3].price", r#"tags["b"]"#, r#"tags["c"]"#, "far", "inner.item.name"];
    let changes = [
        Change::unset(),
        Change::unset(),
        Change::from(12_i64),
        Change::unset(),
        Change::from("new"),
        Change::from("x"),
        Change::from("thing"),
    ];
    let many = Paths::new(&paths.map(|path| shop.path(path))).set(&bytes, &changes).unwrap();
    // One after the other, the last first, so that places stay what they are.
    let one_by_one = paths
        .iter()
        .zip(&changes)
        .rev()
        .fold(bytes, |bytes, (path, change)| shop.path(path).set(&bytes, change).unwrap());
    assert_eq!(dump(&many), dump(&one_by_one));
}

#[test]
fn a_change_that_makes_no_sense_is_refused() {
    let shop = Shop::new();
    let bytes = shop.sample();
    let error = |path: &str, change: Change<'_>| shop.path(path).set(&bytes, &change).unwrap_err().to_string();
    assert_eq!(error("small", Change::from(1_i64)), "small: expected i16, got i64");
    assert_eq!(error("items[0].name", Change::from(1_i64)), "items[0].name: expected string, got i64");
    assert_eq!(error("items[9].price", Change::from(1_i64)).split(" (").next(), Some("items[9]: there are 4 elements"));
    assert_eq!(error("items[0].count", Change::unset()), "items[0].count: a required field can't be unset");
    assert_eq!(error("", Change::unset()), "the whole value can't be unset");

    let paths = |texts: &[&str]| Paths::new(&texts.iter().map(|text| shop.path(text)).collect::<Vec<_>>());
    for texts in [["small", "small"], ["inner", "inner.text"], ["inner.text", "inner"]] {
        assert!(paths(&texts).set(&bytes, &[Change::unset(), Change::unset()]).is_err(), "{texts:?}");
    }
    assert!(paths(&["small"]).set(&bytes, &[]).is_err());

    assert!(Change::raw(TType::STRUCT, &b"\0\0"[..]).is_err());
    assert!(Change::raw(TType::STRUCT, &b""[..]).is_err());
    assert!(Change::raw(TType::I32, &b"\0\0\0\x01"[..]).is_ok());
    let small = shop.path("small");
    assert!(Change::integer(&small, 40_000).is_err());
    assert_eq!(dump(&small.set(&[0], &Change::integer(&small, -4).unwrap()).unwrap()), "{5:i16(-4)}");
}

#[test]
fn bytes_that_are_no_value_are_an_error() {
    let shop = Shop::new();
    let bytes = shop.sample();
    for path in ["small", "items[3].price", r#"tags["b"]"#, "far", ""] {
        let path = shop.path(path);
        for len in 0..bytes.len() {
            assert!(path.get(&bytes[..len]).is_err(), "{path} in {len} bytes");
            assert!(path.set(&bytes[..len], &Change::unset()).is_err());
        }
        let more = [&bytes[..], b"\0"].concat();
        assert_eq!(path.get(&more).unwrap_err().kind(), &ErrorKind::Trailing(1));
    }
    let wrong = b"\x08\0\x05\0\0\0\x01\0";
    let error = shop.path("small").get(wrong).unwrap_err();
    assert_eq!(error.to_string(), "small: expected i16, got i32 (at byte 3)");
    let claim = b"\x0f\0\x01\x0c\x7f\xff\xff\xff\0";
    assert!(matches!(
        shop.path("items[2000000000].price").get(claim).unwrap_err().kind(),
        ErrorKind::Thrift(DecodeError::Truncated { .. })
    ));
    let deep = [b"\x0c\0\x4d".repeat(100), vec![0; 101]].concat();
    assert!(matches!(
        shop.path("small").get(&deep).unwrap_err().kind(),
        ErrorKind::Thrift(DecodeError::TooDeep { .. })
    ));
}

#[test]
fn an_error_behind_skipped_elements_says_where() {
    let shop = Shop::new();
    let mut bytes = shop.bytes(&Value::structure([("items", Value::list([item(1), item(2)]))]));
    // The type of the first field of the second item.
    let second = shop.path("items[1]").get(&bytes).unwrap().unwrap().offset();
    bytes[second] = 99;
    let error = shop.path("items[5].price").get(&bytes).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Thrift(DecodeError::UnknownType { offset, actual: 99, .. }) if *offset == second
        ),
        "{error:?}"
    );
}
