//! Rows H-01 to H-35 of generic-call 7.9: HTTP requests as arguments, results as HTTP responses.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests fail by panics"
)]

mod support {
    pub(crate) mod dump;
}

use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::request::Parts;
use serde_json::{Map, Value as Json, json};
use support::dump::{canonical, dump_argument};
use thrift_generic::base::Base;
use thrift_generic::descriptor::{Builder, Field, Handler, HttpMapping, Mapped, Registry, ValueMapping};
use thrift_generic::http::{HttpCodec, Params, Request, Response, Router};
use thrift_generic::idl::Idl;
use thrift_generic::{Descriptor, Error, ErrorKind, Options, Outcome, Profile, Value};

/// A service of `tests/fixtures`, as a profile sees it.
fn fixture(name: &str, profile: Profile) -> Descriptor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.thrift"));
    let idl = Idl::from_file(path, &[]).unwrap();
    Builder::new().profile(profile).build(&idl).unwrap()
}

fn parts(method: &str, url: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// What a request to a descriptor's own routes is encoded to.
fn encode(d: &Descriptor, options: Options, parts: &Parts, body: &[u8], base: Option<&Base>) -> Result<Vec<u8>, Error> {
    let mut router = Router::builder();
    router.add(d).unwrap();
    let found = router.build().find(parts.method.as_str(), parts.uri.path()).unwrap();
    let request = Request::new(parts, body, found.params);
    let mut out = b"before".to_vec();
    let result = HttpCodec::new(options).encode_request(d, &d.functions()[found.function], &request, base, &mut out);
    assert!(out.starts_with(b"before"));
    result.inspect_err(|_| assert_eq!(out, b"before", "nothing is left where it fails"))?;
    Ok(out.split_off(6))
}

/// Plays the rows with this id, of which there must be some.
fn rows(id: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows/http.json");
    let rows: Vec<Json> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row["id"] == id).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let label = format!("{id} {} ({})", row["case"], row["profile"]);
        let profile = if row["profile"] == "dynamic" { Profile::Dynamic } else { Profile::Default };
        let d = fixture(row["fixture"].as_str().unwrap(), profile);
        let options = options(&row["options"], profile);
        match row["op"].as_str().unwrap() {
            "http_write" => write_row(&label, &d, options, row),
            "http_read" => read_row(&label, &d, options, row),
            op => panic!("{label}: {op}"),
        }
    }
}

fn options(row: &Json, profile: Profile) -> Options {
    let mut options = Options::http(profile);
    for (name, value) in row.as_object().unwrap_or(&Map::new()) {
        let place = match name.as_str() {
            "base64" => &mut options.base64,
            "raw_response_body" => &mut options.raw_response_body,
            "json_headers" => &mut options.json_headers,
            "write_required" => &mut options.write_required,
            _ => panic!("option {name}"),
        };
        *place = value.as_bool().unwrap();
    }
    options
}

fn write_row(label: &str, d: &Descriptor, options: Options, row: &Json) {
    let input = &row["in"];
    let mut headers: Vec<(&str, String)> = pairs(&input["headers"]);
    let cookies: Vec<_> = pairs(&input["cookies"]).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        headers.push(("cookie", cookies.join("; ")));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // As Go's client sees it, which the rows are played with, too: with an origin.
    let url = format!("http://gateway.test{}", input["url"].as_str().unwrap());
    let parts = parts(input["method"].as_str().unwrap(), &url, &headers);
    let body = input["body"].as_str().unwrap_or_default();
    let result = encode(d, options, &parts, body.as_bytes(), None);
    let expect = &row["expect"];
    match (&result, expect["dump"].as_str(), expect["error"].as_str()) {
        (Ok(bytes), Some(dump), _) => assert_eq!(dump_argument(bytes), canonical(dump), "{label}"),
        (Err(error), _, Some(text)) => assert!(error.to_string().contains(text), "{label}: {error}"),
        _ => panic!("{label}: {:?}", result.map(|bytes| dump_argument(&bytes))),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn pairs(object: &Json) -> Vec<(&str, String)> {
    let object = object.as_object();
    object.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap().to_owned())).collect()
}

