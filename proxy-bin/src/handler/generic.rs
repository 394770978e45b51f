//! Services in JSON, by an IDL that is read at run time: what Kitex calls a generic server (generic-call 3.1, 6.6).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use thrift_codec::exception;
use thrift_generic::descriptor::{Function, Streaming, Type};
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile, Provider};

use crate::handler::{Answering, Failure, Handler, Request, Response, Service, Stream};
use crate::rpc::Head;

/// A service whose arguments, results and messages are JSON texts.
///
/// A callback that is not given answers "not implemented".
///
/// ```
/// use proxy::handler::generic::JsonService;
/// use proxy::handler::{Failure, Services};
/// use thrift_generic::{Descriptor, Outcome, Provider};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let idl = "service Greeter { string greet(1: string name) throws (1: Rude e) } exception Rude { 1: string why }";
/// let service = JsonService::new(Provider::new(Descriptor::from_text(idl)?)).calls(|call, name| async move {
///     match &*call.method {
///         "greet" => Ok(Outcome::Value(format!("hello {name}"))),
///         _ => Err(Failure::internal("no such greeting")),
///     }
/// });
/// let services = Services::builder().service(service.into_service()).build()?;
/// # let _ = services;
/// # Ok(())
/// # }
/// ```
pub struct JsonService {
    provider: Provider,
    codec: JsonCodec,
    call: Option<Callback<String, Outcome<String>>>,
    client: Option<Callback<JsonStream, String>>,
    server: Option<Callback<(String, JsonStream), ()>>,
    bidirectional: Option<Callback<JsonStream, ()>>,
}

type Callback<A, R> = Box<dyn Fn(Invoked, A) -> Pin<Box<dyn Future<Output = Result<R, Failure>>>> + Send + Sync>;

/// What a callback is told of the call beside its argument.
#[derive(Clone)]
#[non_exhaustive]
pub struct Invoked {
    /// The method.
    pub method: Box<str>,
    /// Who calls, and the metadata that came along.
    pub head: Rc<dyn Head>,
}

impl fmt::Debug for Invoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invoked").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for JsonService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonService").field("name", &self.provider.load().name()).finish_non_exhaustive()
    }
}

/// A stream of JSON texts.
#[derive(Clone)]
pub struct JsonStream {
    stream: Stream,
    codec: JsonCodec,
    descriptor: Arc<Descriptor>,
    received: Type,
    sent: Type,
}

impl fmt::Debug for JsonStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl JsonStream {
    /// The caller's next message; none once it has half closed.
    ///
    /// # Errors
    ///
    /// What came is not what the IDL says.
    pub async fn recv(&self) -> Result<Option<String>, Failure> {
        let Some(message) = self.stream.recv().await? else { return Ok(None) };
        let mut json = Vec::new();
        self.codec.read(&self.descriptor, self.received, &message, &mut json).map_err(unreadable)?;
        Ok(Some(text(json)))
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The text is not what the IDL says.
    pub async fn send(&self, json: impl AsRef<str>) -> Result<(), Failure> {
        let mut message = Vec::new();
        self.codec.write(&self.descriptor, self.sent, json.as_ref().as_bytes(), &mut message).map_err(unwritable)?;
        self.stream.send(message).await;
        Ok(())
    }

    /// The stream below, for its metadata.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl JsonService {
    /// The service of this descriptor, by Kitex's default rules for JSON.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self {
            provider,
            codec: JsonCodec::new(Options::json(Profile::Default)),
            call: None,
            client: None,
            server: None,
            bidirectional: None,
        }
    }

    /// Converts by other rules.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.codec = JsonCodec::new(options);
        self
    }

    /// Answers calls that do not stream.
    #[must_use]
    pub fn calls<F, A>(mut self, function: F) -> Self
    where
        F: Fn(Invoked, String) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Outcome<String>, Failure>> + 'static,
    {
        self.call = Some(Box::new(move |invoked, json| Box::pin(function(invoked, json))));
        self
    }

    /// Answers methods with many requests and one response.
    #[must_use]
    pub fn client_streaming<F, A>(mut self, function: F) -> Self
    where
        F: Fn(Invoked, JsonStream) -> A + Send + Sync + 'static,
        A: Future<Output = Result<String, Failure>> + 'static,
    {
        self.client = Some(Box::new(move |invoked, stream| Box::pin(function(invoked, stream))));
        self
    }

    /// Answers methods with one request and many responses.
    #[must_use]
    pub fn server_streaming<F, A>(mut self, function: F) -> Self
    where
        F: Fn(Invoked, String, JsonStream) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), Failure>> + 'static,
    {
        self.server = Some(Box::new(move |invoked, (json, stream)| Box::pin(function(invoked, json, stream))));
        self
    }

    /// Answers methods with many requests and many responses.
    #[must_use]
    pub fn bidirectional_streaming<F, A>(mut self, function: F) -> Self
    where
        F: Fn(Invoked, JsonStream) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), Failure>> + 'static,
    {
        self.bidirectional = Some(Box::new(move |invoked, stream| Box::pin(function(invoked, stream))));
        self
    }

    /// The service under its descriptor's name, with the methods that the descriptor has now.
    #[must_use]
    pub fn into_service(self) -> Service {
        let descriptor = self.provider.load();
        let methods: Vec<_> = descriptor.functions().iter().map(|function| function.name.to_string()).collect();
        let combined = descriptor.is_combined();
        let service = Service::new(descriptor.name(), self).methods(methods);
        if combined { service.combined() } else { service }
    }
}

