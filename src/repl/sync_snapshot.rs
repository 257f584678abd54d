//! A snapshot for full syncs: one object, owned by the `Master`, from the order to make it until
//! nobody can be given it any more.
//!
//! ```text
//! Ordered --cut--> Making --made, for sockets--> Kept --its time is over, or its bytes are gone--> (gone)
//!    \---------------\------ failed, given up, or made for the disk and sent -------------------------/
//! ```
//!
//! What makes it (the snapshot's thread), what holds its bytes (a feed, a file) and which replicas take it (the table
//! of replicas, by [`number`](SyncSnapshot::number)) know its number only, and report to the owner.
//!
//! Invariant: its pin on the log is taken with the cut and given back by [`SyncSnapshot::release`], once.

use super::hub::StreamCut;
use super::log::{Cursor, Log};
use super::master::Target;
use super::replid::ReplId;

/// See the module.
#[derive(Debug)]
pub(super) struct SyncSnapshot {
    number: u64,
    target: Target,
    /// What those who started it can take; a later one must be able to take as much.
    capa_eof: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Ordered,
    Making(Cut),
    /// All of its bytes are there, until then or longer.
    Kept {
        cut: Cut,
        until_ms: i64,
    },
}

/// The place in the log that it is a state of.
#[derive(Debug)]
pub(super) struct Cut {
    /// Whose history `offset` belongs to.
    pub(crate) id: ReplId,
    pub(crate) offset: u64,
    pin: Option<Cursor>,
}

/// What a replica that takes a snapshot has to know of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joinable {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) target: Target,
    /// Only for replicas that understand a marked end.
    pub(crate) needs_eof: bool,
}

impl SyncSnapshot {
    pub(super) fn ordered(number: u64, target: Target, capa_eof: bool) -> SyncSnapshot {
        SyncSnapshot {
            number,
            target,
            capa_eof,
            stage: Stage::Ordered,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn target(&self) -> Target {
        self.target
    }

    /// Whether it is ordered and not cut yet, so that whoever comes is served by it.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self.stage, Stage::Ordered)
    }

    /// Whether it is ordered or being made, not kept.
    pub(super) fn is_making(&self) -> bool {
        !matches!(self.stage, Stage::Kept { .. })
    }

    fn place(&self) -> Option<&Cut> {
        match &self.stage {
            Stage::Ordered => None,
            Stage::Making(cut) | Stage::Kept { cut, .. } => Some(cut),
        }
    }

    /// It is cut there.
    pub(super) fn cut(&mut self, cut: StreamCut) {
        self.stage = Stage::Making(Cut {
            id: cut.id,
            offset: cut.offset,
            pin: cut.pin,
        });
    }

    /// All of it has been made: one for sockets that was cut is kept until then. Else it is given back: it is over.
    pub(super) fn keep(self, until_ms: i64) -> Result<SyncSnapshot, SyncSnapshot> {
        match self {
            SyncSnapshot {
                target: Target::Sockets,
                stage: Stage::Making(cut),
                ..
            } => Ok(SyncSnapshot {
                stage: Stage::Kept { cut, until_ms },
                ..self
            }),
            over => Err(over),
        }
    }

    /// What a replica that comes now can be given, in that history. `feed_is_open`: the feed has its first byte.
    pub(super) fn joinable(&self, history: ReplId, feed_is_open: bool) -> Option<Joinable> {
        let cut = self.place().filter(|cut| cut.id == history)?;
        let there = self.target == Target::Disk || feed_is_open;
        there.then_some(Joinable {
            number: self.number,
            offset: cut.offset,
            target: self.target,
            needs_eof: self.target == Target::Sockets || self.capa_eof,
        })
    }

    /// Of one that is kept: whether it can't be given to anybody any more, or its time is over and nobody waits for
    /// it, or it holds more of the log than may be held.
    pub(super) fn is_useless(
        &self,
        log: &Log,
        history: ReplId,
        is_wanted: bool,
        now_ms: i64,
    ) -> bool {
        let Stage::Kept { cut, until_ms } = &self.stage else {
            return false;
        };
        let held = cut.pin.map_or(0, |pin| log.behind_in_memory(pin));
        (now_ms >= *until_ms && !is_wanted)
            || cut.id != history
            || !log.covers(cut.offset)
            || held > log.limit().saturating_add(log.spool().memory_max())
    }

    /// It is over: lets go of the log.
    pub(super) fn release(self, log: &mut Log) {
        if let Stage::Making(cut) | Stage::Kept { cut, .. } = self.stage
            && let Some(pin) = cut.pin
        {
            log.detach(pin);
        }
    }
}
