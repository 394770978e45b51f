//! Streams that end before their time (streaming-wire A12): cancelled by the caller, reset by the backend, and lost with
//! the connection of either.

use std::net::SocketAddr;

use proxy::Config;
use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::FrameType;

use crate::support::Setup;
use crate::way::{METHOD, Stream, Way, data, end, header, opened, opening};

const NAME: &str = "name = \"p1\"";

fn named() -> Way {
    Way::named(NAME, |setup| setup)
}

/// Opens the next stream where the last one was, and plays it: both connections are as they should be.
#[track_caller]
fn still_good(stream: Stream) {
    let mut next = Stream { id: stream.id + 1, ..stream };
    next.caller.send(&opening(next.id));
    next.up = opened(&mut next.backend);
    next.finish();
}

/// The caller's `reset` reaches the backend as this, and behind it the trailer that is due.
#[track_caller]
fn expect_rst(backend: &mut TtConn, up: i32, code: i32, text: &str, path: &str, trailer: bool) {
    backend.expect(&TtFrame::rst(up, METHOD, code, text, path));
    if trailer {
        backend.expect(&end().with_id(up));
    }
}

#[test]
fn a_cancel_is_passed_on_with_its_code_and_the_proxys_name_in_its_path() {
    let way = named();
    for code in [12_007, 12_008, 12_011, 12_012, 12_013, 12_014, 12_015, 1204, 6, 0, -1] {
        for (path, passed) in [("live.caller", "live.caller,p1"), ("a,b,c", "a,b,c,p1"), ("", "p1")] {
            let mut stream = way.open();
            stream.down_to_up(&data("a"));
            stream.caller.send(&TtFrame::rst(7, METHOD, code, "the reason", path));
            expect_rst(&mut stream.backend, stream.up, code, "the reason", passed, true);
        }
    }
    way.eventually("they are counted", |totals| totals.streams_cancelled == 33);
}

#[test]
fn a_proxy_without_a_name_writes_a_path_as_kitex_does() {
    let way = Way::named("name = \"\"", |setup| setup);
    for (path, passed) in [("a", "a,"), ("", "")] {
        let mut stream = way.open();
        stream.caller.send(&TtFrame::rst(7, METHOD, 12_007, "why", path));
        expect_rst(&mut stream.backend, stream.up, 12_007, "why", passed, true);
    }
}

#[test]
fn after_the_half_close_a_cancel_comes_alone() {
    let way = named();
    for messages in [0, 3] {
        let mut stream = way.open();
        for _ in 0..messages {
            stream.down_to_up(&data("a"));
        }
        stream.down_to_up(&end());
        stream.up_to_down(&header());
        stream.caller.send(&TtFrame::rst(7, METHOD, 12_007, "why", "c"));
        expect_rst(&mut stream.backend, stream.up, 12_007, "why", "c,p1", false);
        still_good(stream);
    }
}

#[test]
fn what_came_before_a_cancel_is_delivered_before_it() {
    let way = named();
    let mut stream = way.open();
    let rst = TtFrame::rst(7, METHOD, 12_007, "why", "");
    // In one write, with the trailer that a stock caller sends behind it.
    stream.caller.send_all([&data("a").with_id(7), &data("b").with_id(7), &rst, &end().with_id(7)]);
    stream.backend.expect(&data("a").with_id(stream.up));
    stream.backend.expect(&data("b").with_id(stream.up));
    expect_rst(&mut stream.backend, stream.up, 12_007, "why", "p1", true);
    still_good(stream);
}

#[test]
fn what_a_backend_sends_after_a_cancel_reaches_nobody() {
    for pool in ["long", "mux"] {
        let way = Way::named(NAME, |setup| setup.cluster(&format!("stream_pool = \"{pool}\"")));
        let mut stream = way.open();
        stream.caller.send(&TtFrame::rst(7, METHOD, 12_007, "why", ""));
        expect_rst(&mut stream.backend, stream.up, 12_007, "why", "p1", true);
        // As a stock server does when its handler returns (A7).
        stream.backend.send_all(&[header(), data("late"), end()].map(|frame| frame.with_id(stream.up)));
        still_good(stream);
    }
}

