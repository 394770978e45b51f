//! A gateway's work for the Medium payload (generic-call 8.1): its fields from all parts of a request, and its result as
//! a response; beside it, what the conversion of the same JSON costs alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thrift_generic::descriptor::Builder;
use thrift_generic::http::{HttpCodec, Params, Request, Router};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile};

const SIMPLE: &str = "struct Simple {
    1: byte ByteField, 2: i64 I64Field, 3: double DoubleField, 4: i32 I32Field, 5: string StringField,
    6: binary BinaryField
}";

/// `Nesting`, its first, third, fourth, fifth and thirteenth field with these annotations.
fn nesting([string, double, i32, list_i32, list_i64]: [&str; 5]) -> String {
    format!(
        "{SIMPLE}
        struct Nesting {{
            1: string String {string}, 2: list<Simple> ListSimple, 3: double Double {double}, 4: i32 I32 {i32},
            5: list<i32> ListI32 {list_i32}, 6: i64 I64, 7: map<string, string> MapStringString,
            8: Simple SimpleStruct, 9: map<i32, i64> MapI32I64, 10: list<string> ListString, 11: binary Binary,
            12: map<i64, string> MapI64String, 13: list<i64> ListI64 {list_i64}, 14: byte Byte,
            15: map<string, Simple> MapStringSimple
        }}
        service S {{ Nesting Nesting(1: Nesting req) (api.post = '/nesting/:double') }}"
    )
}

fn build(idl: &str, profile: Profile) -> Descriptor {
    Builder::new().profile(profile).build(&Idl::from_text(idl).unwrap()).unwrap()
}

const TEXT: &str = r#""你好,\b\n\r\t世界你好,\b\n\r\t世界""#;
/// The bytes 0 to 15, twice.
const BASE64: &str = r#""AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=""#;

fn simple() -> String {
    format!(
        r#"{{"ByteField":127,"I64Field":9223372036854775807,"DoubleField":1.7976931348623157e308,"I32Field":2147483647,"StringField":{TEXT},"BinaryField":{BASE64}}}"#
    )
}

/// Sixteen of something, between these brackets.
fn sixteen(open: char, close: char, one: impl Fn(usize) -> String) -> String {
    let mut text = String::from(open);
    for n in 0..16 {
        write!(text, "{}{}", if n > 0 { "," } else { "" }, one(n)).unwrap();
    }
    text.push(close);
    text
}

/// The members of `Nesting`; `whole`: also those that the HTTP variant has elsewhere.
fn json(whole: bool) -> String {
    let simple = simple();
    let simples = sixteen('[', ']', |_| simple.clone());
    let texts = sixteen('{', '}', |n| format!("\"{n}\":{TEXT}"));
    let numbers = sixteen('{', '}', |n| format!("\"{n}\":-9223372036854775808"));
    let strings = sixteen('[', ']', |_| TEXT.to_owned());
    let by_name = sixteen('{', '}', |n| format!("\"{n}\":{simple}"));
    let i32s = sixteen('[', ']', |_| "-2147483648".to_owned());
    let i64s = sixteen('[', ']', |_| "-9223372036854775808".to_owned());
    let elsewhere = if whole {
        format!(r#""String":{TEXT},"Double":1.7976931348623157e308,"ListI32":{i32s},"ListI64":{i64s},"#)
    } else {
        String::new()
    };
    format!(
        r#"{{{elsewhere}"ListSimple":{simples},"I32":2147483647,"I64":9223372036854775807,"MapStringString":{texts},"SimpleStruct":{simple},"MapI32I64":{numbers},"ListString":{strings},"Binary":{BASE64},"MapI64String":{texts},"Byte":127,"MapStringSimple":{by_name}}}"#
    )
}

fn head() -> http::request::Parts {
    let i32s = sixteen('=', '&', |_| "-2147483648".to_owned());
    let i64s = sixteen('=', ';', |_| "-9223372036854775808".to_owned());
    let request = http::Request::post(format!("/nesting/1.7976931348623157e308?ListI32{i32s}a=b"))
        .header("String", "nihao-nihao-nihao-nihao-nihao-niha")
        .header("Cookie", format!("ListI64{i64s} a=b"))
        .header("Content-Type", "application/json");
    request.body(()).unwrap().into_parts().0
}

fn benches(c: &mut Criterion) {
    let annotated = nesting([
        "(api.header = 'String')",
        "(api.path = 'double')",
        "(api.body = 'I32')",
        "(api.query = 'ListI32')",
        "(api.cookie = 'ListI64')",
    ]);
    let plain = nesting([""; 5]);
    let (body, whole, parts) = (json(false), json(true), head());
    let mut out = Vec::new();
    for profile in [Profile::Default, Profile::Dynamic] {
        let name = |what: &str| format!("{what} {}", if profile == Profile::Default { "default" } else { "dynamic" });
        let mut options = Options::http(profile);
        options.base64 = true;
        let mut group = c.benchmark_group("medium");
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        let d = build(&annotated, profile);
        let f = d.function("Nesting").unwrap();
        let codec = HttpCodec::new(options.clone());
        let router = {
            let mut router = Router::builder();
            router.add(&d).unwrap();
            router.build()
        };
        group.bench_function(name("request"), |b| {
            b.iter(|| {
                out.clear();
                let found = router.find(parts.method.as_str(), parts.uri.path()).unwrap();
                let request = Request::new(&parts, body.as_bytes(), found.params);
                codec.encode_request(&d, f, &request, None, &mut out).unwrap();
                black_box(out.len())
            });
        });
        let plain = build(&plain, profile);
        let json_codec = JsonCodec::new(options.clone());
        let g = plain.function("Nesting").unwrap();
        group.bench_function(name("json alone"), |b| {
            b.iter(|| {
                out.clear();
                json_codec.encode_request(&plain, g, Some(body.as_bytes()), None, &mut out).unwrap();
                black_box(out.len())
            });
        });
        group.bench_function(name("plain request"), |b| {
            let parts = http::Request::post("/nesting/x").body(()).unwrap().into_parts().0;
            b.iter(|| {
                out.clear();
                let request = Request::new(&parts, body.as_bytes(), Params::default());
                codec.encode_request(&plain, g, &request, None, &mut out).unwrap();
                black_box(out.len())
            });
        });

        // The result is the argument, but for the id of the field around it.
        let mut result = Vec::new();
        json_codec.encode_request(&plain, g, Some(whole.as_bytes()), None, &mut result).unwrap();
        result.splice(1..3, [0, 0]);
        group.bench_function(name("response"), |b| {
            b.iter(|| {
                let Outcome::Value(response) = codec.decode_raw_response(&plain, g, &result).unwrap() else {
                    panic!("no value")
                };
                black_box(response.into_http().unwrap().into_body().len())
            });
        });
        group.bench_function(name("response json alone"), |b| {
            b.iter(|| {
                out.clear();
                json_codec.decode_response(&plain, g, &result, &mut out).unwrap();
                black_box(out.len())
            });
        });
        group.finish();
    }

    let mut group = c.benchmark_group("route");
    let d = build(&annotated, Profile::Default);
    let mut router = Router::builder();
    router.add(&d).unwrap();
    let router = router.build();
    group.bench_function("one parameter", |b| b.iter(|| black_box(router.find("POST", black_box("/nesting/1.5")))));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
