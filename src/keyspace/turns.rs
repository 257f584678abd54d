//! Work inside the shards for threads that must not be inside them themselves.
//!
//! The snapshot's thread stands back for those that serve (see `os::priority`). Such a thread may be put
//! aside by the system at any moment and for long, and if it held a shard then, everybody who needs the shard
//! would wait with it: measured on two busy cores, most of a full sync's worst latencies came from there. So
//! it doesn't enter. It leaves its turn here, the arbiter that serves the shards takes it between two
//! requests, and the thread waits for the result.
//!
//! Bounds: one turn per waiting thread. If nobody takes a turn for `PATIENCE` (an arbiter that is busy with
//! one long command, or none at all), the thread takes it back and enters itself.

use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::keyspace::{Entered, Keyspace, ShardSet};
use crate::may_block::may_block_here;

/// How long a thread waits for an arbiter to take its turn.
const PATIENCE: Duration = Duration::from_millis(50);

type Work = Box<dyn FnOnce(&mut Entered<'_>) + Send>;

struct Turn {
    number: u64,
    set: ShardSet,
    work: Work,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Turn>,
    taken: u64,
    waker: Option<Waker>,
}

/// The turns of a node that wait to be taken.
#[derive(Default)]
pub struct Turns {
    queue: Mutex<Queue>,
}

impl Turns {
    /// Runs `f` inside the shards and waits for its result. Not for arbiters. None: the arbiter that had
    /// begun it was stopped.
    pub fn run<T: Send + 'static>(
        &self,
        keyspace: &Keyspace,
        set: ShardSet,
        f: impl FnOnce(&mut Entered<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        may_block_here();
        let (result, wait) = sync_channel(1);
        let work: Work = Box::new(move |entered| {
            // A receiver that is gone has no use for it.
            let _ = result.send(f(entered));
        });
        let number = self.push(set, work);
        match wait.recv_timeout(PATIENCE) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(turn) = self.take(number) {
                    (turn.work)(&mut keyspace.enter(set));
                }
                wait.recv().ok()
            }
        }
    }

    fn push(&self, set: ShardSet, work: Work) -> u64 {
        let mut queue = self.queue.lock();
        queue.taken += 1;
        let number = queue.taken;
        queue.waiting.push_back(Turn { number, set, work });
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        number
    }

    fn take(&self, number: u64) -> Option<Turn> {
        let mut queue = self.queue.lock();
        let at = queue.waiting.iter().position(|t| t.number == number)?;
        queue.waiting.remove(at)
    }

    /// Has whoever takes the turns look round.
    pub fn wake(&self) {
        let waker = self.queue.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes one turn if there is one and its shards are free; asks to be polled again when there is more.
    /// One task of a node calls this, on an arbiter that serves.
    pub fn poll(&self, keyspace: &Keyspace, cx: &mut Context<'_>) {
        let (number, set) = {
            let mut queue = self.queue.lock();
            match queue.waiting.front() {
                Some(turn) => (turn.number, turn.set),
                None => {
                    queue.waker = Some(cx.waker().clone());
                    return;
                }
            }
        };
        match keyspace.try_enter(set) {
            Some(mut entered) => {
                if let Some(turn) = self.take(number) {
                    (turn.work)(&mut entered);
                }
                drop(entered);
                // The connections that are ready come before the next one.
                cx.waker().wake_by_ref();
            }
            None => {
                // Registered first, tried after: a shard that is left in between is not missed.
                keyspace.wake_when_free(set, cx.waker());
                if keyspace.try_enter(set).is_some() {
                    cx.waker().wake_by_ref();
                }
            }
        }
    }
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns")
            .field("waiting", &self.queue.lock().waiting.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_turn_is_taken_by_who_polls() {
        let keyspace = Arc::new(Keyspace::new(2, 1, 7));
        let turns = Arc::new(Turns::default());
        let done = Arc::new(AtomicBool::new(false));
        let thread = {
            let (keyspace, turns, done) = (keyspace.clone(), turns.clone(), done.clone());
            std::thread::spawn(move || {
                let here = std::thread::current().id();
                let ran_at = turns.run(&keyspace, keyspace.all(), |entered| {
                    assert!(entered.is_all());
                    std::thread::current().id()
                });
                done.store(true, Ordering::Release);
                ran_at.is_some_and(|there| there != here)
            })
        };
        let mut cx = Context::from_waker(Waker::noop());
        while !done.load(Ordering::Acquire) {
            turns.poll(&keyspace, &mut cx);
            std::thread::yield_now();
        }
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_turn_that_nobody_takes_is_taken_back() {
        let keyspace = Keyspace::new(1, 1, 7);
        let turns = Turns::default();
        let here = std::thread::current().id();
        let there = turns.run(&keyspace, keyspace.all(), |_| std::thread::current().id());
        assert_eq!(there, Some(here));
        assert!(turns.queue.lock().waiting.is_empty());
    }
}
