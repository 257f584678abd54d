//! A snapshot's chunks on their way to several replicas at once, kept from the first one on for those who
//! come later.
//!
//! The chunks are a [`Log`] of their own, in which every replica has a patient cursor: each chunk exists
//! once, refcounted, in memory up to the feed's part of `repl-spool-memory` and beyond that on disk, oldest
//! first. While the feed is open to joins it keeps everything; when it is closed ([`Feed::close_joins`]),
//! only what its slowest taker hasn't had.
//!
//! Bounds: the producer pauses while more than the memory's part waits to be written. When the spool takes
//! nothing, the feed closes itself to joins, and what its slowest taker hasn't had bounds the producer, as
//! the slowest replica bounds a diskless sync of Redis. Segments go back to the disk when the last of
//! the feed's holders drops it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;

use actix::prelude::*;
use bytes::Bytes;
use parking_lot::Mutex;

use super::spool_file::{ReleaseSegments, SpoolFileActor, WriteSegment};
use crate::repl::{Cursor, Log, Place, Spool};

/// Least memory of a feed, bytes: some chunks must be under way.
const MEMORY_MIN: u64 = 1 << 20;

#[derive(Debug)]
struct State {
    log: Log,
    joinable: bool,
    ended: bool,
    takers: Vec<Taker>,
    producer: Option<Waker>,
    /// What `Spool::feed_memory` has of it.
    accounted: u64,
}

#[derive(Debug)]
struct Taker {
    id: u64,
    cursor: Cursor,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    spool: Arc<Spool>,
    /// None in tests: nothing goes to disk.
    files: Option<Addr<SpoolFileActor>>,
}

/// Shared by the snapshot and the replicas that take it.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

/// A feed that may be gone.
#[derive(Clone, Debug)]
pub struct WeakFeed(Weak<Shared>);

impl WeakFeed {
    /// Spills what is due, without waiting for anybody to take or push. False if the feed is gone.
    pub fn tend(&self) -> bool {
        let shared = self.0.upgrade();
        shared.is_some_and(|shared| {
            Feed { shared }.spill();
            true
        })
    }
}

/// What a taker gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Bytes, and the position after them.
    Bytes(Vec<Bytes>, u64),
    /// They are on disk.
    Disk(Place),
    /// Everything was taken.
    End,
    /// Nothing yet; the waker will be woken.
    Wait,
    /// The taker isn't known.
    Lost,
}

impl Feed {
    pub fn new(spool: Arc<Spool>, files: Option<Addr<SpoolFileActor>>) -> Feed {
        let state = State {
            log: Log::keeping_all(spool.clone()),
            joinable: true,
            ended: false,
            takers: Vec::new(),
            producer: None,
            accounted: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            spool,
            files,
        });
        shared.spool.feeds.fetch_add(1, Ordering::Relaxed);
        Feed { shared }
    }

    pub fn downgrade(&self) -> WeakFeed {
        WeakFeed(Arc::downgrade(&self.shared))
    }

    /// Adds a taker, who begins at the first chunk. False if that is gone.
    pub fn join(&self, id: u64) -> bool {
        let mut state = self.shared.state.lock();
        if !state.joinable {
            return false;
        }
        let Ok(cursor) = state.log.attach_patient(0) else {
            return false;
        };
        state.takers.push(Taker {
            id,
            cursor,
            waker: None,
        });
        true
    }

    pub fn is_joinable(&self) -> bool {
        self.shared.state.lock().joinable
    }

    /// Nobody else comes: what every taker has had may go.
    pub fn close_joins(&self) {
        let mut state = self.shared.state.lock();
        state.joinable = false;
        state.log.set_limit(0);
        self.shared.after(&mut state);
    }

    pub fn leave(&self, id: u64) {
        let mut state = self.shared.state.lock();
        if let Some(at) = state.takers.iter().position(|t| t.id == id) {
            let taker = state.takers.swap_remove(at);
            state.log.detach(taker.cursor);
        }
        self.shared.after(&mut state);
    }

    pub fn push(&self, chunk: Bytes) {
        let mut state = self.shared.state.lock();
        state.log.append_shared(chunk);
        state.wake_takers();
        self.shared.account(&mut state);
        drop(state);
        self.spill();
    }

    /// No more comes.
    pub fn end(&self) {
        let mut state = self.shared.state.lock();
        state.ended = true;
        state.wake_takers();
    }

    /// Bytes so far, and whether that is all.
    pub fn length(&self) -> (u64, bool) {
        let state = self.shared.state.lock();
        (state.log.end(), state.ended)
    }

    /// Whether the producer may go on; if not, `waker` is woken when it may.
    pub fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.shared.state.lock();
        if state.log.held() < self.shared.memory() {
            return true;
        }
        state.producer = Some(waker.clone());
        drop(state);
        self.spill();
        false
    }

    /// What comes after `position`; everything before it is no longer needed by this taker.
    pub fn next(&self, id: u64, position: u64, most: usize, waker: &Waker) -> Next {
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let Some(taker) = state.takers.iter_mut().find(|t| t.id == id) else {
            return Next::Lost;
        };
        state.log.advance(taker.cursor, position);
        let next = if let Some(place) = state.log.on_disk(position, most) {
            Next::Disk(place)
        } else {
            let mut bytes = Vec::new();
            match state.log.read(position, most, &mut bytes) {
                Err(_) => Next::Lost,
                Ok(next) if next > position => Next::Bytes(bytes, next),
                Ok(_) if state.ended => Next::End,
                Ok(_) => {
                    taker.waker = Some(waker.clone());
                    Next::Wait
                }
            }
        };
        self.shared.after(state);
        next
    }

    /// Hands on what must go to disk, and goes on with it when that is written.
    pub fn spill(&self) {
        let mut state = self.shared.state.lock();
        // Half of it, so that the producer goes on while the other half is written.
        let spill = state.log.spill_beyond(self.shared.memory() / 2);
        if spill.is_none() && state.joinable && !self.shared.spool.takes() {
            let reason = self.shared.spool.refusal();
            if state.log.held() >= self.shared.memory() {
                tracing::warn!(
                    "No other replica can join the snapshot: {}",
                    reason.unwrap_or_else(|| "nothing is spooled".into())
                );
                state.joinable = false;
                state.log.set_limit(0);
            }
        }
        self.shared.after(&mut state);
        drop(state);
        if let (Some(spill), Some(files)) = (spill, &self.shared.files) {
            let segment = spill.segment;
            let feed = self.clone();
            let done = Box::new(move |written| {
                feed.shared.state.lock().log.spilled(segment, written);
                feed.spill();
            });
            files.do_send(WriteSegment { spill, done });
        }
    }
}

