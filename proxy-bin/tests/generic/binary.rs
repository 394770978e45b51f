//! Calls and streams of bytes: the binary generic of Kitex (generic-call 6.2, 6.5, 6.7).

use bytes::Bytes;
use proxy::client::{Client, Invocation};
use proxy::handler::{self, Request, Response, Service, Services, Stream};
use proxy::rpc::stream::{Codec, StreamOutcome};
use proxy::rpc::{StreamTransport, Transport};
use testkit::peer::text_struct;

use crate::{CALLS, STREAMS, local, serve};

/// Echoes: the struct of the arguments as that of the result, messages as they are.
struct Echo;

impl handler::Handler for Echo {
    fn call(&self, request: Request) -> handler::Answering<'_, Response> {
        Box::pin(async move {
            let mut body = request.body.to_vec();
            if let (Codec::Thrift, [_, 0, id, ..]) = (request.codec, &mut body[..]) {
                *id = 0;
            }
            let mut response = Response::new(body);
            response.metadata.push(("x-service".into(), Bytes::copy_from_slice(request.head.service())));
            Ok(response)
        })
    }

    fn stream(&self, request: Request, stream: Stream) -> handler::Answering<'_, ()> {
        Box::pin(async move {
            match request.head.method() {
                b"Client" => {
                    let mut all = Vec::new();
                    while let Some(message) = stream.recv().await? {
                        all.extend_from_slice(&message);
                    }
                    stream.send(all).await;
                }
                b"Server" => {
                    let request = stream.recv().await?.unwrap_or_default();
                    for _ in 0..3 {
                        stream.send(request.clone()).await;
                    }
                }
                b"BizEnd" => return Err(handler::Failure::business(502, "at the end")),
                _ => {
                    while let Some(message) = stream.recv().await? {
                        stream.send(message).await;
                    }
                }
            }
            Ok(())
        })
    }

    fn streams(&self, method: &[u8]) -> bool {
        method != b"Unary"
    }
}

#[test]
fn b_07_bytes_come_back_over_every_transport() {
    let proxy = serve(Services::builder().service(Service::new("Live", Echo)).unknown(Echo));
    for transport in CALLS {
        let client = Client::builder(proxy.addr().to_string()).calls_over(transport).build();
        let reply = local(client.call(&Invocation::new("Live", "Unary"), &text_struct(1, "hi"))).unwrap().unwrap();
        assert_eq!((reply.outcome, &reply.body[..]), (StreamOutcome::Ok, &text_struct(0, "hi")[..]), "{transport}");
    }
}

/// What a stream of `method` answers to these messages, and how it ends.
async fn exchange(client: &Client, invocation: &Invocation, messages: &[&str]) -> (Vec<Bytes>, StreamOutcome) {
    let stream = client.open(invocation).await.unwrap();
    for message in messages {
        // What a stream refuses it says at its end.
        let _refused = stream.send(Bytes::copy_from_slice(message.as_bytes())).await;
    }
    stream.half_close();
    let mut answers = Vec::new();
    while let Some(message) = stream.recv().await.unwrap() {
        answers.push(message);
    }
    (answers, stream.outcome().unwrap())
}

#[test]
fn b_08_streams_of_all_kinds_come_back() {
    let proxy = serve(Services::builder().service(Service::new("Live", Echo)));
    for transport in STREAMS {
        let client = Client::builder(proxy.addr().to_string()).streams_over(transport).build();
        local(async {
            let stream = |method| Invocation::new("Live", method);
            let (answers, end) = exchange(&client, &stream("Bidi"), &["a", "b", "c"]).await;
            assert_eq!((answers, end), (vec!["a".into(), "b".into(), "c".into()], StreamOutcome::Ok), "{transport:?}");
            let (answers, end) = exchange(&client, &stream("Client"), &["a", "b", "c"]).await;
            assert_eq!((answers, end), (vec!["abc".into()], StreamOutcome::Ok));
            let (answers, end) = exchange(&client, &stream("Server"), &["x"]).await;
            assert_eq!((answers, end), (vec!["x".into(), "x".into(), "x".into()], StreamOutcome::Ok));
            let (answers, end) = exchange(&client, &stream("BizEnd"), &[]).await;
            assert_eq!(answers, Vec::<Bytes>::new());
            let StreamOutcome::Business { status: 502, message, .. } = end else { panic!("{end:?}") };
            assert_eq!(message, "at the end");
        });
    }
}

#[test]
fn b_09_a_call_goes_to_the_service_that_it_names() {
    let proxy = serve(Services::builder().service(Service::new("A", Echo)).service(Service::new("B", Echo)));
    for transport in [Transport::TtHeader, Transport::Grpc] {
        let client = Client::builder(proxy.addr().to_string()).calls_over(transport).build();
        for service in ["A", "B"] {
            let call = Invocation::new(service, "Unary");
            let reply = local(client.call(&call, &text_struct(1, "hi"))).unwrap().unwrap();
            let named =
                reply.headers.entries(|| ()).find(|entry| &*entry.key == b"x-service").unwrap().value.into_owned();
            assert_eq!(named, service.as_bytes(), "{transport}");
        }
    }
}

#[test]
fn b_10_protobuf_bytes_come_back() {
    // Framed names no service.
    let proxy = serve(Services::builder().service(Service::new("Live", Echo)).unknown(Echo));
    let invocation = |method| {
        let mut invocation = Invocation::new("Live", method);
        (invocation.codec, invocation.package) = (Codec::Protobuf, "pkg".into());
        invocation
    };
    for transport in [Transport::Framed, Transport::TtHeaderFramed, Transport::Grpc] {
        let client = Client::builder(proxy.addr().to_string()).calls_over(transport).build();
        let reply = local(client.call(&invocation("Unary"), b"\x0a\x02hi")).unwrap().unwrap();
        assert_eq!((reply.outcome, &reply.body[..]), (StreamOutcome::Ok, &b"\x0a\x02hi"[..]), "{transport}");
    }
    let client = Client::builder(proxy.addr().to_string()).streams_over(StreamTransport::Grpc).build();
    let (answers, end) = local(exchange(&client, &invocation("Bidi"), &["\x0a\x01a", ""]));
    assert_eq!((answers, end), (vec!["\x0a\x01a".into(), "".into()], StreamOutcome::Ok));
}

#[test]
fn s_10_streams_of_unknown_services_go_to_their_handler() {
    let known = handler::streams(|_, _| async { Err(handler::Failure::internal("the known one")) });
    let proxy = serve(Services::builder().service(Service::new("Live", known).methods(["Known"])).unknown(Echo));
    for transport in STREAMS {
        let client = Client::builder(proxy.addr().to_string()).streams_over(transport).build();
        for (service, method) in [("Nobody", "Bidi"), ("Live", "Bidi")] {
            let (answers, end) = local(exchange(&client, &Invocation::new(service, method), &["a"]));
            assert_eq!((answers, end), (vec!["a".into()], StreamOutcome::Ok), "{transport:?} {service}");
        }
        let (_, end) = local(exchange(&client, &Invocation::new("Live", "Known"), &["a"]));
        assert_ne!(end, StreamOutcome::Ok);
    }
}
