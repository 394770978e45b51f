//! Connections to ttstream backends: one for each stream, one stream at a time, or shared (streaming-wire A15).

use std::time::Duration;

use testkit::peer::ttstream::{TtConn, TtFrame};

use crate::way::{METHOD, Stream, Way, data, end, header, opened, opening};

fn pooled(pool: &str) -> Way {
    Way::with(|setup| setup.cluster(&format!("stream_pool = \"{pool}\"")))
}

/// Opens a stream for a caller that has been there, on whichever connection the proxy takes.
#[track_caller]
fn open_on(caller: &mut TtConn, backend: &mut TtConn, id: i32) -> i32 {
    caller.send(&opening(id));
    opened(backend)
}

#[test]
fn a_short_connection_carries_one_stream_and_is_closed() {
    let way = pooled("short");
    let mut caller = way.caller();
    for id in 1..=3 {
        caller.send(&opening(id));
        let mut backend = way.backend.accept();
        let up = opened(&mut backend);
        let mut stream = Stream { caller, backend, id, up };
        stream.finish();
        stream.backend.expect_close();
        caller = stream.caller;
    }
    caller.send(&opening(4));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    // One that is cancelled hears of it before it is closed.
    caller.send(&TtFrame::rst(4, METHOD, 12_007, "why", ""));
    assert_eq!(backend.read().code_and_text().0, 12_007);
    backend.expect(&end().with_id(up));
    backend.expect_close();
    way.eventually("all are closed", |totals| totals.upstream_open == 0 && totals.upstream_connections == 4);
}

#[test]
fn a_long_connection_carries_one_stream_at_a_time() {
    let way = pooled("long");
    let mut caller = way.caller();
    caller.send(&opening(1));
    let mut first = way.backend.accept();
    let one = opened(&mut first);
    caller.send(&opening(2));
    let mut second = way.backend.accept();
    let two = opened(&mut second);
    let mut stream = Stream { caller, backend: second, id: 2, up: two };
    stream.finish();
    // The one that is free takes the next, the busy one does not.
    let up = open_on(&mut stream.caller, &mut stream.backend, 3);
    let mut stream = Stream { id: 3, up, ..stream };
    stream.finish();
    let mut stream = Stream { caller: stream.caller, backend: first, id: 1, up: one };
    stream.finish();
    // Of another caller too.
    let mut other = way.caller();
    let up = open_on(&mut other, &mut stream.backend, 9);
    Stream { caller: other, backend: stream.backend, id: 9, up }.finish();
    assert_eq!(way.backend.connections(), 2);
    assert_eq!(way.proxy.totals().upstream_reused, 2);
}

#[test]
fn a_shared_connection_carries_the_streams_of_all_callers() {
    let way = pooled("mux");
    let mut callers = [(); 3].map(|()| way.caller());
    callers[0].send(&opening(7));
    let mut backend = way.backend.accept();
    let mut ups = vec![(0, opened(&mut backend))];
    for (index, caller) in callers.iter_mut().enumerate() {
        for id in [7, 8, 9] {
            if (index, id) != (0, 7) {
                ups.push((index, open_on(caller, &mut backend, id)));
            }
        }
    }
    for (order, (index, up)) in ups.iter().enumerate().rev() {
        let id = [7, 8, 9][order % 3];
        backend.send_all([&header(), &data(format!("{order}")), &end()].map(|frame| frame.clone().with_id(*up)).iter());
        callers[*index].expect(&header().with_id(id));
        callers[*index].expect(&data(format!("{order}")).with_id(id));
        callers[*index].expect(&end().with_id(id));
        backend.expect(&end().with_id(*up));
    }
    assert_eq!(way.backend.connections(), 1);
}

#[test]
fn a_connection_is_kept_after_every_clean_end() {
    let way = pooled("long");
    let mut stream = way.open();
    let ends = [
        end(),
        end().string("biz-status", "502"),
        end().exception(6, "boom"),
        end().payload("garbage"),
        TtFrame::rst(0, METHOD, 1204, "mesh", ""),
    ];
    for (id, ending) in (8..).zip(ends) {
        stream.backend.send(&ending.with_id(stream.up));
        while stream.caller.read().frame_type() == ttstream::FrameType::Header {}
        stream.backend.expect(&end().with_id(stream.up));
        let up = open_on(&mut stream.caller, &mut stream.backend, id);
        stream = Stream { id, up, ..stream };
    }
    stream.finish();
    assert_eq!(way.backend.connections(), 1);
}

#[test]
fn a_connection_with_something_left_over_is_not_used_again() {
    let way = pooled("long");
    let mut stream = way.open();
    let mut last = end().with_id(stream.up).bytes();
    last.extend(&header().bytes()[..9]);
    stream.backend.send_bytes(last);
    stream.caller.expect(&header().with_id(7));
    stream.caller.expect(&end().with_id(7));
    stream.caller.send(&opening(8));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    stream.backend.expect(&end().with_id(stream.up));
    stream.backend.expect_close();
    Stream { caller: stream.caller, backend, id: 8, up }.finish();
}

#[test]
fn a_connection_that_its_backend_closed_while_idle_is_not_used_again() {
    for pool in ["long", "mux"] {
        let way = pooled(pool);
        let mut stream = way.open();
        for id in 8..12 {
            stream.finish();
            drop(stream.backend);
            let mut caller = stream.caller;
            caller.send(&opening(id));
            let mut backend = way.backend.accept();
            let up = opened(&mut backend);
            stream = Stream { caller, backend, id, up };
        }
        stream.finish();
        assert_eq!(way.backend.connections(), 5);
    }
}

#[test]
fn an_idle_connection_is_closed() {
    idle_connection_is_closed("long");
}

#[test]
fn an_idle_shared_connection_is_closed() {
    idle_connection_is_closed("mux");
}

fn idle_connection_is_closed(pool: &str) {
    let way = Way::with(|setup| setup.cluster(&format!("stream_pool = \"{pool}\"\nidle_timeout = \"1s\"")));
    let mut stream = way.open();
    // Not while a stream is open, however quiet.
    stream.backend.expect_silence(Duration::from_millis(2500));
    stream.finish();
    stream.backend.expect_close();
    way.eventually("it is closed", |totals| totals.upstream_open == 0);
    let mut caller = stream.caller;
    caller.send(&opening(8));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 8, up }.finish();
}

#[test]
fn many_streams_one_after_the_other_need_one_connection() {
    for pool in ["long", "mux"] {
        let way = pooled(pool);
        let mut stream = way.open();
        stream.finish();
        for id in 8..200 {
            let up = open_on(&mut stream.caller, &mut stream.backend, id);
            stream = Stream { id, up, ..stream };
            stream.finish();
        }
        assert_eq!(way.backend.connections(), 1);
        way.eventually("they are counted", |totals| totals.streams_ok == 193 && totals.upstream_reused == 192);
    }
}
