//! Peers that do not take what is sent to them (streaming-wire A16): who sends too much waits, or loses this one stream;
//! nobody else is held up, and what the proxy holds has a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proxy::rpc::FaultKind;
use testkit::peer::eventually;
use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::FrameType;

use crate::way::{METHOD, Stream, Way, data, end, header, opened, opening};

const PIECE: usize = 256 << 10;
/// Far more than sockets and budgets of both hops hold.
const PIECES: usize = 400;
/// What sockets and budgets of both hops may hold.
const HELD: usize = 64 << 20;

fn piece(index: usize) -> TtFrame {
    let mut payload = vec![b'.'; PIECE];
    payload[..8].copy_from_slice(&index.to_be_bytes());
    data(payload)
}

/// Sends all pieces from a thread of its own, and counts what was taken.
fn flood(mut conn: TtConn, id: i32, first: Option<TtFrame>) -> (Arc<AtomicUsize>, JoinHandle<TtConn>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let thread = std::thread::spawn(move || {
        conn.conn().stream().set_write_timeout(None).unwrap();
        first.iter().for_each(|frame| conn.send(frame));
        for index in 0..PIECES {
            conn.send(&piece(index).with_id(id));
            count.fetch_add(PIECE, Ordering::SeqCst);
        }
        conn
    });
    (taken, thread)
}

/// Waits until nothing more is taken: how much was.
fn standstill(taken: &AtomicUsize) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    eventually("nothing more is taken", || {
        let now = taken.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        last > 0 && since.elapsed() > Duration::from_millis(500)
    });
    last
}

#[test]
fn a_backend_is_held_up_by_a_caller_that_does_not_read() {
    let way = Way::new();
    let mut neighbour = way.open();
    let Stream { mut caller, backend, id, up } = way.open();
    let (taken, sending) = flood(backend, up, Some(header().with_id(up)));
    let held = standstill(&taken);
    assert!(held < HELD, "{held} bytes were taken from the backend, and none by the caller");
    neighbour.down_to_up(&data("meanwhile"));
    caller.expect(&header().with_id(id));
    for index in 0..PIECES {
        assert!(caller.read() == piece(index).with_id(id), "piece {index}");
    }
    let backend = sending.join().unwrap();
    Stream { caller, backend, id, up }.finish();
    neighbour.finish();
    assert_eq!(way.proxy.totals().faults.iter().sum::<u64>(), 0);
}

#[test]
fn a_caller_is_held_up_by_a_backend_that_does_not_read() {
    let way = Way::new();
    let mut neighbour = way.open();
    let Stream { caller, mut backend, id, up } = way.open();
    let (taken, sending) = flood(caller, id, None);
    let held = standstill(&taken);
    assert!(held < HELD, "{held} bytes were taken from the caller, and none by the backend");
    neighbour.down_to_up(&data("meanwhile"));
    for index in 0..PIECES {
        assert!(backend.read() == piece(index).with_id(up), "piece {index}");
    }
    let caller = sending.join().unwrap();
    Stream { caller, backend, id, up }.finish();
    neighbour.finish();
    assert_eq!(way.proxy.totals().faults.iter().sum::<u64>(), 0);
}

