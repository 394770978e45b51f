//! How a backend ends a stream, and what of it the caller gets (streaming-wire B6, B7, B10, C2, C5).

use grpc_frame::http2::{ErrorCode, Frame};
use testkit::peer::http2::{Answer, Fields, grpc_message, grpc_response, grpc_trailers};

use crate::stage::{Backend, NONE, Open, QUIET, by_name, open};
use crate::support::TestProxy;

/// What the caller of a fresh stream gets for what `ends` does.
fn answer_to(proxy: &TestProxy, backend: &Backend, ends: impl FnOnce(&mut Open)) -> Answer {
    let mut opened = open(proxy, backend, NONE);
    opened.caller.send_data(opened.stream, grpc_message("hi"), true);
    ends(&mut opened);
    opened.caller.read_answer(opened.stream)
}

/// One stream on a proxy of its own.
fn answered(ends: impl FnOnce(&mut Open)) -> Answer {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    answer_to(&proxy, &backend, ends)
}

#[test]
fn trailers_arrive_exactly() {
    let details = "CAkSA25vGiwKKnR5cGUuZ29vZ2xlYXBpcy5jb20";
    let sets = [
        grpc_trailers(0, "", NONE),
        Fields::from([("grpc-status", "0")]),
        grpc_trailers(9, "Userspace error. [biz error]", [("x-tail", "1"), ("x-tail", "2"), ("x-b-bin", "AAE=")]),
        grpc_trailers(5, "%E4%BD%A0%20%zz%", [("grpc-status-details-bin", details)]),
        grpc_trailers(13, "biz", [("biz-status", "502"), ("biz-extra", r#"{"k":"v"}"#)]),
        grpc_trailers(13, "twice", [("biz-status", "502"), ("biz-status", "503"), ("biz-message", "set by hand")]),
        grpc_trailers(17, "Kitex", NONE),
        grpc_trailers(20, "unknown service X", NONE),
        Fields::from([("grpc-status", "-7"), ("grpc-message", "negative")]),
        Fields::from([("grpc-status", "2147483647"), ("grpc-message", "")]),
        grpc_trailers(1, "raw", NONE).with("biz-status", "7").with("biz-extra", b"{\"k\":\"\xe4\xbd\xa0\x80\xff\"}"),
        grpc_trailers(2, "", NONE).with("grpc-message", b"raw \xc3\xa9").with("x-raw", b"\x80\x81"),
        Fields::from([("x-only", "no status at all")]),
    ];
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for trailers in sets {
        let (stream, at) = opened.another();
        opened.conn.respond(at);
        opened.conn.send_data(at, grpc_message("m"), false);
        opened.conn.send_headers(at, trailers.clone(), true);
        let answer = opened.caller.read_answer(stream);
        assert_eq!(by_name(&answer.trailers.unwrap()), by_name(&trailers));
        assert_eq!(answer.data, grpc_message("m"));
        // And alone.
        let (stream, at) = opened.another();
        let only = trailers.iter().fold(grpc_response(NONE), |all, (name, value)| all.with(name, value));
        opened.conn.send_headers(at, only.clone(), true);
        let answer = opened.caller.read_answer(stream);
        assert!(answer.is_trailers_only(), "{answer:?}");
        assert_eq!(by_name(&answer.headers.unwrap()), by_name(&only));
    }
}

#[test]
fn a_status_that_would_make_a_kitex_client_panic_is_replaced() {
    let replaced = [
        Fields::from([("grpc-status", "2147483648"), ("grpc-message", "too large")]),
        Fields::from([("grpc-status", "99999999999999999999"), ("grpc-message", "far too large")]),
        grpc_trailers(13, "biz", [("biz-status", "2147483648"), ("biz-extra", "{}")]),
        grpc_trailers(13, "biz", [("biz-status", "-2147483649")]),
    ];
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for trailers in replaced {
        for alone in [false, true] {
            let (stream, at) = opened.another();
            let fields = if alone {
                trailers.iter().fold(grpc_response(NONE), |all, (name, value)| all.with(name, value))
            } else {
                opened.conn.respond(at);
                trailers.clone()
            };
            opened.conn.send_headers(at, fields.with("x-tail", "kept"), true);
            let answer = opened.caller.read_answer(stream);
            let fields = if alone { answer.headers.clone().unwrap() } else { answer.trailers.clone().unwrap() };
            assert_eq!((answer.status(), fields.values("grpc-status").len()), (Some(13), 1), "{trailers:?}");
            assert!(answer.message().unwrap().starts_with("proxy: "), "a text of the proxy's own says so: {answer:?}");
            assert!(!fields.contains("biz-status"), "{fields:?}");
            assert_eq!(fields.text("x-tail"), Some("kept"));
        }
    }
}

#[test]
fn an_out_of_range_business_status_is_replaced_beside_success_too() {
    // A Kitex client parses it whatever `grpc-status` is (streaming-wire B7).
    let answer = answered(|opened| {
        opened.conn.respond(opened.at);
        let trailers = grpc_trailers(0, "", [("biz-status", "99999999999")]);
        opened.conn.send_headers(opened.at, trailers, true);
    });
    let trailers = answer.trailers.unwrap();
    let parsed = trailers.text("biz-status").map(|status| status.parse::<i32>().is_ok());
    assert_ne!(parsed, Some(false), "{trailers:?}");
}

#[test]
fn every_value_of_a_repeated_status_is_in_range() {
    // Of repeated keys the last counts (streaming-wire B7).
    let answer = answered(|opened| {
        opened.conn.respond(opened.at);
        let trailers = Fields::from([("grpc-status", "5"), ("grpc-message", "x"), ("grpc-status", "99999999999")]);
        opened.conn.send_headers(opened.at, trailers, true);
    });
    let trailers = answer.trailers.unwrap();
    for status in trailers.values("grpc-status") {
        assert!(str::from_utf8(status).unwrap().parse::<i32>().is_ok(), "{trailers:?}");
    }
}

#[test]
fn a_backend_that_ends_first_ends_the_call() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for status in [0, 9] {
        for headers in [true, false] {
            let (stream, at) = opened.another();
            opened.caller.send_data(stream, grpc_message("one"), false);
            assert_eq!(opened.conn.next_grpc_message(at), Some(b"one".to_vec()));
            if headers {
                opened.conn.respond(at);
            }
            opened.conn.trailers(at, status, "early");
            let answer = opened.caller.read_answer(stream);
            assert_eq!((answer.status(), answer.message(), answer.reset), (Some(status), Some("early"), None));
            assert_eq!(opened.caller.wait_for_reset(stream), ErrorCode::NO_ERROR, "as from a Kitex server (B6)");
            assert_eq!(opened.conn.wait_for_reset(at), ErrorCode::NO_ERROR, "as from a Kitex client (B6)");
        }
    }
    opened.still_works();
}

#[test]
fn a_call_that_both_sides_have_ended_needs_no_reset() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for headers in [true, false] {
        let (stream, at) = opened.another();
        opened.caller.send_data(stream, grpc_message("one"), true);
        while !opened.conn.wait_for_data(at).is_end_stream() {}
        if headers {
            opened.conn.respond(at);
            opened.conn.send_data(at, grpc_message("two"), false);
        }
        opened.conn.trailers(at, 0, "");
        assert_eq!(opened.caller.read_answer(stream).status(), Some(0));
        opened.caller.expect_silence(&[stream], QUIET);
        opened.conn.expect_silence(&[at], QUIET);
    }
}

#[test]
fn a_backend_that_ends_first_and_resets_with_no_error_has_ended_well() {
    let answer = answered(|opened| {
        opened.conn.respond(opened.at);
        opened.conn.send_data(opened.at, grpc_message("m"), false);
        opened.conn.trailers(opened.at, 0, "");
        opened.conn.send_reset(opened.at, ErrorCode::NO_ERROR);
    });
    assert_eq!((answer.status(), answer.messages()), (Some(0), vec![b"m".to_vec()]));
    // The same with the request still open.
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    opened.conn.trailers(opened.at, 3, "bad");
    opened.conn.send_reset(opened.at, ErrorCode::NO_ERROR);
    assert_eq!(opened.caller.read_answer(opened.stream).status(), Some(3));
    opened.still_works();
}

#[test]
fn data_that_comes_after_a_backends_end_hurts_nobody() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.trailers(opened.at, 0, "");
    assert_eq!(opened.caller.read_answer(opened.stream).status(), Some(0));
    for _ in 0..50 {
        opened.caller.send_data(opened.stream, grpc_message("late"), false);
    }
    opened.caller.send_data(opened.stream, "", true);
    opened.still_works();
}

