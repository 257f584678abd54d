//! Full syncs, decided: which snapshot serves which replica, who waits for his turn, when a snapshot begins
//! and when it is let go. The [`Master`]'s part that began with a request that could not be continued.
//!
//! - A replica waits in a queue, in order of arrival. While a snapshot to sockets is being made, or its
//!   bytes are kept, a waiting replica joins it at once: it gets the chunks from the first one on and then
//!   the log from that snapshot's cut. A dump to disk is joined while it is being made, and sent when it is
//!   whole. So however many come, one snapshot serves them; `repl-max-transfers` lets only so many take it
//!   at a time.
//! - From the cut on a patient cursor pins the log for each replica, so what it must get after the dump is
//!   there, in memory or on disk, when it is needed. The snapshot holds such a cursor itself, so that who
//!   joins later finds the log as well.
//! - A finished snapshot is kept for `repl-snapshot-keep`, longer if replicas are queued for it, and less
//!   when its first chunks or its place in the log can't be held any more.
//! - Who has loaded is patient until it has caught up; then the output limit applies to it as in Redis.
//!
//! Invariants: at most one snapshot can be joined; a replica in `SnapshotRunning` names the snapshot that it
//! takes; a pin is detached exactly once, by whoever takes `Running` or `Kept` apart.

use tracing::{info, warn};

use super::hub::StreamCut;
use super::log::Cursor;
use super::master::{Master, MasterEnv, Order, Target};
use super::psync;
use super::replicas::{DumpFilter, Replica, ReplicaState, Replicas};
use super::replid::ReplId;
use crate::printable::printable;

/// A replica this near to the end of the log has caught up, bytes (or within the backlog, if that is more).
const CAUGHT_UP_BYTES: u64 = 1 << 20;

/// A snapshot for replicas, from the order to start it until it is made.
#[derive(Debug)]
pub(super) struct Running {
    pub number: u64,
    pub target: Target,
    /// Known once the cut was made: the place, and whose history it belongs to.
    pub offset: Option<u64>,
    pub id: ReplId,
    pub pin: Option<Cursor>,
    /// What those who started it can take; a later one must be able to take as much.
    pub capa_eof: bool,
}

/// A dump without keys, for one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilteredDump {
    pub filter: DumpFilter,
    /// The place in the stream that the replica goes on from.
    pub history: ReplId,
    pub offset: u64,
    pub database: usize,
}

