//! Hostile callers: their connections are closed or held back, memory stays bounded, and others do not notice (issue 6).
//! The proxy is a process here, so that what it takes can be read; `--nocapture` shows the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    ErrorCode, Flags, Frame, FrameType, GoAway, Headers, Ping, RstStream, SettingId, Settings, StreamId,
};
use testkit::peer::RawServer;
use testkit::peer::http2::{RawH2, grpc_message, grpc_request};

use crate::guards::bomb;
use crate::stage::{Backend, LONG, NONE, PATH, QUIET, caller, open};
use crate::support::{Process, Setup};

/// What the proxy may take more of, in KiB: the buffers of a connection or two, and what the allocator keeps.
const GROWTH: usize = 24 << 10;
/// How long a call of somebody else may take meanwhile, on a busy machine and without optimisation.
const PATIENT: Duration = Duration::from_secs(5);

/// How an attack ended.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// The proxy closed the connection, and said why if it could still be heard.
    Closed(Option<ErrorCode>),
    /// It took no more for a second.
    HeldBack,
    /// It took everything.
    Taken,
}

/// A backend that answers every stream at once, many at a time, and counts them.
fn lively() -> (RawServer, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let backend = RawServer::start(move |conn| {
        let mut conn = RawH2::server(conn).patience(LONG);
        conn.auto_credit(true);
        while let Some(frame) = conn.next_frame() {
            let at = frame.stream();
            match &frame.frame {
                Frame::Headers(_) => {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Frame::Data(data) if !data.data.is_empty() => {
                    conn.respond(at);
                    conn.send_data(at, &data.data, false);
                }
                _ => {}
            }
            if frame.ends_stream() {
                conn.trailers(at, 0, "");
            }
        }
    });
    (backend, seen)
}

/// Lets `attack` loose on a proxy while another caller makes its calls. What the proxy grew by is held against
/// [`GROWTH`], the other's calls against [`PATIENT`].
fn besieged(name: &str, attack: impl FnOnce(&mut RawH2) -> bool + Send) -> (Verdict, usize) {
    let (backend, seen) = lively();
    let process = Process::run(&Setup::to(&backend).text());
    let mut other = RawH2::client(process.addr()).patience(LONG);
    other.auto_credit(true);
    let mut call = || {
        let begun = Instant::now();
        let answer = other.call(PATH, NONE, "hello");
        assert_eq!((answer.status(), answer.messages()), (Some(0), vec![b"hello".to_vec()]), "{name}");
        begun.elapsed()
    };
    let usual = call();
    let before = process.kib("VmRSS:");
    let mut attacker = RawH2::client(process.addr()).patience(LONG);
    attacker.conn().stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut calls, mut slowest) = (1, usual);
    let verdict = std::thread::scope(|scope| {
        let attacking = scope.spawn(move || {
            let taken = attack(&mut attacker);
            verdict(&mut attacker, taken)
        });
        while !attacking.is_finished() {
            slowest = slowest.max(call());
            calls += 1;
        }
        attacking.join().unwrap()
    });
    slowest = slowest.max(call());
    let (after, peak) = (process.kib("VmRSS:"), process.kib("VmHWM:"));
    let streams = seen.load(Ordering::Relaxed) - calls - 1;
    println!(
        "{name}: {verdict:?}; RSS {before} KiB, peak {peak}, after {after}; {streams} streams reached the backend; of \
         {calls} calls meanwhile the slowest took {slowest:?}"
    );
    assert!(peak - before <= GROWTH, "{name}: grew from {before} KiB to {peak}");
    assert!(slowest <= PATIENT, "{name}: a call took {slowest:?}");
    (verdict, streams)
}

/// What has become of the attacker, `taken` being whether all was written.
fn verdict(attacker: &mut RawH2, taken: bool) -> Verdict {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut code = None;
    while let Some(frame) = attacker.poll_frame(deadline.saturating_duration_since(Instant::now())) {
        if let Frame::GoAway(GoAway { code: why, .. }) = frame.frame {
            code = Some(why);
        }
    }
    // Whoever still answers is not closed.
    if code.is_some() || Instant::now() < deadline || !attacker.try_send(encoded(&Ping::new(*b"alive?!?").into())) {
        return if taken || code.is_some() || Instant::now() < deadline {
            Verdict::Closed(code)
        } else {
            Verdict::HeldBack
        };
    }
    if taken { Verdict::Taken } else { Verdict::HeldBack }
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut octets = BytesMut::new();
    frame.encode(&mut octets).unwrap();
    octets
}

