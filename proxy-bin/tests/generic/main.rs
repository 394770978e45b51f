//! Generic calls over every transport: our client and our server, JSON and values by an IDL, and bytes without one.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod binary;
mod calls;
mod streams;
#[path = "../proxy/support.rs"]
#[expect(dead_code, reason = "these tests have no use for a proxy in a process of its own")]
mod support;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use proxy::Proxy;
use proxy::client::{Client, Invocation, Reply};
use proxy::handler::generic::JsonService;
use proxy::handler::{Failure, Services, ServicesBuilder};
use proxy::rpc::stream::StreamOutcome;
use proxy::rpc::{StreamTransport, Transport};
use thrift_generic::descriptor::{Builder, ParseMode};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile, Provider};

use crate::support::TestProxy;

/// What carries calls.
const CALLS: [Transport; 5] =
    [Transport::Buffered, Transport::Framed, Transport::TtHeader, Transport::TtHeaderFramed, Transport::Grpc];

/// What carries streams.
const STREAMS: [StreamTransport; 2] = [StreamTransport::TtStream, StreamTransport::Grpc];

/// A descriptor of a fixture of `thrift-generic`.
fn fixture(name: &str, builder: Builder) -> Descriptor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../thrift-generic/tests/fixtures").join(name);
    builder.build(&Idl::from_file(path, &[]).unwrap()).unwrap()
}

/// A port that answers these services.
fn serve(services: ServicesBuilder) -> TestProxy {
    let listener = "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n";
    TestProxy::run(listener, Proxy::builder().services(services.build().unwrap()))
}

/// Runs what need not be `Send`.
fn local<T>(work: impl Future<Output = T>) -> T {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap();
    runtime.block_on(work)
}

/// A client that calls in JSON.
struct JsonClient {
    client: Client,
    descriptor: Arc<Descriptor>,
    codec: JsonCodec,
}

/// Why a call has no outcome.
#[derive(Debug, PartialEq)]
enum Refused {
    Conversion(String),
    Business(i32, String),
    Exception(i32, String),
    Status(i32, String),
}

impl JsonClient {
    fn new(proxy: &TestProxy, transport: Transport, descriptor: Descriptor, profile: Profile) -> Self {
        Self {
            client: Client::builder(proxy.addr().to_string()).calls_over(transport).build(),
            descriptor: Arc::new(descriptor),
            codec: JsonCodec::new(Options::json(profile)),
        }
    }

    /// How the call came back; none of a oneway one.
    async fn call(&self, method: &str, json: &str) -> Result<Option<Outcome<String>>, Refused> {
        let function = self.descriptor.function(method).ok_or_else(|| Refused::Conversion("no method info".into()))?;
        let mut body = Vec::new();
        self.codec
            .encode_request(&self.descriptor, function, Some(json.as_bytes()), None, &mut body)
            .map_err(|error| Refused::Conversion(error.to_string()))?;
        let mut invocation = Invocation::new(self.descriptor.name(), method);
        invocation.oneway = function.oneway;
        let Some(Reply { outcome, body, .. }) = self.client.call(&invocation, &body).await.unwrap() else {
            return Ok(None);
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match outcome {
            StreamOutcome::Ok => {}
            StreamOutcome::Business { status, message, .. } => return Err(Refused::Business(status, text(&message))),
            StreamOutcome::Exception { code, message } => return Err(Refused::Exception(code, text(&message))),
            StreamOutcome::Status { code, message } => return Err(Refused::Status(code, text(&message))),
            other => panic!("{other:?}"),
        }
        let mut json = Vec::new();
        let outcome = self
            .codec
            .decode_response(&self.descriptor, function, &body, &mut json)
            .map_err(|error| Refused::Conversion(error.to_string()))?;
        let json = String::from_utf8(json).unwrap();
        Ok(Some(match outcome {
            Outcome::Value(()) => Outcome::Value(json),
            Outcome::Exception { id, value: () } => Outcome::Exception { id, value: json },
            Outcome::Void => Outcome::Void,
            _ => Outcome::Empty,
        }))
    }
}

/// A server in JSON that does what its argument says.
fn obedient(descriptor: Descriptor, profile: Profile) -> JsonService {
    JsonService::new(Provider::new(descriptor)).options(Options::json(profile)).calls(|call, json| async move {
        match &*json {
            "fail" => Err(Failure::internal("biz error: it failed")),
            "not found" => Err(Failure::business(404, "not found")),
            _ if &*call.method == "V" => Ok(Outcome::Void),
            _ if json.contains("declared 1") => {
                Ok(Outcome::Exception { id: 1, value: r#"{"code":400,"msg":"oop"}"#.into() })
            }
            _ if json.contains("declared 2") => Ok(Outcome::Exception { id: 2, value: r#"{"why":"two"}"#.into() }),
            _ if json.contains("nothing") => Ok(Outcome::Empty),
            _ => Ok(Outcome::Value(json)),
        }
    })
}

fn last(name: &str) -> Descriptor {
    fixture(name, Builder::new())
}

fn combined(name: &str) -> Descriptor {
    fixture(name, Builder::new().mode(ParseMode::Combine))
}

fn one(service: JsonService) -> ServicesBuilder {
    Services::builder().service(service.into_service())
}
