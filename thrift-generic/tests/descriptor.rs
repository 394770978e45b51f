//! What descriptors know about fields and methods (generic-call 1.9, 2, 5.2, 5.8), beyond the rows of 7.2.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panics")]

use std::collections::HashMap;
use std::env;
use std::process::Command;
use std::sync::Arc;

use thrift_generic::descriptor::{
    Annotation, BaseKind, Builder, Descriptor, Field, FieldMapping, Function, Handler, HttpMapping, Mapped, Registry,
    Requiredness, Route, RouteMapping, Source, Type, ValueMapping,
};
use thrift_generic::http::{Request, Response};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Error, Options, Profile, Value};

fn dynamic(text: &str) -> Descriptor {
    Builder::new().profile(Profile::Dynamic).build(&Idl::from_text(text).unwrap()).unwrap()
}

fn default(text: &str) -> Descriptor {
    Descriptor::from_text(text).unwrap()
}

/// A service with one function of this struct.
fn with_fields(fields: &str) -> String {
    format!("struct S {{ {fields} }} service X {{ S M(1: S req) }}")
}

fn fields(d: &Descriptor) -> &[Field] {
    let Type::Struct(id) = d.functions()[0].request else { panic!("no struct") };
    &d.structure(id).fields
}

fn sources(field: &Field) -> Vec<String> {
    field.http.iter().map(|source| format!("{source:?}")).collect()
}

#[test]
fn places_in_http_keep_their_order() {
    let d = default(&with_fields(
        "1: string a (api.query = 'q', api.header = 'h', api.query = 'q2'), 2: string b (api.raw_body = ''),
         3: i32 c (api.http_code = ''), 4: string d (api.none = ''), 5: i32 e (api.path = 'p', api.cookie = 'c'),
         6: i32 f (api.body = 'b'), 7: i32 g, 8: i32 h (api.form = 'f', api.raw_uri = ''), 9: S s (api.no_body_struct = ''),
         10: i32 i (api.vd = '$>0', API.QUERY = 'x')",
    ));
    let expected: [&[&str]; 10] = [
        &["Query(\"q\")", "Query(\"q2\")", "Header(\"h\")"],
        &["RawBody"],
        &["HttpCode"],
        &["None"],
        &["Path(\"p\")", "Cookie(\"c\")"],
        &["Body(\"b\")"],
        &[],
        &["Form(\"f\")", "RawUri"],
        &["StepInto"],
        &[],
    ];
    for (field, expected) in fields(&d).iter().zip(expected) {
        assert_eq!(sources(field), expected, "{}", field.name);
    }
    let hidden: Vec<_> = fields(&d).iter().filter(|field| field.hidden).map(|field| &*field.name).collect();
    assert_eq!(hidden, ["d"]);
}

#[test]
fn the_dynamic_profile_has_annotations_of_its_own() {
    let text = with_fields(
        "1: i32 a (api.key = 'k'), 2: i32 b (API.Query = 'q', Api.Js_Conv = ''), 3: i32 c (dynamicgo.deprecated = ''),
         4: i32 d (go.tag = 'json:\"t\"', api.key = 'k2'), 5: i32 e (GO.TAG = 'json:\",omitempty\"', api.key = '')",
    );
    let keys = |d: &Descriptor| fields(d).iter().map(|field| field.key.to_string()).collect::<Vec<_>>();
    let d = dynamic(&text);
    assert_eq!(keys(&d), ["k", "b", "k2", "e"]);
    assert_eq!(sources(&fields(&d)[1]), ["Query(\"q\")"]);
    assert!(fields(&d)[1].js_conv);
    let d = default(&text);
    assert_eq!(keys(&d), ["a", "b", "c", "t", "e"]);
    assert!(fields(&d)[1].http.is_empty() && !fields(&d)[1].js_conv);
}

#[test]
fn values_of_one_key_are_gathered() {
    let d = default(&with_fields("1: string (x = 'y') a (k = '1', l = '', k = '2'; k = '3')"));
    let annotations =
        [Annotation::new("k", ["1", "2", "3"].map(Box::from).into()), Annotation::new("l", vec!["".into()])];
    assert_eq!(fields(&d)[0].annotations, annotations);
}

