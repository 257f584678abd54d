//! The actor that is a master to our replicas: it carries out what [`Master`] decides.
//!
//! It owns who follows whom and when; the log, the replids and the table of replicas are in the hub, where
//! the request path and INFO see them. It is woken once per burst of writes ([`Hub::wake`]), tells each
//! SlaveBufferActor to go on, and answers WAIT when acks come in. It runs on the background arbiter with the
//! slave buffers, so a message between them is no thread switch.
//!
//! Its other parts are in `attachment` (a client becomes a replica), `delivery` (dumps to replicas) and
//! `waiters` (WAIT).
//!
//! Death: the node's. Without it replicas would silently stop, so the root stops the node.
//!
//! [`Hub::wake`]: crate::repl::Hub::wake

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use super::delivery::{Running, Sending};
use super::feed::WeakFeed;
use super::slave_buffer::{self, SharedSending, SlaveBufferActor};
use super::snapshot::{AbortSnapshot, SnapshotActor};
use super::spool_file::{SpoolFileActor, spool_log};
use super::waiters::Waiter;
use crate::node_core::NodeCore;
use crate::repl::{
    BacklogSize, Master, MasterEnv, MasterSettings, Order, OutputLimit, Replica, ReplicaState,
};

/// Between two looks at timers.
const TICK: Duration = Duration::from_millis(100);
/// Between two tries to spool when it fails, ms.
const SPOOL_RETRY_MS: i64 = 1000;
/// Bytes of stream between two looks at what is to be spooled, and at who is over the output limit.
const LOOK_BYTES: u64 = 1 << 20;

/// See the module.
pub struct MasterActor {
    pub(super) node: Arc<NodeCore>,
    pub(super) snapshots: Addr<SnapshotActor>,
    pub(super) master: Master,
    pub(super) buffers: HashMap<u64, Addr<SlaveBufferActor>>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) running: Option<Running>,
    /// What replicas take of the last snapshot to sockets, while others can join it.
    pub(super) feed: Option<Sending>,
    /// All such feeds, as long as some replica takes them.
    pub(super) feeds: Vec<WeakFeed>,
    pub(super) sending: SharedSending,
    pub(super) last_retry_ms: i64,
    /// How far the log was when it was last looked at for spooling.
    pub(super) looked_at: u64,
    /// The last finished dump file for replicas.
    pub(super) dump: Option<PathBuf>,
    /// Numbers snapshots, so that a report about one that was given up is told apart.
    pub(super) number: u64,
    /// `Hub::epoch` after a promotion whose replicas were told at once.
    pub(super) told_epoch: Option<u64>,
}

impl MasterActor {
    pub fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> MasterActor {
        let master = Master::starting(node.clock.unix_ms());
        let settings = node.settings.load();
        node.hub
            .spool()
            .configure(settings.repl_spool_memory, settings.repl_spool_limit);
        drop(settings);
        let sending = SharedSending {
            files: SpoolFileActor::spawn(&node),
            bandwidth: Arc::default(),
        };
        MasterActor {
            node,
            snapshots,
            master,
            buffers: HashMap::new(),
            waiters: Vec::new(),
            running: None,
            feed: None,
            feeds: Vec::new(),
            sending,
            last_retry_ms: 0,
            looked_at: 0,
            dump: None,
            number: 0,
            told_epoch: None,
        }
    }

    fn settings(node: &NodeCore) -> MasterSettings {
        let settings = node.settings.load();
        let backlog = if settings.repl_backlog_auto {
            let memory = match settings.maxmemory {
                0 => node.memory.last().system,
                limit => limit,
            };
            BacklogSize::Auto {
                seconds: settings.repl_backlog_seconds,
                max_bytes: memory / 100 * settings.repl_backlog_memory_percent,
            }
        } else {
            BacklogSize::Fixed
        };
        let limit = &settings.client_output_buffer_limit.replica;
        MasterSettings {
            diskless: settings.repl_diskless_sync,
            diskless_delay_ms: settings.repl_diskless_sync_delay as i64 * 1000,
            diskless_max_replicas: settings.repl_diskless_sync_max_replicas as usize,
            ping_period_ms: settings.repl_ping_replica_period as i64 * 1000,
            timeout_ms: settings.repl_timeout as i64 * 1000,
            backlog_ttl_ms: settings.repl_backlog_ttl as i64 * 1000,
            limit: OutputLimit {
                hard: limit.hard,
                soft: limit.soft,
                soft_s: limit.soft_seconds,
            },
            transfers_max: settings.repl_max_transfers as usize,
            keep_ms: settings.repl_snapshot_keep as i64 * 1000,
            saves: !settings.save.is_empty(),
            min_replicas_max_lag_s: settings.min_replicas_max_lag as i64,
            backlog,
        }
    }

