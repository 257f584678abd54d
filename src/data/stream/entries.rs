//! A stream's entries: its nodes by their first ids, and what is known of entries that were.
//!
//! Invariants:
//! - Nodes stand under the id that they begin from; the ids of all entries rise, and none is above `last_id`.
//! - A slot's count is its node's, and `len` the sum of all.
//! - Only trimming leaves a node whose entries are all deleted, as in Redis.

use std::sync::Arc;

use super::StreamId;
use super::node::{Entry, Node, NodeIter, NodeIterBack, NodeLimits};
use super::packed;
use super::tree::{Front, Iter, IterBack, Tree};
use crate::data::listpack::Encoded;

#[derive(Clone)]
struct Slot {
    node: Arc<Node>,
    /// Entries that are not deleted.
    live: u32,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Entries {
    nodes: Tree<StreamId, Slot>,
    len: u64,
    /// The highest id that an entry has had.
    pub(crate) last_id: StreamId,
    /// The highest id that was deleted one by one (not by trimming).
    pub(crate) max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub(crate) added: u64,
}

/// What trimming leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trim {
    /// At most so many entries.
    MaxLen(u64),
    /// Those from this id on.
    MinId(StreamId),
}

/// Nodes that were cut off: to be dropped where nobody waits, if they are many.
#[derive(Default)]
pub(crate) struct Trimmed {
    nodes: usize,
    parts: Vec<Front<StreamId, Slot>>,
    whole: Tree<StreamId, Slot>,
}

impl Trimmed {
    /// How many nodes they are.
    pub(crate) fn len(&self) -> usize {
        self.nodes
    }
}

impl Entries {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many nodes their index has, beside those of the entries.
    pub(crate) fn index_nodes(&self) -> usize {
        self.nodes.node_count()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an entry; `pairs` are its fields and values by turns. Its id must be above `last_id`.
    pub(crate) fn append(&mut self, id: StreamId, pairs: &[&[u8]], limits: NodeLimits) {
        assert!(id > self.last_id, "{id} behind {}", self.last_id);
        let more = pairs.iter().map(|part| part.len()).sum();
        let last = self.nodes.last().map(|(_, slot)| &slot.node);
        if last.is_none_or(|node| node.is_full_for(more, limits)) {
            self.begin_node(id, pairs);
        }
        if let Some(slot) = self.nodes.last_mut() {
            let node = Arc::make_mut(&mut slot.node);
            if node.has_fields(pairs) {
                let values = pairs.iter().skip(1).step_by(2);
                node.push(id, false, None, values.map(|value| Encoded::of(value)));
            } else {
                let own = Some(pairs.len() / 2);
                node.push(id, false, own, pairs.iter().map(|part| Encoded::of(part)));
            }
            slot.live += 1;
        }
        self.len += 1;
        self.last_id = id;
        self.added = self.added.wrapping_add(1);
    }

    /// Sets the id that new entries are to be above. No entry may be above it; what was deleted above it is forgotten.
    pub(crate) fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
        while let Some((&first, slot)) = self.nodes.last()
            && slot.node.last > id
        {
            if slot.live == 0 {
                self.nodes.remove(&first);
            } else if let Some(slot) = self.nodes.last_mut() {
                slot.node = Arc::new(slot.node.without_deleted_tail());
            }
        }
    }

    /// Puts an empty node for an entry behind the last, which needs no more room.
    fn begin_node(&mut self, id: StreamId, pairs: &[&[u8]]) {
        let mut room = 0;
        if let Some(slot) = self.nodes.last_mut()
            && let Some(full) = Arc::get_mut(&mut slot.node)
        {
            full.close();
            // The next will most likely be as long.
            room = full.byte_len();
        }
        let fields = pairs.iter().step_by(2).map(|field| Encoded::of(field));
        let node = Arc::new(Node::new(id, fields, room));
        self.nodes.insert(id, Slot { node, live: 0 });
    }

    /// The node that would hold an id.
    fn node_of(&self, id: StreamId) -> Option<&Node> {
        let (_, slot) = self.nodes.iter_back_from(&id).next()?;
        (id <= slot.node.last).then_some(&*slot.node)
    }

