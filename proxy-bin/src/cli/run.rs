//! `run`: the proxy, until a signal.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{CUT_OFF, KILLED, USAGE};
use crate::{Config, Ended, Proxy};

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
            ExitCode::FAILURE
        }
    }
}

/// Runs `proxy` until a signal.
pub(crate) fn serve(proxy: Proxy) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        let (begin, begun) = tokio::sync::oneshot::channel();
        let twice = async {
            let first = signals.next().await;
            tracing::info!(signal = first, "drains; a second signal ends at once");
            let _told = begin.send(());
            signals.next().await
        };
        let run = proxy.run(async {
            let _signal = begun.await;
        });
        tokio::select! {
            ended = run => Ok(match ended? {
                Ended::Drained => ExitCode::SUCCESS,
                Ended::CutOff => CUT_OFF.into(),
            }),
            second = twice => {
                tracing::warn!(signal = second, "ends at once");
                // Threads that still serve must not keep the process.
                std::process::exit(KILLED.into())
            }
        }
    })
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
