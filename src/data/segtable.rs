//! A hash table of any size whose single steps are small: growing moves a few dozen entries, cloning
//! copies a directory, and a write into a shared clone copies one segment.
//!
//! Two levels of extendible hashing by the hash's top bits. The root's directory leads to *chunks*; a
//! chunk's directory (at most 256 places) leads to *segments* of up to [`MAX_ENTRIES`] entries. A full
//! segment splits by the next bit of the hash; a chunk whose directory can't double splits in turn. Chunks
//! and segments are reference-counted and copied on write when shared. A table of 10 million entries has
//! about a thousand chunks, so `clone()` takes microseconds.
//!
//! The table knows neither hash nor equality: callers give the hash (all 64 bits should be good: the top
//! ones direct, the low eight are the tag) and closures. Removing merges neighbours, so memory follows.
//!
//! Invariants: every place of a directory leads to the segment (chunk) whose depth's worth of bits it
//! shares; segments (chunks) of depth d fill an aligned run of 2^(bits-d) places.

use std::sync::Arc;

use smallvec::SmallVec;

use super::prefetch::Probe;
use super::segment::Segment;

/// A segment splits when it would hold more.
pub(crate) const MAX_ENTRIES: usize = 64;
/// A segment looks for a neighbour to merge with when this few are left, and merges into at most twice that.
const MERGE_BELOW: usize = 16;
/// Bits of a chunk's directory at most.
const CHUNK_BITS: u8 = 8;
/// Bits of the root's directory at most; past that segments grow beyond `MAX_ENTRIES`. 2^20 chunks hold
/// some 10^10 entries, so that a good hash never gets here and a bad one costs time only.
const ROOT_BITS: u8 = 20;
/// Chunks merge when they have at most this many segments together.
const MERGE_SEGMENTS: usize = 64;

/// The most entries that a table takes room for in advance: a false count costs at most some tens of
/// megabytes.
const PRESIZED_MAX: usize = 1 << 22;

/// The place in a directory of `bits` bits for a hash whose first `skip` bits are used up.
#[inline]
fn place(hash: u64, skip: u8, bits: u8) -> usize {
    if bits == 0 {
        0
    } else {
        ((hash << skip) >> (64 - bits)) as usize
    }
}

#[inline]
fn tag(hash: u64) -> u8 {
    hash as u8
}

struct Chunk<T> {
    /// How many top bits of the hash all entries share.
    depth: u8,
    /// The directory's first 2^bits places are in use.
    bits: u8,
    directory: [u8; 1 << CHUNK_BITS],
    segments: Vec<Segment<T>>,
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Chunk {
            depth: self.depth,
            bits: self.bits,
            directory: self.directory,
            segments: self.segments.clone(),
        }
    }
}

impl<T> Chunk<T> {
    fn new(depth: u8) -> Chunk<T> {
        Chunk {
            depth,
            bits: 0,
            directory: [0; 1 << CHUNK_BITS],
            segments: vec![Segment::new(depth, 1)],
        }
    }

    /// A chunk of `2^bits` empty segments, each with room for so many entries.
    fn presized(depth: u8, bits: u8, room: usize) -> Chunk<T> {
        let mut directory = [0; 1 << CHUNK_BITS];
        for (i, place) in directory.iter_mut().enumerate().take(1 << bits) {
            *place = i as u8;
        }
        Chunk {
            depth,
            bits,
            directory,
            segments: (0..1 << bits)
                .map(|_| Segment::new(depth + bits, room))
                .collect(),
        }
    }

    #[inline]
    fn segment_index(&self, hash: u64) -> usize {
        usize::from(self.directory[place(hash, self.depth, self.bits)])
    }

    /// The run of places that lead to the segment of this hash, which has this depth.
    fn run(&self, hash: u64, depth: u8) -> std::ops::Range<usize> {
        let len = 1usize << (self.depth + self.bits - depth);
        let start = place(hash, self.depth, self.bits) & !(len - 1);
        start..start + len
    }

    fn double_directory(&mut self) {
        debug_assert!(self.bits < CHUNK_BITS);
        for i in (0..1usize << self.bits).rev() {
            let segment = self.directory[i];
            self.directory[2 * i] = segment;
            self.directory[2 * i + 1] = segment;
        }
        self.bits += 1;
    }

