//! Every way in which a request has no result.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use proxy::rpc::FaultKind;
use serde_json::json;
use testkit::peer::{Form, RawServer};
use thrift_codec::exception;
use ttheader::keys;

use crate::client::{Http, get, post};
use crate::thrift::{Struct, msg};
use crate::{gateway, gateway_to};

#[test]
fn arguments_that_can_t_be_made_are_400_with_their_place() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let error = http.post("/Shop/Echo", r#"{"msg": "x""#).error(400, "bad_arguments");
    assert!(error["offset"].is_number(), "{error}");
    let body = r#"{"item": {"id": 1, "name": "n", "tags": ["a"], "stock": {"a": 1, "b": "x"}}}"#;
    let error = http.ask("PUT /items/8", &[("content-type", "application/json")], body).error(400, "bad_arguments");
    assert!(error["path"].as_str().unwrap().contains("stock[\"b\"]"), "{error}");
    let error = http.get("/items/many").error(400, "bad_arguments");
    assert!(error["path"].as_str().unwrap().contains("id"), "{error}");
    assert_eq!(error["code"], 400);
    assert_eq!((backend.messages().len(), proxy.totals().http_refused), (0, 3));
}

#[test]
fn what_is_unknown_is_404() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for path in ["/Shop/Nothing", "/Other/Echo", "/Shop", "/Shop/", "//", "/items", "/Shop/Echo/more", "/%zz"] {
        http.post(path, "{}").error(404, "not_found");
    }
    let text = http.post("/Shop/Nothing", "{}").json()["error"]["message"].to_string();
    assert!(text.contains("Shop") && text.contains("Nothing"), "{text}");
}

#[test]
fn another_http_method_is_405_and_says_which_are_right() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for (line, allowed) in [
        ("GET /Shop/Echo", "POST"),
        ("DELETE /items/7", "GET, PATCH, PUT"),
        ("GET /login", "POST"),
        ("POST /", "GET"),
        ("POST /openapi.json", "GET"),
        ("get /items/7", "GET, PATCH, PUT"),
    ] {
        let answer = http.ask(line, &[], "");
        answer.error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{line}");
    }
}

