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
    /// Has the script go on. Returns at once, but where the system gives no thread: then it takes turns here, in that
    /// thread's place, until there is one. Shards that nobody could leave any more would stop the node.
    pub(crate) fn run(&self, node: &Arc<NodeCore>, script: Box<dyn LongScript>) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(script);
        if queue.threads == THREADS_MAX {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let mut told = false;
        while let Err(error) = self.start_thread(node) {
            if !told {
                tracing::error!("Can't start a thread: {error}");
                told = true;
            }
            let Some(script) = self.next() else {
                return;
            };
            let _ = self.take_turn(node, script);
        }
    }

    fn start_thread(&self, node: &Arc<NodeCore>) -> std::io::Result<()> {
        let (here, its_node) = (self.clone(), node.clone());
        let work = move || {
            while let Some(script) = here.next() {
                if here.take_turn(&its_node, script) == Turn::InVain {
                    std::thread::sleep(REST);
                }
            }
        };
        node.threads.spawn("script", work)
    }

    /// The script whose turn it is. None: there is nothing to do, and the thread is counted no more.
    fn next(&self) -> Option<Box<dyn LongScript>> {
        let mut queue = self.queue.lock();
        let script = queue.waiting.pop_front();
        if script.is_none() {
            queue.threads = queue.threads.saturating_sub(1);
        }
        script
    }

    fn take_turn(&self, node: &NodeCore, script: Box<dyn LongScript>) -> Turn {
        let ticket = script.ticket();
        match turn(Owner::Script, 0, || script.go_on(node)) {
            Ok(None) => Turn::Done,
            Ok(Some(script)) => {
                let waits = script.waits();
                let mut queue = self.queue.lock();
                let is_alone = queue.waiting.is_empty();
                queue.waiting.push_back(script);
                if is_alone && waits {
                    Turn::InVain
                } else {
                    Turn::Done
                }
            }
            Err(panic) => {
                tracing::error!("A script ends by a panic: {panic}");
                ticket.complete(b"-ERR the command failed inside the server, see its log\r\n");
                Turn::Done
            }
        }
    }
}

/// What came of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    /// The script waits for shards, and nobody else is here to run meanwhile.
    InVain,
}
