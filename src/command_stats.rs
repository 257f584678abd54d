//! Statistics per command: calls, time, failures, refusals and a latency histogram.
//!
//! Indexed by the dense ids of the command table, which this room knows nothing else about. Dispatch
//! records with a few relaxed adds; INFO and LATENCY HISTOGRAM read. A histogram is allocated at a
//! command's first call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::Histogram;

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    took_us: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    latency: OnceLock<Histogram>,
}

/// A command's figures at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandFigures {
    /// Runs, failed ones included.
    pub calls: u64,
    /// Microseconds that all runs took.
    pub took_us: u64,
    /// Refused before they ran.
    pub rejected: u64,
    /// Ran and answered an error.
    pub failed: u64,
}

/// The statistics of all commands.
#[derive(Debug)]
pub struct CommandStats {
    counters: Box<[Counters]>,
}

impl CommandStats {
    /// For ids below `ids`; others are ignored.
    pub fn new(ids: usize) -> CommandStats {
        CommandStats {
            counters: (0..ids).map(|_| Counters::default()).collect(),
        }
    }

    /// A run that took so long; `track_latency` says whether the histogram counts it too
    /// (`latency-tracking`).
    #[inline]
    pub fn record(&self, id: u32, took_us: u64, track_latency: bool) {
        let Some(counters) = self.counters.get(id as usize) else {
            return;
        };
        counters.calls.fetch_add(1, Ordering::Relaxed);
        counters.took_us.fetch_add(took_us, Ordering::Relaxed);
        if track_latency {
            counters
                .latency
                .get_or_init(Histogram::default)
                .record(took_us.saturating_mul(1000));
        }
    }

    /// A run that answered an error.
    pub fn fail(&self, id: u32, took_us: u64, track_latency: bool) {
        self.record(id, took_us, track_latency);
        if let Some(counters) = self.counters.get(id as usize) {
            counters.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refused before it ran.
    pub fn reject(&self, id: u32) {
        if let Some(counters) = self.counters.get(id as usize) {
            counters.rejected.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn figures(&self, id: u32) -> CommandFigures {
        self.counters
            .get(id as usize)
            .map_or_else(CommandFigures::default, |c| CommandFigures {
                calls: c.calls.load(Ordering::Relaxed),
                took_us: c.took_us.load(Ordering::Relaxed),
                rejected: c.rejected.load(Ordering::Relaxed),
                failed: c.failed.load(Ordering::Relaxed),
            })
    }

    /// The histogram, if it holds anything.
    pub fn latency(&self, id: u32) -> Option<&Histogram> {
        let latency = self.counters.get(id as usize)?.latency.get()?;
        (latency.total() > 0).then_some(latency)
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&self) {
        for counters in &self.counters {
            counters.calls.store(0, Ordering::Relaxed);
            counters.took_us.store(0, Ordering::Relaxed);
            counters.rejected.store(0, Ordering::Relaxed);
            counters.failed.store(0, Ordering::Relaxed);
            if let Some(latency) = counters.latency.get() {
                latency.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_and_reset() {
        let stats = CommandStats::new(2);
        stats.record(1, 10, true);
        stats.fail(1, 5, true);
        stats.reject(1);
        stats.record(7, 1, true);
        let figures = CommandFigures {
            calls: 2,
            took_us: 15,
            rejected: 1,
            failed: 1,
        };
        assert_eq!(stats.figures(1), figures);
        assert_eq!(stats.latency(1).map(Histogram::total), Some(2));
        assert!(stats.latency(0).is_none());
        stats.reset();
        assert_eq!(stats.figures(1), CommandFigures::default());
        assert!(stats.latency(1).is_none());
        stats.record(0, 1, false);
        assert!(stats.latency(0).is_none());
    }
}
