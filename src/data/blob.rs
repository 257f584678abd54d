//! Byte strings behind a thin pointer, one allocation each: [`Blob`] (a set's member) and [`Pair`] (a
//! hash's field with its value).
//!
//! Short ones (the usual case) carry their lengths in a byte or two, so that a member of 15 bytes costs 16.
//! Long ones have a reference count: cloning them, as copy-on-write of their segment does, shares the bytes.
//!
//! Layouts (first byte tells them apart):
//! - short blob: length (u8, at most 254), bytes;
//! - short pair: field length (u8, at most 253), value length (u8, at most 254), field, value;
//! - short pair whose field expires: 0xFE, field length (u8), value length (u8), moment (i64), field, value;
//! - long: 0xFF, whether there is a moment (pairs, u8 at 1), padding, count of owners (u32 at 4), lengths (u64 at 8;
//!   pairs: another at 16), moment if there is one (i64 at 24), bytes.
//!
//! A pair's moment is when its field expires, unix ms: what hashes whose fields don't expire have no byte for.
//!
//! Invariants: the allocation has `capacity_for(size)` bytes where `size` follows from the header; bytes of
//! a long one never change while it has more than one owner (in fact, never at all).

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::flat::{allocate, capacity_for, release};
use super::prefetch::{Prefetch, prefetch};

/// The longest length that a short layout holds.
const SHORT: usize = 254;
const LONG_MARK: u8 = 0xFF;
/// A short pair that begins with this has a moment.
const MOMENT_MARK: u8 = 0xFE;
/// The longest field of a short pair.
const SHORT_FIELD: usize = 253;
const BLOB_HEADER: usize = 16;
const PAIR_HEADER: usize = 24;
/// A short pair's header, without and with a moment.
const SHORT_PAIR: usize = 2;
const SHORT_MOMENT: usize = 11;
/// A long pair's, with a moment.
const LONG_MOMENT: usize = 32;

/// The owner count of a long layout.
///
/// # Safety
/// `ptr` must point to a long layout that lives as long as the reference is used.
#[inline]
unsafe fn owners<'a>(ptr: NonNull<u8>) -> &'a AtomicU32 {
    // SAFETY: long layouts are allocated at an alignment of 8 and keep the count at offset 4.
    unsafe { &*ptr.as_ptr().add(4).cast::<AtomicU32>() }
}

/// Allocates a long layout with one owner and these lengths at 8.
fn allocate_long(size: usize, lengths: &[usize]) -> NonNull<u8> {
    let ptr = allocate(capacity_for(size), 8);
    // SAFETY: `size` includes the header, which is written here in full.
    unsafe {
        ptr.as_ptr().write_bytes(0, 8);
        ptr.as_ptr().write(LONG_MARK);
        ptr.as_ptr().add(4).cast::<u32>().write(1);
        for (i, len) in lengths.iter().enumerate() {
            ptr.as_ptr().add(8 + 8 * i).cast::<u64>().write(*len as u64);
        }
    }
    ptr
}

/// Counts one more owner of a long layout.
///
/// # Safety
/// As [`owners`].
unsafe fn share(ptr: NonNull<u8>) {
    // SAFETY: as promised.
    let before = unsafe { owners(ptr) }.fetch_add(1, Ordering::Relaxed);
    // Owners are segments that snapshots share: a handful. Two billion would be a leak.
    assert!(before < u32::MAX / 2, "a blob's owner count overflows");
}

/// Counts one owner less of a long layout and frees it with the last.
///
/// # Safety
/// As [`owners`]; `size` must be the layout's, and this owner must not use it again.
unsafe fn unshare(ptr: NonNull<u8>, size: usize) {
    // SAFETY: as promised. The fence makes the other owners' reads happen before the release.
    unsafe {
        if owners(ptr).fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            release(ptr, capacity_for(size), 8);
        }
    }
}

/// An immutable byte string; one word.
pub struct Blob(NonNull<u8>);

// SAFETY: a blob's bytes are immutable and owned; the owner count is atomic.
unsafe impl Send for Blob {}
// SAFETY: as above.
unsafe impl Sync for Blob {}

