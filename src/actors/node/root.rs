//! The actor that is a node's beginning and end: it starts the others in order and stops them in order.
//!
//! Order of start: shards, replication, receptions, then listeners, so that no client can arrive before everything
//! that it may ask for is there. Order of stop: writes paused until the replicas have caught up (bounded by
//! `shutdown-timeout`), the dump if one is wanted; then the node is closed, which ends every client's waiting and
//! every thread's work, and listeners and arbiters stop. With the last arbiter the other actors go, and with them
//! what they hold.
//!
//! Death: the node's, as `supervisor::rescue` says.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::actors::clients::reception::{ListenerActor, ReceptionActor, StopListening};
use crate::actors::messages::AttachReplica;
use crate::actors::migration::MigrationActor;
use crate::actors::node::cron::CronActor;
use crate::actors::node::services::ActorServices;
use crate::actors::node::shutdown::ShutdownState;
use crate::actors::replication::Replication;
use crate::actors::shard::ShardActor;
use crate::actors::supervisor::{self, rescue, watchdog};
use crate::background::aside::Aside;
use crate::background::freeing;
use crate::background::loading::{self, Expired, LoadedDump};
use crate::background::script_threads::ScriptThreads;
use crate::config::Settings;
use crate::may_block;
use crate::node_core::NodeCore;
use crate::node_core::threads::Running;
use crate::os::config_file::ConfigFile;
use crate::os::listener::Listener;
use crate::os::system_probe;
use crate::repl::{ReplId, stream_databases, wire};
use crate::supervision::{EXIT_UNSAVED, Owner};

/// What a root actor begins with.
pub(crate) struct RootParts {
    pub(crate) node: Arc<NodeCore>,
    pub(crate) listeners: Vec<Listener>,
    /// The dump to load.
    pub(crate) dump: Option<File>,
    /// What CONFIG REWRITE writes.
    pub(crate) config_file: Option<ConfigFile>,
}

/// How many arbiters serve connections: `arbiters`, by default one less than there are cores. 0: the background
/// arbiter serves, since the node starts without a socket.
pub(crate) fn serving_arbiters(settings: &Settings, listens: bool) -> usize {
    match settings.arbiters {
        0 if !listens => 0,
        0 => std::thread::available_parallelism()
            .map_or(1, |n| n.get())
            .saturating_sub(1)
            .max(1),
        n => n,
    }
}

/// See the module.
pub struct Root {
    pub(crate) node: Arc<NodeCore>,
    listeners: Vec<Listener>,
    dump: Option<File>,
    config_file: Option<ConfigFile>,
    listening_tcp: Vec<Addr<ListenerActor>>,
    listening_unix: Vec<Addr<ListenerActor>>,
    receptions: Vec<Addr<ReceptionActor>>,
    arbiters: Vec<Arbiter>,
    pub(crate) replication: Option<Replication>,
    pub(crate) shutdown: ShutdownState,
    /// Gets the arbiters, stopped, when the node is closed.
    done: Option<oneshot::Sender<Vec<Arbiter>>>,
}

impl Root {
    pub(crate) fn new(parts: RootParts, done: oneshot::Sender<Vec<Arbiter>>) -> Root {
        Root {
            node: parts.node,
            listeners: parts.listeners,
            dump: parts.dump,
            config_file: parts.config_file,
            listening_tcp: Vec::new(),
            listening_unix: Vec::new(),
            receptions: Vec::new(),
            arbiters: Vec::new(),
            replication: None,
            shutdown: ShutdownState::default(),
            done: Some(done),
        }
    }

    /// The arbiters that serve: this one if there are no others.
    fn serving(&self) -> Vec<ArbiterHandle> {
        match self.arbiters.as_slice() {
            [] => vec![Arbiter::current()],
            arbiters => arbiters.iter().map(Arbiter::handle).collect(),
        }
    }

    /// Starts what receives clients, and everything that listens.
    fn open(&mut self, replicas: Recipient<AttachReplica>) {
        for (index, arbiter) in self.serving().iter().enumerate() {
            let (node, replicas) = (self.node.clone(), replicas.clone());
            let make = move || ReceptionActor::new(node, replicas, index == 0);
            let owner = Owner::Reception;
            let reception = supervisor::start_in_arbiter(&self.node, owner, arbiter, make);
            self.receptions.push(reception);
        }
        for listener in self.listeners.drain(..) {
            let listening = match &listener {
                Listener::Tcp(_) => &mut self.listening_tcp,
                Listener::Unix(..) => &mut self.listening_unix,
            };
            let listener = ListenerActor::new(self.node.clone(), listener, self.receptions.clone());
            listening.push(supervisor::start(&self.node, Owner::Listener, listener));
        }
    }

