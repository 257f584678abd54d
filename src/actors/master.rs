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
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use super::feed::Feed;
use super::messages::AttachReplica;
use super::slave_buffer::{self, SlaveBufferActor};
use super::snapshot::{AbortSnapshot, ForReplicas, Progress, SnapshotActor, Stage};
use crate::command::dispatch::unblock_error;
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
    /// For sockets: what the replicas take, and how its end is marked.
    feed: Option<(Feed, [u8; MARK])>,
    /// Everything is in the feed; it has ended when the replicas have taken it.
    produced: bool,
}

/// See the module.
pub struct MasterActor {
    node: Arc<NodeCore>,
    snapshots: Addr<SnapshotActor>,
    master: Master,
    buffers: HashMap<u64, Addr<SlaveBufferActor>>,
    waiters: Vec<Waiter>,
    running: Option<Running>,
    /// The last finished dump file for replicas.
    dump: Option<PathBuf>,
    /// Numbers snapshots, so that a report about one that was given up is told apart.
    number: u64,
}

impl MasterActor {
    pub fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> MasterActor {
        let master = Master::starting(node.clock.unix_ms());
        MasterActor {
            node,
            snapshots,
            master,
            buffers: HashMap::new(),
            waiters: Vec::new(),
            running: None,
            dump: None,
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
                hard: limit.hard,
                soft: limit.soft,
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
        let counts = self.master.counts;
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
        // Not only on a timer: who sees a replica online may rely on it being counted.
        let good = board
            .replicas
            .good(settings.min_replicas_max_lag_s, node.clock.unix_ms());
        node.hub.set_good_replicas(good);
        let grown = stream.log.end() != before;
        drop(board);
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
            Order::AbortSnapshot => {
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

impl MasterActor {
    // ---- snapshots ----

    fn start_snapshot(&mut self, target: Target, ctx: &mut Context<MasterActor>) {
        self.number += 1;
        let feed = match target {
            Target::Disk => None,
            Target::Sockets => {
                let id = ReplId::random(&*self.node.clock);
                let mut mark = [0; MARK];
                mark.copy_from_slice(id.as_bytes());
                Some((Feed::default(), mark))
            }
        };
        self.snapshots.do_send(ForReplicas {
            number: self.number,
            feed: feed.clone(),
            report: ctx.address().recipient(),
        });
        self.running = Some(Running {
            number: self.number,
            feed,
            produced: false,
        });
    }

    /// The cut is made: replicas that wait get their line, and those of a diskless sync its feed.
    fn snapshot_cut(&mut self, offset: u64, pin: Cursor, ctx: &mut Context<MasterActor>) {
        self.with(ctx, |m, e, o| m.snapshot_started(e, offset, pin, o));
        let Some((feed, mark)) = self.running.as_ref().and_then(|r| r.feed.clone()) else {
            return;
        };
        let takers = Master::takers(&self.node.hub.board().replicas);
        for id in &takers {
            feed.join(*id);
        }
        let header = Bytes::from(Form::Mark(mark).header());
        for id in takers {
            if let Some(buffer) = self.buffers.get(&id) {
                buffer.do_send(slave_buffer::Send(header.clone()));
                buffer.do_send(slave_buffer::TakeFeed(feed.clone()));
            } else {
                feed.leave(id);
            }
        }
        feed.open();
    }

    fn send_dump(&mut self, id: u64) {
        let opened = self
            .dump
            .as_ref()
            .ok_or_else(|| std::io::Error::other("no dump"))
            .and_then(File::open)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let Some(buffer) = self.buffers.get(&id) else {
            return;
        };
        match opened {
            Ok((length, file)) => {
                let header = Form::Length(length).header();
                buffer.do_send(slave_buffer::Send(header.into()));
                buffer.do_send(slave_buffer::TakeFile(file));
            }
            Err(error) => {
                tracing::warn!("SYNC failed. Can't open/stat DB after BGSAVE: {error}");
                buffer.do_send(slave_buffer::Close { last: None });
            }
        }
    }

    /// A diskless snapshot ends when everything is made and everybody has it.
    fn end_if_taken(&mut self, ctx: &mut Context<MasterActor>) {
        let produced = self.running.as_ref().is_some_and(|r| r.produced);
        if produced && Master::takers(&self.node.hub.board().replicas).is_empty() {
            self.running = None;
            self.with(ctx, |m, e, o| m.snapshot_ended(e, Ok(()), o));
        }
    }

    // ---- replicas ----

    fn attach(&mut self, attach: AttachReplica, ctx: &mut Context<MasterActor>) {
        let args: Vec<&[u8]> = attach.request.iter().map(|a| &a[..]).collect();
        let client = attach.client.clone();
        let request = match Request::parse(&args) {
            Ok(request) => request,
            Err(_) => {
                self.refuse(attach, "-ERR value is not an integer or out of range\r\n");
                return;
            }
        };
        if let Request::Psync {
            id, failover: true, ..
        } = &request
        {
            tracing::info!("Failover request received for replid {id}.");
            if !self.node.hub.is_replica() {
                self.refuse(attach, "-ERR PSYNC FAILOVER can't be sent to a master.\r\n");
                return;
            }
            if !id.eq_ignore_ascii_case(self.node.hub.history().id.as_str()) {
                self.refuse(
                    attach,
                    "-ERR PSYNC FAILOVER replid must match my replid.\r\n",
                );
                return;
            }
            // The promotion needs all shards, which may be busy: until then the request waits.
            match self.node.keyspace.try_enter(self.node.keyspace.all()) {
                Some(entered) => {
                    if let Some(services) = self.node.services.get() {
                        services.replicaof(None);
                    }
                    drop(entered);
                    tracing::info!(
                        "MASTER MODE enabled (failover request from '{}')",
                        client.addr
                    );
                }
                None => {
                    ctx.notify_later(attach, Duration::from_millis(1));
                    return;
                }
            }
        }
        let peer = client.addr.parse::<SocketAddr>().ok();
        let replconf = &attach.replconf;
        let replica = Replica {
            id: client.id,
            peer_ip: peer.map_or_else(String::new, |p| plain_ip(p.ip())),
            peer_port: peer.map_or(0, |p| p.port()),
            announced_ip: replconf.ip_address.clone().filter(|ip| !ip.is_empty()),
            listening_port: replconf.listening_port,
            capa_eof: replconf.capa_eof,
            capa_psync2: replconf.capa_psync2,
            state: ReplicaState::WaitSnapshot,
            legacy: false,
            dump_only: replconf.rdb_only,
            cursor: None,
            ack_offset: 0,
            ack_aof_offset: 0,
            ack_ms: 0,
            waits_for_ack: false,
        };
        let socket = match attach.socket.rebind() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!("A replica's socket could not be taken over: {error}");
                self.node.clients.remove(client.id);
                return;
            }
        };
        if let super::socket::Socket::Tcp(tcp) = &socket {
            let delay = self.node.settings.load().repl_disable_tcp_nodelay;
            let _ = tcp.set_nodelay(!delay);
        }
        client.view.lock().replica = true;
        let buffer = SlaveBufferActor::new(
            self.node.clone(),
            ctx.address(),
            client.clone(),
            socket,
            attach.output.freeze(),
            attach.input,
        )
        .start();
        self.buffers.insert(client.id, buffer.clone());
        let result = self.with(ctx, |m, e, o| m.attach(e, replica, &request, o));
        if let Err(error) = result {
            buffer.do_send(slave_buffer::Close {
                last: Some(Bytes::from_static(error.as_bytes())),
            });
        }
    }

    fn refuse(&self, attach: AttachReplica, error: &str) {
        if let Ok(socket) = attach.socket.rebind() {
            let _ = socket.try_write(&attach.output);
            let _ = socket.try_write(error.as_bytes());
        }
        self.node.clients.remove(attach.client.id);
    }

    // ---- WAIT ----

    /// Answers the waiters whose number is reached or whose time is up.
    fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let now_ms = self.node.clock.unix_ms();
        let board = self.node.hub.board();
        self.waiters.retain(|waiter| {
            if waiter.ticket.is_done() {
                return false;
            }
            let acked = if waiter.aof {
                board.replicas.acked_aof(waiter.offset)
            } else {
                board.replicas.acked(waiter.offset)
            };
            let late = waiter.deadline_ms.is_some_and(|at| at <= now_ms);
            if acked < waiter.replicas && !late {
                return true;
            }
            waiter.ticket.complete(&wait_reply(waiter.aof, acked));
            false
        });
    }
}

/// `:n`, or for WAITAOF `[0, n]`: without an append-only file nothing is fsynced here.
fn wait_reply(aof: bool, acked: usize) -> Vec<u8> {
    if aof {
        format!("*2\r\n:0\r\n:{acked}\r\n").into_bytes()
    } else {
        format!(":{acked}\r\n").into_bytes()
    }
}

/// An address as INFO shows it: IPv4 peers of a dual-stack socket in their own form.
fn plain_ip(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| v6.to_string(), |v4| v4.to_string()),
        IpAddr::V4(v4) => v4.to_string(),
    }
}

