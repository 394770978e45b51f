//! Where a stream goes, and what its caller is told where it goes nowhere: a stock server is silent in most of these
//! cases (streaming-wire A14), the proxy is not.

use std::net::{SocketAddr, TcpListener};

use proxy::rpc::FaultKind;
use testkit::peer::ttstream::{TtConn, TtFrame};
use testkit::peer::{Form, Message, RawClient};
use ttstream::{FrameType, IntKey};

use crate::support::{Setup, TestProxy};
use crate::way::{METHOD, SERVICE, Stream, Way, data, end, header, opened, opening};

/// The answer that the proxy gives itself: an empty header, and an exception.
#[track_caller]
fn answer(caller: &mut TtConn, id: i32, method: &str) -> (i32, String) {
    caller.expect(&TtFrame::header(id, method));
    let trailer = caller.read();
    assert_eq!((trailer.id, trailer.frame_type(), trailer.method()), (id, FrameType::Trailer, method.as_bytes()));
    assert_eq!(trailer.strings, [], "no keys are added");
    let (code, text) = trailer.code_and_text();
    assert!(text.starts_with("proxy: "), "whose words they are: {text}");
    (code, text)
}

/// A port that nobody listens on.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn an_unknown_service_or_method_is_answered() {
    let way = Way::with(|setup| setup.route(&format!("service = \"{SERVICE}\"\nmethod = \"{METHOD}\"")));
    let mut caller = way.caller();
    let of = |service: &str, method: &str| TtFrame::header(7, method).string("isn", service);
    for (frame, code, told) in [
        (of("Dead", METHOD), 20, "unknown service Dead"),
        (of("Dead", "Walk"), 20, "unknown service Dead"),
        (of("acme.Live", METHOD), 20, "unknown service acme.Live"),
        (of("live", METHOD), 20, "unknown service live"),
        (of(SERVICE, "Walk"), 1, "unknown method Walk"),
        (of(SERVICE, "chat"), 1, "unknown method chat"),
        (TtFrame::header(7, "Walk"), 20, "unknown service"),
    ] {
        let method = String::from_utf8_lossy(frame.method()).into_owned();
        // What follows comes for a stream that is over.
        caller.send_all([&frame, &TtFrame::data(7, &method, "a"), &TtFrame::trailer(7, &method)]);
        let (got, text) = answer(&mut caller, 7, &method);
        assert_eq!(got, code, "{text}");
        assert!(text.contains(told), "{text}");
    }
    caller.send(&opening(7));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 7, up }.finish();
    assert_eq!(way.backend.connections(), 1);
    let totals = way.proxy.totals();
    assert_eq!(totals.faults_of(FaultKind::UnknownService), 5);
    assert_eq!(totals.faults_of(FaultKind::UnknownMethod), 2);
}

#[test]
fn a_stream_that_names_no_method_is_answered() {
    let way = Way::new();
    let mut caller = way.caller();
    let mut nameless = TtFrame::header(7, "").string("isn", SERVICE);
    for _ in 0..2 {
        caller.send(&nameless);
        assert_eq!(answer(&mut caller, 7, "").0, 1);
    }
    // Without the key at all.
    nameless.ints.remove(0);
    caller.send(&nameless);
    assert_eq!(caller.read().frame_type(), FrameType::Header);
    assert_eq!(caller.read().code_and_text().0, 1);
    caller.send(&opening(8));
    let mut backend = way.backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 8, up }.finish();
}

#[test]
fn a_stream_that_names_no_service_is_the_listeners() {
    let service = "service = \"Live\"";
    let way = Way::with(|setup| setup.listener(service).route(service));
    for opening in [TtFrame::header(7, METHOD), TtFrame::header(7, METHOD).string("isn", "")] {
        let mut caller = way.caller();
        caller.send(&opening);
        let mut backend = way.backend.accept();
        let came = backend.read();
        assert_eq!(came, opening.with_id(came.id), "what it says of itself stays");
    }
    let mut caller = way.caller();
    caller.send(&TtFrame::header(7, METHOD).string("isn", "Other"));
    assert_eq!(answer(&mut caller, 7, METHOD).0, 20);
}

#[test]
fn streams_are_routed_by_what_their_header_says() {
    let way = Way::with(|setup| {
        setup.route("service = \"Li*\"\nmethod = \"Chat\"\ncaller = \"me\"\nmetadata = { RPC_PERSIST_ENV = \"test*\" }")
    });
    let right = opening(7).string("RPC_PERSIST_ENV", "test-7").int(IntKey::FROM_SERVICE, "me");
    let mut caller = way.caller();
    for wrong in [
        opening(7),
        opening(7).string("RPC_PERSIST_ENV", "test-7"),
        opening(7).int(IntKey::FROM_SERVICE, "me"),
        opening(7).string("RPC_PERSIST_ENV", "prod").int(IntKey::FROM_SERVICE, "me"),
    ] {
        caller.send(&wrong);
        assert_eq!(answer(&mut caller, 7, METHOD).0, 20);
    }
    caller.send(&right);
    let came = way.backend.accept().read();
    assert_eq!(came, right.with_id(came.id));
}

#[test]
fn a_backend_that_can_not_be_reached_is_an_answer() {
    let proxy = Setup::to_addr(nowhere()).start();
    let mut caller = TtConn::connect(proxy.addr());
    for id in [7, 8] {
        caller.send_all([&opening(id), &data("a").with_id(id)]);
        let (code, text) = answer(&mut caller, id, METHOD);
        assert_eq!(code, 6);
        assert!(text.contains("can't connect"), "{text}");
    }
    proxy.eventually("it is counted", |totals| totals.faults_of(FaultKind::Connect) == 2);
}

