//! Two proxies in a row are one.

use std::time::Duration;

use grpc_frame::http2::ErrorCode;
use testkit::peer::http2::{Fields, grpc_message, grpc_request, grpc_response, grpc_trailers};

use crate::stage::{Backend, NONE, Open, PATH, by_name, caller, open};
use crate::support::{Setup, TestProxy};

/// A backend behind two proxies; the first is the callers'.
fn behind_two(backend: &Backend) -> (TestProxy, TestProxy) {
    let second = backend.setup().start();
    // Dropped in this order: the one that calls before the one that is called.
    (Setup::to_addr(second.addr()).start(), second)
}

#[test]
fn everything_passes_as_through_one() {
    let backend = Backend::start();
    let (first, _second) = behind_two(&backend);
    let extra = Fields::from([("x-multi", "1"), ("x-multi", "2"), ("x-b-bin", "AAE="), ("grpc-encoding", "gzip")]);
    let mut opened = open(&first, &backend, extra.clone());
    assert_eq!(by_name(&opened.request.fields), by_name(&grpc_request(PATH, extra)));
    let headers = grpc_response([("x-head", "h")]);
    opened.conn.send_headers(opened.at, headers.clone(), false);
    assert_eq!(by_name(&opened.caller.wait_for_headers(opened.stream).fields), by_name(&headers));
    for number in 0..20_u8 {
        opened.caller.send_data(opened.stream, grpc_message([number; 9]), number == 19);
        assert_eq!(opened.conn.next_grpc_message(opened.at), Some(vec![number; 9]));
        opened.conn.send_data(opened.at, grpc_message([number; 5]), false);
        assert_eq!(opened.caller.next_grpc_message(opened.stream), Some(vec![number; 5]));
    }
    let trailers =
        grpc_trailers(13, "biz", [("biz-status", "502"), ("x-tail", "t")]).with("biz-extra", b"{\"k\":\"\xe4\"}");
    opened.conn.send_headers(opened.at, trailers.clone(), true);
    assert_eq!(by_name(&opened.caller.wait_for_headers(opened.stream).fields), by_name(&trailers));
}

#[test]
fn cancels_and_resets_keep_their_codes() {
    let backend = Backend::start();
    let (first, _second) = behind_two(&backend);
    let mut opened = open(&first, &backend, NONE);
    for code in [0, 2, 8, 11, 1000] {
        let (stream, at) = opened.another();
        opened.caller.send_reset(stream, ErrorCode(code));
        assert_eq!(opened.conn.wait_for_reset(at), ErrorCode(code));
        let (stream, at) = opened.another();
        opened.conn.send_reset(at, ErrorCode(code));
        assert_eq!(opened.caller.read_answer(stream).reset, Some(ErrorCode(code)));
    }
    opened.still_works();
}

#[test]
fn a_loss_at_either_end_is_told_at_the_other() {
    let backend = Backend::start();
    let (first, _second) = behind_two(&backend);
    let Open { mut caller, stream, conn, .. } = open(&first, &backend, NONE);
    drop(conn);
    let answer = caller.read_answer(stream);
    assert_eq!((answer.status(), answer.is_trailers_only()), (Some(14), true), "{answer:?}");
    let lost = caller.request(PATH, NONE);
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    drop(caller);
    assert_eq!(conn.wait_for_reset(at), ErrorCode::CANCEL, "stream {lost}");
}

#[test]
fn the_drain_of_the_second_moves_streams_and_loses_none() {
    let backend = Backend::start();
    let (first, mut second) = behind_two(&backend);
    let mut opened = open(&first, &backend, NONE);
    second.begin_drain();
    let mut late = caller(&first);
    let mut stream = late.request(PATH, NONE);
    // Nobody listens there any more once the first has been told.
    testkit::peer::eventually("the first cannot open more", || {
        let came = opened.conn.poll_frame(Duration::from_millis(5));
        if let Some(frame) = came.filter(|frame| frame.fields.contains(":path")) {
            opened.conn.trailers(frame.stream(), 0, "");
            assert_eq!(late.read_answer(stream).status(), Some(0));
            stream = late.request(PATH, NONE);
        }
        let ended = late.poll_frame(Duration::from_millis(5));
        ended.is_some_and(|frame| frame.stream() == stream && frame.fields.text("grpc-status") == Some("14"))
    });
    opened.caller.send_data(opened.stream, grpc_message("on"), true);
    assert_eq!(opened.conn.next_grpc_message(opened.at), Some(b"on".to_vec()));
    opened.conn.trailers(opened.at, 0, "finished");
    assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("finished"));
}
