//! Peers that mean no good, or mean nothing at all.

use std::time::{Duration, Instant};

use testkit::Chance;
use testkit::peer::{Form, Message, RawClient, RawServer, eventually, text_struct};
use ttheader::{Flags, IntKey, keys};

use crate::support::{Process, Setup, TestProxy};

/// How many messages a transport gets.
const MESSAGES: u64 = 100_000;

/// The seed of the tests that draw lots: `SEED`, or always the same.
fn chance(test: &str, salt: u64) -> Chance {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_229_u64);
    println!("{test}: SEED={seed}");
    Chance::seeded(seed ^ salt)
}

/// Calls of these forms, sound ones.
fn sound(forms: &[Form]) -> Vec<Message> {
    let rich = |form: Form| {
        let call = Message::call("echo", 7).form(form);
        let with_pairs = call
            .clone()
            .string(keys::IDL_SERVICE_NAME, "EchoService")
            .string("RPC_PERSIST_a", "1")
            .string(keys::CRC32C, "00000000");
        if form.has_ttheader() {
            with_pairs.acl("token").int(IntKey::RPC_TIMEOUT, "500").flags(Flags::OUT_OF_ORDER)
        } else if form.has_mesh() {
            with_pairs
        } else {
            call
        }
    };
    forms
        .iter()
        .flat_map(|&form| {
            let call = rich(form);
            let nested = call
                .clone()
                .body(testkit::from_hex("0d0001 0b0c 00000001 00000001 61 0f0001 08 00000002 00000001 00000002 00 00"));
            let protobuf = form.is_framed().then(|| call.clone().protobuf());
            [call.clone(), call.oneway(), nested].into_iter().chain(protobuf)
        })
        .collect()
}

/// A message, as it should be or with a few bytes changed, most of the time where it leaves the next one to be found.
fn drawn(chance: &mut Chance, sound: &[(Vec<u8>, usize)]) -> Vec<u8> {
    let (wire, tail) = chance.pick(sound);
    let mut wire = wire.clone();
    match chance.below(80) {
        0 => wire = (0..1 + chance.below(40)).map(|_| chance.byte()).collect(),
        1 => wire.truncate(chance.below(wire.len())),
        2 => wire.insert(chance.below(wire.len()), chance.byte()),
        3 => {
            let at = chance.below(wire.len());
            wire[at] = chance.byte();
        }
        4 => {
            let at = chance.below(wire.len());
            wire[at] ^= 1 << chance.below(8);
        }
        5..=44 => {
            for _ in 0..=chance.below(3) {
                let at = wire.len() - 1 - chance.below(*tail);
                wire[at] = chance.byte();
            }
        }
        _ => {}
    }
    wire
}

/// Sends batches of what `drawn` gives until `enough` says so, and reads what comes back.
fn storm(addr: std::net::SocketAddr, forms: &[Form], mut chance: Chance, mut enough: impl FnMut(u64) -> bool) {
    // Each with how many bytes of it are seqid and body.
    let sound: Vec<_> = sound(forms).iter().map(|call| (call.bytes(), call.body.len() + 4)).collect();
    let mut sent = 0;
    while !enough(sent) {
        let batch: Vec<_> = (0..1 + chance.below(64)).map(|_| drawn(&mut chance, &sound)).collect();
        sent += batch.len() as u64;
        let mut peer = RawClient::connect(addr).patience(Duration::from_secs(10));
        peer.try_send(batch.concat());
        if chance.below(8) == 0 {
            peer.reset();
        } else {
            peer.half_close();
            peer.read_to_close();
        }
    }
}

fn expect_unharmed(proxy: &TestProxy, forms: &[Form]) {
    proxy.eventually("every caller is gone", |totals| totals.downstream_open == 0);
    for &form in forms {
        let call = Message::call("echo", 7).form(form);
        let reply = proxy.connect().exchange(&call);
        assert_eq!((reply.form, reply.seqid, reply.body), (form.of_reply(), 7, call.body));
    }
    proxy.eventually("what is left upstream is idle", |totals| {
        totals.downstream_open == 0 && totals.upstream_open <= 64
    });
}

/// As many messages as are looked at: those behind one that ends its connection do not count.
fn weather(forms: &[Form], setup: impl Fn(Setup) -> Setup) {
    let backend = RawServer::mirror();
    let proxy =
        setup(Setup::to(&backend).listener("read_timeout = \"1s\"").cluster("idle_timeout = \"100ms\"")).start();
    let seen = || {
        let totals = proxy.totals();
        totals.calls.iter().sum::<u64>() + totals.downstream_refused
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let chance = chance(&format!("{forms:?}"), thread);
            let (addr, seen) = (proxy.addr(), &seen);
            scope.spawn(move || storm(addr, forms, chance, |_| seen() >= MESSAGES));
        }
    });
    println!("{forms:?}: {} messages seen in {:?}", seen(), begun.elapsed());
    expect_unharmed(&proxy, forms);
    proxy.eventually("upstream is as it was", |totals| totals.upstream_open == 0);
}

#[test]
fn a_hundred_thousand_messages_by_chance_do_no_harm_buffered() {
    weather(&[Form::Buffered, Form::MeshBuffered], |setup| setup);
}

#[test]
fn a_hundred_thousand_messages_by_chance_do_no_harm_framed() {
    weather(&[Form::Framed, Form::MeshFramed], |setup| setup);
}

