//! The load generator of streams: on every stream the next message goes out as soon as the last one is answered. Unary,
//! that is a new stream; else the same one, which is half closed at the end of the run and has to end well.

use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::outbox::Outbox;
use super::{Fault, Kind, Progress, Writes, grpc, ttstream};
use crate::cpu;
use crate::load::{Errors, Watched};
use crate::poll::{Interest, Poller, Ready};
use crate::stats::{Latency, Recorder, float, ratio};

/// Bytes taken from a socket at a time.
const READ_LEN: usize = 256 << 10;
/// How long after the window the last answers, and then the ends of long streams, may take.
const DRAIN: Duration = Duration::from_secs(2);

/// What to send, where, and for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamLoad {
    /// Proxy or backend.
    pub target: SocketAddr,
    /// What a stream is.
    pub kind: Kind,
    /// Bytes of a message.
    pub size: usize,
    /// Connections, all opened before the first stream.
    pub connections: usize,
    /// Streams at a time on each connection.
    pub streams: usize,
    /// How messages are written that are ready at the same moment.
    pub writes: Writes,
    /// Load before the window, not measured.
    pub warmup: Duration,
    /// The measured window.
    pub window: Duration,
    /// Processes to measure along, by name and process id.
    pub watch: Vec<(String, u32)>,
}

impl StreamLoad {
    /// Messages of 64 bytes on 4 connections with 16 streams each, 5 s after 0.5 s of warmup.
    #[must_use]
    pub fn new(target: SocketAddr, kind: Kind) -> Self {
        Self {
            target,
            kind,
            size: 64,
            connections: 4,
            streams: 16,
            writes: Writes::usual(kind),
            warmup: Duration::from_millis(500),
            window: Duration::from_secs(5),
            watch: Vec::new(),
        }
    }

    /// Sends the messages, checks the answers, and sums up the window.
    ///
    /// # Errors
    /// When a connection cannot be opened or the kernel refuses what the harness needs. Failed streams are no error;
    /// they are counted in the report.
    pub fn run(&self) -> io::Result<StreamReport> {
        Generator::open(self)?.run()
    }

    /// Opens all streams, has one message answered on each, one stream after the other, and calls `look` while nothing
    /// moves on them; afterwards all of them have to end well.
    ///
    /// # Errors
    /// When a stream fails, or `look` does.
    pub fn hold<T>(&self, look: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        Generator::open(self)?.hold(look)
    }
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamReport {
    /// What a stream was.
    pub kind: Kind,
    /// Bytes of a message.
    pub size: usize,
    /// Connections.
    pub connections: usize,
    /// Streams at a time on each.
    pub streams: usize,
    /// Length of the window.
    pub seconds: f64,
    /// Messages answered in the window.
    pub messages: u64,
    /// Messages a second.
    pub throughput: f64,
    /// From sent to answered, in microseconds.
    pub latency_us: Latency,
    /// What the load generator itself used, in microseconds per message.
    pub own_cpu_us_per_message: f64,
    /// Processes measured along.
    pub watched: Vec<Watched>,
    /// What failed, from the first stream to the end of the last one.
    pub errors: Errors,
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { mean, p50, p90, p99, p99_9, max } = self.latency_us;
        writeln!(
            f,
            "{} {} B, {} connections x {} streams, {:.1} s",
            self.kind, self.size, self.connections, self.streams, self.seconds
        )?;
        let errors = self.errors.total();
        writeln!(f, "  {:>10} messages   {:>10.0} messages/s   {errors} errors", self.messages, self.throughput)?;
        if let Some(first) = &self.errors.first {
            writeln!(f, "  first error: {first}")?;
        }
        writeln!(
            f,
            "  latency us: mean {mean:.1}  p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p99_9:.1}  max {max:.1}"
        )?;
        writeln!(f, "  load generator: {:.2} CPU-us per message", self.own_cpu_us_per_message)?;
        for process in &self.watched {
            writeln!(
                f,
                "  {}: {:.2} CPU-us per message, {:.0} % of a core, RSS {} KiB, peak {} KiB, {} threads",
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

#[derive(Debug)]
enum Client {
    Grpc(Box<grpc::Client>),
    Ttstream(Box<ttstream::Client>),
}

impl Client {
    fn out(&mut self) -> &mut Outbox {
        match self {
            Self::Grpc(client) => client.out(),
            Self::Ttstream(client) => client.out(),
        }
    }

    fn send(&mut self, slot: usize, stamp: u64) {
        match self {
            Self::Grpc(client) => client.send(slot, stamp),
            Self::Ttstream(client) => client.send(slot, stamp),
        }
    }

    fn finish(&mut self, slot: usize) {
        match self {
            Self::Grpc(client) => client.finish(slot),
            Self::Ttstream(client) => client.finish(slot),
        }
    }

    fn take(&mut self, came: &[u8], progress: &mut Vec<Progress>) -> Result<(), Fault> {
        match self {
            Self::Grpc(client) => client.take(came, progress),
            Self::Ttstream(client) => client.take(came, progress),
        }
    }
}

/// A connection.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    client: Client,
    /// When the message of each slot was sent, in nanoseconds since the start.
    sent_at: Vec<u64>,
    outstanding: usize,
    blocked: bool,
    open: bool,
}

/// What an answer is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next message.
    Load,
    /// Nothing.
    Quiet,
}

struct Generator<'a> {
    load: &'a StreamLoad,
    poller: Poller,
    links: Vec<Link>,
    phase: Phase,
    start: Instant,
    recorder: Recorder,
    errors: Errors,
    stamp: u64,
    scratch: Vec<u8>,
    ready: Vec<Ready>,
    progress: Vec<Progress>,
}

impl<'a> Generator<'a> {
    fn open(load: &'a StreamLoad) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut links = Vec::with_capacity(load.connections);
        for token in 0..load.connections {
            let stream = TcpStream::connect(load.target)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            poller.add(&stream, token, Interest::Read)?;
            let client = if load.kind.is_grpc() {
                Client::Grpc(Box::new(grpc::Client::new(load.kind, load.size, load.streams, load.writes)))
            } else {
                Client::Ttstream(Box::new(ttstream::Client::new(load.size, load.streams, load.writes)))
            };
            let sent_at = vec![0; load.streams];
            links.push(Link { stream, client, sent_at, outstanding: 0, blocked: false, open: true });
        }
        Ok(Self {
            load,
            poller,
            links,
            phase: Phase::Load,
            start: Instant::now(),
            recorder: Recorder::new(),
            errors: Errors::default(),
            stamp: 0,
            scratch: vec![0; READ_LEN],
            ready: Vec::with_capacity(1024),
            progress: Vec::new(),
        })
    }