fn read_row(label: &str, d: &Descriptor, options: Options, row: &Json) {
    let bytes = unhex(row["in"]["hex"].as_str().unwrap());
    let f = d.function(row["method"].as_str().unwrap()).unwrap();
    let expect = &row["expect"];
    let codec = HttpCodec::new(options);
    let outcome = codec.decode_response(d, f, &bytes);
    if let Some(text) = expect["error"].as_str() {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(text), "{label}: {error}");
        return;
    }
    let outcome = outcome.unwrap_or_else(|error| panic!("{label}: {error}"));
    // Body as text only: the same, whoever made it.
    let raw = codec.decode_raw_response(d, f, &bytes).unwrap_or_else(|error| panic!("{label}: {error}"));
    let (response, raw) = match (outcome, raw) {
        (Outcome::Void, Outcome::Void) => return assert_eq!(expect["outcome"], "void", "{label}"),
        (Outcome::Empty, Outcome::Empty) => return assert_eq!(expect["outcome"], "empty", "{label}"),
        (Outcome::Value(response), Outcome::Value(raw)) => {
            assert!(expect["outcome"].is_null(), "{label}");
            (response, raw)
        }
        (Outcome::Exception { id, value }, Outcome::Exception { id: other, value: raw }) => {
            assert_eq!(expect["outcome"], "exception", "{label}");
            assert_eq!(id, other);
            assert_eq!(body(&value), expect["json"], "{label}");
            (value, raw)
        }
        outcomes => panic!("{label}: {outcomes:?}"),
    };
    assert!(raw.body().is_empty(), "{label}");
    assert_eq!((raw.status(), raw.headers()), (response.status(), response.headers()), "{label}");
    if !response.body().is_empty() {
        assert_eq!(text(&raw), body(&response), "{label}");
    }
    if let Some(status) = expect["status"].as_i64() {
        assert_eq!(i64::from(response.status()), status, "{label}");
    }
    if expect["headers"].is_object() {
        let mut expected: Vec<_> =
            pairs(&expect["headers"]).into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let headers = response.headers().iter();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        expected.sort();
        headers.sort();
        assert_eq!(headers, expected, "{label}");
    }
    if !expect["body"].is_null() {
        assert_eq!(body(&response), expect["body"], "{label}");
    }
    if !expect["raw_body"].is_null() {
        assert_eq!(text(&response), expect["raw_body"], "{label}");
    }
}

/// The members of a response's body.
fn body(response: &Response) -> Json {
    Json::Object(response.body().iter().map(|(name, value)| (name.to_string(), to_json(value))).collect())
}

fn text(response: &Response) -> Json {
    serde_json::from_slice(response.raw_body()).unwrap()
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Void => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::String(value) => json!(value),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Struct(members) => members.iter().map(|(name, value)| (name.to_string(), to_json(value))).collect(),
        value => json!(value.as_i64().unwrap()),
    }
}

macro_rules! row_tests {
    ($($name:ident = $id:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            rows($id);
        }
    )*};
}

row_tests! {
    h_01_fields_come_from_all_parts_of_a_request = "H-01",
    h_02_fields_go_to_all_parts_of_a_response = "H-02",
    h_04_scalars_in_headers = "H-04",
    h_05_maps_and_structs_in_headers = "H-05",
    h_06_both_profiles_give_the_same_response = "H-06",
    h_07_binary_is_text = "H-07",
    h_08_binary_may_be_base64 = "H-08",
    h_09_a_raw_body_beside_the_members = "H-09",
    h_10_a_raw_body_only = "H-10",
    h_11_an_exception_is_a_response = "H-11",
    h_12_js_conv_takes_text = "H-12",
    h_15_text_is_converted = "H-15",
    h_16_empty_text_is_nothing = "H-16",
    h_17_lists_are_split_at_commas = "H-17",
    h_18_lists_in_json = "H-18",
    h_19_sets = "H-19",
    h_20_words_for_bools = "H-20",
    h_21_the_first_of_several = "H-21",
    h_22_nothing_is_trimmed = "H-22",
    h_23_the_raw_body = "H-23",
    h_24_several_places_for_a_field = "H-24",
    h_25_the_body_as_a_last_resort = "H-25",
    h_26_the_head_where_there_is_no_body = "H-26",
    h_27_members_of_the_body = "H-27",
    h_28_doubles_are_no_integers = "H-28",
    h_29_malformed_bodies = "H-29",
    h_30_missing_fields = "H-30",
    h_31_members_of_a_response = "H-31",
    h_32_required_fields_of_a_response = "H-32",
    h_33_results_that_are_no_structs = "H-33",
    h_35_step_into = "H-35",
}

