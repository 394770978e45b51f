//! Streams in JSON (generic-call 6.6, 7.12).

use std::sync::Arc;

use proxy::client::{Client, ClientStream, Invocation};
use proxy::handler::Failure;
use proxy::handler::generic::JsonService;
use proxy::rpc::StreamTransport;
use proxy::rpc::stream::StreamOutcome;
use thrift_generic::json::JsonCodec;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile, Provider, Value};

use crate::support::TestProxy;
use crate::{CALLS, JsonClient, STREAMS, local, one, serve};

const IDL: &str = r#"
    struct Message { 1: string text }
    service Chat {
        Message Join(1: Message m) (streaming.mode = "client"),
        Message Repeat(1: Message m) (streaming.mode = "server"),
        Message Talk(1: Message m) (streaming.mode = "bidirectional"),
        Message Ask(1: Message m) (streaming.mode = "unary"),
        Message PingPong(1: Message m),
    }
"#;

fn descriptor() -> Descriptor {
    Descriptor::from_text(IDL).unwrap()
}

fn message(text: &str) -> String {
    format!(r#"{{"text":"{text}"}}"#)
}

fn text(json: &str) -> String {
    json.strip_prefix(r#"{"text":""#).and_then(|rest| rest.strip_suffix(r#""}"#)).unwrap().to_owned()
}

fn chat() -> TestProxy {
    let service = JsonService::new(Provider::new(descriptor()))
        .calls(|call, json| async move {
            let what = if &*call.method == "Ask" { "unary" } else { "ping pong" };
            if text(&json) == "biz" {
                return Err(Failure::business(404, "not found"));
            }
            Ok(Outcome::Value(message(&format!("hello {what} {}", text(&json)))))
        })
        .client_streaming(|_, stream| async move {
            let mut all = Vec::new();
            while let Some(json) = stream.recv().await? {
                all.push(text(&json));
            }
            if all.contains(&"biz".to_owned()) {
                return Err(Failure::business(404, "not found"));
            }
            Ok(message(&all.join(" ")))
        })
        .server_streaming(|_, json, stream| async move {
            for number in 0..3 {
                stream.send(message(&format!("{} {number}", text(&json)))).await?;
            }
            Ok(())
        })
        .bidirectional_streaming(|_, stream| async move {
            while let Some(json) = stream.recv().await? {
                stream.send(json).await?;
            }
            Ok(())
        });
    serve(one(service))
}

/// A stream in JSON.
struct JsonStream {
    stream: ClientStream,
    codec: JsonCodec,
    descriptor: Arc<Descriptor>,
    method: &'static str,
}

impl JsonStream {
    async fn open(proxy: &TestProxy, transport: StreamTransport, method: &'static str) -> Self {
        let client = Client::builder(proxy.addr().to_string()).streams_over(transport).build();
        let stream = client.open(&Invocation::new("Chat", method)).await.unwrap();
        let codec = JsonCodec::new(Options::json(Profile::Default));
        Self { stream, codec, descriptor: Arc::new(descriptor()), method }
    }

    async fn send(&self, what: &str) {
        let function = self.descriptor.function(self.method).unwrap();
        let mut bytes = Vec::new();
        self.codec.write(&self.descriptor, function.request, message(what).as_bytes(), &mut bytes).unwrap();
        // S-07: a struct with one field, nothing around it.
        assert_eq!(bytes, testkit::peer::text_struct(1, what));
        self.stream.send(bytes.into()).await.unwrap();
    }

    async fn recv(&self) -> Option<String> {
        let bytes = self.stream.recv().await.unwrap()?;
        let function = self.descriptor.function(self.method).unwrap();
        let mut json = Vec::new();
        self.codec.read(&self.descriptor, function.response, &bytes, &mut json).unwrap();
        Some(text(&String::from_utf8(json).unwrap()))
    }
}

#[test]
fn s_01_a_client_stream_has_one_response_to_all_its_messages() {
    let proxy = chat();
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Join").await;
            for word in ["one", "two", "three"] {
                stream.send(word).await;
            }
            stream.stream.half_close();
            assert_eq!(stream.recv().await.as_deref(), Some("one two three"), "{transport:?}");
            assert_eq!(stream.recv().await, None);
            assert_eq!(stream.stream.outcome(), Some(StreamOutcome::Ok));
        });
    }
}

#[test]
fn s_02_a_server_stream_has_many_responses_and_an_end() {
    let proxy = chat();
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Repeat").await;
            stream.send("x").await;
            stream.stream.half_close();
            for expected in ["x 0", "x 1", "x 2"] {
                assert_eq!(stream.recv().await.as_deref(), Some(expected), "{transport:?}");
            }
            assert_eq!(stream.recv().await, None);
        });
    }
}