    /// Makes the directory as small as the deepest segment allows.
    fn shrink_directory(&mut self) {
        let depths = self.segments.iter().map(Segment::depth);
        let deepest = depths.max().unwrap_or(self.depth) - self.depth;
        let by = self.bits - deepest;
        for i in 0..1usize << deepest {
            self.directory[i] = self.directory[i << by];
        }
        self.bits = deepest;
        self.segments.shrink_to(2 * self.segments.len());
    }

    /// Bytes of memory held, without what the entries point to.
    fn memory(&self) -> usize {
        let segments: usize = self.segments.iter().map(Segment::memory).sum();
        size_of::<Chunk<T>>() + 16 + self.segments.capacity() * 8 + segments
    }
}

impl<T: Clone> Chunk<T> {
    /// Splits the segment of this hash in two by its next bit. The directory must have a place for both.
    fn split_segment(&mut self, hash: u64, hash_of: &impl Fn(&T) -> u64) {
        let index = self.segment_index(hash);
        let depth = self.segments[index].depth();
        let upper = {
            let run = self.run(hash, depth);
            run.start + run.len() / 2..run.end
        };
        let bit = 63 - depth;
        let mut segment = self.segments[index].make_mut();
        // All hashes first: their loads don't depend on one another, so the misses overlap.
        let goes: SmallVec<[bool; MAX_ENTRIES]> = segment
            .entries()
            .iter()
            .map(|entry| hash_of(entry) >> bit & 1 == 1)
            .collect();
        let moving = goes.iter().filter(|&&goes| goes).count();
        let mut other = Segment::new(depth + 1, moving);
        {
            let mut other = other.make_mut();
            // From the end, so that what takes an emptied slot has been looked at.
            for slot in (0..goes.len()).rev() {
                if goes[slot] {
                    let (tag, entry) = segment.swap_take(slot);
                    other.push(tag, entry);
                }
            }
        }
        segment.set_depth(depth + 1);
        segment.shrink();
        let new = self.segments.len() as u8;
        self.segments.push(other);
        self.directory[upper].fill(new);
    }

    /// Splits the chunk in two by its next bit: the upper half is returned. No segment lies in both.
    fn split_off(&mut self) -> Chunk<T> {
        debug_assert!(self.bits > 0);
        let half = 1usize << (self.bits - 1);
        let mut upper = Chunk {
            depth: self.depth + 1,
            bits: self.bits - 1,
            directory: [0; 1 << CHUNK_BITS],
            segments: Vec::new(),
        };
        let mut lower = Chunk {
            depth: self.depth + 1,
            bits: self.bits - 1,
            directory: [0; 1 << CHUNK_BITS],
            segments: Vec::new(),
        };
        // Where each segment's first place is tells which half it goes to.
        let mut moved: Vec<Option<u8>> = vec![None; self.segments.len()];
        let mut segments: Vec<Option<Segment<T>>> = std::mem::take(&mut self.segments)
            .into_iter()
            .map(Some)
            .collect();
        for i in 0..2 * half {
            let index = usize::from(self.directory[i]);
            let side = if i < half { &mut lower } else { &mut upper };
            if let Some(segment) = segments[index].take() {
                moved[index] = Some(side.segments.len() as u8);
                side.segments.push(segment);
            }
            side.directory[i & (half - 1)] = moved[index].unwrap_or(0);
        }
        *self = lower;
        upper
    }

    /// Takes in the chunk of the sibling prefix; the reverse of `split_off`.
    fn absorb(&mut self, mut upper: Chunk<T>) {
        while self.bits < upper.bits {
            self.double_directory();
        }
        while upper.bits < self.bits {
            upper.double_directory();
        }
        let half = 1usize << self.bits;
        let offset = self.segments.len() as u8;
        for i in 0..half {
            self.directory[half + i] = upper.directory[i] + offset;
        }
        self.segments.append(&mut upper.segments);
        self.depth -= 1;
        self.bits += 1;
    }

