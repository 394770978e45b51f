//! Which endpoint and which connection a stream takes (issue: pool that grows, balances per call, ages).

use std::net::TcpListener;
use std::time::Duration;

use grpc_frame::http2::{ErrorCode, SettingId};
use testkit::peer::eventually;
use testkit::peer::http2::RawH2;

use crate::stage::{Backend, LONG, NONE, PATH, QUIET, caller, open};
use crate::support::TestProxy;

/// A proxy in front of several endpoints.
fn in_front_of(endpoints: &[String], cluster: &str) -> TestProxy {
    let endpoints: Vec<_> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    TestProxy::start(&format!(
        "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\ncluster = \
         \"backend\"\n[cluster.backend]\nendpoints = [{}]\n{cluster}",
        endpoints.join(", ")
    ))
}

/// An address where nobody listens.
fn nobody() -> String {
    // Bound once, and closed: the system hands out other ports first.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn limited(streams: u32) -> Backend {
    Backend::with_settings(&[(SettingId::MAX_CONCURRENT_STREAMS, streams)])
}

/// Lets the proxy learn of the settings of a first connection: a call there and back, after which it is free.
fn settle(proxy: &TestProxy, caller: &mut RawH2, backend: &Backend) -> RawH2 {
    let stream = caller.request(PATH, NONE);
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    conn.wait_for_settings_ack();
    conn.trailers(at, 0, "");
    assert_eq!(caller.read_answer(stream).status(), Some(0));
    proxy.eventually("the call is over", |totals| totals.streams_ok == 1);
    conn
}

#[test]
fn calls_of_one_connection_take_turns_over_the_endpoints() {
    let backends = [Backend::start(), Backend::start(), Backend::start()];
    let proxy = in_front_of(&backends.each_ref().map(|backend| backend.addr().to_string()), "");
    let mut caller = caller(&proxy);
    for round in 0..3 {
        let streams: Vec<_> = backends.iter().map(|_| caller.request(PATH, NONE)).collect();
        proxy.eventually("all are under way", |totals| totals.calls.iter().sum::<u64>() == (round + 1) * 3);
        drop(streams);
    }
    for backend in &backends {
        let mut conn = backend.accept();
        for _ in 0..3 {
            let at = conn.next_request().unwrap().stream;
            conn.trailers(at, 0, "");
        }
        conn.expect_silence(&[7], QUIET / 5);
        assert_eq!(backend.connections(), 1);
    }
    for stream in (0..9).map(|n| n * 2 + 1) {
        assert_eq!(caller.read_answer(stream).status(), Some(0));
    }
}

#[test]
fn weights_are_kept() {
    let backends = [Backend::start(), Backend::start()];
    let [heavy, light] = backends.each_ref().map(|backend| backend.addr());
    let proxy = TestProxy::start(&format!(
        "workers = 1\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\ncluster = \"b\"\n[cluster.b]\nendpoints = \
         [{{ address = \"{heavy}\", weight = 3 }}, {{ address = \"{light}\", weight = 1 }}]"
    ));
    let mut caller = caller(&proxy);
    for _ in 0..8 {
        caller.request(PATH, NONE);
    }
    for (backend, share) in backends.iter().zip([6, 2]) {
        let mut conn = backend.accept();
        for _ in 0..share {
            let at = conn.next_request().unwrap().stream;
            conn.trailers(at, 0, "");
        }
        conn.expect_silence(&[share * 2 + 1], QUIET / 5);
    }
}

#[test]
fn an_endpoint_that_refuses_connections_is_passed_over() {
    let backend = Backend::start();
    let proxy = in_front_of(&[nobody(), backend.addr().to_string()], "");
    let mut caller = caller(&proxy);
    let mut conn = None;
    for _ in 0..6 {
        let stream = caller.request(PATH, NONE);
        let conn = conn.get_or_insert_with(|| backend.accept());
        let at = conn.next_request().unwrap().stream;
        conn.trailers(at, 0, "reached");
        assert_eq!(caller.read_answer(stream).message(), Some("reached"));
    }
}

#[test]
fn with_no_endpoint_to_be_reached_a_stream_is_unavailable() {
    let proxy = in_front_of(&[nobody(), nobody()], "");
    let mut caller = caller(&proxy);
    for _ in 0..3 {
        let stream = caller.request(PATH, NONE);
        let answer = caller.read_answer(stream);
        assert_eq!((answer.status(), answer.is_trailers_only()), (Some(14), true), "{answer:?}");
        assert!(answer.message().unwrap().starts_with("proxy: "), "{answer:?}");
    }
}

