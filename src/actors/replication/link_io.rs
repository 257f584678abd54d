//! What a [`LinkDriver`](crate::repl::LinkDriver) has in a node that runs: a socket to the master, a loader
//! thread behind a bounded pipe, the keyspace, and the session that speaks for the master.
//!
//! Nothing is decided here. Whatever can't be done at once (a busy shard, paused clients) is noted in `busy`
//! and `paused`, and the [`SlaveLinkActor`](crate::actors::replication::slave_link::SlaveLinkActor) waits for it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::actors::replication::delta_fetch::{DeltaOutcome, DeltaPromise, FetchDelta};
use crate::actors::replication::failover::FailoverActor;
use crate::actors::replication::master::{CloseReplicas, MasterActor};
use crate::actors::replication::slave_stream::DiskWarning;
use crate::actors::replication::verification::VerificationActor;
use crate::background::discarded;
use crate::background::load_limit::{Limited, TooLarge};
use crate::background::loading::{self, LoadedDump};
use crate::background::pipe::{PipeWriter, pipe};
use crate::clients::client::Client;
use crate::clock::Clock;
use crate::command::Effects;
use crate::config::LoadFallback;
use crate::keyspace::Entered;
use crate::node_core::NodeCore;
use crate::os::outgoing;
use crate::os::priority;
use crate::rdb::opaque::Opaque;
use crate::repl::failover::Answered;
use crate::repl::guard::Offer;
use crate::repl::link::io::{DeltaReady, LinkSettings, LoadError, Swap};
use crate::repl::stream_databases;
use crate::repl::stream_input::StreamRunner;
use crate::repl::{FailoverState, Hub, LinkConfig, LinkIo};
use crate::resp::Reply;
use crate::resp::request::Batch;
use crate::session::{Origin, Session};
use crate::supervision::{Owner, turn};

/// Keys replaced by a delta resync that the log names at its most talkative.
const SHOWN_MAX: usize = 100;
/// Bytes of a dump between the link and the loader.
const PIPE_BYTES: usize = 4 << 20;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// A loader at work.
pub(crate) struct Loading {
    pub(crate) pipe: PipeWriter,
    outcome: Arc<Outcome>,
    too_large: TooLarge,
    loaded: Option<LoadedDump>,
}

/// Where the loader thread leaves its result.
#[derive(Default)]
struct Outcome {
    result: Mutex<Option<Result<LoadedDump, String>>>,
    waker: Mutex<Option<Waker>>,
}

/// See the module.
pub(super) struct LinkSocket {
    pub(crate) node: Arc<NodeCore>,
    master: Addr<MasterActor>,
    failover: Addr<FailoverActor>,
    /// Fetches what differs in a delta resync.
    verification: Addr<VerificationActor>,
    /// What it leaves of that.
    delta: Option<Arc<DeltaOutcome>>,
    pub(crate) connecting: Option<Connecting>,
    pub(crate) socket: Option<TcpStream>,
    pub(crate) output: BytesMut,
    pub(crate) loading: Option<Loading>,
    pub(crate) session: Session,
    pub(crate) reply: Reply,
    pub(crate) effects: Effects,
    /// Of whoever polls; taken by a wake.
    pub(crate) waker: Option<Waker>,
    /// The next command, or the swap, waits for shards, whose leaving wakes the polling task.
    pub(crate) busy: bool,
    /// A pause of clients holds our master's stream up.
    pub(crate) paused: bool,
    /// The session's client is in the registry.
    pub(crate) registered: bool,
    pub(crate) disk_warning: DiskWarning,
}

impl LinkSocket {
    pub(crate) fn new(
        node: Arc<NodeCore>,
        master: Addr<MasterActor>,
        failover: Addr<FailoverActor>,
        verification: Addr<VerificationActor>,
    ) -> LinkSocket {
        let session = master_session(&node, String::new(), String::new());
        LinkSocket {
            node,
            master,
            failover,
            verification,
            delta: None,
            connecting: None,
            socket: None,
            output: BytesMut::new(),
            loading: None,
            session,
            reply: Reply::default(),
            effects: Effects::default(),
            waker: None,
            busy: false,
            paused: false,
            registered: false,
            disk_warning: DiskWarning::default(),
        }
    }

    /// One that is as new.
    pub(super) fn renewed(&self) -> LinkSocket {
        LinkSocket::new(
            self.node.clone(),
            self.master.clone(),
            self.failover.clone(),
            self.verification.clone(),
        )
    }

