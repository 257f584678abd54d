//! A growable vector behind one thin, reference-counted pointer, copied when written to while shared.
//!
//! The nodes of large collections are of this kind: header and items are one allocation, so a node costs
//! its parent 8 bytes and a visit costs one cache miss; a clone is a reference; the first write after a
//! clone copies this node alone (its items are cloned, so what they refer to stays shared).
//!
//! Capacities follow the allocator's size classes, in steps of a quarter or less, so that a node that is
//! half full does not hold the memory of a full one.
//!
//! Invariants:
//! - `ptr` points to a live allocation made by `allocate(cap)`, whose header holds that `cap`.
//! - Items `0..len` are initialised, the rest is not.
//! - Items are written only through a `SharedVec` that is the only one of its allocation (`refs == 1`).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

#[repr(C)]
struct Header {
    refs: AtomicU32,
    len: u32,
    cap: u32,
}

pub(crate) struct SharedVec<T> {
    ptr: NonNull<Header>,
    items: PhantomData<T>,
}

// SAFETY: the items are reachable from every clone (so they must be Sync) and are dropped by whichever
// clone goes last (so they must be Send); the count itself is atomic.
unsafe impl<T: Send + Sync> Send for SharedVec<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SharedVec<T> {}

/// The allocator's size class for a request of so many bytes (jemalloc's: 16 apart up to 128 bytes, then
/// four to each doubling).
pub(crate) fn size_class(bytes: usize) -> usize {
    if bytes <= 128 {
        bytes.next_multiple_of(16)
    } else {
        let step = bytes.next_power_of_two() / 8;
        bytes.next_multiple_of(step)
    }
}

impl<T> SharedVec<T> {
    const ITEMS_AT: usize = {
        let align = align_of::<T>();
        size_of::<Header>().next_multiple_of(if align < 4 { 4 } else { align })
    };

    fn layout(cap: usize) -> Layout {
        let align = align_of::<T>().max(align_of::<Header>());
        let bytes = size_of::<T>()
            .checked_mul(cap)
            .and_then(|n| n.checked_add(Self::ITEMS_AT));
        match bytes.map(|n| Layout::from_size_align(n, align)) {
            Some(Ok(layout)) => layout,
            _ => panic!("a node of {cap} items is past the address space"),
        }
    }

    /// The capacity that the size class for `wanted` items really holds.
    fn rounded(wanted: usize) -> usize {
        let bytes = Self::ITEMS_AT + wanted.max(1) * size_of::<T>();
        (size_class(bytes) - Self::ITEMS_AT) / size_of::<T>().max(1)
    }

    fn allocate(cap: usize) -> SharedVec<T> {
        let layout = Self::layout(cap);
        let cap = u32::try_from(cap).unwrap_or_else(|_| panic!("a node of {cap} items"));
        // SAFETY: the layout is not of size zero, it holds a header at least.
        let raw = unsafe { alloc(layout) }.cast::<Header>();
        let Some(ptr) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        // SAFETY: freshly allocated, big and aligned enough for a header.
        unsafe {
            ptr.as_ptr().write(Header {
                refs: AtomicU32::new(1),
                len: 0,
                cap,
            });
        }
        SharedVec {
            ptr,
            items: PhantomData,
        }
    }

    /// Room for at least `cap` items.
    pub(crate) fn with_capacity(cap: usize) -> SharedVec<T> {
        Self::allocate(Self::rounded(cap))
    }

    fn header(&self) -> &Header {
        // SAFETY: the allocation lives as long as any clone; the header is only written when unshared.
        unsafe { self.ptr.as_ref() }
    }

    fn items(&self) -> *mut T {
        // SAFETY: the items begin at this offset inside the allocation.
        unsafe {
            self.ptr
                .as_ptr()
                .cast::<u8>()
                .add(Self::ITEMS_AT)
                .cast::<T>()
        }
    }

    fn set_len(&mut self, len: usize) {
        debug_assert!(self.is_unique());
        // SAFETY: unshared, so nobody else looks at the header's plain fields. `len` fits: it is at most
        // `cap`, which is a u32.
        unsafe { (*self.ptr.as_ptr()).len = len as u32 }
    }

    /// How many items fit before it grows.
    pub(crate) fn capacity(&self) -> usize {
        self.header().cap as usize
    }

    /// Whether no clone of this node lives. Once true it stays true until this one is cloned.
    pub(crate) fn is_unique(&self) -> bool {
        // Acquire: the writes that follow must not come before a former co-owner's last reads.
        self.header().refs.load(Ordering::Acquire) == 1
    }

    /// Bytes of memory held by the node itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_class(Self::layout(self.capacity()).size())
    }
}

