//! Several requests in flight on one caller's connection: run side by side, answered in order, or in any order where the
//! caller says so.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use testkit::peer::{Form, Message, RawServer, text_struct};
use testkit::vector;
use ttheader::Flags;

use crate::support::Setup;

/// A backend whose calls wait until their seqid is let go.
struct Held {
    backend: RawServer,
    release: std::sync::Arc<(Mutex<Vec<i32>>, std::sync::Condvar)>,
}

impl Held {
    fn new() -> Self {
        let release = std::sync::Arc::new((Mutex::new(Vec::new()), std::sync::Condvar::new()));
        let released = std::sync::Arc::clone(&release);
        let backend = RawServer::replying(move |call| {
            let (free, changed) = &*released;
            let mut free = free.lock().unwrap();
            while !free.contains(&call.seqid) {
                free = changed.wait(free).unwrap();
            }
            call.reply().bytes()
        });
        Self { backend, release }
    }

    fn let_go(&self, seqid: i32) {
        self.release.0.lock().unwrap().push(seqid);
        self.release.1.notify_all();
    }
}

#[test]
fn pipelined_calls_run_side_by_side_and_are_answered_in_order() {
    for form in Form::ALL {
        let held = Held::new();
        let proxy = Setup::to(&held.backend).start();
        let mut caller = proxy.connect();
        caller.send((1..=5).flat_map(|seqid| Message::call("echo", seqid).form(form).bytes()).collect::<Vec<_>>());
        held.backend.wait_for_messages(5);
        for seqid in [5, 3, 4, 2] {
            held.let_go(seqid);
        }
        caller.expect_silence(Duration::from_millis(30));
        held.let_go(1);
        assert_eq!([1, 2, 3, 4, 5].map(|_| caller.receive().seqid), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_caller_that_takes_replies_in_any_order_gets_each_when_it_is_there() {
    for form in [Form::TtHeader, Form::TtHeaderFramed] {
        let held = Held::new();
        let proxy = Setup::to(&held.backend).start();
        let mut caller = proxy.connect();
        let call = |seqid| Message::call("echo", seqid).form(form).flags(Flags::OUT_OF_ORDER).bytes();
        caller.send((1..=5).flat_map(call).collect::<Vec<_>>());
        for seqid in [5, 3, 4, 1, 2] {
            held.let_go(seqid);
            assert_eq!(caller.receive().seqid, seqid);
        }
    }
}

#[test]
fn replies_in_any_order_pass_those_that_wait_for_their_turn() {
    let held = Held::new();
    let proxy = Setup::to(&held.backend).start();
    let mut caller = proxy.connect();
    let free = Message::call("echo", 2).form(Form::TtHeader).flags(Flags::OUT_OF_ORDER);
    caller.send([Message::call("echo", 1).bytes(), free.bytes(), Message::call("echo", 3).bytes()].concat());
    held.let_go(3);
    held.let_go(2);
    assert_eq!(caller.receive(), free.reply());
    held.let_go(1);
    assert_eq!([caller.receive().seqid, caller.receive().seqid], [1, 3]);
}

#[test]
fn three_transports_on_one_connection_are_answered_in_order_each_in_its_own() {
    for cluster in ["", "pingpong = \"framed\"", "mux = true\npingpong = \"ttheader\""] {
        let backend = RawServer::echo();
        let proxy = Setup::to(&backend).cluster(cluster).start();
        let mut caller = proxy.connect();
        caller.send(vector("pipelined_three_transports").bytes);
        for (form, seqid, text) in [(Form::Framed, 1, "a"), (Form::Buffered, 2, "b"), (Form::TtHeader, 3, "c")] {
            let reply = caller.receive();
            assert_eq!((reply.form, reply.seqid, reply.body), (form, seqid, text_struct(0, text)));
        }
    }
}

#[test]
fn oneway_calls_and_failed_ones_take_no_place_in_the_order() {
    let held = Held::new();
    let proxy = Setup::to(&held.backend).route("method = \"echo\"").start();
    let mut caller = proxy.connect();
    let calls = [
        Message::call("echo", 1),
        Message::call("echo", 2).oneway(),
        Message::call("nope", 3),
        Message::call("nope", 4).oneway(),
        Message::call("echo", 5),
    ];
    caller.send(calls.iter().flat_map(Message::bytes).collect::<Vec<_>>());
    held.backend.wait_for_messages(3);
    held.let_go(5);
    caller.expect_silence(Duration::from_millis(30));
    held.let_go(1);
    assert_eq!([1, 2, 3].map(|_| caller.receive().seqid), [1, 3, 5]);
}

#[test]
fn no_more_calls_run_than_the_listener_allows() {
    for form in Form::ALL {
        let held = Held::new();
        let proxy = Setup::to(&held.backend).listener("max_in_flight = 2").start();
        let mut caller = proxy.connect();
        caller.send((1..=6).flat_map(|seqid| Message::call("echo", seqid).form(form).bytes()).collect::<Vec<_>>());
        caller.half_close();
        for seqid in 1..=6 {
            held.backend.wait_for_messages((seqid as usize + 1).min(6));
            // Another caller is served meanwhile, so that a third call would have had its chance.
            held.let_go(100 + seqid);
            assert_eq!(proxy.connect().exchange(&Message::call("echo", 100 + seqid)).seqid, 100 + seqid);
            let running = held.backend.messages().iter().filter(|call| call.seqid < 100).count();
            assert!(running <= seqid as usize + 1, "{running} calls are with the backend, {} answered", seqid - 1);
            held.let_go(seqid);
            assert_eq!(caller.receive().seqid, seqid);
        }
        caller.expect_close();
    }
}

#[test]
fn a_thousand_pipelined_calls_are_answered_in_order() {
    for cluster in ["", "mux = true"] {
        let backend = RawServer::echo();
        let proxy = Setup::to(&backend).cluster(cluster).start();
        let mut caller = proxy.connect();
        let (done, writer) = (mpsc::channel(), caller.stream().try_clone().unwrap());
        let sender = done.0;
        std::thread::spawn(move || {
            let calls =
                (0..1000).flat_map(|seqid| Message::call("echo", seqid).form(Form::ALL[seqid as usize % 6]).bytes());
            std::io::Write::write_all(&mut &writer, &calls.collect::<Vec<_>>()).unwrap();
            sender.send(()).unwrap();
        });
        for seqid in 0..1000 {
            let reply = caller.receive();
            assert_eq!((reply.seqid, reply.form), (seqid, Form::ALL[seqid as usize % 6].of_reply()));
        }
        done.1.recv().unwrap();
    }
}