#[test]
fn routes_are_the_first_value_of_each_key() {
    let d = default(
        "service S {
            void A(1: string s) (api.post = '/a', api.get = '/b', api.post = '/c')
            void B(1: string s) (api.put = '/d', api.delete = '/e', api.patch = '/f', api.head = '/g')
            void C(1: string s) (api.options = '/h', api.any = '/i', api.category = '/j')
            void D(1: string s)
         }",
    );
    let routes = |name: &str| {
        let routes = d.function(name).unwrap().routes.iter();
        routes.map(|route| format!("{} {}", route.method, route.path)).collect::<Vec<_>>()
    };
    assert_eq!(routes("A"), ["POST /a", "GET /b"]);
    assert_eq!(routes("B"), ["PUT /d", "DELETE /e", "PATCH /f", "HEAD /g"]);
    assert_eq!(routes("C"), ["OPTIONS /h", "* /i"]);
    assert!(routes("D").is_empty());
}

const BASE: &str = "struct Base { 1: string LogID } struct BaseResp { 1: i32 code } typedef Base Other";

fn with_base(main: &str) -> Descriptor {
    let includes = HashMap::from([("base.thrift".to_owned(), BASE.to_owned())]);
    let text = format!("include 'base.thrift' {main}");
    Builder::new().build(&Idl::from_content(&text, &includes).unwrap()).unwrap()
}

#[test]
fn a_base_counts_where_the_argument_itself_has_it() {
    let d = with_base(
        "struct Inner { 1: base.Base base }
         struct Outer { 1: Inner inner }
         struct Other { 1: base.Other base }
         typedef base.Base MyBase
         struct Third { 1: MyBase base }
         struct Resp { 255: base.BaseResp resp }
         typedef Inner Alias
         service S {
            Resp Nested(1: Outer a), Resp Direct(1: Inner a), Resp Typedef(1: Alias a), Resp Other(1: Other a),
            Resp Third(1: Third a), Resp Itself(1: base.Base a), Resp Listed(1: list<Inner> a), Resp Text(1: string a),
            Resp Second(1: string a, 2: Inner b), Resp Answer(1: Resp a)
         }",
    );
    let has: Vec<_> = d.functions().iter().filter(|f| f.has_base).map(|f| &*f.name).collect();
    assert_eq!(has, ["Direct"]);
    let base_of = |function: &str| {
        let Type::Struct(id) = d.function(function).unwrap().request else { panic!() };
        d.structure(id).fields[0].base
    };
    assert_eq!(base_of("Direct"), Some(BaseKind::Base));
    assert_eq!(base_of("Typedef"), Some(BaseKind::Base));
    assert_eq!(base_of("Answer"), Some(BaseKind::BaseResp));
    for function in ["Nested", "Other", "Third", "Itself"] {
        assert_eq!(base_of(function), None, "{function}");
    }
}

#[test]
fn defaults_of_structs_go_by_effective_names() {
    let text = "struct In { 1: i32 a (go.tag = 'json:\"alias\"'), 2: i32 b = 4 }
        struct S { 1: In in = {'a': 1, 'a': 2} }
        service X { S M(1: S s) }";
    let d = default(text);
    assert_eq!(fields(&d)[0].default, Some(Value::structure([("alias", 2)])));
    let d = Builder::new().go_tag(false).build(&Idl::from_text(text).unwrap()).unwrap();
    assert_eq!(fields(&d)[0].default, Some(Value::structure([("a", 2)])));
}

