//! Rows I-01 to I-38 of generic-call 7.2: IDL text and descriptors. Further down what the rows leave open, by
//! generic-call 1 and 2.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panics")]

use std::sync::Arc;

use thrift_codec::TType;
use thrift_generic::descriptor::{BuildError, ParseMode};
use thrift_generic::descriptor::{
    Builder, Descriptor, Enum, Field, FieldMapping, Function, Handler, HttpMapping, Mapped, Registry, Requiredness,
    Route, RouteMapping, Streaming, Struct, StructKind, Type, ValueMapping,
};
use thrift_generic::http::{Request, Response};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Error, Options, Profile, Value};

fn descriptor(text: &str) -> Descriptor {
    Descriptor::from_text(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> String {
    Descriptor::from_text(text).err().unwrap_or_else(|| panic!("accepted: {text}")).to_string()
}

/// A main text with includes, by the texts' names.
fn contents(main: &str, includes: &[(&str, &str)]) -> Result<Idl, BuildError> {
    let includes = includes.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    Idl::from_content(main, &includes)
}

fn build(main: &str, includes: &[(&str, &str)]) -> Descriptor {
    Builder::new().build(&contents(main, includes).unwrap()).unwrap()
}

/// The struct with this name.
fn structure<'d>(d: &'d Descriptor, name: &str) -> &'d Struct {
    let found = d.structs().map(|(_, s)| s);
    let mut found = found.filter(|s| &*s.name == name && !matches!(s.kind, StructKind::Arguments | StructKind::Result));
    found.next().unwrap_or_else(|| panic!("no struct {name}"))
}

/// The field with this name of the first argument of the only function.
fn field<'d>(d: &'d Descriptor, name: &str) -> &'d Field {
    fields(d).iter().find(|field| &*field.name == name).unwrap_or_else(|| panic!("no field {name}"))
}

fn fields(d: &Descriptor) -> &[Field] {
    let Type::Struct(id) = d.functions()[0].request else { panic!("no struct") };
    &d.structure(id).fields
}

/// A service with one function of this struct.
fn with_fields(fields: &str) -> String {
    format!("struct S {{ {fields} }} service X {{ S M(1: S req) }}")
}

fn default(field_text: &str) -> Value {
    let d = descriptor(&with_fields(field_text));
    fields(&d)[0].default.clone().unwrap()
}

fn method_names(d: &Descriptor) -> Vec<&str> {
    d.functions().iter().map(|f| &*f.name).collect()
}

#[test]
fn i_01_functions_arguments_and_results() {
    let d = descriptor(
        "struct Req { 1: required string text (api.body = 'text'), 2: optional i32 n (api.query = 'n') }
         struct Resp { 1: string text }
         exception Ex { 1: i32 code }
         service BizService {
            Resp BizMethod1(1: Req req) throws (1: Ex err) (api.get = '/life/client/:action/:biz'),
            Resp BizMethod2(1: Req req) throws (1: Ex err) (api.post = '/life/client/:action/:biz'),
            Resp BizMethod3(1: Req req) throws (1: Ex err) (api.post = '/life/client/:action/:biz/other'),
         }",
    );
    assert_eq!(method_names(&d), ["BizMethod1", "BizMethod2", "BizMethod3"]);
    let function = d.function("BizMethod1").unwrap();
    let arguments = &d.structure(function.arguments).fields;
    assert_eq!(arguments.len(), 1);
    assert_eq!((arguments[0].id, &*arguments[0].name, arguments[0].ty), (1, "req", function.request));
    let result = &d.structure(function.result).fields;
    assert_eq!(result.len(), 2);
    assert_eq!((result[0].id, &*result[0].name, result[0].ty), (0, "", function.response));
    assert_eq!((result[1].id, &*result[1].name, result[1].requiredness), (1, "err", Requiredness::Optional));
    let required = structure(&d, "Req").fields.iter().filter(|field| field.requiredness == Requiredness::Required);
    assert_eq!(required.map(|field| &*field.name).collect::<Vec<_>>(), ["text"]);
    assert_eq!(function.routes, [Route::new("GET", "/life/client/:action/:biz")]);
}

