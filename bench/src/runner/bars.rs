//! The bars: what the figures have to be, as ratios within one run.

use super::results::{Results, Row, Sample};
use super::{CELLS, Candidate, Section};
use crate::stats::{float, ratio};
use crate::wire::{Shape, Transport};

/// One demand and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// What is compared, in words.
    pub(super) what: String,
    /// The figure must not be above it.
    pub(super) limit: f64,
    /// `None` if it was not measured.
    pub(super) value: Option<f64>,
}

impl Bar {
    pub(super) fn verdict(&self) -> &'static str {
        match self.value {
            None => "not measured",
            Some(value) if value <= self.limit => "pass",
            Some(_) => "**miss**",
        }
    }
}

/// Cost of a call.
fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

fn p99(sample: &Sample) -> f64 {
    sample.p99_us
}

fn p99_9(sample: &Sample) -> f64 {
    sample.p99_9_us
}

fn peak(sample: &Sample) -> f64 {
    float(sample.peak_rss_kib)
}

pub(super) fn bars(results: &Results) -> Vec<Bar> {
    let mut list = List { results, bars: Vec::new() };
    list.pool_beside_the_relay();
    list.mux_beside_the_relay();
    list.beside_kitex();
    list.beside_envoy();
    list.of_the_process();
    list.bars
}

struct List<'a> {
    results: &'a Results,
    bars: Vec<Bar>,
}

