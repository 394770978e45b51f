//! What a connection speaks, told by its first bytes however they arrive; who is refused, and who is given up.

use std::time::Duration;

use proxy::rpc::Protocol;
use testkit::from_hex;
use testkit::peer::{Form, Message, RawServer, text_struct};
use testkit::{Direction, vectors};

use crate::support::{Setup, TestProxy};

/// What the proxy makes of `wire` when it comes in two pieces: everything that comes back until the close.
fn answers(proxy: &TestProxy, wire: &[u8], cut: usize) -> Vec<u8> {
    let mut caller = proxy.connect();
    caller.send(&wire[..cut]);
    if cut > 0 && cut < wire.len() {
        // Long enough to be read on its own, most times; it must not matter.
        caller.stream().set_nodelay(true).unwrap();
        std::thread::yield_now();
    }
    // A connection refused at its first piece takes no second one.
    caller.try_send(&wire[cut..]);
    caller.half_close();
    caller.read_to_close()
}

#[test]
fn every_request_vector_split_at_every_byte_is_the_same_call() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for vector in vectors().into_iter().filter(|vector| vector.direction == Direction::Request) {
        let whole = answers(&proxy, &vector.bytes, vector.bytes.len());
        let oneway = vector.name.contains("oneway");
        assert_eq!(whole.is_empty(), !vector.is_accepted() || oneway, "{}", vector.name);
        let (calls, refused) = (proxy.totals().calls, proxy.totals().downstream_refused);
        for cut in 1..vector.bytes.len() {
            let split = answers(&proxy, &vector.bytes, cut);
            assert_eq!(split, whole, "{} cut at {cut}", vector.name);
        }
        if vector.is_accepted() {
            let each = if vector.name == "pipelined_three_transports" { 3 } else { 1 };
            let made: u64 = proxy.totals().calls.iter().sum::<u64>() - calls.iter().sum::<u64>();
            assert_eq!(made, each * (vector.bytes.len() as u64 - 1), "{}", vector.name);
        }
        assert_eq!(proxy.totals().downstream_refused > refused, !vector.is_accepted(), "{}", vector.name);
    }
}

#[test]
fn every_request_vector_byte_by_byte_is_the_same_call() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    for vector in vectors().into_iter().filter(|vector| vector.direction == Direction::Request) {
        let whole = answers(&proxy, &vector.bytes, vector.bytes.len());
        let mut caller = proxy.connect();
        caller.send_slowly(&vector.bytes, 1, Duration::from_micros(200));
        caller.half_close();
        assert_eq!(caller.read_to_close(), whole, "{}", vector.name);
    }
}

#[test]
fn every_reply_vector_split_at_every_byte_is_the_same_reply() {
    for vector in vectors().into_iter().filter(|vector| vector.direction == Direction::Reply) {
        let wire = vector.bytes.clone();
        // The call's number says where the reply is cut.
        let backend = RawServer::start(move |mut conn| {
            while let Some(call) = conn.next_call() {
                let cut = usize::try_from(call.header_seqid).unwrap();
                conn.send(&wire[..cut]);
                std::thread::yield_now();
                conn.send(&wire[cut..]);
            }
        });
        let proxy = Setup::to(&backend).start();
        let expected = Message::parse(&vector.bytes);
        let call = Message::call("echo", expected.seqid).form(expected.form);
        let call = if expected.version == thrift_codec::Version::THRIFT { call } else { call.protobuf() };
        let mut caller = proxy.connect();
        for cut in 0..vector.bytes.len() {
            // Only a TTHeader has a number apart from the envelope's; elsewhere two cuts have to do.
            let number = if expected.form.has_ttheader() { cut as i32 } else { expected.seqid };
            let reply = caller.exchange(&Message { header_seqid: number, ..call.clone() });
            let without_reset = expected.strings.iter().filter(|(key, _)| key != b"crrst").cloned().collect();
            assert_eq!(reply, Message { strings: without_reset, ..expected.clone() }, "{} cut at {cut}", vector.name);
        }
    }
}

