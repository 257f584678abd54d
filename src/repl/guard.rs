//! The guard against empty masters, as INFO shows it.
//!
//! The rule, carried out where a loaded full sync is swapped in: a replica that holds data does not take an
//! empty dataset from a master whose replid is neither of the two that it knows, unless the operator gave
//! leave by REPLICAOF ... FORCE, which holds for one sync, or `replica-empty-master-guard` is off. A FLUSHALL
//! on a living master is no such case: its replid is known, and it comes through the stream.

/// What the guard has done since the last good sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Datasets refused in a row.
    pub refusals: u64,
    /// When the first of them was, Unix ms.
    pub since_ms: Option<i64>,
}

impl Guard {
    pub fn refuse(&mut self, now_ms: i64) {
        self.refusals += 1;
        self.since_ms.get_or_insert(now_ms);
    }

    /// A sync was good, or the role changed.
    pub fn clear(&mut self) {
        *self = Guard::default();
    }

    /// Whether the data served is that of a master that has come back empty.
    pub fn is_refusing(&self) -> bool {
        self.refusals > 0
    }
}
