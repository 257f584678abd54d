//! A histogram of durations with two significant digits, as high-dynamic-range histograms are laid out.
//!
//! Values are nanoseconds from 0 to one second; longer ones count as one second. A value's bucket is
//! told by its highest eight bits, so a bucket is never wider than 1/128 of what it holds, and recording
//! is one relaxed add. The layout is that of redis-server's latency histograms, so that percentiles and
//! LATENCY HISTOGRAM show the same figures.

use std::sync::atomic::{AtomicU64, Ordering};

/// Values told apart within one power of two.
const HALF: u64 = 128;
const BUCKETS: usize = 3072;
const VALUE_MAX_NS: u64 = 1_000_000_000;

/// Counts per bucket; 24 KiB.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// The bucket of a value, and how many bits it drops.
fn bucket_of(value_ns: u64) -> (usize, u32) {
    let shift = (value_ns | 255).ilog2() - 7;
    (
        (u64::from(shift) * HALF + (value_ns >> shift)) as usize,
        shift,
    )
}

/// The highest value that falls into the bucket.
fn highest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / HALF).saturating_sub(1);
    ((bucket - shift * HALF + 1) << shift) - 1
}

impl Histogram {
    #[inline]
    #[cfg(test)]
    pub(crate) fn record(&self, value_ns: u64) {
        self.record_many(value_ns, 1);
    }

    /// Counts a value that came `times` times.
    #[inline]
    pub(crate) fn record_many(&self, value_ns: u64, times: u64) {
        let (bucket, _) = bucket_of(value_ns.min(VALUE_MAX_NS));
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(times, Ordering::Relaxed);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts().sum()
    }

    fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().map(|c| c.load(Ordering::Relaxed))
    }

    pub(crate) fn clear(&self) {
        for count in &self.counts {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// The value in ns at or below which `percentile` (0 to 100) of the values lie.
    pub(crate) fn percentile_ns(&self, percentile: f64) -> u64 {
        let counts: Vec<u64> = self.counts().collect();
        let total: u64 = counts.iter().sum();
        let wanted = (percentile.min(100.0) / 100.0 * total as f64 + 0.5) as u64;
        let wanted = wanted.max(1);
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest_of(bucket);
            }
        }
        0
    }

    /// Cumulative counts at powers of two from about 1 us on, as (us, count), leaving out those that add
    /// nothing.
    pub(crate) fn cumulative_us(&self) -> Vec<(u64, u64)> {
        let counts: Vec<u64> = self.counts().collect();
        let total: u64 = counts.iter().sum();
        let mut points = Vec::new();
        let mut seen = 0;
        let mut next_bucket = 0;
        let mut level_ns = 1024u64;
        while seen < total {
            let bucket = bucket_of(level_ns).0.min(BUCKETS - 1);
            let added: u64 = counts[next_bucket..=bucket].iter().sum();
            next_bucket = bucket + 1;
            if added > 0 {
                seen += added;
                points.push((highest_of(bucket) / 1000, seen));
            }
            level_ns *= 2;
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_meet() {
        let mut last = None;
        for value in 0..5000 {
            let bucket = bucket_of(value).0;
            assert!(highest_of(bucket) >= value);
            if let Some((previous, before)) = last
                && previous != bucket
            {
                assert_eq!(previous + 1, bucket);
                assert_eq!(highest_of(previous), before);
            }
            last = Some((bucket, value));
        }
        assert_eq!(bucket_of(VALUE_MAX_NS).0 / 128, 23);
        assert!(bucket_of(VALUE_MAX_NS).0 < BUCKETS);
        assert_eq!(highest_of(BUCKETS - 1), (1 << 30) - 1);
    }

    #[test]
    fn figures_are_those_of_redis() {
        let histogram = Histogram::default();
        histogram.record(1000);
        assert_eq!(histogram.percentile_ns(50.0), 1003);
        histogram.record(3000);
        histogram.record(70_000);
        histogram.record(u64::MAX);
        assert_eq!(histogram.total(), 4);
        assert_eq!(
            histogram.cumulative_us(),
            vec![(1, 1), (4, 2), (132, 3), (1_073_741, 4)]
        );
        histogram.clear();
        assert_eq!(histogram.total(), 0);
        assert!(histogram.cumulative_us().is_empty());
    }
}
