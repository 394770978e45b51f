//! System calls of a proxy per call, counted by the kernel's tracepoints (`perf stat`), which slow it down little;
//! where they are not allowed, by `strace`, which slows it down much and so changes how calls are batched.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::process::Bench;
use super::{Candidate, Cell, Tools, run_dir};
use crate::stats::{float, ratio};

const TOTAL: &str = "raw_syscalls:sys_enter";
const PREFIX: &str = "syscalls:sys_enter_";
/// Those that a proxy may make on the way of a call; others appear in the total only.
const NAMED: &[&str] = &[
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "write",
    "writev",
    "sendto",
    "sendmsg",
    "splice",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_ctl",
    "futex",
    "timerfd_settime",
    "nanosleep",
    "sched_yield",
    "madvise",
    "mmap",
    "munmap",
];
pub(super) const WINDOW: Duration = Duration::from_secs(2);

/// System calls per call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyscallRow {
    /// Name of the cell.
    pub cell: String,
    /// Who.
    pub candidate: Candidate,
    /// All of them per call.
    pub per_call: f64,
    /// By name, per call, from 0.005 on.
    pub by_name: BTreeMap<String, f64>,
    /// What counted.
    pub tool: String,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl fmt::Display for SyscallRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            return write!(f, "failed: {failure}");
        }
        write!(f, "{:.2} system calls per call ({})", self.per_call, self.tool)?;
        for (name, count) in &self.by_name {
            write!(f, ", {name} {count:.2}")?;
        }
        Ok(())
    }
}

pub(super) fn measure(tools: &Tools, candidate: Candidate, cell: &Cell) -> SyscallRow {
    let mut row = SyscallRow {
        cell: cell.name.to_owned(),
        candidate,
        per_call: 0.0,
        by_name: BTreeMap::new(),
        tool: String::new(),
        failure: None,
    };
    if let Err(error) = fill(tools, cell, &mut row) {
        row.failure = Some(error.to_string());
    }
    row
}

fn fill(tools: &Tools, cell: &Cell, row: &mut SyscallRow) -> io::Result<()> {
    if !row.candidate.is_proxy() {
        return Err(io::Error::other("no process of its own"));
    }
    let bench = Bench::start(tools, row.candidate, cell.transport)?;
    let mut load = cell.load(bench.target());
    // All of the load is counted, so all of it has to be in the window.
    load.warmup = Duration::ZERO;
    load.window = WINDOW;
    let counts = count(tools, bench.proxy_pid().unwrap_or(0), || {
        let report = load.run()?;
        if report.errors.total() > 0 || report.calls == 0 {
            return Err(io::Error::other(format!("{} calls failed", report.errors.total())));
        }
        Ok(report.calls)
    })?;
    row.tool = counts.tool;
    row.per_call = counts.all;
    row.by_name = counts.by_name;
    Ok(())
}

/// System calls of a process for each call or message.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) all: f64,
    /// From 0.005 on.
    pub(super) by_name: BTreeMap<String, f64>,
    pub(super) tool: String,
}

/// Counts the system calls of `pid` while `load` runs, which says how many calls or messages it was.
pub(super) fn count(tools: &Tools, pid: u32, load: impl FnOnce() -> io::Result<u64>) -> io::Result<Counts> {
    let output = run_dir(tools).join("syscalls.txt");
    let (tool, counter) = match Counter::perf(pid, &output) {
        Ok(counter) => ("perf", counter),
        Err(_) => ("strace", Counter::strace(pid, &output)?),
    };
    let calls = float(load()?);
    counter.stop()?;
    let text = std::fs::read_to_string(&output)?;
    let mut counts = Counts { all: 0.0, by_name: BTreeMap::new(), tool: tool.to_owned() };
    for (name, count) in if tool == "perf" { parse_perf(&text) } else { parse_strace(&text) } {
        let per_call = ratio(float(count), calls);
        if name == TOTAL {
            counts.all = per_call;
        } else if per_call >= 0.005 {
            counts.by_name.insert(name, per_call);
        }
    }
    Ok(counts)
}

/// A tool that counts until it is told to stop.
#[derive(Debug)]
struct Counter {
    child: Child,
}

impl Counter {
    fn perf(pid: u32, output: &Path) -> io::Result<Self> {
        let named = NAMED.iter().map(|name| format!("{PREFIX}{name}"));
        let events: Vec<String> = std::iter::once(TOTAL.to_owned()).chain(named).collect();
        let mut command = Command::new("perf");
        command.args(["stat", "-x", ",", "-e", &events.join(","), "-p", &pid.to_string(), "-o"]).arg(output);
        Self::start(command)
    }

    fn strace(pid: u32, output: &Path) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-p", &pid.to_string(), "-o"]).arg(output);
        Self::start(command)
    }

    fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        std::thread::sleep(Duration::from_millis(500));
        match child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("the counter ended at once with {status}"))),
            None => Ok(Self { child }),
        }
    }

    fn stop(mut self) -> io::Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::INT)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Only where the measurement failed before `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `COUNT,,EVENT,…` a line.
fn parse_perf(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let count = fields.next()?.parse().ok()?;
            let event = fields.nth(1)?;
            Some((event.strip_prefix(PREFIX).unwrap_or(event).to_owned(), count))
        })
        .collect()
}

/// `% SECONDS USECS/CALL CALLS [ERRORS] NAME` a line; the last is the total.
fn parse_strace(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let name = *fields.last()?;
            let count = fields.get(3)?.parse().ok()?;
            Some((if name == "total" { TOTAL } else { name }.to_owned(), count))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perf_lines_are_read() {
        let text = "# started on\n\n144,,raw_syscalls:sys_enter,2000,100.00,,\n12,,syscalls:sys_enter_read,1,1.0,,\n\
                    <not counted>,,syscalls:sys_enter_write,0,0.00,,\n";
        assert_eq!(parse_perf(text), [(TOTAL.to_owned(), 144), ("read".to_owned(), 12)]);
    }

    #[test]
    fn strace_lines_are_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    77.54    1.021107          28     36069           sendto\n  \
                    0.11    0.001445           4       304        12 read\n\
                    100.00    1.316855          18     36373        12 total\n";
        let expected = [("sendto".to_owned(), 36069), ("read".to_owned(), 304), (TOTAL.to_owned(), 36373)];
        assert_eq!(parse_strace(text), expected);
    }
}