#[test]
fn a_caller_that_says_a_little_and_then_nothing_is_given_up() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("sniff_timeout = \"100ms\"\nread_timeout = \"100ms\"").start();
    let samples = Form::ALL.map(|form| Message::call("echo", 7).form(form).bytes());
    let mut callers = Vec::new();
    for sample in samples.iter().chain([&b"GET / HT".to_vec()]) {
        for len in 1..=16.min(sample.len()) {
            let mut caller = proxy.connect();
            caller.send(&sample[..len]);
            callers.push(caller);
        }
    }
    let silent = proxy.connect();
    for caller in callers.iter_mut().chain([&mut { silent }]) {
        caller.expect_close();
    }
    let count = callers.len() as u64;
    proxy.eventually("each is counted", |totals| totals.downstream_refused >= count && totals.downstream_open == 0);
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_caller_that_is_idle_between_two_calls_is_not_given_up() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("sniff_timeout = \"30ms\"\nread_timeout = \"30ms\"").start();
    let mut caller = proxy.connect();
    for seqid in 0..3 {
        assert_eq!(caller.exchange(&Message::call("echo", seqid)).seqid, seqid);
        caller.expect_silence(Duration::from_millis(100));
    }
}

#[test]
fn streams_are_refused_where_a_listener_does_not_allow_them() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("protocols = [\"buffered\", \"framed\", \"ttheader\"]").start();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let ttstream = from_hex("00000018 1000 0002 00000001 0002 10 00 10 0001 001b 0001 31 00");
    for (number, first) in [preface, ttstream].iter().enumerate() {
        let mut caller = proxy.connect();
        caller.send(first);
        caller.expect_close();
        proxy.eventually("it is counted", |totals| totals.downstream_refused == number as u64 + 1);
    }
    assert_eq!(proxy.totals().calls, [0; proxy::rpc::Protocol::ALL.len()]);
}

#[test]
fn the_streaming_flag_says_nothing_after_the_first_message() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    caller.exchange(&Message::call("echo", 1));
    let flagged = Message::call("echo", 2).form(Form::TtHeader).flags(ttheader::Flags::STREAMING);
    assert_eq!(caller.exchange(&flagged), flagged.reply());
    // A backend's connection may begin with this message, and is not to be taken for one of streams.
    assert_eq!(backend.messages()[1].flags, ttheader::Flags::default());
}

#[test]
fn a_listener_takes_only_what_it_is_for() {
    let backend = RawServer::echo();
    for (name, allowed) in
        [("buffered", Protocol::Buffered), ("framed", Protocol::Framed), ("ttheader", Protocol::TtHeader)]
    {
        let proxy = Setup::to(&backend).listener(&format!("protocols = [\"{name}\"]")).start();
        let of = |form| match form {
            Form::TtHeader | Form::TtHeaderFramed => Protocol::TtHeader,
            Form::Framed | Form::MeshFramed => Protocol::Framed,
            Form::Buffered | Form::MeshBuffered => Protocol::Buffered,
        };
        for (refused, form) in (1..).zip(Form::ALL) {
            let mut caller = proxy.connect();
            caller.send(Message::call("echo", 7).form(form).bytes());
            if of(form) == allowed {
                assert_eq!(caller.receive().body, text_struct(0, "hi"));
                // Per message, too: calls before are answered, and the connection ends.
                let other = Form::ALL.into_iter().find(|&other| of(other) != allowed).unwrap();
                caller.send(
                    [Message::call("echo", 8), Message::call("echo", 9).form(other)]
                        .map(|call| if call.seqid == 8 { call.form(form).bytes() } else { call.bytes() })
                        .concat(),
                );
                assert_eq!(caller.receive().seqid, 8);
            }
            caller.expect_close();
            proxy.eventually("it is counted", |totals| totals.downstream_refused == refused);
        }
        assert_eq!(proxy.totals().calls_of(allowed), 4, "two forms, two calls each");
    }
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("max_connections = 3").start();
    let callers = [1, 2, 3].map(|seqid| {
        let mut caller = proxy.connect();
        assert_eq!(caller.exchange(&Message::call("echo", seqid)).seqid, seqid);
        caller
    });
    for refused in 1..=3 {
        proxy.connect().expect_close();
        assert_eq!(proxy.totals().downstream_over_limit, refused);
    }
    drop(callers);
    proxy.eventually("there is room again", |totals| totals.downstream_open == 0);
    assert_eq!(proxy.connect().exchange(&Message::call("echo", 1)).seqid, 1);
}
