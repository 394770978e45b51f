//! A ping-pong caller, a gRPC backend: `pingpong = "grpc"`.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use grpc_frame::compression::Encoding;
use grpc_frame::http2::ErrorCode;
use testkit::peer::http2::{Fields, RawH2, grpc_message, grpc_response, grpc_trailers};
use testkit::peer::{Form, Message, RawServer, text_struct};
use thrift_codec::MessageType;
use ttheader::IntKey;

use crate::support::Setup;
use crate::thrift;

/// A backend that runs `serve` for each request with its one message, and what it was asked.
struct Backend {
    server: RawServer,
    asked: Receiver<(Fields, Vec<u8>)>,
}

impl Backend {
    fn start(serve: impl Fn(&mut RawH2, u32, &[u8]) + Send + Sync + 'static) -> Self {
        let (tell, asked) = channel();
        let tell = Mutex::new(tell);
        let server = RawServer::start(move |conn| {
            let mut conn = RawH2::server(conn);
            conn.auto_credit(true);
            while let Some(request) = conn.next_request() {
                assert!(!request.ended, "no END_STREAM on the request's headers");
                let Some(message) = conn.next_grpc_message(request.stream) else { continue };
                // A test that is over wants to know of no more.
                let _over = tell.lock().unwrap().send((request.fields, message.clone()));
                serve(&mut conn, request.stream, &message);
            }
        });
        Self { server, asked }
    }

    /// Answers with `fields` in the headers, `message`, and `trailers`.
    fn answering(
        fields: impl Into<Fields>,
        message: impl Into<Vec<u8>>,
        status: u32,
        text: &'static str,
        trailers: impl Into<Fields>,
    ) -> Self {
        let (fields, message, trailers) = (fields.into(), message.into(), trailers.into());
        Self::start(move |conn, stream, _| {
            conn.send_headers(stream, grpc_response(fields.clone()), false);
            if !message.is_empty() {
                conn.send_all(stream, grpc_message(&message), false);
            }
            conn.send_headers(stream, grpc_trailers(status, text, trailers.clone()), true);
        })
    }

    /// Ends each call with trailers alone.
    fn failing(status: u32, text: &'static str, trailers: impl Into<Fields>) -> Self {
        let trailers = trailers.into();
        Self::start(move |conn, stream, _| {
            conn.send_headers(stream, grpc_response(grpc_trailers(status, text, trailers.clone())), true);
        })
    }

    /// Returns the first argument.
    fn echo() -> Self {
        Self::start(|conn, stream, message| {
            let mut result = message.to_vec();
            if let [0x0b, 0, id @ 1, ..] = &mut result[..] {
                *id = 0;
            }
            conn.respond(stream);
            conn.send_all(stream, grpc_message(result), false);
            conn.trailers(stream, 0, "");
        })
    }

    fn setup(&self) -> Setup {
        Setup::to(&self.server).listener("service = \"Live\"").cluster("pingpong = \"grpc\"\npackage = \"livet\"")
    }

    fn asked(&self) -> (Fields, Vec<u8>) {
        self.asked.recv_timeout(Duration::from_secs(5)).expect("a request")
    }
}

const NONE: [(&str, &str); 0] = [];

#[test]
fn every_form_crosses_and_gets_its_own_back() {
    for form in Form::ALL {
        let backend = Backend::echo();
        let proxy = backend.setup().start();
        let call = Message::call("Ask", -7).form(form);
        let mut client = proxy.connect();
        let reply = client.exchange(&call);
        assert_eq!((reply.form, reply.message_type, reply.seqid), (form.of_reply(), MessageType::REPLY, -7));
        assert_eq!((&reply.method[..], &reply.body), (&b"Ask"[..], &text_struct(0, "hi")));
        if form.has_ttheader() {
            assert_eq!(reply.header_seqid, -7);
            assert_eq!(reply.int_value(IntKey::MSG_TYPE), Some(&b"2"[..]));
        }
        let (fields, message) = backend.asked();
        assert_eq!(message, text_struct(1, "hi"));
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/livet.Live/Ask"),
            (":authority", "Live"),
            ("content-type", "application/grpc+thrift"),
            ("te", "trailers"),
        ] {
            assert_eq!(fields.text(name), Some(value), "{form:?}");
        }
        assert!(!fields.contains("grpc-timeout"));
        assert_eq!(proxy.totals().metadata_dropped, 0, "{form:?}");
        // The connections serve the next call.
        assert_eq!(client.exchange(&call.seqid(8)).seqid, 8);
        assert_eq!(backend.server.connections(), 1);
    }
}