#[test]
fn defaults_fit_their_fields_type() {
    let d = default(
        "enum E { A = 1, B = -1 } typedef E F const F NAMED = F.B const list<string> L = ['x']
         struct S { 1: byte a = 300, 2: byte b = -1, 3: i16 c = 70000, 4: E d = 7, 5: F e = E.A, 6: E f = NAMED,
                    7: i32 g = true, 8: double h = 3, 9: bool i = 2, 10: bool j = -1.5, 11: list<i32> k = {},
                    12: map<string, i32> l = [], 13: map<binary, i32> m = {'k': 1, 'k': 2}, 14: set<string> n = L,
                    15: optional string o }
         service X { S M(1: S s) }",
    );
    let defaults: Vec<_> = fields(&d).iter().map(|field| field.default.clone()).collect();
    let key = Value::Bytes("k".into());
    let expected = [
        Value::I8(44),
        Value::I8(-1),
        Value::I16(4464),
        Value::I32(7),
        Value::I32(1),
        Value::I32(-1),
        Value::I32(1),
        Value::Double(3.0),
        Value::Bool(true),
        Value::Bool(false),
        Value::List(vec![]),
        Value::Map(vec![]),
        Value::Map(vec![(key, Value::I32(2))]),
        Value::list(["x"]),
    ];
    assert_eq!(defaults, expected.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
}

#[test]
fn ids_are_unique_unless_allowed_otherwise() {
    let text = with_fields("1: i32 a, 2: i32 b, 1: i32 c");
    let idl = Idl::from_text(&text).unwrap();
    let error = Builder::new().build(&idl).unwrap_err();
    assert_eq!(error.to_string(), "main.thrift:1:39: field \"c\" of \"S\" has the id 1 of field \"a\"");
    let d = Builder::new().allow_duplicate_ids(true).build(&idl).unwrap();
    let Type::Struct(id) = d.functions()[0].request else { panic!() };
    assert_eq!(&*d.structure(id).fields.by_id(1).unwrap().name, "c");
    for text in [
        "service S { void M(1: i32 a, 1: i32 b) }",
        "exception E {} service S { void M(1: i32 a) throws (2: E a, 2: E b) }",
    ] {
        assert!(Descriptor::from_text(text).unwrap_err().to_string().contains("has the id"), "{text}");
    }
    let error = Descriptor::from_text("exception E {} service S { void M(1: i32 a) throws (0: E e) }").unwrap_err();
    assert!(error.to_string().ends_with("an exception of function M has id 0, which is the result's"), "{error}");
}

#[test]
fn arguments_and_results_are_structs() {
    let d = default(
        "exception E {} exception F {} service S { i32 M(1: required i32 a, 3: optional string b) throws (1: E e, 2: F f) }",
    );
    let f = d.function("M").unwrap();
    let list = |id| {
        let fields = d.structure(id).fields.iter();
        fields.map(|field| (field.id, &*field.name, field.requiredness)).collect::<Vec<_>>()
    };
    assert_eq!(list(f.arguments), [(1, "a", Requiredness::Default), (3, "b", Requiredness::Default)]);
    let optional = Requiredness::Optional;
    assert_eq!(list(f.result), [(0, "", optional), (1, "e", optional), (2, "f", optional)]);
}

#[derive(Debug)]
struct Tagged(Box<str>);

impl HttpMapping for Tagged {
    fn request(&self, _: &Request<'_>, _: &Field) -> Result<Mapped, Error> {
        Ok(Mapped::Value(Value::String(self.0.to_string())))
    }
    fn response(&self, _: &mut Response, _: &Field, _: Value) -> Result<(), Error> {
        Ok(())
    }
}

impl ValueMapping for Tagged {
    fn request(&self, value: Value, _: &Field) -> Result<Value, Error> {
        Ok(value)
    }
    fn response(&self, value: Value, _: &Field) -> Result<Value, Error> {
        Ok(value)
    }
}

impl FieldMapping for Tagged {
    fn apply(&self, field: &mut Field) {
        field.key = format!("{}{}", self.0, field.name).into();
    }
}

impl RouteMapping for Tagged {
    fn route(&self, value: &str, function: &Function) -> Option<Route> {
        (!value.is_empty()).then(|| Route::new(&*self.0, format!("/{}/{value}", function.name)))
    }
}

#[test]
fn annotations_of_the_users_own() {
    let registry = Registry::default()
        .with("x.http", Handler::Http(|value| Arc::new(Tagged(value.into()))))
        .with("x.value", Handler::Value(|value| Arc::new(Tagged(value.into()))))
        .with("x.field", Handler::Field(|value| Arc::new(Tagged(value.into()))))
        .with("x.route", Handler::Route(Arc::new(Tagged("LINK".into()))))
        .with("api.query", Handler::Http(|_| panic!("keys that are built in can't be replaced")));
    let text =
        "struct S { 1: i32 a (x.http = 'h', api.query = 'q'), 2: i32 b (x.value = 'v'), 3: i32 c (x.field = 'f_') }
        service X {
            S M(1: S s) (x.route = '', x.route = 'r', x.route = 's', api.get = '/m')
            S N(1: S s) (x.http = 'nothing for functions')
        }";
    let idl = Idl::from_text(text).unwrap();
    let d = Builder::new().registry(registry).build(&idl).unwrap();
    assert_eq!(sources(&fields(&d)[0]), ["Custom(Tagged(\"h\"))", "Query(\"q\")"]);
    assert!(matches!(fields(&d)[0].http[0], Source::Custom(_)));
    assert_eq!(format!("{:?}", fields(&d)[1].value_mapping), "Some(Tagged(\"v\"))");
    assert_eq!(&*fields(&d)[2].key, "f_c");
    assert_eq!(d.function("M").unwrap().routes, [Route::new("LINK", "/M/r"), Route::new("GET", "/m")]);
    assert!(d.function("N").unwrap().routes.is_empty());
}

/// Only another process can have another environment.
#[test]
fn go_tags_are_turned_off_by_the_environment_or_the_builder() {
    const TEST: &str = "go_tags_are_turned_off_by_the_environment_or_the_builder";
    const VARIABLE: &str = "KITEX_GENERIC_GOTAG_ALIAS_DISABLED";
    let text = with_fields("1: i32 id (go.tag = 'json:\"MyID\"', api.key = 'K')");
    let idl = Idl::from_text(&text).unwrap();
    let key = |builder: Builder| fields(&builder.build(&idl).unwrap())[0].key.to_string();
    if let Ok(value) = env::var(VARIABLE) {
        assert_eq!(key(Builder::new()), if value == "True" { "id" } else { "MyID" });
        assert_eq!(key(Builder::new().go_tag(true)), "MyID");
        return;
    }
    assert_eq!(key(Builder::new()), "MyID");
    assert_eq!(key(Builder::new().go_tag(false)), "id");
    assert_eq!(key(Builder::new().go_tag(false).profile(Profile::Dynamic)), "K");
    for value in ["True", "true"] {
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.args(["--exact", TEST]).env(VARIABLE, value).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn one_idl_makes_descriptors_of_all_its_services() {
    let idl = Idl::from_text(
        "struct A { 1: A a } struct B { 1: i32 b }
         service One { A M(1: A a) } service Two { B M(1: B b) } service Three extends Two { A N(1: B b) }",
    )
    .unwrap();
    let names: Vec<_> = idl.services().collect();
    assert_eq!(names, ["One", "Two", "Three"]);
    let descriptors: Vec<_> = names.iter().map(|name| Builder::new().service(*name).build(&idl).unwrap()).collect();
    // Each has what it reaches: arguments and results, and the structs.
    let structs: Vec<_> = descriptors.iter().map(|d| d.structs().count()).collect();
    assert_eq!(structs, [3, 3, 6]);
}

#[test]
fn descriptors_are_shared_between_threads() {
    fn assert_send_sync<T: Send + Sync + 'static>() {}
    assert_send_sync::<Descriptor>();
    assert_send_sync::<Builder>();
    assert_send_sync::<Idl>();
}

#[test]
fn methods_without_arguments_are_allowed_on_request() {
    let idl = Idl::from_text("service S { void Ping() string Time(1: i32 zone) }").unwrap();
    assert!(Builder::new().build(&idl).is_err());
    let d = Builder::new().allow_no_arguments(true).build(&idl).unwrap();
    let ping = d.function("Ping").unwrap();
    assert_eq!((ping.request, ping.has_base), (Type::Void, false));
    assert!(d.structure(ping.arguments).fields.is_empty());
}

#[test]
fn a_struct_without_fields_is_written_and_read() {
    let d = default("struct Empty {} service S { Empty M(1: Empty e) }");
    let f = d.function("M").unwrap();
    let codec = JsonCodec::new(Options::json(Profile::Default));
    let (mut thrift, mut json) = (Vec::new(), Vec::new());
    codec.encode_request(&d, f, Some(br#"{"any":1}"#), None, &mut thrift).unwrap();
    assert_eq!(thrift, [12, 0, 1, 0, 0]);
    codec.decode_request(&d, f, &thrift, &mut json).unwrap();
    assert_eq!(json, b"{}");
    let d = Builder::new().allow_no_arguments(true).build(&Idl::from_text("service S { void M() }").unwrap()).unwrap();
    thrift.clear();
    codec.encode_arguments(&d, d.function("M").unwrap(), b"{}", None, &mut thrift).unwrap();
    assert_eq!(thrift, [0]);
}
