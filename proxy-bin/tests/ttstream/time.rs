//! The waits of a stream: ttstream carries no deadline (streaming-wire A12), so that the proxy's own are all there are.

use std::time::{Duration, Instant};

use proxy::rpc::FaultKind;
use testkit::peer::ttstream::TtFrame;
use ttstream::FrameType;

use crate::way::{Stream, Way, data, end, header, opened, opening};

const NAME: &str = "name = \"p1\"";

/// Both ends learn that time is up: 12015 with a text in which `told` stands.
fn expect_timeout(stream: &mut Stream, told: &str, header_sent: bool, half_closed: bool) {
    if !header_sent {
        stream.caller.expect(&header().with_id(stream.id));
    }
    let trailer = stream.caller.read();
    assert_eq!((trailer.id, trailer.frame_type()), (stream.id, FrameType::Trailer));
    let (code, text) = trailer.code_and_text();
    assert_eq!(code, 12_015);
    assert!(text.starts_with("proxy: ") && text.contains(told), "{text}");
    let rst = stream.backend.read();
    assert_eq!((rst.id, rst.frame_type(), rst.string_value("ttscp")), (stream.up, FrameType::Rst, Some("p1")));
    assert_eq!(rst.code_and_text().0, 12_015);
    if !half_closed {
        stream.backend.expect(&end().with_id(stream.up));
    }
}

#[test]
fn the_routes_timeout_ends_a_stream_on_both_sides() {
    let way = Way::named(NAME, |setup| setup.route("timeout = \"200ms\""));
    for (header_sent, half_closed) in [(false, false), (true, false), (false, true), (true, true)] {
        let begun = Instant::now();
        let mut stream = way.open();
        if half_closed {
            stream.down_to_up(&end());
        }
        if header_sent {
            stream.up_to_down(&header());
        }
        expect_timeout(&mut stream, "`timeout`", header_sent, half_closed);
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
    way.eventually("they are counted", |totals| totals.faults_of(FaultKind::Timeout) == 4);
}

#[test]
fn what_moves_does_not_stay_the_routes_timeout() {
    let way = Way::named(NAME, |setup| setup.route("timeout = \"400ms\""));
    let mut stream = way.open();
    stream.up_to_down(&header());
    // Messages as long as they pass.
    let ended = loop {
        stream.caller.send(&data("again").with_id(7));
        let came = stream.backend.read();
        if came.frame_type() == FrameType::Rst {
            break came;
        }
        assert_eq!(came, data("again").with_id(stream.up));
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code_and_text().0, 12_015);
    assert_eq!(stream.caller.read().code_and_text().0, 12_015);
}

#[test]
fn a_backend_without_a_first_message_is_given_up() {
    let way = Way::named(NAME, |setup| setup.route("first_message_timeout = \"200ms\""));
    for header_sent in [false, true] {
        let mut stream = way.open();
        stream.down_to_up(&data("a"));
        if header_sent {
            // Headers are no message.
            stream.up_to_down(&header());
        }
        expect_timeout(&mut stream, "`first_message_timeout`", header_sent, false);
    }
}

#[test]
fn after_the_first_message_a_backend_may_take_its_time() {
    let way = Way::named(NAME, |setup| setup.route("first_message_timeout = \"400ms\""));
    let mut stream = way.open();
    stream.backend.send_all([&header().with_id(stream.up), &data("first").with_id(stream.up)]);
    stream.caller.expect(&header().with_id(7));
    stream.caller.expect(&data("first").with_id(7));
    stream.caller.expect_silence(Duration::from_millis(600));
    stream.finish();
}

#[test]
fn a_stream_on_which_nothing_moves_is_given_up() {
    let way = Way::named(NAME, |setup| setup.route("stream_idle_timeout = \"200ms\""));
    let mut stream = way.open();
    stream.up_to_down(&header());
    stream.down_to_up(&data("a"));
    expect_timeout(&mut stream, "`stream_idle_timeout`", true, false);
}

#[test]
fn a_message_either_way_keeps_a_stream() {
    let way = Way::named(NAME, |setup| setup.route("stream_idle_timeout = \"1500ms\""));
    let mut stream = way.open();
    stream.up_to_down(&header());
    for round in 0..5 {
        std::thread::sleep(Duration::from_millis(400));
        if round % 2 == 0 {
            stream.down_to_up(&data("there"));
        } else {
            stream.up_to_down(&data("back"));
        }
    }
    stream.finish();
}

#[test]
fn a_caller_without_streams_is_closed_after_a_while_and_one_with_a_stream_is_not() {
    let way = Way::with(|setup| setup.listener("idle_timeout = \"300ms\""));
    let mut stream = way.open();
    stream.caller.expect_silence(Duration::from_millis(600));
    stream.finish();
    stream.caller.expect_close();
    let mut never = way.caller();
    never.send(&TtFrame::meta(7, "Chat"));
    never.expect_close();
    assert_eq!(way.proxy.totals().downstream_refused, 0, "that is no fault");
}

#[test]
fn a_caller_that_stops_inside_a_frame_is_closed() {
    let way = Way::with(|setup| setup.listener("read_timeout = \"200ms\""));
    let mut stream = way.open();
    let frame = data("never whole").with_id(7).bytes();
    stream.caller.send_bytes(&frame[..frame.len() - 1]);
    stream.caller.expect_close();
    assert_eq!(stream.backend.read().code_and_text().0, 12_013);
    way.eventually("it is counted", |totals| totals.downstream_refused == 1);
}

#[test]
fn a_backend_that_stops_inside_a_frame_is_given_up() {
    for pool in ["long", "mux"] {
        let cluster = format!("read_timeout = \"200ms\"\nstream_pool = \"{pool}\"");
        let way = Way::with(|setup| setup.cluster(&cluster));
        let mut stream = way.open();
        let frame = end().with_id(stream.up).bytes();
        stream.backend.send_bytes(&frame[..frame.len() - 1]);
        stream.caller.expect(&header().with_id(7));
        let (code, text) = stream.caller.read().code_and_text();
        assert_eq!(code, 6);
        assert!(text.contains("too slow"), "{text}");
        stream.caller.send(&opening(8));
        let mut backend = way.backend.accept();
        let up = opened(&mut backend);
        Stream { caller: stream.caller, backend, id: 8, up }.finish();
    }
}
