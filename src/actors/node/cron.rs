//! The actor of small periodic duties: idle clients, memory figures, save points, freeing what was removed.
//!
//! Death: it starts anew; duties that were due come round again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;

use crate::clients::client::Client;
use crate::node_core::NodeCore;
use crate::supervision::Owner;

/// How often the duties come round.
const PERIOD: Duration = Duration::from_millis(100);
/// Rounds between looks at idle clients and save points: a second.
const SLOW_ROUNDS: u64 = 10;

/// See the module.
pub(crate) struct CronActor {
    node: Arc<NodeCore>,
    rounds: u64,
}

impl CronActor {
    pub(crate) fn new(node: Arc<NodeCore>) -> CronActor {
        CronActor { node, rounds: 0 }
    }

    fn round(&mut self) {
        if self.node.cron_paused.load(Ordering::Relaxed) {
            return;
        }
        self.node.supervision.step(Owner::Cron, "round");
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

impl Supervised for CronActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = CronActor::new(self.node.clone());
    }
}

impl Actor for CronActor {
    type Context = Context<CronActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(PERIOD, |actor, _| actor.round());
    }
}
