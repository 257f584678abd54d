//! The master's side without sockets: which replica gets a partial or a full sync, which snapshot serves which
//! replica, which one is pinged, timed out or cut off. It is told what happened and says what to do
//! ([`MasterAction`]), like the link.
//!
//! A replica passes through: waiting for a snapshot or its turn; its snapshot running; (disk) the finished
//! file being sent; online. Which snapshot serves whom is in [`full_sync`](super::full_sync).

use tracing::{info, warn};

use super::backlog::{BacklogSize, WriteRate};
use super::explain::{self, Explain, Resync, Side};
use super::full_sync::FilteredDump;
use super::lag::Timeline;
use super::psync::{self, Decision, Reason, Request};
use super::replicas::{LimitWatch, OutputLimit, Replica, ReplicaState, Replicas};
use super::replid::ReplId;
use super::stream::Stream;
use super::sync_snapshot::SyncSnapshot;
use super::wire;
use crate::clock::Clock;

pub(crate) mod driver;

/// Replicas ack once a second: after so much silence the lag of one is no longer as its last ack said, ms.
const SILENT_MS: i64 = 1500;

/// What a replica is told that is to fetch what differs (`repl::delta`).
pub(crate) const DELTA: &str =
    "DELTA what differs is to be fetched by REPLICATION DELTA, then PSYNC continues";

/// The directives that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MasterSettings {
    pub(crate) diskless: bool,
    /// repl-diskless-sync-delay and -max-replicas (0: no early start).
    pub(crate) diskless_delay_ms: i64,
    pub(crate) diskless_max_replicas: usize,
    pub(crate) ping_period_ms: i64,
    /// repl-timeout.
    pub(crate) timeout_ms: i64,
    /// repl-backlog-ttl; 0: never freed.
    pub(crate) backlog_ttl_ms: i64,
    pub(crate) limit: OutputLimit,
    /// repl-max-transfers: full syncs at a time; 0: no bound.
    pub(crate) transfers_max: usize,
    /// repl-snapshot-keep: how long a finished snapshot is kept for replicas that come late.
    pub(crate) keep_ms: i64,
    /// Whether there are save points: a dump on the disk is then of use without replicas as well.
    pub(crate) saves: bool,
    /// How old the last ack of a good replica may be.
    pub(crate) min_replicas_max_lag_s: i64,
    pub(crate) backlog: BacklogSize,
    /// repl-delta-resync.
    pub(crate) delta: bool,
}

impl Default for MasterSettings {
    fn default() -> Self {
        MasterSettings {
            diskless: true,
            diskless_delay_ms: 5000,
            diskless_max_replicas: 0,
            ping_period_ms: 10_000,
            timeout_ms: 60_000,
            backlog_ttl_ms: 3_600_000,
            limit: OutputLimit {
                hard: 256 << 20,
                soft: 64 << 20,
                soft_s: 60,
            },
            transfers_max: 0,
            keep_ms: 5000,
            saves: false,
            min_replicas_max_lag_s: 10,
            backlog: BacklogSize::Fixed,
            delta: false,
        }
    }
}

/// Where a snapshot's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Straight to the sockets of the replicas that wait, ended by a mark.
    Sockets,
    /// To the dump file, which is then sent.
    Disk,
}

/// What the owner must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MasterAction {
    /// Write these bytes to the replica's socket.
    Send {
        id: u64,
        bytes: Vec<u8>,
    },
    /// Forward the log from the replica's cursor on, from now on.
    Follow {
        id: u64,
    },
    /// Cut a snapshot, then call `snapshot_started` (or `snapshot_ended` with an error).
    StartSnapshot {
        number: u64,
        target: Target,
    },
    /// Send the line, and the present snapshot's chunks from the first one on, then its mark, then call
    /// `dump_streamed`; or nothing of it, if the first chunks are gone, and call `join_failed`.
    SendFeed {
        id: u64,
        line: Vec<u8>,
    },
    /// Make a dump of that little (see [`FilteredDump`]) and send it as a feed, then call `dump_streamed`.
    SendFiltered {
        id: u64,
        dump: FilteredDump,
    },
    /// Nobody else will be sent the present snapshot.
    CloseFeed,
    /// Send the finished dump file with its length, then call `dump_sent`.
    SendDump {
        id: u64,
    },
    /// Nobody wants that snapshot any more.
    AbortSnapshot {
        number: u64,
    },
    Close {
        id: u64,
    },
    /// As `Close`, of a replica that has been sent nothing of a dump yet: this error line goes before.
    GiveUp {
        id: u64,
        error: String,
    },
}