/// Reads what was under way for a stream up to its end: how many messages, and why it ended.
fn read_to_end(caller: &mut TtConn) -> (usize, i32, String) {
    let mut messages = 0;
    loop {
        let frame = caller.read();
        match frame.frame_type() {
            FrameType::Header => {}
            FrameType::Data => {
                assert!(frame == piece(messages).with_id(frame.id), "message {messages} is another one");
                messages += 1;
            }
            FrameType::Trailer => {
                let (code, text) = frame.code_and_text();
                return (messages, code, text);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A caller that does not read and a fast one share a backend's connection: the slow one's stream ends with a reason.
fn slow_beside_fast(way: &Way) -> String {
    let mut fast = way.open();
    let mut slow = way.caller();
    slow.send(&opening(1));
    let slow_up = opened(&mut fast.backend);
    let (taken, sending) = flood(fast.backend, slow_up, Some(header().with_id(slow_up)));
    eventually("the backend is not held up", || taken.load(Ordering::SeqCst) == PIECES * PIECE);
    fast.backend = sending.join().unwrap();
    // The backend is told that nobody listens.
    let reset = fast.backend.read();
    assert_eq!((reset.id, reset.frame_type()), (slow_up, FrameType::Rst));
    fast.backend.expect(&end().with_id(slow_up));
    fast.down_to_up(&data("as if nothing were"));
    let (messages, code, text) = read_to_end(&mut slow);
    assert!(messages < PIECES, "{messages}");
    assert_eq!(code, 6, "{text}");
    way.eventually("it is counted", |totals| totals.faults_of(FaultKind::OverLimit) == 1);
    // Its connection is as good as ever.
    slow.send(&opening(2));
    let up = opened(&mut fast.backend);
    let mut next = Stream { caller: slow, backend: fast.backend, id: 2, up };
    next.finish();
    fast.backend = next.backend;
    fast.finish();
    text
}

#[test]
fn of_streams_that_share_a_connection_the_slow_one_is_ended_and_no_other_held_up() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\"\nstream_budget = \"1MiB\""));
    let text = slow_beside_fast(&way);
    assert!(text.starts_with("proxy: ") && text.contains("stream_budget"), "{text}");
}

#[test]
fn what_all_streams_of_a_worker_hold_has_a_limit_too() {
    let way = Way::named("stream_memory = \"1MiB\"", |setup| {
        setup.cluster("stream_pool = \"mux\"\nstream_budget = \"1GiB\"")
    });
    let text = slow_beside_fast(&way);
    assert!(text.starts_with("proxy: "), "{text}");
}

#[test]
fn of_a_callers_streams_the_one_whose_backend_is_slow_is_ended_and_no_other_held_up() {
    let way = Way::with(|setup| setup.listener("stream_budget = \"1MiB\""));
    let Stream { mut caller, backend: mut slow, id, up } = way.open_as(1);
    assert_eq!(id, 1);
    caller.send(&opening(2));
    let mut fast = way.backend.accept();
    let fast_up = opened(&mut fast);
    let (taken, sending) = flood(caller, 1, None);
    eventually("the caller is not held up", || taken.load(Ordering::SeqCst) == PIECES * PIECE);
    let mut caller = sending.join().unwrap();
    caller.expect(&header().with_id(1));
    let (code, text) = caller.read().code_and_text();
    assert_eq!(code, 6);
    assert!(text.starts_with("proxy: ") && text.contains("stream_budget"), "{text}");
    Stream { caller, backend: fast, id: 2, up: fast_up }.finish();
    // What was under way, and then the reset.
    let mut messages = 0;
    let last = loop {
        let frame = slow.read();
        if frame.frame_type() != FrameType::Data {
            break frame;
        }
        assert!(frame == piece(messages).with_id(up), "message {messages} is another one");
        messages += 1;
    };
    assert!(messages < PIECES);
    assert_eq!(last.frame_type(), FrameType::Rst);
}

#[test]
fn a_backend_that_goes_on_after_a_cancel_holds_nobody_up() {
    let way = Way::new();
    let mut neighbour = way.open();
    let Stream { mut caller, mut backend, id, up } = way.open();
    caller.send(&TtFrame::rst(id, METHOD, 12_007, "why", ""));
    assert_eq!(backend.read().frame_type(), FrameType::Rst);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flooding = std::thread::spawn(move || {
        let bytes = piece(0).with_id(up).bytes();
        while !stopped.load(Ordering::SeqCst) && backend.try_send(&bytes) {}
    });
    let begun = Instant::now();
    // Longer than it takes until idle connections are looked through.
    while begun.elapsed() < Duration::from_millis(2500) {
        let round = Instant::now();
        neighbour.down_to_up(&data("meanwhile"));
        assert!(round.elapsed() < Duration::from_secs(1), "{:?}", round.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::SeqCst);
    neighbour.finish();
    drop((neighbour, caller, way));
    flooding.join().unwrap();
}

#[test]
fn a_caller_that_takes_nothing_for_too_long_is_closed() {
    let way = Way::with(|setup| setup.listener("write_timeout = \"500ms\""));
    let mut neighbour = way.open();
    let Stream { caller, backend, up, .. } = way.open();
    let mut flooding = backend;
    let sending = std::thread::spawn(move || while flooding.try_send(piece(0).with_id(up).bytes()) {});
    way.eventually("it is counted", |totals| totals.downstream_refused == 1);
    // Its backend's connection has nobody to send to any more; it is told, and closes.
    drop(caller);
    neighbour.finish();
    drop(neighbour);
    drop(way);
    sending.join().unwrap();
}
