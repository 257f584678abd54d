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
///
/// The time is asked for after every command, and asking the system costs 30 ns, a twentieth of a GET in a
/// pipeline. So where the processor has a steady counter, each thread reads that (6 ns), and the system's
/// clock once a millisecond.
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
    #[inline]
    fn unix_us(&self) -> u64 {
        #[cfg(target_arch = "x86_64")]
        return ticks::unix_us();
        #[cfg(not(target_arch = "x86_64"))]
        system_unix_us()
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

fn system_unix_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros() as u64)
}

/// The time by the processor's counter.
///
/// Invariant: what is given is at most `SPAN_US` of the counter's time past a reading of the system's clock,
/// so a counter that jumps or a clock that is set is wrong for that long at most. A counter that goes back
/// looks as if it had jumped ahead.
#[cfg(target_arch = "x86_64")]
mod ticks {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use super::system_unix_us;

    /// How long a reading of the system's clock is extrapolated.
    const SPAN_US: u64 = 1000;
    /// The counter's rate is told from two readings at least so far apart.
    const RATE_SPAN: Duration = Duration::from_micros(200);

    /// Readings of counter and clock that took longer than this were not made at one moment.
    const TOGETHER_TICKS: u64 = 20_000;

    #[derive(Clone, Copy)]
    struct Reading {
        unix_us: u64,
        ticks: u64,
        /// Ticks for which it holds; 0: the rate isn't known.
        span: u64,
        /// Microseconds per tick, times 2^32.
        rate: u64,
        /// What the rate is told from.
        begin: Option<(Instant, u64)>,
    }

    thread_local! {
        static READING: Cell<Reading> = const {
            Cell::new(Reading { unix_us: 0, ticks: 0, span: 0, rate: 0, begin: None })
        };
    }

    #[inline]
    fn now_ticks() -> u64 {
        // SAFETY: the instruction is part of x86-64 and touches no memory.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    #[inline]
    pub(super) fn unix_us() -> u64 {
        READING.with(|cell| {
            let reading = cell.get();
            let since = now_ticks().wrapping_sub(reading.ticks);
            if since < reading.span {
                // A span's ticks times its rate are some microseconds times 2^32: no overflow.
                reading.unix_us + ((since * reading.rate) >> 32)
            } else {
                read(cell, reading)
            }
        })
    }

    #[cold]
    fn read(cell: &Cell<Reading>, last: Reading) -> u64 {
        let before = now_ticks();
        let (unix_us, now) = (system_unix_us(), Instant::now());
        let ticks = now_ticks();
        let mut next = Reading {
            unix_us,
            ticks,
            ..last
        };
        if ticks.wrapping_sub(before) > TOGETHER_TICKS {
            // We were interrupted: the readings don't belong together.
            (next.span, next.begin) = (0, None);
        } else if let Some((then, then_ticks)) = last.begin
            && now - then >= RATE_SPAN
        {
            let passed_ns = (now - then).as_nanos();
            let ticked = u128::from(ticks.wrapping_sub(then_ticks));
            next.begin = Some((now, ticks));
            // Slower than 100 MHz or faster than 10 GHz is no clock, or it jumped.
            let sane = ticked > passed_ns / 10 && ticked < passed_ns * 10;
            (next.rate, next.span) = if sane {
                let rate = (passed_ns << 32) / (ticked * 1000);
                let span = ticked * u128::from(SPAN_US) * 1000 / passed_ns;
                (rate as u64, span as u64)
            } else {
                (0, 0)
            };
        } else if last.begin.is_none() {
            next.begin = Some((now, ticks));
        }
        cell.set(next);
        unix_us
    }

    #[cfg(test)]
    mod tests {
        use super::{system_unix_us, unix_us};

        #[test]
        fn it_stays_beside_the_systems_clock() {
            let start = std::time::Instant::now();
            let (mut before, mut close, mut all) = (0, 0, 0);
            while start.elapsed().as_millis() < 30 {
                let (low, here, high) = (system_unix_us(), unix_us(), system_unix_us());
                // Between two readings of the system's clock; a preempted reading is late for one span.
                close += u32::from((low - 20..=high + 20).contains(&here));
                all += 1;
                assert!(here + 500_000 > before && here < high + 500_000);
                before = here;
            }
            assert!(close * 10 > all * 8, "{close} of {all}");
        }
    }
}

/// A clock that moves only when told, and a seeded random stream.
#[derive(Debug)]
pub(crate) struct ManualClock {
    now_us: AtomicU64,
    rng: parking_lot::Mutex<fastrand::Rng>,
}

impl ManualClock {
    pub(crate) fn new(now_ms: u64, seed: u64) -> Arc<ManualClock> {
        Arc::new(ManualClock {
            now_us: AtomicU64::new(now_ms * 1000),
            rng: parking_lot::Mutex::new(fastrand::Rng::with_seed(seed)),
        })
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
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
