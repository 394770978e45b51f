//! Every transport in to every transport out that the specification allows (pingpong-wire 8.4 to 8.7): what the backend
//! sees, and what the caller gets back.

use proxy::rpc::FaultKind;
use testkit::peer::{Form, Message, RawServer, text_struct};
use thrift_codec::Version;
use ttheader::{IntKey, keys};

use crate::support::{Setup, TestProxy};

const TRANSPORTS: [(&str, Form); 4] = [
    ("buffered", Form::Buffered),
    ("framed", Form::Framed),
    ("ttheader", Form::TtHeader),
    ("ttheader-framed", Form::TtHeaderFramed),
];

fn towards(backend: &RawServer, transport: &str) -> Setup {
    Setup::to(backend).cluster(&format!("pingpong = \"{transport}\""))
}

/// A call in `form` with as much beside the message as the form has room for.
fn rich(form: Form) -> Message {
    let call = Message::call("echo", 7).form(form);
    if form.has_ttheader() {
        call.acl("token").string("RPC_PERSIST_a", "1").string("empty", "").int(IntKey::FROM_SERVICE, "caller")
    } else if form.has_mesh() {
        call.string("RPC_PERSIST_a", "1").string("empty", "")
    } else {
        call
    }
}

/// What a backend of `form` shall see of `call`.
fn as_forwarded(call: &Message, form: Form, caller: &str) -> Message {
    if !form.has_ttheader() {
        return Message { body: call.body.clone(), version: call.version, ..Message::call("echo", 7) }.form(form);
    }
    let strings = call.strings.clone();
    let kept = if call.form.has_ttheader() {
        call.clone()
    } else {
        Message { body: call.body.clone(), version: call.version, strings, ..Message::call("echo", 7) }
    };
    kept.form(form).string(keys::REMOTE_ADDRESS, caller)
}

/// Makes the call and checks both directions. The backend answers with entries of its own where its form has room.
fn check(proxy: &TestProxy, backend: &RawServer, call: &Message, form: Form) {
    let mut caller = proxy.connect();
    let reply = caller.exchange(call);
    let at_backend = backend.messages().pop().unwrap();
    assert_eq!(at_backend, as_forwarded(call, form, &caller.local_addr().to_string()), "{:?} to {form:?}", call.form);
    let expected = match (call.form.has_ttheader(), form.has_ttheader()) {
        (true, true) => call.reply().string("backward", "b"),
        (true, false) => call.reply().int(IntKey::MSG_TYPE, "2"),
        (false, _) => call.reply(),
    };
    assert_eq!(reply, expected, "{form:?} back to {:?}", call.form);
}

fn backward(call: &Message) -> Vec<u8> {
    let reply = call.reply();
    if reply.form.has_ttheader() { reply.string("backward", "b").bytes() } else { reply.bytes() }
}

#[test]
fn thrift_crosses_from_every_transport_to_every_other() {
    let backend = RawServer::replying(backward);
    for (transport, form) in TRANSPORTS {
        let proxy = towards(&backend, transport).start();
        for call in Form::ALL.map(rich) {
            check(&proxy, &backend, &call, form);
        }
        assert_eq!(proxy.totals().replies, 6);
    }
}

#[test]
fn kitex_protobuf_crosses_wherever_there_is_a_length() {
    let backend = RawServer::replying(backward);
    for (transport, form) in [
        ("framed", Form::Framed),
        ("ttheader", Form::TtHeaderFramed), // always framed
        ("ttheader-framed", Form::TtHeaderFramed),
    ] {
        let proxy = towards(&backend, transport).start();
        for call in [Form::Framed, Form::TtHeaderFramed, Form::MeshFramed].map(|form| rich(form).protobuf()) {
            check(&proxy, &backend, &call, form);
        }
    }
}

#[test]
fn kitex_protobuf_is_refused_where_there_is_no_length() {
    let backend = RawServer::echo();
    let proxy = towards(&backend, "buffered").start();
    for form in [Form::Framed, Form::TtHeaderFramed, Form::MeshFramed] {
        let mut caller = proxy.connect();
        let answer = caller.exchange(&rich(form).protobuf());
        assert_eq!((answer.form, answer.version, answer.seqid), (form.of_reply(), Version::KITEX_PROTOBUF, 7));
        let (code, text) = answer.code_and_text();
        assert!(code == 6 && text.contains("frame length"), "{text}");
        assert_eq!(caller.exchange(&rich(form)).body, text_struct(0, "hi"), "the connection goes on");
    }
    assert_eq!(proxy.totals().faults_of(FaultKind::NotConvertible), 3);
}