#[test]
fn streams_over_the_limit_of_a_connection_are_answered() {
    let way = Way::with(|setup| setup.listener("max_in_flight = 2").cluster("stream_pool = \"mux\""));
    let mut caller = way.caller();
    caller.send_all([&opening(1), &opening(2), &opening(3), &data("a").with_id(3)]);
    let mut backend = way.backend.accept();
    let (one, _two) = (opened(&mut backend), opened(&mut backend));
    let (code, text) = answer(&mut caller, 3, METHOD);
    assert_eq!(code, 6);
    assert!(text.contains("over limit"), "{text}");
    // Another connection has a limit of its own, and one that ends makes room.
    let mut other = way.caller();
    other.send(&opening(1));
    let up = opened(&mut backend);
    let mut other = Stream { caller: other, backend, id: 1, up };
    other.finish();
    let mut one = Stream { caller, backend: other.backend, id: 1, up: one };
    one.finish();
    one.caller.send(&opening(3));
    let up = opened(&mut one.backend);
    Stream { id: 3, up, ..one }.finish();
    way.eventually("it is counted", |totals| totals.faults_of(FaultKind::OverLimit) == 1);
}

const MAX: usize = 300_000;

#[test]
fn a_message_of_the_largest_size_passes_both_ways() {
    let way = Way::with(|setup| setup.listener(&format!("max_message = \"{MAX}B\"")));
    let mut stream = way.open();
    let largest = data(vec![7; MAX]);
    stream.down_to_up(&largest);
    stream.up_to_down(&header());
    stream.up_to_down(&largest);
    stream.finish();
}

#[test]
fn a_callers_message_over_the_limit_is_answered_and_no_other_connection_harmed() {
    let way = Way::with(|setup| setup.listener(&format!("max_message = \"{MAX}B\"")));
    let mut other = way.open();
    for over in [1, 10_000, 1_000_000] {
        let mut stream = way.open();
        // What is too much may not be taken to its end.
        let _taken = stream.caller.try_send(data(vec![7; MAX + over]).with_id(7).bytes());
        let (code, text) = answer(&mut stream.caller, 7, METHOD);
        assert_eq!(code, 6, "{text}");
        assert!(text.contains("max_message") || text.contains(&MAX.to_string()), "{text}");
        assert_eq!(stream.backend.read().frame_type(), FrameType::Rst);
        stream.backend.expect(&end().with_id(stream.up));
    }
    other.finish();
}

#[test]
fn a_backends_message_over_the_limit_is_answered_and_the_callers_connection_unharmed() {
    let way = Way::with(|setup| setup.listener(&format!("max_message = \"{MAX}B\"")));
    let mut caller = way.caller();
    for over in [1, 10_000, 1_000_000] {
        caller.send(&opening(7));
        let mut backend = way.backend.accept();
        let up = opened(&mut backend);
        let _taken = backend.try_send(data(vec![7; MAX + over]).with_id(up).bytes());
        let (code, text) = answer(&mut caller, 7, METHOD);
        assert_eq!(code, 6, "{text}");
    }
}

#[test]
fn a_length_is_not_believed() {
    let way = Way::new();
    let mut other = way.open();
    let mut caller = way.caller();
    let mut claim = data("short").with_id(7).bytes();
    claim[..4].copy_from_slice(&[0x3f, 0xff, 0xff, 0xff]);
    caller.send_bytes(claim);
    caller.expect_close();
    way.eventually("it is counted", |totals| totals.downstream_refused == 1);
    other.finish();
}

#[test]
fn a_listener_takes_what_it_is_for_and_refuses_the_rest() {
    for (protocols, allowed) in [("\"grpc\"", false), ("\"grpc\", \"ttheader\"", false), ("\"ttstream\"", true)] {
        let way = Way::with(|setup| setup.listener(&format!("protocols = [{protocols}]")));
        if allowed {
            way.open().finish();
            let mut pingpong = RawClient::connect(way.addr());
            pingpong.send(Message::call("echo", 1).form(Form::TtHeader).bytes());
            pingpong.expect_close();
        } else {
            let mut caller = way.caller();
            caller.send(&opening(7));
            caller.expect_close();
            assert_eq!(way.backend.connections(), 0);
        }
        way.eventually("it is counted", |totals| totals.downstream_refused == 1);
    }
}

#[test]
fn one_port_takes_streams_and_calls_on_connections_of_their_own() {
    let backend = testkit::peer::RawServer::echo();
    let streams = testkit::peer::ttstream::TtServer::start();
    let config = format!(
        "workers = 1\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\nservice = \"Live\"\nmethod = \"Chat\"\ncluster = \
         \"streams\"\n[[route]]\ncluster = \"calls\"\n[cluster.streams]\nendpoints = \
         [\"{}\"]\n[cluster.calls]\nendpoints = [\"{}\"]\n",
        streams.addr(),
        backend.addr()
    );
    let proxy = TestProxy::start(&config);
    let mut calls = proxy.connect();
    let call = Message::call("echo", 1).form(Form::TtHeader);
    assert_eq!(calls.exchange(&call), call.reply());
    let mut caller = TtConn::connect(proxy.addr());
    caller.send(&opening(7));
    let mut backend = streams.accept();
    let up = opened(&mut backend);
    let mut stream = Stream { caller, backend, id: 7, up };
    stream.finish();
    // Not on one connection (streaming-wire 0).
    stream.caller.send_bytes(call.bytes());
    stream.caller.expect_close();
    proxy.eventually("it is counted", |totals| totals.downstream_refused == 1);
    assert_eq!(calls.exchange(&call), call.reply());
}
