//! IDL text that nobody means well with: nothing panics, hangs, overflows the stack or takes memory without end.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panics")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use thrift_generic::descriptor::{Builder, Descriptor, ParseMode};
use thrift_generic::idl::{Idl, IdlErrorKind};
use thrift_generic::{MAX_IDL_DEPTH, MAX_IDL_FILES, MAX_IDL_LEN};

/// What becomes of a text; that it becomes anything is what matters.
fn read(text: &str) -> Result<Descriptor, IdlErrorKind> {
    let idl = Idl::from_text(text).map_err(|error| {
        assert!(!error.to_string().is_empty());
        error.kind().clone()
    })?;
    let built = Builder::new().mode(ParseMode::Combine).build(&idl);
    built.map_err(|error| error.kind().clone())
}

fn with_field(field: &str) -> String {
    format!("struct S {{ {field} }} service X {{ S M(1: S req) }}")
}

/// A text that has some of everything.
const ALL: &str = r#"namespace go a.b (x = 'y')
cpp_include "x" // comment
const map<string, list<i32>> C = {"a": [1, 0x2; -3], 'b': []},
typedef list<set<map cpp_type "x" <i32, E>>> T (a = "\"b")
enum E { A, B = -2 (k = 'v'); C }
union U { 1: required T t, optional double d = 1.5e3 }
exception X { -1: string why = "no\\" # comment
}
struct S { 1: S s (api.query = "s", go.tag = 'json:"t"'), 2: U u = {"d": .5}, 3: E e = E.B, 4: T t = C /* x */ }
service V extends W { oneway void Z(1: S s) (api.any = "/*all") }
service W { S Y(1: S s, i32 b) throws (1: X x) (streaming.mode = "unary", api.get = '/:a/b'), }
"#;

#[test]
fn every_prefix_of_a_text_is_handled() {
    let mut texts = vec![(ALL.to_owned(), 1)];
    for entry in fs::read_dir("tests/fixtures").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "thrift") {
            // Long ones have no more to say than short ones, and square time to say it in.
            let text = fs::read_to_string(path).unwrap();
            let step = text.len() / 200 + 1;
            texts.push((text, step));
        }
    }
    assert!(texts.len() > 3);
    for (text, step) in texts {
        for (len, _) in text.char_indices().step_by(step) {
            _ = read(&text[..len]);
        }
    }
    // Where a definition is cut, that is an error.
    let text = "struct S { 1: list<i32> a = [1] (b = 'c') }";
    for len in 1..text.len() {
        assert!(Idl::from_text(&text[..len]).is_err(), "{}", &text[..len]);
    }
}

#[test]
fn every_text_with_one_character_more_or_less_is_handled() {
    for at in 0..ALL.len() {
        _ = read(&format!("{}{}", &ALL[..at], &ALL[at + 1..]));
        for inserted in ["(", "{", "\"", "\\", "<", "0", ".", "/*", "é", "\0"] {
            _ = read(&format!("{}{inserted}{}", &ALL[..at], &ALL[at..]));
        }
    }
}

fn nested_list(depth: usize) -> String {
    with_field(&format!("1: {}i32{} a", "list<".repeat(depth), ">".repeat(depth)))
}

#[test]
fn types_are_nested_up_to_a_limit() {
    read(&nested_list(MAX_IDL_DEPTH)).unwrap();
    for depth in [MAX_IDL_DEPTH + 1, 100_000] {
        assert_eq!(read(&nested_list(depth)).unwrap_err(), IdlErrorKind::TooDeep);
    }
    let open = format!("struct S {{ 1: {}", "map<i32,".repeat(100_000));
    assert_eq!(read(&open).unwrap_err(), IdlErrorKind::TooDeep);
}

#[test]
fn constants_are_nested_up_to_a_limit() {
    let text = |depth: usize| format!("const i32 A = {}{} service X {{}}", "[".repeat(depth), "]".repeat(depth));
    read(&text(MAX_IDL_DEPTH)).unwrap();
    for depth in [MAX_IDL_DEPTH + 1, 100_000] {
        assert_eq!(read(&text(depth)).unwrap_err(), IdlErrorKind::TooDeep);
    }
    let open = format!("const i32 A = {}", "{'a': [".repeat(100_000));
    assert_eq!(read(&open).unwrap_err(), IdlErrorKind::TooDeep);
}

