//! Full syncs, decided: which snapshot serves which replica, which replicas wait, when a snapshot begins and when it
//! is let go. The [`Master`]'s part that began with a request that could not be continued.
//!
//! - A replica waits in a queue, in order of arrival. While a snapshot to sockets is being made, or its
//!   bytes are kept, a waiting replica joins it at once: it gets the chunks from the first one on and then
//!   the log from that snapshot's cut. A dump to disk is joined while it is being made, and sent when it is
//!   whole. So however many come, one snapshot serves them; `repl-max-transfers` lets only so many take it
//!   at a time.
//! - From the cut on a spillable cursor pins the log for each replica, so what it must get after the dump is there,
//!   in memory or on disk, when it is needed. The snapshot holds such a cursor itself, so that a replica that joins
//!   later finds the log as well.
//! - A finished snapshot is kept for `repl-snapshot-keep`, longer if replicas are queued for it, and less
//!   when its first chunks or its place in the log can't be held any more.
//! - A replica that has loaded has a spillable cursor until it has caught up; then the output limit applies to it as
//!   in Redis.
//!
//! Invariants: there is at most one snapshot that is made or can be joined, `sync_snapshot`'s, which is the master's; a
//! replica in `SnapshotRunning` names the snapshot that it takes.

use tracing::{info, warn};

use super::hub::StreamCut;
use super::master::{Master, MasterAction, MasterEnv, Target};
use super::psync;
use super::replicas::{DumpFilter, Replica, ReplicaState, Replicas};
use super::replid::ReplId;
use super::sync_snapshot::{Joinable, SyncSnapshot};
use crate::text::printable::printable;

/// A replica this near to the end of the log has caught up, bytes (or within the backlog, if that is more).
const CAUGHT_UP_BYTES: u64 = 1 << 20;

/// A dump without keys, for one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilteredDump {
    pub(crate) filter: DumpFilter,
    /// The place at which the replica resumes the stream.
    pub(crate) history: ReplId,
    pub(crate) offset: u64,
    pub(crate) database: usize,
}

impl Master {
    /// How many more replicas may begin a transfer.
    pub(super) fn slots(&self, env: &MasterEnv<'_>) -> usize {
        let max = env.settings.transfers_max;
        if max == 0 {
            return usize::MAX;
        }
        let busy = env.replicas.iter().filter(|r| {
            matches!(
                r.state,
                ReplicaState::SnapshotRunning | ReplicaState::SendingBulk
            )
        });
        max.saturating_sub(busy.count())
    }

    /// Lets waiting replicas, in their order, join what can be joined; tells the others their place.
    pub(super) fn admit(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        let history = env.stream.history.id;
        let snapshot = self.snapshot.as_ref();
        if let Some(joinable) = snapshot.and_then(|s| s.joinable(history, env.feed_is_open)) {
            let waiting: Vec<u64> = self.waiting_since.iter().map(|(id, _)| *id).collect();
            for id in waiting {
                if self.slots(env) == 0 {
                    break;
                }
                if !joinable.needs_eof || env.replicas.get(id).is_some_and(|r| r.capa_eof) {
                    self.join(env, id, joinable, out);
                }
            }
        }
        for (at, (id, _)) in self.waiting_since.iter().enumerate() {
            if let Some(replica) = env.replicas.get_mut(*id) {
                replica.sync.place = at + 1;
            }
        }
    }

    /// Gives a waiting replica that snapshot.
    fn join(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        snapshot: Joinable,
        out: &mut Vec<MasterAction>,
    ) {
        // The snapshot's own cursor pins its offset, so it is there unless the log was reset under it.
        let Ok(cursor) = env.stream.log.attach_spillable(snapshot.offset) else {
            return;
        };
        self.waiting_since.retain(|(w, _)| *w != id);
        let Some(replica) = env.replicas.get_mut(id) else {
            env.stream.log.detach(cursor);
            return;
        };
        replica.state = ReplicaState::SnapshotRunning;
        replica.cursor = Some(cursor);
        replica.sync.snapshot = snapshot.number;
        replica.sync.cut = snapshot.offset;
        replica.sync.by_file = snapshot.target == Target::Disk;
        replica.sync.catching_up = true;
        replica.sync.place = 0;
        let line = match replica.legacy {
            true => String::new(),
            false => psync::full_line(&env.stream.history.id, snapshot.offset),
        };
        let line = line.into_bytes();
        match snapshot.target {
            Target::Sockets => out.push(MasterAction::SendFeed { id, line }),
            Target::Disk => {
                info!("Waiting for end of BGSAVE for SYNC");
                if !line.is_empty() {
                    out.push(MasterAction::Send { id, bytes: line });
                }
            }
        }
    }

