//! The guards of `h2` against abuse, with our settings: honest traffic that looks like it survives (design 5).

use grpc_frame::http2::{ErrorCode, Frame, SettingId};
use testkit::peer::http2::{RawH2, grpc_message, grpc_trailers};

use crate::stage::{Backend, LONG, NONE, Open, PATH, caller, open};

/// A caller that takes no data until its window is opened.
fn shut_caller(proxy: &crate::support::TestProxy) -> RawH2 {
    let mut caller = RawH2::connect(proxy.addr()).patience(LONG);
    caller.open(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]);
    caller
}

#[test]
fn small_messages_of_a_backend_may_stay_unread() {
    for messages in [140, 5000] {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let mut caller = shut_caller(&proxy);
        let stream = caller.request(PATH, NONE);
        let mut conn = backend.accept();
        let at = conn.next_request().unwrap().stream;
        conn.respond(at);
        for number in 0..messages {
            conn.send_data(at, grpc_message(format!("{number}")), false);
        }
        conn.trailers(at, 0, "");
        // All of it has come before any of it may go on.
        conn.send_ping(*b"all sent");
        conn.wait_for_pong(*b"all sent");
        caller.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 1 << 20)]);
        caller.grant(0, 1 << 20);
        let answer = caller.read_answer(stream);
        assert_eq!((answer.messages().len(), answer.status()), (messages, Some(0)));
        assert!(answer.messages().iter().enumerate().all(|(n, message)| *message == format!("{n}").into_bytes()));
    }
}

#[test]
fn small_messages_of_a_caller_may_stay_unread() {
    for messages in [140, 5000] {
        let backend = Backend::with_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]);
        let proxy = backend.setup().start();
        let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
        conn.wait_for_settings_ack();
        for number in 0..messages {
            caller.send_data(stream, grpc_message(format!("{number}")), false);
        }
        caller.send_data(stream, "", true);
        caller.send_ping(*b"all sent");
        caller.wait_for_pong(*b"all sent");
        conn.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 1 << 20)]);
        conn.grant(0, 1 << 20);
        for number in 0..messages {
            assert_eq!(conn.next_grpc_message(at), Some(format!("{number}").into_bytes()));
        }
        assert_eq!(conn.next_grpc_message(at), None);
        conn.trailers(at, 0, "");
        assert_eq!(caller.read_answer(stream).status(), Some(0));
    }
}

#[test]
fn a_thousand_cancels_with_late_answers_leave_the_backends_connection_alone() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let mut cancelled = Vec::new();
    for _ in 0..10 {
        let streams: Vec<_> = (0..100).map(|_| opened.another()).collect();
        for (stream, at) in &streams {
            opened.caller.send_reset(*stream, ErrorCode::CANCEL);
            cancelled.push(*at);
        }
        for (_, at) in streams {
            assert_eq!(opened.conn.wait_for_reset(at), ErrorCode::CANCEL);
        }
    }
    assert_eq!(cancelled.len(), 1000);
    // 9 MB that nobody takes any more: their credit has to come back, or the last would wait for ever.
    for at in cancelled {
        opened.conn.respond(at);
        assert!(opened.conn.send_all(at, grpc_message(vec![0; 9_000]), false));
        opened.conn.send_headers(at, grpc_trailers(0, "", NONE), true);
    }
    for _ in 0..10 {
        opened.still_works();
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_few_empty_data_frames_are_borne_and_many_are_not() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for _ in 0..90 {
        opened.caller.send_data(opened.stream, "", false);
    }
    opened.caller.send_data(opened.stream, grpc_message("still there"), false);
    assert_eq!(opened.conn.next_grpc_message(opened.at), Some(b"still there".to_vec()));
    let mut other = caller(&proxy);
    let other_stream = other.request(PATH, NONE);
    let other_at = opened.conn.next_request().unwrap().stream;
    let empty = [0, 0, 0, 0, 0, 0, 0, 0, u8::try_from(opened.stream).unwrap()];
    opened.caller.send(empty.repeat(200));
    assert_eq!(opened.caller.wait_for_goaway().code, ErrorCode::ENHANCE_YOUR_CALM);
    opened.caller.read_to_close();
    opened.conn.wait_for_reset(opened.at);
    opened.conn.trailers(other_at, 0, "unharmed");
    assert_eq!(other.read_answer(other_stream).message(), Some("unharmed"));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn empty_data_frames_between_messages_are_borne() {
    // As a backend sends them that flushes more often than it has something to say.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    for number in 0..80_u8 {
        opened.conn.send_data(opened.at, grpc_message([number]), false);
        opened.conn.send_data(opened.at, "", false);
        assert_eq!(opened.caller.next_grpc_message(opened.stream), Some(vec![number]));
    }
    opened.still_works();
}

#[test]
fn a_header_list_of_references_to_a_long_field_is_refused() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut other = open(&proxy, &backend, NONE);
    let mut caller = caller(&proxy);
    caller.send_block(1, bomb(12_000), true);
    // Refused, and the connection may go on or not: told it is.
    let told = caller.wait_for("an answer", |frame| match &frame.frame {
        Frame::Headers(_) => frame.fields.text(":status") == Some("431"),
        Frame::RstStream(_) => true,
        Frame::GoAway(goaway) => goaway.code != ErrorCode::NO_ERROR,
        _ => false,
    });
    println!("a header list of 48 MB out of 16 KB: {:?} {:?}", told.frame, told.fields);
    other.still_works();
}

/// A header block with a field of 4,000 bytes that is put into the table, and `references` to it.
pub(crate) fn bomb(references: usize) -> Vec<u8> {
    let mut block = testkit::peer::http2::grpc_request(PATH, NONE).literal_block().to_vec();
    // Literal with incremental indexing, a new name of one byte; 4,000 = 127 + 33 + 30 × 128 in its length's prefix.
    block.extend([0x40, 1, b'x', 0x7f, 0x80 | 33, 30]);
    block.extend([b'v'; 4000]);
    // Index 62 is the table's newest.
    block.extend(std::iter::repeat_n(0x80 | 62, references));
    block
}
