//! The rules of pingpong-wire 8.1 for every path, P1 to P16, and what goes with them.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::peer::{Form, Message, RawServer, text_struct};
use testkit::{from_hex, to_hex, vector, vectors};
use thrift_codec::MessageType;
use ttheader::{Flags, IntKey, ProtocolId, keys};

use crate::support::Setup;

/// A call in `form` that already names its caller, so that the proxy has nothing to add.
fn complete(form: Form) -> Message {
    let call = Message::call("echo", 7).form(form);
    if form.has_ttheader() { call.string(keys::REMOTE_ADDRESS, "192.0.2.1:5") } else { call }
}

#[test]
fn p1_message_bytes_arrive_as_they_were_sent_and_come_back_so() {
    // What no codec would write: a bool of 7, a double that is a signalling NaN, an empty map of unknown types, ids
    // out of order, a negative id.
    let odd = from_hex("020009 07 040002 7ff0000000000001 0d0001 6363 00000000 08fffe 00000001 00");
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for (number, form) in Form::ALL.into_iter().enumerate() {
        let call = complete(form).body(odd.clone()).seqid(i32::MIN);
        let mut caller = proxy.connect();
        caller.send(call.bytes());
        let reply = call.reply().body(odd.clone());
        caller.expect_bytes(reply.bytes());
        let at_backend = &backend.received().into_iter().flat_map(|conn| conn.messages).collect::<Vec<_>>()[number];
        assert_eq!(to_hex(at_backend), to_hex(&call.bytes()), "{form:?}");
    }
}

#[test]
fn p1_bytes_behind_the_struct_stay_in_their_frame() {
    let backend = RawServer::replying(|call| call.reply().body(call.body.clone()).bytes());
    let proxy = Setup::to(&backend).start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let body = [text_struct(1, "hi"), vec![0xde, 0xad, 0, 1]].concat();
        let call = complete(form).body(body.clone());
        assert_eq!(proxy.connect().exchange(&call).body, body, "{form:?}");
        assert_eq!(backend.messages().pop().unwrap(), call);
    }
}

#[test]
fn p2_a_reply_comes_in_the_form_of_its_request_whatever_the_backend_speaks() {
    for spoken in [Form::Buffered, Form::Framed, Form::TtHeader, Form::TtHeaderFramed] {
        let backend = RawServer::replying(move |call| call.reply().form(spoken).bytes());
        let proxy = Setup::to(&backend).start();
        for form in Form::ALL {
            let reply = proxy.connect().exchange(&complete(form));
            assert_eq!(reply.form, form.of_reply(), "answered in {spoken:?}");
            assert_eq!((reply.seqid, reply.header_seqid, reply.body), (7, 7, text_struct(0, "hi")));
        }
    }
}

#[test]
fn p2_kitex_protobuf_replies_keep_their_form_too() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for form in [Form::Framed, Form::TtHeaderFramed, Form::MeshFramed] {
        let call = complete(form).protobuf();
        assert_eq!(proxy.connect().exchange(&call), call.reply());
    }
}

#[test]
fn p3_method_and_seqid_come_from_the_envelope() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).route("method = \"echo\"").start();
    let hinted = Message { header_seqid: 99, ..complete(Form::TtHeader) }.int(IntKey::TO_METHOD, "other");
    assert_eq!(proxy.connect().exchange(&hinted).method, b"echo");
    assert_eq!(backend.messages()[0].header_seqid, 99, "a number that differs is not ours to mend");

    let unknown =
        Message { header_seqid: 99, ..complete(Form::TtHeader).method("nope") }.int(IntKey::TO_METHOD, "echo");
    let answer = proxy.connect().exchange(&unknown);
    assert_eq!(
        (answer.code_and_text().0, answer.method, answer.seqid, answer.header_seqid),
        (20, b"nope".into(), 7, 7)
    );
}