#[test]
fn h_03_no_route() {
    let mut router = Router::builder();
    router.add(&fixture("biz", Profile::Default)).unwrap();
    let error = router.build().find("GET", "/xxx").unwrap_err();
    let expected = "internal exception: non-existent method, service: BizService, method: ";
    assert_eq!(error.kitex_call_error("BizService"), expected);
    assert_eq!(error.to_string(), "function lookup failed, path=/xxx");
    assert_eq!((&*error.method, &*error.path), ("GET", "/xxx"));
}

#[test]
fn h_06_a_call_there_and_back_is_the_same_in_both_profiles() {
    let body = br#"{"msg":"hello","got_base64":true,"num":"7"}"#;
    let mut seen = Vec::new();
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = fixture("binary_echo", profile);
        let f = d.function("BinaryEcho").unwrap();
        let parts = parts("GET", "/BinaryEcho?str=x", &[]);
        let arguments = encode(&d, Options::http(profile), &parts, body, None).unwrap();
        // The argument's struct is the result's: only the id of the field around it differs.
        let mut result = arguments.clone();
        result[2] = 0;
        let mut options = Options::http(profile);
        options.raw_response_body = true;
        let Outcome::Value(response) = HttpCodec::new(options).decode_response(&d, f, &result).unwrap() else {
            panic!("no value")
        };
        let response = response.into_http().unwrap();
        let json: Json = serde_json::from_slice(response.body()).unwrap();
        seen.push((response.status(), response.headers().clone(), json["msg"].clone(), json["num"].clone()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].3, "7");
}

#[test]
fn h_11_the_outcome_says_which_exception_it_was() {
    let d = fixture("biz", Profile::Default);
    let f = d.function("BizMethod1").unwrap();
    let codec = HttpCodec::default();
    let which = |hex: &str| match codec.decode_response(&d, f, &unhex(hex)).unwrap() {
        Outcome::Exception { id, value } => (id, value.status(), value.headers().clone(), body(&value)),
        outcome => panic!("{outcome:?}"),
    };
    // { 1: { 1: i32(400), 3: i32(418), 4: "tea" } }: status and header come from the exception's own annotations.
    let (id, status, headers, members) = which("0c0001080001000001900800030000 01a20b00040000000374656100 00");
    assert_eq!((id, status, members), (1, 418, json!({"code": 400})));
    assert_eq!(headers["hint"], "tea");
    let (id, _, _, members) = which("0c00020b0001000000026e6f00 00");
    assert_eq!((id, members), (2, json!({"why": "no"})));
    // A result beside it does not count, wherever it stands.
    for hex in ["0c000000 0c00020b0001000000026e6f00 00", "0c00020b0001000000026e6f00 0c000000 00"] {
        assert_eq!(which(hex).0, 2);
    }
}

#[test]
fn h_13_accessors() {
    let headers = [
        ("Host", "a.test:80"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Cookie", "a=1; b=\"quoted\"; c=x=y"),
        ("Cookie", "a=2; bad=\x7f"),
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
    ];
    let parts = parts("PUT", "/p%20q/x?k=a+b%26&k=2&empty=&%E4%BD%A0=%E5%A5%BD&novalue", &headers[..4]);
    let params = Params::from_iter([("id", "7"), ("id", "8")]);
    let request = Request::new(&parts, b"{\"s\":1}", params);
    assert_eq!((request.method(), &*request.path(), &*request.host()), ("PUT", "/p q/x", "a.test:80"));
    assert_eq!(request.uri(), "/p%20q/x?k=a+b%26&k=2&empty=&%E4%BD%A0=%E5%A5%BD&novalue");
    assert_eq!(request.header("x-TWO").as_deref(), Some("1"));
    assert_eq!(request.header("none"), None);
    assert_eq!(request.header("no header has this name"), None);
    assert_eq!(request.query("k").as_deref(), Some("a b&"));
    assert_eq!(request.query("empty").as_deref(), Some(""));
    assert_eq!(request.query("novalue").as_deref(), Some(""));
    assert_eq!(request.query("你").as_deref(), Some("好"));
    assert_eq!(request.query("none"), None);
    assert_eq!(request.param("id").as_deref(), Some("7"));
    assert_eq!(request.param("none"), None);
    assert_eq!(request.cookie("a").as_deref(), Some("1"));
    assert_eq!(request.cookie("b").as_deref(), Some("quoted"));
    assert_eq!(request.cookie("c").as_deref(), Some("x=y"));
    assert_eq!(request.body(), b"{\"s\":1}");
    assert_eq!(request.member("s").unwrap(), Some(Value::Number("1".into())));
    assert_eq!(request.member("t").unwrap(), None);
    assert!(!request.is_form());
    assert_eq!(request.form("s"), None);
}

