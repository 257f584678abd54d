//! Digests of the dataset at a cut, as another consumer of the walk beside the dump's encoder.
//!
//! Who owns a [`Digesting`] does as with a [`Snapshot`](super::Snapshot): [`Digesting::next`] says what is due. A
//! [`Collector`] is given each key of the cut once, in no order, and says beforehand which it wants: the value of a
//! key that nobody wants is not looked at.

use super::walk::Walk;
use super::{Options, Want};
use crate::data::{Value, ValueRef};
use crate::digest::{KeyDigest, KeyPlace, Ranges, Secret, Steps, value_digest};
use crate::keyspace::{Dropped, Entered, Entry, is_large};

/// A key of the cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigestedKey<'a> {
    pub(crate) db: usize,
    pub(crate) key: &'a [u8],
    pub(crate) place: KeyPlace,
    pub(crate) digest: KeyDigest,
    /// What it holds; a large collection as a clone that shares its nodes.
    pub(crate) value: ValueRef<'a>,
    /// Unix time, ms.
    pub(crate) expire_at: Option<i64>,
}

/// What is made of the digests.
pub(crate) trait Collector {
    /// Whether it is to be given the key at that place.
    fn wants(&self, place: KeyPlace) -> bool;
    fn add(&mut self, key: DigestedKey<'_>);
}

impl Collector for Ranges {
    fn wants(&self, _: KeyPlace) -> bool {
        true
    }

    fn add(&mut self, key: DigestedKey<'_>) {
        Ranges::add(self, key.place, key.digest);
    }
}

/// A large collection under way.
#[derive(Debug)]
struct Pending {
    db: usize,
    key: Vec<u8>,
    place: KeyPlace,
    value: Value,
    expire_at: Option<i64>,
    steps: Steps,
}

/// See the module. Dropped before its end it is given up.
#[derive(Debug)]
pub(crate) struct Digesting<C> {
    walk: Walk,
    secret: Secret,
    /// The next plain image.
    plain: usize,
    pending: Option<Pending>,
    collector: C,
}

/// What a step of a large collection costs, in elements.
const STEP_COST: usize = 64;

impl<C: Collector> Digesting<C> {
    /// The cut, as [`Snapshot::begin`](super::Snapshot::begin).
    pub(crate) fn begin(
        entered: &mut Entered<'_>,
        secret: Secret,
        collector: C,
    ) -> Option<Digesting<C>> {
        Some(Digesting {
            walk: Walk::begin(entered, Options::default().turn_bytes)?,
            secret,
            plain: 0,
            pending: None,
            collector,
        })
    }

    /// What is to be done next; [`Want::Encode`] is [`Digesting::work`], outside the shards.
    pub(crate) fn next(&self) -> Want {
        if self.pending.is_some() || !self.walk.images.is_empty() {
            return Want::Encode;
        }
        self.walk.next_shard().map_or(Want::Finish, Want::Enter)
    }

    /// As [`Snapshot::collect`](super::Snapshot::collect).
    pub(crate) fn collect(
        &mut self,
        entered: &mut Entered<'_>,
        enough: &mut dyn FnMut() -> bool,
    ) -> Dropped {
        self.walk.collect(entered, enough)
    }

    /// Takes the digests of what was collected, until about `budget` elements are done or all are.
    pub(crate) fn work(&mut self, mut budget: usize) {
        while budget > 0 {
            let cost = if let Some(pending) = &mut self.pending {
                if let Some(value) = pending.steps.step() {
                    self.complete(value);
                }
                STEP_COST
            } else if let Some((db, entry)) = self.walk.images.plain(self.plain) {
                self.plain += 1;
                take(&self.secret, &mut self.collector, db, &entry)
            } else if let Some((db, record)) = self.walk.images.owned.pop() {
                let entry = record.entry();
                let place = KeyPlace::of(&self.secret, db, entry.key);
                let is_string = matches!(entry.value, ValueRef::String(_));
                if is_string || !is_large(entry.value) || !self.collector.wants(place) {
                    take(&self.secret, &mut self.collector, db, &entry)
                } else {
                    let (key, expire_at) = (entry.key.to_vec(), entry.expire_at);
                    let value = record.into_value();
                    self.pending = Some(Pending {
                        db,
                        key,
                        place,
                        expire_at,
                        steps: Steps::new(&self.secret, value.clone()),
                        value,
                    });
                    1
                }
            } else {
                break;
            };
            budget = budget.saturating_sub(cost);
        }
        if self.plain > 0 && self.plain == self.walk.images.plain_len() {
            self.walk.images.clear_plain();
            self.plain = 0;
        }
    }