/// What an event may look at and change.
pub(crate) struct MasterEnv<'a> {
    pub(crate) now_ms: i64,
    pub(crate) stream: &'a mut Stream,
    pub(crate) replicas: &'a mut Replicas,
    pub(crate) settings: &'a MasterSettings,
    pub(crate) clock: &'a dyn Clock,
    /// We are a replica ourselves.
    pub(crate) is_replica: bool,
    /// The feed that the present snapshot goes into has its first byte, so that others can join.
    pub(crate) feed_is_open: bool,
    /// Where the reasons of full syncs are kept.
    pub(crate) explain: &'a mut Explain,
}

/// Counts for INFO stats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyncCounts {
    pub(crate) full: u64,
    pub(crate) partial_ok: u64,
    pub(crate) partial_err: u64,
}

impl SyncCounts {
    /// What was added since `before`.
    pub(crate) fn since(self, before: SyncCounts) -> SyncCounts {
        SyncCounts {
            full: self.full - before.full,
            partial_ok: self.partial_ok - before.partial_ok,
            partial_err: self.partial_err - before.partial_err,
        }
    }
}

/// The state that isn't in the stream or the table.
#[derive(Debug, Default)]
pub(crate) struct Master {
    /// The snapshot for full syncs that is ordered, being made, or kept.
    pub(super) snapshot: Option<SyncSnapshot>,
    /// Snapshots to sockets that some replica takes, and how many have had all of them.
    pub(super) streamed: Vec<(u64, usize)>,
    /// Numbers snapshots.
    pub(super) snapshots: u64,
    watches: Vec<(u64, LimitWatch)>,
    /// Replicas that wait for a snapshot, in the order in which they came, and since when.
    pub(super) waiting_since: Vec<(u64, i64)>,
    last_ping_ms: i64,
    last_newline_ms: i64,
    /// When the last replica left (or the backlog was made, or we were promoted).
    alone_since_ms: i64,
    timeline: Timeline,
    rate: WriteRate,
    pub(crate) counts: SyncCounts,
}

