//! Connections: kept, pipelined, slow, hostile; HTTP/2.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::peer::http2::{Fields, RawH2};
use testkit::peer::{PATIENCE, RawClient, RawServer};

use crate::client::{Http, post, request};
use crate::gateway;

/// The fields of a request in HTTP/2.
fn fields(method: &str, path: &str) -> Fields {
    Fields::new([(":method", method), (":scheme", "http"), (":authority", "shop.test"), (":path", path)])
}

#[test]
fn a_connection_is_kept() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for number in 0..20 {
        let body = json!({ "msg": number.to_string() });
        assert_eq!(http.post("/Shop/Echo", body.to_string()).json(), body);
    }
    assert_eq!((proxy.totals().downstream_connections, backend.connections()), (1, 1));
    // 1.0 without a word for it is not.
    let mut old = RawClient::connect(proxy.addr());
    old.send("GET /openapi.json HTTP/1.0\r\n\r\n");
    assert!(old.read_to_close().starts_with(b"HTTP/1.0 200"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let bodies: Vec<_> = (0..50).map(|number| json!({ "msg": number.to_string() })).collect();
    let all: Vec<u8> = bodies.iter().flat_map(|body| request("POST /Shop/Echo", &[], body.to_string())).collect();
    http.conn.send(all);
    for body in bodies {
        assert_eq!(http.read().json(), body);
    }
}

#[test]
fn http_2_carries_many_at_a_time() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut h2 = RawH2::client(proxy.addr());
    h2.auto_credit(true);
    let streams: Vec<u32> = (0..40).map(|number| 2 * number + 1).collect();
    for stream in &streams {
        h2.send_headers(*stream, fields("POST", "/Shop/Echo").with("content-type", "application/json"), false);
    }
    for stream in streams.iter().rev() {
        h2.send_data(*stream, format!("{{\"msg\": \"{stream}\"}}"), true);
    }
    for stream in streams {
        let answer = h2.read_answer(stream);
        let headers = answer.headers.unwrap();
        assert_eq!((headers.text(":status"), headers.text("content-type")), (Some("200"), Some("application/json")));
        assert_eq!(answer.data, format!("{{\"msg\":\"{stream}\"}}").into_bytes());
    }
    h2.send_headers(81, fields("GET", "/nothing"), true);
    assert_eq!(h2.read_answer(81).headers.unwrap().text(":status"), Some("404"));
}

#[test]
fn a_large_body_comes_and_goes_over_http_2() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut h2 = RawH2::client(proxy.addr());
    h2.auto_credit(true);
    let body = json!({ "msg": "x".repeat(1 << 20) }).to_string();
    h2.send_headers(1, fields("POST", "/Shop/Echo"), false);
    assert!(h2.send_all(1, &body, true));
    let answer = h2.read_answer(1);
    assert!(answer.data == body.replace(": ", ":").into_bytes(), "{} bytes", answer.data.len());
}

#[test]
fn a_refusal_does_not_cut_the_request_off() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    // The body comes when the refusal is clear already: no reset may overtake the answer.
    let mut h2 = RawH2::client(proxy.addr());
    h2.auto_credit(true);
    h2.send_headers(1, fields("POST", "/Ghost/Nope"), false);
    std::thread::sleep(Duration::from_millis(50));
    h2.send_data(1, vec![b'x'; 10_000], true);
    let answer = h2.read_answer(1);
    assert_eq!((answer.headers.unwrap().text(":status"), answer.reset), (Some("404"), None));
    // Over HTTP/1.1 the connection is kept.
    let mut http = Http::connect(proxy.addr());
    for _ in 0..3 {
        http.conn.send("POST /Ghost/Nope HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n");
        std::thread::sleep(Duration::from_millis(20));
        http.conn.send(vec![b'x'; 100_000]);
        http.read().error(404, "not_found");
    }
    // Who never sends it gets the answer all the same.
    http.conn.send("POST /Ghost/Nope HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n");
    http.read().error(404, "not_found");
}

#[test]
fn heads_that_never_end_are_not_waited_for() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).listener("read_timeout = \"300ms\"\nsniff_timeout = \"300ms\"").start();
    // Nothing, half a first word, a head without its end: each byte by itself is no life.
    let began = Instant::now();
    for bytes in ["", "POS", "POST /Shop/Echo HTTP/1.1\r\nhost: a\r\n"] {
        let mut conn = RawClient::connect(proxy.addr());
        conn.send(bytes);
        conn.expect_close();
    }
    let mut conn = RawClient::connect(proxy.addr());
    let head = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(200));
    assert!(!conn.send_slowly(head, 8, Duration::from_millis(20)), "a drop at a time");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // The second head as the first.
    let mut http = Http::connect(proxy.addr());
    assert_eq!(http.get("/openapi.json").status, 200);
    http.conn.send("GET / HT");
    http.conn.expect_close();
    proxy.eventually("they are counted", |totals| totals.downstream_refused >= 3);
}