#[test]
fn p4_a_header_that_needs_no_change_arrives_byte_for_byte() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let entries = "01 0003 0003726970 0001 78 0000 0000 0001 6b 0000"; // rip = x, an empty key, an empty value
    let unknown = "10 0004 0004 0002 6331 fffe 0000 0013 0001 79 0004 0001 7a"; // int keys of nobody, one of them twice
    let acl = "11 0003 746f6b";
    for (flags, protocol_id, transforms, sections) in [
        ("0000", "00", "00", format!("{entries} {unknown} {acl}")),
        ("8018", "03", "00", format!("{acl} {unknown} {entries}")),
        ("7ff1", "04", "00", format!("00 00 {unknown} 00 {entries} 00 00 00 {acl} 00")),
        ("0004", "10", "02 0103", format!("{entries} 01 0001 0001 6b 0001 76 {unknown}")),
        ("0000", "11", "00", format!("{entries} 10 0000 01 0000 00 00 00 00 00 00 00 00 00 00")),
    ] {
        let call = raw_ttheader(flags, protocol_id, transforms, &sections);
        let mut caller = proxy.connect();
        caller.send(&call);
        assert_eq!(caller.receive().body, text_struct(0, "hi"));
        let at_backend = backend.received().into_iter().flat_map(|conn| conn.messages).next_back().unwrap();
        assert_eq!(to_hex(&at_backend), to_hex(&call), "flags {flags}");
    }
}

#[test]
fn p4_every_entry_survives_the_one_that_is_added() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for protocol_id in [0, 3, 4, 0x10, 0x11] {
        let call = Message { protocol_id: ProtocolId(protocol_id), ..Message::call("echo", 7).form(Form::TtHeader) }
            .flags(Flags(0xff18))
            .acl("token")
            .string("unknown", "")
            .string("twice", "1")
            .string("twice", "2")
            .string("", "empty key")
            .int(IntKey(0xfffe), "")
            .int(IntKey::LOG_ID, "log");
        let mut caller = proxy.connect();
        caller.exchange(&call);
        let expected = call.string(keys::REMOTE_ADDRESS, caller.local_addr().to_string());
        assert_eq!(backend.messages().pop().unwrap(), expected);
    }
}

#[test]
fn p4_reply_headers_arrive_byte_for_byte() {
    let reply = |call: &Message| {
        Message { protocol_id: ProtocolId(0x10), ..call.reply() }
            .flags(Flags(0x8001))
            .acl("token")
            .string("RPC_BACKWARD_a", "1")
            .string("raw backward key", "")
            .int(IntKey(0x7777), "x")
    };
    let backend = RawServer::replying(move |call| reply(call).bytes());
    let proxy = Setup::to(&backend).start();
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        let mut caller = proxy.connect();
        caller.send(complete(form).bytes());
        caller.expect_bytes(reply(&complete(form)).bytes());
    }
}

#[test]
fn p5_the_proxy_is_no_hop_for_metainfo() {
    let entries = [
        ("RPC_TRANSIT_a", "1"),
        ("RPC_TRANSIT_UPSTREAM_b", "2"),
        ("RPC_PERSIST_c", "3"),
        ("RPC_TRANSIT_gdpr-token", "4"),
        ("RPC_PERSIST_RetryReq", "1"),
        ("rpc-transit-d", "5"),
    ];
    let with_all =
        move |message: Message| entries.iter().fold(message, |message, (key, value)| message.string(key, value));
    let backend = RawServer::replying(move |call| with_all(call.reply()).bytes());
    let proxy = Setup::to(&backend).start();
    let call = with_all(complete(Form::TtHeaderFramed).acl("token"));
    assert_eq!(proxy.connect().exchange(&call), with_all(call.reply()));
    assert_eq!(backend.messages(), [call]);
}

#[test]
fn p6_crrst_ends_the_upstream_connection_and_goes_no_further() {
    for value in ["1", ""] {
        let backend = RawServer::replying(move |call| {
            call.reply().string("kept", "x").string(keys::CONNECTION_RESET, value).bytes()
        });
        let proxy = Setup::to(&backend).start();
        let mut caller = proxy.connect();
        for _ in 0..3 {
            assert_eq!(
                caller.exchange(&complete(Form::TtHeader)),
                complete(Form::TtHeader).reply().string("kept", "x")
            );
        }
        backend.wait_until("each connection is left after its call", |received| {
            received.len() == 3 && received.iter().all(|conn| conn.closed == Some(0))
        });
        assert_eq!(proxy.totals().upstream_reused, 0);
    }
}

