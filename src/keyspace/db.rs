//! One database's part in one shard: the table behind the words that commands use.

use std::sync::Arc;

use super::KeyHasher;
use super::fields_due::FieldsDue;
use super::record::{Content, Record};
use super::segment::Slot;
use super::table::{Place, Table};
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
    pub(crate) value: ValueRef<'a>,
    /// Unix time, milliseconds.
    pub(crate) expire_at: Option<i64>,
    /// Seconds of Redis's LRU clock or LFU counters (24 bits), see `maxmemory-policy`.
    pub(crate) lru: u32,
    /// A string that was edited in place (APPEND, SETRANGE) and is "raw" to OBJECT ENCODING.
    pub(crate) raw: bool,
}

impl Entry<'_> {
    /// The name OBJECT ENCODING gives.
    pub(crate) fn encoding(&self) -> &'static str {
        if self.raw {
            "raw"
        } else {
            self.value.encoding()
        }
    }

    /// Whether the key's time has come: Redis lets a key live through the millisecond it names.
    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.expire_at.is_some_and(|at| at < now_ms)
    }
}

/// A record that may be that of some key, see [`Db::candidate`].
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a>(&'a Slot);

impl<'a> Candidate<'a> {
    /// Begins to bring the record into the cache.
    #[inline]
    pub(crate) fn prefetch(self) {
        self.0.prefetch();
    }

    /// What it holds. Reads the record.
    #[inline]
    pub(crate) fn value(self) -> ValueRef<'a> {
        self.0.value()
    }
}

/// What setting a key did.
#[derive(Debug)]
pub enum Put {
    /// The key was not there.
    New,
    /// It was, and what it held is gone.
    Over,
    /// It was, and what it held is the caller's to drop.
    Replaced(Record),
}

/// One database of one shard. Every method that changes an entry first gives a running snapshot its
/// pre-image. Nothing here knows the time: logical expiry is the caller's.
#[derive(Debug)]
pub struct Db {
    pub(super) table: Table,
    fields_due: FieldsDue,
}

impl Db {
    pub(super) fn new(hasher: &Arc<KeyHasher>) -> Db {
        Db::of(Table::new(hasher.clone()))
    }

    /// A database of these records alone, on its way out.
    pub(super) fn of(table: Table) -> Db {
        Db {
            table,
            fields_due: FieldsDue::default(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many keys have an expiry.
    pub(crate) fn expires(&self) -> usize {
        self.table.expires()
    }

    /// Where a key's record is, until the database next changes.
    #[inline]
    pub(crate) fn locate(&self, key: &[u8], hash: u64) -> Option<Place> {
        self.table.find(key, hash)
    }

    /// The record that most likely is that of the key with this hash, found without looking at records:
    /// for prefetching a pipeline's keys before its commands run one by one.
    #[inline(always)]
    pub(crate) fn candidate(&self, hash: u64) -> Option<Candidate<'_>> {
        self.table.candidate(hash).map(Candidate)
    }

    /// The entry at a place that [`Db::locate`] gave.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> Entry<'_> {
        self.table.slot(place).entry()
    }

    #[inline]
    pub fn get(&self, key: &[u8], hash: u64) -> Option<Entry<'_>> {
        Some(self.at(self.locate(key, hash)?))
    }

    /// Stamps the record's LRU/LFU field.
    pub(crate) fn stamp(&mut self, key: &[u8], hash: u64, lru: u32) {
        if let Some(place) = self.table.find(key, hash) {
            self.stamp_at(place, lru);
        }
    }

    #[inline]
    pub(crate) fn stamp_at(&mut self, place: Place, lru: u32) {
        self.table.slot_mut(place).set_lru(lru);
    }

