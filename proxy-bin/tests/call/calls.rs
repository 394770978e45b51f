//! Calls that go well.

use std::time::Duration;

use testkit::from_hex;
use testkit::peer::http2::{RawH2, grpc_message, grpc_request};
use testkit::peer::{Form, Message, RawServer};
use thrift_codec::MessageType;
use ttheader::IntKey;

use crate::support::{Running, call, item, printed, run, testdata, wrapped};

/// Answers `order` with the item that came, with another name.
fn renaming() -> RawServer {
    RawServer::replying(|call| {
        let at = call.body.windows(3).position(|name| name == b"pen");
        let mut reply = call.reply();
        reply.body.clone_from(&call.body);
        reply.body[2] = 0;
        if let Some(at) = at {
            reply.body[at..at + 3].copy_from_slice(b"ink");
        }
        reply.bytes()
    })
}

#[test]
fn every_pingpong_transport_carries_a_call() {
    for (name, form) in [
        ("buffered", Form::Buffered),
        ("framed", Form::Framed),
        ("ttheader", Form::TtHeader),
        ("ttheader-framed", Form::TtHeaderFramed),
    ] {
        let backend = renaming();
        let ended = call(&["Shop/order", "-d", r#"{"name":"pen"}"#, "--compact", "-t", name], backend.addr());
        assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("ink")), "{name}: {}", ended.stderr);
        let call = &backend.messages()[0];
        assert_eq!((call.form, &call.method[..], &call.body[..]), (form, &b"order"[..], &wrapped(1, &item("pen"))[..]));
        assert_eq!(call.message_type, MessageType::CALL);
        assert_ne!(call.seqid, 0);
    }
}

#[test]
fn the_transport_of_calls_is_ttheader_where_none_is_named() {
    let backend = renaming();
    let arguments = [
        "order",
        "-d",
        r#"{"name":"pen"}"#,
        "-H",
        "RPC_PERSIST_user:ann",
        "-H",
        "rpc-transit-trace-id: 7",
        "-H",
        "other:x",
        "--timeout",
        "1500ms",
        "--caller",
        "me",
    ];
    let ended = call(&arguments, backend.addr());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("{\n  \"name\": \"ink\",\n"), "{}", ended.stdout);
    let call = &backend.messages()[0];
    assert_eq!(call.form, Form::TtHeader);
    for (key, value) in [("isn", "Shop"), ("RPC_PERSIST_user", "ann"), ("RPC_TRANSIT_TRACE_ID", "7"), ("other", "x")] {
        assert_eq!(call.string_value(key.as_bytes()), Some(value.as_bytes()), "{key}");
    }
    assert_eq!(call.string_value(b"rip"), None);
    assert_eq!(call.int_value(IntKey::FROM_SERVICE), Some(&b"me"[..]));
    let left: u64 = str::from_utf8(call.int_value(IntKey::RPC_TIMEOUT).unwrap()).unwrap().parse().unwrap();
    assert!((1000..=1500).contains(&left), "{left}");
}

#[test]
fn calls_go_beside_the_streams_where_ttstream_is_asked_for() {
    let backend = renaming();
    let ended = call(&["Shop/order", "-d", r#"{"name":"pen"}"#, "-t", "ttstream"], backend.addr());
    assert_eq!((ended.code, backend.messages()[0].form), (0, Form::TtHeader), "{}", ended.stderr);
}

#[test]
fn a_call_over_grpc_is_a_unary_one() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        let Some(request) = conn.next_request() else { return };
        let expected = grpc_request("/shop.Shop/order", [("content-type", "application/grpc+thrift")]);
        for name in [":method", ":path", "content-type", "te"] {
            assert_eq!(request.fields.text(name), expected.text(name));
        }
        assert_eq!(request.fields.text("rpc-persist-user"), Some("ann"));
        assert!(request.fields.contains("grpc-timeout"));
        assert_eq!(conn.next_grpc_message(request.stream), Some(wrapped(1, &item("pen"))));
        conn.respond(request.stream);
        conn.send_all(request.stream, grpc_message(wrapped(0, &item("ink"))), false);
        conn.send_headers(request.stream, [("grpc-status", "0"), ("seen-by", "raw")], true);
        conn.read_to_close();
    });
    let arguments = [
        "shop.Shop/order",
        "-d",
        r#"{"name":"pen"}"#,
        "-t",
        "grpc",
        "-H",
        "RPC_PERSIST_user:ann",
        "--timeout",
        "2s",
        "-v",
        "--compact",
    ];
    let ended = call(&arguments, backend.addr());
    assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("ink")), "{}", ended.stderr);
    assert!(ended.stderr.contains("trailer seen-by: raw\n"), "{}", ended.stderr);
}