impl<T: Clone> SharedVec<T> {
    /// Makes the node unshared, with room for `cap` items and never fewer than it holds.
    fn reserve_total(&mut self, cap: usize) {
        if cap <= self.capacity() && self.is_unique() {
            return;
        }
        self.reallocate(Self::rounded(cap.max(self.len())));
    }

    fn reallocate(&mut self, cap: usize) {
        let len = self.len();
        debug_assert!(cap >= len);
        let mut next = Self::allocate(cap);
        if self.is_unique() {
            // SAFETY: the items move: both allocations hold `len`, and the old one forgets its own.
            unsafe { std::ptr::copy_nonoverlapping(self.items(), next.items(), len) };
            self.set_len(0);
            next.set_len(len);
        } else {
            for (i, item) in self.iter().enumerate() {
                // SAFETY: `i < len <= cap`. If a clone panics, the items so far are leaked, not dropped
                // twice, as the length is still zero.
                unsafe { next.items().add(i).write(item.clone()) };
            }
            next.set_len(len);
        }
        *self = next;
    }

    /// The items for writing; copies the node first if it is shared.
    pub(crate) fn items_mut(&mut self) -> &mut [T] {
        self.reserve_total(0);
        // SAFETY: unshared now, and `0..len` is initialised.
        unsafe { std::slice::from_raw_parts_mut(self.items(), self.len()) }
    }

    pub(crate) fn push(&mut self, item: T) {
        self.insert(self.len(), item);
    }

    /// Panics if `at > len`.
    pub(crate) fn insert(&mut self, at: usize, item: T) {
        let len = self.len();
        assert!(at <= len, "insert at {at} of {len}");
        let grown = if len < self.capacity() {
            len + 1
        } else {
            len + 1 + len / 8
        };
        self.reserve_total(grown);
        // SAFETY: unshared with room for one more; the tail moves up by one and the gap is filled.
        unsafe {
            let gap = self.items().add(at);
            std::ptr::copy(gap, gap.add(1), len - at);
            gap.write(item);
        }
        self.set_len(len + 1);
    }

    /// Panics if `at >= len`.
    pub(crate) fn remove(&mut self, at: usize) -> T {
        let len = self.len();
        assert!(at < len, "remove {at} of {len}");
        self.reserve_total(0);
        // SAFETY: unshared; the item is moved out and the tail closes the gap.
        unsafe {
            let gap = self.items().add(at);
            let item = gap.read();
            std::ptr::copy(gap.add(1), gap, len - at - 1);
            self.set_len(len - 1);
            item
        }
    }

    /// Drops the items of `range`. Panics if it is out of bounds.
    pub(crate) fn remove_range(&mut self, range: Range<usize>) {
        let len = self.len();
        assert!(range.start <= range.end && range.end <= len);
        self.reserve_total(0);
        // SAFETY: unshared. The length is cut first, so that a panicking drop leaks the tail at worst.
        unsafe {
            self.set_len(range.start);
            let base = self.items();
            for i in range.clone() {
                base.add(i).drop_in_place();
            }
            std::ptr::copy(base.add(range.end), base.add(range.start), len - range.end);
        }
        self.set_len(len - range.len());
    }

    /// Moves the items from `at` on into a node of their own. Panics if `at > len`.
    pub(crate) fn split_off(&mut self, at: usize) -> SharedVec<T> {
        let len = self.len();
        assert!(at <= len);
        self.reserve_total(0);
        let mut tail = Self::with_capacity(len - at);
        // SAFETY: both are unshared; the items move, and the lengths say which one owns them.
        unsafe { std::ptr::copy_nonoverlapping(self.items().add(at), tail.items(), len - at) };
        self.set_len(at);
        tail.set_len(len - at);
        tail
    }

    /// Adds all of `other`'s items at the end.
    pub(crate) fn append(&mut self, mut other: SharedVec<T>) {
        let (len, more) = (self.len(), other.len());
        self.reserve_total(len + more);
        if other.is_unique() {
            // SAFETY: both unshared, room was made; the items move.
            unsafe {
                std::ptr::copy_nonoverlapping(other.items(), self.items().add(len), more);
            }
            other.set_len(0);
        } else {
            for (i, item) in other.iter().enumerate() {
                // SAFETY: room was made for `more` items behind `len`.
                unsafe { self.items().add(len + i).write(item.clone()) };
            }
        }
        self.set_len(len + more);
    }

    /// Gives memory back when the node is at most about half full.
    pub(crate) fn shrink(&mut self) {
        let wanted = Self::rounded(self.len() + self.len() / 8 + 1);
        if self.len() * 2 <= self.capacity() && wanted < self.capacity() {
            self.reallocate(wanted);
        }
    }
}

