//! Connections to backends: what is kept for the next call and what is not, what a backend may do at the worst moment,
//! and connections that many callers share.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proxy::rpc::FaultKind;
use socket2::{Domain, Socket, Type};
use testkit::peer::{Form, Message, RawConn, RawServer, text_struct};
use testkit::vector;
use thrift_codec::MessageType;
use ttheader::{Flags, keys};

use crate::support::Setup;

const FORMS: [Form; 4] = [Form::Buffered, Form::Framed, Form::TtHeader, Form::TtHeaderFramed];

/// How many connections it takes to make a call, one to `method` that `behave` answers, and another call.
fn connections_around(call: &Message, behave: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> usize {
    let backend = RawServer::start(move |mut conn| {
        while let Some(call) = conn.next_call() {
            let reply = if call.method == b"echo" { call.reply().bytes() } else { behave(&call) };
            conn.send(reply);
        }
    });
    let proxy = Setup::to(&backend).route("timeout = \"200ms\"").start();
    let mut caller = proxy.connect();
    caller.exchange(&Message::call("echo", 1));
    caller.send(call.clone().method("special").bytes());
    if call.message_type == MessageType::CALL {
        caller.read_message();
    }
    assert_eq!(caller.exchange(&Message::call("echo", 2)).body, text_struct(0, "hi"));
    backend.connections()
}

#[test]
fn a_call_that_ended_cleanly_leaves_its_connection_for_the_next() {
    for form in FORMS {
        let call = Message::call("", 7).form(form);
        assert_eq!(connections_around(&call, |call| call.reply().bytes()), 1);
        assert_eq!(
            connections_around(&call, |call| call.exception(6, "biz error: boom").bytes()),
            1,
            "a handler's error"
        );
        let declared = |call: &Message| call.reply().body(testkit::from_hex("0c0001 00 00")).bytes();
        assert_eq!(connections_around(&call, declared), 1, "a declared exception");
        if form.has_ttheader() {
            let business = |call: &Message| call.reply().string(keys::BIZ_STATUS, "1").body([0]).bytes();
            assert_eq!(connections_around(&call, business), 1, "a business error");
        }
    }
    let protobuf = Message::call("", 7).protobuf();
    assert_eq!(connections_around(&protobuf, |call| call.exception(6, "biz error: boom").bytes()), 1);
}

#[test]
fn a_call_that_did_not_end_cleanly_takes_its_connection_with_it() {
    for form in FORMS {
        let call = Message::call("", 7).form(form);
        let twice = |call: &Message| [call.reply().bytes(), call.reply().bytes()].concat();
        assert_eq!(connections_around(&call, |call| [call.reply().bytes(), vec![0]].concat()), 2, "a byte left over");
        assert_eq!(connections_around(&call, twice), 2, "a reply nobody asked for");
        assert_eq!(connections_around(&call, |call| call.reply().seqid(8).bytes()), 2, "another call's reply");
        assert_eq!(connections_around(&call.clone().oneway(), |_| Vec::new()), 2, "oneway");
        assert_eq!(connections_around(&call, |_| Vec::new()), 2, "abandoned");
        for code in [0, 1, 7, 9, 20, 7777] {
            assert_eq!(connections_around(&call, move |call| call.exception(code, "").bytes()), 2, "code {code}");
        }
        if form.has_ttheader() {
            let reset = |call: &Message| call.reply().string(keys::CONNECTION_RESET, "1").bytes();
            assert_eq!(connections_around(&call, reset), 2, "crrst");
        }
    }
    let protobuf = Message::call("", 7).protobuf();
    assert_eq!(connections_around(&protobuf, |call| call.exception(1, "unknown method").bytes()), 2);
}

#[test]
fn a_caller_that_leaves_takes_its_calls_connection_with_it() {
    let backend = RawServer::silent();
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    caller.send(Message::call("echo", 1).bytes());
    backend.wait_for_messages(1);
    caller.reset();
    backend.wait_until("it is closed", |received| received[0].closed == Some(0));
    proxy.eventually("all is closed", |totals| totals.upstream_open == 0 && totals.downstream_open == 0);
}

#[test]
fn a_connection_closed_while_idle_costs_nobody_a_call() {
    let (close, closing) = mpsc::channel::<()>();
    let (done, closed) = mpsc::channel::<()>();
    let (closing, done) = (Mutex::new(closing), Mutex::new(done));
    let backend = RawServer::start(move |mut conn| {
        let call = conn.next_call().unwrap();
        conn.send(call.reply().bytes());
        closing.lock().unwrap().recv().unwrap();
        conn.shut_down();
        done.lock().unwrap().send(()).unwrap();
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    for seqid in 1..=20 {
        assert_eq!(caller.exchange(&Message::call("echo", seqid)), Message::call("echo", seqid).reply());
        close.send(()).unwrap();
        closed.recv().unwrap();
    }
    assert_eq!(backend.messages().len(), 20, "each call was seen once");
}

/// The backend closes behind each reply, so that its FIN and the next request meet.
#[test]
fn a_connection_closed_when_the_request_is_on_its_way_costs_one_retry_that_nobody_sees() {
    let backend = RawServer::start(|mut conn| {
        if let Some(call) = conn.next_call() {
            conn.send(call.reply().bytes());
            conn.shut_down();
        }
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    for seqid in 0..500 {
        assert_eq!(caller.exchange(&Message::call("echo", seqid)), Message::call("echo", seqid).reply());
    }
    let mut seen: Vec<_> = backend.messages().iter().map(|call| call.seqid).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..500).collect::<Vec<_>>(), "each call was seen once");
}

#[test]
fn a_call_that_the_backend_took_is_never_sent_again() {
    for resets in [false, true] {
        for form in FORMS {
            // Keeps the connection of the first call, and takes the second with it.
            let backend = RawServer::start(move |mut conn| {
                let call = conn.next_call().unwrap();
                conn.send(call.reply().bytes());
                if conn.next_call().is_some() && resets {
                    conn.reset();
                }
            });
            let proxy = Setup::to(&backend).start();
            let mut caller = proxy.connect();
            for seqid in [2, 4, 6] {
                caller.exchange(&Message::call("echo", seqid - 1).form(form));
                let answer = caller.exchange(&Message::call("transfer", seqid).form(form));
                assert_eq!(answer.code_and_text().0, 6, "{form:?}, resets: {resets}");
            }
            let taken: Vec<_> = backend.messages().iter().map(|call| call.seqid).collect();
            assert_eq!(taken, [1, 2, 3, 4, 5, 6], "{form:?}, resets: {resets}");
            assert_eq!(proxy.totals().faults_of(FaultKind::UpstreamClosed), 3);
        }
    }
}

/// Calls to `cut` get the first so many bytes of their reply, then the end; others are echoed.
fn cutter(mut conn: RawConn) {
    while let Some(call) = conn.next_call() {
        let reply = call.reply().bytes();
        let cut = usize::try_from(call.seqid).unwrap();
        if call.method != b"cut" || cut >= reply.len() {
            conn.send(reply);
            continue;
        }
        conn.send(&reply[..cut]);
        if call.seqid % 2 == 1 {
            conn.reset();
        }
        return;
    }
}

#[test]
fn a_backend_killed_at_any_byte_of_its_reply_harms_one_call_and_no_other() {
    let backend = RawServer::start(cutter);
    for cluster in ["", "pingpong = \"ttheader-framed\"", "pingpong = \"buffered\""] {
        let proxy = Setup::to(&backend).cluster(cluster).start();
        let mut other = proxy.connect();
        for form in FORMS {
            let mut caller = proxy.connect();
            let before = proxy.totals().faults_of(FaultKind::UpstreamClosed);
            let mut lost = 0;
            for cut in 0.. {
                let call = Message::call("cut", cut).form(form);
                // Its connection is one that has served before, every other time.
                if cut % 2 == 0 {
                    other.exchange(&Message::call("echo", cut));
                }
                let answer = caller.exchange(&call);
                assert_eq!(other.exchange(&Message::call("echo", cut)), Message::call("echo", cut).reply());
                if answer.message_type == MessageType::REPLY {
                    assert_eq!((answer.seqid, answer.body), (cut, text_struct(0, "hi")));
                    break;
                }
                assert_eq!((answer.code_and_text().0, answer.seqid), (6, cut));
                lost += 1;
            }
            assert!(lost >= 25, "the reply has that many bytes at the least, and {lost} were cut");
            assert_eq!(proxy.totals().faults_of(FaultKind::UpstreamClosed) - before, lost);
        }
        proxy.eventually("the pool has clean connections alone", |totals| totals.upstream_open <= 2);
        assert_eq!(other.exchange(&Message::call("echo", 1)).body, text_struct(0, "hi"));
    }
    let cut_calls = backend.messages().iter().filter(|call| call.method == b"cut").count();
    let seqids: usize = backend.received().iter().map(|conn| conn.messages.len()).sum();
    assert!(cut_calls > 300 && seqids > cut_calls);
}

#[test]
fn a_backend_that_does_not_take_connections_is_given_up_in_time() {
    // Its queue is full, so that the kernel drops every further attempt.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let addr = full.local_addr().unwrap().as_socket().unwrap();
    let _queued = std::net::TcpStream::connect(addr).unwrap();
    for cluster in ["", "mux = true"] {
        let proxy = Setup::to_addr(addr).cluster(&format!("connect_timeout = \"100ms\"\n{cluster}")).start();
        let started = Instant::now();
        let (code, text) = proxy.connect().exchange(&Message::call("echo", 7)).code_and_text();
        assert!(code == 6 && text.contains("no answer within 100ms"), "{text}");
        assert!(started.elapsed() >= Duration::from_millis(100));
        assert_eq!(proxy.totals().faults_of(FaultKind::Connect), 1);
    }
}

#[test]
fn an_unused_connection_is_closed_after_its_time() {
    for cluster in ["", "mux = true"] {
        let backend = RawServer::echo();
        let proxy = Setup::to(&backend).cluster(&format!("idle_timeout = \"50ms\"\n{cluster}")).start();
        proxy.connect().exchange(&Message::call("echo", 7).form(Form::TtHeader));
        backend.wait_until("it is closed", |received| received[0].closed == Some(0));
        proxy.eventually("it is not counted", |totals| totals.upstream_open == 0);
    }
}

/// Replies to each eight calls in reverse, once all eight are there.
fn reversed_eights(mut conn: RawConn) {
    loop {
        let Some(calls) = (0..8).map(|_| conn.next_call()).collect::<Option<Vec<_>>>() else { return };
        for call in calls.iter().rev() {
            conn.send(call.reply().bytes());
        }
    }
}

#[test]
fn callers_share_one_connection_and_each_gets_its_own_reply() {
    let backend = RawServer::start(reversed_eights);
    let proxy = Setup::to(&backend).cluster("mux = true\npingpong = \"ttheader\"").start();
    let mut callers: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
    for round in 0..5 {
        for (number, caller) in callers.iter_mut().enumerate() {
            let form = Form::ALL[(number + round) % 6];
            caller.send(Message::call("echo", 7).form(form).text(&format!("{round}.{number}")).bytes());
        }
        for (number, caller) in callers.iter_mut().enumerate() {
            let reply = caller.receive();
            assert_eq!((reply.form, reply.seqid), (Form::ALL[(number + round) % 6].of_reply(), 7));
            assert_eq!(reply.body, text_struct(0, &format!("{round}.{number}")));
        }
    }
    let seqids: HashSet<_> = backend.messages().iter().map(|call| call.seqid).collect();
    assert!(seqids.len() == 40 && !seqids.contains(&0), "each is its own, none is zero");
    assert!(backend.messages().iter().all(|call| call.seqid == call.header_seqid && call.form == Form::TtHeader));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn replies_that_nobody_waits_for_are_dropped_on_a_shared_connection() {
    let backend = RawServer::start(|mut conn| {
        while let Some(call) = conn.next_call() {
            for unknown in [call.seqid + 0x1_0000, call.seqid + 1, -1, 0x7fff_ffff, 0] {
                conn.send(call.reply().seqid(unknown).bytes());
            }
            conn.send(call.reply().bytes());
            conn.send(call.reply().text("twice").bytes());
        }
    });
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    let mut caller = proxy.connect();
    for seqid in 0..20 {
        let call = Message::call("echo", seqid).form(Form::TtHeader);
        assert_eq!(caller.exchange(&call), call.reply());
    }
    assert_eq!(backend.connections(), 1);
    proxy.eventually("they are counted", |totals| totals.replies_unclaimed == 20 * 6);
}

#[test]
fn a_shared_connection_that_is_lost_fails_its_calls_and_no_others() {
    for resets in [false, true] {
        let backend = RawServer::start(move |mut conn| {
            if conn.number() > 0 {
                return reversed_eights(conn);
            }
            let answered = conn.next_call().unwrap();
            let _lost = (conn.next_call(), conn.next_call(), conn.next_call());
            conn.send(answered.reply().bytes());
            if resets {
                conn.read_exact(1);
                conn.reset();
            }
        });
        let proxy = Setup::to(&backend).cluster("mux = true").start();
        let mut callers: Vec<_> = (0..4).map(|_| proxy.connect()).collect();
        for (number, caller) in callers.iter_mut().enumerate() {
            caller.send(Message::call("echo", 7).form(Form::TtHeader).bytes());
            backend.wait_for_messages(number + 1);
        }
        assert_eq!(callers[0].receive().body, text_struct(0, "hi"), "its reply came before the end");
        if resets {
            callers[0].send(Message::call("echo", 7).form(Form::TtHeader).bytes());
            assert_eq!(callers[0].receive().code_and_text().0, 6);
        }
        for caller in &mut callers[1..] {
            assert_eq!(caller.receive().code_and_text().0, 6);
        }
        let mut callers: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
        callers.iter_mut().for_each(|caller| caller.send(Message::call("echo", 9).form(Form::TtHeader).bytes()));
        assert!(callers.iter_mut().all(|caller| caller.receive().body == text_struct(0, "hi")), "on a fresh one");
        assert_eq!(backend.connections(), 2);
    }
}

#[test]
fn a_shared_connection_closed_while_idle_costs_nobody_a_call() {
    let backend = RawServer::start(|mut conn| {
        if let Some(call) = conn.next_call() {
            conn.send(call.reply().bytes());
        }
    });
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    let mut caller = proxy.connect();
    for seqid in 0..20 {
        let call = Message::call("echo", seqid).form(Form::TtHeader);
        assert_eq!(caller.exchange(&call), call.reply());
        proxy.eventually("its end is seen", |totals| totals.upstream_open == 0);
    }
}

#[test]
fn crrst_on_a_shared_connection_lets_it_finish_what_it_has() {
    let control = vector("mux_control_frame").bytes;
    for notice in [true, false] {
        let control = control.clone();
        let (second, seconds) = mpsc::channel();
        let (second, seconds) = (Mutex::new(second), Mutex::new(seconds));
        let backend = RawServer::start(move |mut conn| {
            if conn.number() > 0 {
                let call = conn.next_call().unwrap();
                conn.send(call.reply().bytes());
                second.lock().unwrap().send(()).unwrap();
            } else {
                let (first, held) = (conn.next_call().unwrap(), conn.next_call().unwrap());
                let reply = first.reply();
                conn.send(if notice {
                    [control.clone(), reply.bytes()].concat()
                } else {
                    reply.string(keys::CONNECTION_RESET, "1").bytes()
                });
                // The held call is answered after another one went to a connection of its own.
                seconds.lock().unwrap().recv().unwrap();
                conn.send(held.reply().bytes());
            }
            conn.next_call();
        });
        let proxy = Setup::to(&backend).cluster("mux = true").start();
        let (mut first, mut held) = (proxy.connect(), proxy.connect());
        let call = Message::call("echo", 7).form(Form::TtHeader);
        first.send(call.bytes());
        backend.wait_for_messages(1);
        held.send(call.bytes());
        assert_eq!(first.receive(), call.reply(), "without crrst");
        assert_eq!(first.exchange(&call), call.reply());
        assert_eq!(held.receive(), call.reply());
        assert_eq!(backend.connections(), 2);
        backend.wait_until("the first is left", |received| received[0].closed == Some(0));
    }
}

#[test]
fn a_oneway_call_does_not_retire_a_shared_connection() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    let call = Message::call("echo", 7).form(Form::TtHeaderFramed);
    proxy.connect().send(call.clone().oneway().bytes());
    backend.wait_for_messages(1);
    let mut caller = proxy.connect();
    for _ in 0..5 {
        caller.send(call.clone().oneway().bytes());
        assert_eq!(caller.exchange(&call), call.reply());
    }
    assert_eq!((backend.messages().len(), backend.connections()), (11, 1));
    assert_eq!(proxy.totals().oneways, 6);
}

#[test]
fn a_reply_that_is_late_is_dropped_on_a_shared_connection() {
    let backend = RawServer::start(|mut conn| {
        let late = conn.next_call().unwrap();
        while let Some(call) = conn.next_call() {
            conn.send(late.reply().text("late").bytes());
            conn.send(call.reply().bytes());
        }
    });
    let proxy = Setup::to(&backend).cluster("mux = true").route("timeout = \"100ms\"").start();
    let mut caller = proxy.connect();
    let call = Message::call("echo", 7).form(Form::TtHeader);
    assert!(caller.exchange(&call).code_and_text().1.contains("timeout"));
    assert_eq!(caller.exchange(&call), call.reply());
    assert_eq!(proxy.totals().replies_unclaimed, 1);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_exception_on_a_shared_connection_finds_its_call_by_the_header() {
    let backend = RawServer::replying(|call| Message { seqid: 0, ..call.exception(20, "unknown") }.bytes());
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    for call in
        [Message::call("echo", 7).form(Form::TtHeader), Message::call("echo", 7).form(Form::TtHeaderFramed).protobuf()]
    {
        let answer = proxy.connect().exchange(&call);
        assert_eq!(
            (answer.seqid, answer.header_seqid, answer.code_and_text().0),
            (7, 7, 20),
            "both are the caller's again"
        );
    }
    assert_eq!(backend.connections(), 1, "an EXCEPTION does not end it");
}

#[test]
fn an_exception_without_a_number_is_the_only_calls_own() {
    let backend = RawServer::replying(|call| Message { seqid: 0, ..call.exception(20, "unknown") }.bytes());
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    for call in [Message::call("echo", 7).form(Form::Framed), Message::call("echo", 7).form(Form::Framed).protobuf()] {
        let answer = proxy.connect().exchange(&call);
        assert_eq!((answer.seqid, answer.code_and_text().0), (7, 20));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_exception_without_a_number_leaves_none_of_several_calls_waiting() {
    let backend = RawServer::start(|mut conn| {
        let Some(calls) = (0..2).map(|_| conn.next_call()).collect::<Option<Vec<_>>>() else { return };
        conn.send(calls[0].exception(20, "unknown").seqid(0).bytes());
        conn.next_call();
    });
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    let mut callers: Vec<_> = (0..2).map(|_| proxy.connect()).collect();
    callers.iter_mut().for_each(|caller| caller.send(Message::call("echo", 7).form(Form::Framed).bytes()));
    for caller in &mut callers {
        assert_eq!(caller.receive().code_and_text().0, 7);
    }
}

#[test]
fn a_shared_connection_that_cannot_be_read_fails_its_calls() {
    let backend = RawServer::replying(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let proxy = Setup::to(&backend).cluster("mux = true").start();
    for _ in 0..3 {
        let answer =
            proxy.connect().exchange(&Message::call("echo", 7).form(Form::TtHeader).flags(Flags::OUT_OF_ORDER));
        assert_eq!(answer.code_and_text().0, 7);
    }
    proxy.eventually("all are closed", |totals| totals.upstream_open == 0 && totals.upstream_connections == 3);
}
