//! The payloads that dynamicgo and Kitex measure with (generic-call 8.1), as JSON text written the way Go's
//! `encoding/json` does it.

use std::fmt::Write as _;

use thrift_generic::{Descriptor, Options, Profile, descriptor::Function, json::JsonCodec};

/// The IDL of the payloads.
pub(crate) const IDL: &str = include_str!("../../tests/fixtures/baseline.thrift");

/// Six fields, 114 bytes of Thrift, 228 of JSON.
pub(crate) fn small() -> String {
    format!(
        "{{\"ByteField\":127,\"I64Field\":{},\"DoubleField\":{DOUBLE},\"I32Field\":{},\"StringField\":{TEXT},\
         \"BinaryField\":{BINARY}}}",
        i64::MAX,
        i32::MAX
    )
}

/// 284 fields, 6455 bytes of Thrift, 11199 of JSON.
pub(crate) fn medium() -> String {
    let simple = small();
    let mut json = String::new();
    write!(json, "{{\"String\":{TEXT},\"ListSimple\":{},", list(&simple)).unwrap();
    write!(json, "\"Double\":{DOUBLE},\"I32\":{},\"ListI32\":{},", i32::MAX, list(&i32::MIN.to_string())).unwrap();
    write!(json, "\"I64\":{},\"MapStringString\":{},", i64::MAX, map(TEXT)).unwrap();
    write!(json, "\"SimpleStruct\":{simple},\"MapI32I64\":{},", map(&i64::MIN.to_string())).unwrap();
    write!(json, "\"ListString\":{},\"Binary\":{BINARY},\"MapI64String\":{},", list(TEXT), map(TEXT)).unwrap();
    write!(json, "\"ListI64\":{},\"Byte\":127,\"MapStringSimple\":{}}}", list(&i64::MIN.to_string()), map(&simple))
        .unwrap();
    json
}

/// A method of the payloads' service.
pub(crate) fn method<'d>(d: &'d Descriptor, name: &str) -> &'d Function {
    d.function(name).unwrap()
}

/// The argument of that method, in Thrift Binary.
pub(crate) fn thrift(d: &Descriptor, method: &str, json: &str) -> Vec<u8> {
    let mut thrift = Vec::new();
    let codec = JsonCodec::new(Options::json(Profile::Dynamic));
    codec.write(d, d.function(method).unwrap().request, json.as_bytes(), &mut thrift).unwrap();
    thrift
}

/// Checks the sizes, which are those that dynamicgo publishes.
pub(crate) fn check(d: &Descriptor) {
    assert_eq!((small().len(), medium().len()), (228, 11199));
    assert_eq!(thrift(d, "SimpleMethod", &small()).len(), 114);
    assert_eq!(thrift(d, "NestingMethod", &medium()).len(), 6455);
}

/// Nine characters, four of which are escaped, twice.
const TEXT: &str = "\"你好,\\b\\n\\r\\t世界你好,\\b\\n\\r\\t世界\"";
/// The bytes 0 to 15, twice.
const BINARY: &str = "\"AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=\"";
const DOUBLE: &str = "1.7976931348623157e+308";

fn list(element: &str) -> String {
    format!("[{}]", vec![element; 16].join(","))
}

/// Go sorts keys as text, numbers too.
fn map(value: &str) -> String {
    let mut keys: Vec<String> = (0..16).map(|key| key.to_string()).collect();
    keys.sort();
    let entries: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", entries.join(","))
}
