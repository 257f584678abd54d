//! The actor of small periodic duties: idle clients, memory figures, save points, freeing what was removed.
//!
//! Death: the node goes on, but idle clients stay and nothing is saved by itself; the supervisor's log says
//! so.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;

use crate::clients::session::Client;
use crate::node_core::NodeCore;
use crate::repl::ReplicaState;

/// How often the duties come round.
const PERIOD: Duration = Duration::from_millis(100);
/// Rounds between looks at idle clients and save points: a second.
const SLOW_ROUNDS: u64 = 10;

/// See the module.
pub struct CronActor {
    node: Arc<NodeCore>,
    rounds: u64,
}

impl CronActor {
    pub fn new(node: Arc<NodeCore>) -> CronActor {
        CronActor { node, rounds: 0 }
    }

    fn round(&mut self) {
        if self.node.cron_paused.load(Ordering::Relaxed) {
            return;
        }
        self.rounds += 1;
        let (stats, now_us) = (&self.node.stats, self.node.clock.monotonic_us());
        stats.sample(now_us, self.node.command_stats.calls());
        // With `maxmemory` every write is judged by it; else it is only shown.
        let memory_rounds = if self.node.settings.load().maxmemory > 0 {
            1
        } else {
            SLOW_ROUNDS
        };
        if self.rounds.is_multiple_of(memory_rounds) {
            self.node.memory.refresh();
        }
        if self.rounds.is_multiple_of(SLOW_ROUNDS) {
            self.close_idle_clients();
            self.wake_slow_clients();
            self.remove_sync_file();
        }
    }

    /// Has clients that don't take their output look at its soft limit, though nothing else happens to them.
    fn wake_slow_clients(&self) {
        for client in self.node.clients.all() {
            if client.output_bytes.load(Ordering::Relaxed) > 0 {
                client.wake();
            }
        }
    }

    /// `rdb-del-sync-files`: a dump that was only made for replicas goes once none of them needs it, where
    /// nothing else is to be kept on disk.
    fn remove_sync_file(&self) {
        let settings = self.node.settings.load();
        let made_for_sync = &self.node.persistence.made_for_sync;
        if !settings.rdb_del_sync_files {
            // Turned on later, it is about dumps made later.
            made_for_sync.store(false, Ordering::Relaxed);
            return;
        }
        if !made_for_sync.load(Ordering::Relaxed) || !settings.save.is_empty() {
            return;
        }
        let view = self.node.hub.observe();
        if view
            .replicas
            .iter()
            .any(|r| r.state != ReplicaState::Online)
        {
            return;
        }
        made_for_sync.store(false, Ordering::Relaxed);
        tracing::info!(
            "Removing the RDB file used to feed replicas in a persistence-less instance"
        );
        if let Err(error) = std::fs::remove_file(self.node.settings.load().dump_path()) {
            tracing::warn!("The RDB file could not be removed: {error}");
        }
    }

    /// `timeout`: clients that have been silent too long, but for replicas, subscribers, those that wait, and
    /// those in this process, which hold no socket.
    fn close_idle_clients(&self) {
        let timeout_ms = self.node.settings.load().timeout as i64 * 1000;
        if timeout_ms == 0 {
            return;
        }
        let now_ms = self.node.clock.unix_ms();
        for client in self.node.clients.all() {
            let idle_ms = now_ms - client.last_seen_ms.load(Ordering::Relaxed);
            if idle_ms <= timeout_ms || client.blocked.load(Ordering::Acquire) {
                continue;
            }
            let view = client.view.lock();
            let exempt = view.replica
                || view.master
                || client.addr == Client::IN_PROCESS
                || view.subscriptions + view.pattern_subscriptions + view.shard_subscriptions > 0;
            drop(view);
            if !exempt {
                tracing::debug!("Closing idle client {}", client.addr);
                client.kill();
            }
        }
    }
}

impl Actor for CronActor {
    type Context = Context<CronActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(PERIOD, |actor, _| actor.round());
    }
}
