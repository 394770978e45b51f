//! The keys of a gateway.

use std::process::{Command, Output};

use proxy::{Config, Proxy, ProxyError};

use crate::IDL;
use crate::reload::Directory;
use crate::support::{BINARY, config_file};

fn file(listener: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:0\"\n{listener}\n[[route]]\ncluster = \"c\"\n[cluster.c]\nendpoints = [\"127.0.0.1:1\"]\n"
    )
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (listener, text) in [
        ("protocols = [\"http\"]", "expected idl = \"file or directory\""),
        ("protocols = [\"http\", \"grpc\"]\nidl = \"a.thrift\"", "http needs a listener of its own"),
        ("idl = \"a.thrift\"", "idl is of use to HTTP alone"),
        ("protocols = [\"framed\"]\nbase64 = true", "base64 is of use to HTTP alone"),
        ("include = [\"a\"]", "include is of use to HTTP alone"),
        ("i64_as_string = true", "i64_as_string is of use to HTTP alone"),
        ("protocols = [\"http\"]\nidl = \"a\"\nprofile = \"fast\"", "unknown variant `fast`"),
    ] {
        let error = Config::parse(&file(listener), "test.toml").unwrap_err().to_string();
        assert!(error.starts_with("test.toml:") && error.contains(text), "{error}");
    }
    // Who says nothing does not get HTTP.
    let config = Config::parse(&file(""), "test.toml").unwrap();
    assert!(!config.listeners[0].protocols.contains(&proxy::rpc::Protocol::Http));
}

#[test]
fn paths_are_seen_from_the_file() {
    let directory = Directory::new();
    directory.write("idl/s.thrift", "include \"m.thrift\"\nservice S { m.M Do() }");
    directory.write("common/m.thrift", "struct M {}");
    directory.write("p.toml", &file("protocols = [\"http\"]\nidl = \"idl\"\ninclude = [\"common\"]"));
    let config = Config::load(&directory.path().join("p.toml")).unwrap();
    Proxy::builder().config(config).build().unwrap();
}

#[test]
fn an_idl_that_is_not_good_is_no_start() {
    let directory = Directory::new();
    for (number, (text, wanted)) in [
        ("struct {", ".thrift:1:"),
        ("struct M {}", "no service"),
        ("service S { void A() (api.get = \"/a\"), void B() (api.get = \"/a\") }", "/a"),
        ("service S { void A() (api.get = \"a\") }", "path must begin with '/'"),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("{number}.thrift");
        directory.write(&name, text);
        let path = directory.path().join(&name);
        let config = file(&format!("protocols = [\"http\"]\nidl = \"{}\"", path.display()));
        let error = Proxy::builder().config(Config::parse(&config, "test.toml").unwrap()).build().unwrap_err();
        assert!(matches!(error, ProxyError::Idl { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(wanted) && error.contains(&name), "{error}");
        for command in ["run", "check"] {
            let output = run(command, &config);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(wanted), "{output:?}");
        }
    }
    let config = file("protocols = [\"http\"]\nidl = \"/nowhere/at/all\"");
    let error = Proxy::builder().config(Config::parse(&config, "test.toml").unwrap()).build().unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all: can't be read"), "{error}");
}

#[test]
fn one_service_in_two_files_is_refused() {
    let directory = Directory::new();
    directory.write("a.thrift", "service S { void A() }");
    directory.write("b.thrift", "service S { void B() }");
    let config = file(&directory.listener());
    let error = Proxy::builder().config(Config::parse(&config, "test.toml").unwrap()).build().unwrap_err().to_string();
    assert!(error.contains("service S is in") && error.contains("b.thrift"), "{error}");
}

fn run(command: &str, config: &str) -> Output {
    Command::new(BINARY).args([command, "--config"]).arg(config_file(config)).output().unwrap()
}

#[test]
fn check_says_what_is_served() {
    let output = run("check", &file(&format!("protocols = [\"http\"]\nidl = \"{IDL}\"\nprofile = \"dynamic\"")));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "speaks http/1.1 and http/2, by the IDL in",
        "profile dynamic, base64 true, i64_as_string false",
        "Shop.Get: GET /items/:id, POST /Shop/Get",
        "Shop.Put: PUT /items/:id, PATCH /items/:id, POST /Shop/Put",
        "Shop.Chat: streams, not over HTTP",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
