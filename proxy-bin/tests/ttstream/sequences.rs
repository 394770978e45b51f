//! What follows what on a stream (streaming-wire A6 to A8), and what a peer may do to one stream without harm to others.

use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::{FrameType, IntKey};

use crate::way::{METHOD, SERVICE, Stream, Way, data, end, header, opened, opening};

/// Who sends a frame.
#[derive(Clone, Copy)]
enum By {
    Caller,
    Backend,
}

/// One step of a stream: `C` and `S` with `H`, `D`, `T`, as the specification writes them.
fn steps(script: &str) -> Vec<(By, TtFrame)> {
    let step = |(index, step): (usize, &str)| {
        let by = if step.starts_with('C') { By::Caller } else { By::Backend };
        let frame = match &step[1..] {
            "H" => header().string("k", format!("{index}")),
            "D" => data(format!("message {index}")),
            "T" => end(),
            "E" => end().string("biz-status", "502").string("biz-message", "no"),
            other => panic!("{other}"),
        };
        (by, frame)
    };
    script.split(' ').enumerate().map(step).collect()
}

fn play(stream: &mut Stream, script: &str) {
    for (by, frame) in steps(script) {
        match by {
            By::Caller => stream.down_to_up(&frame),
            By::Backend => stream.up_to_down(&frame),
        }
    }
}

#[test]
fn every_kind_of_stream_passes_frame_by_frame() {
    let way = Way::new();
    let scripts = [
        "CD SH SD CD SD CT SD ST",
        "CD CT SH SD SD SD ST",
        "CD CD CD CT SH SD ST",
        "CD CT SH SD ST",
        "CT SH ST",
        "SH CT ST",
        "CT SH SE",
        "CD SH SD CD CT SE",
        "CD SH SD SD CD CT ST",
        "SH CD CD SD SD CT ST",
    ];
    let mut caller = way.caller();
    let mut backends = None::<TtConn>;
    for (id, script) in (1..).zip(scripts) {
        caller.send(&opening(id));
        let mut backend = backends.take().unwrap_or_else(|| way.backend.accept());
        let up = opened(&mut backend);
        let mut stream = Stream { caller, backend, id, up };
        play(&mut stream, script);
        caller = stream.caller;
        backends = Some(stream.backend);
    }
    way.eventually("all have ended", |totals| totals.streams_ok == 8 && totals.streams_failed == 2);
    assert_eq!(way.backend.connections(), 1, "a stream that ended leaves its connection for the next");
}

#[test]
fn a_backend_that_ends_first_gets_the_trailer_that_its_caller_owes() {
    let way = Way::new();
    let mut stream = way.open();
    play(&mut stream, "CD SH SD ST");
    stream.backend.expect(&end().with_id(stream.up));
    // The caller's own comes late, for a stream that is over; the connection serves the next.
    stream.caller.send_all([&end().with_id(7), &opening(8)]);
    let up = opened(&mut stream.backend);
    Stream { id: 8, up, ..stream }.finish();
    assert_eq!(way.backend.connections(), 1);
}

#[test]
fn a_caller_that_half_closed_owes_nothing_at_the_end() {
    let way = Way::new();
    let mut stream = way.open();
    play(&mut stream, "CD CT SH SD ST");
    stream.caller.send(&opening(8));
    let up = opened(&mut stream.backend);
    Stream { id: 8, up, ..stream }.finish();
}

#[test]
fn headers_leave_as_they_come_without_waiting_for_a_message() {
    let way = Way::new();
    let mut stream = way.open();
    stream.up_to_down(&header().string("early", "yes"));
    stream.finish();
}

#[test]
fn a_header_that_is_late_is_one_too_many() {
    let way = Way::new();
    let mut stream = way.open();
    for frame in [data("a"), header().string("late", "yes"), data("b"), end()] {
        stream.backend.send(&frame.with_id(stream.up));
    }
    for frame in [header(), data("a"), data("b"), end()] {
        stream.caller.expect(&frame.with_id(stream.id));
    }
    stream.backend.expect(&end().with_id(stream.up));
}

