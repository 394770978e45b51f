//! The configuration: what a file says, and what is said of a file that makes no sense.

use std::process::{Command, Output};
use std::time::Duration;

use proxy::Config;
use proxy::config::{Pattern, defaults};
use proxy::rpc::{Protocol, StreamTransport, Transport};

use crate::support::{BINARY, config_file};

const SMALLEST: &str = "\
[[listener]]
bind = \"127.0.0.1:8888\"

[[route]]
cluster = \"echo\"

[cluster.echo]
endpoints = [\"127.0.0.1:9999\"]
";

#[test]
fn everything_that_a_file_leaves_out_has_its_default() {
    let config = Config::parse(SMALLEST, "small.toml").unwrap();
    assert_eq!(config.drain, defaults::DRAIN);
    assert!(config.workers >= 1);
    let listener = &config.listeners[0];
    assert_eq!((&listener.name[..], listener.bind.port()), ("127.0.0.1:8888", 8888));
    assert_eq!(listener.protocols, Protocol::SNIFFED);
    assert_eq!((listener.max_message, listener.cut_through), (defaults::MAX_MESSAGE, defaults::CUT_THROUGH));
    assert_eq!(listener.max_in_flight, defaults::MAX_IN_FLIGHT);
    assert_eq!(listener.max_connections, defaults::MAX_CONNECTIONS);
    assert_eq!(listener.sniff_timeout, defaults::SNIFF_TIMEOUT);
    assert_eq!(listener.read_timeout, defaults::READ_TIMEOUT);
    assert_eq!(listener.write_timeout, defaults::WRITE_TIMEOUT);
    assert_eq!(listener.half_close_timeout, defaults::HALF_CLOSE_TIMEOUT);
    assert!(listener.service.is_none() && !listener.strip_business_errors);
    let route = &config.routes[0];
    assert!([&route.service, &route.method, &route.caller].iter().all(|pattern| **pattern == Pattern::Any));
    assert!(route.timeout.is_none() && route.listener.is_none() && route.metadata.is_empty());
    let cluster = &config.clusters[0];
    assert_eq!((&cluster.endpoints[0].address[..], cluster.endpoints[0].weight), ("127.0.0.1:9999", defaults::WEIGHT));
    assert_eq!((cluster.connect_timeout, cluster.idle_timeout), (defaults::CONNECT_TIMEOUT, defaults::IDLE_TIMEOUT));
    assert!(cluster.pingpong.is_none() && !cluster.mux);
}

#[test]
fn everything_that_a_file_says_is_taken_as_it_says() {
    let config = Config::parse(
        r#"
        workers = 3
        drain = "1m"

        [[listener]]
        name = "front"
        bind = "[::1]:0"
        protocols = ["buffered", "framed", "ttheader", "ttstream", "grpc"]
        service = "EchoService"
        max_message = "64MiB"
        cut_through = "128KiB"
        strip_business_errors = true
        max_in_flight = 7
        max_connections = 9
        sniff_timeout = "1s"
        read_timeout = "250ms"
        write_timeout = "2s"
        half_close_timeout = "1h"

        [[route]]
        name = "reads"
        listener = "front"
        service = "Echo*"
        method = "get"
        caller = "*"
        metadata = { env = "test*" }
        cluster = "echo"
        timeout = "100us"

        [cluster.echo]
        endpoints = ["localhost:1", { address = "127.0.0.1:2", weight = 3 }]
        pingpong = "ttheader-framed"
        streaming = "grpc"
        mux = true
        connect_timeout = "50ms"
        idle_timeout = "10s"
        read_timeout = "3s"
        write_timeout = "4s"
        "#,
        "full.toml",
    )
    .unwrap();
    assert_eq!((config.workers, config.drain), (3, Duration::from_secs(60)));
    let listener = &config.listeners[0];
    assert_eq!((listener.max_message, listener.cut_through), (64 << 20, 128 << 10));
    assert_eq!((listener.max_in_flight, listener.max_connections), (7, 9));
    assert_eq!(
        (listener.read_timeout, listener.half_close_timeout),
        (Duration::from_millis(250), Duration::from_secs(3600))
    );
    let route = &config.routes[0];
    assert_eq!((&route.service, &route.method), (&Pattern::Prefix("Echo".into()), &Pattern::Exact("get".into())));
    assert_eq!((&route.caller, route.timeout), (&Pattern::Any, Some(Duration::from_micros(100))));
    assert_eq!(route.metadata, [("env".to_owned(), Pattern::Prefix("test".into()))]);
    let cluster = &config.clusters[0];
    assert_eq!((cluster.endpoints[0].weight, cluster.endpoints[1].weight), (defaults::WEIGHT, 3));
    assert_eq!((cluster.pingpong, cluster.streaming), (Some(Transport::TtHeaderFramed), Some(StreamTransport::Grpc)));
    assert!(cluster.mux);
    assert_eq!((cluster.max_message, cluster.cut_through), (64 << 20, 128 << 10), "replies: as the listeners allow");
}

#[test]
fn every_transport_has_its_name() {
    for (name, transport) in [
        ("buffered", Transport::Buffered),
        ("framed", Transport::Framed),
        ("ttheader", Transport::TtHeader),
        ("ttheader-framed", Transport::TtHeaderFramed),
    ] {
        let config = Config::parse(&format!("{SMALLEST}pingpong = \"{name}\""), "f").unwrap();
        assert_eq!((config.clusters[0].pingpong, transport.to_string()), (Some(transport), name.to_owned()));
    }
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_was_expected() {
    // A line of the smallest file, what it is replaced with, where the mistake is found, and what is said.
    let bind = "bind = \"127.0.0.1:8888\"";
    let endpoints = "endpoints = [\"127.0.0.1:9999\"]";
    let cluster = "cluster = \"echo\"";
    let add = |line: &str, more: &str| format!("{line}\n{more}");
    for (line, with, at, said) in [
        (bind, add(bind, "bnd = 1"), 3, &["unknown field `bnd`", "expected one of", "`protocols`"][..]),
        (cluster, add(cluster, "servise = \"x\""), 6, &["unknown field `servise`", "`service`"]),
        (endpoints, add(endpoints, "muxx = true"), 9, &["unknown field `muxx`", "`mux`"]),
        ("[[listener]]", "worker = 1\n[[listener]]".into(), 1, &["unknown field `worker`", "`workers`"]),
        ("[[listener]]", "workers = 0\n[[listener]]".into(), 1, &["workers = 0", "at least 1"]),
        ("[[listener]]", "drain = \"5\"\n[[listener]]".into(), 1, &["\"5\"", "a time with its unit", "250ms"]),
        ("[[listener]]", "drain = 5\n[[listener]]".into(), 1, &["5", "a time with its unit"]),
        ("[[listener]]", "drain = \"5 weeks\"\n[[listener]]".into(), 1, &["5 weeks", "us, ms, s, m, h"]),
        ("[[listener]]", "drain = \"-5s\"\n[[listener]]".into(), 1, &["-5s", "a time with its unit"]),
        (bind, add(bind, "max_message = \"16MB\""), 3, &["16MB", "KiB, MiB, GiB"]),
        (bind, add(bind, "max_message = \"99999999999GiB\""), 3, &["99999999999GiB", "a size with its unit"]),
        (bind, add(bind, "protocols = [\"https\"]"), 3, &["unknown variant `https`", "`ttheader`"]),
        (bind, add(bind, "protocols = []"), 1, &["protocols is empty", "expected at least one"]),
        (bind, add(bind, "max_in_flight = 0"), 1, &["max_in_flight", "at least 1"]),
        (bind, "bind = \"localhost\"".into(), 2, &["invalid socket address"]),
        (bind, String::new(), 1, &["missing field `bind`"]),
        (cluster, "cluster = \"ecko\"".into(), 5, &["unknown cluster `ecko`", "expected one of: `echo`"]),
        (
            cluster,
            add(cluster, "listener = \"back\""),
            6,
            &["unknown listener `back`", "expected one of: `127.0.0.1:8888`"],
        ),
        (cluster, "method = \"x\"".into(), 4, &["missing field `cluster`"]),
        (endpoints, "endpoints = []".into(), 7, &["cluster echo", "endpoints is empty", "host:port"]),
        (endpoints, "endpoints = [\n\"127.0.0.1\"]".into(), 9, &["endpoint `127.0.0.1`", "expected host:port"]),
        (endpoints, "endpoints = [\"a:0\"]".into(), 8, &["endpoint `a:0`", "expected host:port"]),
        (endpoints, "endpoints = [{ address = \"a:1\", weight = 0 }]".into(), 8, &["weight = 0", "at least 1"]),
        (endpoints, "endpoints = [{ adress = \"a:1\" }]".into(), 8, &["expected \"host:port\" or { address"]),
        (endpoints, add(endpoints, "pingpong = \"http\""), 9, &["unknown variant `http`", "`ttheader-framed`"]),
        (endpoints, "endpoints = [".into(), 8, &["unclosed array"]),
    ] {
        let text = SMALLEST.replacen(line, &with, 1);
        assert_ne!(text, SMALLEST);
        let error = Config::parse(&text, "proxy.toml").expect_err(&with).to_string();
        assert!(error.starts_with(&format!("proxy.toml:{at}: ")), "{with:?}: {error}");
        for part in said {
            assert!(error.contains(part), "{with:?}: {error}");
        }
    }
}

#[test]
fn what_is_missing_as_a_whole_is_told_too() {
    let error = Config::parse("", "empty.toml").unwrap_err().to_string();
    assert!(error.starts_with("empty.toml: ") && error.contains("[[listener]]"), "{error}");
    let twice = format!("[[listener]]\nbind = \"127.0.0.1:8888\"\n{SMALLEST}");
    assert!(Config::parse(&twice, "f").unwrap_err().to_string().contains("two listeners are called"));
    let error = Config::load("/nonexistent/proxy.toml".as_ref()).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/proxy.toml: can't be read"), "{error}");
}

#[test]
fn every_example_is_a_good_file() {
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let files: Vec<_> = examples
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|e| e == "toml"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        Config::load(&file).unwrap();
    }
}

fn check(text: &str) -> Output {
    Command::new(BINARY).args(["check", "--config"]).arg(config_file(text)).output().unwrap()
}

#[test]
fn check_explains_a_good_file_and_ends_with_zero() {
    let output = check(
        &SMALLEST.replace("cluster = \"echo\"", "service = \"EchoService\"\nmethod = \"get*\"\ncluster = \"echo\""),
    );
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["127.0.0.1:8888", "EchoService", "get*", "echo", "127.0.0.1:9999"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

/// Every key of the README's table is told, those of streams by their names and values.
#[test]
fn check_fills_in_every_key_of_streams() {
    for (add, at, told) in [
        ("", "", "name proxy, "),
        ("name = \"edge\"", "", "name edge, "),
        ("", "", "stream_memory 268435456 B"),
        ("stream_memory = \"1MiB\"", "", "stream_memory 1048576 B"),
        ("", "", "grpc: max_streams 256, keepalive 7200s, kitex_status false"),
        (
            "max_streams = 9\nkeepalive = \"1m\"\nkitex_status = true",
            "bind",
            "grpc: max_streams 9, keepalive 60s, kitex_status true",
        ),
        ("", "", "ttstream: stream_budget 4194304 B, idle_timeout 600s, rst true"),
        (
            "stream_budget = \"1KiB\"\nidle_timeout = \"5s\"\nrst = false",
            "bind",
            "ttstream: stream_budget 1024 B, idle_timeout 5s, rst false",
        ),
        ("", "", "timeout none, first_message_timeout none, stream_idle_timeout none, unary none"),
        (
            "timeout = \"1s\"\nfirst_message_timeout = \"2s\"\nstream_idle_timeout = \"3s\"\nunary = [\"Get\", \"Put\"]",
            "cluster",
            "timeout 1s, first_message_timeout 2s, stream_idle_timeout 3s, unary Get, Put",
        ),
        ("", "", "streaming as the caller speaks"),
        ("streaming = \"ttstream\"", "endpoints", "streaming ttstream"),
        ("streaming = \"grpc\"", "endpoints", "streaming grpc"),
        ("", "", "grpc: package none, keepalive 360s, max_connection_age none"),
        (
            "package = \"acme\"\nkeepalive = \"9s\"\nmax_connection_age = \"1h\"",
            "endpoints",
            "grpc: package acme, keepalive 9s, max_connection_age 3600s",
        ),
        (
            "",
            "",
            "ttstream: stream_pool long (one stream at a time, then kept for the next), stream_budget 4194304 B, rst true",
        ),
        (
            "stream_pool = \"mux\"\nstream_budget = \"2MiB\"",
            "endpoints",
            "ttstream: stream_pool mux (many streams on one connection), stream_budget 2097152 B, rst true",
        ),
        (
            "stream_pool = \"short\"\nrst = false",
            "endpoints",
            "stream_pool short (a connection for each stream), stream_budget 4194304 B, rst false",
        ),
    ] {
        let behind = SMALLEST.find(&format!("{at} =")).filter(|_| !at.is_empty());
        let line_end = behind.map_or(0, |at| at + SMALLEST[at..].find('\n').unwrap() + 1);
        let (before, after) = SMALLEST.split_at(line_end);
        let output = check(&format!("{before}{add}\n{after}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(told), "{add}: {told} is missing in {said}");
    }
}

#[test]
fn check_and_run_name_the_line_of_a_mistake_and_end_with_two() {
    let wrong = SMALLEST.replace("127.0.0.1:9999", "nowhere");
    let run = Command::new(BINARY).args(["run", "--config"]).arg(config_file(&wrong)).output().unwrap();
    for output in [check(&wrong), run] {
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(".toml:8: endpoint `nowhere`, expected host:port"), "{said}");
    }
    for arguments in [&["check"][..], &["walk"], &["run", "--config"]] {
        assert_eq!(Command::new(BINARY).args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

/// Each transport, each conversion, and each protocol of streams and their crossings, by the program itself; without a
/// log, which must change nothing.
#[test]
fn the_demo_s_calls_and_streams_come_back_right() {
    let output = Command::new(BINARY).args(["demo", "--once"]).env("RUST_LOG", "off").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    // Caller, detected, route, what the backend saw, what came back.
    for [caller, detected, route, backend, reply] in [
        ["framed", "framed", "buffered", "buffered", "framed"],
        ["ttheader", "ttheader", "framed", "framed", "ttheader"],
        ["ttstream, 3 messages", "ttstream", "as-caller", "ttstream", "ttstream"],
        ["grpc unary", "grpc", "as-caller", "grpc", "grpc"],
        ["grpc, 3 messages", "grpc", "as-caller", "grpc", "grpc"],
        ["grpc, 3 messages", "grpc", "ttstream", "ttstream", "grpc"],
        ["ttstream, 3 messages", "ttstream", "grpc", "grpc", "ttstream"],
    ] {
        let row = said.lines().find(|row| {
            let rest = row.strip_prefix(caller).map(|rest| rest.split_whitespace().take(4).collect::<Vec<_>>());
            rest.is_some_and(|rest| rest == [detected, route, backend, reply]) && row.ends_with("  ok")
        });
        assert!(row.is_some(), "{caller} by {route} is missing in {said}");
    }
}
