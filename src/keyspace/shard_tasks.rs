//! Tasks to be run inside shards, for threads of low priority: such a thread never holds a shard's lock itself.
//!
//! The snapshot's thread runs at a lower priority than those that serve (see `os::priority`). The system may preempt it at
//! any moment and for long, and if it held a shard then, everybody who needs the shard would wait with it: measured on two
//! busy cores, most of a full sync's worst latencies came from there. So it queues a task here, the arbiter that serves the
//! shards runs the task between two requests, and the thread waits for the result.
//!
//! Bounds: one task per waiting thread. If nobody runs a task for `TAKE_TIMEOUT` (an arbiter that is busy with one long
//! command, or none at all), the thread takes it back and enters the shards itself.

use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::keyspace::{Entered, Keyspace, ShardSet};
use crate::may_block::may_block_here;

/// How long a thread waits for an arbiter to begin its task.
const TAKE_TIMEOUT: Duration = Duration::from_millis(50);

type Run = Box<dyn FnOnce(&mut Entered<'_>) + Send>;

struct Task {
    number: u64,
    set: ShardSet,
    run: Run,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Task>,
    taken: u64,
    waker: Option<Waker>,
}

/// The tasks of a node that wait to be run.
#[derive(Default)]
pub struct ShardTasks {
    queue: Mutex<Queue>,
}

impl ShardTasks {
    /// Runs `f` inside the shards and waits for its result. Not for arbiters. None: the arbiter that had
    /// begun it was stopped, or a shard is poisoned.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        keyspace: &Keyspace,
        set: ShardSet,
        f: impl FnOnce(&mut Entered<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        may_block_here();
        let (result, wait) = sync_channel(1);
        let run: Run = Box::new(move |entered| {
            // A receiver that is gone has no use for it.
            let _ = result.send(f(entered));
        });
        let number = self.push(set, run);
        match wait.recv_timeout(TAKE_TIMEOUT) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(task) = self.take(number) {
                    (task.run)(&mut keyspace.enter_unless_poisoned(set)?);
                }
                wait.recv().ok()
            }
        }
    }

    fn push(&self, set: ShardSet, run: Run) -> u64 {
        let mut queue = self.queue.lock();
        queue.taken += 1;
        let number = queue.taken;
        queue.waiting.push_back(Task { number, set, run });
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        number
    }

    fn take(&self, number: u64) -> Option<Task> {
        let mut queue = self.queue.lock();
        let at = queue.waiting.iter().position(|t| t.number == number)?;
        queue.waiting.remove(at)
    }

    /// Has the task of the arbiter that runs them polled.
    pub(crate) fn wake(&self) {
        let waker = self.queue.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Runs one task if there is one and its shards are free; asks to be polled again when there is more.
    /// One task of a node calls this, on an arbiter that serves.
    pub(crate) fn poll(&self, keyspace: &Keyspace, cx: &mut Context<'_>) {
        let (number, set) = {
            let mut queue = self.queue.lock();
            match queue.waiting.front() {
                Some(task) => (task.number, task.set),
                None => {
                    queue.waker = Some(cx.waker().clone());
                    return;
                }
            }
        };
        match keyspace.poll_enter(set, cx) {
            Poll::Ready(mut entered) => {
                if let Some(task) = self.take(number) {
                    (task.run)(&mut entered);
                }
                drop(entered);
                // The connections that are ready come before the next one.
                cx.waker().wake_by_ref();
            }
            Poll::Pending => {}
        }
    }
}

impl std::fmt::Debug for ShardTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardTasks")
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
    fn an_arbiter_runs_the_task() {
        let keyspace = Arc::new(Keyspace::new(2, 1, 7));
        let tasks = Arc::new(ShardTasks::default());
        let done = Arc::new(AtomicBool::new(false));
        let thread = {
            let (keyspace, tasks, done) = (keyspace.clone(), tasks.clone(), done.clone());
            std::thread::spawn(move || {
                let here = std::thread::current().id();
                let ran_at = tasks.run(&keyspace, keyspace.all(), |entered| {
                    assert!(entered.is_all());
                    std::thread::current().id()
                });
                done.store(true, Ordering::Release);
                ran_at.is_some_and(|there| there != here)
            })
        };
        let mut cx = Context::from_waker(Waker::noop());
        while !done.load(Ordering::Acquire) {
            tasks.poll(&keyspace, &mut cx);
            std::thread::yield_now();
        }
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_task_that_nobody_runs_is_run_by_its_thread() {
        let keyspace = Keyspace::new(1, 1, 7);
        let tasks = ShardTasks::default();
        let here = std::thread::current().id();
        let there = tasks.run(&keyspace, keyspace.all(), |_| std::thread::current().id());
        assert_eq!(there, Some(here));
        assert!(tasks.queue.lock().waiting.is_empty());
    }
}
