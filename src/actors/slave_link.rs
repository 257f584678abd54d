//! The actor that is a replica to our master: it carries out what the pure [`Link`] decides.
//!
//! It owns the socket, runs the handshake, sends a full sync's dump through a bounded pipe to a loader
//! thread, swaps the loaded dataset in with every shard entered, and applies the stream in order through
//! dispatch, which logs each command's bytes as they came. A busy shard, a full pipe or a busy socket is
//! waited for asynchronously: reading from the master stops meanwhile, so memory is bounded by one read, one
//! pipe and one command.
//!
//! Death: the node stays a replica that no longer hears its master; the root restarts the actor, and the
//! next PSYNC goes on from the hub's replid and offset, which only ever name what was applied.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use super::failover::{Answered, FailoverActor};
use super::load_limit::{Limited, TooLarge};
use super::loading::{self, LoadedDump};
use super::master::{CloseReplicas, MasterActor};
use super::pipe::{PipeWriter, pipe};
use super::priority;
use crate::command::Effects;
use crate::keyspace::{Entered, Keyspace, ShardSet};
use crate::node_core::NodeCore;
use crate::repl::explain::{Resync, Side};
use crate::repl::{
    Action, Env, FailoverState, History, Link, LinkConfig, LinkState, LinkView, ReplId,
};
use crate::resp::Reply;
use crate::resp::request::{Batch, Parser};
use crate::session::{Client, Origin, Session};

const TICK: Duration = Duration::from_millis(100);
/// Bytes read from the master at a time.
const READ_BYTES: usize = 128 * 1024;
/// Bytes of a dump between the link and the loader.
const PIPE_BYTES: usize = 4 << 20;
/// Reads, or batches applied, in one poll before others get their turn.
const ROUNDS_MAX: usize = 8;

/// A loader at work.
struct Loading {
    id: ReplId,
    offset: u64,
    pipe: PipeWriter,
    outcome: Arc<Outcomes>,
    too_large: TooLarge,
    /// Loaded, waiting for all shards.
    loaded: Option<LoadedDump>,
    finished: bool,
}

/// Where the loader thread leaves its result.
#[derive(Default)]
struct Outcomes {
    result: Mutex<Option<Result<LoadedDump, String>>>,
    waker: Mutex<Option<Waker>>,
}

/// Why the guard refused, for the log and INFO.
const GUARDED: &str = "the master's dataset is empty and its replication ID is none that we know, while this \
    replica holds data. It may have restarted without its data. The old data serves on and the sync is tried \
    again; REPLICAOF host port FORCE takes the empty dataset (replica-empty-master-guard)";

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// See the module.
pub struct SlaveLinkActor {
    pub(super) node: Arc<NodeCore>,
    pub(super) master: Addr<MasterActor>,
    failover: Addr<FailoverActor>,
    pub(super) link: Option<Link>,
    /// `Hub::epoch` when the present link began: a later one makes what it receives void.
    pub(super) epoch: u64,
    connecting: Option<Connecting>,
    socket: Option<TcpStream>,
    pub(super) output: BytesMut,
    loading: Option<Loading>,
    pub(super) session: Session,
    pub(super) reply: Reply,
    pub(super) effects: Effects,
    pub(super) batch: Batch,
    pub(super) parser: Parser,
    /// Stream received and not applied.
    pub(super) input: BytesMut,
    buffer: Box<[u8]>,
    down_since_ms: Option<i64>,
    waker: Option<Waker>,
    /// Shards that the next command, or the swap, waits for.
    pub(super) busy: Option<ShardSet>,
    /// A pause of clients holds our master's stream up.
    pub(super) paused: bool,
    /// The old data is to go before the next load; it has gone.
    pub(super) flush_due: bool,
    pub(super) flushed: bool,
    /// The session's client is in the registry.
    registered: bool,
}

