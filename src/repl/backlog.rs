//! How large the backlog should be (`repl-backlog-size auto`): large enough for the writes of an outage of
//! `repl-backlog-seconds` at the rate seen, within a share of memory.
//!
//! Three rates are kept: a mean over about ten seconds, the same over two, and a peak of the former that fades by
//! half in ten minutes, so that a backlog sized by day still suits the evening. The size follows the peak. It
//! grows at once, since an outage does not announce itself, and shrinks only when half of it would do. What is
//! promised follows the larger of the means: a rate that has just risen must not be told by what it was.

/// The least size, bytes: Redis's default.
pub(crate) const MIN_BYTES: u64 = 1 << 20;
/// Between two looks at the rate, ms.
const LOOK_MS: i64 = 1000;
/// The mean covers about so many seconds.
const MEAN_S: f64 = 10.0;
/// And the quick one.
const QUICK_MEAN_S: f64 = 2.0;
/// In so many seconds the peak halves.
const PEAK_HALF_S: f64 = 600.0;
/// Room over what the rate says, since a rate is a mean.
const SPARE: f64 = 1.25;

/// `repl-backlog-size` and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BacklogSize {
    /// Whoever sets it sets the log's limit; nothing is decided here.
    Fixed,
    Auto {
        /// The outage to be survived, seconds.
        seconds: u64,
        max_bytes: u64,
    },
}

/// How fast the stream grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteRate {
    last: Option<(u64, i64)>,
    /// Bytes a second.
    mean: f64,
    quick_mean: f64,
    peak: f64,
}

impl WriteRate {
    /// The stream ends at `end`. To be told often; it looks once a second.
    pub(crate) fn observe(&mut self, end: u64, now_ms: i64) {
        let Some((before, then_ms)) = self.last else {
            self.last = Some((end, now_ms));
            return;
        };
        let passed_ms = now_ms - then_ms;
        if passed_ms < LOOK_MS && end >= before {
            return;
        }
        self.last = Some((end, now_ms));
        // Another history counts from another place.
        let Some(grown) = end.checked_sub(before) else {
            return;
        };
        if grown == 0 && self.peak == 0.0 {
            // Nothing fades. A node that nobody replicates would need the mathematical library for this alone:
            // 100 KB of its pages.
            return;
        }
        let seconds = passed_ms.max(1) as f64 / 1000.0;
        let rate = grown as f64 / seconds;
        self.mean += (rate - self.mean) * (1.0 - (-seconds / MEAN_S).exp());
        self.quick_mean += (rate - self.quick_mean) * (1.0 - (-seconds / QUICK_MEAN_S).exp());
        let faded = self.peak * 0.5f64.powf(seconds / PEAK_HALF_S);
        self.peak = faded.max(self.mean);
    }

    /// Bytes a second, of late.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// Bytes a second that are to be reckoned with now: no less than of late, and more once the rate has risen.
    pub(crate) fn present(&self) -> f64 {
        self.mean.max(self.quick_mean)
    }

    /// The limit that a backlog of `present` bytes should have now; None: it is right.
    pub(crate) fn resize(&self, size: BacklogSize, present: u64) -> Option<u64> {
        let BacklogSize::Auto { seconds, max_bytes } = size else {
            return None;
        };
        let wanted = (self.peak * seconds as f64 * SPARE) as u64;
        // Whole megabytes, so that it doesn't change all the time.
        let wanted = wanted
            .div_ceil(MIN_BYTES)
            .saturating_mul(MIN_BYTES)
            .min(max_bytes)
            .max(MIN_BYTES);
        let shrinks = wanted <= present / 2 || present > max_bytes.max(MIN_BYTES);
        (wanted > present || (wanted < present && shrinks)).then_some(wanted)
    }
}

/// How long an outage a backlog of `limit` bytes survives at this rate, seconds; None: nothing is written,
/// so any.
pub(crate) fn survives_s(limit: u64, bytes_per_second: f64) -> Option<u64> {
    (bytes_per_second >= 1.0).then(|| (limit as f64 / bytes_per_second) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MB: u64 = 1 << 20;

    fn auto(seconds: u64, max_bytes: u64) -> BacklogSize {
        BacklogSize::Auto { seconds, max_bytes }
    }

    /// Writes at a rate for some seconds.
    fn write(rate: &mut WriteRate, clock: &mut (u64, i64), bytes_per_second: u64, seconds: u64) {
        for _ in 0..seconds * 10 {
            clock.0 += bytes_per_second / 10;
            clock.1 += 100;
            rate.observe(clock.0, clock.1);
        }
    }

    #[test]
    fn it_grows_with_the_rate_and_up_to_its_share() {
        let (mut rate, mut clock) = (WriteRate::default(), (0, 0));
        assert_eq!(rate.resize(auto(60, 100 * MB), MB), None);
        write(&mut rate, &mut clock, MB, 60);
        let size = rate.resize(auto(60, 100 * MB), MB).unwrap();
        assert!((70 * MB..=80 * MB).contains(&size), "{size}");
        assert!((55..=80).contains(&survives_s(size, rate.mean()).unwrap()));
        assert_eq!(rate.resize(auto(60, 10 * MB), MB), Some(10 * MB));
        assert_eq!(rate.resize(BacklogSize::Fixed, MB), None);
        assert_eq!(rate.resize(auto(60, 0), MB), None);
    }

    #[test]
    fn it_shrinks_late() {
        let (mut rate, mut clock) = (WriteRate::default(), (0, 0));
        write(&mut rate, &mut clock, MB, 60);
        let size = rate.resize(auto(60, 100 * MB), MB).unwrap();
        write(&mut rate, &mut clock, 0, 500);
        assert_eq!(rate.resize(auto(60, 100 * MB), size), None);
        write(&mut rate, &mut clock, 0, 300);
        assert!(rate.resize(auto(60, 100 * MB), size).unwrap() <= size / 2);
        assert_eq!(survives_s(size, rate.mean()), None);
    }

    #[test]
    fn what_is_promised_holds_soon_after_the_rate_rose() {
        let (mut rate, mut clock) = (WriteRate::default(), (0, 0));
        for bytes_per_second in [MB / 4, 8 * MB] {
            for second in 1..=20 {
                write(&mut rate, &mut clock, bytes_per_second, 1);
                if second < 5 {
                    continue;
                }
                let promised = survives_s(100 * MB, rate.present()).unwrap();
                assert!(
                    promised * bytes_per_second <= 120 * MB,
                    "after {second} s: {promised} s"
                );
            }
        }
        // It falls as slowly as the longer mean does.
        write(&mut rate, &mut clock, 0, 5);
        assert!(rate.present() > (4 * MB) as f64);
    }

    #[test]
    fn another_history_is_no_rate() {
        let mut rate = WriteRate::default();
        rate.observe(1 << 40, 0);
        rate.observe(5, 1000);
        assert_eq!(rate.mean(), 0.0);
        rate.observe(1005, 2000);
        assert!(rate.mean() < 1000.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn never_out_of_bounds_and_settled_after_one_step(
            rates in prop::collection::vec(0u64..1 << 32, 1..30),
            seconds in 1u64..100_000,
            max in 0u64..1 << 36,
            present in 1u64..1 << 36,
        ) {
            let (mut rate, mut clock) = (WriteRate::default(), (0, 0));
            for r in rates {
                write(&mut rate, &mut clock, r, 2);
            }
            if let Some(size) = rate.resize(auto(seconds, max), present) {
                prop_assert!(size >= MIN_BYTES && size <= max.max(MIN_BYTES));
                prop_assert_eq!(rate.resize(auto(seconds, max), size), None);
            }
        }
    }
}