#[test]
fn p6_crrst_of_a_caller_is_not_the_proxys() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let call = complete(Form::TtHeader);
    let resetting = complete(Form::TtHeader).string(keys::CONNECTION_RESET, "1");
    assert_eq!(proxy.connect().exchange(&resetting), call.reply());
    assert_eq!(backend.messages(), [call]);
}

#[test]
fn p7_a_half_close_is_not_passed_on_before_the_reply_has_come() {
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let backend = RawServer::start(move |mut conn| {
        let call = conn.next_call().unwrap();
        held.lock().unwrap().recv().unwrap();
        conn.send(call.reply().bytes());
        conn.next_message();
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    caller.send(complete(Form::Framed).bytes());
    caller.half_close();
    backend.wait_for_messages(1);
    caller.expect_silence(Duration::from_millis(50));
    assert_eq!(backend.received()[0].closed, None);
    release.send(()).unwrap();
    caller.expect_bytes(complete(Form::Framed).reply().bytes());
    caller.expect_close();
}

#[test]
fn p7_complete_requests_are_served_though_a_fin_follows_them() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for form in Form::ALL {
        let mut caller = proxy.connect();
        caller.send([complete(form).seqid(1).bytes(), complete(form).seqid(2).bytes()].concat());
        caller.half_close();
        assert_eq!([caller.receive().seqid, caller.receive().seqid], [1, 2]);
        caller.expect_close();
    }
}

#[test]
fn p7_a_oneway_call_reaches_the_backend_though_its_caller_is_gone() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for (number, form) in Form::ALL.into_iter().enumerate() {
        let call = complete(form).oneway();
        proxy.connect().send(call.bytes());
        assert_eq!(backend.wait_for_messages(number + 1)[number], call);
    }
    proxy.eventually("each is counted", |totals| totals.oneways == 6);
}

#[test]
fn p8_a_oneway_call_is_not_waited_for_and_retires_its_upstream_connection() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for form in Form::ALL {
        let (oneway, call) = (complete(form).oneway().seqid(1), complete(form).seqid(2));
        let mut caller = proxy.connect();
        caller.send([oneway.bytes(), call.bytes()].concat());
        assert_eq!(caller.receive().seqid, 2, "{form:?}");
        backend.wait_until("the oneway call is the last of its connection", |received| {
            received.iter().any(|conn| conn.messages.last() == Some(&oneway.bytes()) && conn.closed == Some(0))
        });
    }
}

