//! One database's part in one shard.

use hashbrown::HashMap;

use super::KeyHasher;
use crate::data::string::parse_int;
use crate::data::{StrRef, Value, ValueMut, ValueRef};

/// What setting a value does to the key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Keep,
    Clear,
    /// Unix time, milliseconds.
    At(i64),
}

/// A key's record, looked at.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub key: &'a [u8],
    pub value: ValueRef<'a>,
    /// Unix time, milliseconds.
    pub expire_at: Option<i64>,
    /// Seconds of Redis's LRU clock or LFU counters (24 bits), see `maxmemory-policy`.
    pub lru: u32,
}

/// What setting a key did.
#[derive(Debug)]
pub enum Put {
    /// The key was not there.
    New,
    /// It was, and what it held was small or is gone.
    Over,
    /// It was, and what it held is the caller's to drop.
    Replaced(Value),
}

#[derive(Debug)]
enum Held {
    Int(i64),
    Value(Value),
}

#[derive(Debug)]
struct Record {
    held: Held,
    expire_at: Option<i64>,
    lru: u32,
}

/// One database of one shard. Every method that changes an entry first gives a running snapshot its
/// pre-image. Nothing here knows the time: logical expiry is the caller's.
#[derive(Debug, Default)]
pub struct Db {
    map: HashMap<Box<[u8]>, Record>,
    expires: usize,
}

fn hold(value: Value) -> Held {
    match value {
        Value::String(s) => match parse_int(&s) {
            Some(n) => Held::Int(n),
            None => Held::Value(Value::String(s)),
        },
        other => Held::Value(other),
    }
}

fn entry<'a>(key: &'a [u8], record: &'a Record) -> Entry<'a> {
    Entry {
        key,
        value: match &record.held {
            Held::Int(n) => ValueRef::String(StrRef::Int(*n)),
            Held::Value(Value::String(s)) => ValueRef::String(StrRef::Bytes(s)),
            Held::Value(Value::List(v)) => ValueRef::List(v),
            Held::Value(Value::Set(v)) => ValueRef::Set(v),
            Held::Value(Value::Hash(v)) => ValueRef::Hash(v),
            Held::Value(Value::Zset(v)) => ValueRef::Zset(v),
        },
        expire_at: record.expire_at,
        lru: record.lru,
    }
}

#[allow(unused_variables)]
impl Db {
    pub(super) fn new(hasher: &KeyHasher) -> Db {
        Db::default()
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have an expiry.
    pub fn expires(&self) -> usize {
        self.expires
    }

    pub fn get(&self, key: &[u8], hash: u64) -> Option<Entry<'_>> {
        self.map.get_key_value(key).map(|(k, r)| entry(k, r))
    }

    /// Stamps the record's LRU/LFU field.
    pub fn stamp(&mut self, key: &[u8], hash: u64, lru: u32) {
        if let Some(r) = self.map.get_mut(key) {
            r.lru = lru;
        }
    }