#[test]
fn what_cannot_travel_is_counted() {
    let backend = RawServer::replying(backward);
    let proxy = towards(&backend, "framed").start();
    proxy.connect().exchange(&rich(Form::TtHeader));
    assert_eq!(proxy.totals().metadata_dropped, 4, "token, two strings, one int");
    let proxy = towards(&backend, "ttheader").start();
    proxy.connect().exchange(&rich(Form::Framed));
    assert_eq!(proxy.totals().metadata_dropped, 1, "the backend's own entry on the way back");
    proxy.connect().exchange(&rich(Form::TtHeader));
    proxy.connect().exchange(&rich(Form::MeshFramed));
    assert_eq!(proxy.totals().metadata_dropped, 2, "mesh pairs travel in a TTHeader");
}

#[test]
fn surplus_bytes_of_a_frame_do_not_reach_a_reader_of_buffered() {
    let surplus = |id| [text_struct(id, "hi"), vec![0x80, 1, 0, 1, 0xff]].concat();
    let backend = RawServer::echo();
    let proxy = towards(&backend, "buffered").start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let mut caller = proxy.connect();
        for _ in 0..3 {
            assert_eq!(caller.exchange(&rich(form).body(surplus(1))).body, text_struct(0, "hi"));
        }
    }
    assert!(backend.messages().iter().all(|call| call.body == text_struct(1, "hi")));

    let backend = RawServer::replying(move |call| call.reply().body(surplus(0)).bytes());
    for transport in ["framed", "ttheader", "ttheader-framed"] {
        let proxy = towards(&backend, transport).start();
        for form in [Form::Buffered, Form::MeshBuffered] {
            let mut caller = proxy.connect();
            for _ in 0..3 {
                assert_eq!(caller.exchange(&rich(form)).body, text_struct(0, "hi"));
            }
        }
    }
}

#[test]
fn arguments_without_an_end_are_answered_where_the_end_must_be_known() {
    let backend = RawServer::echo();
    let proxy = towards(&backend, "buffered").start();
    for body in [&[0x0b, 0, 1, 0, 0, 0, 9, b'x'][..], &[0x63, 0, 1, 0], &[]] {
        let mut caller = proxy.connect();
        let answer = caller.exchange(&rich(Form::Framed).body(body));
        assert_eq!(answer.code_and_text().0, 7);
        assert_eq!(caller.exchange(&rich(Form::Framed)).body, text_struct(0, "hi"));
    }
    assert_eq!(proxy.totals().faults_of(FaultKind::BadArguments), 3);
    assert_eq!(backend.messages().len(), 3, "none of them reached the backend");
}

#[test]
fn isn_is_added_where_the_listener_knows_the_service() {
    let backend = RawServer::echo();
    for (transport, form) in [("ttheader", Form::TtHeader), ("ttheader-framed", Form::TtHeaderFramed)] {
        let proxy = towards(&backend, transport).listener("service = \"EchoService\"").start();
        for from in [Form::Buffered, Form::Framed, Form::MeshBuffered, Form::MeshFramed] {
            let mut caller = proxy.connect();
            caller.exchange(&rich(from));
            let at_backend = backend.messages().pop().unwrap();
            assert_eq!(at_backend.form, form);
            assert_eq!(at_backend.string_value(keys::IDL_SERVICE_NAME), Some(&b"EchoService"[..]));
        }
        proxy.connect().exchange(&rich(Form::MeshFramed).string(keys::IDL_SERVICE_NAME, "Other"));
        let named: Vec<_> = backend.messages().pop().unwrap().strings;
        assert_eq!(named.iter().filter(|(key, _)| key == keys::IDL_SERVICE_NAME).count(), 1, "one that is there stays");
    }
    let proxy = towards(&backend, "ttheader").start();
    proxy.connect().exchange(&rich(Form::Framed));
    assert_eq!(backend.messages().pop().unwrap().string_value(keys::IDL_SERVICE_NAME), None, "a guess is none");
}

fn business_error(call: &Message) -> Message {
    let body = if call.version == Version::THRIFT { &[0][..] } else { &[] };
    call.reply()
        .body(body)
        .string(keys::BIZ_STATUS, "-7")
        .string(keys::BIZ_MESSAGE, "no such \u{fc}ser")
        .string(keys::BIZ_EXTRA, "{\"k\":\"v\"}")
}