#[test]
fn p8_an_answer_to_a_oneway_call_is_tolerated_and_not_passed_on() {
    let backend = RawServer::start(|mut conn| {
        while let Some(call) = conn.next_call() {
            conn.send(call.reply().bytes());
        }
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    for seqid in 0..10 {
        caller.send([complete(Form::Framed).oneway().bytes(), complete(Form::Framed).seqid(seqid).bytes()].concat());
        assert_eq!(caller.receive().seqid, seqid);
    }
}

#[test]
fn p9_an_exception_with_seqid_zero_answers_the_call_in_flight() {
    let backend = RawServer::replying(|call| call.exception(20, "unknown service , method echo").seqid(0).bytes());
    let proxy = Setup::to(&backend).start();
    for form in Form::ALL {
        let answer = proxy.connect().exchange(&complete(form));
        assert_eq!((answer.code_and_text().0, answer.seqid), (20, 0), "relayed unchanged");
    }
    assert_eq!(proxy.totals().replies, 6);
}

#[test]
fn p10_a_close_or_reset_right_behind_a_complete_reply_is_no_error() {
    let resets = Arc::new(Mutex::new(false));
    let backend = RawServer::start({
        let resets = Arc::clone(&resets);
        move |mut conn| {
            let Some(call) = conn.next_call() else { return };
            conn.send(call.exception(7, "bad arguments").bytes());
            let mut resets = resets.lock().unwrap();
            *resets = !*resets;
            if *resets {
                conn.reset();
            }
        }
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    for seqid in 0..20 {
        let answer = caller.exchange(&complete(Form::Framed).seqid(seqid));
        assert_eq!((answer.seqid, answer.code_and_text()), (seqid, (7, "bad arguments".into())));
    }
}

#[test]
fn p11_the_checksum_is_computed_anew_when_the_inner_frame_is_toggled() {
    let backend = RawServer::replying(|call| call.reply().checksummed().bytes());
    for (transport, form, other) in
        [("ttheader", Form::TtHeader, Form::TtHeaderFramed), ("ttheader-framed", Form::TtHeaderFramed, Form::TtHeader)]
    {
        let proxy = Setup::to(&backend).cluster(&format!("pingpong = \"{transport}\"")).start();
        let call = complete(other).int(IntKey::TRANSPORT_TYPE, "any").checksummed();
        let reply = proxy.connect().exchange(&call);
        let at_backend = backend.messages().pop().unwrap();
        assert_eq!((at_backend.form, reply.form), (form, other));
        for message in [&at_backend, &reply] {
            assert_eq!(message.string_value(keys::CRC32C), Some(&message.checksum()[..]));
        }
        let named = if form.is_framed() { &b"framed"[..] } else { b"unframed" };
        assert_eq!(at_backend.int_value(IntKey::TRANSPORT_TYPE), Some(named));
    }
}

#[test]
fn p11_the_checksum_is_computed_anew_on_a_shared_connection() {
    let backend = RawServer::replying(|call| call.reply().checksummed().bytes());
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        let call = complete(form).seqid(0).checksummed();
        assert_eq!(proxy.connect().exchange(&call), call.reply().checksummed());
        let at_backend = backend.messages().pop().unwrap();
        assert_ne!(at_backend.seqid, 0);
        assert_eq!(at_backend.string_value(keys::CRC32C), Some(&at_backend.checksum()[..]));
    }
}

#[test]
fn p11_a_checksum_that_need_not_change_does_not_even_when_it_is_wrong() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let call = complete(Form::TtHeader).string(keys::CRC32C, "BAD");
    proxy.connect().exchange(&call);
    assert_eq!(backend.messages(), [call]);
}

#[test]
fn p11_what_a_validator_has_signed_is_not_touched() {
    let backend = RawServer::replying(|call| call.reply().string("PV_sum", "reply's").bytes());
    for cluster in ["pingpong = \"ttheader\"", "mux = true", "mux = true\npingpong = \"ttheader\""] {
        let proxy = Setup::to(&backend).cluster(cluster).start();
        let call = complete(Form::TtHeaderFramed).string("PV_sum", "call's");
        assert_eq!(proxy.connect().exchange(&call), call.reply().string("PV_sum", "reply's"));
        assert_eq!(backend.messages().pop().unwrap(), call, "{cluster}");
    }
}

#[test]
fn p12_both_numbers_are_rewritten_or_neither_and_zero_comes_back_as_zero() {
    let backend = RawServer::echo();
    for (cluster, rewritten) in [("", false), ("mux = true", true)] {
        let proxy = Setup::to(&backend).cluster(cluster).start();
        for seqid in [0, 1, -1, i32::MAX, i32::MIN] {
            let call = complete(Form::TtHeader).seqid(seqid);
            assert_eq!(proxy.connect().exchange(&call), call.reply());
            let at_backend = backend.messages().pop().unwrap();
            assert_eq!(at_backend.seqid, at_backend.header_seqid);
            assert!(if rewritten { at_backend.seqid > 0 } else { at_backend.seqid == seqid });
        }
    }
}

#[test]
fn p13_a_business_error_is_no_empty_success_where_its_keys_cannot_travel() {
    let backend = RawServer::replying(|call| {
        call.reply().body([0]).string(keys::BIZ_STATUS, "1001").string(keys::BIZ_MESSAGE, "not found").bytes()
    });
    let proxy = Setup::to(&backend).cluster("pingpong = \"ttheader-framed\"").start();
    for form in [Form::Buffered, Form::Framed, Form::MeshBuffered, Form::MeshFramed] {
        let answer = proxy.connect().exchange(&complete(form));
        assert_eq!(answer.code_and_text(), (6, "biz error: code=1001, msg=not found".into()));
        assert_eq!((answer.seqid, answer.method), (7, b"echo".into()));
    }
}

#[test]
fn p14_a_connection_may_change_its_transport_with_every_message() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    for form in Form::ALL.into_iter().chain(Form::ALL.into_iter().rev()) {
        assert_eq!(caller.exchange(&complete(form)), complete(form).reply());
    }
    assert_eq!(proxy.totals().downstream_connections, 1);
}

#[test]
fn p15_a_message_over_the_listeners_limit_is_refused_and_one_at_it_is_not() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("max_message = \"1KiB\"").start();
    for form in Form::ALL {
        // What counts is the message alone, without header and length.
        let empty = Message::call("echo", 7).text("").form(Form::Buffered).bytes().len();
        let at_limit = complete(form).text(&"x".repeat(1024 - empty));
        assert_eq!(proxy.connect().exchange(&at_limit), at_limit.reply(), "{form:?}");
        let mut caller = proxy.connect();
        caller.send(complete(form).text(&"x".repeat(1025 - empty)).bytes());
        caller.expect_close();
    }
    proxy.eventually("each is counted", |totals| totals.downstream_refused == 6);
}

