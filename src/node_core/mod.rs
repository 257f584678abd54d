//! What all threads of one node share: settings, keyspace, clients, pub/sub, replication, statistics.
//! No globals: a process may hold several nodes.
//!
//! Ownership: the core is held by its [`Node`](crate::Node), its actors and threads, and in-process clients. Nothing
//! that the core holds may hold the core, or it would never be freed: services and what else needs it have it as an
//! argument, or a `Weak` of it.

pub(crate) mod digest_walk;
pub(crate) mod lifecycle;
pub(crate) mod migration;
pub(crate) mod threads;

use std::any::Any;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::clients::client::Clients;
use crate::clients::cross_protocol::CrossProtocol;
use crate::clients::pause::PauseState;
use crate::clock::Clock;
use crate::config::{MasterAddress, Settings};
use crate::keyspace::lazyfree::LazyFree;
use crate::keyspace::own_expiries::OwnExpiries;
use crate::keyspace::shard_tasks::ShardTasks;
use crate::keyspace::{Keyspace, ReadyKey, ShardSet, Waiter};
use crate::node_core::digest_walk::{DeltaWanted, VerifyWith};
use crate::node_core::lifecycle::Lifecycle;
use crate::node_core::migration::{Migration, TargetCommand};
use crate::node_core::threads::Threads;
use crate::observe::command_stats::CommandStats;
use crate::observe::latency::Latency;
use crate::observe::memory::{Memory, MemoryProbe};
use crate::observe::monitors::Monitors;
use crate::observe::process::Process;
use crate::observe::slowlog::Slowlog;
use crate::observe::stats::Stats;
use crate::rdb::opaque::Opaque;
use crate::repl::Hub;
use crate::repl::delta;
use crate::repl::verify::WalkOrder;
use crate::repl::verify::server::WalkId;
use crate::script::Scripts;
use crate::script::library::Libraries;
use crate::session::pubsub::PubSub;
use crate::session::{Session, Ticket, Waiting};
use crate::snapshot::persistence::Persistence;
use crate::supervision::Supervision;
use crate::table::CommandTable;

/// The shared core of a node.
pub struct NodeCore {
    pub clock: Arc<dyn Clock>,
    pub settings: ArcSwap<Settings>,
    pub keyspace: Keyspace,
    pub clients: Clients,
    pub pubsub: PubSub,
    pub hub: Hub,
    /// From its start to its end. Whatever waits for anything of the node checks this when woken.
    pub lifecycle: Lifecycle,
    /// Its threads beside the arbiters.
    pub threads: Threads,
    /// Its arbiters' turns, and whether it ends over a panic.
    pub supervision: Supervision,
    /// Loading a dump at start: most commands answer LOADING.
    pub loading: AtomicBool,
    pub stats: Stats,
    pub memory: Memory,
    pub persistence: Persistence,
    pub process: Process,
    settings_watchers: Mutex<Vec<SettingsWatcher>>,
    /// Held by CONFIG SET, so that changes come one after the other. Held for moments: what may block is done before
    /// it is taken.
    pub settings_lock: Mutex<()>,
    pub lazyfree: LazyFree,
    /// What came in dumps beside keys and can't be used here. Replaced with the dataset, with every shard entered.
    pub opaque: ArcSwap<Opaque>,
    /// Work inside the shards that other threads wait for.
    pub shard_tasks: ShardTasks,
    /// As a writable replica: keys of our own clients that expire.
    pub own_expiries: OwnExpiries,
    /// The commands.
    pub table: CommandTable,
    pub command_stats: CommandStats,
    pub slowlog: Slowlog,
    pub latency: Latency,
    pub monitors: Monitors,
    pub(crate) scripts: Scripts,
    /// What the room of commands keeps for the node: it alone knows what that is.
    pub(crate) of_commands: OnceLock<Box<dyn Any + Send + Sync>>,
    /// The function libraries: those whose texts are in `opaque`, as far as they can be loaded. Replaced with every shard
    /// entered.
    pub(crate) functions: ArcSwap<Libraries>,
    pub cross_protocol: CrossProtocol,
    /// While clients are paused keys expire logically but are not deleted.
    pub pause: PauseState,
    /// DEBUG SET-ACTIVE-EXPIRE 0: keys expire only when somebody looks.
    pub active_expire_off: AtomicBool,
    /// DEBUG PAUSE-CRON 1: periodic work stands still.
    pub cron_paused: AtomicBool,
    /// Ready keys whose waiters could not be served in place, for the shard's actor.
    pub deferred_ready: Mutex<Vec<ReadyKey>>,
    /// Names of hosts that are being looked up; shared with the threads that do it.
    pub lookups: Arc<AtomicUsize>,
    /// Connections that MIGRATE keeps open for the next one.
    pub migrate_sockets: AtomicUsize,
    /// What only actors can do.
    pub services: ServicesSlot,
}

