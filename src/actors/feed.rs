//! A snapshot's chunks on their way to several replicas at once: one producer, several takers, a window.
//!
//! Each chunk exists once, refcounted. A taker has an index; chunks that every taker has passed are let go;
//! the producer pauses while the slowest taker is [`WINDOW`] chunks behind. So memory is bounded whatever
//! the replicas do, and a slow one slows the snapshot, not the node.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

/// Chunks that the producer may be ahead of the slowest taker.
pub const WINDOW: usize = 16;

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Index of the first chunk held.
    base: usize,
    /// The takers are there: chunks may be let go.
    open: bool,
    ended: bool,
    takers: Vec<Taker>,
    producer: Option<Waker>,
}

#[derive(Debug)]
struct Taker {
    id: u64,
    next: usize,
    waker: Option<Waker>,
}

/// Shared by the snapshot and the replicas that take it.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    state: Arc<Mutex<State>>,
}

/// What a taker gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Chunk(Bytes),
    /// Everything was taken.
    End,
    /// Nothing yet; the waker will be woken.
    Wait,
}

impl Feed {
    /// Adds a taker, who begins at the first chunk. Only before the feed is opened.
    pub fn join(&self, id: u64) {
        self.state.lock().takers.push(Taker {
            id,
            next: 0,
            waker: None,
        });
    }

    /// All takers have joined. The producer may have begun before; nothing was let go.
    pub fn open(&self) {
        let mut state = self.state.lock();
        state.open = true;
        state.release();
    }

    pub fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        state.takers.retain(|t| t.id != id);
        state.release();
    }

    pub fn push(&self, chunk: Bytes) {
        let mut state = self.state.lock();
        state.chunks.push_back(chunk);
        state.wake_takers();
    }

    /// No more comes.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        state.wake_takers();
    }

    /// Whether the producer may go on; if not, `waker` is woken when it may.
    pub fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.chunks.len() < WINDOW {
            return true;
        }
        state.producer = Some(waker.clone());
        false
    }

    pub fn next(&self, id: u64, waker: &Waker) -> Next {
        let mut state = self.state.lock();
        let (base, len, ended) = (state.base, state.chunks.len(), state.ended);
        let Some(taker) = state.takers.iter_mut().find(|t| t.id == id) else {
            return Next::End;
        };
        if taker.next < base + len {
            let at = taker.next - base;
            taker.next += 1;
            let chunk = state.chunks[at].clone();
            state.release();
            return Next::Chunk(chunk);
        }
        if ended {
            return Next::End;
        }
        taker.waker = Some(waker.clone());
        Next::Wait
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

    /// Lets go what everybody has.
    fn release(&mut self) {
        if !self.open {
            return;
        }
        let end = self.base + self.chunks.len();
        let passed = self.takers.iter().map(|t| t.next).min().unwrap_or(end);
        while self.base < passed && self.chunks.pop_front().is_some() {
            self.base += 1;
        }
        if self.chunks.len() < WINDOW
            && let Some(waker) = self.producer.take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_taker_holds_the_producer() {
        let feed = Feed::default();
        feed.join(1);
        feed.join(2);
        feed.open();
        for i in 0..WINDOW {
            assert!(feed.has_room(Waker::noop()));
            feed.push(Bytes::from(vec![i as u8]));
        }
        assert!(!feed.has_room(Waker::noop()));
        for i in 0..WINDOW {
            assert_eq!(
                feed.next(1, Waker::noop()),
                Next::Chunk(Bytes::from(vec![i as u8]))
            );
        }
        assert_eq!(feed.next(1, Waker::noop()), Next::Wait);
        assert!(!feed.has_room(Waker::noop()));
        feed.leave(2);
        assert!(feed.has_room(Waker::noop()));
        feed.end();
        assert_eq!(feed.next(1, Waker::noop()), Next::End);
    }
}
