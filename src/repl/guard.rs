//! The guard against empty masters.
//!
//! A replica that holds data does not take an empty dataset from a master whose replid is neither of the two that it
//! knows, unless the operator overrides it by REPLICAOF ... FORCE, which holds for one sync, or
//! `replica-empty-master-guard` is off. A FLUSHALL on a living master is no such case: its replid is known, and it
//! comes through the stream. It is asked where a loaded full sync is about to be swapped in, with every shard
//! entered, so that what it looks at is what would be lost.

use super::hub::Hub;
use super::replid::ReplId;

/// Why a dataset was refused, for the log and INFO.
pub(crate) const REFUSED: &str = "the master's dataset is empty and its replication ID is none that we know, while this \
    replica holds data. It may have restarted without its data. The old data serves on and the sync is tried \
    again; REPLICAOF host port FORCE takes the empty dataset (replica-empty-master-guard)";

/// A loaded dump that is about to take the place of the data, seen with every shard entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) hub: &'a Hub,
    /// It holds no key.
    pub(crate) is_empty: bool,
    /// We hold some key.
    pub(crate) replaces_data: bool,
    /// The database that the stream has selected after it, if it says.
    pub(crate) database: Option<usize>,
    /// It says that it is not what its history says, from that offset on.
    pub(crate) diverged: Option<u64>,
}

/// Whether what is offered, a state of the history `id`, must not replace our data.
pub(crate) fn refuses(id: ReplId, offer: &Offer<'_>) -> bool {
    let history = offer.hub.history();
    let is_known = id == history.id || id == history.id2;
    offer.is_empty && offer.replaces_data && !is_known && !offer.hub.guard_is_lifted()
}

/// What the guard has done since the last good sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    /// Datasets refused in a row.
    pub(crate) refusals: u64,
    /// When the first of them was, Unix ms.
    pub(crate) since_ms: Option<i64>,
}

impl Guard {
    pub(crate) fn refuse(&mut self, now_ms: i64) {
        self.refusals += 1;
        self.since_ms.get_or_insert(now_ms);
    }

    /// A sync was good, or the role changed.
    pub(crate) fn clear(&mut self) {
        *self = Guard::default();
    }

    /// Whether the data served is that of a master that has come back empty.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusals > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn only_an_unknown_empty_master_is_refused_and_only_data_is_guarded() {
        let clock = ManualClock::new(0, 1);
        let hub = Hub::new(&*clock, 1000);
        let offer = Offer {
            hub: &hub,
            is_empty: true,
            replaces_data: true,
            database: None,
            diverged: None,
        };
        let stranger = ReplId::random(&*clock);
        assert!(refuses(stranger, &offer));
        let history = hub.history();
        assert!(!refuses(history.id, &offer));
        assert!(!refuses(history.id2, &offer));
        let holding = Offer {
            is_empty: false,
            ..offer
        };
        assert!(!refuses(stranger, &holding));
        let nothing_lost = Offer {
            replaces_data: false,
            ..offer
        };
        assert!(!refuses(stranger, &nothing_lost));
        hub.lift_guard(true);
        assert!(!refuses(stranger, &offer));
    }
}
