//! How a key is looked up: logical expiry, hit and miss counts, access stamps. The private half of
//! [`Context`].
//!
//! An expired key is absent to whoever looks. On a master it is also deleted on the spot, with a DEL (or
//! UNLINK) effect before the running command's own; on a replica that is left to the master. Our
//! master's own commands see the key as it is: expiry is the master's decision.

use crate::command::Context;
use crate::command::context::EventClass;
use crate::data::{StrRef, Value, ValueMut, ValueRef};
use crate::keyspace::{Db, Entry, Expiry, Place, Put, Record, is_large};
use crate::rdb::usage;
use crate::session::Origin;
use crate::table::{CommandError, CommandResult};

/// Where a lookup found a key.
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct Found {
    pub(crate) shard: usize,
    pub(crate) hash: u64,
    /// Good until the database next changes.
    pub(crate) place: Place,
}

/// What a lookup is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct Look {
    /// Counts a hit or a miss.
    counts: bool,
    /// Sends the event of a miss.
    tells: bool,
    /// Stamps the access time or frequency.
    stamps: bool,
    /// A write is to come: on a replica that accepts writes, expired keys really go.
    write: bool,
}

impl Look {
    pub(in crate::command) const READ: Look = Look {
        counts: true,
        tells: true,
        stamps: true,
        write: false,
    };
    pub(in crate::command) const GLANCE: Look = Look {
        counts: true,
        tells: true,
        stamps: false,
        write: false,
    };
    pub(in crate::command) const INSPECT: Look = Look {
        counts: true,
        tells: false,
        stamps: false,
        write: false,
    };
    pub(in crate::command) const PEEK: Look = Look {
        counts: false,
        tells: false,
        stamps: false,
        write: false,
    };
    pub(in crate::command) const WRITE: Look = Look {
        counts: false,
        tells: false,
        stamps: true,
        write: true,
    };
}

/// What becomes of a key whose time has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is seen all the same.
    Seen,
    /// It is not seen, but stays.
    Hidden,
    Deleted,
}

