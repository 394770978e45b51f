use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::Receiver;

use crate::cli::call::report::Failure;
use crate::cli::call::{Call, Spoken, data};
use crate::cli::json::pretty;
use crate::cli::schema::{Answer, Method, Schema};
use crate::client::{Client, ClientStream, Invocation, Reply};
use crate::rpc::stream::{Codec, Metadata, StreamOutcome};

/// Makes the call.
pub(crate) fn run(options: &Call) -> Result<(), Failure> {
    let usage = |text: &str| Failure::Usage(text.to_owned());
    let name = options.method.as_deref().ok_or_else(|| usage("METHOD is needed, such as Service/method"))?;
    let address = options.address.as_deref().ok_or_else(|| usage("ADDRESS is needed, such as 127.0.0.1:8888"))?;
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        return Err(Failure::Usage(format!("ADDRESS {address}, expected host:port")));
    }
    if options.raw {
        return block_on(raw(options, name, address));
    }
    let path = options.idl.idl.as_ref().ok_or_else(|| usage("--idl FILE is needed, or --raw"))?;
    let schema = Schema::load(&options.idl, path).map_err(Failure::Usage)?;
    let method = find(&schema, name)?;

    let mut invocation = invocation(options)?;
    let (package, _) = split(name);
    invocation.package = package.map_or_else(|| method.package().to_owned(), str::to_owned);
    if invocation.service.is_empty() {
        invocation.service = method.service().to_owned();
    }
    method.name().clone_into(&mut invocation.method);
    invocation.codec = method.codec();
    invocation.oneway = method.is_oneway();
    let spoken = options.transport.unwrap_or(match method.codec() {
        Codec::Thrift => Spoken::Ttheader,
        _ => Spoken::Grpc,
    });
    block_on(async {
        let client = client(options, spoken, address);
        match method.streams() {
            (false, false) => unary(options, &client, &invocation, &method).await,
            streams => stream(options, &client, &invocation, &method, streams).await,
        }
    })
}

/// The method of this name.
pub(crate) fn find<'s>(schema: &'s Schema, name: &str) -> Result<Method<'s>, Failure> {
    let (service, method) = name.rsplit_once('/').unwrap_or(("", name));
    schema.method(service, method).ok_or_else(|| {
        let mut services = schema.services();
        services.retain(|known| {
            service.is_empty() || known == service || known.rsplit('.').next() == service.rsplit('.').next()
        });
        let text = match &services[..] {
            [] => format!("no service {service}; there are: {}", schema.services().join(", ")),
            [service] => format!("no method {method} in {service}; there are: {}", schema.methods(service).join(", ")),
            several => format!("no method {method} in any of {}", several.join(", ")),
        };
        Failure::Usage(text)
    })
}

