//! What a delta resync sends: from the walk at the second cut, the keys that the replica lacks or has otherwise, as a
//! dump, and those that it is to drop.

use std::collections::HashMap;

use bytes::Bytes;

use super::digesting::{Collector, DigestedKey};
use crate::digest::KeyPlace;
use crate::rdb::writer::{ChunkWriter, KeyHeader, Preamble, Usage};

/// See the module. `Short` places and digests are the upper half of a place and the lower half of a digest.
#[derive(Debug)]
pub(crate) struct Patching {
    bits: u32,
    /// A bit for each range that differed.
    differing: Vec<u64>,
    /// What the replica has there, sorted: short places and digests.
    have: Vec<(u64, u64)>,
    /// Of these: those that are there yet.
    seen: Vec<bool>,
    /// Keys written to since the first cut, by short place.
    touched: HashMap<u64, (usize, Box<[u8]>)>,
    writer: ChunkWriter,
    chunks: Vec<Bytes>,
    /// Bytes of dump that may be made.
    most: u64,
}

/// A finished patch.
#[derive(Debug)]
pub(crate) struct Patch {
    /// Keys that the replica told and has to drop, by short place.
    pub(crate) places: Vec<u64>,
    /// Keys that it has to drop if it has them.
    pub(crate) names: Vec<(usize, Box<[u8]>)>,
    pub(crate) dump: Vec<Bytes>,
}

impl Patching {
    /// `ranges`: those of 2^`bits` that differed; `have`: sorted; `most`: bytes that the dump may have.
    pub(crate) fn new(
        bits: u32,
        ranges: &[u32],
        have: Vec<(u64, u64)>,
        preamble: &Preamble,
        most: usize,
    ) -> Patching {
        let mut differing = vec![0; (1usize << bits).div_ceil(64)];
        for &range in ranges {
            if let Some(word) = differing.get_mut(range as usize / 64) {
                *word |= 1 << (range % 64);
            }
        }
        let mut writer = ChunkWriter::new(true, true, 64 << 10);
        writer.begin(preamble);
        Patching {
            bits,
            differing,
            seen: vec![false; have.len()],
            have,
            touched: HashMap::new(),
            writer,
            chunks: Vec::new(),
            most: most as u64,
        }
    }

    /// Keys written to since the first cut, by short place. Before the first key is collected.
    pub(crate) fn touched(&mut self, touched: HashMap<u64, (usize, Box<[u8]>)>) {
        self.touched = touched;
    }

    fn differs(&self, range: usize) -> bool {
        self.differing[range / 64] >> (range % 64) & 1 == 1
    }

    fn is_full(&self) -> bool {
        self.writer.written() + self.writer.pending() as u64 > self.most
    }

    /// The patch; None: it is larger than it may be.
    pub(crate) fn finish(mut self) -> Option<Patch> {
        if self.is_full() {
            return None;
        }
        self.writer.finish(&mut self.chunks);
        let gone = self.have.iter().zip(&self.seen).filter(|(_, seen)| !**seen);
        let places: Vec<u64> = gone.map(|((place, _), _)| *place).collect();
        // What was touched and is there has been taken out; of the rest the replica may have told some.
        let (bits, differing) = (self.bits, &self.differing);
        let told = |place: &u64| {
            let range = (place >> (64 - bits)) as usize;
            differing[range / 64] >> (range % 64) & 1 == 1
        };
        let mut names = self.touched;
        names.retain(|place, _| !told(place));
        Some(Patch {
            places,
            names: names.into_values().collect(),
            dump: self.chunks,
        })
    }
}

impl Collector for Patching {
    fn wants(&self, place: KeyPlace) -> bool {
        let short = (place.0 >> 64) as u64;
        !self.is_full()
            && (self.differs(place.range(self.bits)) || self.touched.contains_key(&short))
    }

    fn add(&mut self, key: DigestedKey<'_>) {
        let short = (key.place.0 >> 64) as u64;
        self.touched.remove(&short);
        let there = self.have.partition_point(|(place, _)| *place < short);
        if let Some((_, digest)) = self.have.get(there).filter(|(place, _)| *place == short) {
            self.seen[there] = true;
            if *digest == key.digest.0 as u64 {
                return;
            }
        }
        let header = KeyHeader {
            key: key.key,
            expire_at: key.expire_at,
            usage: Usage::Unknown,
        };
        self.writer.entry(key.db, header, key.value);
        self.writer.drain(&mut self.chunks);
    }
}
