//! Scripts, without the Lua that runs them: the cache of EVAL's scripts, what their first lines say, and who runs for
//! long. How a script is run is in `command::script`.

pub(crate) mod cache;
pub(crate) mod flags;
pub(crate) mod library;
pub(crate) mod running;
pub(crate) mod sha;
pub(crate) mod stack;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::lua::Meter;

use cache::ScriptCache;
use running::RunningScripts;

/// A node's scripts.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    pub(crate) cache: ScriptCache,
    pub(crate) running: RunningScripts,
    pub(crate) memory: LuaMemory,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS 1: scripts may call what is not for scripts.
    pub(crate) allow_all: AtomicBool,
}

/// What the Lua states of a node have taken together.
#[derive(Debug, Default)]
pub(crate) struct LuaMemory(Mutex<Vec<Weak<Meter>>>);

impl LuaMemory {
    /// There is one more state, as long as the meter lives.
    pub(crate) fn add(&self, meter: &Arc<Meter>) {
        let mut meters = self.0.lock();
        meters.retain(|meter| meter.strong_count() > 0);
        meters.push(Arc::downgrade(meter));
    }

    /// Bytes.
    pub(crate) fn used(&self) -> usize {
        let meters = self.0.lock();
        let used = |meter: &Weak<Meter>| Some(meter.upgrade()?.used());
        meters.iter().filter_map(used).sum()
    }
}
