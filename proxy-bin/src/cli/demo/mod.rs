//! `demo`: the proxy in front of an embedded echo backend, with a call on each transport and each conversion, and a stream
//! on each protocol and each crossing.

mod backend;
mod caller;
mod streams;

use std::error::Error;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::run;
use crate::rpc::Protocol;
use crate::telemetry::Totals;
use crate::{Config, Proxy};

/// Which calls the demo makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// None: it serves.
    None,
    /// All, then it serves.
    First,
    /// All, then it ends.
    Only,
}

/// What the backend saw last.
type Seen = Arc<Mutex<Option<String>>>;

pub(crate) fn run(calls: Calls) -> ExitCode {
    start(calls).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn start(calls: Calls) -> Result<ExitCode, Box<dyn Error>> {
    let seen = Seen::default();
    let backend = backend::start(Arc::clone(&seen))?;
    let proxy = Proxy::builder().config(Config::parse(&config(backend), "demo")?).build()?;
    let addrs = proxy.local_addrs().to_vec();
    let Some(first) = addrs.first().copied() else { return Err("no listener".into()) };
    let totals = proxy.totals();

    let caller = std::thread::spawn(move || {
        let table = (calls != Calls::None).then(|| table(&addrs, backend, &seen, &totals));
        let good = table.as_ref().is_none_or(|(_, good)| *good);
        if let Some((table, _)) = table {
            println!("{table}");
        }
        if calls == Calls::Only {
            std::process::exit(i32::from(!good));
        }
        println!("{}", how_to_call(first, backend));
    });
    let code = run::serve(proxy)?;
    // The calls are over, or the proxy that they were made to is.
    drop(caller);
    Ok(code)
}

/// One listener for each transport towards the backend.
fn config(backend: SocketAddr) -> String {
    // The well-known port where it is free, so that what is said about calling it can be copied.
    let first = if TcpListener::bind(("127.0.0.1", PORT)).is_ok() { PORT } else { 0 };
    let mut text = String::new();
    for (index, out) in OUT.into_iter().enumerate() {
        let port = if index == 0 { first } else { 0 };
        let spoken = match out {
            _ if index == 0 => String::new(),
            "ttstream" | "grpc" => format!("streaming = \"{out}\"\n"),
            _ => format!("pingpong = \"{out}\"\n"),
        };
        let _infallible = write!(
            text,
            "[[listener]]\nname = \"to-{out}\"\nbind = \"127.0.0.1:{port}\"\nservice = \"EchoService\"\n\n\
             [[route]]\nname = \"{out}\"\nlistener = \"to-{out}\"\nservice = \"EchoService\"\ncluster = \"{out}\"\n\n\
             [cluster.{out}]\nendpoints = [\"{backend}\"]\n{spoken}\n",
        );
    }
    text
}

/// Makes the calls. The table, and whether every call came back right.
fn table(addrs: &[SocketAddr], backend: SocketAddr, seen: &Seen, totals: &impl Fn() -> Totals) -> (String, bool) {
    let mut good = true;
    let mut text = format!("Embedded echo backend on {backend}; one call of each kind through the proxy:\n\n");
    let columns =
        ["caller speaks", "detected", "route", "backend sees", "reply", "bytes out", "bytes in", "latency", ""];
    text.push_str(&row(&columns.map(str::to_owned)));
    text.push_str(&row(&columns.map(|column| "-".repeat(column.len()))));
    let take_seen = || seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut add = |name: &str, call: &dyn Fn() -> Result<caller::Answer, Box<dyn Error>>, out: Option<Protocol>| {
        let before = totals();
        take_seen();
        let mut outcome = call();
        let arrived = take_seen();
        if outcome.is_ok()
            && let Some(out) = out
            && arrived.as_deref() != Some(out.name())
        {
            outcome = Err(format!("backend was to see {out}").into());
        }
        good &= outcome.is_ok();
        text.push_str(&row(&cells(name, &before, &totals(), arrived, outcome)));
    };
    for (&addr, out) in addrs.iter().zip(OUT) {
        let calls = if matches!(out, "ttstream" | "grpc") { &[] } else { caller::KINDS };
        for kind in calls.iter().filter(|kind| !kind.protobuf || out != "buffered") {
            add(kind.name, &|| Ok(caller::call(addr, kind)?), None);
        }
        for kind in streams::KINDS.iter().filter(|kind| kind.at == out) {
            add(kind.name, &|| streams::call(addr, kind), Some(kind.out));
        }
    }
    (text, good)
}

fn cells(
    name: &str,
    before: &Totals,
    after: &Totals,
    arrived: Option<String>,
    outcome: Result<caller::Answer, Box<dyn Error>>,
) -> [String; 9] {
    let detected = Protocol::ALL.into_iter().find(|&protocol| after.calls_of(protocol) > before.calls_of(protocol));
    let routed = before.routes.iter().zip(&after.routes).position(|(before, after)| after > before);
    let route = routed.and_then(|index| OUT.get(index)).map_or("none", |route| *route);
    let (reply, sent, received, latency, verdict) = match outcome {
        Ok(answer) => (
            answer.reply,
            answer.sent.to_string(),
            answer.received.to_string(),
            format!("{:.0?}", answer.latency),
            "ok".to_owned(),
        ),
        Err(problem) => ("-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), format!("FAILED: {problem}")),
    };
    [
        name.to_owned(),
        detected.map_or("nothing".to_owned(), |protocol| protocol.to_string()),
        route.to_owned(),
        arrived.unwrap_or("nothing".to_owned()),
        reply,
        sent,
        received,
        latency,
        verdict,
    ]
}

fn row(cells: &[String; 9]) -> String {
    let [kind, detected, route, arrived, reply, sent, received, latency, verdict] = cells;
    format!(
        "{kind:<24} {detected:<9} {route:<16} {arrived:<16} {reply:<16} {sent:>9} {received:>9} {latency:>8}  {verdict}\n"
    )
}

fn how_to_call(first: SocketAddr, backend: SocketAddr) -> String {
    let (host, port) = (first.ip(), first.port());
    format!(
        "The proxy listens on {first} and forwards to the echo backend on {backend}. Call it with any Thrift client that\n\
         has `string echo(1: string msg)`, Buffered, Framed or TTHeader (Kitex: client.WithHostPorts(\"{first}\")), with any\n\
         method of an EchoService over gRPC or TTHeader Streaming, which echoes each message, or with nothing but a shell,\n\
         here a Framed call and its reply:\n\n  \
         printf '\\0\\0\\0\\x1a\\x80\\x01\\0\\x01\\0\\0\\0\\x04echo\\0\\0\\0\\x01\\x0b\\0\\x01\\0\\0\\0\\x02hi\\0' \
         | timeout 1 bash -c 'exec 3<>/dev/tcp/{host}/{port}; cat >&3; cat <&3' | od -c\n\n\
         End it with Ctrl-C.",
    )
}

/// Towards the backend: as the caller spoke, then each transport of calls and of streams.
const OUT: [&str; 7] = ["as-caller", "buffered", "framed", "ttheader", "ttheader-framed", "ttstream", "grpc"];
const PORT: u16 = 8888;
