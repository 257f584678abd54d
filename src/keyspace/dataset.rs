//! A whole dataset built aside (an RDB load, a full sync), to be swapped in at one stroke.
//!
//! The builder has the shape of the keyspace it is for: the same shards, databases and hash, so that each
//! key goes straight to its place and the swap is an exchange of tables.

use std::sync::Arc;

use super::db::{Db, Entry, Expiry};
use super::entering::shard_of;
use super::{Entered, KeyHasher};
use crate::data::Value;

/// Databases of every shard, being filled.
#[derive(Debug)]
pub struct DatasetBuilder {
    hasher: Arc<KeyHasher>,
    databases: usize,
    /// By shard, then database.
    shards: Vec<Vec<Db>>,
    /// For how many more announced keys room may be reserved.
    reservation_left: usize,
}

/// Most keys that room is reserved for before they have come, some 15 bytes each.
const RESERVATION_MAX: usize = 1 << 22;

/// Strings on their way into a builder together, so that their places are looked up with the cache misses
/// overlapping: in a large table that is most of what an insertion costs. Reusable.
#[derive(Debug, Default)]
pub(crate) struct StringBatch {
    /// Keys and values, one after another.
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    db: usize,
    hash: u64,
    /// Where the key begins, where the value does, and where it ends.
    key: usize,
    value: usize,
    end: usize,
    expire_at: Option<i64>,
    lru: u32,
}

impl StringBatch {
    /// So many strings are enough for their misses to overlap.
    const ROWS: usize = 32;
    const BYTES: usize = 32 << 10;

    pub(crate) fn push(
        &mut self,
        db: usize,
        key: &[u8],
        value: &[u8],
        expire_at: Option<i64>,
        lru: u32,
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.rows.push(Row {
            db,
            hash: 0,
            key: start,
            value: start + key.len(),
            end: self.bytes.len(),
            expire_at,
            lru,
        });
    }

    /// Whether it is to be inserted now. Strings of more than a few KB are better inserted directly.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= Self::ROWS || self.bytes.len() >= Self::BYTES
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A filled dataset.
#[derive(Debug, Default)]
#[must_use = "dropping it here frees it here; large ones belong on another thread"]
pub(crate) struct Dataset {
    pub(super) shards: Vec<Vec<Db>>,
}

impl DatasetBuilder {
    pub(super) fn new(shards: usize, databases: usize, hasher: &Arc<KeyHasher>) -> DatasetBuilder {
        let dbs = || (0..databases).map(|_| Db::new(hasher)).collect();
        DatasetBuilder {
            hasher: hasher.clone(),
            databases,
            shards: (0..shards).map(|_| dbs()).collect(),
            reservation_left: RESERVATION_MAX,
        }
    }

    pub(crate) fn databases(&self) -> usize {
        self.databases
    }

    fn part(&mut self, db: usize, key: &[u8]) -> (&mut Db, u64) {
        let hash = self.hasher.hash(key);
        let shard = shard_of(hash, self.shards.len());
        (&mut self.shards[shard][db], hash)
    }

    /// Adds a key. False if it was there already (it is overwritten).
    pub(crate) fn insert(
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
    pub(crate) fn insert_string(
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

    /// Adds a batch's strings and empties it. A key that was there already (and is overwritten) is an error
    /// that gives it.
    pub(crate) fn insert_batch(&mut self, batch: &mut StringBatch) -> Result<(), Vec<u8>> {
        let shards = self.shards.len();
        for row in &mut batch.rows {
            row.hash = self.hasher.hash(&batch.bytes[row.key..row.value]);
            let part = &self.shards[shard_of(row.hash, shards)][row.db];
            if let Some(candidate) = part.candidate(row.hash) {
                candidate.prefetch();
            }
        }
        let mut twice = None;
        for row in batch.rows.drain(..) {
            let part = &mut self.shards[shard_of(row.hash, shards)][row.db];
            let key = &batch.bytes[row.key..row.value];
            let value = &batch.bytes[row.value..row.end];
            let put = part.put_string(key, row.hash, value, expiry(row.expire_at), row.lru);
            if !matches!(put, super::Put::New) {
                twice.get_or_insert_with(|| key.to_vec());
            }
        }
        batch.bytes.clear();
        match twice {
            None => Ok(()),
            Some(key) => Err(key),
        }
    }

    /// How many keys are to come in a database: a hint that spares growing. Bounded over all databases, since it is
    /// an unchecked hint.
    pub(crate) fn reserve(&mut self, db: usize, keys: usize) {
        let keys = keys.min(self.reservation_left);
        self.reservation_left -= keys;
        let each = keys / self.shards.len();
        for shard in &mut self.shards {
            if let Some(part) = shard.get_mut(db) {
                part.reserve(each);
            }
        }
    }

    /// Keys so far.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.shards.iter().flatten().map(Db::len).sum()
    }

    pub(crate) fn finish(self) -> Dataset {
        Dataset {
            shards: self.shards,
        }
    }
}

impl Dataset {
    /// A key's record, in the shard of that index.
    pub(crate) fn get(&self, shard: usize, db: usize, key: &[u8], hash: u64) -> Option<Entry<'_>> {
        self.shards.get(shard)?.get(db)?.get(key, hash)
    }

