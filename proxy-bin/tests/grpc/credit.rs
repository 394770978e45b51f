//! Flow control from end to end: who does not read stalls who sends, within a bound, and nobody else (design 5).

use std::time::Duration;

use grpc_frame::http2::{Frame, SettingId};
use testkit::peer::RawServer;
use testkit::peer::http2::{RawH2, grpc_message};

use crate::stage::{Backend, LONG, NONE, Open, PATH, QUIET, caller, echo, open};
use crate::support::{Process, Setup};

/// What HTTP/2 gives at first, in bytes: all that a peer that grants nothing takes.
const WINDOW: usize = 65_535;
/// What may be between both ends of a stalled direction: the proxy's stream window, what it holds to send, a frame.
const BETWEEN: usize = (256 + 64 + 16) << 10;

/// Sends as much as the windows allow, until no credit comes for a while: how much that was.
fn send_until_stalled(conn: &mut RawH2, stream: u32) -> usize {
    let mut sent = 0;
    loop {
        let room = usize::try_from(conn.window(stream)).unwrap_or_default().min(16_000);
        if room == 0 {
            let credit = |frame: &testkit::peer::http2::H2Frame| matches!(frame.frame, Frame::WindowUpdate(_));
            let Some(frame) = conn.poll_frame(2 * QUIET) else { return sent };
            assert!(credit(&frame) || matches!(frame.frame, Frame::Settings(_)), "{frame:?}");
            continue;
        }
        conn.send_data(stream, vec![0; room], false);
        sent += room;
    }
}

/// Reads DATA of `stream` until none comes for a while: how much that was.
fn read_until_stalled(conn: &mut RawH2, stream: u32) -> usize {
    let mut came = 0;
    while let Some(frame) = conn.poll_frame(2 * QUIET) {
        if let Frame::Data(data) = &frame.frame
            && frame.stream() == stream
        {
            came += data.data.len();
        }
    }
    came
}

/// A message that never ends, as far as these tests are concerned.
const ENDLESS: [u8; 5] = [0, 0, 0x90, 0, 0];

#[test]
fn a_caller_that_takes_nothing_stalls_the_backend() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    opened.conn.send_data(opened.at, ENDLESS, false);
    let sent = ENDLESS.len() + send_until_stalled(&mut opened.conn, opened.at);
    println!("a backend could send {sent} bytes to a caller that takes {WINDOW}");
    assert!((WINDOW..=WINDOW + BETWEEN).contains(&sent), "{sent}");
    let came = read_until_stalled(&mut opened.caller, opened.stream);
    assert_eq!(came, WINDOW, "all that the caller allows");
    // What the caller takes, and no more, the backend may send anew.
    let (mut taken, mut sent) = (came, sent);
    for _ in 0..4 {
        opened.caller.grant(opened.stream, 200_000);
        opened.caller.grant(0, 200_000);
        sent += send_until_stalled(&mut opened.conn, opened.at);
        taken += read_until_stalled(&mut opened.caller, opened.stream);
        println!("taken {taken}, sent {sent}");
        assert!(sent <= taken + BETWEEN, "sent {sent}, taken {taken}");
        assert!(sent >= taken, "sent {sent}, taken {taken}");
    }
    assert_eq!(taken, WINDOW + 4 * 200_000, "nothing that may pass is held back");
}

#[test]
fn a_backend_that_takes_nothing_stalls_the_caller() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.caller.send_data(opened.stream, ENDLESS, false);
    let mut sent = ENDLESS.len() + send_until_stalled(&mut opened.caller, opened.stream);
    println!("a caller could send {sent} bytes to a backend that takes {WINDOW}");
    assert!((WINDOW..=WINDOW + BETWEEN).contains(&sent), "{sent}");
    let mut taken = read_until_stalled(&mut opened.conn, opened.at);
    assert_eq!(taken, WINDOW, "all that the backend allows");
    for _ in 0..4 {
        opened.conn.grant(opened.at, 200_000);
        opened.conn.grant(0, 200_000);
        sent += send_until_stalled(&mut opened.caller, opened.stream);
        taken += read_until_stalled(&mut opened.conn, opened.at);
        assert!((taken..=taken + BETWEEN).contains(&sent), "sent {sent}, taken {taken}");
    }
    assert_eq!(taken, WINDOW + 4 * 200_000, "nothing that may pass is held back");
}

