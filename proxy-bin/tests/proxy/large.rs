//! Messages above the cut-through threshold: handed on before they are here in whole, in bounded memory, and never passed
//! off as complete when they are not.

use std::io::{ErrorKind, Write};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use proxy::rpc::FaultKind;
use testkit::peer::{Form, Message, RawClient, RawServer, text_struct};
use ttheader::keys;

use crate::support::{Process, Setup};

const LONG: Duration = Duration::from_secs(20);
const MIB: usize = 1 << 20;

/// A text whose every part is different, so that a piece lost or moved is seen.
fn pattern(len: usize) -> String {
    let mut text = String::with_capacity(len + 16);
    while text.len() < len {
        text.push_str(&format!("{:012} ", text.len()));
    }
    text.truncate(len);
    text
}

fn setup(backend: &RawServer) -> Setup {
    Setup::to(backend).listener("max_message = \"64MiB\"")
}

#[test]
fn a_large_call_passes_in_bounded_memory_whichever_way_it_is_converted() {
    let backend = RawServer::echo();
    let text = pattern(24 * MIB);
    let both = [Form::Framed, Form::TtHeader, Form::TtHeaderFramed];
    for (cluster, forms) in [
        ("", &[Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed][..]),
        ("pingpong = \"framed\"", &both[1..]),
        ("pingpong = \"ttheader\"", &both[..1]),
        ("pingpong = \"ttheader-framed\"", &both[..2]),
        ("mux = true", &both[..1]),
    ] {
        let proxy = Process::run(&setup(&backend).cluster(cluster).text());
        let mut caller = proxy.connect().patience(LONG);
        caller.exchange(&Message::call("echo", 1));
        let base = proxy.kib("VmHWM");
        for &form in forms {
            let call = Message::call("echo", 7).form(form).text(&text);
            let reply = caller.exchange(&call);
            assert!(reply.body == call.reply().body && reply.seqid == 7 && reply.form == form.of_reply());
            let at_backend = Message::parse(
                backend.received().iter().flat_map(|conn| &conn.messages).max_by_key(|m| m.len()).unwrap(),
            );
            assert!(at_backend.body == call.body);
        }
        // A mux reply is handed over whole; its request is not.
        let grown = proxy.kib("VmHWM") - base;
        assert!(grown < 8 * 1024, "{grown} KiB more at the peak for {cluster:?}");
    }
}

#[test]
fn large_calls_are_relayed_byte_for_byte_at_every_size_around_the_threshold() {
    let backend = RawServer::echo();
    let proxy = setup(&backend).listener("cut_through = \"4KiB\"").start();
    let mut callers =
        [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed].map(|form| (form, proxy.connect()));
    for len in (3900..4200).step_by(13).chain([65_536, 131_072, 262_144, 300_000, MIB]) {
        for (form, caller) in &mut callers {
            let call = Message::call("echo", 7).form(*form).text(&pattern(len)).string(keys::REMOTE_ADDRESS, "x");
            let call =
                if form.has_ttheader() || form.has_mesh() { call } else { Message { strings: Vec::new(), ..call } };
            // In two writes, so that the first part is handed on by itself.
            let (wire, at) = (call.bytes(), 3000 + len % 700);
            caller.send(&wire[..at]);
            std::thread::yield_now();
            caller.send(&wire[at..]);
            assert!(caller.receive() == call.reply(), "{len} bytes, {form:?}");
            assert!(backend.messages().pop().unwrap() == call, "{len} bytes, {form:?}");
        }
    }
    assert_eq!(proxy.totals().upstream_connections, 1, "each left a clean connection behind");
}

#[test]
fn what_must_be_whole_is_gathered_and_converted() {
    let backend = RawServer::replying(|call| call.reply().checksummed().bytes());
    for (cluster, form) in
        [("pingpong = \"ttheader\"", Form::TtHeaderFramed), ("pingpong = \"ttheader-framed\"", Form::TtHeader)]
    {
        let proxy = setup(&backend).cluster(cluster).start();
        let call = Message::call("echo", 7).form(form).text(&pattern(MIB)).checksummed();
        let reply = proxy.connect().patience(LONG).exchange(&call);
        let at_backend = backend.messages().pop().unwrap();
        for message in [reply, at_backend] {
            assert_eq!(message.string_value(keys::CRC32C), Some(&message.checksum()[..]));
            assert!(message.body[7..] == call.body[7..]);
        }
    }
    // No length travels: the end has to be found, and surplus bytes to be left out.
    let backend = RawServer::echo();
    let proxy = setup(&backend).cluster("pingpong = \"buffered\"").start();
    for form in [Form::Framed, Form::TtHeader] {
        let call = Message::call("echo", 7).form(form).text(&pattern(MIB));
        let surplus = Message { body: [&call.body[..], b"surplus"].concat(), ..call.clone() };
        assert!(proxy.connect().patience(LONG).exchange(&surplus).body == call.reply().body);
        assert!(backend.messages().pop().unwrap().body == call.body);
    }
}

