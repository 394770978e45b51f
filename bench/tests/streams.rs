//! The streaming half of the harness against itself and against the `h2` crate: what is right is counted, what is wrong is
//! refused.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use bench::h2relay::H2Relay;
use bench::relay::Relay;
use bench::streams::backend::StreamBackend;
use bench::streams::load::{StreamLoad, StreamReport};
use bench::streams::{Kind, Writes};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};

const LIFETIME: Duration = Duration::from_secs(20);
const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A backend on a thread of its own, which ends with the test process at the latest.
fn backend(kind: Kind) -> SocketAddr {
    let backend = StreamBackend::bind(LOCAL.into(), kind, Writes::usual(kind)).unwrap();
    let address = backend.local_addr().unwrap();
    std::thread::spawn(move || backend.serve(LIFETIME, |why| panic!("backend: {why}")).unwrap());
    address
}

fn h2relay(upstream: SocketAddr) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        H2Relay::new(LOCAL.into(), upstream).run(LIFETIME, |address| tell.send(address).unwrap())
    });
    told.recv().unwrap()
}

fn relay(upstream: SocketAddr) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    let relay = Relay::new(LOCAL.into(), upstream, 64 << 10);
    std::thread::spawn(move || relay.run(LIFETIME, |address| tell.send(address).unwrap()));
    told.recv().unwrap()
}

fn run(target: SocketAddr, kind: Kind, size: usize, writes: Writes) -> StreamReport {
    let mut load = StreamLoad::new(target, kind);
    load.size = size;
    load.writes = writes;
    load.warmup = Duration::from_millis(20);
    // A message of 1 MiB takes its time in a build without optimization, on a machine that does other things too.
    let large = size >= 1 << 20;
    load.streams = if large { 1 } else { 4 };
    load.window = Duration::from_millis(if large { 400 } else { 50 });
    load.run().unwrap()
}

#[test]
fn every_kind_and_size_is_echoed_without_a_relay_and_with_each() {
    for kind in [Kind::GrpcUnary, Kind::GrpcBidi, Kind::Ttstream] {
        let backend = backend(kind);
        let mut targets = vec![backend, relay(backend)];
        if kind.is_grpc() {
            targets.push(h2relay(backend));
        }
        for target in targets {
            for size in [64, 1 << 10, 16 << 10, 1 << 20] {
                for writes in [Writes::Turn, Writes::Each] {
                    let report = run(target, kind, size, writes);
                    assert_eq!(report.errors.total(), 0, "{kind} {size} {writes}: {report}");
                    assert!(report.messages > 0, "{kind} {size} {writes}: {report}");
                }
            }
        }
    }
}

#[test]
fn idle_streams_are_held_open_and_end_well() {
    for kind in [Kind::GrpcBidi, Kind::Ttstream] {
        let mut load = StreamLoad::new(backend(kind), kind);
        load.streams = 20;
        assert_eq!(load.hold(|| Ok(7)).unwrap(), 7);
    }
}

/// What a server on the `h2` crate does to a unary answer.
#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    Status,
    NoStatus,
    Byte,
    Short,
    TrailersOnly,
    Reset,
}

/// A unary echo server on the `h2` crate.
fn h2_server(twist: Twist) -> SocketAddr {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let serve = async {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                        while let Some(Ok((request, respond))) = connection.accept().await {
                            tokio::spawn(answer(request.into_body(), respond, twist));
                        }
                    });
                }
            };
            let _ = tokio::time::timeout(LIFETIME, serve).await;
        });
    });
    address
}

async fn answer(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>, twist: Twist) {
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return };
        let _ = body.flow_control().release_capacity(data.len());
        message.extend_from_slice(&data);
    }
    let mut headers = Response::new(());
    headers.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
    let mut trailers = HeaderMap::new();
    match twist {
        Twist::Byte => *message.last_mut().unwrap() ^= 1,
        Twist::Short => drop(message.pop()),
        Twist::Reset => return respond.send_reset(h2::Reason::CANCEL),
        Twist::TrailersOnly => {
            headers.headers_mut().insert("grpc-status", HeaderValue::from_static("14"));
            let _ = respond.send_response(headers, true);
            return;
        }
        Twist::None | Twist::Status | Twist::NoStatus => {}
    }
    if !matches!(twist, Twist::NoStatus) {
        let status = if matches!(twist, Twist::Status) { "5" } else { "0" };
        trailers.insert("grpc-status", HeaderValue::from_static(status));
    }
    let Ok(mut stream) = respond.send_response(headers, false) else { return };
    let _ = stream.send_data(message.into(), false);
    let _ = stream.send_trailers(trailers);
}

#[test]
fn answers_of_the_h2_crate_are_checked() {
    let errors = |twist| {
        let report = run(h2_server(twist), Kind::GrpcUnary, 20_000, Writes::Turn);
        (report.messages, report.errors)
    };
    let (messages, good) = errors(Twist::None);
    assert!(messages > 0 && good.total() == 0, "{good:?}");
    // Each connection is given up at its first wrong answer, and what else was under way on it is lost.
    let first = |twist| {
        let (messages, bad) = errors(twist);
        assert_eq!(messages, 0, "{twist:?}");
        (bad.exceptions, bad.length, bad.payload, bad.wire, bad.first.unwrap())
    };
    assert_eq!(first(Twist::Status), (4, 0, 0, 0, "grpc-status 5".to_owned()));
    assert_eq!(first(Twist::TrailersOnly), (4, 0, 0, 0, "grpc-status 14".to_owned()));
    assert_eq!(first(Twist::NoStatus), (0, 0, 0, 4, "headers: trailers without grpc-status".to_owned()));
    assert_eq!(first(Twist::Byte), (0, 0, 4, 0, "answer differs from what was sent".to_owned()));
    assert_eq!(first(Twist::Short), (0, 4, 0, 0, "answer of 20004 bytes, expected 20005".to_owned()));
    assert_eq!(first(Twist::Reset), (0, 0, 0, 0, "RST_STREAM with code 8".to_owned()));
}
