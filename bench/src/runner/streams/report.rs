//! The results on streams as Markdown.

use super::super::report::{figure, line, machine};
use super::bars::bars;
use super::cell::SYSCALL_CELLS;
use super::{STREAM_CELLS, StreamCandidate, StreamCell, StreamResults, StreamRow};
use crate::stats::{float, ratio};
use crate::streams::Kind;

/// The whole of `RESULTS-streams.md`.
#[must_use]
pub fn markdown(results: &StreamResults) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("# Results on streams\n"));
    line(&mut text, format_args!("Written by the runner; how it measures is in [README.md](README.md).\n"));
    line(&mut text, format_args!("- Command: `{}`", results.command));
    line(&mut text, format_args!("- Rounds: {} in turns, windows of {} s, medians", results.rounds, results.seconds));
    machine(&results.machine, &mut text);
    line(&mut text, format_args!("## Bars\n"));
    line(&mut text, format_args!("| bar | at most | measured | |\n|---|--:|--:|---|"));
    for bar in bars(results) {
        let value = bar.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        line(&mut text, format_args!("| {} | {:.2} | {value} | {} |", bar.what, bar.limit, bar.verdict()));
    }
    text.push('\n');
    for (title, kind, yardstick) in [
        ("gRPC, unary", Kind::GrpcUnary, StreamCandidate::H2relay),
        ("gRPC, bidirectional", Kind::GrpcBidi, StreamCandidate::H2relay),
        ("ttstream, bidirectional", Kind::Ttstream, StreamCandidate::Relay),
    ] {
        let of_kind = STREAM_CELLS.iter().filter(|cell| cell.kind == kind);
        let cells: Vec<&StreamCell> = of_kind.filter(|cell| measured(results, cell)).collect();
        if !cells.is_empty() {
            line(&mut text, format_args!("## {title}\n"));
            group(results, &cells, yardstick, &mut text);
        }
    }
    syscalls(results, &mut text);
    idle(results, &mut text);
    failures(results, &mut text);
    text
}

/// The tables of cells that belong together.
fn group(results: &StreamResults, cells: &[&StreamCell], yardstick: StreamCandidate, text: &mut String) {
    let title = format!("CPU-µs of the proxy per message (× {yardstick})");
    table(results, cells, &title, text, |row, cell| {
        let own = row.median(|sample| sample.cpu_us);
        if row.candidate == StreamCandidate::Direct {
            return "–".to_owned();
        }
        match results.row(cell.name, yardstick) {
            Some(other) => format!("{} ({:.2})", figure(own), ratio(own, other.median(|sample| sample.cpu_us))),
            None => figure(own),
        }
    });
    table(results, cells, "Messages/s (% of the proxy's core, % of the load's core)", text, |row, _| {
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
        if row.candidate == StreamCandidate::Direct {
            return "–".to_owned();
        }
        format!("{:.1}", row.median(|sample| float(sample.peak_rss_kib)) / 1024.0)
    });
}

fn table(
    results: &StreamResults,
    cells: &[&StreamCell],
    title: &str,
    text: &mut String,
    entry: impl Fn(&StreamRow, &StreamCell) -> String,
) {
    line(text, format_args!("{title}:\n"));
    let columns: Vec<String> = cells.iter().map(|cell| load_of(cell)).collect();
    line(text, format_args!("| | {} |\n|---|{}", columns.join(" | "), "--:|".repeat(cells.len())));
    for candidate in StreamCandidate::ALL {
        let entries: Vec<Option<String>> =
            cells.iter().map(|cell| results.row(cell.name, candidate).map(|row| entry(row, cell))).collect();
        if entries.iter().any(Option::is_some) {
            let entries: Vec<String> = entries.into_iter().map(Option::unwrap_or_default).collect();
            line(text, format_args!("| {candidate} | {} |", entries.join(" | ")));
        }
    }
    text.push('\n');
}

fn syscalls(results: &StreamResults, text: &mut String) {
    for cell in SYSCALL_CELLS {
        let mut rows = results.syscalls.iter().filter(|row| row.cell == cell.name && row.failure.is_none()).peekable();
        let Some(first) = rows.peek() else { continue };
        line(
            text,
            format_args!("## System calls per message: {}, {}, counted by {}\n", cell.kind, load_of(cell), first.tool),
        );
        line(text, format_args!("| | all | by name |\n|---|--:|---|"));
        for row in rows {
            let by_name: Vec<String> = row.by_name.iter().map(|(name, count)| format!("{name} {count:.2}")).collect();
            line(text, format_args!("| {} | {:.2} | {} |", row.candidate, row.per_message, by_name.join(", ")));
        }
        text.push('\n');
    }
}

fn idle(results: &StreamResults, text: &mut String) {
    let mut rows = results.idle.iter().filter(|row| row.failure.is_none()).peekable();
    if rows.peek().is_none() {
        return;
    }
    line(text, format_args!("## RSS in MiB with idle streams\n"));
    line(
        text,
        format_args!(
            "Open, after one message of 64 bytes there and back on each, one after the other, and a rest of 3 s.\n"
        ),
    );
    line(text, format_args!("| | streams | connections | started | idle |\n|---|--:|--:|--:|--:|"));
    for row in rows {
        let mib = |kib: u64| float(kib) / 1024.0;
        line(
            text,
            format_args!(
                "| {}, {} | {} | {} | {:.1} | {:.1} |",
                row.candidate,
                row.cell,
                row.streams,
                row.connections,
                mib(row.base_kib),
                mib(row.idle_kib)
            ),
        );
    }
    text.push('\n');
}

/// What could not be measured is said, not left out.
fn failures(results: &StreamResults, text: &mut String) {
    let rows = results.rows.iter().map(|row| (&row.cell, row.candidate, &row.failure));
    let rows = rows.chain(results.syscalls.iter().map(|row| (&row.cell, row.candidate, &row.failure)));
    let all = rows.chain(results.idle.iter().map(|row| (&row.cell, row.candidate, &row.failure)));
    let mut failed = all.filter_map(|(cell, who, failure)| Some((cell, who, failure.as_ref()?))).peekable();
    if failed.peek().is_none() {
        return;
    }
    line(text, format_args!("## Not measured\n"));
    for (cell, candidate, failure) in failed {
        line(text, format_args!("- {cell}, {candidate}: {failure}"));
    }
}

fn measured(results: &StreamResults, cell: &StreamCell) -> bool {
    StreamCandidate::ALL.iter().any(|candidate| results.row(cell.name, *candidate).is_some())
}

/// A cell in words.
fn load_of(cell: &StreamCell) -> String {
    let size = match cell.size {
        size if size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        size if size % (1 << 10) == 0 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    };
    format!("{size}, {} × {}", cell.connections, cell.streams)
}
