//! The load generator: echo calls in a closed loop (a new call as soon as one is answered) or an open loop (calls at a
//! fixed rate, whether the answers come or not).
//!
//! In the open loop a call's latency counts from the moment it was *due*, so that a stall of the proxy is seen by all
//! the calls that had to wait for it and not by one only.

mod connection;
mod pace;
mod reply;
mod report;

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use connection::{Connection, Progress};
use pace::Pace;
pub use report::{Errors, Report, Watched};

use crate::backend::{Backend, Server};
use crate::cpu;
use crate::poll::{Interest, Poller, Ready};
use crate::stats::Recorder;
use crate::wire::{Shape, Template, Transport};

/// Bytes taken from a socket at a time.
const READ_LEN: usize = 256 << 10;
/// How long after the window the last replies may take.
const DRAIN: Duration = Duration::from_secs(2);

/// What to send, where, and for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Load {
    /// Proxy or backend.
    pub target: SocketAddr,
    /// How the calls travel.
    pub transport: Transport,
    /// What the argument is made of.
    pub shape: Shape,
    /// Bytes of the argument.
    pub size: usize,
    /// Connections, all opened before the first call.
    pub connections: usize,
    /// Calls without a reply that a connection may have.
    pub depth: usize,
    /// Calls a second over all connections; a closed loop without.
    pub rate: Option<u32>,
    /// Load before the window, not measured.
    pub warmup: Duration,
    /// The measured window.
    pub window: Duration,
    /// Ends the window early after so many calls, warmup included.
    pub max_calls: u64,
    /// Processes to measure along, by name and process id.
    pub watch: Vec<(String, u32)>,
}

impl Load {
    /// Framed calls with a string of 64 bytes on 64 connections, closed loop, 5 s after 0.5 s of warmup.
    #[must_use]
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            transport: Transport::Framed,
            shape: Shape::String,
            size: 64,
            connections: 64,
            depth: 1,
            rate: None,
            warmup: Duration::from_millis(500),
            window: Duration::from_secs(5),
            max_calls: u64::MAX,
            watch: Vec::new(),
        }
    }

    /// Sends the calls, checks the replies, and sums up the window.
    ///
    /// # Errors
    /// When a connection cannot be opened or the kernel refuses what the harness needs. Failed calls are no error;
    /// they are counted in the report.
    pub fn run(&self) -> io::Result<Report> {
        Generator::open(self, None)?.run()
    }

    /// The same with `backend` served by this thread as well, which never sleeps: the process under test then pays for
    /// no wake-up of its peers, as it would not if they were on other machines.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub fn run_with(&self, backend: Backend) -> io::Result<Report> {
        Generator::open(self, Some(Server::new(backend)?))?.run()
    }
}

/// Where in its life a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Warmup,
    Window,
    Drain,
}

struct Generator<'a> {
    load: &'a Load,
    template: Template,
    poller: Poller,
    connections: Vec<Connection>,
    alive: usize,
    outstanding: u64,
    started: u64,
    pace: Option<Pace>,
    phase: Phase,
    start: Instant,
    recorder: Recorder,
    errors: Errors,
    scratch: Vec<u8>,
    /// The backend, if it is served here.
    server: Option<Server>,
    /// Time of the window in which there was nothing to do, where nobody sleeps.
    idle: Duration,
}

impl<'a> Generator<'a> {
    fn open(load: &'a Load, server: Option<Server>) -> io::Result<Self> {
        let template = Template::new(load.transport, load.shape, load.size);
        let poller = Poller::new()?;
        let mut connections = Vec::with_capacity(load.connections);
        for token in 0..load.connections {
            let connection = Connection::open(load.target, &template)?;
            poller.add(connection.stream(), token, Interest::Read)?;
            connections.push(connection);
        }
        Ok(Self {
            load,
            template,
            poller,
            alive: connections.len(),
            connections,
            outstanding: 0,
            started: 0,
            pace: load.rate.map(|rate| Pace::new(rate, load.connections)),
            phase: Phase::Warmup,
            start: Instant::now(),
            recorder: Recorder::new(),
            errors: Errors::default(),
            scratch: vec![0; READ_LEN],
            server,
            idle: Duration::ZERO,
        })
    }