#[test]
fn i_02_routes_that_conflict() {
    let text = error(
        "service S {
            void A(1: string s) (api.get = '/life/client/:action/:biz/*one')
            void B(1: string s) (api.get = '/life/client/:action/:biz/*two')
         }",
    );
    assert_eq!(
        text,
        "main.thrift:3:18: router handle failed, \
         err=handlers are already registered for path '/life/client/:action/:biz/*two'"
    );
    let text = error("service S { void A(1: string s) (api.get = 'a') }");
    assert!(text.ends_with("router handle failed, err=path must begin with '/' in path 'a'"), "{text}");
}

#[test]
fn i_03_a_type_that_contains_itself_is_shared() {
    let d = descriptor(
        "struct A { 1: A self, 2: list<B> others } struct B { 1: map<string, A> back }
         service S { A M(1: A a) }",
    );
    let Type::Struct(id) = d.functions()[0].request else { panic!() };
    assert_eq!(d.structure(id).fields[0].ty, Type::Struct(id));
    assert_eq!(d.structs().filter(|(_, s)| s.kind == StructKind::Struct).count(), 2);
    let Type::Map(_, back) = structure(&d, "B").fields[0].ty else { panic!() };
    assert_eq!(d.ty(back), Type::Struct(id));
}

/// A mapping that does nothing, of every kind.
#[derive(Debug)]
struct Nothing;

impl HttpMapping for Nothing {
    fn request(&self, _: &Request<'_>, _: &Field) -> Result<Mapped, Error> {
        Ok(Mapped::Missing)
    }
    fn response(&self, _: &mut Response, _: &Field, _: Value) -> Result<(), Error> {
        Ok(())
    }
}

impl ValueMapping for Nothing {
    fn request(&self, value: Value, _: &Field) -> Result<Value, Error> {
        Ok(value)
    }
    fn response(&self, value: Value, _: &Field) -> Result<Value, Error> {
        Ok(value)
    }
}

impl RouteMapping for Nothing {
    fn route(&self, value: &str, function: &Function) -> Option<Route> {
        (!value.is_empty()).then(|| Route::new("GET", format!("/{}/{value}", function.name)))
    }
}

#[derive(Debug)]
struct Rename(Box<str>);

impl FieldMapping for Rename {
    fn apply(&self, field: &mut Field) {
        field.key = self.0.clone();
    }
}

fn registry() -> Registry {
    Registry::default()
        .with("x.http", Handler::Http(|_| Arc::new(Nothing)))
        .with("x.value", Handler::Value(|_| Arc::new(Nothing)))
        .with("x.name", Handler::Field(|value| Arc::new(Rename(value.into()))))
        .with("x.route", Handler::Route(Arc::new(Nothing)))
        .with("api.query", Handler::Http(|_| panic!("built-in keys can't be replaced")))
}

#[test]
fn i_04_a_handler_that_does_not_fit_its_place() {
    let idl = Idl::from_text(&with_fields("1: string a (x.route = 'r')")).unwrap();
    let error = Builder::new().registry(registry()).build(&idl).unwrap_err();
    assert!(error.to_string().contains("not supported handle type: Route"), "{error}");
    // Without the registry, the key is one that nobody knows.
    Builder::new().build(&idl).unwrap();
}

const TWO: &str = "service A { void method1(1: string s) } service B { void method2(1: string s) }";

#[test]
fn i_05_the_last_service_is_taken() {
    let d = descriptor(TWO);
    assert_eq!((d.name(), d.is_combined(), method_names(&d)), ("B", false, vec!["method2"]));
    let d = Builder::new().mode(ParseMode::First).build(&Idl::from_text(TWO).unwrap()).unwrap();
    assert_eq!((d.name(), method_names(&d)), ("A", vec!["method1"]));
}

