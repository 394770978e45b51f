//! The comparison of proxies on streams: the same turns, cores and figures as for calls.

mod bars;
mod candidate;
mod cell;
mod report;
mod results;

use std::fmt;
use std::io;
use std::time::Duration;

pub use candidate::StreamCandidate;
use candidate::go_versions;
pub use cell::{STREAM_CELLS, StreamCell};
pub use report::markdown;
pub use results::{IdleStreamsRow, StreamResults, StreamRow, StreamSyscallsRow};

use super::candidate::Tools;
use super::machine;
use super::process::{Bench, Command, alone, prepare};
use super::results::Sample;
use super::syscalls::{self, Counts};
use crate::cpu;
use crate::streams::Writes;
use crate::streams::load::StreamLoad;
use cell::{IDLE_CELLS, SYSCALL_CELLS};

/// Longer than a proxy needs to give buffers back, shorter than its idle timeouts.
const SETTLE: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamPlan {
    /// Only these candidates, if any are named.
    pub candidates: Vec<StreamCandidate>,
    /// Only cells whose name contains one of these, if any are named.
    pub cells: Vec<String>,
    /// How often each candidate gets its turn.
    pub rounds: u32,
    /// How load generator and backend write; without, as stock peers do it.
    pub writes: Option<Writes>,
    /// Length of a measured window.
    pub window: Duration,
    /// Load before the window.
    pub warmup: Duration,
    /// Where the binaries and configurations are.
    pub tools: Tools,
    /// As it was typed, for the results.
    pub command: String,
}

impl StreamPlan {
    /// Everything, five rounds of 3 s.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self {
            candidates: Vec::new(),
            cells: Vec::new(),
            rounds: 5,
            writes: None,
            window: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            tools,
            command: String::new(),
        }
    }

    /// Measures all of it, and tells `progress` a line a measurement.
    ///
    /// # Errors
    /// When the harness itself cannot work: no second core, no backend. A candidate that cannot be started or whose
    /// streams fail is noted in the results and does not end the run.
    pub fn run(&self, mut progress: impl FnMut(&str)) -> io::Result<StreamResults> {
        let _lock = alone(&self.tools, &mut progress)?;
        prepare()?;
        let mut machine = machine::describe(&self.tools);
        // The Kitex of the calls' proxy is not the one measured here.
        machine.versions.retain(|(name, _)| name != "kitex");
        machine.versions.extend(go_versions(&self.tools));
        let mut results = StreamResults::new(machine, self);
        for cell in STREAM_CELLS.iter().filter(|cell| self.wants(cell)) {
            for round in 1..=self.rounds.max(1) {
                for candidate in self.candidates_of(cell) {
                    let outcome = self.measure(candidate, cell);
                    progress(&format!("{cell} round {round} {candidate}: {}", Told(&outcome)));
                    results.add(cell, candidate, outcome.map_err(|error| error.to_string()));
                }
            }
        }
        for cell in SYSCALL_CELLS.iter().filter(|cell| self.wants(cell)) {
            for candidate in self.candidates_of(cell).filter(|candidate| candidate.is_proxy()) {
                let row = StreamSyscallsRow::new(cell, candidate, self.syscalls(candidate, cell));
                progress(&format!("{cell} {candidate}: {row}"));
                results.syscalls.push(row);
            }
        }
        for cell in IDLE_CELLS.iter().filter(|cell| self.wants(cell)) {
            for candidate in self.candidates_of(cell).filter(|candidate| candidate.is_proxy()) {
                let outcome = self.idle(candidate, cell);
                progress(&format!("{cell} {candidate}: {}", Told(&outcome)));
                results.idle.push(IdleStreamsRow::new(cell, candidate, outcome));
            }
        }
        Ok(results)
    }

    fn measure(&self, candidate: StreamCandidate, cell: &StreamCell) -> io::Result<Sample> {
        let mut bench = self.start(candidate, cell)?;
        let mut load = self.load(cell, &bench);
        load.warmup = self.warmup;
        load.window = self.window;
        load.watch = bench.watch();
        let report = load.run()?;
        bench.is_alive()?;
        Sample::of_streams(&report)
    }

    fn syscalls(&self, candidate: StreamCandidate, cell: &StreamCell) -> io::Result<Counts> {
        let bench = self.start(candidate, cell)?;
        let mut load = self.load(cell, &bench);
        // All of the load is counted, so all of it has to be in the window.
        load.warmup = Duration::ZERO;
        load.window = syscalls::WINDOW;
        syscalls::count(&self.tools, bench.proxy_pid().unwrap_or(0), || {
            let report = load.run()?;
            Sample::of_streams(&report)?;
            Ok(report.messages)
        })
    }

    /// Memory before the first stream, and with all of them open and at rest, in KiB.
    fn idle(&self, candidate: StreamCandidate, cell: &StreamCell) -> io::Result<Rested> {
        let mut bench = self.start(candidate, cell)?;
        let pid = bench.proxy_pid().ok_or_else(|| io::Error::other("no process of its own"))?;
        let base_kib = cpu::usage(pid)?.rss_kib;
        let idle_kib = self.load(cell, &bench).hold(|| {
            std::thread::sleep(SETTLE);
            Ok(cpu::usage(pid)?.rss_kib)
        })?;
        bench.is_alive()?;
        Ok(Rested { base_kib, idle_kib })
    }

    fn start(&self, candidate: StreamCandidate, cell: &StreamCell) -> io::Result<Bench> {
        let (kind, writes) = (cell.kind.to_string(), self.writes_of(cell).to_string());
        let backend = |port: &str| {
            let args = ["stream-backend", "--listen", port, "--kind", &kind, "--writes", &writes];
            Command::new(&self.tools.bench).args(args)
        };
        Bench::launch(&self.tools, &candidate.to_string(), backend, |listen, upstream| {
            if !candidate.is_proxy() {
                return Ok(None);
            }
            candidate.command(&self.tools, listen, upstream, cell.kind).map(Some)
        })
    }

    /// The load of a cell.
    fn load(&self, cell: &StreamCell, bench: &Bench) -> StreamLoad {
        let mut load = StreamLoad::new(bench.target(), cell.kind);
        load.size = cell.size;
        load.connections = cell.connections;
        load.streams = cell.streams;
        load.writes = self.writes_of(cell);
        load
    }

    fn writes_of(&self, cell: &StreamCell) -> Writes {
        self.writes.unwrap_or(Writes::usual(cell.kind))
    }

    fn wants(&self, cell: &StreamCell) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|name| cell.name.contains(name.as_str()))
    }

    fn candidates_of(&self, cell: &StreamCell) -> impl Iterator<Item = StreamCandidate> {
        let all = StreamCandidate::ALL.into_iter().filter(|candidate| candidate.speaks(cell.kind));
        all.filter(|candidate| self.candidates.is_empty() || self.candidates.contains(candidate))
    }
}

/// Memory of a candidate.
#[derive(Clone, Copy, Debug)]
struct Rested {
    base_kib: u64,
    idle_kib: u64,
}

impl fmt::Display for Rested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RSS {} KiB alone, {} KiB with idle streams", self.base_kib, self.idle_kib)
    }
}

/// A line of progress.
struct Told<'a, T>(&'a io::Result<T>);

impl<T: fmt::Display> fmt::Display for Told<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(outcome) => outcome.fmt(f),
            Err(error) => write!(f, "failed: {error}"),
        }
    }
}