impl SlaveLinkActor {
    /// A link that does nothing until it is told to [`Begin`].
    pub fn new(
        node: Arc<NodeCore>,
        master: Addr<MasterActor>,
        failover: Addr<FailoverActor>,
    ) -> SlaveLinkActor {
        let session = master_session(&node, String::new(), String::new());
        SlaveLinkActor {
            node,
            master,
            failover,
            link: None,
            epoch: 0,
            connecting: None,
            socket: None,
            output: BytesMut::new(),
            loading: None,
            session,
            reply: Reply::default(),
            effects: Effects::default(),
            batch: Batch::default(),
            parser: Parser::default(),
            input: BytesMut::new(),
            buffer: vec![0; READ_BYTES].into(),
            down_since_ms: None,
            waker: None,
            busy: None,
            paused: false,
            flush_due: false,
            flushed: false,
            registered: false,
        }
    }

    fn config(&self, host: String, port: u16) -> LinkConfig {
        let settings = self.node.settings.load();
        LinkConfig {
            host,
            port,
            user: settings.masteruser.clone().filter(|u| !u.is_empty()),
            password: settings.masterauth.clone().filter(|p| !p.is_empty()),
            announce_port: match settings.replica_announce_port {
                0 => settings.port,
                port => port,
            },
            announce_ip: settings
                .replica_announce_ip
                .clone()
                .filter(|ip| !ip.is_empty()),
            timeout_ms: settings.repl_timeout as i64 * 1000,
            failover: self.node.hub.failover().state() == FailoverState::InProgress,
        }
    }

    /// Starts a link to the master that the hub names.
    fn begin(&mut self, resumable: bool) {
        self.epoch = self.node.hub.epoch();
        let address = self
            .node
            .hub
            .board()
            .link
            .as_ref()
            .map(|l| (l.host.clone(), l.port));
        if let Some((host, port)) = address {
            let config = self.config(host, port);
            self.link = Some(Link::new(config, resumable));
        }
    }

    fn env(&self) -> Env {
        let stream = self.node.hub.stream();
        Env {
            now_ms: self.node.clock.unix_ms(),
            id: stream.history.id,
            offset: stream.log.end(),
            random: self.node.clock.random(),
        }
    }