impl<T> Deref for SharedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `0..len` is initialised and nobody writes while a shared borrow lives: writers need
        // `&mut` of the only clone.
        unsafe { std::slice::from_raw_parts(self.items(), self.header().len as usize) }
    }
}

impl<T> Clone for SharedVec<T> {
    fn clone(&self) -> SharedVec<T> {
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        if before > u32::MAX / 2 {
            // A count that wraps would free memory in use; no dataset has this many clones of a node.
            std::process::abort();
        }
        SharedVec {
            ptr: self.ptr,
            items: PhantomData,
        }
    }
}

impl<T> Drop for SharedVec<T> {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = Self::layout(self.capacity());
        // SAFETY: this was the last clone: the items are ours to drop, then the allocation, made with
        // the same layout.
        unsafe {
            let len = self.header().len as usize;
            std::ptr::drop_in_place(std::ptr::slice_from_raw_parts_mut(self.items(), len));
            dealloc(self.ptr.as_ptr().cast(), layout);
        }
        super::pieces::freed();
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for SharedVec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn size_classes_are_jemallocs() {
        for (bytes, class) in [
            (1, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (161, 192),
            (257, 320),
            (1024, 1024),
            (1025, 1280),
            (2048, 2048),
            (2049, 2560),
        ] {
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn items_are_dropped_once_each() {
        let witness = Arc::new(());
        let mut a = SharedVec::with_capacity(1);
        for _ in 0..100 {
            a.push(witness.clone());
        }
        assert_eq!(Arc::strong_count(&witness), 101);
        let b = a.clone();
        a.remove_range(10..60);
        assert_eq!(Arc::strong_count(&witness), 151);
        let tail = a.split_off(20);
        a.append(tail.clone());
        drop(tail);
        assert_eq!(Arc::strong_count(&witness), 151);
        drop(b);
        assert_eq!(Arc::strong_count(&witness), 51);
        a.shrink();
        drop(a);
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(u16),
        Insert(usize, u16),
        Remove(usize),
        RemoveRange(usize, usize),
        SplitAndAppend(usize, bool),
        Set(usize, u16),
        Shrink,
        Snapshot,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => any::<u16>().prop_map(Op::Push),
            4 => (any::<usize>(), any::<u16>()).prop_map(|(i, v)| Op::Insert(i, v)),
            2 => any::<usize>().prop_map(Op::Remove),
            1 => (any::<usize>(), 0usize..8).prop_map(|(i, n)| Op::RemoveRange(i, n)),
            1 => (any::<usize>(), any::<bool>()).prop_map(|(i, s)| Op::SplitAndAppend(i, s)),
            2 => (any::<usize>(), any::<u16>()).prop_map(|(i, v)| Op::Set(i, v)),
            1 => Just(Op::Shrink),
            1 => Just(Op::Snapshot),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn behaves_as_vec(ops in prop::collection::vec(op(), 0..200)) {
            // Boxed items, so that a wrong move shows up as a double free.
            let mut ours: SharedVec<Box<u16>> = SharedVec::with_capacity(0);
            let mut model: Vec<u16> = Vec::new();
            let mut kept: Vec<(SharedVec<Box<u16>>, Vec<u16>)> = Vec::new();
            let same = |a: &SharedVec<Box<u16>>, b: &[u16]| a.iter().map(|x| **x).eq(b.iter().copied());
            for op in ops {
                let len = model.len();
                match op {
                    Op::Push(v) => {
                        ours.push(Box::new(v));
                        model.push(v);
                    }
                    Op::Insert(i, v) => {
                        ours.insert(i % (len + 1), Box::new(v));
                        model.insert(i % (len + 1), v);
                    }
                    Op::Remove(i) if len > 0 => {
                        prop_assert_eq!(*ours.remove(i % len), model.remove(i % len));
                    }
                    Op::RemoveRange(i, n) => {
                        let start = i % (len + 1);
                        let end = (start + n).min(len);
                        ours.remove_range(start..end);
                        model.drain(start..end);
                    }
                    Op::SplitAndAppend(i, share) => {
                        let tail = ours.split_off(i % (len + 1));
                        let held = share.then(|| tail.clone());
                        ours.append(tail);
                        drop(held);
                    }
                    Op::Set(i, v) if len > 0 => {
                        *ours.items_mut()[i % len] = v;
                        model[i % len] = v;
                    }
                    Op::Shrink => ours.shrink(),
                    Op::Snapshot => kept.push((ours.clone(), model.clone())),
                    _ => {}
                }
                prop_assert!(same(&ours, &model));
            }
            for (clone, then) in &kept {
                prop_assert!(same(clone, then));
            }
        }
    }
}
