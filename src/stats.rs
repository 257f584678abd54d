//! What a node counts, for INFO. Every counter is an atomic that threads add to without agreeing on
//! anything; CONFIG RESETSTAT zeroes them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that any thread may add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one node.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Stats {
            /// Zeroes every counter (CONFIG RESETSTAT).
            pub fn reset(&self) {
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
    evicted_keys,
}
