//! Who is blocked on which keys of one shard, first come first served, and which of those keys became
//! ready.
//!
//! A waiter stands in the queue of each of its keys, in every shard that holds one. Waiters that are over
//! are dropped when somebody looks at the queue; whoever ends a wait also removes it with
//! [`Blocked::remove`], so that queues of keys that never become ready stay short.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::{Waiter, WaiterState};

/// A key somebody waits for that got elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyKey {
    pub db: usize,
    pub key: Bytes,
}

#[derive(Debug)]
struct Queue {
    key: Bytes,
    waiters: VecDeque<Arc<Waiter>>,
    /// On the ready list already.
    ready: bool,
}

/// The blocked clients of one shard.
#[derive(Debug, Default)]
pub struct Blocked {
    queues: HashMap<(usize, Bytes), Queue>,
    ready: Vec<ReadyKey>,
}

impl Blocked {
    /// Whether nobody is blocked here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How many keys somebody waits for.
    pub fn keys(&self) -> usize {
        self.queues.len()
    }

    /// Whether a key became ready since the last [`Blocked::take_ready`].
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts a waiter at the end of a key's queue.
    pub fn add(&mut self, db: usize, key: &Bytes, waiter: &Arc<Waiter>) {
        let queue = self
            .queues
            .entry((db, key.clone()))
            .or_insert_with(|| Queue {
                key: key.clone(),
                waiters: VecDeque::new(),
                ready: false,
            });
        if !queue.waiters.iter().any(|w| Arc::ptr_eq(w, waiter)) {
            queue.waiters.push_back(waiter.clone());
        }
    }

    /// Takes a waiter out of a key's queue.
    pub fn remove(&mut self, db: usize, key: &Bytes, waiter: &Arc<Waiter>) {
        let id = (db, key.clone());
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.waiters.retain(|w| !Arc::ptr_eq(w, waiter));
            if queue.waiters.is_empty() {
                self.queues.remove(&id);
            }
        }
    }

    /// A key got elements: it goes on the ready list if somebody waits for it.
    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.queues.is_empty() {
            return;
        }
        let found = self.queues.get_mut(&BorrowedId(db, key));
        if let Some(queue) = found
            && !queue.ready
        {
            queue.ready = true;
            self.ready.push(ReadyKey {
                db,
                key: queue.key.clone(),
            });
        }
    }

    /// The keys waited for in a database (SWAPDB looks which of them are there now).
    pub fn keys_in(&self, db: usize) -> Vec<Bytes> {
        self.queues
            .keys()
            .filter(|(d, _)| *d == db)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// Everybody who waits here, once for each key, and nobody any more: for whoever ends all waits.
    pub fn take_all(&mut self) -> Vec<Arc<Waiter>> {
        self.ready.clear();
        let queues = std::mem::take(&mut self.queues);
        queues.into_values().flat_map(|q| q.waiters).collect()
    }

    /// The ready list, in the order in which keys became ready; empties it.
    pub fn take_ready(&mut self) -> Vec<ReadyKey> {
        let ready = std::mem::take(&mut self.ready);
        for key in &ready {
            if let Some(queue) = self.queues.get_mut(&BorrowedId(key.db, &key.key)) {
                queue.ready = false;
            }
        }
        ready
    }

    /// Who waits for a key and still does, longest first.
    pub fn waiters(&mut self, db: usize, key: &Bytes) -> Vec<Arc<Waiter>> {
        let id = (db, key.clone());
        let Some(queue) = self.queues.get_mut(&id) else {
            return Vec::new();
        };
        queue
            .waiters
            .retain(|w| !matches!(w.state(), WaiterState::Done(_)));
        if queue.waiters.is_empty() {
            self.queues.remove(&id);
            return Vec::new();
        }
        queue.waiters.iter().cloned().collect()
    }
}

/// A queue's id without owning the key. Hashes as the owned pair does: `Bytes` hashes as its slice.
#[derive(Hash)]
struct BorrowedId<'a>(usize, &'a [u8]);

impl hashbrown::Equivalent<(usize, Bytes)> for BorrowedId<'_> {
    fn equivalent(&self, owned: &(usize, Bytes)) -> bool {
        self.0 == owned.0 && self.1 == &owned.1[..]
    }
}
