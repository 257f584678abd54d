//! Which hashes have fields that expire, and when to look at each next.
//!
//! A hash is noted with a moment at or before the earliest of its fields. Nobody tells when it is deleted, renamed or
//! overwritten: a note that nothing stands behind any more is dropped when its moment comes, or when the sweep that goes with
//! each new note meets it, so that there are never many more notes than hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

type Key = Arc<[u8]>;

#[derive(Debug, Default)]
pub(super) struct FieldsDue {
    by_key: BTreeMap<Key, i64>,
    by_moment: BTreeSet<(i64, Key)>,
    /// Where the sweep goes on: behind this key.
    swept: Option<Key>,
}

impl FieldsDue {
    /// How many hashes are noted.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Notes a hash's moment. True if it was not noted before.
    pub(super) fn note(&mut self, key: &[u8], moment: i64) -> bool {
        let Some((known, old)) = self.by_key.get_key_value(key) else {
            let key = Key::from(key);
            self.by_moment.insert((moment, key.clone()));
            self.by_key.insert(key, moment);
            return true;
        };
        if *old != moment {
            let known = known.clone();
            self.by_moment.remove(&(*old, known.clone()));
            self.by_moment.insert((moment, known.clone()));
            self.by_key.insert(known, moment);
        }
        false
    }

    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Some((key, moment)) = self.by_key.remove_entry(key) {
            self.by_moment.remove(&(moment, key));
        }
    }

    /// The hash that is due first.
    pub(super) fn first(&self) -> Option<(i64, &[u8])> {
        self.by_moment
            .first()
            .map(|(moment, key)| (*moment, &**key))
    }

    /// The next key for the sweep to look at.
    pub(super) fn next_to_check(&mut self) -> Option<Key> {
        let from = match &self.swept {
            Some(key) => Bound::Excluded(key.clone()),
            None => Bound::Unbounded,
        };
        let mut rest = self.by_key.range::<Key, _>((from, Bound::Unbounded));
        self.swept = rest.next().map(|(key, _)| key.clone());
        self.swept.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_due_comes_first_and_the_sweep_comes_round() {
        let mut due = FieldsDue::default();
        assert!(due.note(b"a", 30) && due.note(b"b", 20) && due.note(b"c", 10));
        assert!(!due.note(b"c", 40));
        assert_eq!(due.first(), Some((20, &b"b"[..])));
        due.forget(b"b");
        due.forget(b"b");
        assert_eq!(due.first(), Some((30, &b"a"[..])));
        assert_eq!(due.len(), 2);
        let swept: Vec<Option<Key>> = (0..4).map(|_| due.next_to_check()).collect();
        let (a, c) = (Some(Key::from(&b"a"[..])), Some(Key::from(&b"c"[..])));
        assert_eq!(swept, [a.clone(), c, None, a]);
    }
}
