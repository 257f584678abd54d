//! A segment: a small open-addressed table of the records whose hashes share a prefix.
//!
//! A slot is one word: 48 bits of the record's address, 15 bits of the key's hash (the *tag*), one bit
//! that a running snapshot marks entries with. The tag is all that the inner table hashes by, so it can be
//! rebuilt, ordered and scanned without touching records; only splitting needs the keys.
//!
//! Invariants: a slot owns its record; all hashes of a segment share its prefix; `next_expiry` is at or
//! before the earliest expiry among its records.

use std::ptr::NonNull;

use hashbrown::HashTable;

use super::db::{Entry, Expiry};
use super::record::{Body, Content, Record};
use crate::data::prefetch::prefetch;
use crate::data::{ValueMut, ValueRef};

/// Bits of the prefix by which segments are told apart, at most.
pub(super) const PREFIX_BITS: u32 = 26;
/// One past the last prefix.
pub(super) const PREFIX_END: u64 = 1 << PREFIX_BITS;
pub(super) const TAG_BITS: u32 = 15;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
/// Slots of the inner table at most (it may grow past that only at the longest prefix).
pub(super) const SLOTS_MAX: usize = 256;
/// What so many slots hold at most: hashbrown fills seven eighths.
pub(super) const FULL: usize = SLOTS_MAX / 8 * 7;
/// No expiry.
pub(super) const NEVER: i64 = i64::MAX;

const ADDRESS: u64 = (1 << 48) - 1;
const MARK: u64 = 1 << 48;

/// The prefix that a hash has, left-aligned in [`PREFIX_BITS`].
#[inline]
pub(super) fn prefix_of(hash: u64) -> u64 {
    hash >> (64 - PREFIX_BITS)
}

#[inline]
pub(super) fn tag_of(hash: u64) -> u64 {
    hash & TAG_MASK
}

/// What the inner table hashes by: hashbrown takes the low bits as the place and the top seven to compare.
#[inline]
pub(super) fn inner_hash(tag: u64) -> u64 {
    tag.rotate_right(7)
}

/// An owned record with its tag and mark.
pub(super) struct Slot(u64);

impl Slot {
    #[inline]
    fn new(record: Record, tag: u64, mark: bool) -> Slot {
        let address = record.into_body().ptr().as_ptr().expose_provenance() as u64;
        // User addresses have at most 47 bits, unless a process asks for more by hints to mmap.
        assert!(address & !ADDRESS == 0, "an address of more than 48 bits");
        Slot(address | (tag << 49) | if mark { MARK } else { 0 })
    }

    #[inline]
    pub(super) fn tag(&self) -> u64 {
        self.0 >> 49
    }

    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.0 & MARK != 0
    }

    #[inline]
    pub(super) fn set_mark(&mut self, mark: bool) {
        self.0 = (self.0 & !MARK) | if mark { MARK } else { 0 };
    }

    #[inline]
    pub(super) fn body(&self) -> Body {
        let ptr = std::ptr::with_exposed_provenance_mut((self.0 & ADDRESS) as usize);
        // SAFETY: a slot is made from a record's pointer, which isn't null.
        Body::new(unsafe { NonNull::new_unchecked(ptr) })
    }

    fn put(&mut self, body: Body) {
        let address = body.ptr().as_ptr().expose_provenance() as u64;
        assert!(address & !ADDRESS == 0, "an address of more than 48 bits");
        self.0 = (self.0 & !ADDRESS) | address;
    }

    /// Has the record brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self) {
        // Most records lie in one or two lines.
        let start = self.body().ptr().as_ptr().cast_const();
        prefetch(start);
        prefetch(start.wrapping_add(47));
    }

    /// Exchanges the record.
    pub(super) fn replace(&mut self, record: Record) -> Record {
        let old = self.body();
        self.put(record.into_body());
        // SAFETY: the slot owned it, and does no longer.
        unsafe { Record::from_body(old) }
    }

    pub(super) fn into_record(self) -> Record {
        let body = self.body();
        std::mem::forget(self);
        // SAFETY: the slot owned it and is gone.
        unsafe { Record::from_body(body) }
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        // SAFETY: the slot owns a live record, borrowed for as long as the slot is; likewise below.
        unsafe { self.body().key() }
    }

    #[inline]
    pub(super) fn entry(&self) -> Entry<'_> {
        // SAFETY: as for `key`.
        unsafe { self.body().entry() }
    }

    #[inline]
    pub(super) fn value(&self) -> ValueRef<'_> {
        // SAFETY: as for `key`.
        unsafe { self.body().value() }
    }

    #[inline]
    pub(super) fn expire_at(&self) -> Option<i64> {
        // SAFETY: as for `key`.
        unsafe { self.body().expire_at() }
    }

    /// The string's bytes, to be edited in place; None: it is an integer.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the slot owns a live record and is borrowed mutably.
        unsafe { self.body().bytes_mut() }
    }

    pub(super) fn value_mut(&mut self) -> ValueMut<'_> {
        // SAFETY: as for `key`; the slot is borrowed mutably.
        unsafe { self.body().value_mut() }
    }

    #[inline]
    pub(super) fn set_lru(&mut self, lru: u32) {
        // SAFETY: as for `value_mut`.
        unsafe { self.body().set_lru(lru) }
    }

    #[inline]
    pub(super) fn overwrite(&mut self, content: &Content<'_>, expiry: Expiry) -> bool {
        // SAFETY: as for `value_mut`.
        unsafe { self.body().overwrite(content, expiry) }
    }

    pub(super) fn set_expire(&mut self, at: Option<i64>) {
        // SAFETY: as for `value_mut`; where the old record was given back, the new one takes its place.
        unsafe {
            if !self.body().replace_expiry(at) {
                let record = self.body().with_expiry(at);
                self.put(record.into_body());
            }
        }
    }

    pub(super) fn edit(&mut self, f: &mut dyn FnMut(&mut Vec<u8>)) {
        // SAFETY: as for `set_expire`.
        unsafe {
            if let Some(record) = self.body().edit(f) {
                self.put(record.into_body());
            }
        }
    }

    /// A copy that shares what can be shared.
    pub(super) fn duplicate(&self) -> Record {
        // SAFETY: as for `key`.
        unsafe { self.body().duplicate() }
    }

    pub(super) fn memory(&self) -> usize {
        // SAFETY: as for `key`.
        unsafe { self.body().memory() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the slot owns its record.
        drop(unsafe { Record::from_body(self.body()) });
    }
}