    /// Merges the segment of this hash with its sibling while both are nearly empty. True if it did.
    fn merge_segments(&mut self, hash: u64) -> bool {
        let mut merged = false;
        loop {
            let index = self.segment_index(hash);
            let depth = self.segments[index].depth();
            if depth == self.depth {
                return merged;
            }
            let run = self.run(hash, depth);
            let sibling_place = run.start ^ run.len();
            let sibling = usize::from(self.directory[sibling_place]);
            if self.segments[sibling].depth() != depth
                || self.segments[index].len() + self.segments[sibling].len() > 2 * MERGE_BELOW
            {
                return merged;
            }
            let both = run.start.min(sibling_place)..run.end.max(sibling_place + run.len());
            self.directory[both].fill(index as u8);
            // Empty the sibling into the segment, then give its number to the last one.
            let mut other = std::mem::replace(&mut self.segments[sibling], Segment::new(0, 1));
            let mut other = other.make_mut();
            let mut segment = self.segments[index].make_mut();
            while other.len() > 0 {
                let (tag, entry) = other.swap_take(other.len() - 1);
                segment.push(tag, entry);
            }
            segment.set_depth(depth - 1);
            let last = self.segments.len() - 1;
            self.segments.swap_remove(sibling);
            for place in &mut self.directory[..1 << self.bits] {
                if usize::from(*place) == last {
                    *place = sibling as u8;
                }
            }
            merged = true;
        }
    }
}

/// The table. `clone()` shares everything and is quick at any size.
pub(crate) struct SegTable<T> {
    len: usize,
    bits: u8,
    directory: Vec<u32>,
    chunks: Vec<Arc<Chunk<T>>>,
}

/// The entries of a table.
pub struct Iter<'a, T> {
    chunks: std::slice::Iter<'a, Arc<Chunk<T>>>,
    segments: std::slice::Iter<'a, Segment<T>>,
    entries: std::slice::Iter<'a, T>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(entry);
            }
            match self.segments.next() {
                Some(segment) => self.entries = segment.entries().iter(),
                None => self.segments = self.chunks.next()?.segments.iter(),
            }
        }
    }
}

impl<T> Clone for SegTable<T> {
    fn clone(&self) -> Self {
        SegTable {
            len: self.len,
            bits: self.bits,
            directory: self.directory.clone(),
            chunks: self.chunks.clone(),
        }
    }
}

