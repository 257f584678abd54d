//! The places in the log that its readers are at. Finding one, moving it and knowing the least of all cost no more for
//! a thousand replicas than for one.

use std::collections::BTreeSet;

use hashbrown::HashMap;

/// A reader's place in the log, by which its bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cursor(u64);

#[derive(Clone, Copy, Debug)]
struct Held {
    position: u64,
    spillable: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cursors {
    held: HashMap<Cursor, Held>,
    next: u64,
    all: BTreeSet<(u64, Cursor)>,
    pinned: BTreeSet<(u64, Cursor)>,
    /// Least position of any cursor, and of any that is pinned; `u64::MAX` without.
    oldest: u64,
    oldest_pinned: u64,
}

impl Default for Cursors {
    fn default() -> Self {
        Cursors {
            held: HashMap::default(),
            next: 0,
            all: BTreeSet::new(),
            pinned: BTreeSet::new(),
            oldest: u64::MAX,
            oldest_pinned: u64::MAX,
        }
    }
}

impl Cursors {
    #[inline]
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    #[inline]
    pub(super) fn oldest_pinned(&self) -> u64 {
        self.oldest_pinned
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn position(&self, cursor: Cursor) -> Option<u64> {
        self.held.get(&cursor).map(|held| held.position)
    }

    /// `spillable`: its owner can read from disk.
    pub(super) fn add(&mut self, position: u64, spillable: bool) -> Cursor {
        let cursor = Cursor(self.next);
        self.next += 1;
        self.put(
            cursor,
            Held {
                position,
                spillable,
            },
        );
        cursor
    }

    /// Moves one forward. True: what the cursors hold may be less than before.
    pub(super) fn advance(&mut self, cursor: Cursor, position: u64) -> bool {
        let Some(held) = self.held.get(&cursor).copied() else {
            return false;
        };
        if position <= held.position {
            return false;
        }
        let oldest = (self.oldest, self.oldest_pinned);
        self.take(cursor);
        self.put(cursor, Held { position, ..held });
        oldest != (self.oldest, self.oldest_pinned)
    }

    pub(super) fn make_pinned(&mut self, cursor: Cursor) {
        if let Some(held) = self.take(cursor) {
            let pinned = Held {
                spillable: false,
                ..held
            };
            self.put(cursor, pinned);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Cursors {
            next: self.next,
            ..Cursors::default()
        };
    }

    pub(super) fn remove(&mut self, cursor: Cursor) {
        self.take(cursor);
    }

    fn put(&mut self, cursor: Cursor, held: Held) {
        self.all.insert((held.position, cursor));
        if !held.spillable {
            self.pinned.insert((held.position, cursor));
        }
        self.held.insert(cursor, held);
        self.find_oldest();
    }

    fn take(&mut self, cursor: Cursor) -> Option<Held> {
        let held = self.held.remove(&cursor)?;
        self.all.remove(&(held.position, cursor));
        self.pinned.remove(&(held.position, cursor));
        self.find_oldest();
        Some(held)
    }

    fn find_oldest(&mut self) {
        let least = |set: &BTreeSet<(u64, Cursor)>| set.first().map_or(u64::MAX, |(at, _)| *at);
        self.oldest = least(&self.all);
        self.oldest_pinned = least(&self.pinned);
    }
}