#[test]
fn a_business_error_over_a_downgrade_is_an_exception() {
    let backend = RawServer::replying(|call| business_error(call).bytes());
    for transport in ["ttheader", "ttheader-framed"] {
        let proxy = towards(&backend, transport).start();
        for form in [Form::Buffered, Form::Framed, Form::MeshBuffered, Form::MeshFramed] {
            let answer = proxy.connect().exchange(&rich(form));
            assert_eq!(answer.code_and_text(), (6, "biz error: code=-7, msg=no such \u{fc}ser".into()));
            assert_eq!((answer.form, answer.seqid), (form.of_reply(), 7));
        }
        let answer = proxy.connect().exchange(&rich(Form::Framed).protobuf());
        assert_eq!(answer.version, Version::KITEX_PROTOBUF);
        assert_eq!(answer.code_and_text().0, 6);
    }
}

#[test]
fn a_business_error_keeps_its_keys_where_they_can_travel() {
    let backend = RawServer::replying(|call| business_error(call).bytes());
    let proxy = towards(&backend, "ttheader").start();
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        assert_eq!(proxy.connect().exchange(&rich(form)), business_error(&rich(form)));
    }
}

#[test]
fn a_business_error_vanishes_only_where_the_listener_asks_for_it() {
    let backend = RawServer::replying(|call| business_error(call).bytes());
    let proxy = towards(&backend, "ttheader").listener("strip_business_errors = true").start();
    assert_eq!(proxy.connect().exchange(&rich(Form::Framed)), rich(Form::Framed).reply().body([0]));
}

#[test]
fn a_status_that_is_no_error_is_none() {
    for status in ["0", "", "x", "99999999999"] {
        let backend = RawServer::replying(move |call| call.reply().string(keys::BIZ_STATUS, status).bytes());
        let proxy = towards(&backend, "ttheader").start();
        assert_eq!(proxy.connect().exchange(&rich(Form::Framed)), rich(Form::Framed).reply(), "{status:?}");
    }
}

#[test]
fn volos_business_error_is_an_exception_already() {
    let volo = |call: &Message| call.exception(6, "biz error: 7").string(keys::BIZ_STATUS, "7");
    let backend = RawServer::replying(move |call| volo(call).bytes());
    let proxy = towards(&backend, "ttheader").start();
    assert_eq!(proxy.connect().exchange(&rich(Form::Framed)), rich(Form::Framed).exception(6, "biz error: 7"));
    assert_eq!(proxy.connect().exchange(&rich(Form::TtHeader)), volo(&rich(Form::TtHeader)));
}

#[test]
fn crrst_is_acted_on_though_the_caller_cannot_be_told() {
    let backend = RawServer::replying(|call| call.reply().string(keys::CONNECTION_RESET, "1").bytes());
    let proxy = towards(&backend, "ttheader-framed").start();
    let mut caller = proxy.connect();
    for _ in 0..3 {
        assert_eq!(caller.exchange(&rich(Form::Buffered)), rich(Form::Buffered).reply());
    }
    assert_eq!(backend.connections(), 3);
}

#[test]
fn an_exception_of_any_code_crosses_as_it_is() {
    let backend = RawServer::replying(|call| call.exception(7777, "application's own").bytes());
    for (transport, _) in TRANSPORTS {
        let proxy = towards(&backend, transport).start();
        for form in Form::ALL {
            let answer = proxy.connect().exchange(&rich(form));
            assert_eq!(answer.code_and_text(), (7777, "application's own".into()));
            if form.has_ttheader() && !matches!(transport, "ttheader" | "ttheader-framed") {
                assert_eq!(answer.ints, [(IntKey::MSG_TYPE.0, b"3".to_vec())]);
            }
        }
    }
}

#[test]
fn oneway_calls_cross_too() {
    let backend = RawServer::echo();
    for (transport, form) in TRANSPORTS {
        let proxy = towards(&backend, transport).start();
        for call in Form::ALL.map(|form| rich(form).oneway()) {
            let before = backend.messages().len();
            let mut caller = proxy.connect();
            caller.send(call.bytes());
            let at_backend = backend.wait_for_messages(before + 1).pop().unwrap();
            let expected = as_forwarded(&call, form, &caller.local_addr().to_string()).oneway();
            assert_eq!(at_backend, expected);
        }
    }
}
