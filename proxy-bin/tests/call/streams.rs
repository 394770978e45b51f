//! Streams: what is sent goes as it comes, and so does what is printed.

use serde_json::{Value, json};
use testkit::peer::RawServer;
use testkit::peer::http2::{RawH2, grpc_message};
use testkit::peer::ttstream::{TtFrame, TtServer};
use ttstream::FrameType;

use crate::support::{Running, call, item, printed};

const CHAT: &str = "chat";

#[test]
fn messages_go_and_come_one_by_one_over_ttstream() {
    let backend = TtServer::start();
    let mut running = Running::start(&["Shop/chat", "-d", "@-", "--compact", "-H", "RPC_PERSIST_k:v"], backend.addr());
    // The stream is opened before the first message is known.
    let mut server = backend.accept();
    let header = server.read();
    assert_eq!((header.frame_type(), header.method()), (FrameType::Header, CHAT.as_bytes()));
    assert_eq!((header.string_value("isn"), header.string_value("RPC_PERSIST_k")), (Some("Shop"), Some("v")));
    server.send(&TtFrame::header(header.id, CHAT).string("seen", "yes"));
    for name in ["one", "two", "three"] {
        running.write(&format!("{{\"name\": \"{name}\"}}"));
        let data = server.read();
        assert_eq!((data.frame_type(), &data.payload), (FrameType::Data, &item(name)));
        server.send(&TtFrame::data(header.id, CHAT, item(&format!("{name}!"))));
        assert_eq!(running.line(), printed(&format!("{name}!")));
    }
    running.close();
    assert_eq!(server.read().frame_type(), FrameType::Trailer);
    server.send(&TtFrame::trailer(header.id, CHAT));
    let ended = running.end();
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, "", ""));
}

/// Sends each message back.
fn echo_over_grpc() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_credit(true);
        let Some(request) = conn.next_request() else { return };
        assert_eq!(request.fields.text(":path"), Some("/shop.Shop/chat"));
        while let Some(message) = conn.next_grpc_message(request.stream) {
            conn.respond(request.stream);
            conn.send_all(request.stream, grpc_message(message), false);
        }
        conn.trailers(request.stream, 0, "");
        conn.read_to_close();
    })
}

#[test]
fn messages_go_and_come_one_by_one_over_grpc() {
    let backend = echo_over_grpc();
    let mut running = Running::start(&["shop.Shop/chat", "-d", "@-", "--compact", "-t", "grpc"], backend.addr());
    for name in ["one", "two", "three"] {
        // On lines of their own, or not.
        running.write(&format!("{{\"name\": \"{name}\"}}\n"));
        assert_eq!(running.line(), printed(name));
    }
    running.close();
    let ended = running.end();
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, "", ""));
}

#[test]
fn large_messages_pass_in_both_directions_at_once() {
    let backend = echo_over_grpc();
    let names = ["x".repeat(300_000), "y".repeat(300_000), "z".repeat(300_000)];
    let mut running = Running::start(&["shop.Shop/chat", "-d", "@-", "--compact", "-t", "grpc"], backend.addr());
    let texts: String = names.iter().map(|name| format!("{{\"name\":\"{name}\"}}")).collect();
    running.write(&texts);
    for name in &names {
        assert!(running.line() == printed(name));
    }
    running.close();
    assert_eq!(running.end().code, 0);
}

#[test]
fn many_requests_have_one_response() {
    let backend = TtServer::start();
    let texts = r#"{"name":"a"}{"name":"b"} {"name":"c"}"#;
    let running = Running::start(&["gather", "-d", texts, "--compact"], backend.addr());
    let mut server = backend.accept();
    let id = server.read().id;
    for name in ["a", "b", "c"] {
        assert_eq!(server.read().payload, item(name));
    }
    assert_eq!(server.read().frame_type(), FrameType::Trailer);
    server.send(&TtFrame::header(id, "gather"));
    server.send(&TtFrame::data(id, "gather", item("abc")));
    server.send(&TtFrame::trailer(id, "gather"));
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("abc")), "{}", ended.stderr);
}

