//! The bars for streams: what the figures have to be, as ratios within one run.

use super::super::bars::Bar;
use super::super::results::Sample;
use super::cell::IDLE_CELLS;
use super::{STREAM_CELLS, StreamCandidate, StreamResults};
use crate::stats::{float, ratio};
use StreamCandidate::{Envoy, H2relay, Haproxy, KitexProxy, Nginx, Ours, Relay};

/// Cost of a message.
fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

fn p99_9(sample: &Sample) -> f64 {
    sample.p99_9_us
}

pub(super) fn bars(results: &StreamResults) -> Vec<Bar> {
    let mut list = List { results, bars: Vec::new() };
    list.cost("unary-64B", &[H2relay], 1.1);
    list.cost("unary-1KiB", &[H2relay], 0.80);
    list.cost("unary-16KiB", &[H2relay], 0.95);
    list.cost("bidi-1KiB", &[H2relay], 0.95);
    list.cost("unary-1MiB", &[Relay], 1.2);
    for cell in STREAM_CELLS.iter().filter(|cell| cell.kind.is_grpc()) {
        for other in [Envoy, Nginx, Haproxy] {
            list.cost(cell.name, &[other], 1.0);
        }
    }
    for (cell, limit) in
        [("unary-64B", 0.33), ("unary-1KiB", 0.50), ("unary-16KiB", 0.50), ("bidi-64B", 0.55), ("bidi-1KiB", 0.75)]
    {
        list.cost(cell, &StreamCandidate::GO, limit);
        list.compare(cell, "p99.9", p99_9, &StreamCandidate::GO, 1.0);
    }
    for cell in STREAM_CELLS.iter().filter(|cell| !cell.kind.is_grpc()) {
        list.cost(cell.name, &[Relay], 1.15);
        list.cost(cell.name, &[KitexProxy], if cell.size < 16 << 10 { 0.55 } else { 0.45 });
    }
    for cell in IDLE_CELLS {
        let row = results
            .idle
            .iter()
            .find(|row| row.cell == cell.name && row.candidate == StreamCandidate::Ours && row.failure.is_none());
        let what = format!("{cell}: RSS in MiB with 1,000 open streams, ours");
        list.bars.push(Bar { what, limit: 24.0, value: row.map(|row| float(row.idle_kib) / 1024.0) });
    }
    list.bars
}

struct List<'a> {
    results: &'a StreamResults,
    bars: Vec<Bar>,
}

impl List<'_> {
    fn cost(&mut self, cell: &str, others: &[StreamCandidate], limit: f64) {
        self.compare(cell, "CPU per message", cpu, others, limit);
    }

    /// Beside the best of `others`.
    fn compare(&mut self, cell: &str, what: &str, figure: fn(&Sample) -> f64, others: &[StreamCandidate], limit: f64) {
        let median = |candidate: &StreamCandidate| self.results.row(cell, *candidate).map(|row| row.median(figure));
        let best = others.iter().filter_map(median).min_by(f64::total_cmp);
        let value = median(&Ours).zip(best).map(|(ours, best)| ratio(ours, best));
        let name = match others {
            [other] => other.to_string(),
            _ => "the best Go proxy".to_owned(),
        };
        self.bars.push(Bar { what: format!("{cell}: {what}, ours / {name}"), limit, value });
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::machine::Machine;
    use super::super::super::{StreamPlan, Tools};
    use super::*;

    fn results() -> StreamResults {
        StreamResults::new(Machine::default(), &StreamPlan::new(Tools::new("bench".as_ref(), "bench".as_ref())))
    }

    fn sample(cpu_us: f64) -> Sample {
        Sample {
            cpu_us,
            utilisation: 1.0,
            load_utilisation: 1.0,
            throughput: 1.0,
            p50_us: 1.0,
            p99_us: 1.0,
            p99_9_us: 1.0,
            rss_kib: 1,
            peak_rss_kib: 1,
        }
    }

    #[test]
    fn the_best_of_the_go_proxies_counts() {
        let mut results = results();
        let cell = STREAM_CELLS.iter().find(|cell| cell.name == "unary-64B").unwrap();
        results.add(cell, StreamCandidate::GrpcProxy, Ok(sample(30.0)));
        results.add(cell, StreamCandidate::KitexProxy, Ok(sample(20.0)));
        results.add(cell, StreamCandidate::Ours, Ok(sample(7.0)));
        let all = bars(&results);
        let bar = all.iter().find(|bar| bar.what == "unary-64B: CPU per message, ours / the best Go proxy").unwrap();
        assert_eq!((bar.value, bar.verdict()), (Some(0.35), "**miss**"));
        let bar = all.iter().find(|bar| bar.what == "unary-64B: CPU per message, ours / h2relay").unwrap();
        assert_eq!((bar.value, bar.verdict()), (None, "not measured"));
    }

    #[test]
    fn bars_name_cells_that_exist() {
        for bar in bars(&results()) {
            let (name, _) = bar.what.split_once(": ").unwrap();
            assert!(STREAM_CELLS.iter().chain(IDLE_CELLS).any(|cell| cell.name == name), "{}", bar.what);
        }
    }
}
