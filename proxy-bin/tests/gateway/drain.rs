//! The end of the proxy, seen by callers of HTTP.

use std::time::{Duration, Instant};

use proxy::Ended;
use serde_json::json;
use testkit::peer::RawServer;
use testkit::peer::http2::{Fields, RawH2};

use crate::client::Http;
use crate::gateway;
use crate::support::TestProxy;

/// Answers after this time.
fn slow(time: Duration) -> RawServer {
    RawServer::start(move |mut conn| {
        while let Some(call) = conn.next_call() {
            std::thread::sleep(time);
            if !conn.try_send(call.reply().bytes()) {
                return;
            }
        }
    })
}

#[test]
fn a_request_in_flight_is_answered_and_its_connection_ends() {
    let backend = slow(Duration::from_millis(400));
    let mut proxy = gateway(&backend).start();
    let mut idle = Http::connect(proxy.addr());
    assert_eq!(idle.get("/openapi.json").status, 200);
    let mut busy = Http::connect(proxy.addr());
    busy.send("POST /Shop/Echo", &[], r#"{"msg": "last"}"#);
    backend.wait_for_messages(1);
    proxy.begin_drain();
    let answer = busy.read();
    assert_eq!((answer.json(), answer.header("connection")), (json!({ "msg": "last" }), Some("close")));
    busy.conn.expect_close();
    idle.conn.expect_close();
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn what_is_under_way_when_the_drain_begins_is_answered() {
    let backend = RawServer::echo();
    let mut proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    assert_eq!(http.get("/openapi.json").status, 200);
    proxy.begin_drain();
    std::thread::sleep(Duration::from_millis(30));
    let answer = http.post("/Shop/Echo", r#"{"msg": "in time"}"#);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    http.conn.expect_close();
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn http_2_is_told_to_go_and_its_streams_are_answered() {
    let backend = slow(Duration::from_millis(400));
    let mut proxy = gateway(&backend).start();
    let mut h2 = RawH2::client(proxy.addr());
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/Shop/Ping")];
    h2.send_headers(1, Fields::new(fields), true);
    backend.wait_for_messages(1);
    proxy.begin_drain();
    let answer = h2.read_answer(1);
    assert_eq!(answer.headers.unwrap().text(":status"), Some("200"));
    h2.read_to_close();
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn a_request_that_takes_too_long_is_told_so_at_the_end() {
    let backend = RawServer::silent();
    let config = gateway(&backend).text().replace("drain = \"3s\"", "drain = \"600ms\"");
    let mut proxy = TestProxy::start(&config);
    let mut http = Http::connect(proxy.addr());
    http.send("POST /Shop/Echo", &[], "{}");
    let mut h2 = RawH2::client(proxy.addr());
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/Shop/Ping")];
    h2.send_headers(1, Fields::new(fields), true);
    backend.wait_for_messages(2);
    let began = Instant::now();
    proxy.begin_drain();
    let answer = http.read();
    answer.error(503, "shutting_down");
    assert_eq!(h2.read_answer(1).headers.unwrap().text(":status"), Some("503"));
    assert!((Duration::from_millis(300)..Duration::from_millis(900)).contains(&began.elapsed()));
    assert_eq!(proxy.ended(), Ended::CutOff);
}