    /// A replica could not be given the snapshot that it had joined, because the feed's first bytes went in that very
    /// moment. It has been sent nothing of it, and waits again, in the first place.
    pub(crate) fn join_failed(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(replica) = env.replicas.get_mut(id) else {
            return;
        };
        if replica.state != ReplicaState::SnapshotRunning {
            return;
        }
        replica.state = ReplicaState::WaitSnapshot;
        replica.sync.catching_up = false;
        let (cursor, number) = (replica.cursor.take(), replica.sync.snapshot);
        if let Some(cursor) = cursor {
            env.stream.log.detach(cursor);
        }
        // It has waited for others already.
        let since_ms = env.now_ms - env.settings.diskless_delay_ms;
        self.waiting_since.insert(0, (id, since_ms));
        self.taker_gone(env.replicas, number, false);
        self.maintain(env, out);
        self.abort_if_unwanted(env, out);
        self.maybe_start(env, out);
    }

    /// A replica that wants no keys needs no snapshot: it gets a dump of its own at once, which is a state of
    /// the stream at any place.
    pub(super) fn send_filtered(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        filter: DumpFilter,
        out: &mut Vec<MasterAction>,
    ) {
        let offset = env.stream.log.end();
        let database = env.stream.database.unwrap_or(0);
        if !env.is_replica {
            // It knows of no SELECT before its first byte.
            env.stream.database = None;
        }
        self.snapshots += 1;
        let cursor = env.stream.log.attach_spillable(offset).ok();
        let Some(replica) = env.replicas.get_mut(id) else {
            return;
        };
        info!("Starting BGSAVE for SYNC with target: replicas sockets (filtered, without keys)");
        replica.state = ReplicaState::SnapshotRunning;
        replica.cursor = cursor;
        replica.sync.snapshot = self.snapshots;
        replica.sync.cut = offset;
        replica.sync.catching_up = true;
        let history = env.stream.history.id;
        if !replica.legacy {
            let bytes = psync::full_line(&history, offset).into_bytes();
            out.push(MasterAction::Send { id, bytes });
        }
        let dump = FilteredDump {
            filter,
            history,
            offset,
            database,
        };
        out.push(MasterAction::SendFiltered { id, dump });
    }

    pub(super) fn start(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        self.forget_kept(env, out);
        let slots = self.slots(env);
        let mut first = self.waiting_since.iter().take(slots);
        let capa_eof = first.all(|(id, _)| env.replicas.get(*id).is_some_and(|r| r.capa_eof));
        let target = if env.settings.diskless && capa_eof {
            Target::Sockets
        } else {
            Target::Disk
        };
        let named = match target {
            Target::Sockets => "replicas sockets",
            Target::Disk => "disk",
        };
        info!("Starting BGSAVE for SYNC with target: {named}");
        self.snapshots += 1;
        self.snapshot = Some(SyncSnapshot::ordered(self.snapshots, target, capa_eof));
        out.push(MasterAction::StartSnapshot {
            number: self.snapshots,
            target,
        });
    }

    /// Starts a snapshot if some replica has waited long enough for others.
    pub(super) fn maybe_start(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        if self.snapshot_running().is_some()
            || self.waiting_since.is_empty()
            || self.slots(env) == 0
        {
            return;
        }
        let longest = self.waiting_since.iter().map(|(_, t)| env.now_ms - t).max();
        let settings = env.settings;
        let enough = settings.diskless_max_replicas > 0
            && self.waiting_since.len() >= settings.diskless_max_replicas;
        if !settings.diskless || enough || longest >= Some(settings.diskless_delay_ms) {
            self.start(env, out);
        }
    }