#[test]
fn a_cancel_that_explains_nothing_is_told_as_13() {
    let way = named();
    let bare = TtFrame::rst(7, METHOD, 0, "", "c");
    for payload in [&b""[..], b"garbage", b"\x80\x01\x00\x02\0\0\0\0\0\0\0\x07\0"] {
        let mut stream = way.open();
        stream.caller.send(&bare.clone().payload(payload));
        expect_rst(&mut stream.backend, stream.up, 13, "rst", "c,p1", true);
    }
}

#[test]
fn a_lost_caller_resets_its_backend_with_12013() {
    let way = named();
    let text = "canceled by connection closed";
    for reset in [false, true] {
        let mut stream = way.open();
        stream.down_to_up(&data("a"));
        stream.up_to_down(&header());
        if reset {
            stream.caller.reset();
        } else {
            drop(stream.caller);
        }
        expect_rst(&mut stream.backend, stream.up, 12_013, text, "p1", true);
    }
    // A half close of TCP is a loss too (A14), and the stream's own half close no protection.
    let mut stream = way.open();
    stream.down_to_up(&end());
    stream.caller.half_close();
    expect_rst(&mut stream.backend, stream.up, 12_013, text, "p1", false);
    way.eventually("they are counted", |totals| totals.streams_cancelled == 3);
}

#[test]
fn what_came_before_a_loss_is_delivered_and_half_a_frame_is_not() {
    let way = named();
    let mut stream = way.open();
    let cut = data("never whole").with_id(7).bytes();
    stream.caller.send_all([&data("a").with_id(7), &data("b").with_id(7)]);
    stream.caller.send_bytes(&cut[..cut.len() - 1]);
    stream.caller.half_close();
    stream.backend.expect(&data("a").with_id(stream.up));
    stream.backend.expect(&data("b").with_id(stream.up));
    expect_rst(&mut stream.backend, stream.up, 12_013, "canceled by connection closed", "p1", true);
}

#[test]
fn every_stream_of_a_lost_connection_is_reset() {
    for pool in ["long", "mux"] {
        let way = Way::named(NAME, |setup| setup.cluster(&format!("stream_pool = \"{pool}\"")));
        let mut caller = way.caller();
        let mut backends = Vec::new();
        for id in 1..=20 {
            caller.send(&opening(id));
            if pool == "long" || backends.is_empty() {
                backends.push((way.backend.accept(), Vec::new()));
            }
            let (backend, ups) = backends.last_mut().unwrap();
            ups.push(opened(backend));
        }
        drop(caller);
        for (backend, ups) in &mut backends {
            let mut resets = Vec::new();
            for _ in 0..ups.len() {
                let frame = backend.read();
                assert_eq!((frame.frame_type(), frame.code_and_text().0), (FrameType::Rst, 12_013));
                backend.expect(&end().with_id(frame.id));
                resets.push(frame.id);
            }
            resets.sort_unstable();
            assert_eq!(&resets, ups);
        }
    }
}

#[test]
fn an_unreadable_frame_of_a_caller_ends_its_connection_and_resets_its_backends() {
    let way = named();
    let mut other = way.open();
    let good = data("a").with_id(7).bytes();
    for (what, offset, byte) in [
        ("magic", 4, 0x20),
        ("stream flag clear", 7, 0),
        ("header size", 12, 0xff),
        ("protocol id", 14, 0x02),
        ("info id", 16, 0x77),
    ] {
        let mut stream = way.open();
        let mut bytes = good.clone();
        bytes[offset] = byte;
        stream.caller.send_bytes(bytes);
        stream.caller.expect_close();
        let reset = stream.backend.read();
        assert_eq!((reset.frame_type(), reset.code_and_text().0), (FrameType::Rst, 12_013), "{what}");
    }
    let mut stream = way.open();
    stream.caller.send(&TtFrame::new("6", 7, METHOD));
    stream.caller.expect_close();
    way.eventually("they are counted", |totals| totals.downstream_refused == 6);
    other.finish();
}

