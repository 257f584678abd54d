//! Keys that a writable replica's own clients gave an expiry.
//!
//! A replica leaves expiry to its master, which sends DEL when a key's time has come. The master doesn't know of keys
//! that were written here (`replica-read-only no`), so those are remembered, with when they are due, and the shards'
//! expiry cycles look after them. As redis-server does, nothing is said to sub-replicas.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use parking_lot::Mutex;

use crate::keyspace::{KeyId, KeyIdRef};

/// Most keys remembered; those beyond stay until somebody writes to them.
const KEYS_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct OwnExpiries {
    /// Something is remembered: looked at without the lock.
    any: AtomicBool,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    /// When, Unix ms.
    at_ms: HashMap<KeyId, i64>,
    in_order: BTreeSet<(i64, usize, Bytes)>,
}

impl OwnExpiries {
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self) -> usize {
        self.due.lock().at_ms.len()
    }

    pub(crate) fn remember(&self, db: usize, key: &[u8], at_ms: i64) {
        let id = KeyId::from(&KeyIdRef { db, key });
        let mut due = self.due.lock();
        let room = due.at_ms.len() < KEYS_MAX;
        let key = match due.at_ms.entry(id) {
            Entry::Vacant(place) if room => {
                let key = place.key().key.clone();
                place.insert(at_ms);
                key
            }
            Entry::Vacant(_) => return,
            Entry::Occupied(mut place) => {
                let key = place.key().key.clone();
                let before_ms = place.insert(at_ms);
                due.in_order.remove(&(before_ms, db, key.clone()));
                key
            }
        };
        due.in_order.insert((at_ms, db, key));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Forgets and gives the keys that are due and `mine`. Looks at none that are not due.
    pub(crate) fn take_due(&self, now_ms: i64, mine: impl Fn(&[u8]) -> bool) -> Vec<KeyId> {
        let due = &mut *self.due.lock();
        let until = (now_ms, 0, Bytes::new());
        let passed = due.in_order.range(..until);
        let taken: Vec<_> = passed.filter(|(_, _, key)| mine(key)).cloned().collect();
        let forget = |(at_ms, db, key): (i64, usize, Bytes)| {
            due.in_order.remove(&(at_ms, db, key.clone()));
            let id = KeyId { db, key };
            due.at_ms.remove(&id);
            id
        };
        let taken = taken.into_iter().map(forget).collect();
        self.any.store(!due.at_ms.is_empty(), Ordering::Relaxed);
        taken
    }

    /// As a master, or with another master's dataset, there is nothing to remember.
    pub(crate) fn clear(&self) {
        *self.due.lock() = Due::default();
        self.any.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_once_when_due() {
        let own = OwnExpiries::default();
        assert!(!own.any());
        own.remember(0, b"a", 10);
        own.remember(1, b"b", 20);
        assert!(own.take_due(5, |_| true).is_empty());
        assert!(own.take_due(15, |key| key != b"a").is_empty());
        own.remember(0, b"a", 12);
        assert!(own.take_due(12, |_| true).is_empty());
        let key = Bytes::from_static(b"a");
        assert_eq!(own.take_due(15, |_| true), [KeyId { db: 0, key }]);
        assert!(own.take_due(15, |_| true).is_empty());
        assert!(own.any());
        own.clear();
        assert!(!own.any() && own.take_due(99, |_| true).is_empty());
    }
}