    /// The snapshot that was ordered is cut.
    pub(crate) fn snapshot_started(
        &mut self,
        env: &mut MasterEnv<'_>,
        cut: StreamCut,
        out: &mut Vec<MasterAction>,
    ) {
        match self.snapshot.as_mut().filter(|s| s.is_ordered()) {
            Some(snapshot) => snapshot.cut(cut),
            None => {
                if let Some(pin) = cut.pin {
                    env.stream.log.detach(pin);
                }
                return;
            }
        }
        self.admit(env, out);
        self.abort_if_unwanted(env, out);
    }

    /// Which replicas take the snapshot that is being made.
    pub(crate) fn takers(&self, replicas: &Replicas) -> Vec<u64> {
        let number = self.snapshot_running();
        replicas
            .iter()
            .filter(|r| r.state == ReplicaState::SnapshotRunning)
            .filter(|r| Some(r.sync.snapshot) == number)
            .map(|r| r.id)
            .collect()
    }

    /// The snapshot is complete (for sockets: all of it has been handed to the feed, from which the replicas
    /// take it, each to be reported by [`Master::dump_streamed`]) or has failed.
    pub(crate) fn snapshot_ended(
        &mut self,
        env: &mut MasterEnv<'_>,
        result: Result<(), &str>,
        out: &mut Vec<MasterAction>,
    ) {
        let takers = self.takers(env.replicas);
        let Some(snapshot) = self.snapshot.take_if(|s| s.is_making()) else {
            return;
        };
        let target = snapshot.target();
        for id in takers {
            self.tell_end(env, id, target, result, out);
        }
        let over = match result {
            Ok(()) => snapshot.keep(env.now_ms + env.settings.keep_ms),
            Err(error) => {
                warn!("BGSAVE for replication failed: {error}");
                Err(snapshot)
            }
        };
        match over {
            Ok(kept) => {
                self.snapshot = Some(kept);
                self.maintain(env, out);
            }
            Err(over) => {
                over.release(&mut env.stream.log);
                if target == Target::Sockets {
                    out.push(MasterAction::CloseFeed);
                }
            }
        }
        self.maybe_start(env, out);
    }

    /// What follows for a replica that takes a snapshot from its end.
    fn tell_end(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        target: Target,
        result: Result<(), &str>,
        out: &mut Vec<MasterAction>,
    ) {
        match (result, target) {
            (Err(error), target) => {
                warn!("SYNC failed. BGSAVE child returned an error");
                out.push(match target {
                    Target::Sockets => MasterAction::Close { id },
                    Target::Disk => MasterAction::GiveUp {
                        id,
                        error: give_up_line(error),
                    },
                });
            }
            (Ok(()), Target::Sockets) => {}
            (Ok(()), Target::Disk) => {
                if let Some(replica) = env.replicas.get_mut(id) {
                    replica.state = ReplicaState::SendingBulk;
                    out.push(MasterAction::SendDump { id });
                }
            }
        }
    }

    /// Lets the queue move on, and the kept snapshot go when it has had its time.
    pub(super) fn maintain(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        if !self.waiting_since.is_empty() {
            self.admit(env, out);
        }
        let Some(kept) = self.snapshot.as_ref().filter(|s| !s.is_making()) else {
            return;
        };
        let is_wanted = self.slots(env) == 0
            && self
                .waiting_since
                .iter()
                .any(|(id, _)| env.replicas.get(*id).is_some_and(|r| r.capa_eof));
        let (log, history) = (&env.stream.log, env.stream.history.id);
        if !env.feed_is_open || kept.is_useless(log, history, is_wanted, env.now_ms) {
            self.forget_kept(env, out);
        }
    }

    pub(super) fn forget_kept(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        if let Some(kept) = self.snapshot.take_if(|s| !s.is_making()) {
            kept.release(&mut env.stream.log);
            out.push(MasterAction::CloseFeed);
        }
    }

    /// One replica has been sent the whole of a marked dump. It is online, but what follows waits for its
    /// first ack: the end mark must be the last thing it reads before it loads.
    pub(crate) fn dump_streamed(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(replica) = env.replicas.get_mut(id) else {
            return;
        };
        if replica.state != ReplicaState::SnapshotRunning {
            return;
        }
        let name = replica.name();
        info!(
            "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica \
             to enable streaming"
        );
        replica.waits_for_ack = true;
        let number = replica.sync.snapshot;
        put_online(replica, env.now_ms, out);
        self.taker_gone(env.replicas, number, true);
        self.maintain(env, out);
    }