#[test]
fn large_buffered_messages_pass_too() {
    let backend = RawServer::echo();
    for cluster in ["", "pingpong = \"framed\""] {
        let proxy = setup(&backend).cluster(cluster).start();
        let call = Message::call("echo", 7).form(Form::Buffered).text(&pattern(8 * MIB));
        assert!(proxy.connect().patience(LONG).exchange(&call) == call.reply());
    }
}

/// Writes as much of `wire` as is taken before nothing more is for 300 ms.
fn write_until_stuck(caller: &RawClient, wire: &[u8]) -> usize {
    caller.stream().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while written < wire.len() {
        match caller.stream().write(&wire[written..]) {
            Ok(more) => written += more,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    caller.stream().set_write_timeout(None).unwrap();
    written
}

#[test]
fn a_backend_that_does_not_read_holds_its_caller_up_and_nobody_else() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let backend = RawServer::start(move |mut conn| {
        // The first connection is the large call's.
        if conn.number() == 0 {
            gate.lock().unwrap().recv().unwrap();
        }
        while let Some(call) = conn.next_call() {
            conn.send(call.reply().text("done").bytes());
        }
    });
    let proxy = Process::run(&setup(&backend).text());
    let mut caller = proxy.connect().patience(LONG);
    let wire = Message::call("echo", 7).text(&pattern(48 * MIB)).bytes();
    let taken = write_until_stuck(&caller, &wire);
    assert!(taken < wire.len(), "all of it was taken for a backend that reads nothing");
    let peak = proxy.kib("VmHWM");
    assert!(peak < 40 * 1024, "{peak} KiB at the peak with {taken} bytes taken");
    assert_eq!(proxy.connect().exchange(&Message::call("echo", 1)).body, text_struct(0, "done"), "others are served");
    go.send(()).unwrap();
    caller.send(&wire[taken..]);
    assert_eq!(caller.receive().body, text_struct(0, "done"));
}

#[test]
fn a_caller_that_does_not_read_holds_its_backend_up_and_nobody_else() {
    let (stuck, is_stuck) = mpsc::channel();
    let stuck = Mutex::new(stuck);
    let backend = RawServer::start(move |mut conn| {
        while let Some(call) = conn.next_call() {
            if call.method != b"big" {
                conn.send(call.reply().bytes());
                continue;
            }
            let wire = call.reply().text(&pattern(48 * MIB)).bytes();
            let taken = write_until_stuck(&conn, &wire);
            stuck.lock().unwrap().send(taken).unwrap();
            conn.send(&wire[taken..]);
        }
    });
    let proxy = Process::run(&setup(&backend).text());
    let mut slow = proxy.connect().patience(LONG);
    for form in [Form::Framed, Form::TtHeader] {
        let call = Message::call("big", 7).form(form);
        slow.send(call.bytes());
        let taken = is_stuck.recv_timeout(LONG).unwrap();
        assert!(taken < 48 * MIB, "all of it was taken for a caller that reads nothing");
        let peak = proxy.kib("VmHWM");
        assert!(peak < 40 * 1024, "{peak} KiB at the peak with {taken} bytes taken");
        assert_eq!(proxy.connect().exchange(&Message::call("echo", 1)).body, text_struct(0, "hi"), "others are served");
        assert!(slow.receive().body == call.reply().text(&pattern(48 * MIB)).body);
    }
}

#[test]
fn the_rest_of_a_refused_call_is_passed_over_and_the_connection_goes_on() {
    let backend = RawServer::echo();
    let proxy = setup(&backend).route("method = \"echo\"").start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let mut caller = proxy.connect().patience(LONG);
        for seqid in 1..=3 {
            let wire = Message::call("nope", seqid).form(form).text(&pattern(2 * MIB)).bytes();
            caller.send(&wire[..200_000]);
            // The answer need not wait for the rest.
            let answer = caller.receive();
            assert_eq!((answer.code_and_text().0, answer.seqid), (20, seqid));
            caller.send(&wire[200_000..]);
            caller.send(Message::call("nope", seqid).form(form).oneway().text(&pattern(MIB)).bytes());
            assert_eq!(caller.exchange(&Message::call("echo", 9).form(form)).body, text_struct(0, "hi"));
        }
    }
    assert_eq!(backend.messages().len(), 12);
}

