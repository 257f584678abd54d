//! The thread that frees what was removed (`lazyfree`): large values, flushed and replaced datasets. It has a low
//! priority, and yields its core after each bounded piece (see [`pieces`]) until the node is closed. It is started
//! when there is something to free, and ends when there was nothing for [`IDLE`], or with the node; what is queued then
//! is freed with it. Death: it is started anew; what it was freeing stays in memory.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::data::pieces;
use crate::node_core::NodeCore;
use crate::supervision::{Owner, turn};

/// How long the thread waits for more.
pub(crate) const IDLE: Duration = Duration::from_secs(5);
/// After the system gave no thread, or one has died, the next try comes this much later.
const RETRY: Duration = Duration::from_secs(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Keeps a thread as long as there is something to free. Never ends.
pub(crate) async fn free(node: Arc<NodeCore>) {
    loop {
        poll_fn(|cx| node.lazyfree.poll_waiting(cx)).await;
        let (done, ended) = oneshot::channel::<()>();
        let there = node.clone();
        let spawned = node.threads.spawn("understudy-free", move || {
            if let Err(panic) = turn(Owner::Freeing, 0, || free_here(&there)) {
                tracing::error!("The freeing thread ends by a panic and is started anew: {panic}");
                std::thread::sleep(RETRY);
            }
            drop(done);
        });
        match spawned {
            // An error is how the thread says that it is through.
            Ok(()) => drop(ended.await),
            Err(error) => {
                // Then large values are freed when the queue is full, by whoever removes them.
                tracing::warn!("No thread for freeing memory: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The thread's work.
fn free_here(node: &Arc<NodeCore>) {
    crate::os::priority::lower_to_a_tenth();
    let owner = Arc::downgrade(node);
    pieces::pause_between(move || {
        if is_to_yield(&owner) {
            crate::os::priority::yield_core();
        }
    });
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut idle_since = Instant::now();
    while !node.lifecycle.is_closed() && idle_since.elapsed() < IDLE {
        let next = std::pin::pin!(poll_fn(|cx| node.lazyfree.poll_take(cx)));
        match next.poll(&mut cx) {
            Poll::Ready(garbage) => {
                node.supervision.step(Owner::Freeing, "free");
                drop(garbage);
                idle_since = Instant::now();
            }
            Poll::Pending => std::thread::park_timeout(IDLE),
        }
    }
}

/// Asked between two pieces. When the node's end waits for this thread it holds on to its core: on a busy machine each
/// yield is as long as the slices of all who wait for it.
fn is_to_yield(owner: &Weak<NodeCore>) -> bool {
    owner
        .upgrade()
        .is_some_and(|node| !node.lifecycle.is_closed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Settings;

    #[test]
    fn a_closed_nodes_end_is_not_held_up_by_yields() {
        let clock = ManualClock::new(0, 1);
        let node = Arc::new(NodeCore::new(clock, Settings::default(), 1, None, None));
        assert!(is_to_yield(&Arc::downgrade(&node)));
        node.close(0, None);
        assert!(!is_to_yield(&Arc::downgrade(&node)));
    }
}