#[test]
fn a_body_that_pauses_is_408() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).listener("read_timeout = \"300ms\"").start();
    let mut http = Http::connect(proxy.addr());
    http.conn.send("POST /Shop/Echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"msg\"");
    http.read().error(408, "request_timeout");
    // Drop by drop is no life either.
    let mut http = Http::connect(proxy.addr());
    http.conn.send("POST /Shop/Echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n");
    assert!(!http.conn.send_slowly("x".repeat(99), 1, Duration::from_millis(20)) || http.read().status == 408);
    assert!(backend.messages().is_empty());
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).listener("idle_timeout = \"400ms\"\nread_timeout = \"100ms\"").start();
    let mut http = Http::connect(proxy.addr());
    assert_eq!(http.get("/openapi.json").status, 200);
    // The wait for a head is none for an idle connection.
    http.conn.expect_silence(Duration::from_millis(250));
    assert_eq!(http.get("/openapi.json").status, 200);
    http.conn.expect_silence(Duration::from_millis(250));
    http.conn.expect_close();
    let mut h2 = RawH2::client(proxy.addr());
    h2.send_headers(1, fields("GET", "/nothing"), true);
    assert_eq!(h2.read_answer(1).headers.unwrap().text(":status"), Some("404"));
    h2.read_to_close();
}

#[test]
fn a_call_may_take_longer_than_a_head() {
    let backend = RawServer::start(|mut conn| {
        while let Some(call) = conn.next_call() {
            std::thread::sleep(Duration::from_millis(600));
            conn.send(call.reply().bytes());
        }
    });
    let proxy = gateway(&backend).listener("idle_timeout = \"200ms\"\nread_timeout = \"100ms\"").start();
    assert_eq!(post(proxy.addr(), "/Shop/Echo", r#"{"msg": "slow"}"#).json(), json!({ "msg": "slow" }));
}

#[test]
fn heads_that_are_too_large_are_431() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    for head in [
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
        format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1 << 20)),
    ] {
        let mut conn = RawClient::connect(proxy.addr());
        // It may be refused before all of it is there.
        conn.try_send(head);
        let answer = conn.read_to_close();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&answer));
    }
    let mut conn = RawClient::connect(proxy.addr());
    conn.send(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(257)));
    assert!(conn.read_to_close().starts_with(b"HTTP/1.1 431"));
    let mut conn = RawClient::connect(proxy.addr());
    conn.send(format!("GET /openapi.json HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(255)));
    conn.expect_bytes("HTTP/1.1 200");
}

#[test]
fn what_is_no_http_is_refused() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    for junk in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 hello"[..],
        b"\x80\x01\0\x01\0\0\0\x04Echo\0\0\0\x01\0",
        b"\0\0\0\x2c\x10\0\0\0\0\0\0\x01",
        b"GET  /  HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n\r\n\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut conn = RawClient::connect(proxy.addr());
        conn.send(junk);
        conn.half_close();
        let answer = conn.read_to_close();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&answer));
    }
    // Two ways to say where a body ends are one too many.
    let mut conn = RawClient::connect(proxy.addr());
    conn.send("POST /Shop/Echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}");
    assert!(conn.read_to_close().starts_with(b"HTTP/1.1 400"));
    assert_eq!(post(proxy.addr(), "/Shop/Echo", r#"{"msg": "still here"}"#).status, 200);
    assert!(backend.messages().len() == 1);
}

#[test]
fn ten_thousand_unknown_fields_are_read_past() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let junk: Vec<_> = (0..10_000).map(|number| format!("\"f{number}\": [{{\"a\": null}}]")).collect();
    let body = format!("{{{}, \"msg\": \"found\"}}", junk.join(", "));
    let began = Instant::now();
    assert_eq!(post(proxy.addr(), "/Shop/Echo", body).json(), json!({ "msg": "found" }));
    assert!(began.elapsed() < Duration::from_secs(2));
    // Nesting has an end.
    let deep = format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = post(proxy.addr(), "/Shop/Echo", deep);
    assert!(answer.status == 400 || answer.status == 200, "{}", answer.text());
}

#[test]
fn a_caller_that_takes_nothing_is_not_waited_for() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).listener("write_timeout = \"300ms\"").start();
    let mut http = Http::connect(proxy.addr());
    let body = json!({ "msg": "x".repeat(15 << 20) }).to_string();
    http.send("POST /Shop/Echo", &[], body);
    proxy.eventually("it is given up", |totals| totals.downstream_refused == 1 && totals.downstream_open == 0);
}

#[test]
fn streams_of_a_connection_have_a_limit() {
    let backend = RawServer::silent();
    let proxy = gateway(&backend).listener("max_streams = 4").route("timeout = \"500ms\"").start();
    let mut h2 = RawH2::client(proxy.addr());
    h2.wait_for_settings_ack();
    for number in 0..6 {
        h2.send_headers(2 * number + 1, fields("POST", "/Shop/Ping"), true);
    }
    let refused = h2.wait_for_reset(9);
    assert_eq!(refused, grpc_frame::http2::ErrorCode::REFUSED_STREAM);
    for number in 0..4 {
        assert_eq!(h2.read_answer(2 * number + 1).headers.unwrap().text(":status"), Some("504"));
    }
}

#[test]
fn what_the_bodies_of_a_worker_hold_has_a_limit() {
    let backend = RawServer::silent();
    let proxy = gateway(&backend).start();
    drop(proxy);
    let setup = gateway(&backend).route("timeout = \"1s\"").text();
    let proxy = crate::support::TestProxy::start(&format!("stream_memory = \"64KiB\"\n{setup}"));
    let body = json!({ "msg": "x".repeat(60_000) }).to_string();
    let mut first = Http::connect(proxy.addr());
    first.send("POST /Shop/Echo", &[], &body);
    backend.wait_for_messages(1);
    post(proxy.addr(), "/Shop/Echo", &body).error(503, "over_limit");
    assert_eq!(first.read().status, 504);
    // What a request held is given back with it.
    let mut again = Http::connect(proxy.addr());
    again.send("POST /Shop/Echo", &[], &body);
    backend.wait_for_messages(2);
    assert!(PATIENCE > Duration::ZERO);
}
