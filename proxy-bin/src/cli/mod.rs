//! The command line: one file a command.

mod check;
mod demo;
mod json;
mod run;
mod sniff;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// A transparent proxy for Kitex, Thrift and gRPC: tells what a connection speaks, routes by service and method, and
/// forwards calls and streams without IDL.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    /// Left out: `run` without a file.
    #[command(subcommand)]
    command: Option<Command>,
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Run {
        /// The configuration, a TOML file. Left out: an embedded echo backend behind 127.0.0.1:8888.
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
    /// Start an embedded echo backend and the proxy, make one call or stream on each transport and each conversion, keep
    /// serving.
    Demo {
        /// End after the calls: exit code 0 when all came back right, else 1.
        #[arg(long)]
        once: bool,
    },
    /// Check a configuration and explain what it does.
    Check {
        /// The configuration, a TOML file.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Tell what some bytes are, and print them frame by frame.
    Sniff(sniff::Sniff),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(arguments.log_format);
    match arguments.command.unwrap_or(Command::Run { config: None }) {
        Command::Run { config: Some(config) } => run::run(&config),
        Command::Run { config: None } => demo::run(demo::Calls::None),
        Command::Demo { once } => demo::run(if once { demo::Calls::Only } else { demo::Calls::First }),
        Command::Check { config } => check::check(&config),
        Command::Sniff(options) => sniff::sniff(&options),
    }
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// A configuration or a command line that makes no sense.
const USAGE: u8 = 2;
/// The drain's time ran out.
const CUT_OFF: u8 = 3;
/// A second signal came while draining.
const KILLED: u8 = 130;

const EXIT_CODES: &str = "Exit codes: 0 done or drained; 1 can't listen or start; 2 wrong arguments or configuration; \
                          3 drained, but calls were cut off when the time ran out; 130 ended at once by a second signal.";
