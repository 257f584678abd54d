//! The clients blocked on the keys of one shard, first come first served, and which of those keys became ready: they got
//! elements or, where somebody waits for that as well, were deleted or changed.
//!
//! A waiter stands in the queue of each of its keys, in every shard that holds one; a key has a queue for each
//! `Condition`, so that a client that waits for something else is not in the way. Whoever ends a wait takes the
//! waiter out of its queues with [`Blocked::remove`]. Where a shard is busy at that moment it stays behind, and is
//! dropped when somebody comes by, at the latest when twice as many stand here as after the last sweep.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::key_id::{KeyId, KeyIdRef};
use super::queue::Queue;
use super::{Waiter, WaiterState};
use crate::data::Kind;

/// A key somebody waits for to which something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyKey {
    pub(crate) db: usize,
    pub(crate) key: Bytes,
    /// It got elements. If not, it was changed or deleted.
    pub(crate) filled: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    /// A key of this kind that got elements.
    kind: Kind,
    /// And a key that is not of this kind, or gone.
    on_deletion: bool,
}

impl Condition {
    fn of(waiter: &Waiter) -> Condition {
        Condition {
            kind: waiter.kind,
            on_deletion: waiter.on_deletion,
        }
    }

    /// Whether it is met at a ready key that is of this kind now (None: gone).
    fn is_met(self, kind: Option<Kind>, filled: bool) -> bool {
        match kind == Some(self.kind) {
            true => filled,
            false => self.on_deletion,
        }
    }
}

/// Those who wait for one key, by what they wait for.
#[derive(Debug, Default)]
struct KeyQueues {
    by_condition: SmallVec<[(Condition, Queue<Arc<Waiter>>); 1]>,
    /// On the ready list already.
    ready: bool,
    /// It got elements since it is there.
    filled: bool,
}

impl KeyQueues {
    fn of(&mut self, condition: Condition) -> Option<&mut Queue<Arc<Waiter>>> {
        let mut queues = self.by_condition.iter_mut();
        queues
            .find(|(w, _)| *w == condition)
            .map(|(_, queue)| queue)
    }

    fn is_empty(&self) -> bool {
        self.by_condition.iter().all(|(_, queue)| queue.is_empty())
    }

    /// Whether somebody waits for the key's end.
    fn want_deletion(&self) -> bool {
        let mut queues = self.by_condition.iter();
        queues.any(|(condition, queue)| condition.on_deletion && !queue.is_empty())
    }
}

/// The blocked clients of one shard.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    queues: HashMap<KeyId, KeyQueues>,
    ready: Vec<ReadyKey>,
    /// How many stand in the queues, one at several keys as often.
    standing: usize,
    /// How many of them wait for the end of a key as well.
    deletion_waits: usize,
    /// How many may before those whose wait is over are looked for.
    sweep_at: usize,
}

/// Fewest waiters that are worth a sweep.
const SWEEP_MIN: usize = 64;

impl Blocked {
    /// Whether nobody is blocked here.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How many keys somebody waits for.
    pub(crate) fn keys(&self) -> usize {
        self.queues.len()
    }

    /// How many keys somebody waits for the end of.
    pub(crate) fn keys_whose_end_is_awaited(&self) -> usize {
        match self.deletion_waits {
            0 => 0,
            _ => self
                .queues
                .values()
                .filter(|queues| queues.want_deletion())
                .count(),
        }
    }

    /// Whether a key became ready since the last [`Blocked::take_ready`].
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts a waiter at the end of a key's queue. Its number is the highest here; a key that it names twice has it
    /// once.
    pub(crate) fn add(&mut self, db: usize, key: &[u8], waiter: &Arc<Waiter>) {
        if self.standing >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        let queues = self.queues.entry_ref(&KeyIdRef { db, key }).or_default();
        let condition = Condition::of(waiter);
        if queues.of(condition).is_none() {
            queues.by_condition.push((condition, Queue::default()));
        }
        let queue = queues.of(condition);
        if queue.is_some_and(|queue| queue.push(waiter.number, waiter.clone())) {
            self.standing += 1;
            self.deletion_waits += usize::from(condition.on_deletion);
        }
    }