    fn run(mut self) -> io::Result<StreamReport> {
        self.start = Instant::now();
        for token in 0..self.links.len() {
            for slot in 0..self.load.streams {
                self.send(token, slot);
            }
            self.pump(token);
        }
        self.drive(after(self.load.warmup), |own| own.is_dead())?;

        self.recorder = Recorder::new();
        for (_, pid) in &self.load.watch {
            // Best effort: only the owner of a process may, and a figure without it is the peak since the start.
            let _ = cpu::reset_peak(*pid);
        }
        let before = self.look()?;
        let own_before = cpu::usage(std::process::id())?;
        let opened = Instant::now();
        self.drive(after(self.load.window), |own| own.is_dead())?;
        let elapsed = opened.elapsed();
        let watched = self.look()?;
        let own_after = cpu::usage(std::process::id())?;
        let messages = self.recorder.count();
        self.recorder.freeze();
        self.wind_up()?;

        let watched = self
            .load
            .watch
            .iter()
            .zip(before.iter().zip(&watched))
            .map(|((name, pid), (before, after))| Watched::new(name, *pid, before, after, messages, elapsed))
            .collect();
        let own_cpu_us = float(own_after.cpu_ns.saturating_sub(own_before.cpu_ns)) / 1_000.0;
        Ok(StreamReport {
            kind: self.load.kind,
            size: self.load.size,
            connections: self.load.connections,
            streams: self.load.streams,
            seconds: elapsed.as_secs_f64(),
            messages,
            throughput: ratio(float(messages), elapsed.as_secs_f64()),
            latency_us: self.recorder.summary(),
            own_cpu_us_per_message: ratio(own_cpu_us, float(messages)),
            watched,
            errors: self.errors,
        })
    }

    fn hold<T>(mut self, look: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.phase = Phase::Quiet;
        for token in 0..self.links.len() {
            for slot in 0..self.load.streams {
                self.send(token, slot);
                self.pump(token);
                self.drive(after(DRAIN), |own| own.outstanding() == 0)?;
            }
        }
        self.expect_no_errors("opened")?;
        let seen = look()?;
        self.wind_up()?;
        self.expect_no_errors("ended")?;
        Ok(seen)
    }

    fn expect_no_errors(&self, what: &str) -> io::Result<()> {
        let failed = u64::try_from(self.outstanding()).unwrap_or(u64::MAX).saturating_add(self.errors.total());
        if failed == 0 {
            return Ok(());
        }
        let first = self.errors.first.as_deref().unwrap_or("no answer");
        Err(io::Error::other(format!("{failed} streams could not be {what}: {first}")))
    }

    /// Waits for what is still under way, then ends the long streams.
    fn wind_up(&mut self) -> io::Result<()> {
        self.phase = Phase::Quiet;
        self.drive(after(DRAIN), |own| own.outstanding() == 0)?;
        self.count_unanswered("no answer two seconds after the window");
        if self.load.kind.is_unary() {
            return Ok(());
        }
        for token in 0..self.links.len() {
            if let Some(link) = self.links.get_mut(token).filter(|link| link.open) {
                for slot in 0..self.load.streams {
                    link.client.finish(slot);
                }
                link.outstanding = self.load.streams;
            }
            self.pump(token);
        }
        self.drive(after(DRAIN), |own| own.outstanding() == 0)?;
        self.count_unanswered("a stream has not ended two seconds after its half close");
        Ok(())
    }