    fn run(mut self) -> io::Result<Report> {
        self.start = Instant::now();
        if self.pace.is_none() {
            self.fill_all();
        }
        let window_at = self.start.checked_add(self.load.warmup).unwrap_or(self.start);
        self.drive(window_at)?;

        self.phase = Phase::Window;
        self.recorder = Recorder::new();
        for (_, pid) in &self.load.watch {
            // Best effort: only the owner of a process may, and a figure without it is the peak since the start.
            let _ = cpu::reset_peak(*pid);
        }
        let before = self.look()?;
        let own_before = cpu::usage(std::process::id())?;
        self.idle = Duration::ZERO;
        let opened = Instant::now();
        self.drive(opened.checked_add(self.load.window).unwrap_or(opened))?;
        let elapsed = opened.elapsed();
        let idle = self.idle;
        let after = self.look()?;
        let own_after = cpu::usage(std::process::id())?;

        let calls = self.recorder.count();
        if self.pace.is_none() {
            // A closed loop has sent nothing that it still owes; what an open loop answers late, counts.
            self.recorder.freeze();
        }
        self.phase = Phase::Drain;
        let drain_from = Instant::now();
        self.drive(drain_from.checked_add(DRAIN).unwrap_or(drain_from))?;
        if self.alive > 0 && self.outstanding > 0 {
            // What a lost connection left behind was counted when it was lost.
            self.errors.unanswered = self.outstanding;
            self.errors.first.get_or_insert_with(|| "no reply two seconds after the window".to_owned());
        }

        let watched = self
            .load
            .watch
            .iter()
            .zip(before.iter().zip(&after))
            .map(|((name, pid), (before, after))| Watched::new(name, *pid, before, after, calls, elapsed))
            .collect();
        let own_cpu_ns = own_after.cpu_ns.saturating_sub(own_before.cpu_ns);
        // Who spins is always on the CPU; what counts is the time with something to do.
        let own_cpu_ns = own_cpu_ns.saturating_sub(u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX));
        Ok(Report::new(self.load, calls, elapsed, self.recorder.summary(), own_cpu_ns, watched, self.errors))
    }

    fn look(&self) -> io::Result<Vec<cpu::Usage>> {
        self.load.watch.iter().map(|(_, pid)| cpu::usage(*pid)).collect()
    }

    /// Serves the sockets until `end`, or, when draining, until nothing is outstanding.
    fn drive(&mut self, end: Instant) -> io::Result<()> {
        let mut ready: Vec<Ready> = Vec::with_capacity(1024);
        loop {
            let now = Instant::now();
            let done = match self.phase {
                Phase::Warmup | Phase::Window => now >= end || self.started >= self.load.max_calls || self.alive == 0,
                Phase::Drain => now >= end || self.outstanding == 0 || self.alive == 0,
            };
            if done {
                return Ok(());
            }
            let mut wake = end;
            if self.phase != Phase::Drain && self.pace.is_some() {
                wake = wake.min(self.send_due(now));
            }
            let (mut patience, mut worked) = (wake.saturating_duration_since(Instant::now()), false);
            if let Some(server) = &mut self.server {
                patience = Duration::ZERO;
                worked = server.turn(patience)?;
            }
            self.poller.wait(Some(patience), &mut ready)?;
            for event in &ready {
                self.serve(*event)?;
            }
            if self.server.is_some() && !worked && ready.is_empty() {
                self.idle = self.idle.saturating_add(now.elapsed());
            }
        }
    }

    /// Starts the calls that are due by `now`, and says when the next one is.
    fn send_due(&mut self, now: Instant) -> Instant {
        let Some(mut pace) = self.pace.take() else { return now };
        while let Some((token, due)) = pace.next_due(self.nanos(now)) {
            if self.started >= self.load.max_calls {
                break;
            }
            let Some(connection) = self.connections.get_mut(token).filter(|connection| connection.is_open()) else {
                self.errors.closed = self.errors.closed.saturating_add(1);
                continue;
            };
            connection.enqueue(due);
            self.started = self.started.saturating_add(1);
            self.outstanding = self.outstanding.saturating_add(1);
            self.pump(token);
        }
        let next = self.start.checked_add(Duration::from_nanos(pace.next_at())).unwrap_or(now);
        self.pace = Some(pace);
        next
    }

    fn fill_all(&mut self) {
        for token in 0..self.connections.len() {
            self.fill(token);
        }
    }

    /// Closed loop: as many new calls as the depth allows.
    fn fill(&mut self, token: usize) {
        let now = self.nanos(Instant::now());
        let Some(connection) = self.connections.get_mut(token) else { return };
        while connection.is_open() && connection.pending() < self.load.depth && self.started < self.load.max_calls {
            connection.enqueue(now);
            self.started = self.started.saturating_add(1);
            self.outstanding = self.outstanding.saturating_add(1);
        }
        self.pump(token);
    }

    /// Writes what a connection has to send, and sets what it waits for.
    fn pump(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        match connection.pump(&self.template, self.load.depth) {
            Ok(Progress::Unchanged) => {}
            Ok(Progress::Wants(interest)) => {
                if let Err(error) = self.poller.modify(connection.stream(), token, interest) {
                    self.lose(token, &error.to_string());
                }
            }
            Err(error) => self.lose(token, &error.to_string()),
        }
    }

    fn serve(&mut self, event: Ready) -> io::Result<()> {
        if event.writable {
            self.pump(event.token);
        }
        if !event.readable {
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(event.token).filter(|connection| connection.is_open()) else {
            return Ok(());
        };
        let len = match connection.stream().read(&mut self.scratch) {
            Ok(0) => {
                self.lose(event.token, "closed by the peer");
                return Ok(());
            }
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                self.lose(event.token, &error.to_string());
                return Ok(());
            }
        };
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut chunk = self.scratch.get(..len).unwrap_or_default();
        loop {
            match connection.take_reply(&mut chunk, &self.template) {
                Ok(Some(due)) => {
                    self.recorder.record(now.saturating_sub(due));
                    self.outstanding = self.outstanding.saturating_sub(1);
                }
                Ok(None) => break,
                Err(violation) => {
                    let why = format!("{violation}: {}", printable(chunk));
                    self.errors.count(violation);
                    self.lose(event.token, &why);
                    return Ok(());
                }
            }
        }
        if self.phase == Phase::Drain {
            return Ok(());
        }
        if self.pace.is_some() {
            self.pump(event.token)
        } else {
            self.fill(event.token)
        }
        Ok(())
    }

    /// Gives a connection up, with the calls it had. It is not opened again: a run with errors is thrown away.
    fn lose(&mut self, token: usize, why: &str) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        if let Some(lost) = connection.close() {
            let lost = u64::try_from(lost).unwrap_or(u64::MAX);
            self.alive = self.alive.saturating_sub(1);
            self.outstanding = self.outstanding.saturating_sub(lost);
            self.errors.closed = self.errors.closed.saturating_add(lost.max(1));
            self.errors.first.get_or_insert_with(|| why.to_owned());
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The letters of a reply, so that an exception's text can be read.
fn printable(reply: &[u8]) -> String {
    let letter = |&byte: &u8| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' };
    reply.iter().take(200).map(letter).collect()
}