impl Master {
    /// A replica asks to be attached, and nothing speaks against it
    /// (`psync::refusal`). `replica` describes it, its state is set here. An `Err` is
    /// the error reply, and the replica isn't attached.
    pub(crate) fn attach(
        &mut self,
        env: &mut MasterEnv<'_>,
        mut replica: Replica,
        request: &Request,
        out: &mut Vec<MasterAction>,
    ) -> Result<(), &'static str> {
        info!("Replica {} asks for synchronization", replica.name());
        replica.ack_ms = env.now_ms;
        replica.legacy = *request == Request::Sync;
        match psync::decide(env.stream, request) {
            Decision::Continue { position } => self.attach_partial(env, replica, position, out),
            Decision::Full(reason) if is_for_delta(env, &replica, request) => {
                let name = replica.name();
                let words = explain::in_words(env.stream, request, &reason, false);
                info!("Delta resync of replica {name} instead of a full one: {words}");
                self.open_backlog(env);
                Err(DELTA)
            }
            Decision::Full(reason) => {
                self.explain_full(env, &replica, request, &reason);
                self.attach_full(env, replica, out);
                Ok(())
            }
        }
    }

    /// The replica resumes at its place in the log.
    fn attach_partial(
        &mut self,
        env: &mut MasterEnv<'_>,
        mut replica: Replica,
        position: u64,
        out: &mut Vec<MasterAction>,
    ) -> Result<(), &'static str> {
        let (id, name) = (replica.id, replica.name());
        let log = &mut env.stream.log;
        let bytes = log.end() - position;
        // As in Redis, what is held for others beyond the backlog's size serves this one too.
        replica.sync.catching_up = log.needs_spillable(position);
        replica.sync.cut = position;
        let attached = if replica.sync.catching_up {
            log.attach_spillable(position)
        } else {
            log.attach(position)
        };
        replica.cursor = Some(attached.map_err(|_| "ERR backlog moved")?);
        replica.state = ReplicaState::Online;
        let line = psync::continue_line(&env.stream.history.id, replica.capa_psync2);
        env.explain.returned(&name);
        env.replicas.add(replica);
        self.counts.partial_ok += 1;
        out.push(MasterAction::Send {
            id,
            bytes: line.into_bytes(),
        });
        out.push(MasterAction::Follow { id });
        info!(
            "Partial resynchronization request from {name} accepted. Sending {bytes} bytes of backlog starting \
             from offset {}.",
            position + 1
        );
        Ok(())
    }

    /// Without a backlog there is no stream that a replica could follow.
    fn open_backlog(&mut self, env: &mut MasterEnv<'_>) {
        if !env.stream.active {
            env.stream.open_backlog(ReplId::random(env.clock));
            // Nobody follows it yet; the time after which it is freed begins now.
            self.alone_since_ms = env.now_ms;
            let history = env.stream.history;
            info!(
                "Replication backlog created, my new replication IDs are '{}' and '{}'",
                history.id, history.id2
            );
        }
    }

    /// The replica waits for a snapshot, or has one of its own if it wants no keys.
    fn attach_full(
        &mut self,
        env: &mut MasterEnv<'_>,
        mut replica: Replica,
        out: &mut Vec<MasterAction>,
    ) {
        self.counts.full += 1;
        replica.state = ReplicaState::WaitSnapshot;
        let (id, name) = (replica.id, replica.name());
        let (capa_eof, filter) = (replica.capa_eof, replica.filter);
        env.replicas.add(replica);
        self.open_backlog(env);
        if let Some(filter) = filter {
            return self.send_filtered(env, id, filter, out);
        }
        self.waiting_since.push((id, env.now_ms));
        self.admit(env, out);
        if self.waiting_since.iter().any(|(w, _)| *w == id) {
            self.wait_for_snapshot(env, &name, capa_eof, out);
        }
    }

    /// A replica could join no snapshot: says what it waits for, and starts one if it is that.
    fn wait_for_snapshot(
        &mut self,
        env: &mut MasterEnv<'_>,
        name: &str,
        capa_eof: bool,
        out: &mut Vec<MasterAction>,
    ) {
        match self.snapshot.as_ref().filter(|s| s.is_making()) {
            _ if self.slots(env) == 0 => info!(
                "Replica {name} waits for its turn: repl-max-transfers ({}) are under way",
                env.settings.transfers_max
            ),
            // It has not begun yet, so it will serve this one too.
            Some(snapshot) if snapshot.is_ordered() => {}
            Some(snapshot) if snapshot.target() == Target::Disk => info!(
                "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
            ),
            Some(_) => {
                info!("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC");
            }
            None if env.settings.diskless && capa_eof && env.settings.diskless_delay_ms > 0 => {
                info!("Delay next BGSAVE for diskless SYNC");
                self.maybe_start(env, out);
            }
            None => self.start(env, out),
        }
    }

    /// Logs why a full sync is due, and keeps it.
    fn explain_full(
        &mut self,
        env: &mut MasterEnv<'_>,
        replica: &Replica,
        request: &Request,
        reason: &Reason,
    ) {
        let name = replica.name();
        let words = explain::in_words(env.stream, request, reason, replica.dump_only);
        let words = match env.explain.returned(&name) {
            Some(why) => format!("{words}; it had been disconnected: {why}"),
            None => words,
        };
        env.explain.record(Resync {
            at_ms: env.now_ms,
            side: Side::Master,
            peer: name.clone(),
            reason: words.clone(),
        });
        self.log_full(env, &name, request, reason);
        info!("Full resync of replica {name}: {words}");
    }

    fn log_full(&mut self, env: &MasterEnv<'_>, name: &str, request: &Request, reason: &Reason) {
        match reason {
            Reason::Asked if *request == Request::Sync => {}
            Reason::Asked => info!("Full resync requested by replica {name}"),
            Reason::NoBacklog { asked, ahead } => {
                info!(
                    "Unable to partial resync with replica {name} for lack of backlog (Replica request was: \
                     {asked})."
                );
                if *ahead {
                    warn!(
                        "Warning: replica {name} tried to PSYNC with an offset ({asked}) that is greater than the \
                         master replication offset ({}).",
                        env.stream.log.end()
                    );
                }
            }
            other => info!("{other}"),
        }
        if *reason != Reason::Asked {
            self.counts.partial_err += 1;
        }
    }

    /// REPLCONF ACK came. True if the replica is known.
    pub(crate) fn acked(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        offset: u64,
        aof_offset: Option<u64>,
        out: &mut Vec<MasterAction>,
    ) -> bool {
        if !env.replicas.ack(id, offset, aof_offset, env.now_ms) {
            return false;
        }
        let end = env.stream.log.end();
        self.timeline.note(end, env.now_ms);
        if let Some(replica) = env.replicas.get_mut(id) {
            replica.lag_ms = self.timeline.lag_ms(replica.position(), end, env.now_ms);
        }
        if let Some(replica) = env.replicas.get_mut(id)
            && replica.waits_for_ack
            && replica.state == ReplicaState::Online
        {
            replica.waits_for_ack = false;
            out.push(MasterAction::Follow { id });
        }
        true
    }

    /// A replica's connection is gone (for whatever reason, `Close` included).
    pub(crate) fn detached(
        &mut self,
        env: &mut MasterEnv<'_>,
        id: u64,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(replica) = env.replicas.remove(id) else {
            return;
        };
        if let Some(cursor) = replica.cursor {
            env.stream.log.detach(cursor);
        }
        self.watches.retain(|(w, _)| *w != id);
        self.waiting_since.retain(|(w, _)| *w != id);
        if env.replicas.is_empty() {
            self.alone_since_ms = env.now_ms;
        }
        if replica.state == ReplicaState::SnapshotRunning && !replica.sync.by_file {
            self.taker_gone(env.replicas, replica.sync.snapshot, false);
        }
        self.admit(env, out);
        self.abort_if_unwanted(env, out);
    }

    /// Our history changed (promotion, a master that continues under a new id, a full sync of our own): all
    /// replicas must ask again. The owner then reports each as `detached`.
    pub(crate) fn close_all(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        self.alone_since_ms = env.now_ms;
        self.forget_kept(env, out);
        out.extend(
            env.replicas
                .iter()
                .map(|r| MasterAction::Close { id: r.id }),
        );
    }

    /// Which replicas hold back more of the log than their limit allows. What is spooled for one that hasn't
    /// caught up since its full sync isn't counted, nor what the spool may hold in memory.
    pub(crate) fn check_limits(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        let backlog = env.stream.log.limit();
        for replica in env.replicas.iter() {
            let Some(cursor) = replica.cursor else {
                continue;
            };
            let at = match self.watches.iter().position(|(w, _)| *w == replica.id) {
                Some(at) => at,
                None => {
                    self.watches.push((replica.id, LimitWatch::default()));
                    self.watches.len() - 1
                }
            };
            let log = &env.stream.log;
            let unsent = if replica.sync.catching_up {
                log.behind_in_memory(cursor)
                    .saturating_sub(log.spool().memory_max())
            } else {
                log.behind(cursor)
            };
            let watch = &mut self.watches[at].1;
            if !watch.closing && watch.exceeded(unsent, env.settings.limit, backlog, env.now_ms) {
                watch.closing = true;
                warn!(
                    "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
                    replica.name()
                );
                if replica.sync.catching_up {
                    warn!(
                        "The stream since its full sync could not be spooled: {}",
                        log.delay_reason()
                    );
                }
                env.explain
                    .departed(&replica.name(), "it overcame its output buffer limit");
                out.push(MasterAction::Close { id: replica.id });
            }
        }
    }

    /// Time passed; to be called about ten times a second.
    pub(crate) fn tick(&mut self, env: &mut MasterEnv<'_>, out: &mut Vec<MasterAction>) {
        let (now_ms, settings) = (env.now_ms, env.settings);
        self.maintain(env, out);
        self.look_at_rate(env);
        self.maybe_start(env, out);
        if now_ms - self.last_ping_ms >= settings.ping_period_ms {
            self.last_ping_ms = now_ms;
            if !env.replicas.is_empty() && !env.is_replica && env.stream.active && !env.stream.quiet
            {
                env.stream.append_raw(wire::PING);
            }
        }
        if now_ms - self.last_newline_ms >= 1000 {
            self.last_newline_ms = now_ms;
            for replica in env.replicas.iter() {
                let waits = replica.state == ReplicaState::WaitSnapshot
                    || (replica.state == ReplicaState::SnapshotRunning && replica.sync.by_file);
                if waits {
                    let place = replica.sync.place;
                    let bytes = if replica.capa_queue_place && place > 0 {
                        psync::queued_line(place).into_bytes()
                    } else {
                        b"\n".to_vec()
                    };
                    out.push(MasterAction::Send {
                        id: replica.id,
                        bytes,
                    });
                }
            }
        }
        for replica in env.replicas.online() {
            if !replica.legacy && now_ms - replica.ack_ms > settings.timeout_ms {
                warn!(
                    "Disconnecting timedout replica (streaming sync): {}",
                    replica.name()
                );
                env.explain.departed(
                    &replica.name(),
                    "it was silent for longer than repl-timeout",
                );
                out.push(MasterAction::Close { id: replica.id });
            }
        }
        self.note_caught_up(env);
        for (_, watch) in &mut self.watches {
            watch.closing = false;
        }
        self.check_limits(env, out);
        if env.replicas.is_empty()
            && env.stream.active
            && !env.is_replica
            && self.snapshot.is_none()
            && settings.backlog_ttl_ms > 0
            && now_ms - self.alone_since_ms > settings.backlog_ttl_ms
        {
            env.stream.close_backlog(ReplId::random(env.clock));
            info!(
                "Replication backlog freed after {} seconds without connected replicas.",
                settings.backlog_ttl_ms / 1000
            );
        }
    }

    /// The stream has grown to `end`; to be told once per burst.
    pub(crate) fn wrote(&mut self, end: u64, now_ms: i64) {
        self.timeline.note(end, now_ms);
    }

    /// Bytes of stream a second at present.
    pub(crate) fn write_rate(&self) -> f64 {
        self.rate.present()
    }

    /// Fits the backlog to the rate of writes, and the lag of replicas that fell silent to the time.
    fn look_at_rate(&mut self, env: &mut MasterEnv<'_>) {
        let end = env.stream.log.end();
        self.rate.observe(end, env.now_ms);
        if let Some(bytes) = self
            .rate
            .resize(env.settings.backlog, env.stream.log.limit())
        {
            info!(
                "Replication backlog resized to {bytes} bytes for {} bytes a second",
                self.rate.mean() as u64
            );
            env.stream.log.set_limit(bytes);
        }
        self.timeline.note(end, env.now_ms);
        for replica in env.replicas.iter_mut() {
            if env.now_ms - replica.ack_ms > SILENT_MS {
                replica.lag_ms = self.timeline.lag_ms(replica.position(), end, env.now_ms);
            }
        }
    }

    /// Begins at this time: pings, newlines and the time without replicas count from here.
    pub(crate) fn starting(now_ms: i64) -> Master {
        Master {
            last_ping_ms: now_ms,
            last_newline_ms: now_ms,
            alone_since_ms: now_ms,
            ..Master::default()
        }
    }
}

/// Whether the replica is to fetch what differs first, instead of being sent everything.
fn is_for_delta(env: &MasterEnv<'_>, replica: &Replica, request: &Request) -> bool {
    let wants_all = *request == Request::Sync || replica.dump_only || replica.filter.is_some();
    env.settings.delta && replica.capa_delta && !wants_all
}

#[cfg(test)]
#[path = "master_tests.rs"]
mod tests;
