//! One shard: its part of every database, who waits for its keys and who watches them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::cut::{Cut, CutShared, Images, TurnLimit};
use super::table::Table;
use super::watch::KeyState;
use super::{
    Blocked, Dataset, Db, Entered, ExpireBudget, KeyHasher, ReadyKey, Record, Waiter, Watches,
};

/// One shard's state.
#[derive(Debug)]
pub struct Shard {
    pub dbs: Vec<Db>,
    pub(crate) watches: Watches,
    pub(crate) blocked: Blocked,
    /// Somebody may watch a key or wait for its end: changes are to be told. Looked at for each of them.
    observed: bool,
    /// Tables that were flushed or replaced while a snapshot walks them; it gives them up when it is through.
    pub(super) retired: Vec<Table>,
    /// Where the next step of active expiry goes on.
    expire_db: usize,
}

/// Databases taken out of the keyspace, to be freed wherever freeing disturbs nobody.
#[derive(Debug, Default)]
#[must_use = "dropping it here frees it here; large ones belong on another thread"]
pub struct Dropped {
    dbs: Vec<Db>,
    records: Vec<Record>,
}

impl Dropped {
    /// How many keys go.
    pub(crate) fn keys(&self) -> usize {
        self.dbs.iter().map(Db::len).sum::<usize>() + self.records.len()
    }

    /// Whether dropping it is no work.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys() == 0
    }
}

impl Shard {
    pub(super) fn new(databases: usize, hasher: &Arc<KeyHasher>) -> Shard {
        Shard {
            dbs: (0..databases).map(|_| Db::new(hasher)).collect(),
            watches: Watches::default(),
            blocked: Blocked::default(),
            observed: false,
            retired: Vec::new(),
            expire_db: 0,
        }
    }

    /// Watches a key; `expired`: it is there but logically expired already. The number by which to end it.
    pub(crate) fn watch(
        &mut self,
        db: usize,
        key: &[u8],
        dirty: &Arc<AtomicBool>,
        expired: bool,
    ) -> u64 {
        self.observed = true;
        self.watches.add(db, key, dirty, expired)
    }

    pub(crate) fn unwatch(&mut self, db: usize, key: &[u8], number: u64) {
        self.watches.remove(db, key, number);
    }

