//! What becomes of a node when a part of it panics.
//!
//! Every actor and thread has an [`Owner`], and each owner a fixed [`Consequence`]. A panic is caught where its
//! owner is known ([`turn`], [`catch`]): it is logged with its place and backtrace (by the hook of
//! `log_panics`) and with what was being done, and then its consequence is drawn, by `actors::supervise`.
//!
//! Invariants:
//! - A shard that was entered when a panic passed through is never entered again: it may be half changed. Whoever
//!   was inside, the node ends (`keyspace::entering` keeps the lock and tells `actors::rescue`).
//! - A node that ends over a panic acknowledges nothing more to its master ([`Supervision::is_ending`]), and
//!   overwrites its dump only with a dataset in which no shard was half changed.
//! - An actor that starts anew keeps its mailbox, so that addresses stay valid, and takes nothing of its old
//!   state but what it must give back (tickets, files, places in tables).

pub(crate) mod arbiters;
pub(crate) mod faults;
pub(crate) mod panics;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

pub(crate) use arbiters::{Arbiters, turn};
pub(crate) use faults::Faults;
pub(crate) use panics::catch;

/// The exit code of a node that ended over a panic, where a new start finds all that was to be saved: it is in the
/// dump, or nothing was to be saved. sysexits' EX_SOFTWARE.
pub(crate) const EXIT_SAVED: i32 = 70;
/// As [`EXIT_SAVED`], but the dump is older than the data was: the log says why, and where else the data is.
pub(crate) const EXIT_UNSAVED: i32 = 71;

/// Who may die of a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Owner {
    Connection,
    LocalClient,
    Root,
    Listener,
    Reception,
    Arbiter,
    Shard,
    Master,
    SlaveBuffer,
    Link,
    Failover,
    Cron,
    Migration,
    Verification,
    Snapshot,
    SnapshotThread,
    SnapshotWriter,
    Spool,
    Loader,
    Freeing,
    Aside,
    Script,
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Only what the owner stood for ends: a client, a replica's connection, a save, a load.
    Alone,
    /// The actor starts anew, later each time ([`pause_ms`]).
    Restart,
    /// The node ends in order, with its data saved if that can be.
    Node,
}

impl Owner {
    /// All of them.
    pub const ALL: [Owner; 22] = [
        Owner::Connection,
        Owner::LocalClient,
        Owner::Root,
        Owner::Listener,
        Owner::Reception,
        Owner::Arbiter,
        Owner::Shard,
        Owner::Master,
        Owner::SlaveBuffer,
        Owner::Link,
        Owner::Failover,
        Owner::Cron,
        Owner::Migration,
        Owner::Verification,
        Owner::Snapshot,
        Owner::SnapshotThread,
        Owner::SnapshotWriter,
        Owner::Spool,
        Owner::Loader,
        Owner::Freeing,
        Owner::Aside,
        Owner::Script,
    ];

    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Owner::Connection => "connection",
            Owner::LocalClient => "in-process client",
            Owner::Root => "root",
            Owner::Listener => "listener",
            Owner::Reception => "reception",
            Owner::Arbiter => "arbiter",
            Owner::Shard => "shard",
            Owner::Master => "master",
            Owner::SlaveBuffer => "slave-buffer",
            Owner::Link => "link",
            Owner::Failover => "failover",
            Owner::Cron => "cron",
            Owner::Migration => "migration",
            Owner::Verification => "verification",
            Owner::Snapshot => "snapshot",
            Owner::SnapshotThread => "snapshot-thread",
            Owner::SnapshotWriter => "snapshot-writer",
            Owner::Spool => "spool",
            Owner::Loader => "loader",
            Owner::Freeing => "freeing",
            Owner::Aside => "aside",
            Owner::Script => "script",
        }
    }

    /// The owner of this name.
    pub fn named(name: &str) -> Option<Owner> {
        Owner::ALL.into_iter().find(|owner| owner.name() == name)
    }

    /// What its death leads to, if no shard was entered.
    pub fn consequence(self) -> Consequence {
        match self {
            Owner::Root
            | Owner::Listener
            | Owner::Reception
            | Owner::Arbiter
            | Owner::Shard
            | Owner::Master => Consequence::Node,
            Owner::Link
            | Owner::Failover
            | Owner::Cron
            | Owner::Migration
            | Owner::Verification
            | Owner::Snapshot
            | Owner::SnapshotWriter
            | Owner::Spool
            | Owner::Freeing => Consequence::Restart,
            Owner::Connection
            | Owner::LocalClient
            | Owner::SlaveBuffer
            | Owner::SnapshotThread
            | Owner::Loader
            | Owner::Aside
            | Owner::Script => Consequence::Alone,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Pause before the first restart of an actor, ms.
const PAUSE_MIN_MS: u64 = 100;
/// Longest pause before a restart, ms.
const PAUSE_MAX_MS: u64 = 10_000;

/// How long an actor rests before its restart, ms; `deaths`: how often it has died in a row, from 1 on.
pub(crate) fn pause_ms(deaths: u32) -> u64 {
    let doublings = deaths.saturating_sub(1).min(16);
    (PAUSE_MIN_MS << doublings).min(PAUSE_MAX_MS)
}

/// What a node knows of its deaths.
#[derive(Debug, Default)]
pub struct Supervision {
    pub arbiters: Arbiters,
    pub faults: Faults,
    ending: AtomicBool,
    /// What could be saved has been.
    rescued: Mutex<bool>,
    through: Condvar,
}

impl Supervision {
    /// The node ends over a panic from now on. False: it does so already.
    pub fn begin_end(&self) -> bool {
        !self.ending.swap(true, Ordering::AcqRel)
    }

    /// Whether the node ends over a panic: its data may be half changed. Lock-free.
    #[inline]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// What could be saved has been: the node's threads may go.
    pub fn rescued(&self) {
        *self.rescued.lock() = true;
        self.through.notify_all();
    }

    /// If the node ends over a panic: waits for [`Supervision::rescued`]. Blocks the thread.
    pub fn wait_for_rescue(&self) {
        if !self.is_ending() {
            return;
        }
        let mut rescued = self.rescued.lock();
        while !*rescued {
            self.through.wait(&mut rescued);
        }
    }

    /// Says what `owner` does now, for the log of a panic. Tests may have it die here.
    #[inline]
    pub fn step(&self, owner: Owner, step: &'static str) {
        arbiters::note_step(step);
        self.faults.pass(owner, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_owners() {
        for owner in Owner::ALL {
            assert_eq!(Owner::named(owner.name()), Some(owner));
        }
        assert_eq!(Owner::named("nobody"), None);
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        assert_eq!([1, 2, 3].map(pause_ms), [100, 200, 400]);
        assert_eq!(pause_ms(8), PAUSE_MAX_MS);
        assert_eq!(pause_ms(u32::MAX), PAUSE_MAX_MS);
    }
}
