//! A snapshot's bytes on their way to several replicas at once, kept from the first one on for those who come
//! later.
//!
//! They are a [`Log`] of their own in which every replica has a spillable cursor: each chunk exists once, in memory
//! up to a bound and beyond that on disk, oldest first. While the feed can be joined it keeps everything; when it is
//! closed to joins, only what its slowest taker hasn't had. When the spool takes nothing the feed closes itself to
//! joins, and its slowest taker bounds its producer, as the slowest replica bounds a diskless sync of Redis.

use std::sync::Arc;

use bytes::Bytes;

use super::log::{Cursor, Log, Next};
use super::spool::{Spill, Spool};

/// See the module. Not locked: the owner is.
#[derive(Debug)]
pub(crate) struct Feed {
    log: Log,
    joinable: bool,
    ended: bool,
    takers: Vec<(u64, Cursor)>,
}

impl Feed {
    /// An empty feed that can be joined.
    pub(crate) fn new(spool: Arc<Spool>) -> Feed {
        Feed {
            log: Log::keeping_all(spool),
            joinable: true,
            ended: false,
            takers: Vec::new(),
        }
    }

    /// Adds a taker, which begins at the first byte. False if that is gone.
    pub(crate) fn join(&mut self, id: u64) -> bool {
        if !self.joinable {
            return false;
        }
        let cursor = self.log.attach_spillable(0);
        self.takers.extend(cursor.map(|cursor| (id, cursor)));
        cursor.is_ok()
    }

    pub(crate) fn is_joinable(&self) -> bool {
        self.joinable
    }

    /// Nobody else comes: what every taker has had may go.
    pub(crate) fn close_joins(&mut self) {
        self.joinable = false;
        self.log.set_limit(0);
    }

    pub(crate) fn leave(&mut self, id: u64) {
        if let Some(at) = self.takers.iter().position(|(taker, _)| *taker == id) {
            let (_, cursor) = self.takers.swap_remove(at);
            self.log.detach(cursor);
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.log.append_shared(chunk);
    }

    /// No more comes.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes so far, and whether that is all.
    pub(crate) fn length(&self) -> (u64, bool) {
        (self.log.end(), self.ended)
    }

    /// Bytes in memory.
    pub(crate) fn held(&self) -> u64 {
        self.log.held()
    }

    /// What comes after `position`; everything before it is no longer needed by this taker. `Next::End` only
    /// when no more comes.
    pub(crate) fn next(&mut self, id: u64, position: u64, most: usize) -> Next {
        let Some((_, cursor)) = self.takers.iter().find(|(taker, _)| *taker == id) else {
            return Next::Lost;
        };
        match self.log.next(*cursor, position, most) {
            Next::End if !self.ended => Next::Wait,
            next => next,
        }
    }

    /// Bytes that must go to disk now, with `memory` bytes for the feed. Closes the feed to joins if nothing is
    /// taken there and the memory is full.
    pub(crate) fn spill(&mut self, memory: u64) -> Option<Spill> {
        // Half of it, so that more can be pushed while the other half is written.
        let spill = self.log.spill_beyond(memory / 2);
        let spool = self.log.spool();
        if spill.is_none() && self.joinable && !spool.takes() && self.log.held() >= memory {
            let reason = spool.refusal();
            tracing::warn!(
                "No other replica can join the snapshot: {}",
                reason.unwrap_or_else(|| "nothing is spooled".into())
            );
            self.close_joins();
        }
        spill
    }

    /// Nothing is taken on disk at the moment.
    pub(crate) fn refuse(&self, reason: &str) {
        self.log.spool().refuse(reason.to_owned());
    }

    /// How the last write to disk went.
    pub(crate) fn spilled(&mut self, segment: u64, written: bool) {
        self.log.spilled(segment, written);
    }

    /// Segments to be deleted, each named once.
    pub(crate) fn take_released(&mut self) -> Vec<u64> {
        self.log.take_released()
    }

    /// Nobody will take anything any more. All segments are released.
    pub(crate) fn clear(&mut self) {
        self.takers.clear();
        self.log.reset(0);
    }

    /// Whether somebody takes it, or may yet.
    pub(crate) fn is_in_use(&self) -> bool {
        self.joinable || !self.takers.is_empty()
    }
}