    /// For changing a collection in place.
    pub fn get_mut(&mut self, key: &[u8], hash: u64) -> Option<ValueMut<'_>> {
        self.map.get_mut(key).map(|r| match &mut r.held {
            Held::Int(n) => ValueMut::String(StrRef::Int(*n)),
            Held::Value(Value::String(s)) => ValueMut::String(StrRef::Bytes(s)),
            Held::Value(Value::List(v)) => ValueMut::List(v),
            Held::Value(Value::Set(v)) => ValueMut::Set(v),
            Held::Value(Value::Hash(v)) => ValueMut::Hash(v),
            Held::Value(Value::Zset(v)) => ValueMut::Zset(v),
        })
    }

    /// Sets (adds or overwrites) a string; integers are recognised. `lru`: a new record's access stamp.
    pub fn put_string(
        &mut self,
        key: &[u8],
        hash: u64,
        value: &[u8],
        expiry: Expiry,
        lru: u32,
    ) -> Put {
        self.put(key, hash, Value::String(value.to_vec()), expiry, lru)
    }

    /// Sets (adds or overwrites) any value. `lru`: a new record's access stamp.
    pub fn put(&mut self, key: &[u8], hash: u64, value: Value, expiry: Expiry, lru: u32) -> Put {
        let held = hold(value);
        let expire_at = |old: Option<i64>| match expiry {
            Expiry::Keep => old,
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        };
        match self.map.get_mut(key) {
            Some(r) => {
                let new = expire_at(r.expire_at);
                self.expires -= usize::from(r.expire_at.is_some());
                self.expires += usize::from(new.is_some());
                r.expire_at = new;
                match std::mem::replace(&mut r.held, held) {
                    Held::Int(_) => Put::Over,
                    Held::Value(old) => Put::Replaced(old),
                }
            }
            None => {
                let expire_at = expire_at(None);
                self.expires += usize::from(expire_at.is_some());
                self.map.insert(
                    key.into(),
                    Record {
                        held,
                        expire_at,
                        lru,
                    },
                );
                Put::New
            }
        }
    }

    /// As `put_string`, for whoever keeps no access stamps.
    pub fn set_string(&mut self, key: &[u8], hash: u64, value: &[u8], expiry: Expiry) {
        self.put_string(key, hash, value, expiry, 0);
    }

    /// As `put`, for whoever keeps no access stamps. True if the key was new.
    pub fn set(&mut self, key: &[u8], hash: u64, value: Value, expiry: Expiry) -> bool {
        matches!(self.put(key, hash, value, expiry, 0), Put::New)
    }

    /// Changes a string's bytes in place (APPEND, SETRANGE), creating it empty if absent. Growth is
    /// amortised for strings that are appended to repeatedly. The key must hold a string or nothing.
    pub fn edit_string(
        &mut self,
        key: &[u8],
        hash: u64,
        lru: u32,
        f: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Put {
        let mut bytes = match self.get(key, hash).map(|e| e.value) {
            Some(ValueRef::String(s)) => s.to_vec(),
            _ => Vec::new(),
        };
        f(&mut bytes);
        self.put(key, hash, Value::String(bytes), Expiry::Keep, lru)
    }

    /// Removes the key; what it held is dropped by the caller (so large ones can be freed elsewhere).
    pub fn remove(&mut self, key: &[u8], hash: u64) -> Option<Value> {
        let record = self.map.remove(key)?;
        self.expires -= usize::from(record.expire_at.is_some());
        Some(match record.held {
            Held::Int(n) => Value::String(n.to_string().into_bytes()),
            Held::Value(v) => v,
        })
    }

    /// Removes without looking at the value. True if it was there.
    pub fn delete(&mut self, key: &[u8], hash: u64) -> bool {
        self.remove(key, hash).is_some()
    }

    /// Sets or clears the expiry (unix ms). False if the key is absent.
    pub fn set_expire(&mut self, key: &[u8], hash: u64, at: Option<i64>) -> bool {
        let Some(r) = self.map.get_mut(key) else {
            return false;
        };
        self.expires -= usize::from(r.expire_at.is_some());
        self.expires += usize::from(at.is_some());
        r.expire_at = at;
        true
    }

    /// SCAN step over this shard's part: calls `f` for entries from `cursor` on, about `count` of them; the
    /// next cursor, 0 at the end. Every key that stays from start to end is seen at least once.
    pub fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Entry<'_>)) -> u64 {
        self.iter().for_each(f);
        0
    }

    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<Entry<'_>> {
        if self.is_empty() {
            return None;
        }
        self.map
            .iter()
            .nth(rng.usize(..self.len()))
            .map(|(k, r)| entry(k, r))
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = Entry<'_>> + '_> {
        Box::new(self.map.iter().map(|(k, r)| entry(k, r)))
    }

    /// Up to `limit` keys whose expiry is at or before `now_ms` (active expiry).
    pub fn expired(&mut self, now_ms: i64, limit: usize) -> Vec<Vec<u8>> {
        self.map
            .iter()
            .filter(|(_, r)| r.expire_at.is_some_and(|at| at <= now_ms))
            .take(limit)
            .map(|(k, _)| k.to_vec())
            .collect()
    }

    /// Estimated bytes held for a key: record plus value (MEMORY USAGE).
    pub fn memory(&self, key: &[u8], hash: u64) -> Option<usize> {
        self.get(key, hash).map(|e| e.key.len() + 64)
    }
}
