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
//! Invariants: pieces are contiguous and not empty; the last piece ends where the tail begins; nothing at or
//! after `min(end - limit, oldest cursor)` is dropped. Cursors therefore hold bytes in memory: whoever owns
//! one must bound how far it may fall behind ([`Log::behind`]) and detach it past that.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Smallest and largest block, bytes. Between them, a sixteenth of the backlog's size.
const BLOCK_MIN: usize = 4 * 1024;
const BLOCK_MAX: usize = 64 * 1024;
/// A full block in more pieces than this is joined.
const PIECES_MAX: usize = 8;

/// Names a reader's place that the log must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(u64);

/// The asked position is no longer, or not yet, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLog {
    pub first: u64,
    pub end: u64,
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
    cursors: Vec<(Cursor, u64)>,
    next_cursor: u64,
    /// Least position of any cursor; `u64::MAX` without cursors.
    oldest: u64,
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
            cursors: Vec::new(),
            next_cursor: 0,
            oldest: u64::MAX,
        }
    }

    /// Position of the oldest byte held.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Bytes of stream so far (master_repl_offset).
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held (repl_backlog_histlen).
    pub fn len(&self) -> u64 {
        self.end - self.first
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether a reader at `position` can go on from here.
    pub fn covers(&self, position: u64) -> bool {
        (self.first..=self.end).contains(&position)
    }

    /// Drops everything and goes on after `end` bytes of (another) stream. Cursors stay attached at places
    /// that may no longer exist; reading there fails.
    pub fn reset(&mut self, end: u64) {
        self.pieces.clear();
        self.tail = BytesMut::new();
        self.split = 0;
        self.first = end;
        self.end = end;
    }

    pub fn set_limit(&mut self, limit: u64) {
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

    /// Makes what the tail holds readable.
    fn split_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let bytes = self.tail.split().freeze();
        let start = self.end - bytes.len() as u64;
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
        let keep = self.end.saturating_sub(self.limit).min(self.oldest);
        if keep <= self.first {
            return;
        }
        self.first = keep;
        while self.pieces.front().is_some_and(|p| p.end() <= keep) {
            self.pieces.pop_front();
        }
    }

    /// Up to `max` bytes from `position` on, as refcounted slices pushed to `out`; the position after them.
    /// Nothing is pushed when the reader is at the end.
    pub fn read(
        &mut self,
        position: u64,
        max: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<u64, OutOfLog> {
        if !self.covers(position) {
            return Err(OutOfLog {
                first: self.first,
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

    /// Holds everything from `position` on until the cursor moves past it or is detached.
    pub fn attach(&mut self, position: u64) -> Result<Cursor, OutOfLog> {
        if !self.covers(position) {
            return Err(OutOfLog {
                first: self.first,
                end: self.end,
            });
        }
        let cursor = Cursor(self.next_cursor);
        self.next_cursor += 1;
        self.cursors.push((cursor, position));
        self.oldest = self.oldest.min(position);
        Ok(cursor)
    }

    /// The cursor's owner is done with everything before `position`. Cursors only move forward.
    pub fn advance(&mut self, cursor: Cursor, position: u64) {
        if let Some((_, at)) = self.cursors.iter_mut().find(|(c, _)| *c == cursor) {
            let before = std::mem::replace(at, position.max(*at));
            if before == self.oldest {
                self.find_oldest();
                self.trim();
            }
        }
    }

    pub fn detach(&mut self, cursor: Cursor) {
        self.cursors.retain(|(c, _)| *c != cursor);
        self.find_oldest();
        self.trim();
    }

    fn find_oldest(&mut self) {
        self.oldest = self
            .cursors
            .iter()
            .map(|(_, at)| *at)
            .min()
            .unwrap_or(u64::MAX);
    }

    /// Where a cursor is.
    pub fn position(&self, cursor: Cursor) -> Option<u64> {
        let found = self.cursors.iter().find(|(c, _)| *c == cursor);
        found.map(|(_, at)| *at)
    }

    /// Bytes between a cursor and the end: what a reader has yet to take.
    pub fn behind(&self, cursor: Cursor) -> u64 {
        let at = self.position(cursor).unwrap_or(self.end);
        self.end.saturating_sub(at)
    }

    pub fn cursors(&self) -> usize {
        self.cursors.len()
    }

    /// Bytes of memory held for the stream, bookkeeping included, shared slices counted once.
    pub fn memory(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(|p| p.bytes.len()).sum();
        pieces + self.tail.capacity() + self.pieces.capacity() * size_of::<Piece>()
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_a_plain_vector(
            steps in prop::collection::vec((0u8..5, 0usize..9000, 0usize..20_000), 1..80),
            limit in 1u64..60_000,
        ) {
            let start = 1000u64;
            let mut log = Log::new(start, limit);
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
                        cursors.push((log.attach(at).unwrap(), at));
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
                let from = log.first() + b as u64 % (log.len() + 1);
                let got = take(&mut log, from, a + 1);
                let lo = (from - start) as usize;
                let want = &model[lo..(lo + a + 1).min(model.len())];
                prop_assert_eq!(got, want);
            }
        }
    }
}
