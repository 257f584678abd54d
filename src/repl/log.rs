//! The replication log: the last bytes of the stream, shared by the backlog and every reader.
//!
//! Positions count bytes: position N is the point after N bytes of the stream, so a reader at N wants byte
//! N+1 in Redis's counting, and INFO's repl_backlog_first_byte_offset is `first() + 1`.
//!
//! Bytes are kept in blocks. The newest block is being filled; what a reader asks of it is split off and
//! frozen without a copy, so a block may come apart into pieces; once it is full, and if it came apart into
//! many, its pieces are joined again by one copy, which bounds the bookkeeping per byte. All older blocks are
//! refcounted [`Bytes`]: a slow reader keeps alive what it has taken, nobody else pays.
//!
//! Cursors hold bytes. A pinned one holds them in memory: its owner must bound how far it may fall behind
//! ([`Log::behind`]) and detach it past that. A spillable one (of a replica whose full sync is under way) only asks
//! that its bytes can be read again: what lies before every pinned cursor and past the bounds may be spilled to disk
//! ([`Log::spill`]), and is then found by [`Log::on_disk`].
//!
//! Invariants: pieces are contiguous and not empty; the last piece ends where the tail begins; the segment index
//! holds everything from `first` to the first piece; nothing at or after `min(end - limit, oldest cursor)` is
//! dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

pub(crate) use super::cursors::Cursor;
use super::cursors::Cursors;
use super::spool::{Place, SPILL_BYTES, SegmentIndex, Spill, Spool};

/// Smallest and largest block, bytes. Between them, a sixteenth of the backlog's size.
const BLOCK_MIN: usize = 4 * 1024;
const BLOCK_MAX: usize = 64 * 1024;
/// A full block in more pieces than this is joined.
const PIECES_MAX: usize = 8;
/// Pieces freed at a time: an append must not pay for a long log that nobody needs any more.
const FREED_MAX: usize = 32;

/// The asked position is no longer, or not yet, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLog {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

#[derive(Debug)]
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// What a reader of a [`Log`] gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Bytes, and the position after them.
    Bytes(Vec<Bytes>, u64),
    /// They are on disk.
    Disk(Place),
    /// Nothing is there yet.
    Wait,
    /// Everything was taken.
    End,
    /// They are gone, or the reader isn't known (any more).
    Lost,
}

/// The bytes of the stream that are still held.
#[derive(Debug)]
pub struct Log {
    pieces: VecDeque<Piece>,
    tail: BytesMut,
    /// Pieces at the back that were split from the tail's block.
    split: usize,
    first: u64,
    end: u64,
    limit: u64,
    cursors: Cursors,
    /// Bytes in `pieces`, and the part of them that is before `first` and yet to be freed.
    held: u64,
    /// Of a former stream, yet to be freed.
    retired: VecDeque<Piece>,
    segments: SegmentIndex,
    spool: Arc<Spool>,
}

impl Log {
    /// An empty log after `end` bytes of stream that keeps `limit` bytes of backlog.
    pub fn new(end: u64, limit: u64) -> Log {
        Log {
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            split: 0,
            first: end,
            end,
            limit,
            cursors: Cursors::default(),
            held: 0,
            retired: VecDeque::new(),
            segments: SegmentIndex::default(),
            spool: Arc::default(),
        }
    }

    /// An empty log that keeps everything, for a dump's bytes; see [`Log::set_limit`].
    pub(crate) fn keeping_all(spool: Arc<Spool>) -> Log {
        Log {
            spool,
            ..Log::new(0, u64::MAX)
        }
    }

    /// The bounds and accounts of what is spilled.
    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Position of the oldest byte held.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Bytes of stream so far (master_repl_offset).
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held (repl_backlog_histlen).
    pub(crate) fn len(&self) -> u64 {
        self.end - self.first
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether a reader at `position` can resume here.
    pub(crate) fn covers(&self, position: u64) -> bool {
        (self.first..=self.end).contains(&position)
    }

    /// Whether only full syncs hold what follows `position`, so that it may be on disk: a reader that resumes there
    /// needs a spillable cursor.
    pub(crate) fn needs_spillable(&self, position: u64) -> bool {
        position
            < self
                .end
                .saturating_sub(self.limit)
                .min(self.cursors.oldest_pinned())
    }

    /// Drops everything, cursors too, and goes on after `end` bytes of (another) stream.
    pub(crate) fn reset(&mut self, end: u64) {
        self.drop_cursors();
        // Whoever changes the stream may hold every shard: the memory is freed later.
        self.retired.append(&mut self.pieces);
        self.held = 0;
        self.tail = BytesMut::new();
        self.split = 0;
        self.first = end;
        self.end = end;
        self.segments.clear(&self.spool);
    }

    /// Whoever reads by a cursor finds it gone: from here on the bytes belong to another stream.
    pub(crate) fn drop_cursors(&mut self) {
        self.cursors.clear();
        self.trim();
    }

    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.trim();
    }

