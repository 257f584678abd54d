//! A consumer group: how far it has read, its consumers, and what they have not acknowledged yet.
//!
//! Invariant: every pending entry belongs to a consumer of the group, and stands in that consumer's list and no other.

use std::sync::Arc;

use super::StreamId;
use super::entries::Horizon;
use super::tree::Tree;

/// Names a consumer within its group; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConsumerId(u64);

impl ConsumerId {
    /// While a group is being loaded.
    const NOBODY: ConsumerId = ConsumerId(0);
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) consumer: ConsumerId,
    /// When it was delivered last, unix ms.
    pub(crate) delivered_at_ms: i64,
    /// How often.
    pub(crate) deliveries: u64,
}

/// Who reads a group's entries.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) name: Arc<[u8]>,
    /// When it last asked for something, unix ms.
    pub(crate) seen_at_ms: i64,
    /// When it last got something; -1: never.
    pub(crate) active_at_ms: i64,
    pending: Tree<StreamId, ()>,
}

impl Consumer {
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Group {
    /// The last entry that was delivered.
    pub(crate) last_id: StreamId,
    /// How many entries of the stream were added up to that one; None: not known.
    pub(crate) entries_read: Option<u64>,
    pending: Tree<StreamId, Pending>,
    consumers: Tree<ConsumerId, Consumer>,
    by_name: Tree<Arc<[u8]>, ConsumerId>,
    /// The last id that a consumer was given.
    last_consumer: u64,
}

impl Group {
    pub(crate) fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_id,
            entries_read,
            pending: Tree::default(),
            consumers: Tree::default(),
            by_name: Tree::default(),
            last_consumer: 0,
        }
    }

    // ---- reading on ----

    /// An entry is delivered for the first time.
    pub(crate) fn advance(&mut self, id: StreamId, horizon: &Horizon) {
        if id <= self.last_id {
            return;
        }
        match &mut self.entries_read {
            Some(read) if !horizon.has_gap_from(id) => *read = read.wrapping_add(1),
            read if horizon.added() > 0 => *read = horizon.added_until(id),
            _ => {}
        }
        self.last_id = id;
    }

    /// How many entries it has yet to read; None if that can't be told.
    pub(crate) fn lag(&self, horizon: &Horizon) -> Option<i64> {
        if horizon.added() == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !horizon.has_gap_from(self.last_id) => read,
            _ => horizon.added_until(self.last_id)?,
        };
        Some(horizon.added().wrapping_sub(read) as i64)
    }

    // ---- consumers ----

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// All consumers, by name.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        let all = self.by_name.iter();
        all.filter_map(|(_, id)| Some((*id, self.consumers.get(id)?)))
    }

    /// Consumers from a name on, by name.
    pub(crate) fn consumers_from(
        &self,
        name: &[u8],
    ) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        let all = self.by_name.iter_from(name);
        all.filter_map(|(_, id)| Some((*id, self.consumers.get(id)?)))
    }

    pub(crate) fn consumer_named(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(&id)
    }

    pub(crate) fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.consumers.get_mut(&id)
    }

    /// Makes a consumer; None if there is one of that name.
    pub(crate) fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        if self.by_name.get(name).is_some() {
            return None;
        }
        self.last_consumer += 1;
        let id = ConsumerId(self.last_consumer);
        let name: Arc<[u8]> = name.into();
        self.by_name.insert(name.clone(), id);
        let consumer = Consumer {
            name,
            seen_at_ms: now_ms,
            active_at_ms: -1,
            pending: Tree::default(),
        };
        self.consumers.insert(id, consumer);
        Some(id)
    }

    /// A consumer that is not there yet.
    pub(crate) fn make_consumer(&mut self, name: &[u8], now_ms: i64) -> ConsumerId {
        match self.create_consumer(name, now_ms) {
            Some(consumer) => consumer,
            None => unreachable!("a consumer is made twice"),
        }
    }

    /// Removes a consumer with all that is pending with it: how many entries that were. None: there is none.
    pub(crate) fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.by_name.remove(name)?;
        let consumer = self.consumers.remove(&id)?;
        for (entry, ()) in consumer.pending.iter() {
            self.pending.remove(entry);
        }
        Some(consumer.pending.len())
    }

    // ---- pending entries ----

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn pending(&self, id: StreamId) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// Changes what is known of a pending entry, but not whose it is.
    pub(crate) fn pending_mut(&mut self, id: StreamId) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    pub(crate) fn first_pending(&self) -> Option<StreamId> {
        self.pending.first().map(|(id, _)| *id)
    }

    pub(crate) fn last_pending(&self) -> Option<StreamId> {
        self.pending.last().map(|(id, _)| *id)
    }

    /// All pending entries from an id on.
    pub(crate) fn pending_from(&self, id: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.pending
            .iter_from(&id)
            .map(|(id, pending)| (*id, pending))
    }

    /// Those of one consumer.
    pub(crate) fn pending_with(
        &self,
        consumer: ConsumerId,
        from: StreamId,
    ) -> impl Iterator<Item = StreamId> {
        let own = self.consumers.get(&consumer);
        let own = own.map(|own| own.pending.iter_from(&from));
        own.into_iter().flatten().map(|(id, ())| *id)
    }

    /// Makes an entry pending, or gives it to another consumer, which must exist.
    pub(crate) fn assign(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        let owner = before.map(|before| before.consumer);
        if owner == Some(pending.consumer) {
            return;
        }
        if let Some(owner) = owner.and_then(|owner| self.consumers.get_mut(&owner)) {
            owner.pending.remove(&id);
        }
        match self.consumers.get_mut(&pending.consumer) {
            Some(owner) => owner.pending.insert(id, ()),
            None => unreachable!("an entry for a consumer that is not there"),
        };
    }

    /// An entry is pending no more; false if it was not.
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(owner) = self.consumers.get_mut(&pending.consumer) {
            owner.pending.remove(&id);
        }
        true
    }

    // ---- loading ----

    /// Adds a pending entry whose consumer is told later ([`Group::load_owner`]); false if it is there.
    pub(crate) fn load_pending(
        &mut self,
        id: StreamId,
        delivered_at_ms: i64,
        deliveries: u64,
    ) -> bool {
        let pending = Pending {
            consumer: ConsumerId::NOBODY,
            delivered_at_ms,
            deliveries,
        };
        self.pending.insert(id, pending).is_none()
    }

    /// Tells whose a pending entry is; false if there is none, or it is somebody's.
    pub(crate) fn load_owner(&mut self, id: StreamId, consumer: ConsumerId) -> bool {
        let pending = self.pending.get_mut(&id);
        let Some(pending) = pending.filter(|pending| pending.consumer == ConsumerId::NOBODY) else {
            return false;
        };
        pending.consumer = consumer;
        let owner = self.consumers.get_mut(&consumer);
        owner.is_some_and(|owner| owner.pending.insert(id, ()).is_none())
    }

    /// Whether every pending entry has its consumer.
    pub(crate) fn is_loaded(&self) -> bool {
        let owned = self
            .consumers
            .iter()
            .map(|(_, consumer)| consumer.pending.len());
        owned.sum::<usize>() == self.pending.len()
    }

    /// Bytes of memory held, beside its own.
    pub(crate) fn memory(&self) -> usize {
        let consumers = self.consumers.iter().map(|(_, consumer)| {
            consumer.pending.heap_bytes() + consumer.name.len() + 2 * size_of::<usize>()
        });
        let own =
            self.pending.heap_bytes() + self.consumers.heap_bytes() + self.by_name.heap_bytes();
        own + consumers.sum::<usize>()
    }
}
