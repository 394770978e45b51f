//! The results as Markdown.

use std::fmt::Write as _;

use super::bars::bars;
use super::machine::Machine;
use super::results::{Results, Row};
use super::{CELLS, Candidate, Cell, Peers, Section};
use crate::stats::{float, ratio};
use crate::wire::Transport;

/// The whole of `RESULTS.md`.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    head(results, &mut text);
    verdicts(results, &mut text);
    let groups: [(&str, &[Transport]); 4] = [
        ("Framed", &[Transport::Framed]),
        ("TTHeader", &[Transport::Ttheader]),
        (
            "TTHeader with a caller's timeout, TTHeader with inner frame",
            &[Transport::TtheaderTimeout, Transport::TtheaderFramed],
        ),
        ("Buffered", &[Transport::Buffered]),
    ];
    for (title, transports) in groups {
        let of_group = |cell: &&Cell| cell.section == Section::Closed && transports.contains(&cell.transport);
        let cells: Vec<&Cell> = CELLS.iter().filter(of_group).filter(|cell| measured(results, cell)).collect();
        if !cells.is_empty() {
            line(&mut text, format_args!("## {title}\n"));
            group(results, &cells, &mut text);
        }
    }
    let open: Vec<&Cell> =
        CELLS.iter().filter(|cell| cell.section == Section::Open && measured(results, cell)).collect();
    for cell in open {
        let rate = cell.rate.unwrap_or_default();
        line(&mut text, format_args!("## Latency at a fixed rate: {rate} calls/s, {}\n", load_of(cell)));
        line(&mut text, format_args!("Open loop; a call's latency counts from the moment it was due.\n"));
        group(results, &[cell], &mut text);
    }
    syscalls(results, &mut text);
    idle(results, &mut text);
    failures(results, &mut text);
    text
}

fn head(results: &Results, text: &mut String) {
    let machine = &results.machine;
    line(text, format_args!("# Results\n"));
    line(text, format_args!("Written by the runner; how it measures is in [README.md](README.md).\n"));
    line(text, format_args!("- Command: `{}`", results.command));
    let peers = match results.peers {
        Peers::Sleep => "sleep in two processes",
        Peers::Spin => "spin in one thread",
    };
    line(text, format_args!("- Rounds: {} in turns, windows of {} s, medians", results.rounds, results.seconds));
    line(text, format_args!("- Load generator and backend {peers}"));
    self::machine(machine, text);
}

/// What it ran on, with which versions.
pub(super) fn machine(machine: &Machine, text: &mut String) {
    line(
        text,
        format_args!(
            "- Machine: {}, {} cores, {} MiB, Linux {}, TCP congestion control {}",
            machine.cpu, machine.cores, machine.memory_mib, machine.kernel, machine.congestion_control
        ),
    );
    if !machine.load_average.is_empty() {
        line(text, format_args!("- Load average before the run: {}", machine.load_average));
    }
    for (name, version) in &machine.versions {
        line(text, format_args!("- {name}: {version}"));
    }
    text.push('\n');
}

fn verdicts(results: &Results, text: &mut String) {
    line(text, format_args!("## Bars\n"));
    line(text, format_args!("| bar | at most | measured | |\n|---|--:|--:|---|"));
    for bar in bars(results) {
        let value = bar.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        line(text, format_args!("| {} | {:.2} | {value} | {} |", bar.what, bar.limit, bar.verdict()));
    }
    text.push('\n');
}

/// The tables of cells that belong together.
fn group(results: &Results, cells: &[&Cell], text: &mut String) {
    table(results, cells, "CPU-µs of the proxy per call (× the 64 KiB relay)", text, |row, cell| {
        let own = row.median(|sample| sample.cpu_us);
        if row.candidate == Candidate::Direct {
            return "–".to_owned();
        }
        match results.row(cell.name, Candidate::Relay64) {
            Some(relay) => format!("{} ({:.2})", figure(own), ratio(own, relay.median(|sample| sample.cpu_us))),
            None => figure(own),
        }
    });
    table(results, cells, "Calls/s (% of the proxy's core, % of the load's core)", text, |row, _| {
        format!(
            "{:.0} ({:.0}, {:.0})",
            row.median(|sample| sample.throughput),
            row.median(|sample| sample.utilisation) * 100.0,
            row.median(|sample| sample.load_utilisation) * 100.0
        )
    });
    table(results, cells, "Latency in µs: p50 / p99 / p99.9", text, |row, _| {
        format!(
            "{:.0} / {:.0} / {:.0}",
            row.median(|sample| sample.p50_us),
            row.median(|sample| sample.p99_us),
            row.median(|sample| sample.p99_9_us)
        )
    });
    table(results, cells, "Peak RSS of the proxy in MiB", text, |row, _| {
        if row.candidate == Candidate::Direct {
            return "–".to_owned();
        }
        format!("{:.1}", row.median(|sample| float(sample.peak_rss_kib)) / 1024.0)
    });
}

