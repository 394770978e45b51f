//! The answers that the proxy gives by itself (pingpong-wire 8.8) in every form and both codecs, and the silence that a
//! caller's own mistakes get (5.4).

use std::net::TcpListener;
use std::time::Duration;

use proxy::rpc::FaultKind;
use testkit::from_hex;
use testkit::peer::{Form, Message, RawServer};
use thrift_codec::{MessageType, Version};
use ttheader::{IntKey, keys};

use crate::support::{Setup, TestProxy};

/// A call to `method` in every form and both codecs.
fn calls(method: &str) -> impl Iterator<Item = Message> {
    let thrift = Form::ALL.map(|form| Message::call(method, 7).form(form));
    let protobuf = [Form::Framed, Form::TtHeaderFramed, Form::MeshFramed];
    thrift.into_iter().chain(protobuf.map(|form| Message::call(method, 7).form(form).protobuf()))
}

/// Makes the call to `method` in every way: each is answered by `code` and a text with `part` in it, a oneway call by
/// nothing, and the connection goes on.
fn expect_answers(proxy: &TestProxy, method: &str, code: i32, part: &str, kind: FaultKind) {
    let before = proxy.totals().faults_of(kind);
    for call in calls(method) {
        let mut caller = proxy.connect();
        for seqid in [0, -5, 7] {
            let call = call.clone().seqid(seqid);
            let answer = caller.exchange(&call);
            let (got, text) = answer.code_and_text();
            assert!(got == code && text.contains(part), "{got} {text}");
            let mut expected = call.exception(code, &text);
            if answer.form.has_ttheader() {
                expected = expected.int(IntKey::MSG_TYPE, "3");
            }
            assert_eq!(answer, expected);
        }
        if call.version == Version::THRIFT {
            caller.send(call.clone().oneway().bytes());
        }
        let after = caller.exchange(&call.clone().seqid(8));
        assert_eq!((after.seqid, after.code_and_text().0), (8, code), "a oneway call gets nothing");
    }
    // A oneway call fails only before it is sent.
    let oneway = matches!(kind, FaultKind::UnknownService | FaultKind::UnknownMethod | FaultKind::Connect);
    let expected = before + 9 * 4 + if oneway { 6 } else { 0 };
    proxy.eventually("each is counted", |totals| totals.faults_of(kind) == expected);
}

#[test]
fn no_route_is_an_unknown_service() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).route("method = \"echo\"").start();
    // Where no service travelled, Kitex's own text: mind the blank before the comma.
    expect_answers(&proxy, "nope", 20, "unknown service , method nope", FaultKind::UnknownService);
    let proxy = Setup::to(&backend).route("service = \"Known\"").listener("service = \"Other\"").start();
    expect_answers(&proxy, "nope", 20, "unknown service Other, method nope", FaultKind::UnknownService);
    assert_eq!(backend.connections(), 0);
}

#[test]
fn no_route_for_the_method_of_a_known_service_is_an_unknown_method() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).route("service = \"Known\"\nmethod = \"echo\"").start();
    for form in [Form::TtHeader, Form::TtHeaderFramed, Form::MeshBuffered, Form::MeshFramed] {
        let call = Message::call("nope", 7).form(form).string(keys::IDL_SERVICE_NAME, "Known");
        let answer = proxy.connect().exchange(&call);
        assert_eq!(answer.code_and_text(), (1, "unknown method nope (service Known)".into()));
        let call = Message::call("nope", 7).form(form).string(keys::IDL_SERVICE_NAME, "Unknown");
        let answer = proxy.connect().exchange(&call);
        assert_eq!(answer.code_and_text(), (20, "unknown service Unknown, method nope".into()));
    }
    let proxy =
        Setup::to(&backend).listener("service = \"Known\"").route("service = \"Known\"\nmethod = \"echo\"").start();
    expect_answers(&proxy, "nope", 1, "unknown method nope (service Known)", FaultKind::UnknownMethod);
}