#[test]
fn kitex_protobuf_crosses() {
    for form in [Form::Framed, Form::TtHeaderFramed] {
        let backend = Backend::echo();
        let proxy = backend.setup().start();
        let reply = proxy.connect().exchange(&Message::call("Ask", 3).form(form).protobuf());
        assert_eq!((reply.form, reply.seqid, &reply.body[..]), (form, 3, &b"\x0a\x02hi"[..]));
        let (fields, message) = backend.asked();
        assert_eq!((fields.text("content-type"), &message[..]), (Some("application/grpc"), &b"\x0a\x02hi"[..]));
    }
    let backend = Backend::failing(5, "gone", NONE);
    let proxy = backend.setup().start();
    let reply = proxy.connect().exchange(&Message::call("Ask", 3).protobuf());
    assert_eq!(reply.code_and_text(), (6, "rpc error: code = 5 desc = gone".into()));
}

#[test]
fn an_empty_protobuf_message_is_one() {
    let backend = Backend::start(|conn, stream, _| {
        conn.respond(stream);
        conn.send_data(stream, grpc_message(b""), false);
        conn.trailers(stream, 0, "");
    });
    let proxy = backend.setup().start();
    let reply = proxy.connect().exchange(&Message::call("Ask", 3).protobuf().body(b""));
    assert_eq!((reply.message_type, &reply.body[..]), (MessageType::REPLY, &b""[..]));
    assert_eq!(backend.asked().1, b"");
}

#[test]
fn void_results_and_declared_exceptions_are_results() {
    for body in [vec![0], text_struct(1, "declared")] {
        let backend = Backend::answering(NONE, body.clone(), 0, "", NONE);
        let proxy = backend.setup().start();
        let reply = proxy.connect().exchange(&Message::call("Ask", 1).form(Form::TtHeader));
        assert_eq!((reply.message_type, reply.body), (MessageType::REPLY, body));
    }
}

#[test]
fn statuses_become_exceptions() {
    for (status, text, code, told) in [
        (12, "unknown service livet.Live", 20, "rpc error: code = 12 desc = unknown service livet.Live"),
        (12, "unknown method Ask for service L", 1, "rpc error: code = 12 desc = unknown method Ask for service L"),
        (12, "", 1, "rpc error: code = 12 desc = "),
        (20, "unknown service Live", 20, "unknown service Live"),
        (1, "unknown method Ask", 1, "unknown method Ask"),
        (1, "context canceled", 6, "rpc error: code = 1 desc = context canceled"),
        (5, "gone", 6, "rpc error: code = 5 desc = gone"),
        (14, "gr%C3%B6%C3%9Fe %25", 6, "rpc error: code = 14 desc = größe %"),
    ] {
        for form in [Form::Buffered, Form::Framed, Form::TtHeader] {
            let backend = Backend::failing(status, text, NONE);
            let proxy = backend.setup().start();
            let reply = proxy.connect().exchange(&Message::call("Ask", 9).form(form));
            assert_eq!((reply.code_and_text(), reply.seqid), ((code, told.into()), 9), "{status} {text} {form:?}");
            assert_eq!(&reply.method[..], b"Ask");
        }
    }
}

#[test]
fn a_status_behind_a_message_still_counts() {
    let backend = Backend::answering(NONE, text_struct(0, "half"), 8, "full", NONE);
    let proxy = backend.setup().start();
    let reply = proxy.connect().exchange(&Message::call("Ask", 9));
    assert_eq!(reply.code_and_text(), (6, "rpc error: code = 8 desc = full".into()));
}

