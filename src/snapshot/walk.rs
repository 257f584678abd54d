//! The walk over a cut keyspace: what a dump and digests have in common.
//!
//! See the head of [`snapshot`](super): the cut tells every table that it is being walked, each turn then brings a
//! bounded stretch of one shard's records out as they were at the cut. What is made of them is the caller's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::keyspace::cut::{CutShared, Images, TurnLimit};
use crate::keyspace::{Dropped, Entered, Shard, ShardSet};

/// See the module. Dropped before its end it is given up: tables notice and stop keeping anything.
#[derive(Debug)]
pub(super) struct Walk {
    id: u32,
    shared: Arc<CutShared>,
    /// Shards whose tables aren't through.
    open: ShardSet,
    /// The shard whose turn it is.
    turn: usize,
    turn_bytes: usize,
    /// Records brought out and not dealt with yet.
    pub(super) images: Images,
    /// Keys and volatile keys of each database at the cut.
    pub(super) sizes: Vec<(usize, usize)>,
}

impl Walk {
    /// The cut. None if another walk is in progress. Every shard must be entered.
    pub(super) fn begin(entered: &mut Entered<'_>, turn_bytes: usize) -> Option<Walk> {
        debug_assert!(entered.is_all());
        if entered.iter().any(Shard::is_being_walked) {
            return None;
        }
        let shared = Arc::<CutShared>::default();
        let id = entered.keyspace().next_snapshot_id();
        let databases = entered.keyspace().databases();
        let mut sizes = vec![(0, 0); databases];
        for shard in entered.iter_mut() {
            for (db, size) in sizes.iter_mut().enumerate() {
                size.0 += shard.dbs[db].len();
                size.1 += shard.dbs[db].expires();
            }
            shard.begin_cut(id, &shared);
        }
        Some(Walk {
            id,
            shared,
            open: entered.set(),
            turn: 0,
            turn_bytes,
            images: Images::default(),
            sizes,
        })
    }

    /// Keys at the cut.
    pub(super) fn keys(&self) -> u64 {
        self.sizes.iter().map(|&(keys, _)| keys as u64).sum()
    }

    /// The shard that is to be entered next; None: all are through.
    pub(super) fn next_shard(&self) -> Option<ShardSet> {
        (!self.open.is_empty()).then(|| ShardSet::one(self.turn))
    }

    /// Bytes of records that the tables keep for the walk at this moment.
    pub(super) fn kept_bytes(&self) -> usize {
        self.shared.saved_bytes.load(Ordering::Relaxed)
    }

    /// A turn in the shard that [`Walk::next_shard`] named, see [`Snapshot::collect`](super::Snapshot::collect).
    pub(super) fn collect(
        &mut self,
        entered: &mut Entered<'_>,
        enough: &mut dyn FnMut() -> bool,
    ) -> Dropped {
        let shard = entered.at_mut(self.turn);
        let limit = TurnLimit {
            bytes: self.turn_bytes,
            enough,
        };
        let (through, dropped) = shard.walk(self.id, limit, &mut self.images);
        if through {
            self.open.0 &= !(1 << self.turn);
        }
        // The next open shard after this one, around.
        let later = self.open.0 & !((2u64 << self.turn).wrapping_sub(1));
        let next = if later == 0 { self.open.0 } else { later };
        self.turn = next.trailing_zeros() as usize & 63;
        dropped
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
    }
}
