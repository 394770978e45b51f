//! Messages and half closes: bytes as they were, in order, and no frame too many (streaming-wire C5, design 5).

use grpc_frame::http2::{Flags, Frame, FrameType};
use testkit::peer::http2::{RawH2, grpc_message};

use crate::stage::{Backend, NONE, Open, QUIET, open};

/// Reads DATA of `stream` up to END_STREAM: the lengths of the frames and their octets.
fn to_the_end(conn: &mut RawH2, stream: u32) -> (Vec<usize>, Vec<u8>) {
    let (mut lens, mut octets) = (Vec::new(), Vec::new());
    loop {
        let data = conn.wait_for_data(stream);
        lens.push(data.data.len());
        octets.extend_from_slice(&data.data);
        if data.is_end_stream() {
            return (lens, octets);
        }
        assert!(!data.data.is_empty(), "an empty DATA frame that ends nothing");
    }
}

/// Finishes the stream from the backend's side.
fn finish(mut opened: Open) {
    opened.conn.trailers(opened.at, 0, "");
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!((answer.status(), answer.reset), (Some(0), None));
}

#[test]
fn a_stream_without_a_message_is_half_closed_by_data_alone() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.send_data(opened.stream, "", true);
    assert_eq!(to_the_end(&mut opened.conn, opened.at), (vec![0], Vec::new()));
    finish(opened);
}

#[test]
fn a_request_whose_headers_end_it_is_half_closed_by_data_at_the_backend() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = crate::stage::caller(&proxy);
    caller.send_headers(1, testkit::peer::http2::grpc_request(crate::stage::PATH, NONE), true);
    let mut conn = backend.accept();
    let request = conn.next_request().unwrap();
    assert!(!request.ended, "END_STREAM on HEADERS hangs a Kitex server (B2)");
    assert_eq!(to_the_end(&mut conn, request.stream), (vec![0], Vec::new()));
    finish(Open { caller, stream: 1, at: request.stream, conn, request });
}

#[test]
fn a_message_that_half_closes_stays_one_frame() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let message = grpc_message("unary");
    opened.caller.send_data(opened.stream, &message, true);
    assert_eq!(to_the_end(&mut opened.conn, opened.at), (vec![message.len()], message));
    finish(opened);
}

#[test]
fn the_half_close_comes_behind_the_last_message_and_once() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let mut sent = Vec::new();
    for number in 0..5 {
        let message = grpc_message(format!("message {number}"));
        opened.caller.send_data(opened.stream, &message, false);
        sent.extend(message);
    }
    opened.conn.expect_silence(&[u32::MAX], QUIET);
    opened.caller.send_data(opened.stream, "", true);
    let (_, came) = to_the_end(&mut opened.conn, opened.at);
    assert_eq!(came, sent);
    opened.conn.expect_silence(&[opened.at], QUIET);
    finish(opened);
}

#[test]
fn messages_go_on_after_the_half_close_of_the_other_side() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.send_data(opened.stream, grpc_message("only"), true);
    to_the_end(&mut opened.conn, opened.at);
    opened.conn.respond(opened.at);
    for number in 0..20_u8 {
        opened.conn.send_data(opened.at, grpc_message([number]), false);
        assert_eq!(opened.caller.next_grpc_message(opened.stream), Some(vec![number]));
    }
    finish(opened);
}

#[test]
fn each_message_of_a_conversation_passes_before_the_next_is_sent() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for number in 0..100_u8 {
        opened.caller.send_data(opened.stream, grpc_message([number; 3]), false);
        assert_eq!(opened.conn.next_grpc_message(opened.at), Some(vec![number; 3]));
        opened.conn.respond(opened.at);
        opened.conn.send_data(opened.at, grpc_message([number; 2]), false);
        assert_eq!(opened.caller.next_grpc_message(opened.stream), Some(vec![number; 2]));
    }
}

#[test]
fn messages_cut_anywhere_and_joined_pass_as_the_same_octets() {
    let messages = [grpc_message("first"), grpc_message(""), grpc_message("x".repeat(300))];
    // Compressed: what a proxy may not look into.
    let squeezed = [&[1, 0, 0, 0, 4][..], b"\x1f\x8b\x00\x01"].concat();
    let octets = [messages.concat(), squeezed].concat();
    for piece in [1, 2, 4, 5, 6, 7, 13, 300, octets.len()] {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let mut opened = open(&proxy, &backend, NONE);
        for piece in octets.chunks(piece) {
            opened.caller.send_data(opened.stream, piece, false);
        }
        opened.caller.send_data(opened.stream, "", true);
        assert_eq!(to_the_end(&mut opened.conn, opened.at).1, octets, "request in pieces of {piece}");
        opened.conn.respond(opened.at);
        for piece in octets.chunks(piece) {
            opened.conn.send_data(opened.at, piece, false);
        }
        opened.conn.trailers(opened.at, 0, "");
        let answer = opened.caller.read_answer(opened.stream);
        assert!(answer.data == octets && answer.data_frames.iter().all(|&len| len > 0), "answer in pieces of {piece}");
    }
}

