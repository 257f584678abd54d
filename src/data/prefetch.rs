//! Prefetching in large collections: the members that a window of commands (or one command of many
//! members) is about to look up are brought into the cache together.
//!
//! A lookup in a large table is a chain: the segment's tags, then the entry's slot, then the member's own
//! bytes, each a miss of some 80 ns in a collection of a million. Here every step is taken for all members
//! before the next one, so that the misses of a step overlap. Nothing changes and nothing is promised: a
//! tag that matches by chance prefetches a member in vain.
//!
//! What it gains, in pipelines of 16 on a set of a million: see [`crate::command::dispatch::prefetch`].

use smallvec::SmallVec;

use super::ValueRef;
use super::blob::{Blob, Pair};
use super::member::Member;
use super::segment::Segment;

/// How many members are prefetched together. More would push out what came first.
pub(crate) const PREFETCH_MAX: usize = 16;

/// Begins to bring the cache line at an address into the cache.
#[inline]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint and reads nothing; the feature is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// A table's entry, which is a pointer to what it holds.
pub(crate) trait Prefetch {
    /// Begins to bring what it points to into the cache.
    fn prefetch(&self);
}

/// Where a member is, as far as its hash tells.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a, T> {
    pub(super) segment: &'a Segment<T>,
    pub(super) tag: u8,
}

impl<'a, T> Probe<'a, T> {
    /// The entry that is most likely the one wanted. Reads the segment's tags, not the entry.
    #[inline]
    fn candidate(self) -> Option<&'a T> {
        let slot = self.segment.find(self.tag, |_| true)?;
        self.segment.entries().get(slot)
    }
}

enum Probed<'a> {
    Set(Probe<'a, Blob>),
    Hash(Probe<'a, Pair>),
    Zset(Probe<'a, Member>),
}

/// Members that are to be prefetched; their segments are on their way already.
#[derive(Default)]
pub(crate) struct Prefetcher<'a> {
    probed: SmallVec<[Probed<'a>; PREFETCH_MAX]>,
}

impl<'a> Prefetcher<'a> {
    /// Adds a collection's member (or field). Begins to prefetch its segment, or the whole of a collection that
    /// is small.
    #[inline]
    pub(crate) fn add(&mut self, value: ValueRef<'a>, member: &[u8]) {
        let probed = match value {
            ValueRef::Set(set) => set.probe(member).map(Probed::Set),
            ValueRef::Hash(hash) => hash.probe(member).map(Probed::Hash),
            ValueRef::Zset(zset) => zset.probe(member).map(Probed::Zset),
            ValueRef::String(_) | ValueRef::List(_) | ValueRef::Stream(_) => None,
        };
        self.probed.extend(probed);
    }

    /// Prefetches them.
    pub(crate) fn prefetch(self) {
        if self.probed.is_empty() {
            return;
        }
        let mut entries = SmallVec::<[&dyn Prefetch; PREFETCH_MAX]>::new();
        for probed in self.probed {
            let entry = match probed {
                Probed::Set(probe) => probe.candidate().map(|entry| entry as &dyn Prefetch),
                Probed::Hash(probe) => probe.candidate().map(|entry| entry as &dyn Prefetch),
                Probed::Zset(probe) => probe.candidate().map(|entry| entry as &dyn Prefetch),
            };
            if let Some(entry) = entry {
                prefetch(std::ptr::from_ref(entry).cast::<u8>());
                entries.push(entry);
            }
        }
        for entry in entries {
            entry.prefetch();
        }
    }
}

/// Fewer members than this are not worth prefetching.
const FEW: usize = 3;

/// For a command of many members: prefetches the next of them, each `step`th argument from the first on, at most
/// [`PREFETCH_MAX`].
#[inline]
pub(crate) fn prefetch_members(value: ValueRef<'_>, args: &[&[u8]], step: usize) {
    if args.len() >= FEW * step {
        prefetch_many(value, args, step);
    }
}

fn prefetch_many(value: ValueRef<'_>, args: &[&[u8]], step: usize) {
    let mut prefetcher = Prefetcher::default();
    for member in args.iter().step_by(step).take(PREFETCH_MAX) {
        prefetcher.add(value, member);
    }
    prefetcher.prefetch();
}