fn request(stream: u32, end: bool) -> BytesMut {
    let flags = Flags::END_HEADERS.with(Flags::END_STREAM, end);
    encoded(&Headers::new(StreamId::new(stream), grpc_request(PATH, NONE).literal_block()).with_flags(flags).into())
}

fn reset(stream: u32) -> BytesMut {
    encoded(&RstStream::new(StreamId::new(stream), ErrorCode::CANCEL).into())
}

/// Writes what `frames` makes of each number until the proxy takes no more.
fn pour(attacker: &mut RawH2, numbers: std::ops::Range<u32>, frames: impl Fn(u32) -> BytesMut) -> bool {
    let mut octets = BytesMut::new();
    for number in numbers {
        octets.extend_from_slice(&frames(number));
        if octets.len() > 32 << 10 && !attacker.try_send(octets.split()) {
            return false;
        }
    }
    attacker.try_send(octets)
}

#[test]
fn a_rapid_reset_is_cut_off() {
    let (verdict, streams) = besieged("rapid reset", |attacker| {
        pour(attacker, 0..50_000, |n| {
            let mut octets = request(2 * n + 1, false);
            octets.extend_from_slice(&reset(2 * n + 1));
            octets
        })
    });
    assert!(matches!(verdict, Verdict::Closed(_)), "{verdict:?}");
    assert!(streams < 5_000, "{streams} streams reached the backend");
}

#[test]
fn a_reset_of_each_stream_as_soon_as_it_is_open_hurts_nobody() {
    // At a pace that lets each of them be accepted: nothing to be refused, and nothing to be felt.
    besieged("paced reset", |attacker| {
        (0..1_000).all(|n| {
            let mut octets = request(2 * n + 1, false);
            octets.extend_from_slice(&encoded(&Ping::new(u64::from(n).to_be_bytes()).into()));
            let sent = attacker.try_send(octets);
            attacker.wait_for_pong(u64::from(n).to_be_bytes());
            sent && attacker.try_send(reset(2 * n + 1))
        })
    });
}

#[test]
fn a_flood_of_continuations_is_cut_off() {
    for len in [0, 1, 1_000, 16_384] {
        let (verdict, streams) = besieged(&format!("CONTINUATION of {len}"), |attacker| {
            let block = grpc_request(PATH, NONE).literal_block();
            attacker.send_frame(Headers::new(StreamId::new(1), block).with_flags(Flags::NONE));
            pour(attacker, 0..if len > 1_000 { 4_000 } else { 200_000 }, |_| {
                // Literals that are not indexed: name `a`, value of `len`.
                let fragment = Bytes::from(vec![b'a'; len]);
                let frame =
                    grpc_frame::http2::Continuation { stream_id: StreamId::new(1), flags: Flags::NONE, fragment };
                encoded(&frame.into())
            })
        });
        assert!(matches!(verdict, Verdict::Closed(_)), "{len}: {verdict:?}");
        assert_eq!(streams, 0);
    }
}

#[test]
fn header_bombs_take_no_memory() {
    let (_, streams) = besieged("HPACK bomb", |attacker| {
        attacker.try_send({
            let flags = Flags::END_HEADERS.with(Flags::END_STREAM, true);
            encoded(&Headers::new(StreamId::new(1), bomb(12_000).into()).with_flags(flags).into())
        }) && pour(attacker, 1..500, |n| {
            // The field is in the table: references alone.
            let flags = Flags::END_HEADERS.with(Flags::END_STREAM, true);
            let block = Bytes::from(vec![0x80 | 62; 16_000]);
            encoded(&Headers::new(StreamId::new(2 * n + 1), block).with_flags(flags).into())
        })
    });
    assert_eq!(streams, 0, "none of them reaches a backend");
}

#[test]
fn floods_that_ask_for_answers_are_held_back_or_cut_off() {
    // The answers fill what the kernel keeps for both ends: little for the attacker.
    let small = |attacker: &RawH2| {
        socket2::SockRef::from(attacker.conn().stream()).set_recv_buffer_size(4096).unwrap();
    };
    // And far more than the kernel keeps of the questions.
    let settings = encoded(&Settings::new([]).unwrap().into()).repeat(1000);
    let ping = encoded(&Ping::new([7; 8]).into()).repeat(1000);
    for (name, thousand) in [("SETTINGS", settings), ("PING", ping)] {
        let (verdict, _) = besieged(name, |attacker| {
            small(attacker);
            (0..8_000).all(|_| attacker.try_send(&thousand))
        });
        assert_ne!(verdict, Verdict::Taken, "{name}");
    }
}

