//! What the kernel says a process has cost: CPU time, memory, threads.

use std::{fs, io};

use serde::{Deserialize, Serialize};

/// One look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Nanoseconds on a CPU, user and system, summed over the threads that are alive.
    pub cpu_ns: u64,
    /// Resident memory now, in KiB.
    pub rss_kib: u64,
    /// Peak of the resident memory since the start, or since [`reset_peak`], in KiB.
    pub peak_rss_kib: u64,
    /// Threads alive.
    pub threads: u64,
}

/// Reads CPU time and memory of `pid`.
///
/// CPU time is the scheduler's own, from `/proc/PID/task/*/schedstat`, exact to the nanosecond where
/// `/proc/PID/stat` counts in ticks of 10 ms. A thread that ends takes its share with it; no peer here ends threads
/// while it serves.
///
/// # Errors
/// When the process is gone or `/proc` is not as expected.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = match fs::read_to_string(task?.path().join("schedstat")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        usage.cpu_ns = usage.cpu_ns.saturating_add(first_number(&schedstat)?);
        usage.threads = usage.threads.saturating_add(1);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    for line in status.lines() {
        if let Some(rest) = line.strip_prefix("VmRSS:") {
            usage.rss_kib = first_number(rest)?;
        } else if let Some(rest) = line.strip_prefix("VmHWM:") {
            usage.peak_rss_kib = first_number(rest)?;
        }
    }
    Ok(usage)
}

/// Lets the peak of `pid`'s resident memory start anew from what it is now.
///
/// # Errors
/// When the process is gone or belongs to somebody else.
pub fn reset_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

fn first_number(text: &str) -> io::Result<u64> {
    text.split_ascii_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no number where /proc has one"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_shows_in_the_cpu_time() {
        let pid = std::process::id();
        let before = usage(pid).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(30) {
            std::hint::black_box(start.elapsed());
        }
        let after = usage(pid).unwrap();
        assert!(after.cpu_ns > before.cpu_ns, "{before:?} {after:?}");
        assert!(after.rss_kib > 0 && after.peak_rss_kib >= after.rss_kib && after.threads > 0);
    }
}
