//! Threads on which scripts go on that have had their time on an arbiter.
//!
//! Scripts take turns of a few milliseconds: each is inside shards of its own, so several can run at once, and one that
//! waits for shards ([`token`](crate::command::script::token)) has to see the others get theirs. A script that has run for
//! `busy-reply-threshold` is made known as slow, and those who wait for its shards are woken to hear of it.
//!
//! Bounds: [`THREADS_MAX`] threads, which end when there is nothing to do; a script for each client that waits. A panic
//! of a script's command loses the shards that it was in (`keyspace::entering`), and its client gets an error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::node_core::{LongScript, NodeCore};
use crate::supervision::{Owner, turn};

/// Threads of one node.
const THREADS_MAX: usize = 2;
/// Between two turns of a script that is alone and waits for shards.
const REST: Duration = Duration::from_micros(200);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn LongScript>>,
    threads: usize,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct ScriptThreads {
    queue: Arc<Mutex<Queue>>,
}

impl ScriptThreads {
    /// Has the script go on. Returns at once.
    pub(crate) fn run(&self, node: &Arc<NodeCore>, script: Box<dyn LongScript>) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(script);
        if queue.threads == THREADS_MAX {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let (here, its_node) = (self.clone(), node.clone());
        let started = node
            .threads
            .spawn("script", move || here.work_off(&its_node));
        if let Err(error) = started {
            tracing::error!("Can't start a thread: {error}");
            // Shards that nobody could leave any more would stop the node: it goes on here, in that thread's place.
            self.work_off(node);
        }
    }

    fn work_off(&self, node: &NodeCore) {
        loop {
            let mut queue = self.queue.lock();
            let Some(script) = queue.waiting.pop_front() else {
                queue.threads = queue.threads.saturating_sub(1);
                return;
            };
            let is_alone = queue.waiting.is_empty();
            drop(queue);
            let ticket = script.ticket();
            match turn(Owner::Script, 0, || script.go_on(node)) {
                Ok(None) => {}
                Ok(Some(script)) => {
                    if is_alone && script.waits() {
                        std::thread::sleep(REST);
                    }
                    self.queue.lock().waiting.push_back(script);
                }
                Err(panic) => {
                    tracing::error!("A script ends by a panic: {panic}");
                    ticket.complete(b"-ERR the command failed inside the server, see its log\r\n");
                }
            }
        }
    }
}