impl Blob {
    pub(crate) fn new(bytes: &[u8]) -> Blob {
        let len = bytes.len();
        let (ptr, at) = if len <= SHORT {
            let ptr = allocate(capacity_for(1 + len), 1);
            // SAFETY: at least one byte was allocated.
            unsafe { ptr.as_ptr().write(len as u8) };
            (ptr, 1)
        } else {
            (allocate_long(BLOB_HEADER + len, &[len]), BLOB_HEADER)
        };
        // SAFETY: there is room for `len` bytes at `at`, and new memory can't overlap.
        unsafe {
            ptr.as_ptr()
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), len);
        }
        Blob(ptr)
    }

    /// Where the bytes begin, and how many they are.
    #[inline]
    fn span(&self) -> (usize, usize) {
        // SAFETY: by the invariant the header is there.
        unsafe {
            match self.0.as_ptr().read() {
                LONG_MARK => {
                    let len = self.0.as_ptr().add(8).cast::<u64>().read();
                    (BLOB_HEADER, len as usize)
                }
                len => (1, usize::from(len)),
            }
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let (at, len) = self.span();
        // SAFETY: by the invariant `len` bytes are initialised at `at`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(at), len) }
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let (at, len) = self.span();
        capacity_for(at + len)
    }
}

impl Prefetch for Blob {
    #[inline]
    fn prefetch(&self) {
        prefetch(self.0.as_ptr());
    }
}

