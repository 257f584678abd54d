//! What a node counts, for INFO. Every counter is an atomic that threads add to without agreeing on
//! anything; CONFIG RESETSTAT zeroes them. Rates come from samples that a timer takes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A counter that any thread may add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn inc(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one node.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: Counter,)*
            errors: Errors,
            rates: Mutex<Rates>,
        }

        impl Stats {
            fn zero_counters(&self) {
                $(self.$name.set(0);)*
            }
        }
    };
}

counters! {
    /// Reads that found their key.
    keyspace_hits,
    /// Reads that did not.
    keyspace_misses,
    /// Keys deleted because their time had come.
    expired_keys,
    /// Active expiry cycles that ran out of time.
    expired_time_cap_reached_count,
    /// Microseconds spent in active expiry.
    expire_cycle_cpu_us,
    /// Share of the keys with an expiry that were found expired by the last expiry cycles, in millionths: a running
    /// average.
    expired_stale_ppm,
    evicted_keys,
    /// Connections accepted.
    connections,
    /// Connections refused (`maxclients`, protected mode).
    rejected_connections,
    net_input_bytes,
    net_output_bytes,
    /// From our master.
    net_repl_input_bytes,
    /// To our replicas.
    net_repl_output_bytes,
    /// Reads of sockets that got something.
    reads,
    /// Writes to sockets.
    writes,
    /// Clients closed because their output grew past its limit.
    output_limit_disconnections,
    /// Clients closed because their unparsed input grew past its limit.
    query_limit_disconnections,
    sync_full,
    sync_partial_ok,
    sync_partial_err,
    /// Error replies of any kind.
    error_replies,
    /// Commands of our master that failed here.
    unexpected_error_replies,
    /// Encoded collections, and nodes of such, of dumps and RESTORE payloads that were checked to the last byte.
    dump_payload_sanitizations,
    /// Snapshots cut.
    snapshots,
    /// Microseconds that the last cut took.
    last_cut_us,
    /// AUTH failures.
    acl_access_denied_auth,
}

impl Stats {
    /// Zeroes everything (CONFIG RESETSTAT).
    pub(crate) fn reset(&self) {
        self.zero_counters();
        self.errors.map.lock().clear();
        *self.rates.lock() = Rates::default();
    }

    /// Counts an error reply by its code ("ERR", "WRONGTYPE"): the text up to the first space.
    pub(crate) fn count_error(&self, text: &str) {
        self.error_replies.inc();
        let code = match text.split_once(' ') {
            Some((code, _)) => code,
            None => "ERR",
        };
        let mut map = self.errors.map.lock();
        if let Some(count) = map.get_mut(code) {
            *count += 1;
        } else if map.len() < ERROR_CODES_MAX {
            map.insert(code.to_owned(), 1);
        }
    }

    /// Error codes and how often each was replied, by code.
    pub(crate) fn errors(&self) -> Vec<(String, u64)> {
        let map = self.errors.map.lock();
        map.iter()
            .map(|(code, &count)| (code.clone(), count))
            .collect()
    }

    /// Takes a sample for the rates; called about ten times a second. `commands`: how many have run.
    pub(crate) fn sample(&self, monotonic_us: u64, commands: u64) {
        let now = Sample {
            at_us: monotonic_us,
            commands,
            input: self.net_input_bytes.get() + self.net_repl_input_bytes.get(),
            output: self.net_output_bytes.get() + self.net_repl_output_bytes.get(),
            repl_input: self.net_repl_input_bytes.get(),
            repl_output: self.net_repl_output_bytes.get(),
        };
        self.rates.lock().push(now);
    }

    /// An expiry cycle of a shard has ended: so many of its keys with an expiry were past it.
    pub(crate) fn note_expiry_cycle(&self, expired: u64, expires: u64) {
        let now_ppm = (expired * 1_000_000).checked_div(expires).unwrap_or(0);
        let before_ppm = self.expired_stale_ppm.get();
        // Weighted as in Redis. Two shards' cycles that end together may lose one of their figures.
        self.expired_stale_ppm.set((now_ppm + before_ppm * 19) / 20);
    }

    /// What happened per second over the last second or two.
    pub(crate) fn rates(&self) -> PerSecond {
        self.rates.lock().per_second()
    }
}

/// Codes beyond these are not told apart: a script could make up any number of them.
const ERROR_CODES_MAX: usize = 128;

#[derive(Debug, Default)]
struct Errors {
    map: Mutex<BTreeMap<String, u64>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_us: u64,
    commands: u64,
    input: u64,
    output: u64,
    repl_input: u64,
    repl_output: u64,
}

/// Rates a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PerSecond {
    pub(crate) commands: f64,
    pub(crate) input_bytes: f64,
    pub(crate) output_bytes: f64,
    pub(crate) repl_input_bytes: f64,
    pub(crate) repl_output_bytes: f64,
}

const SAMPLES: usize = 16;

/// The last samples, oldest first.
#[derive(Debug, Default)]
struct Rates {
    samples: std::collections::VecDeque<Sample>,
}

impl Rates {
    fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    fn per_second(&self) -> PerSecond {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return PerSecond::default();
        };
        let took_s = last.at_us.saturating_sub(first.at_us) as f64 / 1e6;
        if took_s <= 0.0 {
            return PerSecond::default();
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / took_s;
        PerSecond {
            commands: rate(first.commands, last.commands),
            input_bytes: rate(first.input, last.input),
            output_bytes: rate(first.output, last.output),
            repl_input_bytes: rate(first.repl_input, last.repl_input),
            repl_output_bytes: rate(first.repl_output, last.repl_output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code() {
        let stats = Stats::default();
        stats.count_error("WRONGTYPE Operation against a key");
        stats.count_error("ERR syntax error");
        stats.count_error("ERR no such key");
        stats.count_error("odd");
        assert_eq!(
            stats.errors(),
            [("ERR".to_owned(), 3), ("WRONGTYPE".to_owned(), 1)]
        );
        for n in 0..1000 {
            stats.count_error(&format!("CODE{n} x"));
        }
        assert_eq!(stats.errors().len(), ERROR_CODES_MAX);
        assert_eq!(stats.error_replies.get(), 1004);
        stats.reset();
        assert!(stats.errors().is_empty());
    }

    #[test]
    fn the_stale_share_is_an_average_of_cycles() {
        let stats = Stats::default();
        stats.note_expiry_cycle(0, 0);
        assert_eq!(stats.expired_stale_ppm.get(), 0);
        stats.note_expiry_cycle(50, 100);
        assert_eq!(stats.expired_stale_ppm.get(), 25_000);
        stats.note_expiry_cycle(0, 50);
        assert_eq!(stats.expired_stale_ppm.get(), 23_750);
    }

    #[test]
    fn rates_follow_the_samples() {
        let stats = Stats::default();
        assert_eq!(stats.rates(), PerSecond::default());
        for n in 0..40 {
            stats.sample(n * 100_000, n * 10);
            stats.net_input_bytes.add(100);
        }
        let rates = stats.rates();
        assert_eq!((rates.commands, rates.input_bytes), (100.0, 1000.0));
    }
}
