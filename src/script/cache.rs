//! The cache of EVAL's scripts, by the digest of their text.
//!
//! Scripts that SCRIPT LOAD (or EVAL before 500 others) brought stay until SCRIPT FLUSH; of those that only EVAL brought
//! the 500 last used stay, as from Redis 7.4 on, so that clients which make a new text for each call don't fill the memory.
//! Nothing of it is replicated or saved: as in Redis, a client that gets NOSCRIPT sends the text again.
//!
//! What is learned about a script stands in it ([`Script::reach`]), and is gone with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use super::flags::{BadShebang, ScriptFlags, Shebang};
use super::sha::Sha;

/// How many scripts that only EVAL brought are kept.
pub(crate) const EVALS_MAX: usize = 500;

/// Which shards a script needs, as its runs have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// It has not run to its end yet: it gets all.
    Nothing,
    /// It has touched keys of shards that hold its declared keys, and no others: it gets those.
    DeclaredOnly,
    /// It has touched others: it gets all.
    Others,
}

/// What its runs have shown, to be asked and told by several threads.
#[derive(Debug, Default)]
pub(crate) struct Reach(AtomicU8);

impl Reach {
    pub(crate) fn learned(&self) -> Learned {
        match self.0.load(Ordering::Relaxed) {
            0 => Learned::Nothing,
            1 => Learned::DeclaredOnly,
            _ => Learned::Others,
        }
    }

    /// A run has come to its end. Once others were touched, that stays.
    pub(crate) fn tell(&self, only_declared: bool) {
        let told = if only_declared { 1 } else { 2 };
        if self.0.load(Ordering::Relaxed) < told {
            self.0.fetch_max(told, Ordering::Relaxed);
        }
    }
}

/// A script of EVAL.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) sha: Sha,
    pub(crate) body: Bytes,
    pub(crate) shebang: Shebang,
    pub(crate) reach: Reach,
    /// It stands in the cache.
    cached: AtomicBool,
    /// Not to be thrown out by EVAL's.
    kept: AtomicBool,
    /// It has been used since it was last looked at for being thrown out.
    used: AtomicBool,
}

impl Script {
    pub(crate) fn new(sha: Sha, body: &[u8]) -> Result<Script, BadShebang> {
        Ok(Script {
            sha,
            shebang: Shebang::read(body)?,
            body: Bytes::copy_from_slice(body),
            reach: Reach::default(),
            cached: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            used: AtomicBool::new(false),
        })
    }

    /// None: it has no first line that tells them.
    pub(crate) fn flags(&self) -> Option<ScriptFlags> {
        self.shebang.flags
    }

    /// The text to compile: without the first line, whose end stays.
    pub(crate) fn code(&self) -> &[u8] {
        &self.body[self.shebang.length..]
    }

    /// Whether it stands in the cache; who keeps a compiled form drops it when not.
    pub(crate) fn is_cached(&self) -> bool {
        self.cached.load(Ordering::Acquire)
    }

    fn bytes(&self) -> usize {
        self.body.len() + size_of::<Script>() + 2 * size_of::<(Sha, Arc<Script>)>()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ScriptCache {
    scripts: RwLock<HashMap<Sha, Arc<Script>>>,
    /// Those that only EVAL brought, as they came; who was used meanwhile goes to the end again.
    evals: Mutex<VecDeque<Arc<Script>>>,
    bytes: AtomicUsize,
    /// How many were thrown out for others.
    evicted: AtomicU64,
}

impl ScriptCache {
    pub(crate) fn get(&self, sha: &Sha) -> Option<Arc<Script>> {
        let script = self.scripts.read().get(sha).cloned()?;
        if !script.used.load(Ordering::Relaxed) {
            script.used.store(true, Ordering::Relaxed);
        }
        Some(script)
    }

    /// Puts a script in that compiles. `keep`: SCRIPT LOAD brought it. The one that stands there from now on.
    pub(crate) fn add(&self, script: Arc<Script>, keep: bool) -> Arc<Script> {
        let mut evals = self.evals.lock();
        let mut scripts = self.scripts.write();
        let known = scripts.get(&script.sha).cloned();
        let script = known.unwrap_or_else(|| {
            self.bytes.fetch_add(script.bytes(), Ordering::Relaxed);
            scripts.insert(script.sha, script.clone());
            if !keep {
                evals.push_back(script.clone());
            }
            script
        });
        script.cached.store(true, Ordering::Release);
        if keep {
            script.kept.store(true, Ordering::Relaxed);
        }
        while evals.len() > EVALS_MAX {
            let Some(first) = evals.pop_front() else {
                break;
            };
            if first.kept.load(Ordering::Relaxed) {
                continue;
            }
            if first.used.swap(false, Ordering::Relaxed) {
                evals.push_back(first);
                continue;
            }
            scripts.remove(&first.sha);
            self.forget(&first);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        script
    }

    fn forget(&self, script: &Script) {
        script.cached.store(false, Ordering::Release);
        self.bytes.fetch_sub(script.bytes(), Ordering::Relaxed);
    }

    /// Empties it.
    pub(crate) fn flush(&self) {
        let mut evals = self.evals.lock();
        let mut scripts = self.scripts.write();
        let gone = std::mem::take(&mut *scripts);
        for script in gone.values() {
            self.forget(script);
        }
        evals.clear();
        drop((scripts, evals));
        // What thousands of texts took is freed when nobody waits for the locks.
        drop(gone);
    }

    pub(crate) fn len(&self) -> usize {
        self.scripts.read().len()
    }

    /// About how many bytes it holds.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many scripts were thrown out since the start.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Arc<Script> {
        let body = text.as_bytes();
        Arc::new(Script::new(Sha::of(body), body).unwrap())
    }

    #[test]
    fn evals_are_bounded_and_loaded_ones_stay() {
        let cache = ScriptCache::default();
        let loaded = cache.add(script("return 'loaded'"), true);
        let first = cache.add(script("return 'first'"), false);
        let used = cache.add(script("return 'used'"), false);
        for n in 0..EVALS_MAX {
            cache.get(&used.sha).expect("it is used all the time");
            cache.add(script(&format!("return {n}")), false);
        }
        assert_eq!(cache.len(), EVALS_MAX + 1);
        assert!(cache.get(&first.sha).is_none() && !first.is_cached());
        assert!(cache.get(&used.sha).is_some() && loaded.is_cached());
        assert_eq!(cache.evicted(), 2);
        cache.flush();
        assert_eq!((cache.len(), cache.memory()), (0, 0));
        assert!(!loaded.is_cached());
    }

    #[test]
    fn a_script_that_is_loaded_later_stays() {
        let cache = ScriptCache::default();
        let script_then_loaded = cache.add(script("return 'x'"), false);
        cache.add(script("return 'x'"), true);
        for n in 0..2 * EVALS_MAX {
            cache.add(script(&format!("return {n}")), false);
        }
        assert!(script_then_loaded.is_cached());
        assert!(cache.len() <= EVALS_MAX + 1);
    }

    #[test]
    fn what_a_script_touches_is_learned_for_good() {
        let reach = Reach::default();
        assert_eq!(reach.learned(), Learned::Nothing);
        reach.tell(true);
        assert_eq!(reach.learned(), Learned::DeclaredOnly);
        reach.tell(false);
        reach.tell(true);
        assert_eq!(reach.learned(), Learned::Others);
    }
}