    /// Takes a waiter out of a key's queue.
    pub(crate) fn remove(&mut self, db: usize, key: &[u8], waiter: &Waiter) {
        let Some(queues) = self.queues.get_mut(&KeyIdRef { db, key }) else {
            return;
        };
        let queue = queues.of(Condition::of(waiter));
        let removed = queue.and_then(|q| q.remove(waiter.number));
        if removed.is_some() {
            self.standing -= 1;
            self.deletion_waits -= usize::from(waiter.on_deletion);
        }
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
        let (mut gone, mut waits_gone) = (0, 0);
        self.queues.retain(|_, queues| {
            for (condition, queue) in &mut queues.by_condition {
                let over = queue.retain(|waiter| !is_over(waiter));
                gone += over;
                waits_gone += if condition.on_deletion { over } else { 0 };
            }
            !queues.is_empty()
        });
        self.standing -= gone;
        self.deletion_waits -= waits_gone;
        self.sweep_at = self.standing * 2;
    }

    /// A key got elements: it goes on the ready list if somebody waits for it.
    pub(crate) fn signal(&mut self, db: usize, key: &[u8]) {
        if self.queues.is_empty() {
            return;
        }
        if let Some((id, queues)) = self.queues.get_key_value_mut(&KeyIdRef { db, key }) {
            queues.filled = true;
            make_ready(id, queues, &mut self.ready);
        }
    }

    /// Whether somebody waits for the end of a key here.
    pub(crate) fn want_deletions(&self) -> bool {
        self.deletion_waits > 0
    }

    /// A key was changed or deleted: it goes on the ready list if somebody waits for its end.
    pub(crate) fn signal_change(&mut self, db: usize, key: &[u8]) {
        if let Some((id, queues)) = self.queues.get_key_value_mut(&KeyIdRef { db, key })
            && queues.want_deletion()
        {
            make_ready(id, queues, &mut self.ready);
        }
    }

    /// Likewise all of a database's keys.
    pub(crate) fn signal_changes(&mut self, db: usize) {
        for (id, queues) in &mut self.queues {
            if id.db == db && queues.want_deletion() {
                make_ready(id, queues, &mut self.ready);
            }
        }
    }

    /// The keys waited for in a database (SWAPDB looks which of them are there now).
    pub(crate) fn keys_in(&self, db: usize) -> Vec<Bytes> {
        let ids = self.queues.keys().filter(|id| id.db == db);
        ids.map(|id| id.key.clone()).collect()
    }

    /// Everybody who waits here, once for each key, and nobody any more: for whoever ends all waits.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<Waiter>> {
        let queues = std::mem::take(self).queues.into_values();
        let queues = queues.flat_map(|queues| queues.by_condition);
        queues.flat_map(|(_, queue)| queue.into_items()).collect()
    }

    /// The ready list, in the order in which keys became ready; empties it.
    pub(crate) fn take_ready(&mut self) -> Vec<ReadyKey> {
        let mut ready = std::mem::take(&mut self.ready);
        for ReadyKey { db, key, filled } in &mut ready {
            if let Some(queues) = self.queues.get_mut(&KeyIdRef { db: *db, key }) {
                queues.ready = false;
                *filled = std::mem::take(&mut queues.filled);
            }
        }
        ready
    }

    /// The first whom a ready key that is of this kind now (None: gone) lets go on, behind the one with the number
    /// `after`.
    pub(crate) fn next(
        &mut self,
        ready: &ReadyKey,
        kind: Option<Kind>,
        after: Option<u64>,
    ) -> Option<Arc<Waiter>> {
        let ReadyKey { db, key, filled } = ready;
        let queues = self.queues.get_mut(&KeyIdRef { db: *db, key })?;
        let mut first: Option<Arc<Waiter>> = None;
        for (condition, queue) in &mut queues.by_condition {
            if !condition.is_met(kind, *filled) {
                continue;
            }
            while let Some((number, waiter)) = queue.after(after) {
                if !is_over(waiter) {
                    if first.as_ref().is_none_or(|first| number < first.number) {
                        first = Some(waiter.clone());
                    }
                    break;
                }
                queue.remove(number);
                self.standing -= 1;
                self.deletion_waits -= usize::from(condition.on_deletion);
            }
        }
        if queues.is_empty() {
            self.forget(*db, key);
        }
        first
    }
}

fn make_ready(id: &KeyId, queues: &mut KeyQueues, list: &mut Vec<ReadyKey>) {
    if !std::mem::replace(&mut queues.ready, true) {
        list.push(ReadyKey {
            db: id.db,
            key: id.key.clone(),
            // Known when it is taken from the list.
            filled: false,
        });
    }
}

fn is_over(waiter: &Waiter) -> bool {
    matches!(waiter.state(), WaiterState::Done(_))
}
