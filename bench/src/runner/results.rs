//! What a run has measured, as it is kept in JSON.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::idle::IdleRow;
use super::machine::Machine;
use super::process::{BACKEND, PROXY};
use super::syscalls::SyscallRow;
use super::{Candidate, Cell, Peers, Plan};
use crate::load::{Errors, Report, Watched};
use crate::stats::{Latency, median};
use crate::streams::load::StreamReport;

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// Where it ran, with which versions.
    pub machine: Machine,
    /// As it was typed.
    pub command: String,
    /// How load generator and backend waited.
    pub peers: Peers,
    /// Turns of each candidate.
    pub rounds: u32,
    /// Seconds of a window.
    pub seconds: f64,
    /// Closed and open loop.
    pub rows: Vec<Row>,
    /// System calls.
    pub syscalls: Vec<SyscallRow>,
    /// Idle connections.
    pub idle: Vec<IdleRow>,
}

impl Results {
    pub(super) fn new(machine: Machine, plan: &Plan) -> Self {
        Self {
            machine,
            command: plan.command.clone(),
            peers: plan.peers,
            rounds: plan.rounds,
            seconds: plan.window.as_secs_f64(),
            rows: Vec::new(),
            syscalls: Vec::new(),
            idle: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, cell: &Cell, candidate: Candidate, outcome: Result<Sample, String>) {
        let place = match self.rows.iter().position(|row| row.is(cell.name, candidate)) {
            Some(place) => place,
            None => {
                self.rows.push(Row::new(cell.name, candidate));
                self.rows.len().saturating_sub(1)
            }
        };
        let Some(row) = self.rows.get_mut(place) else { return };
        match outcome {
            Ok(sample) => row.samples.push(sample),
            Err(failure) => row.failure = Some(failure),
        }
    }

    /// The row of a cell, if it was measured and no round failed.
    pub(super) fn row(&self, cell: &str, candidate: Candidate) -> Option<&Row> {
        self.rows.iter().find(|row| row.is(cell, candidate) && row.failure.is_none() && !row.samples.is_empty())
    }
}

/// One candidate under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Name of the cell.
    pub cell: String,
    /// Who.
    pub candidate: Candidate,
    /// One a round.
    pub samples: Vec<Sample>,
    /// Why a round failed; a row with a failure counts nowhere.
    pub failure: Option<String>,
}

impl Row {
    fn new(cell: &str, candidate: Candidate) -> Self {
        Self { cell: cell.to_owned(), candidate, samples: Vec::new(), failure: None }
    }

    fn is(&self, cell: &str, candidate: Candidate) -> bool {
        self.cell == cell && self.candidate == candidate
    }

    /// The median of a figure over the rounds.
    pub(super) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(&self.samples.iter().map(figure).collect::<Vec<_>>())
    }
}

/// One window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sample {
    /// Microseconds of the proxy on a CPU per call; 0 without a proxy.
    pub cpu_us: f64,
    /// Share of its core that the proxy used.
    pub utilisation: f64,
    /// Share of the other core that load generator and backend used.
    pub load_utilisation: f64,
    /// Calls a second.
    pub throughput: f64,
    /// Median latency in microseconds.
    pub p50_us: f64,
    /// 99th percentile in microseconds.
    pub p99_us: f64,
    /// 99.9th percentile in microseconds.
    pub p99_9_us: f64,
    /// Resident memory of the proxy at the end, in KiB.
    pub rss_kib: u64,
    /// Peak within the window, in KiB.
    pub peak_rss_kib: u64,
}

impl Sample {
    /// # Errors
    /// When a call failed: then the figures are of another kind of work and worth nothing.
    pub(super) fn new(report: &Report) -> io::Result<Self> {
        refuse(&report.errors, report.calls, "calls")?;
        let own = report.own_cpu_us_per_call * report.throughput / 1e6;
        Ok(Self::of(&report.watched, own, report.throughput, &report.latency_us))
    }

    /// # Errors
    /// As [`Sample::new`].
    pub(super) fn of_streams(report: &StreamReport) -> io::Result<Self> {
        refuse(&report.errors, report.messages, "messages")?;
        let own = report.own_cpu_us_per_message * report.throughput / 1e6;
        Ok(Self::of(&report.watched, own, report.throughput, &report.latency_us))
    }

    /// `own` is the share of a core that the load generator used.
    fn of(watched: &[Watched], own: f64, throughput: f64, latency_us: &Latency) -> Self {
        let of = |name: &str| watched.iter().find(|process| process.name == name);
        let proxy = of(PROXY);
        Self {
            cpu_us: proxy.map_or(0.0, |proxy| proxy.cpu_us_per_call),
            utilisation: proxy.map_or(0.0, |proxy| proxy.utilisation),
            load_utilisation: of(BACKEND).map_or(0.0, |backend| backend.utilisation) + own,
            throughput,
            p50_us: latency_us.p50,
            p99_us: latency_us.p99,
            p99_9_us: latency_us.p99_9,
            rss_kib: proxy.map_or(0, |proxy| proxy.rss_kib),
            peak_rss_kib: proxy.map_or(0, |proxy| proxy.peak_rss_kib),
        }
    }
}

fn refuse(errors: &Errors, good: u64, what: &str) -> io::Result<()> {
    if errors.total() == 0 && good > 0 {
        return Ok(());
    }
    let first = errors.first.as_deref().unwrap_or("no reason noted");
    Err(io::Error::other(format!("{} of {good} {what} failed: {first}", errors.total())))
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} CPU-us per call, {:.0} calls/s, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, cores {:.0} % and \
             {:.0} %, RSS {} KiB",
            self.cpu_us,
            self.throughput,
            self.p50_us,
            self.p99_us,
            self.p99_9_us,
            self.utilisation * 100.0,
            self.load_utilisation * 100.0,
            self.peak_rss_kib
        )
    }
}