#[test]
fn i_06_services_are_combined() {
    let d = Builder::new().mode(ParseMode::Combine).build(&Idl::from_text(TWO).unwrap()).unwrap();
    assert_eq!((d.name(), d.is_combined(), method_names(&d)), ("CombinedServices", true, vec!["method1", "method2"]));
    assert_eq!(&*d.function("method1").unwrap().service, "A");
}

#[test]
fn i_07_combined_services_have_a_method_twice() {
    let idl = Idl::from_text(&TWO.replace("method2", "method1")).unwrap();
    let error = Builder::new().mode(ParseMode::Combine).build(&idl).unwrap_err();
    assert_eq!(error.to_string(), "main.thrift:1:58: duplicate method name: method1");
    // The same goes for a method of an ancestor.
    let text = self::error("service A { void M(1: i32 a) } service B extends A { void M(1: i32 a) }");
    assert!(text.ends_with("duplicate method name: M"), "{text}");
}

/// Three services that extend each other, the first in another file.
fn extends() -> Idl {
    let main = "include 'base.thrift'
        service DemoBaseService extends base.BaseService { void DemoBase(1: string s) }
        service DemoService extends DemoBaseService { void Demo(1: string s) }";
    let base = "struct R { 1: i32 a } service BaseService { R Base(1: R r) }";
    contents(main, &[("base.thrift", base)]).unwrap()
}

#[test]
fn i_08_methods_of_all_ancestors() {
    let idl = extends();
    for (mode, name, methods) in [
        (ParseMode::Last, "DemoService", vec!["Demo", "DemoBase", "Base"]),
        (ParseMode::First, "DemoBaseService", vec!["DemoBase", "Base"]),
        (ParseMode::Combine, "CombinedServices", vec!["DemoBase", "Base", "Demo"]),
    ] {
        let d = Builder::new().mode(mode).build(&idl).unwrap();
        assert_eq!((d.name(), method_names(&d)), (name, methods));
        let base = d.function("Base").unwrap();
        assert_eq!(&*base.service, "BaseService");
        let Type::Struct(id) = base.request else { panic!() };
        assert_eq!(&*d.structure(id).name, "base.R");
    }
}

#[test]
fn i_09_a_service_by_its_name_whatever_the_mode() {
    let d = Builder::new().mode(ParseMode::Last).service("DemoBaseService").build(&extends()).unwrap();
    assert_eq!((d.name(), d.functions().len()), ("DemoBaseService", 2));
}

#[test]
fn i_10_a_service_that_is_not_there() {
    let error = Builder::new().service("X").build(&extends()).unwrap_err();
    assert_eq!(error.to_string(), "the idl service name X is not in the idl. Please check your idl");
}

#[test]
fn i_11_defaults_of_plain_types() {
    assert_eq!(default("1: bool a = true"), Value::Bool(true));
    assert_eq!(default("1: byte a = 1"), Value::I8(1));
    assert_eq!(default("1: i16 a = 2"), Value::I16(2));
    assert_eq!(default("1: i32 a = 3"), Value::I32(3));
    assert_eq!(default("1: i64 a = 4"), Value::I64(4));
    assert_eq!(default("1: double a = 5.1"), Value::Double(5.1));
    assert_eq!(default("1: string a = '123'"), Value::from("123"));
    assert_eq!(default("1: binary a = '456'"), Value::Bytes("456".into()));
    // By names of constants, too.
    let text = "const byte B = 1 const string T = 'x' const double D = 2.5 const bool F = false
         struct S { 1: byte b = B, 2: string t = T, 3: binary y = T, 4: double d = D, 5: double i = B, 6: bool f = F }
         service X { S M(1: S s) }";
    let d = descriptor(text);
    let defaults: Vec<_> = fields(&d).iter().map(|field| field.default.clone().unwrap()).collect();
    let bytes = Value::Bytes("x".into());
    assert_eq!(defaults, [Value::I8(1), "x".into(), bytes, Value::Double(2.5), Value::Double(1.0), Value::Bool(false)]);
}

