//! Looking ahead in large collections: the members that a window of commands (or one command of many
//! members) is about to look up are brought into the cache together.
//!
//! A lookup in a large table is a chain: the segment's tags, then the entry's slot, then the member's own
//! bytes, each a miss of some 80 ns in a collection of a million. Here every step is taken for all members
//! before the next one, so that the misses of a step overlap. Nothing changes and nothing is promised: a
//! tag that matches by chance fetches a member in vain.
//!
//! What it brings, in pipelines of 16 on a set of a million: see [`crate::command::ahead`].

use smallvec::SmallVec;

use super::ValueRef;
use super::blob::{Blob, Pair};
use super::member::Member;
use super::segment::Segment;

/// How many members are fetched together. More would push out what came first.
pub const TOGETHER: usize = 16;

/// Begins to bring the cache line at an address into the cache.
#[inline]
pub fn prefetch<T>(at: *const T) {
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
pub trait Pointing {
    /// Begins to bring what it points to into the cache.
    fn fetch(&self);
}

/// Where a member is, as far as its hash tells.
#[derive(Clone, Copy)]
pub struct Peek<'a, T> {
    pub(super) segment: &'a Segment<T>,
    pub(super) tag: u8,
}

impl<'a, T> Peek<'a, T> {
    /// The entry that is most likely the one wanted. Reads the segment's tags, not the entry.
    #[inline]
    fn guess(self) -> Option<&'a T> {
        let slot = self.segment.find(self.tag, |_| true)?;
        self.segment.entries().get(slot)
    }
}

enum Sought<'a> {
    Set(Peek<'a, Blob>),
    Hash(Peek<'a, Pair>),
    Zset(Peek<'a, Member>),
}

/// Members that are to be fetched; their segments are under way already.
#[derive(Default)]
pub struct Lookout<'a> {
    sought: SmallVec<[Sought<'a>; TOGETHER]>,
}

impl<'a> Lookout<'a> {
    /// Adds a collection's member (or field). Begins to fetch its segment, or the whole of a collection that
    /// is small.
    #[inline]
    pub fn add(&mut self, value: ValueRef<'a>, member: &[u8]) {
        let sought = match value {
            ValueRef::Set(set) => set.peek(member).map(Sought::Set),
            ValueRef::Hash(hash) => hash.peek(member).map(Sought::Hash),
            ValueRef::Zset(zset) => zset.peek(member).map(Sought::Zset),
            ValueRef::String(_) | ValueRef::List(_) => None,
        };
        self.sought.extend(sought);
    }

    /// Fetches them.
    pub fn fetch(self) {
        if self.sought.is_empty() {
            return;
        }
        let mut entries = SmallVec::<[&dyn Pointing; TOGETHER]>::new();
        for sought in self.sought {
            let entry = match sought {
                Sought::Set(peek) => peek.guess().map(|entry| entry as &dyn Pointing),
                Sought::Hash(peek) => peek.guess().map(|entry| entry as &dyn Pointing),
                Sought::Zset(peek) => peek.guess().map(|entry| entry as &dyn Pointing),
            };
            if let Some(entry) = entry {
                prefetch(std::ptr::from_ref(entry).cast::<u8>());
                entries.push(entry);
            }
        }
        for entry in entries {
            entry.fetch();
        }
    }
}

/// Fewer members than this are not worth the looking.
const FEW: usize = 3;

/// For a command of many members: fetches the next of them, each `step`th argument from the first on, at most
/// [`TOGETHER`].
#[inline]
pub fn fetch_members(value: ValueRef<'_>, args: &[&[u8]], step: usize) {
    if args.len() >= FEW * step {
        fetch_many(value, args, step);
    }
}

fn fetch_many(value: ValueRef<'_>, args: &[&[u8]], step: usize) {
    let mut lookout = Lookout::default();
    for member in args.iter().step_by(step).take(TOGETHER) {
        lookout.add(value, member);
    }
    lookout.fetch();
}
