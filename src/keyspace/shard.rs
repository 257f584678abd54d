//! One shard: its part of every database, who waits for its keys and who watches them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::watch::KeyState;
use super::{Blocked, Db, Entered, KeyHasher, ReadyKey, Waiter, Watches};

/// One shard's state.
#[derive(Debug)]
pub struct Shard {
    pub index: usize,
    pub dbs: Vec<Db>,
    pub watches: Watches,
    pub blocked: Blocked,
}

/// Databases taken out of the keyspace, to be freed wherever freeing disturbs nobody.
#[derive(Debug, Default)]
#[must_use = "dropping it here frees it here; large ones belong on another thread"]
pub struct Dropped {
    dbs: Vec<Db>,
}

impl Dropped {
    /// How many keys go.
    pub fn keys(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }
}

impl Shard {
    pub(super) fn new(index: usize, databases: usize, hasher: &KeyHasher) -> Shard {
        Shard {
            index,
            dbs: (0..databases).map(|_| Db::new(hasher)).collect(),
            watches: Watches::default(),
            blocked: Blocked::default(),
        }
    }

    /// Watches a key; `expired`: it is there but logically expired already.
    pub fn watch(&mut self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>, expired: bool) {
        self.watches.add(db, key, dirty, expired);
    }

    pub fn unwatch(&mut self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>) {
        self.watches.remove(db, key, dirty);
    }

    /// A key changed: marks its watchers.
    #[inline]
    pub fn touch(&mut self, db: usize, key: &[u8], hash: u64) {
        if !self.watches.is_empty() {
            let there = self.dbs[db].get(key, hash).is_some();
            self.watches.touch(db, key, there);
        }
    }

    /// Puts a waiter at the end of the queue of a key of this shard.
    pub fn block(&mut self, db: usize, key: &Bytes, waiter: &Arc<Waiter>) {
        self.blocked.add(db, key, waiter);
    }

    pub fn unblock(&mut self, db: usize, key: &Bytes, waiter: &Arc<Waiter>) {
        self.blocked.remove(db, key, waiter);
    }

    /// A key got elements: it goes on the ready list if somebody waits for it.
    #[inline]
    pub fn signal_ready(&mut self, db: usize, key: &[u8]) {
        if !self.blocked.is_empty() {
            self.blocked.signal(db, key);
        }
    }

    /// The ready list; empties it.
    pub fn take_ready(&mut self) -> Vec<ReadyKey> {
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
            |key| table.get(key, hasher.hash(key)).is_some(),
            |_| KeyState::Absent,
        );
    }

    /// Marks the watchers of `db`, whose content becomes that of `other`.
    fn touch_swapped(&mut self, db: usize, other: usize, now_ms: i64, hasher: &KeyHasher) {
        if self.watches.is_empty() {
            return;
        }
        let (before, after) = (&self.dbs[db], &self.dbs[other]);
        self.watches.touch_all(
            db,
            |key| before.get(key, hasher.hash(key)).is_some(),
            |key| match after.get(key, hasher.hash(key)) {
                None => KeyState::Absent,
                Some(entry) if entry.expire_at.is_some_and(|at| at < now_ms) => KeyState::Expired,
                Some(_) => KeyState::Live,
            },
        );
    }

    fn signal_present(&mut self, db: usize, hasher: &KeyHasher) {
        if self.blocked.is_empty() {
            return;
        }
        for key in self.blocked.keys_in(db) {
            if self.dbs[db].get(&key, hasher.hash(&key)).is_some() {
                self.blocked.signal(db, &key);
            }
        }
    }

    /// Empties one database; what was there is the caller's to drop.
    pub fn flush(&mut self, db: usize, hasher: &KeyHasher) -> Dropped {
        self.touch_flushed(db, hasher);
        let old = std::mem::replace(&mut self.dbs[db], Db::new(hasher));
        Dropped { dbs: vec![old] }
    }
}

impl Entered<'_> {
    /// Keys in a database, over the entered shards.
    pub fn len(&self, db: usize) -> usize {
        self.iter().map(|shard| shard.dbs[db].len()).sum()
    }

    /// Whether a database is empty in the entered shards.
    pub fn is_empty(&self, db: usize) -> bool {
        self.len(db) == 0
    }

    /// Keys with an expiry in a database, over the entered shards.
    pub fn expires(&self, db: usize) -> usize {
        self.iter().map(|shard| shard.dbs[db].expires()).sum()
    }

    /// Empties one database, or all; the watchers of its keys are marked. What was there is the caller's
    /// to drop, here or on another thread. Every shard must be entered.
    pub fn flush(&mut self, db: Option<usize>) -> Dropped {
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

    /// Exchanges two databases. Watches and blocked clients stay with the number. Every shard must be
    /// entered.
    pub fn swap_dbs(&mut self, a: usize, b: usize, now_ms: i64) {
        debug_assert!(self.is_all());
        if a == b {
            return;
        }
        let hasher = self.keyspace().hasher();
        for shard in self.iter_mut() {
            shard.touch_swapped(a, b, now_ms, hasher);
            shard.touch_swapped(b, a, now_ms, hasher);
            shard.dbs.swap(a, b);
            shard.signal_present(a, hasher);
            shard.signal_present(b, hasher);
        }
    }
}