#[test]
fn a_backend_that_refuses_the_connection_is_named() {
    // Bound and not listening: nobody else gets the port, and nobody answers there.
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for cluster in ["", "mux = true"] {
        let proxy = Setup::to_addr(unused).cluster(cluster).start();
        if cluster.is_empty() {
            expect_answers(&proxy, "echo", 6, "cluster backend: can't connect to", FaultKind::Connect);
        } else {
            let answer = proxy.connect().exchange(&Message::call("echo", 7));
            assert!(answer.code_and_text().1.contains("can't connect to"));
        }
    }
}

#[test]
fn a_backend_that_closes_or_resets_before_its_reply_is_named() {
    let backend = RawServer::start(|mut conn| while conn.next_message().is_some_and(|_| false) {});
    let proxy = Setup::to(&backend).start();
    for call in calls("echo") {
        let mut caller = proxy.connect();
        let answer = caller.exchange(&call);
        let (code, text) = answer.code_and_text();
        assert!(code == 6 && text.contains("closed before its reply was complete"), "{text}");
        assert_eq!((answer.form, answer.seqid), (call.form.of_reply(), 7));
    }
    let backend = RawServer::start(|mut conn| {
        if conn.next_message().is_some() {
            conn.reset();
        }
    });
    let proxy = Setup::to(&backend).start();
    for call in calls("echo") {
        assert_eq!(proxy.connect().exchange(&call).code_and_text().0, 6);
    }
    assert_eq!(proxy.totals().faults_of(FaultKind::UpstreamClosed), 9);
}

#[test]
fn a_reply_that_cannot_be_read_is_a_protocol_error_and_its_connection_is_left() {
    let a_call = from_hex("0000001a 80010001 00000004 6563686f 00000007 00");
    for reply in [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), a_call] {
        let backend = RawServer::replying(move |_| reply.clone());
        let proxy = Setup::to(&backend).start();
        expect_answers(&proxy, "echo", 7, "unreadable reply", FaultKind::BadReply);
        assert_eq!(proxy.totals().upstream_reused, 0);
        proxy.eventually("all are left", |totals| totals.upstream_open == 0);
    }
}

#[test]
fn a_reply_to_another_call_is_a_protocol_error_and_its_connection_is_left() {
    let backend = RawServer::replying(|call| call.reply().seqid(call.seqid + 1).bytes());
    let proxy = Setup::to(&backend).start();
    expect_answers(&proxy, "echo", 7, "reply to call", FaultKind::BadReply);
    proxy.eventually("all are left", |totals| totals.upstream_open == 0);
}

#[test]
fn a_deadline_that_passes_is_a_timeout_and_its_connection_is_left() {
    let backend = RawServer::silent();
    let proxy = Setup::to(&backend).route("timeout = \"20ms\"").start();
    expect_answers(&proxy, "echo", 6, "timeout", FaultKind::Timeout);
    proxy.eventually("all are left", |totals| totals.upstream_open == 0);
}

#[test]
fn more_than_a_shared_connection_takes_is_over_limit() {
    let backend = RawServer::start(|mut conn| {
        // Takes one call and then nothing more until the proxy goes.
        conn.next_message();
        std::thread::park_timeout(Duration::from_secs(4));
    });
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    let mut caller = proxy.connect();
    let call =
        Message::call("echo", 1).form(Form::TtHeader).flags(ttheader::Flags::OUT_OF_ORDER).text(&"x".repeat(60_000));
    for seqid in 0..400 {
        caller.send(call.clone().seqid(seqid).bytes());
    }
    let (code, text) = caller.receive().code_and_text();
    assert!(code == 6 && text.starts_with("request over limit: "), "{text}");
}