/// Each typedef is a list of the one before.
#[test]
fn typedefs_of_typedefs_do_not_get_around_the_limit() {
    let text = |len: usize| {
        let mut text = String::from("typedef list<i32> T0 ");
        for at in 1..len {
            write!(text, "typedef list<T{}> T{at} ", at - 1).unwrap();
        }
        format!("{text} service X {{ void M(1: T{} a) }}", len - 1)
    };
    read(&text(MAX_IDL_DEPTH)).unwrap();
    assert_eq!(read(&text(MAX_IDL_DEPTH + 1)).unwrap_err(), IdlErrorKind::TooDeep);
}

#[test]
fn long_chains_of_typedefs_and_services_are_no_deep_ones() {
    let mut text = String::new();
    for at in 1..50_000 {
        write!(text, "typedef T{} T{at} service S{at} extends S{} {{}} ", at - 1, at - 1).unwrap();
    }
    text.push_str("typedef i32 T0 service S0 {} service X extends S49999 { void M(1: T49999 a) }");
    assert_eq!(read(&text).unwrap().functions().len(), 1);
    let circle = text.replace("service S0 {}", "service S0 extends S49999 {}");
    assert!(matches!(read(&circle).unwrap_err(), IdlErrorKind::ExtendsCycle(_)));
    let circle = text.replace("typedef i32 T0", "typedef T49999 T0");
    assert!(matches!(read(&circle).unwrap_err(), IdlErrorKind::TypedefCycle(_)));
}

/// A type whose text would be longer than the world, if it were written out.
#[test]
fn types_that_are_used_twice_by_types_that_are_used_twice_are_shared() {
    let mut text = String::from("typedef i32 T0 ");
    for at in 1..=MAX_IDL_DEPTH {
        write!(text, "typedef map<T{}, T{}> T{at} ", at - 1, at - 1).unwrap();
    }
    read(&format!("{text} service X {{ void M(1: T{MAX_IDL_DEPTH} a) }}")).unwrap();
}

#[test]
fn constants_in_circles_are_an_error() {
    for text in ["const i32 A = A", "const i32 A = B const i32 B = A", "const list<i32> A = [A]"] {
        let ty = if text.contains("list") { "list<i32>" } else { "i32" };
        let text = format!("{text} {}", with_field(&format!("1: {ty} a = A")));
        let error = read(&text).unwrap_err();
        assert!(matches!(error, IdlErrorKind::TooDeep | IdlErrorKind::DefaultType { .. }), "{error:?}");
    }
    let node = "struct N { 1: N a, 2: N b } const N A = {'a': B, 'b': B} const N B = {'a': A, 'b': A}";
    let error = read(&format!("{node} {}", with_field("1: N n = A"))).unwrap_err();
    assert!(matches!(error, IdlErrorKind::TooDeep | IdlErrorKind::DefaultsTooLarge), "{error:?}");
}

/// Every constant names the one before twice.
#[test]
fn constants_that_grow_without_end_are_an_error() {
    let mut text = String::from("struct N { 1: N a, 2: N b } const N C0 = {} ");
    for at in 1..40 {
        write!(text, "const N C{at} = {{'a': C{}, 'b': C{}}} ", at - 1, at - 1).unwrap();
    }
    read(&format!("{text} {}", with_field("1: N n = C9"))).unwrap();
    let error = read(&format!("{text} {}", with_field("1: N n = C31"))).unwrap_err();
    assert!(matches!(error, IdlErrorKind::TooDeep | IdlErrorKind::DefaultsTooLarge), "{error:?}");
    // A long text that many name is many long texts.
    let mut text = format!("const string T = '{}' ", "x".repeat(1 << 16));
    let names = "T, ".repeat(1000);
    write!(text, "const list<string> L = [{names}] struct S {{ 1: list<string> l = L }} service X {{ S M(1: S s) }}")
        .unwrap();
    assert_eq!(read(&text).unwrap_err(), IdlErrorKind::DefaultsTooLarge);
}