#[test]
fn a_header_that_never_comes_is_replaced_by_an_empty_one() {
    let way = Way::new();
    for ending in [end().string("k", "v"), end().exception(6, "biz error: boom")] {
        let mut stream = way.open();
        stream.backend.send(&ending.clone().with_id(stream.up));
        stream.caller.expect(&header().with_id(7));
        let came = stream.caller.read();
        assert_eq!(came.strings, ending.strings);
        assert_eq!(came.frame_type(), FrameType::Trailer);
        if ending.payload.is_empty() {
            assert_eq!(came.payload, b"");
        } else {
            assert_eq!(came.code_and_text(), ending.code_and_text());
        }
    }
}

#[test]
fn a_second_header_ends_its_stream_with_a_reason_and_no_connection_of_callers() {
    let way = Way::new();
    let mut caller = way.caller();
    caller.send(&opening(1));
    let mut fine = way.backend.accept();
    let fine_up = opened(&mut fine);
    caller.send(&opening(2));
    let mut broken = way.backend.accept();
    let broken_up = opened(&mut broken);
    broken.send_all([&header().with_id(broken_up), &header().with_id(broken_up)]);
    caller.expect(&header().with_id(2));
    let trailer = caller.read();
    assert_eq!((trailer.id, trailer.frame_type()), (2, FrameType::Trailer));
    assert!(trailer.code_and_text().1.contains("second header"), "{trailer:?}");
    Stream { caller, backend: fine, id: 1, up: fine_up }.finish();
}

#[test]
fn a_second_header_ends_no_other_stream_of_a_shared_connection() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\""));
    let mut caller = way.caller();
    caller.send(&opening(1));
    let mut backend = way.backend.accept();
    let fine = opened(&mut backend);
    caller.send(&opening(2));
    let broken = opened(&mut backend);
    backend.send_all([&header().with_id(broken), &header().with_id(broken)]);
    caller.expect(&header().with_id(2));
    let trailer = caller.read();
    assert_eq!((trailer.id, trailer.frame_type()), (2, FrameType::Trailer));
    assert!(trailer.code_and_text().1.contains("second header"), "{trailer:?}");
    let mut fine = Stream { caller, backend, id: 1, up: fine };
    // The other one is told that nobody listens any more.
    let reset = fine.backend.read();
    assert_eq!((reset.id, reset.frame_type()), (broken, FrameType::Rst));
    fine.backend.expect(&end().with_id(broken));
    fine.finish();
}

#[test]
fn each_hop_has_ids_of_its_own() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\""));
    let ids = [i32::MAX, i32::MIN, -1, 1, 2_000_000_000, -77];
    let mut caller = way.caller();
    let mut backend = None;
    let mut ups = Vec::new();
    for id in ids {
        caller.send(&opening(id));
        ups.push(opened(backend.get_or_insert_with(|| way.backend.accept())));
    }
    let backend = backend.as_mut().unwrap();
    assert_eq!(ups, [1, 2, 3, 4, 5, 6]);
    for (id, up) in ids.into_iter().zip(ups).rev() {
        caller.send(&data(format!("for {id}")).with_id(id));
        backend.expect(&data(format!("for {id}")).with_id(up));
        backend.send_all([&header().with_id(up), &end().with_id(up).exception(6, "the id stands in here too")]);
        caller.expect(&header().with_id(id));
        caller.expect(&end().with_id(id).exception(6, "the id stands in here too"));
        backend.expect(&end().with_id(up));
    }
}

#[test]
fn an_id_may_be_used_again_once_its_stream_is_over() {
    let way = Way::new();
    let mut stream = way.open();
    stream.finish();
    for _ in 0..3 {
        stream.caller.send(&opening(7));
        stream.up = opened(&mut stream.backend);
        stream.finish();
    }
}

