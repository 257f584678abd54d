//! Latency events: what took longer than `latency-monitor-threshold`, by kind of event.
//!
//! Pure. Each kind keeps one sample per second (the worst), the last 160 of them, and its all-time worst.
//! Kinds are a handful of fixed names ("command", "fast-command", "expire-cycle", ...).

use std::collections::BTreeMap;
use std::collections::VecDeque;

use parking_lot::Mutex;

/// Samples kept of an event.
const SAMPLES_MAX: usize = 160;

/// The worst latency within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Unix seconds.
    pub(crate) time_s: u64,
    pub(crate) latency_ms: u64,
}

/// One kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    /// Oldest first.
    pub(crate) samples: VecDeque<Sample>,
    /// The worst ever, ms.
    pub(crate) worst_ms: u64,
}

/// What a series amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) samples: u64,
    pub(crate) mean_ms: u64,
    pub(crate) lowest_ms: u64,
    pub(crate) highest_ms: u64,
    /// Mean absolute deviation.
    pub(crate) deviation_ms: u64,
    /// Seconds since the oldest sample, at least 1.
    pub(crate) period_s: u64,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.latency_ms);
        if let Some(last) = self.samples.back_mut()
            && last.time_s == sample.time_s
        {
            last.latency_ms = last.latency_ms.max(sample.latency_ms);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// At unix second `now_s`.
    pub(crate) fn summary(&self, now_s: u64) -> Summary {
        let count = self.samples.len() as u64;
        if count == 0 {
            return Summary::default();
        }
        let latencies = || self.samples.iter().map(|s| s.latency_ms);
        let mean_ms = latencies().sum::<u64>() / count;
        let oldest = self.samples.iter().map(|s| s.time_s).min().unwrap_or(now_s);
        Summary {
            samples: count,
            mean_ms,
            lowest_ms: latencies().min().unwrap_or(0),
            highest_ms: latencies().max().unwrap_or(0),
            deviation_ms: latencies().map(|l| l.abs_diff(mean_ms)).sum::<u64>() / count,
            period_s: now_s.saturating_sub(oldest).max(1),
        }
    }
}

/// The latency events of a node.
#[derive(Debug, Default)]
pub struct Latency {
    events: Mutex<BTreeMap<&'static str, Series>>,
}

impl Latency {
    /// Notes that `event` took `latency_ms` until `now_us` (unix). The caller compares with the threshold.
    pub(crate) fn record(&self, event: &'static str, now_us: u64, latency_ms: u64) {
        self.events.lock().entry(event).or_default().add(Sample {
            time_s: now_us / 1_000_000,
            latency_ms,
        });
    }

    /// Forgets the events of that name, in any case; None: all. How many there were.
    pub(crate) fn reset(&self, event: Option<&[u8]>) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        match event {
            None => events.clear(),
            Some(name) => events.retain(|e, _| !e.as_bytes().eq_ignore_ascii_case(name)),
        }
        before - events.len()
    }

    /// The series of exactly that name.
    pub(crate) fn series(&self, event: &[u8]) -> Option<(&'static str, Series)> {
        let events = self.events.lock();
        events
            .iter()
            .find(|(name, _)| name.as_bytes() == event)
            .map(|(name, series)| (*name, series.clone()))
    }

    /// Every event, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, Series)> {
        let events = self.events.lock();
        events.iter().map(|(name, s)| (*name, s.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_a_second_the_worst() {
        let latency = Latency::default();
        latency.record("command", 5_000_000, 10);
        latency.record("command", 5_900_000, 30);
        latency.record("command", 5_950_000, 20);
        latency.record("command", 7_000_000, 10);
        latency.record("fork", 7_000_000, 1);
        let (_, series) = latency.series(b"command").expect("recorded");
        let samples: Vec<_> = series
            .samples
            .iter()
            .map(|s| (s.time_s, s.latency_ms))
            .collect();
        assert_eq!(samples, vec![(5, 30), (7, 10)]);
        let summary = series.summary(9);
        assert_eq!((summary.mean_ms, summary.deviation_ms), (20, 10));
        assert_eq!((summary.lowest_ms, summary.highest_ms), (10, 30));
        assert_eq!(summary.period_s, 4);
        for second in 8..1000 {
            latency.record("command", second * 1_000_000, 5);
        }
        let (_, series) = latency.series(b"command").expect("recorded");
        assert_eq!(series.samples.len(), SAMPLES_MAX);
        assert_eq!(series.worst_ms, 30);
        assert_eq!(latency.reset(Some(b"COMMAND")), 1);
        assert_eq!(latency.reset(None), 1);
        assert_eq!(latency.reset(None), 0);
    }
}
