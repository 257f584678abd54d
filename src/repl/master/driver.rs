//! Carries out what the pure [`Master`] decides, and decides what needs more than it knows: which replica is refused,
//! when a PSYNC FAILOVER makes us the master, what of a snapshot given up is void. Sockets, files and snapshots are
//! its owner's ([`MasterIo`]): the MasterActor, or a simulated node.
//!
//! ```text
//! socket, timer, snapshot --event--> MasterDriver --> Master --MasterAction--> MasterDriver --> MasterIo (bytes, snapshots)
//!                                                                            \-------> Hub (table of replicas, counts)
//! ```
//!
//! Invariants:
//! - Stream and published state are locked for the decision alone; actions are carried out after it.
//! - A snapshot is one object, [`Master`]'s (`repl::sync_snapshot`), known by its number: reports about any other are dropped, and their
//!   hold on the log with them.

use bytes::Bytes;

use super::{Master, MasterAction, MasterEnv, MasterSettings, SyncCounts, Target};
use crate::repl::failover::driver::{RoleIo, TakeOver, take_over};
use crate::repl::full_sync::{FilteredDump, give_up_line};
use crate::repl::hub::StreamCut;
use crate::repl::log::Cursor;
use crate::repl::psync::{self, Request};
use crate::repl::replicas::{Replica, ReplicaState, SyncProgress};

/// What a master needs of its owner. Nothing here decides.
pub(crate) trait MasterIo: RoleIo {
    fn settings(&self) -> MasterSettings;

    /// Bytes for the replica's socket, before what it is sent next.
    fn send(&mut self, id: u64, bytes: Bytes);
    /// Sends the log from that cursor, which is at `position`, on, and goes on when it grows (`Hub::wake_when_grown`).
    fn follow_log(&mut self, id: u64, cursor: Cursor, position: u64);
    /// Ends the connection, after one attempt to send `last`; then [`MasterDriver::detached`].
    fn close(&mut self, id: u64, last: Option<Bytes>);

    /// Makes a snapshot; then [`MasterDriver::snapshot_cut`] and [`MasterDriver::snapshot_ended`].
    fn start_snapshot(&mut self, number: u64, target: Target);
    fn abort_snapshot(&mut self, number: u64);
    /// Whether the present snapshot's bytes are there from the first one on.
    fn is_feed_joinable(&self) -> bool;
    /// Sends `line` and them, with the header that says how they end; then [`MasterDriver::dump_streamed`]. False:
    /// nothing is sent, since the first ones have gone in this very moment.
    fn send_feed(&mut self, id: u64, line: Bytes, progress: SyncProgress) -> bool;
    /// Makes that dump and sends it, with the header that says how it ends; then
    /// [`MasterDriver::dump_streamed`].
    fn send_filtered(&mut self, id: u64, dump: &FilteredDump, progress: SyncProgress);
    /// Nobody else will be sent the present snapshot.
    fn close_feed(&mut self);
    /// Sends the finished dump file with its length; then [`MasterDriver::dump_sent`]. An error: it can't be
    /// read.
    fn send_dump(&mut self, id: u64, progress: SyncProgress) -> Result<(), String>;

    /// Syncs begun since the last call, for INFO, and whether a snapshot is on its way to some socket.
    fn publish(&mut self, counts: SyncCounts, is_streaming: bool);
}

/// What is to be done with a connection that asks to be a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is to be given to [`MasterDriver::attach`].
    Yes,
    Refused(&'static str),
    /// It is to be asked about again soon.
    Later,
}

/// The master's side of a node.
#[derive(Debug, Default)]
pub(crate) struct MasterDriver {
    master: Master,
    /// `Hub::epoch` after the last promotion that replicas were closed for.
    closed_epoch: Option<u64>,
}

impl MasterDriver {
    /// Begins at this time.
    pub(crate) fn new(now_ms: i64) -> MasterDriver {
        MasterDriver {
            master: Master::starting(now_ms),
            closed_epoch: None,
        }
    }

    // ---- replicas ----