impl Handler for JsonService {
    fn call(&self, request: Request) -> Answering<'_, Response> {
        Box::pin(async move {
            let descriptor = self.provider.load();
            let function = function(&descriptor, &request)?;
            let mut json = Vec::new();
            self.codec.decode_request(&descriptor, function, &request.body, &mut json).map_err(unreadable)?;
            let call = self.call.as_ref().ok_or_else(|| Failure::not_implemented("GenericCall"))?;
            let outcome = call(invoked(function, &request), text(json)).await?;
            let mut body = Vec::new();
            let outcome = match &outcome {
                Outcome::Value(json) => Outcome::Value(json.as_bytes()),
                Outcome::Exception { id, value } => Outcome::Exception { id: *id, value: value.as_bytes() },
                Outcome::Void => Outcome::Void,
                _ => Outcome::Empty,
            };
            self.codec.encode_response(&descriptor, function, &outcome, &mut body).map_err(unwritable)?;
            Ok(Response::new(body))
        })
    }

    fn stream(&self, request: Request, stream: Stream) -> Answering<'_, ()> {
        Box::pin(async move {
            let descriptor = self.provider.load();
            let function = function(&descriptor, &request)?;
            let invoked = invoked(function, &request);
            let stream = JsonStream {
                stream,
                codec: self.codec.clone(),
                descriptor: Arc::clone(&descriptor),
                received: function.request,
                sent: function.response,
            };
            match function.streaming {
                Streaming::Client => {
                    let client = self.client.as_ref().ok_or_else(|| Failure::not_implemented("ClientStreaming"))?;
                    let response = client(invoked, stream.clone()).await?;
                    stream.send(response).await
                }
                Streaming::Server => {
                    let server = self.server.as_ref().ok_or_else(|| Failure::not_implemented("ServerStreaming"))?;
                    let request = stream.recv().await?;
                    let request = request.ok_or_else(|| Failure::internal("a stream without its request"))?;
                    server(invoked, (request, stream)).await
                }
                _ => {
                    let serve = self.bidirectional.as_ref();
                    serve.ok_or_else(|| Failure::not_implemented("BidiStreaming"))?(invoked, stream).await
                }
            }
        })
    }

    fn streams(&self, method: &[u8]) -> bool {
        let descriptor = self.provider.load();
        let function = str::from_utf8(method).ok().and_then(|method| descriptor.function(method));
        function.is_some_and(|function| function.streaming.is_bare())
    }
}

fn function<'d>(descriptor: &'d Descriptor, request: &Request) -> Result<&'d Function, Failure> {
    let method = String::from_utf8_lossy(request.head.method());
    descriptor.function(&method).ok_or_else(|| Failure::Exception {
        code: exception::UNKNOWN_METHOD,
        message: format!("unknown method {method} (service {})", descriptor.name()),
    })
}

fn invoked(function: &Function, request: &Request) -> Invoked {
    Invoked { method: function.name.clone(), head: Rc::clone(&request.head) }
}

fn unreadable(error: thrift_generic::Error) -> Failure {
    Failure::Exception { code: exception::PROTOCOL_ERROR, message: error.to_string() }
}

fn unwritable(error: thrift_generic::Error) -> Failure {
    Failure::internal(format!("the handler's answer: {error}"))
}

/// What the codec writes is UTF-8, but for binary results without base64.
fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
