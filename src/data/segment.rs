//! A segment of a [`SegTable`](super::segtable::SegTable): some dozens of entries, packed without holes,
//! found by one-byte tags of their hashes, in one reference-counted allocation.
//!
//! Layout: header (16 bytes), tags (`capacity` bytes, a multiple of 16), entries. A lookup compares sixteen
//! tags at a time; header and most tags share a cache line. Without holes, a segment costs its entries and
//! little more, iterating and picking at random are trivial, and copying is a loop.
//!
//! Invariants: the first `len` tags and entries are initialised, all tags are; `len <= capacity`; contents
//! change only through the sole owner ([`Segment::make_mut`]).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::prefetch::prefetch;

/// Tags are compared, and capacities grow, by this many.
const GROUP: usize = 16;
const HEADER: usize = 16;

#[repr(C)]
struct Header {
    owners: AtomicU32,
    len: u32,
    capacity: u32,
    /// How many top bits of the hash all entries share.
    depth: u8,
}

/// A counted reference to a segment; one word.
pub(super) struct Segment<T> {
    ptr: NonNull<Header>,
    entries: PhantomData<T>,
}

// SAFETY: like Arc<[T]>: shared owners only read, and the count is atomic.
unsafe impl<T: Send + Sync> Send for Segment<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Segment<T> {}

/// The slots of the first `len` tags that equal `tag`, in rising order.
struct Matches<'a> {
    tags: &'a [u8],
    tag: u8,
    base: usize,
    mask: u32,
    len: usize,
}

/// A bit for each of the sixteen tags that equals `tag`.
#[inline]
fn match_group(tags: &[u8; GROUP], tag: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        // SAFETY: SSE2 is part of x86-64, and the load takes any alignment of the sixteen bytes.
        unsafe {
            let group = _mm_loadu_si128(tags.as_ptr().cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(group, _mm_set1_epi8(tag as i8))) as u32
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        tags.iter()
            .enumerate()
            .fold(0, |mask, (i, &t)| mask | u32::from(t == tag) << i)
    }
}

impl Iterator for Matches<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += GROUP;
            if self.base >= self.len {
                return None;
            }
            self.load();
        }
        let slot = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        (slot < self.len).then_some(slot)
    }
}

impl Matches<'_> {
    #[inline]
    fn load(&mut self) {
        // Capacities are multiples of the group, so a whole group is there.
        self.mask = match self.tags[self.base..].first_chunk() {
            Some(group) => match_group(group, self.tag),
            None => 0,
        };
    }
}

impl<T> Segment<T> {
    const ALIGN: usize = {
        assert!(align_of::<T>() <= HEADER);
        if align_of::<T>() > 8 {
            align_of::<T>()
        } else {
            8
        }
    };

    fn layout(capacity: usize) -> Layout {
        let size = HEADER + capacity + capacity * size_of::<T>();
        Layout::from_size_align(size, Self::ALIGN)
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<u8>()))
    }

    fn capacity_of(entries: usize) -> usize {
        entries.max(1).next_multiple_of(GROUP)
    }

    pub(super) fn new(depth: u8, room: usize) -> Segment<T> {
        let capacity = Self::capacity_of(room);
        let layout = Self::layout(capacity);
        // SAFETY: the size is not 0. The header and all tags are initialised before use.
        let ptr = unsafe {
            let Some(ptr) = NonNull::new(alloc(layout).cast::<Header>()) else {
                handle_alloc_error(layout)
            };
            ptr.as_ptr().write(Header {
                owners: AtomicU32::new(1),
                len: 0,
                capacity: capacity as u32,
                depth,
            });
            ptr.as_ptr()
                .cast::<u8>()
                .add(HEADER)
                .write_bytes(0, capacity);
            ptr
        };
        Segment {
            ptr,
            entries: PhantomData,
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the allocation lives as long as any owner.
        unsafe { self.ptr.as_ref() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.header().len as usize
    }

    #[inline]
    pub(super) fn depth(&self) -> u8 {
        self.header().depth
    }

    #[inline]
    fn tags(&self) -> &[u8] {
        // SAFETY: `capacity` tags are initialised after the header.
        unsafe {
            let base = self.ptr.as_ptr().cast::<u8>().add(HEADER);
            std::slice::from_raw_parts(base, self.header().capacity as usize)
        }
    }

    #[inline]
    fn entries_ptr(&self) -> *mut T {
        // SAFETY: the entries follow the tags; the capacity is a multiple of 16, so they are aligned.
        unsafe {
            let base = self.ptr.as_ptr().cast::<u8>();
            base.add(HEADER + self.header().capacity as usize).cast()
        }
    }

    #[inline]
    pub(super) fn entries(&self) -> &[T] {
        // SAFETY: the first `len` entries are initialised.
        unsafe { std::slice::from_raw_parts(self.entries_ptr(), self.len()) }
    }

    /// The slot of the entry that has this tag and that `eq` accepts.
    #[inline]
    pub(super) fn find(&self, tag: u8, mut eq: impl FnMut(&T) -> bool) -> Option<usize> {
        let mut matches = Matches {
            tags: self.tags(),
            tag,
            base: 0,
            mask: 0,
            len: self.len(),
        };
        matches.load();
        let entries = self.entries();
        matches.find(|&slot| eq(&entries[slot]))
    }

    /// Begins to bring the header and most tags into the cache.
    #[inline]
    pub(super) fn prefetch(&self) {
        let start = self.ptr.as_ptr().cast_const().cast::<u8>();
        prefetch(start);
        prefetch(start.wrapping_add(64));
    }

    /// Bytes of memory held, without what the entries point to.
    pub(super) fn memory(&self) -> usize {
        super::flat::capacity_for(Self::layout(self.header().capacity as usize).size())
    }

    #[inline]
    fn is_sole(&self) -> bool {
        // Acquire: what former owners did with it happened before we change it.
        self.header().owners.load(Ordering::Acquire) == 1
    }

    /// Moves everything into an allocation for `room` entries. The caller is the sole owner.
    fn resize(&mut self, room: usize) {
        let mut other = Segment::<T>::new(self.depth(), room.max(self.len()));
        let len = self.len();
        // SAFETY: the new segment has room for `len`; the entries are moved: the old one's length
        // becomes 0, so that its drop frees only the memory.
        unsafe {
            let tags = other.ptr.as_ptr().cast::<u8>().add(HEADER);
            tags.copy_from_nonoverlapping(self.tags().as_ptr(), len);
            other
                .entries_ptr()
                .copy_from_nonoverlapping(self.entries_ptr(), len);
            other.ptr.as_mut().len = len as u32;
            self.ptr.as_mut().len = 0;
        }
        std::mem::swap(self, &mut other);
    }
}

impl<T: Clone> Segment<T> {
    /// The sole owner's view; copies the segment first if others share it.
    #[inline]
    pub(super) fn make_mut(&mut self) -> SegmentMut<'_, T> {
        if !self.is_sole() {
            let mut copy = Segment::new(self.depth(), self.len());
            let mut filling = SegmentMut { segment: &mut copy };
            for (entry, tag) in self.entries().iter().zip(self.tags()) {
                filling.push(*tag, entry.clone());
            }
            *self = copy;
        }
        SegmentMut { segment: self }
    }
}