#[test]
fn frames_of_unknown_streams_are_ignored() {
    let unknown = [
        data("nobody's"),
        end(),
        end().exception(6, "nobody's"),
        TtFrame::rst(0, METHOD, 12_007, "nobody's", "x"),
        TtFrame::meta(0, METHOD),
    ];
    let of_anybody = |id: i32| unknown.clone().map(|frame| frame.with_id(id));
    for pool in ["long", "mux"] {
        let way = Way::with(|setup| setup.cluster(&format!("stream_pool = \"{pool}\"")));
        let mut caller = way.caller();
        caller.send_all(&of_anybody(7));
        caller.send(&opening(7));
        let mut backend = way.backend.accept();
        let up = opened(&mut backend);
        let mut stream = Stream { caller, backend, id: 7, up };
        for id in [0, 99, -3] {
            stream.caller.send_all(&of_anybody(id));
            stream.backend.send_all(&of_anybody(id));
            stream.backend.send(&header().with_id(id));
        }
        stream.finish();
    }
}

#[test]
fn a_reserved_id_costs_its_connection_and_no_other() {
    let way = Way::new();
    let mut other = way.open();
    let mut caller = way.caller();
    caller.send(&opening(0));
    caller.expect_close();
    way.eventually("it is counted", |totals| totals.downstream_refused == 1);
    other.finish();
}

#[test]
fn an_id_that_is_live_costs_its_connection_and_no_other() {
    let way = Way::new();
    let mut other = way.open();
    let Stream { mut caller, mut backend, id, up } = way.open();
    caller.send(&opening(id));
    caller.expect_close();
    let reset = backend.read();
    assert_eq!((reset.id, reset.frame_type(), reset.code_and_text().0), (up, FrameType::Rst, 12_013));
    backend.expect(&end().with_id(up));
    way.eventually("it is counted", |totals| totals.downstream_refused == 1);
    other.finish();
}

#[test]
fn nothing_behind_the_callers_trailer_is_passed_on() {
    let way = Way::new();
    let mut stream = way.open();
    play(&mut stream, "CD CT");
    for frame in [data("too late"), end(), data("too late")] {
        stream.caller.send(&frame.with_id(stream.id));
    }
    play(&mut stream, "SH SD ST");
    stream.caller.send(&opening(8));
    // The next stream is the next that the backend sees.
    let up = opened(&mut stream.backend);
    Stream { id: 8, up, ..stream }.finish();
}

#[test]
fn nothing_behind_the_backends_trailer_is_passed_on() {
    for pool in ["long", "mux"] {
        let way = Way::with(|setup| setup.cluster(&format!("stream_pool = \"{pool}\"")));
        let mut stream = way.open();
        let late = [header(), end(), data("late"), end().exception(6, "late"), TtFrame::meta(0, METHOD), header()];
        stream.backend.send_all(&late.map(|frame| frame.with_id(stream.up)));
        stream.caller.expect(&header().with_id(7));
        stream.caller.expect(&end().with_id(7));
        stream.backend.expect(&end().with_id(stream.up));
        stream.caller.send(&opening(8));
        let up = opened(&mut stream.backend);
        Stream { id: 8, up, ..stream }.finish();
    }
}

#[test]
fn notes_on_the_way_reach_the_caller() {
    let way = Way::new();
    let mut stream = way.open();
    let note = TtFrame::meta(0, METHOD).string("rip", "10.0.0.9").string("tc", "west").int(IntKey::LOG_ID, "log");
    stream.up_to_down(&note);
    stream.up_to_down(&header());
    stream.up_to_down(&note.clone().payload("anything"));
    stream.up_to_down(&data("a"));
    stream.up_to_down(&note);
    // A server has no use for one.
    stream.caller.send(&note.with_id(7));
    stream.finish();
}

