//! The table of one database in one shard: extendible hashing over small segments.
//!
//! A directory of 2^depth places, indexed by the top bits of the hash, leads to segments of at most 224
//! records. A full segment splits in two by the next bit; two neighbours that got nearly empty merge. So
//! growing never moves more than one segment's slots at a time (the directory doubles by copying four
//! bytes per segment). Cursors, the snapshot's walk and the directory all go by rising prefix.
//!
//! Invariants: every place leads to the segment whose prefix it has; the segments' prefixes cover all
//! hashes without overlap; `len` counts the records of all segments and `expires` those with an expiry.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::KeyHasher;
use super::cut::Cut;
use super::db::Entry;
use super::record::Record;
use super::segment::{
    FULL, NEVER, PREFIX_BITS, PREFIX_END, SLOTS_MAX, Segment, Slot, TAG_BITS, prefix_of,
};
use crate::data::pieces;

/// A segment with this few records looks for a neighbour to merge with ...
const MERGE_BELOW: usize = FULL / 8;
/// ... and merges if they have at most this many together.
const MERGE_INTO: usize = FULL / 2;
/// Segments live in blocks, so that adding one never moves the others.
const BLOCK: usize = 64;
/// Entries of the queue of expiries that are dropped in one step because they no longer hold.
const STALE_MAX: usize = 256;
const DEPTH_COUNTS: usize = PREFIX_BITS as usize + 1;

/// Where a record is, until the table next changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: u32,
    bucket: u32,
}

/// See the file's head.
pub(super) struct Table {
    hasher: Arc<KeyHasher>,
    /// 2^depth segment numbers; empty until the first record comes.
    directory: Vec<u32>,
    depth: u32,
    blocks: Vec<Vec<Segment>>,
    /// Numbers of segments not in use.
    vacant: Vec<u32>,
    /// How many segments have each depth.
    depths: [u32; DEPTH_COUNTS],
    len: usize,
    expires: usize,
    /// (expiry bound, segment): a segment is to be looked at when its own bound is still that.
    due: BinaryHeap<Reverse<(i64, u32)>>,
    /// The snapshot that is walking this table.
    pub(crate) cut: Option<Box<Cut>>,
}

impl Drop for Table {
    fn drop(&mut self) {
        for segment in std::mem::take(&mut self.blocks).into_iter().flatten() {
            drop(segment);
            pieces::freed();
        }
    }
}

