//! The spool: what of a byte sequence has gone to disk because only slow readers need it yet.
//!
//! A sequence (the replication log, or a full sync's dump) keeps its newest bytes in memory and, past a
//! bound, its oldest ones in segments on disk. Here is only the ledger: which positions are in which
//! segment, what is being written, what may be deleted. Files are the owner's; it is told by [`Spill`] what
//! to write and by [`Place`] what to read, and says how writing went.
//!
//! [`Spool`] is what all sequences of a node share: the bounds, the bytes in use, and why spooling doesn't
//! work at the moment, if so. Then readers are bounded by what Redis bounds them with, the output limit.
//!
//! Invariants of a [`SegmentIndex`]: segments are contiguous; only the last one grows; at most one write is under
//! way, and it begins where the last segment ends; a segment is released exactly once, and its bytes are
//! taken off the account then.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

/// A segment takes no further write once it holds so many bytes: disk space comes back a segment at a time.
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;
/// Bytes handed out to be written at a time.
pub(crate) const SPILL_BYTES: usize = 4 << 20;

/// The bounds and accounts that all sequences of a node share.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    /// There is a writer for what is spilled.
    open: AtomicBool,
    memory_max: AtomicU64,
    disk_max: AtomicU64,
    disk: AtomicU64,
    /// Dumps on their way; they share their part of the memory.
    pub(crate) feeds: AtomicU64,
    /// Bytes of those dumps in memory, as last seen.
    pub(crate) feed_memory: AtomicU64,
    spilled_total: AtomicU64,
    next_segment: AtomicU64,
    refusal: Mutex<Option<String>>,
    /// It may be tried once more, whatever was refused.
    retry: AtomicBool,
}

impl Spool {
    /// Sets the bounds, bytes; `disk_max` 0: none. From here on there is a writer.
    pub(crate) fn configure(&self, memory_max: u64, disk_max: u64) {
        self.memory_max.store(memory_max, Ordering::Relaxed);
        self.disk_max.store(disk_max, Ordering::Relaxed);
        self.open.store(true, Ordering::Release);
    }

    /// Bytes that may be held in memory for replicas that aren't online.
    pub(crate) fn memory_max(&self) -> u64 {
        self.memory_max.load(Ordering::Relaxed)
    }

    /// Bytes on disk.
    pub(crate) fn disk(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }

    /// Bytes ever written.
    pub(crate) fn spilled_total(&self) -> u64 {
        self.spilled_total.load(Ordering::Relaxed)
    }

    /// Why nothing goes to disk now although it should, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }

    /// Spilling failed. True if that is news.
    pub(crate) fn refuse(&self, reason: String) -> bool {
        self.retry.store(false, Ordering::Relaxed);
        let mut refusal = self.refusal.lock();
        let news = refusal.is_none();
        *refusal = Some(reason);
        news
    }

    /// What was refused may be tried once more. To be called now and then.
    pub(crate) fn retry(&self) {
        self.retry.store(true, Ordering::Relaxed);
    }

    /// Whether something could be spilled now.
    pub(crate) fn takes(&self) -> bool {
        self.open.load(Ordering::Acquire)
            && (self.retry.load(Ordering::Relaxed) || self.refusal.lock().is_none())
    }

    fn reserve(&self, bytes: u64) -> bool {
        if !self.takes() {
            return false;
        }
        let max = self.disk_max.load(Ordering::Relaxed);
        let used = self.disk.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if max > 0 && used > max {
            self.disk.fetch_sub(bytes, Ordering::Relaxed);
            self.refuse(format!("repl-spool-limit ({max} bytes) is reached"));
            return false;
        }
        true
    }