    /// For changing a collection in place.
    pub(crate) fn get_mut(&mut self, key: &[u8], hash: u64) -> Option<ValueMut<'_>> {
        let place = self.table.find(key, hash)?;
        Some(self.at_mut(place))
    }

    /// As `get_mut`, at a place that [`Db::locate`] gave.
    #[inline]
    pub(crate) fn at_mut(&mut self, place: Place) -> ValueMut<'_> {
        self.table.protect(place);
        self.table.slot_mut(place).value_mut()
    }

    /// Sets (adds or overwrites) a string; integers are recognised. `lru`: the record's access stamp.
    #[inline]
    pub fn put_string(
        &mut self,
        key: &[u8],
        hash: u64,
        value: &[u8],
        expiry: Expiry,
        lru: u32,
    ) -> Put {
        let place = self.locate(key, hash);
        self.put_content(place, key, hash, Content::string(value), expiry, lru)
    }

    /// As `put_string`, where [`Db::locate`] has just been asked: `place` is its answer.
    #[inline]
    pub(crate) fn put_string_at(
        &mut self,
        place: Option<Place>,
        key: &[u8],
        hash: u64,
        value: &[u8],
        expiry: Expiry,
        lru: u32,
    ) -> Put {
        self.put_content(place, key, hash, Content::string(value), expiry, lru)
    }

    /// As `put_string_at`, of an integer's text; keeps the expiry.
    #[inline]
    pub(crate) fn put_integer_at(
        &mut self,
        place: Option<Place>,
        key: &[u8],
        hash: u64,
        value: i64,
        lru: u32,
    ) -> Put {
        let content = Content::Integer(value);
        self.put_content(place, key, hash, content, Expiry::Keep, lru)
    }

    /// Sets (adds or overwrites) any value. `lru`: the record's access stamp.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        hash: u64,
        mut value: Value,
        expiry: Expiry,
        lru: u32,
    ) -> Put {
        let place = self.locate(key, hash);
        let fields_expire = matches!(&value, Value::Hash(hash) if hash.expiring_fields() > 0);
        let put = self.put_content(place, key, hash, Content::value(&mut value), expiry, lru);
        if fields_expire {
            self.note_fields(key, hash);
        }
        put
    }

    #[inline]
    fn put_content(
        &mut self,
        place: Option<Place>,
        key: &[u8],
        hash: u64,
        content: Content<'_>,
        expiry: Expiry,
        lru: u32,
    ) -> Put {
        let Some(place) = place else {
            let expire_at = match expiry {
                Expiry::At(at) => Some(at),
                Expiry::Keep | Expiry::Clear => None,
            };
            self.table
                .insert(Record::new(key, lru, expire_at, content), hash);
            return Put::New;
        };
        // While a snapshot runs, replacing costs less than copying first: the old record is what it needs.
        if self.table.cut.is_none() {
            let slot = self.table.slot_mut(place);
            if slot.overwrite(&content, expiry) {
                slot.set_lru(lru);
                if let Expiry::At(_) = expiry {
                    self.table.note_moved_expiry(place);
                }
                return Put::Over;
            }
        }
        let expire_at = match expiry {
            Expiry::At(at) => Some(at),
            Expiry::Clear => None,
            Expiry::Keep => self.table.slot(place).expire_at(),
        };
        let record = Record::new(key, lru, expire_at, content);
        match self.table.replace(place, record) {
            Some(old) if old.is_large() => Put::Replaced(old),
            _ => Put::Over,
        }
    }

    /// As `put_string`, for whoever keeps no access stamps.
    pub fn set_string(&mut self, key: &[u8], hash: u64, value: &[u8], expiry: Expiry) {
        self.put_string(key, hash, value, expiry, 0);
    }

    /// As `put`, for whoever keeps no access stamps. True if the key was new.
    #[cfg(test)]
    pub(crate) fn set(&mut self, key: &[u8], hash: u64, value: Value, expiry: Expiry) -> bool {
        matches!(self.put(key, hash, value, expiry, 0), Put::New)
    }

    /// Changes a string's bytes in place (APPEND, SETRANGE), creating it empty if absent. Growth is
    /// amortised for strings that are appended to repeatedly. The key must hold a string or nothing; an
    /// integer becomes its text, and the result is text even if it spells an integer, as in Redis.
    pub(crate) fn edit_string(
        &mut self,
        key: &[u8],
        hash: u64,
        lru: u32,
        f: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Put {
        if let Some(place) = self.table.find(key, hash) {
            self.table.protect(place);
            self.table.slot_mut(place).edit(f);
            return Put::Over;
        }
        let mut bytes = Vec::new();
        f(&mut bytes);
        self.table
            .insert(Record::edited(key, lru, None, bytes), hash);
        Put::New
    }

    /// The bytes of the string at a place that [`Db::locate`] gave, to be changed where they are, as `edit_string` does
    /// if their number is to change. None: the key holds an integer, or no string.
    #[inline]
    pub(crate) fn bytes_at_mut(&mut self, place: Place) -> Option<&mut [u8]> {
        self.table.protect(place);
        self.table.slot_mut(place).bytes_mut()
    }

    /// Notes when the fields of the hash at `key` are to be looked at: to be called whenever one may expire earlier than
    /// all did before. A hash that comes in by `put` is noted there.
    pub(crate) fn note_fields(&mut self, key: &[u8], hash: u64) {
        let earliest = self.earliest_field(key, hash);
        let Some(earliest) = earliest else {
            return self.fields_due.forget(key);
        };
        if self.fields_due.note(key, earliest) {
            // Two old notes for each new one: so those that nothing stands behind stay few.
            for _ in 0..2 {
                if let Some(other) = self.fields_due.next_to_check()
                    && (self.earliest_field(&other, self.table.hasher().hash(&other))).is_none()
                {
                    self.fields_due.forget(&other);
                }
            }
        }
    }

    /// At or before the earliest moment of a field of the hash at `key`; None: there is no such hash.
    fn earliest_field(&self, key: &[u8], hash: u64) -> Option<i64> {
        match self.get(key, hash)?.value {
            ValueRef::Hash(fields) if fields.expiring_fields() > 0 => {
                Some(fields.earliest_moment())
            }
            _ => None,
        }
    }

    /// A hash that may have a field whose moment is before `now_ms`, the one that has been due longest.
    pub(crate) fn due_hash(&self, now_ms: i64) -> Option<Vec<u8>> {
        let (moment, key) = self.fields_due.first()?;
        (moment < now_ms).then(|| key.to_vec())
    }

    /// About how many hashes have fields that expire.
    pub(crate) fn expiring_hashes(&self) -> usize {
        self.fields_due.len()
    }

    /// Says to the hash at a place what time it is, see [`Hash::look_at`](crate::data::Hash). No change to a snapshot.
    pub(crate) fn look_at_fields(&mut self, place: Place, now_ms: i64) {
        if let ValueMut::Hash(fields) = self.table.slot_mut(place).value_mut() {
            fields.look_at(now_ms);
        }
    }

    /// Removes the key and gives what it held.
    pub(crate) fn remove(&mut self, key: &[u8], hash: u64) -> Option<Value> {
        let place = self.table.find(key, hash)?;
        Some(self.table.remove(place, true)?.into_value())
    }

    /// Removes the key: None if it wasn't there, else its record, for the caller to drop (or nothing, if
    /// a snapshot has taken it).
    #[inline]
    pub(crate) fn unlink(&mut self, key: &[u8], hash: u64) -> Option<Option<Record>> {
        let place = self.table.find(key, hash)?;
        Some(self.table.remove(place, false))
    }

    /// Removes without looking at the value. True if it was there.
    pub(crate) fn delete(&mut self, key: &[u8], hash: u64) -> bool {
        self.unlink(key, hash).is_some()
    }

    /// Sets or clears the expiry (unix ms). False if the key is absent.
    pub(crate) fn set_expire(&mut self, key: &[u8], hash: u64, at: Option<i64>) -> bool {
        let Some(place) = self.table.find(key, hash) else {
            return false;
        };
        self.table.set_expire(place, at);
        true
    }

    /// SCAN step over this shard's part: calls `f` for entries from `cursor` on, about `count` of them
    /// (never more than one extra but for equal hash bits); the next cursor, 0 at the end. Every key that
    /// stays from start to end is seen at least once. Cursors take 46 bits.
    pub fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Entry<'_>)) -> u64 {
        self.table.scan(cursor, count, f)
    }

    /// A key, each with the same chance.
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<Entry<'_>> {
        self.table.random(rng)
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Entry<'_>> + '_> {
        Box::new(self.table.iter())
    }

    /// The earliest moment (unix ms) at which a key may be due to expire; a lower bound.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.table.next_due()
    }

    /// Removes expired records from the one segment that has been due longest, at most `limit`. False:
    /// nothing is due. See `Shard::expire_step`.
    pub(crate) fn expire_segment(
        &mut self,
        now_ms: i64,
        limit: usize,
        reopen_ms: i64,
        expired: &mut dyn FnMut(Record),
    ) -> bool {
        self.table.expire_segment(now_ms, limit, reopen_ms, expired)
    }

    /// Makes room for loading so many keys. Only while the database is empty.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.table.reserve(keys);
    }

    /// Estimated bytes held for a key: record plus value (MEMORY USAGE).
    pub(crate) fn memory(&self, key: &[u8], hash: u64) -> Option<usize> {
        let place = self.table.find(key, hash)?;
        // A slot and its control byte, at the usual fill.
        const SLOT: usize = 14;
        Some(self.table.slot(place).memory() + SLOT)
    }

    /// Bytes held by the table's structure, without records.
    #[cfg(test)]
    pub(crate) fn overhead(&self) -> usize {
        self.table.overhead()
    }
}