impl Table {
    pub(super) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    pub(super) fn new(hasher: Arc<KeyHasher>) -> Table {
        Table {
            hasher,
            directory: Vec::new(),
            depth: 0,
            blocks: Vec::new(),
            vacant: Vec::new(),
            depths: [0; DEPTH_COUNTS],
            len: 0,
            expires: 0,
            due: BinaryHeap::new(),
            cut: None,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn expires(&self) -> usize {
        self.expires
    }

    // ---- segments ----

    #[inline]
    fn segment(&self, number: u32) -> &Segment {
        &self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }

    #[inline]
    fn segment_mut(&mut self, number: u32) -> &mut Segment {
        &mut self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }

    /// The number of the segment for a prefix; the directory must not be empty.
    #[inline]
    fn number_at(&self, prefix: u64) -> u32 {
        self.directory[(prefix >> (PREFIX_BITS - self.depth)) as usize]
    }

    #[inline]
    fn number(&self, hash: u64) -> Option<u32> {
        if self.directory.is_empty() {
            return None;
        }
        Some(self.number_at(prefix_of(hash)))
    }

    /// The segment for a hash, made if the table has none.
    #[inline]
    fn number_or_first(&mut self, hash: u64) -> u32 {
        match self.number(hash) {
            Some(number) => number,
            None => {
                let number = self.add_segment(Segment::new(0, 0, 0));
                self.directory.push(number);
                number
            }
        }
    }

    fn add_segment(&mut self, segment: Segment) -> u32 {
        self.depths[usize::from(segment.depth)] += 1;
        if let Some(number) = self.vacant.pop() {
            *self.segment_mut(number) = segment;
            return number;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            let room = if self.blocks.is_empty() { 1 } else { BLOCK };
            self.blocks.push(Vec::with_capacity(room));
        }
        let block = self.blocks.len() - 1;
        self.blocks[block].push(segment);
        (block * BLOCK + self.blocks[block].len() - 1) as u32
    }

    /// The directory's places that lead to a segment.
    fn run(&self, segment: &Segment) -> std::ops::Range<usize> {
        let start = (segment.prefix >> (PREFIX_BITS - self.depth)) as usize;
        start..start + (1 << (self.depth - u32::from(segment.depth)))
    }

    #[cold]
    fn split(&mut self, number: u32) {
        let depth = u32::from(self.segment(number).depth);
        if depth == self.depth {
            self.double_directory();
        }
        let hasher = self.hasher.clone();
        let segment = self.segment_mut(number);
        let (prefix, marked_for, next_expiry) = (
            u64::from(segment.prefix),
            segment.marked_for,
            segment.next_expiry,
        );
        let old = std::mem::take(&mut segment.table);
        old.iter().for_each(Slot::prefetch);
        let bit = |slot: &Slot| hasher.hash(slot.key()) >> (63 - depth) & 1 == 1;
        let mut upper: Vec<Slot> = Vec::with_capacity(old.len());
        let mut lower: Vec<Slot> = Vec::with_capacity(old.len());
        for slot in old {
            if bit(&slot) {
                upper.push(slot);
            } else {
                lower.push(slot);
            }
        }
        let upper_prefix = prefix + (1 << (PREFIX_BITS - depth - 1));
        let fill = |mut half: Segment, slots: Vec<Slot>| {
            half.marked_for = marked_for;
            half.next_expiry = next_expiry;
            half.adopt(slots);
            half
        };
        let lower = fill(Segment::new(prefix, depth + 1, lower.len() + 1), lower);
        let upper = fill(
            Segment::new(upper_prefix, depth + 1, upper.len() + 1),
            upper,
        );
        self.depths[depth as usize] -= 1;
        self.depths[depth as usize + 1] += 1;
        *self.segment_mut(number) = lower;
        let second = self.add_segment(upper);
        if next_expiry != NEVER {
            self.due.push(Reverse((next_expiry, second)));
        }
        let run = self.run(self.segment(second));
        self.directory[run].fill(second);
    }

    fn double_directory(&mut self) {
        let mut doubled = Vec::with_capacity(self.directory.len() * 2);
        for &number in &self.directory {
            doubled.push(number);
            doubled.push(number);
        }
        self.directory = doubled;
        self.depth += 1;
    }

    /// After a removal: merges the segment with its neighbour if both are nearly empty.
    #[cold]
    fn tidy(&mut self, number: u32) {
        let segment = self.segment(number);
        let depth = u32::from(segment.depth);
        if depth == 0 {
            if self.len == 0 && self.cut.is_none() {
                self.clear_structure();
            } else {
                self.shrink_inner(number);
            }
            return;
        }
        let half = 1u32 << (PREFIX_BITS - depth);
        let neighbour = self.number_at(u64::from(segment.prefix ^ half));
        let other = self.segment(neighbour);
        let together = segment.len() + other.len();
        if u32::from(other.depth) != depth || together > MERGE_INTO {
            self.shrink_inner(number);
            return;
        }
        let (low, high) = if segment.prefix & half == 0 {
            (number, neighbour)
        } else {
            (neighbour, number)
        };
        if let Some(cut) = &self.cut {
            // The walk must not find a segment half walked.
            let border = u64::from(self.segment(high).prefix);
            if cut.position() == border {
                return;
            }
            let id = cut.id();
            self.segment_mut(low).mark_for(id);
            self.segment_mut(high).mark_for(id);
        }
        let vacated = Segment::new(0, 0, 0);
        let mut high_segment = std::mem::replace(self.segment_mut(high), vacated);
        let slots: Vec<Slot> = high_segment.table.drain().collect();
        let run = self.run(&high_segment);
        self.directory[run].fill(low);
        let merged = self.segment_mut(low);
        merged.depth -= 1;
        let bound = merged.next_expiry.min(high_segment.next_expiry);
        let earlier = bound < merged.next_expiry;
        merged.next_expiry = bound;
        if merged.marked_for != high_segment.marked_for {
            // No snapshot is running (else both were just set): the marks mean nothing.
            merged.marked_for = 0;
        }
        merged.adopt(slots);
        if earlier {
            self.due.push(Reverse((bound, low)));
        }
        self.vacant.push(high);
        self.depths[depth as usize] -= 2;
        self.depths[depth as usize - 1] += 1;
        self.shrink_directory();
        // Merging may have made room for more merging.
        if self.segment(low).len() <= MERGE_BELOW {
            self.tidy(low);
        }
    }

    /// Gives back the inner table's slack.
    fn shrink_inner(&mut self, number: u32) {
        let segment = self.segment_mut(number);
        let len = segment.len();
        if segment.table.num_buckets() > 16 && len * 8 <= segment.table.num_buckets() {
            segment.rebuild(len * 2);
        }
    }

    /// Halves the directory while it is four times larger than the deepest segment needs.
    fn shrink_directory(&mut self) {
        let deepest = self.depths.iter().rposition(|&n| n > 0).unwrap_or(0) as u32;
        if self.depth < deepest + 2 {
            return;
        }
        let step = 1usize << (self.depth - deepest - 1);
        self.directory = self.directory.iter().copied().step_by(step).collect();
        self.depth = deepest + 1;
    }

    fn clear_structure(&mut self) {
        self.directory = Vec::new();
        self.depth = 0;
        self.blocks = Vec::new();
        self.vacant = Vec::new();
        self.depths = [0; DEPTH_COUNTS];
        self.due = BinaryHeap::new();
    }

    /// Makes room for so many records at once, for loading. Only an empty table takes it.
    pub(super) fn reserve(&mut self, records: usize) {
        if !self.directory.is_empty() || records <= FULL {
            return;
        }
        // As many as splitting would lead to, at most three quarters full on average, and each with room for
        // its part: growing later would read every record's key again.
        let wanted = records.div_ceil(FULL / 4 * 3).next_power_of_two();
        let depth = wanted.ilog2().min(PREFIX_BITS);
        let each = (records >> depth).min(FULL / 4 * 3);
        self.depth = depth;
        for prefix in 0..1u64 << depth {
            let prefix = prefix << (PREFIX_BITS - depth);
            let segment = Segment::new(prefix, depth, each + each / 8);
            let number = self.add_segment(segment);
            self.directory.push(number);
        }
    }

    // ---- records ----

    #[inline]
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<Place> {
        let segment = self.number(hash)?;
        let bucket = self.segment(segment).find(key, hash)? as u32;
        Some(Place { segment, bucket })
    }

    /// The slot that most likely holds the key of a hash, found without looking at records.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u64) -> Option<&Slot> {
        self.segment(self.number(hash)?).candidate(hash)
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> &Slot {
        self.segment(place.segment)
            .table
            .get_bucket(place.bucket as usize)
            .unwrap_or_else(|| unreachable!("a place is used before the table changes"))
    }

    /// For changes that a snapshot doesn't mind (access stamps), or after [`Table::protect`].
    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut Slot {
        self.segment_mut(place.segment)
            .table
            .get_bucket_mut(place.bucket as usize)
            .unwrap_or_else(|| unreachable!("a place is used before the table changes"))
    }

    /// Before a record changes: a running snapshot that hasn't walked it keeps it as it is now.
    #[inline]
    pub(super) fn protect(&mut self, place: Place) {
        if self.cut.is_some() {
            self.save(place);
        }
    }

    /// As `protect`, for a record that is about to be replaced or removed: tells whether the old record
    /// itself is to be handed to [`Table::keep`].
    #[inline]
    fn claims(&mut self, place: Place) -> bool {
        self.cut.is_some() && self.claim(place)
    }

    #[cold]
    fn save(&mut self, place: Place) {
        if self.claim(place) {
            let copy = self.slot(place).duplicate();
            self.keep(copy);
        }
    }

    /// Whether the running snapshot still needs the record; marks it as taken care of.
    #[cold]
    fn claim(&mut self, place: Place) -> bool {
        let Some(cut) = &self.cut else {
            return false;
        };
        if cut.is_abandoned() {
            self.cut = None;
            return false;
        }
        let (id, position) = (cut.id(), cut.position());
        let segment = self.segment_mut(place.segment);
        if u64::from(segment.prefix) < position {
            return false;
        }
        segment.mark_for(id);
        let slot = self.slot_mut(place);
        let unsaved = !slot.is_marked();
        slot.set_mark(true);
        unsaved
    }

    fn keep(&mut self, record: Record) {
        if let Some(cut) = &mut self.cut {
            cut.keep(record);
        }
    }

    /// Adds a record whose key isn't there.
    pub(super) fn insert(&mut self, record: Record, hash: u64) -> Place {
        let mut number = self.number_or_first(hash);
        while self.segment(number).must_split() {
            self.split(number);
            number = self.number_or_first(hash);
        }
        let expire_at = record.expire_at();
        let mark = match &self.cut {
            // What is new in a segment still to be walked isn't part of the snapshot.
            Some(cut) if u64::from(self.segment(number).prefix) >= cut.position() => {
                let id = cut.id();
                self.segment_mut(number).mark_for(id);
                true
            }
            _ => false,
        };
        let bucket = self.segment_mut(number).insert(record, hash, mark) as u32;
        self.len += 1;
        if let Some(at) = expire_at {
            self.expires += 1;
            self.note_expiry(number, at);
        }
        Place {
            segment: number,
            bucket,
        }
    }

    /// Exchanges a record for another of the same key; the old one, unless a snapshot takes it.
    pub(super) fn replace(&mut self, place: Place, record: Record) -> Option<Record> {
        let claimed = self.claims(place);
        let expire_at = record.expire_at();
        let old = self.slot_mut(place).replace(record);
        self.expires -= usize::from(old.expire_at().is_some());
        if let Some(at) = expire_at {
            self.expires += 1;
            self.note_expiry(place.segment, at);
        }
        if claimed {
            self.keep(old);
            return None;
        }
        Some(old)
    }

    /// Removes a record; it, unless a snapshot takes it (then a copy that shares what can be shared).
    pub(super) fn remove(&mut self, place: Place, wants_it: bool) -> Option<Record> {
        let claimed = self.claims(place);
        let segment = self.segment_mut(place.segment);
        let record = segment.remove(place.bucket as usize)?;
        let left = segment.len();
        self.len -= 1;
        self.expires -= usize::from(record.expire_at().is_some());
        if left <= MERGE_BELOW {
            self.tidy(place.segment);
        }
        if !claimed {
            return Some(record);
        }
        let copy = wants_it.then(|| {
            // SAFETY: the record is live and owned here.
            unsafe { record.body().duplicate() }
        });
        self.keep(record);
        copy
    }

    /// Sets or clears a record's expiry.
    pub(super) fn set_expire(&mut self, place: Place, at: Option<i64>) {
        self.protect(place);
        let slot = self.slot_mut(place);
        let before = slot.expire_at();
        slot.set_expire(at);
        self.expires -= usize::from(before.is_some());
        if let Some(at) = at {
            self.expires += 1;
            self.note_expiry(place.segment, at);
        }
    }

    /// A record's expiry was changed in place from one moment to another.
    #[inline]
    pub(super) fn note_moved_expiry(&mut self, place: Place) {
        if let Some(at) = self.slot(place).expire_at() {
            self.note_expiry(place.segment, at);
        }
    }

    // ---- expiry ----

    #[inline]
    fn note_expiry(&mut self, number: u32, at: i64) {
        let segment = self.segment_mut(number);
        if at < segment.next_expiry {
            segment.next_expiry = at;
            self.due.push(Reverse((at, number)));
            if self.due.len() > 64 + 4 * self.blocks.len() * BLOCK {
                self.rebuild_due();
            }
        }
    }

    /// Drops the queue's stale entries.
    #[cold]
    fn rebuild_due(&mut self) {
        let mut fresh = Vec::new();
        for (block, segments) in self.blocks.iter().enumerate() {
            for (i, segment) in segments.iter().enumerate() {
                if segment.next_expiry != NEVER {
                    fresh.push(Reverse((segment.next_expiry, (block * BLOCK + i) as u32)));
                }
            }
        }
        self.due = BinaryHeap::from(fresh);
    }

    /// The earliest moment at which something may be due.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Opens the segment that has been due longest and removes what is expired in it (`expire_at` before
    /// `now_ms`), at most `limit` records. `reopen_ms` per record with an expiry that stays: how long the
    /// segment is then left alone at least. False: nothing is due.
    pub(super) fn expire_segment(
        &mut self,
        now_ms: i64,
        limit: usize,
        reopen_ms: i64,
        expired: &mut dyn FnMut(Record),
    ) -> bool {
        let mut stale = 0;
        let number = loop {
            match self.due.peek() {
                // A hundred thousand at once would be 20 ms inside the shard.
                Some(_) if stale == STALE_MAX => return true,
                Some(&Reverse((at, number))) if at < now_ms => {
                    self.due.pop();
                    stale += 1;
                    let number_ok = (number as usize) < self.blocks.len() * BLOCK;
                    if number_ok && self.bound_of(number) == Some(at) {
                        break number;
                    }
                }
                _ => return false,
            }
        };
        let mut earliest = NEVER;
        let mut staying = 0;
        let mut dead: Vec<u32> = Vec::new();
        let segment = self.segment(number);
        segment.table.iter().for_each(Slot::prefetch);
        for bucket in 0..segment.table.num_buckets() {
            let Some(slot) = segment.table.get_bucket(bucket) else {
                continue;
            };
            if let Some(at) = slot.expire_at() {
                if at < now_ms && dead.len() < limit {
                    dead.push(bucket as u32);
                } else {
                    earliest = earliest.min(at);
                    staying += 1;
                }
            }
        }
        for bucket in dead {
            let place = Place {
                segment: number,
                bucket,
            };
            let claimed = self.claims(place);
            let Some(record) = self.segment_mut(number).remove(bucket as usize) else {
                continue;
            };
            self.len -= 1;
            self.expires -= 1;
            if claimed {
                // SAFETY: the record is live and owned here.
                expired(unsafe { record.body().duplicate() });
                self.keep(record);
            } else {
                expired(record);
            }
        }
        // Segments full of records that expire one by one are looked at in batches.
        if earliest != NEVER && earliest >= now_ms {
            earliest = earliest.max(now_ms + reopen_ms * staying);
        }
        let segment = self.segment_mut(number);
        segment.next_expiry = earliest;
        let left = segment.len();
        if earliest != NEVER {
            self.due.push(Reverse((earliest, number)));
        }
        if left <= MERGE_BELOW {
            self.tidy(number);
        }
        true
    }

    fn bound_of(&self, number: u32) -> Option<i64> {
        let block = self.blocks.get(number as usize / BLOCK)?;
        Some(block.get(number as usize % BLOCK)?.next_expiry)
    }

    // ---- going through ----

    /// The segment that holds a prefix.
    pub(super) fn segment_at(&self, prefix: u64) -> Option<&Segment> {
        if self.directory.is_empty() || prefix >= PREFIX_END {
            return None;
        }
        Some(self.segment(self.number_at(prefix)))
    }

    pub(super) fn segment_at_mut(&mut self, prefix: u64) -> Option<&mut Segment> {
        if self.directory.is_empty() || prefix >= PREFIX_END {
            return None;
        }
        let number = self.number_at(prefix);
        Some(self.segment_mut(number))
    }

    /// Every segment, by rising prefix.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        let mut prefix = 0;
        std::iter::from_fn(move || {
            let segment = self.segment_at(prefix)?;
            prefix = segment.end();
            Some(segment)
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.segments()
            .flat_map(|segment| segment.table.iter().map(Slot::entry))
    }

    /// A SCAN step, see [`super::Db::scan`]. A cursor is a segment's depth and prefix and the first tag
    /// not yet seen in it. A segment that has split since is a stretch of segments, of which the first
    /// goes on at the tag; one that has merged since begins anew.
    pub(super) fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Entry<'_>)) -> u64 {
        let mut cursor = Cursor::from(cursor);
        let mut left = count.max(1);
        loop {
            let Some(segment) = self.segment_at(cursor.prefix) else {
                return 0;
            };
            if segment.depth < cursor.depth {
                cursor.tag = 0;
            }
            cursor.depth = segment.depth;
            cursor.prefix = u64::from(segment.prefix);
            let unseen = |slot: &&Slot| slot.tag() >= cursor.tag;
            let mut tags: smallvec::SmallVec<[u16; SLOTS_MAX]> = segment
                .table
                .iter()
                .filter(unseen)
                .map(|slot| slot.tag() as u16)
                .collect();
            if tags.len() > left {
                // The `left` lowest tags (and their equals) are this step's.
                let (_, last, _) = tags.select_nth_unstable(left - 1);
                let last = u64::from(*last);
                for slot in segment.table.iter().filter(unseen) {
                    if slot.tag() <= last {
                        f(slot.entry());
                    }
                }
                cursor.tag = last + 1;
                if cursor.tag < 1 << TAG_BITS {
                    return cursor.into();
                }
                left = 0;
            } else {
                for slot in segment.table.iter().filter(unseen) {
                    f(slot.entry());
                }
                left -= tags.len();
            }
            cursor = Cursor {
                depth: 0,
                prefix: segment.end(),
                tag: 0,
            };
            if cursor.prefix >= PREFIX_END {
                return 0;
            }
            if left == 0 {
                return cursor.into();
            }
        }
    }

    /// A record, each with the same chance.
    pub(super) fn random(&self, rng: &mut fastrand::Rng) -> Option<Entry<'_>> {
        if self.len == 0 {
            return None;
        }
        let segments = (self.blocks.len() - 1) * BLOCK + self.blocks.last().map_or(0, Vec::len);
        let slots = if segments == 1 {
            self.segment(0).table.num_buckets()
        } else {
            SLOTS_MAX
        };
        // A throw hits with a chance of a tenth at worst, but for tables that were nearly emptied.
        for _ in 0..1000 {
            let segment = self.segment(rng.u32(..segments as u32));
            if let Some(slot) = segment.table.get_bucket(rng.usize(..slots)) {
                return Some(slot.entry());
            }
        }
        let start = rng.usize(..segments);
        (0..segments)
            .map(|i| self.segment(((start + i) % segments) as u32))
            .find_map(|segment| segment.table.iter().next())
            .map(Slot::entry)
    }

    /// Bytes of the structure itself, without the records.
    #[cfg(test)]
    pub(super) fn overhead(&self) -> usize {
        let inner: usize = self
            .segments()
            .map(|segment| segment.table.allocation_size())
            .sum();
        self.directory.capacity() * 4
            + self.blocks.len() * BLOCK * size_of::<Segment>()
            + self.due.capacity() * 16
            + inner
    }
}

/// A SCAN cursor taken apart: 5 bits of depth, 26 of prefix, 15 of tag.
#[derive(Clone, Copy)]
struct Cursor {
    depth: u8,
    prefix: u64,
    tag: u64,
}

impl From<u64> for Cursor {
    fn from(cursor: u64) -> Cursor {
        Cursor {
            tag: cursor & ((1 << TAG_BITS) - 1),
            prefix: (cursor >> TAG_BITS) & (PREFIX_END - 1),
            depth: (cursor >> (TAG_BITS + PREFIX_BITS) & 31) as u8,
        }
    }
}

impl From<Cursor> for u64 {
    fn from(cursor: Cursor) -> u64 {
        (u64::from(cursor.depth) << (TAG_BITS + PREFIX_BITS))
            | (cursor.prefix << TAG_BITS)
            | cursor.tag
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len)
            .field("expires", &self.expires)
            .field("depth", &self.depth)
            .field("cut", &self.cut.is_some())
            .finish_non_exhaustive()
    }
}