#[test]
fn p15_a_buffered_message_may_be_64_levels_deep_and_no_more() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let nested = |levels: usize| [[0x0c, 0, 1].repeat(levels - 1), vec![0; levels]].concat();
    for form in [Form::Buffered, Form::MeshBuffered] {
        let call = complete(form).body(nested(64));
        assert_eq!(proxy.connect().exchange(&call).seqid, 7);
        let mut caller = proxy.connect();
        caller.send(complete(form).body(nested(65)).bytes());
        caller.expect_close();
    }
}

#[test]
fn p15_the_largest_header_there_can_be_is_carried() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let large =
        (0..4).fold(complete(Form::TtHeader), |call, number| call.string(format!("k{number}"), "v".repeat(65_400)));
    assert_eq!(proxy.connect().exchange(&large), large.reply());
    assert_eq!(backend.messages(), std::slice::from_ref(&large));

    // Not one entry more fits: `rip` is left out rather than the call.
    let full = Message { strings: large.strings[1..].to_vec(), ..large }.string("fill", "v".repeat(503));
    assert_eq!(full.bytes()[12..14], [0xff, 0xff], "HEADER SIZE is at its limit");
    assert_eq!(proxy.connect().exchange(&full), full.reply());
    assert_eq!(backend.messages().pop().unwrap(), full);
}

#[test]
fn p15_a_message_that_stops_coming_is_given_up() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("read_timeout = \"100ms\"").start();
    for form in Form::ALL {
        let mut caller = proxy.connect();
        let call = complete(form).bytes();
        caller.send(&call[..call.len() - 1]);
        caller.expect_close();
    }
    proxy.eventually("each is counted", |totals| totals.downstream_refused == 6 && totals.downstream_open == 0);
    assert_eq!(backend.connections(), 0);
}

#[test]
fn p16_what_cannot_be_read_is_closed_without_a_byte() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let bad = vectors().into_iter().filter(|vector| vector.kitex_server_accepts == Some(false)).collect::<Vec<_>>();
    assert_eq!(bad.len(), 6);
    for (number, vector) in bad.iter().enumerate() {
        let mut caller = proxy.connect();
        caller.send(&vector.bytes);
        caller.expect_close();
        proxy.eventually(&vector.name, |totals| totals.downstream_refused == number as u64 + 1);
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn p16_calls_before_what_cannot_be_read_are_answered() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    caller.send([complete(Form::Framed).bytes(), vector("neg_ttheader_info_id_2").bytes].concat());
    caller.expect_bytes(complete(Form::Framed).reply().bytes());
    caller.expect_close();
}

