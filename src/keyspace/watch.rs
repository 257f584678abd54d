//! Who watches which keys (WATCH) in one shard.
//!
//! A watcher is known by the flag it shares with its session; a change of the key sets the flag. A key
//! that was logically expired when WATCH came is remembered as such: its deletion is then no change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;

#[derive(Debug)]
struct Watcher {
    /// Gone when the session has ended this watch, in however many shards it was.
    dirty: Weak<AtomicBool>,
    expired: bool,
}

impl Watcher {
    fn mark(&self) {
        if let Some(dirty) = self.dirty.upgrade() {
            dirty.store(true, Ordering::Release);
        }
    }

    /// Whether a session still holds the flag; one that ended its watch took a new one.
    fn is_somebodys(&self) -> bool {
        self.dirty.strong_count() > 0
    }
}

/// What became of a watched key, for telling a change from a deletion of what was expired anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Absent,
    /// There, but logically expired.
    Expired,
    Live,
}

/// The watched keys of one shard, by database.
#[derive(Debug, Default)]
pub struct Watches {
    dbs: Vec<HashMap<Box<[u8]>, Vec<Watcher>>>,
    /// Keys watched, over all databases.
    keys: usize,
    /// How many keys there may be before those whose watchers have all gone are looked for.
    sweep_at: usize,
}

/// Fewest watched keys that are worth a sweep.
const SWEEP_MIN: usize = 64;

impl Watches {
    /// Whether nobody watches anything here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    pub fn len(&self) -> usize {
        self.keys
    }

    /// Adds a watcher; `expired`: the key is there but logically expired already.
    pub fn add(&mut self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>, expired: bool) {
        if self.keys >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        if self.dbs.len() <= db {
            self.dbs.resize_with(db + 1, HashMap::default);
        }
        let watchers = self.dbs[db].entry_ref(key).or_insert_with(|| {
            self.keys += 1;
            Vec::new()
        });
        watchers.retain(Watcher::is_somebodys);
        if !watchers
            .iter()
            .any(|w| std::ptr::eq(w.dirty.as_ptr(), Arc::as_ptr(dirty)))
        {
            watchers.push(Watcher {
                dirty: Arc::downgrade(dirty),
                expired,
            });
        }
    }

    /// Drops the watchers that ended their watch while the shard was not entered. Next done when twice as
    /// many keys are left, so that it costs each WATCH little.
    fn sweep(&mut self) {
        for map in &mut self.dbs {
            map.retain(|_, watchers| {
                watchers.retain(Watcher::is_somebodys);
                !watchers.is_empty()
            });
        }
        self.keys = self.dbs.iter().map(HashMap::len).sum();
        self.sweep_at = self.keys * 2;
    }

    /// Removes a watcher.
    pub fn remove(&mut self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>) {
        let Some(map) = self.dbs.get_mut(db) else {
            return;
        };
        let Some(watchers) = map.get_mut(key) else {
            return;
        };
        watchers.retain(|w| !std::ptr::eq(w.dirty.as_ptr(), Arc::as_ptr(dirty)));
        if watchers.is_empty() {
            map.remove(key);
            self.keys -= 1;
        }
    }

    /// Whether this watch began on a key that was logically expired, or saw one come in a SWAPDB: that it is
    /// expired is then no change.
    pub fn is_stale(&self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>) -> bool {
        let watchers = self.dbs.get(db).and_then(|map| map.get(key));
        watchers.is_some_and(|watchers| {
            let own = |w: &&Watcher| std::ptr::eq(w.dirty.as_ptr(), Arc::as_ptr(dirty));
            watchers.iter().find(own).is_some_and(|w| w.expired)
        })
    }

    /// A key changed; `there`: it exists now (expired or not).
    pub fn touch(&mut self, db: usize, key: &[u8], there: bool) {
        let Some(watchers) = self.dbs.get_mut(db).and_then(|map| map.get_mut(key)) else {
            return;
        };
        for watcher in watchers {
            if !watcher.expired {
                watcher.mark();
            } else if !there {
                // What was expired at WATCH is gone now: no change, but what comes next is one.
                watcher.expired = false;
            }
        }
    }

    /// All of a database is replaced: `before` and `after` say what a key was and becomes.
    pub fn touch_all(
        &mut self,
        db: usize,
        mut before: impl FnMut(&[u8]) -> bool,
        mut after: impl FnMut(&[u8]) -> KeyState,
    ) {
        let Some(map) = self.dbs.get_mut(db) else {
            return;
        };
        for (key, watchers) in map {
            let (before, after) = (before(key), after(key));
            if !before && after == KeyState::Absent {
                continue;
            }
            for watcher in watchers {
                match (watcher.expired, after) {
                    (true, KeyState::Absent) => watcher.expired = false,
                    (true, KeyState::Expired) => {}
                    (false, KeyState::Expired) if !before => watcher.expired = true,
                    _ => watcher.mark(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_nobody_holds_are_dropped() {
        let mut watches = Watches::default();
        let held = Arc::new(AtomicBool::new(false));
        watches.add(0, b"held", &held, false);
        for n in 0..10_000 {
            let gone = Arc::new(AtomicBool::new(false));
            watches.add(0, format!("key{n}").as_bytes(), &gone, false);
            watches.add(0, b"held", &gone, false);
        }
        assert!(watches.len() <= SWEEP_MIN + 1);
        assert!(
            watches.dbs[0]
                .get(&b"held"[..])
                .is_some_and(|w| w.len() <= 2)
        );
        watches.touch(0, b"held", true);
        assert!(held.load(Ordering::Acquire));
    }
}