const DEFAULTS_BASE: &str = "
    enum TestEnum { FIRST = 1, SECOND, THIRD }
    struct Inner { 1: i32 a, 2: string b }
    const Inner INNER = {'a': 56}
    const set<string> TEXTS = ['123', '456']
    const i32 NUMBER = 34
    const string TEXT = 'deep'
    struct Outer { 1: Inner inner, 2: list<i32> numbers }
    const Inner NAMED = {'a': NUMBER, 'b': TEXT}
    const Outer OUTER = {'inner': NAMED, 'numbers': [NUMBER, 7]}";

fn default_with_base(field_text: &str) -> Value {
    let main = format!("include 'base.thrift'\n{}", with_fields(field_text));
    fields(&build(&main, &[("base.thrift", DEFAULTS_BASE)]))[0].default.clone().unwrap()
}

#[test]
fn i_12_a_default_that_names_an_enums_value() {
    assert_eq!(default_with_base("1: base.TestEnum e = base.TestEnum.THIRD"), Value::I32(3));
    assert_eq!(default_with_base("1: i64 e = base.TestEnum.SECOND"), Value::I64(2));
    assert_eq!(default("1: E e = E.B } enum E { A, B = 0x10, C } struct T {"), Value::I32(16));
    assert_eq!(default("1: E e = E.C } enum E { A, B = 0x10, C } struct T {"), Value::I32(17));
}

#[test]
fn i_13_a_default_that_names_an_included_constant() {
    assert_eq!(default_with_base("1: set<string> s = base.TEXTS"), Value::list(["123", "456"]));
}

#[test]
fn i_14_a_list_of_a_literal_and_a_name() {
    assert_eq!(
        default_with_base("1: list<base.Inner> l = [{'a': 34}, base.INNER]"),
        Value::list([Value::structure([("a", 34)]), Value::structure([("a", 56)])])
    );
}

#[test]
fn i_15_a_map_to_structs() {
    assert_eq!(
        default_with_base("1: map<i32, base.Inner> m = {12: {'a': 34}}"),
        Value::map([(12, Value::structure([("a", 34)]))])
    );
}

#[test]
fn i_16_a_constant_whose_members_name_constants() {
    let inner = Value::structure([("a", Value::I32(34)), ("b", Value::from("deep"))]);
    assert_eq!(
        default_with_base("1: base.Outer o = base.OUTER"),
        Value::structure([("inner", inner), ("numbers", Value::list([34, 7]))])
    );
}

#[test]
fn i_17_streaming_modes() {
    for (mode, streaming, bare) in [
        ("bidirectional", Streaming::Bidirectional, true),
        ("client", Streaming::Client, true),
        ("server", Streaming::Server, true),
        ("unary", Streaming::Unary, false),
    ] {
        let d = descriptor(&format!("service S {{ string M(1: string s) (streaming.mode = '{mode}') }}"));
        assert_eq!((d.functions()[0].streaming, d.functions()[0].streaming.is_bare()), (streaming, bare));
    }
    assert_eq!(descriptor("service S { void M(1: string s) }").functions()[0].streaming, Streaming::None);
}

#[test]
fn i_18_a_streaming_mode_that_nobody_knows() {
    let text = error("service S { string M(1: string s) (streaming.mode = 'x') }");
    assert_eq!(text, "main.thrift:1:20: invalid value (x) for annotation streaming.mode");
    let text = error("service S { string M(1: string s) (streaming.mode = 'unary', streaming.mode = 'client') }");
    assert!(text.ends_with("M has multiple values for annotation streaming.mode (at most 1 allowed)"), "{text}");
}

