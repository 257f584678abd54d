//! The actor of one shard: the work on it that takes time or runs on a timer.
//!
//! Requests enter the shard in place; what comes here are expiry cycles and waiters that could not be
//! served in place. Each cycle is cut into steps of a bounded number of keys, and the shard is left between
//! steps, so no request waits long behind it; if the shard is busy the step waits for it asynchronously.
//!
//! The actor lives on an arbiter that serves, so that its steps and the requests take turns there. On the background
//! arbiter it met them at the shard's lock, and won: a connection that finds a shard busy is woken when it is
//! released, and by then the next step was inside. A million keys that expired at once kept requests waiting for a
//! cycle's whole 25 ms. Where other arbiters want the shard too, a step is followed by a rest.
//!
//! Death: the node's, as `supervisor::rescue` says: its keys would never expire.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::supervisor;
use crate::clients::client::Client;
use crate::command::dispatch::blocking;
use crate::command::keys::active_expire;
use crate::command::{Context as CommandContext, Effects};
use crate::keyspace::{Entered, ExpireBudget, ShardSet};
use crate::node_core::NodeCore;
use crate::resp::Reply;
use crate::session::{Origin, Session};
use crate::supervision::Owner;

/// [`ServeBlocked`]s that may wait: one would do.
const MAILBOX_CAPACITY: usize = 64;
/// Between two steps, for those on other arbiters who wait for the shard.
const REST: Duration = Duration::from_millis(1);

/// See the module.
pub(crate) struct ShardActor {
    node: Arc<NodeCore>,
    index: usize,
    expiring: bool,
}

impl ShardActor {
    pub(crate) fn new(node: Arc<NodeCore>, index: usize) -> ShardActor {
        ShardActor {
            node,
            index,
            expiring: false,
        }
    }
}

/// Enters shards from an arbiter, waiting asynchronously while they are busy, and runs `f` inside.
pub(crate) async fn enter<T>(
    node: &NodeCore,
    set: ShardSet,
    mut f: impl FnMut(Entered<'_>) -> T,
) -> T {
    poll_fn(|cx| node.keyspace.poll_enter(set, cx).map(&mut f)).await
}

/// A session for work that no client asked for.
pub(crate) fn own_session(node: &NodeCore) -> Session {
    Session::new(
        Client::new(0, String::new(), String::new(), node.clock.unix_ms()),
        Origin::Client,
    )
}

/// Runs `f` in a command context inside the shards, in nobody's name.
pub(crate) fn in_context<T>(
    node: &NodeCore,
    entered: Entered<'_>,
    f: impl FnOnce(&mut CommandContext<'_>) -> T,
) -> T {
    let settings = node.settings.load();
    let mut session = own_session(node);
    let mut reply = Reply::default();
    let mut effects = Effects::default();
    let mut ctx = CommandContext::new(node, &settings, &mut session, &mut reply, &mut effects);
    ctx.set_keys(entered);
    let result = f(&mut ctx);
    ctx.finish();
    result
}

/// One expiry cycle over a shard.
async fn expire_cycle(node: Arc<NodeCore>, index: usize) {
    let started_us = node.clock.monotonic_us();
    let settings = node.settings.load_full();
    let budget = ExpireBudget::new(settings.hz, settings.active_expire_effort);
    let (mut expired, mut expires) = (0, None);
    loop {
        let mut awaited = false;
        node.supervision.step(Owner::Shard, "expire");
        let done = enter(&node, ShardSet::one(index), |entered| {
            in_context(&node, entered, |ctx| {
                expires.get_or_insert_with(|| active_expire::keys_with_expiry(ctx, index));
                let done = active_expire::step(ctx, index, &budget);
                awaited = node.keyspace.is_awaited(index);
                done
            })
        })
        .await;
        expired += done.keys as u64;
        if !done.more {
            break;
        }
        if node.clock.monotonic_us() - started_us > budget.slow_us {
            node.stats.expired_time_cap_reached_count.inc();
            break;
        }
        if awaited {
            tokio::time::sleep(REST).await;
        } else {
            // The other actors of this arbiter get their turn.
            tokio::task::yield_now().await;
        }
    }
    node.stats.note_expiry_cycle(expired, expires.unwrap_or(0));
    node.stats
        .expire_cycle_cpu_us
        .add(node.clock.monotonic_us() - started_us);
}

impl Supervised for ShardActor {}

impl Actor for ShardActor {
    type Context = Context<ShardActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let hz = self.node.settings.load().hz.clamp(1, 500);
        ctx.run_interval(Duration::from_millis(1000 / u64::from(hz)), |actor, ctx| {
            actor.expire(ctx)
        });
    }
}

impl ShardActor {
    fn expire(&mut self, ctx: &mut Context<ShardActor>) {
        if self.expiring
            || self
                .node
                .active_expire_off
                .load(std::sync::atomic::Ordering::Relaxed)
        {
            return;
        }
        self.expiring = true;
        let work = expire_cycle(self.node.clone(), self.index).into_actor(self);
        ctx.spawn(work.map(|(), actor, _| actor.expiring = false));
    }
}

/// Serve the waiters that could not be served in place.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ServeBlocked;

impl Handler<ServeBlocked> for ShardActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ServeBlocked, _: &mut Self::Context) -> Self::Result {
        let node = self.node.clone();
        Box::pin(async move {
            let all = node.keyspace.all();
            let work = enter(&node, all, |entered| {
                node.supervision.step(Owner::Shard, "serve blocked");
                in_context(&node, entered, blocking::serve_deferred)
            });
            // A panic was inside the shards: the node ends.
            let _ = supervisor::caught(Owner::Shard, work).await;
        })
    }
}
