//! One database's part in one shard. (being written)

use crate::data::{Value, ValueMut, ValueRef};

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

/// One database of one shard. Every method that changes an entry first gives a running snapshot its
/// pre-image. Nothing here knows the time: logical expiry is the caller's.
#[derive(Debug, Default)]
pub struct Db {}

#[allow(unused_variables)]
impl Db {
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How many keys have an expiry.
    pub fn expires(&self) -> usize {
        todo!()
    }
    pub fn get(&self, key: &[u8], hash: u64) -> Option<Entry<'_>> {
        todo!()
    }
    /// Stamps the record's LRU/LFU field.
    pub fn stamp(&mut self, key: &[u8], hash: u64, lru: u32) {
        todo!()
    }
    /// For changing a collection in place.
    pub fn get_mut(&mut self, key: &[u8], hash: u64) -> Option<ValueMut<'_>> {
        todo!()
    }
    /// Sets (adds or overwrites) a string; integers are recognised.
    pub fn set_string(&mut self, key: &[u8], hash: u64, value: &[u8], expiry: Expiry) {
        todo!()
    }
    /// Sets (adds or overwrites) any value. True if the key was new.
    pub fn set(&mut self, key: &[u8], hash: u64, value: Value, expiry: Expiry) -> bool {
        todo!()
    }
    /// Changes a string's bytes in place (APPEND, SETRANGE), creating it empty if absent. Growth is
    /// amortised for strings that are appended to repeatedly. The key must hold a string or nothing.
    pub fn edit_string(&mut self, key: &[u8], hash: u64, f: &mut dyn FnMut(&mut Vec<u8>)) {
        todo!()
    }
    /// Removes the key; what it held is dropped by the caller (so large ones can be freed elsewhere).
    pub fn remove(&mut self, key: &[u8], hash: u64) -> Option<Value> {
        todo!()
    }
    /// Removes without looking at the value. True if it was there.
    pub fn delete(&mut self, key: &[u8], hash: u64) -> bool {
        todo!()
    }
    /// Sets or clears the expiry (unix ms). False if the key is absent.
    pub fn set_expire(&mut self, key: &[u8], hash: u64, at: Option<i64>) -> bool {
        todo!()
    }
    /// SCAN step over this shard's part: calls `f` for entries from `cursor` on, about `count` of them; the
    /// next cursor, 0 at the end. Every key that stays from start to end is seen at least once.
    pub fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Entry<'_>)) -> u64 {
        todo!()
    }
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<Entry<'_>> {
        todo!()
    }
    pub fn iter(&self) -> Box<dyn Iterator<Item = Entry<'_>> + '_> {
        todo!()
    }
    /// Up to `limit` keys whose expiry is at or before `now_ms` (active expiry).
    pub fn expired(&mut self, now_ms: i64, limit: usize) -> Vec<Vec<u8>> {
        todo!()
    }
    /// Estimated bytes held for a key: record plus value (MEMORY USAGE).
    pub fn memory(&self, key: &[u8], hash: u64) -> Option<usize> {
        todo!()
    }
}