#[test]
fn a_backends_reset_keeps_its_code() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for code in [0, 1, 2, 3, 5, 6, 8, 9, 11, 13, 1000, 0xffff_ffff] {
        for headers in [true, false] {
            let (stream, at) = opened.another();
            if headers {
                opened.conn.respond(at);
                opened.conn.send_data(at, grpc_message("m"), false);
                assert_eq!(opened.caller.next_grpc_message(stream), Some(b"m".to_vec()));
            }
            opened.conn.send_reset(at, ErrorCode(code));
            let answer = opened.caller.read_answer(stream);
            assert_eq!((answer.reset, answer.ended), (Some(ErrorCode(code)), false), "headers {headers}");
        }
    }
    opened.still_works();
}

#[test]
fn what_came_before_a_backends_reset_is_delivered() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    for number in 0..10_u8 {
        opened.conn.send_data(opened.at, grpc_message([number]), false);
    }
    opened.conn.send_reset(opened.at, ErrorCode::INTERNAL_ERROR);
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!(answer.reset, Some(ErrorCode::INTERNAL_ERROR));
    assert_eq!(answer.messages().len(), 10, "C5 rule 4: everything received before the end is delivered");
}

/// How a backend's connection gets lost, after the caller has got what was sent before.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Fin,
    Reset,
    FinInHead,
    FinInFrame,
    FinInMessage,
}