impl Clone for Blob {
    fn clone(&self) -> Blob {
        let (at, _) = self.span();
        if at == BLOB_HEADER {
            // SAFETY: it is long, and lives as long as `self`.
            unsafe { share(self.0) };
            Blob(self.0)
        } else {
            Blob::new(self.as_bytes())
        }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let (at, len) = self.span();
        // SAFETY: sizes and alignments are those of allocation; nobody uses `self.0` after this.
        unsafe {
            if at == BLOB_HEADER {
                unshare(self.0, at + len);
            } else {
                release(self.0, capacity_for(at + len), 1);
            }
        }
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// Two byte strings; one word.
pub struct Pair(NonNull<u8>);

// SAFETY: a pair's bytes are owned and change only through `&mut`; the owner count is atomic.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

impl Pair {
    #[inline]
    pub(crate) fn new(field: &[u8], value: &[u8]) -> Pair {
        Pair::expiring(field, value, None)
    }

    /// A pair whose field expires at a moment, unix ms.
    pub(crate) fn expiring(field: &[u8], value: &[u8], moment: Option<i64>) -> Pair {
        let len = field.len() + value.len();
        let is_short = field.len() <= SHORT_FIELD && value.len() <= SHORT;
        let (ptr, at) = match (is_short, moment) {
            (true, None) => {
                let ptr = allocate(capacity_for(SHORT_PAIR + len), 1);
                // SAFETY: at least two bytes were allocated.
                unsafe {
                    ptr.as_ptr().write(field.len() as u8);
                    ptr.as_ptr().add(1).write(value.len() as u8);
                }
                (ptr, SHORT_PAIR)
            }
            (true, Some(moment)) => {
                let ptr = allocate(capacity_for(SHORT_MOMENT + len), 1);
                // SAFETY: at least eleven bytes were allocated; the moment needs no alignment.
                unsafe {
                    ptr.as_ptr().write(MOMENT_MARK);
                    ptr.as_ptr().add(1).write(field.len() as u8);
                    ptr.as_ptr().add(2).write(value.len() as u8);
                    ptr.as_ptr().add(3).cast::<i64>().write_unaligned(moment);
                }
                (ptr, SHORT_MOMENT)
            }
            (false, None) => {
                let ptr = allocate_long(PAIR_HEADER + len, &[field.len(), value.len()]);
                (ptr, PAIR_HEADER)
            }
            (false, Some(moment)) => {
                let lengths = [field.len(), value.len()];
                let ptr = allocate_long(LONG_MOMENT + len, &lengths);
                // SAFETY: the header's 32 bytes were allocated, at an alignment of 8.
                unsafe {
                    ptr.as_ptr().add(1).write(1);
                    ptr.as_ptr().add(PAIR_HEADER).cast::<i64>().write(moment);
                }
                (ptr, LONG_MOMENT)
            }
        };
        // SAFETY: there is room for both at `at`, and new memory can't overlap.
        unsafe {
            let base = ptr.as_ptr().add(at);
            base.copy_from_nonoverlapping(field.as_ptr(), field.len());
            base.add(field.len())
                .copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
        Pair(ptr)
    }

    /// Where the bytes begin, and the lengths of field and value.
    #[inline]
    fn span(&self) -> (usize, usize, usize) {
        // SAFETY: by the invariant the header is there.
        unsafe {
            let base = self.0.as_ptr();
            match base.read() {
                LONG_MARK => (
                    PAIR_HEADER + 8 * usize::from(base.add(1).read()),
                    base.add(8).cast::<u64>().read() as usize,
                    base.add(16).cast::<u64>().read() as usize,
                ),
                MOMENT_MARK => (
                    SHORT_MOMENT,
                    usize::from(base.add(1).read()),
                    usize::from(base.add(2).read()),
                ),
                field => (
                    SHORT_PAIR,
                    usize::from(field),
                    usize::from(base.add(1).read()),
                ),
            }
        }
    }

    /// When the field expires, unix ms.
    #[inline]
    pub(crate) fn moment(&self) -> Option<i64> {
        // SAFETY: by the invariant the header is there, with a moment where its length says so.
        unsafe {
            let base = self.0.as_ptr();
            match self.span().0 {
                SHORT_MOMENT => Some(base.add(3).cast::<i64>().read_unaligned()),
                LONG_MOMENT => Some(base.add(PAIR_HEADER).cast::<i64>().read()),
                _ => None,
            }
        }
    }

    /// Whether it has owners that are counted.
    #[inline]
    fn is_long(at: usize) -> bool {
        at >= PAIR_HEADER
    }

    #[inline]
    pub(crate) fn field(&self) -> &[u8] {
        let (at, field, _) = self.span();
        // SAFETY: by the invariant the field is initialised at `at`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(at), field) }
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        let (at, field, value) = self.span();
        // SAFETY: by the invariant the value is initialised after the field.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(at + field), value) }
    }

    /// Replaces the value, in place where the allocation stays the same. The field does not expire any more.
    pub(crate) fn set_value(&mut self, new: &[u8]) {
        let (at, field, value) = self.span();
        let capacity = capacity_for(at + field + value);
        if at == SHORT_PAIR
            && new.len() <= SHORT
            && capacity_for(at + field + new.len()) == capacity
        {
            // SAFETY: the capacity holds the new value; `new` can't overlap what `&mut self` owns.
            unsafe {
                let base = self.0.as_ptr();
                base.add(1).write(new.len() as u8);
                base.add(at + field)
                    .copy_from_nonoverlapping(new.as_ptr(), new.len());
            }
        } else {
            *self = Pair::new(self.field(), new);
        }
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let (at, field, value) = self.span();
        capacity_for(at + field + value)
    }
}

impl Prefetch for Pair {
    #[inline]
    fn prefetch(&self) {
        prefetch(self.0.as_ptr());
    }
}

impl Clone for Pair {
    fn clone(&self) -> Pair {
        let (at, ..) = self.span();
        if Pair::is_long(at) {
            // SAFETY: it is long, and lives as long as `self`.
            unsafe { share(self.0) };
            Pair(self.0)
        } else {
            Pair::expiring(self.field(), self.value(), self.moment())
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let (at, field, value) = self.span();
        // SAFETY: sizes and alignments are those of allocation; nobody uses `self.0` after this.
        unsafe {
            if Pair::is_long(at) {
                unshare(self.0, at + field + value);
            } else {
                release(self.0, capacity_for(at + field + value), 1);
            }
        }
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\"{}\": \"{}\"",
            self.field().escape_ascii(),
            self.value().escape_ascii()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 10] = [0, 1, 13, 14, 15, 253, 254, 255, 256, 70_000];

    #[test]
    fn blobs_of_every_size() {
        for len in LENGTHS {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let blob = Blob::new(&bytes);
            let copy = blob.clone();
            assert_eq!(blob.as_bytes(), bytes);
            assert!(blob.memory() > len);
            drop(blob);
            assert_eq!(copy.as_bytes(), bytes);
        }
        assert_eq!(Blob::new(b"member:123456").memory(), 16);
    }

    #[test]
    fn pairs_of_every_size() {
        for a in LENGTHS {
            for b in LENGTHS {
                let field = vec![b'f'; a];
                let mut pair = Pair::new(&field, &vec![b'v'; b]);
                let copy = pair.clone();
                for c in LENGTHS {
                    pair.set_value(&vec![b'w'; c]);
                    assert_eq!(pair.field(), field);
                    assert_eq!(pair.value(), vec![b'w'; c]);
                }
                assert_eq!(copy.field(), field);
                assert_eq!(copy.value(), vec![b'v'; b]);
            }
        }
    }

    #[test]
    fn long_ones_are_shared_across_threads() {
        let blob = Blob::new(&[7; 1000]);
        let pair = Pair::new(b"f", &[8; 1000]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (blob, pair) = (blob.clone(), pair.clone());
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let (b, mut p) = (blob.clone(), pair.clone());
                        p.set_value(b"x");
                        assert_eq!(b.as_bytes(), [7; 1000]);
                        assert_eq!(p.field(), b"f");
                    }
                });
            }
        });
        assert_eq!(pair.value(), [8; 1000]);
    }
}
