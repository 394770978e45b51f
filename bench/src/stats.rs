//! Latencies, and the arithmetic of figures.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Latencies of a window, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// The slowest call.
    pub max: f64,
}

/// Collects latencies in nanoseconds, to three digits, up to a minute.
#[derive(Debug)]
pub(crate) struct Recorder {
    histogram: Histogram<u64>,
    frozen: bool,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        const DIGITS: u8 = 3;
        const MINUTE_NS: u64 = 60_000_000_000;
        // The bounds are constants within what the crate accepts; the fallback only grows by itself.
        let histogram = Histogram::new_with_bounds(1, MINUTE_NS, DIGITS)
            .or_else(|_| Histogram::new(DIGITS))
            .unwrap_or_else(|error| unreachable!("constant bounds: {error}"));
        Self { histogram, frozen: false }
    }

    pub(crate) fn record(&mut self, nanoseconds: u64) {
        if !self.frozen {
            self.histogram.saturating_record(nanoseconds);
        }
    }

    /// Takes no more.
    pub(crate) fn freeze(&mut self) {
        self.frozen = true;
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    pub(crate) fn summary(&self) -> Latency {
        let at = |quantile| ratio(float(self.histogram.value_at_quantile(quantile)), 1_000.0);
        Latency {
            mean: ratio(self.histogram.mean(), 1_000.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: ratio(float(self.histogram.max()), 1_000.0),
        }
    }
}

/// A count as a figure; exact up to 2^53.
#[expect(clippy::as_conversions, reason = "there is no other way from u64 to f64, and counts stay far below 2^53")]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// `part / whole`; 0 where there is no whole, so that a table never shows a NaN.
#[must_use]
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The middle one; of an even number the mean of the middle two; 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 { at(upper) } else { f64::midpoint(at(upper.saturating_sub(1)), at(upper)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut recorder = Recorder::new();
        for n in 1..=1000_u64 {
            recorder.record(n * 1_000);
        }
        let latency = recorder.summary();
        assert!((latency.p50 - 500.0).abs() < 1.0, "{latency:?}");
        assert!((latency.p99_9 - 999.0).abs() < 1.5, "{latency:?}");
    }
}
