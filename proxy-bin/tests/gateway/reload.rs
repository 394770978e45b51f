//! IDL that changes while it is served.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use testkit::peer::RawServer;

use crate::client::{Http, get, post};
use crate::support::{Setup, TestProxy};

/// A directory of its own, for a test to write IDL into.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("idl-{}-{number}", std::process::id()));
        // What an earlier process of the same number has left.
        let _none = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// As an editor does: another file takes its place.
    fn replace(&self, name: &str, text: &str) {
        self.write("next.tmp", text);
        std::fs::rename(self.0.join("next.tmp"), self.0.join(name)).unwrap();
    }

    /// The lines of a listener that serves it.
    pub(crate) fn listener(&self) -> String {
        format!("protocols = [\"http\"]\nidl = \"{}\"", self.0.display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left where it lies if it can't be removed: it is in the build directory.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

fn gateway(backend: &RawServer, directory: &Directory) -> TestProxy {
    Setup::to(backend).listener(&directory.listener()).start()
}

/// A service whose message has a field of this name.
fn idl(field: &str) -> String {
    format!("struct M {{ 1: string {field} }}\nservice S {{ M Echo(1: M m) (api.post = \"/{field}\") }}\n")
}

#[test]
fn a_change_takes_effect() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    directory.write("s.thrift", &idl("old"));
    let proxy = gateway(&backend, &directory);
    assert_eq!(post(proxy.addr(), "/S/Echo", r#"{"old": "x"}"#).json(), json!({ "old": "x" }));
    assert_eq!(post(proxy.addr(), "/old", r#"{"old": "x"}"#).status, 200);

    directory.replace("s.thrift", &idl("new"));
    proxy.eventually("it is read", |totals| totals.idl_reloads == 1);
    assert_eq!(post(proxy.addr(), "/S/Echo", r#"{"new": "x", "old": "y"}"#).json(), json!({ "new": "x" }));
    assert_eq!((post(proxy.addr(), "/new", "{}").status, post(proxy.addr(), "/old", "{}").status), (200, 404));
    assert!(get(proxy.addr(), "/").text().contains("/new"));
    assert!(get(proxy.addr(), "/openapi.json").json()["paths"].get("/new").is_some());

    directory.write("s.thrift", &idl("newer"));
    proxy.eventually("it is read again", |totals| totals.idl_reloads == 2);
    assert_eq!(post(proxy.addr(), "/newer", "{}").status, 200);
}

#[test]
fn a_bad_change_changes_nothing() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    directory.write("s.thrift", &idl("msg"));
    let proxy = gateway(&backend, &directory);
    for (number, bad) in [
        "struct M { 1: string".to_owned(),
        "service S { Unknown Echo(1: Unknown m) }".to_owned(),
        format!("{}service T {{ void A() (api.post = \"/msg\") }}", idl("msg")),
        "struct Nothing {}".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        directory.replace("s.thrift", bad);
        proxy.eventually(bad, |totals| totals.idl_refused == number as u64 + 1);
        assert_eq!(post(proxy.addr(), "/msg", r#"{"msg": "x"}"#).json(), json!({ "msg": "x" }));
    }
    directory.replace("s.thrift", &idl("good"));
    proxy.eventually("it is good again", |totals| totals.idl_reloads == 1);
    assert_eq!(post(proxy.addr(), "/good", r#"{"good": "x"}"#).json(), json!({ "good": "x" }));
}

#[test]
fn files_come_and_go_and_what_is_included_counts() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    directory.write("inc/m.thrift", "struct M { 1: string one }");
    directory.write("a.thrift", "include \"inc/m.thrift\"\nservice A { m.M Echo(1: m.M m) }");
    let proxy = gateway(&backend, &directory);
    assert_eq!(post(proxy.addr(), "/A/Echo", r#"{"one": "x"}"#).json(), json!({ "one": "x" }));
    directory.write("b.thrift", "service B { void Ping() }");
    proxy.eventually("a file came", |totals| totals.idl_reloads == 1);
    assert!(get(proxy.addr(), "/").text().contains("2 services"));
    directory.write("inc/m.thrift", "struct M { 1: string two }");
    proxy.eventually("what is included changed", |totals| totals.idl_reloads == 2);
    assert_eq!(post(proxy.addr(), "/A/Echo", r#"{"two": "x"}"#).json(), json!({ "two": "x" }));
    std::fs::remove_file(directory.path().join("b.thrift")).unwrap();
    proxy.eventually("a file went", |totals| totals.idl_reloads == 3);
    assert_eq!(post(proxy.addr(), "/B/Ping", "").status, 404);
}

#[test]
fn no_call_is_lost_to_a_change() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    directory.write("s.thrift", &idl("a"));
    let proxy = gateway(&backend, &directory);
    let addr = proxy.addr();
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut http = Http::connect(addr);
                while !done.load(Ordering::Relaxed) {
                    let answer = http.post("/S/Echo", r#"{"a": "x", "b": "x"}"#);
                    // One IDL or the other, never a mixture, and never an error.
                    let text = answer.text();
                    assert!(answer.status == 200 && (text == r#"{"a":"x"}"# || text == r#"{"b":"x"}"#), "{answer:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 0..6 {
        directory.replace("s.thrift", &idl(if number % 2 == 0 { "b" } else { "a" }));
        proxy.eventually("the change is read", |totals| totals.idl_reloads == number + 1);
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?}");
    assert_eq!(proxy.totals().replies, asked.load(Ordering::Relaxed) as u64);
}

#[test]
fn a_request_keeps_the_idl_that_it_began_with() {
    let (reply, held) = std::sync::mpsc::channel();
    let held = std::sync::Mutex::new(held);
    let backend = RawServer::replying(move |call| {
        held.lock().unwrap().recv().unwrap();
        call.reply().bytes()
    });
    let directory = Directory::new();
    directory.write("s.thrift", &idl("old"));
    let proxy = gateway(&backend, &directory);
    let mut http = Http::connect(proxy.addr());
    http.send("POST /S/Echo", &[], r#"{"old": "x"}"#);
    backend.wait_for_messages(1);
    directory.replace("s.thrift", &idl("new"));
    proxy.eventually("the change is read", |totals| totals.idl_reloads == 1);
    reply.send(()).unwrap();
    assert_eq!(http.read().json(), json!({ "old": "x" }));
    reply.send(()).unwrap();
    assert_eq!(http.post("/S/Echo", r#"{"new": "x"}"#).json(), json!({ "new": "x" }));
}
