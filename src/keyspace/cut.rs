//! A table's part in a running snapshot: how far the walk has come, and what was saved ahead of it.
//!
//! At the cut every table that holds anything gets a [`Cut`]. From then on the walk goes through the
//! table by rising prefix, and a record about to change in a segment the walk hasn't finished is first
//! given to `saved` as it is (moved if it is replaced or removed, else copied; a copy shares the nodes of
//! large collections). A mark on the slot says that a record is taken care of: saved, walked, or new since
//! the cut. Marks belong to the snapshot whose id the segment names, so none need clearing afterwards.
//!
//! A table that is flushed away while it is being walked is kept by its shard until the walk is through.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::record::{Body, Record};
use super::segment::{PREFIX_END, Slot};
use super::table::Table;

/// What all cuts of one snapshot share.
#[derive(Debug, Default)]
pub(crate) struct CutShared {
    /// The snapshot was given up: nothing need be saved for it any more.
    pub(crate) abandoned: AtomicBool,
    /// Bytes of records saved and not yet collected.
    pub(crate) saved_bytes: AtomicUsize,
}

/// How much one turn of the walk may look at.
pub(crate) struct TurnLimit<'a> {
    /// Bytes of records that are left.
    pub(crate) bytes: usize,
    /// Asked after every [`LOOK`] records; true ends the turn.
    pub(crate) enough: &'a mut dyn FnMut() -> bool,
}

/// After so many records a turn asks whether it has had its time.
const LOOK: usize = 32;

#[derive(Debug)]
pub(super) struct Cut {
    id: u32,
    /// The database that the table was at the cut.
    db: usize,
    /// All segments before this prefix are walked.
    position: u64,
    saved: Vec<Record>,
    saved_bytes: usize,
    shared: Arc<CutShared>,
}

impl Cut {
    pub(super) fn new(id: u32, db: usize, shared: Arc<CutShared>) -> Cut {
        Cut {
            id,
            db,
            position: 0,
            saved: Vec::new(),
            saved_bytes: 0,
            shared,
        }
    }

    #[inline]
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.shared.abandoned.load(Ordering::Relaxed)
    }

    /// What was saved and not collected.
    pub(super) fn into_saved(self) -> Vec<Record> {
        self.saved
    }

    pub(super) fn keep(&mut self, record: Record) {
        // Nodes that a large collection's copy shares cost nothing until they are written to; then what is
        // copied belongs to the live collection. The record's own bytes are what is held extra.
        let bytes = if record.is_large() {
            128
        } else {
            record.memory()
        };
        self.saved_bytes += bytes;
        self.shared.saved_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.saved.push(record);
    }
}

/// What a step of the walk brought out of the shard: records as they were at the cut.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Copies of records that point nowhere, one after another, each padded to 8 bytes.
    plain: Vec<u64>,
    /// Where each plain record begins, and its database.
    plain_at: Vec<(u32, u16)>,
    /// Records that own what they point to.
    pub(crate) owned: Vec<(usize, Record)>,
}

impl Images {
    pub(crate) fn plain_len(&self) -> usize {
        self.plain_at.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plain_at.is_empty() && self.owned.is_empty()
    }

    pub(crate) fn clear_plain(&mut self) {
        self.plain.clear();
        self.plain_at.clear();
    }

    /// A plain record's database and entry.
    pub(crate) fn plain(&self, index: usize) -> Option<(usize, super::Entry<'_>)> {
        let &(at, db) = self.plain_at.get(index)?;
        // SAFETY: `push_plain` put a whole record there, which isn't changed while `self` is borrowed.
        let body = unsafe {
            let first = self.plain.as_ptr().add(at as usize).cast_mut().cast();
            Body::new(NonNull::new_unchecked(first))
        };
        // SAFETY: as above.
        Some((usize::from(db), unsafe { body.entry() }))
    }

    fn push_plain(&mut self, db: usize, bytes: &[u8]) {
        let at = self.plain.len();
        self.plain_at.push((at as u32, db as u16));
        let words = bytes.len().div_ceil(8);
        self.plain.reserve(words);
        // SAFETY: room for the words was reserved; the last is zeroed before the bytes are copied, so all
        // of them are initialised.
        unsafe {
            let to = self.plain.as_mut_ptr().add(at);
            to.add(words - 1).write(0);
            to.cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            self.plain.set_len(at + words);
        }
    }
}

impl Table {
    /// Makes the table part of a snapshot. An empty table needn't be.
    pub(super) fn begin_cut(&mut self, cut: Cut) {
        if self.len() > 0 {
            self.cut = Some(Box::new(cut));
        } else {
            self.cut = None;
        }
    }

    /// Whether the snapshot `id` still wants something from this table.
    pub(super) fn is_cut_for(&self, id: u32) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.id == id)
    }

    /// A step of the walk: collects what was saved and walks on up to the limit, which is then less by what
    /// was looked at. Whether the table is through.
    pub(super) fn walk(&mut self, limit: &mut TurnLimit<'_>, images: &mut Images) -> bool {
        let Some(mut cut) = self.cut.take() else {
            return true;
        };
        let mut budget = limit.bytes;
        let mut looked = 0;
        if !cut.saved.is_empty() {
            cut.shared
                .saved_bytes
                .fetch_sub(cut.saved_bytes, Ordering::Relaxed);
            cut.saved_bytes = 0;
            for record in cut.saved.drain(..) {
                // SAFETY: the record is live.
                match unsafe { record.body().plain_bytes() } {
                    Some(bytes) => images.push_plain(cut.db, bytes),
                    None => images.owned.push((cut.db, record)),
                }
            }
            if cut.saved.capacity() > 1024 {
                cut.saved = Vec::new();
            }
        }
        let mut seen = 0;
        while cut.position < PREFIX_END && seen < budget {
            let Some(segment) = self.segment_at_mut(cut.position) else {
                cut.position = PREFIX_END;
                break;
            };
            segment.mark_for(cut.id);
            // All of the segment's misses at once; with a small budget, only as many as it may use.
            const RECORD_MIN: usize = 40;
            let few = (budget - seen) / RECORD_MIN + 1;
            segment.table.iter().take(few).for_each(Slot::prefetch);
            let mut whole = true;
            for slot in segment.table.iter_mut() {
                if slot.is_marked() {
                    continue;
                }
                if seen >= budget {
                    whole = false;
                    break;
                }
                slot.set_mark(true);
                looked += 1;
                // SAFETY: the slot owns a live record.
                match unsafe { slot.body().plain_bytes() } {
                    Some(bytes) => {
                        seen += bytes.len();
                        images.push_plain(cut.db, bytes);
                    }
                    None => {
                        let copy = slot.duplicate();
                        // A copied directory of nodes is work, too; small collections are copied whole.
                        seen += if copy.is_large() { 1024 } else { copy.memory() };
                        images.owned.push((cut.db, copy));
                    }
                }
                if looked % LOOK == 0 && (limit.enough)() {
                    budget = seen;
                }
            }
            seen += 64;
            if whole {
                cut.position = segment.end();
            }
        }
        limit.bytes = budget.saturating_sub(seen);
        if cut.position >= PREFIX_END {
            return true;
        }
        self.cut = Some(cut);
        false
    }
}
