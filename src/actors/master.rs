//! The actor that is a master to our replicas: it carries out what [`Master`] decides.
//!
//! It owns who follows whom and when; the log, the replids and the table of replicas are in the hub, where
//! the request path and INFO see them. It is woken once per burst of writes ([`Hub::wake`]), tells each
//! SlaveBufferActor to go on, and answers WAIT when acks come in. It runs on the background arbiter with the
//! slave buffers, so a message between them is no thread switch.
//!
//! Death: the node's. Without it replicas would silently stop, so the root stops the node.
//!
//! [`Hub::wake`]: crate::repl::Hub::wake

use std::collections::HashMap;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use super::feed::Feed;
use super::messages::AttachReplica;
use super::slave_buffer::{self, SlaveBufferActor};
use super::snapshot::{AbortSnapshot, Purpose, SnapshotActor, StartSnapshot};
use crate::config::Settings;
use crate::node_core::NodeCore;
use crate::repl::transfer::{Form, MARK};
use crate::repl::{
    Cursor, Master, MasterEnv, MasterSettings, Order, OutputLimit, ReplId, Replica, ReplicaState,
    Request, Target, wire,
};
use crate::session::Ticket;

/// Between two looks at timers.
const TICK: Duration = Duration::from_millis(100);

/// A session that waits for acks.
struct Waiter {
    ticket: Arc<Ticket>,
    replicas: usize,
    offset: u64,
    deadline_ms: Option<i64>,
    /// WAITAOF: the answer is a pair and counts fsynced offsets.
    aof: bool,
}

/// The snapshot for replicas that was ordered last.
struct Running {
    number: u64,
    /// For sockets.
    feed: Option<(Feed, [u8; MARK])>,
    path: Option<PathBuf>,
}

/// See the module.
pub struct MasterActor {
    node: Arc<NodeCore>,
    snapshots: Addr<SnapshotActor>,
    master: Master,
    buffers: HashMap<u64, Addr<SlaveBufferActor>>,
    waiters: Vec<Waiter>,
    running: Option<Running>,
    /// Numbers snapshots, so that a report about one that was given up is told apart.
    number: u64,
}

impl MasterActor {
    pub fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> MasterActor {
        let mut master = Master::default();
        master.alone_from(node.clock.unix_ms());
        MasterActor {
            node,
            snapshots,
            master,
            buffers: HashMap::new(),
            waiters: Vec::new(),
            running: None,
            number: 0,
        }
    }

    fn settings(settings: &Settings) -> MasterSettings {
        let limit = &settings.client_output_buffer_limit.replica;
        MasterSettings {
            diskless: settings.repl_diskless_sync,
            diskless_delay_ms: settings.repl_diskless_sync_delay as i64 * 1000,
            diskless_max_replicas: settings.repl_diskless_sync_max_replicas as usize,
            ping_period_ms: settings.repl_ping_replica_period as i64 * 1000,
            timeout_ms: settings.repl_timeout as i64 * 1000,
            backlog_ttl_ms: settings.repl_backlog_ttl as i64 * 1000,
            limit: OutputLimit {
                hard: limit.hard_bytes,
                soft: limit.soft_bytes,
                soft_s: limit.soft_seconds,
            },
            min_replicas_max_lag_s: settings.min_replicas_max_lag as i64,
        }
    }

    /// Runs one event of the pure master and carries out what it says.
    fn with<R>(
        &mut self,
        ctx: &mut Context<MasterActor>,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<Order>) -> R,
    ) -> R {
        let node = self.node.clone();
        let settings = MasterActor::settings(&node.settings.load());
        let mut orders = Vec::new();
        let mut stream = node.hub.stream();
        let mut board = node.hub.board();
        let before = stream.log.end();
        let mut env = MasterEnv {
            now_ms: node.clock.unix_ms(),
            stream: &mut stream,
            replicas: &mut board.replicas,
            settings: &settings,
            clock: &*node.clock,
            is_replica: node.hub.is_replica(),
            link_up: node.hub.link_up(),
        };
        let result = f(&mut self.master, &mut env, &mut orders);
        board.counts = self.master.counts;
        let grown = stream.log.end() != before;
        drop(board);
        drop(stream);
        let counts = self.master.counts;
        node.stats.sync_full.set(counts.full);
        node.stats.sync_partial_ok.set(counts.partial_ok);
        node.stats.sync_partial_err.set(counts.partial_err);
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
            Order::AbortSnapshot => {
                if let Some(running) = self.running.take() {
                    self.snapshots.do_send(AbortSnapshot {
                        number: running.number,
                    });
                    SnapshotActor::abort_now(&self.snapshots, running.number);
                }
            }
            Order::Close { id } => {
                if let Some(buffer) = self.buffers.get(&id) {
                    buffer.do_send(slave_buffer::Close { last: None });
                }
            }
        }
    }

    fn send(&self, id: u64, bytes: Bytes) {
        if let Some(buffer) = self.buffers.get(&id) {
            buffer.do_send(slave_buffer::Send(bytes));
        }
    }

    fn forward(&self) {
        for buffer in self.buffers.values() {
            // A full mailbox holds a wake already.
            let _ = buffer.try_send(slave_buffer::Forward);
        }
    }
}