/// Told of directives that changed: the new settings, and the directives' names. Must be quick.
pub(crate) type SettingsWatcher = Box<dyn Fn(&Settings, &[&'static str]) + Send + Sync>;

impl NodeCore {
    /// A node's heart with an empty keyspace of so many shards, 1..=64. `config_file`: what CONFIG REWRITE writes.
    pub fn new(
        clock: Arc<dyn Clock>,
        mut settings: Settings,
        shards: usize,
        memory: Option<Box<dyn MemoryProbe>>,
        config_file: Option<PathBuf>,
    ) -> NodeCore {
        settings.encodings.hash_seed = clock.random();
        let mut table = CommandTable::new();
        for (from, to) in &settings.rename_command {
            if !table.rename(from.as_bytes(), to.as_bytes()) {
                tracing::warn!("rename-command {from} {to}: no such command, or the name is taken");
            }
        }
        NodeCore {
            command_stats: CommandStats::new(table.ids()),
            table,
            slowlog: Slowlog::default(),
            latency: Latency::default(),
            monitors: Monitors::default(),
            scripts: Scripts::default(),
            of_commands: OnceLock::new(),
            functions: ArcSwap::default(),
            cross_protocol: CrossProtocol::default(),
            pause: PauseState::default(),
            keyspace: Keyspace::new(shards, settings.databases, clock.random()),
            hub: Hub::new(&*clock, settings.repl_backlog_size),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            lifecycle: Lifecycle::default(),
            threads: Threads::default(),
            supervision: Supervision::default(),
            loading: AtomicBool::new(false),
            stats: Stats::default(),
            memory: Memory::new(memory),
            persistence: Persistence::new(clock.unix_ms() / 1000),
            process: Process::new(&*clock, config_file),
            settings_watchers: Mutex::default(),
            settings_lock: Mutex::default(),
            lazyfree: LazyFree::default(),
            opaque: ArcSwap::default(),
            shard_tasks: ShardTasks::default(),
            own_expiries: OwnExpiries::default(),
            active_expire_off: AtomicBool::new(false),
            cron_paused: AtomicBool::new(false),
            deferred_ready: Mutex::default(),
            lookups: Arc::default(),
            migrate_sockets: AtomicUsize::new(0),
            services: ServicesSlot::default(),
            settings: ArcSwap::from_pointee(settings),
            clock,
        }
    }

    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Relaxed)
    }

    /// Bytes in use when last measured. Lock-free.
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }

    /// Whether writes are to be refused because the node is to save and can't (`stop-writes-on-bgsave-error`).
    /// A node without save points isn't, whatever became of a BGSAVE or of a dump for a replica. Lock-free.
    #[inline]
    pub fn disk_denies_writes(&self, settings: &Settings) -> bool {
        self.persistence.last_save_failed()
            && settings.stop_writes_on_bgsave_error
            && !settings.save.is_empty()
    }

    /// Has the watcher told of every change by CONFIG SET from now on.
    pub fn watch_settings(&self, watcher: SettingsWatcher) {
        self.settings_watchers.lock().push(watcher);
    }

    /// Tells the watchers.
    pub fn settings_changed(&self, names: &[&'static str]) {
        let settings = self.settings.load();
        for watcher in self.settings_watchers.lock().iter() {
            watcher(&settings, names);
        }
    }

    /// From now on nothing is served: whoever waits for the node is woken and finds it closed. The first exit
    /// code and reason count.
    pub fn close(&self, exit_code: i32, failure: Option<String>) {
        self.lifecycle.close(exit_code, failure);
        for client in self.clients.all() {
            client.kill();
        }
        self.lazyfree.wake();
    }

    /// Frees what a node whose threads have ended holds, though somebody may still hold its core: the dataset, the
    /// backlog, what leads to its arbiters. Waits for threads that are inside a shard.
    pub fn empty(&self) {
        // A task of an arbiter that is gone holds what the arbiter had open, as long as somebody might wake it.
        self.services.clear();
        self.hub.forget_waiting();
        self.shard_tasks.wake();
        self.pause.wake();
        self.lazyfree.wake();
        // The data of a node that ended over a panic goes with its core.
        if let Some(mut entered) = self.keyspace.enter_unless_poisoned(self.keyspace.all()) {
            let fresh = self.keyspace.builder().finish();
            let old = entered.replace(fresh, self.clock.unix_ms());
            drop(entered);
            drop(old);
        }
        drop(self.lazyfree.take());
        let mut stream = self.hub.stream();
        let end = stream.log.end();
        stream.log.reset(end);
    }

    /// Puts new settings into force, but for the master that they name: that is the role's
    /// ([`NodeCore::set_role`]), which may have changed since `new` was made. Never waits.
    pub fn replace_settings(&self, new: Settings) {
        self.settings.rcu(|current| Settings {
            replicaof: current.replicaof.clone(),
            ..new.clone()
        });
    }

    /// Makes the node a replica of that master, or (None) a master: the one place where the role changes once the node
    /// runs. Called with every shard entered, so that it changes between two commands. The hub owns the role; the
    /// settings get the copy that CONFIG GET shows and CONFIG REWRITE writes, and the link is told to follow.
    pub fn set_role(&self, master: Option<MasterAddress>) {
        match &master {
            Some(master) => self.hub.follow(master.host.clone(), master.port),
            None => {
                self.hub.promote(&*self.clock);
            }
        }
        // Waits for nobody, also while a CONFIG SET is under way.
        self.settings.rcu(|current| Settings {
            replicaof: master.clone(),
            ..Settings::clone(current)
        });
        if let Some(services) = self.services.get() {
            services.role_changed();
        }
    }
}

