//! What commands may ask of the actors, as messages to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use parking_lot::Mutex;

use crate::actors::migration::{Migrate, MigrationActor};
use crate::actors::node::root::Root;
use crate::actors::node::settings_change;
use crate::actors::node::shutdown::{AbortShutdown, Shutdown, Stop};
use crate::actors::replication::Replication;
use crate::actors::shard::{ServeBlocked, ShardActor};
use crate::actors::snapshots::reload::{FlushedAll, Reload};
use crate::background::aside::Aside;
use crate::background::script_threads::ScriptThreads;
use crate::config::Settings;
use crate::node_core::digest_walk::{DeltaWanted, VerifyWith};
use crate::node_core::migration::{Migration, TargetCommand};
use crate::node_core::{AsideWork, LongScript, ReloadOptions, Services, ShutdownOptions};
use crate::os::config_file::{self, ConfigFile};
use crate::os::system_probe::thread_cpu_us;
use crate::repl::delta;
use crate::repl::verify::WalkOrder;
use crate::repl::verify::server::WalkId;
use crate::session::Ticket;

/// The addresses of a node's actors.
pub(crate) struct ActorServices {
    pub(crate) root: Addr<Root>,
    pub(crate) shards: Vec<Addr<ShardActor>>,
    pub(crate) replication: Replication,
    pub(crate) migrations: Addr<MigrationActor>,
    pub(crate) aside: Aside,
    pub(crate) script_threads: ScriptThreads,
    /// What CONFIG REWRITE writes.
    pub(crate) config_file: Option<ConfigFile>,
    /// The serving arbiters' threads, by their numbers.
    pub(crate) serving_threads: Arc<Mutex<Vec<i32>>>,
    /// A shutdown waits for replicas.
    pub(crate) shutting_down: Arc<AtomicBool>,
}

/// The reply to a command whose work is done aside: an error, if the work comes to no end.
struct Promise(Arc<Ticket>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0
            .complete(b"-ERR the command failed inside the server, see its log\r\n");
    }
}

impl Services for ActorServices {
    fn role_changed(&self) {
        self.replication.role_changed();
    }

    fn failover(&self) {
        self.replication.failover();
    }

    fn wait(&self, ticket: Arc<Ticket>, replicas: usize, offset: u64, deadline_ms: Option<i64>) {
        self.replication
            .wait(ticket, replicas, offset, deadline_ms, false);
    }

    fn wait_aof(
        &self,
        ticket: Arc<Ticket>,
        replicas: usize,
        offset: u64,
        deadline_ms: Option<i64>,
    ) {
        self.replication
            .wait(ticket, replicas, offset, deadline_ms, true);
    }

    fn unblock(&self, ticket: Arc<Ticket>, how: u32) {
        self.replication.unblock(ticket, how);
    }

    fn save(&self, ticket: Arc<Ticket>) {
        self.replication.save(Some(ticket), false);
    }

    fn bgsave(&self, ticket: Option<Arc<Ticket>>) {
        self.replication.save(ticket, true);
    }

    fn reload(&self, ticket: Arc<Ticket>, options: ReloadOptions) {
        self.root.do_send(Reload { ticket, options });
    }

    fn flushed_all(&self, ticket: Option<Arc<Ticket>>) {
        self.root.do_send(FlushedAll { ticket });
    }

    fn shutdown(&self, ticket: Option<Arc<Ticket>>, options: ShutdownOptions) {
        self.root.do_send(Shutdown { ticket, options });
    }

    fn stop(&self) {
        self.root.do_send(Stop { save: None });
    }

    fn serving_cpu_us(&self) -> (u64, u64) {
        let threads = self.serving_threads.lock();
        let times = threads.iter().map(|&thread| thread_cpu_us(thread));
        times.fold((0, 0), |sum, time| (sum.0 + time.0, sum.1 + time.1))
    }

    fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    fn abort_shutdown(&self) -> bool {
        let was = self.is_shutting_down();
        if was {
            self.root.do_send(AbortShutdown);
        }
        was
    }

    fn migrate(&self, ticket: Arc<Ticket>, migration: Migration, commands: Vec<TargetCommand>) {
        self.migrations.do_send(Migrate {
            ticket,
            migration,
            commands,
        });
    }

    fn walk_digests(&self, ticket: Arc<Ticket>, id: WalkId, order: WalkOrder) {
        self.replication.walk_digests(ticket, id, order);
    }

    fn walk_for_delta(&self, ticket: Arc<Ticket>, id: delta::server::WalkId, wanted: DeltaWanted) {
        self.replication.walk_for_delta(ticket, id, wanted);
    }

    fn verify(&self, ticket: Arc<Ticket>, with: VerifyWith) {
        self.replication.verify(ticket, with);
    }

    fn aside(&self, ticket: Arc<Ticket>, work: AsideWork) {
        let Some(node) = self.replication.node() else {
            return;
        };
        let promise = Promise(ticket);
        self.aside.run(&node.threads.clone(), move || {
            let reply = work(&node);
            promise.0.complete(&reply);
        });
    }

    fn prepare_settings(
        &self,
        old: &Settings,
        new: &mut Settings,
        names: &[&'static str],
    ) -> Result<(), (&'static str, String)> {
        settings_change::prepare(&self.root, old, new, names)
    }

    fn rewrite_config(&self, settings: &Settings) -> Result<(), String> {
        match &self.config_file {
            Some(file) => config_file::write_back(file, settings),
            None => Err("The server is running without a config file".into()),
        }
    }

    fn run_script(&self, script: Box<dyn LongScript>) {
        // Who calls this holds the node.
        if let Some(node) = self.replication.node() {
            self.script_threads.run(&node, script);
        }
    }

    fn serve_blocked(&self) {
        // Any shard's actor will do: it enters all of them. At most one such message need be under way.
        if let Some(shard) = self.shards.first() {
            let _ = shard.try_send(ServeBlocked);
        }
    }
}
