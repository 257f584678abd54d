//! A [`Feed`] that a snapshot's thread fills and the replicas' actors take from: locked, with wakers, and with
//! the spool's files behind it.
//!
//! Bounds: the producer pauses while more than the memory's part waits to be written, or, when the spool takes
//! nothing, to be taken by the slowest. Segments go back to the disk when the last of the feed's holders
//! drops it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;

use actix::prelude::*;
use bytes::Bytes;

use crate::actors::snapshots::spool_file::{ReleaseSegments, SpoolFileActor, WriteSegment};
use crate::locks::Mutex;
use crate::repl::{Feed, Next, Spool};

/// Least memory of a feed, bytes: some chunks must be under way.
const MEMORY_MIN: u64 = 1 << 20;

#[derive(Debug)]
struct State {
    feed: Feed,
    /// Of takers that wait for more.
    takers: Vec<(u64, Waker)>,
    producer: Option<Waker>,
    /// What `Spool::feed_memory` has of it.
    accounted: u64,
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
pub(crate) struct SharedFeed {
    shared: Arc<Shared>,
}

/// A feed that may be gone.
#[derive(Clone, Debug)]
pub(crate) struct WeakFeed(Weak<Shared>);

impl WeakFeed {
    /// Spills what is due, without waiting for anybody to take or push. False if the feed is gone.
    pub(crate) fn maintain(&self) -> bool {
        let shared = self.0.upgrade();
        shared.is_some_and(|shared| {
            SharedFeed { shared }.spill();
            true
        })
    }
}

impl SharedFeed {
    pub(crate) fn new(spool: Arc<Spool>, files: Option<Addr<SpoolFileActor>>) -> SharedFeed {
        let state = State {
            feed: Feed::new(spool.clone()),
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
        SharedFeed { shared }
    }

    pub(crate) fn downgrade(&self) -> WeakFeed {
        WeakFeed(Arc::downgrade(&self.shared))
    }

    /// Adds a taker, which begins at the first chunk. False if that is gone.
    pub(crate) fn join(&self, id: u64) -> bool {
        self.shared.state.lock().feed.join(id)
    }

    pub(crate) fn is_joinable(&self) -> bool {
        self.shared.state.lock().feed.is_joinable()
    }

    /// Nobody else comes: what every taker has had may go.
    pub(crate) fn close_joins(&self) {
        let mut state = self.shared.state.lock();
        state.feed.close_joins();
        self.shared.after(&mut state);
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut state = self.shared.state.lock();
        state.feed.leave(id);
        state.takers.retain(|(taker, _)| *taker != id);
        self.shared.after(&mut state);
    }

    pub(crate) fn push(&self, chunk: Bytes) {
        let mut state = self.shared.state.lock();
        state.feed.push(chunk);
        state.wake_takers();
        self.shared.account(&mut state);
        drop(state);
        self.spill();
    }

    /// No more comes.
    pub(crate) fn end(&self) {
        let mut state = self.shared.state.lock();
        state.feed.end();
        state.wake_takers();
    }

    /// Bytes so far, and whether that is all.
    pub(crate) fn length(&self) -> (u64, bool) {
        self.shared.state.lock().feed.length()
    }

    /// Whether the producer may go on; if not, `waker` is woken when it may.
    pub(crate) fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.shared.state.lock();
        if state.feed.held() < self.shared.memory() {
            return true;
        }
        state.producer = Some(waker.clone());
        drop(state);
        self.spill();
        false
    }

    /// As [`Feed::next`]; with [`Next::Wait`] the waker will be woken.
    pub(crate) fn next(&self, id: u64, position: u64, most: usize, waker: &Waker) -> Next {
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let next = state.feed.next(id, position, most);
        if next == Next::Wait {
            state.takers.retain(|(taker, _)| *taker != id);
            state.takers.push((id, waker.clone()));
        }
        self.shared.after(state);
        next
    }

    /// Hands on what must go to disk, and goes on with it when that is written.
    pub(crate) fn spill(&self) {
        let mut state = self.shared.state.lock();
        let spill = state.feed.spill(self.shared.memory());
        self.shared.after(&mut state);
        drop(state);
        if let (Some(spill), Some(files)) = (spill, &self.shared.files) {
            let segment = spill.segment;
            let feed = self.clone();
            let done = Box::new(move |written| {
                feed.shared.state.lock().feed.spilled(segment, written);
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
        let held = state.feed.held();
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
        let released = state.feed.take_released();
        if let Some(files) = self.files.as_ref().filter(|_| !released.is_empty()) {
            files.do_send(ReleaseSegments(released));
        }
        if state.feed.held() < self.memory()
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
        state.feed.clear();
        let released = state.feed.take_released();
        if let Some(files) = self.files.as_ref().filter(|_| !released.is_empty()) {
            files.do_send(ReleaseSegments(released));
        }
    }
}

impl State {
    fn wake_takers(&mut self) {
        for (_, waker) in self.takers.drain(..) {
            waker.wake();
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

    fn take(feed: &SharedFeed, id: u64, at: &mut u64) -> Next {
        let next = feed.next(id, *at, 1 << 18, NONE);
        if let Next::Bytes(_, after) = &next {
            *at = *after;
        }
        next
    }

    #[test]
    fn who_comes_late_gets_the_first_chunk() {
        let feed = SharedFeed::new(Arc::default(), None);
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
        let feed = SharedFeed::new(Arc::default(), None);
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