impl Context<'_> {
    pub(in crate::command) fn db_mut(&mut self, hash: u64) -> &mut Db {
        let db = self.session.db;
        &mut self.keys.shard_mut(hash).dbs[db]
    }

    pub(in crate::command) fn lookup(&mut self, key: &[u8], look: Look) -> Option<Entry<'_>> {
        let found = self.look(key, look)?;
        Some(self.keys.at(found.shard).dbs[self.session.db].at(found.place))
    }

    /// Does all that a lookup does beside giving the value: where the record is, if it is there to be seen.
    #[inline]
    pub(in crate::command) fn look(&mut self, key: &[u8], look: Look) -> Option<Found> {
        let keyspace = self.keys.keyspace();
        let hash = keyspace.hash(key);
        let shard = keyspace.shard_of(hash);
        let db = &mut self.keys.at_mut(shard).dbs[self.session.db];
        let Some(place) = db.locate(key, hash) else {
            return self.missed(key, look);
        };
        let entry = db.at(place);
        let lru = entry.lru;
        let fields_due =
            matches!(entry.value, ValueRef::Hash(fields) if fields.earliest_moment() < self.now_ms);
        if entry.is_expired(self.now_ms) && self.expire(key, hash, look) {
            return self.missed(key, look);
        }
        if fields_due && !self.settle_fields(key, Found { shard, hash, place }, look) {
            return self.missed(key, look);
        }
        if look.counts {
            self.hits += 1;
        }
        if look.stamps && !self.session.no_touch {
            let stamp = self.stamp(lru);
            if stamp != lru {
                self.keys.at_mut(shard).dbs[self.session.db].stamp_at(place, stamp);
            }
        }
        Some(Found { shard, hash, place })
    }

    #[cold]
    fn missed(&mut self, key: &[u8], look: Look) -> Option<Found> {
        if look.counts {
            self.misses += 1;
        }
        if look.tells {
            self.notify(EventClass::KeyMiss, "keymiss", key);
        }
        None
    }

    fn fate(&self, look: Look) -> Fate {
        let replica = self.node.hub.is_replica();
        if matches!(self.session.origin, Origin::Replay) {
            return Fate::Seen;
        }
        if replica {
            if self.session.origin == Origin::Master {
                return Fate::Seen;
            }
            if !look.write || self.settings.replica_read_only {
                return Fate::Hidden;
            }
        }
        if self.node.pause.holds_expiry(self.now_ms) {
            return Fate::Hidden;
        }
        Fate::Deleted
    }

    /// A key was found past its time. Whether it is to be treated as absent.
    #[cold]
    pub(in crate::command) fn expire(&mut self, key: &[u8], hash: u64, look: Look) -> bool {
        match self.fate(look) {
            Fate::Seen => return false,
            Fate::Hidden => return true,
            Fate::Deleted => {}
        }
        if let Some(Some(old)) = self.db_mut(hash).unlink(key, hash) {
            self.discard_record(old);
        }
        self.propagate_expired(key);
        true
    }

    /// Fields of a hash were found past their moment. False: the key went with the last of them.
    #[cold]
    fn settle_fields(&mut self, key: &[u8], found: Found, look: Look) -> bool {
        let seen_ms = match self.fate(look) {
            Fate::Seen => i64::MIN,
            Fate::Hidden => self.now_ms,
            Fate::Deleted => {
                if !self.expire_fields(key, found) {
                    return false;
                }
                self.now_ms
            }
        };
        let db = self.session.db;
        self.keys.at_mut(found.shard).dbs[db].look_at_fields(found.place, seen_ms);
        true
    }

    /// Deletes fields whose moment has passed, some hundred at most, and tells everyone. False: the key went with the
    /// last of them.
    pub(in crate::command) fn expire_fields(&mut self, key: &[u8], found: Found) -> bool {
        const FIELDS_MAX: usize = 128;
        let (db, now_ms) = (self.session.db, self.now_ms);
        let part = &mut self.keys.at_mut(found.shard).dbs[db];
        let ValueMut::Hash(fields) = part.at_mut(found.place) else {
            return true;
        };
        let mut gone: Vec<Vec<u8>> = Vec::new();
        fields.take_due(now_ms, FIELDS_MAX, &mut |field| gone.push(field.to_vec()));
        let is_empty = fields.is_empty();
        if is_empty {
            part.delete(key, found.hash);
        }
        part.note_fields(key, found.hash);
        if gone.is_empty() {
            return true;
        }
        self.touch(key);
        self.notify(EventClass::Hash, "hexpired", key);
        if is_empty {
            self.notify(EventClass::Generic, "del", key);
        }
        let mut effect: Vec<&[u8]> = vec![b"HDEL", key];
        effect.extend(gone.iter().map(Vec::as_slice));
        self.effects.always(&effect);
        !is_empty
    }

    /// Fields of the hash at `key` may expire earlier than before.
    pub(in crate::command) fn note_fields(&mut self, key: &[u8]) {
        let hash = self.keys.keyspace().hash(key);
        self.db_mut(hash).note_fields(key, hash);
    }

    /// A key got an expiry: on a writable replica nobody but us will look after it.
    pub(in crate::command) fn note_expiry(&mut self, key: &[u8], at_ms: i64) {
        if self.node.hub.is_replica() && self.session.origin == Origin::Client {
            self.node.own_expiries.remember(self.session.db, key, at_ms);
        }
    }

    /// Tells everyone that a key was removed because its time had come.
    pub(in crate::command) fn propagate_expired(&mut self, key: &[u8]) {
        self.node.stats.expired_keys.inc();
        self.notify(EventClass::Expired, "expired", key);
        self.touch(key);
        let name: &[u8] = if self.settings.lazyfree_lazy_expire {
            b"UNLINK"
        } else {
            b"DEL"
        };
        self.effects.always(&[name, key]);
    }

    /// The collection at `key`, made if absent. Where it is there, one lookup does.
    pub(in crate::command) fn make(
        &mut self,
        key: &[u8],
        new: impl FnOnce() -> Value,
    ) -> Option<ValueMut<'_>> {
        let db = self.session.db;
        if let Some(found) = self.look(key, Look::WRITE) {
            return Some(self.keys.at_mut(found.shard).dbs[db].at_mut(found.place));
        }
        let hash = self.keys.keyspace().hash(key);
        let lru = self.first_stamp();
        let put = self.db_mut(hash).put(key, hash, new(), Expiry::Clear, lru);
        self.settle(key, put);
        self.db_mut(hash).get_mut(key, hash)
    }

    /// Where the string is that is to be changed; None: the key is absent.
    #[inline]
    pub(in crate::command) fn string_to_change(
        &mut self,
        key: &[u8],
    ) -> CommandResult<Option<Found>> {
        self.string_for(key, Look::WRITE)
    }

    /// Where a string is; None: the key is absent.
    #[inline]
    pub(in crate::command) fn string_for(
        &mut self,
        key: &[u8],
        look: Look,
    ) -> CommandResult<Option<Found>> {
        let Some(found) = self.look(key, look) else {
            return Ok(None);
        };
        match self.keys.at(found.shard).dbs[self.session.db]
            .at(found.place)
            .value
        {
            ValueRef::String(_) => Ok(Some(found)),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }

    /// The string that has just been found.
    #[inline]
    pub(in crate::command) fn string_at(&self, found: Found) -> StrRef<'_> {
        match self.keys.at(found.shard).dbs[self.session.db]
            .at(found.place)
            .value
        {
            ValueRef::String(text) => text,
            _ => StrRef::Bytes(b""),
        }
    }

    /// The bytes of the string that has just been found, to be changed but not in number; None: it is an integer.
    #[inline]
    pub(in crate::command) fn bytes_at(&mut self, found: Found) -> Option<&mut [u8]> {
        let db = self.session.db;
        self.keys.at_mut(found.shard).dbs[db].bytes_at_mut(found.place)
    }

    /// After a key was set: tells of a new one, drops what an old one held.
    pub(in crate::command) fn settle(&mut self, key: &[u8], put: Put) {
        match put {
            Put::New => self.notify(EventClass::New, "new", key),
            Put::Over => {}
            Put::Replaced(old) => self.discard_record(old),
        }
    }

    /// Drops a value taken out of the keyspace, in the background if that may take long.
    pub(in crate::command) fn discard(&self, value: Value) {
        if is_large(value.as_ref()) {
            self.node.lazyfree.push(Box::new(value));
        }
    }

    /// As `discard`, for a key's whole record.
    pub(in crate::command) fn discard_record(&self, record: Record) {
        if record.is_large() {
            self.node.lazyfree.push(Box::new(record));
        }
    }

    /// The access stamp of a new key.
    pub(in crate::command) fn first_stamp(&self) -> u32 {
        usage::first(self.settings.maxmemory_policy, self.now_ms)
    }

    /// The access stamp of a key that is looked at, from its last.
    fn stamp(&self, last: u32) -> u32 {
        if self.settings.maxmemory_policy.is_lfu() {
            let decayed = lfu::decay(last, self.minutes(), self.settings.lfu_decay_time);
            let counter = lfu::increment(decayed, self.settings.lfu_log_factor, || {
                self.node.clock.random()
            });
            (self.minutes() << 8) | counter
        } else {
            usage::lru_now(self.now_ms)
        }
    }

    /// The LFU clock: minutes, 16 bits.
    fn minutes(&self) -> u32 {
        ((self.now_ms / 60_000) & 0xffff) as u32
    }
}

