//! What travels beside the body, and how the body is packed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use testkit::peer::RawServer;
use ttheader::{IntKey, keys};

use crate::client::{Http, post};
use crate::gateway;

fn gzip(plain: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain.as_ref()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_request_id_is_made_or_taken_and_passed_on() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let taken = http.ask("POST /Shop/Echo", &[("x-request-id", "abc-1")], "{}");
    assert_eq!(taken.header("x-request-id"), Some("abc-1"));
    let long = "x".repeat(129);
    let mut seen = std::collections::HashSet::new();
    for bad in ["", &long, "two words", "\u{e4}"] {
        let headers = [("x-request-id", bad)];
        let made = http.ask("POST /Shop/Echo", if bad.is_empty() { &[] } else { &headers }, "{}");
        let made = made.header("x-request-id").unwrap().to_owned();
        assert_eq!(made.len(), 32, "{made}");
        assert!(seen.insert(made));
    }
    let calls = backend.messages();
    assert_eq!(calls[0].int_value(IntKey::LOG_ID), Some(&b"abc-1"[..]));
    assert!(seen.contains(std::str::from_utf8(calls[1].int_value(IntKey::LOG_ID).unwrap()).unwrap()));
    // Also where there is nothing else to say.
    assert!(http.get("/nothing").header("x-request-id").is_some());
}

#[test]
fn metainfo_travels_there_and_back() {
    let backend = RawServer::replying(|call| {
        let reply = call.reply().string("took", "3").string("RPC_BACKWARD_A_B", "c").string("set-cookie", "evil=1");
        reply.string(keys::CONNECTION_RESET, "1").string("bad key", "x").bytes()
    });
    let proxy = gateway(&backend).start();
    let headers = [
        ("rpc-persist-user-id", "u"),
        ("RPC-Transit-Canary", "yes"),
        ("rpc-persist-empty", ""),
        ("rpc-backward-x", "no"),
        ("isn", "Other"),
        ("authorization", "secret"),
    ];
    let answer = Http::connect(proxy.addr()).ask("POST /Shop/Echo", &headers, "{}");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("rpc-backward-took"), Some("3"));
    assert_eq!(answer.header("rpc-backward-a-b"), Some("c"));
    assert_eq!(answer.header("rpc-backward-set-cookie"), Some("evil=1"));
    assert_eq!((answer.header("set-cookie"), answer.header("rpc-backward-crrst")), (None, None));
    assert_eq!(proxy.totals().metadata_dropped, 1);

    let call = &backend.messages()[0];
    let mut strings: Vec<_> = call.strings.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
    strings.sort();
    assert_eq!(strings, ["RPC_PERSIST_USER_ID", "RPC_TRANSIT_CANARY", "isn", "rip"]);
    assert_eq!(call.string_value(b"RPC_PERSIST_USER_ID"), Some(&b"u"[..]));
    assert_eq!(call.string_value(keys::IDL_SERVICE_NAME), Some(&b"Shop"[..]));
}

#[test]
fn answers_are_packed_for_whoever_takes_it() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let body = json!({ "msg": "text ".repeat(1000) }).to_string();
    for (accept, packed) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("*", true),
        ("gzip;q=0, *", false),
        ("br", false),
        ("*;q=0", false),
        ("identity", false),
    ] {
        let answer = http.ask("POST /Shop/Echo", &[("accept-encoding", accept)], &body);
        assert_eq!(answer.header("content-encoding"), packed.then_some("gzip"), "{accept}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let mut plain = String::new();
        if packed {
            assert!(answer.body.len() < 500, "{}", answer.body.len());
            GzDecoder::new(&answer.body[..]).read_to_string(&mut plain).unwrap();
        } else {
            plain = answer.text().to_owned();
        }
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&plain).unwrap(),
            serde_json::from_str::<serde_json::Value>(&body).unwrap()
        );
    }
    // A short one is not worth it.
    let answer = http.ask("POST /Shop/Echo", &[("accept-encoding", "gzip")], r#"{"msg": "x"}"#);
    assert_eq!((answer.header("content-encoding"), answer.text()), (None, r#"{"msg":"x"}"#));
}

#[test]
fn packed_requests_are_unpacked() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).listener("max_message = \"64KiB\"").start();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let mut http = Http::connect(proxy.addr());
    let answer = http.ask("POST /Shop/Echo", &headers, gzip(r#"{"msg": "packed"}"#));
    assert_eq!(answer.json(), json!({ "msg": "packed" }));
    // A bomb: 1 MiB of the same in some hundred bytes.
    let bomb = gzip(vec![b' '; 1 << 20]);
    assert!(bomb.len() < 2048);
    http.ask("POST /Shop/Echo", &headers, bomb).error(413, "body_too_large");
    for bad in [&b"not gzip at all"[..], &gzip("{}")[..12], b"\x1f\x8b"] {
        http.ask("POST /Shop/Echo", &headers, bad).error(400, "bad_request");
    }
    assert_eq!(post(proxy.addr(), "/Shop/Echo", r#"{"msg": "still here"}"#).status, 200);
}
