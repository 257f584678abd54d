//! A whole dataset built aside (an RDB load, a full sync), to be swapped in at one stroke.
//!
//! The builder has the shape of the keyspace it is for: the same shards, databases and hash, so that each
//! key goes straight to its place and the swap is an exchange of tables.

use std::sync::Arc;

use super::db::{Db, Expiry};
use super::entering::shard_of;
use super::{Dropped, KeyHasher};
use crate::data::Value;

/// Databases of every shard, being filled.
#[derive(Debug)]
pub struct DatasetBuilder {
    hasher: Arc<KeyHasher>,
    databases: usize,
    /// By shard, then database.
    shards: Vec<Vec<Db>>,
    /// How many more announced keys room is made for.
    believed_left: usize,
}

/// Room for so many keys is made before any has come, at some 15 bytes each.
const BELIEVED_MAX: usize = 1 << 22;

/// A filled dataset.
#[derive(Debug)]
#[must_use = "dropping it here frees it here; large ones belong on another thread"]
pub struct Dataset {
    pub(super) shards: Vec<Vec<Db>>,
}

impl DatasetBuilder {
    pub(super) fn new(shards: usize, databases: usize, hasher: &Arc<KeyHasher>) -> DatasetBuilder {
        let dbs = || (0..databases).map(|_| Db::new(hasher)).collect();
        DatasetBuilder {
            hasher: hasher.clone(),
            databases,
            shards: (0..shards).map(|_| dbs()).collect(),
            believed_left: BELIEVED_MAX,
        }
    }

    pub fn databases(&self) -> usize {
        self.databases
    }

    fn part(&mut self, db: usize, key: &[u8]) -> (&mut Db, u64) {
        let hash = self.hasher.hash(key);
        let shard = shard_of(hash, self.shards.len());
        (&mut self.shards[shard][db], hash)
    }

    /// Adds a key. False if it was there already (it is overwritten).
    pub fn insert(
        &mut self,
        db: usize,
        key: &[u8],
        value: Value,
        expire_at: Option<i64>,
        lru: u32,
    ) -> bool {
        let (part, hash) = self.part(db, key);
        let put = part.put(key, hash, value, expiry(expire_at), lru);
        matches!(put, super::Put::New)
    }

    /// As `insert`, for a string that isn't owned.
    pub fn insert_string(
        &mut self,
        db: usize,
        key: &[u8],
        value: &[u8],
        expire_at: Option<i64>,
        lru: u32,
    ) -> bool {
        let (part, hash) = self.part(db, key);
        let put = part.put_string(key, hash, value, expiry(expire_at), lru);
        matches!(put, super::Put::New)
    }

    /// How many keys are to come in a database: a hint that spares growing. Bounded over all databases,
    /// since it is a stranger's word.
    pub fn reserve(&mut self, db: usize, keys: usize) {
        let keys = keys.min(self.believed_left);
        self.believed_left -= keys;
        let each = keys / self.shards.len();
        for shard in &mut self.shards {
            if let Some(part) = shard.get_mut(db) {
                part.reserve(each);
            }
        }
    }

    /// Keys so far.
    pub fn keys(&self) -> usize {
        self.shards.iter().flatten().map(Db::len).sum()
    }

    pub fn finish(self) -> Dataset {
        Dataset {
            shards: self.shards,
        }
    }
}

impl Dataset {
    pub fn keys(&self) -> usize {
        self.shards.iter().flatten().map(Db::len).sum()
    }

    /// As something to be dropped elsewhere.
    pub fn into_dropped(self) -> Dropped {
        Dropped::from_dbs(self.shards.into_iter().flatten().collect())
    }
}

fn expiry(expire_at: Option<i64>) -> Expiry {
    expire_at.map_or(Expiry::Clear, Expiry::At)
}