#[test]
fn i_19_a_streaming_function_with_two_arguments() {
    let text = error("service S { string M(1: string s, 2: i32 n) (streaming.mode = 'client') }");
    assert!(text.ends_with("streaming function M should have exactly 1 argument"), "{text}");
}

// I-20 is a test of the resolver (src/idl/names.rs); this is what it is for.
#[test]
fn i_20_a_name_belongs_to_the_include_before_its_last_dot() {
    let d =
        build("include 'foo.bar.thrift' service S { void M(1: foo.bar.A a) }", &[("foo.bar.thrift", "struct A {}")]);
    assert_eq!(&*structure(&d, "foo.bar.A").name, "foo.bar.A");
}

#[test]
fn i_21_an_alias_by_go_tag() {
    for tag in [
        r#"'db:"b" json:"a"'"#,
        r#"'db:"b" json:"a,omitempty"'"#,
        r#"'json:"a,string"'"#,
        r#"'json:\"a\"'"#,
        r#""json:\"a\"""#,
    ] {
        let d = descriptor(&with_fields(&format!("1: i32 x (go.tag = {tag})")));
        assert_eq!((&*fields(&d)[0].name, &*fields(&d)[0].key), ("x", "a"), "{tag}");
        assert!(structure(&d, "S").fields.by_key("x").is_none());
    }
    for (tag, key) in [(r#"json:"-""#, "-"), (r#"json:",omitempty""#, "x"), (r#"db:"y""#, "x")] {
        let d = descriptor(&with_fields(&format!("1: i32 x (go.tag = '{tag}')")));
        assert_eq!(&*fields(&d)[0].key, key, "{tag}");
    }
}

fn ids(fields_text: &str) -> Vec<i16> {
    fields(&descriptor(&with_fields(fields_text))).iter().map(|field| field.id).collect()
}

#[test]
fn i_22_implicit_ids_count_on() {
    assert_eq!(ids("i32 a, i32 b, 10: i32 c, i32 d"), [1, 2, 10, 11]);
    assert_eq!(ids("+3: i32 a, 010: i32 b"), [3, 10]);
}

#[test]
fn i_23_negative_ids() {
    assert_eq!(ids("-1: i32 a, -5: i32 b, i32 c"), [-1, -5, -4]);
    assert_eq!(ids("-32768: i32 a, 32767: i32 b, 0: i32 c"), [-32768, 32767, 0]);
}

#[test]
fn i_24_ids_that_are_none() {
    for id in ["32768", "-32769", "0x10", "99999999999999999999", "0o7"] {
        let text = error(&with_fields(&format!("{id}: i32 a")));
        assert_eq!(text, format!("main.thrift:1:12: field id {id} is not within -32768 to 32767"));
    }
    let text = error(&with_fields("32767: i32 a, i32 b"));
    assert_eq!(text, "main.thrift:1:26: field id 32768 is not within -32768 to 32767");
}

#[test]
fn i_25_nothing_there() {
    assert_eq!(error("struct S {}"), "empty serverce from idls");
    assert_eq!(error("// nothing\n"), "empty serverce from idls");
    assert_eq!(error("service S { void M() }"), "main.thrift:1:18: empty arguments in function: M");
    assert_eq!(error(""), "main.thrift:1:1: not document");
    assert!(descriptor("service S {}").functions().is_empty());
}

#[test]
fn i_26_types_that_are_none() {
    for (fields, text) in [
        ("1: Foo a", "1:15: resolve field \"a\" of \"S\": undefined type: \"Foo\" from file main.thrift"),
        ("1: inc.Foo a", "1:15: resolve field \"a\" of \"S\": undefined type: \"inc.Foo\" from file main.thrift"),
        ("1: void a", "1:15: resolve field \"a\" of \"S\": undefined type: \"void\" from file main.thrift"),
        (
            "1: list<X> a",
            "1:20: resolve field \"a\" of \"S\": unexpected type category 'Service' of type 'X' from file main.thrift",
        ),
    ] {
        assert_eq!(error(&with_fields(fields)), format!("main.thrift:{text}"));
    }
    // Only direct includes are visible.
    let (a, b) = (("a.thrift", "include 'b.thrift' struct A { 1: b.B b }"), ("b.thrift", "struct B {}"));
    let main = |ty: &str| format!("include 'a.thrift' service S {{ void M(1: {ty} a) }}");
    build(&main("a.A"), &[a, b]);
    for ty in ["b.B", "B", "a.B", "a.b.B"] {
        let error = contents(&main(ty), &[a, b]).unwrap_err().to_string();
        assert!(error.contains(&format!("undefined type: {ty:?} from file main.thrift")), "{error}");
    }
}

#[test]
fn i_27_typedefs_that_go_in_circles() {
    let text = error("typedef A B typedef B A service S { void M(1: A a) }");
    assert!(
        text.contains("typedefs can not be resolved: \"B\" in \"main.thrift\", \"A\" in \"main.thrift\""),
        "{text}"
    );
    let text = error("typedef list<A> A service S { void M(1: A a) }");
    assert!(text.contains("typedefs can not be resolved"), "{text}");
    let d = descriptor("typedef B A typedef list<C> B typedef i32 C service S { void M(1: A a) }");
    let Type::List(element) = d.functions()[0].request else { panic!() };
    assert_eq!(d.ty(element), Type::I32);
}

#[test]
fn i_28_services_that_extend_nothing_or_themselves() {
    let text = error("service S extends Foo {}");
    assert_eq!(text, "main.thrift:1:19: base service \"Foo\" not found for \"S\"");
    let text = error("struct Foo {} service S extends Foo {}");
    assert!(text.ends_with("base service \"Foo\" not found for \"S\""), "{text}");
    let text = error("service S extends S {}");
    assert_eq!(text, "main.thrift:1:9: service \"S\" extends itself");
    let text = error("service A extends B {} service B extends C {} service C extends A {} service D extends A {}");
    assert!(text.ends_with("extends itself"), "{text}");
}

#[test]
fn i_29_defaults_that_are_none() {
    for (fields, text) in [
        ("1: i32 a = 'x'", "23: type error: 'a' was declared as type i32"),
        ("1: string a = 1", "26: type error: 'a' was declared as type string"),
        ("1: i32 a = A", "23: resolve default value of \"a\" of \"S\": undefined value: \"A\" from file main.thrift"),
        ("1: E a = A", "21: resolve default value of \"a\" of \"S\": undefined value: \"A\" from file main.thrift"),
        (
            "1: i32 a = x.Y",
            "23: resolve default value of \"a\" of \"S\": undefined value: \"x.Y\" from file main.thrift",
        ),
        ("1: In a = {'y': 1}", "22: field \"y\" not found in \"In\" (\"main.thrift\")"),
        (
            "1: In a = {y: 1}",
            "23: resolve default value of \"a\" of \"S\": undefined value: \"y\" from file main.thrift",
        ),
        ("1: In a = {1: 1}", "22: expect literals as keys in default value of struct type 'a'"),
        ("1: In a = 1", "22: type error: 'a' was declared as type In"),
        ("1: In a = {'a': ''}", "22: type error: 'In.a' was declared as type i32"),
        ("1: i32 a = C", "23: type error: 'a' was declared as type i32"),
    ] {
        let text_of = format!("{} enum E {{ A }} struct In {{ 1: i32 a }} const string C = ''", with_fields(fields));
        assert_eq!(error(&text_of), format!("main.thrift:1:{text}"), "{fields}");
    }
}

#[test]
fn i_30_oneway_with_a_result_or_an_exception() {
    let d = descriptor("exception E {} service S { oneway i32 A(1: i32 a) oneway void B(1: i32 a) throws (1: E e) }");
    assert!(d.functions().iter().all(|function| function.oneway));
    assert_eq!(d.function("A").unwrap().response, Type::I32);
    assert_eq!(d.function("B").unwrap().response, Type::Void);
    assert_eq!(d.structure(d.function("B").unwrap().result).fields.len(), 1);
}

#[test]
fn i_31_comments_line_ends_and_keywords_as_names() {
    let d = descriptor(
        "# one\r\n// two\r\n/* three\r\n * lines */ namespace go /* here, too */ x.y // and here\r\n\
         struct struct { // comment\r\n\
           1: string string # comment\r\n\
           2: /* comment */ i32 optional = 7, // comment\r\n\
           3: required list<string> list = ['two\nlines'] /**/ ; i32 service\r\n\
           binary c.d; 9: requiredType required; optionalType x\r\n\
         }\r\n\
         typedef i32 requiredType;\r\ntypedef map optionalType typedef list<map> set\r\n\
         struct map { };\r\n\
         service oneway { set void(1: struct struct) throws (/* comment */ 1: map map) }//",
    );
    let names: Vec<_> = fields(&d).iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["string", "optional", "list", "service", "c.d", "required", "x"]);
    assert_eq!(field(&d, "list").default, Some(Value::list(["two\nlines"])));
    let text = &descriptor(&with_fields("1: string s = 'two\r\nlines'"));
    assert_eq!(fields(text)[0].default, Some(Value::from("two\r\nlines")));
    assert_eq!(field(&d, "required").requiredness, Requiredness::Default);
    assert_eq!(field(&d, "required").ty, Type::I32);
    assert_eq!(field(&d, "x").requiredness, Requiredness::Default);
    assert_eq!(method_names(&d), ["void"]);
    let Type::List(_) = d.functions()[0].response else { panic!() };
}

