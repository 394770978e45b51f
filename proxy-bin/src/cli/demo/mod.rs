//! `demo`: the proxy in front of an embedded echo backend, with a call on each transport and each conversion.

mod backend;
mod caller;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use crate::cli::run;
use crate::rpc::{Form, Protocol};
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
type Seen = Arc<Mutex<Option<Form>>>;

pub(crate) fn run(calls: Calls) -> ExitCode {
    start(calls).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn start(calls: Calls) -> Result<ExitCode, Box<dyn std::error::Error>> {
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
    for (index, out) in OUT.iter().enumerate() {
        let port = if index == 0 { first } else { 0 };
        let pingpong = if index == 0 { String::new() } else { format!("pingpong = \"{out}\"\n") };
        let _infallible = write!(
            text,
            "[[listener]]\nname = \"to-{out}\"\nbind = \"127.0.0.1:{port}\"\nservice = \"EchoService\"\n\n\
             [[route]]\nname = \"{out}\"\nlistener = \"to-{out}\"\nservice = \"EchoService\"\ncluster = \"{out}\"\n\n\
             [cluster.{out}]\nendpoints = [\"{backend}\"]\n{pingpong}\n",
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
    for (&addr, out) in addrs.iter().zip(OUT) {
        for kind in caller::KINDS {
            if kind.protobuf && out == "buffered" {
                continue;
            }
            let before = totals();
            seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let outcome = caller::call(addr, kind);
            let arrived = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            good &= outcome.is_ok();
            text.push_str(&row(&cells(kind, &before, &totals(), arrived, outcome)));
        }
    }
    (text, good)
}

fn cells(
    kind: &caller::Kind,
    before: &Totals,
    after: &Totals,
    arrived: Option<Form>,
    outcome: Result<caller::Answer, caller::Problem>,
) -> [String; 9] {
    let detected = Protocol::ALL.into_iter().find(|&protocol| after.calls_of(protocol) > before.calls_of(protocol));
    let routed = before.routes.iter().zip(&after.routes).position(|(before, after)| after > before);
    let route = routed.and_then(|index| OUT.get(index)).map_or("none", |route| *route);
    let (reply, sent, received, latency, verdict) = match outcome {
        Ok(answer) => (
            answer.form.to_string(),
            answer.sent.to_string(),
            answer.received.to_string(),
            format!("{:.0?}", answer.latency),
            "ok".to_owned(),
        ),
        Err(problem) => ("-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), format!("FAILED: {problem}")),
    };
    [
        kind.name.to_owned(),
        detected.map_or("nothing".to_owned(), |protocol| protocol.to_string()),
        route.to_owned(),
        arrived.map_or("nothing".to_owned(), |form| form.to_string()),
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
         has `string echo(1: string msg)`, Buffered, Framed or TTHeader (Kitex: client.WithHostPorts(\"{first}\")), or with\n\
         nothing but a shell, here a Framed call and its reply:\n\n  \
         printf '\\0\\0\\0\\x1a\\x80\\x01\\0\\x01\\0\\0\\0\\x04echo\\0\\0\\0\\x01\\x0b\\0\\x01\\0\\0\\0\\x02hi\\0' \
         | timeout 1 bash -c 'exec 3<>/dev/tcp/{host}/{port}; cat >&3; cat <&3' | od -c\n\n\
         End it with Ctrl-C.",
    )
}

/// Towards the backend: as the caller spoke, then each transport.
const OUT: [&str; 5] = ["as-caller", "buffered", "framed", "ttheader", "ttheader-framed"];
const PORT: u16 = 8888;
