//! The sole source of time and randomness. Tests and the simulation put in their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where a node's time and randomness come from.
pub trait Clock: Send + Sync + 'static {
    /// Unix time, microseconds.
    fn unix_us(&self) -> u64;
    /// Time since some fixed moment, microseconds; never goes back.
    fn monotonic_us(&self) -> u64;
    /// A fresh random number, unpredictable in production.
    fn random(&self) -> u64;

    /// Lets time pass with the calling thread standing still (DEBUG SLEEP).
    fn sleep_us(&self, us: u64);

    /// Unix time, milliseconds.
    fn unix_ms(&self) -> i64 {
        (self.unix_us() / 1000) as i64
    }
}

/// The machine's clock and entropy.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> Arc<SystemClock> {
        Arc::new(SystemClock {
            start: Instant::now(),
        })
    }
}

impl Clock for SystemClock {
    fn unix_us(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_micros() as u64)
    }

    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn sleep_us(&self, us: u64) {
        std::thread::sleep(std::time::Duration::from_micros(us));
    }

    fn random(&self) -> u64 {
        // fastrand seeds itself per thread from the process's entropy.
        fastrand::u64(..)
    }
}

/// A clock that moves only when told, and a seeded random stream.
#[derive(Debug)]
pub struct ManualClock {
    now_us: AtomicU64,
    rng: parking_lot::Mutex<fastrand::Rng>,
}

impl ManualClock {
    pub fn new(now_ms: u64, seed: u64) -> Arc<ManualClock> {
        Arc::new(ManualClock {
            now_us: AtomicU64::new(now_ms * 1000),
            rng: parking_lot::Mutex::new(fastrand::Rng::with_seed(seed)),
        })
    }

    pub fn advance_ms(&self, ms: u64) {
        self.now_us.fetch_add(ms * 1000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_us(&self) -> u64 {
        self.now_us.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> u64 {
        self.now_us.load(Ordering::Relaxed)
    }

    fn sleep_us(&self, us: u64) {
        self.now_us.fetch_add(us, Ordering::Relaxed);
    }

    fn random(&self) -> u64 {
        self.rng.lock().u64(..)
    }
}