#[test]
fn i_32_what_is_no_idl() {
    for (text, at, found, expected) in [
        ("\u{feff}service S {}", "1:1", "\"\\u{feff}\"", "a definition"),
        ("senum E { 'a' }", "1:1", "\"senum\"", "a definition"),
        (
            "struct S {}\ninclude 'a.thrift'",
            "2:1",
            "\"include\"",
            "a definition (headers stand before all definitions)",
        ),
        ("struct S { 1: i32 a (foo) }", "1:25", "\")\"", "'='"),
        ("struct S { 1: i32 a (foo = 1) }", "1:28", "\"1\"", "a value in quotes"),
        ("struct S { 1: i32 a,; }", "1:21", "\";\"", "a field, or '}'"),
        ("struct S { 1: i32 }", "1:19", "\"}\"", "a field's name"),
        ("struct S { 1 i32 a }", "1:14", "\"i32\"", "':'"),
        ("struct S { 1: $a b }", "1:15", "\"$\"", "a field's type"),
        ("struct S { 1: default i32 a }", "1:29", "\"}\"", "a field's name"),
        ("struct S {\n  1: map<i32> a\n}", "2:13", "\">\"", "','"),
        ("struct S {", "1:11", "the end of the file", "a field, or '}'"),
        ("service S { void M(1: i32 a }", "1:29", "\"}\"", "an argument, or ')'"),
        ("service S { async void M(1: i32 a) }", "1:24", "\"M\"", "'('"),
        ("const i32 A = ", "1:15", "the end of the file", "a constant"),
        ("const string A = 'open", "1:18", "\"'\"", "a quote that ends the literal"),
        ("/* open", "1:1", "a comment without an end", "a definition"),
        ("namespace go-lang x", "1:13", "\"-\"", "the namespace"),
        ("include base.thrift", "1:9", "\"base.thrift\"", "the path of a file in quotes"),
        ("enum E { A = 'x' }", "1:14", "\"'\"", "an integer"),
    ] {
        let error = Idl::from_text(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("main.thrift:{at}: parse error near {found}: expected {expected}"),
            "{text}"
        );
        assert_eq!((error.expected(), error.found()), (Some(expected), Some(found)));
        let at = format!("{}:{}", error.line().unwrap(), error.column().unwrap());
        assert!(error.to_string().contains(&at));
    }
    // No type of this name.
    assert!(error(&with_fields("1: slist a")).contains("undefined type: \"slist\""));
    assert!(error(&with_fields("1: uuid a")).contains("undefined type: \"uuid\""));
}