    fn block_size(&self) -> usize {
        ((self.limit / 16) as usize).clamp(BLOCK_MIN, BLOCK_MAX)
    }

    /// Adds bytes at the end; the end after them.
    pub fn append(&mut self, mut bytes: &[u8]) -> u64 {
        while !bytes.is_empty() {
            let room = self.tail.capacity() - self.tail.len();
            if room == 0 {
                self.close_block();
                self.tail = BytesMut::with_capacity(self.block_size());
                continue;
            }
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.tail.extend_from_slice(now);
            self.end += now.len() as u64;
            bytes = rest;
        }
        if self.end - self.first > self.limit {
            self.trim();
        }
        self.end
    }

    /// As [`Log::append`], of bytes that are taken as they are.
    pub(crate) fn append_shared(&mut self, bytes: Bytes) -> u64 {
        if bytes.is_empty() {
            return self.end;
        }
        self.close_block();
        self.tail = BytesMut::new();
        let start = self.end;
        self.end += bytes.len() as u64;
        self.held += bytes.len() as u64;
        self.pieces.push_back(Piece { start, bytes });
        if self.end - self.first > self.limit {
            self.trim();
        }
        self.end
    }

    /// Makes what the tail holds readable.
    fn split_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let bytes = self.tail.split().freeze();
        let start = self.end - bytes.len() as u64;
        self.held += bytes.len() as u64;
        self.pieces.push_back(Piece { start, bytes });
        self.split += 1;
    }

    fn close_block(&mut self) {
        self.split_tail();
        let split = std::mem::take(&mut self.split).min(self.pieces.len());
        if split > PIECES_MAX {
            let parts = self.pieces.split_off(self.pieces.len() - split);
            let total = parts.iter().map(|p| p.bytes.len()).sum();
            let mut joined = Vec::with_capacity(total);
            let start = parts.front().map_or(self.end, |p| p.start);
            for part in &parts {
                joined.extend_from_slice(&part.bytes);
            }
            self.pieces.push_back(Piece {
                start,
                bytes: joined.into(),
            });
        }
    }

    fn trim(&mut self) {
        let keep = self
            .end
            .saturating_sub(self.limit)
            .min(self.cursors.oldest());
        if keep > self.first {
            self.first = keep;
            self.segments.trim(&self.spool, keep);
        }
        self.free();
    }

    /// Frees what is before `first`, a bounded part at a time.
    fn free(&mut self) {
        for _ in 0..FREED_MAX {
            match self.pieces.front() {
                Some(front) if front.end() <= self.first => self.pop_front(),
                _ => break,
            }
        }
    }

    /// What nobody needs any more, to be dropped outside of the lock.
    pub(crate) fn take_freed(&mut self) -> Vec<Bytes> {
        let mut freed: Vec<Bytes> = self.retired.drain(..).map(|p| p.bytes).collect();
        while let Some(piece) = self.pieces.pop_front_if(|p| p.end() <= self.first) {
            self.held -= piece.bytes.len() as u64;
            freed.push(piece.bytes);
        }
        freed
    }

    fn pop_front(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.held -= piece.bytes.len() as u64;
        }
    }

    // ---- the part on disk ----

    /// Where memory begins.
    fn memory_first(&self) -> u64 {
        self.pieces
            .front()
            .map_or(self.end - self.tail.len() as u64, |p| p.start)
    }

    /// What is to be written next, if more than `memory` bytes are held for spillable cursors alone beside the limit;
    /// then call [`Log::spilled`]. None too while a write is under way, or if the spool takes none.
    pub(crate) fn spill(&mut self, memory: u64) -> Option<Spill> {
        self.spill_beyond(self.limit.saturating_add(memory))
    }

    /// As [`Log::spill`], with all that may be in memory.
    pub(crate) fn spill_beyond(&mut self, memory: u64) -> Option<Spill> {
        self.free();
        if self.segments.is_writing() || !self.spool.takes() {
            return None;
        }
        let until = self
            .end
            .saturating_sub(memory)
            .min(self.cursors.oldest_pinned());
        let start = self.memory_first().max(self.first);
        let mut bytes = Vec::new();
        let mut total = 0;
        for piece in &self.pieces {
            if piece.end() > until || total >= SPILL_BYTES {
                break;
            }
            let skip = start.saturating_sub(piece.start) as usize;
            if skip < piece.bytes.len() {
                total += piece.bytes.len() - skip;
                bytes.push(piece.bytes.slice(skip..));
            }
        }
        if bytes.is_empty() {
            return None;
        }
        self.segments.begin(&self.spool, start, bytes)
    }

    /// Why what was to be spilled is still in memory, in words.
    pub(crate) fn delay_reason(&self) -> String {
        self.segments.delay_reason(&self.spool)
    }

    /// A spill has been written, or could not be.
    pub(crate) fn spilled(&mut self, segment: u64, written: bool) {
        if let Some(end) = self.segments.finish(&self.spool, segment, written) {
            while self.pieces.front().is_some_and(|p| p.end() <= end) {
                self.pop_front();
            }
            // Pieces may have been joined across the write's end meanwhile.
            if let Some(front) = self.pieces.front_mut().filter(|p| p.start < end) {
                let part = (end - front.start) as usize;
                front.bytes.advance(part);
                front.start = end;
                self.held -= part as u64;
            }
        }
        self.segments.trim(&self.spool, self.first);
    }

    /// Where the bytes after `position` are on disk, at most `max` of them; None if they are in memory.
    pub(crate) fn on_disk(&self, position: u64, max: usize) -> Option<Place> {
        if position < self.first || position >= self.memory_first() {
            return None;
        }
        self.segments.find(position, max)
    }

    /// Segments of the disk to be deleted, each named once.
    pub(crate) fn take_released(&mut self) -> Vec<u64> {
        self.segments.take_released()
    }

    /// Up to `max` bytes from `position` on, as refcounted slices pushed to `out`; the position after them.
    /// Nothing is pushed when the reader is at the end. What is on disk isn't read here.
    pub fn read(
        &mut self,
        position: u64,
        max: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<u64, OutOfLog> {
        if !self.covers(position) || position < self.memory_first() {
            return Err(OutOfLog {
                first: self.first.max(self.memory_first()),
                end: self.end,
            });
        }
        if position == self.end || max == 0 {
            return Ok(position);
        }
        self.split_tail();
        let mut at = position;
        let mut left = max;
        let from = self.pieces.partition_point(|p| p.end() <= at);
        for piece in self.pieces.range(from..) {
            let skip = (at - piece.start) as usize;
            let take = (piece.bytes.len() - skip).min(left);
            out.push(piece.bytes.slice(skip..skip + take));
            at += take as u64;
            left -= take;
            if left == 0 {
                break;
            }
        }
        Ok(at)
    }

    /// What a reader gets that is done with everything before `position`: up to `max` bytes.
    pub(crate) fn next(&mut self, cursor: Cursor, position: u64, max: usize) -> Next {
        if self.position(cursor).is_none() {
            return Next::Lost;
        }
        self.advance(cursor, position);
        if let Some(place) = self.on_disk(position, max) {
            return Next::Disk(place);
        }
        let mut bytes = Vec::new();
        match self.read(position, max, &mut bytes) {
            Err(_) => Next::Lost,
            Ok(next) if next > position => Next::Bytes(bytes, next),
            Ok(_) => Next::End,
        }
    }

    /// Holds everything from `position` on until the cursor moves past it or is detached.
    pub(crate) fn attach(&mut self, position: u64) -> Result<Cursor, OutOfLog> {
        self.hold(position, false)
    }

    /// As [`Log::attach`], by a reader that can read from disk.
    pub(crate) fn attach_spillable(&mut self, position: u64) -> Result<Cursor, OutOfLog> {
        self.hold(position, true)
    }

    fn hold(&mut self, position: u64, spillable: bool) -> Result<Cursor, OutOfLog> {
        if !self.covers(position) {
            return Err(OutOfLog {
                first: self.first,
                end: self.end,
            });
        }
        Ok(self.cursors.add(position, spillable))
    }

    /// The cursor's owner is done with everything before `position`. Cursors only move forward.
    pub(crate) fn advance(&mut self, cursor: Cursor, position: u64) {
        if self.cursors.advance(cursor, position) {
            self.trim();
        }
    }

    /// The cursor's owner has caught up: from here on it holds its bytes in memory.
    pub(crate) fn make_pinned(&mut self, cursor: Cursor) {
        self.cursors.make_pinned(cursor);
    }

    pub(crate) fn detach(&mut self, cursor: Cursor) {
        self.cursors.remove(cursor);
        self.trim();
    }

    /// Where a cursor is.
    pub(crate) fn position(&self, cursor: Cursor) -> Option<u64> {
        self.cursors.position(cursor)
    }

    /// Bytes between a cursor and the end: what a reader has yet to take.
    pub(crate) fn behind(&self, cursor: Cursor) -> u64 {
        let at = self.position(cursor).unwrap_or(self.end);
        self.end.saturating_sub(at)
    }

    /// The part of [`Log::behind`] that is in memory.
    pub(crate) fn behind_in_memory(&self, cursor: Cursor) -> u64 {
        let at = self.position(cursor).unwrap_or(self.end);
        self.end.saturating_sub(at.max(self.memory_first()))
    }

    #[cfg(test)]
    pub(crate) fn cursors(&self) -> usize {
        self.cursors.len()
    }

    /// Bytes of the sequence in memory.
    pub(crate) fn held(&self) -> u64 {
        self.held + self.tail.len() as u64
    }

    /// Of that, what a cursor alone still keeps: the bytes older than the limit would have left. The rest of a block
    /// that has just begun to pass out of the limit is held for no reader.
    pub(crate) fn held_for_cursors(&self) -> u64 {
        let oldest = self.first.max(self.memory_first());
        self.end.saturating_sub(self.limit).saturating_sub(oldest)
    }

    /// Bytes of memory held for the stream, bookkeeping included, shared slices counted once.
    pub(crate) fn memory(&self) -> usize {
        self.held as usize + self.tail.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(log: &mut Log, from: u64, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let end = log.read(from, max, &mut out).unwrap();
        let all = out.concat();
        assert_eq!(end - from, all.len() as u64);
        all
    }

    #[test]
    fn reads_back_what_was_appended() {
        let mut log = Log::new(100, 1 << 20);
        assert_eq!(log.append(b"hello"), 105);
        assert_eq!(take(&mut log, 100, 99), b"hello");
        assert_eq!(log.append(b" world"), 111);
        assert_eq!(take(&mut log, 103, 4), b"lo w");
        assert_eq!(take(&mut log, 111, 4), b"");
        assert_eq!(
            log.read(99, 1, &mut Vec::new()),
            Err(OutOfLog {
                first: 100,
                end: 111
            })
        );
        assert!(log.read(112, 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn trims_to_the_limit_but_not_past_a_cursor() {
        let mut log = Log::new(0, 10);
        let cursor = log.attach(0).unwrap();
        log.append(&[b'x'; 100]);
        assert_eq!((log.first(), log.behind(cursor)), (0, 100));
        log.advance(cursor, 40);
        assert_eq!(log.first(), 40);
        log.detach(cursor);
        assert_eq!((log.first(), log.len()), (90, 10));
        assert!(log.attach(89).is_err());
    }

    #[test]
    fn what_cursors_keep_is_counted_to_the_byte() {
        let mut log = Log::new(0, 100);
        for _ in 0..7 {
            log.append(&[1; 33]);
        }
        assert_eq!(log.held_for_cursors(), 0);
        let cursor = log.attach(150).expect("held");
        log.append(&[2; 100]);
        assert_eq!(log.held_for_cursors(), 81);
        log.detach(cursor);
        log.append(&[3; 1]);
        assert_eq!(log.held_for_cursors(), 0);
    }

    #[test]
    fn a_block_read_in_crumbs_is_joined() {
        let mut log = Log::new(0, 1 << 20);
        for _ in 0..100_000 {
            let from = log.append(b"abc") - 3;
            assert_eq!(take(&mut log, from, 10), b"abc");
        }
        assert!(log.pieces.len() < 22_000, "{}", log.pieces.len());
        assert_eq!(take(&mut log, 0, 1 << 20).len(), 300_000);
    }

    #[test]
    fn slices_share_memory() {
        let mut log = Log::new(0, 1 << 20);
        log.append(b"0123456789");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        log.read(0, 10, &mut a).unwrap();
        log.read(5, 5, &mut b).unwrap();
        assert_eq!(a[0][5..].as_ptr(), b[0].as_ptr());
    }

    #[test]
    fn what_only_spillable_cursors_need_goes_to_disk() {
        let mut log = Log::new(0, 10_000);
        log.spool().configure(0, 0);
        let slow = log.attach_spillable(0).unwrap();
        let pinned = log.attach(0).unwrap();
        log.append(&[b'x'; 100_000]);
        assert!(log.spill(5_000).is_none(), "a pinned cursor holds it");
        log.advance(pinned, 60_000);
        let spill = log.spill(5_000).unwrap();
        log.spilled(spill.segment, true);
        let disk = log.spool().disk();
        assert!(disk <= 60_000 && disk > 50_000, "{disk}");
        assert_eq!(log.behind_in_memory(slow), 100_000 - disk);
        assert_eq!(log.on_disk(0, 7).map(|p| (p.offset, p.len)), Some((0, 7)));
        assert!(log.read(0, 1, &mut Vec::new()).is_err());
        assert_eq!(log.on_disk(disk, 7), None);
        log.advance(slow, disk);
        assert_eq!((log.spool().disk(), log.take_released().len()), (0, 1));
        log.make_pinned(slow);
        log.append(&[b'x'; 100_000]);
        assert!(log.spill(0).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn agrees_with_a_plain_vector(
            steps in prop::collection::vec((0u8..8, 0usize..9000, 0usize..20_000), 1..120),
            limit in 1u64..60_000,
            memory in 0u64..20_000,
        ) {
            let start = 1000u64;
            let mut log = Log::new(start, limit);
            log.spool().configure(memory, 100_000);
            let mut disk: std::collections::HashMap<u64, Vec<u8>> = Default::default();
            let mut writing: Option<Spill> = None;
            let mut model: Vec<u8> = Vec::new();
            let mut cursors: Vec<(Cursor, u64)> = Vec::new();
            let mut next = 0u8;
            for (kind, a, b) in steps {
                match kind {
                    0 | 1 => {
                        let bytes: Vec<u8> = (0..a).map(|_| { next = next.wrapping_add(1); next }).collect();
                        model.extend_from_slice(&bytes);
                        prop_assert_eq!(log.append(&bytes), start + model.len() as u64);
                    }
                    2 => {
                        let at = log.first() + a as u64 % (log.len() + 1);
                        cursors.push((log.attach_spillable(at).unwrap(), at));
                    }
                    5 if writing.is_none() => {
                        log.spool().retry();
                        writing = log.spill(memory);
                    }
                    6 => if let Some(spill) = writing.take() {
                        let written = a % 5 > 0;
                        if written {
                            let file = disk.entry(spill.segment).or_default();
                            file.truncate(spill.offset as usize);
                            prop_assert_eq!(file.len(), spill.offset as usize);
                            spill.bytes.iter().for_each(|b| file.extend_from_slice(b));
                        }
                        log.spilled(spill.segment, written);
                    }
                    7 if b % 10 == 0 && !cursors.is_empty() => {
                        let i = a % cursors.len();
                        cursors[i].1 = log.end();
                        log.advance(cursors[i].0, log.end());
                        log.make_pinned(cursors[i].0);
                    }
                    3 if !cursors.is_empty() => {
                        let i = a % cursors.len();
                        let at = (cursors[i].1 + b as u64).min(log.end());
                        cursors[i].1 = at;
                        log.advance(cursors[i].0, at);
                    }
                    4 if !cursors.is_empty() => log.detach(cursors.swap_remove(a % cursors.len()).0),
                    _ => {}
                }
                let end = start + model.len() as u64;
                let keep = cursors.iter().map(|c| c.1).min().unwrap_or(u64::MAX);
                prop_assert!(log.first() <= keep);
                prop_assert!(log.len() >= limit.min(end - start));
                for segment in log.take_released() {
                    disk.remove(&segment);
                }
                let from = log.first() + b as u64 % (log.len() + 1);
                let lo = (from - start) as usize;
                let want = &model[lo..(lo + a + 1).min(model.len())];
                if let Some(place) = log.on_disk(from, a + 1) {
                    let at = place.offset as usize;
                    let got = &disk[&place.segment][at..at + place.len];
                    prop_assert!(!got.is_empty());
                    prop_assert_eq!(got, &want[..got.len()]);
                } else {
                    let got = take(&mut log, from, a + 1);
                    prop_assert_eq!(got, want);
                }
            }
            for (cursor, _) in cursors {
                log.detach(cursor);
            }
            let kept: u64 = disk.values().map(|f| f.len() as u64).sum();
            prop_assert!(log.spool().disk() <= kept.max(100_000));
        }
    }
}