#[test]
fn an_endpoint_that_comes_back_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let proxy = in_front_of(&[addr.to_string()], "");
    let mut caller = caller(&proxy);
    let stream = caller.request(PATH, NONE);
    assert_eq!(caller.read_answer(stream).status(), Some(14));
    let listener = TcpListener::bind(addr).unwrap();
    let served = std::thread::spawn(move || {
        let (mut conn, _) = listener.accept().unwrap();
        conn.set_read_timeout(Some(LONG)).unwrap();
        let mut octets = [0; 24];
        std::io::Read::read_exact(&mut conn, &mut octets).unwrap();
        octets
    });
    caller.request(PATH, NONE);
    assert_eq!(served.join().unwrap(), grpc_frame::http2::PREFACE);
}

#[test]
fn the_pool_grows_with_the_backends_stream_limit() {
    for limit in [1, 2, 3] {
        let backend = limited(limit);
        let proxy = backend.setup().start();
        let mut caller = caller(&proxy);
        let mut conns = vec![settle(&proxy, &mut caller, &backend)];
        let streams: Vec<_> = (0..6).map(|_| caller.request(PATH, NONE)).collect();
        while conns.len() < usize::try_from(6 / limit).unwrap() {
            conns.push(backend.accept());
        }
        // Nobody is answered before all have their place: room would come from elsewhere.
        let mut ats = Vec::new();
        for conn in &mut conns {
            let mut next = || conn.next_request().expect("a stream").stream;
            ats.push((0..limit).map(|_| next()).collect::<Vec<_>>());
        }
        for (conn, ats) in conns.iter_mut().zip(ats) {
            for at in ats {
                conn.trailers(at, 0, "");
            }
        }
        for stream in streams {
            assert_eq!(caller.read_answer(stream).status(), Some(0), "limit {limit}");
        }
        assert_eq!(backend.connections(), conns.len(), "limit {limit}");
        // With room in them, they are used again.
        proxy.eventually("the calls are over", |totals| totals.streams_ok == 7);
        for _ in 0..4 {
            let stream = caller.request(PATH, NONE);
            let mut answered = false;
            eventually("one of them has it", || {
                for conn in &mut conns {
                    let came = conn.poll_frame(Duration::from_millis(1));
                    if let Some(frame) = came.filter(|frame| frame.fields.contains(":path")) {
                        conn.trailers(frame.stream(), 0, "");
                        answered = true;
                    }
                }
                answered
            });
            assert_eq!(caller.read_answer(stream).status(), Some(0), "limit {limit}");
        }
        assert_eq!(backend.connections(), conns.len(), "limit {limit}");
    }
}

#[test]
fn streams_that_come_before_the_backends_limit_is_known_are_all_served() {
    // Strict: whatever is over its limit of two is refused.
    let backend = testkit::peer::RawServer::start(|conn| {
        let mut conn = RawH2::accepted(conn).patience(LONG);
        conn.open(&[(SettingId::MAX_CONCURRENT_STREAMS, 2)]);
        let mut live: Vec<u32> = Vec::new();
        loop {
            let came = if live.is_empty() { conn.next_frame() } else { conn.poll_frame(QUIET / 5) };
            match came {
                Some(frame) if frame.fields.contains(":path") && live.len() == 2 => {
                    conn.send_reset(frame.stream(), ErrorCode::REFUSED_STREAM);
                }
                Some(frame) if frame.fields.contains(":path") => live.push(frame.stream()),
                Some(_) => {}
                None if live.is_empty() => return,
                None => live.drain(..).for_each(|at| conn.trailers(at, 0, "served")),
            }
        }
    });
    let proxy = crate::support::Setup::to(&backend).start();
    let mut caller = caller(&proxy);
    let streams: Vec<_> = (0..8).map(|_| caller.request(PATH, NONE)).collect();
    for stream in streams {
        let answer = caller.read_answer(stream);
        assert_eq!(answer.message(), Some("served"), "{answer:?}");
    }
}

#[test]
fn with_a_limit_of_none_a_stream_waits_until_there_is_room() {
    let backend = limited(1);
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let mut conn = settle(&proxy, &mut caller, &backend);
    conn.send_settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 0)]);
    conn.wait_for_settings_ack();
    let stream = caller.request(PATH, NONE);
    conn.expect_silence(&[3], 2 * QUIET);
    caller.expect_silence(&[stream], QUIET / 5);
    conn.send_settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 1)]);
    let at = conn.next_request().expect("now there is").stream;
    conn.trailers(at, 0, "waited");
    assert_eq!(caller.read_answer(stream).message(), Some("waited"));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_backend_that_takes_no_streams_at_all_is_not_stormed_with_connections() {
    let backend = limited(0);
    let proxy = backend.setup().route("timeout = \"1500ms\"").start();
    let mut caller = caller(&proxy);
    let streams: Vec<_> = (0..30).map(|_| caller.request(PATH, NONE)).collect();
    for stream in streams {
        assert_eq!(caller.read_answer(stream).status(), Some(4));
    }
    println!("connections to a backend that takes no streams: {}", backend.connections());
    // What the first has said, the others would say again.
    assert!(backend.connections() <= 4, "{} connections", backend.connections());
}