    pub(super) fn with_link(&mut self, f: impl FnOnce(&mut Link, &Env, &mut Vec<Action>)) {
        let env = self.env();
        let mut actions = Vec::new();
        if let Some(link) = &mut self.link {
            f(link, &env, &mut actions);
        }
        for action in actions {
            self.act(action);
        }
        self.publish();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect => self.connect(),
            Action::Close => self.close(),
            Action::Send(bytes) => {
                self.output.extend_from_slice(&bytes);
                self.wake();
            }
            Action::BeginLoad { id, offset, .. } => self.begin_load(id, offset),
            Action::Load(bytes) => {
                if let Some(loading) = &self.loading {
                    loading.pipe.push(bytes);
                }
            }
            Action::FinishLoad => {
                if let Some(loading) = &mut self.loading {
                    loading.pipe.close(Ok(()));
                    loading.finished = true;
                }
                self.wake();
            }
            Action::AbortLoad => self.abort_load(),
            Action::Continue { new_id } => {
                // The leave to be emptied was for this sync, and it is not needed.
                self.node.hub.lift_guard(false);
                self.node.hub.board().guard.clear();
                let mut stream = self.node.hub.stream();
                stream.active = true;
                self.session.db = stream.database.unwrap_or(0);
                if let Some(id) = new_id {
                    let end = stream.log.end();
                    stream.history.shift(id, end);
                }
                drop(stream);
                if new_id.is_some() {
                    self.master.do_send(CloseReplicas { promoted: None });
                }
            }
            Action::Apply(bytes) => self.input.extend_from_slice(&bytes),
            Action::Resync { reason } => self.explain(reason),
            Action::FailoverAccepted => self.failover.do_send(Answered::Accepted),
            Action::FailoverRefused(why) => self.failover.do_send(Answered::Refused(why)),
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn connect(&mut self) {
        let Some(link) = &self.link else { return };
        let config = link.config().clone();
        let settings = self.node.settings.load();
        let source = settings
            .bind_source_addr
            .as_deref()
            .and_then(|a| a.parse().ok());
        self.connecting = Some(Box::pin(async move {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in tokio::net::lookup_host((config.host.as_str(), config.port)).await? {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                if let Some(ip) = source {
                    socket.bind(SocketAddr::new(ip, 0))?;
                }
                match socket.connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }));
        self.wake();
    }

    /// Drops the connection and what it brought that wasn't applied.
    fn close(&mut self) {
        self.connecting = None;
        self.socket = None;
        self.output.clear();
        self.input.clear();
        self.parser.reset();
        self.busy = None;
        self.paused = false;
        self.session.multi = None;
        self.session.unlogged.clear();
    }

    // ---- full sync ----

    fn begin_load(&mut self, id: ReplId, offset: u64) {
        // Who came by the old SYNC has no id; ours must be one that no master knows.
        let id = if id == ReplId::ZERO {
            ReplId::random(&*self.node.clock)
        } else {
            id
        };
        let (writer, reader) = pipe(PIPE_BYTES);
        let limit = self.node.settings.load().replica_load_memory_limit;
        let limit = if self.flushed { 0 } else { limit };
        let reader = Limited::new(reader, self.node.clone(), limit);
        let too_large = reader.too_large();
        let outcome = Arc::new(Outcomes::default());
        let (node, there) = (self.node.clone(), outcome.clone());
        let spawned = std::thread::Builder::new()
            .name("loader".into())
            .spawn(move || {
                priority::stand_back();
                let result = loading::read_transfer(&node, reader);
                *there.result.lock() = Some(result);
                if let Some(waker) = there.waker.lock().take() {
                    waker.wake();
                }
            });
        if let Err(error) = spawned {
            *outcome.result.lock() = Some(Err(error.to_string()));
        }
        self.set_loading(true);
        self.loading = Some(Loading {
            id,
            offset,
            pipe: writer,
            outcome,
            too_large,
            loaded: None,
            finished: false,
        });
    }

    fn abort_load(&mut self) {
        if let Some(loading) = self.loading.take() {
            loading.pipe.close(Err("the transfer was given up".into()));
            if let Some(loaded) = loading.loaded {
                self.node.lazyfree.push(Box::new(loaded));
            }
            self.set_loading(false);
            tracing::info!("MASTER <-> REPLICA sync: Discarding temporary DB in background");
        }
    }

    fn set_loading(&self, on: bool) {
        self.node
            .persistence
            .async_loading
            .store(on, Ordering::Relaxed);
    }

    /// Looks after the loader: its result, and then the swap.
    fn poll_loading(&mut self, cx: &mut TaskContext<'_>) {
        if self.flush_due {
            self.flush_old();
        }
        let Some(loading) = &mut self.loading else {
            return;
        };
        if loading.loaded.is_none() {
            *loading.outcome.waker.lock() = Some(cx.waker().clone());
            let result = loading.outcome.result.lock().take();
            match result {
                None => return,
                Some(Err(error)) => {
                    let too_large = loading.too_large.load(Ordering::Acquire);
                    self.with_link(|l, e, o| l.load_failed(e, &error, o));
                    if too_large {
                        self.fall_back();
                    }
                    return;
                }
                Some(Ok(loaded)) => loading.loaded = Some(loaded),
            }
        }
        if !loading.finished {
            // The dump's own end came before the transfer's: the rest is still on its way.
            return;
        }
        if self.epoch != self.node.hub.epoch() {
            return;
        }
        let node = self.node.clone();
        let Some(mut entered) = node.keyspace.try_enter(node.keyspace.all()) else {
            self.busy = Some(node.keyspace.all());
            return;
        };
        let Some(loading) = self.loading.take() else {
            return;
        };
        let Some(loaded) = loading.loaded else {
            return;
        };
        if self.guards(&entered, loading.id, &loaded) {
            drop(entered);
            node.lazyfree.push(Box::new(loaded));
            self.set_loading(false);
            node.hub.board().guard.refuse(node.clock.unix_ms());
            self.with_link(|l, e, o| l.refused(e, GUARDED, o));
            return;
        }
        node.hub.lift_guard(false);
        node.hub.board().guard.clear();
        loaded.tell();
        tracing::info!("MASTER <-> REPLICA sync: Swapping active DB with loaded DB");
        let dropped = entered.replace(loaded.dataset, node.clock.unix_ms());
        let database = loaded.stream_db;
        node.hub
            .stream()
            .adopt(History::new(loading.id), loading.offset, database);
        drop(entered);
        node.lazyfree.push(Box::new(dropped));
        tracing::info!("MASTER <-> REPLICA sync: Discarding old DB in background");
        self.set_loading(false);
        self.flushed = false;
        node.persistence.add_changes(1);
        self.session.db = database.unwrap_or(0);
        self.session.multi = None;
        self.session.unlogged.clear();
        self.master.do_send(CloseReplicas { promoted: None });
        self.with_link(|l, e, o| l.loaded(e, o));
    }

    /// Whether the dump must not replace our data: we hold some, the master's dataset is empty, its history is
    /// none of ours, and nobody gave leave.
    fn guards(&self, entered: &Entered<'_>, id: ReplId, loaded: &LoadedDump) -> bool {
        if loaded.dataset.keys() > 0
            || !self.node.settings.load().replica_empty_master_guard
            || self.node.hub.guard_is_lifted()
        {
            return false;
        }
        let history = self.node.hub.history();
        let known = id == history.id || id == history.id2;
        let databases = self.node.keyspace.databases();
        let holds_data = (0..databases).any(|db| !entered.is_empty(db));
        holds_data && !known
    }

    /// Keeps the reason of a full resync of ours.
    fn explain(&self, reason: String) {
        let peer = self.link.as_ref().map_or_else(String::new, |link| {
            format!("{}:{}", link.config().host, link.config().port)
        });
        tracing::info!("Full resync with master {peer}: {reason}");
        self.node.hub.board().explain.record(Resync {
            at_ms: self.node.clock.unix_ms(),
            side: Side::Replica,
            peer,
            reason,
        });
    }

    // ---- the socket ----

    fn poll_work(&mut self, cx: &mut TaskContext<'_>) {
        self.waker = Some(cx.waker().clone());
        self.poll_connecting(cx);
        if self.registered {
            // Nothing is pushed to a master, but this is how a kill reaches us.
            let _ = self.session.client.take_output(cx.waker());
            if self.session.client.killed.load(Ordering::Acquire) {
                self.with_link(|l, e, o| l.closed(e, "killed", o));
            }
        }
        for _ in 0..ROUNDS_MAX {
            if std::mem::take(&mut self.paused) {
                // Its end by itself is noticed at the next tick.
                let now_ms = self.node.clock.unix_ms();
                if !self.node.pause.wake_when_over(cx.waker(), now_ms) {
                    self.paused = true;
                    self.flush(cx);
                    self.busy_with_input();
                    return;
                }
            }
            if let Some(set) = self.busy.take() {
                // Registered before the next try, so that a shard left in between isn't missed.
                self.node.keyspace.wake_when_free(set, cx.waker());
            }
            self.poll_loading(cx);
            self.apply();
            self.flush(cx);
            if self.busy.is_some() {
                if is_free(&self.node.keyspace, self.busy) {
                    continue;
                }
                let set = self.busy;
                if let Some(set) = set {
                    self.node.keyspace.wake_when_free(set, cx.waker());
                }
                if is_free(&self.node.keyspace, set) {
                    cx.waker().wake_by_ref();
                }
                self.busy_with_input();
                return;
            }
            if !self.read(cx) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    fn poll_connecting(&mut self, cx: &mut TaskContext<'_>) {
        let Some(connecting) = &mut self.connecting else {
            return;
        };
        let Poll::Ready(result) = connecting.as_mut().poll(cx) else {
            return;
        };
        self.connecting = None;
        match result {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                let name =
                    |a: io::Result<SocketAddr>| a.map_or_else(|_| String::new(), |a| a.to_string());
                let (peer, local) = (name(stream.peer_addr()), name(stream.local_addr()));
                self.session = master_session(&self.node, peer, local);
                self.socket = Some(stream);
                self.with_link(|l, e, o| l.connected(e, o));
            }
            Err(error) => {
                let text = error.to_string();
                self.with_link(|l, e, o| l.closed(e, &text, o));
            }
        }
    }

    fn flush(&mut self, cx: &mut TaskContext<'_>) {
        while !self.output.is_empty() {
            let Some(socket) = &self.socket else { return };
            match socket.try_write(&self.output) {
                Ok(n) => self.output.advance(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if socket.poll_write_ready(cx).is_pending() {
                        return;
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    self.with_link(|l, e, o| l.closed(e, &text, o));
                    return;
                }
            }
        }
    }

    /// What came is still to be dealt with, and nothing is read meanwhile: the silence is ours.
    fn busy_with_input(&mut self) {
        let env = self.env();
        if let Some(link) = &mut self.link {
            link.touch(&env);
        }
    }

    /// Reads once. False if there is nothing to read now, or no place for it.
    fn read(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let Some(link) = &self.link else { return false };
        if !link.wants_read() {
            return false;
        }
        if let Some(loading) = &self.loading
            && !loading.pipe.has_room(cx.waker())
        {
            self.busy_with_input();
            return false;
        }
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let mut read = ReadBuf::new(&mut self.buffer);
        let polled = Pin::new(socket).poll_read(cx, &mut read);
        let filled = read.filled().len();
        match polled.map_ok(|()| filled) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.with_link(|l, e, o| l.closed(e, "connection lost", o));
                // A link that worked is tried again at once.
                self.with_link(|l, e, o| l.tick(e, o));
                false
            }
            Poll::Ready(Ok(n)) => {
                self.node.stats.net_repl_input_bytes.add(n as u64);
                let bytes = Bytes::copy_from_slice(&self.buffer[..n]);
                self.with_link(|l, e, o| l.received(e, bytes, o));
                if self.loading.is_some() {
                    priority::let_others_in();
                }
                true
            }
            Poll::Ready(Err(error)) => {
                let text = error.to_string();
                self.with_link(|l, e, o| l.closed(e, &text, o));
                false
            }
        }
    }

    /// Shows INFO, ROLE and dispatch where the link stands.
    fn publish(&mut self) {
        let Some(link) = &self.link else { return };
        let state = link.state();
        let up = state == LinkState::Connected;
        // CLIENT LIST and KILL know our master while it is one.
        if up != self.registered {
            self.registered = up;
            if up {
                self.node.clients.add(self.session.client.clone());
            } else {
                self.node.clients.remove(self.session.client.id);
            }
        }
        if up {
            self.down_since_ms = None;
        } else if self.node.hub.link_up() {
            self.down_since_ms = Some(self.node.clock.unix_ms());
        }
        if self.epoch != self.node.hub.epoch() {
            return;
        }
        self.node.hub.set_link_up(up);
        let read_offset = self.node.hub.offset() + self.input.len() as u64;
        let now_ms = self.node.clock.unix_ms();
        let mut board = self.node.hub.board();
        if let Some(view) = &mut board.link {
            *view = LinkView {
                host: std::mem::take(&mut view.host),
                port: view.port,
                state,
                last_io_ms: Some(link.last_io_ms()).filter(|ms| *ms > 0),
                down_since_ms: self.down_since_ms,
                transfer: link.progress(),
                transfer_eta_ms: link.eta_ms(now_ms),
                queue_place: link.queue_place(),
                trouble: link.trouble().map(str::to_owned),
                resumable: link.resumable(),
                read_offset,
            };
        }
    }
}

/// The session that speaks for our master.
fn master_session(node: &NodeCore, peer: String, local: String) -> Session {
    let now_ms = node.clock.unix_ms();
    let client = Client::new(node.clients.next_id(), peer, local, now_ms);
    client.view.lock().master = true;
    let mut session = Session::new(client, Origin::Master);
    session.authenticated = true;
    session
}

fn is_free(keyspace: &Keyspace, set: Option<ShardSet>) -> bool {
    set.is_some_and(|set| !set.is_empty() && keyspace.try_enter(set).is_some())
}

struct Work;

impl ActorFuture<SlaveLinkActor> for Work {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut SlaveLinkActor,
        _: &mut Context<SlaveLinkActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        actor.poll_work(task);
        Poll::Pending
    }
}

impl Actor for SlaveLinkActor {
    type Context = Context<SlaveLinkActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(16);
        ctx.spawn(Work);
        ctx.run_interval(TICK, |actor, _| {
            if let Some(link) = &actor.link {
                let config = link.config();
                let (host, port) = (config.host.clone(), config.port);
                let config = actor.config(host, port);
                if let Some(link) = &mut actor.link {
                    link.set_config(config);
                }
                actor.with_link(|l, e, o| l.tick(e, o));
                actor.wake();
            }
        });
    }
}

