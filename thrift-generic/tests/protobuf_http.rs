//! HTTP requests with Protobuf messages as bodies, to Thrift calls: rows H-36, H-37.
#![cfg(feature = "protobuf")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::path::Path;

use thrift_generic::descriptor::{Builder, Descriptor};
use thrift_generic::http::{Request, Router};
use thrift_generic::idl::Idl;
use thrift_generic::protobuf::{PbDescriptor, PbHttpCodec, PbIdl, PbJsonCodec, PbMessage, PbOptions, PbServices};
use thrift_generic::value::MapCodec;
use thrift_generic::{Error, Options, Outcome, Profile, Value};

struct Bridge {
    thrift: Descriptor,
    pb: PbDescriptor,
    profile: Profile,
}

impl Bridge {
    fn biz(profile: Profile) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let idl = Idl::from_file(fixtures.join("biz.thrift"), &[]).unwrap();
        let pb = PbIdl::from_file(fixtures.join("pb_biz.proto"), &[]).unwrap();
        Self {
            thrift: Builder::new().go_tag(true).build(&idl).unwrap(),
            pb: PbDescriptor::new(&pb, &PbServices::First).unwrap(),
            profile,
        }
    }

    fn of(thrift: &str, pb: &str) -> Self {
        let pb = PbIdl::from_text(&format!("syntax = \"proto3\"; {pb} service S {{ rpc M(M) returns (M); }}")).unwrap();
        Self {
            thrift: Descriptor::from_text(thrift).unwrap(),
            pb: PbDescriptor::new(&pb, &PbServices::First).unwrap(),
            profile: Profile::Default,
        }
    }

    fn message(&self, message: PbMessage, json: &str) -> Vec<u8> {
        let mut out = Vec::new();
        PbJsonCodec::default().encode(&self.pb, message, json.as_bytes(), &mut out).unwrap();
        out
    }

    fn json(&self, message: PbMessage, bytes: &[u8]) -> String {
        let mut strict = PbOptions::default();
        strict.deny_unknown = true;
        let mut out = Vec::new();
        PbJsonCodec::new(strict).decode(&self.pb, message, bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What a Thrift server gets of a request.
    fn request(&self, method: &str, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        let (parts, body) = request.into_parts();
        let mut router = Router::builder();
        router.add(&self.thrift).unwrap();
        let router = router.build();
        let found = router.find(parts.method.as_str(), parts.uri.path()).unwrap();
        let function = &self.thrift.functions()[found.function];
        assert_eq!(&*function.name, method);
        let mut out = Vec::new();
        let request = Request::new(&parts, &body, found.params);
        PbHttpCodec::new(Options::http(self.profile)).encode_request(
            &self.thrift,
            function,
            &self.pb,
            request,
            None,
            &mut out,
        )?;
        MapCodec::new(Options::map()).decode_request(&self.thrift, function, &out)
    }

    /// What a caller gets of a server's result.
    fn response(
        &self,
        method: &str,
        outcome: &Outcome<&Value>,
    ) -> Result<Outcome<thrift_generic::http::Response>, Error> {
        let function = self.thrift.function(method).unwrap();
        let mut result = Vec::new();
        MapCodec::new(Options::map()).encode_response(&self.thrift, function, outcome, &mut result).unwrap();
        PbHttpCodec::new(Options::http(self.profile)).decode_response(&self.thrift, function, &self.pb, &result)
    }
}

fn get(uri: &str, body: Vec<u8>) -> http::Request<Vec<u8>> {
    let request = http::Request::get(uri).header("token", "1").header("content-type", "application/x-protobuf");
    request.body(body).unwrap()
}

#[test]
fn h_36_a_protobuf_body_fills_fields_by_number_and_the_head_the_rest() {
    for profile in [Profile::Default, Profile::Dynamic] {
        let bridge = Bridge::biz(profile);
        let input = bridge.pb.function("BizMethod1").unwrap().input;
        let body = bridge.message(
            input,
            r#"{"text":"text","some":{"id":1,"text":"some"},"reqItemsMap":{"1":{"id":1},"-2":{"text":"b"}}}"#,
        );
        let uri = "/life/client/7/8?v_int64=1&req_items=item1,item2,item3&cids=1,2,3&vids=1,2,3";
        let got = bridge.request("BizMethod1", get(uri, body)).unwrap();
        let item = |id: Option<i64>, text: Option<&str>| {
            let id = id.map(|id| ("MyID", Value::from(id.to_string())));
            Value::structure(id.into_iter().chain(text.map(|text| ("text", Value::from(text)))))
        };
        let expected = Value::structure([
            ("v_int64", Value::from(1_i64)),
            ("text", Value::from("text")),
            ("token", Value::from(1_i32)),
            ("req_items_map", Value::map([(-2_i64, item(None, Some("b"))), (1, item(Some(1), None))])),
            ("some", item(Some(1), Some("some"))),
            ("req_items", Value::list(["item1", "item2", "item3"])),
            ("api_version", Value::from(7_i32)),
            ("uid", Value::from(8_i64)),
            ("cids", Value::list([1_i64, 2, 3])),
            ("vids", Value::list(["1", "2", "3"])),
        ]);
        for (name, value) in expected.as_struct().unwrap() {
            assert_eq!(got.get(name), Some(value), "{name}, {profile:?}");
        }
        assert_eq!(got.as_struct().unwrap().len(), 10);
    }
}

#[test]
fn h_36_a_result_is_a_message_and_its_head_the_rest() {
    let bridge = Bridge::biz(Profile::Default);
    let rsp = |id: i64, text: &str| Value::structure([("item_id", Value::from(id)), ("text", Value::from(text))]);
    let result = Value::structure([
        ("T", Value::from("1")),
        ("rsp_items", Value::map([(1_i64, rsp(1, "1")), (-5, rsp(0, ""))])),
        ("v_enum", Value::from(0_i32)),
        ("rsp_item_list", Value::list([rsp(1, "1"), rsp(2, "2")])),
        ("http_code", Value::from(418_i32)),
        ("item_count", Value::list([1_i64, 2, 3])),
    ]);
    let outcome = bridge.response("BizMethod1", &Outcome::Value(&result)).unwrap();
    let Outcome::Value(response) = outcome else { panic!("{outcome:?}") };
    let output = bridge.pb.function("BizMethod1").unwrap().output;
    assert_eq!(
        bridge.json(output, response.raw_body()),
        r#"{"rspItems":{"-5":{},"1":{"itemId":1,"text":"1"}},"rspItemList":[{"itemId":1,"text":"1"},{"itemId":2,"text":"2"}]}"#
    );
    let response = response.into_http().unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["content-type"], "application/x-protobuf");
    assert_eq!(response.headers()["t"], "1");
    assert_eq!(response.headers()["item_count"], "1,2,3");
    let outcome = bridge.response("BizMethod1", &Outcome::Empty).unwrap();
    assert!(matches!(outcome, Outcome::Empty));
    let error = bridge.response("BizMethod3", &Outcome::Value(&result)).unwrap_err();
    assert_eq!(error.to_string(), "missing method: BizMethod3 in service: BizService");
}

