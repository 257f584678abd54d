//! The threads that a node starts beside its arbiters (for snapshots, loading, the disk, freeing memory), so
//! that its end can wait for theirs.
//!
//! Each holds a [`Running`] as long as it works; what it captured is dropped before that. A thread that is to
//! end early looks at [`Lifecycle::is_closed`](crate::node_core::lifecycle::Lifecycle::is_closed) wherever it might go on for long.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::may_block::may_block_here;

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<Vec<Entry>>,
    fewer: Condvar,
}

/// A thread that runs.
#[derive(Debug)]
struct Entry {
    /// Its name to us: no other that runs has it.
    number: u64,
    /// Its number to the system; None: it has not begun.
    system_id: Option<i32>,
}

/// Counts a node's threads.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    shared: Arc<Shared>,
}

/// A thread that counts, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
    number: u64,
}

impl Threads {
    /// Counts one more thread, the calling one, which holds the result.
    pub(crate) fn enter(&self) -> Running {
        let running = self.announce();
        running.begins_here();
        running
    }

    /// Counts one more thread, which holds the result and calls [`Running::begins_here`].
    pub(crate) fn announce(&self) -> Running {
        let mut running = self.shared.running.lock();
        let number = running.iter().map(|entry| entry.number + 1).max();
        let number = number.unwrap_or(0);
        running.push(Entry {
            number,
            system_id: None,
        });
        Running {
            shared: self.shared.clone(),
            number,
        }
    }

    /// Starts a thread that counts.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let running = self.announce();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let running = running;
                running.begins_here();
                work();
            })
            .map(drop)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.shared.running.lock().len()
    }

    /// Calls `f` with the system's number of each. None of them ends meanwhile.
    pub(crate) fn each(&self, f: impl Fn(i32)) {
        let running = self.shared.running.lock();
        running.iter().filter_map(|e| e.system_id).for_each(f);
    }

    /// Waits until there are none, at most `timeout`. Blocks the thread. How many are left.
    pub(crate) fn wait(&self, timeout: Duration) -> usize {
        may_block_here();
        let until = Instant::now() + timeout;
        let mut running = self.shared.running.lock();
        while !running.is_empty() {
            if self
                .shared
                .fewer
                .wait_until(&mut running, until)
                .timed_out()
            {
                break;
            }
        }
        running.len()
    }
}

impl Running {
    /// The calling thread is the one that is meant.
    pub(crate) fn begins_here(&self) {
        // SAFETY: the call takes nothing and always succeeds.
        let system_id = unsafe { libc::gettid() };
        let mut running = self.shared.running.lock();
        if let Some(entry) = running.iter_mut().find(|e| e.number == self.number) {
            entry.system_id = Some(system_id);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared
            .running
            .lock()
            .retain(|entry| entry.number != self.number);
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
        let here = threads.enter();
        let ids = Mutex::new(Vec::new());
        threads.each(|id| ids.lock().push(id));
        // SAFETY: the call takes nothing and always succeeds.
        assert!(ids.lock().contains(&unsafe { libc::gettid() }));
        drop(here);
        assert_eq!(threads.wait(Duration::ZERO), 1);
        drop(go);
        assert_eq!(threads.wait(Duration::from_secs(60)), 0);
    }
}