const LOSSES: [Loss; 5] = [Loss::Fin, Loss::Reset, Loss::FinInHead, Loss::FinInFrame, Loss::FinInMessage];

#[test]
fn a_backend_that_is_lost_is_never_a_clean_end() {
    for loss in LOSSES {
        for headers in [true, false] {
            let backend = Backend::start();
            let proxy = backend.setup().start();
            let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
            if headers {
                conn.respond(at);
                conn.send_data(at, grpc_message("before"), false);
                assert_eq!(caller.next_grpc_message(stream), Some(b"before".to_vec()));
            }
            match loss {
                Loss::Fin => conn.half_close(),
                Loss::FinInHead => conn.send([0, 0, 9]),
                Loss::FinInFrame => conn.send([0, 0, 9, 0, 0, 0, 0, 0, at.to_be_bytes()[3], 0, 0]),
                Loss::FinInMessage if headers => conn.send_data(at, [0, 0, 0, 0, 9, 1], false),
                Loss::FinInMessage | Loss::Reset => {}
            }
            match loss {
                Loss::Reset => conn.reset(),
                _ => drop(conn),
            }
            let answer = caller.read_answer(stream);
            let alone = answer.headers.as_ref().is_some_and(|fields| fields.contains(":status"));
            let got = (answer.status(), answer.reset, alone);
            assert_eq!(got, (Some(14), None, !headers), "{loss:?}, {headers}: {answer:?}");
            assert!(answer.message().unwrap().starts_with("proxy: "), "{answer:?}");
            // The caller's connection is as good as before, and the cluster is reached anew.
            let next = caller.request(crate::stage::PATH, NONE);
            let mut conn = backend.accept();
            let at = conn.next_request().unwrap().stream;
            conn.trailers(at, 0, "anew");
            assert_eq!(caller.read_answer(next).message(), Some("anew"));
        }
    }
}

#[test]
fn an_end_of_data_without_trailers_is_an_error() {
    for message in ["", "m"] {
        let answer = answered(|opened| {
            opened.conn.respond(opened.at);
            let octets = if message.is_empty() { Vec::new() } else { grpc_message(message) };
            opened.conn.send_data(opened.at, octets, true);
        });
        assert_eq!((answer.status(), answer.reset), (Some(13), None), "{answer:?}");
    }
}