    /// That of whoever polls.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone().unwrap_or_else(|| Waker::noop().clone())
    }

    /// Enters every shard, or notes that it has to be waited for.
    fn enter_all<'n>(&mut self, node: &'n NodeCore) -> Option<Entered<'n>> {
        let (keyspace, waker) = (&node.keyspace, self.waker());
        let task = TaskContext::from_waker(&waker);
        match keyspace.poll_enter(keyspace.all(), &task) {
            Poll::Ready(entered) => Some(entered),
            Poll::Pending => {
                self.busy = true;
                None
            }
        }
    }

    /// The connection stands: a new session speaks for the master.
    pub(crate) fn take_socket(&mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let name = |a: io::Result<SocketAddr>| a.map_or_else(|_| String::new(), |a| a.to_string());
        let (peer, local) = (name(stream.peer_addr()), name(stream.local_addr()));
        self.session = master_session(&self.node, peer, local);
        self.socket = Some(stream);
    }

    fn set_loading(&self, on: bool) {
        self.node
            .persistence
            .async_loading
            .store(on, Ordering::Relaxed);
    }
}

impl LinkIo for LinkSocket {
    fn hub(&self) -> &Hub {
        &self.node.hub
    }

    fn clock(&self) -> &dyn Clock {
        &*self.node.clock
    }

    fn settings(&self) -> LinkSettings {
        let settings = self.node.settings.load();
        LinkSettings {
            empty_master_guard: settings.replica_empty_master_guard,
            flush_if_too_large: settings.replica_load_fallback == LoadFallback::Flush,
            on_stream_error: settings.replica_on_stream_error,
            keep_discarded: settings.repl_keep_discarded,
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
            delta: settings.repl_delta_resync,
        }
    }

    fn connect(&mut self, config: &LinkConfig) {
        let connecting = outgoing::connect(&self.node, config.host.clone(), config.port);
        self.connecting = Some(Box::pin(connecting));
        self.wake();
    }

    fn disconnect(&mut self) {
        self.connecting = None;
        self.socket = None;
        self.output.clear();
        self.busy = false;
        self.paused = false;
        self.session.multi = None;
        self.session.unlogged.clear();
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.output.extend_from_slice(&bytes);
        self.wake();
    }

    fn link_is_up(&mut self, up: bool) {
        self.registered = up;
        if up {
            self.node.clients.add(self.session.client.clone());
        } else {
            self.node.clients.remove(self.session.client.id);
        }
    }

    fn begin_load(&mut self, unlimited: bool) {
        let (writer, reader) = pipe(PIPE_BYTES);
        let limit = self.node.settings.load().replica_load_memory_limit;
        let limit = if unlimited { 0 } else { limit };
        let reader = Limited::new(reader, self.node.clone(), limit);
        let too_large = reader.too_large();
        let outcome = Arc::new(Outcome::default());
        let (node, there) = (self.node.clone(), outcome.clone());
        let spawned = self.node.threads.spawn("loader", move || {
            priority::lower_after_first_piece();
            let loaded = turn(Owner::Loader, 0, || {
                node.supervision.step(Owner::Loader, "full sync");
                let mut dump = loading::read_transfer(&node, reader)?;
                node.supervision.step(Owner::Loader, "what it replaces");
                dump.discarded = discarded::keep(&node, &mut dump)?;
                Ok(dump)
            });
            let died = |panic| Err(format!("the loading thread died: {panic}"));
            let result = loaded.unwrap_or_else(died);
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
            pipe: writer,
            outcome,
            too_large,
            loaded: None,
        });
    }

    fn load(&mut self, bytes: Bytes) {
        if let Some(loading) = &self.loading {
            loading.pipe.push(bytes);
        }
    }

    fn finish_load(&mut self) {
        if let Some(loading) = &self.loading {
            loading.pipe.close(Ok(()));
        }
        self.wake();
    }

    fn abort_load(&mut self) {
        if let Some(loading) = self.loading.take() {
            loading.pipe.close(Err("the transfer was given up".into()));
            let result = loading.outcome.result.lock().take();
            if let Some(loaded) = loading.loaded.or(result.and_then(Result::ok)) {
                self.node.lazyfree.push(Box::new(loaded));
            }
            self.set_loading(false);
        }
    }

    fn loaded(&mut self) -> Option<Result<(), LoadError>> {
        let loading = self.loading.as_mut()?;
        if loading.loaded.is_some() {
            return Some(Ok(()));
        }
        // Registered before the look. If the waker is taken a wake is on its way, and with it the next look.
        loading.outcome.waker.lock().clone_from(&self.waker);
        let result = loading.outcome.result.lock().take()?;
        let databases = self.node.keyspace.databases();
        let result = result.and_then(|loaded| {
            let resumes_in = loaded.stream_db.unwrap_or(0);
            match stream_databases::refusal_to_resume(resumes_in, databases) {
                Some(why) => Err(why),
                None => Ok(loaded),
            }
        });
        Some(match result {
            Ok(loaded) => {
                loading.loaded = Some(loaded);
                Ok(())
            }
            Err(text) => Err(LoadError {
                text,
                too_large: loading.too_large.load(Ordering::Acquire),
            }),
        })
    }