    /// Whether a connection may become a replica now. A PSYNC FAILOVER that may makes us the master first. The
    /// replicas of before a promotion are closed here, if word of it has not come yet: the new one, which knows
    /// our new history, must not be closed with them.
    /// `since_ms`: when it asked; `client`: its id and address, for the log.
    pub(crate) fn admit(
        &mut self,
        request: &Request,
        since_ms: i64,
        client: (u64, &str),
        io: &mut impl MasterIo,
    ) -> Admission {
        if let Some(error) = psync::refusal(io.hub(), request) {
            return Admission::Refused(error);
        }
        match take_over(request, since_ms, io) {
            TakeOver::NotAsked => {}
            TakeOver::Later => return Admission::Later,
            TakeOver::Done => {
                let (id, address) = client;
                tracing::info!(
                    "MASTER MODE enabled (failover request from 'id={id} addr={address}')"
                );
            }
        }
        if !io.hub().is_replica() {
            self.close_replicas(Some(io.hub().epoch()), io);
        }
        Admission::Yes
    }

    /// A connection that was admitted becomes a replica.
    pub(crate) fn attach(&mut self, replica: Replica, request: &Request, io: &mut impl MasterIo) {
        let id = replica.id;
        if let Err(error) = self.with(io, |m, e, o| m.attach(e, replica, request, o)) {
            io.close(id, Some(psync::refusal_line(error).into()));
        }
    }

    /// Input of a replica; with an offset if it was an ack. True if that may answer a WAIT.
    pub(crate) fn heard(
        &mut self,
        id: u64,
        offset: Option<u64>,
        aof_offset: Option<u64>,
        io: &mut impl MasterIo,
    ) -> bool {
        let Some(offset) = offset else {
            let now_ms = io.clock().unix_ms();
            if let Some(replica) = io.hub().published().replicas.get_mut(id) {
                replica.ack_ms = now_ms;
            }
            return false;
        };
        self.with(io, |m, e, o| m.acked(e, id, offset, aof_offset, o))
    }

    /// A replica's connection is over.
    pub(crate) fn detached(&mut self, id: u64, io: &mut impl MasterIo) {
        let name = io.hub().published().replicas.get(id).map(Replica::name);
        if let Some(name) = name {
            tracing::info!("Connection with replica {name} lost.");
        }
        self.with(io, |m, e, o| m.detached(e, id, o));
    }

    /// Our history changed: every replica must ask again. `promoted`: `Hub::epoch` after the promotion that this
    /// is about, if it is.
    pub(crate) fn close_replicas(&mut self, promoted: Option<u64>, io: &mut impl MasterIo) {
        if promoted.is_some() && promoted == self.closed_epoch {
            // A replica that has come since knows our new history.
            return;
        }
        self.closed_epoch = promoted.or(self.closed_epoch);
        self.with(io, |m, e, o| m.close_all(e, o));
    }

    // ---- the snapshot ----

    /// That snapshot is cut.
    pub(crate) fn snapshot_cut(&mut self, number: u64, cut: StreamCut, io: &mut impl MasterIo) {
        if self.is_making(number) {
            self.with(io, |m, e, o| m.snapshot_started(e, cut, o));
        } else if let Some(pin) = cut.pin {
            // One that was given up; its hold on the log goes with it.
            io.hub().stream().log.detach(pin);
        }
    }

    /// That snapshot is complete, or has failed.
    pub(crate) fn snapshot_ended(
        &mut self,
        number: u64,
        result: Result<(), &str>,
        io: &mut impl MasterIo,
    ) {
        if self.is_making(number) {
            self.with(io, |m, e, o| m.snapshot_ended(e, result, o));
        }
    }

    /// Whether that snapshot is the one that is being made.
    pub(crate) fn is_making(&self, number: u64) -> bool {
        self.master.snapshot_running() == Some(number)
    }

    /// A replica has been sent all of a snapshot's feed.
    pub(crate) fn dump_streamed(&mut self, id: u64, io: &mut impl MasterIo) {
        self.with(io, |m, e, o| m.dump_streamed(e, id, o));
    }

    /// A replica has been sent all of a dump file.
    pub(crate) fn dump_sent(&mut self, id: u64, io: &mut impl MasterIo) {
        self.with(io, |m, e, o| m.dump_sent(e, id, o));
    }

    // ---- time ----

