//! `run`: the proxy, until a signal.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{CUT_OFF, KILLED, USAGE};
use crate::{Config, Ended, Proxy, ProxyError};

pub(crate) fn run(path: &Path) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return USAGE.into();
        }
    };
    // A connection is a descriptor, and so is the one to its backend: the soft limit of 1,024 is soon reached.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    match Proxy::builder().config(config).build().map_err(Into::into).and_then(serve) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            // What an HTTP listener shall serve is a part of the configuration.
            match error.downcast_ref() {
                Some(ProxyError::Idl { .. }) => USAGE.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs `proxy` until a signal.
pub(crate) fn serve(proxy: Proxy) -> Result<ExitCode, Box<dyn std::error::Error>> {
    Ok(match proxy.run_here(first_signal())? {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::CutOff => CUT_OFF.into(),
    })
}

/// Ready at the first signal; the second one ends the process.
async fn first_signal() {
    let signals =
        signal(SignalKind::terminate()).and_then(|term| Ok(Signals { term, int: signal(SignalKind::interrupt())? }));
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => {
            // Without them the system's default holds: a signal ends the process at once.
            tracing::error!(%error, "can't listen to signals");
            return std::future::pending().await;
        }
    };
    // A log line that nobody wants does not evaluate its fields, so the waits stand outside.
    let signal = signals.next().await;
    tracing::info!(signal, "drains; a second signal ends at once");
    tokio::task::spawn_local(async move {
        let signal = signals.next().await;
        tracing::warn!(signal, "ends at once");
        // Threads that still serve must not keep the process.
        std::process::exit(KILLED.into())
    });
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