    /// The pending collection is through.
    fn complete(&mut self, of_value: u128) {
        if let Some(pending) = self.pending.take() {
            let (place, expire_at) = (pending.place, pending.expire_at);
            let value = pending.value.as_ref();
            self.collector.add(DigestedKey {
                db: pending.db,
                key: &pending.key,
                place,
                digest: KeyDigest::of(&self.secret, place, value.kind(), expire_at, of_value),
                value,
                expire_at,
            });
        }
    }

    /// What the digests go into.
    pub(crate) fn collector_mut(&mut self) -> &mut C {
        &mut self.collector
    }

    /// What was collected. [`Digesting::next`] must have asked for it.
    pub(crate) fn finish(self) -> C {
        debug_assert_eq!(self.next(), Want::Finish);
        self.collector
    }

    /// Runs all of what is left. For tests and for callers that have a thread to themselves.
    #[cfg(test)]
    pub(crate) fn run(mut self, keyspace: &crate::keyspace::Keyspace) -> C {
        loop {
            match self.next() {
                Want::Encode => self.work(100),
                Want::Enter(set) => {
                    let mut entered = keyspace.enter(set);
                    drop(self.collect(&mut entered, &mut || false));
                }
                Want::Finish => return self.finish(),
            }
        }
    }
}

/// Gives the collector an entry that is no large collection; about how many elements that were.
fn take(secret: &Secret, collector: &mut impl Collector, db: usize, entry: &Entry<'_>) -> usize {
    let place = KeyPlace::of(secret, db, entry.key);
    if !collector.wants(place) {
        return 1;
    }
    let of_value = value_digest(secret, entry.value);
    let (value, expire_at) = (entry.value, entry.expire_at);
    let digest = KeyDigest::of(secret, place, value.kind(), expire_at, of_value);
    collector.add(DigestedKey {
        db,
        key: entry.key,
        place,
        digest,
        value,
        expire_at,
    });
    elements(entry.value)
}

/// About how many elements' time a value takes.
fn elements(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::String(text) => 1 + text.len() / 64,
        ValueRef::List(list) => 1 + list.len(),
        ValueRef::Set(set) => 1 + set.len(),
        ValueRef::Hash(hash) => 1 + hash.len(),
        ValueRef::Zset(zset) => 1 + zset.len(),
        ValueRef::Stream(stream) => 1 + stream.parts(),
    }
}

/// A key that a [`Narrowed`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldKey {
    pub(crate) place: KeyPlace,
    pub(crate) digest: KeyDigest,
    pub(crate) db: usize,
    pub(crate) key: Box<[u8]>,
}

/// The keys of some ranges, in the order of their places.
#[derive(Debug)]
pub(crate) struct Narrowed {
    bits: u32,
    /// A bit for each range.
    wanted: Vec<u64>,
    keys: Vec<HeldKey>,
    /// Bytes that may yet be held.
    bytes_left: usize,
}

impl Narrowed {
    /// Of these ranges of 2^`bits`. What passes `bytes_max` bytes of memory is left out.
    pub(crate) fn new(bits: u32, ranges: &[u32], bytes_max: usize) -> Narrowed {
        let mut wanted = vec![0; (1usize << bits).div_ceil(64)];
        for &range in ranges {
            if let Some(word) = wanted.get_mut(range as usize / 64) {
                *word |= 1 << (range % 64);
            }
        }
        Narrowed {
            bits,
            wanted,
            keys: Vec::new(),
            bytes_left: bytes_max,
        }
    }

    /// The keys, sorted by place; None: there were more than may be held.
    pub(crate) fn into_keys(mut self) -> Option<Vec<HeldKey>> {
        self.keys.sort_unstable_by_key(|key| key.place);
        (self.bytes_left > 0).then_some(self.keys)
    }
}

impl Collector for Narrowed {
    fn wants(&self, place: KeyPlace) -> bool {
        let range = place.range(self.bits);
        self.wanted[range / 64] >> (range % 64) & 1 == 1 && self.bytes_left > 0
    }

    fn add(&mut self, key: DigestedKey<'_>) {
        let bytes = size_of::<HeldKey>() + key.key.len();
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        if self.bytes_left > 0 {
            self.keys.push(HeldKey {
                place: key.place,
                digest: key.digest,
                db: key.db,
                key: key.key.into(),
            });
        }
    }
}

#[cfg(test)]
#[path = "digesting_tests.rs"]
mod tests;