#[test]
fn a_hundred_thousand_messages_by_chance_do_no_harm_ttheader() {
    weather(&[Form::TtHeader, Form::TtHeaderFramed], |setup| setup);
}

#[test]
fn a_hundred_thousand_messages_by_chance_do_no_harm_to_a_shared_connection() {
    weather(&Form::ALL, |setup| setup.cluster("mux = true\npingpong = \"ttheader-framed\""));
}

#[test]
fn the_process_is_as_it_was_after_the_storm() {
    let backend = RawServer::mirror();
    let process =
        Process::run(&Setup::to(&backend).listener("read_timeout = \"1s\"").cluster("idle_timeout = \"100ms\"").text());
    let batch = |salt, count| storm(process.addr(), &Form::ALL, chance("process", salt), |sent| sent >= count);
    batch(1, 5_000);
    eventually("base", || process.descriptors() <= 32);
    let (descriptors, base) = (process.descriptors(), process.kib("VmRSS"));
    batch(2, 40_000);
    eventually("its connections are closed", || process.descriptors() <= descriptors.max(32));
    let grown = process.kib("VmRSS").saturating_sub(base);
    assert!(grown < 8 * 1024, "{grown} KiB more than before");
    assert_eq!(process.connect().exchange(&Message::call("echo", 7)).body, text_struct(1, "hi"));
    process.signal(rustix::process::Signal::TERM);
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_caller_that_drips_its_bytes_is_given_up_and_others_are_served() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).listener("sniff_timeout = \"200ms\"\nread_timeout = \"200ms\"").start();
    let large = Message::call("echo", 7).text(&"x".repeat(100_000)).bytes();
    std::thread::scope(|scope| {
        for form in Form::ALL {
            let proxy = &proxy;
            let call = Message::call("echo", 7).form(form).text(&"x".repeat(1000)).bytes();
            for (ahead, wire) in [(0, call.clone()), (40, call), (70_000, large.clone())] {
                scope.spawn(move || {
                    let mut caller = proxy.connect();
                    caller.send(&wire[..ahead]);
                    // All of it would take 18 s.
                    let went_through = caller.send_slowly(&wire[ahead..ahead + 900], 1, Duration::from_millis(20));
                    assert!(!went_through, "it was not given up");
                    // A call that had begun to be forwarded is answered before the end.
                    caller.read_to_close();
                });
            }
        }
        let mut caller = proxy.connect();
        for seqid in 0..50 {
            assert_eq!(caller.exchange(&Message::call("echo", seqid)).seqid, seqid);
        }
    });
    proxy.eventually("all are gone", |totals| totals.downstream_open == 0 && totals.downstream_refused >= 18);
    assert!(backend.messages().iter().all(|call| call.body == text_struct(1, "hi")));
}

#[test]
fn a_thousand_connections_dropped_inside_a_message_leave_nothing_behind() {
    let backend = RawServer::echo();
    let proxy = Setup::to(&backend).cluster("idle_timeout = \"100ms\"").start();
    let small = Form::ALL.map(|form| Message::call("echo", 7).form(form).bytes());
    let large = [Form::Framed, Form::TtHeader]
        .map(|form| Message::call("echo", 7).form(form).text(&"x".repeat(100_000)).bytes());
    for round in 0..10 {
        let mut callers: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
        for (number, caller) in callers.iter_mut().enumerate() {
            let wire = if number % 4 == 0 { &large[number % 2] } else { &small[number % 6] };
            let cut = if number % 4 == 0 { 70_000 } else { 1 + (number + round) % (wire.len() - 1) };
            caller.send(&wire[..cut]);
        }
        for (number, caller) in callers.into_iter().enumerate() {
            if number % 2 == 0 { caller.reset() } else { drop(caller) }
        }
    }
    proxy.eventually("all were taken", |totals| totals.downstream_connections == 1000);
    proxy.eventually("nothing is left", |totals| totals.downstream_open == 0 && totals.upstream_open == 0);
    assert_eq!(backend.messages(), []);
    assert_eq!(proxy.connect().exchange(&Message::call("echo", 7)).body, text_struct(0, "hi"));
}

#[test]
fn a_caller_that_takes_no_replies_does_not_slow_others() {
    let backend = RawServer::replying(|call| {
        if call.method == b"echo" { call.reply().bytes() } else { call.reply().text(&"x".repeat(30_000)).bytes() }
    });
    let proxy = Setup::to(&backend).start();
    let mut caller = proxy.connect();
    // The best of several, as other tests run at the same time.
    let mut time = |what: &str| {
        let round = |_| {
            let begun = Instant::now();
            for seqid in 0..50 {
                assert_eq!(caller.exchange(&Message::call("echo", seqid)).seqid, seqid);
            }
            begun.elapsed()
        };
        let best = (0..10).map(round).min().unwrap();
        println!("{what}: {best:?}");
        best
    };
    let alone = time("alone");
    let mut slow = proxy.connect();
    // 30 MB of replies, more than the sockets take.
    for seqid in 0..1000 {
        slow.send(Message::call("big", seqid).bytes());
    }
    proxy.eventually("its calls have begun", |totals| totals.replies > 510);
    let beside = time("beside a caller that reads nothing");
    assert!(beside < alone * 10 + Duration::from_millis(500), "{beside:?} instead of {alone:?}");
    for seqid in 0..1000 {
        assert_eq!(slow.receive().seqid, seqid, "and nothing of its own is lost");
    }
}
