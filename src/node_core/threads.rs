//! The threads that a node starts beside its arbiters (for snapshots, loading, the disk, freeing memory), so
//! that its end can wait for theirs.
//!
//! Each holds a [`Running`] as long as it works; what it captured is dropped before that. A thread that is to
//! end early looks at [`Life::is_closed`](crate::node_core::life::Life::is_closed) wherever it might go on for long.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::may_block::may_block_here;

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<usize>,
    fewer: Condvar,
}

/// Counts a node's threads.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    shared: Arc<Shared>,
}

/// A thread that counts, until this is dropped.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
}

impl Threads {
    /// Counts one more thread, which holds the result.
    pub fn enter(&self) -> Running {
        *self.shared.running.lock() += 1;
        Running {
            shared: self.shared.clone(),
        }
    }

    /// Starts a thread that counts.
    pub fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let running = self.enter();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _running = running;
                work();
            })
            .map(drop)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.shared.running.lock()
    }

    /// Waits until there are none, at most `timeout`. Blocks the thread. How many are left.
    pub fn wait(&self, timeout: Duration) -> usize {
        may_block_here();
        let until = Instant::now() + timeout;
        let mut running = self.shared.running.lock();
        while *running > 0 {
            if self
                .shared
                .fewer
                .wait_until(&mut running, until)
                .timed_out()
            {
                break;
            }
        }
        *running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *self.shared.running.lock() -= 1;
        self.shared.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_the_threads() {
        let threads = Threads::default();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let work = move || {
            let _ = wait.recv();
        };
        threads.spawn("test", work).unwrap();
        assert_eq!(threads.count(), 1);
        assert_eq!(threads.wait(Duration::ZERO), 1);
        drop(go);
        assert_eq!(threads.wait(Duration::from_secs(60)), 0);
    }
}