#[test]
fn a_lost_backend_is_never_a_clean_end() {
    enum Loss {
        Fin,
        Rst,
        MidFrame,
    }
    let way = named();
    let mut caller = way.caller();
    for loss in [Loss::Fin, Loss::Rst, Loss::MidFrame] {
        for (half_closed, answered) in [(false, false), (false, true), (true, false), (true, true)] {
            caller.send(&opening(7));
            let mut backend = way.backend.accept();
            let up = opened(&mut backend);
            if half_closed {
                caller.send(&end().with_id(7));
                backend.expect(&end().with_id(up));
            }
            if answered {
                backend.send_all([&header().with_id(up), &data("before").with_id(up)]);
                caller.expect(&header().with_id(7));
                caller.expect(&data("before").with_id(7));
            }
            match loss {
                Loss::Fin => drop(backend),
                Loss::Rst => backend.reset(),
                Loss::MidFrame => {
                    let cut = end().with_id(up).bytes();
                    backend.send_bytes(&cut[..cut.len() - 1]);
                    drop(backend);
                }
            }
            if !answered {
                caller.expect(&header().with_id(7));
            }
            let trailer = caller.read();
            assert_eq!((trailer.id, trailer.frame_type()), (7, FrameType::Trailer));
            let (code, text) = trailer.code_and_text();
            assert_eq!(code, 6);
            assert!(text.starts_with("proxy: ") && text.contains("lost"), "{text}");
        }
    }
    way.eventually("they are counted", |totals| {
        totals.faults_of(proxy::rpc::FaultKind::UpstreamClosed) == 12 && totals.streams_ok == 0
    });
}

#[test]
fn messages_that_came_before_a_loss_are_delivered() {
    let way = named();
    let mut stream = way.open();
    let messages = (0..20).map(|index| data(format!("{index}")));
    stream.backend.send(&header().with_id(stream.up));
    stream.backend.send_all(&messages.clone().map(|frame| frame.with_id(stream.up)).collect::<Vec<_>>());
    drop(stream.backend);
    stream.caller.expect(&header().with_id(7));
    for message in messages {
        stream.caller.expect(&message.with_id(7));
    }
    assert_ne!(stream.caller.read().code_and_text().0, 0);
}

#[test]
fn a_lost_shared_connection_ends_its_streams_and_the_next_gets_a_fresh_one() {
    let way = Way::named(NAME, |setup| setup.cluster("stream_pool = \"mux\""));
    let mut caller = way.caller();
    caller.send_all([&opening(1), &opening(2), &opening(3)]);
    let mut backend = way.backend.accept();
    for _ in 0..3 {
        opened(&mut backend);
    }
    drop(backend);
    let mut ended = Vec::new();
    for _ in 0..3 {
        let first = caller.read();
        assert_eq!(first.frame_type(), FrameType::Header);
        let trailer = caller.read();
        assert_eq!((trailer.id, trailer.frame_type()), (first.id, FrameType::Trailer));
        assert!(trailer.code_and_text().1.contains("lost"));
        ended.push(first.id);
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 2, 3]);
    caller.send(&opening(4));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 4, up }.finish();
}

#[test]
fn an_unreadable_frame_of_a_backend_ends_its_streams_with_a_reason() {
    let way = named();
    let mut caller = way.caller();
    for bytes in [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), TtFrame::new("9", 1, METHOD).bytes()] {
        caller.send(&opening(7));
        let mut backend = way.backend.accept();
        opened(&mut backend);
        backend.send_bytes(bytes);
        caller.expect(&header().with_id(7));
        let (code, text) = caller.read().code_and_text();
        assert_eq!(code, 6);
        assert!(text.starts_with("proxy: ") && text.contains("unreadable"), "{text}");
        assert!(backend.read_to_close().is_empty(), "nothing more is said to it");
    }
}

