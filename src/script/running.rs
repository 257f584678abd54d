//! Scripts that run for longer than an arbiter gives them, on a script thread: who they are, which shards they hold, and
//! how others end them.
//!
//! A script stands here from the moment it is taken off its arbiter to its end. Past `busy-reply-threshold` it is *slow*:
//! then clients that need its shards are answered BUSY ([`RunningScripts::slow_in`]).
//!
//! Invariant: a script is never ended once it has written ([`Running::begin_write`] and [`RunningScripts::kill`] decide
//! by one atomic which came first).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::keyspace::ShardSet;

/// How a script was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By EVAL and its kin.
    Eval,
    /// By FCALL.
    Function,
}

impl Kind {
    /// What others hear while a script of this kind is slow.
    pub(crate) fn busy_error(self) -> &'static str {
        match self {
            Kind::Eval => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            }
            Kind::Function => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
            }
        }
    }
}

/// Why a script can't be ended, in Redis's words.
pub(crate) const NOT_BUSY: &str = "NOTBUSY No scripts in execution right now.";
const OF_MASTER: &str = "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.";
const WROTE: &str = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";

const HAS_WRITTEN: u8 = 1;
const IS_KILLED: u8 = 2;

/// A running script, as its thread and others see it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) kind: Kind,
    /// A digest, or a function's name.
    pub(crate) name: String,
    /// What called it.
    pub(crate) command: Vec<Bytes>,
    pub(crate) from_master: bool,
    /// Monotonic microseconds.
    pub(crate) began_us: u64,
    /// The shards that it is inside of, as bits; it may get more.
    shards: AtomicU64,
    state: AtomicU8,
}

impl Running {
    pub(crate) fn new(
        kind: Kind,
        name: String,
        command: Vec<Bytes>,
        from_master: bool,
        began_us: u64,
        has_written: bool,
    ) -> Running {
        Running {
            kind,
            name,
            command,
            from_master,
            began_us,
            shards: AtomicU64::new(0),
            state: AtomicU8::new(if has_written { HAS_WRITTEN } else { 0 }),
        }
    }

    /// It is about to call a command that writes. False: it has been killed, and must not.
    pub(crate) fn begin_write(&self) -> bool {
        self.state.fetch_or(HAS_WRITTEN, Ordering::AcqRel) & IS_KILLED == 0
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.state.load(Ordering::Acquire) & IS_KILLED != 0
    }

    fn kill(&self) -> Result<(), &'static str> {
        let killed = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state & HAS_WRITTEN == 0).then_some(state | IS_KILLED)
            });
        killed.map(drop).map_err(|_| WROTE)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RunningScripts {
    all: Mutex<Vec<Arc<Running>>>,
    /// The shards of those that are slow, a bit each.
    slow: AtomicU64,
    /// Shards of slow functions among them.
    slow_functions: AtomicU64,
}

impl RunningScripts {
    /// It runs on a script thread from now on.
    pub(crate) fn add(&self, running: Arc<Running>) {
        self.all.lock().push(running);
    }

    /// It is slow from now on, inside these shards.
    pub(crate) fn note_slow(&self, running: &Running, shards: ShardSet) {
        let all = self.all.lock();
        running.shards.store(shards.0, Ordering::Relaxed);
        self.count_slow(&all);
    }

    /// It has ended, and is about to leave its shards.
    pub(crate) fn remove(&self, running: &Arc<Running>) {
        let mut all = self.all.lock();
        all.retain(|other| !Arc::ptr_eq(other, running));
        self.count_slow(&all);
    }

    /// Shards of different scripts are different ones, so the bits of who goes are his alone.
    fn count_slow(&self, all: &[Arc<Running>]) {
        let (mut slow, mut slow_functions) = (0, 0);
        for running in all {
            let shards = running.shards.load(Ordering::Relaxed);
            slow |= shards;
            if running.kind == Kind::Function {
                slow_functions |= shards;
            }
        }
        self.slow_functions.store(slow_functions, Ordering::Relaxed);
        self.slow.store(slow, Ordering::Release);
    }

    /// What kind of slow script is inside one of the shards. Lock-free.
    #[inline]
    pub(crate) fn slow_in(&self, shards: ShardSet) -> Option<Kind> {
        if self.slow.load(Ordering::Acquire) & shards.0 == 0 {
            return None;
        }
        let of_function = self.slow_functions.load(Ordering::Relaxed) & shards.0 != 0;
        Some(if of_function {
            Kind::Function
        } else {
            Kind::Eval
        })
    }

    /// The one that has run longest.
    pub(crate) fn oldest(&self) -> Option<Arc<Running>> {
        self.all.lock().first().cloned()
    }

    /// SCRIPT KILL, FUNCTION KILL: ends those of the kind that have not written. The error is Redis's for the one that
    /// could not be ended, where none could.
    pub(crate) fn kill(&self, kind: Kind) -> Result<(), &'static str> {
        let all = self.all.lock();
        let mut error = NOT_BUSY;
        let mut killed = false;
        for running in all.iter() {
            let result = if running.from_master {
                Err(OF_MASTER)
            } else if running.kind != kind {
                // A script that has written can't be ended by either.
                match running.state.load(Ordering::Acquire) & HAS_WRITTEN {
                    0 => Err(running.kind.busy_error()),
                    _ => Err(WROTE),
                }
            } else {
                running.kill()
            };
            match result {
                Ok(()) => killed = true,
                Err(why) => error = why,
            }
        }
        if killed { Ok(()) } else { Err(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(kind: Kind, has_written: bool) -> Arc<Running> {
        Arc::new(Running::new(
            kind,
            "x".into(),
            vec![],
            false,
            0,
            has_written,
        ))
    }

    #[test]
    fn who_has_written_is_not_ended() {
        let scripts = RunningScripts::default();
        assert_eq!(scripts.kill(Kind::Eval), Err(NOT_BUSY));
        let (reader, writer) = (running(Kind::Eval, false), running(Kind::Eval, true));
        scripts.add(writer.clone());
        assert_eq!(scripts.kill(Kind::Eval), Err(WROTE));
        assert_eq!(scripts.kill(Kind::Function), Err(WROTE));
        scripts.remove(&writer);
        scripts.add(reader.clone());
        assert_eq!(scripts.kill(Kind::Function), Err(Kind::Eval.busy_error()));
        assert_eq!(scripts.kill(Kind::Eval), Ok(()));
        assert!(reader.is_killed() && !reader.begin_write());
    }

    #[test]
    fn only_the_shards_of_slow_scripts_are_busy() {
        let scripts = RunningScripts::default();
        let (one, two) = (running(Kind::Eval, false), running(Kind::Function, false));
        scripts.add(one.clone());
        scripts.add(two.clone());
        assert_eq!(scripts.slow_in(ShardSet(0b111)), None);
        scripts.note_slow(&one, ShardSet(0b001));
        scripts.note_slow(&two, ShardSet(0b100));
        assert_eq!(scripts.slow_in(ShardSet(0b011)), Some(Kind::Eval));
        assert_eq!(scripts.slow_in(ShardSet(0b110)), Some(Kind::Function));
        assert_eq!(scripts.slow_in(ShardSet(0b010)), None);
        scripts.remove(&one);
        assert_eq!(scripts.slow_in(ShardSet(0b001)), None);
        assert!(scripts.slow_in(ShardSet(0b100)).is_some());
        scripts.remove(&two);
        assert_eq!(scripts.slow_in(ShardSet(0b111)), None);
    }
}