#[test]
fn floods_that_ask_for_nothing_take_no_memory() {
    besieged("PRIORITY", |attacker| {
        pour(attacker, 0..150_000, |n| {
            let payload = Bytes::from_static(&[0, 0, 0, 0, 7]);
            unknown(FrameType::PRIORITY, Flags::NONE, 2 * n + 1, payload)
        })
    });
    besieged("unknown frames", |attacker| {
        pour(attacker, 0..2_000, |_| unknown(FrameType(0xee), Flags::NONE, 0, Bytes::from(vec![0; 16_384])))
    });
    besieged("WINDOW_UPDATE", |attacker| {
        pour(attacker, 0..150_000, |_| {
            unknown(FrameType::WINDOW_UPDATE, Flags::NONE, 0, Bytes::from_static(&[0, 0, 0, 1]))
        })
    });
    let (verdict, _) = besieged("empty DATA", |attacker| {
        attacker.send(request(1, false));
        pour(attacker, 0..150_000, |_| unknown(FrameType::DATA, Flags::NONE, 1, Bytes::new()))
    });
    assert!(matches!(verdict, Verdict::Closed(_)), "{verdict:?}");
    let (verdict, _) = besieged("padding alone", |attacker| {
        attacker.send(request(1, false));
        pour(attacker, 0..150_000, |_| unknown(FrameType::DATA, Flags::PADDED, 1, Bytes::from_static(&[0])))
    });
    assert_ne!(verdict, Verdict::Taken, "150,000 bytes of padding are over the window");
}

fn unknown(frame_type: FrameType, flags: Flags, stream: u32, payload: Bytes) -> BytesMut {
    encoded(&grpc_frame::http2::Unknown { frame_type, flags, stream_id: StreamId::new(stream), payload }.into())
}

#[test]
fn streams_that_the_proxy_is_made_to_reset_are_reset_at_the_backend_and_cut_off() {
    // MadeYouReset: what the caller does is a fault of the stream alone, so that the count of streams never grows.
    let zero_update = |stream| unknown(FrameType::WINDOW_UPDATE, Flags::NONE, stream, Bytes::from_static(&[0; 4]));
    let overflow =
        |stream| unknown(FrameType::WINDOW_UPDATE, Flags::NONE, stream, Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
    let late_data = |stream| {
        let mut octets = unknown(FrameType::DATA, Flags::END_STREAM, stream, Bytes::new());
        octets.extend_from_slice(&unknown(FrameType::DATA, Flags::NONE, stream, Bytes::from_static(b"late")));
        octets
    };
    let provocations: [(&str, &(dyn Fn(u32) -> BytesMut + Sync)); 3] =
        [("WINDOW_UPDATE 0", &zero_update), ("window overflow", &overflow), ("DATA after the end", &late_data)];
    for (name, provoke) in provocations {
        let (verdict, streams) = besieged(&format!("MadeYouReset by {name}"), |attacker| {
            pour(attacker, 0..20_000, |n| {
                let mut octets = request(2 * n + 1, false);
                octets.extend_from_slice(&provoke(2 * n + 1));
                octets
            })
        });
        assert!(matches!(verdict, Verdict::Closed(_)), "{name}: {verdict:?}");
        assert!(streams <= 5_000, "{name}: {streams} streams reached the backend");
    }
}

#[test]
fn a_caller_that_opens_no_window_holds_little() {
    let (verdict, streams) = besieged("no window", |attacker| {
        attacker.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]);
        // The proxy's own windows are known from here on.
        attacker.send_ping(*b"settled?");
        attacker.wait_for_pong(*b"settled?");
        (0..200).all(|n| {
            attacker.send(request(2 * n + 1, false));
            attacker.send_all(2 * n + 1, grpc_message(vec![1; 30_000]), true)
        })
    });
    assert_eq!((verdict, streams), (Verdict::Taken, 200));
}

#[test]
fn all_streams_of_a_connection_together_hold_its_window_and_no_more() {
    let backend = Backend::with_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]);
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.wait_for_settings_ack();
    // The proxy's own windows are known from here on.
    opened.caller.send_ping(*b"settled?");
    opened.caller.wait_for_pong(*b"settled?");
    let streams: Vec<_> = (0..100).map(|_| opened.another().0).collect();
    let mut sent = 0;
    while let Some(stream) = streams.iter().find(|stream| opened.caller.window(**stream) > 0) {
        let room = usize::try_from(opened.caller.window(*stream).min(16_000)).unwrap();
        opened.caller.send_data(*stream, vec![0; room], false);
        sent += room;
        while opened.caller.poll_frame(Duration::from_micros(1)).is_some() {}
    }
    println!("100 streams of a caller could send {sent} bytes to a backend that takes none");
    assert!((65_535..=(1 << 20) + (128 << 10)).contains(&sent), "{sent}");
}

