//! Between a record's use field and what dumps say about use.
//!
//! The field has 24 bits: seconds of last use under the LRU policies (and where nothing is evicted), or
//! minutes of the last decay above a logarithmic counter under the LFU policies.

use super::writer::Usage;
use crate::config::MaxmemoryPolicy;

const FIELD_MASK: u32 = 0xff_ffff;
const MINUTES_MASK: u32 = 0xffff;

/// The field for a use now.
pub(crate) fn lru_now(now_ms: i64) -> u32 {
    (now_ms / 1000) as u32 & FIELD_MASK
}

/// An LFU counter to begin with: a new key is not the first to go.
pub(crate) const LFU_FIRST: u32 = 5;

/// The field of a key that has just come, under either kind of policy.
pub(crate) fn first(policy: MaxmemoryPolicy, now_ms: i64) -> u32 {
    if policy.is_lfu() {
        ((now_ms / 60_000) as u32 & MINUTES_MASK) << 8 | LFU_FIRST
    } else {
        lru_now(now_ms)
    }
}

/// What a dump is to say of a record, which Redis does for the policies that evict by use.
pub(crate) fn usage_of(
    lru: u32,
    policy: MaxmemoryPolicy,
    decay_time_min: u32,
    now_ms: i64,
) -> Usage {
    if policy.is_lfu() {
        let now_min = (now_ms / 60_000) as u32 & MINUTES_MASK;
        let elapsed_min = now_min.wrapping_sub(lru >> 8) & MINUTES_MASK;
        let periods = elapsed_min.checked_div(decay_time_min).unwrap_or(0);
        Usage::Frequency((lru & 0xff).saturating_sub(periods) as u8)
    } else if policy.is_lru() {
        Usage::Idle(u64::from(lru_now(now_ms).wrapping_sub(lru) & FIELD_MASK))
    } else {
        Usage::Unknown
    }
}

/// The field that a dump's or a command's word about use asks for; None if it says nothing that the policy
/// can use.
pub(crate) fn field_of(
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
    policy: MaxmemoryPolicy,
    now_ms: i64,
) -> Option<u32> {
    if policy.is_lfu() {
        let minutes = (now_ms / 60_000) as u32 & MINUTES_MASK;
        frequency.map(|counter| minutes << 8 | u32::from(counter))
    } else {
        // Idle for longer than the field can say: as long as it can.
        idle_seconds.map(|seconds| {
            let seconds = seconds.min(u64::from(FIELD_MASK)) as u32;
            lru_now(now_ms).wrapping_sub(seconds) & FIELD_MASK
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    #[test]
    fn round_trip() {
        let lru = MaxmemoryPolicy::AllkeysLru;
        for idle in [0, 1, 100_000, 0xff_ffff] {
            let field = field_of(Some(idle), Some(9), lru, NOW_MS).unwrap();
            assert_eq!(usage_of(field, lru, 1, NOW_MS), Usage::Idle(idle));
        }
        let lfu = MaxmemoryPolicy::VolatileLfu;
        let field = field_of(Some(5), Some(200), lfu, NOW_MS).unwrap();
        assert_eq!(usage_of(field, lfu, 1, NOW_MS), Usage::Frequency(200));
        assert_eq!(
            usage_of(field, lfu, 1, NOW_MS + 600_000),
            Usage::Frequency(190)
        );
        assert_eq!(
            usage_of(field, lfu, 0, NOW_MS + 600_000),
            Usage::Frequency(200)
        );
    }

    #[test]
    fn what_the_policy_cannot_use() {
        let plain = MaxmemoryPolicy::default();
        assert_eq!(usage_of(7, plain, 1, NOW_MS), Usage::Unknown);
        assert_eq!(field_of(None, Some(5), plain, NOW_MS), None);
        assert_eq!(
            field_of(Some(3), None, MaxmemoryPolicy::AllkeysLfu, NOW_MS),
            None
        );
        // OBJECT IDLETIME and RESTORE IDLETIME work without a policy too.
        assert!(field_of(Some(3), None, plain, NOW_MS).is_some());
    }
}
