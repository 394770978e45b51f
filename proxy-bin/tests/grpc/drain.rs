//! How the proxy stops: GOAWAY in two steps, open streams are finished, new ones go elsewhere (C5 rule 12, B12).

use grpc_frame::http2::{ErrorCode, Frame, StreamId};
use proxy::Ended;
use testkit::peer::http2::{RawH2, grpc_message};

use crate::stage::{Backend, LONG, NONE, PATH, QUIET, caller, open};
use crate::support::TestProxy;

/// The PING between both GOAWAYs, not answered yet.
fn drain_ping(caller: &mut RawH2) -> [u8; 8] {
    let ping = caller.wait_for("PING", |frame| matches!(&frame.frame, Frame::Ping(ping) if !ping.is_ack()));
    match ping.frame {
        Frame::Ping(ping) => ping.data,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn goaway_comes_twice_and_streams_in_between_are_served() {
    let backend = Backend::start();
    let mut proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    // SETTINGS came before.
    opened.caller.wait_for_settings();
    opened.caller.auto_ack(false);
    proxy.begin_drain();
    let first = opened.caller.wait_for_goaway();
    assert_eq!((first.last_stream_id, first.code), (StreamId::MAX, ErrorCode::NO_ERROR));
    let ping = drain_ping(&mut opened.caller);
    // Under way before the caller could know.
    let (second, second_at) = opened.another();
    opened.caller.send_frame(grpc_frame::http2::Ping::new(ping).to_ack());
    let goaway = opened.caller.wait_for_goaway();
    assert_eq!((goaway.last_stream_id.value(), goaway.code), (second, ErrorCode::NO_ERROR));
    // Too late: above what the caller was told.
    let late = opened.caller.request(PATH, NONE);
    opened.conn.expect_silence(&[second_at + 2], QUIET);
    for (stream, at) in [(opened.stream, opened.at), (second, second_at)] {
        opened.caller.send_data(stream, grpc_message("on"), true);
        assert_eq!(opened.conn.next_grpc_message(at), Some(b"on".to_vec()));
        opened.conn.respond(at);
        opened.conn.send_data(at, grpc_message("answer"), false);
        opened.conn.trailers(at, 0, "finished");
        let answer = opened.caller.read_answer(stream);
        assert_eq!((answer.message(), answer.messages()), (Some("finished"), vec![b"answer".to_vec()]));
    }
    let rest = opened.caller.read_to_close();
    assert!(rest.iter().all(|frame| !frame.fields.contains("grpc-status") || frame.stream() != late), "{rest:?}");
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn an_idle_connection_is_told_and_closed() {
    let backend = Backend::start();
    let mut proxy = backend.setup().start();
    let mut idle = caller(&proxy);
    idle.wait_for_settings();
    proxy.begin_drain();
    assert_eq!(idle.wait_for_goaway().last_stream_id, StreamId::MAX);
    assert_eq!(idle.wait_for_goaway().last_stream_id.value(), 0);
    idle.read_to_close();
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn nobody_new_is_taken() {
    let backend = Backend::start();
    let mut proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    proxy.begin_drain();
    opened.caller.wait_for_goaway();
    assert!(std::net::TcpStream::connect(proxy.addr()).is_err());
    opened.conn.trailers(opened.at, 0, "finished");
    assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("finished"));
    drop(opened);
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn streams_that_outlast_the_drain_are_told_so() {
    let backend = Backend::start();
    let text = backend.setup().text().replace("drain = \"3s\"", "drain = \"700ms\"");
    let mut proxy = TestProxy::start(&text);
    let mut opened = open(&proxy, &backend, NONE);
    let (second, second_at) = opened.another();
    opened.conn.respond(second_at);
    opened.caller.wait_for_headers(second);
    proxy.begin_drain();
    for (stream, at, only) in [(opened.stream, opened.at, true), (second, second_at, false)] {
        let answer = opened.caller.read_answer(stream);
        // Of the other stream the headers were read before.
        let alone = answer.headers.as_ref().is_some_and(|fields| fields.contains(":status"));
        assert_eq!((answer.status(), alone), (Some(14), only), "{answer:?}");
        assert!(answer.message().unwrap().starts_with("proxy: "), "{answer:?}");
        assert_eq!(opened.conn.wait_for_reset(at), ErrorCode::CANCEL);
    }
    opened.caller.read_to_close();
    assert_eq!(proxy.ended(), Ended::CutOff);
}

#[test]
fn a_caller_that_does_not_answer_the_drains_ping_does_not_hold_the_end_up() {
    let backend = Backend::start();
    let text = backend.setup().text().replace("drain = \"3s\"", "drain = \"700ms\"");
    let mut proxy = TestProxy::start(&text);
    let mut deaf = RawH2::client(proxy.addr()).patience(LONG);
    deaf.wait_for_settings();
    deaf.auto_ack(false);
    proxy.begin_drain();
    deaf.wait_for_goaway();
    deaf.read_to_close();
    // Nothing of it was cut off but a connection without a stream.
    let _either = proxy.ended();
}