    pub(crate) fn keys(&self) -> usize {
        self.shards.iter().flatten().map(Db::len).sum()
    }
}

impl Entered<'_> {
    /// Adds a dataset's keys to what is there. A key of both is the dataset's if `overwrite`; else it is an
    /// error that names it, and nothing has changed. Watchers are marked and keys with waiters become ready.
    /// What was overwritten is the caller's to drop. Every shard must be entered.
    pub(crate) fn merge(
        &mut self,
        dataset: Dataset,
        overwrite: bool,
    ) -> Result<Vec<Value>, Vec<u8>> {
        debug_assert!(self.is_all());
        let hasher = self.keyspace().hasher();
        if !overwrite {
            for (shard, fresh) in self.iter().zip(&dataset.shards) {
                for (there, part) in shard.dbs.iter().zip(fresh) {
                    let both = |key: &&[u8]| there.locate(key, hasher.hash(key)).is_some();
                    if let Some(key) = part.iter().map(|entry| entry.key).find(both) {
                        return Err(key.to_vec());
                    }
                }
            }
        }
        let mut old = Vec::new();
        for (shard, fresh) in self.iter_mut().zip(dataset.shards) {
            for (db, mut part) in fresh.into_iter().enumerate() {
                let rows: Vec<_> = part
                    .iter()
                    .map(|entry| (entry.key.to_vec(), entry.expire_at, entry.lru))
                    .collect();
                for (key, expire_at, lru) in rows {
                    let hash = hasher.hash(&key);
                    let Some(value) = part.remove(&key, hash) else {
                        continue;
                    };
                    old.extend(shard.dbs[db].remove(&key, hash));
                    shard.dbs[db].put(&key, hash, value, expiry(expire_at), lru);
                    shard.touch(db, &key, hash);
                    shard.signal_ready(db, &key);
                }
            }
        }
        Ok(old)
    }
}

fn expiry(expire_at: Option<i64>) -> Expiry {
    expire_at.map_or(Expiry::Clear, Expiry::At)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;

    #[test]
    fn merging_adds_to_what_is_there() {
        let keyspace = Keyspace::new(3, 2, 7);
        let filled = |keys: &[&str], expire_at| {
            let mut builder = keyspace.builder();
            for key in keys {
                builder.insert_string(1, key.as_bytes(), key.as_bytes(), expire_at, 9);
            }
            builder.finish()
        };
        let mut entered = keyspace.enter(keyspace.all());
        drop(entered.replace(filled(&["a", "b"], Some(5)), 0));
        let refused = entered.merge(filled(&["c", "b"], None), false);
        assert_eq!(refused.map(|_| ()), Err(b"b".to_vec()));
        assert_eq!(entered.len(1), 2, "nothing was added");
        let old = entered
            .merge(filled(&["c", "b"], None), true)
            .expect("allowed");
        assert_eq!((old.len(), entered.len(1), entered.len(0)), (1, 3, 0));
        for (key, expires) in [("a", true), ("b", false), ("c", false)] {
            let hash = keyspace.hash(key.as_bytes());
            let entry = entered.shard(hash).dbs[1].get(key.as_bytes(), hash);
            let entry = entry.expect("the key is there");
            assert_eq!((entry.expire_at.is_some(), entry.lru), (expires, 9));
        }
    }

    #[test]
    fn batches_go_where_single_strings_go() {
        let keyspace = Keyspace::new(3, 2, 7);
        let mut builder = keyspace.builder();
        builder.reserve(1, 500);
        let mut batch = StringBatch::default();
        for i in 0..1000usize {
            let (key, value) = (format!("key:{i}"), "v".repeat(i % 90));
            let expire_at = (i % 3 == 0).then_some(1_000_000 + i as i64);
            batch.push(i % 2, key.as_bytes(), value.as_bytes(), expire_at, 5);
            if batch.is_full() {
                builder.insert_batch(&mut batch).expect("all keys differ");
                assert!(batch.is_empty());
            }
        }
        builder.insert_batch(&mut batch).expect("all keys differ");
        assert_eq!(builder.keys(), 1000);
        batch.push(0, b"twin", b"a", None, 0);
        batch.push(0, b"twin", b"b", None, 0);
        assert_eq!(builder.insert_batch(&mut batch), Err(b"twin".to_vec()));

        let mut entered = keyspace.enter(keyspace.all());
        drop(entered.replace(builder.finish(), 0));
        for i in 0..1000usize {
            let key = format!("key:{i}");
            let hash = keyspace.hash(key.as_bytes());
            let entry = entered.shard(hash).dbs[i % 2].get(key.as_bytes(), hash);
            let entry = entry.expect("the key is there");
            assert_eq!(entry.expire_at.is_some(), i % 3 == 0);
            assert_eq!(entry.lru, 5);
            let crate::data::ValueRef::String(value) = entry.value else {
                panic!("a string");
            };
            assert_eq!(value.len(), i % 90);
        }
    }
}