    /// Time passed; to be called about ten times a second.
    pub(crate) fn tick(&mut self, io: &mut impl MasterIo) {
        self.with(io, |m, e, o| m.tick(e, o));
    }

    /// The stream has grown; to be told once per burst.
    pub(crate) fn wrote(&mut self, io: &mut impl MasterIo) {
        let (end, now_ms) = (io.hub().offset(), io.clock().unix_ms());
        self.master.wrote(end, now_ms);
        io.hub().wake_followers();
    }

    /// Closes replicas that hold back more of the log than they may.
    pub(crate) fn check_limits(&mut self, io: &mut impl MasterIo) {
        self.with(io, |m, e, o| m.check_limits(e, o));
    }

    // ---- carrying out ----

    /// One event of the master, and what it says is to be done.
    fn with<R>(
        &mut self,
        io: &mut impl MasterIo,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<MasterAction>) -> R,
    ) -> R {
        let settings = io.settings();
        let mut actions = Vec::new();
        let feed_is_open = io.is_feed_joinable();
        let before = self.master.counts;
        let (hub, clock) = (io.hub(), io.clock());
        let now_ms = clock.unix_ms();
        let mut stream = hub.stream();
        let mut guard = hub.published();
        let published = &mut *guard;
        let end = stream.log.end();
        let mut env = MasterEnv {
            now_ms,
            stream: &mut stream,
            replicas: &mut published.replicas,
            settings: &settings,
            clock,
            is_replica: hub.is_replica(),
            feed_is_open,
            explain: &mut published.explain,
        };
        let result = f(&mut self.master, &mut env, &mut actions);
        published.counts = self.master.counts;
        published.write_rate = self.master.write_rate();
        // Not only on a timer: a client that sees a replica online may rely on it being counted.
        let good = published
            .replicas
            .good(settings.min_replicas_max_lag_s, now_ms);
        hub.set_good_replicas(good);
        let is_streaming = published
            .replicas
            .iter()
            .any(|r| r.state == ReplicaState::SnapshotRunning && !r.sync.by_file);
        let has_grown = stream.log.end() != end;
        drop(guard);
        drop(stream);
        io.publish(self.master.counts.since(before), is_streaming);
        for action in actions {
            self.carry_out(action, io);
        }
        if has_grown {
            io.hub().wake_followers();
        }
        result
    }

    fn carry_out(&mut self, action: MasterAction, io: &mut impl MasterIo) {
        match action {
            MasterAction::Send { id, bytes } => io.send(id, bytes.into()),
            MasterAction::Follow { id } => {
                let stream = io.hub().stream();
                let cursor = io.hub().published().replicas.get(id).and_then(|r| r.cursor);
                let place = cursor.and_then(|c| Some((c, stream.log.position(c)?)));
                drop(stream);
                if let Some((cursor, position)) = place {
                    io.follow_log(id, cursor, position);
                }
            }
            MasterAction::StartSnapshot { number, target } => io.start_snapshot(number, target),
            MasterAction::AbortSnapshot { number } => io.abort_snapshot(number),
            MasterAction::SendFeed { id, line } => {
                let progress = progress_of(id, io);
                if !io.send_feed(id, line.into(), progress) {
                    self.with(io, |m, e, o| m.join_failed(e, id, o));
                }
            }
            MasterAction::SendFiltered { id, dump } => {
                let progress = progress_of(id, io);
                io.send_filtered(id, &dump, progress);
            }
            MasterAction::CloseFeed => io.close_feed(),
            MasterAction::SendDump { id } => {
                let progress = progress_of(id, io);
                if let Err(error) = io.send_dump(id, progress) {
                    tracing::warn!("SYNC failed. Can't open/stat DB after BGSAVE: {error}");
                    io.close(id, Some(give_up_line(&error).into()));
                }
            }
            MasterAction::Close { id } => io.close(id, None),
            MasterAction::GiveUp { id, error } => io.close(id, Some(error.into())),
        }
    }
}

fn progress_of(id: u64, io: &impl MasterIo) -> SyncProgress {
    let published = io.hub().published();
    let replica = published.replicas.get(id);
    replica.map(|r| r.sync.clone()).unwrap_or_default()
}