#[test]
fn rip_names_the_caller_unless_it_is_named_already() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for (named, form) in [
        (None, Form::TtHeader),
        (None, Form::TtHeaderFramed),
        (Some(""), Form::TtHeader),
        (Some("[::1]:9"), Form::TtHeader),
    ] {
        let call = Message::call("echo", 7).form(form);
        let call = named.map_or(call.clone(), |value| call.string(keys::REMOTE_ADDRESS, value));
        let mut caller = proxy.connect();
        caller.exchange(&call);
        let expected = named.map_or_else(|| caller.local_addr().to_string(), str::to_owned);
        let at_backend = backend.messages().pop().unwrap();
        assert_eq!(at_backend.string_value(keys::REMOTE_ADDRESS), Some(expected.as_bytes()));
        assert_eq!(at_backend.strings.len(), 1);
    }
}

#[test]
fn the_callers_timeout_is_lowered_and_never_raised() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).route("timeout = \"2s\"").start();
    for (asked, at_most) in [("60000", 2000), ("1500", 1500), ("2000", 2000)] {
        proxy.connect().exchange(&complete(Form::TtHeader).int(IntKey::RPC_TIMEOUT, asked));
        let at_backend = backend.messages().pop().unwrap();
        let left: u64 =
            std::str::from_utf8(at_backend.int_value(IntKey::RPC_TIMEOUT).unwrap()).unwrap().parse().unwrap();
        assert!(left <= at_most && left > at_most - 500, "{asked} became {left}");
    }
    for unreadable in ["", "1s", "-5", " 7"] {
        let call = complete(Form::TtHeader).int(IntKey::RPC_TIMEOUT, unreadable);
        proxy.connect().exchange(&call);
        assert_eq!(backend.messages().pop().unwrap(), call, "what is no number is left alone");
    }
    proxy.connect().exchange(&complete(Form::TtHeader));
    assert_eq!(backend.messages().pop().unwrap().ints, [], "none is made up");
}

#[test]
fn the_callers_timeout_is_enforced() {
    let backend = RawServer::silent();
    let proxy = Setup::to(&backend).start();
    let answer = proxy.connect().exchange(&complete(Form::TtHeader).int(IntKey::RPC_TIMEOUT, "30"));
    let (code, text) = answer.code_and_text();
    assert!(code == 6 && text.contains("timeout"), "{text}");
}

#[test]
fn every_request_vector_reaches_the_backend_with_nothing_but_rip_added() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for vector in vectors().into_iter().filter(|vector| vector.kitex_server_accepts == Some(true)) {
        if vector.name == "pipelined_three_transports" {
            continue; // several messages: shown in `pipelining`
        }
        let before = backend.messages().len();
        let mut caller = proxy.connect();
        caller.send(&vector.bytes);
        let got = backend.wait_for_messages(before + 1).pop().unwrap();
        let mut sent = Message::parse(&vector.bytes);
        if sent.form.has_ttheader() {
            sent = sent.string(keys::REMOTE_ADDRESS, caller.local_addr().to_string());
        }
        assert_eq!(got, sent, "{}", vector.name);
        if sent.message_type == MessageType::CALL {
            assert_eq!(caller.receive(), sent.reply(), "{}", vector.name);
        }
    }
}

/// A TTHeader call with these parts, spelled in hex.
fn raw_ttheader(flags: &str, protocol_id: &str, transforms: &str, sections: &str) -> Vec<u8> {
    let mut block = from_hex(&format!("{protocol_id} {transforms} {sections}"));
    block.resize(block.len().next_multiple_of(4), 0);
    let payload = Message::call("echo", 7).form(Form::Buffered).bytes();
    let length = u32::try_from(10 + block.len() + payload.len()).unwrap();
    let words = u16::try_from(block.len() / 4).unwrap();
    [&length.to_be_bytes()[..], &from_hex(&format!("1000 {flags} 00000007")), &words.to_be_bytes(), &block, &payload]
        .concat()
}