impl NodeCore {
    /// Takes a session's traces out of the shared state when its client goes: subscriptions, watches, its
    /// place in the queues of blocked clients. Shards that are busy right now drop theirs when they next come
    /// by the key.
    pub fn forget_session(&self, session: &mut Session) {
        self.pubsub.forget(session);
        if session.monitor {
            self.monitors.remove(session.client.id);
        }
        if session.client.paused.load(Ordering::Relaxed) {
            self.pause.forget(session.client.id);
        }
        match session.waiting.take() {
            Some(Waiting::Keys(waiter)) => {
                waiter.abandon();
                self.forget_waiter(&waiter);
            }
            // A WAIT may be for ever.
            Some(Waiting::Reply(ticket)) => {
                if let Some(mut own) = ticket.abandon() {
                    self.forget_session(&mut own);
                }
                if let Some(services) = self.services.get() {
                    services.unblock(ticket, 1);
                }
            }
            None => {}
        }
        if let Some(watched) = session.watched.take() {
            let keys = watched.iter().map(|(id, _)| &id.key[..]);
            let mut entered = self.keyspace.try_enter_some(self.shards_of(keys));
            for (id, number) in watched.iter() {
                if let Some(shard) = entered.shard_if_entered(self.keyspace.hash(&id.key)) {
                    shard.unwatch(id.db, &id.key, number);
                }
            }
        }
        session.watch_dirty = Arc::default();
    }

