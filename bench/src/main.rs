//! Arguments of the harness; the work is in the library.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bench::backend::Backend;
use bench::load::Load;
use bench::relay::Relay;
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

fn seconds(value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