/// A snapshot to sockets that is made, and whose bytes are still there from the first one on.
#[derive(Debug)]
pub(super) struct Kept {
    number: u64,
    /// Whose history `offset` belongs to.
    id: ReplId,
    offset: u64,
    pin: Option<Cursor>,
    until_ms: i64,
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
    pub(super) fn admit(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
        let joinable = match (&self.running, &self.kept) {
            (Some(r), _) => {
                let open = (r.target == Target::Disk || !self.joins_closed)
                    && r.id == env.stream.history.id;
                let offset = r.offset.filter(|_| open);
                offset.map(|at| {
                    (
                        r.number,
                        at,
                        r.target,
                        r.target == Target::Sockets || r.capa_eof,
                    )
                })
            }
            (None, Some(k)) if !self.joins_closed && k.id == env.stream.history.id => {
                Some((k.number, k.offset, Target::Sockets, true))
            }
            _ => None,
        };
        if let Some((number, offset, target, needs_eof)) = joinable {
            let waiting: Vec<u64> = self.waiting_since.iter().map(|(id, _)| *id).collect();
            for id in waiting {
                if self.slots(env) == 0 {
                    break;
                }
                if !needs_eof || env.replicas.get(id).is_some_and(|r| r.capa_eof) {
                    self.join(env, id, (number, offset, target), out);
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
        (number, offset, target): (u64, u64, Target),
        out: &mut Vec<Order>,
    ) {
        let cursor = env.stream.log.attach_patient(offset).ok();
        self.waiting_since.retain(|(w, _)| *w != id);
        let Some(replica) = env.replicas.get_mut(id) else {
            if let Some(cursor) = cursor {
                env.stream.log.detach(cursor);
            }
            return;
        };
        if cursor.is_none() {
            // The snapshot's own cursor pins its offset, so this happens only if the log was reset under it.
            out.push(Order::Close { id });
            return;
        }
        replica.state = ReplicaState::SnapshotRunning;
        replica.cursor = cursor;
        replica.sync.snapshot = number;
        replica.sync.cut = offset;
        replica.sync.by_file = target == Target::Disk;
        replica.sync.catching_up = true;
        replica.sync.place = 0;
        if !replica.legacy {
            let line = psync::full_line(&env.stream.history.id, offset);
            out.push(Order::Send {
                id,
                bytes: line.into_bytes(),
            });
        }
        match target {
            Target::Disk => info!("Waiting for end of BGSAVE for SYNC"),
            Target::Sockets => out.push(Order::SendFeed { id }),
        }
    }

    /// A replica that wants no keys needs no snapshot: it gets a dump of its own at once, which is a state of
    /// the stream at any place.
    pub(super) fn send_filtered(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        filter: DumpFilter,
        out: &mut Vec<Order>,
    ) {
        let offset = env.stream.log.end();
        let database = env.stream.database.unwrap_or(0);
        if !env.is_replica {
            // It knows of no SELECT before its first byte.
            env.stream.database = None;
        }
        self.snapshots += 1;
        let cursor = env.stream.log.attach_patient(offset).ok();
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
            out.push(Order::Send { id, bytes });
        }
        let dump = FilteredDump {
            filter,
            history,
            offset,
            database,
        };
        out.push(Order::SendFiltered { id, dump });
    }

    pub(super) fn start(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
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
        self.joins_closed = false;
        self.running = Some(Running {
            number: self.snapshots,
            target,
            offset: None,
            id: ReplId::ZERO,
            pin: None,
            capa_eof,
        });
        out.push(Order::StartSnapshot {
            number: self.snapshots,
            target,
        });
    }

    /// Starts a snapshot if some replica has waited long enough for others.
    pub(super) fn maybe_start(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
        if self.running.is_some() || self.waiting_since.is_empty() || self.slots(env) == 0 {
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
    pub fn snapshot_started(
        &mut self,
        env: &mut MasterEnv<'_>,
        cut: StreamCut,
        out: &mut Vec<Order>,
    ) {
        let Some(running) = &mut self.running else {
            if let Some(pin) = cut.pin {
                env.stream.log.detach(pin);
            }
            return;
        };
        running.offset = Some(cut.offset);
        running.id = cut.id;
        running.pin = cut.pin;
        self.admit(env, out);
        self.abort_if_unwanted(env, out);
    }

    /// Which replicas take the snapshot that is being made.
    pub fn takers(&self, replicas: &Replicas) -> Vec<u64> {
        let number = self.running.as_ref().map(|r| r.number);
        replicas
            .iter()
            .filter(|r| r.state == ReplicaState::SnapshotRunning)
            .filter(|r| Some(r.sync.snapshot) == number)
            .map(|r| r.id)
            .collect()
    }

    /// The snapshot is complete (for sockets: all of it has been handed to the feed, from which the replicas
    /// take it, each to be reported by [`Master::dump_streamed`]) or has failed.
    pub fn snapshot_ended(
        &mut self,
        env: &mut MasterEnv<'_>,
        result: Result<(), &str>,
        out: &mut Vec<Order>,
    ) {
        let takers = self.takers(env.replicas);
        let Some(running) = self.running.take() else {
            return;
        };
        for id in takers {
            match (&result, running.target) {
                (Err(error), target) => {
                    warn!("SYNC failed. BGSAVE child returned an error");
                    out.push(match target {
                        Target::Sockets => Order::Close { id },
                        Target::Disk => Order::GiveUp {
                            id,
                            error: give_up_line(error),
                        },
                    });
                }
                (Ok(()), Target::Sockets) => {}
                (Ok(()), Target::Disk) => {
                    if let Some(replica) = env.replicas.get_mut(id) {
                        replica.state = ReplicaState::SendingBulk;
                        out.push(Order::SendDump { id });
                    }
                }
            }
        }
        if let Err(error) = result {
            warn!("BGSAVE for replication failed: {error}");
        }
        match (running.target, running.offset) {
            (Target::Sockets, Some(offset)) if result.is_ok() => {
                self.kept = Some(Kept {
                    number: running.number,
                    id: running.id,
                    offset,
                    pin: running.pin,
                    until_ms: env.now_ms + env.settings.keep_ms,
                });
                self.tend(env, out);
            }
            (target, _) => {
                if let Some(pin) = running.pin {
                    env.stream.log.detach(pin);
                }
                if target == Target::Sockets {
                    out.push(Order::CloseFeed);
                }
            }
        }
        self.maybe_start(env, out);
    }

    /// Lets the queue move on, and the kept snapshot go when it has had its time.
    pub(super) fn tend(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
        if !self.waiting_since.is_empty() {
            self.admit(env, out);
        }
        let Some(kept) = &self.kept else {
            return;
        };
        let log = &env.stream.log;
        let held = kept.pin.map_or(0, |pin| log.behind_in_memory(pin));
        let wanted = self
            .waiting_since
            .iter()
            .any(|(id, _)| env.replicas.get(*id).is_some_and(|r| r.capa_eof))
            && self.slots(env) == 0;
        let useless = self.joins_closed
            || (env.now_ms >= kept.until_ms && !wanted)
            || kept.id != env.stream.history.id
            || !log.covers(kept.offset)
            || held > log.limit().saturating_add(log.spool().memory_max());
        if useless {
            self.forget_kept(env, out);
        }
    }

    pub(super) fn forget_kept(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
        if let Some(kept) = self.kept.take() {
            if let Some(pin) = kept.pin {
                env.stream.log.detach(pin);
            }
            out.push(Order::CloseFeed);
        }
    }

    /// One replica has been sent the whole of a marked dump. It is online, but what follows waits for its
    /// first ack: the end mark must be the last thing it reads before it loads.
    pub fn dump_streamed(&mut self, env: &mut MasterEnv<'_>, id: u64, out: &mut Vec<Order>) {
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
        self.tend(env, out);
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
        } else if self.running.as_ref().is_none_or(|r| r.number != number) {
            info!("Diskless rdb transfer, last replica dropped, killing fork child.");
        }
    }

    /// One replica has been sent the whole dump file.
    pub fn dump_sent(&mut self, env: &mut MasterEnv<'_>, id: u64, out: &mut Vec<Order>) {
        let Some(replica) = env.replicas.get_mut(id) else {
            return;
        };
        if replica.state != ReplicaState::SendingBulk {
            return;
        }
        put_online(replica, env.now_ms, out);
        if replica.state == ReplicaState::Online {
            out.push(Order::Follow { id });
        }
        self.tend(env, out);
    }

    pub(super) fn abort_if_unwanted(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<Order>) {
        // A dump on its way to the disk is a save as well, where the node saves.
        let to_sockets = |r: &Running| r.target == Target::Sockets;
        let useless = |r: &&Running| r.offset.is_some() && (to_sockets(r) || !env.settings.saves);
        let unwanted = self.running.as_ref().filter(useless).is_some();
        if unwanted && self.takers(env.replicas).is_empty() {
            let running = self.running.take();
            if running.as_ref().is_some_and(to_sockets) {
                info!("Diskless rdb transfer, last replica dropped, killing fork child.");
            }
            if let Some(running) = running {
                if let Some(pin) = running.pin {
                    env.stream.log.detach(pin);
                }
                out.push(Order::AbortSnapshot {
                    number: running.number,
                });
            }
            self.maybe_start(env, out);
        }
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
                env.stream.log.make_plain(cursor);
                replica.sync.catching_up = false;
            }
        }
    }

    /// The number of the snapshot for replicas that is ordered or running.
    pub fn snapshot_running(&self) -> Option<u64> {
        self.running.as_ref().map(|r| r.number)
    }

    /// Whether a finished snapshot is kept for replicas that come late.
    pub fn snapshot_kept(&self) -> bool {
        self.kept.is_some()
    }
}

/// What a replica that waits for a dump is told if none will come, as Redis begins it.
pub fn give_up_line(error: &str) -> String {
    let error = printable(error.as_bytes());
    format!("-ERR BGSAVE failed, replication can't continue: {error}\r\n")
}

fn put_online(replica: &mut Replica, now_ms: i64, out: &mut Vec<Order>) {
    if replica.dump_only {
        info!(
            "RDB transfer completed, rdb only replica ({}) should be disconnected asap",
            replica.name()
        );
        out.push(Order::Close { id: replica.id });
        return;
    }
    replica.state = ReplicaState::Online;
    replica.ack_ms = now_ms;
    info!("Synchronization with replica {} succeeded", replica.name());
}