#[test]
fn what_the_specification_does_not_name_passes_on_every_kind_of_frame() {
    let way = Way::new();
    let more = |frame: TtFrame| {
        frame
            .string("k", "v")
            .string("UPPER case", "v\u{e9}\u{0}")
            .string("empty", "")
            .int(IntKey::LOG_ID, "log")
            .int(IntKey(4711), "unknown")
            .token("token")
    };
    let mut caller = way.caller();
    caller.send(&more(opening(7)).string("RPC_PERSIST_A", "1").int(IntKey::FROM_SERVICE, "me"));
    let mut backend = way.backend.accept();
    let came = backend.read();
    let expected = more(opening(came.id)).string("RPC_PERSIST_A", "1").int(IntKey::FROM_SERVICE, "me");
    assert_eq!(came, expected);
    let mut stream = Stream { caller, backend, id: 7, up: came.id };
    stream.down_to_up(&more(data("a")));
    stream.up_to_down(&more(header()));
    stream.up_to_down(&more(data("b")));
    stream.up_to_down(&more(TtFrame::meta(0, METHOD)));
    stream.up_to_down(&more(end()));
    let _owed = stream.backend.read();
}

#[test]
fn what_the_specification_does_not_name_passes_on_a_callers_trailer() {
    let way = Way::new();
    let mut stream = way.open();
    stream.down_to_up(&end().string("k", "v").int(IntKey::LOG_ID, "log"));
}

#[test]
fn a_payload_in_a_callers_trailer_does_not_reach_the_backend() {
    let way = Way::new();
    let mut exception = end().exception(6, "no caller says that").payload;
    let mut reply = exception.clone();
    reply[3] = 2;
    exception.truncate(20);
    for payload in [reply, exception, b"garbage".to_vec()] {
        let mut stream = way.open();
        // The reader of a stock server panics over it (F16).
        stream.caller.send(&end().payload(payload).with_id(7));
        stream.backend.expect(&end().with_id(stream.up));
        stream.up_to_down(&header());
        stream.up_to_down(&end());
    }
}

#[test]
fn what_the_specification_does_not_name_passes_on_a_reset() {
    let way = Way::new();
    let mut stream = way.open();
    let reset = |id, path| TtFrame::rst(id, METHOD, 12_007, "why", path).string("k", "v").int(IntKey::LOG_ID, "log");
    stream.caller.send(&reset(7, "a"));
    let came = stream.backend.read();
    assert_eq!((came.string_value("k"), came.int_value(IntKey::LOG_ID.0)), (Some("v"), Some(&b"log"[..])));
    drop(stream);
    let mut stream = way.open_as(1);
    stream.up_to_down(&reset(1, "a"));
}

#[test]
fn a_payload_on_the_frame_that_opens_a_stream_does_no_harm() {
    let way = Way::new();
    let mut caller = way.caller();
    // What the payload says would be taken for frames where lengths are not kept.
    let forged = data("forged").with_id(1).bytes();
    caller.send_all([&opening(7).payload(&forged), &data("a").with_id(7), &end().with_id(7)]);
    let mut backend = way.backend.accept();
    let came = backend.read();
    assert_eq!((came.frame_type(), came.string_value("isn")), (FrameType::Header, Some(SERVICE)));
    backend.expect(&data("a").with_id(came.id));
    backend.expect(&end().with_id(came.id));
}

#[test]
fn a_payload_on_the_header_of_a_backend_does_no_harm() {
    let way = Way::new();
    let mut stream = way.open();
    let forged = data("forged").with_id(7).bytes();
    stream.backend.send_all(&[header().payload(&forged), data("a"), end()].map(|frame| frame.with_id(stream.up)));
    assert_eq!(stream.caller.read().frame_type(), FrameType::Header);
    stream.caller.expect(&data("a").with_id(7));
    stream.caller.expect(&end().with_id(7));
}