    /// Begins to load the dump, if there is one: clients are answered LOADING until it is in.
    fn load_dump(&mut self, ctx: &mut Context<Root>) -> bool {
        let Some(file) = self.dump.take() else {
            return false;
        };
        self.node.loading.store(true, Ordering::Release);
        // What our master sent and has expired since goes when it says so.
        let keep = if self.node.settings.load().replicaof.is_some() {
            Expired::Keep
        } else {
            Expired::Drop
        };
        let started_us = self.node.clock.monotonic_us();
        let work = loading::read_aside(self.node.clone(), file, keep).into_actor(self);
        ctx.spawn(work.map(move |result, root, _| match result {
            Ok(dump) => root.loaded(dump, started_us),
            Err(error) => root.not_loaded(&error),
        }));
        true
    }

    fn not_loaded(&mut self, error: &str) {
        tracing::error!("Fatal error loading the DB: {error}. Exiting.");
        tracing::error!("Terminating server after rdb file reading failure.");
        self.stop(1, Some(format!("Fatal error loading the DB: {error}")));
    }

    /// The dump was read: it becomes the dataset.
    fn loaded(&mut self, dump: LoadedDump, started_us: u64) {
        let took_us = self.node.clock.monotonic_us() - started_us;
        let (keys, expired) = dump.tell();
        tracing::info!("DB loaded from disk: {:.3} seconds", took_us as f64 / 1e6);
        let persistence = &self.node.persistence;
        persistence.loaded_keys.store(keys, Ordering::Relaxed);
        persistence.loaded_expired.store(expired, Ordering::Relaxed);
        // Nobody else is inside while clients are answered LOADING, so this does not wait.
        let all = self.node.keyspace.all();
        let Some(mut entered) = self.node.keyspace.enter_unless_poisoned(all) else {
            // The node ends.
            return;
        };
        loading::swap_in(&self.node, &mut entered, dump.dataset, dump.opaque);
        persistence.nothing_unsaved(self.node.keyspace.changes());
        let mut taken_up = false;
        if let Some((id, offset)) = dump.replication {
            let (database, diverged) = (dump.stream_db, dump.diverged);
            taken_up = self.take_up_stream((id, offset), database, diverged, &dump.expired);
        }
        drop(entered);
        self.ready(taken_up);
    }

    /// The dataset is in place: the node begins its work. `resumable`: with a dump's replid and offset.
    fn ready(&mut self, resumable: bool) {
        self.node.loading.store(false, Ordering::Release);
        self.node.lifecycle.ready();
        if let Some(replication) = &self.replication {
            replication.begin(resumable);
        }
        tracing::info!("Ready to accept connections tcp");
    }

    /// Everything stops; the node's thread ends after this. `failure`: why, if nobody asked for it.
    pub(crate) fn stop(&mut self, exit_code: i32, failure: Option<String>) {
        self.node.close(exit_code, failure);
        let listening = self.listening_tcp.drain(..);
        for listener in listening.chain(self.listening_unix.drain(..)) {
            listener.do_send(StopListening { closed: None });
        }
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        if let Some(done) = self.done.take() {
            let _ = done.send(std::mem::take(&mut self.arbiters));
        }
    }
}

impl Actor for Root {
    type Context = Context<Root>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let listens = !self.listeners.is_empty();
        let arbiters = serving_arbiters(&self.node.settings.load(), listens);
        self.arbiters = (0..arbiters).map(|_| Arbiter::new()).collect();
        self.watch_arbiters();
        let serving = self.serving();
        let serving_threads = Arc::new(Mutex::new(Vec::new()));
        for arbiter in &serving {
            let threads = serving_threads.clone();
            arbiter.spawn_fn(move || threads.lock().push(system_probe::thread_id()));
        }
        let shards: Vec<_> = (0..self.node.keyspace.shards())
            .map(|index| {
                let node = self.node.clone();
                let arbiter = &serving[index % serving.len()];
                let make = move || ShardActor::new(node, index);
                supervisor::start_in_arbiter(&self.node, Owner::Shard, arbiter, make)
            })
            .collect();
        let cron = CronActor::new(self.node.clone());
        supervisor::start(&self.node, Owner::Cron, cron);
        ctx.spawn(freeing::free(self.node.clone()).into_actor(self));
        let replication = Replication::start(&self.node);
        self.replication = Some(replication.clone());
        let replicas = replication.master.clone().recipient();
        let migrations = MigrationActor::new(self.node.clone());
        let migrations = supervisor::start(&self.node, Owner::Migration, migrations);
        let services = ActorServices {
            root: ctx.address(),
            shards,
            replication,
            migrations,
            aside: Aside::default(),
            script_threads: ScriptThreads::default(),
            config_file: self.config_file.take(),
            serving_threads,
            shutting_down: self.shutdown.in_progress.clone(),
        };
        self.node.services.set(Arc::new(services));
        if self.node.supervision.is_ending() {
            // Somebody has died before we could be told.
            self.stop(EXIT_UNSAVED, None);
        }
        tracing::info!("Server initialized");
        let loading = self.load_dump(ctx);
        self.open(replicas);
        if !loading {
            self.ready(false);
        }
    }
}