#[test]
fn i_33_fields_of_a_union_are_optional() {
    let d = descriptor("union U { 1: required i32 a, 2: string b, 3: optional U c } service S { U M(1: U u) }");
    assert_eq!(structure(&d, "U").kind, StructKind::Union);
    assert!(fields(&d).iter().all(|field| field.requiredness == Requiredness::Optional));
}

#[test]
fn i_34_the_prefix_of_an_included_file() {
    let included = "enum E { A = 4 } const E D = E.A struct T { 1: E e = D }";
    let main = "include 'd/x.y.thrift'
        struct S { 1: x.y.T t, 2: x.y.E e = x.y.E.A, 3: i32 i = x.y.D }
        service X { S M(1: S s) }";
    let d = build(main, &[("d/x.y.thrift", included)]);
    let Type::Struct(t) = field(&d, "t").ty else { panic!() };
    assert_eq!((&*d.structure(t).name, &d.structure(t).fields[0].default), ("x.y.T", &Some(Value::I32(4))));
    assert_eq!((&field(&d, "e").default, &field(&d, "i").default), (&Some(Value::I32(4)), &Some(Value::I32(4))));
    let Type::Enum(e) = field(&d, "e").ty else { panic!() };
    let Enum { name, values, .. } = d.enumeration(e);
    assert_eq!((&**name, values.as_slice()), ("x.y.E", &[("A".into(), 4)][..]));
}