/// See the file's head.
pub(super) struct Segment {
    pub(crate) table: HashTable<Slot>,
    /// A lower bound of the earliest expiry, unix ms; [`NEVER`].
    pub(crate) next_expiry: i64,
    /// The prefix that all hashes share, left-aligned in [`PREFIX_BITS`].
    pub(crate) prefix: u32,
    /// The snapshot to which the slots' marks belong; of any other they mean nothing.
    pub(crate) marked_for: u32,
    /// Length of the shared prefix, bits.
    pub(crate) depth: u8,
}

impl Segment {
    pub(super) fn new(prefix: u64, depth: u32, capacity: usize) -> Segment {
        Segment {
            table: HashTable::with_capacity(capacity),
            next_expiry: NEVER,
            prefix: prefix as u32,
            marked_for: 0,
            depth: depth as u8,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The first prefix after this segment's.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        u64::from(self.prefix) + (1 << (PREFIX_BITS - u32::from(self.depth)))
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<usize> {
        let tag = tag_of(hash);
        self.table.find_bucket_index(inner_hash(tag), |slot| {
            slot.tag() == tag && slot.key() == key
        })
    }

    /// The slot that most likely holds the key of a hash, found without looking at records.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u64) -> Option<&Slot> {
        let tag = tag_of(hash);
        self.table.find(inner_hash(tag), |slot| slot.tag() == tag)
    }

    /// Whether an insert needs the segment to be split first.
    #[inline]
    pub(super) fn must_split(&self) -> bool {
        self.table.len() == self.table.capacity()
            && self.table.num_buckets() >= SLOTS_MAX
            && u32::from(self.depth) < PREFIX_BITS
            && self.table.len() > FULL / 4 * 3
    }

    /// Adds a record that isn't there; the segment needn't be split.
    #[inline]
    pub(super) fn insert(&mut self, record: Record, hash: u64, mark: bool) -> usize {
        let tag = tag_of(hash);
        if self.table.len() == self.table.capacity() && self.table.num_buckets() >= SLOTS_MAX {
            // Removed entries have left their traces; without them there is room.
            self.rebuild((self.table.len() + 1).max(FULL));
        }
        let slot = Slot::new(record, tag, mark);
        self.table
            .insert_unique(inner_hash(tag), slot, |slot| inner_hash(slot.tag()))
            .bucket_index()
    }

    /// Moves all into a fresh inner table.
    #[cold]
    pub(super) fn rebuild(&mut self, capacity: usize) {
        let mut table = HashTable::with_capacity(capacity);
        for slot in self.table.drain() {
            let hash = inner_hash(slot.tag());
            table.insert_unique(hash, slot, |slot| inner_hash(slot.tag()));
        }
        self.table = table;
    }

    /// Takes over slots of records that belong here.
    pub(super) fn adopt(&mut self, slots: Vec<Slot>) {
        let needed = self.table.len() + slots.len();
        if self.table.capacity() < needed {
            self.rebuild(needed);
        }
        for slot in slots {
            let hash = inner_hash(slot.tag());
            self.table
                .insert_unique(hash, slot, |slot| inner_hash(slot.tag()));
        }
    }

    /// Takes a record out.
    #[inline]
    pub(super) fn remove(&mut self, bucket: usize) -> Option<Record> {
        let entry = self.table.get_bucket_entry(bucket).ok()?;
        Some(entry.remove().0.into_record())
    }

    /// Makes the slots' marks mean the snapshot `id`, all clear if they didn't.
    #[inline]
    pub(super) fn mark_for(&mut self, id: u32) {
        if self.marked_for != id {
            self.marked_for = id;
            for slot in self.table.iter_mut() {
                slot.set_mark(false);
            }
        }
    }
}