#[test]
fn much_of_one_kind_takes_no_square_time() {
    const COUNT: usize = 20_000;
    let list = |item: &dyn Fn(usize) -> String| (0..COUNT).map(item).collect::<Vec<_>>().join("\n");
    read(&format!("struct S {{}} service X {{ S M(1: S s) ({}) }}", list(&|n| format!("a{n} = ''")))).unwrap();
    read(&with_field(&list(&|n| format!("{n}: i32 f{n}")))).unwrap();
    let values = list(&|n| format!("V{n}"));
    let named = list(&|n| format!("E.V{n},"));
    read(&format!("enum E {{ {values} }} {}", with_field(&format!("1: list<E> l = [{named}]")))).unwrap();
    let entries = list(&|n| format!("'k{n}': {n}"));
    read(&with_field(&format!("1: map<string, i32> m = {{ {entries} }}"))).unwrap();
    read(&list(&|n| format!("service S{n} extends S{} {{}}", (n + 1) % COUNT))).unwrap_err();
    read(&format!("service X {{ {} }}", list(&|n| format!("void M{n}(1: i32 a) (api.get = '/{n}')")))).unwrap();
    read(&list(&|_| "/* /* /*".into())).unwrap_err();
    read(&format!("const string A = {}", list(&|_| r#""\\""#.into()))).unwrap_err();
}

#[test]
fn all_files_together_are_limited() {
    let comment = |len: usize| format!("/*{}*/", " ".repeat(len - 4));
    Idl::from_text(&comment(MAX_IDL_LEN)).unwrap();
    let error = Idl::from_text(&comment(MAX_IDL_LEN + 1)).unwrap_err();
    assert_eq!(*error.kind(), IdlErrorKind::TooLong);
    let includes = HashMap::from([("a".to_owned(), comment(MAX_IDL_LEN - 10))]);
    let error = Idl::from_content("include 'a'", &includes).unwrap_err();
    assert_eq!(*error.kind(), IdlErrorKind::TooLong);
    assert_eq!(error.to_string(), "main.thrift:1:9: all files together are longer than 16777216 bytes");
}

/// Files that include each other in a long line.
#[test]
fn the_number_of_files_is_limited() {
    let files = |count: usize| {
        let files = (1..count).map(|n| (n.to_string(), format!("include '{}'", n + 1)));
        files.chain([(count.to_string(), "struct S {}".to_owned())]).collect::<HashMap<_, _>>()
    };
    let idl = Idl::from_content("include '1'", &files(MAX_IDL_FILES - 1)).unwrap();
    assert_eq!(idl.files().count(), MAX_IDL_FILES);
    let error = Idl::from_content("include '1'", &files(MAX_IDL_FILES)).unwrap_err();
    assert_eq!(*error.kind(), IdlErrorKind::TooManyFiles);
}

/// Pieces of the language, so that chance gets further than one token.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "struct",
        "union",
        "service",
        "enum",
        "const",
        "typedef",
        "exception",
        "include",
        "namespace",
        "extends",
        "throws",
        "void",
        "oneway",
        "required",
        "optional",
        "S",
        "E",
        "X",
        "a",
        "b.c",
        "i32",
        "string",
        "bool",
        "double",
        "binary",
        "list",
        "set",
        "map",
        "list<i32>",
        "map<S, E>",
        "<",
        ">",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "=",
        ":",
        ",",
        ";",
        "1",
        "2",
        "-5",
        "0x1f",
        "1e3",
        "'x'",
        "\"y\"",
        "'/:a'",
        "true",
        "E.A",
        "# c\n",
        "/*",
        "*/",
        "api.get",
        "go.tag",
        "streaming.mode",
        "struct S { 1: S s }",
        "service X { S M(1: S a) }",
        "enum E { A }",
        "const E C = E.A",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_handled(text in ".*") {
        _ = read(&text);
    }

    #[test]
    fn any_bytes_in_a_file_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        _ = read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces_are_handled(text in pieces()) {
        _ = read(&text);
    }
}
