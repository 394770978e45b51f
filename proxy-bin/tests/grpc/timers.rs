//! Deadlines, the waits between messages, and asking whether a silent peer is still there (B9, B11).

use std::time::{Duration, Instant};

use grpc_frame::http2::{ErrorCode, Frame};
use testkit::peer::http2::grpc_message;

use crate::stage::{Backend, NONE, QUIET, open};

#[test]
fn a_deadline_that_passes_ends_both_sides() {
    for (route, asked, whose) in [
        ("", Some("300m"), "grpc-timeout"),
        ("timeout = \"300ms\"", None, "`timeout`"),
        ("timeout = \"300ms\"", Some("50S"), "`timeout`"),
        ("timeout = \"50s\"", Some("300m"), "grpc-timeout"),
    ] {
        for headers in [false, true] {
            let backend = Backend::start();
            let proxy = backend.setup().route(route).start();
            let begun = Instant::now();
            let extra = asked.map_or(Vec::new(), |asked| vec![("grpc-timeout", asked)]);
            let mut opened = open(&proxy, &backend, &extra[..]);
            if headers {
                opened.conn.respond(opened.at);
                opened.conn.send_data(opened.at, grpc_message("m"), false);
            }
            let answer = opened.caller.read_answer(opened.stream);
            assert!(begun.elapsed() >= Duration::from_millis(299), "{:?}", begun.elapsed());
            assert_eq!((answer.status(), answer.is_trailers_only()), (Some(4), !headers), "{answer:?}");
            assert!(answer.message().unwrap().contains(whose), "{answer:?}");
            assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL, "as from a client (B9)");
            opened.still_works();
        }
    }
}

#[test]
fn a_deadline_holds_for_a_stream_that_is_stuck() {
    let backend = Backend::start();
    let proxy = backend.setup().route("timeout = \"400ms\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    // The caller takes 65,535 bytes and no more.
    opened.conn.respond(opened.at);
    assert!(opened.conn.send_all(opened.at, grpc_message(vec![1; 150_000]), false));
    assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL);
    // The end comes behind the data that the caller has not taken yet.
    opened.caller.grant(opened.stream, 1 << 20);
    opened.caller.grant(0, 1 << 20);
    let answer = opened.caller.read_answer(opened.stream);
    println!("{:?} {:?} after {} bytes", answer.status(), answer.reset, answer.data.len());
    assert_eq!((answer.status(), answer.reset), (Some(4), None));
}

#[test]
fn a_backend_that_answers_in_time_is_not_disturbed() {
    let backend = Backend::start();
    let proxy = backend.setup().route("first_message_timeout = \"400ms\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    opened.conn.send_data(opened.at, grpc_message("m"), false);
    // Well past it.
    opened.conn.expect_silence(&[opened.at], Duration::from_millis(700));
    opened.conn.trailers(opened.at, 0, "");
    assert_eq!(opened.caller.read_answer(opened.stream).status(), Some(0));
}

#[test]
fn a_first_message_that_does_not_come_ends_the_stream() {
    for headers in [false, true] {
        let backend = Backend::start();
        let proxy = backend.setup().route("first_message_timeout = \"300ms\"").start();
        let mut opened = open(&proxy, &backend, NONE);
        opened.caller.send_data(opened.stream, grpc_message("m"), false);
        if headers {
            opened.conn.respond(opened.at);
        }
        let answer = opened.caller.read_answer(opened.stream);
        assert_eq!(answer.status(), Some(4), "{answer:?}");
        assert!(answer.message().unwrap().contains("first_message_timeout"), "{answer:?}");
        assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL);
        opened.still_works();
    }
}

#[test]
fn a_stream_that_rests_too_long_is_ended_and_one_that_moves_is_not() {
    let backend = Backend::start();
    let proxy = backend.setup().route("stream_idle_timeout = \"400ms\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    let begun = Instant::now();
    let mut turn = 0_u8;
    while begun.elapsed() < Duration::from_millis(1200) {
        if turn.is_multiple_of(2) {
            opened.caller.send_data(opened.stream, grpc_message([turn]), false);
            assert_eq!(opened.conn.next_grpc_message(opened.at), Some(vec![turn]));
        } else {
            opened.conn.respond(opened.at);
            opened.conn.send_data(opened.at, grpc_message([turn]), false);
            assert_eq!(opened.caller.next_grpc_message(opened.stream), Some(vec![turn]));
        }
        turn += 1;
        std::thread::sleep(Duration::from_millis(40));
    }
    let rested = Instant::now();
    let answer = opened.caller.read_answer(opened.stream);
    assert!(rested.elapsed() >= Duration::from_millis(300), "{:?}", rested.elapsed());
    assert_eq!(answer.status(), Some(4), "{answer:?}");
    assert!(answer.message().unwrap().contains("stream_idle_timeout"), "{answer:?}");
    assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL);
}

#[test]
fn without_limits_a_stream_may_rest() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.expect_silence(&[opened.stream], 5 * QUIET);
    opened.still_works();
}

#[test]
fn a_silent_backend_is_asked_whether_it_is_there_while_it_has_a_stream() {
    let backend = Backend::start();
    let proxy = backend.setup().cluster("keepalive = \"200ms\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    for _ in 0..3 {
        opened.conn.wait_for("PING", |frame| matches!(&frame.frame, Frame::Ping(ping) if !ping.is_ack()));
    }
    opened.conn.trailers(opened.at, 0, "");
    assert_eq!(opened.caller.read_answer(opened.stream).status(), Some(0));
    opened.conn.wait_for_reset(opened.at);
    // One may have been on its way.
    while opened.conn.poll_frame(QUIET / 3).is_some() {}
    let asked = opened.conn.poll_frame(Duration::from_millis(700));
    assert_eq!(asked, None, "without a stream it may be taken for abuse (B11)");
    opened.still_works();
}

#[test]
fn a_silent_caller_is_asked_whether_it_is_there() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("keepalive = \"200ms\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    for _ in 0..3 {
        opened.caller.wait_for("PING", |frame| matches!(&frame.frame, Frame::Ping(ping) if !ping.is_ack()));
    }
    opened.still_works();
}

#[test]
fn a_backends_pings_are_answered_and_not_held_against_it() {
    // As many as a bandwidth estimator sends in minutes (streaming-wire B11, F 37).
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for number in 0..200_u8 {
        let data = [2, 4, 16, 16, 9, 14, 7, number];
        opened.conn.send_ping(data);
        opened.conn.wait_for_pong(data);
        opened.caller.send_ping(data);
        opened.caller.wait_for_pong(data);
    }
    opened.still_works();
}