fn table(results: &Results, cells: &[&Cell], title: &str, text: &mut String, entry: impl Fn(&Row, &Cell) -> String) {
    line(text, format_args!("{title}:\n"));
    let columns: Vec<String> = cells.iter().map(|cell| load_of(cell)).collect();
    line(text, format_args!("| | {} |\n|---|{}", columns.join(" | "), "--:|".repeat(cells.len())));
    for candidate in Candidate::ALL {
        let entries: Vec<Option<String>> =
            cells.iter().map(|cell| results.row(cell.name, candidate).map(|row| entry(row, cell))).collect();
        if entries.iter().any(Option::is_some) {
            let entries: Vec<String> = entries.into_iter().map(|entry| entry.unwrap_or_default()).collect();
            line(text, format_args!("| {candidate} | {} |", entries.join(" | ")));
        }
    }
    text.push('\n');
}

fn syscalls(results: &Results, text: &mut String) {
    for cell in CELLS.iter().filter(|cell| cell.section == Section::Syscalls) {
        let mut rows = results.syscalls.iter().filter(|row| row.cell == cell.name && row.failure.is_none()).peekable();
        let Some(first) = rows.peek() else { continue };
        line(text, format_args!("## System calls per call: {}, counted by {}\n", load_of(cell), first.tool));
        line(text, format_args!("| | all | by name |\n|---|--:|---|"));
        for row in rows {
            let by_name: Vec<String> = row.by_name.iter().map(|(name, count)| format!("{name} {count:.2}")).collect();
            line(text, format_args!("| {} | {:.2} | {} |", row.candidate, row.per_call, by_name.join(", ")));
        }
        text.push('\n');
    }
}

fn idle(results: &Results, text: &mut String) {
    let mut rows = results.idle.iter().filter(|row| row.failure.is_none()).peekable();
    let Some(first) = rows.peek() else { return };
    line(text, format_args!("## RSS in MiB with {} idle connections\n", first.connections));
    line(
        text,
        format_args!(
            "Idle: after one call of 1 KiB on each, one after the other. After a burst: after one more call of 16 KiB \
             on each, all at the same time. Both after a rest of 3 s.\n"
        ),
    );
    line(text, format_args!("| | started | idle | after a burst |\n|---|--:|--:|--:|"));
    for row in rows {
        let mib = |kib: u64| float(kib) / 1024.0;
        line(
            text,
            format_args!(
                "| {} | {:.1} | {:.1} | {:.1} |",
                row.candidate,
                mib(row.base_kib),
                mib(row.idle_kib),
                mib(row.after_burst_kib)
            ),
        );
    }
    text.push('\n');
}

/// What could not be measured is said, not left out.
fn failures(results: &Results, text: &mut String) {
    let rows = results.rows.iter().filter_map(|row| Some((row.cell.as_str(), row.candidate, row.failure.as_ref()?)));
    let syscalls = results.syscalls.iter().filter(|row| row.candidate.is_proxy());
    let syscalls = syscalls.filter_map(|row| Some((row.cell.as_str(), row.candidate, row.failure.as_ref()?)));
    let idle = results.idle.iter().filter_map(|row| Some(("idle", row.candidate, row.failure.as_ref()?)));
    let all: Vec<_> = rows.chain(syscalls).chain(idle).collect();
    if all.is_empty() {
        return;
    }
    line(text, format_args!("## Not measured\n"));
    for (cell, candidate, failure) in all {
        line(text, format_args!("- {cell}, {candidate}: {failure}"));
    }
}

fn measured(results: &Results, cell: &Cell) -> bool {
    Candidate::ALL.iter().any(|candidate| results.row(cell.name, *candidate).is_some())
}

/// A cell in words.
fn load_of(cell: &Cell) -> String {
    let size = match cell.size {
        size if size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        size if size % (1 << 10) == 0 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    };
    format!("{} {size} of {}, {} connections", cell.transport, cell.shape, cell.connections)
}

/// Three digits.
pub(super) fn figure(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

pub(super) fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
    text.push('\n');
}