    /// Runs one event of the pure master and carries out what it says.
    pub(super) fn with<R>(
        &mut self,
        ctx: &mut Context<MasterActor>,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<Order>) -> R,
    ) -> R {
        let node = self.node.clone();
        let settings = MasterActor::settings(&node);
        let mut orders = Vec::new();
        let joinable = self.feed.as_ref().is_some_and(|s| s.feed.is_joinable());
        self.master.joins_closed = !joinable;
        let mut stream = node.hub.stream();
        let mut guard = node.hub.board();
        let board = &mut *guard;
        let before = stream.log.end();
        let counts = self.master.counts;
        let mut env = MasterEnv {
            now_ms: node.clock.unix_ms(),
            stream: &mut stream,
            replicas: &mut board.replicas,
            settings: &settings,
            clock: &*node.clock,
            is_replica: node.hub.is_replica(),
            link_up: node.hub.link_up(),
            explain: &mut board.explain,
        };
        let result = f(&mut self.master, &mut env, &mut orders);
        board.counts = self.master.counts;
        board.write_rate = self.master.write_rate();
        // Not only on a timer: who sees a replica online may rely on it being counted.
        let good = board
            .replicas
            .good(settings.min_replicas_max_lag_s, node.clock.unix_ms());
        node.hub.set_good_replicas(good);
        // To INFO a snapshot is being saved until the last replica has it.
        let taken = board
            .replicas
            .iter()
            .any(|r| r.state == ReplicaState::SnapshotRunning && !r.sync.by_file);
        node.persistence.streaming.store(taken, Ordering::Relaxed);
        let grown = stream.log.end() != before;
        drop(guard);
        drop(stream);
        // Added and not set: CONFIG RESETSTAT may have zeroed them.
        let (was, is) = (counts, self.master.counts);
        node.stats.sync_full.add(is.full - was.full);
        node.stats
            .sync_partial_ok
            .add(is.partial_ok - was.partial_ok);
        node.stats
            .sync_partial_err
            .add(is.partial_err - was.partial_err);
        for order in orders {
            self.obey(order, ctx);
        }
        if grown {
            self.forward();
        }
        result
    }

    fn obey(&mut self, order: Order, ctx: &mut Context<MasterActor>) {
        match order {
            Order::Send { id, bytes } => self.send(id, bytes.into()),
            Order::Follow { id } => {
                let node = self.node.clone();
                let stream = node.hub.stream();
                let cursor = node.hub.board().replicas.get(id).and_then(|r| r.cursor);
                if let Some(cursor) = cursor
                    && let Some(position) = stream.log.position(cursor)
                    && let Some(buffer) = self.buffers.get(&id)
                {
                    buffer.do_send(slave_buffer::Follow { cursor, position });
                }
            }
            Order::StartSnapshot { target } => self.start_snapshot(target, ctx),
            Order::SendDump { id } => self.send_dump(id),
            Order::SendFeed { id } => self.send_feed(id),
            Order::CloseFeed => {
                if let Some(sending) = self.feed.take() {
                    sending.feed.close_joins();
                }
            }
            Order::AbortSnapshot => {
                self.feed = None;
                if let Some(running) = self.running.take() {
                    self.snapshots.do_send(AbortSnapshot {
                        number: running.number,
                    });
                }
            }
            Order::Close { id } => {
                if let Some(buffer) = self.buffers.get(&id) {
                    buffer.do_send(slave_buffer::Close { last: None });
                }
            }
            Order::GiveUp { id, error } => {
                if let Some(buffer) = self.buffers.get(&id) {
                    let last = Some(error.into());
                    buffer.do_send(slave_buffer::Close { last });
                }
            }
        }
    }

    fn send(&self, id: u64, bytes: Bytes) {
        if let Some(buffer) = self.buffers.get(&id) {
            buffer.do_send(slave_buffer::Send(bytes));
        }
    }

    /// Spools what is due, for the log and for every feed, and tries again now and then what failed.
    fn tend_spool(&mut self) {
        let settings = self.node.settings.load();
        let spool = self.node.hub.spool();
        spool.configure(settings.repl_spool_memory, settings.repl_spool_limit);
        let now_ms = self.node.clock.unix_ms();
        if now_ms - self.last_retry_ms >= SPOOL_RETRY_MS {
            self.last_retry_ms = now_ms;
            spool.retry();
        }
        spool_log(&self.node, &self.sending.files);
        self.feeds.retain(WeakFeed::tend);
    }

    pub(super) fn forward(&self) {
        for buffer in self.buffers.values() {
            // A full mailbox holds a wake already.
            let _ = buffer.try_send(slave_buffer::Forward);
        }
    }
}