    fn release(&self, bytes: u64) {
        self.disk.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes to be written to a segment at an offset.
#[derive(Clone, Debug)]
pub(crate) struct Spill {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<Bytes>,
}

/// Where bytes are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

#[derive(Debug)]
struct Segment {
    id: u64,
    start: u64,
    end: u64,
}

#[derive(Debug)]
struct Writing {
    segment: u64,
    start: u64,
    end: u64,
}

/// One sequence's part on disk.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    segments: VecDeque<Segment>,
    writing: Option<Writing>,
    /// Takes no further write: its last one failed.
    sealed: bool,
    released: Vec<u64>,
}

impl SegmentIndex {
    /// Begins to write `bytes`, which are those from position `start` on. None while something else is being
    /// written, or if the spool takes nothing.
    pub(crate) fn begin(&mut self, spool: &Spool, start: u64, bytes: Vec<Bytes>) -> Option<Spill> {
        if self.writing.is_some() {
            return None;
        }
        let total: u64 = bytes.iter().map(|b| b.len() as u64).sum();
        if !spool.reserve(total) {
            return None;
        }
        let last = self
            .segments
            .back()
            .filter(|s| !self.sealed && s.end == start && s.end - s.start < SEGMENT_BYTES);
        let (segment, offset) = match last {
            Some(last) => (last.id, last.end - last.start),
            None => {
                let id = spool.next_segment.fetch_add(1, Ordering::Relaxed);
                self.segments.push_back(Segment {
                    id,
                    start,
                    end: start,
                });
                self.sealed = false;
                (id, 0)
            }
        };
        self.writing = Some(Writing {
            segment,
            start,
            end: start + total,
        });
        Some(Spill {
            segment,
            offset,
            bytes,
        })
    }

    /// The write to `segment` has ended. The position up to which everything is on disk now; None if it
    /// failed, or was given up meanwhile.
    pub(crate) fn finish(&mut self, spool: &Spool, segment: u64, written: bool) -> Option<u64> {
        let writing = self.writing.take_if(|w| w.segment == segment)?;
        let bytes = writing.end - writing.start;
        let last = self.segments.back_mut().filter(|s| s.id == segment);
        match last {
            Some(last) if written => {
                last.end = writing.end;
                spool.spilled_total.fetch_add(bytes, Ordering::Relaxed);
                *spool.refusal.lock() = None;
                Some(writing.end)
            }
            _ => {
                self.sealed = true;
                spool.release(bytes);
                None
            }
        }
    }

    /// Everything before `position` is no longer needed.
    pub(crate) fn trim(&mut self, spool: &Spool, position: u64) {
        while let Some(front) = self.segments.front() {
            let growing = self.writing.as_ref().is_some_and(|w| w.segment == front.id);
            if growing || front.end > position {
                return;
            }
            spool.release(front.end - front.start);
            self.released.push(front.id);
            self.segments.pop_front();
        }
    }

    /// Nothing of it is needed any more.
    pub(crate) fn clear(&mut self, spool: &Spool) {
        if let Some(writing) = self.writing.take() {
            spool.release(writing.end - writing.start);
        }
        for segment in self.segments.drain(..) {
            spool.release(segment.end - segment.start);
            self.released.push(segment.id);
        }
    }

    /// Where the byte after `position` is, and up to `max` bytes with it; None if it isn't on disk.
    pub(crate) fn find(&self, position: u64, max: usize) -> Option<Place> {
        let at = self.segments.partition_point(|s| s.end <= position);
        let segment = self.segments.get(at).filter(|s| s.start <= position)?;
        Some(Place {
            segment: segment.id,
            offset: position - segment.start,
            len: max.min((segment.end - position) as usize),
        })
    }

    /// Whether a write is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Why what was to go to disk is still in memory, in words. How the first write came out is known only when it
    /// has ended, so the disk is called slow after that at the earliest.
    pub(crate) fn delay_reason(&self, spool: &Spool) -> String {
        if let Some(refusal) = spool.refusal() {
            return refusal;
        }
        match self.segments.iter().any(|s| s.end > s.start) {
            true => "the disk is slower than the writes".into(),
            false => "the first write to disk has not ended yet".into(),
        }
    }