#[test]
fn i_35_a_double_with_an_exponent() {
    assert_eq!(default("1: double a = 1e3"), Value::Double(1000.0));
    assert_eq!(default("1: double a = -1.5E-3"), Value::Double(-0.0015));
    assert_eq!(default("1: double a = .5"), Value::Double(0.5));
}

#[test]
fn i_36_an_inherited_method_of_the_same_file_with_the_dynamic_profile() {
    let idl = Idl::from_text("service A { string M(1: string s) } service B extends A {}").unwrap();
    let d = Builder::new().profile(Profile::Dynamic).build(&idl).unwrap();
    let f = d.function("M").unwrap();
    let codec = JsonCodec::new(Options::json(Profile::Dynamic));
    let (mut thrift, mut json) = (Vec::new(), Vec::new());
    codec.encode_request(&d, f, Some(b"hi"), None, &mut thrift).unwrap();
    codec.decode_request(&d, f, &thrift, &mut json).unwrap();
    assert_eq!(json, b"hi");
}

#[test]
fn i_37_type_codes_are_those_of_the_wire() {
    let d = descriptor(
        "enum E { A } struct S { bool a, byte b, i8 c, i16 d, i32 e, i64 f, double g, string h, binary i, E j, S k,
         list<i32> l, set<i32> m, map<i32, i32> n } service X { void M(1: S s) }",
    );
    let codes: Vec<_> = fields(&d).iter().map(|field| field.ty.ttype().0).collect();
    assert_eq!(codes, [2, 3, 3, 6, 8, 10, 4, 11, 11, 8, 12, 15, 14, 13]);
    assert_eq!(d.functions()[0].response.ttype(), TType(1));
}

#[test]
fn i_38_of_two_arguments_the_first_is_used() {
    let d = descriptor("service S { i32 Two(1: i32 a, 2: string b) }");
    let f = d.function("Two").unwrap();
    let mut thrift = Vec::new();
    JsonCodec::new(Options::json(Profile::Default)).encode_request(&d, f, Some(b"4"), None, &mut thrift).unwrap();
    assert_eq!(thrift, [8, 0, 1, 0, 0, 0, 4, 0]);
    assert_eq!(d.structure(f.arguments).fields.len(), 2);
}
