//! Statistics per command: calls, time, failures, refusals and a latency histogram.
//!
//! Indexed by the dense ids of the command table, which this room knows nothing else about. Dispatch
//! records with a few relaxed adds; INFO and LATENCY HISTOGRAM read. A histogram is allocated at a
//! command's first call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::observe::histogram::Histogram;

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
pub(crate) struct CommandFigures {
    /// Runs, failed ones included.
    pub(crate) calls: u64,
    /// Microseconds that all runs took.
    pub(crate) took_us: u64,
    /// Refused before they ran.
    pub(crate) rejected: u64,
    /// Ran and answered an error.
    pub(crate) failed: u64,
}

/// Runs that took fewer microseconds than this are counted by their time in a [`BatchCounters`].
const QUICK_US: usize = 4;
/// How many commands a counters tells apart before it is emptied.
const COUNTED: usize = 4;

/// The runs of one batch, added to the shared counters at its end: four counters per command that several threads
/// write to would cost each of them more than a GET does otherwise.
#[derive(Debug, Default)]
pub(crate) struct BatchCounters {
    rows: SmallVec<[Row; COUNTED]>,
}

#[derive(Debug, Default)]
struct Row {
    id: u32,
    calls: u32,
    took_us: u64,
    /// For the histogram: how many took so many microseconds.
    quick: [u32; QUICK_US],
}

impl BatchCounters {
    /// As [`CommandStats::record`].
    #[inline]
    pub(crate) fn record(
        &mut self,
        stats: &CommandStats,
        id: u32,
        took_us: u64,
        track_latency: bool,
    ) {
        let known = self.rows.iter().position(|row| row.id == id);
        let at = known.unwrap_or_else(|| {
            if self.rows.len() == COUNTED {
                self.flush(stats);
            }
            self.rows.push(Row {
                id,
                ..Row::default()
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.calls += 1;
        row.took_us += took_us;
        if track_latency {
            match row.quick.get_mut(took_us as usize) {
                Some(count) => *count += 1,
                None => stats.record_latency(id, took_us, 1),
            }
        }
    }

    /// Adds what was counted to the shared counters.
    pub(crate) fn flush(&mut self, stats: &CommandStats) {
        for row in self.rows.drain(..) {
            let Some(counters) = stats.counters.get(row.id as usize) else {
                continue;
            };
            let calls = u64::from(row.calls);
            counters.calls.fetch_add(calls, Ordering::Relaxed);
            counters.took_us.fetch_add(row.took_us, Ordering::Relaxed);
            for (took_us, &count) in row.quick.iter().enumerate() {
                if count > 0 {
                    stats.record_latency(row.id, took_us as u64, u64::from(count));
                }
            }
        }
    }
}

/// The statistics of all commands.
#[derive(Debug)]
pub struct CommandStats {
    counters: Box<[Counters]>,
}

impl CommandStats {
    /// For ids below `ids`; others are ignored.
    pub(crate) fn new(ids: usize) -> CommandStats {
        CommandStats {
            counters: (0..ids).map(|_| Counters::default()).collect(),
        }
    }

    /// A run that took so long; `track_latency` says whether the histogram counts it too
    /// (`latency-tracking`).
    #[inline]
    pub(crate) fn record(&self, id: u32, took_us: u64, track_latency: bool) {
        let Some(counters) = self.counters.get(id as usize) else {
            return;
        };
        counters.calls.fetch_add(1, Ordering::Relaxed);
        counters.took_us.fetch_add(took_us, Ordering::Relaxed);
        if track_latency {
            self.record_latency(id, took_us, 1);
        }
    }

    /// Counts so many runs in the histogram.
    fn record_latency(&self, id: u32, took_us: u64, runs: u64) {
        if let Some(counters) = self.counters.get(id as usize) {
            let histogram = counters.latency.get_or_init(Histogram::default);
            histogram.record_many(took_us.saturating_mul(1000), runs);
        }
    }

    /// A run that answered an error.
    pub(crate) fn fail(&self, id: u32, took_us: u64, track_latency: bool) {
        self.record(id, took_us, track_latency);
        if let Some(counters) = self.counters.get(id as usize) {
            counters.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refused before it ran.
    pub(crate) fn reject(&self, id: u32) {
        if let Some(counters) = self.counters.get(id as usize) {
            counters.rejected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs of all commands.
    pub(crate) fn calls(&self) -> u64 {
        let calls = self
            .counters
            .iter()
            .map(|c| c.calls.load(Ordering::Relaxed));
        calls.sum()
    }

    pub(crate) fn figures(&self, id: u32) -> CommandFigures {
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
    pub(crate) fn latency(&self, id: u32) -> Option<&Histogram> {
        let latency = self.counters.get(id as usize)?.latency.get()?;
        (latency.total() > 0).then_some(latency)
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&self) {
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
    fn batched_counts_give_the_same_figures() {
        let (one, other) = (CommandStats::new(9), CommandStats::new(9));
        let mut counters = BatchCounters::default();
        for run in 0..1000u64 {
            let (id, took_us) = ((run * run % 9) as u32, run % 11);
            let track = run % 5 > 0;
            one.record(id, took_us, track);
            counters.record(&other, id, took_us, track);
        }
        counters.flush(&other);
        for id in 0..9 {
            assert_eq!(one.figures(id), other.figures(id));
            let points = |stats: &CommandStats| stats.latency(id).map(Histogram::cumulative_us);
            assert_eq!(points(&one), points(&other));
        }
    }

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
        assert_eq!(stats.calls(), 2);
        assert_eq!(stats.latency(1).map(Histogram::total), Some(2));
        assert!(stats.latency(0).is_none());
        stats.reset();
        assert_eq!(stats.figures(1), CommandFigures::default());
        assert!(stats.latency(1).is_none());
        stats.record(0, 1, false);
        assert!(stats.latency(0).is_none());
    }
}
