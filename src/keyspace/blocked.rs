//! The clients blocked on the keys of one shard, first come first served, and which of those keys became ready.
//!
//! A waiter stands in the queue of each of its keys, in every shard that holds one; a key has a queue for each kind
//! of value that is waited for, so that a client that waits for another kind is not in the way. Whoever ends a wait
//! takes the waiter out of its queues with [`Blocked::remove`]. Where a shard is busy at that moment it stays behind,
//! and is dropped when somebody comes by, at the latest when twice as many stand here as after the last sweep.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::key_id::{KeyId, KeyIdRef};
use super::queue::Queue;
use super::{Waiter, WaiterState};
use crate::data::Kind;

/// A key somebody waits for that got elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyKey {
    pub db: usize,
    pub key: Bytes,
}

/// Those who wait for one key, by what kind it must be.
#[derive(Debug, Default)]
struct KeyQueues {
    by_kind: SmallVec<[(Kind, Queue<Arc<Waiter>>); 1]>,
    /// On the ready list already.
    ready: bool,
}

impl KeyQueues {
    fn of(&mut self, kind: Kind) -> Option<&mut Queue<Arc<Waiter>>> {
        let mut queues = self.by_kind.iter_mut();
        queues.find(|(k, _)| *k == kind).map(|(_, queue)| queue)
    }

    fn is_empty(&self) -> bool {
        self.by_kind.iter().all(|(_, queue)| queue.is_empty())
    }
}

/// The blocked clients of one shard.
#[derive(Debug, Default)]
pub struct Blocked {
    queues: HashMap<KeyId, KeyQueues>,
    ready: Vec<ReadyKey>,
    /// How many stand in the queues, one at several keys as often.
    standing: usize,
    /// How many may before those whose wait is over are looked for.
    sweep_at: usize,
}

/// Fewest waiters that are worth a sweep.
const SWEEP_MIN: usize = 64;

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

    /// Puts a waiter at the end of a key's queue. Its number is the highest here; a key that it names twice has it
    /// once.
    pub fn add(&mut self, db: usize, key: &[u8], waiter: &Arc<Waiter>) {
        if self.standing >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        let queues = self.queues.entry_ref(&KeyIdRef { db, key }).or_default();
        if queues.of(waiter.kind).is_none() {
            queues.by_kind.push((waiter.kind, Queue::default()));
        }
        if let Some(queue) = queues.of(waiter.kind) {
            self.standing += usize::from(queue.push(waiter.number, waiter.clone()));
        }
    }

    /// Takes a waiter out of a key's queue.
    pub fn remove(&mut self, db: usize, key: &[u8], waiter: &Waiter) {
        let Some(queues) = self.queues.get_mut(&KeyIdRef { db, key }) else {
            return;
        };
        let removed = queues.of(waiter.kind).and_then(|q| q.remove(waiter.number));
        self.standing -= usize::from(removed.is_some());
        if queues.is_empty() {
            self.forget(db, key);
        }
    }

    /// Nobody waits for the key any more.
    fn forget(&mut self, db: usize, key: &[u8]) {
        self.queues.remove(&KeyIdRef { db, key });
        if self.queues.is_empty() {
            // What thousands of keys have taken is given back.
            self.queues = HashMap::default();
        }
    }

    /// Drops those whose wait has ended while the shard was not entered. Next done when twice as many are left, so
    /// that it costs each wait little.
    fn sweep(&mut self) {
        let mut gone = 0;
        self.queues.retain(|_, queues| {
            for (_, queue) in &mut queues.by_kind {
                gone += queue.retain(|waiter| !is_over(waiter));
            }
            !queues.is_empty()
        });
        self.standing -= gone;
        self.sweep_at = self.standing * 2;
    }

    /// A key got elements: it goes on the ready list if somebody waits for it.
    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.queues.is_empty() {
            return;
        }
        let found = self.queues.get_key_value_mut(&KeyIdRef { db, key });
        if let Some((id, queues)) = found
            && !queues.ready
        {
            queues.ready = true;
            let key = id.key.clone();
            self.ready.push(ReadyKey { db, key });
        }
    }

    /// The keys waited for in a database (SWAPDB looks which of them are there now).
    pub fn keys_in(&self, db: usize) -> Vec<Bytes> {
        let ids = self.queues.keys().filter(|id| id.db == db);
        ids.map(|id| id.key.clone()).collect()
    }

    /// Everybody who waits here, once for each key, and nobody any more: for whoever ends all waits.
    pub fn take_all(&mut self) -> Vec<Arc<Waiter>> {
        let queues = std::mem::take(self).queues.into_values();
        let queues = queues.flat_map(|queues| queues.by_kind);
        queues.flat_map(|(_, queue)| queue.into_items()).collect()
    }

    /// The ready list, in the order in which keys became ready; empties it.
    pub fn take_ready(&mut self) -> Vec<ReadyKey> {
        let ready = std::mem::take(&mut self.ready);
        for ReadyKey { db, key } in &ready {
            if let Some(queues) = self.queues.get_mut(&KeyIdRef { db: *db, key }) {
                queues.ready = false;
            }
        }
        ready
    }

    /// The first who waits for a key of this kind, behind the one with the number `after`.
    pub fn next(
        &mut self,
        db: usize,
        key: &[u8],
        kind: Kind,
        after: Option<u64>,
    ) -> Option<Arc<Waiter>> {
        let queues = self.queues.get_mut(&KeyIdRef { db, key })?;
        let queue = queues.of(kind)?;
        let mut found = None;
        while let Some((number, waiter)) = queue.after(after) {
            if !is_over(waiter) {
                found = Some(waiter.clone());
                break;
            }
            queue.remove(number);
            self.standing -= 1;
        }
        if queues.is_empty() {
            self.forget(db, key);
        }
        found
    }
}

fn is_over(waiter: &Waiter) -> bool {
    matches!(waiter.state(), WaiterState::Done(_))
}