/// Forwards what was appended, once per burst.
struct Bursts;

impl ActorFuture<MasterActor> for Bursts {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut MasterActor,
        _: &mut Context<MasterActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        while actor.node.hub.poll_burst(task).is_ready() {
            actor.forward();
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
        });
    }
}

impl Handler<AttachReplica> for MasterActor {
    type Result = ();

    fn handle(&mut self, attach: AttachReplica, ctx: &mut Self::Context) {
        self.attach(attach, ctx);
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
        self.end_if_taken(ctx);
    }
}

/// A replica has all of a marked dump in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DumpStreamed {
    pub id: u64,
}

impl Handler<DumpStreamed> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpStreamed { id }: DumpStreamed, ctx: &mut Self::Context) {
        // A feed also ends when its snapshot fails; then the report of that closes the replica.
        if self.running.as_ref().is_some_and(|r| r.produced) {
            self.with(ctx, |m, e, o| m.dump_streamed(e, id, o));
            self.end_if_taken(ctx);
        }
    }
}

/// A replica has all of a dump file in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DumpSent {
    pub id: u64,
}

impl Handler<DumpSent> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpSent { id }: DumpSent, ctx: &mut Self::Context) {
        self.with(ctx, |m, e, o| m.dump_sent(e, id, o));
    }
}

