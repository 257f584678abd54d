//! Changes to many keys that are made in one step, with every shard entered.
//!
//! Whatever can be done before is: keys are hashed and sorted into shards, values are built. What is left is an exchange
//! of records; the misses of a few rows ahead are begun before each row's turn.

use super::db::Expiry;
use super::{Entered, Keyspace};
use crate::data::Value;
use crate::text::printable::printable;

/// What a key is to hold.
#[derive(Debug)]
pub(crate) struct NewState {
    pub(crate) value: Value,
    /// Unix time, ms.
    pub(crate) expire_at: Option<i64>,
    pub(crate) lru: u32,
}

#[derive(Debug)]
struct Row {
    db: usize,
    hash: u64,
    key: Box<[u8]>,
    /// None: it is to go.
    state: Option<NewState>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Patch {
    /// By shard.
    rows: Vec<Vec<Row>>,
}

/// What a key held before.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) db: usize,
    pub(crate) key: Box<[u8]>,
    pub(crate) expire_at: Option<i64>,
    pub(crate) value: Value,
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.value.as_ref().kind().name();
        write!(f, "db{} {} ({kind}", self.db, printable(&self.key))?;
        match self.expire_at {
            Some(at) => write!(f, ", expires at {at})"),
            None => f.write_str(")"),
        }
    }
}

/// So many rows are looked up ahead.
const AHEAD: usize = 16;

impl Patch {
    pub(crate) fn new(keyspace: &Keyspace) -> Patch {
        Patch {
            rows: (0..keyspace.shards()).map(|_| Vec::new()).collect(),
        }
    }

    /// A key that is to hold that, or (None) to go.
    pub(crate) fn add(
        &mut self,
        keyspace: &Keyspace,
        db: usize,
        key: Box<[u8]>,
        state: Option<NewState>,
    ) {
        let hash = keyspace.hash(&key);
        let shard = keyspace.shard_of(hash);
        self.rows[shard].push(Row {
            db,
            hash,
            key,
            state,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}

impl Entered<'_> {
    /// Makes the changes. Watchers are marked and keys with waiters become ready. What was there before comes back, for
    /// the caller to keep or to drop outside. Every shard must be entered.
    pub(crate) fn patch(&mut self, patch: Patch) -> Vec<Replaced> {
        debug_assert!(self.is_all());
        let mut replaced = Vec::with_capacity(patch.len());
        for (shard, rows) in self.iter_mut().zip(patch.rows) {
            let ahead: Vec<(usize, u64)> = rows.iter().map(|row| (row.db, row.hash)).collect();
            for (at, row) in rows.into_iter().enumerate() {
                // The first brings the first few on their way, each later one its successor.
                let (from, to) = if at == 0 {
                    (0, AHEAD)
                } else {
                    (at + AHEAD - 1, at + AHEAD)
                };
                for (db, hash) in ahead.iter().take(to).skip(from) {
                    if let Some(candidate) = shard.dbs[*db].candidate(*hash) {
                        candidate.prefetch();
                    }
                }
                let Row {
                    db,
                    hash,
                    key,
                    state,
                } = row;
                let part = &mut shard.dbs[db];
                let before = part.get(&key, hash).map(|entry| entry.expire_at);
                let value = before.and_then(|_| part.remove(&key, hash));
                let is_there = state.is_some();
                if let Some(state) = state {
                    let expiry = state.expire_at.map_or(Expiry::Clear, Expiry::At);
                    part.put(&key, hash, state.value, expiry, state.lru);
                }
                shard.touch(db, &key, hash);
                if is_there {
                    shard.signal_ready(db, &key);
                }
                if let (Some(expire_at), Some(value)) = (before, value) {
                    replaced.push(Replaced {
                        db,
                        key,
                        expire_at,
                        value,
                    });
                }
            }
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_change_and_go_in_one_step() {
        let keyspace = Keyspace::new(3, 2, 7);
        let mut builder = keyspace.builder();
        for n in 0..100 {
            builder.insert_string(n % 2, format!("k{n}").as_bytes(), b"old", Some(9), 0);
        }
        let mut entered = keyspace.enter(keyspace.all());
        drop(entered.replace(builder.finish(), 0));
        let mut patch = Patch::new(&keyspace);
        for n in 50..150 {
            let key = format!("k{n}").into_bytes().into();
            let state = (n % 3 != 0).then(|| NewState {
                value: Value::String(b"new".to_vec()),
                expire_at: None,
                lru: 0,
            });
            patch.add(&keyspace, n % 2, key, state);
        }
        let replaced = entered.patch(patch);
        assert_eq!(replaced.len(), 50);
        let was_old = |r: &Replaced| {
            matches!(&r.value, Value::String(text) if text == b"old") && r.expire_at == Some(9)
        };
        assert!(replaced.iter().all(was_old));
        for n in 0..150usize {
            let key = format!("k{n}");
            let hash = keyspace.hash(key.as_bytes());
            let entry = entered.shard(hash).dbs[n % 2].get(key.as_bytes(), hash);
            let held = entry.map(|entry| (entry.expire_at.is_some(), entry.value.to_value()));
            match (n, held) {
                (0..50, Some((true, Value::String(text)))) => assert_eq!(text, b"old"),
                (_, None) => assert!(n >= 50 && n % 3 == 0),
                (_, Some((false, Value::String(text)))) => assert_eq!(text, b"new"),
                (_, other) => panic!("{key}: {other:?}"),
            }
        }
    }
}