#[test]
fn streams_wait_for_the_settings_of_a_fresh_connection() {
    let (hand, accepted) = std::sync::mpsc::channel();
    let hand = std::sync::Mutex::new(hand);
    let backend = testkit::peer::RawServer::start(move |conn| hand.lock().unwrap().send(conn).unwrap());
    let proxy = crate::support::Setup::to(&backend).start();
    let mut caller = caller(&proxy);
    let streams: Vec<_> = (0..10).map(|_| caller.request(PATH, NONE)).collect();
    let mut conn = RawH2::accepted(accepted.recv_timeout(LONG).unwrap()).patience(LONG);
    // SETTINGS are the first that it says, even before it acknowledges the proxy's.
    conn.auto_ack(false);
    // One may go before anything is known.
    let first = conn.next_request().unwrap().stream;
    conn.expect_silence(&[first + 2], QUIET);
    conn.open(&[(SettingId::MAX_CONCURRENT_STREAMS, 100)]);
    conn.trailers(first, 0, "");
    for _ in 1..10 {
        let at = conn.next_request().expect("the others follow").stream;
        conn.trailers(at, 0, "");
    }
    for stream in streams {
        assert_eq!(caller.read_answer(stream).status(), Some(0));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_limit_that_is_raised_makes_room() {
    let backend = limited(0);
    let proxy = backend.setup().route("timeout = \"9s\"").start();
    let mut caller = caller(&proxy);
    let first = caller.request(PATH, NONE);
    let mut conn = backend.accept();
    conn.wait_for_settings_ack();
    conn.send_settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 10)]);
    conn.wait_for_settings_ack();
    let second = caller.request(PATH, NONE);
    for stream in [first, second] {
        let at = conn.next_request().expect("it goes now").stream;
        conn.trailers(at, 0, "");
        let answer = caller.read_answer(stream);
        assert_eq!(answer.status(), Some(0), "{answer:?}");
    }
}

#[test]
fn a_stream_that_waits_for_room_goes_when_another_ends() {
    // 64 connections of one stream each is as far as the pool grows.
    let backend = limited(1);
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let first = settle(&proxy, &mut caller, &backend);
    let streams: Vec<_> = (0..65).map(|_| caller.request(PATH, NONE)).collect();
    let mut conns = vec![first];
    while conns.len() < 64 {
        conns.push(backend.accept());
    }
    // Nobody is answered before all have their place: room would come from elsewhere.
    let ats: Vec<_> = conns.iter_mut().map(|conn| conn.next_request().unwrap().stream).collect();
    for (conn, at) in conns.iter_mut().zip(ats) {
        conn.trailers(at, 0, "");
    }
    let mut answered = 64;
    eventually("the last one gets the room of another", || {
        for conn in &mut conns {
            if let Some(frame) =
                conn.poll_frame(Duration::from_millis(1)).filter(|frame| frame.fields.contains(":path"))
            {
                conn.trailers(frame.stream(), 0, "");
                answered += 1;
            }
        }
        answered == 65
    });
    for stream in streams {
        assert_eq!(caller.read_answer(stream).status(), Some(0));
    }
    assert_eq!(backend.connections(), 64);
}

#[test]
fn a_connection_past_its_age_takes_no_new_streams_and_finishes_its_own() {
    let backend = Backend::start();
    let proxy = backend.setup().cluster("max_connection_age = \"1s\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    let mut fresh = opened.caller.request(PATH, NONE);
    eventually("new streams take a new connection", || {
        let came = opened.conn.poll_frame(Duration::from_millis(5));
        if let Some(frame) = came.filter(|frame| frame.fields.contains(":path")) {
            opened.conn.trailers(frame.stream(), 0, "");
            assert_eq!(opened.caller.read_answer(fresh).status(), Some(0));
            fresh = opened.caller.request(PATH, NONE);
        }
        backend.connections() > 1
    });
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    conn.trailers(at, 0, "new");
    assert_eq!(opened.caller.read_answer(fresh).message(), Some("new"));
    opened.conn.trailers(opened.at, 0, "old");
    assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("old"));
    opened.conn.read_to_close();
}

#[test]
fn a_connection_without_streams_is_closed_after_a_while() {
    let backend = Backend::start();
    let proxy = backend.setup().cluster("idle_timeout = \"1s\"").start();
    let mut opened = open(&proxy, &backend, NONE);
    // Not while it has one, however quiet.
    opened.conn.expect_silence(&[opened.at], Duration::from_millis(2500));
    opened.conn.trailers(opened.at, 0, "");
    assert_eq!(opened.caller.read_answer(opened.stream).status(), Some(0));
    opened.conn.read_to_close();
    proxy.eventually("it is counted off", |totals| totals.upstream_open == 0);
    // The caller does not notice.
    let stream = opened.caller.request(PATH, NONE);
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    conn.trailers(at, 0, "");
    assert_eq!(opened.caller.read_answer(stream).status(), Some(0));
}