#[test]
fn a_piece_of_a_message_is_not_held_back_until_it_is_whole() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let message = grpc_message("a message in two");
    let (first, second) = message.split_at(9);
    opened.caller.send_data(opened.stream, first, false);
    assert_eq!(opened.conn.wait_for_data(opened.at).data, first);
    opened.caller.send_data(opened.stream, second, false);
    assert_eq!(opened.conn.wait_for_data(opened.at).data, second);
}

#[test]
fn padding_does_not_travel_and_its_credit_comes_back() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let message = grpc_message("padded");
    let payload = [&[200][..], &message, &[0; 200]].concat();
    opened.caller.send_any(FrameType::DATA, Flags::PADDED, opened.stream, &payload);
    opened.caller.send_any(FrameType::DATA, Flags::PADDED.with(Flags::END_STREAM, true), opened.stream, [3, 0, 0, 0]);
    let (_, came) = to_the_end(&mut opened.conn, opened.at);
    assert_eq!(came, message);
    finish(opened);
}

#[test]
fn empty_data_frames_are_not_passed_on() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let (one, two) = (grpc_message("one"), grpc_message("two"));
    for octets in [&b""[..], &one, b"", b"", &two, b""] {
        opened.caller.send_data(opened.stream, octets, false);
    }
    opened.caller.send_data(opened.stream, "", true);
    let (lens, came) = to_the_end(&mut opened.conn, opened.at);
    assert_eq!(came, [one.clone(), two.clone()].concat());
    assert!(lens[..lens.len() - 1].iter().all(|&len| len > 0), "{lens:?}");
    opened.conn.respond(opened.at);
    for octets in [&b""[..], &one, b"", b"", &two, b""] {
        opened.conn.send_data(opened.at, octets, false);
    }
    opened.conn.trailers(opened.at, 0, "");
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!(answer.data, [one, two].concat());
    assert!(answer.data_frames.iter().all(|&len| len > 0), "{:?}", answer.data_frames);
}

#[test]
fn an_unknown_frame_and_a_priority_are_passed_over() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for stream in [0, opened.stream] {
        opened.caller.send_any(FrameType(0xee), Flags::NONE, stream, "whatever");
        opened.conn.send_any(FrameType(0xee), Flags::NONE, if stream == 0 { 0 } else { opened.at }, "whatever");
    }
    opened.caller.send_any(FrameType::PRIORITY, Flags::NONE, opened.stream, [0, 0, 0, 0, 7]);
    opened.caller.send_data(opened.stream, grpc_message("on"), true);
    assert_eq!(opened.conn.next_grpc_message(opened.at), Some(b"on".to_vec()));
    assert_eq!(opened.conn.next_grpc_message(opened.at), None);
    finish(opened);
}

#[test]
fn a_hundred_streams_of_one_connection_do_not_mix() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let mut streams = vec![(opened.stream, opened.at)];
    for _ in 1..100 {
        streams.push(opened.another());
    }
    for round in 0..3_u32 {
        for (stream, _) in streams.iter().rev() {
            opened.caller.send_data(*stream, grpc_message(format!("{stream} {round}")), false);
        }
        for (stream, at) in &streams {
            let came = opened.conn.next_grpc_message(*at).unwrap();
            assert_eq!(came, format!("{stream} {round}").into_bytes());
            opened.conn.respond(*at);
            opened.conn.send_data(*at, grpc_message(came), false);
        }
    }
    for (stream, at) in streams {
        opened.conn.trailers(at, 0, "");
        let answer = opened.caller.read_answer(stream);
        let expected: Vec<_> = (0..3).map(|round| format!("{stream} {round}").into_bytes()).collect();
        assert_eq!((answer.messages(), answer.status()), (expected, Some(0)));
    }
    assert_eq!(backend.connections(), 1);
    let stray = opened.caller.poll_frame(QUIET).map(|frame| frame.frame);
    let of_a_stream = stray.filter(|frame| matches!(frame, Frame::Data(_) | Frame::Headers(_)));
    assert_eq!(of_a_stream, None);
}