impl Shared {
    /// Bytes that may be in memory: feeds share half of the spool's memory, the log has the other half.
    fn memory(&self) -> u64 {
        let feeds = self.spool.feeds.load(Ordering::Relaxed).max(1);
        (self.spool.memory_max() / 2 / feeds).max(MEMORY_MIN)
    }

    fn account(&self, state: &mut State) {
        let held = state.log.held();
        let before = std::mem::replace(&mut state.accounted, held);
        let memory = &self.spool.feed_memory;
        if held > before {
            memory.fetch_add(held - before, Ordering::Relaxed);
        } else {
            memory.fetch_sub(before - held, Ordering::Relaxed);
        }
    }

    /// After something was let go: segments are deleted, the producer goes on.
    fn after(&self, state: &mut State) {
        self.account(state);
        let released = state.log.take_released();
        if let Some(files) = self.files.as_ref().filter(|_| !released.is_empty()) {
            files.do_send(ReleaseSegments(released));
        }
        if state.log.held() < self.memory()
            && let Some(waker) = state.producer.take()
        {
            waker.wake();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.spool.feeds.fetch_sub(1, Ordering::Relaxed);
        let state = self.state.get_mut();
        self.spool
            .feed_memory
            .fetch_sub(state.accounted, Ordering::Relaxed);
        state.log.reset(0);
        let released = state.log.take_released();
        if let Some(files) = self.files.as_ref().filter(|_| !released.is_empty()) {
            files.do_send(ReleaseSegments(released));
        }
    }
}

impl State {
    fn wake_takers(&mut self) {
        for taker in &mut self.takers {
            if let Some(waker) = taker.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &Waker = Waker::noop();

    fn chunk(i: u8) -> Bytes {
        Bytes::from(vec![i; 1 << 18])
    }

    fn take(feed: &Feed, id: u64, at: &mut u64) -> Next {
        let next = feed.next(id, *at, 1 << 18, NONE);
        if let Next::Bytes(_, after) = &next {
            *at = *after;
        }
        next
    }

    #[test]
    fn who_comes_late_gets_the_first_chunk() {
        let feed = Feed::new(Arc::default(), None);
        assert!(feed.join(1));
        feed.push(chunk(0));
        let (mut first, mut second) = (0, 0);
        assert_eq!(
            take(&feed, 1, &mut first),
            Next::Bytes(vec![chunk(0)], 1 << 18)
        );
        assert_eq!(take(&feed, 1, &mut first), Next::Wait);
        assert!(feed.join(2));
        feed.end();
        assert_eq!(
            take(&feed, 2, &mut second),
            Next::Bytes(vec![chunk(0)], 1 << 18)
        );
        assert_eq!(take(&feed, 2, &mut second), Next::End);
        assert_eq!(take(&feed, 3, &mut 0), Next::Lost);
    }

    #[test]
    fn without_a_disk_the_slowest_taker_holds_the_producer() {
        let feed = Feed::new(Arc::default(), None);
        feed.join(1);
        feed.join(2);
        let mut n = 0;
        while feed.has_room(NONE) {
            feed.push(chunk(n));
            n += 1;
        }
        assert_eq!(u64::from(n), MEMORY_MIN >> 18);
        assert!(!feed.is_joinable() && !feed.join(3));
        let mut at = 0;
        for _ in 0..n {
            take(&feed, 1, &mut at);
        }
        assert_eq!(take(&feed, 1, &mut at), Next::Wait);
        assert!(!feed.has_room(NONE));
        feed.leave(2);
        assert!(feed.has_room(NONE));
        feed.end();
        assert_eq!(take(&feed, 1, &mut at), Next::End);
    }
}
