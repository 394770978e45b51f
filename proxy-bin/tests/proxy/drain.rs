//! How the proxy stops (pingpong-wire 8.9): what is in flight is finished, callers are told, and a second signal ends at
//! once.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use proxy::Ended;
use rustix::process::Signal;
use testkit::peer::{Form, Message, RawClient, RawServer, eventually, text_struct};
use ttheader::keys;

use crate::support::{Process, Setup, config_file};

/// Echoes, calls to `slow` once the gate is open.
fn gated() -> (RawServer, Arc<(Mutex<bool>, Condvar)>) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = Arc::clone(&gate);
    let backend = RawServer::replying(move |call| {
        if call.method == b"slow" {
            let open = held.0.lock().unwrap();
            drop(held.1.wait_while(open, |open| !*open).unwrap());
        }
        call.reply().bytes()
    });
    (backend, gate)
}

fn open(gate: &(Mutex<bool>, Condvar)) {
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}

/// The reply that a caller gets while the proxy drains.
fn goodbye(call: &Message) -> Message {
    if call.form.has_ttheader() { call.reply().string(keys::CONNECTION_RESET, "1") } else { call.reply() }
}

/// Calls until an answer says that the proxy drains: no route knows the method, so that no backend has to answer.
fn wait_for_drain(mut caller: RawClient) {
    let call = Message::call("probe", 7).form(Form::TtHeader);
    eventually("it drains", || caller.exchange(&call).string_value(keys::CONNECTION_RESET).is_some());
}

#[test]
fn calls_in_flight_are_finished_and_callers_told_to_go() {
    for cluster in ["", "mux = true", "pingpong = \"framed\""] {
        let (backend, gate) = gated();
        let mut proxy = Setup::to(&backend).route("method = \"slow\"").cluster(cluster).start();
        let probe = proxy.connect();
        let mut callers = Form::ALL.map(|form| (Message::call("slow", 7).form(form), proxy.connect()));
        for (call, caller) in &mut callers {
            caller.send(call.bytes());
        }
        proxy.eventually("all are in flight", |totals| totals.calls.iter().sum::<u64>() == 6);
        proxy.begin_drain();
        wait_for_drain(probe);
        assert!(std::net::TcpStream::connect(proxy.addr()).is_err(), "nobody new is taken");
        open(&gate);
        for (call, caller) in &mut callers {
            let reply = caller.receive();
            assert_eq!(reply.string_value(keys::CONNECTION_RESET).is_some(), call.form.has_ttheader());
            assert_eq!((reply.form, reply.body, reply.seqid), (call.form.of_reply(), text_struct(0, "hi"), 7));
            caller.expect_close();
        }
        assert_eq!(proxy.ended(), Ended::Drained);
    }
}

#[test]
fn an_idle_connection_is_closed_after_a_while_in_which_calls_are_still_served() {
    let backend = RawServer::echo();
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        let mut proxy = Setup::to(&backend).start();
        let mut idle = proxy.connect();
        idle.exchange(&Message::call("echo", 1));
        let mut busy = proxy.connect();
        let call = Message::call("echo", 7).form(form);
        assert_eq!(busy.exchange(&call), call.reply());
        proxy.begin_drain();
        let mut last = Instant::now();
        eventually("a call is served that comes while it drains", || {
            last = Instant::now();
            let reply = busy.exchange(&call);
            assert!(reply == call.reply() || reply == goodbye(&call));
            reply == goodbye(&call)
        });
        busy.expect_close();
        assert!(last.elapsed() >= Duration::from_millis(100));
        idle.expect_close();
        assert_eq!(proxy.ended(), Ended::Drained);
    }
}

#[test]
fn a_connection_that_never_said_anything_does_not_hold_the_end_up() {
    let backend = RawServer::echo();
    let mut proxy = Setup::to(&backend).listener("sniff_timeout = \"60s\"").start();
    let mut silent = proxy.connect();
    proxy.eventually("it is taken", |totals| totals.downstream_open == 1);
    proxy.begin_drain();
    silent.expect_close();
    assert_eq!(proxy.ended(), Ended::Drained);
}

#[test]
fn the_proxys_own_answers_say_it_too() {
    let backend = RawServer::silent();
    let mut proxy = Setup::to(&backend).route("timeout = \"300ms\"").start();
    let mut caller = proxy.connect();
    caller.send(Message::call("echo", 7).form(Form::TtHeader).bytes());
    backend.wait_for_messages(1);
    proxy.begin_drain();
    let answer = caller.receive();
    assert!(answer.code_and_text().1.contains("timeout"));
    assert_eq!(answer.string_value(keys::CONNECTION_RESET), Some(&b"1"[..]));
    caller.expect_close();
}

#[test]
fn calls_that_outlast_the_drain_are_cut_off() {
    let backend = RawServer::silent();
    let config = Setup::to(&backend).text().replace("drain = \"3s\"", "drain = \"100ms\"");
    let proxy = crate::support::TestProxy::start(&config);
    let mut caller = proxy.connect();
    caller.send(Message::call("echo", 7).bytes());
    backend.wait_for_messages(1);
    let begun = Instant::now();
    assert_eq!(proxy.ended(), Ended::CutOff);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    caller.expect_close();
}

#[test]
fn the_binary_drains_on_sigterm_and_ends_with_zero() {
    for signal in [Signal::TERM, Signal::INT] {
        let (backend, gate) = gated();
        let process = Process::run(&Setup::to(&backend).route("method = \"slow\"").text());
        let probe = process.connect();
        let call = Message::call("slow", 7).form(Form::TtHeader);
        let mut caller = process.connect();
        caller.send(call.bytes());
        backend.wait_for_messages(1);
        process.signal(signal);
        wait_for_drain(probe);
        open(&gate);
        assert_eq!(caller.receive(), goodbye(&call));
        caller.expect_close();
        let (status, log) = process.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn the_binary_ends_with_three_when_it_cut_calls_off() {
    let backend = RawServer::silent();
    let process = Process::run(&Setup::to(&backend).text().replace("drain = \"3s\"", "drain = \"50ms\""));
    let mut caller = process.connect();
    caller.send(Message::call("echo", 7).bytes());
    backend.wait_for_messages(1);
    process.signal(Signal::TERM);
    assert_eq!(process.wait().0.code(), Some(3));
    caller.expect_close();
}

#[test]
fn a_second_signal_ends_the_binary_at_once_with_130() {
    let backend = RawServer::silent();
    let process = Process::run(&Setup::to(&backend).text().replace("drain = \"3s\"", "drain = \"60s\""));
    let mut caller = process.connect();
    caller.send(Message::call("echo", 7).bytes());
    backend.wait_for_messages(1);
    process.signal(Signal::TERM);
    eventually("it drains", || std::net::TcpStream::connect(process.addr()).is_err());
    process.signal(Signal::TERM);
    assert_eq!(process.wait().0.code(), Some(130));
    caller.expect_close();
}

#[test]
fn an_address_that_is_taken_ends_the_binary_with_one() {
    let backend = RawServer::echo();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("bind = \"{}\"", taken.local_addr().unwrap());
    let file = config_file(&Setup::to(&backend).text().replace("bind = \"127.0.0.1:0\"", &bind));
    let output =
        std::process::Command::new(crate::support::BINARY).arg("run").arg("--config").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't listen on"));
    drop(RawClient::connect(taken.local_addr().unwrap()));
}