#[test]
fn a_business_error_keeps_its_keys_where_they_can_travel() {
    let trailers = [("biz-status", "502"), ("biz-extra", "{\"k\":\"v\"}")];
    let backend = Backend::failing(13, "no money", trailers);
    let proxy = backend.setup().start();
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        let reply = proxy.connect().exchange(&Message::call("Ask", 4).form(form));
        assert_eq!((reply.message_type, &reply.body[..], reply.form), (MessageType::REPLY, &[0][..], form));
        for (key, value) in [("biz-status", "502"), ("biz-message", "no money"), ("biz-extra", "{\"k\":\"v\"}")] {
            assert_eq!(reply.string_value(key.as_bytes()), Some(value.as_bytes()));
        }
    }
    let reply = proxy.connect().exchange(&Message::call("Ask", 4).form(Form::TtHeaderFramed).protobuf());
    assert_eq!((reply.string_value(b"biz-status"), &reply.body[..]), (Some(&b"502"[..]), &b""[..]));
    for form in [Form::Buffered, Form::Framed] {
        let reply = proxy.connect().exchange(&Message::call("Ask", 4).form(form));
        assert_eq!(reply.code_and_text(), (6, "biz error: code=502, msg=no money".into()), "{form:?}");
    }

    let proxy = backend.setup().listener("strip_business_errors = true").start();
    let reply = proxy.connect().exchange(&Message::call("Ask", 4));
    assert_eq!((reply.message_type, reply.body), (MessageType::REPLY, vec![0]));
}

#[test]
fn metadata_goes_both_ways() {
    let headers = [("x-head", "h"), ("rpc-backward-seen", "1"), ("x-raw-bin", "AP8"), ("x-both", "1"), ("isn", "no")];
    let trailers = [("x-trail", "t"), ("x-both", "2"), ("grpc-status-details-bin", "")];
    let backend = Backend::answering(headers, [0], 0, "", trailers);
    let proxy = backend.setup().start();
    let call = Message::call("Ask", 1).form(Form::TtHeader).acl("token").string("isn", "Other").string("x-key", "v");
    let call = call.string("RPC_PERSIST_USER_ID", "p").string("RPC_TRANSIT_T", "t").string("Upper", "u");
    let call = call.string("x-raw-bin", b"\0\xff").string("crrst", "1").string("not a name", "x");
    let call = call.int(IntKey::FROM_SERVICE, "caller").int(IntKey::FROM_METHOD, "Outer").int(IntKey::LOG_ID, "log");
    let call = call.int(IntKey::TO_SERVICE, "dest.name").int(IntKey::TO_METHOD, "Ask").int(IntKey::ENV, "prod");
    let reply = proxy.connect().exchange(&call);
    let (fields, _) = backend.asked();
    for (name, value) in [
        (":path", "/livet.Other/Ask"),
        (":authority", "dest.name"),
        ("source-service", "caller"),
        ("source-method", "Outer"),
        ("stream-log-id", "log"),
        ("x-key", "v"),
        ("upper", "u"),
        ("rpc-persist-user-id", "p"),
        ("rpc-transit-t", "t"),
        ("rpc-transit-gdpr-token", "token"),
        ("x-raw-bin", "AP8"),
    ] {
        assert_eq!(fields.values(name), [value.as_bytes()], "{name}");
    }
    assert!(!fields.contains("isn") && !fields.contains("crrst"));
    for (key, value) in [
        ("x-head", &b"h"[..]),
        ("x-trail", b"t"),
        ("RPC_BACKWARD_SEEN", b"1"),
        ("x-raw-bin", b"\0\xff"),
        ("x-both", b"1,2"),
    ] {
        assert_eq!(reply.string_value(key.as_bytes()), Some(value), "{key}");
    }
    for key in ["isn", "content-type", "grpc-status"] {
        assert_eq!(reply.string_value(key.as_bytes()), None, "{key}");
    }
    // `not a name`, Env; `isn`, which is not the backend's to set, the details, the second `x-both`.
    assert_eq!(proxy.totals().metadata_dropped, 5);
}

#[test]
fn the_deadline_travels_lowered() {
    let backend = Backend::echo();
    let proxy = backend.setup().route("timeout = \"2s\"").start();
    let call = Message::call("Ask", 1).form(Form::TtHeader);
    for (call, limit) in [(call.clone().int(IntKey::RPC_TIMEOUT, "700"), 700), (call, 2000)] {
        assert_eq!(proxy.connect().exchange(&call).message_type, MessageType::REPLY);
        let (fields, _) = backend.asked();
        let left = grpc_frame::timeout::parse(fields.value("grpc-timeout").unwrap()).unwrap();
        assert!(left <= Duration::from_millis(limit) && left > Duration::from_millis(limit / 2), "{left:?}");
    }
}

