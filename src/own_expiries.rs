//! Keys that a writable replica's own clients gave an expiry.
//!
//! A replica leaves expiry to its master, who says DEL when a key's time has come. The master doesn't know of
//! keys that were written here (`replica-read-only no`), so those are remembered, with when they are due, and
//! the shards' expiry cycles look after them. As redis-server does, nothing is said to sub-replicas.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;

/// Most keys remembered; those beyond stay until somebody writes to them.
const KEYS_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct OwnExpiries {
    /// Something is remembered: looked at without the lock.
    any: AtomicBool,
    /// By database and key: unix ms.
    due_ms: Mutex<HashMap<(usize, Bytes), i64>>,
}

impl OwnExpiries {
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub fn remember(&self, db: usize, key: &[u8], at_ms: i64) {
        let mut due = self.due_ms.lock();
        if due.len() < KEYS_MAX {
            due.insert((db, Bytes::copy_from_slice(key)), at_ms);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets and gives the keys that are due and `mine`.
    pub fn take_due(&self, now_ms: i64, mine: impl Fn(&[u8]) -> bool) -> Vec<(usize, Bytes)> {
        let mut due = self.due_ms.lock();
        let taken: Vec<_> = due
            .extract_if(|(_, key), at_ms| *at_ms < now_ms && mine(key))
            .map(|(key, _)| key)
            .collect();
        self.any.store(!due.is_empty(), Ordering::Relaxed);
        taken
    }

    /// As a master, or with another master's dataset, there is nothing to remember.
    pub fn clear(&self) {
        self.due_ms.lock().clear();
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
        assert_eq!(own.take_due(15, |_| true), [(0, Bytes::from_static(b"a"))]);
        assert!(own.any());
        own.clear();
        assert!(!own.any() && own.take_due(99, |_| true).is_empty());
    }
}
