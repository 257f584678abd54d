//! Who watches which keys (WATCH) in one shard.
//!
//! A watcher shares a flag with its session; a change of the key sets the flag, and is the last that the watcher is
//! told. A key that was logically expired when WATCH came is remembered as such: its deletion is then no change.
//! A session ends a watch by the number that [`Watches::add`] gave it; where the shard is busy at that moment, the
//! watcher stays behind and is dropped at the latest when twice as many are here as after the last sweep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;

use super::queue::Queue;

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
pub(crate) enum KeyState {
    Absent,
    /// There, but logically expired.
    Expired,
    Live,
}

/// The watched keys of one shard, by database.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    dbs: Vec<HashMap<Box<[u8]>, Queue<Watcher>>>,
    /// Keys watched, over all databases.
    keys: usize,
    /// Watchers of all keys.
    watchers: usize,
    /// How many there may be before those of sessions that have gone are looked for.
    sweep_at: usize,
    /// Watches that were begun.
    begun: u64,
}

/// Fewest watchers that are worth a sweep.
const SWEEP_MIN: usize = 64;

impl Watches {
    /// Whether nobody watches anything here.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Adds a watcher, which watches no key twice; `expired`: the key is there but logically expired already. The
    /// number by which it is known.
    pub(crate) fn add(
        &mut self,
        db: usize,
        key: &[u8],
        dirty: &Arc<AtomicBool>,
        expired: bool,
    ) -> u64 {
        if self.watchers >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        if self.dbs.len() <= db {
            self.dbs.resize_with(db + 1, HashMap::default);
        }
        let watchers = self.dbs[db].entry_ref(key).or_insert_with(|| {
            self.keys += 1;
            Queue::default()
        });
        let number = self.begun;
        self.begun += 1;
        self.watchers += 1;
        watchers.push(
            number,
            Watcher {
                dirty: Arc::downgrade(dirty),
                expired,
            },
        );
        number
    }

    /// Drops the watchers that ended their watch while the shard was not entered. Next done when twice as
    /// many are left, so that it costs each WATCH little.
    fn sweep(&mut self) {
        for map in &mut self.dbs {
            map.retain(|_, watchers| {
                self.watchers -= watchers.retain(|watcher| watcher.is_somebodys());
                !watchers.is_empty()
            });
        }
        self.keys = self.dbs.iter().map(HashMap::len).sum();
        self.sweep_at = self.watchers * 2;
    }

    /// Removes a watcher, if it is still there.
    pub(crate) fn remove(&mut self, db: usize, key: &[u8], number: u64) {
        let watchers = self.dbs.get_mut(db).and_then(|map| map.get_mut(key));
        if let Some(watchers) = watchers
            && watchers.remove(number).is_some()
        {
            self.watchers -= 1;
            if watchers.is_empty() {
                self.forget(db, key);
            }
        }
    }

    /// Nobody watches the key any more.
    fn forget(&mut self, db: usize, key: &[u8]) {
        if let Some(map) = self.dbs.get_mut(db)
            && map.remove(key).is_some()
        {
            self.keys -= 1;
        }
        if self.keys == 0 {
            // What thousands of keys have taken is given back.
            self.dbs = Vec::new();
        }
    }

    /// Whether this watch began on a key that was logically expired, or saw one come in a SWAPDB: that it is
    /// expired is then no change.
    pub(crate) fn is_stale(&self, db: usize, key: &[u8], number: u64) -> bool {
        let watchers = self.dbs.get(db).and_then(|map| map.get(key));
        let own = watchers.and_then(|watchers| watchers.get(number));
        own.is_some_and(|watcher| watcher.expired)
    }

    /// A key changed; `there`: it exists now (expired or not).
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], there: bool) {
        let Some(watchers) = self.dbs.get_mut(db).and_then(|map| map.get_mut(key)) else {
            return;
        };
        self.watchers -= watchers.retain(|watcher| {
            if !watcher.expired {
                watcher.mark();
                return false;
            }
            // What was expired at WATCH and is gone now is no change, but what comes next is one.
            watcher.expired = there;
            true
        });
        if watchers.is_empty() {
            self.forget(db, key);
        }
    }

    /// All of a database is replaced: `before` and `after` say what a key was and becomes.
    pub(crate) fn touch_all(
        &mut self,
        db: usize,
        mut before: impl FnMut(&[u8]) -> bool,
        mut after: impl FnMut(&[u8]) -> KeyState,
    ) {
        let Some(map) = self.dbs.get_mut(db) else {
            return;
        };
        map.retain(|key, watchers| {
            let (before, after) = (before(key), after(key));
            if !before && after == KeyState::Absent {
                return true;
            }
            self.watchers -= watchers.retain(|watcher| {
                match (watcher.expired, after) {
                    (true, KeyState::Absent) => watcher.expired = false,
                    (true, KeyState::Expired) => {}
                    (false, KeyState::Expired) if !before => watcher.expired = true,
                    _ => {
                        watcher.mark();
                        return false;
                    }
                }
                true
            });
            !watchers.is_empty()
        });
        self.keys = self.dbs.iter().map(HashMap::len).sum();
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
        assert!(watches.watchers <= SWEEP_MIN + 2 && watches.keys <= SWEEP_MIN + 1);
        watches.touch(0, b"held", true);
        assert!(held.load(Ordering::Acquire));
    }

    /// A key that is written often costs each of its watchers one mark, not one per write.
    #[test]
    fn a_watcher_is_told_once() {
        let mut watches = Watches::default();
        let flags: Vec<_> = (0..1000).map(|_| Arc::<AtomicBool>::default()).collect();
        let numbers: Vec<u64> = flags
            .iter()
            .map(|f| watches.add(1, b"k", f, false))
            .collect();
        let stale = Arc::<AtomicBool>::default();
        let number = watches.add(1, b"k", &stale, true);
        watches.touch(1, b"k", true);
        assert!(flags.iter().all(|flag| flag.load(Ordering::Acquire)));
        assert_eq!(watches.watchers, 1);
        assert!(watches.is_stale(1, b"k", number) && !stale.load(Ordering::Acquire));
        for number in numbers {
            watches.remove(1, b"k", number);
        }
        watches.touch(1, b"k", false);
        assert!(!watches.is_stale(1, b"k", number));
        watches.touch(1, b"k", true);
        assert!(stale.load(Ordering::Acquire) && watches.is_empty());
    }
}
