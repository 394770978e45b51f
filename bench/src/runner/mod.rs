//! Runs the candidates side by side: one at a time on core 0, load generator and backend together on core 1, in turns
//! (every candidate once, then every candidate again), and takes the median of each figure.

mod bars;
mod candidate;
mod cell;
mod idle;
mod machine;
mod process;
mod report;
mod results;
mod streams;
mod syscalls;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use candidate::{Candidate, Tools};
pub use cell::{CELLS, Cell, Section};
pub use idle::IdleRow;
pub use machine::Machine;
use process::Bench;
pub use report::markdown;
pub use results::{Results, Row, Sample};
pub use streams::{
    IdleStreamsRow, STREAM_CELLS, StreamCandidate, StreamCell, StreamPlan, StreamResults, StreamRow, StreamSyscallsRow,
    markdown as streams_markdown,
};
pub use syscalls::SyscallRow;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::load::Load;

/// What load generator and backend do while they have nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Peers {
    /// Two processes that sleep in `epoll_wait`. A candidate then pays for waking them, the more often the slower it is.
    Sleep,
    /// One thread that asks again and again. A candidate pays for its own work only.
    Spin,
}

/// What to measure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Which sections.
    pub sections: Vec<Section>,
    /// Only these candidates, if any are named.
    pub candidates: Vec<Candidate>,
    /// Only cells whose name contains one of these, if any are named.
    pub cells: Vec<String>,
    /// How often each candidate gets its turn.
    pub rounds: u32,
    /// How load generator and backend wait.
    pub peers: Peers,
    /// Length of a measured window.
    pub window: Duration,
    /// Load before the window.
    pub warmup: Duration,
    /// Where the binaries and configurations are.
    pub tools: Tools,
    /// As it was typed, for the results.
    pub command: String,
}

impl Plan {
    /// Everything, five rounds of 3 s.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self {
            sections: Section::ALL.to_vec(),
            candidates: Vec::new(),
            cells: Vec::new(),
            rounds: 5,
            peers: Peers::Sleep,
            window: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            tools,
            command: String::new(),
        }
    }

    /// Measures all of it, and tells `progress` a line a measurement.
    ///
    /// # Errors
    /// When the harness itself cannot work: no second core, no backend. A candidate that cannot be started or that
    /// fails calls is noted in the results and does not end the run.
    pub fn run(&self, mut progress: impl FnMut(&str)) -> io::Result<Results> {
        let _lock = process::alone(&self.tools, &mut progress)?;
        process::prepare()?;
        let mut results = Results::new(machine::describe(&self.tools), self);
        for section in &self.sections {
            match section {
                Section::Closed | Section::Open => self.run_cells(*section, &mut results, &mut progress)?,
                Section::Syscalls => {
                    for cell in self.cells_of(*section) {
                        for candidate in self.candidates_of(cell) {
                            let row = syscalls::measure(&self.tools, candidate, cell);
                            progress(&format!("{cell} {candidate}: {row}"));
                            results.syscalls.push(row);
                        }
                    }
                }
                // Asked for particular cells, nobody wants this one along unasked.
                Section::Idle if !self.wants("idle") => {}
                Section::Idle => {
                    for candidate in self.chosen(&Candidate::ALL).filter(|candidate| candidate.is_proxy()) {
                        let row = idle::measure(&self.tools, candidate);
                        progress(&format!("idle {candidate}: {row}"));
                        results.idle.push(row);
                    }
                }
            }
        }
        Ok(results)
    }

    fn run_cells(&self, section: Section, results: &mut Results, progress: &mut impl FnMut(&str)) -> io::Result<()> {
        for cell in self.cells_of(section) {
            for round in 1..=self.rounds.max(1) {
                for candidate in self.candidates_of(cell) {
                    let outcome = self.measure(candidate, cell);
                    let text = match &outcome {
                        Ok(sample) => sample.to_string(),
                        Err(error) => format!("failed: {error}"),
                    };
                    progress(&format!("{cell} round {round} {candidate}: {text}"));
                    results.add(cell, candidate, outcome.map_err(|error| error.to_string()));
                }
            }
        }
        Ok(())
    }

    fn measure(&self, candidate: Candidate, cell: &Cell) -> io::Result<Sample> {
        let (mut bench, backend) = match self.peers {
            Peers::Sleep => (Bench::start(&self.tools, candidate, cell.transport)?, None),
            Peers::Spin => {
                let (bench, backend) = Bench::start_without_backend(&self.tools, candidate, cell.transport)?;
                (bench, Some(backend))
            }
        };
        let mut load = cell.load(bench.target());
        load.warmup = self.warmup;
        load.window = self.window;
        load.watch = bench.watch();
        let report = match backend {
            Some(backend) => load.run_with(backend)?,
            None => load.run()?,
        };
        bench.is_alive()?;
        Sample::new(&report)
    }

    fn cells_of(&self, section: Section) -> impl Iterator<Item = &'static Cell> {
        CELLS.iter().filter(move |cell| cell.section == section && self.wants(cell.name))
    }

    fn wants(&self, cell: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|name| cell.contains(name.as_str()))
    }

    fn candidates_of(&self, cell: &Cell) -> impl Iterator<Item = Candidate> {
        self.chosen(cell.candidates).filter(|candidate| candidate.speaks(cell.transport))
    }

    fn chosen(&self, all: &'static [Candidate]) -> impl Iterator<Item = Candidate> {
        all.iter().copied().filter(|candidate| self.candidates.is_empty() || self.candidates.contains(candidate))
    }
}

impl Cell {
    /// The load of this cell, towards `target`.
    fn load(&self, target: std::net::SocketAddr) -> Load {
        let mut load = Load::new(target);
        load.transport = self.transport;
        load.shape = self.shape;
        load.size = self.size;
        load.connections = self.connections;
        load.rate = self.rate;
        load
    }
}

/// Where the run keeps logs and generated configurations.
fn run_dir(tools: &Tools) -> PathBuf {
    tools.dir.join(".work").join("run")
}
