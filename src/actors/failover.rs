//! The actor that sees a failover through: it looks whether the target has every byte, makes the node its
//! replica, and, if the target refuses, a master again. On the other side it makes a replica that was asked
//! by PSYNC FAILOVER the master.
//!
//! It has no state of its own: what is decided is [`Failover`](crate::repl::failover::Failover)'s, where it
//! stands is in the hub. Changes of role are made with every shard entered; a busy one is asked again a
//! millisecond later.
//!
//! Death: only a failover under way stands still, until FAILOVER ABORT.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::master::MasterActor;
use super::messages::AttachReplica;
use crate::command::blocking;
use crate::config::MasterAddress;
use crate::node_core::NodeCore;
use crate::pause::PausePurpose;
use crate::repl::Request;
use crate::repl::failover::{Answered, FailoverState, Step};

/// Between two looks while the target lags, or while a shard is busy.
const LOOK: Duration = Duration::from_millis(1);

/// How long a replica that is to take over waits for bytes that its master says it has sent.
const DRAIN_MS: i64 = 1000;

/// See the module.
pub struct FailoverActor {
    node: Arc<NodeCore>,
}

impl FailoverActor {
    pub fn new(node: Arc<NodeCore>) -> FailoverActor {
        FailoverActor { node }
    }

    /// The failover is over: writes go on, whoever's they are now.
    fn resume(&self) {
        self.node.hub.end_quiet();
        self.node.pause.unpause(PausePurpose::Failover);
    }

    /// Does what is to be done now. True: look again soon.
    fn look(&self) -> bool {
        let node = &self.node;
        if node.hub.failover().state() != FailoverState::WaitingForSync {
            return false;
        }
        match node.hub.look_at_failover(node.clock.unix_ms()) {
            Step::Wait => return true,
            Step::Abort(why) => {
                node.hub.failover().abort(why);
                self.resume();
                return false;
            }
            Step::HandOver { .. } => {}
        }
        let Some(_entered) = node.keyspace.try_enter(node.keyspace.all()) else {
            return true;
        };
        // A write that was let in before the pause may have come since: now none can.
        if let Step::HandOver { host, port, forced } =
            node.hub.look_at_failover(node.clock.unix_ms())
            && let Some(services) = node.services.get()
        {
            node.hub.failover().hand_over(&host, port, forced);
            node.change_settings(|s| {
                s.replicaof = Some(MasterAddress {
                    host: host.clone(),
                    port,
                });
            });
            services.replicaof(Some((host, port)));
            return false;
        }
        true
    }
}

/// Makes the node a master, if every shard can be had at once; the epoch that begins then. None: not now.
pub fn promote(node: &NodeCore) -> Option<u64> {
    let _entered = node.keyspace.try_enter(node.keyspace.all())?;
    if let Some(services) = node.services.get() {
        node.change_settings(|s| s.replicaof = None);
        services.replicaof(None);
    }
    Some(node.hub.epoch())
}

impl Actor for FailoverActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(16);
    }
}

/// A failover waits for its target: look whether it can go on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Look;

impl Handler<Look> for FailoverActor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        if self.look() {
            ctx.notify_later(Look, LOOK);
        }
    }
}

/// What the target said to PSYNC FAILOVER.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TargetAnswered(pub Answered);

impl Handler<TargetAnswered> for FailoverActor {
    type Result = ();

    fn handle(&mut self, TargetAnswered(answer): TargetAnswered, ctx: &mut Self::Context) {
        let failover = self.node.hub.failover();
        if failover.state() != FailoverState::InProgress {
            return;
        }
        match answer {
            Answered::Accepted => {
                let Some(mut entered) = self.node.keyspace.try_enter(self.node.keyspace.all())
                else {
                    ctx.notify_later(TargetAnswered(answer), LOOK);
                    return;
                };
                failover.done();
                // Not before: a target that refuses leaves us the master, and blocked clients alone.
                blocking::end_all(&self.node, &mut entered);
            }
            Answered::Refused(why) => {
                if promote(&self.node).is_none() {
                    ctx.notify_later(TargetAnswered(answer), LOOK);
                    return;
                }
                failover.abort(why);
            }
        }
        self.resume();
    }
}

impl MasterActor {
    /// Becomes the master if `attach` is a PSYNC FAILOVER of our own master; other requests pass. None: it was
    /// refused, or waits (for a busy shard, or for the end of our master's stream) and will come again.
    ///
    /// Our replicas are closed here, before the new one is attached, so that it is not closed with them.
    pub(super) fn take_over(
        &mut self,
        mut attach: AttachReplica,
        ctx: &mut Context<MasterActor>,
    ) -> Option<AttachReplica> {
        let args: Vec<&[u8]> = attach.request.iter().map(|a| &a[..]).collect();
        let Ok(Request::Psync {
            id,
            offset,
            failover: true,
        }) = Request::parse(&args)
        else {
            return Some(attach);
        };
        let node = self.node.clone();
        let now_ms = node.clock.unix_ms();
        let since_ms = match attach.waits_since_ms {
            Some(since_ms) => since_ms,
            None => {
                tracing::info!("Failover request received for replid {id}.");
                now_ms
            }
        };
        attach.waits_since_ms = Some(since_ms);
        if !node.hub.is_replica() {
            self.refuse(attach, "-ERR PSYNC FAILOVER can't be sent to a master.\r\n");
            return None;
        }
        if !id.eq_ignore_ascii_case(node.hub.history().id.as_str()) {
            self.refuse(
                attach,
                "-ERR PSYNC FAILOVER replid must match my replid.\r\n",
            );
            return None;
        }
        // The request may overtake the stream, which comes by another connection.
        let lacks = u64::try_from(offset).is_ok_and(|next| next > node.hub.offset() + 1);
        let drains = lacks && node.hub.link_up() && now_ms - since_ms < DRAIN_MS;
        let epoch = if drains { None } else { promote(&node) };
        if epoch.is_none() {
            ctx.notify_later(attach, LOOK);
            return None;
        }
        tracing::info!(
            "MASTER MODE enabled (failover request from 'id={} addr={}')",
            attach.client.id,
            attach.client.addr
        );
        self.told_epoch = epoch;
        self.with(ctx, |m, e, o| m.close_all(e, o));
        Some(attach)
    }
}