/// On an arbiter for as long as that runs.
struct ArbiterRuns {
    node: Arc<NodeCore>,
    name: String,
    running: Running,
}

impl Drop for ArbiterRuns {
    fn drop(&mut self) {
        if !self.node.lifecycle.is_closed() {
            rescue::end_node(&self.node, &format!("its {} arbiter has died", self.name));
        }
    }
}

impl Supervised for Root {}

impl Root {
    /// Has each arbiter's turns counted, its end noticed, and the node's end wait for it.
    fn watch_arbiters(&self) {
        self.node.supervision.arbiters.enter("background".into());
        for (index, arbiter) in self.arbiters.iter().enumerate() {
            let runs = ArbiterRuns {
                node: self.node.clone(),
                name: format!("serving {index}"),
                running: self.node.threads.announce(),
            };
            // Dropped with all that runs there.
            arbiter.spawn(async move {
                may_block::this_thread_serves();
                runs.running.begins_here();
                runs.node.supervision.arbiters.enter(runs.name.clone());
                std::future::pending::<()>().await;
                drop(runs);
            });
        }
        let node = Arc::downgrade(&self.node);
        self.node.keyspace.on_poison(Box::new(move |shards| {
            if let Some(node) = node.upgrade() {
                let why = format!("a panic may have left {shards:?} half changed");
                rescue::end_node(&node, &why);
            }
        }));
        watchdog::start(&self.node);
    }

    /// Resumes the stream that the dump is a state of; as a master, by the deletion of what expired meanwhile. False:
    /// it can't go on, since a replica's stream is in a database that we don't have (any more), or we are a master and
    /// the data is not what that stream says.
    fn take_up_stream(
        &self,
        (id, offset): (ReplId, u64),
        stream_db: Option<usize>,
        diverged: Option<u64>,
        expired: &[(usize, Box<[u8]>)],
    ) -> bool {
        let hub = &self.node.hub;
        let resumes_in = stream_db.filter(|_| hub.is_replica()).unwrap_or(0);
        let databases = self.node.keyspace.databases();
        if let Some(why) = stream_databases::refusal_to_resume(resumes_in, databases) {
            tracing::warn!("Can't resume from the dump: {why}");
            return false;
        }
        if !hub.take_up(id, offset, stream_db, diverged, &*self.node.clock) {
            tracing::warn!(
                "The dump had diverged from its history {id}, which is not continued: replicas need a full sync"
            );
            return false;
        }
        for (db, key) in expired {
            let mut effect = Vec::new();
            wire::command(&mut effect, &[b"DEL".as_slice(), key]);
            hub.append(*db, &effect, false);
        }
        true
    }
}

/// Answered when the root has started.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct IsUp;

impl Handler<IsUp> for Root {
    type Result = ();

    fn handle(&mut self, _: IsUp, _: &mut Self::Context) {}
}

/// From now on these TCP listeners and no others; Unix sockets stay.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ListenAt {
    pub(crate) listeners: Vec<Listener>,
    /// Dropped when the addresses of the others are free.
    pub(crate) closed: Sender<()>,
}

impl Handler<ListenAt> for Root {
    type Result = ();

    fn handle(&mut self, at: ListenAt, _: &mut Self::Context) {
        for old in self.listening_tcp.drain(..) {
            let closed = Some(at.closed.clone());
            old.do_send(StopListening { closed });
        }
        for listener in at.listeners {
            let listener = ListenerActor::new(self.node.clone(), listener, self.receptions.clone());
            let listener = supervisor::start(&self.node, Owner::Listener, listener);
            self.listening_tcp.push(listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::context::bench::Bench;
    use crate::supervision::EXIT_SAVED;

    #[test]
    fn an_arbiter_that_ends_by_itself_ends_the_node() {
        let node = Arc::new(Bench::with(Settings::embedded()).node);
        drop(ArbiterRuns {
            node: node.clone(),
            name: "serving 0".into(),
            running: node.threads.announce(),
        });
        node.supervision.wait_for_rescue();
        assert!(node.lifecycle.is_closed());
        assert_eq!(node.lifecycle.end().exit_code, EXIT_SAVED);
        let failure = node.lifecycle.end().failure.unwrap_or_default();
        assert!(failure.contains("serving 0 arbiter"), "{failure}");
    }
}