#[test]
fn a_backend_that_dies_in_its_reply_ends_the_callers_connection() {
    for resets in [false, true] {
        let backend = RawServer::start(move |mut conn| {
            while let Some(call) = conn.next_call() {
                let wire = call.reply().text(&pattern(MIB)).bytes();
                if call.method == b"echo" {
                    conn.send(call.reply().bytes());
                    continue;
                }
                conn.send(&wire[..wire.len() - usize::try_from(call.seqid).unwrap()]);
                if resets {
                    // Once the proxy has begun to pass it on.
                    std::thread::yield_now();
                    conn.reset();
                }
                return;
            }
        });
        let proxy = setup(&backend).start();
        for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed] {
            for missing in [1, 1000, 500_000, 1_000_000] {
                let call = Message::call("die", missing).form(form);
                let whole = call.reply().text(&pattern(MIB)).bytes();
                let mut caller = proxy.connect().patience(LONG);
                caller.send(call.bytes());
                let came = caller.read_to_close();
                assert!(came.len() < whole.len(), "{} of {} bytes", came.len(), whole.len());
                if !resets {
                    assert!(whole.starts_with(&came) && came.len() > 1000);
                }
            }
        }
        proxy.eventually("all is closed", |totals| totals.downstream_open == 0 && totals.upstream_open == 0);
        assert_eq!(proxy.connect().exchange(&Message::call("echo", 1)).body, text_struct(0, "hi"));
    }
}

#[test]
fn a_backend_that_dies_in_a_large_call_costs_that_call_alone() {
    let backend = RawServer::start(|mut conn| {
        if conn.number() < 4 {
            conn.read_exact(100_000);
            return;
        }
        while let Some(call) = conn.next_call() {
            conn.send(call.reply().bytes());
        }
    });
    let proxy = setup(&backend).start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let mut caller = proxy.connect().patience(LONG);
        let answer = caller.exchange(&Message::call("echo", 7).form(form).text(&pattern(4 * MIB)));
        assert_eq!((answer.code_and_text().0, answer.seqid, answer.form), (6, 7, form.of_reply()));
        drop(caller);
    }
    assert_eq!(backend.connections(), 4, "a call of which a part was sent is not sent again");
    assert_eq!(proxy.connect().exchange(&Message::call("echo", 1)).body, text_struct(0, "hi"));
}

#[test]
fn a_caller_that_dies_in_a_large_call_costs_its_upstream_connection_alone() {
    let backend = RawServer::echo();
    let proxy = setup(&backend).start();
    for form in [Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let wire = Message::call("echo", 7).form(form).text(&pattern(MIB)).bytes();
        for reset in [false, true] {
            let before = backend.connections();
            let mut caller = proxy.connect();
            caller.send(&wire[..500_000]);
            backend.wait_until("it has begun", |received| received.len() > before);
            if reset {
                caller.reset()
            } else {
                drop(caller)
            }
            backend.wait_until("it is given up", |received| received[before].closed.is_some());
        }
    }
    assert_eq!(backend.messages(), []);
    proxy.eventually("all is closed", |totals| totals.downstream_open == 0 && totals.upstream_open == 0);
}

#[test]
fn an_answer_that_comes_before_the_request_is_through_is_passed_on() {
    let backend = RawServer::start(|mut conn| {
        // A guard that judges by the head alone, answers and closes.
        let head = conn.read_exact(100);
        let seqid = i32::from_be_bytes(head[16..20].try_into().unwrap());
        conn.send(Message::call("echo", seqid).exception(6, "too large for me").bytes());
        conn.half_close();
        while !conn.read_exact(65_536).is_empty() {
            if conn.number() == 0 {
                return;
            }
        }
    });
    let proxy = setup(&backend).start();
    for seqid in 0..2 {
        let answer = proxy.connect().patience(LONG).exchange(&Message::call("echo", seqid).text(&pattern(2 * MIB)));
        assert_eq!((answer.code_and_text(), answer.seqid), ((6, "too large for me".into()), seqid));
    }
}

#[test]
fn what_is_over_the_limit_is_closed_by_its_length_alone() {
    let backend = RawServer::replying(|call| call.reply().text(&pattern(2 * MIB)).bytes());
    let proxy = Setup::to(&backend).listener("max_message = \"1MiB\"").start();
    for (refused, form) in (1..).zip([Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed]) {
        let mut caller = proxy.connect();
        caller.send(&Message::call("echo", 7).form(form).text(&pattern(MIB)).bytes()[..200]);
        caller.expect_close();
        proxy.eventually("it is counted", |totals| totals.downstream_refused == refused);
    }
    assert_eq!(backend.connections(), 0);
    for form in Form::ALL {
        let answer = proxy.connect().exchange(&Message::call("echo", 7).form(form));
        let (code, text) = answer.code_and_text();
        assert!(code == 7 && text.contains("at most"), "a reply over it is no reply: {text}");
    }
    assert_eq!(proxy.totals().faults_of(FaultKind::BadReply), 6);
}
