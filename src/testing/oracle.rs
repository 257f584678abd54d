//! What every state of every history is: a second claim for the same place must agree with the first.

use hashbrown::HashMap;

use crate::repl::{History, ReplId};

/// See the module. A history that began as the continuation of another shares its states up to where it began,
/// so a claim is kept under the oldest name of the place.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    states: HashMap<(ReplId, u64), u64>,
    /// For a history: the one it continues, and after how many bytes.
    parents: HashMap<ReplId, (ReplId, u64)>,
}

impl Oracle {
    /// A node has just begun this history, as a continuation of its second one, if it has one.
    pub(super) fn born(&mut self, history: History) {
        if let Some(at) = u64::try_from(history.second_offset - 1).ok()
            && history.id2 != ReplId::ZERO
        {
            self.parents.insert(history.id, (history.id2, at));
        }
    }

    /// What is known of a place, which is what was claimed first.
    pub(super) fn claim(&mut self, mut id: ReplId, offset: u64, fingerprint: u64) -> u64 {
        while let Some((parent, at)) = self.parents.get(&id)
            && offset <= *at
        {
            id = *parent;
        }
        *self.states.entry((id, offset)).or_insert(fingerprint)
    }
}