/// The node has its data: if it is a replica, connect. `resumable`: the replid and offset in the hub were
/// taken up from a dump.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Begin {
    pub resumable: bool,
}

impl Handler<Begin> for SlaveLinkActor {
    type Result = ();

    fn handle(&mut self, begin: Begin, _: &mut Self::Context) {
        if self.link.is_none() && self.node.hub.is_replica() {
            self.begin(begin.resumable);
            self.with_link(|l, e, o| l.tick(e, o));
        }
        self.epoch = self.node.hub.epoch();
    }
}

/// The hub's role or master has changed: follow it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retarget;

impl Handler<Retarget> for SlaveLinkActor {
    type Result = ();

    fn handle(&mut self, _: Retarget, _: &mut Self::Context) {
        if self.epoch == self.node.hub.epoch() {
            return;
        }
        let mut resumable = true;
        if let Some(mut link) = self.link.take() {
            resumable = link.resumable();
            let mut actions = Vec::new();
            link.stop(&mut actions);
            for action in actions {
                self.act(action);
            }
        } else if self.node.hub.is_replica() {
            tracing::info!(
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I \
                 may be able to synchronize with the new master with just a partial transfer."
            );
        }
        self.close();
        if std::mem::take(&mut self.registered) {
            self.node.clients.remove(self.session.client.id);
            self.down_since_ms = Some(self.node.clock.unix_ms());
        }
        if !self.node.hub.is_replica() {
            self.down_since_ms = None;
        }
        self.flush_due = false;
        self.flushed = false;
        self.epoch = self.node.hub.epoch();
        if self.node.hub.is_replica() {
            self.begin(resumable);
        } else {
            self.master.do_send(CloseReplicas {
                promoted: Some(self.epoch),
            });
        }
        self.with_link(|l, e, o| l.tick(e, o));
        self.wake();
    }
}

/// Asks for the observable state; the rest is in `Hub::observe`.
#[derive(Debug, Message)]
#[rtype(result = "Observed")]
pub struct Observe;

/// What the link is doing.
#[derive(Clone, Copy, Debug, MessageResponse)]
pub struct Observed {
    pub state: Option<LinkState>,
    /// Bytes of stream received and not applied.
    pub unapplied: usize,
    pub loading: bool,
}

impl Handler<Observe> for SlaveLinkActor {
    type Result = Observed;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observed {
        Observed {
            state: self.link.as_ref().map(Link::state),
            unapplied: self.input.len(),
            loading: self.loading.is_some(),
        }
    }
}