#[test]
fn a_body_of_another_type_is_415() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for (path, content_type) in [
        ("/Shop/Echo", "application/x-www-form-urlencoded"),
        ("/Shop/Echo", "text/plain;charset=UTF-8"),
        ("/touch", "text/xml"),
        ("/login", "multipart/form-data; boundary=x"),
    ] {
        let answer = http.ask(&format!("POST {path}"), &[("content-type", content_type)], "{}");
        answer.error(415, "unsupported_content_type");
    }
    let headers = [("content-type", "application/json"), ("content-encoding", "br")];
    let answer = http.ask("POST /Shop/Echo", &headers, "{}");
    answer.error(415, "unsupported_content_encoding");
    assert_eq!(answer.header("accept-encoding"), Some("gzip"));
    // None, and what is JSON by another name, is right.
    for content_type in ["", "application/problem+json", "APPLICATION/JSON"] {
        let headers = [("content-type", content_type)];
        let headers = if content_type.is_empty() { &[][..] } else { &headers[..] };
        assert_eq!(http.ask("POST /Shop/Echo", headers, r#"{"msg": "x"}"#).status, 200, "{content_type}");
    }
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let backend = RawServer::replying(|call| call.reply().body(msg(0, "short")).bytes());
    let proxy = gateway(&backend).listener("max_message = \"1KiB\"").start();
    let body = |len: usize| format!("{{\"msg\": \"{}\"}}", "x".repeat(len - 11));
    assert_eq!(post(proxy.addr(), "/Shop/Echo", body(1024)).status, 200);
    post(proxy.addr(), "/Shop/Echo", body(1025)).error(413, "body_too_large");

    // Without a word of its length, and with a wait for the word to go on.
    let mut http = Http::connect(proxy.addr());
    http.conn.send("POST /Shop/Echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(http.read_head().status, 100);
    http.conn.send(format!("401\r\n{}\r\n", "x".repeat(1025)));
    http.read().error(413, "body_too_large");

    // It need not be sent to be refused.
    let mut http = Http::connect(proxy.addr());
    http.conn.send("POST /Shop/Echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1025\r\n\r\n");
    let answer = http.read_head();
    assert_eq!(answer.status, 413);
}

#[test]
fn a_business_error_is_422_with_all_it_says() {
    let backend = RawServer::replying(|call| {
        let reply = call.reply().body([0]).string(keys::BIZ_STATUS, "1404").string(keys::BIZ_MESSAGE, "sold \"out\"");
        reply.string(keys::BIZ_EXTRA, r#"{"sku": "x1"}"#).bytes()
    });
    let proxy = gateway(&backend).start();
    for answer in [post(proxy.addr(), "/Shop/Echo", r#"{"msg": ""}"#), get(proxy.addr(), "/items/1")] {
        let error = answer.error(422, "business_error");
        assert_eq!((&error["code"], &error["message"]), (&json!(1404), &json!("sold \"out\"")));
        assert_eq!(error["extra"], json!({ "sku": "x1" }));
    }
    assert_eq!(proxy.totals().replies, 2);
}

#[test]
fn volo_s_business_error_is_one_too() {
    let backend = RawServer::replying(|call| {
        let exception = call.exception(6, "biz error: code=7, msg=no");
        exception.string(keys::BIZ_STATUS, "7").string(keys::BIZ_MESSAGE, "no").bytes()
    });
    let proxy = gateway(&backend).start();
    let error = post(proxy.addr(), "/Shop/Echo", "{}").error(422, "business_error");
    assert_eq!((&error["code"], &error["message"]), (&json!(7), &json!("no")));
}

#[test]
fn a_declared_exception_is_422_by_name() {
    let locked = Struct::default().inner(2, Struct::default().text(1, "joe")).bytes();
    let backend = RawServer::replying(move |call| call.reply().body(locked.clone()).bytes());
    let proxy = gateway(&backend).start();
    let error = post(proxy.addr(), "/Shop/Get", r#"{"id": 1}"#).error(422, "exception");
    assert_eq!((&error["exception"], &error["value"]), (&json!("Locked"), &json!({ "by": "joe" })));
}

#[test]
fn a_declared_exception_is_an_answer_of_its_own_by_route() {
    let backend = RawServer::replying(move |call| {
        let body = if call.string_value(keys::REMOTE_ADDRESS).is_some() && call.body.len() > 30 {
            Struct::default().inner(1, Struct::default().text(1, "item").i32(2, 404))
        } else {
            Struct::default().inner(2, Struct::default().text(1, "joe"))
        };
        call.reply().body(body.bytes()).bytes()
    });
    let proxy = gateway(&backend).start();
    let answer = get(proxy.addr(), "/items/1?lang=long-enough-to-be-told-apart");
    assert_eq!((answer.status, answer.json()), (404, json!({ "what": "item" })));
    assert_eq!(answer.header("thrift-exception"), Some("NotFound"));
    let answer = get(proxy.addr(), "/items/1");
    assert_eq!((answer.status, answer.json()), (200, json!({ "by": "joe" })));
    assert_eq!(answer.header("thrift-exception"), Some("Locked"));
}

#[test]
fn a_framework_s_exception_is_502_and_an_unknown_method_501() {
    let backend = RawServer::replying(|call| {
        let code: i32 = String::from_utf8_lossy(&call.body[10..call.body.len() - 2]).parse().unwrap();
        call.exception(code, "biz error: boom").bytes()
    });
    let proxy = gateway(&backend).start();
    for (code, status) in [
        (exception::INTERNAL_ERROR, 502),
        (exception::PROTOCOL_ERROR, 502),
        (12_345, 502),
        (exception::UNKNOWN_METHOD, 501),
        (exception::UNKNOWN_SERVICE, 501),
    ] {
        let answer = post(proxy.addr(), "/Shop/Echo", json!({ "msg": code.to_string() }).to_string());
        let error = answer.error(status, "application_exception");
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!("biz error: boom")));
    }
}

#[test]
fn a_backend_that_can_t_be_reached_is_503() {
    // Bound and closed again: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = gateway_to(nobody).start();
    post(proxy.addr(), "/Shop/Echo", "{}").error(503, "connect_failed");
    assert_eq!(proxy.totals().faults_of(FaultKind::Connect), 1);
}

#[test]
fn a_method_that_no_route_of_the_proxy_takes_is_503() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).route("method = \"Say\"").start();
    let error = post(proxy.addr(), "/Shop/Echo", "{}").error(503, "no_route");
    assert!(error["message"].as_str().unwrap().starts_with("proxy: unknown"), "{error}");
}

#[test]
fn a_backend_that_breaks_off_or_talks_nonsense_is_502() {
    let backend = RawServer::start(|mut conn| {
        let _call = conn.next_message();
    });
    let proxy = gateway(&backend).start();
    post(proxy.addr(), "/Shop/Echo", "{}").error(502, "upstream_closed");

    let backend = RawServer::replying(|_| b"GARBAGE GARBAGE GARBAGE".to_vec());
    let proxy = gateway(&backend).start();
    post(proxy.addr(), "/Shop/Echo", "{}").error(502, "bad_reply");

    // A struct whose text runs past its end.
    let backend = RawServer::replying(|call| call.reply().body(&msg(0, "hello")[..9]).form(Form::TtHeader).bytes());
    let proxy = gateway(&backend).start();
    let error = post(proxy.addr(), "/Shop/Echo", "{}").error(502, "bad_reply");
    assert!(error["message"].as_str().unwrap().contains("does not fit the IDL"), "{error}");
    assert_eq!(proxy.totals().faults_of(FaultKind::BadReply), 1);
}

#[test]
fn the_time_is_up_after_the_route_s_limit_or_the_caller_s() {
    let backend = RawServer::silent();
    let proxy = gateway(&backend).route("timeout = \"150ms\"").start();
    let began = Instant::now();
    let error = post(proxy.addr(), "/Shop/Echo", "{}").error(504, "timeout");
    assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&began.elapsed()));
    assert!(error["message"].as_str().unwrap().contains("150ms"), "{error}");

    let proxy = gateway(&backend).route("timeout = \"30s\"").start();
    let mut http = Http::connect(proxy.addr());
    let began = Instant::now();
    http.ask("POST /Shop/Echo", &[("grpc-timeout", "100m")], "{}").error(504, "timeout");
    assert!(began.elapsed() < Duration::from_secs(2));
    let calls = backend.messages();
    let left = calls.last().unwrap().int_value(ttheader::IntKey::RPC_TIMEOUT).map(String::from_utf8_lossy);
    assert!((90..=100).contains(&left.unwrap().parse::<u64>().unwrap()));
    http.ask("POST /Shop/Echo", &[("grpc-timeout", "0n")], "{}").error(504, "timeout");
    http.ask("POST /Shop/Echo", &[("grpc-timeout", "soon")], "{}").error(400, "bad_request");
}

#[test]
fn a_method_that_streams_is_501() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    post(proxy.addr(), "/Shop/Chat", "{}").error(501, "streaming");
}

#[test]
fn a_caller_that_goes_away_gives_its_call_up() {
    let backend = RawServer::silent();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    http.send("POST /Shop/Echo", &[], "{}");
    backend.wait_for_messages(1);
    http.conn.reset();
    // Its connection to the backend goes with it.
    backend.wait_until("the backend's connection ends", |received| received[0].closed.is_some());
}
