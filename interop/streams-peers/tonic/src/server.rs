//! LiveP: does what the script in the first request message says.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::wire::{self, Msg, SERVICE, STRING_VALUE};

const HANG_MILLIS: u64 = 20_000;

/// Serves until SIGTERM or until stdin is closed.
pub(crate) async fn serve(listen: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    println!("LISTENING {}", listener.local_addr()?);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        std::process::exit(0);
    });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder().add_service(Live).serve_with_incoming(incoming).await?;
    Ok(())
}

/// What the generated server does for its trait, without the trait: that one shows a handler neither
/// the path nor the authority, and lets no unary method send headers or trailers of its own.
#[derive(Clone)]
struct Live;

impl NamedService for Live {
    const NAME: &'static str = SERVICE;
}

impl tower::Service<http::Request<Body>> for Live {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let uri = request.uri();
        let Some(method) = Method::of(uri.path()) else {
            return Box::pin(std::future::ready(Ok(Status::new(Code::Unimplemented, "").into_http())));
        };
        let path = uri.path().to_owned();
        let authority = uri.authority().map(ToString::to_string);
        let codec: ProstCodec<Msg, Msg> = ProstCodec::default();
        let mut grpc = Grpc::new(codec)
            .accept_compressed(CompressionEncoding::Gzip)
            // 64 MiB messages; tonic's own limit is 4 MiB for what is received.
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        // tonic compresses for everybody who accepts it, or for nobody; here for those who do it too.
        if request.headers().get("grpc-encoding").is_some_and(|value| value == "gzip") {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        Box::pin(async move {
            let open = tower::service_fn(move |request| open(method, path.clone(), authority.clone(), request));
            Ok(grpc.streaming(open, request).await)
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Method {
    Ask,
    Upload,
    Download,
    Chat,
}

impl Method {
    fn of(path: &str) -> Option<Self> {
        match path.strip_prefix('/')?.strip_prefix(SERVICE)? {
            "/Ask" => Some(Self::Ask),
            "/Upload" => Some(Self::Upload),
            "/Download" => Some(Self::Download),
            "/Chat" => Some(Self::Chat),
            _ => None,
        }
    }
}

/// Starts a call, and waits until its script lets the headers go out.
async fn open(
    method: Method,
    path: String,
    authority: Option<String>,
    request: Request<Streaming<Msg>>,
) -> Result<Response<ReceiverStream<Result<Msg, Status>>>, Status> {
    let (replies, stream) = mpsc::channel(1);
    let (head, headers) = oneshot::channel();
    let (metadata, _, requests) = request.into_parts();
    let deadline = timeout(&metadata).and_then(|timeout| Instant::now().checked_add(timeout));
    let call = Call {
        method,
        path,
        authority,
        metadata,
        deadline,
        requests,
        script: Value::Null,
        read_count: 0,
        replied: false,
        hung: false,
        head: Some(head),
        replies,
    };
    tokio::spawn(call.run());
    let mut response = Response::new(ReceiverStream::new(stream));
    *response.metadata_mut() = headers.await.map_err(|_| Status::internal("the handler is gone"))??;
    Ok(response)
}

/// `grpc-timeout`, which tonic honours but does not show in another form.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.checked_mul(3600)?),
        "M" => Duration::from_secs(amount.checked_mul(60)?),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The call was cancelled, reset or lost.
struct Gone;

/// One call: its script, and how much of the request has been read.
///
/// It runs in a task of its own, so that it sees how it ends: tonic drops what it holds of a call that
/// was reset, and with that `replies` is closed.
struct Call {
    method: Method,
    path: String,
    authority: Option<String>,
    metadata: MetadataMap,
    deadline: Option<Instant>,
    requests: Streaming<Msg>,
    script: Value,
    read_count: u64,
    replied: bool,
    hung: bool,
    head: Option<oneshot::Sender<Result<MetadataMap, Status>>>,
    replies: mpsc::Sender<Result<Msg, Status>>,
}

impl Call {
    async fn run(mut self) {
        let outcome = match self.method {
            Method::Ask => self.ask().await,
            Method::Upload => self.upload().await,
            Method::Download => self.download().await,
            Method::Chat => self.chat().await,
        };
        if wire::flag(&self.script, "observe") == Some(true) {
            self.observe(outcome.is_err());
        }
    }

    async fn ask(&mut self) -> Result<(), Gone> {
        let request = self.read().await?.unwrap_or_default();
        self.answer_once(request).await?;
        self.end().await
    }

    async fn upload(&mut self) -> Result<(), Gone> {
        let mut total = 0;
        while let Some(message) = self.read().await? {
            total += message.n;
            if self.ends_early() {
                break;
            }
        }
        self.answer_once(Msg { text: self.read_count.to_string(), blob: Vec::new(), n: total }).await?;
        self.end().await
    }

    async fn download(&mut self) -> Result<(), Gone> {
        self.read().await?;
        self.replies(wire::number(&self.script, "replies").unwrap_or(3)).await?;
        self.end().await
    }

    async fn chat(&mut self) -> Result<(), Gone> {
        while let Some(message) = self.read().await? {
            if wire::number(&self.script, "replies").unwrap_or(0) == 0 {
                self.reply(message).await?;
            }
            if self.ends_early() {
                return self.end().await;
            }
        }
        self.replies(wire::number(&self.script, "replies").unwrap_or(0)).await?;
        self.end().await
    }

    fn observe(&self, cancelled: bool) {
        let mut seen = json!({
            "case": self.script.get("case"),
            "method": format!("{:?}", self.method),
            "cancelled": cancelled,
            "messages": self.read_count,
        });
        if cancelled {
            let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
            seen["code"] = json!(if late { 4 } else { 1 });
            seen["text"] = json!("");
        }
        println!("OBS {seen}");
    }

    /// The next request message, or `None` at the half close.
    async fn read(&mut self) -> Result<Option<Msg>, Gone> {
        let read = tokio::select! {
            () = self.replies.closed() => return Err(Gone),
            read = self.requests.message() => read,
        };
        match read {
            Ok(Some(message)) => {
                self.read_count += 1;
                if self.read_count == 1 {
                    self.start(&message).await?;
                }
                Ok(Some(message))
            }
            Ok(None) => {
                if wire::flag(&self.script, "observe") == Some(true) {
                    // Some clients half-close and then reset when they cancel: wait for the reset.
                    self.sleep(100).await?;
                }
                Ok(None)
            }
            Err(status) => {
                self.fail(status).await?;
                Err(Gone)
            }
        }
    }

    async fn start(&mut self, first: &Msg) -> Result<(), Gone> {
        if first.text.starts_with('{') {
            self.script = serde_json::from_str(&first.text).unwrap_or_default();
        }
        if wire::flag(&self.script, "flush") == Some(true) {
            self.send_headers();
            self.pause().await?;
        }
        Ok(())
    }

    fn send_headers(&mut self) {
        if let Some(head) = self.head.take() {
            // Nobody receives it when the call is gone, which the next wait tells.
            let _ = head.send(Ok(self.script_metadata("headers")));
        }
    }

    async fn sleep(&self, millis: u64) -> Result<(), Gone> {
        tokio::select! {
            () = self.replies.closed() => Err(Gone),
            () = tokio::time::sleep(Duration::from_millis(millis)) => Ok(()),
        }
    }

    async fn pause(&self) -> Result<(), Gone> {
        match wire::number(&self.script, "pause_ms") {
            Some(millis) => self.sleep(millis).await,
            None => Ok(()),
        }
    }

    async fn reply(&mut self, mut message: Msg) -> Result<(), Gone> {
        if self.replied {
            self.pause().await?;
        } else if wire::flag(&self.script, "tell") == Some(true) {
            message.text = self.what_was_seen();
        }
        if let Some(size) = wire::number(&self.script, "size") {
            message.blob = wire::blob(size);
        }
        self.replied = true;
        self.send_headers();
        self.replies.send(Ok(message)).await.map_err(|_| Gone)
    }

    async fn replies(&mut self, count: u64) -> Result<(), Gone> {
        for n in 0..count {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            self.reply(Msg { text: String::new(), blob: Vec::new(), n }).await?;
        }
        Ok(())
    }

    fn what_was_seen(&self) -> String {
        let remaining = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
        json!({
            "meta": wire::x_metadata(&self.metadata),
            "authority": self.authority,
            "path": self.path,
            "deadline_ms": remaining.and_then(|millis| u64::try_from(millis).ok()),
        })
        .to_string()
    }

    fn ends_early(&self) -> bool {
        wire::number(&self.script, "early") == Some(self.read_count)
    }

    fn end_kind(&self) -> &str {
        self.script.get("end").and_then(|end| wire::text(end, "kind")).unwrap_or("ok")
    }

    fn ends_well(&self) -> bool {
        matches!(self.end_kind(), "ok" | "hang")
    }

    async fn hang(&mut self) -> Result<(), Gone> {
        if self.end_kind() == "hang" && !self.hung {
            self.hung = true;
            self.sleep(HANG_MILLIS).await?;
        }
        Ok(())
    }

    async fn answer_once(&mut self, message: Msg) -> Result<(), Gone> {
        self.hang().await?;
        if self.ends_well() { self.reply(message).await } else { Ok(()) }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        self.hang().await?;
        let trailers = self.script_metadata("trailers");
        if self.ends_well() {
            self.send_headers();
            if trailers.is_empty() {
                return Ok(());
            }
            return self.fail(Status::with_metadata(Code::Ok, "", trailers)).await;
        }
        let end = self.script.get("end").cloned().unwrap_or_default();
        let message = wire::text(&end, "message").unwrap_or_default();
        let status = match self.end_kind() {
            "error" => Status::from_error(message.into()),
            "status" => {
                let code = wire::number(&end, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or(2);
                let details =
                    if wire::flag(&end, "details") == Some(true) { details(code, message) } else { Vec::new() };
                Status::with_details_and_metadata(Code::from(code), message, details.into(), trailers)
            }
            kind => Status::with_metadata(Code::Unknown, format!("{kind}: {message}"), trailers),
        };
        if self.script.get("headers").is_some() {
            self.send_headers();
        }
        self.fail(status).await
    }

    /// Ends the call with a status: as trailers-only when the headers have not been sent.
    async fn fail(&mut self, status: Status) -> Result<(), Gone> {
        match self.head.take() {
            Some(head) => head.send(Err(status)).map_err(|_| Gone),
            None => self.replies.send(Err(status)).await.map_err(|_| Gone),
        }
    }

    /// Metadata of the script; the value of a `-bin` key is its text as bytes.
    fn script_metadata(&self, name: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for (key, value) in self.script.get(name).and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            wire::append(&mut metadata, key, text, text.as_bytes());
        }
        metadata
    }
}

fn details(code: i32, message: &str) -> Vec<u8> {
    let value = "detail-text".to_owned().encode_to_vec();
    let details = vec![prost_types::Any { type_url: STRING_VALUE.to_owned(), value }];
    tonic_types::pb::Status { code, message: message.to_owned(), details }.encode_to_vec()
}
