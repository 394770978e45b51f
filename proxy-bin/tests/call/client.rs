//! `proxy::client`, in this process.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use proxy::client::{Client, Invocation};
use proxy::rpc::stream::StreamOutcome;
use proxy::rpc::{FaultKind, StreamTransport, Transport};
use testkit::peer::http2::{RawH2, grpc_message};
use testkit::peer::ttstream::{TtFrame, TtServer};
use testkit::peer::{RawServer, text_struct};
use tokio::runtime::{Builder, LocalOptions};
use ttstream::FrameType;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap().block_on(work)
}

#[test]
fn calls_share_a_connection_one_after_the_other() {
    for transport in [Transport::Framed, Transport::TtHeader] {
        let backend = RawServer::echo();
        block_on(async {
            let client = Client::builder(backend.addr().to_string()).calls_over(transport).build();
            for text in ["one", "two", "three"] {
                let reply =
                    client.call(&Invocation::new("Echo", "echo"), &text_struct(1, text)).await.unwrap().unwrap();
                assert_eq!((reply.outcome, &reply.body[..]), (StreamOutcome::Ok, &text_struct(0, text)[..]));
            }
        });
        assert_eq!(backend.connections(), 1);
        let seqids: Vec<i32> = backend.messages().iter().map(|call| call.seqid).collect();
        assert_eq!(seqids, [1, 2, 3]);
    }
}

#[test]
fn calls_at_the_same_time_do_not_wait_for_each_other() {
    let backend = RawServer::replying(|call| {
        std::thread::sleep(Duration::from_millis(if call.method == b"slow" { 300 } else { 0 }));
        call.reply().bytes()
    });
    block_on(async {
        let client = Client::builder(backend.addr().to_string()).build();
        let (slow, fast) = (Invocation::new("Echo", "slow"), Invocation::new("Echo", "fast"));
        let body = text_struct(1, "x");
        let first = tokio::select! {
            reply = client.call(&slow, &body) => reply.map(|_| "slow"),
            reply = client.call(&fast, &body) => reply.map(|_| "fast"),
        };
        assert_eq!(first.unwrap(), "fast");
    });
}

#[test]
fn a_call_has_its_time() {
    let backend = RawServer::silent();
    block_on(async {
        let client = Client::builder(backend.addr().to_string()).build();
        let mut invocation = Invocation::new("Echo", "echo");
        invocation.timeout = Some(Duration::from_millis(50));
        let fault = client.call(&invocation, &text_struct(1, "x")).await.unwrap_err();
        assert_eq!((fault.kind, fault.sent), (FaultKind::Timeout, true));
    });
}

#[test]
fn a_stream_sends_and_receives_at_the_same_time() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_credit(true);
        let Some(request) = conn.next_request() else { return };
        while let Some(message) = conn.next_grpc_message(request.stream) {
            conn.respond(request.stream);
            conn.send_all(request.stream, grpc_message(message), false);
        }
        conn.trailers(request.stream, 0, "");
        conn.read_to_close();
    });
    // More than both windows hold.
    let messages: Vec<Bytes> = (0..20_u8).map(|index| vec![index; 50_000].into()).collect();
    block_on(async {
        let client = Client::builder(backend.addr().to_string()).streams_over(StreamTransport::Grpc).build();
        let stream = client.open(&Invocation::new("Echo", "chat")).await.unwrap();
        let send = async {
            for message in &messages {
                stream.send(message.clone()).await.unwrap();
            }
            stream.half_close();
        };
        let receive = async {
            let mut received = Vec::new();
            while let Some(message) = stream.recv().await.unwrap() {
                received.push(message);
            }
            received
        };
        let ((), received) = tokio::join!(send, receive);
        assert!(received == messages);
        assert_eq!(stream.outcome(), Some(StreamOutcome::Ok));
        assert!(stream.send(Bytes::new()).await.is_err(), "it has half closed");
    });
}

#[test]
fn a_stream_that_is_dropped_or_cancelled_is_reset() {
    for cancels in [false, true] {
        let backend = TtServer::start();
        let addr = backend.addr().to_string();
        let client = std::thread::spawn(move || {
            block_on(async {
                let client = Client::builder(addr).build();
                let stream = client.open(&Invocation::new("Echo", "chat")).await.unwrap();
                stream.send(text_struct(1, "x").into()).await.unwrap();
                if cancels {
                    stream.cancel();
                    assert_eq!(stream.recv().await.unwrap(), None);
                }
                drop(stream);
                tokio::time::sleep(Duration::from_millis(50)).await;
            });
        });
        let mut server = backend.accept();
        let id = server.read().id;
        assert_eq!(server.read().payload, text_struct(1, "x"));
        assert_eq!((server.read().frame_type(), id), (FrameType::Rst, 1));
        client.join().unwrap();
    }
}

#[test]
fn what_comes_with_a_stream_is_kept() {
    let backend = TtServer::start();
    let addr = backend.addr().to_string();
    let client = std::thread::spawn(move || {
        block_on(async {
            let client = Client::builder(addr).build();
            let stream = client.open(&Invocation::new("Echo", "chat")).await.unwrap();
            assert_eq!(stream.recv().await.unwrap(), None);
            let pairs = |metadata: proxy::rpc::stream::Metadata| -> Vec<(Vec<u8>, Vec<u8>)> {
                metadata.entries(|| {}).map(|entry| (entry.key.into_owned(), entry.value.into_owned())).collect()
            };
            (pairs(stream.headers()), pairs(stream.trailers()), stream.outcome())
        })
    });
    let mut server = backend.accept();
    let id = server.read().id;
    server.send(&TtFrame::header(id, "chat").string("early", "1"));
    server.send(&TtFrame::trailer(id, "chat").string("late", "2").string("biz-status", "3").string("biz-message", "m"));
    let (headers, trailers, outcome) = client.join().unwrap();
    assert_eq!(headers, [(b"early".to_vec(), b"1".to_vec())]);
    assert_eq!(trailers, [(b"late".to_vec(), b"2".to_vec())]);
    assert_eq!(outcome, Some(StreamOutcome::Business { status: 3, message: "m".into(), extra: None }));
}