/// A backend that never answers, and tells of the reset that ends each stream.
fn silent() -> (RawServer, Receiver<ErrorCode>) {
    let (tell, resets) = channel();
    let tell = Mutex::new(tell);
    let server = RawServer::start(move |conn| {
        let mut conn = RawH2::server(conn).patience(Duration::from_secs(10));
        while let Some(request) = conn.next_request() {
            // The message and the half close pass by.
            tell.lock().unwrap().send(conn.wait_for_reset(request.stream)).unwrap();
        }
    });
    (server, resets)
}

fn setup(backend: &RawServer) -> Setup {
    Setup::to(backend).listener("service = \"Live\"").cluster("pingpong = \"grpc\"")
}

#[test]
fn a_deadline_that_passes_cancels_the_stream() {
    let (backend, resets) = silent();
    let proxy = setup(&backend).start();
    let call = Message::call("Ask", 1).form(Form::TtHeader).int(IntKey::RPC_TIMEOUT, "200");
    let (code, text) = proxy.connect().exchange(&call).code_and_text();
    assert_eq!(code, 6);
    assert!(text.contains("timeout: no reply within 200ms"), "{text}");
    assert_eq!(resets.recv_timeout(Duration::from_secs(5)), Ok(ErrorCode::CANCEL));
}

#[test]
fn a_caller_that_is_gone_cancels_the_stream() {
    let (backend, resets) = silent();
    let proxy = setup(&backend).start();
    let mut client = proxy.connect();
    client.send(Message::call("Ask", 1).bytes());
    testkit::peer::eventually("the call is there", || backend.connections() == 1);
    std::thread::sleep(Duration::from_millis(50));
    client.reset();
    assert_eq!(resets.recv_timeout(Duration::from_secs(5)), Ok(ErrorCode::CANCEL));
}

#[test]
fn a_oneway_call_is_sent_with_a_time_of_its_own_and_not_answered() {
    // The first is never answered, as by a Kitex backend; the connection goes on.
    let backend = Backend::start(|conn, stream, message| {
        if message == text_struct(1, "hi") {
            conn.respond(stream);
            conn.send_data(stream, grpc_message([0]), false);
            conn.trailers(stream, 0, "");
        }
    });
    let proxy = backend.setup().start();
    let mut client = proxy.connect();
    client.send(Message::call("Tell", 1).oneway().text("told").bytes());
    client.send(Message::call("Tell", 2).oneway().bytes());
    let reply = client.exchange(&Message::call("Ask", 3));
    assert_eq!(reply.seqid, 3, "nothing came before it");
    let asked = [backend.asked(), backend.asked(), backend.asked()];
    for (fields, _) in &asked[..2] {
        assert_eq!(fields.text(":path"), Some("/livet.Live/Tell"));
        let left = grpc_frame::timeout::parse(fields.value("grpc-timeout").unwrap()).unwrap();
        assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(4), "{left:?}");
    }
    assert_eq!(asked[0].1, text_struct(1, "told"));
    proxy.eventually("counted", |totals| totals.oneways == 2 && totals.replies == 1);
    client.expect_silence(Duration::from_millis(100));
}

#[test]
fn a_backend_that_can_not_be_reached_is_exception_6() {
    let addr = RawServer::echo().addr();
    let proxy = Setup::to_addr(addr).listener("service = \"Live\"").cluster("pingpong = \"grpc\"").start();
    let (code, text) = proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text();
    assert_eq!(code, 6);
    assert!(text.contains(&addr.to_string()), "{text}");
}

#[test]
fn a_backend_that_is_lost_or_resets_is_exception_6() {
    let backend = Backend::start(|conn, _, _| conn.shut_down());
    let proxy = backend.setup().start();
    assert_eq!(proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text().0, 6);

    let backend = Backend::start(|conn, stream, _| conn.send_reset(stream, ErrorCode::ENHANCE_YOUR_CALM));
    let proxy = backend.setup().start();
    let (code, text) = proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text();
    assert_eq!(code, 6);
    assert!(text.starts_with("rpc error: code = 8 desc = "), "{text}");
}