#[test]
fn one_request_has_many_responses() {
    let backend = TtServer::start();
    let running = Running::start(&["list", "-d", r#"{"name":"all"}"#, "--compact"], backend.addr());
    let mut server = backend.accept();
    let id = server.read().id;
    assert_eq!(server.read().payload, item("all"));
    assert_eq!(server.read().frame_type(), FrameType::Trailer);
    server.send(&TtFrame::header(id, "list"));
    for number in 0..100 {
        server.send(&TtFrame::data(id, "list", item(&number.to_string())));
    }
    server.send(&TtFrame::trailer(id, "list"));
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines, (0..100).map(|number| printed(&number.to_string())).collect::<Vec<_>>());
}

#[test]
fn the_end_of_the_backend_is_the_end() {
    let told = |frame: fn(i32) -> TtFrame| {
        let backend = TtServer::start();
        // Standard input stays open.
        let mut running = Running::start(&["chat", "-d", "@-", "--compact", "-v"], backend.addr());
        let mut server = backend.accept();
        let id = server.read().id;
        server.send(&TtFrame::header(id, CHAT));
        server.send(&TtFrame::data(id, CHAT, item("only")));
        server.send(&frame(id));
        assert_eq!(running.line(), printed("only"));
        let ended = running.end();
        let line = ended.stderr.lines().last().unwrap();
        let error: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        (ended.code, error)
    };
    assert_eq!(told(|id| TtFrame::trailer(id, CHAT)), (0, Value::Null));
    assert_eq!(
        told(|id| TtFrame::trailer(id, CHAT).exception(6, "broken")),
        (3, json!({"error": "exception", "code": 6, "message": "broken"}))
    );
    assert_eq!(
        told(|id| TtFrame::trailer(id, CHAT).string("biz-status", "7").string("biz-message", "no")),
        (5, json!({"error": "business", "status": 7, "message": "no"}))
    );
    assert_eq!(
        told(|id| TtFrame::rst(id, CHAT, 12_007, "gave up", "")),
        (3, json!({"error": "exception", "code": 12_007, "message": "gave up"}))
    );
}

#[test]
fn a_mistake_in_a_later_message_cancels_the_stream() {
    let backend = TtServer::start();
    let mut running = Running::start(&["chat", "-d", "@-", "--profile", "dynamic"], backend.addr());
    let mut server = backend.accept();
    server.read();
    running.write(r#"{"name":"fine"}"#);
    assert_eq!(server.read().payload, item("fine"));
    running.write(r#"{"tags":5}"#);
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.starts_with("error: message 2: request: "), "{}", ended.stderr);
    assert_eq!(server.read().frame_type(), FrameType::Rst);
}

#[test]
fn a_stream_has_its_time() {
    let backend = TtServer::start();
    let running = Running::start(&["chat", "-d", "{}", "--timeout", "200ms"], backend.addr());
    let mut server = backend.accept();
    server.read();
    let ended = running.end();
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((ended.code, error), (6, json!({"error": "timeout", "message": "timeout: no answer within 200ms"})));
    let last = std::iter::repeat_with(|| server.read()).find(|frame| frame.frame_type() == FrameType::Rst).unwrap();
    assert!(last.code_and_text().1.contains("200ms"), "{last:?}");
}

#[test]
fn a_lost_connection_is_told() {
    let backend = TtServer::start();
    let running = Running::start(&["chat", "-d", "{}"], backend.addr());
    let mut server = backend.accept();
    server.read();
    drop(server);
    let ended = running.end();
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((ended.code, &error["kind"]), (2, &json!("upstream_closed")), "{error}");
}

#[test]
fn a_method_that_does_not_stream_is_called_beside_the_streams() {
    let backend = RawServer::echo();
    let ended = call(&["Base/greet", "-d", "hi", "-t", "ttstream"], backend.addr());
    assert_eq!((ended.code, &*ended.stdout), (0, "hi\n"), "{}", ended.stderr);
}