impl<T> Default for SegTable<T> {
    fn default() -> Self {
        SegTable::new()
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for SegTable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T> SegTable<T> {
    pub(crate) fn new() -> SegTable<T> {
        SegTable {
            len: 0,
            bits: 0,
            directory: vec![0],
            chunks: vec![Arc::new(Chunk::new(0))],
        }
    }

    /// An empty table that takes about `entries` (bounded) with few splits.
    pub(crate) fn with_capacity(entries: usize) -> SegTable<T> {
        // Segments differ in how much they get: some room to spare saves nearly all splits.
        let entries = entries.min(PRESIZED_MAX);
        let segments = entries
            .div_ceil(MAX_ENTRIES * 7 / 8)
            .max(1)
            .next_power_of_two();
        let room = (entries / segments) * 9 / 8 + 4;
        let bits = segments.ilog2() as u8;
        let chunk_bits = bits.min(CHUNK_BITS - 1);
        let root_bits = bits - chunk_bits;
        SegTable {
            len: 0,
            bits: root_bits,
            directory: (0..1 << root_bits).collect(),
            chunks: (0..1 << root_bits)
                .map(|_| Arc::new(Chunk::presized(root_bits, chunk_bits, room)))
                .collect(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn chunk_index(&self, hash: u64) -> usize {
        self.directory[place(hash, 0, self.bits)] as usize
    }

    /// The entry with this hash that `eq` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        let chunk = &*self.chunks[self.chunk_index(hash)];
        let segment = &chunk.segments[chunk.segment_index(hash)];
        let slot = segment.find(tag(hash), eq)?;
        Some(&segment.entries()[slot])
    }

    /// Where an entry with this hash would be; its segment begins to come into the cache.
    #[inline]
    pub(crate) fn probe(&self, hash: u64) -> Probe<'_, T> {
        let chunk = &*self.chunks[self.chunk_index(hash)];
        let segment = &chunk.segments[chunk.segment_index(hash)];
        segment.prefetch();
        Probe {
            segment,
            tag: tag(hash),
        }
    }

    /// Every entry once, in no order that means anything.
    pub(crate) fn iter(&self) -> Iter<'_, T> {
        Iter {
            chunks: self.chunks.iter(),
            segments: [].iter(),
            entries: [].iter(),
        }
    }

    /// One step of a scan: calls `f` for entries from `cursor` (0: the beginning) on, a segment at a time,
    /// until `count` were seen; the next cursor, 0 at the end. Whatever stays in the table from the first
    /// step to the last is seen at least once, however the table grows or shrinks in between: the cursor
    /// is a prefix of hashes, and everything below it has been seen. Any number is a valid cursor.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&T)) -> u64 {
        // Reversed, so that the few leading bits that matter make a small number.
        let mut hash = cursor.reverse_bits();
        let mut seen = 0;
        let mut steps_left = count.saturating_mul(10);
        loop {
            let chunk = &*self.chunks[self.chunk_index(hash)];
            let segment = &chunk.segments[chunk.segment_index(hash)];
            segment.entries().iter().for_each(&mut f);
            seen += segment.len();
            let bits = segment.depth();
            if bits == 0 {
                return 0;
            }
            let step = 1u64 << (64 - bits);
            let Some(next) = (hash & !(step - 1)).checked_add(step) else {
                return 0;
            };
            hash = next;
            steps_left = steps_left.saturating_sub(1);
            if seen >= count || steps_left == 0 {
                return hash.reverse_bits();
            }
        }
    }

    /// A uniformly random entry.
    pub(crate) fn random(&self, rng: &mut fastrand::Rng) -> Option<&T> {
        if self.len == 0 {
            return None;
        }
        // Throwing a dart at a grid of all places that entries could have gives each the same chance; at
        // usual fills about one in three hits. A table that is mostly holes is walked instead.
        let widest = match &self.chunks[..] {
            [only] => only.segments.len(),
            _ => 1 << CHUNK_BITS,
        };
        for _ in 0..128 {
            let chunk = &self.chunks[rng.usize(..self.chunks.len())];
            let Some(segment) = chunk.segments.get(rng.usize(..widest)) else {
                continue;
            };
            if segment.len() > MAX_ENTRIES {
                break;
            }
            if let Some(entry) = segment.entries().get(rng.usize(..MAX_ENTRIES)) {
                return Some(entry);
            }
        }
        self.iter().nth(rng.usize(..self.len))
    }

    /// Bytes of memory held, without what the entries point to; estimated from some chunks of large tables.
    pub(crate) fn memory(&self) -> usize {
        let step = self.chunks.len().div_ceil(8);
        let sample = self.chunks.iter().step_by(step);
        let chunks: usize = sample.clone().map(|chunk| chunk.memory()).sum();
        size_of::<Self>()
            + 4 * self.directory.capacity()
            + 8 * self.chunks.capacity()
            + chunks * self.chunks.len() / sample.len()
    }
}

impl<T: Clone> SegTable<T> {
    /// As [`SegTable::find`], for changing the entry in ways that keep hash and equality.
    pub(crate) fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let chunk_index = self.chunk_index(hash);
        let chunk = &*self.chunks[chunk_index];
        let index = chunk.segment_index(hash);
        let slot = chunk.segments[index].find(tag(hash), eq)?;
        let chunk = Arc::make_mut(&mut self.chunks[chunk_index]);
        Some(chunk.segments[index].make_mut().into_entry(slot))
    }

    /// The entry that `eq` accepts, or else what `make` makes of it, and whether that is new. `hash_of`
    /// gives an entry's hash, for splits.
    pub(crate) fn find_or_insert(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        make: impl FnOnce() -> T,
        hash_of: impl Fn(&T) -> u64,
    ) -> (&mut T, bool) {
        let chunk_index = self.chunk_index(hash);
        let chunk = &*self.chunks[chunk_index];
        let index = chunk.segment_index(hash);
        let segment = &chunk.segments[index];
        match segment.find(tag(hash), eq) {
            Some(slot) => {
                let chunk = Arc::make_mut(&mut self.chunks[chunk_index]);
                (chunk.segments[index].make_mut().into_entry(slot), false)
            }
            None => (self.insert_new(hash, make(), hash_of), true),
        }
    }

    /// Adds what `make` makes, unless there is an entry that `eq` accepts; then nothing is copied even if
    /// the table is shared. True if it was added.
    pub(crate) fn insert_if_absent(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        make: impl FnOnce() -> T,
        hash_of: impl Fn(&T) -> u64,
    ) -> bool {
        let absent = self.find(hash, eq).is_none();
        if absent {
            self.insert_new(hash, make(), hash_of);
        }
        absent
    }

    /// Adds an entry that is known not to be there.
    pub(crate) fn insert_new(
        &mut self,
        hash: u64,
        entry: T,
        hash_of: impl Fn(&T) -> u64,
    ) -> &mut T {
        self.len += 1;
        let (chunk_index, index) = self.make_room(hash, &hash_of);
        let chunk = Arc::make_mut(&mut self.chunks[chunk_index]);
        let mut segment = chunk.segments[index].make_mut();
        let slot = segment.push(tag(hash), entry);
        segment.into_entry(slot)
    }

