//! How much active expiry may do, as Redis paces it: a share of the time, more with more effort.
//!
//! The work itself comes in steps (`Shard::expire_step`); whoever runs them has a clock and stops at the
//! budget. Since the table knows which segments are due, a cycle that finds nothing costs nothing.

/// The budgets of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpireBudget {
    /// For the cycle that runs `hz` times a second, microseconds.
    pub(crate) slow_us: u64,
    /// For the short cycle between two commands' bursts, run while the slow one falls behind.
    pub(crate) fast_us: u64,
    /// Segments to open in one step inside the shard.
    pub(crate) segments: usize,
    /// Records to remove in one step at most.
    pub(crate) records: usize,
    /// How long a segment is left alone after it was opened, ms for each of its volatile records.
    pub(crate) reopen_ms: i64,
}

impl ExpireBudget {
    /// `hz` and `active_expire_effort` (1..=10) are the directives.
    pub(crate) fn new(hz: u32, active_expire_effort: u32) -> ExpireBudget {
        let effort = u64::from(active_expire_effort.clamp(1, 10) - 1);
        let percent = 25 + 2 * effort;
        ExpireBudget {
            slow_us: percent * 10_000 / u64::from(hz.max(1)),
            fast_us: 1000 + 250 * effort,
            segments: 8,
            records: 64,
            reopen_ms: if effort == 0 { 2 } else { 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExpireBudget;

    #[test]
    fn effort_buys_time() {
        let usual = ExpireBudget::new(10, 1);
        assert_eq!((usual.slow_us, usual.fast_us), (25_000, 1000));
        let most = ExpireBudget::new(10, 10);
        assert_eq!((most.slow_us, most.fast_us), (43_000, 3250));
    }
}