impl List<'_> {
    fn pool_beside_the_relay(&mut self) {
        for transport in ["framed", "ttheader"] {
            for size in ["64B", "1KiB", "16KiB"] {
                self.cost(&format!("{transport}-{size}"), Candidate::OursPool, Candidate::Relay64, 1.15);
            }
            self.cost(&format!("{transport}-1MiB"), Candidate::OursPool, Candidate::Relay64, 0.75);
            for size in ["64B", "1KiB", "16KiB"] {
                let cell = format!("{transport}-{size}");
                self.compare(&cell, "p99", p99, Candidate::OursPool, Candidate::Relay64, 1.2);
            }
        }
    }

    fn mux_beside_the_relay(&mut self) {
        for transport in ["framed", "ttheader"] {
            for size in ["64B", "1KiB"] {
                self.cost(&format!("{transport}-{size}"), Candidate::OursMux, Candidate::Relay64, 0.70);
                self.cost(&format!("{transport}-{size}-256c"), Candidate::OursMux, Candidate::Relay64, 0.60);
            }
        }
    }

    fn beside_kitex(&mut self) {
        for (transport, pool, mux) in [("framed", 0.55, 0.30), ("ttheader", 0.37, 0.21)] {
            for size in ["64B", "1KiB", "16KiB", "1MiB"] {
                let cell = format!("{transport}-{size}");
                self.cost(&cell, Candidate::OursPool, Candidate::KitexProxy, pool);
                // On 1 MiB no call shares a write with another, so there is nothing that mux could save.
                if size != "1MiB" {
                    self.cost(&cell, Candidate::OursMux, Candidate::KitexProxy, mux);
                }
                self.compare(&cell, "p99.9", p99_9, Candidate::OursPool, Candidate::KitexProxy, 1.0);
            }
        }
    }

    /// Beside the cheaper one of Envoy's two ways.
    fn beside_envoy(&mut self) {
        for cell in CELLS.iter().filter(|cell| cell.section == Section::Closed && cell.connections <= 64) {
            if cell.transport.has_header() || !cell.candidates.contains(&Candidate::EnvoyPassthrough) {
                continue;
            }
            let limit = match (cell.transport, cell.shape, cell.size) {
                (Transport::Buffered, Shape::Records, 1024) => 0.30,
                (Transport::Buffered, Shape::Records, _) => 0.06,
                _ => 0.60,
            };
            let envoy = [Candidate::EnvoyPassthrough, Candidate::EnvoyFull]
                .into_iter()
                .filter_map(|candidate| self.median(cell.name, candidate, cpu))
                .min_by(f64::total_cmp);
            let ours = self.median(cell.name, Candidate::OursPool, cpu);
            let value = ours.zip(envoy).map(|(ours, envoy)| ratio(ours, envoy));
            let what = format!("{}: CPU per call, ours-pool / the cheaper Envoy", cell.name);
            self.bars.push(Bar { what, limit, value });
        }
    }

    fn of_the_process(&mut self) {
        // Eight times the message, and not a tenth more memory at the peak.
        let small = self.median("framed-1MiB", Candidate::OursPool, peak);
        let large = self.median("framed-8MiB", Candidate::OursPool, peak);
        self.bars.push(Bar {
            what: "peak RSS with messages of 8 MiB / of 1 MiB, ours-pool".to_owned(),
            limit: 1.1,
            value: large.zip(small).map(|(large, small)| ratio(large, small)),
        });
        for cell in CELLS.iter().filter(|cell| cell.section == Section::Syscalls) {
            let row = self
                .results
                .syscalls
                .iter()
                .find(|row| row.cell == cell.name && row.candidate == Candidate::OursPool && row.failure.is_none());
            self.bars.push(Bar {
                what: format!("{}: system calls per call, ours-pool", cell.name),
                limit: 4.1,
                value: row.map(|row| row.per_call),
            });
        }
        let idle = |candidate| self.results.idle.iter().find(|row| row.candidate == candidate && row.failure.is_none());
        self.bars.push(Bar {
            what: "RSS in MiB with 1,000 idle connections, ours-pool".to_owned(),
            limit: 12.0,
            value: idle(Candidate::OursPool).map(|row| float(row.idle_kib) / 1024.0),
        });
    }

    fn cost(&mut self, cell: &str, ours: Candidate, other: Candidate, limit: f64) {
        self.compare(cell, "CPU per call", cpu, ours, other, limit);
    }

    fn compare(
        &mut self,
        cell: &str,
        what: &str,
        figure: fn(&Sample) -> f64,
        ours: Candidate,
        other: Candidate,
        limit: f64,
    ) {
        let pair = self.median(cell, ours, figure).zip(self.median(cell, other, figure));
        let value = pair.map(|(ours, other)| ratio(ours, other));
        self.bars.push(Bar { what: format!("{cell}: {what}, {ours} / {other}"), limit, value });
    }

    fn median(&self, cell: &str, candidate: Candidate, figure: fn(&Sample) -> f64) -> Option<f64> {
        self.results.row(cell, candidate).map(|row: &Row| row.median(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::super::{Plan, Tools};
    use super::*;

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

    fn verdict(ours: Result<Sample, String>) -> &'static str {
        let plan = Plan::new(Tools::new("bench".as_ref(), "bench".as_ref()));
        let mut results = Results::new(Machine::default(), &plan);
        let cell = CELLS.iter().find(|cell| cell.name == "framed-64B").unwrap();
        results.add(cell, Candidate::Relay64, Ok(sample(10.0)));
        results.add(cell, Candidate::OursPool, ours);
        let all = bars(&results);
        let bar = all.iter().find(|bar| bar.what == "framed-64B: CPU per call, ours-pool / relay-64k").unwrap();
        bar.verdict()
    }

    #[test]
    fn a_bar_is_passed_missed_or_not_measured() {
        assert_eq!(verdict(Ok(sample(11.5))), "pass");
        assert_eq!(verdict(Ok(sample(11.6))), "**miss**");
        assert_eq!(verdict(Err("it fell over".to_owned())), "not measured");
    }

    #[test]
    fn bars_name_cells_that_exist() {
        let plan = Plan::new(Tools::new("bench".as_ref(), "bench".as_ref()));
        for bar in bars(&Results::new(Machine::default(), &plan)) {
            if let Some((name, _)) = bar.what.split_once(": ") {
                assert!(CELLS.iter().any(|cell| cell.name == name), "{}", bar.what);
            }
        }
    }
}