    /// Whether changes are to be told ([`Shard::touch`]).
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.observed
    }

    /// A key changed, or is gone: marks its watchers, and makes it ready for those who wait for its end.
    #[inline]
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], hash: u64) {
        if self.observed {
            self.touch_observed(db, key, hash);
        }
    }

    #[inline(never)]
    fn touch_observed(&mut self, db: usize, key: &[u8], hash: u64) {
        if !self.watches.is_empty() {
            let there = self.dbs[db].locate(key, hash).is_some();
            self.watches.touch(db, key, there);
        }
        self.blocked.signal_change(db, key);
        self.observed = !self.watches.is_empty() || self.blocked.want_deletions();
    }

    /// Puts a waiter at the end of the queue of a key of this shard.
    pub(crate) fn block(&mut self, db: usize, key: &[u8], waiter: &Arc<Waiter>) {
        self.observed |= waiter.on_deletion;
        self.blocked.add(db, key, waiter);
    }

    pub(crate) fn unblock(&mut self, db: usize, key: &[u8], waiter: &Waiter) {
        self.blocked.remove(db, key, waiter);
    }

    /// A key got elements: it goes on the ready list if somebody waits for it.
    #[inline]
    pub(crate) fn signal_ready(&mut self, db: usize, key: &[u8]) {
        if !self.blocked.is_empty() {
            self.blocked.signal(db, key);
        }
    }

    /// The ready list; empties it.
    pub(crate) fn take_ready(&mut self) -> Vec<ReadyKey> {
        self.blocked.take_ready()
    }

    /// Marks the watchers of what a flush takes away.
    fn touch_flushed(&mut self, db: usize, hasher: &KeyHasher) {
        if self.watches.is_empty() {
            return;
        }
        let table = &self.dbs[db];
        self.watches.touch_all(
            db,
            |key| table.locate(key, hasher.hash(key)).is_some(),
            |_| KeyState::Absent,
        );
    }

    /// Marks the watchers of `db`, whose content was that of `old`.
    fn touch_replaced(&mut self, db: usize, old: &Db, now_ms: i64, hasher: &KeyHasher) {
        if self.watches.is_empty() {
            return;
        }
        let new = &self.dbs[db];
        self.watches.touch_all(
            db,
            |key| old.locate(key, hasher.hash(key)).is_some(),
            |key| match new.get(key, hasher.hash(key)) {
                None => KeyState::Absent,
                Some(entry) if entry.is_expired(now_ms) => KeyState::Expired,
                Some(_) => KeyState::Live,
            },
        );
    }

    /// Exchanges two databases.
    fn swap_dbs(&mut self, a: usize, b: usize, now_ms: i64, hasher: &KeyHasher) {
        self.dbs.swap(a, b);
        if !self.watches.is_empty() {
            for (db, other) in [(a, b), (b, a)] {
                let (old, new) = (&self.dbs[other], &self.dbs[db]);
                self.watches.touch_all(
                    db,
                    |key| old.locate(key, hasher.hash(key)).is_some(),
                    |key| match new.get(key, hasher.hash(key)) {
                        None => KeyState::Absent,
                        Some(entry) if entry.is_expired(now_ms) => KeyState::Expired,
                        Some(_) => KeyState::Live,
                    },
                );
            }
        }
        for db in [a, b] {
            self.blocked.signal_changes(db);
            self.signal_present(db, hasher);
        }
    }

    fn signal_present(&mut self, db: usize, hasher: &KeyHasher) {
        if self.blocked.is_empty() {
            return;
        }
        for key in self.blocked.keys_in(db) {
            if self.dbs[db].locate(&key, hasher.hash(&key)).is_some() {
                self.blocked.signal(db, &key);
            }
        }
    }

    /// Empties one database; what was there is the caller's to drop.
    pub(crate) fn flush(&mut self, db: usize, hasher: &Arc<KeyHasher>) -> Dropped {
        self.touch_flushed(db, hasher);
        self.blocked.signal_changes(db);
        let old = std::mem::replace(&mut self.dbs[db], Db::new(hasher));
        let mut dropped = Dropped::default();
        self.retire(old, &mut dropped);
        dropped
    }

    /// Gives a database away: to a snapshot that still walks it, else to the caller.
    fn retire(&mut self, old: Db, dropped: &mut Dropped) {
        match &old.table.cut {
            Some(cut) if !cut.is_abandoned() => self.retired.push(old.table),
            _ => dropped.dbs.push(old),
        }
    }

    /// Gives away what was kept for a snapshot that has been aborted.
    pub(crate) fn take_abandoned(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        for part in &mut self.dbs {
            if let Some(cut) = part.table.cut.take_if(|cut| cut.is_abandoned()) {
                dropped.records.extend(cut.into_saved());
            }
        }
        let abandoned = |table: &mut Table| table.cut.as_ref().is_none_or(|c| c.is_abandoned());
        for table in self.retired.extract_if(.., abandoned) {
            dropped.dbs.push(Db::of(table));
        }
        dropped
    }

    /// Whether a snapshot is walking this shard.
    pub(crate) fn is_being_walked(&self) -> bool {
        let tables = self.dbs.iter().map(|part| &part.table).chain(&self.retired);
        tables
            .filter_map(|table| table.cut.as_ref())
            .any(|cut| !cut.is_abandoned())
    }

    /// The cut, for this shard: every table becomes part of the snapshot `id`.
    pub(crate) fn begin_cut(&mut self, id: u32, shared: &Arc<CutShared>) {
        for (db, part) in self.dbs.iter_mut().enumerate() {
            part.table.begin_cut(Cut::new(id, db, shared.clone()));
        }
    }

    /// A turn of the snapshot `id`'s walk: records up to about the limit, and all that was saved ahead
    /// of it. Says whether the shard is through, and what is to be dropped outside.
    pub(crate) fn walk(
        &mut self,
        id: u32,
        mut limit: TurnLimit<'_>,
        images: &mut Images,
    ) -> (bool, Dropped) {
        let mut dropped = self.take_abandoned();
        let mut through = true;
        for part in &mut self.dbs {
            if part.table.is_cut_for(id) {
                // Later tables only give what they saved once the limit is reached.
                through &= part.table.walk(&mut limit, images);
            }
        }
        for mut table in std::mem::take(&mut self.retired) {
            if table.walk(&mut limit, images) {
                dropped.dbs.push(Db::of(table));
            } else {
                through = false;
                self.retired.push(table);
            }
        }
        (through, dropped)
    }

    /// A step of active expiry: removes records whose time has come (`expire_at` before `now_ms`) and says
    /// which, by database, and whether more is due. The caller tells watchers, the log and subscribers
    /// before it leaves the shard.
    pub(crate) fn expire_step(
        &mut self,
        now_ms: i64,
        budget: &ExpireBudget,
    ) -> (Vec<(usize, Record)>, bool) {
        let mut expired = Vec::new();
        let mut segments = budget.segments;
        for _ in 0..self.dbs.len() {
            let db = self.expire_db;
            loop {
                if self.dbs[db].next_due_ms().is_none_or(|at| at >= now_ms) {
                    break;
                }
                if segments == 0 || expired.len() >= budget.records {
                    return (expired, true);
                }
                segments -= 1;
                let limit = budget.records - expired.len();
                self.dbs[db].expire_segment(now_ms, limit, budget.reopen_ms, &mut |record| {
                    expired.push((db, record));
                });
            }
            self.expire_db = (db + 1) % self.dbs.len();
        }
        (expired, false)
    }
}