/// A segment that nobody else shares.
pub(super) struct SegmentMut<'a, T> {
    segment: &'a mut Segment<T>,
}

impl<'a, T> SegmentMut<'a, T> {
    #[inline]
    pub(super) fn into_entry(self, slot: usize) -> &'a mut T {
        let len = self.segment.len();
        // SAFETY: the first `len` entries are initialised, and we are the sole owner for 'a.
        let entries = unsafe { std::slice::from_raw_parts_mut(self.segment.entries_ptr(), len) };
        &mut entries[slot]
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.segment.len()
    }

    #[inline]
    pub(super) fn entries(&self) -> &[T] {
        self.segment.entries()
    }

    pub(super) fn set_depth(&mut self, depth: u8) {
        // SAFETY: sole owner.
        unsafe { self.segment.ptr.as_mut().depth = depth };
    }

    /// Adds an entry; its slot.
    #[inline]
    pub(super) fn push(&mut self, tag: u8, entry: T) -> usize {
        let len = self.segment.len();
        if len == self.segment.header().capacity as usize {
            self.segment.resize(len + 1);
        }
        // SAFETY: sole owner; there is room at slot `len`.
        unsafe {
            let tags = self.segment.ptr.as_ptr().cast::<u8>().add(HEADER);
            tags.add(len).write(tag);
            self.segment.entries_ptr().add(len).write(entry);
            self.segment.ptr.as_mut().len += 1;
        }
        len
    }

    /// Takes an entry out; the last takes its slot. Gives memory back. Panics if there is no such slot.
    pub(super) fn swap_remove(&mut self, slot: usize) -> (u8, T) {
        let out = self.swap_take(slot);
        // Shrink late, so that removals and additions in turn don't move everything each time.
        let len = self.segment.len();
        if self.segment.header().capacity as usize > len + 2 * GROUP {
            self.segment.resize(len + GROUP / 2);
        }
        out
    }

    /// As `swap_remove`, keeping the memory.
    pub(super) fn swap_take(&mut self, slot: usize) -> (u8, T) {
        let len = self.segment.len();
        assert!(slot < len);
        // SAFETY: sole owner; both slots are initialised, and the last one is given up.
        unsafe {
            let tags = self.segment.ptr.as_ptr().cast::<u8>().add(HEADER);
            let entries = self.segment.entries_ptr();
            let out = (tags.add(slot).read(), entries.add(slot).read());
            tags.add(slot).write(tags.add(len - 1).read());
            entries.add(slot).copy_from(entries.add(len - 1), 1);
            self.segment.ptr.as_mut().len -= 1;
            out
        }
    }

    /// Makes the capacity fit the length.
    pub(super) fn shrink(&mut self) {
        let len = self.segment.len();
        if Segment::<T>::capacity_of(len) < self.segment.header().capacity as usize {
            self.segment.resize(len);
        }
    }
}

impl<T> Clone for Segment<T> {
    fn clone(&self) -> Segment<T> {
        let before = self.header().owners.fetch_add(1, Ordering::Relaxed);
        // Owners are clones of whole tables: a handful. Two billion would be a leak.
        assert!(before < u32::MAX / 2, "a segment's owner count overflows");
        Segment {
            ptr: self.ptr,
            entries: PhantomData,
        }
    }
}

impl<T> Drop for Segment<T> {
    fn drop(&mut self) {
        if self.header().owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = Self::layout(self.header().capacity as usize);
        // SAFETY: we were the last owner; the first `len` entries are initialised and dropped once, and
        // the memory is given back with the layout it was allocated with.
        unsafe {
            let entries = std::ptr::slice_from_raw_parts_mut(self.entries_ptr(), self.len());
            std::ptr::drop_in_place(entries);
            dealloc(self.ptr.as_ptr().cast(), layout);
        }
        super::pieces::freed();
    }
}