#[test]
fn text_is_text_and_several_arguments_are_an_object() {
    let backend = RawServer::echo();
    let ended = call(&["Base/greet", "-d", "hello you"], backend.addr());
    assert_eq!((ended.code, &*ended.stdout), (0, "hello you\n"), "{}", ended.stderr);
    // What a descendant inherits is its own.
    let ended = call(&["Shop/greet", "-d", r#""in quotes""#], backend.addr());
    assert_eq!((ended.code, &*ended.stdout), (0, "in quotes\n"), "{}", ended.stderr);
    assert_eq!(backend.messages()[1].string_value(b"isn"), Some(&b"Shop"[..]));

    let backend = RawServer::replying(|call| call.reply().body(from_hex("080000 00000007 00")).bytes());
    let ended = call(&["sum", "-d", r#"{"b":4,"a":3}"#], backend.addr());
    assert_eq!((ended.code, &*ended.stdout), (0, "7\n"), "{}", ended.stderr);
    let mut fields: Vec<Vec<u8>> = backend.messages()[0].body[..14].chunks(7).map(<[u8]>::to_vec).collect();
    fields.sort();
    assert_eq!(fields, [from_hex("080001 00000003"), from_hex("080002 00000004")]);
}

#[test]
fn nothing_to_say_is_null() {
    for body in [from_hex("00"), from_hex("01 0000 00 00")] {
        let backend = RawServer::replying(move |call| call.reply().body(body.clone()).bytes());
        let ended = call(&["store", "-d", "{}"], backend.addr());
        assert_eq!((ended.code, &*ended.stdout), (0, "null\n"), "{}", ended.stderr);
    }
    // No data at all: no argument.
    let backend = RawServer::replying(|call| call.reply().body(from_hex("00")).bytes());
    assert_eq!(call(&["store"], backend.addr()).code, 0);
    assert_eq!(backend.messages()[0].body, from_hex("00"));
}

#[test]
fn nobody_waits_for_a_oneway_call() {
    let backend = RawServer::silent();
    let ended = call(&["note", "-d", r#"{"name":"x"}"#, "-v"], backend.addr());
    assert_eq!((ended.code, &*ended.stdout), (0, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("no reply is expected"), "{}", ended.stderr);
    let call = &backend.wait_for_messages(1)[0];
    assert_eq!((call.message_type, &call.body[..]), (MessageType::ONEWAY, &wrapped(1, &item("x"))[..]));
}

#[test]
fn data_comes_from_files_and_standard_input_too() {
    let backend = renaming();
    let path = std::env::temp_dir().join(format!("proxy-bin-call-{}.json", std::process::id()));
    std::fs::write(&path, "{\"name\":\"pen\"}\n").unwrap();
    let ended = call(&["order", "-d", &format!("@{}", path.display()), "--compact"], backend.addr());
    std::fs::remove_file(&path).unwrap();
    assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("ink")), "{}", ended.stderr);
    let mut running = Running::start(&["order", "-d", "@-", "--compact"], backend.addr());
    running.write("{\"name\":\n\"pen\"}\n");
    running.close();
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("ink")), "{}", ended.stderr);
}

#[test]
fn what_else_comes_along_is_printed_when_asked() {
    let backend = RawServer::replying(|call| {
        let reply = call.reply().body(wrapped(0, &item("a")));
        reply.string("RPC_BACKWARD_zone", "north").string("plain", "x").bytes()
    });
    let quiet = call(&["order", "-d", "{}"], backend.addr());
    assert_eq!((quiet.code, &*quiet.stderr), (0, ""));
    let told = call(&["order", "-d", "{}", "--verbose"], backend.addr());
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert_eq!(lines[..2], ["header RPC_BACKWARD_zone: north", "header plain: x"]);
    assert!(lines[2].starts_with("answered in "), "{lines:?}");
}

#[test]
fn the_service_may_be_called_otherwise() {
    let backend = renaming();
    let ended = call(&["Shop/order", "-d", "{}", "--service", "shop.prod"], backend.addr());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(backend.messages()[0].string_value(b"isn"), Some(&b"shop.prod"[..]));
}

#[test]
fn a_raw_call_needs_no_idl() {
    let backend = RawServer::echo();
    let addr = backend.addr().to_string();
    let ended = run(&["--raw", "Echo/echo", "-d", "0b0001 00000002 6869 00", "-t", "framed", &addr]);
    assert_eq!((ended.code, &*ended.stdout), (0, "0b000000000002686900\n"), "{}", ended.stderr);
    assert_eq!(backend.messages()[0], Message::call("echo", backend.messages()[0].seqid));
    let ended = run(&["--raw", "Echo/echo", "-d", "0x", &addr]);
    assert_eq!((ended.code, &*ended.stderr), (1, "error: --raw: -d is no hex\n"));
}

#[test]
fn profiles_differ_and_includes_are_found_where_they_are_said_to_be() {
    let backend = renaming();
    // A bool is no text: dynamicgo refuses it, Kitex's own converter writes what it takes it for.
    let strict = call(&["order", "-d", r#"{"name":true}"#, "--profile", "dynamic"], backend.addr());
    assert_eq!(strict.code, 1, "{}", strict.stdout);
    assert!(strict.stderr.contains("name"), "{}", strict.stderr);
    let lenient = call(&["order", "-d", r#"{"name":true}"#], backend.addr());
    assert_eq!(lenient.code, 0, "{}", lenient.stderr);

    let dir = std::env::temp_dir().join(format!("proxy-bin-call-idl-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let text = std::fs::read_to_string(testdata("shop.thrift")).unwrap();
    let idl = dir.join("shop.thrift");
    std::fs::write(&idl, text).unwrap();
    let arguments = ["--idl", idl.to_str().unwrap(), "--list"];
    let missing = run(&arguments);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("common.thrift"), "{}", missing.stderr);
    let found = run(&["--idl", idl.to_str().unwrap(), "--include", &testdata(""), "--list"]);
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!((found.code, &*found.stdout), (0, "Base\nShop\n"), "{}", found.stderr);
}

#[test]
fn a_slow_answer_in_time_is_an_answer() {
    let backend = RawServer::replying(|call| {
        std::thread::sleep(Duration::from_millis(200));
        call.reply().body(wrapped(0, &item("late"))).bytes()
    });
    let ended = call(&["order", "-d", "{}", "--timeout", "5s", "--compact"], backend.addr());
    assert_eq!((ended.code, ended.stdout.trim_end()), (0, &*printed("late")), "{}", ended.stderr);
}