/// Forwards what was appended, once per burst.
struct Bursts;

impl ActorFuture<MasterActor> for Bursts {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut MasterActor,
        ctx: &mut Context<MasterActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        while actor.node.hub.poll_burst(task).is_ready() {
            let (end, now_ms) = (actor.node.hub.offset(), actor.node.clock.unix_ms());
            actor.master.wrote(end, now_ms);
            actor.forward();
            // A timer alone would let a fast writer fill the memory between two ticks: 60 MB, seen with 600 MB/s.
            let offset = actor.node.hub.offset();
            if offset.abs_diff(actor.looked_at) > LOOK_BYTES {
                actor.looked_at = offset;
                spool_log(&actor.node, &actor.sending.files);
                actor.with(ctx, |m, e, o| m.check_limits(e, o));
            }
        }
        Poll::Pending
    }
}

impl Actor for MasterActor {
    type Context = Context<MasterActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1024);
        ctx.spawn(Bursts);
        ctx.run_interval(TICK, |actor, ctx| {
            if actor.node.cron_paused.load(Ordering::Relaxed) {
                return;
            }
            actor.with(ctx, |m, e, o| m.tick(e, o));
            actor.answer_waiters();
            actor.tend_spool();
            actor.remove_sync_file();
        });
    }
}

/// A replica said something; with an offset if it was an ack.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Acked {
    pub id: u64,
    pub offset: Option<u64>,
    pub aof_offset: Option<u64>,
}

impl Handler<Acked> for MasterActor {
    type Result = ();

    fn handle(&mut self, acked: Acked, ctx: &mut Self::Context) {
        match acked.offset {
            Some(offset) => {
                self.with(ctx, |m, e, o| {
                    m.acked(e, acked.id, offset, acked.aof_offset, o);
                });
                self.answer_waiters();
            }
            None => {
                let now_ms = self.node.clock.unix_ms();
                if let Some(replica) = self.node.hub.board().replicas.get_mut(acked.id) {
                    replica.ack_ms = now_ms;
                }
            }
        }
    }
}

/// A replica's connection is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detached {
    pub id: u64,
}

impl Handler<Detached> for MasterActor {
    type Result = ();

    fn handle(&mut self, Detached { id }: Detached, ctx: &mut Self::Context) {
        self.buffers.remove(&id);
        self.node.clients.remove(id);
        let name = self.node.hub.board().replicas.get(id).map(Replica::name);
        if let Some(name) = name {
            tracing::info!("Connection with replica {name} lost.");
        }
        self.with(ctx, |m, e, o| m.detached(e, id, o));
    }
}

/// Our history changed: every replica must ask again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseReplicas {
    /// `Hub::epoch` after the promotion that this is about, if it is.
    pub promoted: Option<u64>,
}

impl Handler<CloseReplicas> for MasterActor {
    type Result = ();

    fn handle(&mut self, close: CloseReplicas, ctx: &mut Self::Context) {
        if close.promoted.is_some() && close.promoted == self.told_epoch {
            // Who has come since knows our new history.
            return;
        }
        self.with(ctx, |m, e, o| m.close_all(e, o));
    }
}

/// Asks for the observable state; the rest is in `Hub::observe`.
#[derive(Debug, Message)]
#[rtype(result = "Observed")]
pub struct Observe;

/// What the master is doing.
#[derive(Clone, Copy, Debug, MessageResponse)]
pub struct Observed {
    pub buffers: usize,
    pub waiters: usize,
    pub snapshot_running: bool,
}

impl Handler<Observe> for MasterActor {
    type Result = Observed;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observed {
        Observed {
            buffers: self.buffers.len(),
            waiters: self.waiters.len(),
            snapshot_running: self.master.snapshot_running(),
        }
    }
}