    /// For looking many ids up, which takes least if they rise.
    pub(crate) fn finder(&self) -> Finder<'_> {
        Finder {
            entries: self,
            at: None,
        }
    }

    /// Deletes an entry; false if there is none.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let deleted = self.remove(id);
        if deleted {
            self.max_deleted_id = self.max_deleted_id.max(id);
        }
        deleted
    }

    /// As [`Entries::delete`], but it counts as trimming.
    pub(super) fn remove(&mut self, id: StreamId) -> bool {
        let Some(found) = self.finder().find(id) else {
            return false;
        };
        let (first, at) = (found.node_first(), found.at);
        let Some(slot) = self.nodes.get_mut(&first) else {
            return false;
        };
        if slot.live == 1 {
            self.nodes.remove(&first);
        } else {
            slot.live -= 1;
            Arc::make_mut(&mut slot.node).delete(at);
        }
        self.len -= 1;
        true
    }

    /// Takes the oldest away. `approximate`: only whole nodes; `limit`: no node by which it would be more than so
    /// many entries (0: no limit). How many went.
    pub(crate) fn trim(
        &mut self,
        trim: Trim,
        approximate: bool,
        limit: u64,
        trimmed: &mut Trimmed,
    ) -> u64 {
        let (mut gone, mut nodes) = (0, 0);
        let mut slots = self.nodes.iter().peekable();
        // The first node that stays, and whether it loses entries.
        let mut keep = None;
        while let Some((&first, slot)) = slots.next() {
            let live = u64::from(slot.live);
            let left = self.len - gone;
            let whole = match trim {
                Trim::MaxLen(most) if left <= most => {
                    keep = Some((first, false));
                    break;
                }
                Trim::MaxLen(most) => left - live >= most,
                // The next node tells, mostly without a look into this one.
                Trim::MinId(least) => {
                    let next = slots.peek().map(|(next, _)| **next);
                    next.is_some_and(|next| next <= least) || slot.node.last < least
                }
            };
            if limit > 0 && gone + live > limit {
                keep = Some((first, false));
                break;
            }
            if !whole {
                keep = Some((first, !approximate));
                break;
            }
            gone += live;
            nodes += 1;
        }
        drop(slots);
        self.len -= gone;
        trimmed.nodes += nodes;
        match keep {
            Some((first, loses)) => {
                if nodes > 0 {
                    trimmed.parts.push(self.nodes.take_before(&first));
                }
                if loses {
                    gone += self.trim_node(first, trim);
                }
            }
            None => trimmed.whole = std::mem::take(&mut self.nodes),
        }
        gone
    }

    /// Deletes the first entries of the first node; how many went.
    fn trim_node(&mut self, first: StreamId, trim: Trim) -> u64 {
        let len = self.len;
        let Some(slot) = self.nodes.get_mut(&first) else {
            return 0;
        };
        let entries = slot.node.iter().filter(|entry| !entry.is_deleted());
        let over: Vec<usize> = match trim {
            Trim::MaxLen(most) => {
                let over = usize::try_from(len - most).unwrap_or(usize::MAX);
                entries.take(over).map(|entry| entry.at).collect()
            }
            Trim::MinId(least) => {
                let over = entries.take_while(|entry| entry.id < least);
                over.map(|entry| entry.at).collect()
            }
        };
        if !over.is_empty() {
            let node = Arc::make_mut(&mut slot.node);
            over.iter().for_each(|at| node.delete(*at));
            slot.live -= over.len() as u32;
        }
        self.len -= over.len() as u64;
        over.len() as u64
    }

    /// The id of the first entry; 0-0 if there is none.
    pub(crate) fn first_id(&self) -> StreamId {
        let mut live = self.nodes.iter().filter(|(_, slot)| slot.live > 0);
        let first = live.next().and_then(|(_, slot)| slot.node.first_live());
        first.map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The id of the last entry; None if there is none.
    pub(crate) fn last_live_id(&self) -> Option<StreamId> {
        let mut slots = self.nodes.iter_back_from(&StreamId::MAX);
        let (_, slot) = slots.find(|(_, slot)| slot.live > 0)?;
        match slot.node.deleted {
            0 => Some(slot.node.last),
            _ => slot.node.iter_back().next().map(|entry| entry.id),
        }
    }

    /// The first entry's id, deleted or not; None: there is no node.
    pub(crate) fn first_kept_id(&self) -> Option<StreamId> {
        let (_, slot) = self.nodes.first()?;
        slot.node.iter().next().map(|entry| entry.id)
    }

    /// The entries from `start` to `end`.
    pub(crate) fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        let from = self.nodes.iter_back_from(&start).next();
        let from = from.map_or(start, |(first, _)| *first);
        Range {
            slots: self.nodes.iter_from(&from),
            node: None,
            start,
            end,
        }
    }

    /// The entries from `end` back to `start`.
    pub(crate) fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        RangeBack {
            slots: self.nodes.iter_back_from(&end),
            node: None,
            start,
            end,
        }
    }

    /// Nodes from an id on, in Redis's form: the id that each stands under, and its listpack.
    pub(crate) fn packed_from(
        &self,
        from: StreamId,
    ) -> impl Iterator<Item = (StreamId, Vec<u8>)> + '_ {
        let nodes = self.nodes.iter_from(&from);
        nodes.map(|(first, slot)| (*first, packed::to_listpack(&slot.node)))
    }

    /// What tells how many entries came before an id.
    pub(crate) fn horizon(&self) -> Horizon {
        Horizon {
            len: self.len,
            added: self.added,
            first_id: self.first_id(),
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let nodes: usize = self.nodes.iter().map(|(_, slot)| slot.node.memory()).sum();
        nodes + self.nodes.heap_bytes()
    }
}