/// What a Kitex server closes without a reply (5.4), and so do we.
#[test]
fn what_a_caller_gets_wrong_is_answered_by_a_close() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("max_message = \"4KiB\"").start();
    let envelope = "6563686f 00000007 0b0001 00000002 6869 00";
    let wrong = [
        ("TLS", "16030102 00010001 fc0303".to_owned()),
        ("HTTP/1", "47455420 2f204854 54502f31".to_owned()),
        ("unversioned", "00000004 6563686f 01 00000007 00000000".to_owned()),
        ("framed unversioned", "00000017 00000004 6563686f 01 00000001".to_owned()),
        ("compact", "0000001a 82210104 6563686f 00".to_owned()),
        ("bare Kitex-Protobuf", "90010001 00000004 4563686f 00000001".to_owned()),
        ("TTHeader without header", "00000024 1000 0000 00000007 0000 80010001".to_owned()),
        ("TTHeader shorter than its header", "0000000c 1000 0000 00000007 0001 00000000".to_owned()),
        ("TTHeader with a short payload", "00000012 1000 0000 00000007 0001 00000000 80010001".to_owned()),
        ("protocol id 2", "00000028 1000 0000 00000007 0001 02000000 80010001".to_owned()),
        ("info id 2", "00000028 1000 0000 00000007 0001 00000200 80010001".to_owned()),
        ("transforms past the end", "00000028 1000 0000 00000007 0001 00090000 80010001".to_owned()),
        ("truncated entry", "00000030 1000 0000 00000007 0002 0000 01 0001 0009 61 80010001 00000004".to_owned()),
        ("TTHeader in a mesh header", "ffaf0002 0000 00000028 10000000 00000007".to_owned()),
        ("truncated mesh pair", "ffaf0004 0001 0009 80010001 00000004".to_owned()),
        ("streaming TTHeader in a TTHeader", "00000028 1000 0000 00000007 0001 00000000 00000010 10000002".to_owned()),
        (
            "inner length too short",
            format!("00000030 1000 0000 00000007 0001 00000000 00000010 80010001 00000004 {envelope}"),
        ),
        ("frame too long", "00001001 80010001 00000004".to_owned()),
        ("TTHeader too long", "00002000 1000 0000 00000007 0001 00000000 80010001".to_owned()),
        ("frame too short for its envelope", "0000000c 80010001 00000004 6563686f 00000007".to_owned()),
        ("negative name length", "80010001 ffffffff 6563686f".to_owned()),
        ("empty name", "80010001 00000000 00000007 00".to_owned()),
        ("framed empty name", "0000000d 80010001 00000000 00000007 00".to_owned()),
        ("unknown type id in Buffered", "80010001 00000004 6563686f 00000007 630001 00".to_owned()),
        ("negative string in Buffered", "80010001 00000004 6563686f 00000007 0b0001 ffffffff 00".to_owned()),
    ];
    let types = [0, 2, 3, 6, 7, 0x0101].map(|number| Message::call("echo", 7).message_type(MessageType(number)));
    let types = types.iter().flat_map(|call| Form::ALL.map(|form| (form, call.clone().form(form).bytes())));
    let wrong = wrong.into_iter().map(|(name, hex)| (name.to_owned(), from_hex(&hex)));
    let types = types.map(|(form, bytes)| (format!("a type of message in {form:?}"), bytes));
    for (count, (name, bytes)) in (1..).zip(wrong.chain(types)) {
        let mut caller = proxy.connect();
        caller.send(&bytes);
        let came = caller.read_to_close();
        assert!(came.is_empty(), "{name}: {came:02x?}");
        proxy.eventually(&name, |totals| totals.downstream_refused == count && totals.downstream_open == 0);
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_message_cut_by_a_close_is_answered_by_a_close() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for form in Form::ALL {
        let call = Message::call("echo", 7).form(form).bytes();
        for cut in 1..call.len() {
            let mut caller = proxy.connect();
            caller.send(&call[..cut]);
            caller.half_close();
            caller.expect_close();
        }
    }
    assert_eq!(backend.connections(), 0);
    proxy.eventually("each is counted", |totals| totals.downstream_refused == totals.downstream_connections);
}

#[test]
fn malformed_arguments_in_a_frame_are_the_backends_to_judge() {
    let backend = RawServer::replying(|call| call.exception(7, "its own text").bytes());
    let proxy = Setup::to(&backend).start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let call = Message::call("echo", 7).form(form).body(from_hex("630001 ff"));
        assert_eq!(proxy.connect().exchange(&call).code_and_text(), (7, "its own text".into()));
    }
}

#[test]
fn a_message_of_type_stream_is_relayed_and_so_is_its_reply_with_seqid_zero() {
    let backend = RawServer::replying(|call| call.reply().seqid(0).bytes());
    let proxy = Setup::to(&backend).start();
    for form in Form::ALL {
        let call = Message::call("echo", 7).form(form).message_type(MessageType::STREAM);
        assert_eq!(proxy.connect().exchange(&call).seqid, 0);
    }
}
