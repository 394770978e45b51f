//! A caller that gives up: the backend hears it at once, with the caller's code, and never as a half close (C5).

use grpc_frame::http2::ErrorCode;
use testkit::peer::http2::grpc_message;

use crate::stage::{Backend, LONG, NONE, Open, QUIET, open};

const CODES: [u32; 9] = [8, 1000, 0, 1, 2, 5, 7, 11, 0xffff_ffff];

#[test]
fn a_callers_code_reaches_the_backend() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for code in CODES {
        let (stream, at) = opened.another();
        opened.caller.send_reset(stream, ErrorCode(code));
        assert_eq!(opened.conn.wait_for_reset(at), ErrorCode(code));
        opened.conn.expect_silence(&[at], QUIET / 5);
    }
    opened.still_works();
    proxy.eventually("they are counted", |totals| totals.streams_cancelled == u64::try_from(CODES.len()).unwrap());
}

#[test]
fn a_callers_code_reaches_the_backend_in_the_middle_of_messages() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for code in CODES {
        let (stream, at) = opened.another();
        opened.conn.respond(at);
        opened.conn.send_data(at, grpc_message("down"), false);
        opened.caller.wait_for_data(stream);
        let message = grpc_message("a message cut off");
        opened.caller.send_data(stream, &message[..9], false);
        assert_eq!(opened.conn.wait_for_data(at).data, &message[..9]);
        opened.caller.send_reset(stream, ErrorCode(code));
        assert_eq!(opened.conn.wait_for_reset(at), ErrorCode(code));
    }
    opened.still_works();
}

#[test]
fn a_callers_code_reaches_the_backend_after_the_half_close() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for code in CODES {
        for responded in [false, true] {
            let (stream, at) = opened.another();
            opened.caller.send_data(stream, grpc_message("all"), true);
            assert!(opened.conn.wait_for_data(at).is_end_stream());
            if responded {
                opened.conn.respond(at);
                opened.caller.wait_for_headers(stream);
            }
            opened.caller.send_reset(stream, ErrorCode(code));
            assert_eq!(opened.conn.wait_for_reset(at), ErrorCode(code), "responded {responded}");
        }
    }
    opened.still_works();
}

#[test]
fn a_callers_code_reaches_a_backend_that_takes_no_data() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for (code, last) in [(8, false), (1000, false), (8, true)] {
        let (stream, at) = opened.another();
        // The backend gives 65,535 bytes and no more.
        assert!(opened.caller.send_all(stream, grpc_message(vec![1; 150_000]), last));
        let mut came = 0;
        while came < 65_535 {
            came += opened.conn.wait_for_data(at).data.len();
        }
        opened.caller.send_reset(stream, ErrorCode(code));
        assert_eq!(opened.conn.wait_for_reset(at), ErrorCode(code), "half closed {last}");
        // What the stream took of the connection's window comes back for the next.
        opened.conn.grant(0, 65_535);
    }
    opened.still_works();
}

#[test]
fn a_callers_code_reaches_the_backend_while_the_caller_takes_no_data() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.send_data(opened.stream, "", true);
    opened.conn.respond(opened.at);
    assert!(opened.conn.send_all(opened.at, grpc_message(vec![1; 150_000]), false));
    let mut came = 0;
    while came < 65_535 {
        came += opened.caller.wait_for_data(opened.stream).data.len();
    }
    opened.caller.send_reset(opened.stream, ErrorCode(1000));
    assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode(1000));
    opened.caller.grant(0, 65_535);
    opened.still_works();
}

/// How a caller's connection gets lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Fin,
    Reset,
    FinInFrame,
    GoAway,
}

#[test]
fn a_caller_that_is_lost_cancels_its_streams_and_no_others() {
    for loss in [Loss::Fin, Loss::Reset, Loss::FinInFrame, Loss::GoAway] {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
        let mut other = crate::stage::caller(&proxy);
        let other_stream = other.request(crate::stage::PATH, NONE);
        let other_at = conn.next_request().unwrap().stream;
        let second = caller.request(crate::stage::PATH, NONE);
        let second_at = conn.next_request().unwrap().stream;
        caller.send_data(second, grpc_message("half closed"), true);
        conn.wait_for_data(second_at);
        conn.respond(at);
        caller.wait_for_headers(stream);
        match loss {
            Loss::FinInFrame => caller.send([0, 0, 9, 0, 0, 0]),
            Loss::GoAway => caller.send_goaway(0, ErrorCode::NO_ERROR, "bye"),
            Loss::Fin | Loss::Reset => {}
        }
        match loss {
            Loss::Reset => caller.reset(),
            _ => drop(caller),
        }
        for at in [at, second_at] {
            assert_eq!(conn.wait_for_reset(at), ErrorCode::CANCEL, "{loss:?}");
        }
        conn.trailers(other_at, 0, "unharmed");
        assert_eq!(other.read_answer(other_stream).message(), Some("unharmed"), "{loss:?}");
    }
}

#[test]
fn a_caller_that_closes_its_sending_side_is_gone() {
    // HTTP/2 has no half-open connections: h2 and Go close on the peer's FIN.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.half_close();
    assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL);
}

#[test]
fn a_second_header_list_of_a_caller_ends_nothing_but_its_stream() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    // Request trailers that end the stream are the half close.
    let (stream, at) = opened.another();
    opened.caller.send_headers(stream, [("x-trailer", "t")], true);
    assert!(opened.conn.wait_for_data(at).is_end_stream());
    opened.conn.trailers(at, 0, "fine");
    assert_eq!(opened.caller.read_answer(stream).message(), Some("fine"));
    // Those that do not break the protocol.
    let (stream, at) = opened.another();
    opened.caller.send_headers(stream, [("x-trailer", "t")], false);
    opened.caller.wait_for_reset(stream);
    opened.conn.wait_for_reset(at);
    opened.still_works();
}

#[test]
fn a_caller_that_leaves_before_a_backend_can_be_reached_leaves_nothing_behind() {
    // The peer takes connections and never answers the handshake, so that the stream waits for its limits.
    let backend = testkit::peer::RawServer::start(|conn| {
        let mut conn = conn.patience(LONG);
        let _closed = conn.read_to_close();
    });
    let proxy = crate::support::Setup::to(&backend).start();
    let mut caller = crate::stage::caller(&proxy);
    let stream = caller.request(crate::stage::PATH, NONE);
    backend.wait_until("a connection", |conns| conns.len() == 1);
    caller.send_reset(stream, ErrorCode::CANCEL);
    proxy.eventually("it is over", |totals| totals.streams_cancelled == 1);
}

#[test]
fn resets_of_streams_that_are_done_hurt_nobody() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for _ in 0..50 {
        let (stream, at) = opened.another();
        opened.caller.send_data(stream, grpc_message("m"), true);
        opened.conn.trailers(at, 0, "");
        opened.caller.read_answer(stream);
        opened.caller.send_reset(stream, ErrorCode::CANCEL);
        opened.conn.send_reset(at, ErrorCode::NO_ERROR);
    }
    opened.still_works();
    assert_eq!(backend.connections(), 1);
}