#[test]
fn tricks_with_windows_end_the_stream_or_its_connection_alone() {
    // What is sent on which stream, and what comes of it: the stream's reset, or the connection's end with this code.
    let max = [0x7f, 0xff, 0xff, 0xff];
    let zero = [0; 4];
    for (what, on_stream, payload, code) in [
        ("overflow of a stream", true, max, ErrorCode::FLOW_CONTROL_ERROR),
        ("overflow of a connection", false, max, ErrorCode::FLOW_CONTROL_ERROR),
        ("0 on a stream", true, zero, ErrorCode::PROTOCOL_ERROR),
        ("0 on a connection", false, zero, ErrorCode::PROTOCOL_ERROR),
    ] {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let mut opened = open(&proxy, &backend, NONE);
        let mut other = caller(&proxy);
        let other_stream = other.request(PATH, NONE);
        let other_at = opened.conn.next_request().unwrap().stream;
        let stream = if on_stream { opened.stream } else { 0 };
        opened.caller.send_any(FrameType::WINDOW_UPDATE, Flags::NONE, stream, payload);
        let told =
            opened.caller.wait_for("an end", |frame| matches!(frame.frame, Frame::RstStream(_) | Frame::GoAway(_)));
        match told.frame {
            Frame::RstStream(reset) => assert_eq!((on_stream, reset.code), (true, code), "{what}"),
            Frame::GoAway(goaway) => assert_eq!(goaway.code, code, "{what}"),
            other => unreachable!("{other:?}"),
        }
        opened.conn.wait_for_reset(opened.at);
        opened.conn.trailers(other_at, 0, "unharmed");
        assert_eq!(other.read_answer(other_stream).message(), Some("unharmed"), "{what}");
    }
}

#[test]
fn data_beyond_the_window_ends_the_connection_alone() {
    let backend = Backend::with_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]);
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    for _ in 0..100 {
        if !opened.caller.try_send(unknown(FrameType::DATA, Flags::NONE, 1, Bytes::from(vec![0; 16_384]))) {
            break;
        }
    }
    let told = opened.caller.wait_for("an end", |frame| matches!(frame.frame, Frame::RstStream(_) | Frame::GoAway(_)));
    let code = match told.frame {
        Frame::RstStream(reset) => reset.code,
        Frame::GoAway(goaway) => goaway.code,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(code, ErrorCode::FLOW_CONTROL_ERROR);
    opened.conn.wait_for_reset(opened.at);
}

#[test]
fn a_preface_that_does_not_come_to_its_end_is_not_waited_for() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("sniff_timeout = \"300ms\"").start();
    for len in [1, 8, 23] {
        let mut slow = RawH2::connect(proxy.addr()).patience(LONG);
        slow.send(&grpc_frame::http2::PREFACE[..len]);
        slow.read_to_close();
    }
    // SETTINGS go out at once, before the rest of the preface is there (B1).
    let mut slow = RawH2::connect(proxy.addr()).patience(LONG);
    slow.send(&grpc_frame::http2::PREFACE[..10]);
    slow.wait_for_settings();
}

#[test]
fn broken_frames_end_their_connection_and_no_other() {
    let broken: [(&str, &[u8]); 9] = [
        ("DATA on stream 0", &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("HEADERS on an even stream", &[0, 0, 1, 1, 5, 0, 0, 0, 2, 0x82]),
        ("a frame over the limit", &[0x00, 0x40, 0x01, 0, 0, 0, 0, 0, 1]),
        ("PING of 7", &[0, 0, 7, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]),
        ("SETTINGS of 5", &[0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]),
        ("CONTINUATION alone", &[0, 0, 1, 9, 4, 0, 0, 0, 1, 0x82]),
        ("PUSH_PROMISE", &[0, 0, 5, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0x82]),
        ("a header block that is none", &[0, 0, 2, 1, 5, 0, 0, 0, 9, 0xff, 0xff]),
        ("no HTTP/2", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut other = open(&proxy, &backend, NONE);
    for (what, octets) in broken {
        let mut caller = caller(&proxy);
        let stream = caller.request(PATH, NONE);
        let at = other.conn.next_request().unwrap().stream;
        caller.send(octets);
        let told = caller.wait_for_goaway();
        assert_ne!(told.code, ErrorCode::NO_ERROR, "{what}");
        caller.read_to_close();
        assert_eq!(other.conn.wait_for_reset(at), ErrorCode::CANCEL, "{what}: stream {stream} is given up");
        other.still_works();
    }
    other.conn.expect_silence(&[u32::MAX], QUIET / 5);
}