impl Entered<'_> {
    /// Hashes with fields that expire in a database, over the entered shards.
    pub(crate) fn expiring_hashes(&self, db: usize) -> usize {
        self.iter()
            .map(|shard| shard.dbs[db].expiring_hashes())
            .sum()
    }

    /// Keys in all databases, over the entered shards.
    pub(crate) fn keys(&self) -> u64 {
        let databases = 0..self.keyspace().databases();
        databases.map(|db| self.len(db) as u64).sum()
    }

    /// Keys in a database, over the entered shards.
    pub(crate) fn len(&self, db: usize) -> usize {
        self.iter().map(|shard| shard.dbs[db].len()).sum()
    }

    /// Whether a database is empty in the entered shards.
    pub fn is_empty(&self, db: usize) -> bool {
        self.len(db) == 0
    }

    /// Keys with an expiry in a database, over the entered shards.
    pub(crate) fn expires(&self, db: usize) -> usize {
        self.iter().map(|shard| shard.dbs[db].expires()).sum()
    }

    /// Empties one database, or all; the watchers of its keys are marked. What was there is the caller's
    /// to drop, here or on another thread. Every shard must be entered.
    pub(crate) fn flush(&mut self, db: Option<usize>) -> Dropped {
        debug_assert!(self.is_all());
        let hasher = self.keyspace().hasher();
        let mut dropped = Dropped::default();
        for shard in self.iter_mut() {
            let range = db.map_or(0..shard.dbs.len(), |db| db..db + 1);
            for db in range {
                dropped.dbs.append(&mut shard.flush(db, hasher).dbs);
            }
        }
        dropped
    }

    /// Puts a dataset built aside (`Keyspace::builder`) in the place of all there is, in one step. What was
    /// there is the caller's to drop. Every shard must be entered.
    pub(crate) fn replace(&mut self, dataset: Dataset, now_ms: i64) -> Dropped {
        debug_assert!(self.is_all());
        let hasher = self.keyspace().hasher();
        let mut dropped = Dropped::default();
        for (shard, fresh) in self.iter_mut().zip(dataset.shards) {
            let old = std::mem::replace(&mut shard.dbs, fresh);
            for (db, old) in old.into_iter().enumerate() {
                shard.touch_replaced(db, &old, now_ms, hasher);
                shard.blocked.signal_changes(db);
                shard.signal_present(db, hasher);
                shard.retire(old, &mut dropped);
            }
        }
        dropped
    }

    /// Exchanges two databases. Watches and blocked clients stay with the number. Every shard must be
    /// entered.
    pub(crate) fn swap_dbs(&mut self, a: usize, b: usize, now_ms: i64) {
        debug_assert!(self.is_all());
        if a == b {
            return;
        }
        let hasher = self.keyspace().hasher();
        for shard in self.iter_mut() {
            shard.swap_dbs(a, b, now_ms, hasher);
        }
    }
}