impl Handler<Progress> for MasterActor {
    type Result = ();

    fn handle(&mut self, progress: Progress, ctx: &mut Self::Context) {
        if self.running.as_ref().map(|r| r.number) != Some(progress.number) {
            // One that was given up; its hold on the log goes with it.
            if let Stage::Cut { pin: Some(pin), .. } = progress.stage {
                self.node.hub.stream().log.detach(pin);
            }
            return;
        }
        match progress.stage {
            Stage::Cut {
                offset,
                pin: Some(pin),
            } => self.snapshot_cut(offset, pin, ctx),
            Stage::Cut { .. } => {}
            Stage::Ended(Ok(path)) => {
                if let Some(running) = &mut self.running
                    && let Some((feed, _)) = &running.feed
                {
                    running.produced = true;
                    feed.end();
                    self.end_if_taken(ctx);
                } else {
                    self.running = None;
                    self.dump = path;
                    self.with(ctx, |m, e, o| m.snapshot_ended(e, Ok(()), o));
                }
            }
            Stage::Ended(Err(error)) => {
                self.running = None;
                self.with(ctx, |m, e, o| m.snapshot_ended(e, Err(&error), o));
            }
        }
    }
}

/// Our history changed: every replica must ask again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseReplicas;

impl Handler<CloseReplicas> for MasterActor {
    type Result = ();

    fn handle(&mut self, _: CloseReplicas, ctx: &mut Self::Context) {
        self.with(ctx, |m, e, o| m.close_all(e, o));
    }
}

/// WAIT and WAITAOF.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wait {
    pub ticket: Arc<Ticket>,
    pub replicas: usize,
    pub offset: u64,
    /// Unix ms.
    pub deadline_ms: Option<i64>,
    pub aof: bool,
}

impl Handler<Wait> for MasterActor {
    type Result = ();

    fn handle(&mut self, wait: Wait, ctx: &mut Self::Context) {
        let node = self.node.clone();
        self.waiters.push(Waiter {
            ticket: wait.ticket,
            replicas: wait.replicas,
            offset: wait.offset,
            deadline_ms: wait.deadline_ms,
            aof: wait.aof,
        });
        self.answer_waiters();
        if self.waiters.is_empty() {
            return;
        }
        // Those who have it already need only be asked.
        node.hub.append_raw(wire::GETACK);
        self.forward();
        if let Some(deadline_ms) = wait.deadline_ms {
            let left_ms = (deadline_ms - node.clock.unix_ms()).max(0) as u64;
            ctx.run_later(Duration::from_millis(left_ms), |actor, _| {
                actor.answer_waiters();
            });
        }
    }
}

/// A waiting session is to be let go: `how` 2 with an error, else with the count so far.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unblock {
    pub ticket: Arc<Ticket>,
    pub how: u32,
}

impl Handler<Unblock> for MasterActor {
    type Result = ();

    fn handle(&mut self, unblock: Unblock, _: &mut Self::Context) {
        let Some(at) = self
            .waiters
            .iter()
            .position(|w| Arc::ptr_eq(&w.ticket, &unblock.ticket))
        else {
            return;
        };
        let waiter = self.waiters.swap_remove(at);
        let reply = if let Some(error) = unblock_error(unblock.how) {
            format!("-{error}\r\n").into_bytes()
        } else {
            let board = self.node.hub.board();
            let acked = if waiter.aof {
                board.replicas.acked_aof(waiter.offset)
            } else {
                board.replicas.acked(waiter.offset)
            };
            wait_reply(waiter.aof, acked)
        };
        waiter.ticket.complete(&reply);
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