    /// Segments to be deleted, each named once.
    pub(crate) fn take_released(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![b'x'; n])]
    }

    #[test]
    fn a_segment_grows_until_it_is_full_and_goes_when_passed() {
        let spool = Spool::default();
        let mut segments = SegmentIndex::default();
        assert!(
            segments.begin(&spool, 100, bytes(10)).is_none(),
            "nobody writes"
        );
        spool.configure(0, 0);
        let spill = segments.begin(&spool, 100, bytes(10)).unwrap();
        assert_eq!((spill.segment, spill.offset), (0, 0));
        assert!(
            segments.begin(&spool, 110, bytes(10)).is_none(),
            "one at a time"
        );
        assert_eq!(segments.find(100, 5), None);
        assert_eq!(segments.finish(&spool, 0, true), Some(110));
        let spill = segments
            .begin(&spool, 110, bytes(SEGMENT_BYTES as usize))
            .unwrap();
        assert_eq!((spill.segment, spill.offset), (0, 10));
        let end = segments.finish(&spool, 0, true).unwrap();
        let spill = segments.begin(&spool, end, bytes(5)).unwrap();
        assert_eq!((spill.segment, spill.offset), (1, 0));
        segments.finish(&spool, 1, true);
        assert_eq!(
            segments.find(end - 1, 100),
            Some(Place {
                segment: 0,
                offset: end - 101,
                len: 1
            })
        );
        assert_eq!(spool.disk(), end - 100 + 5);
        segments.trim(&spool, end - 1);
        assert!(segments.take_released().is_empty());
        segments.trim(&spool, end);
        assert_eq!(segments.take_released(), [0]);
        assert_eq!(spool.disk(), 5);
        segments.clear(&spool);
        assert_eq!((spool.disk(), segments.take_released()), (0, vec![1]));
    }

    #[test]
    fn a_failed_write_leaves_what_was_there_and_the_account_as_it_was() {
        let spool = Spool::default();
        spool.configure(0, 0);
        let mut segments = SegmentIndex::default();
        segments.begin(&spool, 0, bytes(10)).unwrap();
        segments.finish(&spool, 0, true);
        segments.begin(&spool, 10, bytes(10)).unwrap();
        assert_eq!(segments.finish(&spool, 0, false), None);
        assert_eq!(spool.disk(), 10);
        // What may be half written isn't built upon.
        let spill = segments.begin(&spool, 10, bytes(10)).unwrap();
        assert_eq!((spill.segment, spill.offset), (1, 0));
        // Given up while it is written: its report comes to nothing.
        segments.clear(&spool);
        assert_eq!(segments.finish(&spool, 1, true), None);
        assert_eq!((spool.disk(), segments.take_released()), (0, vec![0, 1]));
    }

    #[test]
    fn the_disk_is_not_called_slow_before_it_has_written_anything() {
        let spool = Spool::default();
        spool.configure(0, 0);
        let mut segments = SegmentIndex::default();
        segments.begin(&spool, 0, bytes(10)).unwrap();
        assert!(segments.delay_reason(&spool).contains("not ended yet"));
        segments.finish(&spool, 0, false);
        spool.refuse("can't write".into());
        assert_eq!(segments.delay_reason(&spool), "can't write");
        segments.begin(&spool, 0, bytes(10));
        spool.retry();
        segments.begin(&spool, 0, bytes(10)).unwrap();
        assert_eq!(segments.delay_reason(&spool), "can't write");
        assert!(segments.finish(&spool, 1, true).is_some());
        assert!(segments.delay_reason(&spool).contains("slower"));
    }

    #[test]
    fn the_limit_is_said_and_kept() {
        let spool = Spool::default();
        spool.configure(0, 15);
        let mut segments = SegmentIndex::default();
        segments.begin(&spool, 0, bytes(10)).unwrap();
        segments.finish(&spool, 0, true);
        assert!(segments.begin(&spool, 10, bytes(10)).is_none());
        assert_eq!(spool.disk(), 10);
        assert!(spool.refusal().unwrap().contains("repl-spool-limit"));
        assert!(!spool.takes());
        spool.retry();
        assert!(segments.begin(&spool, 10, bytes(5)).is_some());
        assert!(segments.finish(&spool, 0, true).is_some() && spool.refusal().is_none());
    }
}
