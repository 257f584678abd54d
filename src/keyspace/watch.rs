//! Who watches which keys (WATCH) in one shard.
//!
//! A watcher is known by the flag it shares with its session; a change of the key sets the flag. A key
//! that was logically expired when WATCH came is remembered as such: its deletion is then no change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;

#[derive(Debug)]
struct Watcher {
    dirty: Arc<AtomicBool>,
    expired: bool,
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
}

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
        if self.dbs.len() <= db {
            self.dbs.resize_with(db + 1, HashMap::default);
        }
        let watchers = self.dbs[db].entry_ref(key).or_insert_with(|| {
            self.keys += 1;
            Vec::new()
        });
        if !watchers.iter().any(|w| Arc::ptr_eq(&w.dirty, dirty)) {
            watchers.push(Watcher {
                dirty: dirty.clone(),
                expired,
            });
        }
    }

    /// Removes a watcher.
    pub fn remove(&mut self, db: usize, key: &[u8], dirty: &Arc<AtomicBool>) {
        let Some(map) = self.dbs.get_mut(db) else {
            return;
        };
        let Some(watchers) = map.get_mut(key) else {
            return;
        };
        watchers.retain(|w| !Arc::ptr_eq(&w.dirty, dirty));
        if watchers.is_empty() {
            map.remove(key);
            self.keys -= 1;
        }
    }

    /// A key changed; `there`: it exists now (expired or not).
    pub fn touch(&mut self, db: usize, key: &[u8], there: bool) {
        let Some(watchers) = self.dbs.get_mut(db).and_then(|map| map.get_mut(key)) else {
            return;
        };
        for watcher in watchers {
            if !watcher.expired {
                watcher.dirty.store(true, Ordering::Release);
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
                    _ => watcher.dirty.store(true, Ordering::Release),
                }
            }
        }
    }
}
