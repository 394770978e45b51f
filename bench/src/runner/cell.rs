//! The table of what is measured.

use std::fmt;

use clap::ValueEnum;

use super::Candidate;
use crate::wire::{Shape, Transport};

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Section {
    /// Closed loop: cost of a call, throughput, latency under full load, memory.
    Closed,
    /// Open loop: latency at a fixed rate.
    Open,
    /// System calls per call.
    Syscalls,
    /// Memory with 1,000 idle connections.
    Idle,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::Syscalls, Self::Idle];
}

/// One column of a table: the same load for every candidate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// Its name in results and on the command line.
    pub name: &'static str,
    /// The part of the run it belongs to.
    pub section: Section,
    /// How calls travel.
    pub transport: Transport,
    /// What the argument is made of.
    pub shape: Shape,
    /// Bytes of the argument.
    pub size: usize,
    /// Connections of the load generator.
    pub connections: usize,
    /// Calls a second; a closed loop without.
    pub rate: Option<u32>,
    /// Who is measured, as far as they speak the transport.
    pub candidates: &'static [Candidate],
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Everybody but the multiplexing relay, which is for small messages.
const ALL_LARGE: &[Candidate] = &[
    Candidate::Direct,
    Candidate::Relay64,
    Candidate::Relay256,
    Candidate::OursPool,
    Candidate::OursMux,
    Candidate::EnvoyPassthrough,
    Candidate::EnvoyFull,
    Candidate::Haproxy,
    Candidate::Nginx,
    Candidate::KitexProxy,
];
/// Who is asked how cost grows with connections.
const MANY: &[Candidate] =
    &[Candidate::Relay64, Candidate::MuxRelay, Candidate::OursPool, Candidate::OursMux, Candidate::KitexProxy];
/// Who is asked whether memory grows with the message.
const LARGE: &[Candidate] = &[Candidate::Relay64, Candidate::OursPool];
/// Who is asked what a deadline costs.
const DEADLINE: &[Candidate] = &[Candidate::Relay64, Candidate::OursPool, Candidate::OursMux, Candidate::KitexProxy];

const fn closed(
    name: &'static str,
    transport: Transport,
    shape: Shape,
    size: usize,
    connections: usize,
    candidates: &'static [Candidate],
) -> Cell {
    Cell { name, section: Section::Closed, transport, shape, size, connections, rate: None, candidates }
}

const ALL: &[Candidate] = &Candidate::ALL;

/// All cells, in the order they are measured.
pub const CELLS: &[Cell] = &[
    closed("framed-64B", Transport::Framed, Shape::String, 64, 64, ALL),
    closed("framed-1KiB", Transport::Framed, Shape::String, KIB, 64, ALL),
    closed("framed-16KiB", Transport::Framed, Shape::String, 16 * KIB, 64, ALL),
    closed("framed-1MiB", Transport::Framed, Shape::String, MIB, 8, ALL_LARGE),
    closed("framed-8MiB", Transport::Framed, Shape::String, 8 * MIB, 8, LARGE),
    closed("framed-64B-256c", Transport::Framed, Shape::String, 64, 256, MANY),
    closed("framed-1KiB-256c", Transport::Framed, Shape::String, KIB, 256, MANY),
    closed("ttheader-64B", Transport::Ttheader, Shape::String, 64, 64, ALL),
    closed("ttheader-1KiB", Transport::Ttheader, Shape::String, KIB, 64, ALL),
    closed("ttheader-16KiB", Transport::Ttheader, Shape::String, 16 * KIB, 64, ALL),
    closed("ttheader-1MiB", Transport::Ttheader, Shape::String, MIB, 8, ALL_LARGE),
    closed("ttheader-64B-256c", Transport::Ttheader, Shape::String, 64, 256, MANY),
    closed("ttheader-1KiB-256c", Transport::Ttheader, Shape::String, KIB, 256, MANY),
    closed("ttheader-timeout-1KiB", Transport::TtheaderTimeout, Shape::String, KIB, 64, DEADLINE),
    closed("ttheader-framed-1KiB", Transport::TtheaderFramed, Shape::String, KIB, 64, DEADLINE),
    closed("buffered-1KiB", Transport::Buffered, Shape::String, KIB, 64, ALL),
    closed("buffered-records-1KiB", Transport::Buffered, Shape::Records, KIB, 64, ALL),
    closed("buffered-records-16KiB", Transport::Buffered, Shape::Records, 16 * KIB, 64, ALL),
    Cell {
        name: "open-framed-1KiB",
        section: Section::Open,
        transport: Transport::Framed,
        shape: Shape::String,
        size: KIB,
        connections: 64,
        rate: Some(10_000),
        candidates: ALL,
    },
    Cell {
        name: "syscalls-framed-1KiB",
        section: Section::Syscalls,
        transport: Transport::Framed,
        shape: Shape::String,
        size: KIB,
        connections: 64,
        rate: None,
        candidates: ALL,
    },
    Cell {
        name: "syscalls-ttheader-1KiB",
        section: Section::Syscalls,
        transport: Transport::Ttheader,
        shape: Shape::String,
        size: KIB,
        connections: 64,
        rate: None,
        candidates: ALL,
    },
];