    /// A replica has all of a snapshot to sockets, or has left. Says how that snapshot went, as Redis does,
    /// when it was the last one.
    pub(super) fn taker_gone(&mut self, replicas: &Replicas, number: u64, streamed: bool) {
        let at = match self.streamed.iter().position(|(n, _)| *n == number) {
            Some(at) => at,
            None => {
                self.streamed.push((number, 0));
                self.streamed.len() - 1
            }
        };
        if streamed {
            self.streamed[at].1 += 1;
        }
        let others = replicas
            .iter()
            .any(|r| r.state == ReplicaState::SnapshotRunning && r.sync.snapshot == number);
        if others {
            return;
        }
        let (_, up) = self.streamed.swap_remove(at);
        // One that is still being made is aborted, which says so.
        if up > 0 {
            info!("Diskless rdb transfer, done reading from pipe, {up} replicas still up.");
        } else if self.snapshot_running() != Some(number) {
            info!("Diskless rdb transfer, last replica dropped, killing fork child.");
        }
    }

    /// One replica has been sent the whole dump file.
    pub(crate) fn dump_sent(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(replica) = env.replicas.get_mut(id) else {
            return;
        };
        if replica.state != ReplicaState::SendingBulk {
            return;
        }
        put_online(replica, env.now_ms, out);
        if replica.state == ReplicaState::Online {
            out.push(MasterAction::Follow { id });
        }
        self.maintain(env, out);
    }

    pub(super) fn abort_if_unwanted(
        &mut self,
        env: &mut MasterEnv<'_>,
        out: &mut Vec<MasterAction>,
    ) {
        // A dump on its way to the disk is a save as well, where the node saves.
        let is_useless = |s: &SyncSnapshot| {
            s.is_making()
                && !s.is_ordered()
                && (s.target() == Target::Sockets || !env.settings.saves)
        };
        if !self.snapshot.as_ref().is_some_and(is_useless) || !self.takers(env.replicas).is_empty()
        {
            return;
        }
        if let Some(snapshot) = self.snapshot.take() {
            if snapshot.target() == Target::Sockets {
                info!("Diskless rdb transfer, last replica dropped, killing fork child.");
            }
            let number = snapshot.number();
            snapshot.release(&mut env.stream.log);
            out.push(MasterAction::AbortSnapshot { number });
        }
        self.maybe_start(env, out);
    }

    /// Replicas that have caught up since their full sync hold their bytes in memory from now on, under the
    /// output limit.
    pub(super) fn note_caught_up(&mut self, env: &mut MasterEnv<'_>) {
        let near = env.stream.log.limit().max(CAUGHT_UP_BYTES);
        for replica in env.replicas.iter_mut() {
            if replica.state == ReplicaState::Online
                && replica.sync.catching_up
                && !replica.waits_for_ack
                && let Some(cursor) = replica.cursor
                && env.stream.log.behind(cursor) <= near
            {
                env.stream.log.make_pinned(cursor);
                replica.sync.catching_up = false;
            }
        }
    }

    /// The number of the snapshot for replicas that is ordered or being made.
    pub(crate) fn snapshot_running(&self) -> Option<u64> {
        let snapshot = self.snapshot.as_ref().filter(|s| s.is_making());
        snapshot.map(SyncSnapshot::number)
    }

    /// Whether a finished snapshot is kept for replicas that come late.
    #[cfg(test)]
    pub(crate) fn snapshot_kept(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|s| !s.is_making())
    }
}

/// What a replica that waits for a dump is told if none will come, as Redis begins it.
pub(crate) fn give_up_line(error: &str) -> String {
    let error = printable(error.as_bytes());
    format!("-ERR BGSAVE failed, replication can't continue: {error}\r\n")
}

fn put_online(replica: &mut Replica, now_ms: i64, out: &mut Vec<MasterAction>) {
    if replica.dump_only {
        info!(
            "RDB transfer completed, rdb only replica ({}) should be disconnected asap",
            replica.name()
        );
        out.push(MasterAction::Close { id: replica.id });
        return;
    }
    replica.state = ReplicaState::Online;
    replica.ack_ms = now_ms;
    info!("Synchronization with replica {} succeeded", replica.name());
}
