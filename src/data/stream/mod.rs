//! Streams: entries of fields and values under rising ids, and groups of consumers that read them.
//!
//! [`node`] holds some hundred entries; [`entries`] all of a stream's nodes; [`group`] what a consumer group knows;
//! [`tree`] is the map that all of them stand in. A clone shares everything, and a write to one of both copies the
//! node or the few tree nodes that it touches: so a snapshot keeps a stream of any size, with groups that have
//! millions pending, as it was.

pub(crate) mod entries;
pub(crate) mod group;
mod id;
pub(crate) mod node;
mod packed;
mod references;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

use std::sync::Arc;

pub(crate) use entries::{Entries, Loader, Trim, Trimmed};
pub(crate) use group::{ConsumerId, Group, Pending};
pub use id::StreamId;
pub(crate) use id::Written;
pub(crate) use node::{Entry, NodeLimits};
pub(crate) use references::{References, Removed};
use tree::Tree;

use super::Encodings;

/// A stream. It may be without entries: groups and the last id remain.
#[derive(Clone, Default)]
pub struct Stream {
    pub(crate) entries: Entries,
    groups: Tree<Arc<[u8]>, Group>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.entries.range(StreamId::MIN, StreamId::MAX);
        f.debug_list().entries(ids.map(|entry| entry.id)).finish()
    }
}

impl Stream {
    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The ids of its entries, in order.
    pub fn ids(&self) -> impl Iterator<Item = StreamId> {
        let entries = self.entries.range(StreamId::MIN, StreamId::MAX);
        entries.map(|entry| entry.id)
    }

    /// Deletes an entry; false if there is none.
    pub fn delete(&mut self, id: StreamId) -> bool {
        self.entries.delete(id)
    }

    /// Adds an entry behind the last, its fields and values by turns. None: no higher id is left.
    pub fn push(&mut self, pairs: &[&[u8]], enc: &Encodings) -> Option<StreamId> {
        let id = self.entries.last_id.next()?;
        self.entries.append(id, pairs, NodeLimits::of(enc));
        Some(id)
    }

    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    /// Groups from a name on, by name.
    pub(crate) fn groups_from(&self, name: &[u8]) -> impl Iterator<Item = (&[u8], &Group)> {
        let groups = self.groups.iter_from(name);
        groups.map(|(name, group)| (&**name, group))
    }

    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    pub(crate) fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// A group to be changed, beside the entries to be read.
    pub(crate) fn entries_and_group(&mut self, name: &[u8]) -> (&Entries, Option<&mut Group>) {
        (&self.entries, self.groups.get_mut(name))
    }

    /// Adds a group; false if there is one of that name.
    pub(crate) fn create_group(&mut self, name: &[u8], group: Group) -> bool {
        let is_new = self.groups.get(name).is_none();
        if is_new {
            self.groups.insert(name.into(), group);
        }
        is_new
    }

    /// Takes a group out.
    pub(crate) fn remove_group(&mut self, name: &[u8]) -> Option<Group> {
        self.groups.remove(name)
    }

    /// About how many parts it has: entries, and what is pending in its first groups.
    pub(crate) fn parts(&self) -> usize {
        let pending = self.groups.iter().take(64);
        let pending: usize = pending
            .map(|(_, group)| group.pending_len() + group.consumer_count() + 1)
            .sum();
        let entries = usize::try_from(self.entries.len()).unwrap_or(usize::MAX);
        // A node's entries are dropped at once, and may all be marked as deleted.
        entries
            .max(self.entries.node_count())
            .saturating_add(pending)
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let groups = self.groups.iter();
        let groups: usize = groups
            .map(|(name, group)| name.len() + 2 * size_of::<usize>() + group.memory())
            .sum();
        size_of::<Stream>() + self.entries.memory() + self.groups.heap_bytes() + groups
    }
}