#[test]
fn a_call_without_a_path_is_refused() {
    let backend = Backend::echo();
    let proxy = Setup::to(&backend.server).cluster("pingpong = \"grpc\"").start();
    let (code, text) = proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text();
    assert_eq!(code, 6);
    assert!(text.contains("`service`"), "{text}");

    let proxy = backend.setup().start();
    for method in ["Other/Ask", "Ask?x", "Ask#x", "Ask me"] {
        let (code, text) = proxy.connect().exchange(&Message::call(method, 1)).code_and_text();
        assert_eq!(code, 6, "{method}");
        assert!(text.contains("no gRPC request"), "{method}: {text}");
    }
    assert_eq!(backend.server.connections(), 0);
}

#[test]
fn an_answer_that_makes_no_sense_is_exception_7() {
    for (messages, why) in [(vec![], "none"), (vec!["a", "b"], "two"), (vec![""], "an empty one")] {
        let backend = Backend::start(move |conn, stream, _| {
            conn.respond(stream);
            for message in &messages {
                conn.send_data(stream, grpc_message(message), false);
            }
            conn.trailers(stream, 0, "");
        });
        let proxy = backend.setup().start();
        let (code, text) = proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text();
        assert_eq!(code, 7, "{why}: {text}");
    }
}

#[test]
fn a_compressed_answer_is_uncompressed() {
    let backend = Backend::start(|conn, stream, _| {
        let payload = Encoding::parse(b"gzip").compress(&Bytes::from(text_struct(0, "zipped"))).unwrap();
        let mut message = grpc_message(&payload);
        message[0] = 1;
        conn.send_headers(stream, grpc_response([("grpc-encoding", "gzip")]), false);
        conn.send_data(stream, message, false);
        conn.send_headers(stream, grpc_trailers(0, "", NONE), true);
    });
    let proxy = backend.setup().start();
    assert_eq!(proxy.connect().exchange(&Message::call("Ask", 1)).body, text_struct(0, "zipped"));
}

#[test]
fn long_messages_pass_up_to_the_limit() {
    let backend = Backend::echo();
    let proxy = backend.setup().listener("max_message = \"2MiB\"\ncut_through = \"64KiB\"").start();
    let text = "x".repeat(1 << 20);
    for form in [Form::Buffered, Form::Framed, Form::TtHeader] {
        let call = Message::call("Ask", 1).form(form).text(&text);
        let reply = proxy.connect().patience(Duration::from_secs(10)).exchange(&call);
        assert_eq!(reply.message_type, MessageType::REPLY, "{form:?}");
        assert!(reply.body == text_struct(0, &text), "{form:?}");
    }

    let backend = Backend::answering(NONE, text_struct(0, &"x".repeat(2 << 20)), 0, "", thrift([]));
    let proxy = backend.setup().listener("max_message = \"1MiB\"").start();
    let (code, text) = proxy.connect().exchange(&Message::call("Ask", 1)).code_and_text();
    assert_eq!(code, 6, "the answer is over the limit: {text}");
}

#[test]
fn pipelined_calls_run_side_by_side_and_are_answered_in_order() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        let mut waiting = Vec::new();
        while let Some(request) = conn.next_request() {
            let message = conn.next_grpc_message(request.stream).unwrap();
            waiting.push((request.stream, message));
            if waiting.len() == 3 {
                for (stream, mut message) in waiting.drain(..).rev() {
                    message[2] = 0;
                    conn.respond(stream);
                    conn.send_data(stream, grpc_message(message), false);
                    conn.trailers(stream, 0, "");
                }
            }
        }
    });
    let proxy = setup(&backend).start();
    let mut client = proxy.connect();
    let calls = (1..=3).map(|n| Message::call("Ask", n).text(&n.to_string()).bytes()).collect::<Vec<_>>();
    client.send(calls.concat());
    for n in 1..=3 {
        let reply = client.receive();
        assert_eq!((reply.seqid, reply.body), (n, text_struct(0, &n.to_string())));
    }
    assert_eq!(backend.connections(), 1);
}
