//! What a backend did not process is sent once more on another connection, what it may have processed never
//! (streaming-wire B12; RFC 9113 section 8.7).

use grpc_frame::http2::ErrorCode;
use testkit::peer::http2::{RawH2, grpc_message, grpc_request};

use crate::stage::{Backend, NONE, Open, PATH, QUIET, by_name, caller, open};

/// How a backend says that it did nothing with a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    Refused,
    /// GOAWAY below the stream; the connection stays.
    GoAway,
    /// The same, and the connection ends.
    GoAwayAndFin,
    /// With an error code.
    GoAwayCalm,
}

const REFUSALS: [Refusal; 4] = [Refusal::Refused, Refusal::GoAway, Refusal::GoAwayAndFin, Refusal::GoAwayCalm];

impl Refusal {
    fn of(self, conn: &mut RawH2, at: u32) {
        match self {
            Self::Refused => conn.send_reset(at, ErrorCode::REFUSED_STREAM),
            Self::GoAway => conn.send_goaway(at - 1, ErrorCode::NO_ERROR, "going"),
            Self::GoAwayAndFin => {
                conn.send_goaway(at - 1, ErrorCode::NO_ERROR, "going");
                conn.half_close();
            }
            Self::GoAwayCalm => conn.send_goaway(at - 1, ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings"),
        }
    }

    /// Where the stream comes next: on the same connection if that takes streams still.
    fn again<'a>(self, first: &'a mut RawH2, second: &'a mut Option<RawH2>, backend: &Backend) -> &'a mut RawH2 {
        match self {
            Self::Refused if backend.connections() == 1 => first,
            _ => second.get_or_insert_with(|| backend.accept()),
        }
    }
}

#[test]
fn a_refused_stream_is_sent_again_whole() {
    for refusal in REFUSALS {
        for half_closed in [true, false] {
            let backend = Backend::start();
            let proxy = backend.setup().start();
            let fields = [("x-key", "value"), ("grpc-encoding", "gzip")];
            let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, fields);
            let octets = [grpc_message("one"), grpc_message("two"), vec![0, 0, 0]].concat();
            caller.send_data(stream, &octets[..7], false);
            caller.send_data(stream, &octets[7..], half_closed);
            let mut came = 0;
            while came < octets.len() {
                came += conn.wait_for_data(at).data.len();
            }
            refusal.of(&mut conn, at);
            let mut second = None;
            let conn = refusal.again(&mut conn, &mut second, &backend);
            let request = conn.next_request().expect("it comes again");
            assert_eq!(by_name(&request.fields), by_name(&grpc_request(PATH, fields)), "{refusal:?}");
            assert!(!request.ended);
            let mut came = Vec::new();
            let mut ended = false;
            while came.len() < octets.len() || (half_closed && !ended) {
                let data = conn.wait_for_data(request.stream);
                came.extend_from_slice(&data.data);
                ended |= data.is_end_stream();
            }
            assert_eq!((came, ended), (octets, half_closed), "{refusal:?}");
            if !half_closed {
                // The rest of the last message, and the half close, follow as if nothing had been.
                caller.send_data(stream, [0, 1, 9], true);
                let rest = conn.wait_for_data(request.stream);
                assert_eq!((&rest.data[..], rest.is_end_stream()), (&[0, 1, 9][..], true), "{refusal:?}");
            }
            conn.respond(request.stream);
            conn.trailers(request.stream, 0, "second");
            let answer = caller.read_answer(stream);
            assert_eq!((answer.status(), answer.message()), (Some(0), Some("second")), "{refusal:?}, {half_closed}");
        }
    }
}

#[test]
fn a_refused_stream_that_has_sent_nothing_is_sent_again() {
    for refusal in REFUSALS {
        for half_closed in [true, false] {
            let backend = Backend::start();
            let proxy = backend.setup().start();
            let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
            if half_closed {
                caller.send_data(stream, "", true);
                assert!(conn.wait_for_data(at).is_end_stream());
            }
            refusal.of(&mut conn, at);
            let mut second = None;
            let conn = refusal.again(&mut conn, &mut second, &backend);
            let request = conn.next_request().expect("it comes again");
            if half_closed {
                let data = conn.wait_for_data(request.stream);
                assert_eq!((data.data.len(), data.is_end_stream()), (0, true));
            }
            conn.trailers(request.stream, 0, "second");
            assert_eq!(caller.read_answer(stream).message(), Some("second"), "{refusal:?}, {half_closed}");
        }
    }
}