#[test]
fn h_13_forms_and_nothing_at_all() {
    let form = parts("POST", "http://b.test/", &[("content-type", "Application/X-WWW-form-urlencoded ;x=y")]);
    let request = Request::new(&form, b"a=1&b=%41+%&b=2&a=3", Params::default());
    assert!(request.is_form());
    assert_eq!(request.host(), "b.test");
    assert_eq!(request.form("a").as_deref(), Some("1"));
    // A pair with a broken escape does not count.
    assert_eq!(request.form("b").as_deref(), Some("2"));
    assert_eq!(request.member("a").unwrap(), None);

    // The URI of a request that has none is `/`.
    let nothing = http::Request::new(()).into_parts().0;
    let request = Request::new(&nothing, b"", Params::default());
    assert_eq!((request.query("a"), request.cookie("a"), &*request.host(), &*request.path()), (None, None, "", "/"));
    // Of several cookies with one name the last one counts, in whatever line.
    let two = parts("GET", "/", &[("cookie", "a=1; a=2"), ("cookie", "a=3; b=\u{80}")]);
    let request = Request::new(&two, b"", Params::default());
    assert_eq!(request.cookie("a").as_deref(), Some("3"));
    assert_eq!(request.cookie("b"), None);
}

#[test]
fn h_14_a_body_that_ends_too_early_is_an_error_with_its_place() {
    let d = fixture("http_fields", Profile::Default);
    let parts = parts("POST", "/fields/1", &[]);
    let whole = br#"{"n": 1, "items": [{"text": "a\n"}], "m": {"k": 2}, "d": 1.5, "b": true}"#;
    for profile in [Profile::Default, Profile::Dynamic] {
        assert!(encode(&d, Options::http(profile), &parts, whole, None).is_ok());
        for len in 1..whole.len() {
            let error = encode(&d, Options::http(profile), &parts, &whole[..len], None).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Syntax { .. }), "{error}");
            assert!(error.offset().is_some_and(|offset| offset <= len), "{error}");
        }
    }
}

#[test]
fn h_15_errors_say_where() {
    let d = fixture("http_fields", Profile::Default);
    let error = |url: &str, body: &str| {
        encode(&d, Options::http(Profile::Default), &parts("POST", url, &[]), body.as_bytes(), None).unwrap_err()
    };
    assert_eq!(error("/fields/1?q=abc", "").to_string(), "req.q: need I64 type, but got: STRING");
    let error = error("/fields/1", r#"{"items": [{"id": 1}, {"id": "2"}]}"#);
    assert_eq!(error.path().to_string(), "req.items[1].id");
    assert!(error.offset().is_some(), "{error}");
}

#[test]
fn h_23_a_raw_body_of_another_content_type_is_no_object() {
    let idl = "struct File { 1: binary data (api.raw_body = ''), 2: string name (api.path = 'name'), 3: i32 n }
               service S { File Put(1: File f) (api.put = '/files/:name') }";
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = Builder::new().profile(profile).build(&Idl::from_text(idl).unwrap()).unwrap();
        let write = |content_type: &str, body: &[u8]| {
            let parts = parts("PUT", "/files/a", &[("content-type", content_type)]);
            encode(&d, Options::http(profile), &parts, body, None).map(|bytes| dump_argument(&bytes))
        };
        let expected = r#"{1:"\x89PNG", 2:"a", 3:i32(0)}"#;
        assert_eq!(write("image/png", b"\x89PNG").unwrap(), expected);
        assert_eq!(
            write("Application/JSON; charset=utf-8", b"{\"n\":5}").unwrap(),
            r#"{1:"{\"n\":5}", 2:"a", 3:i32(5)}"#
        );
        assert!(write("application/problem+json", b"\x89PNG").is_err());
    }
}

