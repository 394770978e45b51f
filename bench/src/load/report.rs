//! What a run of the load generator found.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Load;
use crate::cpu::Usage;
use crate::stats::{Latency, float, ratio};
use crate::wire::{Shape, Transport, Violation};

/// Calls that failed, by what was wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Errors {
    /// Answered by something other than a REPLY.
    pub exceptions: u64,
    /// Wrong sequence id.
    pub seqid: u64,
    /// Wrong length.
    pub length: u64,
    /// Wrong content.
    pub payload: u64,
    /// Not a reply on the right transport, or not a reply of this method.
    pub wire: u64,
    /// Lost with their connection.
    pub closed: u64,
    /// No reply two seconds after the window.
    pub unanswered: u64,
    /// Why the first connection was given up.
    pub first: Option<String>,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.exceptions, self.seqid, self.length, self.payload, self.wire, self.closed, self.unanswered]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    pub(super) fn count(&mut self, violation: Violation) {
        let counter = match violation {
            Violation::MessageType(_) => &mut self.exceptions,
            Violation::Seqid { .. } | Violation::Sequence(_) | Violation::Unasked => &mut self.seqid,
            Violation::Length { .. } => &mut self.length,
            Violation::Payload => &mut self.payload,
            Violation::Transport | Violation::Magic | Violation::Method => &mut self.wire,
        };
        *counter = counter.saturating_add(1);
    }
}

/// A process that was measured along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Watched {
    /// What the caller called it.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Microseconds on a CPU per call.
    pub cpu_us_per_call: f64,
    /// Share of one core that it used.
    pub utilisation: f64,
    /// Resident memory at the end of the window, in KiB.
    pub rss_kib: u64,
    /// Peak of it within the window, in KiB.
    pub peak_rss_kib: u64,
    /// Threads at the end of the window.
    pub threads: u64,
}

impl Watched {
    pub(crate) fn new(name: &str, pid: u32, before: &Usage, after: &Usage, calls: u64, elapsed: Duration) -> Self {
        let cpu_ns = float(after.cpu_ns.saturating_sub(before.cpu_ns));
        Self {
            name: name.to_owned(),
            pid,
            cpu_us_per_call: ratio(ratio(cpu_ns, 1_000.0), float(calls)),
            utilisation: ratio(ratio(cpu_ns, 1e9), elapsed.as_secs_f64()),
            rss_kib: after.rss_kib,
            peak_rss_kib: after.peak_rss_kib,
            threads: after.threads,
        }
    }
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// How the calls travelled.
    pub transport: Transport,
    /// What the argument was made of.
    pub shape: Shape,
    /// Its size in bytes.
    pub size: usize,
    /// Connections.
    pub connections: usize,
    /// Calls in flight on each at most.
    pub depth: usize,
    /// Calls a second asked for; a closed loop without.
    pub rate: Option<u32>,
    /// Length of the window.
    pub seconds: f64,
    /// Calls answered in the window.
    pub calls: u64,
    /// Calls a second.
    pub throughput: f64,
    /// From due to answered, in microseconds.
    pub latency_us: Latency,
    /// What the load generator itself used, in microseconds per call.
    pub own_cpu_us_per_call: f64,
    /// Processes measured along.
    pub watched: Vec<Watched>,
    /// Failed calls, in warmup, window and drain together.
    pub errors: Errors,
}

impl Report {
    pub(super) fn new(
        load: &Load,
        calls: u64,
        elapsed: Duration,
        latency_us: Latency,
        own_cpu_ns: u64,
        watched: Vec<Watched>,
        errors: Errors,
    ) -> Self {
        Self {
            transport: load.transport,
            shape: load.shape,
            size: load.size,
            connections: load.connections,
            depth: load.depth,
            rate: load.rate,
            seconds: elapsed.as_secs_f64(),
            calls,
            throughput: ratio(float(calls), elapsed.as_secs_f64()),
            latency_us,
            own_cpu_us_per_call: ratio(ratio(float(own_cpu_ns), 1_000.0), float(calls)),
            watched,
            errors,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { mean, p50, p90, p99, p99_9, max } = self.latency_us;
        let rate = self.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        writeln!(
            f,
            "{} {} {} B, {} connections x {} deep, {rate}, {:.1} s",
            self.transport, self.shape, self.size, self.connections, self.depth, self.seconds
        )?;
        writeln!(f, "  {:>10} calls   {:>10.0} calls/s   {} errors", self.calls, self.throughput, self.errors.total())?;
        if let Some(first) = &self.errors.first {
            writeln!(f, "  first error: {first}")?;
        }
        writeln!(
            f,
            "  latency us: mean {mean:.1}  p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p99_9:.1}  max {max:.1}"
        )?;
        writeln!(f, "  load generator: {:.2} CPU-us per call", self.own_cpu_us_per_call)?;
        for process in &self.watched {
            writeln!(
                f,
                "  {}: {:.2} CPU-us per call, {:.0} % of a core, RSS {} KiB, peak {} KiB, {} threads",
                process.name,
                process.cpu_us_per_call,
                process.utilisation * 100.0,
                process.rss_kib,
                process.peak_rss_kib,
                process.threads
            )?;
        }
        Ok(())
    }
}
