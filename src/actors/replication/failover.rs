//! The actor that sees a failover through, and how roles change: with every shard entered; a busy one is asked
//! again a millisecond later.
//!
//! It has no state of its own: what is decided is in `repl::failover`, where it stands is in the hub.
//!
//! Death: it starts anew, and goes on with the failover under way.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::clients::pause::PausePurpose;
use crate::clock::Clock;
use crate::command::dispatch::blocking;
use crate::config::MasterAddress;
use crate::node_core::NodeCore;
use crate::repl::Hub;
use crate::repl::failover::Answered;
use crate::repl::failover::driver::{NameMaster, RoleIo, answered, look};
use crate::supervision::Owner;

/// Between two looks while the target lags, or while a shard is busy.
pub(crate) const LOOK: Duration = Duration::from_millis(1);

/// See the module.
pub(crate) struct FailoverActor {
    role: NodeRole,
    /// What the target said, until it has been acted upon.
    answer: Option<Answered>,
}

impl FailoverActor {
    pub(crate) fn new(node: Arc<NodeCore>) -> FailoverActor {
        FailoverActor {
            role: NodeRole(node),
            answer: None,
        }
    }
}

/// The role of a node that runs.
pub(crate) struct NodeRole(pub(crate) Arc<NodeCore>);

impl RoleIo for NodeRole {
    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    fn follow(&mut self, to: &mut NameMaster<'_>) -> bool {
        let node = &self.0;
        let Some(_entered) = node.keyspace.try_enter(node.keyspace.all()) else {
            return false;
        };
        let Some((host, port)) = to(&node.hub, &*node.clock) else {
            return false;
        };
        node.set_role(Some(MasterAddress { host, port }));
        true
    }

    fn promote(&mut self) -> Option<u64> {
        let node = &self.0;
        let _entered = node.keyspace.try_enter(node.keyspace.all())?;
        node.set_role(None);
        Some(node.hub.epoch())
    }

    fn give_up(&mut self, then: &mut dyn FnMut(&Hub)) -> bool {
        let node = &self.0;
        let Some(mut entered) = node.keyspace.try_enter(node.keyspace.all()) else {
            return false;
        };
        then(&node.hub);
        blocking::end_all(node, &mut entered);
        true
    }

    fn resume_writes(&mut self) {
        self.0.pause.unpause(PausePurpose::Failover);
    }
}

impl Supervised for FailoverActor {
    fn restarting(&mut self, ctx: &mut Self::Context) {
        // Where a failover stands is in the hub: what is not due does nothing.
        ctx.notify(Look);
        if let Some(answer) = self.answer {
            ctx.notify(TargetAnswered(answer));
        }
    }
}

impl Actor for FailoverActor {
    type Context = Context<Self>;
}

/// A failover waits for its target: look whether it can go on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Look;

impl Handler<Look> for FailoverActor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.role.0.supervision.step(Owner::Failover, "look");
        if look(&mut self.role) {
            ctx.notify_later(Look, LOOK);
        }
    }
}

/// What the target said to PSYNC FAILOVER.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TargetAnswered(pub(crate) Answered);

impl Handler<TargetAnswered> for FailoverActor {
    type Result = ();

    fn handle(&mut self, TargetAnswered(answer): TargetAnswered, ctx: &mut Self::Context) {
        self.answer = Some(answer);
        self.role.0.supervision.step(Owner::Failover, "answer");
        if answered(answer, &mut self.role) {
            ctx.notify_later(TargetAnswered(answer), LOOK);
        } else {
            self.answer = None;
        }
    }
}