#[test]
fn a_stalled_stream_does_not_stall_others_of_its_connections() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    opened.conn.send_data(opened.at, ENDLESS, false);
    send_until_stalled(&mut opened.conn, opened.at);
    let came = read_until_stalled(&mut opened.caller, opened.stream);
    // Credit for the connection and not for the stream.
    opened.caller.grant(0, u32::try_from(came).unwrap());
    for _ in 0..20 {
        let (stream, at) = opened.another();
        opened.conn.respond(at);
        assert!(opened.conn.send_all(at, grpc_message(vec![1; 1000]), false));
        opened.conn.trailers(at, 0, "");
        let answer = opened.caller.read_answer(stream);
        assert_eq!((answer.data.len(), answer.status()), (1005, Some(0)));
    }
}

#[test]
fn callers_that_take_nothing_do_not_stall_other_callers_of_the_backend() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    // 60 streams at the proxy's stream window are more than a connection's window of 8 MiB.
    let mut stalled = vec![opened.at];
    for _ in 1..60 {
        stalled.push(opened.another().1);
    }
    for at in &stalled {
        opened.conn.respond(*at);
        opened.conn.send_data(*at, ENDLESS, false);
    }
    for at in stalled {
        let mut room = opened.conn.window(at);
        while room > 0 {
            opened.conn.send_data(at, vec![0; usize::try_from(room.min(16_384)).unwrap()], false);
            room = opened.conn.window(at);
        }
    }
    let mut other = caller(&proxy);
    other.auto_credit(true);
    let stream = other.request(PATH, NONE);
    // On whichever connection it comes.
    let mut fresh = None;
    testkit::peer::eventually("the other caller's stream comes", || {
        if backend.connections() > 1 {
            fresh.get_or_insert_with(|| backend.accept()).next_request().is_some()
        } else {
            let is_new = |frame: testkit::peer::http2::H2Frame| frame.fields.contains(":path");
            opened.conn.poll_frame(QUIET / 5).is_some_and(is_new)
        }
    });
    let (conn, at) = match &mut fresh {
        Some(conn) => (conn, 1),
        None => (&mut opened.conn, 121),
    };
    conn.respond(at);
    let message = grpc_message(vec![7; 100_000]);
    assert!(conn.send_all(at, &message, false), "its data have to get through");
    conn.trailers(at, 0, "");
    let answer = other.read_answer(stream);
    assert_eq!((answer.data.len(), answer.status()), (message.len(), Some(0)));
}

#[test]
fn a_message_of_64_mib_passes_both_ways() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn).patience(LONG);
        conn.auto_credit(true);
        let Some(request) = conn.next_request() else { return };
        let message = conn.next_grpc_message(request.stream).expect("a message");
        assert_eq!(conn.next_grpc_message(request.stream), None);
        conn.respond(request.stream);
        assert!(conn.send_all(request.stream, grpc_message(message), false));
        conn.trailers(request.stream, 0, "");
        while conn.next_frame().is_some() {}
    });
    let process = Process::run(&Setup::to(&backend).listener("max_message = \"64MiB\"").text());
    let before = process.kib("VmRSS:");
    let mut caller = RawH2::client(process.addr()).patience(3 * LONG);
    caller.auto_credit(true);
    let payload: Vec<u8> = (0..64_u32 << 20).map(|n| (n.wrapping_mul(31) >> 8) as u8).collect();
    let answer = caller.call(PATH, NONE, &payload);
    assert_eq!(answer.status(), Some(0));
    assert!(answer.data[5..] == payload, "{} bytes came", answer.data.len());
    assert_eq!(answer.data[..5], [0, 4, 0, 0, 0]);
    let peak = process.kib("VmHWM:");
    println!("64 MiB and back: RSS {before} KiB, peak {peak} KiB");
    assert!(peak - before <= 8 << 10, "it passes in pieces: {before} KiB, then {peak}");
}

