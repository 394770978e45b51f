//! Protobuf: over gRPC where nothing else is said, and as Kitex-Protobuf.

use std::net::SocketAddr;

use serde_json::Value;
use testkit::peer::http2::{RawH2, grpc_message};
use testkit::peer::{Form, RawServer};
use thrift_codec::Version;

use crate::support::{Ended, Running, run, testdata};

/// `Item { name: "pen" }`, with `price_cents: 7`.
const PEN: &[u8] = b"\x0a\x03pen\x10\x07";

fn start(method: &str, extra: &[&str], addr: SocketAddr) -> Running {
    let (idl, addr) = (testdata("shop.proto"), addr.to_string());
    Running::start_with(&[&["--idl", &idl, method, &addr, "--compact"], extra].concat())
}

fn call(method: &str, extra: &[&str], addr: SocketAddr) -> Ended {
    start(method, extra, addr).end()
}

/// Sends each message back.
fn echo() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        let Some(request) = conn.next_request() else { return };
        assert_eq!(request.fields.text("content-type"), Some("application/grpc"));
        assert_eq!(request.fields.text(":path").unwrap().rsplit_once('/').unwrap().0, "/acme.shop.Shop");
        while let Some(message) = conn.next_grpc_message(request.stream) {
            conn.respond(request.stream);
            conn.send_all(request.stream, grpc_message(message), false);
        }
        conn.trailers(request.stream, 0, "");
        conn.read_to_close();
    })
}

#[test]
fn a_unary_call_goes_over_grpc() {
    for method in ["Order", "Shop/Order", "acme.shop.Shop/Order"] {
        let backend = echo();
        let ended = call(method, &["-d", r#"{"name":"pen","priceCents":7}"#], backend.addr());
        assert_eq!((ended.code, &*ended.stdout), (0, "{\"name\":\"pen\",\"priceCents\":7}\n"), "{}", ended.stderr);
    }
}

#[test]
fn kitex_protobuf_is_framed_whatever_is_asked_for() {
    for (transport, form) in
        [("framed", Form::Framed), ("ttheader", Form::TtHeaderFramed), ("ttheader-framed", Form::TtHeaderFramed)]
    {
        let backend = RawServer::echo();
        let ended = call("Order", &["-d", r#"{"name":"pen","price_cents":7}"#, "-t", transport], backend.addr());
        assert_eq!((ended.code, &*ended.stdout), (0, "{\"name\":\"pen\",\"priceCents\":7}\n"), "{}", ended.stderr);
        let call = &backend.messages()[0];
        assert_eq!((call.form, call.version, &call.body[..]), (form, Version::KITEX_PROTOBUF, PEN));
    }
    let backend = RawServer::silent();
    let ended = call("Order", &["-t", "buffered"], backend.addr());
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("Kitex-Protobuf needs a frame length"), "{}", ended.stderr);
}

#[test]
fn streams_go_over_grpc_alone() {
    let backend = echo();
    let mut running = start("Chat", &["-d", "@-"], backend.addr());
    for name in ["a", "b"] {
        running.write(&format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(running.line(), format!("{{\"name\":\"{name}\"}}"));
    }
    running.close();
    assert_eq!(running.end().code, 0);

    let ended = call("Chat", &["-d", "{}", "-t", "ttheader"], backend.addr());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("ttstream carries Thrift alone"), "{}", ended.stderr);
}

#[test]
fn the_idl_is_listed_described_and_exemplified() {
    let idl = testdata("shop.proto");
    let ended = run(&["--idl", &idl, "--list"]);
    assert_eq!((ended.code, &*ended.stdout), (0, "acme.shop.Shop\n"));
    let ended = run(&["--idl", &idl, "--list", "Shop"]);
    assert_eq!((ended.code, &*ended.stdout), (0, "Order\nChat\nList\n"));
    let ended = run(&["--idl", &idl, "--describe", "Shop/Chat"]);
    let expected = "rpc Chat(stream acme.shop.Item) returns (stream acme.shop.Item)\n\nmessage acme.shop.Item {\n    \
                    string name = 1;\n    int64 price_cents = 2;\n    repeated string tags = 3;\n    \
                    map<string, int32> stock = 4;\n}\n";
    assert_eq!((ended.code, &*ended.stdout), (0, expected));
    let ended = run(&["--idl", &idl, "--example", "Order"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let example: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(example, serde_json::json!({"name": "text", "priceCents": 0, "tags": ["text"], "stock": {"text": 0}}));
    // The example is a request.
    let backend = echo();
    let ended = call("Order", &["-d", &ended.stdout], backend.addr());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
