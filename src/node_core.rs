//! What all threads of one node share: settings, keyspace, clients, pub/sub, replication, statistics.
//! No globals: a process may hold several nodes.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::command::{CommandTable, FAMILIES};
use crate::command_stats::CommandStats;
use crate::config::Settings;
use crate::keyspace::Keyspace;
use crate::latency::Latency;
use crate::lazyfree::LazyFree;
use crate::monitors::Monitors;
use crate::pause::PauseState;
use crate::pubsub::PubSub;
use crate::repl::Hub;
use crate::session::{Clients, Ticket};
use crate::slowlog::Slowlog;
use crate::stats::Stats;

/// The shared heart of a node.
pub struct NodeCore {
    pub clock: Arc<dyn Clock>,
    pub settings: ArcSwap<Settings>,
    pub keyspace: Keyspace,
    pub clients: Clients,
    pub pubsub: PubSub,
    pub hub: Hub,
    /// Loading a dump at start: most commands answer LOADING.
    pub loading: AtomicBool,
    pub stats: Stats,
    pub lazyfree: LazyFree,
    /// The commands. That handlers see the node which holds them is the one circle among the rooms.
    pub table: CommandTable,
    pub command_stats: CommandStats,
    pub slowlog: Slowlog,
    pub latency: Latency,
    pub monitors: Monitors,
    /// While clients are paused keys expire logically but are not deleted.
    pub pause: PauseState,
    /// What only actors can do; set once at start, absent in pure tests.
    pub services: OnceLock<Box<dyn Services>>,
}

impl NodeCore {
    /// A node's heart with an empty keyspace of `shards` shards (1..=64).
    pub fn new(clock: Arc<dyn Clock>, settings: Settings, shards: usize) -> NodeCore {
        let table = CommandTable::new(FAMILIES);
        NodeCore {
            command_stats: CommandStats::new(table.ids()),
            table,
            slowlog: Slowlog::default(),
            latency: Latency::default(),
            monitors: Monitors::default(),
            pause: PauseState::default(),
            keyspace: Keyspace::new(shards, settings.databases, clock.random()),
            hub: Hub::new(&*clock, settings.repl_backlog_size),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            loading: AtomicBool::new(false),
            stats: Stats::default(),
            lazyfree: LazyFree::default(),
            services: OnceLock::new(),
            settings: ArcSwap::from_pointee(settings),
            clock,
        }
    }
}

/// Work that commands ask of the actors. Every call only posts a message and returns at once; where a reply
/// comes later it goes to the [`Ticket`], for which the session waits.
pub trait Services: Send + Sync {
    /// REPLICAOF host port; None: NO ONE. The role as commands see it (`Hub::is_replica`) has changed when
    /// this returns; the link comes up later.
    fn replicaof(&self, target: Option<(String, u16)>);
    /// WAIT: completes with the number of replicas that have acked `offset`, when they are `replicas` or at
    /// the deadline (unix ms; None: never).
    fn wait(&self, ticket: Arc<Ticket>, replicas: usize, offset: u64, deadline_ms: Option<i64>);
    /// CLIENT UNBLOCK for a session that waits for a ticket: `how` 1 as if timed out, 2 with an error.
    fn unblock(&self, ticket: Arc<Ticket>, how: u32);
    /// SAVE: completes with OK or an error when the dump is on disk.
    fn save(&self, ticket: Arc<Ticket>);
    /// BGSAVE: completes at once with what redis-server says ("Background saving started", or its errors).
    fn bgsave(&self, ticket: Arc<Ticket>, schedule: bool);
    /// DEBUG RELOAD: saves if `save`, empties the dataset if `flush`, loads the dump, then completes.
    fn reload(&self, ticket: Arc<Ticket>, save: bool, flush: bool);
    /// SHUTDOWN. Completes the ticket only if it can't.
    fn shutdown(&self, ticket: Option<Arc<Ticket>>, options: ShutdownOptions);
    /// SHUTDOWN ABORT. False: no shutdown was in progress.
    fn abort_shutdown(&self) -> bool;
    /// Directives that were changed at run time, by name, after `NodeCore::settings` has the new values.
    fn settings_changed(&self, names: &[&'static str]);
    /// Some keys with waiters became ready and could not be served in place (`NodeCore::deferred_ready`).
    fn serve_blocked(&self);
}

/// SHUTDOWN's options. Neither `save` nor `nosave`: save if there are save points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}
