//! Large values to be freed: queued here by whoever removed them, dropped by a thread that no client waits for.
//!
//! The queue is bounded: past [`QUEUE_LIMIT`] values the remover drops its own. Nothing here starts a
//! thread; the owner of one calls [`LazyFree::poll_take`] (or `take`) and drops what it gets.

use std::any::Any;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// How many values may wait to be freed.
pub(crate) const QUEUE_LIMIT: usize = 1 << 16;

/// Anything whose drop may take long.
pub(crate) type Garbage = Box<dyn Any + Send>;

#[derive(Default)]
struct Queue {
    waiting: Vec<Garbage>,
    waker: Option<Waker>,
}

/// The queue and its counters.
#[derive(Default)]
pub struct LazyFree {
    queue: Mutex<Queue>,
    pending: AtomicUsize,
    freed: AtomicU64,
}

/// What was taken from the queue; counts as freed when dropped.
pub(crate) struct Batch<'a> {
    owner: &'a LazyFree,
    garbage: Vec<Garbage>,
}

impl LazyFree {
    /// Queues a value to be dropped elsewhere; drops it here when the queue is full.
    pub(crate) fn push(&self, garbage: Garbage) {
        let mut queue = self.queue.lock();
        if queue.waiting.len() >= QUEUE_LIMIT {
            drop(queue);
            drop(garbage);
            return;
        }
        queue.waiting.push(garbage);
        self.pending.fetch_add(1, Ordering::Relaxed);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all that is queued.
    pub(crate) fn take(&self) -> Batch<'_> {
        Batch {
            owner: self,
            garbage: std::mem::take(&mut self.queue.lock().waiting),
        }
    }

    /// Ready when something is queued; until then it leaves a waker for the next push.
    pub(crate) fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Wakes whatever waits for a push: the node is closed.
    pub(crate) fn wake(&self) {
        let waker = self.queue.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all that is queued, or leaves a waker for the next push.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Batch<'_>> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Batch {
            owner: self,
            garbage: std::mem::take(&mut queue.waiting),
        })
    }

    /// Values queued or being dropped (`lazyfree_pending_objects`).
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Values dropped since the start or the last reset (`lazyfreed_objects`).
    pub(crate) fn freed(&self) -> u64 {
        self.freed.load(Ordering::Relaxed)
    }

    pub(crate) fn reset_freed(&self) {
        self.freed.store(0, Ordering::Relaxed);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for garbage in self.garbage.drain(..) {
            drop(garbage);
            self.owner.pending.fetch_sub(1, Ordering::Relaxed);
            self.owner.freed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for LazyFree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyFree")
            .field("pending", &self.pending())
            .field("freed", &self.freed())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::LazyFree;

    #[test]
    fn values_count_as_pending_until_dropped() {
        let lazy = LazyFree::default();
        lazy.push(Box::new(vec![1, 2, 3]));
        lazy.push(Box::new(String::from("x")));
        assert_eq!((lazy.pending(), lazy.freed()), (2, 0));
        let batch = lazy.take();
        assert_eq!(lazy.pending(), 2);
        drop(batch);
        assert_eq!((lazy.pending(), lazy.freed()), (0, 2));
    }
}
