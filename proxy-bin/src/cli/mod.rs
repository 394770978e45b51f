//! The command line: one file a command.

mod call;
mod check;
mod demo;
mod json;
mod run;
mod schema;
mod sniff;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
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
    /// Make one call or stream, by an IDL, in JSON.
    Call(Box<call::Call>),
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
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _printed = error.print();
            // The codes of `call` say how a call went; its own mistakes are the first.
            let commands = Arguments::command();
            let named = std::env::args_os().skip(1).find(|word| commands.find_subcommand(word).is_some());
            let calls = named.is_some_and(|command| command == "call");
            return if error.use_stderr() { if calls { 1 } else { USAGE } } else { 0 }.into();
        }
    };
    let command = arguments.command.unwrap_or(Command::Run { config: None });
    // What is printed by a tool is its answer; the proxy's own remarks are for who asks.
    let level = if matches!(command, Command::Call(_) | Command::Sniff(_)) { "error" } else { "info" };
    log_to_stderr(arguments.log_format, level);
    match command {
        Command::Run { config: Some(config) } => run::run(&config),
        Command::Run { config: None } => demo::run(demo::Calls::None),
        Command::Demo { once } => demo::run(if once { demo::Calls::Only } else { demo::Calls::First }),
        Command::Check { config } => check::check(&config),
        Command::Call(options) => call::call(&options),
        Command::Sniff(options) => sniff::sniff(&options),
    }
}

fn log_to_stderr(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
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
                          3 drained, but calls were cut off when the time ran out; 130 ended at once by a second signal. \
                          `call` and `sniff` have their own.";