#[test]
fn a_thousand_idle_streams_take_little() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn).patience(LONG);
        while let Some(request) = conn.next_request() {
            conn.respond(request.stream);
        }
    });
    let process = Process::run(&Setup::to(&backend).text());
    let before = process.kib("VmRSS:");
    let mut callers: Vec<_> = (0..4).map(|_| RawH2::client(process.addr()).patience(LONG)).collect();
    for caller in &mut callers {
        for _ in 0..250 {
            caller.request(PATH, NONE);
        }
    }
    for caller in &mut callers {
        for number in 0..250 {
            caller.wait_for_headers(2 * number + 1);
        }
    }
    let open = process.kib("VmRSS:");
    println!("1,000 open idle streams: RSS {before} KiB before, {open} KiB with them");
    assert!(open <= 24 << 10, "{open} KiB (issue 5: at most 24 MiB)");
}

#[test]
fn a_thousand_streams_are_open_at_a_time_on_one_connection() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("max_streams = 1000").start();
    let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
    conn.wait_for_settings_ack();
    let streams: Vec<_> = std::iter::once(stream).chain((1..1000).map(|_| caller.request(PATH, NONE))).collect();
    let mut ats = vec![at];
    while ats.len() < 1000 {
        ats.push(conn.next_request().expect("a stream").stream);
    }
    for (number, stream) in streams.iter().enumerate() {
        caller.send_data(*stream, grpc_message(number.to_be_bytes()), true);
    }
    // The last come first.
    for at in ats.iter().rev() {
        let message = conn.next_grpc_message(*at).expect("a message");
        conn.respond(*at);
        conn.send_data(*at, grpc_message(message), false);
        conn.trailers(*at, 0, "");
    }
    for (number, stream) in streams.iter().enumerate() {
        let answer = caller.read_answer(*stream);
        assert_eq!((answer.messages(), answer.status()), (vec![number.to_be_bytes().to_vec()], Some(0)));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_window_that_shrinks_and_grows_is_kept_to() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 100)]);
    opened.conn.wait_for_settings_ack();
    let (stream, at) = opened.another();
    opened.caller.send_data(stream, grpc_message(vec![1; 1000]), false);
    assert_eq!(read_until_stalled(&mut opened.conn, at), 100);
    // Below nothing, and up again.
    opened.conn.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 50)]);
    opened.conn.wait_for_settings_ack();
    opened.conn.grant(at, 50);
    opened.conn.expect_silence(&[at], QUIET);
    opened.conn.send_settings(&[(SettingId::INITIAL_WINDOW_SIZE, 65_535)]);
    let rest = 1005 - 100;
    let mut came = 0;
    while came < rest {
        came += opened.conn.wait_for_data(at).data.len();
    }
    assert_eq!(came, rest);
}

#[test]
fn a_long_conversation_leaks_no_credit() {
    // More than any window over one stream, and over many of one connection.
    let backend = echo();
    let proxy = Setup::to(&backend).start();
    let mut caller = caller(&proxy);
    caller.auto_credit(true);
    let stream = caller.request(PATH, NONE);
    for _ in 0..60 {
        assert!(caller.send_all(stream, grpc_message(vec![5; 20_000]), false));
        assert_eq!(caller.next_grpc_message(stream).map(|message| message.len()), Some(20_000));
    }
    caller.send_data(stream, "", true);
    assert_eq!(caller.read_answer(stream).status(), Some(0));
    for _ in 0..60 {
        let answer = caller.call(PATH, NONE, vec![6; 20_000]);
        assert_eq!((answer.data.len(), answer.status()), (20_005, Some(0)));
    }
}

#[test]
fn credit_of_streams_that_were_cut_off_comes_back() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    // 80 × 250,000 bytes are more than the proxy's window for a backend's connection.
    for round in 0..80 {
        let (stream, at) = opened.another();
        opened.conn.respond(at);
        assert!(opened.conn.send_all(at, [&ENDLESS[..], &vec![0; 250_000]].concat(), false), "round {round}");
        opened.caller.wait_for_data(stream);
        opened.caller.send_reset(stream, grpc_frame::http2::ErrorCode::CANCEL);
        opened.conn.wait_for_reset(at);
        // What the caller got is counted against its window.
        opened.caller.grant(0, 65_535);
        while opened.caller.poll_frame(Duration::from_millis(1)).is_some() {}
    }
    opened.still_works();
}
