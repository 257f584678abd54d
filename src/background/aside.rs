//! Work of commands that may block (the configuration's files, listening at other addresses, giving memory back), on
//! a thread beside those that serve.
//!
//! The client waits for the reply as for any actor's ([`Ticket`](crate::session::Ticket)), and its later commands with it, so they run in
//! order; the shards are left meanwhile. The work of all clients is done one after the other.
//!
//! Bounds: one thread, which ends when there is no more to do; a piece of work per client that waits. A panic costs
//! the client its answer, and nobody else anything.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::may_block::may_block_here;
use crate::node_core::threads::Threads;
use crate::supervision::{Owner, turn};

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// A thread is at it.
    running: bool,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Aside {
    queue: Arc<Mutex<Queue>>,
}

impl Aside {
    /// Has it done behind what was given before. Returns at once.
    pub(crate) fn run(&self, threads: &Threads, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(Box::new(work));
        if std::mem::replace(&mut queue.running, true) {
            return;
        }
        drop(queue);
        let here = self.clone();
        if let Err(error) = threads.spawn("aside", move || here.work_off()) {
            tracing::error!("Can't start a thread: {error}");
            let mut queue = self.queue.lock();
            queue.running = false;
            // What is dropped here answers with an error.
            let given_up = std::mem::take(&mut queue.waiting);
            drop(queue);
            drop(given_up);
        }
    }

    fn work_off(&self) {
        may_block_here();
        loop {
            let mut queue = self.queue.lock();
            let Some(work) = queue.waiting.pop_front() else {
                queue.running = false;
                return;
            };
            drop(queue);
            // The work's promise is broken when it is dropped.
            if let Err(panic) = turn(Owner::Aside, 0, work) {
                tracing::error!("A client's work aside ends by a panic: {panic}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_done_in_order_and_outlives_a_panic() {
        let (aside, threads) = (Aside::default(), Threads::default());
        let (done, results) = channel();
        for number in 0..3 {
            let done = done.clone();
            aside.run(&threads, move || {
                assert!(number != 1, "on purpose");
                let _ = done.send(number);
            });
        }
        drop(done);
        assert_eq!(results.iter().collect::<Vec<i32>>(), [0, 2]);
        assert_eq!(threads.wait(Duration::from_secs(60)), 0);
        assert!(!aside.queue.lock().running);
    }
}
