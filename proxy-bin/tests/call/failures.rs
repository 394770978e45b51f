//! Calls that do not go well: what is told, and with which exit code.

use std::net::TcpListener;

use serde_json::{Value, json};
use testkit::from_hex;
use testkit::peer::RawServer;
use testkit::peer::http2::RawH2;

use crate::support::{Ended, call, run, testdata, wrapped};

/// The exit code, and the line on standard error.
fn told(ended: &Ended) -> (i32, Value) {
    assert_eq!(ended.stdout, "");
    (ended.code, serde_json::from_str(&ended.stderr).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr)))
}

#[test]
fn an_exception_of_the_framework_is_3() {
    let backend = RawServer::replying(|call| call.exception(1, "unknown method \"order\"").bytes());
    for transport in ["buffered", "framed", "ttheader"] {
        let ended = call(&["order", "-d", "{}", "-t", transport], backend.addr());
        let expected = json!({"error": "exception", "code": 1, "message": "unknown method \"order\""});
        assert_eq!(told(&ended), (3, expected));
    }
}

#[test]
fn a_status_is_3_and_a_deadline_of_the_backend_6() {
    let not_found = json!({"error": "status", "code": 5, "name": "NOT_FOUND", "message": "no such item"});
    let too_late = json!({"error": "timeout", "message": "too late"});
    for (status, message, expected) in [(5, "no%20such%20item", (3, not_found)), (4, "too late", (6, too_late))] {
        let backend = RawServer::start(move |conn| {
            let mut conn = RawH2::server(conn);
            let Some(request) = conn.next_request() else { return };
            conn.trailers(request.stream, status, message);
            conn.read_to_close();
        });
        assert_eq!(told(&call(&["order", "-d", "{}", "-t", "grpc"], backend.addr())), expected);
    }
}

#[test]
fn a_declared_exception_is_4_whichever_it_is() {
    let sold_out = wrapped(1, &from_hex("080001 00000007 0b0002 00000004 676f6e65 00"));
    let closed = wrapped(2, &from_hex("0b0001 00000006 4d6f6e646179 00"));
    let value = json!({"code": 7, "why": "gone"});
    let first = json!({"error": "declared", "field": "soldOut", "type": "SoldOut", "value": value});
    let value = json!({"until": "Monday"});
    let second = json!({"error": "declared", "field": "closed", "type": "common.Closed", "value": value});
    for (body, expected) in [(sold_out, first), (closed, second)] {
        let backend = RawServer::replying(move |call| call.reply().body(body.clone()).bytes());
        assert_eq!(told(&call(&["order", "-d", "{}"], backend.addr())), (4, expected));
    }
}

#[test]
fn a_business_error_is_5() {
    let backend = RawServer::replying(|call| {
        let reply = call.reply().body(from_hex("00"));
        reply.string("biz-status", "404").string("biz-message", "not here").string("biz-extra", r#"{"k":"v"}"#).bytes()
    });
    let expected = json!({"error": "business", "status": 404, "message": "not here", "extra": {"k": "v"}});
    assert_eq!(told(&call(&["order", "-d", "{}"], backend.addr())), (5, expected));

    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        let Some(request) = conn.next_request() else { return };
        let fields = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "13"),
            ("grpc-message", "no"),
            ("biz-status", "502"),
        ];
        conn.send_headers(request.stream, fields, true);
        conn.read_to_close();
    });
    let expected = json!({"error": "business", "status": 502, "message": "no"});
    assert_eq!(told(&call(&["order", "-d", "{}", "-t", "grpc"], backend.addr())), (5, expected));
}

#[test]
fn a_timeout_is_6() {
    let expected = json!({"error": "timeout", "message": "timeout: no answer within 100ms"});
    let backend = RawServer::silent();
    for transport in ["framed", "ttheader"] {
        let ended = call(&["order", "-d", "{}", "--timeout", "100ms", "-t", transport], backend.addr());
        assert_eq!(told(&ended), (6, expected.clone()));
    }
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        while conn.next_request().is_some() {}
    });
    let ended = call(&["order", "-d", "{}", "--timeout", "100ms", "-t", "grpc"], backend.addr());
    assert_eq!(told(&ended), (6, expected));
}

