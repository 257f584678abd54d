//! A token bucket: how many bytes may go now, at so many a second.
//!
//! Tokens gather up to a tenth of a second's worth, so that what is sent is even. A taker may overdraw by
//! what it writes at once; the debt is waited off before the next. Time is the caller's.

/// Bytes gather for this long at most, ms.
const BURST_MS: u64 = 100;
/// Smaller portions cost more in calls than they are worth, bytes.
const PORTION_MIN: u64 = 16 * 1024;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bandwidth {
    /// Bytes a second; 0: no bound.
    rate: u64,
    /// Bytes that may go; negative: a debt.
    tokens: i64,
    at_us: u64,
}

impl Bandwidth {
    /// Changes the rate, bytes a second; 0: no bound.
    pub(crate) fn set_rate(&mut self, rate: u64, now_us: u64) {
        if rate != self.rate {
            self.rate = rate;
            self.tokens = 0;
            self.at_us = now_us;
        }
    }

    /// Whether there is a bound.
    pub(crate) fn is_bounded(&self) -> bool {
        self.rate > 0
    }

    fn gather(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.at_us);
        let most = (self.rate * BURST_MS / 1000).max(1) as i64;
        let gained = u128::from(passed_us) * u128::from(self.rate) / 1_000_000;
        if gained > 0 {
            // The part of a byte that is left over counts next time.
            let used_us = gained * 1_000_000 / u128::from(self.rate);
            self.at_us += u64::try_from(used_us).unwrap_or(passed_us);
            let gained = i64::try_from(gained).unwrap_or(i64::MAX);
            self.tokens = self.tokens.saturating_add(gained).min(most);
        }
    }

    /// How long to wait before more is sent, microseconds; 0: not at all.
    pub(crate) fn wait_us(&mut self, now_us: u64) -> u64 {
        if self.rate == 0 {
            return 0;
        }
        self.gather(now_us);
        if self.tokens > 0 {
            return 0;
        }
        let missing = u128::from(self.tokens.unsigned_abs()) + 1;
        let wait = missing * 1_000_000 / u128::from(self.rate);
        u64::try_from(wait).unwrap_or(u64::MAX).max(1000)
    }

    /// So many bytes have gone.
    pub(crate) fn spend(&mut self, bytes: u64) {
        if self.rate > 0 {
            self.tokens = self.tokens.saturating_sub(bytes as i64);
        }
    }

    /// How much to send at once, at most `most` bytes: what the rate gives in a quarter of a millisecond, so
    /// that replicas on one machine are fed in turns that nobody beside them feels; no less than
    /// `PORTION_MIN`, unless a debt would then take more than half a second.
    pub(crate) fn portion(&self, most: usize) -> usize {
        match self.rate {
            0 => most,
            rate => {
                let even = (rate / 4000).max(PORTION_MIN);
                most.min(even.min(rate / 2).max(1) as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut bucket = Bandwidth::default();
        bucket.spend(1 << 40);
        assert_eq!(bucket.wait_us(0), 0);
        assert_eq!(bucket.portion(77), 77);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn the_rate_is_met_and_never_passed(
            rate in 100u64..1_000_000_000,
            pauses in prop::collection::vec(0u64..20_000, 1..50),
            portion in 1usize..300_000,
        ) {
            let mut bucket = Bandwidth::default();
            let mut now_us = 5_000_000;
            bucket.set_rate(rate, now_us);
            let (begin_us, mut sent) = (now_us, 0u64);
            for pause_us in pauses {
                let wait_us = bucket.wait_us(now_us);
                // Idle time is lost, but for a burst.
                now_us += wait_us.max(pause_us.min(wait_us));
                if bucket.wait_us(now_us) == 0 {
                    let n = bucket.portion(portion) as u64;
                    bucket.spend(n);
                    sent += n;
                }
                let passed = (now_us - begin_us) as f64 / 1e6;
                // Half a second of debt and a tenth of a burst, beside what the time allows.
                prop_assert!(sent as f64 <= rate as f64 * (passed + 0.6) + 2.0);
            }
            // Taken eagerly, the rate is used.
            let (begin_us, mut sent) = (now_us, 0u64);
            // Byte by byte a high rate would take billions of turns.
            let portion = portion.min(rate as usize / 10).max(rate as usize / 100_000 + 1);
            while now_us < begin_us + 3_000_000 {
                now_us += bucket.wait_us(now_us);
                let n = bucket.portion(portion) as u64;
                bucket.spend(n);
                sent += n;
                if n * 1000 < rate { now_us += n * 1_000_000 / rate; }
            }
            prop_assert!(sent as f64 >= rate as f64 * 2.0, "{} of {}", sent, rate * 3);
        }
    }
}
