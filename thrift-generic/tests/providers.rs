//! Rows V-01 to V-18 of generic-call 7.3: where descriptors come from, and how they are replaced. (V-19 is Protobuf's.)
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panics")]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use thrift_generic::descriptor::{Builder, Descriptor, Field, Function, ParseMode, Type};
use thrift_generic::idl::{Idl, IdlErrorKind};
use thrift_generic::json::JsonCodec;
use thrift_generic::{Options, Outcome, Profile, Provider, Value};

fn texts(texts: &[(&str, &str)]) -> HashMap<String, String> {
    texts.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

fn content(main: &str) -> Provider {
    Provider::from_content(main, &HashMap::new(), Builder::new()).unwrap()
}

/// A directory that is gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("thrift-generic-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Whoever reads the file sees it whole.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let part = path.with_extension("part");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&part, text).unwrap();
        fs::rename(part, &path).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn first_field(d: &Descriptor, ty: Type) -> &Field {
    let Type::Struct(id) = ty else { panic!("no struct") };
    &d.structure(id).fields[0]
}

fn json(d: &Descriptor, options: Options, f: &Function, thrift: &[u8]) -> String {
    let mut json = Vec::new();
    JsonCodec::new(options).decode_request(d, f, thrift, &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

// V-01 is a test of the loader (src/idl/load.rs), too; here both ways lead to one file.
#[test]
fn v_01_relative_and_absolute_includes() {
    for include in ["../d.thrift", "/a/d.thrift"] {
        let main = format!("include '{include}' service S {{ void M(1: d.D d) }}");
        let files = texts(&[("/a/b/c.thrift", &main), ("/a/d.thrift", "struct D {}")]);
        let provider = Provider::from_content_absolute("/a/b/c.thrift", &files, Builder::new()).unwrap();
        assert_eq!(provider.load().name(), "S");
    }
}

#[test]
fn v_02_includes_are_looked_up_beside_the_file_that_has_them() {
    let files = texts(&[
        ("a/b/main.thrift", "include 'x.thrift' include '../y.thrift' service S { y.Y M(1: x.X x) }"),
        ("a/b/x.thrift", "struct X { 1: i32 x }"),
        ("a/y.thrift", "include 'z.thrift' struct Y { 1: z.Z z }"),
        ("a/z.thrift", "struct Z { 1: string z }"),
        ("x.thrift", "struct Wrong {}"),
    ]);
    let idl = Idl::from_content_absolute("a/b/main.thrift", &files).unwrap();
    let names: Vec<_> = idl.files().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["a/b/main.thrift", "a/b/x.thrift", "a/y.thrift", "a/z.thrift"]);
    let d = Builder::new().build(&idl).unwrap();
    let z = first_field(&d, d.function("M").unwrap().response).ty;
    assert_eq!(&*first_field(&d, z).name, "z");
    // As it is written, if there is nothing beside the file.
    let mut files = files;
    files.remove("a/b/x.thrift");
    files.insert("x.thrift".into(), "struct X {}".into());
    Provider::from_content_absolute("a/b/main.thrift", &files, Builder::new()).unwrap();
}

#[test]
fn v_03_a_provider_of_files() {
    let directory = Directory::new();
    let main =
        directory.write("main.thrift", "include 'inc/a.thrift' include 'b.thrift' service S { b.B M(1: a.A a) }");
    directory.write("inc/a.thrift", "include 'beside.thrift' struct A { 1: beside.C c }");
    directory.write("inc/beside.thrift", "struct C {}");
    directory.write("elsewhere/b.thrift", "struct B {}");
    let dirs = [directory.0.join("nowhere"), directory.0.join("elsewhere")];
    for profile in [Profile::Default, Profile::Dynamic] {
        let provider = Provider::from_file(&main, &dirs, Builder::new().profile(profile)).unwrap();
        let d = provider.load();
        assert_eq!((d.name(), d.profile()), ("S", profile));
        let names = ["main.thrift", "inc/a.thrift", "elsewhere/b.thrift", "inc/beside.thrift"];
        assert_eq!(provider.files(), names.map(|name| directory.0.join(name)));
    }
    let error = Provider::from_file(&main, &[], Builder::new()).unwrap_err();
    let expected = format!("{0}:1:32: miss include path: b.thrift for file: {0}", main.display());
    assert_eq!(error.to_string(), expected);
    let error = Provider::from_file(directory.0.join("none.thrift"), &[], Builder::new()).unwrap_err();
    assert!(matches!(error.kind(), IdlErrorKind::Io { .. }), "{error}");
}

#[test]
fn v_04_an_include_that_is_missing() {
    let error = Provider::from_content("include 'a.thrift' service S {}", &HashMap::new(), Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "main.thrift:1:9: miss include path: a.thrift for file: main.thrift");
    let error = Provider::from_content_absolute("m.thrift", &HashMap::new(), Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "miss main IDL content for main IDL path: m.thrift");
    // Literally the words of the include, in the including file's directory or not.
    let includes = texts(&[("d/a.thrift", "include 'b.thrift'"), ("d/b.thrift", "")]);
    let error = Provider::from_content("include 'd/a.thrift' service S {}", &includes, Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "d/a.thrift:1:9: miss include path: b.thrift for file: d/a.thrift");
}

#[test]
fn v_05_a_text_that_is_no_idl() {
    let error = Provider::from_content("service S {\n  void", &HashMap::new(), Builder::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "main.thrift:2:7: parse error near the end of the file: expected the function's name"
    );
    let includes = texts(&[("a.thrift", "struct")]);
    let error = Provider::from_content("include 'a.thrift' service S {}", &includes, Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "a.thrift:1:7: parse error near the end of the file: expected a name");
}

#[test]
fn v_06_an_update_to_another_service() {
    let provider = content("service Old { void M(1: i32 a) }");
    let includes = texts(&[("a.thrift", "struct A {}")]);
    provider.update_content("include 'a.thrift' service New { void M(1: a.A a) }", &includes).unwrap();
    assert_eq!(provider.load().name(), "New");
    let files = texts(&[
        ("d/main.thrift", "include 'a.thrift' service Newer { void M(1: a.A a) }"),
        ("d/a.thrift", "struct A {}"),
    ]);
    provider.update_content_absolute("d/main.thrift", &files).unwrap();
    assert_eq!(provider.load().name(), "Newer");
    provider.update(Descriptor::from_text("service Newest {}").unwrap());
    assert_eq!(provider.load().name(), "Newest");
}

#[test]
fn v_07_a_bad_update_changes_nothing() {
    let provider = content("service Old { void M(1: i32 a) }");
    let before = provider.load();
    let none = HashMap::new();
    assert!(provider.update_content("service {", &none).is_err());
    assert!(provider.update_content("service S { void M(1: Missing a) }", &none).is_err());
    assert!(provider.update_content("struct S {}", &none).is_err());
    let error = provider.update_content_absolute("x", &none).unwrap_err();
    assert_eq!(error.to_string(), "miss main IDL content for main IDL path: x");
    assert!(Arc::ptr_eq(&before, &provider.load()));

    let directory = Directory::new();
    let path = directory.write("main.thrift", "service A { void M(1: i32 a) }");
    let provider = Provider::from_file(&path, &[], Builder::new()).unwrap();
    directory.write("main.thrift", "service B {");
    assert!(provider.reload().is_err());
    assert_eq!(provider.load().name(), "A");
    directory.write("main.thrift", "service B {}");
    provider.reload().unwrap();
    assert_eq!(provider.load().name(), "B");
}

#[test]
fn v_08_texts_that_include_each_other() {
    let includes =
        texts(&[("a.thrift", "include 'b.thrift'"), ("b.thrift", "include 'a.thrift'"), ("c.thrift", "struct C {}")]);
    let main = "include 'c.thrift' include 'a.thrift' service S {}";
    let error = Provider::from_content(main, &includes, Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "IDL circular dependency: a.thrift -> b.thrift -> a.thrift");
    let files = texts(&[("d/m.thrift", "include 'm.thrift' service S {}")]);
    let error = Provider::from_content_absolute("d/m.thrift", &files, Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "IDL circular dependency: d/m.thrift -> d/m.thrift");
    // Two ways to one text are no circle.
    let includes =
        texts(&[("a.thrift", "include 'c.thrift'"), ("b.thrift", "include 'c.thrift'"), ("c.thrift", "struct C {}")]);
    let main = "include 'a.thrift' include 'b.thrift' include 'c.thrift' service S { void M(1: c.C c) }";
    Provider::from_content(main, &includes, Builder::new()).unwrap();
}

/// Files, in contrast, may include each other, and use each other's names.
#[test]
fn files_that_include_each_other() {
    let directory = Directory::new();
    directory.write("a.thrift", "include 'b.thrift' include 'a.thrift' struct A { 1: b.B b, 2: a.A a }");
    let path = directory.write("b.thrift", "include 'a.thrift' struct B { 1: a.A a } service S { void M(1: B b) }");
    let provider = Provider::from_file(path, &[], Builder::new()).unwrap();
    let d = provider.load();
    assert_eq!(provider.files().len(), 2);
    let Type::Struct(b) = d.functions()[0].request else { panic!() };
    let Type::Struct(a) = d.structure(b).fields[0].ty else { panic!() };
    assert_eq!((d.structure(a).fields[0].ty, d.structure(a).fields[1].ty), (Type::Struct(b), Type::Struct(a)));
}

#[test]
fn v_09_two_texts_for_the_main_file() {
    let main = "service S {}";
    let error = Provider::from_content(main, &texts(&[("main.thrift", "service T {}")]), Builder::new()).unwrap_err();
    assert_eq!(error.to_string(), "provided main IDL content conflicts with includes: \"main.thrift\"");
    for same in ["service S {}", ""] {
        Provider::from_content(main, &texts(&[("main.thrift", same)]), Builder::new()).unwrap();
    }
}

#[test]
fn v_10_the_parse_mode_is_each_providers_own() {
    let main = "service ExampleService { void A(1: i32 a) } service Example2Service { void B(1: i32 a) }";
    let name = |builder: Builder| {
        let provider = Provider::from_content(main, &HashMap::new(), builder).unwrap();
        // It holds for updates, too.
        provider.update_content(main, &HashMap::new()).unwrap();
        provider.load().name().to_owned()
    };
    assert_eq!(name(Builder::new().mode(ParseMode::First)), "ExampleService");
    assert_eq!(name(Builder::new().mode(ParseMode::Combine)), "CombinedServices");
    assert_eq!(name(Builder::new().mode(ParseMode::Last)), "Example2Service");
    assert_eq!(name(Builder::new()), "Example2Service");
}

const TAGGED: &str = r#"
    struct Req { 1: i64 id (go.tag = 'json:"MyID"'), 2: optional string str = "echo" (go.tag = "json:\"STR\"") }
    struct Resp { 1: string msg (go.tag = 'json:"message"') }
    exception Ex { 1: string msg (go.tag = 'json:"excMsg"') }
    service S { Resp M(1: Req req) throws (1: Ex ex) }"#;

fn tagged(builder: Builder) -> Arc<Descriptor> {
    Provider::from_content(TAGGED, &HashMap::new(), builder).unwrap().load()
}

fn keys(d: &Descriptor, ty: Type) -> Vec<&str> {
    let Type::Struct(id) = ty else { panic!() };
    d.structure(id).fields.iter().map(|field| &*field.key).collect()
}

// That the environment turns aliases off is tested in tests/descriptor.rs: it takes a process of its own.
#[test]
fn v_11_aliases_by_go_tag_are_each_providers_own() {
    for (builder, expected) in [
        (Builder::new().go_tag(true), ["MyID", "STR"]),
        (Builder::new().go_tag(false), ["id", "str"]),
        (Builder::new(), ["MyID", "STR"]),
    ] {
        let d = tagged(builder);
        assert_eq!(keys(&d, d.functions()[0].request), expected);
    }
}

#[test]
fn v_12_so_are_they_in_the_dynamic_profile() {
    let dynamic = || Builder::new().profile(Profile::Dynamic);
    // All of them live at the same time, and none decides for another.
    let all = [tagged(dynamic()), tagged(dynamic().go_tag(false)), tagged(dynamic().go_tag(true))];
    let thrift = [12, 0, 1, 11, 0, 2, 0, 0, 0, 1, b'x', 0, 0];
    let texts = all.each_ref().map(|d| json(d, Options::json(Profile::Dynamic), &d.functions()[0], &thrift));
    let [tags, none, again] = texts;
    assert!(tags.contains(r#""STR":"x""#) && again.contains(r#""STR":"x""#), "{tags} {again}");
    assert!(none.contains(r#""str":"x""#), "{none}");
}

#[test]
fn v_13_results_and_exceptions_have_aliases_too() {
    for (tags, message, exception) in [(true, "message", "excMsg"), (false, "msg", "msg")] {
        for profile in [Profile::Default, Profile::Dynamic] {
            let d = tagged(Builder::new().go_tag(tags).profile(profile));
            let f = d.function("M").unwrap();
            let codec = JsonCodec::new(Options::json(profile));
            let json = format!("{{\"{message}\":\"hi\"}}");
            let (mut thrift, mut out) = (Vec::new(), Vec::new());
            codec.encode_response(&d, f, &Outcome::Value(json.as_bytes()), &mut thrift).unwrap();
            assert_eq!(codec.decode_response(&d, f, &thrift, &mut out).unwrap(), Outcome::Value(()));
            assert_eq!(String::from_utf8_lossy(&out), json);
            let json = format!("{{\"{exception}\":\"hi\"}}");
            let (mut thrift, mut out) = (Vec::new(), Vec::new());
            codec.encode_response(&d, f, &Outcome::Exception { id: 1, value: json.as_bytes() }, &mut thrift).unwrap();
            let outcome = codec.decode_response(&d, f, &thrift, &mut out).unwrap();
            assert_eq!((outcome, &*String::from_utf8_lossy(&out)), (Outcome::Exception { id: 1, value: () }, &*json));
        }
    }
}

#[test]
fn v_14_defaults_are_seen_in_both_profiles() {
    let main = "struct S { 1: optional string s = 'echo', 2: optional i8 n = 8 } service X { S M(1: S s) }";
    for profile in [Profile::Default, Profile::Dynamic] {
        let provider = Provider::from_content(main, &HashMap::new(), Builder::new().profile(profile)).unwrap();
        let d = provider.load();
        let f = d.function("M").unwrap();
        let Type::Struct(id) = f.request else { panic!() };
        let defaults = d.structure(id).fields.iter().map(|field| field.default.clone());
        assert_eq!(defaults.collect::<Vec<_>>(), [Some(Value::from("echo")), Some(Value::I8(8))]);
        assert_eq!(json(&d, Options::json(profile), f, &[12, 0, 1, 0, 0]), r#"{"s":"echo","n":8}"#);
    }
}

#[test]
fn v_15_updates_while_calls_are_running() {
    let provider = content("struct R { 1: string old } service S { R Gone(1: R r) R Stays(1: R r) }");
    let codec = JsonCodec::new(Options::json(Profile::Default));
    let pinned = provider.load();
    provider
        .update_content("struct R { 1: string new } service S { R Stays(1: R r) R Added(1: R r) }", &HashMap::new())
        .unwrap();
    let d = provider.load();
    assert!(d.function("Gone").is_none());
    let mut thrift = Vec::new();
    codec.encode_request(&d, d.function("Added").unwrap(), Some(br#"{"new":"x"}"#), None, &mut thrift).unwrap();
    assert_eq!(json(&d, codec.options().clone(), d.function("Stays").unwrap(), &thrift), r#"{"new":"x"}"#);
    // A call that began before ends by what it began with.
    assert_eq!(json(&pinned, codec.options().clone(), pinned.function("Gone").unwrap(), &thrift), r#"{"old":"x"}"#);
}

#[test]
fn v_15_updates_from_many_threads() {
    let provider = content("service S0 { void M(1: i32 a) }");
    let barrier = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (provider, barrier) = (provider.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for _ in 0..100 {
                    let main = format!("service S{number} {{ void M{number}(1: i32 a) }}");
                    provider.update_content(&main, &HashMap::new()).unwrap();
                    // Name and methods always fit together.
                    let d = provider.load();
                    assert_eq!(
                        d.name().strip_prefix('S'),
                        d.functions()[0].name.strip_prefix('M').filter(|n| !n.is_empty())
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn v_16_the_name_and_the_combined_flag_follow_the_descriptor() {
    let main = "service A { void M(1: i32 a) } service B { void N(1: i32 a) }";
    let provider = content(main);
    assert_eq!((provider.load().name(), provider.load().is_combined()), ("B", false));
    provider.update(Builder::new().mode(ParseMode::Combine).build(&Idl::from_text(main).unwrap()).unwrap());
    assert_eq!((provider.load().name(), provider.load().is_combined()), ("CombinedServices", true));
}

/// Here all parse options are the builder's, and every later text is built by the same one.
#[test]
fn v_17_the_builders_options_hold_for_every_update() {
    let builder = Builder::new().profile(Profile::Dynamic).service("A").go_tag(false);
    let main = "struct S { 1: i32 a (api.key = 'k'), 2: i32 b (go.tag = 'json:\"t\"') } service A { S M(1: S s) } service B {}";
    let provider = Provider::from_content("service A {}", &HashMap::new(), builder).unwrap();
    provider.update_content(main, &HashMap::new()).unwrap();
    let d = provider.load();
    assert_eq!((d.name(), d.profile(), keys(&d, d.functions()[0].request)), ("A", Profile::Dynamic, vec!["k", "b"]));
}

#[test]
fn v_18_nothing_is_left_of_a_provider_that_is_dropped() {
    let provider = content("service S {}");
    let clone = provider.clone();
    let before = Arc::downgrade(&provider.load());
    provider.update(Descriptor::from_text("service T {}").unwrap());
    assert_eq!(before.strong_count(), 0);
    let current = Arc::downgrade(&clone.load());
    drop(provider);
    assert_eq!(current.upgrade().unwrap().name(), "T");
    drop(clone);
    assert_eq!(current.strong_count(), 0);
}

#[cfg(feature = "watch")]
mod watch {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::time::Duration;

    use thrift_generic::Watch;
    use thrift_generic::idl::IdlError;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Longer than it takes to calm down.
    const SHORT: Duration = Duration::from_millis(400);

    type Reports = Receiver<Result<String, IdlError>>;

    fn watched(path: &Path, include_dirs: &[PathBuf]) -> (Provider, Watch, Reports) {
        let provider = Provider::from_file(path, include_dirs, Builder::new()).unwrap();
        let (sender, reports) = channel();
        let watch = provider.watch(move |result| sender.send(result.map(|d| d.name().to_owned())).unwrap()).unwrap();
        (provider, watch, reports)
    }

    fn next(reports: &Reports) -> Result<String, String> {
        reports.recv_timeout(LONG).unwrap().map_err(|error| error.to_string())
    }

    fn silent(reports: &Reports) {
        assert_eq!(reports.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
    }

    #[test]
    fn a_changed_file_takes_effect() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "include 'inc/a.thrift' service A { void M(1: a.T t) }");
        directory.write("inc/a.thrift", "struct T { 1: i32 old }");
        let (provider, _watch, reports) = watched(&path, &[]);
        silent(&reports);
        directory.write("main.thrift", "include 'inc/a.thrift' service B { void M(1: a.T t) }");
        assert_eq!(next(&reports).unwrap(), "B");
        directory.write("inc/a.thrift", "struct T { 1: i32 new }");
        assert_eq!(next(&reports).unwrap(), "B");
        let d = provider.load();
        assert_eq!(&*first_field(&d, d.functions()[0].request).name, "new");
        // A neighbour, and the same text again, are no news.
        directory.write("inc/other.thrift", "struct");
        directory.write("inc/a.thrift", "struct T { 1: i32 new }");
        silent(&reports);
    }

    #[test]
    fn a_bad_change_is_told_once_and_changes_nothing() {
        let directory = Directory::new();
        let good = "service A { void M(1: i32 a) }";
        let path = directory.write("main.thrift", good);
        let (provider, _watch, reports) = watched(&path, &[]);
        directory.write("main.thrift", "service B {");
        let error = next(&reports).unwrap_err();
        assert!(error.contains("main.thrift:1:12: parse error"), "{error}");
        assert_eq!(provider.load().name(), "A");
        directory.write("neighbour", "");
        silent(&reports);
        fs::remove_file(&path).unwrap();
        assert!(next(&reports).unwrap_err().contains("No such file"));
        // The same as in the beginning is news now.
        directory.write("main.thrift", good);
        assert_eq!(next(&reports).unwrap(), "A");
    }

    #[test]
    fn files_that_are_replaced_by_renaming_others_take_effect() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "service A {}");
        let (_provider, _watch, reports) = watched(&path, &[]);
        for name in ["B", "C"] {
            let new = directory.write("elsewhere/main.thrift", &format!("service {name} {{}}"));
            fs::rename(new, &path).unwrap();
            assert_eq!(next(&reports).unwrap(), name);
        }
    }

    #[test]
    fn files_that_are_written_in_place_take_effect() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "service A {}");
        let (provider, _watch, reports) = watched(&path, &[]);
        fs::write(&path, "service B {}").unwrap();
        // It may be caught while it is still empty.
        while next(&reports).is_err() {}
        assert_eq!(provider.load().name(), "B");
    }

    /// As Kubernetes does it with the files of a `ConfigMap`.
    #[cfg(unix)]
    #[test]
    fn directories_that_are_swapped_by_a_link_take_effect() {
        use std::os::unix::fs::symlink;
        let directory = Directory::new();
        directory.write("one/main.thrift", "service A {}");
        directory.write("two/main.thrift", "service B {}");
        symlink("one", directory.0.join("data")).unwrap();
        symlink("data/main.thrift", directory.0.join("main.thrift")).unwrap();
        let (_provider, _watch, reports) = watched(&directory.0.join("main.thrift"), &[]);
        symlink("two", directory.0.join("data.tmp")).unwrap();
        fs::rename(directory.0.join("data.tmp"), directory.0.join("data")).unwrap();
        assert_eq!(next(&reports).unwrap(), "B");
        directory.write("two/main.thrift", "service C {}");
        assert_eq!(next(&reports).unwrap(), "C");
    }

    #[test]
    fn a_directory_that_is_gone_for_a_while_is_found_again() {
        let directory = Directory::new();
        let path = directory.write("idl/main.thrift", "service A {}");
        let (_provider, _watch, reports) = watched(&path, &[directory.0.join("nowhere")]);
        fs::remove_dir_all(directory.0.join("idl")).unwrap();
        assert!(next(&reports).is_err());
        directory.write("idl/main.thrift", "service B {}");
        assert_eq!(next(&reports).unwrap(), "B");
        directory.write("idl/main.thrift", "service C {}");
        assert_eq!(next(&reports).unwrap(), "C");
    }

    #[test]
    fn an_include_that_was_missing_is_found_when_it_turns_up() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "service A {}");
        fs::create_dir(directory.0.join("shared")).unwrap();
        let (_provider, _watch, reports) = watched(&path, &[directory.0.join("shared")]);
        directory.write("main.thrift", "include 'later.thrift' service B { void M(1: later.T t) }");
        assert!(next(&reports).unwrap_err().contains("miss include path: later.thrift"));
        directory.write("shared/later.thrift", "struct T {}");
        assert_eq!(next(&reports).unwrap(), "B");
    }

    #[test]
    fn a_watch_ends_when_it_is_dropped() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "service A {}");
        let (provider, watch, reports) = watched(&path, &[]);
        drop(watch);
        // With the thread, the callback is gone, too, and what it held.
        assert_eq!(reports.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
        directory.write("main.thrift", "service B {}");
        thread::sleep(SHORT);
        assert_eq!(provider.load().name(), "A");
        let current = Arc::downgrade(&provider.load());
        drop(provider);
        assert_eq!(current.strong_count(), 0);
    }

    #[test]
    fn a_watch_may_be_dropped_by_its_own_callback() {
        let directory = Directory::new();
        let path = directory.write("main.thrift", "service A {}");
        let provider = Provider::from_file(&path, &[], Builder::new()).unwrap();
        let (give, take) = channel::<Watch>();
        let (told, reports) = channel();
        let watch = provider
            .watch(move |_| {
                drop(take.recv().unwrap());
                told.send(()).unwrap();
            })
            .unwrap();
        give.send(watch).unwrap();
        directory.write("main.thrift", "service B {}");
        reports.recv_timeout(LONG).unwrap();
        assert_eq!(reports.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
    }
}