const ECHO: &str = "
    enum TestEnum { Zero = 0, First = 1 }
    struct Elem { 1: bool ok, 2: optional Elem deeper }
    struct Message {
        1: i8 tiny, 2: i64 large, 3: TestEnum tenum, 4: string str, 5: map<string, Elem> elems, 6: list<Elem> els,
        7: binary raw, 8: double ratio, 9: set<i16> few, 10: map<bool, i32> flags, 11: i32 only_here,
    }
    service S { Message M(1: Message req) (api.post = '/echo') }";

const ECHO_PB: &str = "
    enum TestEnum { Zero = 0; First = 1; }
    message Elem { bool yes = 1; Elem further = 2; }
    message M {
        int32 a = 1; int64 b = 2; TestEnum c = 3; string d = 4; map<string, Elem> e = 5; repeated Elem f = 6;
        bytes g = 7; float h = 8; repeated sint32 i = 9; map<bool, uint32> j = 10; string only_there = 20;
    }";

#[test]
fn h_37_nested_messages_are_structs_both_ways() {
    let bridge = Bridge::of(ECHO, ECHO_PB);
    let message = bridge.pb.function("M").unwrap().input;
    let json = concat!(
        r#"{"a":-3,"b":1099511627776,"c":1,"d":"text","#,
        r#""e":{"key1":{"yes":true},"key2":{}},"f":[{"yes":true,"further":{"further":{"yes":true}}}],"#,
        r#""g":"AP+A","h":1.5,"i":[-1,2],"j":{"false":1,"true":2}}"#
    );
    let with_more = json.replace("{\"a\"", "{\"onlyThere\":\"x\",\"a\"");
    let request = http::Request::post("/echo").body(bridge.message(message, &with_more)).unwrap();
    let got = bridge.request("M", request).unwrap();
    assert_eq!(got.get("tiny").unwrap(), &Value::I8(-3));
    assert_eq!(got.get("raw").unwrap().as_bytes(), Some(&b"\0\xff\x80"[..]));
    assert_eq!(got.get("only_here").unwrap(), &Value::I32(0), "missing, and not optional");
    let outcome = bridge.response("M", &Outcome::Value(&got)).unwrap();
    let Outcome::Value(response) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        bridge.json(message, response.raw_body()),
        json,
        "what the struct has and the message has not is left out"
    );
}

