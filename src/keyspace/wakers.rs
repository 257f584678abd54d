//! Tasks that wait for the same thing, each once however often it asks.

use std::task::Waker;

use hashbrown::HashMap;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    /// By what makes a waker: its data and how that is used.
    by_task: HashMap<(usize, usize), Waker>,
}

impl Wakers {
    pub(crate) fn add(&mut self, waker: &Waker) {
        let task = (
            waker.data().addr(),
            std::ptr::from_ref(waker.vtable()).addr(),
        );
        let held = self.by_task.entry(task);
        held.or_insert_with(|| waker.clone());
    }

    /// Wakes all, and forgets them.
    pub(crate) fn wake(&mut self) {
        for (_, waker) in self.by_task.drain() {
            waker.wake();
        }
    }
}