    fn count_unanswered(&mut self, why: &str) {
        let outstanding = u64::try_from(self.outstanding()).unwrap_or(u64::MAX);
        if outstanding > 0 {
            self.errors.unanswered = self.errors.unanswered.saturating_add(outstanding);
            self.errors.first.get_or_insert_with(|| why.to_owned());
        }
    }

    fn outstanding(&self) -> usize {
        self.links.iter().map(|link| link.outstanding).fold(0, usize::saturating_add)
    }

    fn is_dead(&self) -> bool {
        !self.links.iter().any(|link| link.open)
    }

    fn look(&self) -> io::Result<Vec<cpu::Usage>> {
        self.load.watch.iter().map(|(_, pid)| cpu::usage(*pid)).collect()
    }

    /// Serves the sockets until `end`, or until `done`.
    fn drive(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || done(self) {
                return Ok(());
            }
            let mut ready = std::mem::take(&mut self.ready);
            self.poller.wait(Some(left), &mut ready)?;
            for event in &ready {
                self.serve(*event);
            }
            self.ready = ready;
        }
    }

    fn serve(&mut self, event: Ready) {
        let token = event.token;
        let Some(link) = self.links.get_mut(token).filter(|link| link.open) else { return };
        if event.readable {
            let len = match link.stream.read(&mut self.scratch) {
                Ok(0) => return self.lose(token, "closed by the peer"),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.lose(token, &error.to_string()),
            };
            let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let mut progress = std::mem::take(&mut self.progress);
            progress.clear();
            let taken = link.client.take(self.scratch.get(..len).unwrap_or_default(), &mut progress);
            for step in &progress {
                link.outstanding = link.outstanding.saturating_sub(1);
                let Progress::Answered(slot) = *step else { continue };
                let sent_at = link.sent_at.get_mut(slot);
                if let Some(sent_at) = sent_at {
                    self.recorder.record(now.saturating_sub(*sent_at));
                    if self.phase == Phase::Load {
                        *sent_at = now;
                        self.stamp = self.stamp.wrapping_add(1);
                        link.client.send(slot, self.stamp);
                        link.outstanding = link.outstanding.saturating_add(1);
                    }
                }
            }
            self.progress = progress;
            if let Err(fault) = taken {
                count(&mut self.errors, &fault);
                return self.lose(token, &fault.to_string());
            }
        }
        self.pump(token);
    }

    fn send(&mut self, token: usize, slot: usize) {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let Some(link) = self.links.get_mut(token).filter(|link| link.open) else { return };
        if let Some(sent_at) = link.sent_at.get_mut(slot) {
            *sent_at = now;
        }
        self.stamp = self.stamp.wrapping_add(1);
        link.client.send(slot, self.stamp);
        link.outstanding = link.outstanding.saturating_add(1);
    }

    /// Writes what a connection has to send, and sets what it waits for.
    fn pump(&mut self, token: usize) {
        let Some(link) = self.links.get_mut(token).filter(|link| link.open) else { return };
        let flushed = link.client.out().flush(&link.stream).and_then(|all| {
            let blocked = !all;
            if std::mem::replace(&mut link.blocked, blocked) == blocked {
                return Ok(());
            }
            let interest = if blocked { Interest::ReadWrite } else { Interest::Read };
            self.poller.modify(&link.stream, token, interest)
        });
        if let Err(error) = flushed {
            self.lose(token, &error.to_string());
        }
    }

    /// Gives a connection up, with what was under way on it. It is not opened again: a run with errors is thrown away.
    fn lose(&mut self, token: usize, why: &str) {
        let Some(link) = self.links.get_mut(token).filter(|link| link.open) else { return };
        link.open = false;
        // Whoever looks at the socket next finds it closed; that the shutdown worked changes nothing.
        let _ = link.stream.shutdown(Shutdown::Both);
        let lost = u64::try_from(std::mem::take(&mut link.outstanding)).unwrap_or(u64::MAX);
        self.errors.closed = self.errors.closed.saturating_add(lost.max(1));
        self.errors.first.get_or_insert_with(|| why.to_owned());
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

fn count(errors: &mut Errors, fault: &Fault) {
    let counter = match fault {
        Fault::Status(_) | Fault::Failed(_) => &mut errors.exceptions,
        Fault::Length { .. } => &mut errors.length,
        Fault::Payload => &mut errors.payload,
        Fault::Http2(_) | Fault::Headers(_) | Fault::Ttstream(_) => &mut errors.wire,
        Fault::Reset(_) | Fault::GoAway(_) => &mut errors.closed,
    };
    *counter = counter.saturating_add(1);
}