    /// Takes an ended waiter out of its keys' queues, where that can be done without waiting.
    pub fn forget_waiter(&self, waiter: &Waiter) {
        let keys = waiter.keys().iter().map(|key| &key[..]);
        let mut entered = self.keyspace.try_enter_some(self.shards_of(keys));
        for key in waiter.keys() {
            if let Some(shard) = entered.shard_if_entered(self.keyspace.hash(key)) {
                shard.unblock(waiter.db, key, waiter);
            }
        }
    }

    fn shards_of<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> ShardSet {
        let mut set = ShardSet::NONE;
        keys.for_each(|key| set.add(self.keyspace.shard_of(self.keyspace.hash(key))));
        set
    }
}

/// Where a node's services are: from its start to its end, and never in pure tests.
#[derive(Default)]
pub struct ServicesSlot(RwLock<Option<Arc<dyn Services>>>);

impl ServicesSlot {
    /// They are there if the node has its actors.
    pub fn get(&self) -> Option<Arc<dyn Services>> {
        self.0.read().clone()
    }

    /// The actors are there.
    pub fn set(&self, services: Arc<dyn Services>) {
        *self.0.write() = Some(services);
    }

    /// The actors are gone, and their mailboxes with them.
    pub fn clear(&self) {
        // Dropped when the lock is left: what they hold is not ours.
        let services = self.0.write().take();
        drop(services);
    }
}

/// Work that may block; it gives the reply, RESP bytes. See [`Services::aside`].
pub(crate) type AsideWork = Box<dyn FnOnce(&NodeCore) -> Bytes + Send>;

/// Directives that need the file system, a name server or sockets before they are in force.
pub(crate) const SLOW_TO_SET: &[&str] = &["bind", "dir", "port", "repl-spool-dir"];

