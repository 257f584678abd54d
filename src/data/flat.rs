//! One allocation behind a thin pointer, for byte layouts that carry their own length (listpack, intset).
//!
//! A small collection is the commonest value after strings, so its handle is one word and its bytes are
//! one allocation. The capacity isn't stored: it follows from the length ([`capacity_for`], the size
//! classes of jemalloc), which also makes growth geometric, by a fifth on average, with next to no slack.
//! An empty layout owns nothing and points at a static image. The pointer's low bits are the layout's tag,
//! so that a collection can be one word of several forms (`super::tagged_pointer`).
//!
//! Invariants: the pointer less its tag is either the layout's static empty image or an allocation of
//! `capacity_for(total)` bytes, of which the first `total` are initialised, where `total` is what the
//! layout's own header says.

use std::alloc::{Layout as Alloc, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::prefetch::prefetch;
use super::tagged_pointer::{ALIGN, TAG_MASK, Tagged};

/// The allocation that `len` bytes get: the next size class of jemalloc (four per doubling).
#[inline]
pub fn capacity_for(len: usize) -> usize {
    if len <= 8 {
        8
    } else if len <= 128 {
        (len + 15) & !15
    } else {
        let step = 1usize << ((len - 1).ilog2() - 2);
        (len + step - 1) & !(step - 1)
    }
}

/// Allocates `capacity` (not 0) bytes at an alignment that is a power of two.
#[inline]
pub(crate) fn allocate(capacity: usize, align: usize) -> NonNull<u8> {
    let layout = layout(capacity, align);
    debug_assert!(capacity > 0);
    // SAFETY: the size is not 0: callers ask for at least a header.
    match NonNull::new(unsafe { alloc(layout) }) {
        Some(ptr) => ptr,
        None => handle_alloc_error(layout),
    }
}

/// Gives back what [`allocate`] gave.
///
/// # Safety
/// `ptr` must come from `allocate` or `reallocate` with this capacity and alignment, and not be used again.
#[inline]
pub(crate) unsafe fn release(ptr: NonNull<u8>, capacity: usize, align: usize) {
    // SAFETY: as promised by the caller.
    unsafe { dealloc(ptr.as_ptr(), layout(capacity, align)) }
}

/// Resizes what [`allocate`] gave at [`ALIGN`], keeping its first bytes.
///
/// # Safety
/// As [`release`].
#[inline]
unsafe fn reallocate(ptr: NonNull<u8>, from: usize, to: usize) -> NonNull<u8> {
    // SAFETY: as promised by the caller; `to` is a capacity, so it isn't 0.
    match NonNull::new(unsafe { realloc(ptr.as_ptr(), layout(from, ALIGN), to) }) {
        Some(ptr) => ptr,
        None => handle_alloc_error(layout(to, ALIGN)),
    }
}

#[inline]
fn layout(capacity: usize, align: usize) -> Alloc {
    // Lengths come from byte slices that exist, so rounded up they only pass isize::MAX when memory
    // is long gone; that is an allocation failure like any other.
    Alloc::from_size_align(capacity, align)
        .unwrap_or_else(|_| handle_alloc_error(Alloc::new::<u8>()))
}

/// A byte layout that knows its length.
///
/// # Safety
/// `empty` must be as aligned as it says, `total` must give back what `set_total` stored and, of `empty`, its
/// length. Both must touch only the first `HEADER` bytes, and `empty` must have at least that many.
pub(crate) unsafe trait SelfSized {
    const HEADER: usize;
    /// The low bits of a [`Flat`]'s pointer, at most `TAG_MASK`.
    const TAG: usize;
    /// Four-aligned.
    fn empty() -> &'static [u8];
    /// The whole layout's bytes, from its first `HEADER` bytes.
    fn total(header: &[u8]) -> usize;
    fn set_total(header: &mut [u8], total: usize);
}

/// A static image with the alignment that a tagged pointer needs.
#[repr(C, align(4))]
pub(super) struct Image<const N: usize>(pub(crate) [u8; N]);

/// The owner of such bytes; one word.
#[repr(transparent)]
pub(crate) struct Flat<L: SelfSized> {
    ptr: NonNull<u8>,
    layout: PhantomData<L>,
}

// SAFETY: a `Flat` owns plain bytes and hands them out under the usual borrow rules.
unsafe impl<L: SelfSized> Send for Flat<L> {}
// SAFETY: as above.
unsafe impl<L: SelfSized> Sync for Flat<L> {}

// SAFETY: one pointer, to what is four-aligned, plus the tag.
unsafe impl<L: SelfSized> Tagged for Flat<L> {
    const TAG: usize = L::TAG;
}

impl<L: SelfSized> Flat<L> {
    #[inline]
    pub(crate) fn new() -> Flat<L> {
        Flat::at(NonNull::from(L::empty()).cast())
    }

    #[inline]
    fn at(start: NonNull<u8>) -> Flat<L> {
        const { assert!(L::TAG <= TAG_MASK && L::HEADER > L::TAG) };
        Flat {
            // SAFETY: within the header, which every image and allocation has.
            ptr: unsafe { start.byte_add(L::TAG) },
            layout: PhantomData,
        }
    }

    /// Where the bytes begin.
    #[inline]
    fn start(&self) -> NonNull<u8> {
        // SAFETY: `at` added as much.
        unsafe { self.ptr.byte_sub(L::TAG) }
    }

    /// Copies bytes whose header must state their length; panics if it doesn't (callers validate).
    pub(crate) fn from_slice(bytes: &[u8]) -> Flat<L> {
        assert!(bytes.len() >= L::HEADER && L::total(bytes) == bytes.len());
        if bytes.len() == L::empty().len() {
            return Flat::new();
        }
        let ptr = allocate(capacity_for(bytes.len()), ALIGN);
        // SAFETY: the allocation has room for them and is new, so it can't overlap.
        unsafe {
            ptr.as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
        Flat::at(ptr)
    }

    #[inline]
    fn is_static(&self) -> bool {
        std::ptr::eq(self.start().as_ptr(), L::empty().as_ptr())
    }

    /// Begins to bring the first bytes into the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(self.start().as_ptr());
    }

    #[inline]
    pub(crate) fn total(&self) -> usize {
        // SAFETY: the header is always there and initialised.
        L::total(unsafe { std::slice::from_raw_parts(self.start().as_ptr(), L::HEADER) })
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: by the type's invariant `total` bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.total()) }
    }

    /// The bytes, for changing anything but the length. Empty if there is no allocation yet.
    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        if self.is_static() {
            return &mut [];
        }
        // SAFETY: the bytes are ours alone, and by the type's invariant initialised. A length changed
        // through the slice would break the invariant: the two users in this module never do.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.total()) }
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        if self.is_static() {
            0
        } else {
            capacity_for(self.total())
        }
    }

    /// Removes `remove` bytes at `at` and opens a gap of `insert` bytes there, which the caller fills.
    /// The header (before `at`) is adjusted. Panics if the span is out of range.
    pub(crate) fn splice(&mut self, at: usize, remove: usize, insert: usize) -> &mut [u8] {
        let total = self.total();
        assert!(at >= L::HEADER && remove <= total && at <= total - remove);
        let new_total = total - remove + insert;
        let (old_capacity, new_capacity) = (capacity_for(total), capacity_for(new_total));
        let tail = total - at - remove;
        // SAFETY: all spans lie within the old or the new capacity, as asserted above; a shrinking move
        // happens before the reallocation, a growing one after it. A gap past the old total is zeroed,
        // so that nothing uninitialised is handed out.
        unsafe {
            let mut start = self.start();
            if self.is_static() {
                let fresh = allocate(new_capacity, ALIGN);
                fresh
                    .as_ptr()
                    .copy_from_nonoverlapping(start.as_ptr(), total);
                start = fresh;
            } else if new_capacity > old_capacity {
                start = reallocate(start, old_capacity, new_capacity);
            }
            let base = start.as_ptr();
            base.add(at + insert).copy_from(base.add(at + remove), tail);
            if new_capacity < old_capacity {
                start = reallocate(start, old_capacity, new_capacity);
            }
            self.ptr = start.byte_add(L::TAG);
            let base = start.as_ptr();
            if insert > 0 {
                base.add(at).write_bytes(0, insert);
            }
            L::set_total(std::slice::from_raw_parts_mut(base, L::HEADER), new_total);
            std::slice::from_raw_parts_mut(base.add(at), insert)
        }
    }
}

impl<L: SelfSized> Default for Flat<L> {
    fn default() -> Self {
        Flat::new()
    }
}

impl<L: SelfSized> Clone for Flat<L> {
    fn clone(&self) -> Self {
        Flat::from_slice(self.as_slice())
    }
}

impl<L: SelfSized> Drop for Flat<L> {
    fn drop(&mut self) {
        if !self.is_static() {
            // SAFETY: by the invariant that is the capacity it was allocated with.
            unsafe { release(self.start(), capacity_for(self.total()), ALIGN) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_size_classes() {
        for (len, want) in [
            (1, 8),
            (8, 8),
            (9, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (161, 192),
            (256, 256),
            (257, 320),
            (8193, 10240),
        ] {
            assert_eq!(capacity_for(len), want, "{len}");
        }
    }
}