#[test]
fn the_second_refusal_stands() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    caller.send_data(stream, grpc_message("m"), true);
    conn.send_reset(at, ErrorCode::REFUSED_STREAM);
    let mut second = None;
    let conn = Refusal::Refused.again(&mut conn, &mut second, &backend);
    let at = conn.next_request().unwrap().stream;
    conn.send_reset(at, ErrorCode::REFUSED_STREAM);
    let answer = caller.read_answer(stream);
    assert_eq!(answer.reset, Some(ErrorCode::REFUSED_STREAM), "{answer:?}");
    conn.expect_silence(&[at + 2], QUIET);
    // And by GOAWAY, which has no form as a reset.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    Refusal::GoAway.of(&mut conn, at);
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    Refusal::GoAway.of(&mut conn, at);
    let answer = caller.read_answer(stream);
    assert!(answer.status() == Some(14) || answer.reset == Some(ErrorCode::REFUSED_STREAM), "{answer:?}");
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_stream_that_was_answered_is_not_sent_again() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    conn.respond(at);
    caller.wait_for_headers(stream);
    conn.send_reset(at, ErrorCode::REFUSED_STREAM);
    assert_eq!(caller.read_answer(stream).reset, Some(ErrorCode::REFUSED_STREAM));
    conn.expect_silence(&[at + 2], QUIET);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_request_too_long_to_be_kept_is_not_sent_again_in_part() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    conn.grant(at, 1 << 20);
    conn.grant(0, 1 << 20);
    let message = grpc_message(vec![3; 200_000]);
    assert!(caller.send_all(stream, &message, false));
    let mut came = 0;
    while came < message.len() {
        came += conn.wait_for_data(at).data.len();
    }
    conn.send_reset(at, ErrorCode::REFUSED_STREAM);
    assert_eq!(caller.read_answer(stream).reset, Some(ErrorCode::REFUSED_STREAM));
    conn.expect_silence(&[at + 2], QUIET);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_stream_that_was_lost_without_a_word_is_not_sent_again() {
    // It may have been processed.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, conn, .. } = open(&proxy, &backend, NONE);
    drop(conn);
    assert_eq!(caller.read_answer(stream).status(), Some(14));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_stream_at_the_goaways_last_id_that_is_lost_is_not_sent_again() {
    // Processed it may be: GOAWAY says so.
    for code in [ErrorCode::NO_ERROR, ErrorCode::ENHANCE_YOUR_CALM, ErrorCode::INTERNAL_ERROR] {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
        caller.send_data(stream, grpc_message("pay"), true);
        conn.wait_for_data(at);
        conn.send_goaway(at, code, "going");
        drop(conn);
        let answer = caller.read_answer(stream);
        assert_eq!(answer.status(), Some(14), "{code:?}: {answer:?}");
        assert_eq!(backend.connections(), 1, "{code:?}");
    }
}

#[test]
fn streams_up_to_the_goaways_last_id_finish_and_new_ones_go_elsewhere() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let (second, second_at) = opened.another();
    let (third, third_at) = opened.another();
    opened.conn.send_goaway(second_at, ErrorCode::NO_ERROR, "graceful shutdown");
    let mut conn = backend.accept();
    let again = conn.next_request().expect("the third comes again");
    let fresh = opened.caller.request(PATH, NONE);
    let fresh_at = conn.next_request().expect("the fresh one too").stream;
    for (stream, at) in [(opened.stream, opened.at), (second, second_at)] {
        opened.caller.send_data(stream, grpc_message("on"), true);
        assert_eq!(opened.conn.next_grpc_message(at), Some(b"on".to_vec()));
        opened.conn.respond(at);
        opened.conn.send_data(at, grpc_message("answer"), false);
        opened.conn.trailers(at, 0, "finished");
        let answer = opened.caller.read_answer(stream);
        assert_eq!((answer.message(), answer.messages()), (Some("finished"), vec![b"answer".to_vec()]));
    }
    for (stream, at) in [(third, again.stream), (fresh, fresh_at)] {
        conn.trailers(at, 0, "elsewhere");
        assert_eq!(opened.caller.read_answer(stream).message(), Some("elsewhere"));
    }
    opened.conn.expect_silence(&[third_at + 2], QUIET / 5);
    // With its last stream over, nobody needs it.
    opened.conn.read_to_close();
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_drain_of_the_backend_in_two_steps_loses_no_stream() {
    // As a Kitex server drains (streaming-wire B12): GOAWAY 2^31-1 and a PING, the true GOAWAY after its answer.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.send_goaway((1 << 31) - 1, ErrorCode::NO_ERROR, "graceful shutdown");
    let drain_ping = [1, 6, 1, 8, 0, 3, 3, 9];
    opened.conn.send_ping(drain_ping);
    opened.conn.wait_for_pong(drain_ping);
    opened.conn.send_goaway(opened.at, ErrorCode::NO_ERROR, "graceful shutdown");
    let fresh = opened.caller.request(PATH, NONE);
    let mut conn = backend.accept();
    let fresh_at = conn.next_request().unwrap().stream;
    conn.trailers(fresh_at, 0, "elsewhere");
    assert_eq!(opened.caller.read_answer(fresh).message(), Some("elsewhere"));
    opened.conn.trailers(opened.at, 0, "finished");
    assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("finished"));
}

#[test]
fn a_kitex_servers_reset_at_the_end_of_its_grace_reaches_the_caller() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    conn.respond(at);
    conn.send_goaway(at, ErrorCode::NO_ERROR, "graceful shutdown");
    conn.send_reset(at, ErrorCode::KITEX_GRACEFUL_SHUTDOWN);
    drop(conn);
    assert_eq!(caller.read_answer(stream).reset, Some(ErrorCode::KITEX_GRACEFUL_SHUTDOWN));
}

#[test]
fn a_caller_that_gives_up_while_its_stream_is_sent_again_ends_that_one() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    conn.send_goaway(at - 1, ErrorCode::NO_ERROR, "going");
    let mut conn = backend.accept();
    let again = conn.next_request().unwrap().stream;
    caller.send_reset(stream, ErrorCode::CANCEL);
    assert_eq!(conn.wait_for_reset(again), ErrorCode::CANCEL);
    let mut other = self::caller(&proxy);
    let stream = other.request(PATH, NONE);
    let at = conn.next_request().unwrap().stream;
    conn.trailers(at, 0, "");
    assert_eq!(other.read_answer(stream).status(), Some(0));
}