#[test]
fn a_backends_reset_is_passed_on_as_it_is() {
    let way = named();
    for code in [1204, 12_007, 12_012, 12_015, 13, 0] {
        for path in ["", "mesh", "a,b"] {
            for header_first in [false, true] {
                // Both hops have the same id, so that the exception's sequence id is no difference.
                let mut stream = way.open_as(1);
                assert_eq!(stream.up, 1);
                if header_first {
                    stream.up_to_down(&header());
                    stream.up_to_down(&data("before"));
                }
                stream.up_to_down(&TtFrame::rst(1, METHOD, code, "their reason", path));
            }
        }
    }
    way.eventually("they are counted", |totals| totals.streams_reset == 36);
}

#[test]
fn a_backend_that_resets_gets_the_trailer_that_is_due_and_no_other() {
    let way = named();
    let mut stream = way.open();
    stream.backend.send(&TtFrame::rst(stream.up, METHOD, 1204, "mesh", ""));
    assert_eq!(stream.caller.read().frame_type(), FrameType::Rst);
    stream.backend.expect(&end().with_id(stream.up));
    // The caller's own comes for a stream that is over.
    stream.caller.send(&end().with_id(7));
    still_good(stream);

    let mut stream = way.open();
    stream.down_to_up(&end());
    stream.backend.send(&TtFrame::rst(stream.up, METHOD, 1204, "mesh", ""));
    assert_eq!(stream.caller.read().frame_type(), FrameType::Rst);
    still_good(stream);
}

#[test]
fn a_listener_whose_callers_do_not_know_rst_gets_an_exception() {
    let way = Way::named(NAME, |setup| setup.listener("rst = false"));
    for header_first in [false, true] {
        let mut stream = way.open();
        if header_first {
            stream.up_to_down(&header());
        }
        stream.backend.send(&TtFrame::rst(stream.up, METHOD, 1204, "mesh says no", "mesh"));
        if !header_first {
            stream.caller.expect(&header().with_id(7));
        }
        stream.caller.expect(&end().with_id(7).exception(1204, "mesh says no"));
    }
}

#[test]
fn a_backend_that_does_not_know_rst_gets_the_end_of_its_connection() {
    for pool in ["long", "short"] {
        let way = Way::named(NAME, |setup| setup.cluster(&format!("rst = false\nstream_pool = \"{pool}\"")));
        let mut stream = way.open();
        stream.down_to_up(&data("a"));
        stream.caller.send(&TtFrame::rst(7, METHOD, 12_007, "why", ""));
        stream.backend.expect_close();
        let mut stream = way.open();
        drop(stream.caller);
        stream.backend.expect_close();
        // One that ends well is as ever.
        way.open().finish();
    }
    let shared = Setup::to_addr(nobody()).cluster("rst = false\nstream_pool = \"mux\"").text();
    let error = Config::parse(&shared, "test.toml").unwrap_err().to_string();
    assert!(error.contains("rst") && error.contains("mux"), "a shared connection can't be closed for one: {error}");
}

#[test]
fn a_backend_that_does_not_know_rst_is_closed_at_the_deadline_too() {
    let way = Way::named(NAME, |setup| setup.route("timeout = \"200ms\"").cluster("rst = false"));
    let mut stream = way.open();
    stream.caller.expect(&header().with_id(7));
    assert_eq!(stream.caller.read().code_and_text().0, 12_015);
    stream.backend.expect_close();
    still_served(&way, stream.caller);
}

/// The next stream of a caller passes, on a fresh connection to the backend.
#[track_caller]
fn still_served(way: &Way, mut caller: TtConn) {
    caller.send(&opening(8));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 8, up }.finish();
}

/// An address for a configuration that is never used.
fn nobody() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}