/// How far a stream reaches, to tell how many of its entries came before an id. Counts that can't be told are None:
/// where entries between were deleted, or the id is none of the edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    len: u64,
    added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl Horizon {
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// Whether an entry from `id` on was deleted while older ones are still there.
    pub(crate) fn has_gap_from(&self, id: StreamId) -> bool {
        self.len > 0
            && !self.max_deleted_id.is_zero()
            && self.first_id <= self.max_deleted_id
            && id <= self.max_deleted_id
    }

    /// How many entries were added up to an id.
    pub(crate) fn added_until(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.len == 0 && id < self.last_id) {
            return Some(self.added);
        }
        let whole = self.max_deleted_id.is_zero() || self.max_deleted_id < self.first_id;
        if id > self.last_id || !whole || id > self.first_id {
            return None;
        }
        let before = self.added.wrapping_sub(self.len);
        Some(before.wrapping_add(u64::from(id == self.first_id)))
    }
}

/// Looks entries up by id.
pub(crate) struct Finder<'a> {
    entries: &'a Entries,
    /// Where the last was found: ids above it in the same node are found from there.
    at: Option<NodeIter<'a>>,
}

impl<'a> Finder<'a> {
    /// The entry with an id, unless it is deleted.
    pub(crate) fn find(&mut self, id: StreamId) -> Option<Entry<'a>> {
        let near = self.at.take();
        let near = near.filter(|at| at.position() < id && id <= at.node().last);
        let mut walk = match near {
            Some(near) => near,
            None => self.entries.node_of(id)?.iter(),
        };
        loop {
            let before = walk.clone();
            let entry = walk.next()?;
            if entry.id >= id {
                self.at = Some(if entry.id == id { walk } else { before });
                return (entry.id == id && !entry.is_deleted()).then_some(entry);
            }
        }
    }
}

/// A walk over entries that are not deleted.
pub(crate) struct Range<'a> {
    slots: Iter<'a, StreamId, Slot>,
    node: Option<NodeIter<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(node) = &mut self.node {
                for entry in node {
                    if entry.id > self.end {
                        return None;
                    }
                    if entry.id >= self.start && !entry.is_deleted() {
                        return Some(entry);
                    }
                }
            }
            let (first, slot) = self.slots.next()?;
            if *first > self.end {
                return None;
            }
            self.node = Some(slot.node.iter());
        }
    }
}

/// As [`Range`], backwards.
pub(crate) struct RangeBack<'a> {
    slots: IterBack<'a, StreamId, Slot>,
    node: Option<NodeIterBack<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(node) = &mut self.node {
                for entry in node {
                    if entry.id < self.start {
                        return None;
                    }
                    if entry.id <= self.end {
                        return Some(entry);
                    }
                }
            }
            let (_, slot) = self.slots.next()?;
            if slot.node.last < self.start {
                return None;
            }
            self.node = Some(slot.node.iter_back());
        }
    }
}

/// Takes nodes in Redis's form in, in the order of their ids.
pub(crate) struct Loader<'a> {
    entries: &'a mut Entries,
    node: Option<Node>,
    /// The id of the last entry that was taken in.
    last: Option<StreamId>,
}

const ORDER: &str = "stream: ids do not rise";

impl<'a> Loader<'a> {
    /// `entries` must be empty.
    pub(crate) fn new(entries: &'a mut Entries) -> Loader<'a> {
        Loader {
            entries,
            node: None,
            last: None,
        }
    }

    /// Adds a node: the id that it stands under, and its listpack, which [`crate::data::listpack::validate`] has passed.
    pub(crate) fn node(&mut self, first: StreamId, bytes: &[u8]) -> Result<(), &'static str> {
        packed::load(self, first, bytes)
    }

    pub(super) fn begin_node<'f>(
        &mut self,
        first: StreamId,
        fields: impl Iterator<Item = Encoded<'f>>,
    ) -> Result<(), &'static str> {
        if self.last.is_some_and(|last| first <= last) {
            return Err(ORDER);
        }
        self.end_node();
        self.node = Some(Node::new(first, fields, 0));
        Ok(())
    }

    /// Adds an entry to the node begun last; one that becomes too long goes on in another.
    pub(super) fn entry<'f>(
        &mut self,
        id: StreamId,
        is_deleted: bool,
        own_fields: Option<usize>,
        elements: impl Iterator<Item = Encoded<'f>>,
        fields: &(impl Iterator<Item = Encoded<'f>> + Clone),
    ) -> Result<(), &'static str> {
        let first = self.node.as_ref().map(|node| node.first);
        if first.is_none_or(|first| id < first) || self.last.is_some_and(|last| id <= last) {
            return Err(ORDER);
        }
        if self.node.as_ref().is_some_and(Node::is_too_long) {
            self.end_node();
            self.node = Some(Node::new(id, fields.clone(), 0));
        }
        if let Some(node) = &mut self.node {
            node.push(id, is_deleted, own_fields, elements);
        }
        self.last = Some(id);
        Ok(())
    }

    fn end_node(&mut self) {
        let Some(mut node) = self.node.take() else {
            return;
        };
        if node.entries() > 0 {
            node.close();
            let live = node.live;
            self.entries.len += u64::from(live);
            let node = Arc::new(node);
            self.entries.nodes.insert(node.first, Slot { node, live });
        }
    }

    /// Ends loading.
    pub(crate) fn finish(mut self) {
        self.end_node();
    }
}