#[test]
fn a_backend_that_is_not_there_or_goes_away_is_2() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (method, transport) in [("order", "framed"), ("order", "grpc"), ("chat", "ttstream")] {
        let (code, error) = told(&call(&[method, "-d", "{}", "-t", transport], nobody));
        assert_eq!((code, &error["kind"]), (2, &json!("connect_failed")), "{error}");
    }
    let backend = RawServer::start(|mut conn| drop(conn.next_message()));
    let (code, error) = told(&call(&["order", "-d", "{}"], backend.addr()));
    assert_eq!((code, &error["kind"]), (2, &json!("upstream_closed")), "{error}");
    let backend = RawServer::start(|mut conn| {
        conn.next_message();
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let (code, error) = told(&call(&["order", "-d", "{}"], backend.addr()));
    assert_eq!((code, &error["kind"]), (2, &json!("bad_reply")), "{error}");
}

#[test]
fn what_the_caller_gets_wrong_is_1_and_nobody_is_asked() {
    let backend = RawServer::echo();
    let shop = testdata("shop.thrift");
    for (arguments, text) in [
        (vec!["order", "-d", r#"{"name":"x""#], "error: request: "),
        (vec!["order", "-d", r#"{"tags":[1,{}]}"#, "--profile", "dynamic"], "error: request: item.tags"),
        (vec!["Shop/nothing"], "error: no method nothing in Shop; there are: order, sum"),
        (vec!["Stop/order"], "error: no service Stop; there are: Base, Shop"),
        (vec!["nothing"], "error: no method nothing in any of Base, Shop"),
        (vec!["order", "-H", "novalue"], "error: -H \"novalue\", expected KEY:VALUE"),
        (vec!["order", "-d", "@/no/such/file"], "error: -d @/no/such/file: "),
        (vec!["list", "-d", r#"{"name":"a"} {"#], "error: -d: JSON: "),
        (vec!["list", "-d", r#"{"name":"a"} {"name":"b"}"#], "error: list takes one message, and there are more"),
    ] {
        let ended = call(&arguments, backend.addr());
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(text), "{arguments:?}: {}", ended.stderr);
    }
    let seen = backend.messages();
    assert!(seen.is_empty(), "{seen:?}");

    for (arguments, text) in [
        (vec!["order", "127.0.0.1:1"], "--idl FILE is needed"),
        (vec!["--idl", &shop, "order"], "ADDRESS is needed"),
        (vec!["--idl", &shop], "METHOD is needed"),
        (vec!["--idl", &shop, "order", "localhost"], "ADDRESS localhost, expected host:port"),
        (vec!["--idl", &shop, "order", "127.0.0.1:1", "--timeout", "5"], "expected a time with its unit"),
        (vec!["--idl", &shop, "order", "127.0.0.1:1", "-t", "carrier-pigeon"], "possible values: buffered, framed"),
        (vec!["--idl", "/no/such.thrift", "order", "127.0.0.1:1"], "such.thrift"),
    ] {
        let ended = run(&arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn an_idl_that_is_wrong_is_told_with_line_and_column() {
    let ended = run(&["--idl", &testdata("broken.thrift"), "order", "127.0.0.1:1"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("broken.thrift:2:8: "), "{}", ended.stderr);
}

#[test]
fn a_response_that_is_not_what_the_idl_says_is_1() {
    let backend = RawServer::replying(|call| call.reply().body(from_hex("0c0000 080001 00000001 00 00")).bytes());
    let (code, error) = told(&call(&["order", "-d", "{}"], backend.addr()));
    assert_eq!((code, &error["error"]), (1, &json!("unreadable")));
    assert!(error["message"].as_str().unwrap().contains("name"), "{error}");
}

#[test]
fn help_is_no_mistake() {
    let ended = run(&["--help"]);
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    assert!(ended.stdout.contains("Exit codes: 0 answered; 1 wrong arguments"), "{}", ended.stdout);
}
