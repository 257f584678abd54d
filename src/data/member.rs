//! A sorted set's member: its bytes, its score and a reference count in one small allocation.
//!
//! The member table and the ordered tree both hold a reference, so a lookup by member gives the score
//! without the tree, and the tree gives the bytes without the table. Sixteen bytes of header: a member of
//! up to 16 bytes takes a 32-byte block.
//!
//! Invariants:
//! - The bytes never change.
//! - The score is changed only through [`Member::set_score`], by an owner that has seen that nobody but
//!   its own table and tree refers to the member; a clone of the set still sees what it cloned.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::prefetch::{Prefetch, prefetch};
use super::shared_vec::size_class;

#[repr(C)]
struct Header {
    score: AtomicU64,
    refs: AtomicU32,
    len: u32,
}

pub(crate) struct Member(NonNull<Header>);

// SAFETY: the bytes are immutable and the rest is atomic.
unsafe impl Send for Member {}
// SAFETY: as above.
unsafe impl Sync for Member {}

impl Member {
    fn layout(len: usize) -> Layout {
        match Layout::from_size_align(size_of::<Header>() + len, align_of::<Header>()) {
            Ok(layout) => layout,
            Err(_) => panic!("a member of {len} bytes is past the address space"),
        }
    }

    /// Panics if the bytes are 4 GB or more; requests are bounded far below.
    pub(crate) fn new(bytes: &[u8], score: f64) -> Member {
        let layout = Self::layout(bytes.len());
        let Ok(len) = u32::try_from(bytes.len()) else {
            panic!("a member of {} bytes", bytes.len())
        };
        // SAFETY: the layout holds a header at least, so it is not of size zero.
        let raw = unsafe { alloc(layout) }.cast::<Header>();
        let Some(ptr) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        // SAFETY: freshly allocated for a header and `len` bytes behind it.
        unsafe {
            ptr.as_ptr().write(Header {
                score: AtomicU64::new(score.to_bits()),
                refs: AtomicU32::new(1),
                len,
            });
            let tail = ptr.as_ptr().add(1).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), tail, bytes.len());
        }
        Member(ptr)
    }

    fn header(&self) -> &Header {
        // SAFETY: the allocation lives as long as any reference.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes were written behind the header at birth and never change.
        unsafe {
            let tail = self.0.as_ptr().add(1).cast::<u8>();
            std::slice::from_raw_parts(tail, self.header().len as usize)
        }
    }

    pub(crate) fn score(&self) -> f64 {
        f64::from_bits(self.header().score.load(Ordering::Relaxed))
    }

    /// See the invariants: `references` must have been seen to be the caller's own.
    pub(crate) fn set_score(&self, score: f64) {
        self.header()
            .score
            .store(score.to_bits(), Ordering::Relaxed);
    }

    /// How many references there are. A number that is all the caller's own cannot grow behind its back.
    pub(crate) fn references(&self) -> u32 {
        self.header().refs.load(Ordering::Acquire)
    }

    /// Bytes of memory held.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_class(size_of::<Header>() + self.bytes().len())
    }
}

impl Prefetch for Member {
    #[inline]
    fn prefetch(&self) {
        prefetch(self.0.as_ptr());
    }
}

impl Clone for Member {
    fn clone(&self) -> Member {
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        if before > u32::MAX / 2 {
            // A count that wraps would free memory in use.
            std::process::abort();
        }
        Member(self.0)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = Self::layout(self.header().len as usize);
        // SAFETY: the last reference is gone; the layout is the one it was made with.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.bytes().escape_ascii(), self.score())
    }
}

#[cfg(test)]
mod tests {
    use super::Member;

    #[test]
    fn references_share_one_member() {
        let a = Member::new(b"member:1", 1.5);
        let b = a.clone();
        assert_eq!((a.references(), b.bytes()), (2, &b"member:1"[..]));
        b.set_score(-2.0);
        assert_eq!(a.score(), -2.0);
        drop(a);
        assert_eq!((b.references(), b.score()), (1, -2.0));
        assert_eq!(Member::new(b"", 0.0).bytes(), b"");
        assert_eq!(Member::new(b"0123456789abcdef", 0.0).heap_bytes(), 32);
    }
}