    /// Where an entry with this hash goes, after the splits that make room for it.
    fn make_room(&mut self, hash: u64, hash_of: &impl Fn(&T) -> u64) -> (usize, usize) {
        loop {
            let chunk_index = self.chunk_index(hash);
            let chunk = &*self.chunks[chunk_index];
            let index = chunk.segment_index(hash);
            let segment = &chunk.segments[index];
            if segment.len() < MAX_ENTRIES {
                return (chunk_index, index);
            }
            let depth = segment.depth();
            if depth == chunk.depth + CHUNK_BITS {
                if !self.split_chunk(hash) {
                    return (chunk_index, index);
                }
                continue;
            }
            let chunk = Arc::make_mut(&mut self.chunks[chunk_index]);
            if depth == chunk.depth + chunk.bits {
                chunk.double_directory();
            }
            chunk.split_segment(hash, hash_of);
        }
    }

    /// Splits the chunk of this hash. False if the directory has reached its bound.
    fn split_chunk(&mut self, hash: u64) -> bool {
        let chunk_index = self.chunk_index(hash);
        let depth = self.chunks[chunk_index].depth;
        if depth == self.bits {
            if self.bits == ROOT_BITS {
                return false;
            }
            self.directory = self.directory.iter().flat_map(|&c| [c, c]).collect();
            self.bits += 1;
        }
        let upper = Arc::make_mut(&mut self.chunks[chunk_index]).split_off();
        let new = self.chunks.len() as u32;
        self.chunks.push(Arc::new(upper));
        let len = 1usize << (self.bits - depth);
        let start = place(hash, 0, self.bits) & !(len - 1);
        self.directory[start + len / 2..start + len].fill(new);
        true
    }

    /// Takes out the entry with this hash that `eq` accepts.
    pub(crate) fn remove(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<T> {
        let chunk_index = self.chunk_index(hash);
        let chunk = &*self.chunks[chunk_index];
        let index = chunk.segment_index(hash);
        let slot = chunk.segments[index].find(tag(hash), eq)?;
        let chunk = Arc::make_mut(&mut self.chunks[chunk_index]);
        let mut segment = chunk.segments[index].make_mut();
        let (_, entry) = segment.swap_remove(slot);
        self.len -= 1;
        if segment.len() <= MERGE_BELOW
            && chunk.merge_segments(hash)
            && chunk.segments.len() <= MERGE_SEGMENTS / 2
        {
            chunk.shrink_directory();
            self.merge_chunks(hash);
        }
        Some(entry)
    }

    /// Merges the chunk of this hash with its sibling while both have few segments.
    fn merge_chunks(&mut self, hash: u64) {
        loop {
            let index = self.chunk_index(hash);
            let depth = self.chunks[index].depth;
            if depth == 0 {
                break;
            }
            let len = 1usize << (self.bits - depth);
            let start = place(hash, 0, self.bits) & !(len - 1);
            let sibling = self.directory[start ^ len] as usize;
            let (a, b) = (&self.chunks[index], &self.chunks[sibling]);
            if b.depth != depth
                || a.segments.len() + b.segments.len() > MERGE_SEGMENTS
                || a.bits.max(b.bits) == CHUNK_BITS
            {
                break;
            }
            let lower_start = start & !len;
            let lower = self.directory[lower_start] as usize;
            let upper = self.directory[lower_start | len] as usize;
            let taken = Arc::unwrap_or_clone(std::mem::replace(
                &mut self.chunks[upper],
                Arc::new(Chunk::new(0)),
            ));
            Arc::make_mut(&mut self.chunks[lower]).absorb(taken);
            self.directory[lower_start..lower_start + 2 * len].fill(lower as u32);
            let last = self.chunks.len() - 1;
            self.chunks.swap_remove(upper);
            for place in &mut self.directory {
                if *place as usize == last {
                    *place = upper as u32;
                }
            }
        }
        let deepest = self.chunks.iter().map(|c| c.depth).max().unwrap_or(0);
        if deepest < self.bits {
            let by = self.bits - deepest;
            self.directory = self.directory.iter().step_by(1 << by).copied().collect();
            self.bits = deepest;
            self.chunks.shrink_to(2 * self.chunks.len());
        }
    }
}

#[cfg(test)]
#[path = "segtable_tests.rs"]
mod tests;