#[test]
fn h_37_a_body_that_is_no_message_is_an_error() {
    let bridge = Bridge::of(ECHO, ECHO_PB);
    let message = bridge.pb.function("M").unwrap().input;
    let error =
        |body: Vec<u8>| bridge.request("M", http::Request::post("/echo").body(body).unwrap()).unwrap_err().to_string();
    assert!(error(b"\x0a".to_vec()).starts_with("the body is no message: "));
    assert!(error(b"{\"a\":1}".to_vec()).starts_with("the body is no message: "));
    let too_big = error(bridge.message(message, r#"{"a":300}"#));
    assert!(too_big.contains("tiny"), "{too_big}");
    // An empty body is a message without fields.
    let got = bridge.request("M", http::Request::post("/echo").body(Vec::new()).unwrap()).unwrap();
    assert_eq!(got.get("large"), Some(&Value::I64(0)));
    // Of other types under one number.
    let bridge = Bridge::of(
        "struct M { 1: i32 a, 2: list<string> b, 3: string c } service S { M M(1: M m) (api.post = '/echo') }",
        "message N { int32 x = 1; } message M { string a = 1; N b = 2; uint64 c = 3; }",
    );
    let message = bridge.pb.function("M").unwrap().input;
    for (json, path) in [(r#"{"a":"x"}"#, "a"), (r#"{"b":{}}"#, "b: expected list, got message"), (r#"{"c":1}"#, "c")] {
        let request = http::Request::post("/echo").body(bridge.message(message, json)).unwrap();
        match bridge.request("M", request) {
            Err(error) => assert!(error.to_string().contains(path), "{json}: {error}"),
            // As in a query, a number into text is its digits.
            Ok(got) => assert_eq!((json, got.get("c")), (r#"{"c":1}"#, Some(&Value::from("1")))),
        }
    }
    let result = Value::structure([("a", Value::from(1_i32))]);
    let error = bridge.response("M", &Outcome::Value(&result)).unwrap_err();
    assert_eq!(error.to_string(), "a: expected string, got i32");
}

#[test]
fn what_is_nested_too_deep_is_an_error() {
    let bridge = Bridge::of(ECHO, ECHO_PB);
    let mut elem = Value::structure([("ok", Value::from(true))]);
    for _ in 0..150 {
        elem = Value::structure([("deeper", elem)]);
    }
    let result = Value::structure([("els", Value::list([elem]))]);
    let error = bridge.response("M", &Outcome::Value(&result)).unwrap_err();
    assert!(error.to_string().contains("exceed depth limit: more than 100 levels"), "{error}");
    let body: Vec<u8> = (0..150).fold(Vec::new(), |inner, _| {
        let mut outer = vec![0x12];
        let len = inner.len();
        if len >= 0x80 {
            outer.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
            outer.push(u8::try_from(len >> 7).unwrap());
        } else {
            outer.push(u8::try_from(len).unwrap());
        }
        [outer, inner].concat()
    });
    let len = [u8::try_from(body.len() & 0x7f).unwrap() | 0x80, u8::try_from(body.len() >> 7).unwrap()];
    let body = [&b"\x32"[..], &len, &body].concat();
    assert!(bridge.request("M", http::Request::post("/echo").body(body).unwrap()).is_err());
}