    fn swap_in(&mut self, agree: &mut dyn FnMut(&Offer) -> bool) -> Swap {
        let node = self.node.clone();
        let Some(mut entered) = self.enter_all(&node) else {
            return Swap::Busy;
        };
        let Some(mut loaded) = self.loading.take().and_then(|loading| loading.loaded) else {
            return Swap::Refused;
        };
        self.set_loading(false);
        let offer = Offer {
            hub: &node.hub,
            is_empty: loaded.dataset.keys() == 0,
            replaces_data: (0..node.keyspace.databases()).any(|db| !entered.is_empty(db)),
            database: loaded.stream_db,
            diverged: loaded.diverged,
        };
        if !agree(&offer) {
            drop(entered);
            node.lazyfree.push(Box::new(loaded));
            return Swap::Refused;
        }
        loaded.tell();
        tracing::info!("MASTER <-> REPLICA sync: Swapping active DB with loaded DB");
        loading::swap_in(&node, &mut entered, loaded.dataset, loaded.opaque);
        drop(entered);
        if let Some(discarded) = loaded.discarded.take() {
            discarded.confirm(&node);
        }
        tracing::info!("MASTER <-> REPLICA sync: Discarding old DB in background");
        node.persistence.add_changes(1);
        Swap::Done
    }

    fn flush(&mut self, agree: &mut dyn FnMut(&Hub, &dyn Clock) -> bool) -> Swap {
        let node = self.node.clone();
        let Some(mut entered) = self.enter_all(&node) else {
            return Swap::Busy;
        };
        if !agree(&node.hub, &*node.clock) {
            return Swap::Refused;
        }
        let empty = node.keyspace.builder().finish();
        loading::swap_in(&node, &mut entered, empty, Opaque::default());
        Swap::Done
    }

    fn begin_delta(&mut self, host: String, port: u16) {
        let outcome = Arc::new(DeltaOutcome::default());
        self.delta = Some(outcome.clone());
        self.verification.do_send(FetchDelta {
            host,
            port,
            outcome: DeltaPromise(outcome),
        });
    }

    fn delta(&mut self) -> Option<Result<DeltaReady, String>> {
        let outcome = self.delta.as_ref()?;
        // Registered before the look, as for a load.
        outcome.look(&self.waker())
    }

    fn abort_delta(&mut self) {
        if let Some(fetched) = self.delta.take().and_then(|outcome| outcome.give_up()) {
            self.node.lazyfree.push(Box::new(fetched));
        }
    }

    fn patch_in(&mut self, agree: &mut dyn FnMut(&Hub) -> bool) -> Swap {
        let node = self.node.clone();
        let Some(mut entered) = self.enter_all(&node) else {
            return Swap::Busy;
        };
        let Some(fetched) = self.delta.take().and_then(|outcome| outcome.give_up()) else {
            return Swap::Refused;
        };
        let changed = node.keyspace.changes() != fetched.changes;
        if changed || !agree(&node.hub) {
            drop(entered);
            node.lazyfree.push(Box::new(fetched));
            return Swap::Refused;
        }
        let begin_us = node.clock.monotonic_us();
        let replaced = loading::patch_in(&node, &mut entered, fetched.patch, fetched.opaque);
        drop(entered);
        let took_us = node.clock.monotonic_us() - begin_us;
        tracing::info!(
            "MASTER <-> REPLICA sync: {} keys applied in one step of {took_us} us",
            replaced.len()
        );
        for key in replaced.iter().take(SHOWN_MAX) {
            tracing::debug!("MASTER <-> REPLICA sync: the master's took the place of {key}");
        }
        node.lazyfree.push(Box::new(replaced));
        node.persistence.add_changes(1);
        Swap::Done
    }

    fn select(&mut self, database: usize) {
        self.session.db = database;
        self.session.multi = None;
        self.session.unlogged.clear();
    }

    fn run_batch(
        &mut self,
        epoch: u64,
        batch: &Batch,
        bytes: &[u8],
        work: &mut dyn FnMut(&mut dyn StreamRunner),
    ) {
        self.run_through_dispatch(epoch, batch, bytes, work);
    }

    fn stream_is_held(&mut self) {
        let waker = self.waker();
        if self.node.hub.stream_hold().wake_when_released(&waker) {
            self.busy = true;
        } else {
            waker.wake();
        }
    }

    fn refuses_writes(&self) -> Option<&'static str> {
        self.disk_refuses_writes()
    }

    fn close_replicas(&mut self, promoted: Option<u64>) {
        self.master.do_send(CloseReplicas { promoted });
    }

    fn failover_answered(&mut self, answer: Answered) {
        self.failover
            .do_send(crate::actors::replication::failover::TargetAnswered(answer));
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
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
