//! A gateway in front of gRPC: `pingpong = "grpc"`.

use serde_json::json;
use testkit::peer::RawServer;
use testkit::peer::http2::{Fields, RawH2, grpc_message, grpc_response, grpc_trailers};

use crate::IDL;
use crate::client::{Http, post};
use crate::support::{Setup, TestProxy};

/// A backend that returns its argument, or ends with the status and the fields that the argument's text has in it.
fn backend() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_credit(true);
        while let Some(request) = conn.next_request() {
            assert_eq!(request.fields.text("content-type"), Some("application/grpc+thrift"));
            let Some(mut message) = conn.next_grpc_message(request.stream) else { continue };
            let text = String::from_utf8_lossy(&message).into_owned();
            if let Some((_, code)) = text.split_once("status ") {
                let code = code.trim_end_matches('\0').parse().unwrap();
                let trailers = grpc_trailers(code, "no such thing", Fields::default());
                conn.send_headers(request.stream, grpc_response(trailers), true);
                continue;
            }
            if text.contains("business") {
                let fields = Fields::from([("biz-status", "1404"), ("biz-extra", "{\"a\":\"b\"}")]);
                conn.send_headers(request.stream, grpc_response(grpc_trailers(13, "sold out", fields)), true);
                continue;
            }
            message[2] = 0;
            let log_id = request.fields.text("stream-log-id").unwrap_or_default().to_owned();
            let persist = request.fields.text("rpc-persist-user").unwrap_or_default().to_owned();
            let headers = Fields::from([("got-log-id", &*log_id), ("got-user", &*persist)]);
            conn.send_headers(request.stream, grpc_response(headers), false);
            conn.send_all(request.stream, grpc_message(&message), false);
            conn.trailers(request.stream, 0, "");
        }
    })
}

fn gateway(backend: &RawServer) -> TestProxy {
    Setup::to(backend)
        .listener(&format!("protocols = [\"http\"]\nidl = \"{IDL}\""))
        .cluster("pingpong = \"grpc\"")
        .start()
}

#[test]
fn a_call_is_a_unary_one() {
    let backend = backend();
    let proxy = gateway(&backend);
    let headers = [("x-request-id", "id-1"), ("rpc-persist-user", "u")];
    let answer = Http::connect(proxy.addr()).ask("POST /Shop/Echo", &headers, r#"{"msg": "hi"}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({ "msg": "hi" })));
    assert_eq!(answer.header("rpc-backward-got-log-id"), Some("id-1"));
    assert_eq!(answer.header("rpc-backward-got-user"), Some("u"));
}

#[test]
fn a_status_is_the_one_of_http_that_says_the_same() {
    let backend = backend();
    let proxy = gateway(&backend);
    for (code, status) in [(3, 400), (5, 404), (7, 403), (16, 401), (8, 429), (14, 503), (13, 502), (2, 502), (4, 504)]
    {
        let answer = post(proxy.addr(), "/Shop/Echo", json!({ "msg": format!("status {code}") }).to_string());
        let error = answer.error(status, "grpc_status");
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!("no such thing")));
    }
    let answer = post(proxy.addr(), "/Shop/Echo", r#"{"msg": "status 12"}"#);
    assert_eq!(answer.status, 501, "{}", answer.text());
}

#[test]
fn a_business_error_stays_one() {
    let backend = backend();
    let proxy = gateway(&backend);
    let error = post(proxy.addr(), "/Shop/Echo", r#"{"msg": "business"}"#).error(422, "business_error");
    assert_eq!(
        (&error["code"], &error["message"], &error["extra"]),
        (&json!(1404), &json!("sold out"), &json!({ "a": "b" }))
    );
}
