//! Arguments of the harness; the work is in the library.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::backend::Backend;
use bench::h2relay::H2Relay;
use bench::load::Load;
use bench::muxrelay::MuxRelay;
use bench::relay::Relay;
use bench::runner::{
    Candidate, Peers, Plan, Results, Section, StreamCandidate, StreamPlan, StreamResults, Tools, markdown,
    streams_markdown,
};
use bench::streams::backend::StreamBackend;
use bench::streams::load::StreamLoad;
use bench::streams::{Kind, Writes};
use bench::{Shape, Transport};
use clap::{Args, Parser, Subcommand};

/// Load generator, echo backend, reference relays, and the runner that compares proxies.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send echo calls to a proxy or a backend, and measure.
    Load(LoadArgs),
    /// Answer echo calls.
    Backend(BackendArgs),
    /// Relay bytes with tokio's copy_bidirectional.
    Relay(RelayArgs),
    /// Relay framed messages of all callers on one upstream connection.
    Muxrelay(MuxRelayArgs),
    /// Relay gRPC with the h2 crate.
    H2relay(H2RelayArgs),
    /// Send echo messages on streams to a proxy or a backend, and measure.
    StreamLoad(StreamLoadArgs),
    /// Answer echo messages on streams.
    StreamBackend(StreamBackendArgs),
    /// Compare the proxies, pinned and in turns, and write the results.
    Run(RunArgs),
    /// Compare the proxies on streams, pinned and in turns, and write the results.
    Streams(StreamsArgs),
    /// Write the Markdown of a run from its JSON.
    Report(ReportArgs),
    /// The same of a run on streams.
    StreamsReport(ReportArgs),
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// Proxy or backend.
    target: SocketAddr,
    #[arg(long, value_enum, default_value = "framed")]
    transport: Transport,
    #[arg(long, value_enum, default_value = "string")]
    shape: Shape,
    /// Bytes of the argument.
    #[arg(long, default_value_t = 64)]
    size: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Calls in flight per connection.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Calls a second over all connections (open loop); left out: closed loop.
    #[arg(long)]
    rate: Option<u32>,
    /// Seconds before the window.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Seconds of the window.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// End after so many calls.
    #[arg(long, default_value_t = u64::MAX)]
    max_calls: u64,
    /// Measure this process along; may be given again.
    #[arg(long, value_name = "PID")]
    watch: Vec<u32>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct BackendArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// End after so many seconds.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct RelayArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// KiB of the buffer in each direction.
    #[arg(long, default_value_t = 64)]
    buffer_kib: usize,
    /// End after so many seconds.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct MuxRelayArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// End after so many seconds.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct H2RelayArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// End after so many seconds.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct StreamLoadArgs {
    /// Proxy or backend.
    target: SocketAddr,
    #[arg(long, value_enum, default_value = "grpc-unary")]
    kind: Kind,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=3 << 20))]
    size: u32,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Streams at a time on each connection.
    #[arg(long, default_value_t = 16)]
    streams: usize,
    /// How messages go out that are ready at the same moment; left out: as stock peers do it.
    #[arg(long, value_enum)]
    writes: Option<Writes>,
    /// Seconds before the window.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Seconds of the window.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Measure this process along; may be given again.
    #[arg(long, value_name = "PID")]
    watch: Vec<u32>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StreamBackendArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Of the gRPC kinds either means both.
    #[arg(long, value_enum, default_value = "grpc-unary")]
    kind: Kind,
    /// How messages go out that are ready at the same moment; left out: as stock peers do it.
    #[arg(long, value_enum)]
    writes: Option<Writes>,
    /// End after so many seconds.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Only these sections.
    #[arg(long, value_enum, value_delimiter = ',')]
    section: Vec<Section>,
    /// Only these candidates.
    #[arg(long, value_enum, value_delimiter = ',')]
    candidate: Vec<Candidate>,
    /// Only cells whose name contains one of these (framed-64B, ttheader, 16KiB …).
    #[arg(long, value_delimiter = ',')]
    cell: Vec<String>,
    /// Turns of each candidate.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How load generator and backend wait.
    #[arg(long, value_enum, default_value = "sleep")]
    peers: Peers,
    /// Seconds of a window.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of load before it.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// The folder of this crate.
    #[arg(long, default_value = "bench")]
    dir: PathBuf,
    /// Our proxy; left out: beside this program.
    #[arg(long)]
    proxy_bin: Option<PathBuf>,
    /// The proxy written on Kitex; left out: interop/bin/kitexproxy.
    #[arg(long)]
    kitex_proxy: Option<PathBuf>,
    /// Where the JSON goes; left out: .work/results.json in the folder of this crate.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the Markdown here; left out: print it.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StreamsArgs {
    /// Only these candidates.
    #[arg(long, value_enum, value_delimiter = ',')]
    candidate: Vec<StreamCandidate>,
    /// Only cells whose name contains one of these (unary-64B, bidi, ttstream, idle …).
    #[arg(long, value_delimiter = ',')]
    cell: Vec<String>,
    /// Turns of each candidate.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How load generator and backend write messages that are ready at the same moment; left out: as stock peers do it.
    #[arg(long, value_enum)]
    writes: Option<Writes>,
    /// Seconds of a window.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of load before it.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// The folder of this crate.
    #[arg(long, default_value = "bench")]
    dir: PathBuf,
    /// Our proxy; left out: beside this program.
    #[arg(long)]
    proxy_bin: Option<PathBuf>,
    /// Where the JSON goes; left out: .work/results-streams.json in the folder of this crate.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the Markdown here; left out: print it.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// JSON of a run.
    json: PathBuf,
    /// Write the Markdown here; left out: print it.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> io::Result<ExitCode> {
    match command {
        Command::Load(args) => load(&args),
        Command::Backend(args) => {
            let backend = Backend::bind(args.listen)?;
            println!("listening {}", backend.local_addr()?);
            backend.serve(Duration::from_secs(args.max_seconds))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Relay(args) => {
            let relay = Relay::new(args.listen, args.upstream, args.buffer_kib.saturating_mul(1024));
            relay.run(Duration::from_secs(args.max_seconds), |address| println!("listening {address}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Muxrelay(args) => {
            let relay = MuxRelay::bind(args.listen, args.upstream)?;
            println!("listening {}", relay.local_addr()?);
            relay.serve(Duration::from_secs(args.max_seconds))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::H2relay(args) => {
            let relay = H2Relay::new(args.listen, args.upstream);
            relay.run(Duration::from_secs(args.max_seconds), |address| println!("listening {address}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::StreamLoad(args) => stream_load(&args),
        Command::StreamBackend(args) => {
            let backend = StreamBackend::bind(args.listen, args.kind, args.writes.unwrap_or(Writes::usual(args.kind)))?;
            println!("listening {}", backend.local_addr()?);
            backend.serve(Duration::from_secs(args.max_seconds), |why| eprintln!("{why}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => {
            compare(&args)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Streams(args) => {
            compare_streams(&args)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Report(args) => {
            let results: Results = serde_json::from_str(&std::fs::read_to_string(&args.json)?)?;
            write_report(&markdown(&results), args.markdown.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::StreamsReport(args) => {
            let results: StreamResults = serde_json::from_str(&std::fs::read_to_string(&args.json)?)?;
            write_report(&streams_markdown(&results), args.markdown.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compare(args: &RunArgs) -> io::Result<()> {
    let mut tools = Tools::new(&args.dir, &std::env::current_exe()?);
    if let Some(path) = &args.proxy_bin {
        tools.proxy.clone_from(path);
    }
    if let Some(path) = &args.kitex_proxy {
        tools.kitex_proxy.clone_from(path);
    }
    let mut plan = Plan::new(tools);
    if !args.section.is_empty() {
        plan.sections.clone_from(&args.section);
    }
    plan.candidates.clone_from(&args.candidate);
    plan.cells.clone_from(&args.cell);
    plan.rounds = args.rounds;
    plan.peers = args.peers;
    plan.window = seconds(args.seconds)?;
    plan.warmup = seconds(args.warmup)?;
    plan.command = typed();
    let results = plan.run(|line| eprintln!("{line}"))?;

    let json = args.json.clone().unwrap_or_else(|| args.dir.join(".work/results.json"));
    std::fs::write(&json, serde_json::to_string_pretty(&results)?)?;
    eprintln!("wrote {}", json.display());
    write_report(&markdown(&results), args.markdown.as_deref())
}

fn compare_streams(args: &StreamsArgs) -> io::Result<()> {
    let mut tools = Tools::new(&args.dir, &std::env::current_exe()?);
    if let Some(path) = &args.proxy_bin {
        tools.proxy.clone_from(path);
    }
    let mut plan = StreamPlan::new(tools);
    plan.candidates.clone_from(&args.candidate);
    plan.cells.clone_from(&args.cell);
    plan.rounds = args.rounds;
    plan.writes = args.writes;
    plan.window = seconds(args.seconds)?;
    plan.warmup = seconds(args.warmup)?;
    plan.command = typed();
    let results = plan.run(|line| eprintln!("{line}"))?;

    let json = args.json.clone().unwrap_or_else(|| args.dir.join(".work/results-streams.json"));
    std::fs::write(&json, serde_json::to_string_pretty(&results)?)?;
    eprintln!("wrote {}", json.display());
    write_report(&streams_markdown(&results), args.markdown.as_deref())
}

/// The command line, for the results.
fn typed() -> String {
    let args: Vec<String> = std::env::args().skip(1).collect();
    format!("bench {}", args.join(" "))
}

fn write_report(text: &str, path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) => std::fs::write(path, text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

fn load(args: &LoadArgs) -> io::Result<ExitCode> {
    let mut load = Load::new(args.target);
    load.transport = args.transport;
    load.shape = args.shape;
    load.size = args.size;
    load.connections = args.connections;
    load.depth = args.depth.max(1);
    load.rate = args.rate;
    load.warmup = seconds(args.warmup)?;
    load.window = seconds(args.seconds)?;
    load.max_calls = args.max_calls;
    load.watch = args.watch.iter().map(|&pid| (format!("process {pid}"), pid)).collect();
    let report = load.run()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.errors.total() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn stream_load(args: &StreamLoadArgs) -> io::Result<ExitCode> {
    let mut load = StreamLoad::new(args.target, args.kind);
    load.size = usize::try_from(args.size).unwrap_or(usize::MAX);
    load.connections = args.connections;
    load.streams = args.streams;
    load.writes = args.writes.unwrap_or(load.writes);
    load.warmup = seconds(args.warmup)?;
    load.window = seconds(args.seconds)?;
    load.watch = args.watch.iter().map(|&pid| (format!("process {pid}"), pid)).collect();
    let report = load.run()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.errors.total() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn seconds(value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