#[test]
fn h_31_into_http() {
    let response = |status: i32| {
        let mut response = Response::new();
        response.set_status(status);
        response.set_header("X-H", b"a\r\nb\xff").unwrap();
        response.insert("a", Value::I32(1));
        response.insert("b", Value::from("<"));
        response.insert("a", Value::I32(2));
        response.into_http().unwrap()
    };
    let sent = response(404);
    assert_eq!(sent.status(), 404);
    assert_eq!(sent.headers()["content-type"], "application/json");
    // What no header can have is not sent: it could end the header.
    assert_eq!(sent.headers()["x-h"].as_bytes(), b"a  b\xff");
    assert_eq!(&sent.body()[..], br#"{"a":2,"b":"\u003c"}"#);
    for status in [0, -1, 1, 101, 1000, 70000] {
        assert_eq!(response(status).status(), 200, "{status}");
    }
    let mut raw = Response::new();
    raw.set_header("Content-Type", b"text/plain").unwrap();
    raw.set_raw_body("hello");
    let sent = raw.into_http().unwrap();
    assert_eq!((&sent.body()[..], &sent.headers()["content-type"]), (&b"hello"[..], &"text/plain".parse().unwrap()));
    assert!(Response::new().set_header("no name", b"").is_err());
    let mut nan = Response::new();
    nan.insert("d", Value::Double(f64::NAN));
    assert_eq!(nan.into_http().unwrap_err().path().to_string(), "d");
}

#[test]
fn h_34_patch_and_any_are_routes() {
    let d = fixture("http_fields", Profile::Default);
    for (method, url) in [("PATCH", "/patch"), ("PATCH", "/any"), ("HEAD", "/any"), ("OPTIONS", "/any")] {
        let bytes = encode(&d, Options::http(Profile::Default), &parts(method, url, &[]), b"", None).unwrap();
        assert_eq!(dump_argument(&bytes), r#"{1:""}"#);
    }
}

/// A place in HTTP of our own: several headers, or a struct put together from the whole request.
#[derive(Debug)]
struct Special(Box<str>);

impl HttpMapping for Special {
    fn request(&self, request: &Request<'_>, _field: &Field) -> Result<Mapped, Error> {
        Ok(match &*self.0 {
            "not_body_struct" => Mapped::StepInto,
            "number" => Mapped::Value(Value::Number("12".into())),
            "member" => request.member("deep")?.map_or(Mapped::Missing, Mapped::Value),
            "bad" => return Err(Error::new(ErrorKind::Unsupported("not this one".into()))),
            name => request.header(name).map_or(Mapped::Missing, |text| Mapped::Value(Value::from(&*text))),
        })
    }

    fn response(&self, response: &mut Response, field: &Field, value: Value) -> Result<(), Error> {
        response.set_header(&self.0, value.as_str().unwrap_or("?").as_bytes())?;
        response.insert(&format!("{}!", field.key), value);
        Ok(())
    }
}

/// Doubles what is sent, halves what is received.
#[derive(Debug)]
struct Doubling;

impl ValueMapping for Doubling {
    fn request(&self, value: Value, _field: &Field) -> Result<Value, Error> {
        Ok(match value {
            Value::Null => Value::Null,
            value => Value::I64(value.as_i64().unwrap_or_default() * 2),
        })
    }

    fn response(&self, value: Value, _field: &Field) -> Result<Value, Error> {
        Ok(Value::I64(value.as_i64().unwrap_or_default() / 2))
    }
}

fn own_annotations(profile: Profile) -> Descriptor {
    let idl = "
        struct Part { 1: optional i64 q (api.query = 'q'), 2: optional string h (api.header = 'X-H'), 3: string s }
        struct Loop { 1: optional Loop again (own.source = 'not_body_struct') }
        struct Req {
            1: optional Part part (own.source = 'not_body_struct'),
            2: optional string a (own.source = 'X-A'),
            3: optional i64 n (own.source = 'number'),
            4: optional list<i32> deep (own.source = 'member'),
            5: optional i64 twice (own.double = '', api.query = 'twice'),
            6: optional i64 twice_body (own.double = ''),
            7: optional i32 of_text (own.source = 'X-N'),
            8: optional string bad (own.source = 'X-Bad'),
        }
        service S {
            Req M(1: Req req) (api.post = '/m'),
            Req Endless(1: Loop req) (api.get = '/loop'),
        }";
    let registry = Registry::default()
        .with("own.source", Handler::Http(|name| Arc::new(Special(name.into()))))
        .with("own.double", Handler::Value(|_| Arc::new(Doubling)));
    let idl = Idl::from_text(idl).unwrap();
    Builder::new().profile(profile).registry(registry).build(&idl).unwrap()
}

#[test]
fn h_35_annotations_of_our_own_in_requests() {
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = own_annotations(profile);
        let headers = [("x-h", "hh"), ("x-a", "aa"), ("x-n", "-3")];
        let parts = parts("POST", "/m?q=5&twice=21", &headers);
        let body = br#"{"s": "from the body", "deep": [1, 2], "twice_body": 4}"#;
        let bytes = encode(&d, Options::http(profile), &parts, body, None).unwrap();
        let s = if profile == Profile::Default { "from the body" } else { "" };
        let expected = format!(
            "{{1:{{1:i64(5), 2:\"hh\", 3:\"{s}\"}}, 2:\"aa\", 3:i64(12), 4:list<8>[i32(1), i32(2)], 5:i64(42), \
             6:i64(8), 7:i32(-3)}}"
        );
        assert_eq!(dump_argument(&bytes), expected, "{profile:?}");
    }
}

#[test]
fn h_35_a_struct_that_steps_into_itself_is_an_error() {
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = own_annotations(profile);
        let error = encode(&d, Options::http(profile), &parts("GET", "/loop", &[]), b"", None).unwrap_err();
        assert!(error.to_string().contains("from within itself"), "{error}");
    }
}