/// Access frequencies as Redis counts them: an 8-bit logarithmic counter that decays by the minute.
pub(in crate::command) mod lfu {
    pub(crate) use crate::rdb::usage::LFU_FIRST as FIRST;

    /// The counter after the minutes that have passed; `decay_time`: minutes per step, 0 never.
    pub(crate) fn decay(stamp: u32, now_minutes: u32, decay_time: u32) -> u32 {
        let (then, counter) = (stamp >> 8, stamp & 0xff);
        let elapsed = now_minutes.wrapping_sub(then) & 0xffff;
        let steps = elapsed.checked_div(decay_time).unwrap_or(0);
        counter.saturating_sub(steps)
    }

    /// One more access: the fuller the counter, the less likely it moves.
    pub(crate) fn increment(counter: u32, log_factor: u32, random: impl FnOnce() -> u64) -> u32 {
        if counter >= 255 {
            return 255;
        }
        let base = f64::from(counter.saturating_sub(FIRST));
        let chance = 1.0 / (base * f64::from(log_factor) + 1.0);
        let roll = (random() >> 11) as f64 / (1u64 << 53) as f64;
        if roll < chance { counter + 1 } else { counter }
    }

    #[cfg(test)]
    mod tests {
        use super::{decay, increment};

        #[test]
        fn counters_grow_rarely_and_decay_by_the_minute() {
            assert_eq!(decay(100 << 8 | 10, 103, 1), 7);
            assert_eq!(decay(100 << 8 | 10, 103, 0), 10);
            assert_eq!(decay(0xffff << 8 | 3, 1, 1), 1);
            assert_eq!(increment(5, 10, || 0), 6);
            assert_eq!(increment(200, 10, || u64::MAX), 200);
            assert_eq!(increment(255, 10, || 0), 255);
        }
    }
}
