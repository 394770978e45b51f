//! What became of a stream, for the counters and the log.

use crate::rpc::Downstream;
use crate::rpc::stream::{Ended, Reset, StreamOutcome};
use crate::telemetry::Counters;

/// Counts and logs the end of a stream; each is told once.
pub(crate) fn record(ended: &Ended, downstream: &Downstream, counters: &Counters) {
    let peer = downstream.peer;
    match ended {
        Ended::Trailers(StreamOutcome::Ok) => counters.streams_ok.add_one(),
        Ended::Trailers(outcome) => {
            counters.streams_failed.add_one();
            tracing::debug!(%peer, ?outcome, "stream ended");
        }
        Ended::ByCaller(reset) => {
            counters.streams_cancelled.add_one();
            tracing::debug!(%peer, "stream cancelled by its caller: {}", Told(reset));
        }
        Ended::ByBackend(reset) => {
            counters.streams_reset.add_one();
            tracing::debug!(%peer, "stream reset by its backend: {}", Told(reset));
        }
        Ended::Fault(fault) => {
            counters.fault(fault.kind);
            tracing::info!(%peer, listener = downstream.listener, reason = fault.kind.name(), "stream failed: {fault}");
        }
    }
}

struct Told<'a>(&'a Reset);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Reset::Http2(code) => write!(f, "RST_STREAM {code}"),
            Reset::Rst { code, message, path } => {
                let (message, path) = (String::from_utf8_lossy(message), String::from_utf8_lossy(path));
                write!(f, "rst {code}, {message} [{path}]")
            }
            Reset::Lost(protocol) => write!(f, "its {protocol} connection was lost"),
            Reset::Deadline(text) => f.write_str(text),
            Reset::Fault(fault) => write!(f, "{fault}"),
        }
    }
}