#[test]
fn s_03_both_ways_take_turns() {
    let proxy = chat();
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Talk").await;
            for word in ["one", "two"] {
                stream.send(word).await;
                assert_eq!(stream.recv().await.as_deref(), Some(word), "{transport:?}");
            }
            stream.stream.half_close();
            assert_eq!(stream.recv().await, None);
        });
    }
}

#[test]
fn s_04_unary_and_ping_pong_methods_live_in_one_idl() {
    let proxy = chat();
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, descriptor(), Profile::Default);
        for (method, expected) in [("Ask", "hello unary request"), ("PingPong", "hello ping pong request")] {
            let reply = local(client.call(method, &message("request"))).unwrap();
            assert_eq!(reply, Some(Outcome::Value(message(expected))), "{transport} {method}");
        }
    }
}

#[test]
fn s_05_a_business_error_ends_a_client_stream() {
    let proxy = chat();
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Join").await;
            stream.send("biz").await;
            stream.stream.half_close();
            assert_eq!(stream.recv().await, None, "{transport:?}");
            let Some(StreamOutcome::Business { status, message, .. }) = stream.stream.outcome() else { panic!() };
            assert_eq!((status, &message[..]), (404, &b"not found"[..]));
        });
    }
}

#[test]
fn s_08_callbacks_that_are_missing_say_which() {
    let proxy = serve(one(JsonService::new(Provider::new(descriptor()))));
    for (method, kind) in [("Join", "ClientStreaming"), ("Repeat", "ServerStreaming"), ("Talk", "BidiStreaming")] {
        for transport in STREAMS {
            local(async {
                let stream = JsonStream::open(&proxy, transport, method).await;
                stream.stream.half_close();
                assert_eq!(stream.recv().await, None);
                let (StreamOutcome::Exception { message, .. } | StreamOutcome::Status { message, .. }) =
                    stream.stream.outcome().unwrap()
                else {
                    panic!("{transport:?} {method}")
                };
                let text = String::from_utf8_lossy(&message);
                assert!(text.contains(&format!("generic.ServiceV2 {kind} not implemented")), "{text}");
            });
        }
    }
}

/// A proxy that knows no IDL, in front of `backend`.
fn between(backend: &TestProxy) -> TestProxy {
    TestProxy::start(&format!(
        "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\ncluster = \"backend\"\n\
         [cluster.backend]\nendpoints = [\"{}\"]\n",
        backend.addr()
    ))
}

#[test]
fn s_13_a_proxy_in_between_changes_nothing() {
    let backend = chat();
    let proxy = between(&backend);
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Join").await;
            stream.send("one").await;
            stream.send("two").await;
            stream.stream.half_close();
            assert_eq!(stream.recv().await.as_deref(), Some("one two"), "{transport:?}");
        });
    }
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, descriptor(), Profile::Default);
        let reply = local(client.call("PingPong", &message("request"))).unwrap();
        assert_eq!(reply, Some(Outcome::Value(message("hello ping pong request"))), "{transport}");
    }
}

#[test]
fn s_14_a_business_error_passes_a_proxy_with_code_and_message() {
    let backend = chat();
    let proxy = between(&backend);
    for transport in STREAMS {
        local(async {
            let stream = JsonStream::open(&proxy, transport, "Join").await;
            stream.send("biz").await;
            stream.stream.half_close();
            assert_eq!(stream.recv().await, None, "{transport:?}");
            let Some(StreamOutcome::Business { status, message, .. }) = stream.stream.outcome() else { panic!() };
            assert_eq!((status, &message[..]), (404, &b"not found"[..]));
        });
    }
    // Buffered and Framed have no place for it.
    for transport in &CALLS[2..] {
        let client = JsonClient::new(&proxy, *transport, descriptor(), Profile::Default);
        let refused = crate::Refused::Business(404, "not found".into());
        assert_eq!(local(client.call("PingPong", &message("biz"))).unwrap_err(), refused, "{transport}");
    }
}

#[test]
fn s_06_values_travel_on_streams_as_json_does() {
    let proxy = chat();
    let (descriptor, codec) = (descriptor(), MapCodec::default());
    let ty = descriptor.function("Talk").unwrap().request;
    let value = |text: &str| Value::structure([("text", text)]);
    for transport in STREAMS {
        local(async {
            let client = Client::builder(proxy.addr().to_string()).streams_over(transport).build();
            let stream = client.open(&Invocation::new("Chat", "Talk")).await.unwrap();
            for word in ["world", "again"] {
                let mut bytes = Vec::new();
                codec.encode_message(&descriptor, ty, Some(&value(word)), &mut bytes).unwrap();
                stream.send(bytes.into()).await.unwrap();
                let echoed = stream.recv().await.unwrap().unwrap();
                assert_eq!(codec.decode_message(&descriptor, ty, &echoed).unwrap(), value(word), "{transport:?}");
            }
            stream.half_close();
            assert_eq!(stream.recv().await.unwrap(), None);
        });
    }
}
