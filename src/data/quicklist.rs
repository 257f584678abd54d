//! The large form of a list: nodes in chunks in a deque.
//!
//! A node is a bounded listpack behind an `Arc`; some hundred nodes with their element counts make a
//! chunk; the chunks with their element counts are a deque. So both ends are three steps away, an index
//! is found by adding up a few counts, and a clone copies the deque alone: one reference for some tens
//! of thousands of elements. A write copies the one chunk and the one node it touches, if shared.
//!
//! Invariants:
//! - No chunk and no node is empty.
//! - A slot's count is its node's; a chunk's is the sum of its slots'; `len` is the sum of the chunks'.

use std::collections::VecDeque;
use std::sync::Arc;

use super::list::{End, Item, NodeLimits, remove_from_node};
use super::list_node::ListNode;
use super::listpack;
use super::shared_vec::SharedVec;

/// Most nodes in a chunk.
const CHUNK_MAX: usize = 126;

#[derive(Clone)]
struct Slot {
    node: Arc<ListNode>,
    count: u32,
}

impl Slot {
    fn new(node: ListNode) -> Slot {
        Slot {
            count: node.count() as u32,
            node: Arc::new(node),
        }
    }
}

#[derive(Clone)]
struct Chunk {
    slots: SharedVec<Slot>,
    count: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Quicklist {
    chunks: VecDeque<Chunk>,
    len: usize,
}

/// Where a node is: chunk and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    chunk: usize,
    slot: usize,
}

impl std::fmt::Debug for Quicklist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes()).finish()
    }
}

impl Quicklist {
    pub(crate) fn of_node(node: ListNode) -> Quicklist {
        let mut quick = Quicklist::default();
        if node.count() > 0 {
            quick.push_node(node);
        }
        quick
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn node_count(&self) -> usize {
        self.chunks.iter().map(|c| c.slots.len()).sum()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &ListNode> + '_ {
        self.chunks
            .iter()
            .flat_map(|c| c.slots.iter().map(|s| &*s.node))
    }

    /// Nodes from a node's number on.
    pub(crate) fn nodes_from(&self, first: usize) -> impl Iterator<Item = &ListNode> + '_ {
        let mut skip = first;
        let mut chunk = 0;
        while let Some(c) = self.chunks.get(chunk)
            && skip >= c.slots.len()
        {
            skip -= c.slots.len();
            chunk += 1;
        }
        self.chunks
            .range(chunk..)
            .flat_map(|c| c.slots.iter().map(|s| &*s.node))
            .skip(skip)
    }