#[test]
fn response_headers_that_end_the_stream_without_a_status_pass_as_they_are() {
    // Every client reads it as status 2 (streaming-wire B6).
    let answer = answered(|opened| {
        opened.conn.send_headers(opened.at, grpc_response([("x-a", "b")]), true);
    });
    assert!(answer.is_trailers_only());
    assert_eq!(by_name(&answer.headers.unwrap()), by_name(&grpc_response([("x-a", "b")])));
}

#[test]
fn an_answer_that_is_none_of_grpc_becomes_the_status_that_clients_make_of_it() {
    let table = [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 14),
        (500, 2),
        (200, 2),
        (302, 2),
    ];
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for (http, code) in table {
        for body in [true, false] {
            let (stream, at) = opened.another();
            let status = http.to_string();
            let fields = Fields::from([(":status", status.as_str()), ("content-type", "text/html")]);
            opened.conn.send_headers(at, fields, !body);
            if body {
                opened.conn.send_data(at, "<html>no</html>", false);
            }
            let answer = opened.caller.read_answer(stream);
            assert_eq!((answer.status(), answer.data.len()), (Some(code), 0), "HTTP {http}, body {body}: {answer:?}");
            assert!(answer.message().unwrap().contains(&status), "{answer:?}");
            if body {
                assert_eq!(opened.conn.wait_for_reset(at), ErrorCode::PROTOCOL_ERROR, "as from a client (B10)");
            }
        }
    }
    opened.still_works();
}

#[test]
fn an_interim_response_does_not_end_a_call() {
    let answer = answered(|opened| {
        opened.conn.send_headers(opened.at, [(":status", "100")], false);
        opened.conn.send_headers(opened.at, [(":status", "103"), ("link", "</a>")], false);
        opened.conn.respond(opened.at);
        opened.conn.send_data(opened.at, grpc_message("m"), false);
        opened.conn.trailers(opened.at, 0, "");
    });
    assert_eq!((answer.status(), answer.messages()), (Some(0), vec![b"m".to_vec()]));
}

#[test]
fn a_backend_that_breaks_http2_is_no_clean_end() {
    let answer = answered(|opened| {
        opened.conn.respond(opened.at);
        // A second header list that ends nothing.
        opened.conn.send_headers(opened.at, grpc_response(NONE), false);
    });
    assert_eq!((answer.status(), answer.reset), (Some(13), None), "{answer:?}");
}

#[test]
fn a_response_longer_than_it_may_be_is_refused() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("max_message = \"64KiB\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    let too_long = [&[0][..], &(64_u32 << 10 | 1).to_be_bytes()].concat();
    opened.conn.send_data(opened.at, too_long, false);
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!(answer.status(), Some(8), "{answer:?}");
    assert_eq!(opened.conn.wait_for_reset(opened.at), ErrorCode::CANCEL);
    let (stream, at) = opened.another();
    opened.caller.send_data(stream, [0, 0xff, 0xff, 0xff, 0xff], false);
    let answer = opened.caller.read_answer(stream);
    assert_eq!(answer.status(), Some(8), "{answer:?}");
    assert_eq!(opened.conn.wait_for_reset(at), ErrorCode::CANCEL);
    opened.still_works();
}

#[test]
fn a_long_error_text_and_many_trailers_arrive_whole() {
    let text = "t".repeat(40_000);
    let answer = answered(|opened| {
        let fields = (0..200).fold(Fields::default(), |all, n| all.with(format!("x-t-{n}"), "v"));
        let trailers = grpc_trailers(2, &text, fields);
        opened.conn.respond(opened.at);
        opened.conn.send_block_in_pieces(opened.at, trailers.literal_block(), 16_000, true);
    });
    assert_eq!(answer.message().map(str::len), Some(40_000));
    assert_eq!(answer.trailers.unwrap().iter().count(), 202);
}

#[test]
fn a_backends_end_does_not_wait_for_a_caller_that_goes_on_sending() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    // More than the backend's window takes: the proxy holds some of it.
    opened.caller.send_all(opened.stream, grpc_message(vec![7; 100_000]), false);
    opened.conn.trailers(opened.at, 8, "enough");
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!((answer.status(), answer.message()), (Some(8), Some("enough")));
    while !matches!(opened.conn.read_frame().frame, Frame::RstStream(reset) if reset.code == ErrorCode::NO_ERROR) {}
    opened.conn.expect_silence(&[opened.at], QUIET);
}
