//! What a run on streams has measured, as it is kept in JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::super::machine::Machine;
use super::super::results::Sample;
use super::super::syscalls::Counts;
use super::{Rested, StreamCandidate, StreamCell, StreamPlan};
use crate::stats::median;

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamResults {
    /// Where it ran, with which versions.
    pub machine: Machine,
    /// As it was typed.
    pub command: String,
    /// Turns of each candidate.
    pub rounds: u32,
    /// Seconds of a window.
    pub seconds: f64,
    /// Streams under load.
    pub rows: Vec<StreamRow>,
    /// System calls under load.
    pub syscalls: Vec<StreamSyscallsRow>,
    /// Streams at rest.
    pub idle: Vec<IdleStreamsRow>,
}

impl StreamResults {
    pub(super) fn new(machine: Machine, plan: &StreamPlan) -> Self {
        Self {
            machine,
            command: plan.command.clone(),
            rounds: plan.rounds,
            seconds: plan.window.as_secs_f64(),
            rows: Vec::new(),
            syscalls: Vec::new(),
            idle: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, cell: &StreamCell, candidate: StreamCandidate, outcome: Result<Sample, String>) {
        let place = match self.rows.iter().position(|row| row.is(cell.name, candidate)) {
            Some(place) => place,
            None => {
                let cell = cell.name.to_owned();
                self.rows.push(StreamRow { cell, candidate, samples: Vec::new(), failure: None });
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
    pub(super) fn row(&self, cell: &str, candidate: StreamCandidate) -> Option<&StreamRow> {
        self.rows.iter().find(|row| row.is(cell, candidate) && row.failure.is_none() && !row.samples.is_empty())
    }
}

/// One candidate under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamRow {
    /// Name of the cell.
    pub cell: String,
    /// Who.
    pub candidate: StreamCandidate,
    /// One a round.
    pub samples: Vec<Sample>,
    /// Why a round failed; a row with a failure counts nowhere.
    pub failure: Option<String>,
}

impl StreamRow {
    fn is(&self, cell: &str, candidate: StreamCandidate) -> bool {
        self.cell == cell && self.candidate == candidate
    }

    /// The median of a figure over the rounds.
    pub(super) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(&self.samples.iter().map(figure).collect::<Vec<_>>())
    }
}

/// System calls per message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamSyscallsRow {
    /// Name of the cell.
    pub cell: String,
    /// Who.
    pub candidate: StreamCandidate,
    /// All of them per message.
    pub per_message: f64,
    /// By name, per message, from 0.005 on.
    pub by_name: BTreeMap<String, f64>,
    /// What counted.
    pub tool: String,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl StreamSyscallsRow {
    pub(super) fn new(cell: &StreamCell, candidate: StreamCandidate, outcome: io::Result<Counts>) -> Self {
        let (counts, failure) = match outcome {
            Ok(counts) => (counts, None),
            Err(error) => (Counts { all: 0.0, by_name: BTreeMap::new(), tool: String::new() }, Some(error.to_string())),
        };
        let Counts { all: per_message, by_name, tool } = counts;
        Self { cell: cell.name.to_owned(), candidate, per_message, by_name, tool, failure }
    }
}

impl fmt::Display for StreamSyscallsRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            return write!(f, "failed: {failure}");
        }
        write!(f, "{:.2} system calls per message ({})", self.per_message, self.tool)?;
        for (name, count) in &self.by_name {
            write!(f, ", {name} {count:.2}")?;
        }
        Ok(())
    }
}

/// Memory with idle streams.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdleStreamsRow {
    /// Name of the cell.
    pub cell: String,
    /// Who.
    pub candidate: StreamCandidate,
    /// Connections that the streams are on.
    pub connections: usize,
    /// Streams.
    pub streams: usize,
    /// Resident memory before the first of them, in KiB.
    pub base_kib: u64,
    /// After one message of 64 bytes there and back on each, and a rest.
    pub idle_kib: u64,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl IdleStreamsRow {
    pub(super) fn new(cell: &StreamCell, candidate: StreamCandidate, outcome: io::Result<Rested>) -> Self {
        let (rested, failure) = match outcome {
            Ok(rested) => (rested, None),
            Err(error) => (Rested { base_kib: 0, idle_kib: 0 }, Some(error.to_string())),
        };
        Self {
            cell: cell.name.to_owned(),
            candidate,
            connections: cell.connections,
            streams: cell.connections.saturating_mul(cell.streams),
            base_kib: rested.base_kib,
            idle_kib: rested.idle_kib,
            failure,
        }
    }
}