/// Work that commands ask of the actors. Every call only posts a message and returns at once; where a reply
/// comes later it goes to the [`Ticket`], for which the session waits.
pub trait Services: Send + Sync {
    /// The hub's role or master has changed: the link is to follow it.
    fn role_changed(&self);
    /// A failover has begun (`Hub::failover`): see it through.
    fn failover(&self) {}
    /// WAIT: completes with the number of replicas that have acked `offset`, when they are `replicas` or at
    /// the deadline (unix ms; None: never).
    fn wait(&self, ticket: Arc<Ticket>, replicas: usize, offset: u64, deadline_ms: Option<i64>);
    /// WAITAOF: as [`Services::wait`], for replicas that have the offset in their append-only file; completes
    /// with an array of 0 or 1 (our own file) and their number.
    fn wait_aof(
        &self,
        ticket: Arc<Ticket>,
        replicas: usize,
        offset: u64,
        deadline_ms: Option<i64>,
    ) {
        let _ = (replicas, offset, deadline_ms);
        ticket.complete(b"*2\r\n:0\r\n:0\r\n");
    }
    /// CLIENT UNBLOCK for a session that waits for a ticket: `how` 1 as if timed out, 2 with an error.
    fn unblock(&self, ticket: Arc<Ticket>, how: u32);
    /// SAVE: completes with OK or an error when the dump is on disk.
    fn save(&self, ticket: Arc<Ticket>);
    /// BGSAVE: completes at once with what redis-server says ("Background saving started", or its errors).
    /// None: the save takes place when the one under way is through.
    fn bgsave(&self, ticket: Option<Arc<Ticket>>);
    /// DEBUG RELOAD: the dataset goes through the dump file and back, then the ticket is completed.
    fn reload(&self, ticket: Arc<Ticket>, options: ReloadOptions);
    /// FLUSHALL emptied the dataset: a background save under way is void, and with save points the dump on
    /// disk is replaced, at the end of which the ticket is completed with OK.
    fn flushed_all(&self, ticket: Option<Arc<Ticket>>);
    /// SHUTDOWN. Completes the ticket only if it can't.
    fn shutdown(&self, ticket: Option<Arc<Ticket>>, options: ShutdownOptions);
    /// Processor time of the threads that serve clients, in user and in system mode, microseconds.
    fn serving_cpu_us(&self) -> (u64, u64);
    /// The node is closed, and its arbiters are to stop.
    fn stop(&self) {}
    /// Whether a shutdown is in progress.
    fn is_shutting_down(&self) -> bool;
    /// SHUTDOWN ABORT. False: no shutdown was in progress.
    fn abort_shutdown(&self) -> bool;
    /// Has work that may block done by a thread beside those that serve, behind what was given before, and completes
    /// the ticket with the reply that it gives.
    fn aside(&self, ticket: Arc<Ticket>, work: AsideWork);
    /// CONFIG SET is about to put these directives into force. Does what may fail (bind a new port, look whether the
    /// directory is there and make its name absolute in `new`), or says which directive is to blame, and why in
    /// Redis's words; everything is then as before. May block if one of them is in [`SLOW_TO_SET`].
    fn prepare_settings(
        &self,
        old: &Settings,
        new: &mut Settings,
        names: &[&'static str],
    ) -> Result<(), (&'static str, String)> {
        let _ = (old, new, names);
        Ok(())
    }
    /// CONFIG REWRITE: replaces the configuration file's text, atomically. The error as the system words it. Blocks.
    fn rewrite_config(&self, settings: &Settings) -> Result<(), String> {
        let _ = settings;
        Err("Operation not supported".into())
    }
    /// MIGRATE: has the target do the commands, and completes with OK or an error when the keys that it took are deleted
    /// here.
    fn migrate(&self, ticket: Arc<Ticket>, migration: Migration, commands: Vec<TargetCommand>);
    /// REPLICATION DIGEST: makes a walk for a replica, and completes when it is cut.
    fn walk_digests(&self, ticket: Arc<Ticket>, id: WalkId, order: WalkOrder) {
        let _ = (id, order);
        ticket.complete(b"-ERR not possible in this node\r\n");
    }
    /// REPLICATION DELTA: makes a walk for a replica, and completes when it is cut.
    fn walk_for_delta(&self, ticket: Arc<Ticket>, id: delta::server::WalkId, wanted: DeltaWanted) {
        let _ = (id, wanted);
        ticket.complete(b"-ERR not possible in this node\r\n");
    }
    /// REPLICATION VERIFY: completes with what was found.
    fn verify(&self, ticket: Arc<Ticket>, with: VerifyWith) {
        let _ = with;
        ticket.complete(b"-ERR not possible in this node\r\n");
    }
    /// Has a script go on beside those that serve. Never drops it.
    fn run_script(&self, script: Box<dyn LongScript>);
    /// Some keys with waiters became ready and could not be served in place (`NodeCore::deferred_ready`).
    fn serve_blocked(&self);
}

/// A script that has had its time on an arbiter, and goes on in turns on a thread.
pub trait LongScript: Send {
    /// Gives it a turn. None: it is over, and its client has been answered.
    fn go_on(self: Box<Self>, node: &NodeCore) -> Option<Box<dyn LongScript>>;
    /// What its client waits for.
    fn ticket(&self) -> Arc<Ticket>;
    /// Whether it has to be seen to that others get on first.
    fn waits(&self) -> bool;
}

/// DEBUG RELOAD's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadOptions {
    /// The dataset is saved first; else the dump is loaded that is on disk.
    pub save: bool,
    /// What the dump holds replaces the dataset; else it is added.
    pub flush: bool,
    /// A key that is there and in the dump is the dump's; else that is an error.
    pub merge: bool,
}

/// SHUTDOWN's options. Neither `save` nor `nosave`: save if there are save points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}