/// The package and the service in front of a method's name.
fn split(name: &str) -> (Option<&str>, &str) {
    let service = name.rsplit_once('/').map_or("", |(service, _)| service);
    match service.rsplit_once('.') {
        Some((package, service)) => (Some(package), service),
        None => (None, service),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.map_err(|error| Failure::Usage(format!("can't start: {error}")))?;
    runtime.block_on(async {
        let done = work.await;
        // What says good-bye, and what a oneway call was, has still to leave.
        tokio::time::sleep(LAST_WORDS).await;
        done
    })
}

fn client(options: &Call, spoken: Spoken, address: &str) -> Client {
    Client::builder(address)
        .calls_over(spoken.calls())
        .streams_over(spoken.streams())
        .connect_timeout(options.connect_timeout)
        .max_message(MAX_MESSAGE)
        .build()
}

fn invocation(options: &Call) -> Result<Invocation, Failure> {
    let mut invocation = Invocation::new(options.service.clone().unwrap_or_default(), "");
    invocation.metadata = options.metadata()?;
    invocation.timeout = options.timeout;
    invocation.caller.clone_from(&options.caller);
    Ok(invocation)
}

async fn unary(options: &Call, client: &Client, invocation: &Invocation, method: &Method<'_>) -> Result<(), Failure> {
    let request = data::whole(options.data.as_deref())?;
    let body = method.encode_request(request.as_deref()).map_err(Failure::Usage)?;
    let start = Instant::now();
    let reply = client.call(invocation, &body).await;
    let latency = start.elapsed();
    let Some(reply) = reply? else {
        told(options, &format!("sent in {latency:.1?}, no reply is expected"));
        return Ok(());
    };
    print_metadata(options, "header", &reply.headers);
    print_metadata(options, "trailer", &reply.trailers);
    told(options, &format!("answered in {latency:.1?}"));
    let Reply { outcome, body, .. } = reply;
    match outcome {
        StreamOutcome::Ok => print_answer(options, method.decode_response(&body).map_err(Failure::Unreadable)?),
        outcome => Err(Failure::Outcome(outcome)),
    }
}

/// Sends what is given as it comes, and prints what comes.
async fn stream(
    options: &Call,
    client: &Client,
    invocation: &Invocation,
    method: &Method<'_>,
    (many, _): (bool, bool),
) -> Result<(), Failure> {
    // A mistake in the first message is found before anybody is asked.
    let mut texts = data::texts(options.data.as_deref())?;
    let first = if many { None } else { Some(single(&mut texts, method).await?) };
    let start = Instant::now();
    let stream = client.open(invocation).await?;
    let send = async {
        match first {
            // What refuses it says why in its answer.
            Some(first) => {
                let _refused = stream.send(first).await;
            }
            None => send_all(&stream, &mut texts, method).await?,
        }
        stream.half_close();
        Ok(())
    };
    let receive = receive_all(options, &stream, method);
    let (mut send, mut receive) = (std::pin::pin!(send), std::pin::pin!(receive));
    // The backend's end is the end, whatever is left to send.
    let received = tokio::select! {
        biased;
        received = &mut receive => received,
        sent = &mut send => match sent {
            Ok(()) => receive.await,
            Err(failure) => Err(failure),
        },
    };
    if let Err(failure @ Failure::Usage(_)) = received {
        stream.cancel();
        return Err(failure);
    }
    print_metadata(options, "trailer", &stream.trailers());
    told(options, &format!("ended after {:.1?}", start.elapsed()));
    received
}

/// The one message of a method whose requests do not stream.
async fn single(texts: &mut Receiver<Result<String, String>>, method: &Method<'_>) -> Result<Bytes, Failure> {
    let text = texts.recv().await.transpose().map_err(Failure::Usage)?;
    let body = method.encode_request(text.as_deref()).map_err(Failure::Usage)?;
    match texts.recv().await {
        None => Ok(body.into()),
        Some(Err(error)) => Err(Failure::Usage(error)),
        Some(Ok(_)) => Err(Failure::Usage(format!("{} takes one message, and there are more", method.name()))),
    }
}

async fn send_all(
    stream: &ClientStream,
    texts: &mut Receiver<Result<String, String>>,
    method: &Method<'_>,
) -> Result<(), Failure> {
    let mut number = 0_u64;
    while let Some(text) = texts.recv().await {
        number = number.saturating_add(1);
        let text = text.map_err(Failure::Usage)?;
        let message = method.encode_request(Some(&text));
        let message = message.map_err(|error| Failure::Usage(format!("message {number}: {error}")))?;
        if stream.send(message.into()).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn receive_all(options: &Call, stream: &ClientStream, method: &Method<'_>) -> Result<(), Failure> {
    let mut headers_told = false;
    loop {
        let message = stream.recv().await?;
        if !std::mem::replace(&mut headers_told, true) {
            print_metadata(options, "header", &stream.headers());
        }
        let Some(message) = message else { break };
        print_answer(options, method.decode_response(&message).map_err(Failure::Unreadable)?)?;
    }
    match stream.outcome() {
        None | Some(StreamOutcome::Ok) => Ok(()),
        Some(outcome) => Err(Failure::Outcome(outcome)),
    }
}

fn print_answer(options: &Call, answer: Answer) -> Result<(), Failure> {
    let text = match answer {
        Answer::Value(text) if options.compact || !text.starts_with(['{', '[']) => text,
        Answer::Value(text) => pretty(&text),
        // As a method says it that has nothing to say.
        Answer::Void | Answer::Empty => "null".to_owned(),
        Answer::Declared { name, ty, json } => return Err(Failure::Declared { name, ty, json }),
    };
    let mut out = std::io::stdout().lock();
    // Whoever reads has seen enough.
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
    Ok(())
}

fn print_metadata(options: &Call, what: &str, metadata: &Metadata) {
    if !options.verbose {
        return;
    }
    for entry in metadata.entries(|| {}) {
        let (key, value) = (String::from_utf8_lossy(&entry.key), String::from_utf8_lossy(&entry.value));
        eprintln!("{what} {key}: {value}");
    }
}

fn told(options: &Call, text: &str) {
    if options.verbose {
        eprintln!("{text}");
    }
}

/// A call of bytes.
async fn raw(options: &Call, name: &str, address: &str) -> Result<(), Failure> {
    let mut invocation = invocation(options)?;
    let (package, service) = split(name);
    package.unwrap_or_default().clone_into(&mut invocation.package);
    if invocation.service.is_empty() {
        service.clone_into(&mut invocation.service);
    }
    name.rsplit('/').next().unwrap_or(name).clone_into(&mut invocation.method);
    let text = data::whole(options.data.as_deref())?.unwrap_or_else(|| "00".to_owned());
    let body = from_hex(&text).ok_or_else(|| Failure::Usage("--raw: -d is no hex".into()))?;
    let client = client(options, options.transport.unwrap_or(Spoken::Ttheader), address);
    let Some(reply) = client.call(&invocation, &body).await? else { return Ok(()) };
    print_metadata(options, "header", &reply.headers);
    print_metadata(options, "trailer", &reply.trailers);
    match reply.outcome {
        StreamOutcome::Ok => {
            let hex: String = reply.body.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{hex}");
            Ok(())
        }
        outcome => Err(Failure::Outcome(outcome)),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    let bytes = pairs.filter_map(|pair| pair.first().zip(pair.last()).map(|(high, low)| high << 4 | low)).collect();
    whole.then_some(bytes)
}

/// The largest message in bytes.
const MAX_MESSAGE: u64 = 256 << 20;
/// How long what is still to be written gets.
const LAST_WORDS: Duration = Duration::from_millis(10);