#[test]
fn h_35_annotations_of_our_own_in_responses() {
    let d = own_annotations(Profile::Default);
    let f = d.function("M").unwrap();
    // { 0: { 2: "a", 5: i64(42), 6: i64(8) } }
    let hex = "0c0000 0b00020000000161 0a0005000000000000002a 0a00060000000000000008 00 00";
    let codec = HttpCodec::default();
    let Outcome::Value(response) = codec.decode_response(&d, f, &unhex(hex)).unwrap() else { panic!("no value") };
    assert_eq!(response.headers()["x-a"], "a");
    assert_eq!(body(&response), json!({"a!": "a", "twice_body": 4}));
    let Outcome::Value(raw) = codec.decode_raw_response(&d, f, &unhex(hex)).unwrap() else { panic!("no value") };
    assert_eq!(raw.headers()["x-a"], "a");
    assert_eq!(text(&raw), json!({"a!": "a", "twice_body": 4}));
}

#[test]
fn h_35_a_frameworks_base() {
    let mut base = Base::default();
    base.log_id = "1".to_owned();
    base.extra = vec![("a".to_owned(), "1".to_owned()), ("c".to_owned(), "1".to_owned())];
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = fixture("http_fields", profile);
        let dump = |body: &[u8]| {
            let parts = parts("POST", "/based?s=x", &[]);
            dump_argument(&encode(&d, Options::http(profile), &parts, body, Some(&base)).unwrap())
        };
        let none = r#"{1:"x", 255:{1:"1", 2:"", 3:"", 6:map<11,11>["a"=>"1", "c"=>"1"]}}"#;
        assert_eq!(dump(b""), none, "{profile:?}");
        assert_eq!(dump(b"{}"), none, "{profile:?}");
        let both = r#"{1:"x", 255:{1:"1", 2:"", 3:"", 6:map<11,11>["a"=>"1", "b"=>"2", "c"=>"1"]}}"#;
        let body = br#"{"base": {"LogID": "2", "Addr": "2", "Extra": {"a": "2", "b": "2"}}}"#;
        assert_eq!(dump(body), both, "{profile:?}");
    }
}

#[test]
fn an_argument_that_is_no_struct_is_an_error() {
    let d = Descriptor::from_text("service S { string M(1: string s) (api.get = '/m') }").unwrap();
    let error = encode(&d, Options::http(Profile::Default), &parts("GET", "/m", &[]), b"{}", None).unwrap_err();
    assert_eq!(error.to_string(), "s: need STRING type, but got: STRUCT");
}

#[test]
fn deep_bodies_are_errors() {
    for profile in [Profile::Default, Profile::Dynamic] {
        let d = Descriptor::from_text(
            "struct R { 1: optional R r, 2: optional i64 q (api.query = 'q'), 3: optional list<R> l }
             service S { R M(1: R r) (api.post = '/m') }",
        )
        .unwrap();
        let parts = parts("POST", "/m", &[]);
        for (open, close) in [("{\"r\":", "}"), ("{\"l\":[", "]}"), ("{\"unknown\":", "}")] {
            let nested = |depth: usize| open.repeat(depth) + "{}" + &close.repeat(depth);
            assert!(encode(&d, Options::http(profile), &parts, nested(50).as_bytes(), None).is_ok());
            let error = encode(&d, Options::http(profile), &parts, nested(20_000).as_bytes(), None).unwrap_err();
            assert!(error.to_string().contains("depth"), "{error}");
        }
    }
}