    /// Bytes of memory held.
    pub(crate) fn heap_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|c| c.slots.heap_bytes()).sum();
        let nodes: usize = self
            .nodes()
            .map(|n| n.heap_bytes() + size_of::<ListNode>() + 16)
            .sum();
        size_of::<Quicklist>() + self.chunks.capacity() * size_of::<Chunk>() + chunks + nodes
    }

    // ---- finding nodes ----

    pub(crate) fn node(&self, at: Position) -> &ListNode {
        &self.chunks[at.chunk].slots[at.slot].node
    }

    /// A node to be held on to. A write to it meanwhile copies it first.
    pub(crate) fn share_node(&self, at: Position) -> Arc<ListNode> {
        self.chunks[at.chunk].slots[at.slot].node.clone()
    }

    fn first(&self) -> Option<Position> {
        (!self.chunks.is_empty()).then_some(Position { chunk: 0, slot: 0 })
    }

    fn last(&self) -> Option<Position> {
        let chunk = self.chunks.len().checked_sub(1)?;
        let slot = self.chunks[chunk].slots.len() - 1;
        Some(Position { chunk, slot })
    }

    pub(crate) fn after(&self, at: Position) -> Option<Position> {
        if at.slot + 1 < self.chunks[at.chunk].slots.len() {
            Some(Position {
                chunk: at.chunk,
                slot: at.slot + 1,
            })
        } else if at.chunk + 1 < self.chunks.len() {
            Some(Position {
                chunk: at.chunk + 1,
                slot: 0,
            })
        } else {
            None
        }
    }

    pub(crate) fn before(&self, at: Position) -> Option<Position> {
        if at.slot > 0 {
            Some(Position {
                chunk: at.chunk,
                slot: at.slot - 1,
            })
        } else {
            let chunk = at.chunk.checked_sub(1)?;
            let slot = self.chunks[chunk].slots.len() - 1;
            Some(Position { chunk, slot })
        }
    }

    /// The node that holds an index, and the index within it. Walks from the nearer end.
    pub(crate) fn locate(&self, index: usize) -> Option<(Position, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut rest = index;
            let mut chunk = 0;
            while rest >= self.chunks[chunk].count {
                rest -= self.chunks[chunk].count;
                chunk += 1;
            }
            let mut slot = 0;
            let slots = &self.chunks[chunk].slots;
            while rest >= slots[slot].count as usize {
                rest -= slots[slot].count as usize;
                slot += 1;
            }
            Some((Position { chunk, slot }, rest))
        } else {
            // How many elements lie behind the wanted one.
            let mut rest = self.len - 1 - index;
            let mut chunk = self.chunks.len() - 1;
            while rest >= self.chunks[chunk].count {
                rest -= self.chunks[chunk].count;
                chunk -= 1;
            }
            let slots = &self.chunks[chunk].slots;
            let mut slot = slots.len() - 1;
            while rest >= slots[slot].count as usize {
                rest -= slots[slot].count as usize;
                slot -= 1;
            }
            let index = slots[slot].count as usize - 1 - rest;
            Some((Position { chunk, slot }, index))
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Item<'_>> {
        let (at, index) = self.locate(index)?;
        self.node(at).view().at(index as i64)
    }

    // ---- changing nodes ----

    /// Changes a node and takes its new count into account. The node must not become empty, or the
    /// caller removes it.
    fn edit<R>(&mut self, at: Position, f: impl FnOnce(&mut ListNode) -> R) -> R {
        let chunk = &mut self.chunks[at.chunk];
        let slot = &mut chunk.slots.items_mut()[at.slot];
        let node = Arc::make_mut(&mut slot.node);
        let result = f(node);
        let (before, now) = (slot.count as usize, node.count());
        slot.count = now as u32;
        chunk.count = chunk.count + now - before;
        self.len = self.len + now - before;
        result
    }

    /// Puts a node at a place; whatever was there and behind it moves up. Gives the place where the node
    /// is then: halving a full chunk may have changed it.
    fn insert_node(&mut self, at: Position, node: ListNode) -> Position {
        self.len += node.count();
        let chunks = self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at.chunk) else {
            let mut slots = SharedVec::with_capacity(1);
            let count = node.count();
            slots.push(Slot::new(node));
            self.chunks.push_back(Chunk { slots, count });
            return Position {
                chunk: chunks,
                slot: 0,
            };
        };
        let len = chunk.slots.len();
        if len < CHUNK_MAX {
            chunk.count += node.count();
            chunk.slots.insert(at.slot, Slot::new(node));
            return at;
        }
        // Full: at the ends of the list begin a new chunk, elsewhere halve this one.
        let cut = if at.slot == len && at.chunk + 1 == chunks {
            len
        } else if at.slot == 0 && at.chunk == 0 {
            0
        } else {
            len / 2
        };
        let mut slots = chunk.slots.split_off(cut);
        chunk.slots.shrink();
        let mut count: usize = slots.iter().map(|s| s.count as usize).sum();
        chunk.count -= count;
        let place = if at.slot < cut || cut == 0 {
            chunk.count += node.count();
            chunk.slots.insert(at.slot, Slot::new(node));
            at
        } else {
            count += node.count();
            slots.insert(at.slot - cut, Slot::new(node));
            Position {
                chunk: at.chunk + 1,
                slot: at.slot - cut,
            }
        };
        self.chunks.insert(at.chunk + 1, Chunk { slots, count });
        place
    }

    fn remove_node(&mut self, at: Position) {
        let chunk = &mut self.chunks[at.chunk];
        let slot = chunk.slots.remove(at.slot);
        chunk.count -= slot.count as usize;
        self.len -= slot.count as usize;
        if chunk.slots.is_empty() {
            self.chunks.remove(at.chunk);
        }
    }

    fn end(&self, end: End) -> Option<Position> {
        match end {
            End::Head => self.first(),
            End::Tail => self.last(),
        }
    }

    /// Appends a node that is not empty.
    pub(crate) fn push_node(&mut self, node: ListNode) {
        let at = match self.last() {
            Some(last) => Position {
                slot: last.slot + 1,
                ..last
            },
            None => Position { chunk: 0, slot: 0 },
        };
        self.insert_node(at, node);
    }

    /// The node of a quicklist that has just one.
    pub(crate) fn single_node(&self) -> Option<&ListNode> {
        match self.chunks.front() {
            None => None,
            Some(chunk) if self.chunks.len() > 1 || chunk.slots.len() > 1 => None,
            Some(chunk) => chunk.slots.first().map(|s| &*s.node),
        }
    }

    pub(crate) fn take_single_node(&mut self) -> Option<ListNode> {
        self.single_node()?;
        let mut chunk = self.chunks.pop_front()?;
        self.len = 0;
        let slot = chunk.slots.remove(0);
        Some(Arc::try_unwrap(slot.node).unwrap_or_else(|shared| (*shared).clone()))
    }

    // ---- elements ----

    /// A node for one element where pushes will go on at an end.
    fn new_node(end: End, value: &[u8], limits: &NodeLimits) -> ListNode {
        let bytes = (limits.bytes / 8).min(limits.count.saturating_mul(16));
        let mut node = ListNode::with_room(bytes.max(value.len() + 17), end);
        node.push(end, value, limits.bytes);
        node
    }

    pub(crate) fn push(&mut self, end: End, value: &[u8], limits: &NodeLimits) {
        if let Some(at) = self.end(end)
            && limits.admits(self.node(at), value.len())
        {
            self.edit(at, |node| node.push(end, value, limits.bytes));
            return;
        }
        let node = Self::new_node(end, value, limits);
        match end {
            End::Head => {
                self.insert_node(Position { chunk: 0, slot: 0 }, node);
            }
            End::Tail => self.push_node(node),
        }
    }

    pub(crate) fn pop_with<R>(&mut self, end: End, f: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let at = self.end(end)?;
        let node = self.node(at);
        let view = node.view();
        let place = match end {
            End::Head => view.first(),
            End::Tail => view.last(),
        }?;
        let result = f(view.get(place));
        if node.count() == 1 {
            self.remove_node(at);
        } else {
            self.edit(at, |node| node.drop_end(end));
        }
        Some(result)
    }

    /// Replaces the element at an index, which must be within the list. Its node keeps it, whatever its
    /// size, as Redis does.
    pub(crate) fn set(&mut self, index: usize, value: &[u8], limits: &NodeLimits) {
        let Some((at, index)) = self.locate(index) else {
            return;
        };
        self.edit(at, |node| {
            if let Some(place) = node.view().seek(index as i64) {
                node.replace(place, value, limits.bytes);
            }
        });
    }

    /// Inserts beside the first element equal to `pivot`; false if there is none.
    pub(crate) fn insert_beside(
        &mut self,
        pivot: &[u8],
        after: bool,
        value: &[u8],
        limits: &NodeLimits,
    ) -> bool {
        let mut next = self.first();
        while let Some(at) = next {
            let view = self.node(at).view();
            if let Some(hit) = view.find(listpack::HEADER, pivot, 1) {
                let place = if after { view.after(hit) } else { hit };
                self.insert_at(at, place, value, limits);
                return true;
            }
            next = self.after(at);
        }
        false
    }

    /// Inserts before offset `place` of a node: into it if it has room, into a neighbour if the place is
    /// at that edge, else into the second half of the node, split there.
    fn insert_at(&mut self, at: Position, place: usize, value: &[u8], limits: &NodeLimits) {
        let node = self.node(at);
        if limits.admits(node, value.len()) {
            self.edit(at, |node| node.insert(place, value, limits.bytes));
            return;
        }
        let behind = place + 1 == node.byte_len();
        let in_front = place == listpack::HEADER;
        if behind || in_front {
            let (neighbour, end) = if behind {
                (self.after(at), End::Head)
            } else {
                (self.before(at), End::Tail)
            };
            if let Some(neighbour) = neighbour
                && limits.admits(self.node(neighbour), value.len())
            {
                self.edit(neighbour, |node| node.push(end, value, limits.bytes));
                return;
            }
            let place = Position {
                slot: at.slot + usize::from(behind),
                ..at
            };
            self.insert_node(place, Self::new_node(End::Tail, value, limits));
            return;
        }
        let index = node.view().iter_until(place).count();
        let mut right = self.edit(at, |node| node.split_off(index));
        let (middle, right) = if limits.admits(&right, value.len()) {
            right.push(End::Head, value, limits.bytes);
            let right = self.insert_node(Self::behind(at), right);
            (right, Some(right))
        } else {
            let right = self.insert_node(Self::behind(at), right);
            let middle = self.insert_node(right, Self::new_node(End::Tail, value, limits));
            (middle, self.after(middle))
        };
        // Every split would leave two half nodes; join the halves to their neighbours where they fit.
        if let Some(right) = right
            && let Some(next) = self.after(right)
        {
            self.merge(right, next, limits);
        }
        if let Some(left) = self.before(middle)
            && let Some(before) = self.before(left)
        {
            self.merge(before, left, limits);
        }
    }

    fn behind(at: Position) -> Position {
        Position {
            slot: at.slot + 1,
            ..at
        }
    }

    /// Joins two neighbours if one node can hold both.
    fn merge(&mut self, left: Position, right: Position, limits: &NodeLimits) {
        let (a, b) = (self.node(left), self.node(right));
        let bytes = a.byte_len() + b.byte_len() - 7;
        if limits.exceeded(bytes, a.count() + b.count()) {
            return;
        }
        let gone = self.chunks[right.chunk].slots[right.slot].node.clone();
        self.remove_node(right);
        self.edit(left, |node| node.append(&gone, limits.bytes));
    }

    /// Removes up to `limit` elements equal to `value`, beginning at an end; how many went.
    pub(crate) fn remove(&mut self, value: &[u8], from: End, limit: usize) -> usize {
        let mut gone = 0;
        let mut next = self.end(from);
        while let Some(at) = next {
            if gone == limit {
                break;
            }
            let hit = self
                .node(at)
                .view()
                .find(listpack::HEADER, value, 1)
                .is_some();
            let step = |quick: &Quicklist, at| match from {
                End::Head => quick.after(at),
                End::Tail => quick.before(at),
            };
            if !hit {
                next = step(self, at);
                continue;
            }
            gone += self.edit(at, |node| remove_from_node(node, value, from, limit - gone));
            if self.node(at).count() > 0 {
                next = step(self, at);
                continue;
            }
            let before = self.before(at);
            self.remove_node(at);
            next = match (from, before) {
                (End::Tail, before) => before,
                (End::Head, Some(before)) => self.after(before),
                (End::Head, None) => self.first(),
            };
        }
        gone
    }

    /// Removes `count` elements from an index on; both must be within the list.
    pub(crate) fn remove_span(&mut self, start: usize, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some((at, index)) = self.locate(start) else {
                return;
            };
            let chunk = &mut self.chunks[at.chunk];
            if index > 0 || left < chunk.slots[at.slot].count as usize {
                let part = left.min(chunk.slots[at.slot].count as usize - index);
                self.edit(at, |node| node.delete_span(index, part));
                left -= part;
            } else if at.slot == 0 && left >= chunk.count {
                left -= chunk.count;
                self.len -= chunk.count;
                self.chunks.remove(at.chunk);
            } else {
                // As many whole nodes of the chunk as go.
                let mut end = at.slot;
                let mut gone = 0;
                for slot in &chunk.slots[at.slot..] {
                    if gone + slot.count as usize > left {
                        break;
                    }
                    gone += slot.count as usize;
                    end += 1;
                }
                chunk.slots.remove_range(at.slot..end);
                chunk.slots.shrink();
                chunk.count -= gone;
                self.len -= gone;
                left -= gone;
                if chunk.slots.is_empty() {
                    self.chunks.remove(at.chunk);
                }
            }
        }
    }
}
